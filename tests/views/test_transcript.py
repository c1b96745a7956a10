from segue import Agent, Limits, handoff
from segue.core.arguments import digest
from segue.core.events import ApprovalAsked, ApprovalDecided, DriveStarted, InputGiven, ModelReplied, Started
from segue.core.messages import Call, Reply, User
from segue.views.transcript import Line, render, transcript
from tests.views.telling import conversation, second_by_second

FIVE = digest('{"amount":5}')


def pay(amount: int) -> str:
    """Pay."""
    if amount > 100:
        raise ValueError("too much")
    return f"paid {amount}"


async def test_a_conversation_is_told_as_people_read_it():
    b = Agent("B", tools=[pay])
    a = Agent("A", handoffs=[b])
    rows = await conversation(a, ["Hello.", {"transfer_to_b": {}}, {"pay": {"amount": 5}}, "Paid."], "Hi", "Pay 5")
    assert render(transcript(rows)) == (
        "User: Hi\nA: Hello.\nUser: Pay 5\n    transfer_to_b()\n    -- A → B --\n    pay(amount=5)\n      → paid 5\nB: Paid."
    )


async def test_what_failed_and_how_a_run_ended_is_told():
    lines = transcript(await conversation(Agent("A", tools=[pay]), [{"pay": {"amount": 500}}], "Pay", limits=Limits(turns=1)))
    assert lines[2] == Line("result", "A", "pay raised: Failed with ValueError: too much")
    assert lines[3].text.startswith("The run ended, limited: ")


async def test_calls_that_come_back_are_told_from_transfers():
    a = Agent("A", handoffs=[handoff(Agent("B"), kind="call")])
    lines = transcript(await conversation(a, [{"call_b": {}}, {"return_to_a": {"value": "x"}}, "Done."], "Hi"))
    assert [line.text for line in lines if line.kind == "handoff"] == ["A calls B", "B returns to A"]


def test_decisions_are_told_with_who_took_them():
    rows = second_by_second(
        [
            Started("c", "A"),
            InputGiven("r", (User("Pay"),), by="Ann"),
            DriveStarted("d"),
            ModelReplied("A", Reply(None, (Call("c", "pay", '{"amount":5}'),), "tool_calls")),
            ApprovalAsked("p", "1.0", "A", "pay", '{"amount":5}', FIVE),
            ApprovalDecided("p", FIVE, "deny", by="Bob", reason="not today"),
        ]
    )
    text = render(transcript(rows))
    assert text.startswith("Ann: Pay\n")
    assert "[A: waits for a person's decision: pay(amount=5)]" in text
    assert "[Bob: decided: deny (not today)]" in text


def test_a_refusal_and_a_reply_that_did_not_fit_are_notes():
    refusal = ModelReplied("A", Reply(None, refusal="I must not."))
    unfit = ModelReplied("A", Reply("Hm.", finish="stop"), refused="not JSON")
    begun = [Started("c", "A"), InputGiven("r", (User("Hi"),)), DriveStarted("d")]
    assert transcript(second_by_second([*begun, refusal]))[-1] == Line("note", "A", "declined: I must not.")
    assert transcript(second_by_second([*begun, unfit]))[-1] == Line("note", "A", "the reply was not accepted: not JSON")

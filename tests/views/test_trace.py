from segue import Agent, Limits
from segue.core.arguments import digest
from segue.core.events import (
    ApprovalAsked,
    ApprovalDecided,
    DriveStarted,
    InputGiven,
    ModelReplied,
    RunEnded,
    Started,
    ToolLate,
    ToolReturned,
    ToolStarted,
    ToolUnknown,
)
from segue.core.messages import Call, Reply, Usage, User
from segue.views.story import HandedOver
from segue.views.trace import render, trace
from tests.views.telling import conversation, second_by_second

FIVE = digest('{"amount":5}')
CALL = Reply(None, (Call("c", "pay", '{"amount":5}'),), "tool_calls", usage=Usage(10, 2), model="m")
BEGUN = [Started("c", "A"), InputGiven("r", (User("Pay"),)), DriveStarted("d"), ModelReplied("A", CALL, attempt=2, seconds=0.5)]
START = ToolStarted("1.0", "pay", '{"amount":5}')
ANSWER = ModelReplied("A", Reply("Paid.", finish="stop", usage=Usage(20, 3, cached=8), model="m"), seconds=0.25)


def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


async def test_runs_turns_and_calls_stand_in_their_order_with_who_spoke():
    b = Agent("B", tools=[pay])
    a = Agent("A", handoffs=[b])
    made = trace(await conversation(a, [{"transfer_to_b": {}}, {"pay": {"amount": 5}}, "Paid.", "Bye."], "Pay 5", "Thanks"))
    assert (made.entry, made.active) == ("A", "B")
    assert [run.input for run in made.runs] == ["Pay 5", "Thanks"]
    assert [turn.agent for turn in made.runs[0].turns] == ["A", "B", "B"]
    assert [turn.handoff for turn in made.runs[0].turns] == [HandedOver("A", "B"), None, None]
    (call,) = made.runs[0].turns[1].calls
    assert (call.name, call.arguments, call.how, call.text) == ("pay", '{"amount":5}', "returned", "paid 5")
    assert [turn.text for turn in made.runs[1].turns] == ["Bye."]


def test_times_and_tokens_are_those_of_the_journal():
    made = trace(second_by_second([*BEGUN, START, ToolReturned("1.0", "paid", seconds=0.75), ANSWER]))
    (run,) = made.runs
    first, last = run.turns
    assert (run.began, run.seconds) == (102.0, 5.0)
    assert (first.began, first.seconds, first.attempt) == (103.5, 0.5, 2)
    assert (first.calls[0].began, first.calls[0].seconds) == (105.0, 0.75)
    assert (last.began, last.model) == (106.75, "m")
    assert run.usage == Usage(30, 5, cached=8)


def test_the_text_tells_all_of_it():
    rows = second_by_second([*BEGUN, START, ToolReturned("1.0", "paid", seconds=0.75), ANSWER])
    assert render(trace(rows)) == (
        "1. Pay\n"
        "  +1.50 s  A · m · 0.5 s · attempt 2 · 10 tokens in, 2 out\n"
        "  +3.00 s    pay(amount=5) · 0.8 s\n"
        "                → paid\n"
        "  +4.75 s  A · m · 0.2 s · 20 tokens in (8 cached), 3 out\n"
        "              “Paid.”\n"
        "            done · 5.0 s · 2 model calls · 1 tool call · 30 tokens in (8 cached), 5 out\n"
    ).replace("  +", "   +")


def test_a_call_without_an_outcome_and_one_that_waits_are_told_as_such():
    under_way = trace(second_by_second([*BEGUN, START]))
    assert "✗ under way" in render(under_way)
    assert "not ended" in render(under_way)
    asked = [*BEGUN, ApprovalAsked("p", "1.0", "A", "pay", '{"amount":5}', FIVE)]
    assert "✗ waits for a person" in render(trace(second_by_second(asked)))
    denied = trace(second_by_second([*asked, ApprovalDecided("p", FIVE, "deny")]))
    assert [call.how for call in denied.runs[0].turns[0].calls] == ["denied"]
    start = ToolStarted("1.0", "pay", '{"amount":5}', approval="p")
    approved = trace(second_by_second([*asked, ApprovalDecided("p", FIVE, "approve"), start, ToolReturned("1.0", "paid")]))
    assert [call.how for call in approved.runs[0].turns[0].calls] == ["returned"]


def test_a_late_result_stands_with_its_call():
    rows = second_by_second([*BEGUN, START, ToolUnknown("1.0", "given up"), ToolLate("1.0", "pay", "paid after all")])
    (call,) = trace(rows).runs[0].turns[0].calls
    assert (call.how, call.late) == ("unknown", "paid after all")
    assert "→ came late: paid after all" in render(trace(rows))


def test_an_end_without_an_answer_and_a_refused_reply_are_told():
    refused = ModelReplied("A", Reply("Hm.", finish="stop"), refused="not JSON")
    rows = second_by_second([*BEGUN[:3], refused, RunEnded("failed", "provider", "no reply")])
    text = render(trace(rows))
    assert "not accepted: not JSON" in text
    assert "failed (provider)" in text


def test_a_queued_input_is_a_run_of_its_own_and_takes_nothing_from_the_one_before():
    queued = InputGiven("r2", (User("And then?"),))
    last = ModelReplied("A", Reply("Nothing.", finish="stop"))
    made = trace(second_by_second([*BEGUN, queued, START, ToolReturned("1.0", "paid"), ANSWER, last]))
    assert [[turn.text for turn in run.turns] for run in made.runs] == [["", "Paid."], ["Nothing."]]
    assert [len(run.turns[0].calls) for run in made.runs] == [1, 0]


def test_nothing_has_a_text_too():
    assert render(trace([])) == "Nothing has happened yet."


async def test_no_line_is_longer_than_the_width():
    agent = Agent("A", tools=[pay])
    script = [{"pay": {"amount": 5, "x" * 300: 1}}, "word " * 100]
    rows = await conversation(agent, script, "question " * 50, limits=Limits(turns=5))
    assert max(map(len, render(trace(rows), width=60).splitlines())) <= 60

import json

import pytest

from segue import Agent, tool
from segue.core.arguments import digest
from segue.core.codec import Unknown
from segue.core.events import (
    CANCELLED,
    AllowanceGiven,
    ApprovalAsked,
    ApprovalDecided,
    DriveStarted,
    InputGiven,
    ModelReplied,
    RunEnded,
    Started,
    ToolFailed,
    ToolLate,
    ToolReturned,
    ToolSettled,
    ToolStarted,
    ToolUnknown,
)
from segue.core.messages import Call, Reply, Usage, User
from segue.views.record import as_json, lines, record
from segue.views.words import moment
from tests.views.telling import conversation, second_by_second

CALL = Reply("One moment.", (Call("c", "pay", '{"amount":5}'),), "tool_calls", usage=Usage(10, 2), model="m")
BEGUN = [Started("c", "A"), InputGiven("r", (User("Pay"),), by="Eve"), DriveStarted("d_1"), ModelReplied("A", CALL, seconds=0.5)]
SIGNED = digest('{"amount":5}')
ASKED = ApprovalAsked("p", "1.0", "A", "pay", '{"amount":5}', SIGNED, expires=200.0)
START = ToolStarted("1.0", "pay", '{"amount":5}', "keyed", "k", "p")
START_UNASKED = ToolStarted("1.0", "pay", '{"amount":5}')


def told(*events):
    return [(line.kind, line.text) for line in lines(record(second_by_second([*BEGUN, *events])))]


def test_who_spoke_what_was_called_and_who_agreed_to_it_stand_in_their_order():
    answer = ModelReplied("A", Reply("Paid.", usage=Usage(20, 3)), attempt=2, seconds=0.25, cost=0.5)
    yes = ApprovalDecided("p", SIGNED, "approve", "Ann", "it is owed")
    assert told(ASKED, yes, START, ToolReturned("1.0", "paid 5", seconds=2.0), answer) == [
        ("user", "Eve: Pay"),
        ("agent", "A (m, 0.5 s, 10 tokens in, 2 out): One moment."),
        ("waits", f"1.0 pay(amount=5) waits for a decision: approval p, until {moment(200.0)}"),
        ("decision", "1.0 pay approved by Ann: it is owed"),
        ("call", "1.0 pay(amount=5)"),
        ("result", "1.0 pay (2.0 s): paid 5"),
        ("agent", "A (0.2 s, 20 tokens in, 3 out, 0.5000, attempt 2): Paid."),
    ]


def test_a_process_that_died_a_call_made_again_and_one_that_nobody_knows_of_are_told():
    approved = [ASKED, ApprovalDecided("p", SIGNED, "approve"), DriveStarted("d_1")]
    events = [*approved, START, DriveStarted("d_2"), START, DriveStarted("d_3")]
    doubt, found = ToolUnknown("1.0", "the process ended", ask=True), ToolSettled("1.0", "it was paid", "Ann")
    assert told(*events, doubt, found, ToolLate("1.0", "pay", "paid 5"))[4:] == [
        ("call", "1.0 pay(amount=5)"),
        ("note", "driven on by d_2: the drive of d_1 had not come to its end"),
        ("call", "1.0 pay(amount=5), again"),
        ("note", "driven on by d_3: the drive of d_2 had not come to its end"),
        ("wrong", "1.0 pay: unknown, and somebody is to say what came of it: the process ended"),
        ("result", "1.0 pay: settled by Ann: it was paid"),
        ("result", "1.0 pay: late: paid 5"),
    ]


def test_an_event_of_a_newer_version_is_named_in_its_place_and_the_rest_is_told():
    assert told(Unknown("MoonRisen", 1), START_UNASKED, ToolReturned("1.0", "paid 5"))[2:] == [
        ("note", "an event MoonRisen (version 1) of a newer version of Segue"),
        ("call", "1.0 pay(amount=5)"),
        ("result", "1.0 pay: paid 5"),
    ]


def test_what_does_not_fit_without_an_event_of_a_newer_version_is_told_by_its_kind():
    unfit = [ModelReplied("A", Reply("Paid.")), ToolLate("1.0", "pay", "paid 5"), Unknown("MoonRisen", 1), InputGiven("r2", (User("Hi"),))]
    assert told(Unknown("ToolReturned", 2), *unfit)[2:] == [
        ("note", "an event ToolReturned (version 2) of a newer version of Segue"),
        ("note", "what follows does not fit what is known, and is told by its kind only"),
        ("note", "an event ModelReplied"),
        ("note", "an event ToolLate"),
        ("note", "an event MoonRisen (version 1) of a newer version of Segue"),
        ("note", "an event InputGiven"),
    ]


def test_the_fence_of_a_cancel_is_no_driver():
    events = [
        START_UNASKED,
        DriveStarted(""),
        ToolUnknown("1.0", "cancelled"),
        CANCELLED,
        InputGiven("r2", (User("Hi"),)),
        DriveStarted("d_2"),
    ]
    assert [text for kind, text in told(*events) if kind == "note"] == ["the run ended, cancelled (cancelled): The run was cancelled."]


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        (ApprovalDecided("p", SIGNED, "deny", "Ann", "no"), "1.0 pay denied by Ann: no"),
        (ApprovalDecided("p", SIGNED, "expired"), "1.0 pay not decided in time"),
        (ApprovalDecided("p", SIGNED, "superseded", "Ann"), "1.0 pay to be decided anew by Ann"),
    ],
)
def test_a_decision_against_a_call_is_told(decision, words):
    assert ("decision", words) in told(ASKED, decision)


def test_edited_arguments_and_the_agent_within_that_asks_are_told():
    edited = ApprovalAsked("p-2", "1.0", "A", "pay", '{"amount":1}', digest('{"amount":1}'), edited=True)
    assert told(edited)[-1] == ("waits", "1.0 pay(amount=1) waits for a decision: approval p-2, with edited arguments")
    inner = ApprovalAsked("q", "1.0", "B", "pay", "{}", digest("{}"), inner="c_2")
    assert told(ToolStarted("1.0", "b", "{}", "keyed"), inner)[-1][1].endswith("approval q, asked in conversation c_2")


def test_the_end_of_a_run_what_was_given_back_and_a_new_allowance_are_told():
    events = [
        ToolFailed("1.0", "timeout", "too slow"),
        ModelReplied("A", Reply("Hm."), refused="not JSON"),
        RunEnded("limited", "turns", "20 turns."),
    ]
    assert told(*events, AllowanceGiven({"turns": 40}, "Ann"), DriveStarted("d_2"))[2:] == [
        ("call", "1.0 pay(amount=5)"),
        ("wrong", "1.0 pay: timeout: too slow"),
        ("agent", "A (0 ms, no tokens counted): Hm."),
        ("wrong", "not accepted, and given back: not JSON"),
        ("note", "the run ended, limited (turns): 20 turns."),
        ("note", "resumed by Ann with a new allowance, with turns=40"),
    ]


def test_where_a_conversation_comes_from_is_told_first():
    begun = Started("c", "A", messages=(User("Before."),), origin="b@7")
    assert [line.text for line in lines(record(second_by_second([begun])))] == [
        "forked from b@7",
        "opened with 1 messages from elsewhere; A has the floor",
    ]


async def test_every_moment_is_json_with_the_place_and_the_time_of_its_event():
    @tool(effect="read")
    def look_up(query: str) -> str:
        """Look up."""
        return f"found {query}"

    a = Agent("A", handoffs=[Agent("B", tools=[look_up])])
    rows = second_by_second(await conversation(a, [{"transfer_to_b": {}}, {"look_up": {"query": "x"}}, "Done."], "Hi"))
    made = json.loads(json.dumps(as_json(record(rows))))
    assert [one["what"] for one in made][:3] == ["Opened", "Asked", "Driven"]
    assert {(one["at"] - 100) for one in made} <= set(range(1, len(rows) + 1))
    assert all(one["at"] == 100.0 + one["seq"] for one in made)
    assert next(one for one in made if one["what"] == "HandedOver")["target"] == "B"
    assert made[-1]["text"] == "Done."
    assert made[-1]["usage"]["total"] == 0
    changed = json.loads(
        json.dumps(
            as_json(
                record(
                    second_by_second(
                        [*BEGUN, ToolFailed("1.0", "raised", "no"), RunEnded("limited", "turns"), AllowanceGiven({"turns": 2})]
                    )
                )
            )
        )
    )
    assert changed[-1]["limits"] == {"turns": 2}

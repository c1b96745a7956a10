from dataclasses import replace

import pytest

from segue.core.closing import same_call, signed
from segue.core.conversation import CallModel, EndRun, next_steps
from segue.core.events import Handoff, Started, ToolFailed, ToolReturned, ToolSettled, ToolStarted, ToolUnknown
from segue.core.fold import replay
from segue.core.messages import Call, Reply, Usage
from segue.core.view import check, view
from tests.core.making import (
    ASKED,
    answers,
    asks,
    call,
    fails,
    moves,
    on,
    returns,
    shown,
    starts,
    story,
    transfers,
    user,
    works,
)

# --- R12 and R13: handoffs of one message


def test_a_handoff_commits_when_every_call_of_the_message_has_its_outcome():
    c = story(asks(call("transfer_to_refunds"), call()), transfers("1.0", "Refunds"))
    assert c.active == "Triage"
    assert on(c, returns("1.1")).active == "Refunds"


def test_the_first_handoff_in_call_order_wins_whatever_order_they_come_in():
    c = story(asks(call(), call()), transfers("1.1", "Sales"), transfers("1.0", "Refunds"))
    assert c.active == "Refunds"


def test_a_generated_transfer_that_lost_leaves_every_view_with_its_answer():
    c = story(asks(call("transfer_to_refunds"), call("transfer_to_sales")), transfers("1.0", "Refunds"), transfers("1.1", "Sales"))
    assert shown(c) == ["user: Hello?", "Triage: ['transfer_to_refunds']", "tool: Transferred to Refunds. Adopt persona immediately."]


def test_a_function_that_ran_keeps_its_value_without_the_switch():
    c = story(asks(call(), call("book")), transfers("1.0", "Refunds"), returns("1.1", "booked", Handoff("Sales")))
    assert c.active == "Refunds"
    assert answers(c)[1] == "booked"


def test_a_function_that_ran_and_said_nothing_is_told_where_the_conversation_went():
    c = story(asks(call(), call("book")), transfers("1.0", "Refunds"), returns("1.1", "", Handoff("Sales")))
    assert answers(c)[1] == "Not transferred to Sales: the conversation went to Refunds."


def test_a_handoff_to_oneself_changes_nothing_and_lets_the_next_one_win():
    c = story(asks(call(), call()), transfers("1.0", "Triage"), transfers("1.1", "Refunds"))
    assert c.active == "Refunds"
    assert c.run.spent.refused_handoffs == 0
    assert answers(story(asks(call()), transfers("1.0", "Triage"))) == ["Triage has the floor already."]


def test_a_refused_transfer_stays_in_the_callers_view_and_leaves_it_at_the_next_handoff():
    c = story(asks(call("transfer_to_sales"), text="Let me see."), fails("1.0", "closed_edge", "Sales is closed.", transfer=True))
    assert shown(c)[1:] == ["Triage: Let me see.['transfer_to_sales']", "tool: Sales is closed."]
    c = on(c, moves(2, "Triage", "Refunds"))
    assert shown(c)[1:3] == ["Triage: Let me see.", "Triage: ['transfer_to_Refunds']"]


def test_a_refused_transfer_without_text_leaves_nothing_behind():
    c = story(asks(call("transfer_to_sales")), fails("1.0", transfer=True), moves(2, "Triage", "Refunds"))
    assert shown(c) == ["user: Hello?", "Triage: ['transfer_to_Refunds']", "tool: Transferred to Refunds. Adopt persona immediately."]
    assert check(view(c)) is None


def test_a_transfer_that_was_refused_when_the_turn_closed_leaves_at_the_next_handoff_too():
    c = story(asks(call("transfer_to_Triage")), transfers("1.0", "Triage"))
    assert len(shown(c)) == 3
    assert len(shown(on(c, moves(2, "Triage", "Refunds")))) == 3


def test_a_call_refused_beside_a_transfer_that_was_made_is_gone_for_the_next_agent():
    c = story(asks(call("transfer_to_sales"), call("transfer_to_refunds")), fails("1.0", transfer=True), transfers("1.1", "Refunds"))
    assert shown(c)[1] == "Triage: ['transfer_to_refunds']"


def test_a_tool_that_failed_is_no_refused_transfer_and_stays():
    c = story(asks(call()), fails("1.0", words="item: missing"), moves(2, "Triage", "Refunds"))
    assert "tool: item: missing" in shown(c)


@pytest.mark.parametrize(
    "reply", [Reply(None, (call(),), extra={"reasoning": "…"}), Reply(None, (Call("", "f", "{}", {"signature": "…"}),))]
)
def test_a_message_with_signed_reasoning_is_never_edited(reply):
    assert signed(reply)
    more = reply._replace(calls=(*reply.calls, call("transfer_to_refunds"), call("transfer_to_sales")))
    said = asks()
    said = type(said)("Triage", more)
    c = story(said, fails("1.0", transfer=True), transfers("1.1", "Refunds"), transfers("1.2", "Sales"))
    message = view(c)[1]
    assert len(message.calls) == 3
    assert message.extra == reply.extra
    assert check(view(c)) is None


def test_a_limit_is_told_to_the_model_also_where_the_function_returned_something():
    before = (ASKED[0], user("Hi", 1, limits={"handoffs": 0}))
    c = story(asks(call("book")), returns("1.0", "booked", Handoff("Sales")), before=before)
    assert c.active == "Triage"
    assert answers(c)[0].startswith("booked\n\nNot transferred: the limit of 0 handoffs")
    c = story(asks(call("book")), returns("1.0", [{"type": "text", "text": "booked"}], Handoff("Sales")), before=before)
    assert [part["text"][:15] for part in answers(c)[0]] == ["booked", "Not transferred"]


# --- R24: the context


def test_context_changes_are_merged_when_the_turn_closes_and_the_later_call_in_call_order_wins():
    c = story(asks(call(), call()), starts("1.0"), starts("1.1"), ToolReturned("1.1", "ok", None, {"a": 2, "b": 2}))
    assert c.context == {}
    c = on(c, ToolReturned("1.0", "ok", None, {"a": 1, "c": {"deep": 1}}))
    assert c.context == {"a": 2, "b": 2, "c": {"deep": 1}}


def test_the_merge_is_shallow_and_key_by_key():
    c = story(asks(call()), returns("1.0", a={"x": 1}), asks(call()), returns("2.0", a={"y": 1}))
    assert c.context == {"a": {"y": 1}}


def test_a_call_that_did_not_return_changes_nothing():
    before = (Started("c", "Triage", {"a": 1}), *ASKED[1:])
    c = story(asks(call(), call()), starts("1.0"), ToolUnknown("1.0", "Who knows."), fails("1.1"), before=before)
    assert c.context == {"a": 1}


# --- R26: unique calls


def test_the_outcome_of_a_unique_call_is_kept_for_an_equal_one():
    c = story(asks(call()), starts("1.0", unique=True), ToolReturned("1.0", "paid"))
    assert c.uniques == {same_call("look_up", "{}"): "paid"}
    assert on(c, asks(call()), starts("2.0", arguments='{"a":1}', unique=True), ToolUnknown("2.0", "Who knows.")).uniques == {
        same_call("look_up", "{}"): "paid",
        same_call("look_up", '{"a":1}'): "Who knows.",
    }


def test_a_unique_call_that_failed_and_a_call_that_is_not_unique_are_not_kept():
    c = story(asks(call(), call()), starts("1.0", unique=True), fails("1.0", "raised"), returns("1.1"))
    assert c.uniques == {}


def test_what_a_person_found_out_of_a_unique_call_is_its_outcome():
    c = story(asks(call()), starts("1.0", unique=True), ToolUnknown("1.0", "Who knows.", ask=True), ToolSettled("1.0", "paid"))
    assert list(c.uniques.values()) == ["paid"]


# --- R19 and R20: what a turn spends


def test_equal_calls_with_equal_outcomes_are_counted_in_a_row():
    c = story(*[works(n) for n in (1, 2)])
    assert (c.run.spent.repeats, next_steps(c)) == (2, [CallModel("Triage")])
    c = on(c, works(3))
    assert isinstance(next_steps(c)[0], EndRun)
    assert next_steps(c)[0].event.reason == "repeats"


def test_another_outcome_or_other_arguments_begin_the_count_again():
    c = story(works(1), works(2), works(3, content="something new"))
    assert c.run.spent.repeats == 1
    c = on(c, asks(call(arguments='{"a":1}')), starts("4.0", arguments='{"a":1}'), ToolReturned("4.0", "something new"))
    assert c.run.spent.repeats == 1


def test_the_arguments_are_compared_as_the_calls_were_made_and_not_as_they_were_written():
    c = story(
        *[
            (asks(call(arguments=text)), starts(f"{n}.0", arguments='{"a":1}'), ToolReturned(f"{n}.0", "ok"))
            for n, text in ((1, '{"a":1}'), (2, '{ "a": 1 }'))
        ]
    )
    assert c.run.spent.repeats == 2


def test_ping_pong_is_told_to_the_model_and_then_ended():
    names = ["Triage", "Refunds"]
    c = story(*[moves(n, names[(n - 1) % 2], names[n % 2]) for n in (1, 2, 3, 4)])
    assert c.active == "Triage"
    c = on(c, moves(5, "Triage", "Refunds"))
    assert c.active == "Triage"
    assert "back and forth between Refunds and Triage" in answers(c)[-1]
    assert next_steps(c) == [CallModel("Triage")]
    c = on(c, moves(6, "Triage", "Refunds"))
    assert next_steps(c)[0].event.reason == "handoffs"


def test_handoffs_with_work_between_them_are_no_ping_pong():
    names = ["Triage", "Refunds"]
    parts, number = [], 0
    for n in range(4):
        number += 2
        parts += [moves(number - 1, names[n % 2], names[(n + 1) % 2]), works(number, names[(n + 1) % 2], f"result {n}")]
    assert on(story(*parts), moves(9, "Triage", "Refunds")).active == "Refunds"


def test_asking_another_agent_several_times_is_work_and_no_ping_pong():
    parts = []
    for n in range(3):
        parts += [moves(2 * n + 1, "Triage", "Sales", "call"), moves(2 * n + 2, "Sales", "Triage", "return", brief=n)]
    assert story(*parts).run.spent.handoffs == 6
    assert story(*parts).run.spent.refused_handoffs == 0


def test_a_handoff_that_was_refused_for_a_limit_before_it_was_made_counts_as_refused():
    c = story(asks(call()), fails("1.0", "limit", "Not transferred.", transfer=True))
    assert c.run.spent.refused_handoffs == 1
    assert story(asks(call()), fails("1.0", "closed_edge", transfer=True)).run.spent.refused_handoffs == 0


def test_folding_in_one_go_and_event_by_event_is_the_same():
    events = [*ASKED, asks(call(), call()), *returns("1.0"), *returns("1.1"), *moves(2, "Triage", "Refunds")]
    assert story(events, before=()) == replay(events[4:], replay(events[:4]))
    assert isinstance(events[4], ToolStarted)


@pytest.mark.parametrize("last", [ToolReturned("1.1", "done"), ToolFailed("1.1", "raised", "It failed.")])
def test_what_the_agent_behind_a_call_has_used_counts_once_when_the_turn_closes(last):
    c = story(asks(call(), call(), usage=Usage(5, 5)), starts("1.0", "keyed"), starts("1.1", "keyed"))
    c = on(c, ToolReturned("1.0", "done", usage=Usage(20, 10), cost=0.5))
    assert (c.usage.total, c.run.usage.total) == (10, 10)
    c = on(c, replace(last, usage=Usage(2, 1), cost=0.25))
    assert (c.usage, c.run.usage, c.run.spent.usage, c.run.spent.cost) == (Usage(27, 16), Usage(27, 16), Usage(27, 16), 0.75)

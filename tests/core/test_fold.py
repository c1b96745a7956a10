from typing import get_args, get_type_hints

import pytest

from segue.core.conversation import CallModel, Conversation, Status, next_steps
from segue.core.events import (
    SUPERSEDED,
    AllowanceGiven,
    DriveStarted,
    Event,
    RunEnded,
    Started,
    ToolLate,
    ToolReturned,
    ToolSettled,
    ToolUnknown,
)
from segue.core.fold import _AFTER, ACCEPTS, apply, as_left, replay
from segue.core.limits import Spent
from segue.core.messages import System
from segue.core.view import check, new_messages, view
from segue.errors import IllegalEvent
from tests.core.making import ASKED, asks, call, decision, due, fails, moves, on, question, returns, says, shown, starts, story, user, works

PARKED = RunEnded("parked", "missing tool", "There is no tool look_up any more.")
CANCELLED = RunEnded("cancelled", "cancelled")
INPUT_GUARD = RunEnded("failed", "input guard")
OUTPUT_GUARD = RunEnded("failed", "output guard")


# --- the table


def test_every_status_says_what_it_accepts():
    assert set(ACCEPTS) == set(Status)


def test_every_event_is_taken_in_by_a_function_that_takes_it():
    assert set(_AFTER) == set(get_args(Event))
    for event, function in _AFTER.items():
        taken = get_type_hints(function)["event"]
        assert event in (get_args(taken) or (taken,)), f"{function.__name__} does not take {event.__name__}"


def test_what_the_table_lacks_is_refused_and_changes_nothing():
    c = story()
    before = repr(c)
    for event in (Started("c", "Triage"), AllowanceGiven(), starts("1.0"), ToolReturned("1.0")):
        with pytest.raises(IllegalEvent, match="cannot happen while the conversation is model"):
            apply(c, event)
    assert repr(c) == before


def test_a_conversation_is_opened_once_and_first():
    with pytest.raises(IllegalEvent, match="is new"):
        apply(Conversation(), DriveStarted("driver"))
    c = replay([Started("c", "Triage", {"customer": 1})])
    assert (c.id, c.status, c.active, c.entry, c.context, c.seq) == ("c", Status.IDLE, "Triage", "Triage", {"customer": 1}, 1)
    assert next_steps(c) == []


def test_a_conversation_that_was_not_opened_has_no_agent_and_nothing_to_do():
    assert (Conversation().active, Conversation().waiting, next_steps(Conversation())) == ("", (), [])


def test_events_are_counted():
    assert story(works(1), says(), user("More")).seq == len(ASKED) + 5


def test_a_fold_may_be_cut_and_two_futures_know_nothing_of_each_other():
    past = story(works(1))
    first, second = on(past, moves(2, "Triage", "Refunds")), on(past, moves(2, "Triage", "Sales"))
    assert (past.active, first.active, second.active) == ("Triage", "Refunds", "Sales")
    assert shown(past) == ["user: Hello?", "Triage: ['look_up']", "tool: ok"]
    assert shown(first)[-1] == "tool: Transferred to Refunds. Adopt persona immediately."


# --- ends


def test_a_run_with_open_calls_cannot_end():
    with pytest.raises(IllegalEvent, match="needs its outcome"):
        story(asks(call()), CANCELLED)


@pytest.mark.parametrize("end", [CANCELLED, RunEnded("failed", "provider"), RunEnded("limited", "run_timeout")])
def test_after_an_end_the_conversation_takes_an_input_or_an_allowance(end):
    c = story(works(1), end)
    assert next_steps(c) == []
    assert next_steps(on(c, user("More"))) == [CallModel("Triage")]
    assert on(c, user("More")).ended is None
    assert shown(on(c, AllowanceGiven())) == shown(story(works(1)))


def test_an_input_that_a_guard_refused_leaves_the_conversation_as_if_it_had_not_come():
    c = story(says(), user("Something bad"), INPUT_GUARD)
    assert shown(on(c, user("Something good"))) == ["user: Hello?", "Triage: Here you are.", "user: Something good"]
    with pytest.raises(IllegalEvent, match="refused by a guard"):
        on(c, AllowanceGiven())


def test_a_late_result_survives_the_input_that_a_guard_refused():
    c = story(user("Bad", 1), ToolLate("0.0", "pay", "paid"), INPUT_GUARD, user("Good"), before=ASKED[:1])
    assert ["Late result" in line for line in shown(c)] == [True, False]


def test_an_input_that_was_worked_on_stays_when_a_guard_refuses_it_later():
    c = story(works(1), INPUT_GUARD, user("More"))
    assert shown(c) == ["user: Hello?", "Triage: ['look_up']", "tool: ok", "user: More"]


def test_an_answer_that_a_guard_refused_is_in_no_view():
    c = story(works(1), says("The secret.", refused="It tells a secret."), OUTPUT_GUARD)
    assert shown(on(c, user("More"))) == ["user: Hello?", "Triage: ['look_up']", "tool: ok", "user: More"]
    assert shown(on(c, AllowanceGiven())) == ["user: Hello?", "Triage: ['look_up']", "tool: ok"]


def test_a_late_result_survives_the_answer_that_a_guard_refused():
    c = story(says("The secret.", refused="No."), ToolLate("0.0", "pay", "paid"), OUTPUT_GUARD)
    assert [line[:18] for line in shown(on(c, AllowanceGiven()))] == ["user: Hello?", "user: [Late result"]


@pytest.mark.parametrize("parts", [(), (works(1),), (says(None, refused="Say something."),)])
def test_an_output_guard_without_an_answer_takes_nothing_away(parts):
    c = story(*parts)
    assert shown(on(c, OUTPUT_GUARD, AllowanceGiven())) == shown(c)


@pytest.mark.parametrize("parts", [{"finish": "length"}, {"refusal": "I would rather not."}])
def test_a_reply_that_was_cut_or_declined_is_asked_for_anew_after_an_allowance(parts):
    c = story(works(1), says("So", **parts))
    for end in (due(c), CANCELLED, PARKED):
        resumed = on(c, end, AllowanceGiven())
        assert shown(resumed) == ["user: Hello?", "Triage: ['look_up']", "tool: ok"]
        assert next_steps(resumed) == [CallModel("Triage")]
    assert "Triage: So" in shown(on(c, due(c), user("Go on")))


def test_a_misfit_that_was_told_is_still_known_after_an_allowance():
    c = story(says("one", refused="That does not fit."), CANCELLED, AllowanceGiven())
    assert shown(c)[-2:] == ["Triage: one", "user: That does not fit."]


# --- R31: parked


def test_a_parked_conversation_keeps_its_open_calls_and_goes_on_after_an_allowance():
    c = story(asks(call(), call()), question("1.0"), PARKED)
    assert (c.status, next_steps(c), len(c.waiting)) == (Status.ENDED, [], 1)
    c = on(c, AllowanceGiven())
    assert (c.status, [step.slot.place for step in next_steps(c)]) == (Status.TOOLS, ["1.1"])


def test_a_parked_conversation_with_open_calls_takes_no_input():
    for busy in ("queue", "interrupt"):
        with pytest.raises(IllegalEvent, match="parked with open calls"):
            story(asks(call()), PARKED, user("More", busy=busy))


def test_a_parked_conversation_keeps_its_queue_and_the_inputs_are_read_in_their_order():
    c = story(user("second"), PARKED)
    assert (c.status, len(c.queue)) == (Status.ENDED, 1)
    c = on(c, user("third", 3))
    assert shown(c) == ["user: Hello?", "user: second"]
    assert shown(on(c, says()))[-1] == "user: third"


def test_a_late_result_that_comes_while_parked_is_told_when_the_turn_closes():
    c = story(asks(call()), PARKED, ToolLate("0.0", "pay", "paid"), AllowanceGiven(), returns("1.0"))
    assert shown(c)[-2:] == ["tool: ok", "user: [Late result of the earlier call of pay, whose outcome was unknown: paid]"]


# --- a run that gave way to a queued one, as it was left


def left(c, event, run="run-1"):
    return as_left(run, c, event, on(c, event))


def words(c):
    return [getattr(message, "content", None) or message.text for message in new_messages(c)]


def test_an_answer_is_known_though_the_next_run_has_begun():
    was = left(story(works(1), user("second")), says("One."))
    assert (was.status, was.answer.text, was.run.id, words(was)[1:]) == (Status.IDLE, "One.", "run-1", ["ok", "One."])


def test_the_end_of_a_run_is_known_though_the_next_one_has_begun():
    was = left(story(user("second")), CANCELLED)
    assert (was.status, was.ended, was.answer) == (Status.ENDED, CANCELLED, None)


def test_a_run_that_was_interrupted_is_known_with_the_calls_that_were_ended():
    was = left(story(asks(call(), text="One moment."), question("1.0")), user("Stop!", busy="interrupt"))
    assert (was.status, was.ended, was.turn) == (Status.ENDED, SUPERSEDED, None)
    assert words(was) == ["One moment.", "Not done: the user has said something new."]


@pytest.mark.parametrize(
    ("outcome", "told"),
    [(ToolReturned("1.0", "done"), "done"), (ToolUnknown("1.0", "Who knows."), "Who knows."), (ToolUnknown("1.0", "?", ask=True), "?")],
)
def test_an_interrupted_run_whose_last_call_ends_later_is_known_as_interrupted(outcome, told):
    was = left(story(asks(call(), text="."), starts("1.0"), user("Stop!", busy="interrupt")), outcome)
    assert (was.status, was.ended, was.queue, words(was)) == (Status.ENDED, SUPERSEDED, (), [".", told])


def test_a_queued_run_that_was_interrupted_before_its_turn_came_is_known_as_interrupted():
    c = story(asks(call()), starts("1.0"), user("second"), user("Stop!", 3, busy="interrupt"))
    was = left(c, ToolReturned("1.0", "done"), "run-2")
    assert (was.status, was.ended, was.run.id, was.answer, words(was)) == (Status.ENDED, SUPERSEDED, "run-2", None, [])
    assert left(c, ToolReturned("1.0", "done")).ended == SUPERSEDED


def test_a_run_that_was_over_when_the_next_began_is_left_as_it_was():
    done, ended = story(says()), story(CANCELLED)
    assert left(done, user("More")) is done
    assert left(ended, user("More")) is ended


def test_a_run_that_goes_on_or_has_not_begun_or_ends_with_nothing_behind_it_is_not_left():
    assert left(story(user("second")), user("third", 3)) is None
    assert left(story(user("second")), says(), "run-2") is None
    assert left(story(), says()) is None
    assert left(story(), user("second"), "run-2") is None


# --- drives that get nothing done


def drives(count):
    return [DriveStarted(f"d_{n}") for n in range(count)]


def test_a_conversation_that_is_driven_five_times_for_nothing_is_parked_and_goes_on_after_an_allowance():
    c = story(drives(4))
    assert next_steps(c) == [CallModel("Triage")]
    end = due(on(c, drives(1)))
    assert (end.kind, end.reason, end.error) == ("parked", "no progress", "ConversationParked")
    c = on(c, drives(1), end)
    assert (c.status, next_steps(c)) == (Status.ENDED, [])
    assert next_steps(on(c, AllowanceGiven(), drives(5))) == [CallModel("Triage")]


def test_calls_that_kill_every_driver_park_the_conversation_with_its_open_turn():
    c = story(asks(call()), starts("1.0", "read"), drives(5))
    assert len(next_steps(c)) == 1
    end = due(on(c, drives(1)))
    assert on(c, drives(1), end, AllowanceGiven()).turn == c.turn


@pytest.mark.parametrize(
    "progress",
    [says("one", refused="No."), user("second"), [asks(call()), question("1.0"), decision()], [asks(call()), fails("1.0")]],
)
def test_whatever_gets_done_begins_the_count_of_drives_again(progress):
    assert on(story(drives(4)), progress).idle_drives == 0


def test_a_start_is_no_progress():
    assert story(asks(call()), drives(3), starts("1.0")).idle_drives == 3


def test_a_run_that_is_due_to_end_ends_as_it_should_though_nothing_got_done():
    assert due(story(says(finish="length"), drives(9))).reason == "cut"


def test_the_end_of_a_run_is_progress_for_the_next_one():
    c = story(user("second"), says("So", finish="length"), drives(9))
    c = on(c, due(c))
    assert (c.run.id, next_steps(c)) == ("run-2", [CallModel("Triage")])


def test_the_last_driver_and_the_last_code_are_known():
    c = story(DriveStarted("d_1", {"Triage": {"model": "m"}}), DriveStarted("d_2"))
    assert (c.driver, c.fingerprint) == ("d_2", {"Triage": {"model": "m"}})


# --- R21: inputs while a run goes on


def test_a_queued_input_is_read_when_the_run_ends():
    for end in (says(), CANCELLED):
        c = story(user("second"))
        assert shown(c) == ["user: Hello?"]
        c = on(c, end)
        assert (c.run.id, c.run.spent, shown(c)[-1], c.queue) == ("run-2", Spent(), "user: second", ())


def test_a_cut_reply_is_told_as_the_end_of_its_run_before_a_queued_input_is_read():
    c = story(user("second"), says("So", finish="length"))
    assert (due(c).reason, c.run.id) == ("cut", "run-1")
    assert on(c, due(c)).run.id == "run-2"


def test_queued_inputs_are_runs_of_their_own_in_their_order():
    c = story(user("second"), user("third", 3), says("One."), says("Two."))
    assert shown(c) == ["user: Hello?", "Triage: One.", "user: second", "Triage: Two.", "user: third"]


def test_a_queued_input_waits_for_a_person_too():
    c = story(asks(call()), question("1.0"), user("second"))
    assert (c.status, len(c.queue)) == (Status.HUMAN, 1)


def test_an_interrupting_input_is_read_at_once_while_the_model_is_asked():
    c = story(works(1), user("Stop!", busy="interrupt"))
    assert (c.run.id, shown(c)[-1], next_steps(c)) == ("run-2", "user: Stop!", [CallModel("Triage")])


def test_an_interrupting_input_ends_what_was_not_begun_and_waits_for_what_was():
    c = story(asks(call(), call(), call()), starts("1.0"), question("1.1"), user("Stop!", busy="interrupt"))
    assert (c.status, next_steps(c)) == (Status.TOOLS, [])
    c = on(c, ToolReturned("1.0", "done"))
    assert shown(c)[2:] == [
        "tool: done",
        "tool: Not done: the user has said something new.",
        "tool: Not done: the user has said something new.",
        "user: Stop!",
    ]
    assert c.run.id == "run-2"


def test_an_interrupting_input_does_not_wait_for_a_person():
    c = story(asks(call()), starts("1.0"), ToolUnknown("1.0", "Who knows.", ask=True), user("Stop!", busy="interrupt"))
    assert shown(c)[-2:] == ["tool: Who knows.", "user: Stop!"]
    with pytest.raises(IllegalEvent):
        on(c, ToolSettled("1.0", "paid"))


def test_an_interrupting_input_does_not_wait_for_what_an_agent_used_as_a_tool_asks():
    asked = [asks(call()), starts("1.0", "keyed"), question("1.0", inner="c/1.0")]
    c = story(asked, user("Stop!", busy="interrupt"))
    assert shown(c)[-1] == "user: Stop!"
    assert "It is not known what look_up had done before" in shown(c)[-2]
    assert shown(story(asked[:2], user("Stop!", busy="interrupt"), asked[2])) == shown(c)


def test_a_doubt_that_arises_after_an_interrupting_input_is_put_to_nobody():
    c = story(asks(call()), starts("1.0"), user("Stop!", busy="interrupt"), ToolUnknown("1.0", "Who knows.", ask=True))
    assert shown(c)[-2:] == ["tool: Who knows.", "user: Stop!"]


def test_an_input_that_is_queued_behind_an_interrupting_one_does_not_make_it_wait():
    c = story(asks(call()), starts("1.0"), user("Stop!", busy="interrupt"), user("third", 3), ToolReturned("1.0", "done"))
    assert (c.run.id, shown(c)[-1], len(c.queue)) == ("run-2", "user: Stop!", 1)


def test_an_interrupting_input_also_interrupts_what_was_queued_before_it():
    c = story(user("second"), user("Stop!", 3, busy="interrupt"))
    assert (c.run.id, shown(c)) == ("run-3", ["user: Hello?", "user: second", "user: Stop!"])


def test_an_interrupted_run_keeps_the_handoff_that_its_turn_had_made():
    c = story(asks(call(), call()), starts("1.1"), ToolReturned("1.1", "", moves(1, "Triage", "Refunds")[1].handoff))
    assert on(c, user("Stop!", busy="interrupt")).active == "Refunds"


def test_an_input_to_a_conversation_at_rest_begins_a_run_whatever_it_says_of_busy():
    for busy in ("queue", "interrupt"):
        assert story(user("Hi", 1, busy=busy), before=ASKED[:1]).status is Status.MODEL


# --- R25 and R27: late results


def test_a_late_result_is_told_to_the_model_at_its_next_turn():
    c = story(asks(call("pay")), fails("1.0", "timeout", "Given up."), ToolLate("1.0", "pay", "paid"))
    assert shown(c)[-1] == "user: [Late result of the earlier call of pay, whose outcome was unknown: paid]"
    assert check([System("x"), *view(c)]) is None


def test_a_late_result_waits_until_the_open_turn_closes():
    c = story(asks(call()), ToolLate("0.0", "pay", "paid"))
    assert len(shown(c)) == 1
    assert [line[:5] for line in shown(on(c, returns("1.0")))] == ["user:", "Triag", "tool:", "user:"]


def test_a_late_result_is_told_once():
    c = story(asks(call()), ToolLate("0.0", "pay", "paid"), returns("1.0"), works(2))
    assert sum("Late result" in line for line in shown(c)) == 1


def test_a_late_result_may_come_when_nobody_asks():
    c = story(says(), ToolLate("0.0", "pay", "paid"))
    assert (c.status, c.answer.text) == (Status.IDLE, "Here you are.")
    assert [line[:10] for line in shown(on(c, user("More")))] == ["user: Hell", "Triage: He", "user: [Lat", "user: More"]

import pytest

from segue.core.conversation import CallModel, Conversation, EndRun, Status, next_steps
from segue.core.events import (
    AllowanceGiven,
    DriveStarted,
    InputGiven,
    InstructionsRendered,
    ModelReplied,
    RunEnded,
    Started,
    ToolLate,
    ToolReturned,
    ToolSettled,
    ToolUnknown,
)
from segue.core.fold import ACCEPTS, apply, replay
from segue.core.limits import Spent
from segue.core.messages import Reply, System, Usage, User
from segue.core.view import check, view
from segue.errors import IllegalEvent
from tests.core.making import ASKED, asks, call, fails, moves, on, question, returns, says, shown, starts, story, user, works

PARKED = RunEnded("parked", "missing tool", "There is no tool look_up any more.")
CANCELLED = RunEnded("cancelled", "cancelled")
INPUT_GUARD = RunEnded("failed", "input guard")
OUTPUT_GUARD = RunEnded("failed", "output guard")


def due(c):
    steps = next_steps(c)
    assert isinstance(steps[0], EndRun)
    return steps[0].event


# --- the table


def test_every_status_says_what_it_accepts():
    assert set(ACCEPTS) == set(Status)


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


# --- a run


def test_an_input_asks_the_active_agents_model():
    assert next_steps(story()) == [CallModel("Triage")]


def test_an_answer_ends_the_run():
    c = story(says("Hi."))
    assert (c.status, next_steps(c), c.answer.text) == (Status.IDLE, [], "Hi.")
    assert on(c, user("More")).answer is None


def test_calls_decide_and_the_finish_reason_does_not():
    assert story(asks(call(), finish="stop")).status is Status.TOOLS
    assert story(says(finish="tool_calls")).status is Status.IDLE


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_calls_of_a_cut_reply_are_never_run_and_its_text_is_no_answer(finish):
    c = story(asks(call(), text="I will ref", finish=finish))
    assert (c.status, c.turn) == (Status.MODEL, None)
    end = due(c)
    assert (end.kind, end.reason, end.error, end.values) == ("failed", "cut", "ReplyCut", {"finish": finish, "text": "I will ref"})
    assert (on(c, end).status, on(c, end).answer) == (Status.ENDED, None)


def test_a_refusal_of_the_model_fails_the_run_and_its_calls_are_not_run():
    end = due(story(asks(call(), refusal="I would rather not.")))
    assert (end.reason, end.error, end.values) == ("refusal", "ModelRefused", {"refusal": "I would rather not."})


def test_an_empty_reply_says_nothing_in_the_next_view():
    assert shown(story(says(None), user("Are you there?"))) == ["user: Hello?", "user: Are you there?"]


def test_only_the_active_agent_may_reply():
    with pytest.raises(IllegalEvent, match="Refunds replied while Triage had the floor"):
        story(says(agent="Refunds"))


def test_a_reply_when_the_run_is_to_be_ended_is_refused():
    with pytest.raises(IllegalEvent, match="to be ended"):
        story(says(finish="length"), says())
    with pytest.raises(IllegalEvent, match="to be ended"):
        story(works(1), says(), before=(ASKED[0], user("Hi", 1, limits={"turns": 1})))


def test_rendered_instructions_are_kept_by_agent():
    c = story(InstructionsRendered("Triage", "one"), InstructionsRendered("Triage", "two"))
    assert c.instructions == {"Triage": "two"}


def test_the_context_of_an_input_is_merged_over_the_stored_one():
    before = (Started("c", "Triage", {"a": 1, "b": 1}), user("Hi", 1, context={"b": 2}))
    assert story(before=before).context == {"a": 1, "b": 2}


def test_an_input_says_something():
    for messages in ((), (User(""),), (User("Hi"), User([]))):
        with pytest.raises(IllegalEvent, match="says something"):
            story(InputGiven("run", messages), before=ASKED[:1])


def test_usage_is_counted_for_the_run_and_for_the_conversation():
    tokens = Usage(10, 5)
    c = story(says(usage=tokens), user("More"), says(usage=tokens))
    assert (c.usage, c.run.usage, c.run.spent.usage) == (Usage(20, 10), tokens, tokens)


# --- R19 and R20: limits


@pytest.mark.parametrize(
    ("limits", "reason"),
    [({"turns": 2}, "turns"), ({"tokens": 20}, "tokens"), ({"cost": 1.0}, "cost"), ({"repeats": 2}, "repeats")],
)
def test_a_limit_ends_the_run_before_the_model_is_asked_again(limits, reason):
    turn = ModelReplied("Triage", Reply(None, (call(),), usage=Usage(5, 5)), cost=0.5)
    c = story(turn, returns("1.0"), before=(ASKED[0], user("Hi", 1, limits=limits)))
    assert next_steps(c) == [CallModel("Triage")]
    end = due(on(c, turn, returns("2.0")))
    assert (end.kind, end.reason, end.error, end.values) == ("limited", reason, "LimitReached", {"limit": reason})


def test_an_answer_at_the_limit_is_an_answer():
    assert story(says(), before=(ASKED[0], user("Hi", 1, limits={"turns": 1}))).status is Status.IDLE


def test_counts_run_on_over_crashes_and_decisions():
    c = story(works(1), DriveStarted("another"), asks(call()), question("2.0"), DriveStarted("a third"))
    assert c.run.spent.turns == 2


def test_counts_begin_again_with_the_next_input():
    assert story(works(1), says(), user("More")).run.spent == Spent()


def test_an_allowance_lets_a_limited_run_go_on_with_all_its_work():
    c = story(works(1), before=(ASKED[0], user("Hi", 1, limits={"turns": 1, "tokens": 99})))
    c = on(c, due(c))
    assert (c.status, c.ended.reason, next_steps(c)) == (Status.ENDED, "turns", [])
    c = on(c, AllowanceGiven({"turns": 5}))
    assert (next_steps(c), c.run.spent, c.run.limits.turns, c.run.limits.tokens) == ([CallModel("Triage")], Spent(), 5, 99)
    assert shown(c)[-1] == "tool: ok"
    assert c.run.id == "run-1"


def test_limits_that_make_no_sense_are_refused_at_once_even_for_an_input_that_waits():
    for event in (user("Hi", limits={"turns": 0}), user("Hi", limits={"turns": 0}, busy="interrupt")):
        with pytest.raises(IllegalEvent, match="turns=0"):
            story(event)
    with pytest.raises(IllegalEvent, match="turns=0"):
        story(CANCELLED, AllowanceGiven({"turns": 0}))


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


# --- R33: output


def test_a_misfit_is_told_to_its_agent_twice_and_then_the_run_fails():
    c = story()
    for text in ("one", "two"):
        c = on(c, says(text, refused="That does not fit."))
        assert next_steps(c) == [CallModel("Triage")]
        assert shown(c)[-2:] == [f"Triage: {text}", "user: That does not fit."]
    end = due(on(c, says("three", refused="That does not fit.")))
    assert (end.kind, end.reason, end.error) == ("failed", "output", "OutputError")


def test_a_misfit_is_not_told_to_the_next_agent():
    c = story(says("one", refused="That does not fit."), moves(2, "Triage", "Refunds"))
    assert shown(c)[1] == "Triage: ['transfer_to_Refunds']"


def test_a_misfit_is_not_the_end_of_the_run_and_another_answer_is():
    c = story(says("one", refused="No."), says("two"))
    assert (c.status, c.answer.text) == (Status.IDLE, "two")


def test_a_reply_with_calls_is_never_output():
    c = story(ModelReplied("Triage", Reply("x", (call(),)), refused="That does not fit."))
    assert (c.status, c.run.spent.output_refusals) == (Status.TOOLS, 0)


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

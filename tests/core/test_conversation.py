import pytest

from segue.core.conversation import CallModel, Status, next_steps
from segue.core.events import (
    AllowanceGiven,
    DriveStarted,
    InputGiven,
    InstructionsRendered,
    ModelReplied,
    RunEnded,
    Started,
)
from segue.core.limits import Spent
from segue.core.messages import Reply, Usage, User
from segue.errors import IllegalEvent
from tests.core.making import ASKED, asks, call, due, moves, on, question, returns, says, shown, story, user, works

PARKED = RunEnded("parked", "missing tool", "There is no tool look_up any more.")
CANCELLED = RunEnded("cancelled", "cancelled")
INPUT_GUARD = RunEnded("failed", "input guard")
OUTPUT_GUARD = RunEnded("failed", "output guard")


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


def test_an_allowance_leaves_what_the_run_has_used_in_all():
    first, second = Usage(10, 5, 4, 3), Usage(7, 2)
    c = story(asks(call(), usage=first), returns("1.0"), before=(ASKED[0], user("Hi", 1, limits={"turns": 1})))
    c = on(c, due(c), AllowanceGiven({"turns": 1}))
    assert (c.run.usage, c.run.spent.usage) == (first, Usage())
    c = on(c, asks(call(), usage=second), returns("2.0"))
    assert (c.run.usage, c.run.spent.usage) == (Usage(17, 7, 4, 3), second)
    c = on(c, due(c), AllowanceGiven({"turns": 1}), says(usage=second))
    assert (c.run.usage, c.run.spent.usage, c.usage) == (Usage(24, 9, 4, 3), second, Usage(24, 9, 4, 3))


def test_limits_that_make_no_sense_are_refused_at_once_even_for_an_input_that_waits():
    for event in (user("Hi", limits={"turns": 0}), user("Hi", limits={"turns": 0}, busy="interrupt")):
        with pytest.raises(IllegalEvent, match="turns=0"):
            story(event)
    with pytest.raises(IllegalEvent, match="turns=0"):
        story(CANCELLED, AllowanceGiven({"turns": 0}))


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

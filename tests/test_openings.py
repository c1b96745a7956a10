from dataclasses import replace

import pytest

from segue.core.arguments import digest
from segue.core.conversation import Conversation, Status, next_steps
from segue.core.events import (
    CANCELLED,
    SUPERSEDED,
    AllowanceGiven,
    ApprovalAsked,
    ApprovalDecided,
    DriveStarted,
    RunEnded,
    Started,
    ToolFailed,
    ToolSettled,
    ToolUnknown,
)
from segue.core.fold import replay
from segue.core.limits import Limits
from segue.core.messages import User
from segue.errors import ApprovalError, ArgumentsRefused, ConversationBusy, ConversationParked, UsageError
from segue.openings import cancelled, decided, expired, given, past, resumed, settled
from tests.core.making import ASKED, asks, call, decision, on, question, returns, says, starts, story, user

FIVE, SIX = '{"amount":5}', '{"amount":6}'
PAY = asks(call("look_up", arguments='{"amount": 5}'), call("look_up", "other", '{"amount": 6}'))
"""Two calls, at 1.0 and 1.1."""
NOW = 1000.0


def asked(place="1.0", id="q", arguments=FIVE, **more):
    return replace(question(place, id, arguments), **more)


def decide(c, id="q", arguments=FIVE, answer="approve", **more):
    return decided(c, id, digest(arguments), answer, **{"now": NOW, **more})


def refusal(c, *words, **more):
    with pytest.raises(ApprovalError) as caught:
        decide(c, *words, **more)
    assert caught.value.conversation == "c"
    return caught.value


PARKED = RunEnded("parked", "missing tool")
IN_DOUBT = ToolUnknown("1.0", "nobody knows", ask=True)

# --- decisions


def test_an_approval_given_in_place_of_its_id_is_refused_with_the_mend():
    with pytest.raises(UsageError, match=r"slot\.approval\.id"):
        decide(story(PAY, asked()), asked())


@pytest.mark.parametrize("answer", ["approve", "deny"])
def test_a_decision_names_the_approval_and_the_digest_and_who_decided(answer):
    made = decide(story(PAY, asked()), answer=answer, by="Ann", reason="why not")
    assert made == ([ApprovalDecided("q", digest(FIVE), answer, "Ann", "why not")], None)


def test_a_decision_can_be_taken_while_other_calls_of_the_message_run():
    c = story(PAY, asked(), starts("1.1", arguments=SIX))
    assert c.status is Status.TOOLS
    assert len(decide(c).events) == 1


def test_an_id_that_was_never_asked_for_is_unknown():
    error = refusal(story(PAY, asked()), "nonsense")
    assert error.reason == "unknown"
    assert "never was asked for" in str(error)


def test_another_digest_is_told_as_other_arguments():
    error = refusal(story(PAY, asked()), arguments=SIX)
    assert error.reason == "changed"
    assert "other arguments" in str(error)


@pytest.mark.parametrize("answer", ["approve", "deny"])
@pytest.mark.parametrize(
    ("before", "reason", "words"),
    [
        ([decision("approve", arguments=FIVE)], "decided", "was given already by ann"),
        ([decision("approve", arguments=FIVE), starts("1.0", arguments=FIVE, approval="q")], "consumed", "its call has been begun"),
        ([decision("deny", arguments=FIVE)], "decided", "was denied already by ann"),
        ([decision("expired", arguments=FIVE)], "expired", "has expired"),
    ],
)
def test_the_first_decision_holds_and_the_second_is_told_which_it_was(answer, before, reason, words):
    error = refusal(story(PAY, asked(), asked("1.1", "other", SIX), before), answer=answer)
    assert error.reason == reason
    assert words in str(error)


def test_a_call_that_was_ended_while_it_waited_takes_no_decision():
    c = story(PAY, asked(), starts("1.1", arguments=SIX), user("Stop!", busy="interrupt"))
    error = refusal(c)
    assert error.reason == "decided"
    assert "ended" in str(error)


def test_a_parked_conversation_is_to_be_resumed_before_anything_is_decided():
    with pytest.raises(ConversationParked, match="resume it first"):
        decide(story(PAY, asked(), asked("1.1", "other", SIX), PARKED))


def test_a_conversation_that_does_not_exist_is_told_by_its_name():
    with pytest.raises(UsageError, match="no conversation 'gone'"):
        decide(Conversation(id="gone"))


# --- decisions about what is over


@pytest.mark.parametrize(
    ("events", "reason", "words"),
    [
        ([decision("deny", arguments=FIVE), *returns("1.1")], "decided", "denied already"),
        ([decision("approve", arguments=FIVE), starts("1.0", arguments=FIVE, approval="q"), ToolFailed("1.0", "raised", "no"), *returns("1.1")],
         "consumed", "begun"),
        ([decision("expired", arguments=FIVE), *returns("1.1")], "expired", "expired"),
        ([ToolFailed("1.0", "cancelled", "no"), ToolFailed("1.1", "cancelled", "no"), CANCELLED], "decided", "not waited for any more"),
        ([decision("superseded", arguments=FIVE), asked(id="q-2", arguments=SIX)], "changed", "replaced by ann"),
    ],
)  # fmt: skip
def test_an_approval_of_a_turn_that_is_over_is_told_of_by_the_events(events, reason, words):
    whole = [*ASKED, PAY, asked(), *events]
    error = refusal(replay(whole))
    assert error.reason == "unknown"
    told = past(error, whole)
    assert (told.reason, told.approval, told.conversation) == (reason, "q", "c")
    assert words in str(told)


def test_the_events_know_nothing_of_an_approval_that_never_was():
    error = refusal(story(PAY), "nonsense")
    assert past(error, [*ASKED, PAY, asked()]) is error


# --- time


def test_a_decision_that_comes_too_late_writes_down_that_the_time_is_over_and_is_refused():
    c = story(PAY, asked(expires=NOW), asked("1.1", "other", SIX, expires=NOW + 1))
    made = decide(c)
    assert made.events == [ApprovalDecided("q", digest(FIVE), "expired")]
    assert made.refused.reason == "expired"
    assert decide(c, "other", SIX).refused is None


def test_all_approvals_whose_time_is_over_expire_together():
    c = story(PAY, asked(expires=1), asked("1.1", "other", SIX, expires=2))
    assert [event.id for event in expired(c, NOW)] == ["q", "other"]
    assert on(c, expired(c, NOW)).status is Status.MODEL
    assert expired(c, 0.5) == []


@pytest.mark.parametrize(
    "more",
    [
        [asked(expires=None)],
        [asked(expires=1), decision("approve", arguments=FIVE)],
        [asked(expires=1), decision("approve", arguments=FIVE), starts("1.0", arguments=FIVE, approval="q"), IN_DOUBT],
        [asked(expires=1), asked("1.1", "other", SIX), PARKED],
    ],
)
def test_what_does_not_wait_for_a_decision_does_not_expire(more):
    assert expired(story(PAY, more), NOW) == []


# --- edited arguments


def edit(c, arguments, **more):
    return decided(c, "q", digest(FIVE), "approve", **{"arguments": arguments, "now": NOW, **more})


def test_edited_arguments_make_an_approval_of_their_own_decided_by_the_editor():
    c = story(PAY, asked(expires=NOW + 5, fingerprint="f"))
    superseded, new, approved = edit(c, {"amount": 4.0}, by="Ann", reason="less").events
    assert superseded == ApprovalDecided("q", digest(FIVE), "superseded", "Ann", "approved with other arguments")
    assert new.id.endswith("-2")
    less = '{"amount":4}'
    assert replace(new, id="") == ApprovalAsked("", "1.0", "Triage", "look_up", less, digest(less), "f", NOW + 5, edited=True)
    assert approved == ApprovalDecided(new.id, new.digest, "approve", "Ann", "less")
    slot = next_steps(on(c, superseded, new, approved))[0].slot
    assert (slot.approval, slot.decision) == (new, approved)


def test_equal_edits_of_two_calls_and_of_two_conversations_are_approvals_of_their_own():
    c = story(PAY, asked(), asked("1.1", "other", SIX))
    first = edit(c, {"amount": 1}).events[1]
    second = decided(c, "other", digest(SIX), "approve", arguments={"amount": 1}, now=NOW).events[1]
    elsewhere = edit(story(PAY, asked(), before=[Started("d", "Triage"), *ASKED[1:]]), {"amount": 1}).events[1]
    assert len({first.id, second.id, elsewhere.id}) == 3


def test_arguments_that_are_the_same_in_other_words_are_no_edit():
    assert edit(story(PAY, asked()), {"amount": 5.0}).events == [ApprovalDecided("q", digest(FIVE), "approve")]


@pytest.mark.parametrize("arguments", [{"amount": float("nan")}, {"amount": {1}}, {5: 5}])
def test_an_edit_that_is_no_json_is_refused(arguments):
    with pytest.raises(UsageError):
        edit(story(PAY, asked()), arguments)


def test_an_edit_is_held_to_the_same_limits_as_a_call():
    with pytest.raises(ArgumentsRefused, match="64 KiB"):
        edit(story(PAY, asked()), {"note": "x" * 65_536})


def test_denying_with_arguments_is_no_decision():
    with pytest.raises(UsageError, match="not by denying"):
        decided(story(PAY, asked()), "q", digest(FIVE), "deny", arguments={"amount": 1}, now=NOW)


def test_a_call_of_an_agent_used_as_a_tool_is_approved_as_it_is_or_not_at_all():
    c = story(PAY, starts("1.0", "keyed", FIVE), asked(inner="c2"))
    assert len(decide(c).events) == 1
    with pytest.raises(UsageError, match="as it is"):
        edit(c, {"amount": 4})


# --- calls in doubt


def test_a_call_in_doubt_is_settled_by_its_place():
    c = story(PAY, starts("1.0", arguments=FIVE), starts("1.1", arguments=SIX), IN_DOUBT)
    assert settled(c, "1.0", "it was paid", by="Ann") == [ToolSettled("1.0", "it was paid", "Ann")]


def test_what_is_not_in_doubt_cannot_be_settled_and_the_words_say_what_can():
    c = story(PAY, starts("1.0", arguments=FIVE), starts("1.1", arguments=SIX), IN_DOUBT)
    with pytest.raises(UsageError, match=r"No call at 1.1 .* Waiting to be settled: 1.0 \(look_up\)"):
        settled(c, "1.1", "it was paid")
    with pytest.raises(UsageError, match="Waiting to be settled: none"):
        settled(story(PAY, asked()), "1.0", "it was paid")
    with pytest.raises(ConversationParked):
        settled(on(c, PARKED), "1.0", "it was paid")


# --- going on


def test_an_ended_run_gets_a_new_allowance_under_the_limits_that_are_given():
    c = story(RunEnded("limited", "turns"))
    assert resumed(c, now=NOW) == [AllowanceGiven()]
    more = resumed(c, Limits(turns=50, prices={"m": (1, 2)}), by="Ann", now=NOW)
    assert more == [AllowanceGiven({"turns": 50, "prices": {"m": [1, 2]}}, "Ann")]
    assert on(c, more).run.limits.turns == 50


def test_what_is_done_or_waits_is_given_back_as_it_is():
    done, waits = story(says()), story(PAY, asked(), asked("1.1", "other", SIX))
    assert resumed(done, now=NOW) is done
    assert resumed(waits, now=NOW) is waits


def test_resuming_looks_at_the_time_of_approvals():
    c = story(PAY, asked(expires=1), asked("1.1", "other", SIX))
    late = [ApprovalDecided("q", digest(FIVE), "expired")]
    assert resumed(c, now=NOW) == late
    assert resumed(on(c, PARKED), now=NOW) == [AllowanceGiven(), *late]
    assert resumed(story(PAY, asked()), now=NOW) == []


def test_an_input_that_a_guard_refused_is_not_resumed():
    with pytest.raises(UsageError, match="Give another input"):
        resumed(story(RunEnded("failed", "input guard")), now=NOW)


# --- inputs


def give(c, run=None, **more):
    return given(c, run or user("More."), **{"conversation": "c", "entry": "Triage", "now": NOW, **more})


def test_the_first_input_opens_the_conversation_with_what_was_said_before():
    run = user("Hi")
    assert give(Conversation(), run, earlier=(User("Before."),)) == [Started("c", "Triage", messages=(User("Before."),)), run]


def test_what_was_said_before_is_no_input_to_a_conversation_that_exists():
    with pytest.raises(UsageError, match="give the user's new message alone, not 2 messages"):
        give(story(says()), earlier=(User("Before."),))


@pytest.mark.parametrize("end", [says(), RunEnded("failed", "provider")])
def test_after_a_run_an_input_is_all_there_is(end):
    run = user("More.")
    assert give(story(end), run) == [run]


def test_a_parked_conversation_takes_no_input():
    with pytest.raises(ConversationParked):
        give(story(PAY, PARKED))


def test_an_input_to_a_run_that_waits_is_refused_with_what_it_waits_for_or_taken():
    c = story(PAY, asked(), asked("1.1", "other", SIX))
    with pytest.raises(ConversationBusy) as caught:
        give(c)
    assert [slot.place for slot in caught.value.waiting_for] == ["1.0", "1.1"]
    run = user("More.")
    assert give(c, run, reject=False) == [run]


def test_an_input_finds_that_an_approval_has_expired_before_it_is_refused_for_it():
    c = story(PAY, asked(expires=1), asked("1.1", "other", SIX, expires=1))
    events = give(c, reject=False)
    assert [type(event).__name__ for event in events] == ["ApprovalDecided", "ApprovalDecided", "InputGiven"]
    assert on(c, events).status is Status.MODEL


def test_a_living_driver_has_the_conversation_for_itself_or_is_given_the_input():
    c = story(PAY, starts("1.0", arguments=FIVE))
    with pytest.raises(ConversationBusy, match="is being run"):
        give(c, driven=True)
    for run in (user("More.", busy="queue"), user("More.", busy="interrupt")):
        assert give(c, run, driven=True, reject=False) == [run]


def test_a_run_that_a_dead_driver_left_gives_way_or_is_gone_on_with_where_the_input_is_queued():
    c = story(PAY, starts("1.0", arguments=FIVE))
    run = user("More.")
    kinds = [type(event).__name__ for event in give(c, run)]
    assert kinds == ["ToolUnknown", "ToolFailed", "RunEnded", "InputGiven"]
    assert give(c, run)[2] is SUPERSEDED
    assert on(c, give(c, run)).run.id == run.run
    assert give(c, run, reject=False) == [run]


# --- cancel


def test_a_cancel_gives_each_open_call_its_outcome():
    c = story(PAY, starts("1.0", arguments=FIVE), asked("1.1", "other", SIX))
    unknown, failed, end = cancelled(c, CANCELLED)
    assert (type(unknown), unknown.place) == (ToolUnknown, "1.0")
    assert (type(failed), failed.place, failed.kind) == (ToolFailed, "1.1", "cancelled")
    assert end is CANCELLED
    assert on(c, unknown, failed, end).status is Status.ENDED


def test_what_only_reads_is_failed_and_not_unknown():
    c = story(asks(call()), starts("1.0", "read"))
    assert isinstance(cancelled(c, CANCELLED)[0], ToolFailed)


def test_the_drive_that_made_the_starts_knows_that_its_calls_are_over():
    c = story(asks(call()), starts("1.0"))
    assert isinstance(cancelled(c, CANCELLED, drive=1)[0], ToolFailed)
    assert isinstance(cancelled(on(c, DriveStarted("e")), CANCELLED, drive=2)[0], ToolUnknown)


def test_there_is_nothing_to_cancel_where_nothing_is_run():
    for c in (Conversation(), story(says()), story(CANCELLED)):
        assert cancelled(c, CANCELLED) == []

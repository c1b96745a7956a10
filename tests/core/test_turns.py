from dataclasses import replace
from hashlib import sha256

import pytest

from segue.core.conversation import CallModel, CallTool, Recover, Status, next_steps
from segue.core.events import DriveStarted, Handoff, Started, ToolReturned, ToolSettled, ToolUnknown
from segue.core.messages import Assistant, Call, ToolAnswer
from segue.core.turns import Slot, approval_id, call_key, distinct, sendable
from segue.core.view import check, view
from segue.errors import IllegalEvent
from tests.core.making import (
    ASKED,
    answers,
    asks,
    call,
    decision,
    fails,
    on,
    question,
    returns,
    starts,
    story,
    transfers,
)


def ids(c):
    return [call.id for message in view(c) if isinstance(message, Assistant) for call in message.calls]


# --- R8: ids


def test_an_id_that_is_unique_is_kept_as_it_came():
    assert ids(story(asks(call(id="call_abc")), returns("1.0"))) == ["call_abc"]


def test_empty_and_repeated_ids_become_unique_ones():
    c = story(asks(call(id=""), call(id="a"), call("pay", id="a")), returns("1.0"), returns("1.1"), returns("1.2"))
    assert ids(c) == ["call_1_0", "a", "call_1_2"]
    assert check(view(c)) is None


def test_an_id_that_comes_again_in_a_later_message_is_a_new_call():
    same = call(id="a")
    c = story(asks(same), returns("1.0"), asks(same))
    assert [step.slot.place for step in next_steps(c)] == ["2.0"]
    assert ids(on(c, returns("2.0"))) == ["a", "call_2_0"]


def test_the_same_id_name_and_arguments_twice_in_one_message_is_one_call():
    c = story(asks(call(id="a"), call(id="a"), call(id="a", arguments='{"item": 1}')))
    assert [step.slot.call.arguments for step in next_steps(c)] == ["{}", '{"item": 1}']


def test_equal_calls_without_an_id_are_two_calls():
    assert len(next_steps(story(asks(call(), call())))) == 2


def test_an_id_made_here_gives_way_to_one_that_the_model_has_used():
    c = story(asks(call(id="call_2_0")), returns("1.0"), asks(call()), returns("2.0"))
    assert ids(c) == ["call_2_0", "call_2_0_"]


def test_ids_of_earlier_messages_are_taken():
    earlier = (Assistant(None, (call(id="a"),)), ToolAnswer("a", "look_up", "ok"))
    c = story(before=(Started("c", "Triage", messages=earlier), *ASKED[1:]))
    assert ids(on(c, asks(call(id="a")), returns("1.0"))) == ["a", "call_1_0"]


# --- what a view may hold of a call


@pytest.mark.parametrize(
    ("name", "sent"),
    [("look_up", "look_up"), ("look up!", "look_up_"), ("", "invalid_tool"), ("x" * 70, "x" * 64), ("ü", "_")],
)
def test_a_name_that_providers_refuse_is_sent_as_a_legal_one(name, sent):
    assert sendable(Call("a", name, "{}")).name == sent


@pytest.mark.parametrize("arguments", ["", "  ", '{"a": 1', "[]", "null", '{"a": NaN}', '{"a": 1, "a": 2}'])
def test_arguments_that_are_no_json_object_are_sent_as_an_empty_one(arguments):
    assert sendable(Call("a", "f", arguments)).arguments == "{}"


def test_arguments_are_sent_as_they_came_or_else_as_the_call_was_made():
    assert sendable(Call("a", "f", '{ "a":1 }'), '{"a":1}').arguments == '{ "a":1 }'
    assert sendable(Call("a", "f", ""), '{"a":1}').arguments == '{"a":1}'


def test_a_call_that_was_made_shows_what_it_was_made_with_where_the_text_was_blank():
    c = story(asks(call(arguments="")), starts("1.0", arguments="{}"), ToolReturned("1.0", "ok"))
    assert view(c)[1].calls[0].arguments == "{}"


# --- outcomes


def test_an_outcome_without_a_start_is_refused():
    c = story(asks(call()))
    for event in (ToolReturned("1.0", "ok"), ToolReturned("1.0", "ok", Handoff("Refunds")), ToolUnknown("1.0", "Who knows.")):
        with pytest.raises(IllegalEvent, match="never started"):
            on(c, event)


def test_a_generated_transfer_needs_no_start_and_waits_for_a_person_who_was_asked():
    assert story(asks(call()), transfers("1.0", "Refunds")).active == "Refunds"
    with pytest.raises(IllegalEvent, match="never started"):
        story(asks(call()), question("1.0"), transfers("1.0", "Refunds"))


def test_a_second_outcome_is_refused():
    c = story(asks(call(), call()), returns("1.0"))
    for event in (ToolReturned("1.0", "ok"), fails("1.0"), ToolUnknown("1.0", "Who knows."), starts("1.0"), question("1.0")):
        with pytest.raises(IllegalEvent, match="has its outcome"):
            on(c, event)


@pytest.mark.parametrize(
    "place", ["2.0", "0.0", "1.7", "1.-1", "1.x", "1.", "", "1", "1.²", "1.٠", "1. 0", "1.+0", "1.0_0", "1." + "0" * 5000]
)
def test_an_event_about_a_call_that_was_not_made_is_refused(place):
    with pytest.raises(IllegalEvent, match="no call at"):
        story(asks(call()), starts(place))


def test_outcomes_are_answered_in_call_order_whatever_order_they_come_in():
    c = story(asks(call(id="a"), call(id="b")), starts("1.0"), starts("1.1"), ToolReturned("1.1", "second"), ToolReturned("1.0", "first"))
    assert [(m.call_id, m.content) for m in view(c) if isinstance(m, ToolAnswer)] == [("a", "first"), ("b", "second")]


def test_an_empty_list_of_parts_is_answered_as_empty_text():
    assert answers(story(asks(call()), returns("1.0", []))) == [""]


# --- R25: after a crash


@pytest.mark.parametrize("effect", ["read", "keyed", "transaction"])
def test_a_call_that_is_harmless_to_repeat_may_be_begun_again_by_a_later_drive(effect):
    c = story(asks(call()), starts("1.0", effect))
    assert next_steps(c) == []
    with pytest.raises(IllegalEvent, match="started already"):
        on(c, starts("1.0", effect))
    c = on(c, DriveStarted("another"))
    assert [type(step) for step in next_steps(c)] == [Recover]
    c = on(c, starts("1.0", effect))
    assert next_steps(c) == []


@pytest.mark.parametrize("changed", [{"name": "pay"}, {"arguments": '{"amount":5000}'}, {"approval": "q"}])
def test_a_call_is_begun_again_as_it_was_or_not_at_all(changed):
    c = story(asks(call()), starts("1.0", "keyed"), DriveStarted("another"))
    with pytest.raises(IllegalEvent, match="begun as another one"):
        on(c, replace(starts("1.0", "keyed"), **changed))


def test_a_once_call_is_never_started_twice():
    c = story(asks(call()), starts("1.0", "once"), DriveStarted("another"))
    assert isinstance(next_steps(c)[0], Recover)
    with pytest.raises(IllegalEvent, match="started already"):
        on(c, starts("1.0", "once"))
    with pytest.raises(IllegalEvent, match="started already"):
        on(c, starts("1.0", "read"))


def test_an_unknown_outcome_is_told_to_the_model():
    c = story(asks(call()), starts("1.0"), DriveStarted("another"), ToolUnknown("1.0", "Outcome unknown, do not repeat."))
    assert next_steps(c) == [CallModel("Triage")]
    assert answers(c) == ["Outcome unknown, do not repeat."]


def test_a_person_who_is_asked_settles_an_unknown_outcome():
    c = story(asks(call()), starts("1.0"), ToolUnknown("1.0", "Who knows.", ask=True))
    assert c.status is Status.HUMAN
    assert [slot.place for slot in c.waiting] == ["1.0"]
    assert next_steps(on(c, DriveStarted("another"))) == []
    c = on(c, ToolSettled("1.0", "it was paid"))
    assert answers(c) == ["it was paid"]
    assert c.waiting == ()


def test_what_is_not_in_doubt_cannot_be_settled():
    with pytest.raises(IllegalEvent, match="not in doubt"):
        story(asks(call()), starts("1.0"), ToolSettled("1.0", "paid"))


# --- R28 to R30: approvals


def test_a_call_that_waits_for_a_person_is_not_begun():
    c = story(asks(call(), call()), question("1.0"))
    assert c.status is Status.TOOLS
    assert [step.slot.place for step in next_steps(c)] == ["1.1"]
    with pytest.raises(IllegalEvent, match="waits for a person"):
        on(c, starts("1.0", approval="q"))
    c = on(c, returns("1.1"))
    assert c.status is Status.HUMAN
    assert next_steps(c) == []


def test_an_approved_call_is_begun_with_its_approval_and_its_arguments_only():
    c = story(asks(call()), question("1.0", arguments='{"amount":5}'), decision(arguments='{"amount":5}'))
    assert [type(step) for step in next_steps(c)] == [CallTool]
    for changed in (starts("1.0", arguments='{"amount":5000}', approval="q"), starts("1.0", arguments='{"amount":5}')):
        with pytest.raises(IllegalEvent, match="not approved as it is"):
            on(c, changed)
    assert on(c, starts("1.0", arguments='{"amount":5}', approval="q")).turn.slots[0].started.approval == "q"


def test_an_approval_that_nobody_gave_cannot_be_consumed():
    with pytest.raises(IllegalEvent, match="not approved as it is"):
        story(asks(call()), starts("1.0", approval="q"))


def test_an_approval_is_consumed_once():
    c = story(asks(call()), question("1.0"), decision(), starts("1.0", approval="q"))
    for event in (decision(), starts("1.0", approval="q"), question("1.0", "another")):
        with pytest.raises(IllegalEvent):
            on(c, event)


def test_the_first_decision_holds_and_must_name_the_arguments():
    c = story(asks(call()), question("1.0"))
    with pytest.raises(IllegalEvent, match="other arguments"):
        on(c, decision(arguments='{"amount":5000}'))
    with pytest.raises(IllegalEvent, match="No approval"):
        on(c, decision(id="another"))
    with pytest.raises(IllegalEvent, match="decided already"):
        on(c, decision(), decision("deny"))


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [("deny", "", "Not done: denied."), ("deny", "too much", "Not done: denied (too much)."), ("expired", "", "Not done: expired.")],
)
def test_a_denied_or_expired_call_is_an_outcome_that_the_model_reads(answer, reason, words):
    c = story(asks(call()), question("1.0"), decision(answer, reason=reason))
    assert answers(c) == [words]
    assert next_steps(c) == [CallModel("Triage")]


def test_changed_arguments_or_a_changed_tool_need_another_approval_under_another_id():
    c = story(asks(call()), question("1.0"), decision())
    with pytest.raises(IllegalEvent, match="under this id"):
        on(c, question("1.0", "q"))
    c = on(c, question("1.0", "q2", '{"amount":6}'))
    assert c.status is Status.HUMAN
    with pytest.raises(IllegalEvent, match="No approval q "):
        on(c, decision())
    c = on(c, decision("approve", "q2", '{"amount":6}'))
    assert on(c, starts("1.0", arguments='{"amount":6}', approval="q2")).waiting == ()


def test_a_question_is_about_the_arguments_that_it_shows():
    with pytest.raises(IllegalEvent, match="not for the arguments that it shows"):
        story(asks(call()), replace(question("1.0"), arguments='{"amount":5000}'))


def test_a_superseded_approval_makes_room_for_another_about_the_same_call():
    c = story(asks(call()), question("1.0"), decision("superseded"))
    assert (c.status, [type(step) for step in next_steps(c)]) == (Status.TOOLS, [CallTool])
    for event in (starts("1.0", approval="q"), decision("approve"), decision("deny")):
        with pytest.raises(IllegalEvent):
            on(c, event)
    c = on(c, question("1.0", "q2", '{"amount":6}'))
    assert (c.status, c.turn.slots[0].asked) == (Status.HUMAN, 2)
    c = on(c, decision("approve", "q2", '{"amount":6}'))
    assert on(c, starts("1.0", arguments='{"amount":6}', approval="q2")).turn.slots[0].started.approval == "q2"


def test_ids_of_approvals_follow_from_the_calls_key_and_from_how_many_were_asked_for_it():
    slot, key = Slot(Call("", "refund", "{}"), "1.0"), call_key("c", "1.0", "{}")
    assert key == sha256(b"c\n1.0\n{}").hexdigest()[:32]
    assert [approval_id("c", slot._replace(asked=asked), "{}") for asked in (0, 1, 2)] == [key[:16], f"{key[:16]}-2", f"{key[:16]}-3"]


EDITED = [question("1.0", arguments='{"amount":6}', edited=True), decision(arguments='{"amount":6}')]
EDIT = '[A person changed the arguments of this call to {"amount":6}]'


@pytest.mark.parametrize(
    ("outcome", "answer"),
    [
        (ToolReturned("1.0", "paid"), f"{EDIT}\npaid"),
        (ToolReturned("1.0", [{"type": "text", "text": "paid"}]), [{"type": "text", "text": EDIT}, {"type": "text", "text": "paid"}]),
        (fails("1.0", "raised", "It failed."), f"{EDIT}\nIt failed."),
        (ToolUnknown("1.0", "Who knows."), f"{EDIT}\nWho knows."),
    ],
)
def test_the_model_is_told_that_a_person_has_changed_the_arguments_whatever_the_call_came_to(outcome, answer):
    c = story(asks(call()), *EDITED, starts("1.0", arguments='{"amount":6}', approval="q"), outcome)
    assert answers(c) == [answer]


def test_a_call_that_does_not_take_the_arguments_of_a_person_says_whose_they_were():
    assert answers(story(asks(call()), *EDITED, fails("1.0"))) == [f"{EDIT}\nNot done."]


def test_a_pending_question_can_be_called_off():
    c = story(asks(call()), question("1.0"), fails("1.0", "cancelled", "Not called: the run was cancelled."))
    assert c.status is Status.MODEL


# --- R35: what an agent used as a tool asks

ASKS_WITHIN = [asks(call()), starts("1.0", "keyed"), question("1.0", inner="c/1.0")]


def test_a_call_waits_while_the_agent_behind_it_waits_for_a_person():
    c = story(*ASKS_WITHIN)
    assert (c.status, next_steps(c), [slot.approval.inner for slot in c.waiting]) == (Status.HUMAN, [], ["c/1.0"])


@pytest.mark.parametrize("answer", ["approve", "deny", "expired", "superseded"])
def test_whatever_is_decided_the_call_is_taken_up_again_to_tell_the_agent_behind_it(answer):
    c = on(story(*ASKS_WITHIN), decision(answer))
    (step,) = next_steps(c)
    assert (type(step), step.slot.decision.decision, step.slot.outcome) == (Recover, answer, None)
    c = on(c, starts("1.0", "keyed"))
    assert next_steps(c) == []
    with pytest.raises(IllegalEvent, match="started already"):
        on(c, starts("1.0", "keyed"))
    assert answers(on(c, ToolReturned("1.0", "done"))) == ["done"]


def test_the_agent_behind_a_call_may_ask_again_and_each_time_it_is_another_question():
    c = on(story(*ASKS_WITHIN), decision(), starts("1.0", "keyed"))
    with pytest.raises(IllegalEvent, match="under this id"):
        on(c, question("1.0", inner="c/1.0"))
    c = on(c, question("1.0", "q2", inner="c/1.0"))
    assert (c.status, c.turn.slots[0].asked) == (Status.HUMAN, 2)


def test_only_a_call_that_was_begun_has_an_agent_behind_it_that_asks():
    with pytest.raises(IllegalEvent, match="cannot be put to a person now"):
        story(asks(call()), question("1.0", inner="c/1.0"))
    with pytest.raises(IllegalEvent, match="cannot be put to a person now"):
        story(asks(call()), starts("1.0", "keyed"), question("1.0"))


def test_an_approval_given_for_a_call_is_still_its_own_when_the_agent_behind_it_has_asked_for_another():
    c = story(asks(call()), question("1.0"), decision(), starts("1.0", "keyed", approval="q"))
    c = on(c, question("1.0", "q2", inner="c/1.0"), decision(id="q2"))
    with pytest.raises(IllegalEvent, match="begun as another one"):
        on(c, starts("1.0", "keyed", approval="q2"))
    assert next_steps(on(c, starts("1.0", "keyed", approval="q"))) == []


def test_calls_that_say_the_same_in_another_spelling_are_one_where_their_id_is_one():
    first, other = Call("x", "pay", '{"n":1}'), Call("x", "pay", '{"n": 1.0}')
    else_ = [Call("x", "pay", '{"n":2}'), Call("x", "look", '{"n":1}'), Call("y", "pay", '{"n":1}'), Call("", "pay", '{"n":1}')]
    assert distinct((first, other, *else_, else_[-1])) == (first, *else_, else_[-1])
    assert distinct((Call("x", "pay", "{"), Call("x", "pay", "{"), Call("x", "pay", "{ "))) == (
        Call("x", "pay", "{"),
        Call("x", "pay", "{ "),
    )


def test_calls_of_ids_of_their_own_are_not_looked_at():
    calls = (Call("x", "pay", "{}"), Call("y", "pay", "{}"))
    assert distinct(calls) is calls

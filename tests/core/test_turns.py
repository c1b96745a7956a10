import pytest

from segue.core.conversation import CallModel, CallTool, EndRun, Recover, Status, next_steps
from segue.core.events import DriveStarted, Handoff, Started, ToolReturned, ToolSettled, ToolStarted, ToolUnknown
from segue.core.fold import replay
from segue.core.messages import Assistant, Call, Reply, ToolAnswer
from segue.core.turns import sendable, signed
from segue.core.view import check, view
from segue.errors import IllegalEvent
from tests.core.making import (
    ASKED,
    asks,
    call,
    decision,
    fails,
    moves,
    on,
    question,
    returns,
    shown,
    starts,
    story,
    transfers,
    user,
    works,
)


def ids(c):
    return [call.id for message in view(c) if isinstance(message, Assistant) for call in message.calls]


def answers(c):
    return [message.content for message in view(c) if isinstance(message, ToolAnswer)]


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


@pytest.mark.parametrize("place", ["2.0", "0.0", "1.7", "1.-1", "1.x", "1.", "", "1", "1.²"])
def test_an_event_about_a_call_that_was_not_made_is_refused(place):
    with pytest.raises(IllegalEvent, match="no call at"):
        story(asks(call()), starts(place))


def test_outcomes_are_answered_in_call_order_whatever_order_they_come_in():
    c = story(asks(call(id="a"), call(id="b")), starts("1.0"), starts("1.1"), ToolReturned("1.1", "second"), ToolReturned("1.0", "first"))
    assert [(m.call_id, m.content) for m in view(c) if isinstance(m, ToolAnswer)] == [("a", "first"), ("b", "second")]


def test_an_empty_list_of_parts_is_answered_as_empty_text():
    assert answers(story(asks(call()), returns("1.0", []))) == [""]


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


def test_a_pending_question_can_be_called_off():
    c = story(asks(call()), question("1.0"), fails("1.0", "cancelled", "Not called: the run was cancelled."))
    assert c.status is Status.MODEL


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

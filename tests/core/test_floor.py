import pytest

from segue.core.conversation import CallModel, next_steps
from segue.core.limits import CALL_DEPTH
from segue.core.messages import User
from segue.core.view import check, view
from tests.core.making import asks, call, fails, moves, on, says, shown, story, transfers, user, works


def stack(c):
    return [frame.agent for frame in c.stack]


# --- R14 to R16: what the next agent sees


def test_the_active_agent_stays_active_in_the_next_run():
    c = story(moves(1, "Triage", "Refunds"), says(agent="Refunds"), user("And my refund?"))
    assert next_steps(c) == [CallModel("Refunds")]


def test_by_default_the_next_agent_sees_everything_that_the_one_before_saw():
    c = story(works(1), moves(2, "Triage", "Refunds"))
    assert shown(c)[:3] == ["user: Hello?", "Triage: ['look_up']", "tool: ok"]
    assert c.stack[-1].via == "Triage"


def test_from_the_handoff_on_means_the_users_message_and_the_handoff():
    c = story(says(), user("Money back!"), works(2), moves(3, "Triage", "Refunds", view="handoff"))
    assert shown(c) == [
        "user: Money back!",
        "Triage: ['transfer_to_Refunds']",
        "tool: Transferred to Refunds. Adopt persona immediately.",
    ]
    c = on(c, says("Which item?", "Refunds"), user("The boots.", 3))
    assert shown(c)[3:] == ["Refunds: Which item?", "user: The boots."]


def test_the_brief_is_all_that_the_next_agent_sees_of_what_was_before():
    c = story(works(1), moves(2, "Triage", "Refunds", view="brief", brief={"item": "boots", "näme": 1}))
    assert view(c) == [User('Brief from Triage: {"item": "boots", "näme": 1}')]
    c = on(c, says("Done.", "Refunds"), user("Thanks"))
    assert shown(c)[1:] == ["Refunds: Done.", "user: Thanks"]


def test_a_brief_in_words_is_shown_in_words():
    assert view(story(moves(1, "Triage", "Refunds", view="brief", brief="the boots"))) == [User("Brief from Triage: the boots")]


def test_a_handoff_without_a_brief_cannot_show_only_that_and_shows_the_handoff():
    c = story(works(1), moves(2, "Triage", "Refunds", view="brief"))
    assert shown(c)[:2] == ["user: Hello?", "Triage: ['transfer_to_Refunds']"]


def test_an_agent_that_was_briefed_hands_on_what_it_saw_and_not_what_it_did_not():
    c = story(works(1), moves(2, "Triage", "Refunds", view="brief", brief="the boots"), moves(3, "Refunds", "Sales"))
    assert shown(c)[:2] == ["user: Brief from Triage: the boots", "Refunds: ['transfer_to_Sales']"]


def test_a_view_of_the_users_own_starts_from_everything():
    c = story(works(1), moves(2, "Triage", "Refunds", view="custom"))
    assert c.stack[-1].view == "custom"
    assert len(shown(c)) == 5


# --- R17: call and return


def test_a_call_puts_the_callee_on_top_and_its_return_takes_it_off():
    c = story(moves(1, "Triage", "Sales", "call"))
    assert stack(c) == ["Triage", "Sales"]
    assert shown(c)[-1] == "tool: Sales has the floor."
    c = on(c, moves(2, "Sales", "Triage", "return", brief=7))
    assert stack(c) == ["Triage"]
    assert shown(c)[-1] == "tool: Returned to Triage."


def test_the_callee_keeps_the_floor_over_several_user_messages():
    c = story(moves(1, "Triage", "Sales", "call"), says("Which size?", "Sales"), user("44"), says("Which colour?", "Sales"), user("Red", 3))
    assert stack(c) == ["Triage", "Sales"]
    assert stack(on(c, moves(4, "Sales", "Triage", "return"))) == ["Triage"]


def test_a_transfer_inside_a_callee_replaces_the_top_and_still_returns_to_the_caller():
    c = story(moves(1, "Triage", "Sales", "call"), moves(2, "Sales", "Refunds"))
    assert stack(c) == ["Triage", "Refunds"]
    assert stack(on(c, moves(3, "Refunds", "Triage", "return"))) == ["Triage"]


def test_a_callee_may_hand_off_to_an_agent_of_its_callers_name_which_then_returns_to_it():
    c = story(moves(1, "Triage", "Sales", "call"), moves(2, "Sales", "Triage"))
    assert stack(c) == ["Triage", "Triage"]
    assert stack(on(c, moves(3, "Triage", "Triage", "return"))) == ["Triage"]


def test_the_caller_sees_the_exchange_where_the_callee_saw_everything():
    c = story(moves(1, "Triage", "Sales", "call"), says("Which size?", "Sales"), user("44"), moves(3, "Sales", "Triage", "return"))
    assert "Sales: Which size?" in shown(c)
    assert "user: 44" in shown(c)


@pytest.mark.parametrize(("how", "brief"), [("handoff", None), ("brief", "the boots")])
def test_the_caller_sees_only_the_pair_where_the_callee_did_not_see_everything(how, brief):
    c = story(
        works(1),
        moves(2, "Triage", "Sales", "call", how, brief),
        says("Which size?", "Sales"),
        user("44"),
        works(4, "Sales"),
        moves(5, "Sales", "Triage", "return"),
    )
    assert shown(c)[3:] == [
        "Triage: ['transfer_to_Sales']",
        "tool: Sales has the floor.",
        "Sales: ['transfer_to_Triage']",
        "tool: Returned to Triage.",
    ]
    assert check(view(c)) is None
    assert shown(on(c, says(), user("Bye", 3)))[-2:] == ["Triage: Here you are.", "user: Bye"]


def test_a_transfer_inside_a_callee_that_hides_something_hides_the_exchange_from_the_caller():
    c = story(
        moves(1, "Triage", "Sales", "call"),
        moves(2, "Sales", "Refunds", view="brief", brief="boots"),
        works(3, "Refunds"),
        moves(4, "Refunds", "Triage", "return"),
    )
    assert len(shown(c)) == 5


def test_a_transfer_inside_a_hidden_exchange_does_not_bring_it_to_light():
    c = story(
        moves(1, "Triage", "Sales", "call", "handoff"),
        moves(2, "Sales", "Refunds"),
        works(3, "Refunds", "hidden"),
        moves(4, "Refunds", "Triage", "return"),
    )
    assert "tool: hidden" not in shown(c)


def test_a_transfer_that_was_refused_beside_the_return_is_not_shown_to_the_caller():
    c = story(
        moves(1, "Triage", "Sales", "call"),
        asks(call("transfer_to_refunds"), call("return_to_triage"), agent="Sales"),
        fails("2.0", "closed_edge", "Refunds is closed.", transfer=True),
        transfers("2.1", "Triage", "return"),
    )
    assert shown(c)[-2:] == ["Sales: ['return_to_triage']", "tool: Returned to Triage."]


def test_what_a_callee_was_not_shown_of_its_own_callees_its_caller_is_not_shown_either():
    c = story(
        moves(1, "Triage", "Sales", "call"),
        moves(2, "Sales", "Refunds", "call", "brief", "boots"),
        works(3, "Refunds"),
        moves(4, "Refunds", "Sales", "return"),
        works(5, "Sales", "sold"),
        moves(6, "Sales", "Triage", "return"),
    )
    assert "tool: ok" not in shown(c)
    assert "tool: sold" in shown(c)
    assert check(view(c)) is None


def test_two_hidden_exchanges_are_both_hidden_and_what_stands_between_them_is_shown():
    c = story(
        moves(1, "Triage", "Sales", "call", "handoff"),
        works(2, "Sales", "hidden"),
        moves(3, "Sales", "Triage", "return"),
        works(4, "Triage", "between"),
        moves(5, "Triage", "Sales", "call", "handoff"),
        works(6, "Sales", "hidden"),
        moves(7, "Sales", "Triage", "return"),
    )
    assert "tool: hidden" not in shown(c)
    assert "tool: between" in shown(c)


def test_the_agent_that_is_called_after_a_hidden_exchange_does_not_see_it_either():
    c = story(
        moves(1, "Triage", "Sales", "call", "handoff"),
        works(2, "Sales", "hidden"),
        moves(3, "Sales", "Triage", "return"),
        moves(4, "Triage", "Refunds"),
    )
    assert "tool: hidden" not in shown(c)
    assert shown(c)[0] == "user: Hello?"


def test_a_return_that_nobody_waits_for_is_answered_and_changes_nothing():
    c = story(moves(1, "Triage", "Refunds", "return"))
    assert stack(c) == ["Triage"]
    assert shown(c)[-1] == "tool: Not returned: Refunds does not wait for an answer."
    c = story(moves(1, "Triage", "Sales", "call"), moves(2, "Sales", "Refunds", "return"))
    assert stack(c) == ["Triage", "Sales"]


def test_calls_may_be_nested_four_deep_and_the_fifth_is_told_so():
    names = [f"Agent {n}" for n in range(CALL_DEPTH + 2)]
    c = story(moves(1, "Triage", names[0], "call"))
    for n in range(CALL_DEPTH - 1):
        c = on(c, moves(n + 2, names[n], names[n + 1], "call"))
    assert len(c.stack) == CALL_DEPTH + 1
    c = on(c, moves(CALL_DEPTH + 1, names[CALL_DEPTH - 1], names[CALL_DEPTH], "call"))
    assert len(c.stack) == CALL_DEPTH + 1
    assert "4 calls are open already" in shown(c)[-1]
    assert stack(on(c, moves(CALL_DEPTH + 2, names[CALL_DEPTH - 1], "Elsewhere")))[-1] == "Elsewhere"


def test_a_refused_transfer_leaves_the_callers_view_only_when_the_caller_hands_on():
    c = story(asks(call("transfer_to_Triage")), transfers("1.0", "Triage"), moves(2, "Triage", "Sales", "call"))
    assert "tool: Triage has the floor already." not in shown(c)
    c = on(c, moves(3, "Sales", "Triage", "return"))
    assert "tool: Triage has the floor already." not in shown(c)

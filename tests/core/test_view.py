import pytest

from segue.core.events import RunEnded
from segue.core.messages import Assistant, Call, System, ToolAnswer, User
from segue.core.view import check, new_messages, view
from tests.core.making import asks, call, moves, on, returns, says, shown, story, transfers, user, works

A, B = Call("a", "f", "{}"), Call("b", "g", '{"x": 1}')
HI = User("Hi")


def test_a_view_holds_what_was_said_in_order():
    assert shown(story(works(1), says(), user("More"))) == [
        "user: Hello?",
        "Triage: ['look_up']",
        "tool: ok",
        "Triage: Here you are.",
        "user: More",
    ]


def test_a_message_that_joined_a_view_is_the_same_object_ever_after():
    c = story(works(1))
    assert all(one is other for one, other in zip(view(c), view(on(c, works(2))), strict=False))


def test_an_open_turn_is_in_no_view_before_it_closes():
    assert shown(story(asks(call()))) == ["user: Hello?"]


def test_the_anchor_of_a_handoff_is_the_input_of_its_run_though_others_came_before():
    c = story(says(), user("second"), says(), user("third", 3), moves(3, "Triage", "Refunds", view="handoff"))
    assert shown(c)[0] == "user: third"


def test_an_anchor_that_is_an_input_given_to_a_callee_is_shown_though_the_exchange_is_hidden():
    c = story(
        moves(1, "Triage", "Sales", "call", "handoff"),
        says("Which size?", "Sales"),
        user("44"),
        moves(3, "Sales", "Triage", "return"),
        moves(4, "Triage", "Refunds", view="handoff"),
    )
    assert shown(c)[:2] == ["user: 44", "Triage: ['transfer_to_Refunds']"]
    assert check(view(c)) is None


def test_what_a_run_added_is_everything_but_the_input():
    c = story(says(), user("second"), moves(2, "Triage", "Refunds"), says("Hi.", "Refunds"))
    assert [type(message).__name__ for message in new_messages(c)] == ["Assistant", "ToolAnswer", "Assistant"]
    assert new_messages(c)[-1].agent == "Refunds"
    assert new_messages(on(c, user("third", 3))) == []


def test_what_a_run_added_is_whole_where_the_agent_sees_only_a_part():
    c = story(works(1), moves(2, "Triage", "Refunds", view="brief", brief="boots"))
    assert len(new_messages(c)) == 4


def test_a_run_whose_input_was_refused_added_nothing():
    assert new_messages(story(RunEnded("failed", "input guard"))) == []


def test_lost_transfers_are_not_among_the_new_messages():
    c = story(asks(call("one"), call("two")), transfers("1.0", "Refunds"), transfers("1.1", "Sales"))
    assert len(new_messages(c)) == 2


GOOD = [
    [HI],
    [System("Be kind."), HI],
    [HI, Assistant("Hi."), HI],
    [HI, HI],
    [HI, Assistant(None, (A, B)), ToolAnswer("a", "f", ""), ToolAnswer("b", "g", "ok")],
    [HI, Assistant("Let me see.", (A,)), ToolAnswer("a", "f", "ok"), Assistant(None, (B,)), ToolAnswer("b", "g", "ok")],
    [User([{"type": "text", "text": "Hi"}])],
]


@pytest.mark.parametrize("messages", GOOD)
def test_a_sound_history_has_no_fault(messages):
    assert check(messages) is None


BAD = [
    ([], "no message"),
    ([System("Be kind.")], "no message"),
    ([Assistant("Hi."), HI], "not the user's"),
    ([ToolAnswer("a", "f", "ok"), HI], "not the user's"),
    ([HI, System("Be kind."), HI], "second system message"),
    ([System("x"), System("y"), HI], "not the user's"),
    ([HI, User("")], "user is empty"),
    ([HI, Assistant(None), HI], "says nothing"),
    ([HI, Assistant("Hi.")], "the assistant's own"),
    ([HI, ToolAnswer("a", "f", "ok")], "was not made"),
    ([HI, Assistant(None, (A,)), ToolAnswer("a", "f", "1"), ToolAnswer("a", "f", "2")], "answered before"),
    ([HI, Assistant(None, (A, B)), ToolAnswer("b", "g", "ok"), ToolAnswer("a", "f", "ok")], "out of order"),
    ([HI, Assistant(None, (A,)), ToolAnswer("a", "another", "ok")], "out of order"),
    ([HI, Assistant(None, (A,)), HI], "not answered before message 2"),
    ([HI, Assistant(None, (A, B)), ToolAnswer("a", "f", "ok")], "is not answered"),
    ([HI, Assistant(None, (A, A)), HI], "used before"),
    ([HI, Assistant(None, (A._replace(id=""),)), HI], "empty or used"),
    ([HI, Assistant(None, (A._replace(name="not legal"),)), HI], "not legal"),
    ([HI, Assistant(None, (A._replace(name=""),)), HI], "not legal"),
    ([HI, Assistant(None, (A._replace(arguments="[]"),)), HI], "not a JSON object"),
    ([HI, Assistant(None, (A._replace(arguments=""),)), HI], "not a JSON object"),
]


@pytest.mark.parametrize(("messages", "fault"), BAD)
def test_what_a_strict_provider_refuses_is_said_in_words(messages, fault):
    assert fault in check(messages)


def test_every_turn_of_a_long_story_makes_a_view_that_is_accepted():
    c = story()
    for number in range(1, 6):
        c = on(c, asks(call(id="same"), call(id="same", arguments="[")), returns(f"{number}.0", str(number)), returns(f"{number}.1"))
        assert check(view(c)) is None

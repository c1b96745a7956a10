import pytest

from segue import UsageError
from segue.core.conversation import Status
from segue.core.fold import replay
from segue.core.messages import Assistant, Call, ToolAnswer, User
from segue.core.view import view
from segue.swarm.history import NOTHING_SAID, read

ASK = {"role": "user", "content": "Weather?"}
CALLS = {
    "role": "assistant",
    "content": None,
    "sender": "Agent",
    "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"q": 1}'}},
        {"id": "b", "type": "function", "function": {"name": "look", "arguments": '{"q": 2}'}},
    ],
}
ANSWERS = [
    {"role": "tool", "tool_call_id": "b", "tool_name": "look", "content": "two"},
    {"role": "tool", "tool_call_id": "a", "tool_name": "look", "content": "one"},
]
SAID = {"role": "assistant", "content": "Sunny.", "sender": "Agent"}


def opened(*messages):
    return replay(read(messages).opening("c", "Agent"))


def test_what_came_before_the_user_s_last_message_is_earlier():
    history = read([ASK, SAID, {"role": "user", "content": "And tomorrow?"}])
    assert history.earlier == (User("Weather?"), Assistant("Sunny.", (), "Agent"))
    assert history.said == User("And tomorrow?")


def test_calls_answered_since_the_user_s_last_message_belong_to_the_run_that_is_opened():
    conversation = opened(ASK, CALLS, *ANSWERS)
    assert conversation.status is Status.MODEL
    asked, called, one, two = view(conversation)
    assert asked == User("Weather?")
    assert [made.id for made in called.calls] == ["a", "b"]
    assert (one, two) == (ToolAnswer("a", "look", "one"), ToolAnswer("b", "look", "two"))


def test_several_rounds_of_answered_calls_keep_their_order_and_their_ids_become_unique():
    conversation = opened(ASK, CALLS, *ANSWERS, CALLS, *ANSWERS)
    assert [message.call_id for message in view(conversation) if isinstance(message, ToolAnswer)][:2] == ["a", "b"]
    assert len({message.call_id for message in view(conversation) if isinstance(message, ToolAnswer)}) == 4
    assert conversation.run.spent.turns == 2


@pytest.mark.parametrize("messages", [[], [SAID], [ASK, SAID], [CALLS, *ANSWERS], [ASK, SAID, CALLS, *ANSWERS]])
def test_where_the_user_has_not_spoken_last_a_note_stands_for_the_user(messages):
    history = read(messages)
    assert history.said == NOTHING_SAID
    assert len(history.earlier) == len(messages)
    assert view(opened(*messages))[-1] == NOTHING_SAID


def test_system_messages_are_taken_out_and_joined():
    history = read([{"role": "system", "content": "One."}, ASK, {"role": "developer", "content": "Two."}])
    assert history.system == "One.\n\nTwo."
    assert history.said == User("Weather?")


@pytest.mark.parametrize("messages", [[ASK, CALLS], [ASK, CALLS, ASK], [ANSWERS[0], ASK], [ASK, CALLS, ANSWERS[0], ASK]])
def test_calls_without_an_answer_and_answers_without_a_call_are_refused(messages):
    with pytest.raises(UsageError, match="no history"):
        read(messages)


def test_the_arguments_of_an_earlier_call_stay_as_they_were():
    called = next(message for message in view(opened(ASK, CALLS, *ANSWERS)) if isinstance(message, Assistant))
    assert called.calls == (Call("a", "look", '{"q": 1}'), Call("b", "look", '{"q": 2}'))

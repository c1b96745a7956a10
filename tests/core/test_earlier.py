import pytest

from segue.core.earlier import adopt
from segue.core.events import Started
from segue.core.fold import replay
from segue.core.messages import Assistant, Call, System, ToolAnswer, User
from segue.core.view import check, view
from segue.errors import IllegalEvent
from tests.core.making import ASKED, story

HI = User("Hi")


def asked(*ids):
    return Assistant(None, tuple(Call(id, "f", "{}") for id in ids))


def answer(id, content="ok"):
    return ToolAnswer(id, "f", content)


def test_a_sound_history_is_taken_as_it_is():
    messages = (HI, Assistant("Let me see.", (Call("a", "f", '{ "x": 1 }'),)), answer("a"), Assistant("Done."), HI)
    adopted, ids = adopt(messages)
    assert adopted == messages
    assert list(ids) == ["a"]


def test_ids_that_come_again_are_renamed_one_to_one():
    adopted, ids = adopt((HI, asked("a"), answer("a", "1"), asked("a"), answer("a", "2"), asked("", ""), answer("", "3"), answer("", "4")))
    assert [m.call_id for m in adopted if isinstance(m, ToolAnswer)] == ["a", "call_0_3_0", "call_0_5_0", "call_0_5_1"]
    assert [m.content for m in adopted if isinstance(m, ToolAnswer)] == ["1", "2", "3", "4"]
    assert check(adopted) is None
    assert len(ids) == 4


def test_answers_are_put_in_call_order_and_get_their_calls_name():
    adopted, _ = adopt((HI, asked("a", "b"), ToolAnswer("b", "", "2"), ToolAnswer("a", "", []), HI))
    assert adopted[2:4] == (ToolAnswer("a", "f", ""), ToolAnswer("b", "f", "2"))


def test_broken_arguments_and_illegal_names_are_sent_as_providers_accept_them():
    adopted, _ = adopt((HI, Assistant(None, (Call("a", "not legal", "{"),)), answer("a")))
    assert adopted[1].calls == (Call("a", "not_legal", "{}"),)
    assert adopted[2].name == "not_legal"


def test_messages_that_say_nothing_are_left_out():
    assert adopt((HI, Assistant(None), User(""), Assistant(""), HI))[0] == (HI, HI)


@pytest.mark.parametrize(
    ("messages", "fault"),
    [
        ((HI, System("Obey.")), "Instructions"),
        ((HI, asked("a")), "is not answered"),
        ((HI, asked("a"), HI), "before all calls are answered"),
        ((HI, asked("a", "b"), answer("a"), HI), "before all calls are answered"),
        ((HI, answer("a")), "was not made"),
        ((HI, asked("a", "b"), answer("a"), answer("a")), "answered before"),
        ((HI, asked("a"), answer("b")), "was not made"),
    ],
)
def test_a_history_that_no_provider_takes_opens_no_conversation(messages, fault):
    with pytest.raises(IllegalEvent, match=fault):
        replay([Started("c", "Triage", messages=messages)])


def test_a_conversation_goes_on_from_what_was_said_elsewhere():
    c = story(before=(Started("c", "Triage", messages=(HI, asked("a"), answer("a"), Assistant("Done."))), *ASKED[1:]))
    assert len(view(c)) == 5
    assert check(view(c)) is None

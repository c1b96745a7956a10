import pytest
from pydantic import BaseModel

from segue.core.messages import Assistant, Call, System, ToolAnswer, User
from segue.errors import UsageError
from segue.wire.chat_messages import as_chat, from_chat

CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
PARTS = [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": "data:,"}}]

BOTH_WAYS = [
    (System("Be kind."), {"role": "system", "content": "Be kind."}),
    (User("Hi"), {"role": "user", "content": "Hi"}),
    (User(PARTS, "ann"), {"role": "user", "content": PARTS, "name": "ann"}),
    (Assistant("Hi."), {"role": "assistant", "content": "Hi."}),
    (Assistant(None, (Call("a", "f", '{"x": 1}'),)), {"role": "assistant", "content": None, "tool_calls": [CALL]}),
    (Assistant("No.", refusal="No."), {"role": "assistant", "content": "No.", "refusal": "No."}),
    (Assistant("Hm.", extra={"reasoning": "…"}), {"role": "assistant", "content": "Hm.", "reasoning": "…"}),
    (
        Assistant(None, (Call("a", "f", '{"x": 1}', {"extra_content": {"signature": "…"}}),)),
        {"role": "assistant", "content": None, "tool_calls": [{**CALL, "extra_content": {"signature": "…"}}]},
    ),
]


@pytest.mark.parametrize(("message", "chat"), BOTH_WAYS)
def test_a_message_is_the_same_after_it_was_a_dictionary(message, chat):
    assert as_chat(message) == chat
    assert from_chat([chat]) == (message,)


def test_an_answer_finds_the_name_of_its_call_again():
    chat = [{"role": "assistant", "content": None, "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "a", "content": "ok"}]
    read = from_chat(chat)
    assert read[1] == ToolAnswer("a", "f", "ok")
    assert [as_chat(message) for message in read] == chat
    assert from_chat(chat[1:]) == (ToolAnswer("a", "", "ok"),)


def test_who_speaks_and_the_fields_of_another_dialect_are_not_sent():
    assert as_chat(Assistant("Hi.", agent="Triage")) == {"role": "assistant", "content": "Hi."}
    assert as_chat(Assistant("Hi.", extra={"id": "rs_1"}, dialect="openai-responses")) == {"role": "assistant", "content": "Hi."}


def test_each_dictionary_is_new_down_to_its_parts():
    said = User([{"type": "text", "text": "Hi"}])
    as_chat(said)["content"][0]["text"] = "changed"
    as_chat(ToolAnswer("a", "f", PARTS))["content"].clear()
    assert said == User([{"type": "text", "text": "Hi"}])
    assert len(PARTS) == 2


@pytest.mark.parametrize(
    ("chat", "message"),
    [
        ({"role": "developer", "content": "Be kind."}, System("Be kind.")),
        ({"role": "system", "content": [{"type": "text", "text": "Be "}, "kind."]}, System("Be kind.")),
        ({"role": "system"}, System("")),
        ({"role": "user", "content": ["Hi"]}, User([{"type": "text", "text": "Hi"}])),
        ({"role": "user", "content": None}, User("")),
        ({"role": "assistant", "content": [{"type": "text", "text": "Hi."}], "sender": "Triage"}, Assistant("Hi.", agent="Triage")),
        ({"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}], "tool_calls": []}, Assistant("")),
        ({"role": "assistant", "tool_calls": None, "function_call": None, "audio": None, "annotations": []}, Assistant(None)),
        ({"role": "tool", "tool_call_id": "a", "content": None}, ToolAnswer("a", "", "")),
        ({"role": "tool", "tool_call_id": 7, "content": "ok"}, ToolAnswer("7", "", "ok")),
    ],
)
def test_other_shapes_of_the_same_are_read(chat, message):
    assert from_chat([chat]) == (message,)


@pytest.mark.parametrize(
    ("call", "read"),
    [
        ({"id": None, "function": {"name": "f", "arguments": None}}, Call("", "f", "")),
        ({"function": {"name": "f"}, "index": 0}, Call("", "f", "")),
        ({"id": 7, "function": {"name": "f", "arguments": {"x": 1}}}, Call("7", "f", '{"x": 1}')),
    ],
)
def test_other_shapes_of_a_call_are_read(call, read):
    assert from_chat([{"role": "assistant", "tool_calls": [call]}])[0].calls == (read,)


@pytest.mark.parametrize(
    "wrong",
    [
        {"content": "no role"},
        {"role": "robot", "content": "Hi"},
        {"role": "tool", "content": "no id"},
        {"role": "user", "content": 7},
        {"role": "user", "content": [7]},
        {"role": "assistant", "tool_calls": [{"id": "a"}]},
        {"role": "assistant", "tool_calls": [{"id": "a", "function": {"arguments": "{}"}}]},
        {"role": "assistant", "tool_calls": ["a"]},
        "Hi",
        None,
    ],
)
def test_what_is_no_message_is_refused_with_its_place(wrong):
    with pytest.raises(UsageError, match=r"messages\[1\]"):
        from_chat([{"role": "user", "content": "Hi"}, wrong])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("Hi", 'The messages are a text, not a list. Write [{"role": "user", "content": ...}].'),
        ({"role": "user", "content": "Hi"}, "The messages are one message, not a list. Put it into a list: [message]."),
        (None, "The messages must be a list, not NoneType."),
        (7, "The messages must be a list, not int."),
        (["Hi"], 'messages[0] must be a chat-completions message, not str. Write {"role": "user", "content": ...}.'),
        ([7], "messages[0] must be a chat-completions message, not int."),
    ],
)
def test_what_is_no_list_of_messages_is_told_what_it_is_and_what_to_write(wrong, words):
    with pytest.raises(UsageError) as raised:
        from_chat(wrong)
    assert str(raised.value) == words


def test_a_clients_message_alone_is_no_list():
    class Said(BaseModel):
        role: str = "user"
        content: str = "Hi"

    with pytest.raises(UsageError, match="Put it into a list"):
        from_chat(Said())
    assert from_chat([Said()]) == (User("Hi"),)

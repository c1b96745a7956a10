"""What a reply may hold that no provider would take when it is sent again, and counts that are none."""

import json
from typing import Any

import pytest

from segue.core.messages import Assistant, Call, Usage
from segue.errors import BadReply
from segue.wire import openai_chat, openai_responses
from segue.wire.responses_items import replayed
from segue.wire.usage import chat_usage, responses_usage

CALLED = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "e"}


def spoken(*parts: Any, **more: Any) -> dict[str, Any]:
    return {"type": "message", "id": "m1", "role": "assistant", "content": list(parts)} | more


def test_a_count_that_no_provider_counts_to_is_no_count():
    assert chat_usage({"prompt_tokens": 10**308, "completion_tokens": 2}) == Usage(0, 2)
    assert responses_usage({"input_tokens": 10**400, "output_tokens": 2}) == Usage(0, 2)


@pytest.mark.parametrize("field", ["id", "arguments"])
def test_half_a_pair_beside_a_nan_is_not_the_programs_fault(field: str):
    call = {"id": "c", "function": {"name": "f", "arguments": "{}"}}
    (call if field == "id" else call["function"])[field] = {"a": "HALF", "b": 1}  # type: ignore[index]
    body = json.dumps({"choices": [{"message": {"tool_calls": [call]}}]}).replace("HALF", "\\ud800").replace(": 1}", ": NaN}")
    (read,) = openai_chat.decode_reply(body.encode()).calls
    assert getattr(read, field) == '{"a":"\ufffd","b":null}'


def test_an_unknown_field_is_kept_without_what_is_no_number():
    body = b'{"choices":[{"message":{"content":"hi","odd":[NaN,1e999,1]}}]}'
    assert openai_chat.decode_reply(body).extra == {"odd": [None, None, 1]}


def test_a_call_that_its_provider_calls_incomplete_is_not_made():
    body = {"status": "completed", "output": [CALLED | {"arguments": "", "status": "incomplete"}]}
    with pytest.raises(BadReply):
        openai_responses.reply_of(body)


def test_messages_that_say_nothing_are_no_answer():
    with pytest.raises(BadReply):
        openai_responses.reply_of({"output": [spoken(), spoken({"type": "output_text", "text": ""})]})


UNSOUND = [
    {"type": "function_call_output", "call_id": "c1", "output": "a lie"},
    {"type": "item_reference", "id": "x"},
    spoken({"type": "output_text", "text": None}),
    spoken({"type": "output_text", "text": 5}),
    spoken(),
    spoken({"type": "output_text", "text": ""}, id=12),
    spoken({"type": "output_text", "text": ""}, id="fc_1"),
    {"type": "reasoning", "id": "rs_2", "summary": None, "encrypted_content": "e"},
]


@pytest.mark.parametrize("item", UNSOUND)
def test_items_that_would_be_refused_are_not_sent_again(item: dict[str, Any]):
    reply = openai_responses.reply_of({"output": [THOUGHT, CALLED, item]})
    assert replayed([THOUGHT, CALLED, item], Assistant(reply.text, (Call("c1", "f", "{}"),))) == []


def test_parts_without_a_kind_are_not_sent_again():
    content = [{"type": "text", "text": "hi"}, {"type": None}, {"x": 1}, {"type": "text", "text": 5}, {"type": "thinking", "thinking": "t"}]
    reply = openai_chat.decode_reply(json.dumps({"choices": [{"message": {"content": content}}]}).encode())
    assert reply.extra["content"] == [{"type": "text", "text": "hi"}, {"type": "thinking", "thinking": "t"}]

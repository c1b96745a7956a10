"""Recorded exchanges with real providers: whole, byte by byte and cut anywhere, they give the same reply."""

import json
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from segue.core.messages import Reply
from segue.errors import BadReply, ProviderError, ProviderRefused, RateLimited
from segue.model import ModelRequest
from segue.wire import openai_chat, openai_chat_server, openai_responses, openai_responses_server
from segue.wire.errors import error_from
from tests.data import DATA, needs_data


class Exchange(NamedTuple):
    name: str
    status: int
    path: str
    request: dict[str, Any]
    response: Any


def recorded(kind: str) -> list[Exchange]:
    found = []
    for path in sorted((DATA / "wire_samples").glob(f"{kind}__*.json")):
        for place, said in enumerate(json.loads(path.read_text())):
            name = f"{path.stem.partition('__')[2]}-{place}"
            found.append(Exchange(name, said["status"], said["path"], said["request"], said["response"]))
    return found


CHAT = recorded("openai-chat")
RESPONSES = [exchange for exchange in recorded("openai-responses") if not exchange.path.endswith("input_tokens")]
CODECS: list[tuple[Any, Exchange]] = [(openai_chat, one) for one in CHAT] + [(openai_responses, one) for one in RESPONSES]
BODIES = [(codec, one) for codec, one in CODECS if one.status == 200 and isinstance(one.response, dict)]
STREAMS = [(codec, one) for codec, one in CODECS if isinstance(one.response, str)]
FAILED_STREAMS = {
    "groq__tool_use_failed_error_streaming-0": BadReply,
    "groq__tool_use_failed_error_streaming_with_text-0": BadReply,
    "openrouter__openrouter_stream_error-0": ProviderRefused,
}

pytestmark = needs_data


def ids(cases: list[tuple[Any, Exchange]]) -> list[str]:
    return [one.name for _, one in cases]


def ended(make: Callable[[], Reply]) -> Reply | type[ProviderError]:
    try:
        return make()
    except ProviderError as error:
        return type(error)


def streamed(codec: Any, raw: bytes, cuts: list[int]) -> Reply:
    decoder = codec.StreamDecoder()
    for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        decoder.feed(raw[start:end])
    reply: Reply = decoder.reply()
    return reply


def test_the_recordings_are_all_there():
    assert (len(CHAT), len(RESPONSES)) == (100, 27)
    assert (len(BODIES), len(STREAMS)) == (81, 34)


@pytest.mark.parametrize(("codec", "one"), STREAMS, ids=ids(STREAMS))
def test_a_recorded_stream_gives_the_same_reply_whole_byte_by_byte_and_cut_anywhere(codec: Any, one: Exchange):
    raw = one.response.encode()
    whole = ended(lambda: streamed(codec, raw, []))
    assert isinstance(whole, Reply) or whole is FAILED_STREAMS[one.name]
    assert ended(lambda: streamed(codec, raw, list(range(1, len(raw))))) == whole
    chance = random.Random(len(raw))
    for _ in range(1000):
        cuts = sorted(chance.sample(range(1, len(raw)), 3))
        assert ended(lambda cuts=cuts: streamed(codec, raw, cuts)) == whole


@pytest.mark.parametrize("one", [one for codec, one in BODIES if codec is openai_chat], ids=lambda one: one.name)
def test_a_recorded_chat_body_gives_what_it_says(one: Exchange):
    reply = openai_chat.decode_reply(json.dumps(one.response).encode())
    choice = one.response["choices"][0]
    message = choice["message"]
    assert (reply.text or "") == (message.get("content") or "")
    calls = [(call["id"], call["function"]["name"], call["function"].get("arguments") or "") for call in message.get("tool_calls") or []]
    assert [(call.id, call.name, call.arguments) for call in reply.calls] == ([] if choice["finish_reason"] == "length" else calls)
    assert (reply.finish, reply.model) == (choice["finish_reason"], one.response["model"])
    usage = one.response["usage"]
    assert (reply.usage.input, reply.usage.output) == (usage["prompt_tokens"], usage["completion_tokens"])
    for key in ("reasoning", "reasoning_content", "reasoning_details", "extra_content", "thought_signature"):
        assert (reply.extra.get(key) or None) == (message.get(key) or None)


@pytest.mark.parametrize("one", [one for codec, one in STREAMS if codec is openai_chat], ids=lambda one: one.name)
def test_a_recorded_chat_stream_says_what_its_chunks_say(one: Exchange):
    decoder = openai_chat.StreamDecoder()
    if one.name in FAILED_STREAMS:
        with pytest.raises(FAILED_STREAMS[one.name]):
            decoder.feed(one.response.encode())
        return
    decoder.feed(one.response.encode())
    reply = decoder.reply()
    chunks = [json.loads(line[6:]) for line in one.response.splitlines() if line.startswith("data: {")]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    parts = [part for delta in deltas for part in (delta.get("content") or [])]  # text comes apart into characters, which is as good
    assert (reply.text or "") == "".join(part if isinstance(part, str) else part.get("text", "") for part in parts)
    fragments = [call for delta in deltas for call in delta.get("tool_calls") or []]
    assert "".join(call.arguments for call in reply.calls) == "".join(one["function"]["arguments"] or "" for one in fragments)
    assert [call.id for call in reply.calls] == [one["id"] for one in fragments if one.get("id")]
    thoughts = "".join(delta.get("reasoning") or delta.get("reasoning_content") or "" for delta in deltas)
    assert (reply.extra.get("reasoning") or reply.extra.get("reasoning_content") or "") == thoughts


@pytest.mark.parametrize("one", [one for codec, one in BODIES if codec is openai_responses], ids=lambda one: one.name)
def test_a_recorded_responses_body_gives_what_it_says(one: Exchange):
    if one.response["status"] == "queued":
        with pytest.raises(BadReply, match="not finished"):
            openai_responses.decode_reply(json.dumps(one.response).encode())
        return
    reply = openai_responses.decode_reply(json.dumps(one.response).encode())
    items = one.response["output"]
    assert (reply.text or "") == "".join(part["text"] for item in items if item["type"] == "message" for part in item["content"])
    calls = [(item["call_id"], item["name"], item["arguments"]) for item in items if item["type"] == "function_call"]
    assert [(call.id, call.name, call.arguments) for call in reply.calls] == calls
    assert reply.usage.total == one.response["usage"]["total_tokens"]
    reasons = any(item["type"] == "reasoning" for item in items)
    assert (reply.extra.get("items") == items) if reasons else True


@pytest.mark.parametrize(("codec", "one"), BODIES + STREAMS, ids=ids(BODIES + STREAMS))
def test_what_was_read_from_a_recording_is_written_and_read_again_the_same(codec: Any, one: Exchange):
    body = one.response.encode() if isinstance(one.response, str) else json.dumps(one.response).encode()
    reply = ended(lambda: codec.decode_reply(body))
    if not isinstance(reply, Reply):
        return
    server: Any = openai_chat_server if codec is openai_chat else openai_responses_server
    if reply.finish == "":
        reply = reply._replace(finish="tool_calls" if reply.calls else "stop")  # a server of ours always says why it ended
    assert codec.decode_reply(server.encode_reply(reply)) == reply
    stream = server.StreamEncoder(reply.model, include_usage=True) if codec is openai_chat else server.StreamEncoder(reply.model)
    raw = stream.whole(reply)
    assert streamed(codec, raw, []) == reply
    assert streamed(codec, raw, list(range(1, len(raw)))) == reply


@pytest.mark.parametrize("one", [one for one in CHAT + RESPONSES if one.status != 200], ids=lambda one: one.name)
def test_a_recorded_refusal_has_its_error(one: Exchange):
    error = error_from(one.status, json.dumps(one.response).encode(), {}, provider="acme")
    code = one.response["error"].get("code")
    assert type(error) is (RateLimited if one.status == 429 else BadReply if code == "tool_use_failed" else ProviderRefused)
    assert one.response["error"]["message"] not in str(error)


def plain(message: dict[str, Any]) -> dict[str, Any]:
    """A message without what makes no difference: a content of nothing, a call's number, instructions in parts."""
    said = {key: value for key, value in message.items() if value not in (None, "", [])}
    if said["role"] != "user" and isinstance(said.get("content"), list):
        said["content"] = "".join(part["text"] for part in said["content"])
    if said["role"] == "developer":
        said["role"] = "system"
    if "tool_calls" in said:
        said["tool_calls"] = [{key: value for key, value in call.items() if key != "index"} for call in said["tool_calls"]]
    return said


@pytest.mark.parametrize("one", CHAT, ids=lambda one: one.name)
def test_a_recorded_chat_request_is_read_and_written_again_the_same(one: Exchange):
    asked = one.request | {"tools": [tool for tool in one.request.get("tools") or [] if tool.get("type", "function") == "function"]}
    served = openai_chat_server.decode_request(json.dumps(asked).encode())
    request = ModelRequest(served.messages, served.tools, served.settings, served.output, served.stream)
    body = json.loads(openai_chat.encode_request(request, served.model))
    assert list(map(plain, body["messages"])) == list(map(plain, asked["messages"]))
    assert [tool["function"]["name"] for tool in body.get("tools", [])] == [tool["function"]["name"] for tool in asked["tools"]]
    for key in ("model", "temperature", "tool_choice", "parallel_tool_calls", "response_format"):
        assert (key == "tool_choice" and not asked["tools"]) or body.get(key) == (asked.get(key) if asked.get(key) != "any" else "required")
    assert bool(body.get("stream")) == bool(asked.get("stream"))

"""The Responses API, as a client: what is sent, and what every kind of answer becomes."""

import json
from typing import Any

import pytest

from segue.core.messages import Assistant, Call, Reply, System, ToolAnswer, Usage, User
from segue.errors import BadReply, ContextTooLong, ProviderError, ProviderRefused, UsageError
from segue.model import CallDelta, ModelRequest, ModelSettings, OutputSpec, ReasoningDelta, TextDelta, ToolSpec
from segue.wire import responses_items
from segue.wire.openai_responses import StreamDecoder, decode_reply, encode_request
from segue.wire.openai_responses_server import StreamEncoder, encode_reply

WEATHER = ToolSpec("weather", "Look outside.", {"type": "object"})
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
SPOKEN = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "Hi"}]}
CALLED = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"}


def sent(*messages: Any, model: str = "gpt-4o", **request: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(encode_request(ModelRequest(list(messages), **request), model))
    return body


def items(*messages: Any) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = sent(*messages)["input"]
    return made


def without(item: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in keys}


def response(*output: Any, **more: Any) -> dict[str, Any]:
    return {"object": "response", "status": "completed", "error": None, "model": "m", "output": list(output)} | more


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind} | fields)}\n\n".encode()


def streamed(*pieces: bytes) -> Reply:
    decoder = StreamDecoder()
    for piece in pieces:
        decoder.feed(piece)
    return decoder.reply()


# --- requests


def test_instructions_stand_apart_from_the_input():
    assert sent(System("s"), User("Hi")) == {
        "model": "gpt-4o",
        "store": False,
        "instructions": "s",
        "input": [{"role": "user", "content": "Hi"}],
    }


PARTS = [
    ({"type": "text", "text": "see"}, {"type": "input_text", "text": "see"}),
    (
        {"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}},
        {"type": "input_image", "image_url": "data:x", "detail": "low"},
    ),
    ({"type": "image_url", "image_url": {"odd": 1}}, {"type": "image_url", "image_url": {"odd": 1}}),
    ({"type": "file", "file": {"file_id": "f"}}, {"type": "input_file", "file_id": "f"}),
    ({"type": "input_text", "text": "as it is"}, {"type": "input_text", "text": "as it is"}),
]


@pytest.mark.parametrize(("part", "wire"), PARTS)
def test_a_content_part_is_written_as(part: dict[str, Any], wire: dict[str, Any]):
    assert items(User([part])) == [{"role": "user", "content": [wire]}]
    assert items(ToolAnswer("c1", "f", [part])) == [{"type": "function_call_output", "call_id": "c1", "output": [wire]}]


MESSAGES: list[tuple[Any, list[dict[str, Any]]]] = [
    (Assistant("Hi"), [{"role": "assistant", "content": "Hi"}]),
    (Assistant(None, refusal="No."), [{"role": "assistant", "content": "No."}]),
    (Assistant(None), []),
    (Assistant("Hi", (Call("c1", "f", "{}"),)), [{"role": "assistant", "content": "Hi"}, without(CALLED, "id", "status")]),
    (Assistant(None, (Call("c1", "f", "{"),)), [without(CALLED, "id", "status") | {"arguments": '{"not_json":"{"}'}]),
    (ToolAnswer("c1", "f", "x"), [{"type": "function_call_output", "call_id": "c1", "output": "x"}]),
    (Assistant("Hi", extra={"reasoning_content": "hm"}, dialect="openai-chat"), [{"role": "assistant", "content": "Hi"}]),
]


@pytest.mark.parametrize(("message", "wire"), MESSAGES)
def test_a_message_is_written_as(message: Any, wire: list[dict[str, Any]]):
    assert items(User("a"), message, System("later")) == [{"role": "user", "content": "a"}, *wire, {"role": "system", "content": "later"}]


def test_what_is_no_message_is_a_bug_of_ours():
    with pytest.raises(AssertionError):
        items({"role": "user", "content": "Hi"})


def kept(*output: dict[str, Any], **changes: Any) -> Assistant:
    reply = decode_reply(json.dumps(response(*output)).encode())
    return Assistant(reply.text, reply.calls, extra=reply.extra, dialect=reply.dialect)._replace(**changes)


def test_reasoning_goes_back_whole_and_in_its_order():
    assert items(kept(THOUGHT, CALLED)) == [THOUGHT, without(CALLED, "status")]
    other = THOUGHT | {"id": "rs_2"}
    assert items(kept(THOUGHT, SPOKEN, other, CALLED)) == [THOUGHT, without(SPOKEN, "status"), other, without(CALLED, "status")]


def test_reasoning_that_cannot_be_read_elsewhere_stays_behind_and_ids_with_it():
    hidden = without(THOUGHT, "encrypted_content")
    assert items(kept(hidden, CALLED)) == [without(CALLED, "id", "status")]
    open_thought = hidden | {"content": [{"type": "reasoning_text", "text": "hm"}]}
    assert items(kept(open_thought, CALLED)) == [open_thought, without(CALLED, "status")]


def test_a_call_goes_back_under_the_id_that_the_view_gave_it():
    renamed = kept(THOUGHT, CALLED, calls=(Call("c1_2", "f", "{}"),))
    assert items(renamed) == [THOUGHT, without(CALLED, "status") | {"call_id": "c1_2"}]


CHANGED = [
    {"calls": ()},
    {"calls": (Call("c1", "f", "{}"), Call("c2", "f", "{}"))},
    {"calls": (Call("c1", "g", "{}"),)},
    {"text": "something else"},
]


@pytest.mark.parametrize("changes", CHANGED)
def test_items_stay_behind_when_the_view_says_something_else(changes: dict[str, Any]):
    message = kept(THOUGHT, SPOKEN, CALLED, **changes)
    said = [{"role": "assistant", "content": message.text}]
    calls = [{"type": "function_call", "call_id": call.id, "name": call.name, "arguments": "{}"} for call in message.calls]
    assert items(message) == said + calls


def test_a_custom_tools_call_goes_back_as_a_function_call():
    custom = {"type": "custom_tool_call", "call_id": "c1", "name": "sh", "input": "ls"}
    wire = {"type": "function_call", "call_id": "c1", "name": "sh", "arguments": '{"not_json":"ls"}'}
    assert items(kept(custom)) == [wire]


@pytest.mark.parametrize(
    ("model", "asks"),
    [
        ("gpt-5-mini", True),
        ("o3", True),
        ("openai/o4-mini", True),
        ("gpt-5-chat-latest", False),
        ("gpt-4o", False),
        ("my-deployment", False),
    ],
)
def test_reasoning_is_asked_for_where_a_model_reasons(model: str, asks: bool):
    assert (sent(User("Hi"), model=model).get("include") == ["reasoning.encrypted_content"]) is asks


def test_settings_are_written_as():
    settings = ModelSettings(0.5, 0.6, 7, 8, ["x"], "weather", False, "low", {"truncation": "auto"})
    asked = sent(User("Hi"), tools=(WEATHER, WEATHER._replace(strict=True)), settings=settings, stream=True)
    tool = {"type": "function", "name": "weather", "description": "Look outside.", "parameters": {"type": "object"}, "strict": False}
    assert without(asked, "input", "model", "store") == {
        "stream": True,
        "tools": [tool, tool | {"strict": True}],
        "tool_choice": {"type": "function", "name": "weather"},
        "parallel_tool_calls": False,
        "temperature": 0.5,
        "top_p": 0.6,
        "max_output_tokens": 7,
        "reasoning": {"effort": "low"},
        "truncation": "auto",
    }
    assert sent(User("Hi"), tools=(WEATHER,), settings=ModelSettings(tool_choice="required"))["tool_choice"] == "required"
    assert "tool_choice" not in sent(User("Hi"), tools=(WEATHER,))


@pytest.mark.parametrize(("strict", "more"), [(None, {}), (True, {"strict": True})])
def test_an_output_type_is_written_as_its_schema(strict: bool | None, more: dict[str, Any]):
    asked = sent(User("Hi"), output=OutputSpec("out", {"type": "object"}, strict))
    assert asked["text"] == {"format": {"type": "json_schema", "name": "out", "schema": {"type": "object"}} | more}


def test_what_segue_decides_cannot_be_set_beside_it():
    with pytest.raises(UsageError, match="input"):
        sent(User("Hi"), settings=ModelSettings(extra={"input": []}))


def test_a_request_is_the_same_with_a_cache_and_without():
    cache: dict[Any, Any] = {}
    a, b = User("a"), kept(THOUGHT, CALLED)
    for messages in ([System("s"), a], [System("s"), a, b, Assistant(None), User("c")], [System("t"), a, b], [a]):
        asked = encode_request(ModelRequest(messages, cache=cache), "m")
        assert asked == encode_request(ModelRequest(messages), "m")


# --- replies

REPLIES = [
    Reply("Hello", finish="stop", model="m"),
    Reply("Hello", finish="stop", usage=Usage(5, 4, 3, 2), model="m"),
    Reply(None, (Call("c1", "f", '{"a":1}'),), "tool_calls", model="m"),
    Reply("Wait", (Call("c1", "f", ""), Call("c2", "g", "{}")), "tool_calls", model="m"),
    Reply(None, finish="stop", refusal="No.", model="m"),
    Reply("cut off", finish="length", model="m"),
    Reply(None, finish="content_filter", model="m"),
    Reply(None, (Call("c1", "f", "{}"),), "tool_calls", model="m", extra={"items": [THOUGHT, CALLED]}),
]


@pytest.mark.parametrize("reply", REPLIES)
def test_a_reply_is_read_as_it_was_written_whole_streamed_and_byte_by_byte(reply: Reply):
    reply = reply._replace(dialect="openai-responses")
    assert decode_reply(encode_reply(reply)) == reply
    raw = StreamEncoder("m").whole(reply)
    assert streamed(raw) == reply
    assert streamed(*(raw[at : at + 1] for at in range(len(raw)))) == reply
    assert decode_reply(raw) == reply  # streamed though nobody asked for it
    assert streamed(b" \n", *(bytes([byte]) for byte in encode_reply(reply))) == reply  # whole though a stream was asked for


def call(**fields: Any) -> dict[str, Any]:
    return CALLED | fields


WHOLE: list[tuple[Any, Any]] = [
    (response(SPOKEN), Reply("Hi", finish="stop")),
    (without(response(SPOKEN), "status", "object", "error"), Reply("Hi", finish="stop")),
    (response(SPOKEN | {"content": "Hi"}), Reply("Hi", finish="stop")),
    (response(without(SPOKEN, "role")), Reply("Hi", finish="stop")),
    (response(SPOKEN | {"content": None}, CALLED), Reply(None, (Call("c1", "f", "{}"),), "tool_calls")),
    (response(SPOKEN | {"content": ["odd", {"type": "odd"}, *SPOKEN["content"]]}), Reply("Hi", finish="stop")),
    (response(SPOKEN, SPOKEN), Reply("Hi\n\nHi", finish="stop", extra={"items": [SPOKEN, SPOKEN]})),
    (response(SPOKEN | {"phase": "final_answer"}), Reply("Hi", finish="stop", extra={"items": [SPOKEN | {"phase": "final_answer"}]})),
    (response(CALLED, SPOKEN), Reply("Hi", (Call("c1", "f", "{}"),), "tool_calls", extra={"items": [CALLED, SPOKEN]})),
    (response(call(call_id=None, arguments=None)), Reply(None, (Call("fc_1", "f", ""),), "tool_calls")),
    (response(call(arguments={"a": 1})), Reply(None, (Call("c1", "f", '{"a":1}'),), "tool_calls")),
    (response(without(CALLED, "call_id", "id", "name")), Reply(None, (Call("", "", "{}"),), "tool_calls")),
    (
        response(SPOKEN, usage={"input_tokens": 3, "output_tokens": None, "input_tokens_details": 7}),
        Reply("Hi", finish="stop", usage=Usage(3)),
    ),
    (response(SPOKEN, usage="odd"), Reply("Hi", finish="stop")),
    (response(SPOKEN, CALLED, status="incomplete", incomplete_details={"reason": "max_output_tokens"}), Reply("Hi", finish="length")),
    (response(CALLED, status="incomplete", incomplete_details={"reason": "content_filter"}), Reply(finish="content_filter")),
    (response(status="incomplete", incomplete_details=None), Reply(finish="length")),
    (response(SPOKEN, model=None), Reply("Hi", finish="stop", model="")),
    (response(), BadReply),
    (response(THOUGHT), BadReply),
    (response(SPOKEN | {"role": "user"}), BadReply),
    (response("odd"), BadReply),
    (response(SPOKEN, status="queued"), BadReply),
    (response(SPOKEN, status="failed"), BadReply),
    (response(SPOKEN, output={}), BadReply),
    ({}, BadReply),
    (None, BadReply),
    ([], BadReply),
    (response(SPOKEN, status="failed", error={"code": "server_error", "message": "m"}), ProviderError),
    ({"error": {"code": "context_length_exceeded"}}, ContextTooLong),
    ({"object": "error", "code": 404}, ProviderRefused),
]


@pytest.mark.parametrize(("answer", "expected"), WHOLE)
def test_a_whole_body_is_read_as(answer: Any, expected: Any):
    raw = json.dumps(answer).encode()
    last = event("response.completed", response=answer)
    if isinstance(expected, Reply):
        model = answer["model"] or ""
        assert decode_reply(raw) == streamed(last) == expected._replace(model=model, dialect="openai-responses")
    else:
        for read in (lambda: decode_reply(raw), lambda: streamed(last)):
            with pytest.raises(ProviderError) as raised:
                read()
            assert type(raised.value) is expected


@pytest.mark.parametrize("raw", [b"", b"<html>", b'{"output": [', b"[" * 100_000])
def test_what_is_no_json_is_a_bad_reply(raw: bytes):
    with pytest.raises(BadReply):
        decode_reply(raw)


def text(words: str, place: int = 0) -> bytes:
    return event("response.output_text.delta", output_index=place, delta=words)


STREAMS: list[tuple[list[bytes], Any]] = [
    ([event("response.completed", response=response()), b""], BadReply),
    (
        [
            event("response.output_item.done", output_index=1, item=CALLED),
            event("response.output_item.done", output_index=0, item=SPOKEN),
            event("response.completed", response=response()),
        ],
        Reply("Hi", (Call("c1", "f", "{}"),), "tool_calls"),
    ),
    (
        [b": ping\n\n", b"data: null\n\n", b"data: \n\n", b"data: [DONE]\n\n", event("response.completed", response=response(SPOKEN))],
        Reply("Hi", finish="stop"),
    ),
    ([event("response.completed", response=response(SPOKEN)), b"data: garbage\n\n"], Reply("Hi", finish="stop")),
    ([event("response.completed", response=response(SPOKEN))[:-1]], Reply("Hi", finish="stop")),
    ([event("response.incomplete", response=response(SPOKEN, status="incomplete"))], Reply("Hi", finish="length")),
    ([event("response.brand_new", odd=1), event("response.completed", response=response(SPOKEN))], Reply("Hi", finish="stop")),
    ([text("Hi")], BadReply),
    ([b""], BadReply),
    ([b"<html>"], BadReply),
    ([b"data: [1]\n\n"], BadReply),
    ([b"data: {cut\n\n"], BadReply),
    ([event("response.completed")], BadReply),
    ([event("response.failed", response=response(status="failed", error={"code": "server_error"}))], ProviderError),
    ([event("response.cancelled", response=response(status="cancelled"))], BadReply),
    ([event("error", code="context_length_exceeded", message="m")], ContextTooLong),
    ([event("error", error={"type": "invalid_request_error"})], ProviderRefused),
    ([b'data: {"error": "text"}\n\n'], ProviderError),
]


@pytest.mark.parametrize(("pieces", "expected"), STREAMS)
def test_a_stream_is_read_as(pieces: list[bytes], expected: Any):
    for cut in (pieces, [b"".join(pieces)], [bytes([byte]) for byte in b"".join(pieces)]):
        if isinstance(expected, Reply):
            assert streamed(*cut) == expected._replace(model="m", dialect="openai-responses")
        else:
            with pytest.raises(ProviderError) as raised:
                streamed(*cut)
            assert type(raised.value) is expected


def test_deltas_show_what_comes_as_it_comes():
    added = "response.output_item.added"
    arguments = "response.function_call_arguments.delta"
    decoder = StreamDecoder()
    shown = [
        event("response.created", response=response(status="in_progress")),
        event("response.reasoning_summary_text.delta", output_index=0, delta="h"),
        event("response.reasoning_text.delta", output_index=0, delta="m"),
        event(added, output_index=1, item={"type": "message"}),
        text("H", 1),
        text("i", 1),
        text("more", 2),
        event(added, output_index=3, item=call(arguments="")),
        event(arguments, output_index=3, delta="{}"),
        event(arguments, output_index=4, delta="late"),
        event(added, item="odd"),
    ]
    deltas = [one for piece in shown for one in decoder.feed(piece)]
    assert deltas == [
        ReasoningDelta("h"),
        ReasoningDelta("m"),
        TextDelta("H"),
        TextDelta("i"),
        TextDelta("\n\n"),
        TextDelta("more"),
        CallDelta(0, "f", ""),
        CallDelta(0, "", "{}"),
        CallDelta(1, "", "late"),
    ]
    assert not decoder.finished
    decoder.feed(event("response.completed", response=response(SPOKEN)))
    assert decoder.finished


def test_items_that_hold_an_unsound_message_do_not_go_back_as_they_came():
    reasoning = {"type": "reasoning", "id": "rs_1", "encrypted_content": "x"}
    for unsound in (
        {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]},
        {"type": "message", "role": "assistant", "content": "Hi"},
        {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hi"}]},
    ):
        said, _ = responses_items._said([unsound], "")
        assert responses_items.replayed([reasoning, unsound], Assistant(said or None)) == []

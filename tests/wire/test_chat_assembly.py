"""Replies of Chat Completions: what every kind of answer becomes, whole and streamed."""

import json
from typing import Any

import pytest

from segue.core.messages import Call, Reply, Usage
from segue.errors import BadReply, ContextTooLong, ProviderError, ProviderRefused, RateLimited
from segue.model import CallDelta, ReasoningDelta, TextDelta
from segue.wire.chat_assembly import Assembly
from segue.wire.openai_chat import StreamDecoder, decode_reply
from segue.wire.openai_chat_server import StreamEncoder, encode_reply


def body(message: Any = None, *, finish: Any = "stop", **more: Any) -> bytes:
    return json.dumps({"model": "m", "choices": [{"index": 0, "message": message, "finish_reason": finish}]} | more).encode()


def said(**message: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None} | message


def called(*calls: dict[str, Any], **message: Any) -> dict[str, Any]:
    return said(tool_calls=list(calls), **message)


def call(name: Any = "f", arguments: Any = "{}", **more: Any) -> dict[str, Any]:
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}} | more


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def delta(finish: str | None = None, **fields: Any) -> bytes:
    return event({"model": "m", "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]})


def streamed(*pieces: bytes) -> Reply:
    decoder = StreamDecoder()
    for piece in pieces:
        decoder.feed(piece)
    return decoder.reply()


CALL = Call("c1", "f", '{"a":1}')
REPLIES = [
    Reply("Hello", finish="stop", model="m"),
    Reply("Hé \u2028 🎉", finish="stop", usage=Usage(5, 4, 3, 2), model="m"),
    Reply(None, (CALL,), "tool_calls", model="m"),
    Reply("Wait", (CALL, Call("c2", "g", ""), Call("", "f", "{}")), "tool_calls", model="m"),
    Reply(None, (Call("c1", "f", "{}", {"extra_content": {"google": {"thought_signature": "s"}}}),), "stop", model="m"),
    Reply(None, finish="stop", refusal="No.", model="m"),
    Reply("cut off", finish="length", model="m"),
    Reply(None, finish="content_filter", model="m"),
    Reply(
        "x", finish="stop", model="m", extra={"reasoning_content": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}
    ),
    Reply("ab", finish="stop", model="m", extra={"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "ab"}]}),
]


@pytest.mark.parametrize("reply", REPLIES)
def test_a_reply_is_read_as_it_was_written_whole_streamed_and_byte_by_byte(reply: Reply):
    reply = reply._replace(dialect="openai-chat")
    assert decode_reply(encode_reply(reply)) == reply
    raw = StreamEncoder("m", include_usage=True).whole(reply)
    assert streamed(raw) == reply
    assert streamed(*(raw[at : at + 1] for at in range(len(raw)))) == reply
    assert decode_reply(raw) == reply  # streamed though nobody asked for it
    assert streamed(b" \n", *(bytes([byte]) for byte in encode_reply(reply))) == reply  # whole though a stream was asked for


WHOLE: list[tuple[bytes, Any]] = [
    # what is a reply
    (body(said(content="x")), Reply("x", finish="stop")),
    (body(said(content="x"), finish=None), Reply("x")),
    (body(said(content="x"), finish=3), Reply("x")),
    (body({"content": "x"}), Reply("x", finish="stop")),
    (body(said(content="x", role="")), Reply("x", finish="stop")),
    (body(said(content="x"), error=None), Reply("x", finish="stop")),
    (body(said(content="x", tool_calls=[])), Reply("x", finish="stop")),
    (body(said(content="x", tool_calls=None)), Reply("x", finish="stop")),
    (body(said(content="x", function_call={})), Reply("x", finish="stop")),
    (body(said(content="x", function_call={"name": "", "arguments": ""})), Reply("x", finish="stop")),
    (body(said(content="x", function_call="odd")), Reply("x", finish="stop")),
    (body(said(content="x", audio=None, annotations=[], refusal="")), Reply("x", finish="stop")),
    (body(said(content="x", audio={"data": "", "id": ""})), Reply("x", finish="stop")),
    (body(said(content="x", audio={"id": "a"})), Reply("x", finish="stop", extra={"audio": {"id": "a"}})),
    (body(said(content="x", audio="odd")), Reply("x", finish="stop")),
    (body(said(content="x", new_field={"a": 1})), Reply("x", finish="stop", extra={"new_field": {"a": 1}})),
    (body(said(content="x", reasoning=["odd"])), Reply("x", finish="stop", extra={"reasoning": ["odd"]})),
    (body(said(content=[{"type": "text", "text": "a"}, "b", 7, {"text": "c"}])), Reply("abc", finish="stop")),
    (
        body(said(content=[{"type": "text", "text": "a"}, {"type": "reference", "reference_ids": [1]}])),
        Reply("a", finish="stop", extra={"content": [{"type": "text", "text": "a"}, {"type": "reference", "reference_ids": [1]}]}),
    ),
    (body(called(call()), finish="stop"), Reply(None, (Call("c1", "f", "{}"),), "stop")),
    (body(called(call()), finish="eos"), Reply(None, (Call("c1", "f", "{}"),), "eos")),
    (body(called(call(), call()), finish="stop"), Reply(None, (Call("c1", "f", "{}"),) * 2, "stop")),
    (body(called({"function": {"name": "f", "arguments": None}})), Reply(None, (Call("", "f", ""),), "stop")),
    (body(called(call(arguments={"a": [1]}))), Reply(None, (Call("c1", "f", '{"a":[1]}'),), "stop")),
    (body(called(call(id=17))), Reply(None, (Call("17", "f", "{}"),), "stop")),
    (body(called(call(id=None, index=0))), Reply(None, (Call("", "f", "{}"),), "stop")),
    (body(called(call(name=None))), Reply(None, (Call("c1", "", "{}"),), "stop")),
    (body(called({})), Reply(None, (Call("", "", ""),), "stop")),
    (body(called({"id": "c", "type": "custom", "custom": {"name": "sh", "input": "ls"}})), Reply(None, (Call("c", "sh", "ls"),), "stop")),
    (body(called(call(custom={"name": "", "input": ""}))), Reply(None, (Call("c1", "f", "{}"),), "stop")),
    (body(said(function_call={"name": "f", "arguments": "{}"})), Reply(None, (Call("", "f", "{}"),), "stop")),
    (body(said(function_call={"arguments": "{}"})), Reply(None, (Call("", "", "{}"),), "stop")),
    (body(called(call(), function_call={"name": "g", "arguments": "{}"})), Reply(None, (Call("c1", "f", "{}"),), "stop")),
    (body(called(call(), content="x"), finish="length"), Reply("x", finish="length")),
    (body(called(call()), finish="content_filter"), Reply(finish="content_filter")),
    (body(said(content="x"), finish="model_length"), Reply("x", finish="length")),
    (body(said(refusal="No."), finish="stop"), Reply(finish="stop", refusal="No.")),
    (body(said(content="x"), usage={"prompt_tokens": 3, "completion_tokens": "2"}), Reply("x", finish="stop", usage=Usage(3))),
    (body(said(content="x"), usage=[3]), Reply("x", finish="stop")),
    (body(said(content="x"), x_groq={"usage": {"prompt_tokens": 3}}), Reply("x", finish="stop", usage=Usage(3))),
    (body(said(content="x"), x_groq="odd"), Reply("x", finish="stop")),
    (body(said(content="x"), model=7), Reply("x", finish="stop", model="")),
    (body(said(content="half \ud83c")), Reply("half \ufffd", finish="stop")),
    (body(said(content="x"), seed=2**70), Reply("x", finish="stop")),
    (b'{"choices": [{"message": {"content": "b\xff"}}]}', Reply("b\ufffd", model="")),
    (b'{"choices": [{"index": 1, "message": {}}, {"index": 0, "message": {"content": "x"}}]}', Reply("x", model="")),
    # what is none
    (b"", BadReply),
    (b"null", BadReply),
    (b"[]", BadReply),
    (b"7", BadReply),
    (b"{}", BadReply),
    (b"<html>busy</html>", BadReply),
    (body(said(content="x"))[:-9], BadReply),
    (b"[" * 100_000, BadReply),
    (b'{"choices": null}', BadReply),
    (b'{"choices": []}', BadReply),
    (b'{"choices": {}}', BadReply),
    (b'{"choices": "odd"}', BadReply),
    (b'{"choices": [null]}', BadReply),
    (b'{"choices": [{}]}', BadReply),
    (b'{"choices": [{"index": 3, "message": {"content": "x"}}]}', BadReply),
    (b'{"choices": [{"message": null, "finish_reason": null}]}', BadReply),
    (body("text"), BadReply),
    (body(said()), BadReply),
    (body(said(content="")), BadReply),
    (body(said(content=[])), BadReply),
    (body(said(content=42)), BadReply),
    (body(said(content={"text": "x"})), BadReply),
    (body(said(reasoning="only thoughts")), BadReply),
    (body(said(content="x", role="tool")), BadReply),
    (body(said(content="x", role="user")), BadReply),
    (body(said(tool_calls="odd")), BadReply),
    (body(said(tool_calls=["odd"])), BadReply),
    (body(said(content="x"), finish="error"), BadReply),
    (body(said(content="x"), error={"code": 429, "message": "slow"}), RateLimited),
    (b'{"error": "model is overloaded"}', ProviderError),
    (b'{"error": {"code": "context_length_exceeded", "message": "m"}}', ContextTooLong),
    (b'{"error": {"type": "invalid_request_error", "message": "m"}}', ProviderRefused),
    (b'{"object": "error", "message": "m", "code": 404}', ProviderRefused),
    (b'{"choices": [{"index": 0, "error": {"code": 502}, "message": {"content": "x"}}]}', ProviderError),
    (b'{"detail": "Not Found"}', BadReply),
]


@pytest.mark.parametrize(("raw", "expected"), WHOLE)
def test_a_whole_body_is_read_as(raw: bytes, expected: Any):
    if isinstance(expected, Reply):
        assert decode_reply(raw) == expected._replace(
            model=expected.model or ("m" if b'"model": "m"' in raw else ""), dialect="openai-chat"
        )
    else:
        with pytest.raises(ProviderError) as raised:
            decode_reply(raw, provider="acme")
        assert type(raised.value) is expected
        assert raised.value.provider == "acme"


END = delta("stop")
STREAMS: list[tuple[list[bytes], Any]] = [
    ([delta(content="a"), delta(content="b"), END], Reply("ab", finish="stop")),
    ([delta(content="a"), delta("stop", content="b"), b"data: [DONE]\n\n"], Reply("ab", finish="stop")),
    ([delta(content="a"), b"data: [DONE]\n\n"], Reply("a")),
    ([delta(content="a"), b"data: [DONE]"], Reply("a")),
    ([delta(content="a"), b"data: [DONE]\n\n", b"data: garbage\n\n"], Reply("a")),
    ([delta(content="a"), END[:-2]], Reply("a", finish="stop")),
    (
        [b": PROCESSING\n\n", delta(content="a"), b": ping\n\n", b"data:\n\n", b"data: null\n\n", b"data: {}\n\n", END],
        Reply("a", finish="stop"),
    ),
    ([event({"choices": []}), delta(content="a"), event({"choices": None}), END], Reply("a", finish="stop")),
    ([event({"choices": [{"delta": None}]}), delta(content="a"), END], Reply("a", finish="stop")),
    ([delta(content="a"), END, event({"choices": [], "usage": {"prompt_tokens": 3}})], Reply("a", finish="stop", usage=Usage(3))),
    (
        [delta(content="a"), event({"choices": [{"delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 3}}]})],
        Reply("a", finish="stop", usage=Usage(3)),
    ),
    ([event({"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]})], Reply("a", finish="stop", model="")),
    ([delta(content="a"), event({"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]})], Reply("a", finish="stop")),
    ([event({"choices": [{"index": 1, "delta": {"content": "b"}}]}), delta(content="a"), END], Reply("a", finish="stop", model="m")),
    ([delta(content=None, refusal="I w"), delta(refusal="ill not"), END], Reply(refusal="I will not", finish="stop")),
    (
        [delta(function_call={"name": "f", "arguments": ""}), delta(function_call={"arguments": "{}"}), END],
        Reply(None, (Call("", "f", "{}"),), "stop"),
    ),
    ([delta(content="x", tool_calls=[call(index=0)]), delta("length")], Reply("x", finish="length")),
    ([delta(content="half \ud83c"), delta(content="\udf89"), END], Reply("half 🎉", finish="stop")),
    ([delta(content="a").replace(b"\n", b"\r\n"), END.replace(b"\n", b"\r")], Reply("a", finish="stop")),
    ([b"\xef\xbb\xbf", delta(content="a"), END], Reply("a", finish="stop")),
    (
        [delta(reasoning="h", channel="analysis"), delta(reasoning="m"), delta(content="a"), END],
        Reply("a", finish="stop", extra={"reasoning": "hm"}),
    ),
    (
        [
            delta(reasoning_details=[{"type": "reasoning.text", "index": 0, "text": "h", "signature": None}]),
            delta(reasoning_details=[{"type": "reasoning.text", "index": 0, "text": "m", "signature": "s"}]),
            delta(reasoning_details=[{"type": "reasoning.encrypted", "index": 1, "data": "d"}, "odd"], reasoning="x"),
            delta("stop", content="a", reasoning=["odd"]),
        ],
        Reply(
            "a",
            finish="stop",
            extra={
                "reasoning_details": [
                    {"type": "reasoning.text", "index": 0, "text": "hm", "signature": "s"},
                    {"type": "reasoning.encrypted", "index": 1, "data": "d"},
                    "odd",
                ],
                "reasoning": ["odd"],
            },
        ),
    ),
    (
        [
            delta(extra_content={"google": {"thought": True}}),
            delta("stop", content="a", extra_content={"google": {"thought_signature": "s"}}, level="x"),
        ],
        Reply("a", finish="stop", extra={"extra_content": {"google": {"thought": True, "thought_signature": "s"}}, "level": "x"}),
    ),
    (
        [
            delta(content="so "),
            delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "h"}]}]),
            delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "m"}, 3]}, {"type": "reasoning", "text": 3}]),
            delta(content=[{"type": "text", "text": "a"}]),
            delta("stop", content="b"),
        ],
        Reply(
            "so ab",
            finish="stop",
            extra={
                "content": [
                    {"type": "text", "text": "so "},
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}, 3]},
                    {"type": "reasoning", "text": 3},
                    {"type": "text", "text": "ab"},
                ]
            },
        ),
    ),
    ([delta(content="a")], BadReply),
    ([delta(content="a"), delta(content="b")[:-9]], BadReply),
    ([delta(content="a"), b"data: {cut\n\n", END], BadReply),
    ([b"data: [1]\n\n"], BadReply),
    ([delta(tool_calls=[call(index=0)])], BadReply),
    ([b""], BadReply),
    ([b"<html>busy</html>"], BadReply),
    ([b"data: [DONE]\n\n"], BadReply),
    ([END], BadReply),
    ([event({"choices": [{"delta": "odd"}]})], BadReply),
    ([delta(content="a"), event({"error": {"code": 502, "message": "m"}})], ProviderError),
    ([delta(content="a"), event({"error": "text"}), b"data: [DONE]\n\n"], ProviderError),
    ([b"event: error\n" + event({"error": {"code": "tool_use_failed"}})], BadReply),
    ([b"event: error\n" + event("odd")], ProviderError),
    ([b'{"error": {"code": 429}}'], RateLimited),
    ([b'{"cut": '], BadReply),
]


@pytest.mark.parametrize(("pieces", "expected"), STREAMS)
def test_a_stream_is_read_as(pieces: list[bytes], expected: Any):
    for cut in (pieces, [b"".join(pieces)], [bytes([byte]) for byte in b"".join(pieces)]):
        if isinstance(expected, Reply):
            model = "m" if any(b'"model": "m"' in piece for piece in pieces) else ""
            assert streamed(*cut) == expected._replace(model=model, dialect="openai-chat")
        else:
            with pytest.raises(ProviderError) as raised:
                streamed(*cut)
            assert type(raised.value) is expected


def test_deltas_show_what_comes_as_it_comes():
    decoder = StreamDecoder()
    shown = [
        delta(role="assistant", content=""),
        delta(reasoning="h", reasoning_content="h"),
        delta(content="a"),
        delta(content=[{"type": "thinking", "thinking": "m"}, {"type": "text", "text": "b"}]),
        delta(tool_calls=[{"index": 0, "id": "c1", "function": {"name": "f", "arguments": ""}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": "{}"}}]),
    ]
    deltas = [one for piece in shown for one in decoder.feed(piece)]
    assert deltas == [
        ReasoningDelta("h"),
        TextDelta("a"),
        ReasoningDelta("m"),
        TextDelta("b"),
        CallDelta(0, "f", ""),
        CallDelta(0, "", "{}"),
    ]


def test_a_stream_says_when_it_is_finished_and_when_it_is_done():
    decoder = StreamDecoder()
    decoder.feed(delta(content="a"))
    assert (decoder.finished, decoder.done) == (False, False)
    decoder.feed(END)
    assert (decoder.finished, decoder.done) == (True, False)
    decoder.feed(b"data: [DONE]\n\n")
    assert (decoder.finished, decoder.done) == (True, True)


def test_chunks_may_come_as_values():
    decoder = StreamDecoder()
    assert decoder.take({"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}) == [TextDelta("a")]
    assert decoder.reply().text == "a"


def test_a_field_that_grows_piece_by_piece_is_joined_in_place():
    assembly = Assembly("", "")
    for number in range(3):
        piece = {"x": {f"k{number}": [number], "n": {"at": number}}, "d": [{"type": "t", "index": number // 2, "text": "a"}]}
        assembly.take_chunk({"choices": [{"delta": {"content": "x"} | piece}]}, [])
    assert assembly.extra.all() == {
        "x": {"k0": [0], "n": {"at": 2}, "k1": [1], "k2": [2]},
        "d": [{"type": "t", "index": 0, "text": "aa"}, {"type": "t", "index": 1, "text": "a"}],
    }


def test_an_id_that_comes_late_and_is_anothers_leaves_what_goes_on_by_it_alone():
    decoder = StreamDecoder()
    pieces = [
        {"index": 0, "function": {"name": "a", "arguments": ""}},
        {"index": 1, "id": "x", "function": {"name": "b", "arguments": '{"n":'}},
        {"index": 0, "id": "x", "function": {"arguments": "{}"}},
        {"id": "x", "function": {"arguments": "1}"}},
    ]
    for piece in pieces:
        decoder.take({"choices": [{"delta": {"tool_calls": [piece]}}]})
    decoder.take({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
    assert [(call.id, call.name, call.arguments) for call in decoder.reply().calls] == [("x", "a", "{}"), ("x", "b", '{"n":1}')]

"""Chat Completions, as a client: what is sent, and what every kind of answer becomes."""

import json
from typing import Any

import pytest

from segue.core.messages import Assistant, Call, Reply, System, ToolAnswer, Usage, User
from segue.errors import BadReply, ContextTooLong, ProviderError, ProviderRefused, RateLimited, UsageError
from segue.model import CallDelta, ModelRequest, ModelSettings, OutputSpec, ReasoningDelta, TextDelta, ToolSpec
from segue.wire.openai_chat import Form, StreamDecoder, decode_reply, encode_request, nine
from segue.wire.openai_chat_server import StreamEncoder, encode_reply

WEATHER = ToolSpec("weather", "Look outside.", {"type": "object", "properties": {"city": {"type": "string"}}})


def sent(*messages: Any, form: Form = Form(), **request: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(encode_request(ModelRequest(list(messages), **request), "m", form))
    return body


def one(message: Any, form: Form = Form()) -> dict[str, Any]:
    said: dict[str, Any] = sent(message, form=form)["messages"][0]
    return said


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


# --- requests

MESSAGES = [
    (System("Be kind."), {"role": "system", "content": "Be kind."}),
    (User("Hi"), {"role": "user", "content": "Hi"}),
    (User("Hi", "ann"), {"role": "user", "content": "Hi", "name": "ann"}),
    (User([{"type": "text", "text": "Hi"}]), {"role": "user", "content": [{"type": "text", "text": "Hi"}]}),
    (Assistant("Yes", agent="triage"), {"role": "assistant", "content": "Yes"}),
    (Assistant("Yes", ()), {"role": "assistant", "content": "Yes"}),
    (Assistant(None, refusal="I will not"), {"role": "assistant", "content": "I will not"}),
    (Assistant(None), {"role": "assistant", "content": ""}),
    (Assistant(None, (Call("c1", "f", "{}"),)), called(call())),
    (Assistant(None, (Call("c1", "f", '{"a": '),)), called(call(arguments='{"not_json":"{\\"a\\": "}'))),
    (Assistant("", (Call("c1", "f", ""),)), called(call(), content="")),
    (Assistant("x", extra={"reasoning": "hm", "annotations": [1]}), {"role": "assistant", "content": "x", "reasoning": "hm"}),
    (Assistant("x", extra={"reasoning": "hm"}, dialect="openai-chat"), {"role": "assistant", "content": "x", "reasoning": "hm"}),
    (Assistant("x", extra={"items": []}, dialect="openai-responses"), {"role": "assistant", "content": "x"}),
    (Assistant(None, (Call("c1", "f", "{}", {"sig": "s"}),), dialect="openai-chat"), called(call(sig="s"))),
    (Assistant(None, (Call("c1", "f", "{}", {"sig": "s"}),), dialect="openai-chat/groq"), called(call())),
    (ToolAnswer("c1", "f", "done"), {"role": "tool", "tool_call_id": "c1", "content": "done"}),
    (ToolAnswer("c1", "f", [{"type": "text", "text": "a"}, {"type": "text"}]), {"role": "tool", "tool_call_id": "c1", "content": "a\n"}),
    (User("half \ud83c"), {"role": "user", "content": "half \ufffd"}),
]


@pytest.mark.parametrize(("message", "wire"), MESSAGES)
def test_a_message_is_written_as(message: Any, wire: dict[str, Any]):
    assert one(message) == wire


def test_images_of_tools_follow_their_answers_as_a_users_message():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    answers = [ToolAnswer("c1", "f", [{"type": "text", "text": "see"}, image]), ToolAnswer("c2", "f", "x"), ToolAnswer("c3", "f", [image])]
    tools = [
        {"role": "tool", "tool_call_id": "c1", "content": "see\n(see the next user message)"},
        {"role": "tool", "tool_call_id": "c2", "content": "x"},
        {"role": "tool", "tool_call_id": "c3", "content": "(see the next user message)"},
    ]
    shown = {"role": "user", "content": [image, image]}
    cache: dict[Any, Any] = {}
    assert sent(*answers, cache=cache)["messages"] == [*tools, shown]
    assert sent(*answers, User("more"), cache=cache)["messages"] == [*tools, shown, {"role": "user", "content": "more"}]


def test_a_bare_request_holds_nothing_but_model_and_messages():
    assert sent(User("Hi")) == {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def test_a_stream_is_asked_for_with_its_usage():
    assert sent(User("Hi"), stream=True) == sent(User("Hi")) | {"stream": True, "stream_options": {"include_usage": True}}
    assert "stream_options" not in sent(User("Hi"), stream=True, form=Form(stream_usage=False))


SETTINGS = [
    (ModelSettings(temperature=0.0, top_p=0.5, seed=7), {"temperature": 0.0, "top_p": 0.5, "seed": 7}),
    (ModelSettings(max_tokens=9), {"max_completion_tokens": 9}),
    (ModelSettings(stop=("a", "b")), {"stop": ["a", "b"]}),
    (ModelSettings(reasoning_effort="low"), {"reasoning_effort": "low"}),
    (ModelSettings(extra={"top_k": 4, "model": "other"}), {"top_k": 4, "model": "other"}),
    (ModelSettings(tool_choice="required", parallel_tool_calls=True), {}),
]


@pytest.mark.parametrize(("settings", "fields"), SETTINGS)
def test_settings_are_written_as(settings: ModelSettings, fields: dict[str, Any]):
    assert sent(User("Hi"), settings=settings) == sent(User("Hi")) | fields


@pytest.mark.parametrize(
    ("choice", "wire"), [("auto", "auto"), ("none", "none"), ("weather", {"type": "function", "function": {"name": "weather"}})]
)
def test_a_choice_of_tools_is_written_as(choice: str, wire: Any):
    settings = ModelSettings(tool_choice=choice, parallel_tool_calls=False)
    asked = sent(User("Hi"), tools=(WEATHER, WEATHER._replace(strict=True)), settings=settings)
    assert (asked["tool_choice"], asked["parallel_tool_calls"]) == (wire, False)
    function = {"name": "weather", "description": "Look outside.", "parameters": WEATHER.parameters}
    assert asked["tools"] == [{"type": "function", "function": function}, {"type": "function", "function": function | {"strict": True}}]


@pytest.mark.parametrize(("strict", "more"), [(None, {}), (True, {"strict": True})])
def test_an_output_type_is_written_as_its_schema(strict: bool | None, more: dict[str, Any]):
    asked = sent(User("Hi"), output=OutputSpec("out", {"type": "object"}, strict))
    assert asked["response_format"] == {"type": "json_schema", "json_schema": {"name": "out", "schema": {"type": "object"}} | more}


@pytest.mark.parametrize("key", ["messages", "stream"])
def test_what_segue_decides_cannot_be_set_beside_it(key: str):
    with pytest.raises(UsageError, match=key):
        sent(User("Hi"), settings=ModelSettings(extra={key: True}))


def test_providers_differ_in_form():
    form = Form(ids="nine", max_tokens="max_tokens", seed="random_seed", parallel=True)
    calls = Assistant(None, (Call("call_12345", "f", "{}"), Call("abcdefgh1", "f", "{}")))
    asked = sent(calls, ToolAnswer("call_12345", "f", "x"), form=form, tools=(WEATHER,), settings=ModelSettings(max_tokens=3, seed=4))
    first, second = (made["id"] for made in asked["messages"][0]["tool_calls"])
    assert (asked["max_tokens"], asked["random_seed"], asked["parallel_tool_calls"]) == (3, 4, True)
    assert second == "abcdefgh1"
    assert asked["messages"][1]["tool_call_id"] == first == nine("call_12345")


def test_nine_letters_stand_for_an_id_each_time_the_same_and_no_two_alike():
    made = {nine(f"call_{number}") for number in range(5000)} | {nine(""), nine("\ud800"), nine("é" * 9)}
    assert len(made) == 5003
    assert all(len(one) == 9 and one.isalnum() and one.isascii() for one in made)


def test_what_was_sent_before_is_not_encoded_again():
    class Spied(dict[str, Any]):
        seen = 0

        def items(self) -> Any:
            Spied.seen += 1
            return super().items()

    first = Assistant("x", extra=Spied(a=1))
    cache: dict[Any, Any] = {}
    messages = [System("s"), User("a"), first]
    once = sent(*messages, cache=cache)
    messages.append(User("b"))
    again = sent(*messages, cache=cache)
    assert Spied.seen == 1
    assert again["messages"] == [*once["messages"], {"role": "user", "content": "b"}]


def test_a_request_is_the_same_with_a_cache_and_without_whatever_changed_between():
    tools, settings = (WEATHER,), ModelSettings(temperature=1.0)
    a, b, c, d = User("a"), Assistant("b"), User("c"), Assistant("d")
    requests: list[dict[str, Any]] = [
        {"messages": [System("s"), a]},
        {"messages": [System("s"), a, b, c]},
        {"messages": [System("new"), a, b, c]},
        {"messages": [a, b, c]},
        {"messages": [System("new"), a, d]},
        {"messages": [System("new"), a]},
        {"messages": []},
        {"messages": [System("new")]},
        {"messages": [System("new"), b, a, c], "tools": tools},
        {"messages": [System("new"), b, a, c], "tools": tools, "settings": settings},
        {"messages": [System("new"), b, a, c], "tools": tools, "settings": settings, "stream": True},
        {"messages": [System("new"), b, c], "tools": tools, "output": OutputSpec("o", {})},
    ]
    cache: dict[Any, Any] = {}
    for request in requests:
        kept = encode_request(ModelRequest(**request, cache=cache), "m")
        assert kept == encode_request(ModelRequest(**request), "m")
        assert [message["role"] for message in json.loads(kept)["messages"]] == [
            {"System": "system", "User": "user", "Assistant": "assistant"}[type(message).__name__] for message in request["messages"]
        ]


def test_agents_and_models_do_not_share_their_bytes():
    cache: dict[Any, Any] = {}
    for agent, model in (("a", "m"), ("b", "m"), ("a", "n"), ("a", "m")):
        request = ModelRequest([System(agent), User("x")], agent=agent, cache=cache)
        asked = json.loads(encode_request(request, model))
        assert (asked["model"], asked["messages"][0]["content"]) == (model, agent)


# --- replies: JSON and stream, both directions

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
    Reply("x", finish="stop", model="m", extra={"reasoning_content": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}),
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
        assert decode_reply(raw) == expected._replace(model=expected.model or ("m" if b'"model": "m"' in raw else ""), dialect="openai-chat")
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
    ([b": PROCESSING\n\n", delta(content="a"), b": ping\n\n", b"data:\n\n", b"data: null\n\n", b"data: {}\n\n", END], Reply("a", finish="stop")),
    ([event({"choices": []}), delta(content="a"), event({"choices": None}), END], Reply("a", finish="stop")),
    ([event({"choices": [{"delta": None}]}), delta(content="a"), END], Reply("a", finish="stop")),
    ([delta(content="a"), END, event({"choices": [], "usage": {"prompt_tokens": 3}})], Reply("a", finish="stop", usage=Usage(3))),
    ([delta(content="a"), event({"choices": [{"delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 3}}]})], Reply("a", finish="stop", usage=Usage(3))),
    ([event({"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]})], Reply("a", finish="stop", model="")),
    ([delta(content="a"), event({"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]})], Reply("a", finish="stop")),
    ([event({"choices": [{"index": 1, "delta": {"content": "b"}}]}), delta(content="a"), END], Reply("a", finish="stop", model="m")),
    ([delta(content=None, refusal="I w"), delta(refusal="ill not"), END], Reply(refusal="I will not", finish="stop")),
    ([delta(function_call={"name": "f", "arguments": ""}), delta(function_call={"arguments": "{}"}), END], Reply(None, (Call("", "f", "{}"),), "stop")),
    ([delta(content="x", tool_calls=[call(index=0)]), delta("length")], Reply("x", finish="length")),
    ([delta(content="half \ud83c"), delta(content="\udf89"), END], Reply("half 🎉", finish="stop")),
    ([delta(content="a").replace(b"\n", b"\r\n"), END.replace(b"\n", b"\r")], Reply("a", finish="stop")),
    ([b"\xef\xbb\xbf", delta(content="a"), END], Reply("a", finish="stop")),
    ([delta(reasoning="h", channel="analysis"), delta(reasoning="m"), delta(content="a"), END], Reply("a", finish="stop", extra={"reasoning": "hm"})),
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
        [delta(extra_content={"google": {"thought": True}}), delta("stop", content="a", extra_content={"google": {"thought_signature": "s"}}, level="x")],
        Reply("a", finish="stop", extra={"extra_content": {"google": {"thought": True, "thought_signature": "s"}}, "level": "x"}),
    ),
    (
        [
            delta(content="so "),
            delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "h"}]}]),
            delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "m"}, 3]}, {"type": "thinking", "thinking": 3}]),
            delta(content=[{"type": "text", "text": "a"}]),
            delta("stop", content="b"),
        ],
        Reply(
            "so ab",
            finish="stop",
            extra={
                "content": [
                    {"type": "text", "text": "so "},
                    {"type": "thinking", "thinking": 3},
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


def test_what_came_from_a_provider_goes_back_to_it():
    raw = body(called(call(extra_content={"google": {"thought_signature": "s"}}), reasoning_content="hm"))
    reply = decode_reply(raw, dialect="openai-chat/gemini")
    message = Assistant(reply.text, reply.calls, extra=reply.extra, dialect=reply.dialect)
    assert one(message, Form(dialect="openai-chat/gemini")) == called(call(extra_content={"google": {"thought_signature": "s"}}), reasoning_content="hm")
    assert one(message) == called(call())

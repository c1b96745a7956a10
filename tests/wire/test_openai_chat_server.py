"""Chat Completions, as a server."""

import json
from typing import Any

import pytest

from segue.core.messages import Assistant, Call, Reply, System, ToolAnswer, User
from segue.errors import ProviderRefused, UsageError
from segue.model import CallDelta, ModelSettings, OutputSpec, ReasoningDelta, TextDelta, ToolSpec
from segue.wire.openai_chat import StreamDecoder
from segue.wire.openai_chat_server import LAST, StreamEncoder, decode_request, encode_error

HI = [{"role": "user", "content": "Hi"}]


def test_a_request_is_read_into_messages():
    calls = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    served = decode_request(
        json.dumps(
            {
                "model": "triage",
                "stream": True,
                "stream_options": {"include_usage": True},
                "messages": [
                    {"role": "system", "content": "s"},
                    *HI,
                    {"role": "assistant", "content": None, "tool_calls": calls},
                    {"role": "tool", "tool_call_id": "c1", "content": "x"},
                ],
            }
        ).encode()
    )
    assert (served.model, served.stream, served.include_usage) == ("triage", True, True)
    assert served.messages == (System("s"), User("Hi"), Assistant(None, (Call("c1", "f", "{}"),)), ToolAnswer("c1", "f", "x"))


def test_tools_settings_and_output_are_read():
    parameters = {"type": "object", "properties": {"a": {}}}
    served = decode_request(
        {
            "model": "m",
            "messages": HI,
            "tools": [
                {"type": "function", "function": {"name": "f", "description": "d", "parameters": parameters, "strict": True}},
                {"function": {"name": "g"}},
            ],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "temperature": 1,
            "top_p": 0.5,
            "max_tokens": 3,
            "max_completion_tokens": 4,
            "seed": 5,
            "stop": "x",
            "parallel_tool_calls": False,
            "reasoning_effort": "low",
            "response_format": {"type": "json_schema", "json_schema": {"name": "o", "schema": {"type": "object"}, "strict": True}},
            "user": "ann",
        }
    )
    assert served.tools == (ToolSpec("f", "d", parameters, True), ToolSpec("g", "", {"type": "object", "properties": {}}))
    assert served.settings == ModelSettings(1.0, 0.5, 4, 5, ["x"], "f", False, "low", {"user": "ann"})
    assert served.output == OutputSpec("o", {"type": "object"}, True)


def test_what_is_not_known_here_is_kept():
    form = {"type": "json_object"}
    served = decode_request({"model": "m", "messages": HI, "response_format": form, "max_tokens": 3, "tool_choice": "any", "stop": None})
    assert served.settings == ModelSettings(max_tokens=3, tool_choice="required", extra={"response_format": form})
    assert (served.output, served.stream, served.include_usage) == (None, False, False)


WRONG: list[tuple[Any, str]] = [
    (b"{", "not JSON"),
    (b"[]", "no JSON object"),
    ({"messages": HI}, "model is missing"),
    ({"model": 7, "messages": HI}, "model must be a string"),
    ({"model": "m"}, "messages is missing"),
    ({"model": "m", "messages": "Hi"}, "messages must be a list"),
    ({"model": "m", "messages": ["Hi"]}, "messages must be a list of objects"),
    ({"model": "m", "messages": [{"role": "bot", "content": "x"}]}, r"messages\[0\]"),
    ({"model": "m", "messages": HI, "temperature": True}, "temperature must be a number"),
    ({"model": "m", "messages": HI, "seed": 1.5}, "seed must be a whole number"),
    ({"model": "m", "messages": HI, "stream": "yes"}, "stream must be true or false"),
    ({"model": "m", "messages": HI, "stop": [1]}, "stop must be"),
    ({"model": "m", "messages": HI, "tool_choice": 1}, "tool_choice must be"),
    ({"model": "m", "messages": HI, "tool_choice": {"type": "function"}}, "tool_choice must name"),
    ({"model": "m", "messages": HI, "tools": [{"type": "custom"}]}, r"tools\[0\]"),
    ({"model": "m", "messages": HI, "response_format": {"type": "json_schema"}}, "no schema"),
]


@pytest.mark.parametrize(("body", "words"), WRONG)
def test_what_is_wrong_with_a_request_is_said(body: Any, words: str):
    with pytest.raises(UsageError, match=words):
        decode_request(body)


def test_pieces_are_written_as_they_pass():
    encoder = StreamEncoder("m", reply_id="r", created=3)
    passing = [ReasoningDelta("h"), TextDelta("a"), CallDelta(0, "f", "{"), CallDelta(0, "", "}"), CallDelta(1, "g", "{}")]
    raw = b"".join(map(encoder.delta, passing)) + encoder.end(Reply("a"))
    first = json.loads(raw.split(b"\n")[0][6:])
    assert (first["id"], first["created"], first["choices"][0]["delta"]["role"]) == ("r", 3, "assistant")
    assert b"usage" not in raw
    assert raw.endswith(LAST)
    decoder = StreamDecoder()
    assert decoder.feed(raw) == passing
    assert decoder.reply().calls == (Call("call_0", "f", "{}"), Call("call_1", "g", "{}"))


def test_extra_fields_of_another_dialect_are_not_written():
    reply = Reply("a", finish="stop", extra={"items": []}, dialect="openai-responses")
    decoder = StreamDecoder()
    decoder.feed(StreamEncoder("m").whole(reply))
    assert decoder.reply().extra == {}


def test_an_error_is_written_with_its_words_and_name():
    error = ProviderRefused("acme said no.", code="model_not_found")
    assert json.loads(encode_error(error)) == {"error": {"message": "acme said no.", "type": "ProviderRefused", "code": "model_not_found"}}
    assert json.loads(encode_error(UsageError("x")))["error"]["code"] is None


def test_what_is_no_piece_is_a_bug_of_ours():
    with pytest.raises(AssertionError):
        StreamEncoder("m").delta("Hi")  # type: ignore[arg-type]

"""The Responses API, as a server."""

import json
from typing import Any

import pytest

from segue.core.messages import Assistant, Call, Reply, System, ToolAnswer, User
from segue.errors import UsageError
from segue.model import CallDelta, ModelSettings, OutputSpec, ReasoningDelta, TextDelta, ToolSpec
from segue.wire.openai_responses import StreamDecoder
from segue.wire.openai_responses_server import StreamEncoder, decode_request

CALLS = [{"type": "function_call", "call_id": f"c{place}", "name": "f", "arguments": "{}"} for place in (1, 2)]


def messages(*items: Any, **more: Any) -> tuple[Any, ...]:
    return decode_request(json.dumps({"model": "m", "input": list(items)} | more).encode()).messages


def test_a_text_is_a_users_message():
    served = decode_request({"model": "triage", "input": "Hi", "instructions": "s", "stream": True})
    assert (served.model, served.messages, served.stream) == ("triage", (System("s"), User("Hi")), True)


ITEMS: list[tuple[list[Any], tuple[Any, ...]]] = [
    ([{"role": "user", "content": "Hi"}], (User("Hi"),)),
    ([{"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "s"}]}], (System("s"),)),
    ([{"role": "assistant", "content": [{"type": "output_text", "text": "Hi", "annotations": []}]}], (Assistant("Hi"),)),
    ([{"role": "assistant", "content": "Wait"}, *CALLS], (Assistant("Wait", (Call("c1", "f", "{}"), Call("c2", "f", "{}"))),)),
    ([{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}], (Assistant("a"), Assistant("b"))),
    (
        [CALLS[0], {"type": "function_call_output", "call_id": "c1", "output": "x"}],
        (Assistant(None, (Call("c1", "f", "{}"),)), ToolAnswer("c1", "f", "x")),
    ),
    ([{"type": "reasoning", "summary": []}, {"role": "user", "content": "Hi"}], (User("Hi"),)),
    (
        [
            {
                "role": "user",
                "content": [
                    {"type": "input_image", "image_url": "data:x"},
                    {"type": "input_file", "file_id": "f"},
                    {"type": "odd"},
                ],
            }
        ],
        (
            User(
                [
                    {"type": "image_url", "image_url": {"url": "data:x"}},
                    {"type": "file", "file": {"file_id": "f"}},
                    {"type": "odd"},
                ]
            ),
        ),
    ),
]


@pytest.mark.parametrize(("items", "read"), ITEMS)
def test_items_are_read_as(items: list[Any], read: tuple[Any, ...]):
    assert messages(*items) == read


def test_tools_settings_and_output_are_read():
    served = decode_request(
        {
            "model": "m",
            "input": "Hi",
            "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": False}],
            "tool_choice": {"type": "function", "name": "f"},
            "temperature": 0.5,
            "top_p": 0.6,
            "max_output_tokens": 3,
            "parallel_tool_calls": True,
            "reasoning": {"effort": "low"},
            "text": {"format": {"type": "json_schema", "name": "o", "schema": {}}},
            "user": "ann",
        }
    )
    assert served.tools == (ToolSpec("f", "d", {"type": "object"}, False),)
    assert served.settings == ModelSettings(0.5, 0.6, 3, None, None, "f", True, "low", {"user": "ann"})
    assert served.output == OutputSpec("o", {})


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"input": "Hi"}, "model is missing"),
    ({"model": "m"}, "input is missing"),
    ({"model": "m", "input": [{"type": "odd"}]}, r"input\[0\].*no type"),
    ({"model": "m", "input": [{"role": "bot", "content": "x"}]}, r"input\[0\].*no role"),
    ({"model": "m", "input": [{"role": "user"}]}, r"input\[0\]"),
    ({"model": "m", "input": [{"role": "user", "content": 7}]}, r"input\[0\]"),
    ({"model": "m", "input": "Hi", "previous_response_id": "resp_1"}, "previous_response_id"),
    ({"model": "m", "input": "Hi", "tools": [{"type": "web_search"}]}, r"tools\[0\]"),
]


@pytest.mark.parametrize(("body", "words"), WRONG)
def test_what_is_wrong_with_a_request_is_said(body: dict[str, Any], words: str):
    with pytest.raises(UsageError, match=words):
        decode_request(body)


def test_pieces_are_written_as_they_pass():
    encoder = StreamEncoder("m", reply_id="r", created=3)
    passing = [ReasoningDelta("h"), TextDelta("H"), TextDelta("i"), CallDelta(0, "f", ""), CallDelta(0, "", "{}"), CallDelta(1, "g", "")]
    reply = Reply("Hi", (Call("c1", "f", "{}"), Call("c2", "g", "{}")), "tool_calls", model="m", dialect="openai-responses")
    raw = encoder.begin() + b"".join(map(encoder.delta, passing)) + encoder.end(reply)
    decoder = StreamDecoder()
    shown = decoder.feed(raw)
    assert [one for one in shown if one not in (CallDelta(0, "", ""), CallDelta(1, "", ""))] == passing
    assert decoder.reply() == reply
    events = [json.loads(line[6:]) for line in raw.split(b"\n") if line.startswith(b"data: ")]
    assert [one["sequence_number"] for one in events] == list(range(len(events)))
    assert (events[0]["response"]["id"], events[0]["response"]["created_at"]) == ("r", 3)


def test_what_is_no_piece_is_a_bug_of_ours():
    with pytest.raises(AssertionError):
        StreamEncoder("m").delta("Hi")  # type: ignore[arg-type]

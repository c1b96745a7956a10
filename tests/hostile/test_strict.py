"""The strict server is strict: each of its rules refuses something, and what is sound passes."""

import json
from typing import Any

import pytest

from tests.hostile.strict import chat_fault, responses_fault
from tests.loopback import call

SYSTEM = {"role": "system", "content": "You are Triage."}
USER = {"role": "user", "content": "Hi"}
ASKS = {"role": "assistant", "content": None, "tool_calls": [call("refund", "{}", "a")]}
TOOL = {"role": "tool", "tool_call_id": "a", "content": "ok"}
OFFER = {"type": "function", "function": {"name": "refund", "description": "", "parameters": {"type": "object"}}}


def chat(*messages: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages), **fields}


def asks(**changes: Any) -> dict[str, Any]:
    return {**ASKS, **changes}


def calls(*made: Any) -> dict[str, Any]:
    return asks(tool_calls=list(made))


SOUND = [
    chat(SYSTEM, USER),
    chat(USER, tools=[OFFER], parallel_tool_calls=True),
    chat(SYSTEM, USER, ASKS, TOOL),
    chat(SYSTEM, USER, {"role": "assistant", "content": "Hello"}, USER),
    chat(USER, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": [{"type": "text", "text": "Hi"}]}),
    chat(USER, calls(call("f", "{}", "a"), call("f", "{}", "b")), {**TOOL, "tool_call_id": "b"}, TOOL),
    chat(USER, stream=True, stream_options={"include_usage": True}),
]
FAULTY: dict[str, Any] = {
    "no messages": chat(),
    "only the system's": chat(SYSTEM),
    "no model": {"messages": [USER]},
    "an unknown field": chat(USER, colour="red"),
    "two system messages": chat(SYSTEM, SYSTEM, USER),
    "a system message later": chat(USER, SYSTEM),
    "an unknown role": chat({"role": "function", "content": "x"}),
    "the assistant first": chat(SYSTEM, {"role": "assistant", "content": "x"}, USER),
    "the assistant last": chat(USER, {"role": "assistant", "content": "x"}),
    "an empty user message": chat({"role": "user", "content": ""}),
    "a user message of null": chat({"role": "user", "content": None}),
    "a part of an unknown kind": chat({"role": "user", "content": [{"type": "mystery"}]}),
    "a file part that is a tool's data": chat({"role": "user", "content": [{"type": "file", "path": "/a"}]}),
    "a call that is not answered": chat(USER, ASKS, USER),
    "a call that is not answered at the end": chat(USER, ASKS),
    "one of two calls not answered": chat(USER, calls(call("f", "{}", "a"), call("f", "{}", "b")), TOOL, USER),
    "an answer without a call": chat(USER, TOOL),
    "an answer twice": chat(USER, ASKS, TOOL, TOOL),
    "an answer under another id": chat(USER, ASKS, {**TOOL, "tool_call_id": "b"}),
    "an answer with a name": chat(USER, ASKS, {**TOOL, "name": "refund"}),
    "an answer of null": chat(USER, ASKS, {**TOOL, "content": None}),
    "an id used twice": chat(USER, ASKS, TOOL, ASKS, TOOL),
    "an empty id": chat(USER, calls(call("f", "{}", "")), {**TOOL, "tool_call_id": ""}),
    "an id of null": chat(USER, calls({**call("f", "{}"), "id": None}), {**TOOL, "tool_call_id": None}),
    "no calls in a list of calls": chat(USER, asks(tool_calls=[], content="x"), USER),
    "an assistant who says nothing": chat(USER, {"role": "assistant", "content": None}, USER),
    "an assistant who says nothing at length": chat(USER, {"role": "assistant", "content": ""}, USER),
    "an empty name": chat(USER, calls(call("", "{}", "a")), TOOL),
    "a name with a space": chat(USER, calls(call("re fund", "{}", "a")), TOOL),
    "a name of 65 characters": chat(USER, calls(call("r" * 65, "{}", "a")), TOOL),
    "arguments that are cut": chat(USER, calls(call("f", '{"a', "a")), TOOL),
    "arguments that are a list": chat(USER, calls(call("f", "[]", "a")), TOOL),
    "arguments that are an object": chat(USER, calls({**call("f", ""), "id": "a", "function": {"name": "f", "arguments": {}}}), TOOL),
    "a call without a type": chat(USER, calls({"id": "a", "function": {"name": "f", "arguments": "{}"}}), TOOL),
    "a call of another type": chat(USER, calls({**call("f", "{}", "a"), "type": "custom"}), TOOL),
    "an unknown field of a message": chat(USER, asks(mood="good"), TOOL),
    "two tools of one name": chat(USER, tools=[OFFER, OFFER]),
    "no tools in a list of tools": chat(USER, tools=[]),
    "stream_options without stream": chat(USER, stream_options={}),
    "parallel_tool_calls without tools": chat(USER, parallel_tool_calls=True),
    "half a surrogate pair": chat({"role": "user", "content": "\ud800"}),
    "a number that is none": chat(USER, stream=float("nan")),
}

RUSER = {"role": "user", "content": "Hi"}
RCALL = {"type": "function_call", "call_id": "a", "name": "refund", "arguments": "{}"}
ROUT = {"type": "function_call_output", "call_id": "a", "output": "ok"}


def response(*items: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "input": list(items), **fields}


RSOUND = [
    response(RUSER),
    response(RUSER, RCALL, ROUT),
    response(RUSER, RCALL, {**RCALL, "call_id": "b"}, {**ROUT, "call_id": "b"}, ROUT),
    response(RUSER, {"role": "assistant", "content": "x"}, RCALL, ROUT),
]
RFAULTY: dict[str, Any] = {
    "no items": response(),
    "a call that is not answered": response(RUSER, RCALL),
    "a call that is not answered before the user speaks": response(RUSER, RCALL, RUSER, ROUT),
    "a call between another call and its output": response(RUSER, RCALL, {**RCALL, "call_id": "b"}, ROUT, {**RCALL, "call_id": "c"}),
    "an output without a call": response(RUSER, ROUT),
    "an output twice": response(RUSER, RCALL, ROUT, ROUT),
    "an id used twice": response(RUSER, RCALL, ROUT, RCALL, ROUT),
    "an empty id": response(RUSER, {**RCALL, "call_id": ""}, {**ROUT, "call_id": ""}),
    "an illegal name": response(RUSER, {**RCALL, "name": "re fund"}, ROUT),
    "arguments that are cut": response(RUSER, {**RCALL, "arguments": "{"}, ROUT),
    "an unknown kind": response(RUSER, {"type": "mystery"}, RUSER),
    "the assistant last": response(RUSER, {"role": "assistant", "content": "x"}),
    "the assistant first": response({"role": "assistant", "content": "x"}, RUSER),
    "an empty message": response({"role": "user", "content": ""}),
    "an unknown field": response(RUSER, messages=[]),
    "an output that is an object": response(RUSER, RCALL, {**ROUT, "output": {}}),
}


@pytest.mark.parametrize("body", SOUND)
def test_a_sound_chat_request_passes(body: Any):
    assert chat_fault(json.dumps(body).encode()) is None


@pytest.mark.parametrize("body", FAULTY.values(), ids=FAULTY)
def test_a_faulty_chat_request_is_refused(body: Any):
    assert chat_fault(json.dumps(body).encode())


@pytest.mark.parametrize("body", RSOUND)
def test_a_sound_responses_request_passes(body: Any):
    assert responses_fault(json.dumps(body).encode()) is None


@pytest.mark.parametrize("body", RFAULTY.values(), ids=RFAULTY)
def test_a_faulty_responses_request_is_refused(body: Any):
    assert responses_fault(json.dumps(body).encode())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model": "m", "model": "n", "messages": []}', b"\xff"])
def test_what_is_no_json_object_is_refused(body: bytes):
    assert chat_fault(body)


def test_what_a_server_has_said_itself_it_takes_back():
    body = json.dumps(chat(USER, asks(reasoning_content="hm"), TOOL)).encode()
    assert chat_fault(body)
    assert chat_fault(body, {"reasoning_content"}) is None

"""What OpenAI refuses in a request, written from its rules and from nothing of Segue's.
`chat_fault` and `responses_fault` say what is wrong with a body, or `None`. Where OpenAI is lenient and another provider is
not (ids used twice, the assistant's word last, arguments that are no object), the other one holds."""

import json
import re
from collections.abc import Callable
from typing import Any

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
LONGEST_TEXT = 10_485_760
CHAT_FIELDS = {"model", "messages", "tools", "tool_choice", "parallel_tool_calls", "stream", "stream_options", "response_format"}
RESPONSES_FIELDS = {"model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "stream", "store", "include", "text"}
PARTS = {"text": "text", "image_url": "image_url", "input_audio": "input_audio", "file": "file"}
INPUT_PARTS = {"input_text": "text", "input_image": "image_url", "input_file": ""}


class Refused(Exception):
    """A rule that was broken."""


def need(good: Any, words: str) -> None:
    if not good:
        raise Refused(words)


def fault_of(check: Callable[[dict[str, Any], set[str]], None], body: bytes, said: set[str]) -> str | None:
    try:
        check(_json(body), said)
    except Refused as refused:
        return str(refused)
    return None


def chat_fault(body: bytes, said: set[str] = frozenset()) -> str | None:  # type: ignore[assignment]
    """What Chat Completions would refuse. `said`: unknown message fields that this server has sent itself."""
    return fault_of(_chat, body, said)


def responses_fault(body: bytes, said: set[str] = frozenset()) -> str | None:  # type: ignore[assignment]
    """What the Responses API would refuse. `said`: kinds of items that this server has sent itself."""
    return fault_of(_responses, body, said)


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_pairs, parse_constant=_constant)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # an escape may hide half a surrogate pair
    except (ValueError, RecursionError) as error:
        raise Refused(f"the body is not JSON: {error}") from error
    need(isinstance(value, dict), "the body is no object")
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    need(len(dict(pairs)) == len(pairs), "a key is there twice")
    return dict(pairs)


def _constant(word: str) -> None:
    raise Refused(f"{word} is not JSON")


def _text(value: Any, what: str, *, empty: bool = False) -> None:
    need(isinstance(value, str) and (value or empty), f"{what} is no text, or empty")
    need(len(value) <= LONGEST_TEXT, f"{what} is too long")


def _parts(content: Any, kinds: dict[str, str], what: str) -> None:
    need(isinstance(content, list) and content, f"{what} is neither text nor a list of parts")
    for part in content:
        need(isinstance(part, dict) and part.get("type") in kinds, f"{what} has a part of an unknown kind")
        key = kinds[part["type"]]
        need(not key or key in part, f"{what} has a {part['type']} part without its {key}")
        need(part.keys() <= {"type", key, "detail", "file_data", "filename", "file_id"}, f"{what} has a part with unknown fields")
        if key == "text":
            _text(part["text"], what, empty=True)


def _function(function: Any, what: str) -> None:
    need(isinstance(function, dict), f"{what} has no function")
    need(isinstance(function.get("name"), str) and NAME.fullmatch(function["name"]), f"{what} has an illegal name")


def _arguments(arguments: Any, what: str) -> None:
    need(isinstance(arguments, str), f"{what} has arguments that are no text")
    try:
        need(isinstance(json.loads(arguments), dict), f"{what} has arguments that are no object")
    except (ValueError, RecursionError) as error:
        raise Refused(f"{what} has arguments that are not JSON") from error


def _tools(body: dict[str, Any], inner: str | None) -> None:
    tools = body.get("tools")
    need(tools is None or (isinstance(tools, list) and 0 < len(tools) <= 128), "tools is an empty list, or too long")
    names: set[str] = set()
    for tool in tools or ():
        need(tool.get("type") == "function", "a tool is no function")
        function = tool.get(inner) if inner else tool
        _function(function, "a tool")
        need(function["name"] not in names, f"two tools are called {function['name']}")
        names.add(function["name"])
        need(function["parameters"].get("type") == "object", f"the parameters of {function['name']} are no object")
    need(tools or not {"tool_choice", "parallel_tool_calls"} & body.keys(), "tool_choice or parallel_tool_calls without tools")


def _chat(body: dict[str, Any], said: set[str]) -> None:
    need(body.keys() <= CHAT_FIELDS, f"unknown fields {body.keys() - CHAT_FIELDS}")
    _text(body.get("model"), "model")
    need(body.get("stream") is True or "stream_options" not in body, "stream_options without stream")
    _tools(body, "function")
    messages = body.get("messages")
    need(isinstance(messages, list) and messages, "messages is no list, or empty")
    ids: set[str] = set()
    owed: list[str] = []
    for place, message in enumerate(messages):
        where = f"messages[{place}]"
        need(isinstance(message, dict), f"{where} is no object")
        role = message.get("role")
        need(role == "tool" or not owed, f"{where}: the calls {owed} are not answered")
        need(role in ("tool", "user", "assistant") or (role == "system" and place == 0), f"{where} has the role {role}")
        if role == "assistant":
            need(place > 0 and messages[place - 1]["role"] != "system", f"{where}: the assistant speaks first")
            owed = _assistant(message, where, said, ids)
        elif role == "tool":
            need(message.keys() == {"role", "tool_call_id", "content"}, f"{where} has other fields than a tool message has")
            need(message["tool_call_id"] in owed, f"{where} answers no open call")
            owed.remove(message["tool_call_id"])
            _text(message["content"], where, empty=True)
        else:
            need(message.keys() <= {"role", "content", "name"}, f"{where} has unknown fields")
            if not isinstance(message.get("content"), str):
                _parts(message.get("content"), PARTS, where)
            else:
                _text(message["content"], where)
    need(not owed, f"the calls {owed} are not answered")
    need(messages[-1]["role"] in ("user", "tool"), "the last word is the assistant's, or there is none but the system's")


def _assistant(message: dict[str, Any], where: str, said: set[str], ids: set[str]) -> list[str]:
    unknown = message.keys() - {"role", "content", "tool_calls", "refusal"} - said
    need(not unknown, f"{where} has unknown fields {unknown}")
    content, calls = message.get("content"), message.get("tool_calls")
    need("tool_calls" not in message or (isinstance(calls, list) and calls), f"{where} has tool_calls without a call")
    need(content is not None or calls, f"{where} says nothing")
    if isinstance(content, str):
        _text(content, where, empty=bool(calls))
    elif content is not None:
        need("content" in said and isinstance(content, list) and content, f"{where} has content that is no text")
    owed: list[str] = []
    for call in calls or ():
        unknown = call.keys() - {"id", "type", "function"} - said
        need({"id", "type", "function"} <= call.keys() and not unknown and call["type"] == "function", f"{where} has a call that is none")
        _text(call["id"], f"{where}: the id")
        need(call["id"] not in ids, f"{where}: the id {call['id']!r} is used twice")
        ids.add(call["id"])
        _function(call["function"], where)
        need(call["function"].keys() == {"name", "arguments"}, f"{where} has a function with unknown fields")
        _arguments(call["function"]["arguments"], where)
        owed.append(call["id"])
    return owed


def _responses(body: dict[str, Any], said: set[str]) -> None:
    need(body.keys() <= RESPONSES_FIELDS, f"unknown fields {body.keys() - RESPONSES_FIELDS}")
    _text(body.get("model"), "model")
    _text(body.get("instructions", "none"), "instructions")
    _tools(body, None)
    items = body.get("input")
    need(isinstance(items, list) and items, "input is no list, or empty")
    ids: set[str] = set()
    owed: list[str] = []
    last = ""
    for place, item in enumerate(items):
        where = f"input[{place}]"
        need(isinstance(item, dict), f"{where} is no object")
        kind = item.get("type", "message")
        if kind == "function_call":
            need(last != "function_call_output" or not owed, f"{where}: the calls {owed} are not answered")
            need(place > 0, f"{where}: a call comes first")
            need(item.keys() - said <= {"type", "id", "call_id", "name", "arguments"}, f"{where} has unknown fields")
            _text(item.get("call_id"), f"{where}: the call id")
            need(item["call_id"] not in ids, f"{where}: the id {item['call_id']!r} is used twice")
            ids.add(item["call_id"])
            _function(item, where)
            _arguments(item.get("arguments"), where)
            owed.append(item["call_id"])
        elif kind == "function_call_output":
            need(item.keys() == {"type", "call_id", "output"}, f"{where} has other fields than an output has")
            need(item["call_id"] in owed, f"{where} answers no open call")
            owed.remove(item["call_id"])
            _content(item["output"], where, empty=True)
        elif kind == "message":
            assistant = item.get("role") == "assistant"
            need(not owed or assistant, f"{where}: the calls {owed} are not answered")  # a reply may speak after its calls
            need(item.get("role") in ("user", "assistant"), f"{where} has the role {item.get('role')}")
            need(place > 0 or not assistant, f"{where}: the assistant speaks first")
            if assistant and "type" in item and kind in said:
                parts = item.get("content")
                need(isinstance(parts, list), f"{where} has content that is no list")
                need(
                    all(isinstance(part, dict) and part.get("type") in ("output_text", "refusal") for part in parts),
                    f"{where} has odd parts",
                )
            else:
                need(item.keys() == {"role", "content"}, f"{where} has unknown fields")
                _content(item["content"], where)
        else:
            need(kind in said, f"{where} is of the unknown kind {kind}")
        last = kind if kind != "message" else item["role"]
    need(not owed, f"the calls {owed} are not answered")
    need(last in ("user", "function_call_output"), "the last word is the assistant's")


def _content(content: Any, where: str, *, empty: bool = False) -> None:
    if isinstance(content, str):
        _text(content, where, empty=empty)
    else:
        _parts(content, INPUT_PARTS, where)

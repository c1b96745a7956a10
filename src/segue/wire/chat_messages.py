"""Messages as chat-completions dictionaries, the form that users see and hand in.
What we do not know in a dictionary is kept, and sent as it came."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, assert_never

from segue.core.messages import Assistant, Call, Content, Message, System, ToolAnswer, User
from segue.errors import UsageError

_KNOWN = {"role", "content", "tool_calls", "refusal", "name", "function_call", "annotations", "audio", "sender"}
_KNOWN_CALL = {"id", "type", "function", "index"}


def as_chat(message: Message) -> dict[str, Any]:
    """A message as a new chat-completions dictionary."""
    match message:
        case Assistant():
            said: dict[str, Any] = {"role": "assistant", "content": message.text}
            if message.calls:
                said["tool_calls"] = [_call(call) for call in message.calls]
            if message.refusal:
                said["refusal"] = message.refusal
            if message.dialect != "openai-responses":
                said.update(message.extra)
            return said
        case ToolAnswer():
            return {"role": "tool", "tool_call_id": message.call_id, "content": _copied(message.content)}
        case User():
            return {"role": "user", "content": _copied(message.content)} | ({"name": message.name} if message.name else {})
        case System():
            return {"role": "system", "content": message.content}
        case _:
            assert_never(message)


def _copied(content: Content) -> Content:
    return content if isinstance(content, str) else [dict(part) for part in content]


def _call(call: Call) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}, **call.extra}


def from_chat(messages: Iterable[Mapping[str, Any]]) -> tuple[Message, ...]:
    """Read chat-completions dictionaries, or a client's objects for them. Raises `UsageError` that names the first that is neither."""
    fault = _no_list(messages)
    if fault:
        raise UsageError(fault)
    read: list[Message] = []
    names: dict[str, str] = {}
    for place, message in enumerate(messages):
        if not isinstance(message, Mapping) and not hasattr(message, "model_dump"):
            hint = ' Write {"role": "user", "content": ...}.' if isinstance(message, str) else ""
            raise UsageError(f"messages[{place}] must be a chat-completions message, not {type(message).__name__}.{hint}")
        try:
            read.append(_read(message if isinstance(message, Mapping) else message.model_dump(), names))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UsageError(f"messages[{place}] is not a chat-completions message ({type(error).__name__}: {error}).") from None
    return tuple(read)


def _no_list(messages: Any) -> str:
    """What is wrong with messages that are no list of them; a text and a dictionary can be iterated as well."""
    if isinstance(messages, str):
        return 'The messages are a text, not a list. Write [{"role": "user", "content": ...}].'
    if isinstance(messages, Mapping) or hasattr(messages, "model_dump"):
        return "The messages are one message, not a list. Put it into a list: [message]."
    return "" if isinstance(messages, Iterable) else f"The messages must be a list, not {type(messages).__name__}."


def _read(message: Mapping[str, Any], names: dict[str, str]) -> Message:
    content = _content(message.get("content"))
    match message["role"]:
        case "user":
            return User(content or "", message.get("name"))
        case "system" | "developer":
            return System(_text(content) or "")
        case "assistant":
            calls = tuple(_read_call(call) for call in message.get("tool_calls") or ())
            names.update({call.id: call.name for call in calls})
            extra = {key: value for key, value in message.items() if key not in _KNOWN}
            return Assistant(_text(content), calls, str(message.get("sender") or ""), message.get("refusal"), extra)
        case "tool":
            call_id = str(message["tool_call_id"])
            return ToolAnswer(call_id, names.get(call_id, ""), content or "")
        case role:
            raise ValueError(f"no role {role!r}")


def _read_call(call: Mapping[str, Any]) -> Call:
    function = call["function"]
    arguments = function.get("arguments") or ""
    extra = {key: value for key, value in call.items() if key not in _KNOWN_CALL}
    call_id = call.get("id")
    words = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return Call("" if call_id is None else str(call_id), str(function["name"]), words, extra)


def _content(content: Any) -> Content | None:
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return [{"type": "text", "text": part} if isinstance(part, str) else dict(part) for part in content]
    raise TypeError("content is neither text nor a list of parts")


def _text(content: Content | None) -> str | None:
    if content is None or isinstance(content, str):
        return content
    return "".join(part.get("text") or "" for part in content)

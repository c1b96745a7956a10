"""One reply in four forms: Chat Completions and Responses, whole and streamed.
A table gives a reply once, as a Chat Completions message; the streamed form is chopped from it here, and the Responses form
made of it where it can be said there. What is `Raw` goes over the wire as it is."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from segue.models import OpenAIChat, OpenAIResponses
from tests.loopback import DONE, Answer, Bit, call, event, stream, whole

PIECE = 3
"""Characters of a text or of arguments in one streamed piece."""


class Form(Enum):
    CHAT_WHOLE = "chat"
    CHAT_STREAM = "chat-stream"
    RESPONSES_WHOLE = "responses"
    RESPONSES_STREAM = "responses-stream"

    @property
    def streams(self) -> bool:
        return self in (Form.CHAT_STREAM, Form.RESPONSES_STREAM)

    @property
    def whole(self) -> "Form":
        return Form.CHAT_WHOLE if self.is_chat else Form.RESPONSES_WHOLE

    @property
    def is_chat(self) -> bool:
        return self in (Form.CHAT_WHOLE, Form.CHAT_STREAM)

    @property
    def model(self) -> type[OpenAIChat] | type[OpenAIResponses]:
        return OpenAIChat if self.is_chat else OpenAIResponses


WHOLE = (Form.CHAT_WHOLE, Form.RESPONSES_WHOLE)
STREAMS = (Form.CHAT_STREAM, Form.RESPONSES_STREAM)
CHAT = (Form.CHAT_WHOLE, Form.CHAT_STREAM)


@dataclass(frozen=True)
class Said:
    """An assistant's message. `beside`: fields of the choice; `around`: fields of the body."""

    message: Any
    finish: Any = None
    beside: dict[str, Any] = field(default_factory=dict)
    around: dict[str, Any] = field(default_factory=dict)

    def forms(self) -> tuple[Form, ...]:
        message = self.message
        if (
            not isinstance(message, dict)
            or self.beside
            or self.around
            or not message.keys() <= {"role", "content", "tool_calls", "refusal"}
        ):
            return CHAT
        calls = message.get("tool_calls", [])
        plain = (
            message.get("role", "assistant") == "assistant" and isinstance(message.get("content"), str | None) and isinstance(calls, list)
        )
        plain = plain and all(isinstance(one, dict) and isinstance(one.get("function"), dict) for one in calls)
        return tuple(Form) if plain and self.finish in (None, "stop", "tool_calls", "length", "content_filter") else CHAT

    def answer(self, form: Form) -> Answer:
        match form:
            case Form.CHAT_WHOLE:
                return whole(self.body())
            case Form.CHAT_STREAM:
                return stream(*self.chunks(), DONE)
            case Form.RESPONSES_WHOLE:
                return whole(self.response())
            case Form.RESPONSES_STREAM:
                return stream(*response_events(self.response()))

    @property
    def reason(self) -> Any:
        if self.finish is not None or not isinstance(self.message, dict):
            return self.finish
        return "tool_calls" if self.message.get("tool_calls") else "stop"

    def body(self) -> dict[str, Any]:
        choice = {"index": 0, "message": self.message, "finish_reason": self.reason} | self.beside
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        return {"object": "chat.completion", "model": "m", "choices": [choice], "usage": usage} | self.around

    def chunks(self) -> list[bytes]:
        """The message in pieces: its role, its text, its calls, its other fields, its finish, and the usage."""
        deltas = [self.message] if not isinstance(self.message, dict) else list(_deltas(self.message))
        made = [self._chunk(delta, None) for delta in deltas]
        return [
            *made,
            self._chunk({}, self.reason, self.beside),
            event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
        ]

    def _chunk(self, delta: Any, finish: Any, beside: dict[str, Any] | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish} | (beside or {})
        return event({"object": "chat.completion.chunk", "model": "m", "choices": [choice]} | self.around)

    def response(self) -> dict[str, Any]:
        """The message as a response object."""
        message, parts, output = self.message, [], []
        if message.get("content") is not None:
            parts.append({"type": "output_text", "text": message["content"], "annotations": []})
        if message.get("refusal") is not None:
            parts.append({"type": "refusal", "refusal": message["refusal"]})
        if parts:
            output.append({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": parts})
        output += [_function_call(place, one) for place, one in enumerate(message.get("tool_calls", []))]
        made: dict[str, Any] = {"object": "response", "id": "resp_1", "model": "m", "status": "completed", "output": output}
        if self.finish in ("length", "content_filter"):
            reason = "max_output_tokens" if self.finish == "length" else "content_filter"
            made |= {"status": "incomplete", "incomplete_details": {"reason": reason}}
        return made | {"usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}}


def _deltas(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": ""} if "role" not in message else {"role": message["role"]}
    for name, value in message.items():
        if name == "content" and isinstance(value, str):
            yield from ({"content": piece} for piece in _pieces(value))
        elif name == "tool_calls" and isinstance(value, list):
            for index, one in enumerate(value):
                yield from ({"tool_calls": [fragment]} for fragment in _fragments(index, one))
        elif name != "role":
            yield {name: value}


def _fragments(index: int, one: Any) -> Iterator[Any]:
    """A call in pieces: first what it is, then its arguments."""
    function = one.get("function") if isinstance(one, dict) else None
    arguments = function.get("arguments") if isinstance(function, dict) else None
    if not isinstance(arguments, str):
        yield {"index": index, **one} if isinstance(one, dict) else one
        return
    yield {"index": index, **one, "function": {**function, "arguments": ""}}
    yield from ({"index": index, "function": {"arguments": piece}} for piece in _pieces(arguments))


def _pieces(text: str) -> Iterator[str]:
    size = max(PIECE, len(text) // 200)  # a megabyte is not sent three characters at a time
    return (text[at : at + size] for at in range(0, len(text), size))


def _function_call(place: int, one: dict[str, Any]) -> dict[str, Any]:
    made = {"type": "function_call", "id": f"fc_{place}", "status": "completed", **one["function"]}
    return made | ({"call_id": one["id"]} if "id" in one else {})


def response_events(response: dict[str, Any]) -> list[bytes]:
    """A response object as the events that lead to it."""
    begun = event({"type": "response.created", "response": {**response, "status": "in_progress", "output": []}})
    last = event({"type": f"response.{response['status']}", "response": response})
    return [begun, *(event(made) for place, item in enumerate(response["output"]) for made in _item_events(place, item)), last]


def _item_events(place: int, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"type": "response.output_item.added", "output_index": place, "item": {**item, "content": [], "arguments": ""}}
    for part in item.get("content", []):
        if "text" in part:
            yield from ({"type": "response.output_text.delta", "output_index": place, "delta": piece} for piece in _pieces(part["text"]))
    if isinstance(item.get("arguments"), str):
        for piece in _pieces(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", "output_index": place, "delta": piece}
    yield {"type": "response.output_item.done", "output_index": place, "item": item}


@dataclass(frozen=True)
class Body:
    """A Chat Completions body as JSON values; streamed, it is the one event of its stream, messages being deltas."""

    value: Any

    def forms(self) -> tuple[Form, ...]:
        return CHAT

    def answer(self, form: Form) -> Answer:
        if not form.streams:
            return whole(self.value)
        value = self.value
        if isinstance(value, dict) and isinstance(value.get("choices"), list):
            choices = [{**one, "delta": one.get("message")} if isinstance(one, dict) else one for one in value["choices"]]
            value = {**value, "choices": choices}
        return stream(event(value), DONE)


@dataclass(frozen=True)
class Raw:
    """Bits as they go over the wire, for these forms."""

    bits: list[Bit]
    only: tuple[Form, ...] = tuple(Form)
    kinds: frozenset[str] = frozenset()
    """Fields of a message, or kinds of items, that it holds and that no message of OpenAI's has."""

    def forms(self) -> tuple[Form, ...]:
        return self.only

    def answer(self, form: Form) -> Answer:
        return self.bits


Item = Said | Body | Raw
Script = Item | Callable[[dict[str, Any]], Item]
"""What a server says to a request; a function is given the request's body."""


def says(*calls: Any, text: Any = None, finish: Any = None, **message: Any) -> Said:
    """A message with these calls, or with a text."""
    made: dict[str, Any] = {"role": "assistant", "content": text} | message
    return Said(made | ({"tool_calls": list(calls)} if calls else {}), finish)


def streams(*bits: Bit, kinds: Iterable[str] = ()) -> Raw:
    """A Chat Completions stream, bit by bit."""
    return Raw(stream(*bits), (Form.CHAT_STREAM,), frozenset(kinds))


def refund(arguments: Any = '{"order": "A1", "amount": 5}', call_id: Any = "call_1") -> dict[str, Any]:
    """The call that must not go wrong."""
    return call("refund", arguments, call_id)

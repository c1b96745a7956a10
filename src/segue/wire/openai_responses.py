"""The Responses API, as a client: requests to bytes, bodies and streams to replies.
Nothing is kept on the provider's side: reasoning comes back encrypted and is sent again, whole and in its order."""

import re
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, assert_never

from segue.core.messages import Assistant, Message, Reply, System, ToolAnswer, User, sendable_text
from segue.model import CallDelta, Delta, ModelRequest, ModelSettings, OutputSpec, ReasoningDelta, TextDelta, ToolSpec
from segue.wire.errors import broken, error_of
from segue.wire.jsontext import dumps, loads, object_text, text
from segue.wire.openai_chat import merged
from segue.wire.prefix import Codec, Kept
from segue.wire.responses_items import DIALECT, join_texts, replayed, reply_of
from segue.wire.sse import SSEDecoder

_REASONS = re.compile(r"(?:.*/)?(?:o[1-9]|gpt-5(?!.*chat)|gpt-[6-9]|codex|computer-use)", re.ASCII)
"""Models that think. Others refuse to be asked for their encrypted reasoning."""


# --- requests


def encode_request(request: ModelRequest, model: str, *, dialect: str = DIALECT) -> bytes:
    """The request's body. What was encoded for an earlier call of the same agent is not encoded again."""
    key = (DIALECT, model, dialect, request.agent)
    kept = request.cache.get(key)
    if kept is None:
        kept = request.cache[key] = Kept(_codec(model, dialect))
    head, items = kept.of(request)
    return b"".join((head, items, b"]}"))


@lru_cache(maxsize=256)
def _codec(model: str, dialect: str) -> Codec:
    return Codec(partial(_opening, model), partial(_encode_at, dialect))


def _opening(model: str, instructions: str | None, request: ModelRequest) -> bytes:
    """The body up to its first item."""
    head = dumps(_head(model, instructions, request.tools, request.settings, request.output, request.stream))
    return head[:-1] + b',"input":['


def _head(
    model: str, instructions: str | None, tools: Sequence[ToolSpec], settings: ModelSettings, output: OutputSpec | None, stream: bool
) -> dict[str, Any]:
    head: dict[str, Any] = {"model": model, "store": False}
    if instructions:
        head["instructions"] = instructions
    if stream:
        head["stream"] = True
    if _REASONS.match(model):
        head["include"] = ["reasoning.encrypted_content"]
    if tools:
        head["tools"] = [_tool(tool) for tool in tools]
        if settings.tool_choice is not None:
            named = settings.tool_choice not in ("auto", "required", "none")
            head["tool_choice"] = {"type": "function", "name": settings.tool_choice} if named else settings.tool_choice
        if settings.parallel_tool_calls is not None:
            head["parallel_tool_calls"] = settings.parallel_tool_calls
    asked = {"temperature": settings.temperature, "top_p": settings.top_p, "max_output_tokens": settings.max_tokens}
    head.update((key, value) for key, value in asked.items() if value is not None)
    if settings.reasoning_effort is not None:
        head["reasoning"] = {"effort": settings.reasoning_effort}
    if output is not None:
        form: dict[str, Any] = {"type": "json_schema", "name": output.name, "schema": output.schema}
        if output.strict is not None:
            form["strict"] = output.strict
        head["text"] = {"format": form}
    return merged(head, settings.extra, "input")


def _tool(tool: ToolSpec) -> dict[str, Any]:
    # left open, this API would make the schema strict by itself, and optional parameters with it obligatory
    strict = tool.strict or False
    return {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters, "strict": strict}


def _encode_at(dialect: str, messages: Sequence[Message], place: int) -> bytes:
    return dumps(_items(messages[place], dialect))[1:-1]


def _items(message: Message, dialect: str) -> list[dict[str, Any]]:
    match message:
        case Assistant():
            if message.dialect == dialect and (items := message.extra.get("items")) and (sent := replayed(items, message)):
                return sent
            said: list[dict[str, Any]] = []
            if words := message.text or ("" if message.calls else message.refusal):
                said.append({"role": "assistant", "content": words})
            return said + [
                {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": object_text(call.arguments)}
                for call in message.calls
            ]
        case ToolAnswer():
            return [{"type": "function_call_output", "call_id": message.call_id, "output": _content(message.content)}]
        case User():
            return [{"role": "user", "content": _content(message.content)}]
        case System():
            return [{"role": "system", "content": message.content}]
        case _:
            assert_never(message)


def _content(content: str | list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    return content if isinstance(content, str) else [_part(part) for part in content]


def _part(part: dict[str, Any]) -> dict[str, Any]:
    """A content part of Chat Completions as one of this API."""
    match part:
        case {"type": "text", "text": words}:
            return {"type": "input_text", "text": words}
        case {"type": "image_url", "image_url": {"url": url} as image}:
            return {"type": "input_image", "image_url": url} | {key: value for key, value in image.items() if key != "url"}
        case {"type": "file", "file": dict(file)}:
            return {"type": "input_file", **file}
        case _:
            return part


# --- replies


def decode_reply(body: bytes, *, provider: str = "", dialect: str = DIALECT) -> Reply:
    """The reply in a whole body. Raises a `ProviderError` if there is none."""
    if body.lstrip().startswith((b"data:", b"event:", b":")):
        decoder = StreamDecoder(provider=provider, dialect=dialect)  # it streams though it was not asked to
        decoder.feed(body)
        return decoder.reply()
    try:
        answer = loads(body)
    except ValueError as error:
        raise broken("is not JSON", provider) from error
    return reply_of(answer, provider=provider, dialect=dialect)


_LAST = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")


class StreamDecoder:
    """A streamed reply. Its last event holds the whole of it; what came before is for who watches."""

    def __init__(self, *, provider: str = "", dialect: str = DIALECT) -> None:
        self._provider = provider
        self._dialect = dialect
        self._sse = SSEDecoder()
        self._begun = False
        self._whole: bytearray | None = None
        self._answer: dict[str, Any] | None = None
        self._items: dict[int, Any] = {}
        self._calls: dict[int, int] = {}
        self._texts: list[int] = []
        self.done = False
        """Whether the last event came: nothing more is to be expected."""

    @property
    def finished(self) -> bool:
        """Whether what came is a whole reply."""
        return self.done

    def feed(self, data: bytes) -> list[Delta]:
        """Take bytes and give what they add. Raises a `ProviderError` if they say that there will be no reply."""
        if not self._begun and (start := data.lstrip()):
            self._begun = True
            if start[:1] in b"{[":
                self._whole = bytearray()  # it does not stream though it was asked to
        if self._whole is not None:
            self._whole += data
            return []
        deltas: list[Delta] = []
        for _, event in self._sse.feed(data):
            self._read(event, deltas)
        return deltas

    def reply(self) -> Reply:
        """The whole reply. Raises `BadReply` if it is unfinished."""
        if self._whole is not None:
            return decode_reply(bytes(self._whole), provider=self._provider, dialect=self._dialect)
        for _, event in self._sse.close():
            self._read(event, [])
        if self._answer is None:
            raise broken("broke off before its end", self._provider)
        if not self._answer.get("output") and self._items:
            self._answer["output"] = [self._items[place] for place in sorted(self._items)]  # some leave them out of the last event
        return reply_of(self._answer, provider=self._provider, dialect=self._dialect)

    def _read(self, data: bytes, deltas: list[Delta]) -> None:
        if self.done or not data or data.isspace() or data.strip() == b"[DONE]":
            return
        try:
            event = loads(data)
        except ValueError as error:
            raise broken("is not JSON", self._provider) from error
        if event is None:
            return
        if not isinstance(event, dict):
            raise broken("holds an event that is no JSON object", self._provider)
        self._take(event, deltas)

    def _take(self, event: dict[str, Any], deltas: list[Delta]) -> None:
        kind = event.get("type")
        if kind == "response.output_text.delta":
            self._take_text(event, deltas)
        elif kind == "response.function_call_arguments.delta":
            place = self._calls.setdefault(_place(event), len(self._calls))
            deltas.append(CallDelta(place, "", sendable_text(text(event.get("delta")))))
        elif kind in ("response.reasoning_text.delta", "response.reasoning_summary_text.delta"):
            deltas.append(ReasoningDelta(sendable_text(text(event.get("delta")))))
        elif kind == "response.output_item.added":
            item = event.get("item")
            if isinstance(item, dict) and item.get("type") == "function_call":
                place = self._calls.setdefault(_place(event), len(self._calls))
                deltas.append(CallDelta(place, sendable_text(text(item.get("name"))), ""))
        elif kind == "response.output_item.done":
            self._items[_place(event)] = event.get("item")
        elif kind in _LAST:
            answer = event.get("response")
            if not isinstance(answer, dict):
                raise broken("ends without a response", self._provider)
            self._answer = answer
            self.done = True
        elif kind == "error" or event.get("error"):
            raise error_of(event, provider=self._provider)

    def _take_text(self, event: dict[str, Any], deltas: list[Delta]) -> None:
        place = _place(event)
        if place not in self._texts:
            if self._texts:
                deltas.append(TextDelta(join_texts(["", ""])))
            self._texts.append(place)
        deltas.append(TextDelta(sendable_text(text(event.get("delta")))))


def _place(event: dict[str, Any]) -> int:
    place = event.get("output_index")
    return place if type(place) is int else 0

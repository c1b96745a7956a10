"""Chat Completions, as a client: requests to bytes, bodies and streams to replies.
What providers do differently is met here and nowhere else. It holds no socket and no retry."""

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple, assert_never

from segue.core.messages import Assistant, Message, Reply, System, ToolAnswer, User
from segue.errors import UsageError
from segue.model import Delta, ModelRequest, ModelSettings, OutputSpec, ToolSpec
from segue.wire.chat_assembly import DIALECT, Assembly, reply_of
from segue.wire.chat_extra import NOT_SENT
from segue.wire.errors import broken, error_of
from segue.wire.jsontext import dumps, loads, object_text, text
from segue.wire.prefix import Codec, Kept
from segue.wire.sse import SSEDecoder


class Form(NamedTuple):
    """How a provider differs from OpenAI in what it is sent.

    `ids`: "nine" for one that takes only ids of nine letters and digits. `stream_usage`: whether it must be asked for
    usage in a stream. `dialect` says whose unknown message fields go back to it.
    """

    ids: Literal["as they are", "nine"] = "as they are"
    stream_usage: bool = True
    max_tokens: str = "max_completion_tokens"
    seed: str = "seed"
    parallel: bool | None = None
    """What to ask for where the settings leave it open."""
    dialect: str = DIALECT


OPENAI = Form()


# --- requests


def encode_request(request: ModelRequest, model: str, form: Form = OPENAI) -> bytes:
    """The request's body. What was encoded for an earlier call of the same agent is not encoded again."""
    key = (DIALECT, model, form, request.agent)
    kept = request.cache.get(key)
    if kept is None:
        kept = request.cache[key] = Kept(_codec(model, form))
    head, messages = kept.of(request)
    images = _images_before(request.messages, len(request.messages))
    last = b"," + dumps(images) if images else b""
    return b"".join((head if messages else head.removesuffix(b","), messages, last, b"]}"))


@lru_cache(maxsize=256)
def _codec(model: str, form: Form) -> Codec:
    return Codec(partial(_opening, model, form), partial(_encode_at, form))


def _opening(model: str, form: Form, instructions: str | None, request: ModelRequest) -> bytes:
    """The body up to its first message, or up to and with the comma after the instructions."""
    head = dumps(_head(model, form, request.tools, request.settings, request.output, request.stream))
    first = dumps({"role": "system", "content": instructions}) + b"," if instructions is not None else b""
    return head[:-1] + b',"messages":[' + first


def _head(
    model: str, form: Form, tools: Sequence[ToolSpec], settings: ModelSettings, output: OutputSpec | None, stream: bool
) -> dict[str, Any]:
    head: dict[str, Any] = {"model": model}
    if stream:
        head["stream"] = True
        if form.stream_usage:
            head["stream_options"] = {"include_usage": True}
    if tools:
        head["tools"] = [_tool(tool) for tool in tools]
        if settings.tool_choice is not None:
            named = settings.tool_choice not in ("auto", "required", "none")
            head["tool_choice"] = {"type": "function", "function": {"name": settings.tool_choice}} if named else settings.tool_choice
        parallel = form.parallel if settings.parallel_tool_calls is None else settings.parallel_tool_calls
        if parallel is not None:
            head["parallel_tool_calls"] = parallel
    asked = {
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        form.max_tokens: settings.max_tokens,
        form.seed: settings.seed,
        "stop": None if settings.stop is None else list(settings.stop),
        "reasoning_effort": settings.reasoning_effort,
    }
    head.update((key, value) for key, value in asked.items() if value is not None)
    if output is not None:
        schema: dict[str, Any] = {"name": output.name, "schema": output.schema}
        if output.strict is not None:
            schema["strict"] = output.strict
        head["response_format"] = {"type": "json_schema", "json_schema": schema}
    return merged(head, settings.extra, "messages")


def merged(head: dict[str, Any], extra: Mapping[str, Any], messages: str) -> dict[str, Any]:
    """The head with the user's own fields, which stand last and win; what Segue must decide itself is refused."""
    for key in (messages, "stream"):
        if key in extra:
            raise UsageError(f"ModelSettings.extra may not hold {key!r}: Segue decides it. Leave it out.")
    return {**head, **extra}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _encode_at(form: Form, messages: Sequence[Message], place: int) -> bytes:
    message = messages[place]
    encoded = dumps(_message(message, form))
    if not isinstance(message, ToolAnswer) and (images := _images_before(messages, place)):
        return dumps(images) + b"," + encoded
    return encoded


def _message(message: Message, form: Form) -> dict[str, Any]:
    match message:
        case Assistant():
            return _assistant(message, form)
        case ToolAnswer():
            content = message.content
            if not isinstance(content, str):
                content = "\n".join(text(part.get("text")) if _is_text(part) else "(see the next user message)" for part in content)
            return {"role": "tool", "tool_call_id": _sent_id(message.call_id, form), "content": content}
        case User():
            said: dict[str, Any] = {"role": "user", "content": message.content}
            return said if message.name is None else said | {"name": message.name}
        case System():
            return {"role": "system", "content": message.content}
        case _:
            assert_never(message)


def _assistant(message: Assistant, form: Form) -> dict[str, Any]:
    ours = message.dialect in ("", form.dialect)
    content = message.text
    if content is None and not message.calls:
        content = message.refusal or ""
    said: dict[str, Any] = {"role": "assistant", "content": content}
    if message.calls:
        said["tool_calls"] = [
            {
                "id": _sent_id(call.id, form),
                "type": "function",
                "function": {"name": call.name, "arguments": object_text(call.arguments)},
                **(call.extra if ours else {}),
            }
            for call in message.calls
        ]
    if ours and message.extra:
        said.update((key, value) for key, value in message.extra.items() if key not in NOT_SENT)
    return said


def _sent_id(call_id: str, form: Form) -> str:
    return nine(call_id) if form.ids == "nine" else call_id


def nine(call_id: str) -> str:
    """The id itself if it has nine letters and digits, else nine that stand for it, the same each time."""
    if len(call_id) == 9 and call_id.isascii() and call_id.isalnum():
        return call_id
    number = 0xCBF29CE484222325  # FNV-1a, 64 bit: small, known, and the same in every process
    for byte in call_id.encode("utf-8", "replace"):
        number = (number ^ byte) * 0x100000001B3 % 2**64
    digits = ""
    while len(digits) < 9:
        number, digit = divmod(number, 36)
        digits += "0123456789abcdefghijklmnopqrstuvwxyz"[digit]
    return digits


def _is_text(part: Mapping[str, Any]) -> bool:
    return part.get("type") == "text"


def _images_before(messages: Sequence[Message], end: int) -> dict[str, Any] | None:
    """A user message with what the tool answers just before `end` hold besides text: a tool message takes text only."""
    parts: list[dict[str, Any]] = []
    while end and isinstance(answer := messages[end - 1], ToolAnswer):
        if not isinstance(answer.content, str):
            parts[:0] = [part for part in answer.content if not _is_text(part)]
        end -= 1
    return {"role": "user", "content": parts} if parts else None


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


class StreamDecoder:
    """A streamed reply, put together piece by piece."""

    def __init__(self, *, provider: str = "", dialect: str = DIALECT) -> None:
        self._assembly = Assembly(provider, dialect)
        self._sse = SSEDecoder()
        self._begun = False
        self._whole: bytearray | None = None
        self.done = False
        """Whether `[DONE]` came: nothing more is to be expected."""

    @property
    def finished(self) -> bool:
        """Whether what came is a whole reply, even if the connection broke now."""
        return self.done or bool(self._assembly.finish)

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
        for event in self._sse.feed(data):
            self._take(event, deltas)
        return deltas

    def take(self, chunk: Any) -> list[Delta]:
        """Take one chunk that is JSON values already."""
        deltas: list[Delta] = []
        self._assembly.take_chunk(chunk, deltas)
        return deltas

    def reply(self) -> Reply:
        """The whole reply. Raises `BadReply` if it is unfinished."""
        if self._whole is not None:
            self._assembly.take_whole(self._json(bytes(self._whole)))
            return self._assembly.reply()
        for event in self._sse.close():
            self._take(event, [])
        if not self.finished:
            raise broken("broke off before its end", self._assembly.provider)
        return self._assembly.reply()

    def _take(self, event: tuple[str, bytes], deltas: list[Delta]) -> None:
        name, data = event
        if self.done or not data or data.isspace():
            return
        if data.strip() == b"[DONE]":
            self.done = True
            return
        chunk = self._json(data)
        if name == "error":
            raise error_of(chunk, provider=self._assembly.provider)
        self._assembly.take_chunk(chunk, deltas)

    def _json(self, data: bytes) -> Any:
        try:
            return loads(data)
        except ValueError as error:
            raise broken("is not JSON", self._assembly.provider) from error

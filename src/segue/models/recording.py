"""A model that writes down what it is asked and what it replies, and one that replies from such a file.
A line of the file is one exchange, as JSON. Keys and headers are no part of a request and never written."""

import difflib
import json
import re
import threading
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from segue import errors
from segue.core.messages import Call, Reply, Usage
from segue.errors import ProviderError, RequestDiffers, UsageError
from segue.model import CallDelta, Delta, Model, ModelRequest, ReasoningDelta, Restarted, TextDelta
from segue.models.scripted import spoken
from segue.wire.chat_messages import as_chat

_SECRET = re.compile(r"(?i)key|token$|secret|password|authorization|cookie|credential")

_DELTAS: dict[str, type] = {"text": TextDelta, "reasoning": ReasoningDelta, "call": CallDelta, "restarted": Restarted}


class RecordingModel:
    """Asks another model, and writes each exchange to a file, for `ReplayModel`. The file is begun anew."""

    def __init__(self, model: Model, path: str | Path) -> None:
        if not isinstance(model, Model):  # before the file is begun anew: it may hold a recording that is still of use
            raise UsageError(f"RecordingModel takes a model, not {type(model).__name__}. Make one with model_from(...).")
        self._model = model
        self._path = Path(path)
        self._lock = threading.Lock()
        self._path.write_bytes(b"")

    @property
    def name(self) -> str:
        """The recorded model's name."""
        return self._model.name

    async def reply(self, request: ModelRequest) -> AsyncGenerator[Delta | Restarted | Reply]:
        """Yield what the model yields; an exchange is written once it is whole, and an error of the provider's too."""
        asked = _asked(request)
        deltas: list[list[Any]] = []
        items = self._model.reply(request)
        try:
            async for item in items:
                if isinstance(item, Reply):
                    self._write({"request": asked, "deltas": deltas, "reply": _replied(item)})
                else:
                    deltas.append(_passing(item))
                yield item
        except ProviderError as error:
            values = {name: value for name, value in vars(error).items() if isinstance(value, str | int | float | bool)}
            self._write({"request": asked, "deltas": deltas, "error": [type(error).__name__, str(error), values]})
            raise
        finally:
            if isinstance(items, AsyncGenerator):
                await items.aclose()

    def _write(self, exchange: dict[str, Any]) -> None:
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(exchange) + "\n")


class ReplayModel:
    """Replies from a file that `RecordingModel` wrote, in order. It asks nobody.

    Raises `RequestDiffers`, with a diff, when it is asked something else than what was recorded, and `UsageError` when it
    is asked once more. Conversations that run side by side have no order: give each a file of its own.
    """

    def __init__(self, path: str | Path, *, name: str = "replay") -> None:
        self.name = name
        self._path = Path(path)
        self._exchanges = _read(self._path)
        self._at = 0
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """How many recorded exchanges have not been asked for yet."""
        return len(self._exchanges) - self._at

    async def reply(self, request: ModelRequest) -> AsyncGenerator[Delta | Restarted | Reply]:
        """Give the next recorded reply, in the recorded pieces where somebody listens."""
        exchange = self._next(request)
        reply = _reply(exchange["reply"]) if "reply" in exchange else None
        if request.stream:
            for kind, *values in exchange["deltas"]:
                yield _DELTAS[kind](*values)
        if reply is None:
            kind, words, values = exchange["error"]
            raise getattr(errors, kind, ProviderError)(words, **values)
        if request.stream and not exchange["deltas"]:
            for item in spoken(reply, stream=True):
                yield item
        else:
            yield reply

    def _next(self, request: ModelRequest) -> dict[str, Any]:
        with self._lock:
            if not self.left:
                count = len(self._exchanges)
                held = f"{count} exchange{'' if count == 1 else 's'}"
                raise UsageError(f"{self._path} holds {held}, and {request.agent} asks once more. Record it again.")
            self._at += 1
            exchange = self._exchanges[self._at - 1]
        recorded, asked = list(_lines(exchange["request"])), list(_lines(_asked(request)))
        if recorded != asked:
            diff = "\n".join(difflib.unified_diff(recorded, asked, "recorded", "asked now", lineterm="", n=2))
            words = f"Request {self._at} is not the one that {self._path} holds. Mend the code, or record it again.\n{diff}"
            raise RequestDiffers(words, place=self._at, diff=diff)
        return exchange


def _asked(request: ModelRequest) -> dict[str, Any]:
    """What makes one request differ from another."""
    settings = {field.name: getattr(request.settings, field.name) for field in fields(request.settings)}
    asked = {
        "agent": request.agent,
        "settings": {name: _open(name, value) for name, value in settings.items() if value not in (None, {})},
        "output": request.output and dict(request.output._asdict()),
        "tools": [tool._asdict() for tool in request.tools],
        "messages": [as_chat(message) for message in request.messages],
    }
    return json.loads(json.dumps(asked))  # type: ignore[no-any-return]


def _open(name: str, value: Any) -> Any:
    """A setting, without what its name calls a secret."""
    if _SECRET.search(name):
        return "***"
    if isinstance(value, Mapping):
        return {key: _open(str(key), item) for key, item in value.items()}
    return [_open("", item) for item in value] if isinstance(value, list | tuple) else value


def _lines(request: Mapping[str, Any]) -> Iterator[str]:
    """A request as lines that can be read, and compared: first what stays, then message by message."""
    yield f"agent: {request['agent']}"
    for name, value in request["settings"].items():
        yield f"{name}: {json.dumps(value)}"
    if request["output"]:
        yield f"output: {json.dumps(request['output'])}"
    for tool in request["tools"]:
        yield f"tool {tool['name']}: {json.dumps({name: value for name, value in tool.items() if name != 'name'})}"
    for message in request["messages"]:
        content = message.get("content")
        text = content if isinstance(content, str) else "" if content is None else json.dumps(content)
        said = text.split("\n")
        answers = f" ({message['tool_call_id']})" if "tool_call_id" in message else ""
        yield f"{message['role']}{answers}: {said[0]}"
        yield from (f"    {line}" for line in said[1:])
        for call in message.get("tool_calls", ()):
            yield f"    call {call['id']}: {call['function']['name']}({call['function']['arguments']})"
        extra = {name: value for name, value in message.items() if name not in ("role", "content", "tool_calls", "tool_call_id")}
        if extra:
            yield f"    {json.dumps(extra)}"


def _passing(item: Delta | Restarted) -> list[Any]:
    if isinstance(item, CallDelta):
        return ["call", item.index, item.name, item.arguments]
    return [next(kind for kind, made in _DELTAS.items() if isinstance(item, made)), *item]


def _replied(reply: Reply) -> dict[str, Any]:
    said = {name: value for name, value in reply._asdict().items() if value != Reply._field_defaults[name]}
    if reply.calls:
        said["calls"] = [{name: value for name, value in call._asdict().items() if value} for call in reply.calls]
    if "usage" in said:
        said["usage"] = reply.usage._asdict()
    return said


def _reply(said: Mapping[str, Any]) -> Reply:
    calls = tuple(Call(**{"id": "", "arguments": "", **call}) for call in said.get("calls", ()))
    return Reply(**{**said, "calls": calls, "usage": Usage(**said.get("usage", {}))})


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The recording {path} cannot be read ({type(error).__name__}). Make it with RecordingModel.") from error
    exchanges = []
    for number, line in enumerate(lines, 1):
        try:
            exchange = json.loads(line)
            if not ("reply" in exchange or "error" in exchange) or "messages" not in exchange["request"]:
                raise ValueError("no exchange")
            exchanges.append(exchange)
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(f"Line {number} of {path} is no recorded exchange. Record it again.") from error
    return exchanges

"""What a tool returned, as what a model reads (R7)."""

import base64
import dataclasses
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from pydantic_core import to_jsonable_python

from segue.core.messages import Content, sendable_text

LIMIT = 256 * 1024
"""Characters of a result that a model is shown."""

_IMAGES = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"), (b"RIFF", "webp"))


_SWARM = {"segue.swarm.types": "segue.swarm", "swarm.types": "swarm"}
"""Where Swarm's values are defined, by name, because nothing of theirs is imported here; and what a program imports them from."""


class Unreadable(Exception):
    """A value that cannot be told to a model; its words say why."""


class Mixed(Unreadable):
    """A value of the other library: a program that is moved by half, whose author must know."""


def swarms(value: Any) -> str:
    """What a value of Swarm's is called, as "segue.swarm's Agent"; empty for any other."""
    for kind in type(value).__mro__:
        if kind.__module__ in _SWARM:
            return f"{_SWARM[kind.__module__]}'s {kind.__name__}"
    return ""


def content_of(value: Any) -> Content:
    """Text as it is; images as parts; models, dataclasses and JSON values as JSON. Raises `Unreadable` for anything else."""
    if isinstance(value, str):
        return clean(str(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return _bytes(bytes(value))
    if isinstance(value, list) and value and all(_is_part(part) for part in value):
        return [_part(part) for part in value]
    try:
        return clean(json.dumps(value, default=_as_json, ensure_ascii=False, separators=(",", ":")))
    except Unreadable:
        raise
    except RecursionError:
        raise Unreadable("it returned a value that holds itself, or is nested too deep") from None
    except Exception as error:  # whatever a foreign object's own methods raise is the tool's failure
        raise Unreadable(
            f"it returned a {type(value).__name__}, which cannot be told to a model ({type(error).__name__}); "
            "return text, JSON values, a dataclass or a pydantic model"
        ) from None


def _as_json(value: Any) -> Any:
    """A value as one that is nearer to JSON."""
    if name := swarms(value):
        raise Mixed(f"it returned {name}, which an agent of segue cannot use; return segue's own: see docs/howto/from-swarm.md")
    if isinstance(value, Iterator | AsyncIterator):  # it may have no end
        raise Unreadable("it returned an iterator, or a generator; return a list, or text")
    if dataclasses.is_dataclass(value) and not isinstance(value, type) and not hasattr(value, "__pydantic_serializer__"):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return to_jsonable_python(value)


def clean(text: str) -> str:
    """Text that every provider takes: halves of surrogate pairs replaced, and cut at `LIMIT` with a mark that says so."""
    text = sendable_text(text)
    if len(text) > LIMIT:
        text = f"{text[:LIMIT]}\n[cut: {len(text) - LIMIT} of {len(text)} characters are not shown]"
    return text


def _is_part(part: Any) -> bool:
    """Whether a value is a content part that providers take; a tool's own data may look much like one."""
    match part:
        case {"type": "text", "text": str()}:
            return len(part) == 2
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return len(part) == 2 and url.startswith(("data:", "http:", "https:"))
        case {"type": "file", "file": {"file_data": str()} | {"file_id": str()}}:
            return len(part) == 2
        case {"type": "input_audio", "input_audio": {"data": str(), "format": str()}}:
            return len(part) == 2
        case _:
            return False


def _part(part: dict[str, Any]) -> dict[str, Any]:
    """A copy, for the tool may keep its own and change it."""
    copy: dict[str, Any] = json.loads(json.dumps(part, allow_nan=False))
    return copy | {"text": clean(part["text"])} if part["type"] == "text" else copy


def _bytes(value: bytes) -> Content:
    for magic, kind in _IMAGES:
        if value.startswith(magic) and (kind != "webp" or value[8:12] == b"WEBP"):
            return [{"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{base64.b64encode(value).decode()}"}}]
    try:
        return clean(value.decode())
    except UnicodeDecodeError:
        raise Unreadable(f"it returned {len(value)} bytes that are neither UTF-8 text nor an image") from None

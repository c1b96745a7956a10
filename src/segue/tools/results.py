"""What a tool returned, as what a model reads (R7)."""

import base64
import inspect
import re
from typing import Any

from pydantic_core import to_json

from segue.core.messages import Content

LIMIT = 256 * 1024
"""Characters of a result that a model is shown."""

_SURROGATES = re.compile("[\ud800-\udfff]")
_IMAGES = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"), (b"RIFF", "webp"))


class Unreadable(Exception):
    """A value that cannot be told to a model; its words say why."""


def content_of(value: Any) -> Content:
    """Text as it is; images as parts; models, dataclasses and JSON values as JSON. Raises `Unreadable` for anything else."""
    if isinstance(value, str):
        return clean(str(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return _bytes(bytes(value))
    if isinstance(value, list) and value and all(_is_part(part) for part in value):
        return value
    if inspect.isgenerator(value) or inspect.isasyncgen(value):
        raise Unreadable("it returned a generator; return a list, or text")
    try:
        return clean(to_json(value).decode())
    except RecursionError:
        raise Unreadable("it returned a value that holds itself") from None
    except Exception as error:  # whatever a foreign object's own methods raise is the tool's failure
        raise Unreadable(
            f"it returned a {type(value).__name__}, which cannot be told to a model ({type(error).__name__}); "
            "return text, JSON values, a dataclass or a pydantic model"
        ) from None


def clean(text: str) -> str:
    """Text that every provider takes: lone surrogates replaced, and cut at `LIMIT` with a mark that says so."""
    if not text.isascii():
        text = _SURROGATES.sub("\ufffd", text)
    if len(text) > LIMIT:
        text = f"{text[:LIMIT]}\n[cut: {len(text) - LIMIT} of {len(text)} characters are not shown]"
    return text


def _is_part(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") in ("text", "image_url", "file", "input_audio")


def _bytes(value: bytes) -> Content:
    for magic, kind in _IMAGES:
        if value.startswith(magic) and (kind != "webp" or value[8:12] == b"WEBP"):
            return [{"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{base64.b64encode(value).decode()}"}}]
    try:
        return clean(value.decode())
    except UnicodeDecodeError:
        raise Unreadable(f"it returned {len(value)} bytes that are neither UTF-8 text nor an image") from None

"""JSON as it goes over the wire: fast where it can be, forgiving where a provider or a tool is not.
Half a surrogate pair is no character: it is kept while a stream is put together and replaced before it leaves."""

import json
import math
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json

from segue.core.messages import sendable_text
from segue.errors import UsageError

LEVELS = 200
"""How deep a value may be nested: what is deeper is refused on the way in, where it is no more than a broken reply."""


def dumps(value: Any) -> bytes:
    """Encode as JSON. Half surrogate pairs are replaced; NaN and infinity become null."""
    try:
        return to_json(value, inf_nan_mode="null")
    except (PydanticSerializationError, UnicodeEncodeError, ValueError):
        pass  # half a surrogate pair, or something that is not JSON: the slow way tells which
    try:
        return json.dumps(sendable(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"The request holds a value that is not JSON: {type(error).__name__}.") from error


def loads(data: bytes | str) -> Any:
    """Decode JSON. Raises `ValueError` for what is none; bytes that are not UTF-8 are replaced inside strings."""
    try:
        return from_json(data)
    except ValueError:
        pass  # half a surrogate pair, bytes that are not UTF-8, or no JSON at all: the slow way tells which
    try:
        value = json.loads(data if isinstance(data, str) else data.decode("utf-8-sig", "replace"))
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if _too_deep(value):
        raise ValueError("nested too deep")
    return value


def _too_deep(value: Any) -> bool:
    level: list[Any] = [[value]]
    for _ in range(LEVELS):
        inner = (item for holder in level for item in (holder.values() if isinstance(holder, dict) else holder))
        level = [item for item in inner if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def text_of(value: Any) -> str:
    """A JSON value as text: what a provider should have sent as text, and sent as an object."""
    return dumps(value).decode()


def text(value: Any) -> str:
    """What should be text as text: nothing for null, and for anything else its JSON."""
    return value if isinstance(value, str) else "" if value is None else text_of(value)


def object_text(arguments: str) -> str:
    """A call's arguments as they may be sent back: some servers refuse a history whose arguments are no JSON object."""
    try:
        if isinstance(from_json(arguments, allow_inf_nan=False), dict):
            return arguments
    except ValueError:
        pass  # the model wrote them so; its call was refused, and its own words go back as a string
    return text_of({"not_json": arguments}) if arguments.strip() else "{}"


def sendable(value: Any) -> Any:
    """The same value, with `sendable_text` done to all text in it; NaN and infinity become null."""
    if isinstance(value, str):
        return sendable_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {sendable(key): sendable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [sendable(item) for item in value]
    return value

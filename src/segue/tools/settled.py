"""Arguments as they are delivered: what is checked, approved, shown and compared must be what is done.
Pydantic takes "666" for an int, and a model may leave out what has a default; whoever looks at a call must not see something
else than its function gets."""

import math
from datetime import date, time, timedelta
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from pydantic_core import to_jsonable_python

from segue.core.messages import Json
from segue.errors import ArgumentsRefused

_PLAIN = (bool, int, float, str)
_WRITTEN = (date, time, timedelta, UUID, PurePath)
"""Types with several spellings for one value, and one that pydantic writes."""


def settled(given: Json, value: Any, path: str) -> Json:
    """What was given, with truth values, numbers, texts, dates, UUIDs and paths in the spelling of what pydantic made of them.

    Looked for in lists, dictionaries, models and dataclasses; anything else stays as it was given. Raises `ArgumentsRefused` for
    a number that is not finite, naming its `path`.
    """
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, float) and not math.isfinite(value):
        words = "a finite number is needed"
        raise ArgumentsRefused(f"{path}: {words}", fields=((path, words),))
    if isinstance(given, dict):
        return {key: settled(one, _member(value, key, one), f"{path}.{key}") for key, one in given.items()}
    if isinstance(given, list) and isinstance(value, list | tuple) and len(given) == len(value):
        return [settled(one, other, f"{path}.{place}") for place, (one, other) in enumerate(zip(given, value, strict=True))]
    if type(given) in _PLAIN and type(value) in _PLAIN:
        return value
    return to_jsonable_python(value) if isinstance(value, _WRITTEN) else given


def _member(value: Any, key: str, given: Json) -> Any:
    """What became of one key of an object; what was given where that cannot be told."""
    if isinstance(value, dict):
        return value.get(key, given)
    for name, field in getattr(type(value), "model_fields", {}).items():
        if key in (field.validation_alias, field.alias):
            return getattr(value, name)
    return getattr(value, key, given)

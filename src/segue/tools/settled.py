"""Arguments as they are delivered: what is checked, approved, shown and compared must be what is done.
Pydantic takes "666" for an int, and a model may leave out what has a default; whoever looks at a call must not see something
else than its function gets."""

import math
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from pydantic_core import to_jsonable_python

from segue.core.arguments import canonical
from segue.core.messages import Json
from segue.errors import ArgumentsRefused

_PLAIN = (bool, int, float, str)
_WRITTEN = (date, time, timedelta, UUID, PurePath)
"""Types with several spellings for one value, and one that pydantic writes."""


def settled(given: Json, value: Any, path: str) -> Json:
    """What was given, with truth values, numbers, texts, dates, UUIDs and paths in the spelling of what pydantic made of them.

    A `Decimal` is a number where a JSON number says the same.

    Looked for in lists, sets, dictionaries, models and dataclasses; anything else stays as it was given. Raises `ArgumentsRefused`
    for a number that is not finite, naming its `path`.
    """
    if isinstance(value, Enum):
        value = value.value
    if getattr(type(value), "__pydantic_root_model__", False):
        value = value.root
    if isinstance(value, float) and not math.isfinite(value):
        words = "a finite number is needed"
        raise ArgumentsRefused(f"{path}: {words}", fields=((path, words),))
    if isinstance(value, Decimal):
        number = float(value)
        return number if Decimal(repr(number)) == value else given
    if isinstance(given, dict):
        named = isinstance(value, dict) and len(value) == len(given) and not given.keys() & value.keys()
        found = list(value.values()) if named else [_member(value, key, one) for key, one in given.items()]  # {"1": ...} as {1: ...}
        return {key: settled(one, other, f"{path}.{key}") for (key, one), other in zip(given.items(), found, strict=True)}
    if isinstance(given, list) and isinstance(value, list | tuple) and len(given) == len(value):
        return [settled(one, other, f"{path}.{place}") for place, (one, other) in enumerate(zip(given, value, strict=True))]
    if isinstance(given, list) and isinstance(value, set | frozenset) and all(isinstance(one, (*_PLAIN, *_WRITTEN)) for one in value):
        return sorted([settled(to_jsonable_python(one), one, path) for one in value], key=canonical)  # it has no order of its own
    if type(given) in _PLAIN and type(value) in _PLAIN:
        return value
    return to_jsonable_python(value) if isinstance(value, _WRITTEN) else given


def _member(value: Any, key: str, given: Json) -> Any:
    """What became of one key of an object; what was given where that cannot be told."""
    if isinstance(value, dict):
        return value.get(key, given)
    for name, field in getattr(type(value), "__pydantic_fields__", {}).items():
        known = field.validation_alias
        if key == known or key in getattr(known, "choices", ()):
            return getattr(value, name)
    return getattr(value, key, given)

"""Events as JSON and back: what a journal keeps.
A stored event is its kind, a version and a JSON object; it never names a Python type, and reading it runs nothing. A field
that this version does not know is passed over; a field that is missing has its default."""

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic_core import PydanticSerializationError, from_json, to_json

from segue.core.events import Event
from segue.core.messages import Assistant, Message, System, ToolAnswer, User
from segue.errors import JournalDamaged, JournalError, JournalNewer

VERSION = 1

LARGEST = 1e300
"""No time and no sum of money is larger: what is, is damage."""

KINDS: dict[str, type] = {kind.__name__: kind for kind in get_args(Event)}
"""The kinds that this version knows; the kind is the event's name."""

_ROLES: dict[str, type] = {"system": System, "user": User, "assistant": Assistant, "tool": ToolAnswer}
_ROLE_OF = {kind: role for role, kind in _ROLES.items()}


@dataclass(frozen=True, slots=True)
class Unknown:
    """Stands where an event of a newer version does. It is no `Event`: nothing can be folded from it."""

    kind: str
    version: int


def encode(event: Event) -> tuple[str, int, bytes]:
    """An event as (kind, version, JSON object). Fields that have their default are left out."""
    data = _written(event)
    try:
        stored = to_json(data)
    except PydanticSerializationError:  # half a surrogate pair: no UTF-8, but sound JSON as an escape
        stored = json.dumps(data, separators=(",", ":")).encode()
    if b"NaN" in stored or b"Infinity" in stored:
        _check_finite(data, event)
    return type(event).__name__, VERSION, stored


def _check_finite(data: Any, event: Event) -> None:
    try:
        json.dumps(data, allow_nan=False)
    except ValueError:
        raise JournalError(f"A {type(event).__name__} holds a number that is not finite: it could not be read back.") from None


def decode(kind: str, version: int, data: bytes | str) -> Event:
    """Read a stored event. Raises `JournalNewer` for one that this version does not know, `JournalDamaged` for a broken one."""
    made = KINDS.get(kind)
    if made is None or version > VERSION:
        raise JournalNewer(f"The journal holds an event {kind!r} (version {version}) of a newer version of Segue: use that one.")
    try:
        return _read(_READERS[made], loaded(data))  # type: ignore[no-any-return]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise JournalDamaged(f"A stored {kind} cannot be read ({type(error).__name__}).") from error


def skim(kind: str, version: int, data: bytes | str) -> Event | Unknown:
    """Read a stored event, for those who only look on: what this version does not know is `Unknown`."""
    try:
        return decode(kind, version, data)
    except JournalNewer:
        return Unknown(kind, version)


def loaded(data: bytes | str) -> Any:
    """What a stored event says, as JSON values. Raises `ValueError` or `RecursionError` for what is no JSON."""
    try:
        return from_json(data)
    except ValueError:
        text = data if isinstance(data, str) else data.decode()  # here: `json` would guess at the encoding, and load what reads it
        return json.loads(text)  # half a surrogate pair as an escape, or no JSON at all


def _written(value: Any) -> Any:
    """An event, a message or a part of one as JSON values, without the fields that have their default."""
    kind = type(value)
    if kind is tuple:
        return [_written(item) for item in value]
    known = _FIELDS.get(kind)
    if known is None:
        return value
    role = _ROLE_OF.get(kind)
    data = {} if role is None else {"role": role}
    for name, default in known:
        item = getattr(value, name)
        if item is not default and item != default:
            data[name] = _written(item)
    return data


Reader = dict[type, Callable[[Any], Any]]
"""How to read a value, by its JSON type: a stored value of another type is damage, not something to be guessed at."""

_FIELDS: dict[type, list[tuple[str, Any]]] = {}
"""The fields of what is stored as an object, with their defaults."""


def _read(reader: Reader, value: Any) -> Any:
    return reader[type(value)](value)


def _same(value: Any) -> Any:
    return value


def _finite(value: float) -> float:
    if not -LARGEST <= value <= LARGEST:
        raise ValueError("a number without an end")
    return value


_ANY: Reader = dict.fromkeys((str, int, float, bool, NoneType, list, dict), _same)


def _reader(hint: Any) -> Reader:
    """Make a reader from a type, and enter what it finds into `_FIELDS`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return _ANY
    if hint is float:
        return {float: _finite, int: _finite}
    if hint in (str, int, bool, NoneType):
        return {hint: _same}
    if origin is Literal:
        return {str: _same}
    if origin is Mapping:
        return {dict: _same}
    if origin is list or origin is tuple:
        return {list: _list_reader(_reader(arguments[0]), origin)}
    if origin is dict:
        return {dict: _same}
    if hint == Message:
        return {dict: _message_reader({role: _object_reader(kind) for role, kind in _ROLES.items()})}
    if origin is UnionType:
        return {kind: read for argument in arguments for kind, read in _reader(argument).items()}
    return {dict: _object_reader(hint)}


def _list_reader(item: Reader, made: Callable[[list[Any]], Any]) -> Callable[[Any], Any]:
    return lambda values: made([item[type(value)](value) for value in values])


def _message_reader(readers: Mapping[str, Callable[[Any], Any]]) -> Callable[[Any], Any]:
    return lambda data: readers[data["role"]](data)


def _object_reader(kind: Any) -> Callable[[Any], Any]:
    named = kind._field_defaults if issubclass(kind, tuple) else {field.name: field.default for field in fields(kind)}
    hints = get_type_hints(kind)
    _FIELDS[kind] = [(name, named.get(name, MISSING)) for name in hints]
    readers = {name: _reader(hint) for name, hint in hints.items()}

    def read(data: Mapping[str, Any]) -> Any:
        return kind(**{name: readers[name][type(value)](value) for name, value in data.items() if name in readers})

    return read


_READERS: dict[type, Reader] = {kind: _reader(kind) for kind in KINDS.values()}

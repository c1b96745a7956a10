"""Events as JSON and back: what a journal keeps.
A stored event is its kind, a version and a JSON object; it never names a Python type, and reading it runs nothing. A field
that this version does not know is passed over; a field that is missing has its default."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, get_args

from pydantic_core import from_json, to_json

from segue.core.events import Event, Handoff
from segue.core.messages import Assistant, Call, Message, Reply, System, ToolAnswer, Usage, User
from segue.errors import JournalDamaged, JournalNewer

VERSION = 1

KINDS: dict[str, type] = {kind.__name__: kind for kind in get_args(Event)}
"""The kinds that this version knows; the kind is the event's name."""

_ROLES: dict[str, type] = {"system": System, "user": User, "assistant": Assistant, "tool": ToolAnswer}
_ROLE_OF = {kind: role for role, kind in _ROLES.items()}


def encode(event: Event) -> tuple[str, int, bytes]:
    """An event as (kind, version, JSON object). Fields that have their default are left out."""
    data: dict[str, Any] = {}
    for name, default in _DEFAULTS[type(event)]:
        value = getattr(event, name)
        if value is default or value == default:
            continue
        write = _WRITE.get(name)
        data[name] = write(value) if write else value
    return type(event).__name__, VERSION, to_json(data)


def decode(kind: str, version: int, data: bytes | str) -> Event:
    """Read a stored event. Raises `JournalNewer` for one that this version does not know, `JournalDamaged` for a broken one."""
    made = KINDS.get(kind)
    if made is None or version > VERSION:
        raise JournalNewer(f"The journal holds an event {kind!r} (version {version}) that only a newer version of Segue knows: use that one.")
    try:
        values = from_json(data)
        return made(**{name: _read(made, name, values[name]) for name, _ in _DEFAULTS[made] if name in values})  # type: ignore[no-any-return]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise JournalDamaged(f"A stored {kind} cannot be read ({type(error).__name__}).") from error


def _plain(value: Any) -> dict[str, Any]:
    """A named tuple as an object, without the fields that have their default."""
    defaults = value._field_defaults
    return {name: item for name, item in zip(value._fields, value, strict=True) if name not in defaults or item != defaults[name]}


def _write_reply(reply: Reply) -> dict[str, Any]:
    data = _plain(reply)
    if reply.calls:
        data["calls"] = [_plain(call) for call in reply.calls]
    if reply.usage != Usage():
        data["usage"] = _plain(reply.usage)
    return data


def _write_messages(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    written = []
    for message in messages:
        data = _plain(message)
        if isinstance(message, Assistant) and message.calls:
            data["calls"] = [_plain(call) for call in message.calls]
        written.append({"role": _ROLE_OF[type(message)], **data})
    return written


def _read_tuple(kind: Any, data: Mapping[str, Any]) -> Any:
    values = {name: data[name] for name in kind._fields if name in data}
    if "calls" in values:
        values["calls"] = tuple(_read_tuple(Call, call) for call in values["calls"])
    if "usage" in values:
        values["usage"] = _read_tuple(Usage, values["usage"])
    return kind(**values)


def _read_messages(data: list[Mapping[str, Any]]) -> tuple[Message, ...]:
    return tuple(_read_tuple(_ROLES[message["role"]], message) for message in data)


_WRITE: dict[str, Callable[[Any], Any]] = {"reply": _write_reply, "messages": _write_messages, "handoff": _plain}
_READ: dict[str, Callable[[Any], Any]] = {
    "reply": lambda data: _read_tuple(Reply, data),
    "messages": _read_messages,
    "handoff": lambda data: _read_tuple(Handoff, data),
}

_TYPES: dict[tuple[type, str], tuple[type, ...]] = {}
"""What the JSON of a field may be: a stored value of another type is damage, not something to be guessed at."""

_DEFAULTS: dict[type, list[tuple[str, Any]]] = {
    kind: [(field.name, field.default) for field in fields(kind)] for kind in KINDS.values()
}


def _read(kind: type, name: str, value: Any) -> Any:
    types = _TYPES[kind, name]
    if types and (not isinstance(value, types) or (isinstance(value, bool) and bool not in types)):
        raise TypeError(f"{name} is of another type")
    read = _READ.get(name)
    return read(value) if read else value


_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str, type(None)),
    "int": (int,),
    "float": (float, int),
    "float | None": (float, int, type(None)),
    "bool": (bool,),
}


def _json_types(annotation: Any) -> tuple[type, ...]:
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    if text.startswith(("typing.Literal",)):
        return (str,)
    if text.startswith("collections.abc.Mapping"):
        return (dict,)
    if text.startswith("tuple["):
        return (list,)
    return _JSON_TYPES.get(text, ())


for _kind in KINDS.values():
    for _field in fields(_kind):
        _TYPES[_kind, _field.name] = _json_types(_field.type)

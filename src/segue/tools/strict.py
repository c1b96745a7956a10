"""JSON schemas as plain values: cleaned of noise, and judged whether they lie in the subset that providers hold strictly.
A schema is never bent to fit: making an optional parameter required would change what it means."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

# The narrowest of the published limits (Azure's), so that a schema that fits here fits everywhere.
MAX_PROPERTIES = 100
MAX_LEVELS = 5
MAX_CHOICES = 500

_NUMBER = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
_KEYWORDS: dict[str, set[str]] = {
    "string": {"pattern", "format"},
    "integer": _NUMBER,
    "number": _NUMBER,
    "boolean": set(),
    "null": set(),
    "array": {"items", "minItems", "maxItems"},
    "object": {"properties", "required", "additionalProperties", "$defs"},
}
_EVERYWHERE = {"type", "description", "enum", "const"}
_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}


def clean_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Take pydantic's titles out of a JSON schema, in place: they repeat names, and each model call pays for them."""
    for inner in _schemas(schema):
        inner.pop("title", None)
    return schema


def _schemas(schema: Any) -> Iterator[dict[str, Any]]:
    """Give a schema and all schemas in it; a property named "title" is none of its keywords."""
    if not isinstance(schema, dict):
        return
    yield schema
    for key, value in schema.items():
        if key in ("properties", "patternProperties", "$defs"):
            inner = list(value.values())
        elif key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            inner = value
        elif key in ("items", "additionalProperties", "propertyNames", "contains", "not"):
            inner = [value]
        else:
            continue
        for one in inner:
            yield from _schemas(one)


class Misfit(NamedTuple):
    """Why a schema is not strict: the path to the place, and the reason in words."""

    path: str
    reason: str


def misfit(schema: Mapping[str, Any]) -> Misfit | None:
    """Find the first place where an object's schema leaves the strict subset; `None` means that it fits."""
    judge = _Judge(schema.get("$defs", {}))
    found = judge.look(schema, (), 0)
    if found is None and judge.properties > MAX_PROPERTIES:
        return Misfit("", f"it has more than {MAX_PROPERTIES} properties")
    return found


def fits_strict(schema: Mapping[str, Any]) -> bool:
    """Say whether a schema is strict as it stands."""
    return misfit(schema) is None


class _Judge:
    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self.definitions = definitions
        self.properties = 0
        self.seen: set[str] = set()

    def look(self, schema: Mapping[str, Any], path: tuple[str, ...], level: int) -> Misfit | None:
        if "$ref" in schema:
            return self._reference(schema, path, level)
        if "anyOf" in schema:
            return self._choices(schema, path, level)
        kind = schema.get("type")
        if not isinstance(kind, str) or kind not in _KEYWORDS:
            return _at(path, "it has no single type")
        if odd := sorted(schema.keys() - _EVERYWHERE - _KEYWORDS[kind]):
            reason = "it is optional" if odd[0] == "default" else f"{odd[0]!r} is not supported"
            return _at(path, reason)
        if schema.get("format", "date") not in _FORMATS:
            return _at(path, f"the format {schema['format']!r} is not supported")
        if len(schema.get("enum", ())) > MAX_CHOICES:
            return _at(path, f"it has more than {MAX_CHOICES} choices")
        if kind == "object":
            return self._object(schema, path, level + 1)
        if kind == "array":
            items = schema.get("items")
            return self.look(items, (*path, "[]"), level) if isinstance(items, Mapping) else _at(path, "its items have no type")
        return None

    def _reference(self, schema: Mapping[str, Any], path: tuple[str, ...], level: int) -> Misfit | None:
        if len(schema) > 1:
            return _at(path, "a reference with a description or default beside it is not supported")
        name = schema["$ref"].rpartition("/")[2]
        if name in self.seen:
            return None
        self.seen.add(name)
        return self.look(self.definitions[name], path, level)

    def _choices(self, schema: Mapping[str, Any], path: tuple[str, ...], level: int) -> Misfit | None:
        if odd := sorted(schema.keys() - {"anyOf", "description"}):
            return _at(path, "it is optional" if odd[0] == "default" else f"{odd[0]!r} is not supported")
        return next((found for choice in schema["anyOf"] if (found := self.look(choice, path, level))), None)

    def _object(self, schema: Mapping[str, Any], path: tuple[str, ...], level: int) -> Misfit | None:
        properties = schema.get("properties", {})
        self.properties += len(properties)
        if level > MAX_LEVELS:
            return _at(path, f"it is nested deeper than {MAX_LEVELS} levels")
        for name, inner in properties.items():
            if name not in schema.get("required", ()):
                return _at((*path, name), "it is optional")
            if found := self.look(inner, (*path, name), level):
                return found
        if schema.get("additionalProperties") is not False:
            return _at(path, "it allows further keys")
        return None


def _at(path: tuple[str, ...], reason: str) -> Misfit:
    return Misfit(".".join(path), reason)

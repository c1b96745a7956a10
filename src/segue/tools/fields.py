"""Parameters as pydantic sees them: what is exchanged in their types, the validator of a call, and the raw JSON schema.
The one file of the tools that loads the whole of pydantic, which takes longer than loading Segue: it is imported when the
first tool is made."""

import inspect
import json
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Optional, Union

import typing_extensions
from pydantic import TypeAdapter, WithJsonSchema
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, to_jsonable_python

from segue.core.messages import Json
from segue.errors import ArgumentsRefused, UsageError
from segue.tools.settled import settled
from segue.tools.signature import NONE_GIVEN, Parameter, Signature
from segue.tools.strict import clean_schema

_MEND = (
    "Annotate it with a type that JSON can carry (str, int, list[...], a dataclass, a pydantic model), "
    "fix it with functools.partial, or take it from the context."
)


class Shape(NamedTuple):
    """What pydantic makes of a signature.

    `names` has the parameters that a model knows by another name, by that name; `filled`, what a call counts as that leaves
    parameters out.
    """

    schema: dict[str, Any]
    validate: Callable[[bytes], dict[str, Any]]
    names: dict[str, str]
    filled: dict[str, Json]


def shape(name: str, signature: Signature, described: Mapping[str, str]) -> Shape:
    """Make the schema and the validator of a call's arguments; `described` has words for parameters that have none of their own."""
    fields = [_Field(taken) for taken in signature.taken]
    _check_keys(name, fields)
    adapter, schema = _build(name, fields, signature)
    names = {field.key: field.name for field in fields if field.key != field.name}
    filled = {field.key: value for field in fields for value in field.left_out()}
    return Shape(_finished(schema, fields, described), adapter.validator.validate_json, names, filled)


class _Field:
    """One parameter as pydantic is to see it: `hint`, and the `key` under which a model gives it."""

    def __init__(self, taken: Parameter) -> None:
        self.taken = taken
        self.name = taken.name
        hint = _fitted(taken.hint, {})
        self.text = _text(hint)
        if hint is NONE_GIVEN:
            # the cookbook's rule: shown as text, taken as it comes
            hint = Any if taken.kind is inspect.Parameter.VAR_KEYWORD else Annotated[Any, WithJsonSchema({"type": "string"})]
        elif taken.default is None:
            hint = _or_none(hint)
        if isinstance(taken.default, FieldInfo):
            hint = Annotated[hint, taken.default]
        if taken.kind is inspect.Parameter.VAR_POSITIONAL:
            hint = list[hint]  # type: ignore[valid-type]
        self.hint = hint
        info = FieldInfo.from_annotation(hint)
        alias = info.validation_alias or info.alias
        self.key = alias if isinstance(alias, str) else taken.name
        # such a default is pydantic's to fill in: to the function it would be a FieldInfo, or nothing at all
        self.filled = not info.is_required()
        # `= Field(ge=1)` is no default, though it stands where one would
        self.required = taken.required or (isinstance(taken.default, FieldInfo) and not self.filled)

    def default(self) -> list[Json]:
        """Give the default as a list of one JSON value; empty where there is none that JSON can say."""
        value = self.taken.default.value if isinstance(self.taken.default, Enum) else self.taken.default
        try:
            read_back = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError, RecursionError):
            return []
        return [read_back] if read_back == value else []

    def left_out(self) -> list[Json]:
        """Give the default as an argument of its value is seen, as a list of one; empty where there is none, or no way to write it."""
        value = self.taken.default.get_default() if isinstance(self.taken.default, FieldInfo) else self.taken.default
        if self.required or self.taken.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            return []
        try:
            return [settled(to_jsonable_python(value), value, self.key)]
        except (PydanticSerializationError, ArgumentsRefused, TypeError, ValueError, RecursionError):
            return []


def _text(hint: Any) -> str | None:
    """Find the description in `Annotated[T, "text"]`, also as PEP 727's `Doc("text")`."""
    if typing.get_origin(hint) is not Annotated:
        return None
    texts = [getattr(extra, "documentation", extra) for extra in hint.__metadata__]
    return next((text for text in texts if isinstance(text, str)), None)


def _or_none(hint: Any) -> Any:
    """Let `x: str = None` take null: a model is shown the default, and may well send it."""
    if typing.get_origin(hint) is Annotated:
        return Annotated[(_or_none(hint.__origin__), *hint.__metadata__)]
    return Optional[hint]  # noqa: UP045 - a hint need not be a class


def _fitted(hint: Any, known: dict[Any, Any]) -> Any:
    """Exchange what pydantic would not deliver as it should.

    `Iterable[T]` becomes a list, because pydantic would check a lazy one inside the function; before Python 3.12 a
    `typing.TypedDict` becomes one of typing_extensions, because pydantic refuses the other.
    """
    if sys.version_info < (3, 12) and typing.is_typeddict(hint) and type(hint).__module__ == "typing":
        return _typed_dict(hint, known)
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return Annotated[(_fitted(inner[0], known), *hint.__metadata__)]
    if hint is Iterable or hint is typing.Iterable:
        return list[Any]
    if not inner or origin in (Literal, Callable):
        return hint
    fitted = tuple(_fitted(argument, known) for argument in inner)
    if origin is Iterable:
        return list[fitted]  # type: ignore[valid-type]
    if fitted == inner:
        return hint
    return Union[fitted] if origin in (Union, UnionType) else origin[fitted]  # noqa: UP007 - made of a tuple


def _typed_dict(kind: Any, known: dict[Any, Any]) -> Any:
    if kind not in known:
        known[kind] = twin = typing_extensions.TypedDict(kind.__name__, {})  # type: ignore[operator]
        hints = typing.get_type_hints(kind, include_extras=True)  # filled in afterwards, for a type that names itself
        twin.__annotations__ = {key: _fitted(hint, known) for key, hint in hints.items()}
        twin.__required_keys__, twin.__optional_keys__ = kind.__required_keys__, kind.__optional_keys__
        twin.__doc__, twin.__module__ = kind.__doc__, kind.__module__
    return known[kind]


def _check_keys(name: str, fields: list[_Field]) -> None:
    seen: dict[str, str] = {}
    for field in fields:
        if field.key in seen:
            raise UsageError(
                f"{name}: parameters {seen[field.key]!r} and {field.name!r} would both be given as {field.key!r}. Rename one.",
                function=name,
                parameter=field.name,
            )
        seen[field.key] = field.name


def _build(name: str, fields: list[_Field], signature: Signature) -> tuple[TypeAdapter[Any], dict[str, Any]]:
    try:
        return _adapted(_arguments(name, fields), signature.names)
    except Exception as whole:
        # once more, one by one, to name the parameter
        for field in fields:
            try:
                _adapted(_arguments(name, [field]), signature.names)
            except Exception as error:
                raise UsageError(
                    f"{name}: parameter {field.name!r} ({inspect.formatannotation(field.taken.hint)}) cannot be given by a model: "
                    f"{_reason(error)}. {_MEND}",
                    function=name,
                    parameter=field.name,
                ) from error
        raise UsageError(f"{name}: its parameters have no JSON schema: {_reason(whole)}. {_MEND}", function=name) from whole


def _reason(error: Exception) -> str:
    if isinstance(error, PydanticSchemaGenerationError):
        return "there is no way to make it from JSON"
    if isinstance(error, PydanticInvalidForJsonSchema):
        return "JSON schema cannot describe it"
    return str(error).partition("\n")[0].rstrip(".")


def _arguments(name: str, fields: list[_Field]) -> Any:
    """Make the TypedDict of the arguments: its keys may have any name, and what is not given stays away."""
    further = [field for field in fields if field.taken.kind is inspect.Parameter.VAR_KEYWORD]
    keys = {
        field.name: field.hint if field.required or field.filled else typing_extensions.NotRequired[field.hint]
        for field in fields
        if field not in further
    }
    typed_dict: Any = typing_extensions.TypedDict
    made = typed_dict(name, keys, extra_items=further[0].hint) if further else typed_dict(name, keys, closed=True)
    made.__pydantic_config__ = {"allow_inf_nan": False}  # "nan" is a text in JSON, and is above no limit when it is a number
    return made


def _adapted(_type: Any, _names: dict[str, Any]) -> tuple[TypeAdapter[Any], dict[str, Any]]:
    _adapter = TypeAdapter(_type)  # pydantic looks for names among the locals here: they begin with _ to shadow nobody's
    if not _adapter.pydantic_complete:
        _adapter.rebuild(_types_namespace=_names)
    return _adapter, _adapter.json_schema(schema_generator=_Generator)


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, made to refuse what it would pass over in silence."""

    def generator_schema(self, schema: Any) -> dict[str, Any]:
        return self.handle_invalid_for_json_schema(schema, "a generator (take a list)")

    def is_subclass_schema(self, schema: Any) -> dict[str, Any]:
        return self.handle_invalid_for_json_schema(schema, "a class")

    def emit_warning(self, kind: Any, detail: str) -> None:
        if kind == "skipped-choice":
            raise PydanticInvalidForJsonSchema(detail)


def _finished(schema: dict[str, Any], fields: list[_Field], described: Mapping[str, str]) -> dict[str, Any]:
    """Put the schema in our order, with descriptions and defaults, and without pydantic's titles."""
    properties = clean_schema(schema).get("properties", {})
    for field in fields:
        shown = properties.get(field.key)
        if shown is None:
            continue
        text = field.text or described.get(field.name)
        if text:
            shown.setdefault("description", text)
        for default in field.default():
            shown.setdefault("default", default)
    result = {
        "type": "object",
        "properties": properties,
        "required": schema.get("required", []),
        "additionalProperties": schema.get("additionalProperties", True),
    }
    return result | ({"$defs": schema["$defs"]} if "$defs" in schema else {})

"""A function's signature as a JSON schema, and a model's arguments as the values that the signature asks for (R4).
Built once, when the tool is made, and loud about what a model cannot give. A call is checked by one pydantic
validator, in JSON mode, so that a date is a date and an unknown argument is an error.
Nothing here calls the function or knows what its result is."""

import inspect
import json
import sys
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Literal, Optional, Union

import typing_extensions
from pydantic import TypeAdapter, ValidationError, WithJsonSchema
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import to_json

from segue.core.messages import Json
from segue.errors import ArgumentsRefused, UsageError
from segue.tools.docstrings import describe
from segue.tools.signature import NONE_GIVEN, Parameter, Signature, name_of, read
from segue.tools.strict import fits_strict, misfit

__all__ = ["Parameters", "clean_schema", "describe", "fits_strict", "parameters", "refusal"]

MAX_FIELDS = 20
"""How many misfits a model is told of at once."""

_MEND = (
    "Annotate it with a type that JSON can carry (str, int, list[...], a dataclass, a pydantic model), "
    "fix it with functools.partial, or take it from the context."
)


def parameters(function: Callable[..., Any], *, context_type: type, strict: bool | None = None, name: str | None = None) -> "Parameters":
    """Read what a function takes from a model.

    `context_type` marks the parameter that gets the context. `strict`: `None` where the schema fits as it is, `True` to insist,
    `False` for off. Raises `UsageError` for what cannot be expressed.
    """
    name = name or name_of(function)
    signature = read(function, context_type, name)
    fields = [_Field(taken) for taken in signature.taken]
    _check_keys(name, fields)
    adapter, schema = _build(name, fields, signature)
    schema = _finished(schema, fields, describe(function)[1])
    wrong = misfit(schema)
    if strict and wrong is not None:
        place = f"parameter {wrong.path!r}" if wrong.path else "the signature"
        raise UsageError(
            f"{name}: strict=True does not fit {place}: {wrong.reason}. Change the signature, or leave strict to Segue (strict=None).",
            function=name,
            parameter=wrong.path.partition(".")[0],
        )
    hidden = signature.hidden.union(field.name for field in fields if field.key != field.name)
    validate = adapter.validator.validate_json
    return Parameters(name, signature, schema, strict=strict is not False and wrong is None, hidden=hidden, validate=validate)


class Parameters:
    """What a function takes from a model, and how its arguments become a call.

    `schema` is the JSON schema of the arguments object. `strict` says that providers may be asked to enforce it. `context` names
    the parameter that gets the context, and `context_variables` says that one wants Swarm's dictionary; models see neither.
    """

    __slots__ = ("_hidden", "_name", "_positional", "_validate", "context", "context_variables", "schema", "strict")

    def __init__(
        self,
        name: str,
        signature: Signature,
        schema: dict[str, Any],
        *,
        strict: bool,
        hidden: frozenset[str],
        validate: Callable[[bytes], dict[str, Any]],
    ) -> None:
        self.schema = schema
        self.strict = strict
        self.context = signature.context
        self.context_variables = signature.context_variables
        self._name = name
        self._validate = validate
        self._positional = signature.positional
        # what `**kwargs` must not carry; a schema without further keys refuses these by itself
        self._hidden = frozenset() if schema["additionalProperties"] is False else hidden

    def bind(
        self, arguments: dict[str, Json], *, context: object = None, context_variables: dict[str, Any] | None = None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Check the arguments and give `args` and `kwargs` to call the function with, values as the annotated types.

        What was not given is left out, so that the function's own defaults act. Raises `ArgumentsRefused`.
        """
        if not self._hidden.isdisjoint(arguments):
            raise _refused(self._head(), [(key, self._unknown()) for key in arguments if key in self._hidden])
        try:
            values = self._validate(to_json(arguments))
        except ValidationError as error:
            raise refusal(error, arguments, head=self._head(), unknown=self._unknown()) from error
        except Exception as error:  # a validator of the user's; the function was not called, and the model must hear of it
            raise _refused(self._head(), [("", f"{type(error).__name__}: {error}")]) from error
        if self.context is not None:
            values[self.context] = context
        if self.context_variables:
            values["context_variables"] = {} if context_variables is None else context_variables
        return self._by_place(values) if self._positional else (), values

    def _by_place(self, values: dict[str, Any]) -> tuple[Any, ...]:
        """Take what must be passed by place out of the values; a gap is filled with the function's own default."""
        args: list[Any] = []
        for parameter in self._positional:
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                args += values.pop(parameter.name, ())
            else:
                args.append(values.pop(parameter.name, parameter.default))
        return tuple(args)

    def _unknown(self) -> str:
        known = ", ".join(self.schema["properties"])
        return f"Unknown argument; {self._name} takes {known or 'no arguments'}"

    def _head(self) -> str:
        return f"{self._name} was not run, its arguments do not fit:"


def refusal(
    error: ValidationError, arguments: Json = None, *, head: str = "The values do not fit:", unknown: str | None = None
) -> ArgumentsRefused:
    """Turn pydantic's error into one that a model can act on, field by field.

    With the `arguments` that were checked, paths name places in them and nothing else; `unknown` is what is said of a key that is
    not known at the top.
    """
    fields: dict[tuple[str, str], None] = {}
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        foreign = unknown is not None and item["type"] == "extra_forbidden" and len(item["loc"]) == 1
        fields[_path(item["loc"], item["type"], arguments), unknown if foreign and unknown else item["msg"]] = None
    told = list(fields)[:MAX_FIELDS]
    if len(fields) > MAX_FIELDS:
        told.append(("", f"and {len(fields) - MAX_FIELDS} more"))
    return _refused(head, told)


def _refused(head: str, fields: list[tuple[str, str]]) -> ArgumentsRefused:
    lines = [f"{path}: {words}" if path else words for path, words in fields]
    return ArgumentsRefused("\n".join([head, *lines]), fields=tuple(fields))


def _path(location: tuple[int | str, ...], kind: str, arguments: Any) -> str:
    """Keep what is a place in the arguments; pydantic also names the members of unions that it has tried."""
    if arguments is None:
        return ".".join(map(str, location))
    path: list[str] = []
    here = arguments
    for place, part in enumerate(location):
        inside = part in here if isinstance(here, dict) else isinstance(part, int) and isinstance(here, list) and part < len(here)
        if inside:
            here = here[part]
        if inside or part == "[key]" or (kind == "missing" and place == len(location) - 1):
            path.append(str(part))
    return ".".join(path)


class _Field:
    """One parameter as pydantic is to see it: `hint`, and the `key` under which a model gives it."""

    def __init__(self, taken: Parameter) -> None:
        self.taken = taken
        self.name = taken.name
        hint = _fitted(taken.hint, {})
        self.text = _text(hint)
        self.required = taken.required
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

    def default(self) -> list[Json]:
        """Give the default as a list of one JSON value; empty where there is none that JSON can say."""
        value = self.taken.default.value if isinstance(self.taken.default, Enum) else self.taken.default
        try:
            read_back = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError, RecursionError):
            return []
        return [read_back] if read_back == value else []


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
    if further:
        return typing_extensions.TypedDict(name, keys, extra_items=further[0].hint)  # type: ignore[operator]
    return typing_extensions.TypedDict(name, keys, closed=True)  # type: ignore[operator]


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

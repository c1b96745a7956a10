"""A function's signature as a JSON schema, and a model's arguments as the values that the signature asks for (R4).
Built once, when the tool is made, and loud about what a model cannot give. A call is checked by one pydantic
validator, in JSON mode, so that a date is a date and an unknown argument is an error.
Nothing here calls the function or knows what its result is."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import ValidationError, to_json

from segue.core.messages import Json
from segue.errors import ArgumentsRefused, UsageError
from segue.tools.context import copied
from segue.tools.docstrings import describe
from segue.tools.signature import Signature, name_of, read
from segue.tools.strict import misfit

MAX_FIELDS = 20
"""How many misfits a model is told of at once."""


def parameters(function: Callable[..., Any], *, context_type: type, strict: bool | None = None, name: str | None = None) -> "Parameters":
    """Read what a function takes from a model.

    `context_type` marks the parameter that gets the context. `strict`: `None` where the schema fits as it is, `True` to insist,
    `False` for off. Raises `UsageError` for what cannot be expressed.
    """
    from segue.tools.fields import shape  # it loads all of pydantic: not before there is a tool

    name = name or name_of(function)
    signature = read(function, context_type, name)
    schema, validate, names, filled = shape(name, signature, describe(function)[1])
    wrong = misfit(schema)
    if strict and wrong is not None:
        place = f"parameter {wrong.path!r}" if wrong.path else "the signature"
        raise UsageError(
            f"{name}: strict=True does not fit {place}: {wrong.reason}. Change the signature, or leave strict to Segue (strict=None).",
            function=name,
            parameter=wrong.path.partition(".")[0],
        )
    return Parameters(name, signature, schema, strict=strict is not False and wrong is None, names=names, filled=filled, validate=validate)


class Parameters:
    """What a function takes from a model, and how its arguments become a call.

    `schema` is the JSON schema of the arguments object. `strict` says that providers may be asked to enforce it. `context` names
    the parameter that gets the context, and `context_variables` says that one wants Swarm's dictionary; models see neither.
    """

    __slots__ = (
        *("_defaults", "_filled", "_hidden", "_name", "_names", "_positional", "_validate"),
        *("context", "context_variables", "schema", "strict"),
    )

    def __init__(
        self,
        name: str,
        signature: Signature,
        schema: dict[str, Any],
        *,
        strict: bool,
        names: Mapping[str, str],
        filled: Mapping[str, Json],
        validate: Callable[[bytes], dict[str, Any]],
    ) -> None:
        self.schema = schema
        self.strict = strict
        self.context = signature.context
        self.context_variables = signature.context_variables
        self._name = name
        self._names = names
        self._filled = filled
        self._validate = validate
        self._positional = signature.positional
        self._defaults = {taken.name: taken.default for taken in signature.taken}
        # what `**kwargs` must not carry; a schema without further keys refuses these by itself
        self._hidden = frozenset() if schema["additionalProperties"] is False else signature.hidden.union(names.values())

    def bind(
        self, arguments: dict[str, Json], *, context: object = None, context_variables: dict[str, Any] | None = None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Check the arguments and give `args` and `kwargs` to call the function with: `placed` of `values`."""
        return self.placed(self.values(arguments), context=context, context_variables=context_variables)

    def values(self, arguments: dict[str, Json]) -> dict[str, Any]:
        """Check the arguments and give them as the annotated types. Raises `ArgumentsRefused`.

        What was not given is left out, so that the function's own defaults act.
        """
        if not self._hidden.isdisjoint(arguments):
            raise _refused(self._head(), [(key, self._unknown()) for key in arguments if key in self._hidden])
        try:
            return self._validate(to_json(arguments))
        except ValidationError as error:
            raise refusal(error, arguments, head=self._head(), unknown=self._unknown()) from error
        except Exception as error:  # a validator of the user's; the function was not called, and the model must hear of it
            raise _refused(self._head(), [("", f"{type(error).__name__}: {error}")]) from error

    def placed(
        self, values: dict[str, Any], *, context: object = None, context_variables: dict[str, Any] | None = None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Give `args` and `kwargs` to call the function with, the context among them."""
        if self.context is not None:
            values[self.context] = context
        if self.context_variables:
            values["context_variables"] = {} if context_variables is None else context_variables
        return self._by_place(values) if self._positional else (), values

    def settled(self, arguments: dict[str, Json], values: dict[str, Any]) -> dict[str, Json]:
        """The arguments as they are delivered, defaults with them: for who checks, approves or compares calls.

        One stays as it was given, or away, where it would be read as something else than its value here (as by a validator that
        multiplies). Raises `ArgumentsRefused` for a number that is not finite.
        """
        from segue.tools.settled import settled  # loaded with the first tool, and not with Segue

        names = self._names
        found = {key: settled(given, values.get(names.get(key, key), given), key) for key, given in arguments.items()}
        filled = {key: copied(value) for key, value in self._filled.items() if key not in found}
        delivered = {**self._defaults, **values}
        for whole in (found | filled, found):  # a default need not be one that its own type takes
            try:
                again = self._validate(to_json(whole))
                same = [key for key in whole if again.get(names.get(key, key)) == delivered.get(names.get(key, key))]
            except Exception:  # noqa: S112 - what a validator of the user's has made cannot be given to it once more, or not be compared
                continue
            return arguments | {key: whole[key] for key in same}
        return arguments

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

"""What a Python callable takes, with its annotations resolved to types.
Nothing here knows pydantic or JSON: only `inspect`, and where the names in an annotation may be found."""

import builtins
import functools
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import typing_extensions  # pydantic needs it too; before Python 3.12 some of its types are other objects than typing's

from segue.errors import UsageError

NONE_GIVEN: Any = inspect.Parameter.empty
"""Stands for an annotation or a default that is not there."""

_UNPACK: tuple[Any, ...] = (typing.Unpack, typing_extensions.Unpack)
_REQUIRED: tuple[Any, ...] = (typing.Required, typing_extensions.Required)
_QUALIFIERS: tuple[Any, ...] = (*_REQUIRED, typing.NotRequired, typing_extensions.NotRequired)
_ALIASES: tuple[Any, ...] = (typing_extensions.TypeAliasType, getattr(typing, "TypeAliasType", typing_extensions.TypeAliasType))


class Parameter(NamedTuple):
    """One parameter. `hint` and `default` may be `NONE_GIVEN`; `required` says whether a call must give it."""

    name: str
    kind: Any
    hint: Any
    default: Any
    required: bool


class Signature(NamedTuple):
    """What a callable takes.

    `taken` are the parameters that a model fills; `positional` those of all that must be passed by place, in order.
    `hidden` are names that a model must not fill. `names` are the local names that annotations may use.
    """

    taken: list[Parameter]
    positional: list[Parameter]
    context: str | None
    context_variables: bool
    hidden: frozenset[str]
    names: dict[str, Any]


def name_of(function: Callable[..., Any]) -> str:
    """Name a callable as its author would: by its own name, that of what it wraps, or that of its class."""
    inner = without_partials(function)
    return getattr(inner, "__name__", None) or type(inner).__name__


def without_partials(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give what a partial calls in the end; anything else as it is."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def origin_of(function: Callable[..., Any]) -> tuple[Any, type | None]:
    """Find the function behind methods, partials, decorators and callable objects, and the class that it belongs to."""
    found: Any = function
    owner: type | None = None
    while True:
        if isinstance(found, functools.partial):
            found = found.func
        elif inspect.ismethod(found):
            owner = found.__self__ if isinstance(found.__self__, type) else type(found.__self__)
            found = found.__func__
        elif hasattr(found, "__wrapped__") and not hasattr(found, "__signature__"):
            found = found.__wrapped__
        elif isinstance(found, type):
            owner, found = found, found.__init__  # type: ignore[misc]
        elif inspect.isroutine(found):
            return found, owner
        else:
            owner, found = type(found), type(found).__call__


def read(function: Callable[..., Any], context_type: type, name: str) -> Signature:
    """Read what `function` takes; `name` is what errors call it.

    Annotations may be strings. Their names are looked for in the function's closure and globals, then in its class and
    in the functions that define it, as long as these still run: a class that is local to a function can be found while the
    agent or tool is made there, and not after it has returned.
    """
    found, bound = parameters_of(function, name)
    names = Names(function)
    context_variables = False
    taken: list[Parameter] = []
    free = [p for p in found if p.name not in bound or p.kind is p.VAR_KEYWORD]
    hinted = [(parameter, names.resolve(parameter, context_type, name)) for parameter in free]
    context = context_among(hinted, context_type, name)
    for parameter, hint in hinted:
        if parameter.name == context:
            continue
        if parameter.name == "context_variables" and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            context_variables = True
        elif parameter.kind is parameter.VAR_KEYWORD and typing.get_origin(hint) in _UNPACK:
            taken += _unpacked(typing.get_args(hint)[0])
        else:
            many = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            required = parameter.default is parameter.empty and not many
            taken.append(Parameter(parameter.name, parameter.kind, hint, parameter.default, required))
    hidden = {*bound, *([context] if context else []), *(["context_variables"] if context_variables else [])}
    return Signature(taken, _positional(found), context, context_variables, frozenset(hidden), names.local())


def parameters_of(function: Callable[..., Any], name: str) -> tuple[list[inspect.Parameter], Mapping[str, Any]]:
    """Read the parameters of a callable, and what a partial has bound by name; `name` is what errors call it.

    Raises `UsageError` for what cannot be read, and for a method without its object.
    """
    bound: Mapping[str, Any] = {}
    whole = function
    if isinstance(function, functools.partial):
        bound = function.keywords
        # a fresh one, because `update_wrapper` on a partial would make `inspect` forget what it has bound
        whole = functools.partial(function.func, *function.args, **bound)
    try:
        found = list(inspect.signature(whole).parameters.values())
    except (TypeError, ValueError, NameError) as error:
        raise UsageError(f"{name}: its parameters cannot be read ({error}). Wrap it in a function of your own.", function=name) from error
    _check_bound(function, found, name)
    return found, bound


def _positional(found: Sequence[inspect.Parameter]) -> list[Parameter]:
    """Pick what must be passed by place: positional-only parameters, and all that stand before `*args`."""
    kinds = {parameter.kind for parameter in found}
    by_place: set[Any] = {inspect.Parameter.POSITIONAL_ONLY}
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        by_place |= {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    return [Parameter(p.name, p.kind, NONE_GIVEN, p.default, p.default is p.empty) for p in found if p.kind in by_place]


def members(hint: Any) -> list[Any]:
    """Give the types that an annotation allows besides `None`: those of a union, without what `Annotated` adds and without arguments.

    What only gives a type another name is that type: an alias, a `NewType`, a variable with a bound.
    """
    origin = typing.get_origin(hint)
    if isinstance(origin or hint, _ALIASES):
        return members((origin or hint).__value__)
    if isinstance(hint, typing.NewType):
        return members(hint.__supertype__)
    if isinstance(hint, typing.TypeVar) and hint.__bound__ is not None:
        return members(hint.__bound__)
    if origin is typing.Annotated:
        return members(typing.get_args(hint)[0])
    if origin in (typing.Union, types.UnionType):
        return [kind for choice in typing.get_args(hint) if choice is not type(None) for kind in members(choice)]
    return [origin or hint]


def is_context(hint: Any, context_type: type) -> bool:
    """Tell whether an annotation asks for the context."""
    return any(isinstance(kind, type) and issubclass(kind, context_type) for kind in members(hint))


def context_among(hinted: Sequence[tuple[inspect.Parameter, Any]], context_type: type, name: str) -> str | None:
    """Name the parameter that asks for the context by its annotation, if one does."""
    asking = [parameter for parameter, hint in hinted if is_context(hint, context_type)]
    if len(asking) > 1:
        raise UsageError(f"{name}: {asking[0].name!r} and {asking[1].name!r} both ask for the context. Keep one.", function=name)
    if asking and asking[0].kind in (asking[0].VAR_POSITIONAL, asking[0].VAR_KEYWORD):
        raise UsageError(f"{name}: {asking[0]} cannot take the context. Give it a parameter of its own.", function=name)
    return asking[0].name if asking else None


def _check_bound(function: Callable[..., Any], found: Sequence[inspect.Parameter], name: str) -> None:
    """Refuse a method without its object: nobody could fill `self`."""
    if not found or found[0].name != "self" or found[0].annotation is not found[0].empty:
        return
    owner, _, method = getattr(origin_of(function)[0], "__qualname__", "").rpartition(".")
    if owner and not owner.endswith("<locals>"):
        thing = owner.rpartition(".")[2]
        raise UsageError(
            f"{name}: {thing}.{method} is a method without its object, and nothing fills `self`. Give `{thing.lower()}.{method}` of an "
            f"object, {thing.lower()} = {thing}(...); what @tool or @guard says is said of that too: tool(...)({thing.lower()}.{method}).",
            function=name,
        )


def _unpacked(typed_dict: Any) -> list[Parameter]:
    """Take the keys of `**kwargs: Unpack[SomeTypedDict]` as keyword-only parameters (PEP 692)."""
    kind = typing.get_origin(typed_dict) or typed_dict
    result = []
    for key, hint in typing_extensions.get_type_hints(kind, include_extras=True).items():
        required = key in kind.__required_keys__
        while (origin := typing.get_origin(hint)) in _QUALIFIERS:
            required = origin in _REQUIRED
            hint = typing.get_args(hint)[0]
        result.append(Parameter(key, inspect.Parameter.KEYWORD_ONLY, hint, NONE_GIVEN, required))
    return result


class Names:
    """The names that the annotations of one function may use."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._source, self._owner = origin_of(function)
        self._globals: dict[str, Any] = getattr(self._source, "__globals__", {})

    def resolve(self, parameter: inspect.Parameter, context_type: type, name: str) -> Any:
        """Give the type that a parameter is annotated with; strings in it are evaluated."""
        annotation = parameter.annotation
        if annotation is parameter.empty or isinstance(annotation, type):
            return annotation
        try:
            try:
                return self._evaluate(annotation, self._near())
            except NameError:
                return self._evaluate(annotation, self.local())
        except Exception as error:
            # `if TYPE_CHECKING: from segue import Context` leaves nothing to evaluate, and the intent is plain
            text = annotation if isinstance(annotation, str) else repr(annotation)
            if isinstance(error, NameError) and re.search(rf"(?<!\w){context_type.__name__}\b", text):
                return context_type
            raise UsageError(
                f"{name}: the annotation of parameter {parameter.name!r} ({text}) cannot be resolved: {error}. Import or define the "
                "type where the module is loaded, or make the agent in the function that defines the type.",
                function=name,
                parameter=parameter.name,
            ) from error

    def _evaluate(self, annotation: Any, local: dict[str, Any]) -> Any:
        def probe() -> None: ...

        probe.__annotations__ = {"hint": annotation}
        return typing.get_type_hints(probe, self._globals, local, include_extras=True)["hint"]

    def _near(self) -> dict[str, Any]:
        """Give the function's closure and type parameters."""
        result = {parameter.__name__: parameter for parameter in getattr(self._source, "__type_params__", ())}
        code = getattr(self._source, "__code__", None)
        for name, cell in zip(code.co_freevars if code else (), self._source.__closure__ or () if code else (), strict=True):
            try:
                result[name] = cell.cell_contents
            except ValueError:  # the enclosing function has not come to that line yet
                continue
        return result

    def local(self) -> dict[str, Any]:
        """Give every local name: of the class, of the defining functions that still run, and of the closure."""
        known = self._globals.keys() | vars(builtins).keys()
        classes = reversed(self._owner.__mro__) if self._owner else ()
        of_class = {key: value for kind in classes for key, value in vars(kind).items() if key not in known}
        return of_class | self._of_running_functions() | self._near()

    def _of_running_functions(self) -> dict[str, Any]:
        parts = getattr(self._source, "__qualname__", "").split(".")
        defining = {".".join(parts[:end]).removesuffix(".<locals>") for end in range(1, len(parts))}
        result: dict[str, Any] = {}
        frame = sys._getframe(1) if defining else None
        while frame is not None:
            if frame.f_globals is self._globals and frame.f_code.co_qualname in defining:
                result = dict(frame.f_locals) | result
            frame = frame.f_back
        return result

"""Users' functions that are no tools: instructions, guards, views, conditions, approvals. What each parameter gets is worked out once,
when the function is taken in, and refused where it cannot be told: a guard that looks at the wrong thing says no to nothing.
Nothing is called here but what was taken in."""

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any

from segue.errors import UsageError
from segue.tools.context import Context
from segue.tools.signature import Names, context_among, is_context, members, parameters_of

_PLACES = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_MANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_VARIABLES = "context_variables"

Take = Callable[[tuple[Any, ...]], Any]


class Fitted:
    """A function that is given all that it may know, and passes on what the function inside takes; made by `fitted`."""

    def __init__(self, function: Callable[..., Any], places: list[Take], named: dict[str, Take]) -> None:
        functools.update_wrapper(self, function, updated=())
        self._function = function
        self._places = places
        self._named = named

    def __call__(self, *given: Any) -> Any:
        """Call the function with what it takes of what is given."""
        return self._function(*[take(given) for take in self._places], **{name: take(given) for name, take in self._named.items()})

    def __repr__(self) -> str:
        return repr(self._function)


def fitted(function: Any, where: str, *given: str) -> Callable[..., Any]:
    """A callable of exactly what is `given`, by place; the function itself where it is that already.

    A parameter annotated with `Context` gets the context wherever it stands, and one called `context_variables` Swarm's dictionary.
    What is left goes in its order to the parameters without a default; a function of one gets what it is to look at, and one of
    none nothing. Raises `UsageError` for what is no function, and for what leaves a choice.
    """
    if isinstance(function, Fitted):
        return function
    if not callable(function):
        raise UsageError(f"{where}={function!r}: give a function of ({', '.join(given)}).")
    found, bound = parameters_of(function, where)
    found = [p for p in found if p.name not in bound]
    gets = _Gets(function, found, where, given).gets
    by_place = [p for p in found if p.kind in _PLACES]
    if len(gets) == len(given) and tuple(gets.get(p.name) for p in by_place[: len(given)]) == given:
        return typing.cast(Callable[..., Any], function)
    while by_place and by_place[-1].name not in gets:
        by_place.pop()
    # a gap is filled with the function's own default
    places = [_take(gets.pop(p.name), given) if p.name in gets else _constant(p.default) for p in by_place]
    places += [_take(gets.pop(name), given) for name in list(gets) if name.startswith("*")]
    return Fitted(function, places, {name: _take(what, given) for name, what in gets.items()})


class _Gets:
    """What each parameter of a function gets, by its name; `*0`, `*1` stand for what `*args` gets."""

    def __init__(self, function: Callable[..., Any], found: list[inspect.Parameter], where: str, given: tuple[str, ...]) -> None:
        self._where, self._given, self._found = where, given, found
        self._unresolved: UsageError | None = None
        self._hints = self._resolved(Names(function))
        self.gets: dict[str, str] = {}
        context = self._context()
        if context is not None:
            self.gets[context] = "context"
        if any(p.name == _VARIABLES and p.kind not in _MANY for p in found):
            self.gets[_VARIABLES] = _VARIABLES
        if self.gets and "context" not in given:
            raise self._error(f"no context is given to it. Leave {next(iter(self.gets))!r} out.")
        self._share([name for name in given if name != "context" or not self.gets])
        for parameter in found:
            if parameter.name not in self.gets and parameter.default is parameter.empty and parameter.kind not in _MANY:
                raise self._error(f"nothing is given for its parameter {parameter.name!r}. Give that a default.")

    def _resolved(self, names: Names) -> dict[str, Any]:
        hints: dict[str, Any] = {}
        for parameter in self._found:
            try:
                hints[parameter.name] = names.resolve(parameter, Context, self._where)
            except UsageError as error:
                hints[parameter.name], self._unresolved = Any, error
        return hints

    def _context(self) -> str | None:
        """The parameter that asks for the context: by its annotation, or by its name where another could be meant."""
        asks = context_among([(p, self._hints[p.name]) for p in self._found], Context, self._where)
        if asks is not None or "context" not in self._given:
            return asks
        called = [p for p in self._found if p.name in ("context", "ctx") and p.annotation is p.empty and p.kind not in _MANY]
        alone = len(self._given) > 1 and sum(p.kind in _PLACES for p in self._found) == 1
        return called[0].name if len(called) == 1 and not (alone and called[0].kind in _PLACES) else None

    def _share(self, left: list[str]) -> None:
        """Give what is left to the parameters without a default, or refuse where that could be meant otherwise."""
        free = [p for p in self._found if p.kind in _PLACES and p.name not in self.gets]
        needed = [p for p in free if p.default is p.empty]
        star = any(p.kind is p.VAR_POSITIONAL for p in self._found)
        if len(left) == 2 and len(needed) < 2:
            self._share_one(left, free, needed, star)
        elif not needed and star and not free:
            self.gets |= {f"*{place}": name for place, name in enumerate(left)}
        elif not needed and free and left and left[0] != "context":
            raise self._error(f"is {free[0].name!r} to get the {left[0]}? Take its default away, or make it keyword-only.")
        else:
            if len(left) == 2 and self._unresolved is not None:
                raise self._unresolved
            self.gets |= {p.name: name for p, name in zip(needed, left, strict=False)}
        for parameter in needed:
            if self.gets.get(parameter.name) == "context" and self._is_other(parameter):
                raise self._error(
                    f"{parameter.name!r} would get the context by its place, and is annotated as something else. "
                    "Annotate the parameter that is to get it: `ctx: Context`."
                )

    def _share_one(self, left: list[str], free: list[inspect.Parameter], needed: list[inspect.Parameter], star: bool) -> None:
        """Give a function that needs one of two what it is to look at; one that has no parameters is given nothing."""
        place = left.index("context")
        subject = left[1 - place]
        plain = len(free) == len(needed) and not star
        other = place < len(free) and self._is_other(free[place])
        if needed and (plain or other):
            self.gets[needed[0].name] = subject
        elif not plain:
            raise self._error(
                f"it cannot be told which parameter gets the {subject} and which the context. Annotate the context, `ctx: Context`; "
                "make what has a default keyword-only; use functools.wraps where it is decorated."
            )

    def _is_other(self, parameter: inspect.Parameter) -> bool:
        """Whether an annotation says that a parameter is not meant to get the context."""
        hint = self._hints[parameter.name]
        return hint is not parameter.empty and not any(_holds_context(kind) for kind in members(hint))

    def _error(self, words: str) -> UsageError:
        return UsageError(f"{self._where}: {words} It is given ({', '.join(self._given)}).")


def _holds_context(kind: Any) -> bool:
    if kind is Any or is_context(kind, Context) or not isinstance(kind, type):
        return True
    try:
        return issubclass(Context, kind)
    except TypeError:
        return bool(getattr(kind, "_is_protocol", False))


def _take(what: str, given: tuple[str, ...]) -> Take:
    if what == _VARIABLES:
        context = given.index("context")
        return lambda all_given: dict(all_given[context].values)
    place = given.index(what)
    return lambda all_given: all_given[place]


def _constant(value: Any) -> Take:
    return lambda all_given: value

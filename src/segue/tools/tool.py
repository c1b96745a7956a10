"""Tools: a function, what a model is told of it, and how it may be called.
A tool is made from a plain function; `@tool` says what its signature cannot say. Nothing is called here."""

import dis
import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from segue.core.arguments import canonical
from segue.core.events import EFFECTS, Effect
from segue.core.turns import LEGAL_NAME
from segue.errors import UsageError
from segue.model import ToolSpec
from segue.tools.context import Context
from segue.tools.docstrings import describe
from segue.tools.functions import fitted
from segue.tools.schema import Parameters, parameters
from segue.tools.signature import name_of, without_partials

F = TypeVar("F", bound=Callable[..., Any])

Approve = bool | Callable[..., Any]


@dataclass(frozen=True, slots=True, eq=False)
class Tool:
    """A function that a model may call. Made by `@tool`, or from a plain function by the agent that has it."""

    name: str
    description: str
    function: Callable[..., Any]
    parameters: Parameters
    effect: Effect = "once"
    approve: Approve = False
    timeout: float | None = None
    """Seconds; `None` for `Limits.tool_timeout`."""
    retries: int = 0
    alone: bool = False
    thread: bool = True
    unique: bool = False
    reconcile: Callable[..., Any] | None = None
    is_async: bool = False
    spec: ToolSpec = field(init=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        if not isinstance(self.approve, bool):
            if not callable(self.approve):
                raise UsageError(f"Tool {self.name}: approve={self.approve!r}. Give True, False or a function of (arguments, context).")
            put(self, "approve", fitted(self.approve, f"Tool {self.name}: approve", "arguments", "context"))
        if self.reconcile is not None:
            put(self, "reconcile", fitted(self.reconcile, f"Tool {self.name}: reconcile", "key"))
        strict = True if self.parameters.strict else None
        put(self, "spec", ToolSpec(self.name, self.description, self.parameters.schema, strict))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function as if it had not been made a tool."""
        return self.function(*args, **kwargs)

    @property
    def fingerprint(self) -> str:
        """Changes when what a model or an approver is told of the tool changes."""
        told = [self.name, self.description, dict(self.parameters.schema), self.effect]
        return hashlib.sha256(canonical(told).encode()).hexdigest()[:16]


@overload
def tool(function: F, /) -> Tool: ...
@overload
def tool(
    *,
    effect: Effect | None = None,
    approve: Approve = False,
    timeout: float | None = None,
    retries: int = 0,
    name: str | None = None,
    description: str | None = None,
    strict: bool | None = None,
    alone: bool = False,
    thread: bool = True,
    unique: bool = False,
    reconcile: Callable[..., Any] | None = None,
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a tool, and say what its signature cannot say.

    `effect`: what it may do to the world: "read" (nothing), "once" (the default), "keyed" (repeating it with the same
    `ctx.key` is harmless), "transaction" (it writes to the journal's own database, by `ctx.db`). `approve`: a person must
    agree first; or a function of (arguments, context) that returns `True` where one must: it is given the arguments as they
    will be delivered. `timeout`: seconds. `retries`: how often to call again after an exception; needs "read" or "keyed".
    `strict`: whether the provider must hold the model to the schema; `None` where the schema allows it. `alone`: no other
    call runs beside it. `thread=False`: a quick sync function that never blocks runs on the event loop. `unique`: an equal
    call later in the conversation is not made, but answered with the outcome of the earlier one. `reconcile`: a function of
    the key of a call whose process died, that gives what came of it, or `None` if it cannot tell. Raises `UsageError` for a
    function or options that cannot be.
    """
    if function is None:
        return lambda made: make_tool(made, **options)
    return make_tool(function)


def make_tool(
    function: Callable[..., Any],
    *,
    effect: Effect | None = None,
    approve: Approve = False,
    timeout: float | None = None,
    retries: int = 0,
    name: str | None = None,
    description: str | None = None,
    strict: bool | None = None,
    alone: bool = False,
    thread: bool = True,
    unique: bool = False,
    reconcile: Callable[..., Any] | None = None,
) -> Tool:
    """Make a tool of a function; see `tool`."""
    if not callable(function):
        raise UsageError(f"A tool must be a function, not {function!r}.")
    name = checked_name(name_of(function) if name is None else name)
    for option, given in {"alone": alone, "thread": thread, "unique": unique, "strict": strict}.items():
        if not isinstance(given, bool) and (given is not None or option != "strict"):
            raise UsageError(f"Tool {name}: {option}={given!r}. Give True or False{', or None' if option == 'strict' else ''}.")
    if effect is None:
        effect = "read" if _gives_agent(function) else "once"
    if effect not in EFFECTS:
        raise UsageError(f"Tool {name}: effect={effect!r} is not one of {', '.join(EFFECTS)}.")
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise UsageError(f"Tool {name}: retries={retries!r}. Give how often to call again, 0 or more.")
    if retries and effect not in ("read", "keyed"):
        raise UsageError(f'Tool {name}: retries={retries} needs effect="read" or effect="keyed", or a call could be made twice.')
    if effect == "transaction" and (_is_async(function) or not thread):
        raise UsageError(f'Tool {name}: effect="transaction" needs a sync function on a thread of its own.')
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0):
        raise UsageError(f"Tool {name}: timeout={timeout!r}. Give a number of seconds, more than 0.")
    if description is not None and not isinstance(description, str):
        raise UsageError(f"Tool {name}: description={description!r}. Give a text.")
    told = description if description is not None else describe(function)[0]
    return Tool(
        name=name,
        description=told,
        function=function,
        parameters=parameters(function, context_type=Context, strict=strict, name=name),
        effect=effect,
        approve=approve,
        timeout=timeout,
        retries=retries,
        alone=alone,
        thread=thread and not _only_names(function),
        unique=unique,
        reconcile=reconcile,
        is_async=_is_async(function),
    )


def checked_name(name: Any, given: str = "@tool(name=...)") -> str:
    """A name under which a model may be offered something; `given` is where another can be given. Raises `UsageError`."""
    if not isinstance(name, str) or not LEGAL_NAME.fullmatch(name):
        raise UsageError(f"A tool cannot be called {name!r}: use {given} with 1 to 64 of a-z, A-Z, 0-9, _ and -.")
    return name


def _is_async(function: Callable[..., Any]) -> bool:
    inner = without_partials(function)
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(getattr(type(inner), "__call__", None))  # noqa: B004


_NAMING = frozenset({"RESUME", "COPY_FREE_VARS", "LOAD_GLOBAL", "LOAD_DEREF", "RETURN_VALUE"})


def _only_names(function: Callable[..., Any]) -> bool:
    """Whether a function does nothing but return something it names, as handoff functions do: it cannot block, and needs no thread."""
    code = getattr(function, "__code__", None)
    return code is not None and not inspect.iscoroutinefunction(function) and {op.opname for op in dis.get_instructions(code)} <= _NAMING


def _gives_agent(function: Callable[..., Any]) -> bool:
    """Whether the return annotation is Segue's Agent: such a function only chooses, it does nothing to the world."""
    annotation = getattr(inspect.unwrap(function), "__annotations__", {}).get("return")
    if isinstance(annotation, str):
        return annotation.strip("\"' ").rpartition(".")[2] == "Agent"
    return getattr(annotation, "__name__", "") == "Agent" and getattr(annotation, "__module__", "").startswith("segue.")

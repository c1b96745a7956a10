"""Tools: a function, what a model is told of it, and how it may be called.
A tool is made from a plain function; `@tool` says what its signature cannot say. Nothing is called here."""

import dis
import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast, overload

from segue.core.arguments import canonical
from segue.core.events import Effect
from segue.core.messages import NOTHING, Json
from segue.errors import UsageError
from segue.model import ToolSpec
from segue.tools.schema import Parameters, describe, parameters

Deps = TypeVar("Deps")
F = TypeVar("F", bound=Callable[..., Any])

LEVELS = 100
"""How deep a value of the context may be nested."""

_EFFECTS = ("read", "once", "keyed", "transaction")


class Context(Generic[Deps]):
    """What a tool, an instructions function or a guard may know besides its arguments.

    Annotate a parameter with `Context` (or `Context[MyDeps]`) and it is filled in, hidden from the model.
    """

    __slots__ = ("_changes", "_db", "_progress", "_scope", "_values", "agent", "arguments", "call_id", "conversation", "deps", "place")

    def __init__(
        self,
        values: Mapping[str, Json] = NOTHING,
        *,
        deps: Any = None,
        agent: str = "",
        conversation: str = "",
        place: str = "",
        call_id: str = "",
        arguments: str = "",
        scope: str = "",
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self._values = values
        self._scope = scope or place
        self._db: Any = None
        self._changes: dict[str, Json] = {}
        self._progress = progress
        self.deps: Deps = deps
        """The live objects given to the Runner."""
        self.agent = agent
        """The name of the active agent."""
        self.conversation = conversation
        """The conversation's id."""
        self.place = place
        self.call_id = call_id
        self.arguments = arguments
        """The call's arguments in their canonical form."""

    @property
    def key(self) -> str:
        """The same for each attempt at this call, and for no other call: hand it to a service as its idempotency key (R26)."""
        return hashlib.sha256(f"{self.conversation}\n{self._scope}\n{self.arguments}".encode()).hexdigest()[:32]

    @property
    def db(self) -> Any:
        """The connection of a tool with effect="transaction", to the journal's own database, with a transaction open.

        What is written there and the call's outcome are committed together, or not at all; it cannot be committed here. A
        `sqlite3.Connection` or a `psycopg.Connection`, to be used on this thread until the tool returns. Raises `UsageError`
        in every other tool.
        """
        if self._db is None:
            raise UsageError('ctx.db is there while a tool with effect="transaction" runs, and nowhere else.')
        return self._db

    def lend(self, db: Any) -> None:
        """Give the tool its connection, or take it back (`None`)."""
        self._db = db

    @property
    def values(self) -> dict[str, Json]:
        """The conversation's context as it was before this message's calls, with this call's own changes; a copy."""
        return {name: copied(value) for name, value in {**self._values, **self._changes}.items()}

    @property
    def changes(self) -> dict[str, Json]:
        """What this call has set."""
        return self._changes

    def set(self, **values: Json) -> None:
        """Change the conversation's context when the turn closes. Raises `UsageError` for what is not JSON."""
        for name, value in values.items():
            self._changes[name] = as_json(name, value)

    def progress(self, text: str) -> None:
        """Tell whoever listens to the stream how far the tool has come. It is not kept."""
        if self._progress is not None:
            self._progress(text)


def as_json(name: str, value: Any) -> Json:
    """A copy of a JSON value. Raises `UsageError` for anything else."""
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"The context holds JSON values only, and {name!r} is not one ({error}). Keep live objects in `deps`.") from None
    if max(text.count("["), text.count("{")) > LEVELS and _levels(json.loads(text)) > LEVELS:
        raise UsageError(f"The context holds values of at most {LEVELS} levels, and {name!r} is nested deeper.")
    return json.loads(text)


def _levels(value: Json) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max((_levels(item) for item in inner), default=0)


def copied(value: Json) -> Json:
    """A JSON value that may be changed without changing the original."""
    if isinstance(value, Mapping):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


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
        strict = True if self.parameters.strict else None
        object.__setattr__(self, "spec", ToolSpec(self.name, self.description, self.parameters.schema, strict))

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
    agree first; or a function of (arguments, context) that says whether. `timeout`: seconds. `retries`: how often to call
    again after an exception; needs "read" or "keyed". `strict`: whether the provider must hold the model to the schema;
    `None` where the schema allows it. `alone`: no other call runs beside it. `thread=False`: a quick sync function that
    never blocks runs on the event loop. `unique`: an equal call later in the conversation is not made, but answered with the
    outcome of the earlier one. `reconcile`: a function of the key of a call whose process died, that gives what came of it,
    or `None` if it cannot tell. Raises `UsageError` for a function or options that cannot be.
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
    name = name or tool_name(function)
    if effect is None:
        effect = "read" if _gives_agent(function) else "once"
    if effect not in _EFFECTS:
        raise UsageError(f"Tool {name}: effect={effect!r} is not one of {', '.join(_EFFECTS)}.")
    if retries and effect not in ("read", "keyed"):
        raise UsageError(f'Tool {name}: retries={retries} needs effect="read" or effect="keyed", or a call could be made twice.')
    if effect == "transaction" and (_is_async(function) or not thread):
        raise UsageError(f'Tool {name}: effect="transaction" needs a sync function on a thread of its own.')
    if timeout is not None and not timeout > 0:
        raise UsageError(f"Tool {name}: timeout={timeout!r} must be more than 0 seconds.")
    told = description if description is not None else describe(function)[0]
    return Tool(
        name=_checked_name(name),
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


def tool_name(function: Callable[..., Any]) -> str:
    """The name under which a callable is offered: its own, that of what it wraps, or that of its class."""
    inner: Any = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    name = getattr(inner, "__name__", None) or type(inner).__name__
    return cast(str, name)


def _checked_name(name: str) -> str:
    if not name or len(name) > 64 or not all(char.isascii() and (char.isalnum() or char in "_-") for char in name):
        raise UsageError(f"A tool cannot be called {name!r}: use @tool(name=...) with 1 to 64 of a-z, A-Z, 0-9, _ and -.")
    return name


def _is_async(function: Callable[..., Any]) -> bool:
    inner: Any = function
    while isinstance(inner, functools.partial):
        inner = inner.func
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

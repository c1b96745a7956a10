"""Agents: a routine with a name; and what an agent is made of besides tools: handoffs and guards.
An agent never changes. It knows nothing of the loop, of models' wires or of journals."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple

from segue.core.messages import Json
from segue.errors import UsageError
from segue.model import Model, ModelSettings
from segue.tools.functions import fitted
from segue.tools.tool import Tool, checked_name, make_tool
from segue.tools.typed import Typed

Instructions = str | Path | Callable[..., Any]
View = Literal["everything", "handoff", "brief"] | Callable[..., Any]

_VIEWS = ("everything", "handoff", "brief")
_SETTINGS = frozenset(setting.name for setting in fields(ModelSettings))
_GUARDED = {"input": "text", "tool": "call", "output": "answer"}


@dataclass(frozen=True, slots=True, eq=False)
class Agent:
    """Instructions and tools under a name.

    `instructions`: text, the `Path` of a Markdown routine, or a function of the context. `tools`: functions, methods,
    `Tool`s. `handoffs`: agents, names of agents, or `handoff(...)`. `model`: a `Model` or "provider:model". `output`: the type
    of its final answer. `view`: what it is shown when it is handed a conversation: "everything", "handoff" (from the handoff
    on), "brief", or a function of the messages. Raises `UsageError` for what cannot be told to a model.
    """

    name: str
    instructions: Instructions = field(default="You are a helpful agent.", kw_only=True)
    tools: Iterable[Any] = field(default=(), kw_only=True)
    handoffs: Iterable[Any] = field(default=(), kw_only=True)
    model: str | Model | None = field(default=None, kw_only=True)
    output: Any = field(default=str, kw_only=True)
    view: View | None = field(default=None, kw_only=True)
    settings: ModelSettings = field(default=ModelSettings(), kw_only=True)
    description: str | None = field(default=None, kw_only=True)
    guards: Iterable[Any] = field(default=(), kw_only=True)
    typed_output: Typed | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise UsageError(f"An agent needs a name; {self.name!r} is none.")
        _check_text(f"{self.name}: description", self.description)
        if not isinstance(self.settings, ModelSettings):
            raise UsageError(f"{self.name}: settings={self.settings!r}. Give {_settings_of(self.settings)}.")
        if self.model is not None and not isinstance(self.model, str | Model):
            raise UsageError(f'{self.name}: model={self.model!r}. Give "provider:model", or a Model: what has a name and a reply(request).')
        put = object.__setattr__
        put(self, "tools", tuple(self._tool(made) for made in _listed(self.name, "tools", self.tools)))
        put(self, "handoffs", tuple(_handoff(self.name, edge) for edge in _listed(self.name, "handoffs", self.handoffs)))
        put(self, "guards", tuple(_guard(self.name, made) for made in _listed(self.name, "guards", self.guards)))
        if isinstance(self.instructions, Path):
            put(self, "instructions", read_routine(self.instructions))
        elif callable(self.instructions):
            put(self, "instructions", fitted(self.instructions, f"{self.name}: instructions", "context"))
        elif not isinstance(self.instructions, str):
            raise UsageError(f"{self.name}: instructions are a text, a Path or a function, not {self.instructions!r}.")
        if self.output is not str:
            put(self, "typed_output", Typed(self.output, where=f"{self.name}: output", wrap="result"))
        put(self, "view", _view(f"{self.name}: view", self.view))

    def _tool(self, made: Any) -> Any:
        if isinstance(made, Tool | AgentTool):
            return made
        if isinstance(made, Agent):
            raise UsageError(f"{self.name}: {made.name} is an agent, not a tool; put it into handoffs=[...], or give its as_tool().")
        return make_tool(made)

    def __repr__(self) -> str:
        return f"Agent({self.name!r})"

    def as_tool(self, *, name: str | None = None, description: str | None = None) -> "AgentTool":
        """Offer this agent to others as a tool: it works in a conversation of its own, and its output is the tool's result."""
        _check_text(f"{self.name}: as_tool description", description)
        told = description or self.description or f"Ask {self.name}."
        return AgentTool(checked_name(slug(self.name) if name is None else name, "as_tool(name=...)"), told, self)


class AgentTool(NamedTuple):
    """An agent as a tool; made by `Agent.as_tool`."""

    name: str
    description: str
    agent: Agent


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool returns when it does several things at once: a value for the model, a handoff, changes of the context."""

    value: Any = ""
    agent: Agent | None = None
    context: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """A handoff that an agent offers; made by `handoff`."""

    agent: Agent | str
    name: str | None = None
    description: str | None = None
    view: View | None = None
    when: Callable[..., Any] | None = None
    brief: Typed | None = None
    kind: Literal["transfer", "call"] = "transfer"

    def __post_init__(self) -> None:
        if self.when is not None:
            object.__setattr__(self, "when", fitted(self.when, f"handoff to {self.target}: when", "context"))
        object.__setattr__(self, "view", _view(f"handoff to {self.target}: view", self.view))

    @property
    def target(self) -> str:
        """The name of the agent that gets the floor."""
        return self.agent if isinstance(self.agent, str) else self.agent.name


def handoff(
    agent: Agent | str,
    *,
    name: str | None = None,
    description: str | None = None,
    view: View | None = None,
    when: Callable[..., Any] | None = None,
    brief: Any = None,
    kind: Literal["transfer", "call"] = "transfer",
) -> Edge:
    """Say how one agent hands off to another.

    `agent`: the agent, or its name (for cycles). `name`: of the generated tool; `transfer_to_<agent>` by default, `call_<agent>`
    for `kind="call"`, after which the agent gives the floor back with a `return_to_...` tool. `view`: what it is shown.
    `when`: a function of the context that says whether the way is open. `brief`: a type that the model must fill.
    """
    if kind not in ("transfer", "call"):
        raise UsageError(f'handoff(kind={kind!r}): give "transfer" or "call".')
    if not isinstance(agent, Agent | str) or not agent:
        raise UsageError(f"handoff({agent!r}): give an Agent or the name of one.")
    target = agent if isinstance(agent, str) else agent.name
    _check_text(f"handoff to {target}: description", description)
    if name is not None:
        checked_name(name, "handoff(..., name=...)")
    if view == "brief" and brief is None:
        raise UsageError(f'handoff to {target}: view="brief" needs brief=, the type of the brief.')
    typed = None if brief is None else Typed(brief, where=f"handoff to {target}: brief", wrap="brief")
    return Edge(agent, name, description, view, when, typed, kind)


@dataclass(frozen=True, slots=True, eq=False)
class Guard:
    """A function that may say no; made by `@guard`."""

    kind: Literal["input", "tool", "output"]
    function: Callable[..., Any]
    """Called with the context and what is guarded, by place."""
    name: str

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "function", fitted(self.function, f"guard {self.name}", "context", _GUARDED[self.kind]))


def guard(kind: Literal["input", "tool", "output"]) -> Callable[[Callable[..., Any]], Guard]:
    """Mark a function of (context, what is guarded) as a guard: it returns `None`, or the reason for which it says no.

    A parameter annotated with `Context` gets the context wherever it stands; a function of one parameter gets what is guarded.
    Raises `UsageError` where it cannot be told which parameter gets what.

    "input" is given the user's text and "output" the agent's answer: a no fails the run. "tool" is given the call (`name`,
    `arguments` as a dictionary, as the function will get them, with defaults): a no is an outcome that the model reads. The
    function may be async.
    """
    if kind not in ("input", "tool", "output"):
        raise UsageError(f'guard({kind!r}): give "input", "tool" or "output".')
    return lambda function: Guard(kind, function, getattr(function, "__name__", type(function).__name__))


def slug(name: str) -> str:
    """An agent's name as part of a tool's name."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:48] or "agent"


def read_routine(path: Path) -> str:
    """The text of a Markdown routine; front matter between `---` lines at its top is left out."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The routine {path} cannot be read ({error}).") from error
    front = re.match(r"---\r?\n.*?\r?\n---\r?\n", text, re.DOTALL)
    return text[front.end() :].strip() if front else text.strip()


def _listed(name: str, what: str, given: Any) -> tuple[Any, ...]:
    if isinstance(given, str | bytes | Agent) or callable(given):
        raise UsageError(f"{name}: {what} is a list; write {what}=[...].")
    try:
        return tuple(given)
    except TypeError:
        raise UsageError(f"{name}: {what} is a list, not {given!r}; write {what}=[...], or leave it out.") from None


def _handoff(name: str, edge: Any) -> Edge:
    if isinstance(edge, Edge):
        return edge
    if isinstance(edge, Agent | str):
        return handoff(edge)
    hint = " Put functions that return an agent into tools=[...]." if inspect.isroutine(edge) or isinstance(edge, Tool) else ""
    raise UsageError(f"{name}: handoffs are agents, names or handoff(...), not {edge!r}.{hint}")


def _guard(name: str, made: Any) -> Guard:
    if isinstance(made, Guard):
        return made
    raise UsageError(f'{name}: {made!r} is not a guard; mark the function with @guard("input"), @guard("tool") or @guard("output").')


def _view(where: str, view: Any) -> Any:
    if view is None or (isinstance(view, str) and view in _VIEWS):
        return view
    if not callable(view):
        raise UsageError(f"{where}={view!r} is not one of {', '.join(_VIEWS)}, nor a function of the messages.")
    return fitted(view, where, "context", "messages")


def _check_text(where: str, given: Any) -> None:
    if given is not None and not isinstance(given, str):
        raise UsageError(f"{where}={given!r}. Give a text.")


def _settings_of(given: Any) -> str:
    """How settings are written that were given as a dictionary."""
    named = isinstance(given, Mapping) and all(name in _SETTINGS for name in given)
    return f"settings=ModelSettings({', '.join(f'{name}={value!r}' for name, value in given.items()) if named else '...'})"

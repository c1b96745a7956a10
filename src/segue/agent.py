"""Agents: a routine with a name; and what an agent is made of besides tools: handoffs and guards.
An agent never changes. It knows nothing of the loop, of models' wires or of journals."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from segue.core.messages import Json
from segue.errors import UsageError
from segue.model import Model, ModelSettings
from segue.tools.tool import Tool, make_tool
from segue.tools.typed import Typed

Instructions = str | Path | Callable[..., Any]
View = Literal["everything", "handoff", "brief"] | Callable[..., Any]

_VIEWS = ("everything", "handoff", "brief")


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
        put = object.__setattr__
        put(self, "tools", tuple(self._tool(made) for made in _listed(self.name, "tools", self.tools)))
        put(self, "handoffs", tuple(_handoff(self.name, edge) for edge in _listed(self.name, "handoffs", self.handoffs)))
        put(self, "guards", tuple(_guard(self.name, made) for made in _listed(self.name, "guards", self.guards)))
        if isinstance(self.instructions, Path):
            put(self, "instructions", read_routine(self.instructions))
        elif not isinstance(self.instructions, str) and not callable(self.instructions):
            raise UsageError(f"{self.name}: instructions are a text, a Path or a function, not {self.instructions!r}.")
        if self.output is not str:
            put(self, "typed_output", Typed(self.output, where=f"{self.name}: output", wrap="result"))
        _check_view(f"{self.name}: view", self.view)

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
        told = description or self.description or f"Ask {self.name}."
        return AgentTool(name or slug(self.name), told, self)


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
    if not isinstance(agent, Agent | str):
        raise UsageError(f"handoff({agent!r}): give an Agent or the name of one.")
    target = agent if isinstance(agent, str) else agent.name
    _check_view(f"handoff to {target}: view", view)
    if view == "brief" and brief is None:
        raise UsageError(f'handoff to {target}: view="brief" needs brief=, the type of the brief.')
    typed = None if brief is None else Typed(brief, where=f"handoff to {target}: brief", wrap="brief")
    return Edge(agent, name, description, view, when, typed, kind)


@dataclass(frozen=True, slots=True, eq=False)
class Guard:
    """A function that may say no; made by `@guard`."""

    kind: Literal["input", "tool", "output"]
    function: Callable[..., Any]
    name: str


def guard(kind: Literal["input", "tool", "output"]) -> Callable[[Callable[..., Any]], Guard]:
    """Mark a function of (context, what is guarded) as a guard: it returns `None`, or the reason for which it says no.

    "input" is given the user's text and "output" the agent's answer: a no fails the run. "tool" is given the call (`name`,
    `arguments` as a dictionary): a no is an outcome that the model reads. The function may be async.
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
    return tuple(given)


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


def _check_view(where: str, view: Any) -> None:
    if view is not None and view not in _VIEWS and not callable(view):
        raise UsageError(f"{where}={view!r} is not one of {', '.join(_VIEWS)}, nor a function of the messages.")

"""The team: the agents that can be reached from the entry agent, by name. Built once, checked once.
Here names become code, and only here."""

import functools
import hashlib
import inspect
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any, NamedTuple, assert_never

from segue.agent import Agent, AgentTool, Edge, slug
from segue.core.arguments import canonical
from segue.core.messages import Json
from segue.errors import UsageError
from segue.model import ToolSpec
from segue.tools.tool import Tool
from segue.tools.typed import Typed

NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


class Transfer(NamedTuple):
    """A generated handoff tool."""

    edge: Edge
    spec: ToolSpec


class Return(NamedTuple):
    """The generated tool with which a callee gives the floor back."""

    caller: str
    typed: Typed
    spec: ToolSpec


Offer = Tool | AgentTool | Transfer | Return


class Member:
    """An agent of a team, with everything that it offers its model."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.table: dict[str, Offer] = {}
        for made in agent.tools:
            self._add(made.name, made)
        for edge in agent.handoffs:
            transfer = _transfer(edge)
            self._add(transfer.spec.name, transfer)
        self.edges = {offer.edge.target: offer.edge for offer in self.table.values() if isinstance(offer, Transfer)}
        self.conditional = [offer for offer in self.table.values() if isinstance(offer, Transfer) and offer.edge.when]
        self.guards = {kind: tuple(guard for guard in agent.guards if guard.kind == kind) for kind in ("input", "tool", "output")}
        self._returns: dict[str, Return] = {}
        self._specs: dict[tuple[str, frozenset[str]], tuple[ToolSpec, ...]] = {}

    def _add(self, name: str, offer: Offer) -> None:
        if name in self.table:
            raise UsageError(
                f"{self.agent.name} has two tools called {name}: {_called(self.table[name])} and {_called(offer)}. "
                "Rename one with @tool(name=...) or handoff(..., name=...)."
            )
        self.table[name] = offer

    def returns(self, caller: str) -> Return:
        """The tool that gives the floor back to a caller."""
        made = self._returns.get(caller)
        if made is None:
            typed = Typed(self.agent.output, where=f"{self.agent.name}: output")
            description = f"Give the floor back to {caller}, with what it asked for."
            spec = ToolSpec(f"return_to_{slug(caller)}", description, typed.schema, True if typed.strict else None)
            made = self._returns[caller] = Return(caller, typed, spec)
            if spec.name in self.table:
                raise UsageError(f"{self.agent.name} has a tool called {spec.name}, the name it needs to give the floor back to {caller}.")
        return made

    def specs(self, caller: str = "", closed: frozenset[str] = frozenset()) -> tuple[ToolSpec, ...]:
        """What the model is offered: the same object as long as the same is offered."""
        made = self._specs.get((caller, closed))
        if made is None:
            made = tuple(_spec(offer) for name, offer in self.table.items() if name not in closed)
            if caller:
                made = (*made, self.returns(caller).spec)
            self._specs[caller, closed] = made
        return made


def _spec(offer: Offer) -> ToolSpec:
    if isinstance(offer, AgentTool):
        parameters = {
            "type": "object",
            "properties": {"input": {"type": "string", "description": "What you want of it, in full: it does not see this conversation."}},
            "required": ["input"],
            "additionalProperties": False,
        }
        return ToolSpec(offer.name, offer.description, parameters, True)
    return offer.spec


def _called(offer: Offer) -> str:
    match offer:
        case Tool():
            function = inspect.unwrap(offer.function)
            return f"the function {getattr(function, '__qualname__', offer.name)}"
        case AgentTool():
            return f"the agent {offer.agent.name} as a tool"
        case Transfer():
            return f"the handoff to {offer.edge.target}"
        case Return():
            return f"the return to {offer.caller}"
        case _:
            assert_never(offer)


def _transfer(edge: Edge) -> Transfer:
    call = edge.kind == "call"
    name = edge.name or f"{'call' if call else 'transfer_to'}_{slug(edge.target)}"
    description = edge.description
    if description is None:
        about = None if isinstance(edge.agent, str) else edge.agent.description
        does = f"Give the floor to {edge.target} until it returns." if call else f"Hand the conversation over to {edge.target}."
        description = f"{does} {about}" if about else does
    schema = edge.brief.schema if edge.brief else NO_PARAMETERS
    return Transfer(edge, ToolSpec(name, description, schema, True if edge.brief is None or edge.brief.strict else None))


class Team:
    """The agents reachable from an entry agent. Raises `UsageError` where names clash or lead nowhere."""

    def __init__(self, entry: Agent, agents: Iterable[Agent] = (), others: Container[str] = ()) -> None:
        self.entry = entry
        self.members: dict[str, Member] = {}
        waiting = [entry, *agents]
        while waiting:
            agent = waiting.pop(0)
            known = self.members.get(agent.name)
            if known is None:
                self.members[agent.name] = Member(agent)
                waiting.extend(reachable(agent))
            elif known.agent is not agent:
                raise UsageError(f"Two different agents are called {agent.name!r}. An agent is found again by its name: rename one.")
        for member in self.members.values():
            for target, edge in member.edges.items():
                if target not in self.members and target not in others:
                    known_names = ", ".join(sorted(self.members))
                    raise UsageError(
                        f"{member.agent.name} hands off to {target!r}, and there is no such agent. There are: {known_names}. "
                        "Name it in agents=[...] if nothing else leads to it."
                    )
                if edge.kind == "call" and target in self.members:
                    self.members[target].returns(member.agent.name)  # a tool of its own may have the name that it needs

    def __contains__(self, name: str) -> bool:
        return name in self.members

    def __iter__(self) -> Iterator[Member]:
        return iter(self.members.values())

    def member(self, name: str) -> Member:
        """An agent by its name. Raises `UsageError` for a name that the team lacks."""
        found = self.members.get(name)
        if found is None:
            raise UsageError(f"The team has no agent {name!r}. It has: {', '.join(sorted(self.members))}. Name it in agents=[...].")
        return found

    def joined(self, agent: Agent) -> "Team":
        """This team and an agent that a tool returned, with what it leads to; a newer agent takes the place of one of its name."""
        new = Team(agent, others=self.members)
        larger = Team.__new__(Team)
        larger.entry = self.entry
        larger.members = {**new.members, **self.members, agent.name: new.members[agent.name]}
        return larger

    @functools.cached_property
    def fingerprint(self) -> dict[str, Json]:
        """What each agent is made of, in short hashes: instructions, tools, handoffs, model (R31)."""
        return {name: _fingerprint(member) for name, member in self.members.items()}


def _fingerprint(member: Member) -> dict[str, Json]:
    words, model = _made_of(member.agent)
    made: dict[str, Json] = {"instructions": _hash(words), "tools": {spec.name: _spec_hash(member, spec) for spec in member.specs()}}
    return made | ({"handoffs": sorted(member.edges)} if member.edges else {}) | ({"model": model} if model else {})


def _made_of(agent: Agent) -> tuple[str, str | None]:
    """An agent's instructions and its model, by what tells them apart."""
    told = agent.instructions
    words = told if isinstance(told, str) else getattr(told, "__qualname__", "") or str(told)
    return words, agent.model if isinstance(agent.model, str) else getattr(agent.model, "name", None)


def _spec_hash(member: Member, spec: ToolSpec) -> str:
    offer = member.table[spec.name]
    if isinstance(offer, Tool):
        return offer.fingerprint[:8]
    made: list[Json] = [spec.name, spec.description, dict(spec.parameters)]
    if isinstance(offer, AgentTool):  # what an agent does as a tool changes with all that it leads to
        made += [_own(agent) for agent in _behind(offer.agent)]
    return _hash(made)


def _own(agent: Agent) -> Json:
    """What an agent is itself, without what those are that it leads to."""
    tools: list[Json] = [made.fingerprint if isinstance(made, Tool) else [made.name, made.description] for made in agent.tools]
    return [agent.name, *_made_of(agent), tools, [edge.target for edge in agent.handoffs]]


def _behind(agent: Agent) -> list[Agent]:
    """An agent and all that it leads to: by handoffs, by what its functions name, and as tools."""
    found = {id(agent): agent}
    waiting = [agent]
    while waiting:
        one = waiting.pop(0)
        for other in (*reachable(one), *(made.agent for made in one.tools if isinstance(made, AgentTool))):
            if id(other) not in found:
                found[id(other)] = other
                waiting.append(other)
    return list(found.values())


def _hash(value: Json) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:8]


def reachable(agent: Agent) -> list[Agent]:
    """The agents that an agent leads to: handoffs, and the agents that its functions name in globals or closure."""
    found: dict[int, Agent] = {}
    for edge in agent.handoffs:
        if isinstance(edge.agent, Agent):
            found.setdefault(id(edge.agent), edge.agent)
    for made in agent.tools:
        if isinstance(made, Tool):
            for named in named_agents(made.function):
                found.setdefault(id(named), named)
    return list(found.values())


def named_agents(function: Callable[..., Any]) -> list[Agent]:
    """The agents that a function's code names; they are read, and the function is not called."""
    inner: Any = inspect.unwrap(function)
    while isinstance(inner, functools.partial):
        inner = inspect.unwrap(inner.func)
    inner = getattr(inner, "__func__", inner)
    code = getattr(inner, "__code__", None)
    if code is None:
        return []
    values = [inner.__globals__[name] for name in code.co_names if name in inner.__globals__]
    for cell in inner.__closure__ or ():
        try:
            values.append(cell.cell_contents)
        except ValueError:  # a variable of the enclosing function that has no value yet
            continue
    return [value for value in values if isinstance(value, Agent)]

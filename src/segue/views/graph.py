"""A team as a graph: agents, their tools, and who may hand over to whom.
`graph` reads the team and calls nothing; the value it makes is drawn by `segue.views.drawing`."""

from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple

from segue.agent import Agent, AgentTool
from segue.core.messages import Json
from segue.model import Model
from segue.team import Member, Team, Transfer, named_agents
from segue.tools.tool import Tool

EdgeKind = Literal["transfer", "call", "function", "tool"]


class ToolNode(NamedTuple):
    """A tool of an agent. `approve` is true where a person is, or may be, asked first."""

    name: str
    description: str
    effect: str
    approve: bool = False


class AgentNode(NamedTuple):
    """An agent. `model` is empty where it has none of its own; tools that are handoffs only stand in the edges."""

    name: str
    description: str
    model: str
    tools: tuple[ToolNode, ...]


class EdgeLine(NamedTuple):
    """A way from one agent to another.

    `kind`: "transfer" and "call" are generated handoffs, "function" is a tool whose code names the agent it may return,
    "tool" is an agent that is used as a tool. `tool` is its name. `conditional`: it may be closed. `brief`: it carries one.
    """

    source: str
    target: str
    tool: str
    kind: EdgeKind
    conditional: bool = False
    brief: bool = False


class Graph(NamedTuple):
    """A team. The entry agent is the first of `agents`."""

    entry: str
    agents: tuple[AgentNode, ...]
    edges: tuple[EdgeLine, ...]

    def edges_from(self, agent: str) -> list[EdgeLine]:
        """The ways that lead away from an agent."""
        return [edge for edge in self.edges if edge.source == agent]

    def as_json(self) -> Json:
        """The graph as JSON values."""
        return {
            "entry": self.entry,
            "agents": [{**agent._asdict(), "tools": [made._asdict() for made in agent.tools]} for agent in self.agents],
            "edges": [edge._asdict() for edge in self.edges],
        }


def graph(team: Team) -> Graph:
    """Read a team's graph, with the agents that it uses as tools and the teams of these."""
    members = _members(team)
    edges = [edge for member in members for edge in _edges(member)]
    return Graph(team.entry.name, tuple(_node(member) for member in members), tuple(edges))


def everyone(team: Team) -> list[Agent]:
    """The agents of a team, those that it uses as tools, and the teams of these."""
    return [member.agent for member in _members(team)]


def _members(team: Team) -> list[Member]:
    members: dict[str, Member] = {}
    waiting = [team]
    while waiting:
        for member in waiting.pop(0):
            if member.agent.name in members:
                continue
            members[member.agent.name] = member
            waiting += [Team(offer.agent) for offer in member.table.values() if isinstance(offer, AgentTool)]
    return list(members.values())


def _node(member: Member) -> AgentNode:
    agent = member.agent
    return AgentNode(agent.name, agent.description or "", _model_name(agent.model), tuple(_tools(member)))


def _model_name(model: Any) -> str:
    if isinstance(model, str):
        return model
    return model.name if isinstance(model, Model) else ""


def _tools(member: Member) -> Iterator[ToolNode]:
    for offer in member.table.values():
        if isinstance(offer, Tool) and not _only_hands_over(offer, member.agent):
            yield ToolNode(offer.name, offer.description, offer.effect, offer.approve is not False)


def _only_hands_over(offer: Tool, agent: Agent) -> bool:
    """A function that does nothing to the world and names an agent is an edge, and nothing else."""
    return offer.effect == "read" and bool(_named(offer, agent))


def _named(offer: Tool, agent: Agent) -> list[str]:
    return list(dict.fromkeys(named.name for named in named_agents(offer.function) if named is not agent))


def _edges(member: Member) -> Iterable[EdgeLine]:
    source = member.agent.name
    for name, offer in member.table.items():
        if isinstance(offer, Transfer):
            edge = offer.edge
            yield EdgeLine(source, edge.target, name, edge.kind, edge.when is not None, edge.brief is not None)
        elif isinstance(offer, AgentTool):
            yield EdgeLine(source, offer.agent.name, name, "tool")
        elif isinstance(offer, Tool):
            for target in _named(offer, member.agent):
                yield EdgeLine(source, target, name, "function")

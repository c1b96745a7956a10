"""What steps are performed with: code, live objects, and who listens. Nothing of it is journalled.
Here nothing is performed, and nothing decided."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from segue.agent import Agent, AgentTool
from segue.core.conversation import Conversation
from segue.core.events import ToolStarted
from segue.core.limits import Limits
from segue.core.messages import Json, Usage
from segue.core.turns import Slot
from segue.errors import UsageError
from segue.model import Model
from segue.models.resolve import model_from
from segue.pool import Once
from segue.spans import Trace
from segue.team import Team
from segue.tools.context import Context
from segue.tools.tool import Tool


class Progress(NamedTuple):
    """What a tool said of its progress; it passes by, like a delta."""

    place: str
    text: str


@dataclass(slots=True)
class World:
    """What the steps of one drive are performed with."""

    team: Team
    model: Model | None = None
    """Replaces every agent's own model."""
    deps: Any = None
    stream: bool = False
    """Whether models are asked for deltas."""
    told: bool = False
    """Whether anybody is told of what happens, while it happens."""
    open_team: bool = True
    """Whether an agent that a tool returns may join the team."""
    progress: Callable[[Progress], None] | None = None
    ask_agent: Callable[[Agent, str, str, Limits, Slot], Awaitable["InnerAnswer | InnerWaits"]] | None = None
    """Drives an agent that is used as a tool: (agent, conversation id, input, what it may spend, the call)."""
    cache: dict[Any, Any] = field(default_factory=dict)
    error: Exception | None = None
    """The exception behind a failed model call."""
    trace: Trace | None = None
    """Where spans go; `None` where nobody has set up tracing."""

    def model_of(self, agent: Agent) -> Model:
        """The model that replies for an agent (T2)."""
        if self.model is not None:
            return self.model
        named = agent.model or os.environ.get("SEGUE_MODEL")
        if not named:
            raise UsageError(
                f'{agent.name} has no model. Give it one, Agent(..., model="openai:gpt-5-mini"); '
                'or give one for all, run(..., model="openai:gpt-5-mini"); or set SEGUE_MODEL in the environment.'
            )
        return model_from(named)

    def context(self, c: Conversation, slot: Slot | None = None, arguments: str = "", scope: str = "") -> Context[Any]:
        """What a function of the user's may know."""
        if slot is None:
            return Context(c.context, deps=self.deps, agent=c.active, conversation=c.id)
        tell, place = self.progress, slot.place
        return Context(
            c.context,
            deps=self.deps,
            agent=c.active,
            conversation=c.id,
            place=place,
            call_id=slot.call.id,
            arguments=arguments,
            scope=scope,
            progress=(lambda text: tell(Progress(place, text))) if tell else None,
        )


class InnerAnswer(NamedTuple):
    """What an agent that is used as a tool has answered, and what that took."""

    text: str
    usage: Usage
    cost: float
    error: Exception | None = None
    """Why it has not answered."""


class InnerWaits(NamedTuple):
    """An agent that is used as a tool waits for a person: for a decision, or to be told what came of a call."""

    conversation: str
    slot: Slot


class Ready(NamedTuple):
    """A call that may be made: its start is an event to be appended first."""

    slot: Slot
    offer: Tool | AgentTool
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    context: Context[Any]
    variables: dict[str, Json] | None
    timeout: float | None
    start: ToolStarted
    commit: Once | None = None
    """Of a transaction: whether it is committed or given up."""

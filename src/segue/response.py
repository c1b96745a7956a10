"""What came of a run."""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from segue import errors
from segue.agent import Agent
from segue.core.conversation import Conversation, Status
from segue.core.events import RunEnded
from segue.core.messages import Json, Usage
from segue.core.turns import Slot
from segue.core.view import new_messages
from segue.errors import ConversationParked, LimitReached, NoOutput, RunCancelled, SegueError
from segue.tools.context import copied
from segue.wire.chat_messages import as_chat

Out = TypeVar("Out")

_RAISED = {"limited": LimitReached, "cancelled": RunCancelled, "parked": ConversationParked}


class Response(Generic[Out]):
    """What came of a run: how it ended, what was said, who has the floor."""

    def __init__(self, conversation: Conversation, agent: Agent, *, error: BaseException | None = None) -> None:
        self._conversation = conversation
        self._error = error
        self.agent = agent
        """The active agent: the one that speaks next."""

    def __repr__(self) -> str:
        return f"Response(status={self.status!r}, agent={self.agent.name!r}, conversation={self.conversation!r})"

    @property
    def status(self) -> str:
        """How the run ended: "done", "waiting" (for a person), "limited", "failed" or "cancelled"."""
        match self._conversation.status:
            case Status.IDLE:
                return "done"
            case Status.ENDED:
                kind = _ended(self._conversation).kind
                return "failed" if kind == "parked" else kind
            case _:
                return "waiting"

    @property
    def output(self) -> Out:
        """The final answer: text, or a value of the agent's output type. Raises `NoOutput` unless the run is done."""
        reply = self._conversation.answer
        if self.status != "done" or reply is None:
            words = f"The run has no output: it is {self.status}. Look at response.error, or response.waiting_for."
            raise NoOutput(words, status=self.status)
        typed = None if self._conversation.caller else self.agent.typed_output  # who was called owes its value elsewhere
        return typed.read(reply.text or "") if typed is not None else reply.text or ""  # type: ignore[return-value]

    @property
    def text(self) -> str:
        """The final answer's text, as the model wrote it; empty unless the run is done."""
        reply = self._conversation.answer
        return (reply.text or "") if reply is not None and self.status == "done" else ""

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What this run has added, as chat-completions messages; the user's own is left out."""
        return [as_chat(message) for message in new_messages(self._conversation)]

    @property
    def context(self) -> Mapping[str, Json]:
        """The conversation's context; a copy."""
        return {name: copied(value) for name, value in self._conversation.context.items()}

    @property
    def usage(self) -> Usage:
        """The tokens of this run."""
        return self._conversation.run.usage

    @property
    def cost(self) -> float:
        """What this run has cost since its last allowance, by `Limits(prices=...)`; 0 where there are none."""
        return self._conversation.run.spent.cost

    @property
    def conversation(self) -> str:
        """The conversation's id."""
        return self._conversation.id

    @property
    def waiting_for(self) -> tuple[Slot, ...]:
        """The calls that wait for a person's decision."""
        return self._conversation.waiting

    @property
    def error(self) -> BaseException | None:
        """Why the run did not come to an answer; `None` if it did, or waits."""
        if self._error is not None or self._conversation.status is not Status.ENDED:
            return self._error
        ended = _ended(self._conversation)
        kind = getattr(errors, ended.error, None)
        if not (isinstance(kind, type) and issubclass(kind, SegueError)):
            kind = _RAISED.get(ended.kind, SegueError)
        made = kind(ended.words)
        vars(made).update(ended.values)
        made.conversation = self._conversation.id
        return made

    def raise_for_status(self) -> None:
        """Raise unless the run is done: the run's error, or `NoOutput` where it waits for a person."""
        if self.error is not None:
            raise self.error
        if self.status != "done":
            raise NoOutput("The run waits for a person; see response.waiting_for.", status=self.status)


def _ended(conversation: Conversation) -> RunEnded:
    assert conversation.ended is not None
    return conversation.ended

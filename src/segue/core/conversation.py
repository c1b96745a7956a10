"""What a conversation is, and what it says is left to do. `next_steps` is asked, never remembered; nothing here touches anything."""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple, assert_never

from segue.core.closing import Entry
from segue.core.events import InputGiven, RunEnded
from segue.core.floor import Frame
from segue.core.limits import DEFAULTS, IDLE_DRIVES, OUTPUT_REFUSALS, Limits, Spent, over
from segue.core.log import Log, Names
from segue.core.messages import NOTHING, UNUSED, Content, Json, Reply, Usage, User
from segue.core.turns import Slot, Turn


class Status(Enum):
    """What a conversation waits for."""

    NEW = "new"
    """To be opened."""
    IDLE = "idle"
    """A user's message; the last run, if there was one, is done."""
    MODEL = "model"
    """The active agent's reply."""
    TOOLS = "tools"
    """The outcomes of tool calls."""
    HUMAN = "human"
    """A person's decision on every call that is still open."""
    ENDED = "ended"
    """Somebody's decision to go on: the last run ended without an answer."""

    __hash__ = object.__hash__  # there is one of each; what `Enum` has instead runs in Python


class Run(NamedTuple):
    """From one input until nothing is left to do without someone else."""

    id: str = ""
    limits: Limits = DEFAULTS
    spent: Spent = Spent()
    start: int = 0
    """Where in the log the run's input stands."""
    earlier: Usage = UNUSED
    """What was used under earlier allowances."""

    @property
    def usage(self) -> Usage:
        """Over all allowances."""
        return self.earlier.plus(self.spent.usage)


class Conversation(NamedTuple):
    """Everything between a customer and a team, as folded from its events."""

    id: str = ""
    seq: int = 0
    """How many events were applied."""
    status: Status = Status.NEW
    entry: str = ""
    """The agent with which the conversation was opened."""
    stack: tuple[Frame, ...] = ()
    """Who has the floor (last), and who waits for it to come back."""
    context: Mapping[str, Json] = NOTHING
    log: Log[Entry] = Log()
    ids: Names = Names()
    """Call ids that views hold."""
    turn: Turn | None = None
    """The turn whose calls are open."""
    turns: int = 0
    """Model replies so far; the places of calls are made of it."""
    drive: int = 0
    driver: str = ""
    """Who drives it, or did last."""
    fingerprint: Mapping[str, Json] = NOTHING
    """The code under which it was driven last."""
    idle_drives: int = 0
    """Drives in a row that got nothing done."""
    run: Run = Run()
    queue: tuple[InputGiven, ...] = ()
    notes: tuple[User, ...] = ()
    """Late results that wait for the open turn to close."""
    ended: RunEnded | None = None
    answer: Reply | None = None
    """The last run's final reply, while it is the last thing that happened."""
    instructions: Mapping[str, str] = NOTHING
    """As last rendered, by agent."""
    uniques: Mapping[str, Content] = NOTHING
    """Outcomes of unique calls, by `closing.same_call`."""
    usage: Usage = Usage()

    @property
    def active(self) -> str:
        """The name of the agent that has the floor."""
        return self.stack[-1].agent if self.stack else ""

    @property
    def caller(self) -> str:
        """The name of the agent that waits for the active one to give the floor back; empty where none does."""
        return self.stack[-2].agent if len(self.stack) > 1 else ""

    @property
    def running(self) -> bool:
        """Whether there is work for a driver: a reply or outcomes are waited for, and nobody's decision."""
        return self.status is Status.MODEL or self.status is Status.TOOLS

    @property
    def waiting(self) -> tuple[Slot, ...]:
        """The calls that wait for a person."""
        return tuple(slot for slot in self.turn.slots if slot.waits) if self.turn else ()


class CallModel(NamedTuple):
    """Ask the active agent's model."""

    agent: str


class CallTool(NamedTuple):
    """Look at a call, and make it if it may be made."""

    agent: str
    slot: Slot


class Recover(NamedTuple):
    """Find out what came of a call that an earlier drive had begun."""

    agent: str
    slot: Slot


class EndRun(NamedTuple):
    """Write down that the run is over, and why."""

    event: RunEnded


Step = CallModel | CallTool | Recover | EndRun


def next_steps(conversation: Conversation) -> list[Step]:
    """Say what is to be done now; the steps may be done side by side.

    An empty list means that a driver's work is over (`conversation.status` gives the reason), or that all that is left
    are calls which this drive has begun.
    """
    stuck = NO_PROGRESS if conversation.idle_drives > IDLE_DRIVES else None
    match conversation.status:
        case Status.MODEL:
            end = end_due(conversation) or stuck
            return [EndRun(end)] if end else [CallModel(conversation.active)]
        case Status.TOOLS:
            if stuck:
                return [EndRun(stuck)]
            turn = conversation.turn
            assert turn is not None
            steps: list[Step] = []
            for slot in turn.slots:
                if slot.outcome is not None or slot.waits:
                    continue
                if slot.started is None:
                    steps.append(CallTool(turn.agent, slot))
                elif slot.drive < conversation.drive:
                    steps.append(Recover(turn.agent, slot))
            return steps
        case Status.NEW | Status.IDLE | Status.HUMAN | Status.ENDED:
            return []
        case _:
            assert_never(conversation.status)


NO_PROGRESS = RunEnded(
    "parked",
    "no progress",
    f"It was driven {IDLE_DRIVES} times, and each time the process ended before anything was done: find out what kills it, then resume.",
    "ConversationParked",
    {"reason": "no progress"},
)


def end_due(conversation: Conversation) -> RunEnded | None:
    """The end that the last reply or a limit makes due before the model is asked again."""
    reply = conversation.answer
    if reply is not None:
        if reply.refusal:
            return RunEnded("failed", "refusal", f"The model declined: {reply.refusal}", "ModelRefused", {"refusal": reply.refusal})
        words = f"The reply was cut ({reply.finish}); it is not a complete answer."
        return RunEnded("failed", "cut", words, "ReplyCut", {"finish": reply.finish, "text": reply.text or ""})
    if conversation.run.spent.output_refusals > OUTPUT_REFUSALS:
        words = f"The replies of {conversation.active} did not fit its output type, {OUTPUT_REFUSALS + 1} times."
        return RunEnded("failed", "output", words, "OutputError")
    limit = over(conversation.run.spent, conversation.run.limits)
    if limit is None:
        return None
    words = f"The run has reached its limit of {limit}; resume it to give it a new allowance."
    return RunEnded("limited", limit, words, "LimitReached", {"limit": limit})

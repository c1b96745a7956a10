"""Facts of a conversation, in the order in which they happened.
An event is written once and never changed. It is in the past tense and names agents and tools; it never holds them.
It knows no time: the journal stamps it. A new field has a default; a new meaning is a new name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from segue.core.messages import NOTHING, UNUSED, Json, Message, Reply, Usage, User

Effect = Literal["read", "once", "keyed", "transaction"]
"""What a tool may do to the world: nothing; something, once; something that a key makes harmless to repeat;
something in the journal's own database."""

EFFECTS: tuple[Effect, ...] = get_args(Effect)

FailureKind = Literal[
    "arguments",
    "unknown_tool",
    "closed_edge",
    "limit",
    "denied",
    "guard",
    "raised",
    "timeout",
    "result",
    "cancelled",
    "superseded",
    "repeated",
]

EndKind = Literal["limited", "failed", "cancelled", "parked"]


class Handoff(NamedTuple):
    """A switch of the active agent, as an outcome asks for it.

    `kind`: "transfer" replaces the speaker, "call" puts the callee on top of it, "return" gives the floor back.
    `view`: what the next agent sees: "everything", "handoff" (from the handoff on), "brief", or "custom" (a function of the
    user's). `brief` holds the typed arguments of the handoff, or the value of a return. `generated` marks transfers that
    have no function behind them.
    """

    agent: str
    kind: Literal["transfer", "call", "return"] = "transfer"
    view: str = "everything"
    brief: Json = None
    generated: bool = False


@dataclass(frozen=True, slots=True)
class Started:
    """A conversation was opened."""

    conversation: str
    agent: str
    context: Mapping[str, Json] = NOTHING
    messages: tuple[Message, ...] = ()
    """What was said before, elsewhere."""
    origin: str = ""
    """Where it was forked from: conversation, "@", place."""


@dataclass(frozen=True, slots=True)
class InputGiven:
    """A user's message (or several) came in; a run begins, or will when the present one ends."""

    run: str
    messages: tuple[User, ...]
    context: Mapping[str, Json] = NOTHING
    """Merged over the conversation's context."""
    key: str | None = None
    by: str | None = None
    limits: Mapping[str, Json] = NOTHING
    """What differs from `Limits()`."""
    busy: Literal["queue", "interrupt"] = "queue"
    """What to do with a run that is going on."""


@dataclass(frozen=True, slots=True)
class DriveStarted:
    """A driver took the conversation. What an earlier drive had begun and not ended is now to be recovered."""

    driver: str
    fingerprint: Mapping[str, Json] = NOTHING
    """What the team's agents are made of, in short hashes; empty where that is as it was in the drive before."""


@dataclass(frozen=True, slots=True)
class InstructionsRendered:
    """The active agent's instructions, when they changed."""

    agent: str
    text: str


@dataclass(frozen=True, slots=True)
class ModelReplied:
    """One whole reply. `attempt` counts from 1; `seconds` is the time it took; `cost` is money, where a price is known.

    `refused` is set where the reply did not fit the output type or a guard: its agent is told these words.
    """

    agent: str
    reply: Reply
    attempt: int = 1
    seconds: float = 0.0
    cost: float = 0.0
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A call is about to be made. It is durable before the tool is called."""

    place: str
    name: str
    arguments: str
    """Canonical JSON (RFC 8785)."""
    effect: Effect = "once"
    key: str = ""
    approval: str | None = None
    """The approval that this start consumed."""
    unique: bool = False
    """An equal call later in the conversation is not made, but answered with this one's outcome (R26)."""


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """A call's outcome: what the model reads, an agent to hand off to, changes of the context."""

    place: str
    content: str | list[dict[str, Json]] = ""
    handoff: Handoff | None = None
    context: Mapping[str, Json] = NOTHING
    seconds: float = 0.0
    usage: Usage = UNUSED
    """The tokens that an agent used as a tool has used."""
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class ToolFailed:
    """A call's outcome: it was not run, or it failed. The model reads `words`."""

    place: str
    kind: FailureKind
    words: str
    transfer: bool = False
    """The call was a generated transfer."""
    seconds: float = 0.0
    usage: Usage = UNUSED
    """The tokens that an agent used as a tool has used."""
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class ToolUnknown:
    """Nobody knows whether the call happened. With `ask`, a person is asked; else the model is told."""

    place: str
    words: str
    ask: bool = False


@dataclass(frozen=True, slots=True)
class ToolSettled:
    """Someone found out what came of an unknown call."""

    place: str
    content: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class ToolLate:
    """A call's result came after its outcome had been written down as unknown or failed."""

    place: str
    name: str
    content: str


@dataclass(frozen=True, slots=True)
class ApprovalAsked:
    """The durable question: may this exact call be made? `expires` is seconds since the epoch.

    An agent used as a tool asks it in its own conversation, `inner`, and the outer conversation repeats it here (R35).
    """

    id: str
    place: str
    agent: str
    name: str
    arguments: str
    digest: str
    """SHA-256 of `arguments`, in hexadecimal."""
    fingerprint: str = ""
    expires: float | None = None
    inner: str = ""
    edited: bool = False
    """A person has changed the arguments; the model is told."""


@dataclass(frozen=True, slots=True)
class ApprovalDecided:
    """The answer. The first decision holds; "superseded" makes room for another question about the same call."""

    id: str
    digest: str
    decision: Literal["approve", "deny", "expired", "superseded"]
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The run ended without an answer. (That it is done is seen from the last reply.)

    `reason` is a word for programs ("turns", "provider", "input guard", ...), `words` are for people. `error` names the
    exception of `segue.errors` and `values` holds its plain attributes.
    """

    kind: EndKind
    reason: str
    words: str = ""
    error: str = ""
    values: Mapping[str, Json] = NOTHING


@dataclass(frozen=True, slots=True)
class AllowanceGiven:
    """A run that had ended without an answer may go on, with its counts at zero. `limits` replaces those named in it."""

    limits: Mapping[str, Json] = NOTHING
    by: str = ""


Outcome = ToolReturned | ToolFailed | ToolUnknown

Event = (
    Started
    | InputGiven
    | DriveStarted
    | InstructionsRendered
    | ModelReplied
    | ToolStarted
    | ToolReturned
    | ToolFailed
    | ToolUnknown
    | ToolSettled
    | ToolLate
    | ApprovalAsked
    | ApprovalDecided
    | RunEnded
    | AllowanceGiven
)

CANCELLED = RunEnded("cancelled", "cancelled", "The run was cancelled.", "RunCancelled")
SUPERSEDED = RunEnded("cancelled", "superseded", "The user has said something new.", "RunCancelled")

"""What random journals are made of: names, ids, arguments and replies, plain and ugly.
All chance comes from the `Chance` that is handed in, so that a seed repeats a journal and hypothesis can shrink one."""

import hashlib
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from segue.core.events import DriveStarted, FailureKind, Handoff, InputGiven, ModelReplied, RunEnded, Started
from segue.core.messages import Assistant, Call, Message, Reply, ToolAnswer, Usage, User

T = TypeVar("T")


class Chance(Protocol):
    """Where chance comes from: `random.Random`, or anything that has this one method of it."""

    def random(self) -> float:
        """A number from 0 up to 1."""
        ...


AGENTS = ("Triage", "Refunds", "Sales", "Bögen 旅")
TOOLS = ("look_up", "refund", "transfer_to_sales", "", "bad name!", "ü" * 3, "x" * 80, "\ud800")
IDS = ("", "", "a", "b", "call_1_0", "call_2_1", "call_2_1_", "toolu ü")
ARGUMENTS = (
    "{}",
    '{"item": 1}',
    '{"item":"旅 \\ud83d\\ude00"}',
    "",
    "  \n",
    '{"item": 1',
    "[]",
    "null",
    '{"a":NaN}',
    '{"a":1,"a":2}',
    "[" * 40 + "]" * 40,
    '{"a":"\ud800"}',
)
CANONICAL = ("{}", '{"item":1}', '{"item":"旅"}')
EFFECTS = ("read", "once", "once", "keyed", "transaction")
VIEWS = ("everything", "everything", "handoff", "brief", "custom")
BRIEFS = (None, "the boots", {"item": 1}, "", ["a", None])
CONTENTS: Sequence[Any] = ("ok", "", "ok", [{"type": "text", "text": "a part"}], [], "\ud800")
FAILURES: Sequence[FailureKind] = ("arguments", "unknown_tool", "closed_edge", "limit", "guard", "raised", "result", "cancelled")
CONTEXTS: Sequence[dict[str, Any]] = ({}, {}, {"customer": 1}, {"customer": 2, "item": ["a"]}, {"nested": {"a": {}}})
LIMITS: Sequence[dict[str, Any]] = (
    *({} for _ in range(6)),
    {"turns": 2},
    {"handoffs": 0},
    {"handoffs": 1},
    {"repeats": 1},
    {"repeats": 2},
    {"tokens": 5},
    {"cost": 0.5},
    {"turns": None, "unknown to us": 1},
)
FINGERPRINTS: Sequence[dict[str, Any]] = ({}, {}, {"Triage": {"instructions": "a1", "tools": {"refund": "b2"}}}, {"Triage": {}})
ENDS: Sequence[tuple[Any, str]] = (
    ("limited", "run_timeout"),
    ("failed", "provider"),
    ("failed", "error"),
    ("failed", "input guard"),
    ("failed", "output guard"),
    ("cancelled", "cancelled"),
    ("parked", "missing agent"),
)


def likely(chance: Chance, odds: float) -> bool:
    """Say yes with the given odds."""
    return chance.random() < odds


def one_of(chance: Chance, things: Sequence[T]) -> T:
    """Choose a thing; with `random()` alone, which is several times faster than `choice`."""
    return things[int(chance.random() * len(things))]


def digest(arguments: str) -> str:
    """The hash of a call's arguments."""
    return hashlib.sha256(arguments.encode()).hexdigest()


def started(chance: Chance) -> Started:
    """A conversation, at times with something said before."""
    earlier: tuple[Message, ...] = ()
    if likely(chance, 0.2):
        calls = tuple(Call(one_of(chance, IDS[2:]), one_of(chance, TOOLS), one_of(chance, ARGUMENTS)) for _ in range(2))
        answers = [ToolAnswer(call.id, call.name, "an earlier answer") for call in calls]
        if likely(chance, 0.3):
            answers.reverse()
        earlier = (User("earlier"), Assistant(one_of(chance, (None, "let me see")), calls), *answers, Assistant("done"))
    return Started("c", one_of(chance, AGENTS), one_of(chance, CONTEXTS), earlier)


def given(chance: Chance, number: int) -> InputGiven:
    """A user's message."""
    content: Any = f"input {number}" if likely(chance, 0.9) else [{"type": "text", "text": "parts"}]
    messages = (User(content), User("and more", "ann")) if likely(chance, 0.1) else (User(content),)
    busy: Any = "interrupt" if likely(chance, 0.4) else "queue"
    return InputGiven(f"run-{number}", messages, one_of(chance, CONTEXTS), limits=one_of(chance, LIMITS), busy=busy)


def replied(chance: Chance, agent: str) -> ModelReplied:
    """A reply: an answer, calls, a refusal, a cut or refused one."""
    usage = Usage(int(chance.random() * 4), 1) if likely(chance, 0.3) else Usage()
    cost = 0.2 if likely(chance, 0.2) else 0.0
    if likely(chance, 0.75):
        return ModelReplied(agent, _with_calls(chance, usage), cost=cost)
    text = one_of(chance, ("Here you are.", "Here you are.", "", None))
    finish = one_of(chance, ("length", "content_filter")) if likely(chance, 0.1) else one_of(chance, ("stop", "stop", ""))
    refusal = "I would rather not." if likely(chance, 0.05) else None
    extra = {"reasoning": "…"} if likely(chance, 0.1) else {}
    refused = "That does not fit." if likely(chance, 0.4) else None
    return ModelReplied(agent, Reply(text, (), finish, refusal, usage, "m", extra), 1, 0.5, cost, refused)


def _with_calls(chance: Chance, usage: Usage) -> Reply:
    signature = {"signature": "…"} if likely(chance, 0.05) else {}
    calls = tuple(
        Call(one_of(chance, IDS), one_of(chance, TOOLS), one_of(chance, ARGUMENTS), signature) for _ in range(1 + int(chance.random() * 4))
    )
    if likely(chance, 0.1):
        calls = (*calls, calls[0])
    text = one_of(chance, (None, None, "", "One moment."))
    finish = "length" if likely(chance, 0.04) else one_of(chance, ("tool_calls", "tool_calls", "stop", ""))
    extra = {"reasoning": "…"} if likely(chance, 0.1) else {}
    return Reply(text, calls, finish, None, usage, "m", extra, "openai-chat" if extra else "")


def handoff(chance: Chance, generated: bool, caller: str) -> Handoff:
    """A handoff of any kind; a return mostly goes to who called."""
    kind: Any = one_of(chance, ("transfer", "transfer", "call", "return") if caller or likely(chance, 0.1) else ("transfer", "call"))
    agent = caller if kind == "return" and caller and likely(chance, 0.9) else one_of(chance, AGENTS)
    return Handoff(agent, kind, one_of(chance, VIEWS), one_of(chance, BRIEFS), generated)


def drive(chance: Chance) -> DriveStarted:
    """A driver takes the conversation, at times under other code than the one before."""
    return DriveStarted(one_of(chance, ("d_1", "d_2")), one_of(chance, FINGERPRINTS))


def ended(chance: Chance) -> RunEnded:
    """An end that is no answer."""
    kind, reason = one_of(chance, ENDS)
    return RunEnded(kind, reason, "words", values={"limit": "turns"} if kind == "limited" else {})


ENDED_PARKED = RunEnded("parked", "missing tool", "There is no such tool any more.")
ENDED_FAILED = RunEnded("failed", "provider", "The provider failed.")

"""Short ways to write down what happened, for the examples beside this file."""

from collections.abc import Iterable
from typing import Any

from segue.core.arguments import digest
from segue.core.conversation import Conversation, EndRun, next_steps
from segue.core.events import (
    ApprovalAsked,
    ApprovalDecided,
    DriveStarted,
    Event,
    Handoff,
    InputGiven,
    ModelReplied,
    RunEnded,
    Started,
    ToolFailed,
    ToolReturned,
    ToolStarted,
)
from segue.core.fold import replay
from segue.core.messages import Assistant, Call, Reply, ToolAnswer, User
from segue.core.view import view

ASKED = (Started("c", "Triage"), InputGiven("run-1", (User("Hello?"),)), DriveStarted("driver"))
"""A conversation in which Triage's model is to be asked."""


def story(*parts: Event | Iterable[Event], before: Iterable[Event] = ASKED) -> Conversation:
    """Fold events, and lists of them, after those of `before`."""
    events: list[Event] = list(before)
    for part in parts:
        events.extend(part if isinstance(part, (list, tuple)) else [part])
    return replay(events)


def on(c: Conversation, *parts: Event | Iterable[Event]) -> Conversation:
    """Fold events, and lists of them, onto a conversation."""
    for part in parts:
        c = replay(part if isinstance(part, (list, tuple)) else [part], c)
    return c


def user(text: str, number: int = 2, **more: Any) -> InputGiven:
    """A user's message."""
    return InputGiven(f"run-{number}", (User(text),), **more)


def call(name: str = "look_up", id: str = "", arguments: str = "{}") -> Call:
    """A tool call."""
    return Call(id, name, arguments)


def asks(*calls: Call, agent: str = "Triage", text: str | None = None, **more: Any) -> ModelReplied:
    """A reply with calls."""
    return ModelReplied(agent, Reply(text, calls, **more))


def says(text: str | None = "Here you are.", agent: str = "Triage", refused: str | None = None, **more: Any) -> ModelReplied:
    """A reply without calls."""
    return ModelReplied(agent, Reply(text, **more), refused=refused)


def starts(place: str, effect: Any = "once", arguments: str = "{}", approval: str | None = None, unique: bool = False) -> ToolStarted:
    """A call is begun."""
    return ToolStarted(place, "look_up", arguments, effect, approval=approval, unique=unique)


def returns(place: str, content: Any = "ok", handoff: Handoff | None = None, **context: Any) -> list[Event]:
    """A call is begun and returns."""
    return [starts(place), ToolReturned(place, content, handoff, context)]


def transfers(place: str, agent: str, kind: Any = "transfer", view: str = "everything", brief: Any = None) -> ToolReturned:
    """A generated handoff."""
    return ToolReturned(place, "", Handoff(agent, kind, view, brief, generated=True))


def fails(place: str, kind: Any = "arguments", words: str = "Not done.", transfer: bool = False) -> ToolFailed:
    """A call is refused, or fails."""
    return ToolFailed(place, kind, words, transfer)


def moves(number: int, source: str, target: str, kind: Any = "transfer", view: str = "everything", brief: Any = None) -> list[Event]:
    """A whole turn in which one agent hands off to another."""
    return [asks(call(f"transfer_to_{target}"), agent=source), transfers(f"{number}.0", target, kind, view, brief)]


def works(number: int, agent: str = "Triage", content: str = "ok") -> list[Event]:
    """A whole turn with one call."""
    return [asks(call(), agent=agent), *returns(f"{number}.0", content)]


def question(place: str, id: str = "q", arguments: str = "{}", inner: str = "", edited: bool = False) -> ApprovalAsked:
    """A person is asked."""
    return ApprovalAsked(id, place, "Triage", "look_up", arguments, digest(arguments), inner=inner, edited=edited)


def decision(answer: Any = "approve", id: str = "q", arguments: str = "{}", reason: str = "") -> ApprovalDecided:
    """A person answers."""
    return ApprovalDecided(id, digest(arguments), answer, "ann", reason)


def due(c: Conversation) -> RunEnded:
    """The end that is to be written down now."""
    (step,) = next_steps(c)
    assert isinstance(step, EndRun)
    return step.event


def shown(c: Conversation) -> list[str]:
    """The active agent's view, a word or two for each message."""
    lines = []
    for message in view(c):
        match message:
            case User(content=content):
                lines.append(f"user: {content}")
            case Assistant(text=text, calls=calls, agent=agent):
                lines.append(f"{agent}: {text or ''}{[call.name for call in calls] if calls else ''}")
            case ToolAnswer(content=content):
                lines.append(f"tool: {content}")
    return lines


def answers(c: Conversation) -> list[Any]:
    """What tools answered, in the active agent's view."""
    return [message.content for message in view(c) if isinstance(message, ToolAnswer)]

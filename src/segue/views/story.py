"""A conversation as a story: what its events mean to somebody who looks on, beat by beat.
The machine itself is asked who has the floor and which call is meant; nothing is guessed from the order of events. What is
shown live and what is told afterwards come from here. Nothing here formats or prints."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from segue.core import turns
from segue.core.codec import Unknown
from segue.core.conversation import Conversation
from segue.core.events import (
    AllowanceGiven,
    ApprovalAsked,
    ApprovalDecided,
    DriveStarted,
    Event,
    FailureKind,
    InputGiven,
    ModelReplied,
    RunEnded,
    Started,
    ToolFailed,
    ToolLate,
    ToolReturned,
    ToolSettled,
    ToolStarted,
    ToolUnknown,
)
from segue.core.floor import Frame
from segue.core.fold import MISFITS, apply
from segue.core.messages import Call, Content, Json, Reply, User

How = Literal["returned", "unknown", "settled", "late"] | FailureKind

Row = tuple[int, float, Event]
"""A stored event: its place, its time in seconds since the epoch, and the event."""

Skimmed = tuple[int, float, Event | Unknown]
"""The same, where it may be of a newer version."""


class Opened(NamedTuple):
    """The conversation was opened: with its entry agent, as a fork of `origin`, with messages from elsewhere."""

    agent: str
    origin: str = ""
    earlier: int = 0


class Driven(NamedTuple):
    """A driver took the conversation. `again`: the drive before this one had not come to its end.

    `driver` is empty where nobody drives: a cancel keeps a driver that lives elsewhere from going on.
    """

    driver: str
    again: bool = False


class Allowed(NamedTuple):
    """A run that had ended may go on, under changed limits if any are named."""

    limits: Mapping[str, Json]
    by: str = ""


class Asked(NamedTuple):
    """The user said something."""

    run: str
    text: str
    by: str = ""


class Replied(NamedTuple):
    """An agent's model replied: with text, calls, or both. `refused` is what it was told if the reply did not fit."""

    agent: str
    reply: Reply
    attempt: int = 1
    seconds: float = 0.0
    cost: float = 0.0
    refused: str | None = None


class Called(NamedTuple):
    """A tool was called, or would have been."""

    agent: str
    place: str
    name: str
    arguments: str


class Answered(NamedTuple):
    """What came of a call. `how` is "returned", the kind of a failure, "unknown", "settled" or "late"."""

    agent: str
    place: str
    name: str
    how: How
    text: str
    seconds: float = 0.0
    by: str = ""
    """Who found it out, where it was settled."""
    asks: bool = False
    """Somebody is asked to find out."""


class HandedOver(NamedTuple):
    """Another agent has the floor."""

    source: str
    target: str
    kind: Literal["transfer", "call", "return"] = "transfer"


class Waits(NamedTuple):
    """A call waits for a person's decision. `expires` is in seconds since the epoch.

    `inner` names the conversation of the agent used as a tool that asks; `edited`: a person wrote the arguments.
    """

    agent: str
    place: str
    name: str
    arguments: str
    approval: str = ""
    digest: str = ""
    expires: float | None = None
    inner: str = ""
    edited: bool = False


class Decided(NamedTuple):
    """A person decided about a call, or the time to decide was over ("expired"), or it was to be decided anew ("superseded")."""

    decision: str
    by: str = ""
    reason: str = ""
    place: str = ""
    name: str = ""
    approval: str = ""


class Ended(NamedTuple):
    """The run ended without an answer."""

    kind: str
    reason: str
    words: str


class Newer(NamedTuple):
    """An event that a newer version of Segue has written, and this one passes over."""

    kind: str
    version: int


class Untold(NamedTuple):
    """An event that does not fit what was told before it. `first`: all before it did, as far as they were known."""

    kind: str
    first: bool = False


Beat = Opened | Driven | Allowed | Asked | Replied | Called | Answered | HandedOver | Waits | Decided | Ended | Newer | Untold


class Story:
    """Follows a conversation, event by event."""

    def __init__(self, conversation: Conversation | None = None) -> None:
        self.conversation = conversation or Conversation()
        """The conversation as far as it has been followed."""
        slots = self.conversation.turn.slots if self.conversation.turn else ()
        self._calls: dict[str, Call] = {slot.place: slot.call for slot in slots}
        self._begun: set[str] = {slot.place for slot in slots if slot.started is not None}
        self._rested = True
        """Whether the last drive had nothing left to do."""
        self._lost = False
        """Whether an event did not fit."""

    def skim(self, event: Event | Unknown) -> list[Beat]:
        """As `follow`, past events of a newer version; from the first that does not fit without them, their kinds are told."""
        if isinstance(event, Unknown):
            return [Newer(event.kind, event.version)]
        if self._lost:
            return [Untold(type(event).__name__)]
        before = self.conversation
        try:
            return self.follow(event)
        except MISFITS:
            self.conversation, self._lost = before, True
            return [Untold(type(event).__name__, first=True)]

    def follow(self, event: Event) -> list[Beat]:
        """What an event means; an empty list for those that only the machine needs."""
        before = self.conversation
        self.conversation = after = apply(before, event)
        if isinstance(event, ModelReplied):
            self._calls = {slot.place: slot.call for slot in after.turn.slots} if after.turn else {}
            self._begun.clear()
        beats = self._beats(before, event)
        self._rested = not after.running or (self._rested and not isinstance(event, DriveStarted))
        if before.stack and before.active != after.active:
            switch = HandedOver(before.active, after.active, _kind(before.stack, after.stack))
            beats.insert(len(beats) - isinstance(event, InputGiven), switch)  # an input that interrupts comes after what it ended
        return beats

    def _beats(self, before: Conversation, event: Event) -> list[Beat]:
        active = before.active
        match event:
            case Started(_, agent, _, messages, origin):
                return [Opened(agent, origin, len(messages))]
            case DriveStarted(driver):
                return [Driven(driver, again=not self._rested)]
            case AllowanceGiven(limits, by):
                return [Allowed(limits, by)]
            case InputGiven(run, messages, by=by):
                return [*self._ended_by(before, event), Asked(run, _said(messages), by or "")]
            case ModelReplied(agent, reply, attempt, seconds, cost, refused):
                return [Replied(agent, reply, attempt, seconds, cost, refused)]
            case ToolStarted(place, name, arguments):
                self._begun.add(place)
                return [Called(active, place, name, arguments)]  # the second time, where a process died and it may be repeated
            case ToolReturned(place, content, seconds=seconds):
                return self._outcome(active, place, "returned", text_of(content), seconds)
            case ToolFailed(place, kind, words, seconds=seconds):
                return self._outcome(active, place, kind, words, seconds)
            case ToolUnknown(place, words, ask):
                return self._outcome(active, place, "unknown", words, asks=ask)
            case ToolSettled(place, content, by):
                return self._outcome(active, place, "settled", content, by=by)
            case ToolLate(place, name, content):
                return [Answered(active, place, name, "late", content)]
            case ApprovalAsked():
                asked = (event.id, event.digest, event.expires, event.inner, event.edited)
                return [Waits(event.agent, event.place, event.name, event.arguments, *asked)]
            case ApprovalDecided(id, _, decision, by, reason):
                place, name = _decided_call(before, id)
                return [Decided(decision, by, reason, place, name, id), *self._ended_by(before, event)]
            case RunEnded(kind, reason, words):
                return [Ended(kind, reason, words)]
            case _:
                return []

    def _ended_by(self, before: Conversation, event: InputGiven | ApprovalDecided) -> list[Beat]:
        """Outcomes that are no events of their own: of a call that was denied, or given up for what the user said next."""
        if before.turn is None:
            return []
        if isinstance(event, ApprovalDecided):
            turn = turns.update(before.turn, event, before.drive)
        else:
            turn = turns.supersede(before.turn) if event.busy == "interrupt" else before.turn
        beats: list[Beat] = []
        for was, slot in zip(before.turn.slots, turn.slots, strict=True):
            if was.outcome is None and slot.outcome is not None:
                beats += self._beats(before, slot.outcome)
        return beats

    def _call(self, agent: str, place: str, name: str, arguments: str) -> list[Beat]:
        if place in self._begun:
            return []
        self._begun.add(place)
        return [Called(agent, place, name, arguments)]

    def _outcome(
        self, agent: str, place: str, how: How, text: str, seconds: float = 0.0, *, by: str = "", asks: bool = False
    ) -> list[Beat]:
        call = self._calls.get(place, Call("", "?", ""))
        # What was never started (a generated handoff, refused arguments) is told as a call all the same.
        return [*self._call(agent, place, call.name, call.arguments), Answered(agent, place, call.name, how, text, seconds, by, asks)]


def _decided_call(c: Conversation, approval: str) -> tuple[str, str]:
    """The place and name of the call that an approval is about."""
    asked = [slot.approval for slot in (c.turn.slots if c.turn else ()) if slot.approval is not None and slot.approval.id == approval]
    return (asked[0].place, asked[0].name) if asked else ("", "")


def _kind(before: tuple[Frame, ...], after: tuple[Frame, ...]) -> Literal["transfer", "call", "return"]:
    if len(after) > len(before):
        return "call"
    return "return" if len(after) < len(before) else "transfer"


def _said(messages: tuple[User, ...]) -> str:
    return "\n".join(text_of(message.content) for message in messages)


def text_of(content: Content) -> str:
    """Content as text; a part that is none is named."""
    if isinstance(content, str):
        return content
    return " ".join(str(part.get("text", "")) if part.get("type") == "text" else f"[{part.get('type', 'part')}]" for part in content)

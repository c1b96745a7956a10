"""What the checks of the conformance suite stand on: a journal with names of its own, so that it may hold other things too.
A check is a function of a stage; what it wrote is erased when it ends."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from segue.core.events import (
    AllowanceGiven,
    ApprovalAsked,
    ApprovalDecided,
    DriveStarted,
    Event,
    Handoff,
    InputGiven,
    InstructionsRendered,
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
from segue.core.messages import Assistant, Call, Reply, System, ToolAnswer, Usage, User
from segue.errors import SegueError
from segue.journal.base import Journal, Stored, fold, summary_of

OpenJournal = Callable[[], Journal]

LONG = 60.0
"""Seconds that nothing takes where a journal is right."""


class NotConforming(AssertionError):
    """A journal does not do what `segue.journal.Journal` says."""


def same(found: Any, expected: Any, words: str) -> None:
    """Raise `NotConforming` where two values differ."""
    if found != expected:
        raise NotConforming(f"{words}: expected {_short(expected)}, found {_short(found)}")


def holds(truth: bool, words: str) -> None:
    """Raise `NotConforming` where something does not hold."""
    if not truth:
        raise NotConforming(words)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:200]} ... {text[-200:]}"


class Stage:
    """A journal, and conversations on it that nobody else has."""

    def __init__(self, open_journal: OpenJournal) -> None:
        self._open = open_journal
        self._names: list[str] = []
        self._journals: list[Journal] = []
        self.token = os.urandom(6).hex()
        self.journal = self.another()

    def another(self) -> Journal:
        """One more journal on the same store."""
        journal = self._open()
        self._journals.append(journal)
        return journal

    def name(self, like: str | None = None) -> str:
        """The id of a conversation that does not exist yet; with `like`, the same again for the same."""
        name = f"{self.token}-{len(self._names) if like is None else like}"
        self._names.append(name)
        return name

    async def tell(self, name: str, *events: Event, at: float = 1.0, journal: Journal | None = None) -> list[Stored]:
        """Append events that fit a conversation, with its line; everything that it then holds."""
        journal = journal or self.journal
        before = await journal.read(name)
        seq = len(before) + 1
        after = [*before, *(Stored(seq + n, at, event) for n, event in enumerate(events))]
        await journal.append(name, seq, events, at=at, summary=summary_of(fold(after)))
        return after

    async def refused(self, error: type[Exception], doing: Awaitable[Any], words: str) -> None:
        """Raise `NotConforming` unless an error of this kind is raised."""
        try:
            await doing
        except error:
            return
        raise NotConforming(f"{words}: {error.__name__} was to be raised")

    async def __aenter__(self) -> "Stage":
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            await asyncio.gather(*(self.journal.erase(name) for name in self._names))
        finally:
            for journal in self._journals:
                await journal.aclose()


Check = Callable[[OpenJournal], Awaitable[None]]

CHECKS: list[Check] = []


def check(play: Callable[[Stage], Awaitable[None]]) -> Check:
    """Make a check of the suite from a function of a stage."""

    async def checked(open_journal: OpenJournal) -> None:
        async with Stage(open_journal) as stage:
            try:
                await play(stage)
            except SegueError as error:
                raise NotConforming(f"{type(error).__name__} was raised where nothing was wrong: {error}") from error

    checked.__name__ = checked.__qualname__ = play.__name__
    checked.__doc__ = play.__doc__
    CHECKS.append(checked)
    return checked


def note(text: str) -> Event:
    """An event that can be told from others."""
    return InstructionsRendered("Triage", text)


def notes(count: int, begin: int = 1) -> list[Event]:
    """Events that can be told apart."""
    return [note(f"note {number}") for number in range(begin, begin + count)]


@dataclass(frozen=True)
class MoonRisen:
    """An event that this version does not know."""

    phase: str


def newer(phase: str) -> Event:
    """An event as a newer version would append it."""
    return cast(Event, MoonRisen(phase))


def opening(name: str, agent: str = "Triage", key: str | None = None) -> list[Event]:
    """A conversation with an agent that is to be driven."""
    return [Started(name, agent), InputGiven("run-1", (User("Hello?"),), key=key)]


def answer(agent: str = "Triage") -> ModelReplied:
    """What ends a run."""
    return ModelReplied(agent, Reply("Here you are."))


ODD: Sequence[Any] = (
    *(None, True, 0, -0.0, 0.1, 1e308, 5e-324, 2**53 + 1, -(2**63), 2**64, 10**60),
    *("", "\0", "a\0b", "\ud800", "x\udfffy", "\u2028", "é", "e\u0301", "\U0001f9f3", "\\u0000", "line\r\nline\t", "\x7f\x1b"),
    *("'; drop table event; --", "__import__('os')", "null", "1e3"),
    *({}, [], {"": ""}, {"\0": [{}]}, {"\ud800": 1}, {"b": 1, "a": 2}, {"__class__": "os.system", "$ref": "#"}),
    *([[[[[[[[[[]]]]]]]]]], ["1", 1, 1.5, True, None]),
)
"""JSON values that stores have been known to change."""

_CALL = Call("call-1", "pay", '{"amount": 5}', {"signature": "…"})
_REPLY = Reply("One moment.", (_CALL,), "tool_calls", None, Usage(1, 2, 3, 4), "m", {"reasoning": ["…"]}, "openai-chat")

_EARLIER = (System("s"), User("Hi", "ann"), Assistant("Hi.", (_CALL,), "Triage"), ToolAnswer("call-1", "pay", "ok"))
_PARTS: Sequence[dict[str, Any]] = ({"type": "text", "text": "Hi"},)

EVERY_KIND: Sequence[Event] = (
    Started("c", "Triage", {"customer": 7}, _EARLIER),
    Started("c", "Triage", origin="b@7"),
    InputGiven("r", (User(list(_PARTS)), User("")), {"a": None}, None, "ann", {"turns": None, "cost": 0.5}, "interrupt"),
    DriveStarted("d", {"Triage": {"tools": {"pay": "abc"}}}),
    InstructionsRendered("Triage", "Be kind.\n"),
    ModelReplied("Triage", _REPLY, 2, 0.5, 1.5, "No."),
    ToolStarted("1.0", "pay", '{"amount":5}', "keyed", "k", "q", True),
    ToolReturned("1.0", list(_PARTS), Handoff("Refunds", "call", "brief", {"x": [1]}, True), {"a": 1}, 2.5, Usage(1), 0.25),
    ToolFailed("1.0", "raised", "KeyError: x", True, 0.1),
    ToolUnknown("1.0", "Who knows.", True),
    ToolSettled("1.0", "paid", "ann"),
    ToolLate("1.0", "pay", "paid"),
    ApprovalAsked("q", "1.0", "Triage", "pay", "{}", "d", "f", 1.5, "c-inner", True),
    ApprovalDecided("q", "d", "deny", "ann", "no"),
    RunEnded("failed", "provider", "words", "RateLimited", {"retry_after": 1.5}),
    AllowanceGiven({"turns": 5}, "ann"),
    *(Started("c", "Triage", {"odd": value}) for value in ODD),
    *(ToolReturned("1.0", value) for value in ODD if isinstance(value, str)),
)
"""Each kind of event with all its fields, and with odd values."""


def of_a_size(megabytes: int) -> Event:
    """An event that is large when it is written."""
    return ToolReturned("1.0", "0123456789abcdé\n" * (megabytes * 2**16))

"""What one drive has decided, and what of it is written down.
Everything that a drive decides goes through here into the journal. Where others have written meanwhile, their events are taken in,
and what was not written yet is decided again on top of them: nothing is written that cannot have happened, and nothing that did is lost."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from segue import clock
from segue.core.conversation import Conversation
from segue.core.events import DriveStarted, Event, ModelReplied, RunEnded, ToolFailed, ToolLate, ToolReturned, ToolStarted
from segue.core.fold import apply, as_left
from segue.errors import IllegalEvent, JournalConflict
from segue.journal.base import ATTEMPTS, Journal, Summary, fold, summary_of
from segue.spans import Trace

_UNTOLD = Summary()


class Fenced(Exception):
    """Another driver has taken the conversation over: nothing more is begun here."""


class Ledger:
    """The conversation as decided, and as written."""

    def __init__(self, conversation: Conversation, journal: Journal) -> None:
        self.conversation = conversation
        """With all that was decided."""
        self.written = conversation
        """With all that is durable."""
        self.pending: list[Event] = []
        self.opened = False
        """The journal has taken the first append: the conversation is this drive's."""
        self.lost = False
        """The journal did not take what was decided: `conversation` is not what is written down."""
        self.fenced = False
        """Another driver has taken the conversation over."""
        self.met = False
        """Others have written since: what was decided may not have come to pass."""
        self.late: list[ToolLate] = []
        """What is to be told after a `Fenced`: outcomes of calls that were begun here."""
        self.run = ""
        """The run that is of interest."""
        self.left: Conversation | None = None
        """The conversation as that run left it, once another has begun."""
        self.trace: Trace | None = None
        self.journal = journal
        self.cancelled: asyncio.CancelledError | None = None
        """A cancel that came while something was being written, and is to be passed on."""
        self._left_at = 0
        self._begun: dict[str, str] = {}
        """Calls that were begun here, by place: the tools' names."""

    def decide(self, *events: Event) -> None:
        """Something has happened; it is written down with the next `flush`. Raises `IllegalEvent` for what cannot have."""
        for event in events:
            self._take(event)
            self.pending.append(event)

    def _take(self, event: Event, *, again: bool = False) -> None:
        before = self.conversation
        after = self.conversation = apply(before, event)
        if type(event) is ToolStarted:
            self._begun[event.place] = event.name
        if after.run.id != before.run.id and self.run and self.left is None:
            self.left, self._left_at = as_left(self.run, before, event, after), after.seq
        if self.trace is not None and not again:
            self.trace.saw(event, before, after)

    async def flush(self, *, meet: bool = False) -> Sequence[Event]:
        """Write down what was decided, and give what has happened: that, and what others have written.

        `meet`: others are known to have written. Raises `Fenced`; `JournalConflict` where the conversation was taken before
        this drive had it; what the journal raises.
        """
        if not (self.pending or meet):
            return ()
        events, self.pending = self.pending, []
        after = self.conversation  # as it is now: more may be decided before it is written
        writing = self._met(events) if meet else self._write(events, after)
        try:
            told = await (self._whole(writing) if self.journal.durable else writing)
        except Exception:
            self.lost = True
            raise
        if self.cancelled is not None:
            cancelled, self.cancelled = self.cancelled, None
            raise cancelled
        return told

    async def _write(self, events: list[Event], after: Conversation) -> Sequence[Event]:
        try:
            await self._append(events, after)
        except JournalConflict:
            if not self.opened:
                raise
            return await self._met(events)
        return events

    async def _whole(self, writing: Coroutine[Any, Any, Sequence[Event]]) -> Sequence[Event]:
        """Write to the end, whatever is cancelled meanwhile: what was decided is not forgotten half-way."""
        task = asyncio.ensure_future(writing)
        self.cancelled = await to_its_end(task) or self.cancelled
        return task.result()

    async def _append(self, events: list[Event], after: Conversation) -> None:
        summary = summary_of(after) if self.journal.durable else _UNTOLD
        await self.journal.append(after.id, after.seq - len(events) + 1, events, at=clock.now(), summary=summary)
        self.written, self.opened = after, True

    async def _met(self, events: list[Event]) -> Sequence[Event]:
        self.met = True
        told: list[Event] = []
        run = self.written.run.id
        for _ in range(ATTEMPTS):
            stored = await self.journal.read(self.written.id, after=self.written.seq)
            again, self.pending = [*events, *self.pending], []
            fold(stored, self.written)  # raises, where they do not fit together
            self.conversation = self.written
            if self._left_at > self.written.seq:
                self.left, self._left_at = None, 0
            for row in stored:
                self._take(row.event)
            self.written = self.conversation
            told += [row.event for row in stored]
            if any(isinstance(row.event, DriveStarted) for row in stored):
                self.late = [late for event in again if (late := self._as_late(event)) is not None]
                self.fenced = True
                raise Fenced
            events = [taken for event in again if (taken := self._again(event, run)) is not None]
            if not events:
                return told
            try:
                await self._append(events, self.conversation)
            except JournalConflict:
                continue
            return [*told, *events]
        raise JournalConflict(
            f"Others wrote to conversation {self.written.id} {ATTEMPTS} times in a row while this run was to be written down.",
            conversation=self.written.id,
        )

    def _again(self, event: Event, run: str) -> Event | None:
        """Decide something again, after what others have written; a result that is not waited for any more is a late one."""
        if isinstance(event, ModelReplied | RunEnded) and self.conversation.run.id != run:
            return None  # it was about a run that gave way to another
        try:
            self._take(event, again=True)
        except IllegalEvent:
            late = self._as_late(event)
            if late is not None:
                self._take(late)
            return late
        return event

    def _as_late(self, event: Event) -> ToolLate | None:
        match event:
            case ToolReturned(place=place, content=content) if place in self._begun:
                return ToolLate(place, self._begun[place], content if isinstance(content, str) else str(content))
            case ToolFailed(place=place, kind="raised" | "result", words=words) if place in self._begun:
                return ToolLate(place, self._begun[place], words)
            case ToolLate():
                return event
            case _:
                return None


async def to_its_end(task: "asyncio.Future[Any]") -> asyncio.CancelledError | None:
    """Wait for something to its end, whatever is cancelled meanwhile; the cancellation is given back, to be passed on."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                break
            cancelled = error
        except Exception:
            break  # the task's own; it has it still
    return cancelled

"""What one drive has decided, and what of it is written down.
Everything that a drive decides goes through here into the journal. Where others have written meanwhile, their events are taken in,
and what was not written yet is decided again on top of them: nothing is written that cannot have happened, and nothing that did is lost."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from segue import clock
from segue.core.conversation import Conversation
from segue.core.events import DriveStarted, Event, ToolFailed, ToolLate, ToolReturned, ToolStarted
from segue.core.fold import apply, as_left
from segue.errors import IllegalEvent, JournalConflict, JournalDamaged
from segue.journal.base import Journal, Summary, summary_of
from segue.spans import Trace

ATTEMPTS = 100
"""How often an append is tried where others are faster; each time, somebody else has got something done."""

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
        self._cancelled: asyncio.CancelledError | None = None
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
        if after.run is not before.run and self.run and before.run.id == self.run != after.run.id and self.left is None:
            self.left = as_left(before, event)
        if self.trace is not None and not again:
            self.trace.saw(event, before, after)

    async def flush(self) -> Sequence[Event]:
        """Write down what was decided, and give what has happened: that, and what others have written.

        Raises `Fenced`; `JournalConflict` where the conversation was taken before this drive had it; what the journal raises.
        """
        return await self._done(self._write) if self.pending else ()

    async def meet(self) -> Sequence[Event]:
        """Take in what others have written, and write down what was decided; see `flush`."""
        return await self._done(self._met)

    async def _done(self, write: Callable[[list[Event]], Awaitable[Sequence[Event]]]) -> Sequence[Event]:
        events, self.pending = self.pending, []
        try:
            told = await write(events)
        except Exception:
            self.lost = True
            raise
        if self._cancelled is not None:
            cancelled, self._cancelled = self._cancelled, None
            raise cancelled
        return told

    async def _write(self, events: list[Event]) -> Sequence[Event]:
        try:
            await self._append(events)
        except JournalConflict:
            if not self.opened:
                raise
            return await self._met(events)
        return events

    async def _append(self, events: list[Event]) -> None:
        after = self.conversation
        seq = after.seq - len(events) + 1
        if not self.journal.durable:
            await self.journal.append(after.id, seq, events, at=clock.now(), summary=_UNTOLD)
            self.written, self.opened = after, True
            return
        append = asyncio.ensure_future(self.journal.append(after.id, seq, events, at=clock.now(), summary=summary_of(after)))
        self._cancelled = await to_its_end(append) or self._cancelled  # passed on when all is written
        append.result()
        self.written, self.opened = after, True

    async def _met(self, events: list[Event]) -> Sequence[Event]:
        self.met = True
        told: list[Event] = []
        for _ in range(ATTEMPTS):
            stored = await self.journal.read(self.written.id, after=self.written.seq)
            again, self.pending = [*events, *self.pending], []
            self.conversation = self.written
            try:
                for row in stored:
                    self._take(row.event)
            except IllegalEvent as error:
                raise JournalDamaged(f"The stored events of conversation {self.written.id} do not fit together: {error}") from error
            self.written = self.conversation
            told += [row.event for row in stored]
            if any(isinstance(row.event, DriveStarted) for row in stored):
                self.late = [late for event in again if (late := self._as_late(event)) is not None]
                raise Fenced
            events = [taken for event in again if (taken := self._again(event)) is not None]
            if not events:
                return told
            try:
                await self._append(events)
            except JournalConflict:
                continue
            return [*told, *events]
        raise JournalConflict(
            f"Others wrote to conversation {self.written.id} {ATTEMPTS} times in a row while this run was to be written down.",
            conversation=self.written.id,
        )

    def _again(self, event: Event) -> Event | None:
        """Decide something again, after what others have written; a result that is not waited for any more is a late one."""
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


async def to_its_end(task: "asyncio.Future[None]") -> asyncio.CancelledError | None:
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

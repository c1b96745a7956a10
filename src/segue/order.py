"""One run, from a claim on a conversation to what came of it: driven here, or by someone else and watched from here.
No rule of the machine lives here."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import Any

from segue import clock
from segue.core.conversation import Conversation, Status
from segue.core.events import DriveStarted, Event, InputGiven
from segue.core.fold import replay
from segue.desk import Busy, Claim, Desk, Kept
from segue.drive import Drive, Item
from segue.engine import Sharing
from segue.errors import ConversationBusy, JournalConflict, JournalError, SegueError
from segue.inputs import begins_anew, left_by
from segue.journal.base import ATTEMPTS, fold, summary_of
from segue.ledger import Fenced
from segue.openings import Decision, existing
from segue.outside import end_inner
from segue.response import Response
from segue.world import World

Opening = Callable[[Conversation], Awaitable[list[Event] | Conversation | Decision]]
"""The events that a run is opened with; or, where nothing is to be done, the conversation as some run has left it."""

LOOK = 1.0
"""Seconds after which a watcher looks whether the driver that it waits for still lives."""


class Order:
    """A run that is wished for.

    It knows nothing of the stream that reads it, so that a stream that is dropped closes it at once.
    """

    __slots__ = ("beside", "busy", "desk", "handed", "here", "key", "name", "opening", "refused", "run", "told", "wanted", "world")

    def __init__(
        self,
        desk: Desk,
        name: str,
        opening: Opening,
        world: World,
        busy: Busy,
        key: str | None,
        *,
        here: bool,
        handed: bool,
        beside: bool,
    ) -> None:
        self.desk = desk
        self.name = name
        self.opening = opening
        self.world = world
        self.busy = busy
        self.key = key
        self.here = here
        """Whether it is driven in this process, whoever else may do so."""
        self.beside = beside
        """Whether it is told to a run that goes on in this process, as it would be to one elsewhere."""
        self.wanted: Callable[[], Awaitable[bool]] | None = None
        """Of an agent used as a tool: whether the call that it answers is open."""
        self.handed = handed
        """Whether nobody in this process waits for it: it may be left to another driver."""
        self.run = ""
        """The id of the run that is wished for; empty where it is the one that goes on."""
        self.told = False
        """Whether the journal has the opening: a driver elsewhere was told of it."""
        self.refused: SegueError | None = None
        """What is raised when all is done."""

    async def items(self, came: list[Response[Any]]) -> AsyncGenerator[Item, None]:
        """What happens; what came of it is put into `came`. Raises the run's error when it failed."""
        left: Conversation | None = None
        drive: Drive | None = None
        running = self.desk.drive_of(self.name)
        if self.beside and running is not None and running.consumer is asyncio.current_task():
            words = "is read by the task that wants to decide, and would wait for itself: decide after the stream's end, or in another task"
            raise ConversationBusy(f"The run of conversation {self.name} {words}.", conversation=self.name)
        for _ in range(ATTEMPTS):
            drive = None
            if (self.desk.engine is None or self.here) and not self._is_beside():
                drive = Drive(Conversation(), self.world, self.desk.journal, driver=self.desk.driver)
                drive.wanted = partial(_is_wanted, drive, self.wanted) if self.wanted is not None else None
                items = self._driven(drive)
                try:
                    async for item in items:
                        yield item
                    break
                except _Elsewhere:
                    pass
                except JournalConflict:
                    if drive.ledger.opened:
                        raise
                    self.desk.forget(self.name)  # another was faster
                    continue
                finally:
                    await items.aclose()
            watch = _Watch(self)
            async for event in watch.events():
                if self.world.told:
                    yield event
            if watch.left is not None:
                left = watch.left
                break
        else:
            raise JournalConflict(f"Others were faster {ATTEMPTS} times in a row in conversation {self.name}.", conversation=self.name)
        response = _respond(self.desk, drive, left)
        came.append(response)
        if self.refused is not None:
            raise self.refused
        if response.error is not None and (response.status == "failed" or isinstance(response.error, ConversationBusy)):
            raise response.error

    def _is_beside(self) -> bool:
        return self.beside and self.desk.drive_of(self.name) is not None

    async def is_driven(self, c: Conversation) -> bool:
        """Whether a living driver has the conversation, to which this is told."""
        return self._is_beside() or await self.desk.elsewhere(c)

    async def _driven(self, drive: Drive) -> AsyncGenerator[Item, None]:
        desk, name = self.desk, self.name
        drive.home = desk
        drive.handed = self.handed
        claim = Claim(drive, self.key)
        await desk.take(name, claim, "queue" if self.told else self.busy)
        kept: Kept | None = None
        try:
            kept = await desk.load(name)
            if desk.leaving and drive.handed:
                drive.start_from(kept.conversation)  # the next driver begins it
                return
            begin = await self.begin(kept.conversation)
            if isinstance(begin, Conversation):
                drive.start_from(begin)
                return
            if not self.here and await desk.elsewhere(kept.conversation):
                raise _Elsewhere
            if desk.journal.durable:
                await desk.hold()
                drive.driver = desk.driver
                drive.parks = desk.changed(kept.conversation)
            drive.start_from(kept.conversation, 0.0 if begins_anew(begin) else kept.driven, self.run)
            self.world.cache, self.world.team = kept.cache, desk.team_of(name)
            items = drive.items(*begin)
            try:
                async for item in items:
                    yield item
            finally:
                await items.aclose()
        finally:
            if kept is not None and drive.over:
                kept = None if drive.lost else Kept(drive.conversation, kept.cache, drive.driven)
            desk.release(name, claim, kept)
            await desk.tidy(drive)
            if drive.forsaken:  # but for what is open still: who has taken the conversation over goes on with that
                turn = (await desk.load(name)).conversation.turn
                still = {slot.place for slot in turn.slots if slot.outcome is None} if turn is not None else set()
                await end_inner(desk.journal, name, [place for place in drive.forsaken if place not in still], at=clock.now())
            for event in drive.early:
                desk.late(name, event)

    async def begin(self, c: Conversation) -> list[Event] | Conversation:
        """How the run is opened, by the conversation as it stands."""
        if self.told:
            return await self._go_on(c)
        if self.wanted is not None:  # asked after `c` was read: who takes the call over later makes this append fail, or goes on from it
            await self.wanted()
        begin = await self.opening(c)
        if isinstance(begin, Conversation):
            return begin
        if isinstance(begin, Decision):
            self.refused = begin.refused
            begin = begin.events
        given = [event.run for event in begin if isinstance(event, InputGiven)]
        waits = [event.run for event in c.queue if self.key is not None and event.key == self.key]
        self.run = next(iter(given or waits), "")
        return begin

    async def _go_on(self, c: Conversation) -> list[Event] | Conversation:
        """Go on with a run whose driver has died; or the conversation as the run was left, if it has come to its end meanwhile."""
        existing(c, self.name)
        left = left_by(self.run, Conversation(), await self.desk.journal.read(self.name))
        if left is not None or c.running:
            return left or []
        return c


async def _is_wanted(drive: Drive, wanted: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await wanted()
    except ConversationBusy:
        raise Fenced from None  # who has the outer conversation goes on with this one, too
    except JournalError:
        drive.ledger.lost = True  # left as it is: it is not known whether it may be ended
        raise


class _Elsewhere(Exception):
    """A living driver elsewhere has the conversation."""


class _Watch:
    """A run that someone else drives: it is told how it begins, and watched to its end."""

    def __init__(self, order: Order) -> None:
        self.left: Conversation | None = None
        """The conversation as the run has left it; `None` while it goes on, and where its driver has died."""
        self._order = order
        self._journal = order.desk.journal

    async def events(self) -> AsyncGenerator[Event, None]:
        """What is written down from now on, until the run is over or its driver has died."""
        order, desk = self._order, self._order.desk
        c = await self._tell()
        while c is not None and self.left is None:
            driven = desk.engine is not None or await order.is_driven(c)  # asked first: what it wrote to its end is read below
            rows = await self._journal.read(order.name, after=c.seq)
            self.left, c = left_by(order.run, c, rows), fold(rows, c)
            for row in rows:
                yield row.event
            if self.left is None and not rows:
                if not driven:
                    return
                await self._journal.wait(order.name, after=c.seq, timeout=LOOK)

    async def _tell(self) -> Conversation | None:
        """Append how the run begins, and give the conversation as it was before; `None` where nobody drives it any more."""
        order, desk = self._order, self._order.desk
        for _ in range(ATTEMPTS):
            c = (await desk.load(order.name)).conversation
            if desk.engine is None and not await order.is_driven(c):
                return None
            begin = await order.begin(c)
            if isinstance(begin, Conversation):
                self.left = begin
                return begin
            after = replay(begin, c)
            if desk.engine is None and not c.running and after.running:
                begin = [DriveStarted(""), *begin]  # who drove it last is done with it: see `outside.tell`
                after = replay(begin, c)
            try:
                await self._append(c, begin, after)
            except JournalConflict:
                desk.forget(order.name)
                continue
            order.run, order.told = order.run or after.run.id, True
            return c
        raise JournalConflict(f"Others wrote to conversation {order.name} {ATTEMPTS} times in a row.", conversation=order.name)

    async def _append(self, c: Conversation, events: list[Event], after: Conversation) -> None:
        """Write the events, and ask for a drive: in one transaction, where the queue of the engine is in the same database."""
        engine, journal = self._order.desk.engine, self._journal
        options: dict[str, Any] = {"at": clock.now(), "summary": summary_of(after)}
        name = self._order.name
        if events and isinstance(engine, Sharing) and engine.shares(journal):
            await journal.append(name, c.seq + 1, events, **options, within=lambda connection: engine.submit_within(connection, name))
            return
        if events:
            await journal.append(name, c.seq + 1, events, **options)
        if engine is not None:
            await engine.submit(name)


def _respond(desk: Desk, drive: Drive | None, left: Conversation | None) -> Response[Any]:
    error: BaseException | None = None
    failure: BaseException | None = None
    if drive is not None and left is None:
        left = drive.ledger.left
        if left is None:
            left, error, failure = drive.conversation, drive.error, drive.world.error
    assert left is not None
    c, team = left, desk.team_of(left.id)
    agent = team.member(c.active).agent if c.active in team else desk.team.entry
    if error is None and c.status is Status.ENDED and c.ended is not None and type(failure).__name__ == c.ended.error:
        error = failure
    if isinstance(error, SegueError):
        error.conversation = c.id
    elif error is not None:
        error.add_note(f"in conversation {c.id}")
    return Response(c, agent, error=error)

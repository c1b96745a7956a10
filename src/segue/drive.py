"""The loop: ask what is left to do, do it, write down what happened, until nothing is left.
There is one. Streaming is this loop; whole answers consume it; sync stands behind a portal; resuming begins it again."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Protocol, assert_never

from segue.agent import AgentTool
from segue.calls import Calls, Ended
from segue.change import missing
from segue.core.conversation import CallModel, CallTool, Conversation, EndRun, Recover, Status, Step, next_steps
from segue.core.events import CANCELLED, SUPERSEDED, DriveStarted, Event, RunEnded, ToolLate
from segue.core.messages import NOTHING
from segue.errors import ConversationBusy, JournalConflict, JournalError, SegueError
from segue.journal.base import Journal, Stored
from segue.ledger import Fenced, Ledger, to_its_end
from segue.model import Delta, Restarted
from segue.openings import cancelled
from segue.outcomes import GivenUp, came, late_content
from segue.perform import ask, failed
from segue.pool import Done
from segue.prepare import prepared
from segue.spans import trace_of
from segue.team import Team
from segue.transaction import transacted
from segue.world import InnerWaits, Progress, Ready, World

log = logging.getLogger("segue")
log.addHandler(logging.NullHandler())  # silent until the program asks for it

Item = Event | Delta | Restarted | Progress
"""What a stream yields."""


class Stopped(Exception):
    """The drive was told to stop while its consumer held an item, or before it began."""


class Home(Protocol):
    """Who is told of what concerns others than a drive's consumer."""

    def left(self, conversation: str, team: Team) -> None:
        """A drive is over, though its consumer may still hold an item."""
        ...

    def late(self, conversation: str, event: ToolLate) -> None:
        """A result came when its drive was over."""
        ...


class Drive:
    """One driver's work on one conversation; `items` is the loop."""

    def __init__(self, conversation: Conversation, world: World, journal: Journal, *, driver: str = "", driven: float = 0.0) -> None:
        self.ledger = Ledger(conversation, journal)
        self.world = world
        self.driven = driven
        """Seconds for which this run has been driven; until this drive is over, by earlier ones."""
        self.error: Exception | None = None
        """The exception behind a failed run, where it happened in this drive."""
        self.over = False
        """Nothing more will be done, though the consumer may still hold an item."""
        self.home: Home | None = None
        self.wanted: Callable[[], Awaitable[bool]] | None = None
        """Asked once when this drive is written down: whether anybody waits for it. An outer run may have ended before it saw this one."""
        self.handed = False
        """Whether this drive was handed to this process by nobody who waits for it: it may be left to another."""
        self.parks: RunEnded | None = None
        """An end with which the run is parked before anything is done."""
        self.early: list[ToolLate] = []
        """Late results of earlier drives that came before this one had begun."""
        self.forsaken: list[str] = []
        """Calls that were begun and open when the run was ended: an agent behind one waits for nobody any more."""
        self.event_loop = asyncio.get_running_loop()
        self.driver = driver
        self._fence = 0
        """The place of this drive's `DriveStarted`."""
        self._leaving = False
        self._calls: Calls | None = None
        self._stop: RunEnded | None = None
        self._ending: asyncio.Task[None] | None = None
        self._begun = 0.0
        self._timed = ""
        """The run whose time is counted, since `_begun`."""
        self._timer: asyncio.TimerHandle | None = None
        self.consumer: asyncio.Task[Any] | None = None
        """The task that reads what happens, and began to."""
        self._task: asyncio.Task[Any] | None = None
        """The task that is inside the loop; `None` while the consumer holds an item."""
        self._cancelling: int | None = None
        """How often that task had been told to cancel by others when this drive told it; `None` if it did not."""

    @property
    def conversation(self) -> Conversation:
        """The conversation, with all that was decided."""
        return self.ledger.conversation

    @property
    def lost(self) -> bool:
        """Whether `conversation` is not what is written down."""
        return self.ledger.lost or bool(self.ledger.pending)

    def start_from(self, conversation: Conversation, driven: float = 0.0, run: str = "") -> None:
        """Take the conversation as the journal has it. `run`: the one that is of interest, if it is not the one that goes on."""
        self.ledger = Ledger(conversation, self.ledger.journal)
        self.ledger.run = run
        self.driven = driven

    def leave_soon(self) -> None:
        """Leave the conversation to another driver after the present step, without ending the run; from any thread."""
        self._leaving = True

    def stop(self, end: RunEnded) -> None:
        """End the run as soon as may be. What was begun gets its outcome first."""
        if self._stop is not None or self.over:
            return
        self._stop = end
        if self._task is not None:
            self._cancelling = self._task.cancelling()
            self._task.cancel()
        elif self._begun:  # the consumer holds an item, and may hold it for ever
            self._ending = self.event_loop.create_task(self._end(end))

    def stop_soon(self, end: RunEnded) -> None:
        """`stop`, from any thread; nothing, where the drive's event loop is closed."""
        if not self.event_loop.is_closed():
            self.event_loop.call_soon_threadsafe(self.stop, end)

    async def items(self, *opening: Event) -> AsyncGenerator[Item, None]:
        """Append the opening events and drive until no step is left, yielding what happens.

        Closing the iterator, or cancelling the task that consumes it, ends the run, whole. A run that fails is ended, and
        `error` is set; nothing is raised but `CancelledError`, and what the journal raises.
        """
        self._task = self.consumer = asyncio.current_task()
        self._begun = self.event_loop.time()
        self._start(opening)
        self._time(self.driven)
        try:
            if self._stop is not None:
                raise Stopped
            items = self._loop()
            try:
                async for item in items:
                    self._task = None
                    yield item
                    self._task = self.consumer = asyncio.current_task()
                    if self._stop is not None:
                        raise Stopped
            finally:
                await items.aclose()
        except GeneratorExit:
            await self._close(self._stop or CANCELLED)
            raise
        except (asyncio.CancelledError, Stopped) as stopped:
            if self.handed and self._stop is None:
                self._leave()
                raise
            await self._close(self._stop or CANCELLED)
            if not self._forgive() and isinstance(stopped, asyncio.CancelledError):
                raise
        except Fenced:
            self._fenced()
            if not self._forgive() and self.ledger.cancelled is not None:
                raise self.ledger.cancelled from None
        except Exception as error:
            self._forgive()
            self.error = error
            if self.ledger.opened:
                await self._close(_broken(error))
            if self.ledger.lost:
                raise
        finally:
            self._task = None
            self._finish()

    def _time(self, driven: float) -> None:
        """Begin to count the time of the run that goes on now, which was driven for so many seconds already."""
        run = self.conversation.run
        self._timed, self.driven, self._begun = run.id, driven, self.event_loop.time()
        if self._timer is not None:
            self._timer.cancel()
        limit = run.limits.run_timeout
        self._timer = None if limit is None else self.event_loop.call_later(max(0.0, limit - driven), self._timed_out, limit)

    def _start(self, opening: Sequence[Event]) -> None:
        ledger, code = self.ledger, self.world.team.fingerprint
        ledger.decide(*opening)
        ledger.run = ledger.run or ledger.conversation.run.id
        before = ledger.conversation.fingerprint
        ledger.decide(DriveStarted(self.driver, NOTHING if before == code else code))
        self._fence = ledger.conversation.seq
        ledger.decide(*self.early)
        self.early = []
        self.world.trace = ledger.trace = trace_of(ledger.conversation.entry, ledger.conversation.id)
        if ledger.conversation.running:
            end = missing(ledger.conversation._replace(fingerprint=before), self.world.team) or self.parks
            if end is not None:
                ledger.decide(end)

    def _timed_out(self, limit: float) -> None:
        if self.conversation.run.id != self._timed:
            return  # that run is over, and the next one's time begins when that is written down
        words = f"The run was driven for its limit of {limit:g} seconds; resume it to give it a new allowance."
        self.stop(RunEnded("limited", "run_timeout", words, "LimitReached", {"limit": "run_timeout"}))

    def _forgive(self) -> bool:
        """Take back the cancel that `stop` gave to the task; whether that was the only one."""
        return self._task is not None and self._cancelling is not None and self._task.uncancel() <= self._cancelling

    async def _loop(self) -> AsyncGenerator[Item, None]:
        for event in await self._flush():  # the input is durable before anyone acts on it
            yield event
        wanted, self.wanted = self.wanted, None
        if wanted is not None and not await wanted():
            self.ledger.decide(*cancelled(self.conversation, CANCELLED, drive=self.conversation.drive))
            await self._flush()
        while not self._leaving and (steps := next_steps(self.conversation)):
            ready: Sequence[Ready] = ()
            match steps[0]:
                case EndRun(end):
                    self.ledger.decide(end)
                case CallModel():
                    replies = ask(self.world, self.conversation)
                    try:
                        async for said in replies:
                            if isinstance(said, list):
                                self.ledger.decide(*said)
                            else:
                                yield said
                    finally:
                        await replies.aclose()
                    if self.conversation.status is Status.TOOLS:
                        continue  # the starts of the reply's calls join it in one append
                case CallTool() | Recover():
                    ready = await self._prepare(steps)
                case _:
                    assert_never(steps[0])
            for event in await self._flush():
                yield event
            if ready:
                self._begin(ready)
            while self._calls is not None and self._calls.under_way:
                for item in await self._take(self._calls):
                    yield item
        while self.ledger.pending:  # late results that came with the last append
            for event in await self._flush():
                yield event

    async def _prepare(self, steps: Sequence[Step]) -> Sequence[Ready]:
        """Look at the calls that may be made side by side; what is decided of them joins the next append."""
        if self._calls is None:
            self._calls = Calls(self.world, self.conversation.id, self._heard, self._transact)
        ready, decided = await prepared(self.world, self.conversation, steps)
        self.ledger.decide(*decided)  # at once, so that a cancel in between leaves no call started that is not begun
        return ready

    def _begin(self, ready: Sequence[Ready]) -> None:
        """Make calls side by side, whose starts are written down; what came of them is appended as it comes."""
        if self.ledger.met:  # what others wrote may have ended a call before it was begun
            turn = self.conversation.turn
            starts = [slot.started for slot in turn.slots if slot.outcome is None] if turn is not None else []
            ready = [one for one in ready if any(one.start is start for start in starts)]
        if self._calls is not None:
            self._calls.begin(ready)

    async def _take(self, calls: Calls) -> Sequence[Item]:
        """Wait for calls, and write down what came of them; what is told of that."""
        ended, progress = await calls.take()
        events = await self._came(ended)
        return [*progress, *events] if progress else events

    async def _came(self, ended: Sequence[Ended]) -> Sequence[Event]:
        """Write down what came of calls. A transaction's outcome is written already, or its conversation was taken over."""
        meet = False
        for one in ended:
            if one.call.commit is not None and (type(one.value) is Stored or isinstance(one.error, JournalConflict)):
                meet = True
            elif one.call.commit is not None and isinstance(one.error, JournalError):
                self.ledger.lost = True
                raise one.error
            else:
                self._outcome(one)
        waits = [one.call.slot.place for one in ended if type(one.value) is InnerWaits]
        if not waits:
            return await self._flush(meet=meet)
        try:
            return await self._flush(meet=meet)
        finally:  # what others have written may have ended a call whose agent has just begun to wait
            turn = self.conversation.turn
            still = {slot.place for slot in turn.slots if slot.outcome is None} if turn is not None else set()
            self.forsaken += [place for place in waits if place not in still]

    def _outcome(self, ended: Ended) -> None:
        """Decide what a call came to; where it is not waited for any more, its result is a late one."""
        if self.ledger.met and not self._is_open(ended.call):
            if ended.error is None or isinstance(ended.error, Exception):
                self._heard(ended.call, Done(ended.call.slot.place, ended.value, ended.error))
            return
        self.ledger.decide(came(self.world, self.conversation, *ended))

    def _is_open(self, call: Ready) -> bool:
        turn = self.conversation.turn
        return turn is not None and any(slot.started is call.start and slot.outcome is None for slot in turn.slots)

    def _transact(self, call: Ready, work: Callable[[], Any]) -> Stored:
        return transacted(self.world, self.ledger, self._fence, call, work)

    async def _flush(self, *, meet: bool = False) -> Sequence[Event]:
        """Append what was decided; give back what has happened if somebody is told. `meet`: others are known to have written."""
        events = await self.ledger.flush(meet=meet)
        if self.ledger.conversation.run.id != self._timed and not self.over:
            self._time(0.0)  # a queued run has begun: its time is its own (R19)
        if self._calls is not None:
            self._calls.catch_up()
        return events if self.world.told else ()

    async def _close(self, end: RunEnded) -> None:
        """End the run, whatever is cancelled meanwhile."""
        if self._ending is None:
            self._ending = self.event_loop.create_task(self._end(end))
        again = await to_its_end(self._ending)
        self._ending.result()
        if again is not None:
            raise again

    async def _end(self, end: RunEnded) -> None:
        """Give every open call its outcome, and end the run."""
        calls, words = self._calls, end.words.rstrip(".") or "the run was ended"
        try:
            while calls is not None and calls.under_way and end is SUPERSEDED and not self.ledger.lost:  # they have their time (R21)
                await self._came((await calls.take())[0])
            slots = turn.slots if (turn := self.conversation.turn) is not None else ()
            self.forsaken += [slot.place for slot in slots if slot.started is not None and slot.outcome is None]
            for one in await calls.give_up() if calls is not None else ():
                if isinstance(one.error, asyncio.CancelledError):
                    one = one._replace(error=GivenUp(words))
                await self._came([one])
            if not self.ledger.lost:
                c = self.conversation
                self.ledger.decide(*cancelled(c, end, drive=c.drive))
            while self.ledger.pending and not self.ledger.lost:  # again, for late results that come meanwhile
                await self._flush()
        except Fenced:
            self._fenced()
        self._finish()

    def _leave(self) -> None:
        """Leave the run as it is, as a crash would: another driver goes on with it, or has it already."""
        self.ledger.lost, self.ledger.pending = True, []
        if self._calls is not None:
            self._calls.leave()

    def _fenced(self) -> None:
        """Another driver has the conversation: what was begun here is told to it when it ends, and nothing more is done."""
        self._leave()
        if self.ledger.conversation.running and self.ledger.conversation.driver:
            words = f"Another driver has taken conversation {self.conversation.id} over, and goes on with it."
            self.error = ConversationBusy(words, conversation=self.conversation.id)
        self._finish()
        for late in self.ledger.late:
            self.tell(late)

    def _finish(self) -> None:
        """The drive is over: let go of everything."""
        if self.over:
            return
        self.over = True
        self.driven += self.event_loop.time() - self._begun
        if self._timer is not None:
            self._timer.cancel()
        if self._calls is not None:
            self._calls.close()
            self._calls = None
        if self.world.trace is not None:
            self.world.trace.close(self.conversation, self.error)
        if self.home is not None:
            self.home.left(self.conversation.id, self.world.team)

    def _heard(self, call: Ready, done: Done) -> None:
        """Write down a result that came after its call was given up; that of an agent is in its own conversation."""
        if not isinstance(call.offer, AgentTool):
            self.tell(ToolLate(call.slot.place, call.offer.name, late_content(done.value, done.error)))

    def tell(self, event: ToolLate) -> None:
        """Take in a late result; where the drive is over, or writes nothing more, it is passed on."""
        if not self._begun:
            self.early.append(event)
        elif not (self.over or self.ledger.lost):
            self.ledger.decide(event)
        elif self.home is not None:
            self.home.late(self.conversation.id, event)


def _broken(error: Exception) -> RunEnded:
    if isinstance(error, SegueError):
        return failed("error", error)
    return RunEnded("failed", "error", f"A function of this program raised {type(error).__name__}.", "", {})

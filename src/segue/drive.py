"""The loop: ask what is left to do, do it, write down what happened, until nothing is left.
There is one. Streaming is this loop; whole answers consume it; sync stands behind a portal; resuming begins it again."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, assert_never

from segue.calls import Calls, Ended, NotBegun, TimedOut
from segue.core.conversation import CallModel, CallTool, Conversation, EndRun, Recover, Status, Step, apply, next_steps
from segue.core.events import DriveStarted, Event, Outcome, RunEnded, ToolFailed, ToolLate, ToolUnknown
from segue.core.turns import Slot
from segue.errors import SegueError
from segue.journal.base import Journal
from segue.model import Delta, Restarted
from segue.outcomes import given_up, late_content, outcome, unknown_words
from segue.perform import ask, failed, prepare
from segue.pool import Done
from segue.spans import trace_of
from segue.tools.tool import Tool
from segue.world import Progress, Ready, World

log = logging.getLogger("segue")
log.addHandler(logging.NullHandler())  # silent until the program asks for it

Item = Event | Delta | Restarted | Progress
"""What a stream yields."""

CANCELLED = RunEnded("cancelled", "cancelled", "The run was cancelled.", "RunCancelled")
SUPERSEDED = RunEnded("cancelled", "superseded", "The user has said something new.", "RunCancelled")


class Stopped(Exception):
    """The drive was told to stop while its consumer held an item, or before it began."""


class Drive:
    """One driver's work on one conversation; `items` is the loop."""

    def __init__(self, conversation: Conversation, world: World, journal: Journal, *, driver: str = "", driven: float = 0.0) -> None:
        self.conversation = conversation
        self.world = world
        self.driven = driven
        """Seconds for which this run has been driven; until this drive is over, by earlier ones."""
        self.error: Exception | None = None
        """The exception behind a failed run, where it happened in this drive."""
        self.lost = False
        """The journal did not take what was decided: `conversation` is not what is written down."""
        self.over = False
        """Nothing more will be done, though the consumer may still hold an item."""
        self.when_over: Callable[[], None] | None = None
        self.when_late: Callable[[ToolLate], None] | None = None
        """Takes results that come when the drive is over."""
        self.early: list[ToolLate] = []
        """Late results of earlier drives that came before this one had begun."""
        self.event_loop = asyncio.get_running_loop()
        self._journal = journal
        self._driver = driver
        self._pending: list[Event] = []
        self._calls: Calls | None = None
        self._stop: RunEnded | None = None
        self._ending: asyncio.Task[None] | None = None
        self._begun = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None
        """The task that is inside the loop; `None` while the consumer holds an item."""
        self._cancelling: int | None = None
        """How often that task had been told to cancel by others when this drive told it; `None` if it did not."""

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
        self._open(opening)
        try:
            if self._stop is not None:
                raise Stopped
            async with aclosing(self._loop()) as items:
                async for item in items:
                    self._task = None
                    yield item
                    self._task = asyncio.current_task()
                    if self._stop is not None:
                        raise Stopped
        except GeneratorExit:
            await self._close(self._stop or CANCELLED)
            raise
        except (asyncio.CancelledError, Stopped) as stopped:
            await self._close(self._stop or CANCELLED)
            if not self._forgive() and isinstance(stopped, asyncio.CancelledError):
                raise
        except Exception as error:
            self.error = error
            await self._close(_broken(error))
            if self.lost:
                raise
        finally:
            self._task = None
            self.lost = self.lost or bool(self._pending)  # a KeyboardInterrupt leaves without an end
            self._finish()

    def _open(self, opening: Sequence[Event]) -> None:
        self._begun = self.event_loop.time()
        self._task = asyncio.current_task()
        self._decide(*opening, DriveStarted(self._driver, self.world.team.fingerprint), *self.early)
        self.early = []
        self.world.trace = trace_of(self.conversation.entry, self.conversation.id)
        limit = self.conversation.run.limits.run_timeout
        if limit is not None:
            words = f"The run was driven for its limit of {limit:g} seconds; resume it to give it a new allowance."
            end = RunEnded("limited", "run_timeout", words, "LimitReached", {"limit": "run_timeout"})
            self._timer = self.event_loop.call_later(max(0.0, limit - self.driven), self.stop, end)

    def _forgive(self) -> bool:
        """Take back the cancel that `stop` gave to the task; whether that was the only one."""
        return self._task is not None and self._cancelling is not None and self._task.uncancel() <= self._cancelling

    async def _loop(self) -> AsyncGenerator[Item, None]:
        for event in await self._flush():  # the input is durable before anyone acts on it
            yield event
        while steps := next_steps(self.conversation):
            ready: list[Ready] = []
            match steps[0]:
                case EndRun(end):
                    self._decide(end)
                case CallModel():
                    async with aclosing(ask(self.world, self.conversation)) as replies:
                        async for said in replies:
                            if isinstance(said, list):
                                self._decide(*said)
                            else:
                                yield said
                    if self.conversation.status is Status.TOOLS:
                        continue  # the starts of the reply's calls join it in one append
                case CallTool() | Recover():
                    ready = await self._prepare(steps)
                case _:
                    assert_never(steps[0])
            for event in await self._flush():
                yield event
            if not ready:
                continue
            calls = self._begin(ready)
            while calls.under_way:
                ended, progress = await calls.take()
                self._decide(*[self._outcome(one) for one in ended])
                for note in progress:
                    yield note
                for event in await self._flush():
                    yield event
        while self._pending:  # late results that came with the last append
            for event in await self._flush():
                yield event

    async def _prepare(self, steps: Sequence[Step]) -> list[Ready]:
        """Look at the calls that may be made side by side; what is decided of them joins the next append."""
        if self._calls is None:
            self._calls = Calls(self.world, self.conversation.id, self._heard)
        ready: list[Ready] = []
        decided: list[Event] = []
        for step in steps:
            assert isinstance(step, CallTool | Recover)
            offer = self.world.team.member(step.agent).table.get(step.slot.call.name)
            alone = isinstance(offer, Tool) and offer.alone
            if alone and ready:
                break
            try:
                found = await prepare(self.world, self.conversation, step)
            except Exception as error:
                log.warning("the check of a call of %s raised %s", step.slot.call.name, type(error).__name__)
                log.debug("the check of a call of %s raised:", step.slot.call.name, exc_info=error)
                found = ToolFailed(step.slot.place, "raised", f"Not called: its check failed with {type(error).__name__}.")
            started = step.slot.started
            if isinstance(found, ToolFailed) and started is not None and started.effect != "read":
                words = unknown_words(step.slot.call.name, "the process ended while it ran, and it cannot be called again")
                found = ToolUnknown(found.place, words)  # an earlier drive began it: that it was not called is more than is known
            if isinstance(found, Ready):
                ready.append(found)
                found = found.start
            decided.append(found)
            if alone and ready:
                break
        self._decide(*decided)  # at once, so that a cancel in between leaves no call started that is not begun
        return ready

    def _begin(self, ready: list[Ready]) -> Calls:
        """Make calls side by side; what came of them is appended as it comes."""
        assert self._calls is not None
        self._calls.begin(ready)
        return self._calls

    def _outcome(self, ended: Ended) -> Outcome:
        match ended.error:
            case TimedOut():
                return given_up(ended.call, "timeout", str(ended.error))
            case NotBegun():
                return ToolFailed(ended.call.slot.place, "timeout", f"Not called: {ended.error}.")
            case error:
                return outcome(self.world, self.conversation, ended.call, ended.value, error, ended.seconds)

    def _decide(self, *events: Event) -> None:
        for event in events:
            before = self.conversation
            self.conversation = apply(before, event)
            self._pending.append(event)
            if self.world.trace is not None:
                self.world.trace.saw(event, before, self.conversation)

    async def _flush(self) -> Sequence[Event]:
        """Append what was decided; give it back if somebody is told."""
        events, self._pending = self._pending, []
        if events:
            seq = self.conversation.seq - len(events) + 1
            append = self._journal.append(self.conversation.id, seq, events, at=time.time())
            try:
                if self._journal.durable:
                    await _to_its_end(asyncio.ensure_future(append))
                else:
                    await append
            except Exception:
                self.lost = True
                raise
        if self._calls is not None:
            self._calls.catch_up()
        return events if self.world.told else ()

    async def _close(self, end: RunEnded) -> None:
        """End the run, whatever is cancelled meanwhile."""
        if self._ending is None:
            self._ending = self.event_loop.create_task(self._end(end))
        await _to_its_end(self._ending)

    async def _end(self, end: RunEnded) -> None:
        """Give every open call its outcome, and end the run."""
        calls, words = self._calls, end.words.rstrip(".") or "the run was ended"
        while calls is not None and calls.under_way and end is SUPERSEDED and not self.lost:  # they have their time (R21)
            self._decide(*[self._outcome(one) for one in (await calls.take())[0]])
            await self._flush()
        for ended in await calls.give_up() if calls is not None else ():
            if isinstance(ended.error, asyncio.CancelledError):
                self._decide(given_up(ended.call, "cancelled", words))
            else:
                self._decide(self._outcome(ended))
        if not self.lost:
            self._decide(*close_out(self.conversation, end, drive=self.conversation.drive))
        while self._pending and not self.lost:  # again, for late results that come meanwhile
            await self._flush()
        self._finish()

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
        if self.world.trace is not None:
            self.world.trace.close(self.conversation, self.error)
        if self.when_over is not None:
            self.when_over()

    def _heard(self, call: Ready, done: Done) -> None:
        """Write down a result that came after its call was given up."""
        self.tell(ToolLate(call.slot.place, call.offer.name, late_content(done.value, done.error)))

    def tell(self, event: ToolLate) -> None:
        """Take in a late result; where the drive is over, it is passed on."""
        if not self._begun:
            self.early.append(event)
        elif not self.over:
            self._decide(event)
        elif self.when_late is not None:
            self.when_late(event)


def close_out(conversation: Conversation, end: RunEnded, *, drive: int | None = None) -> list[Event]:
    """The events that end a run now: an outcome for each open call that nobody waits for, and the end; none if it is over.

    `drive`: the one that ends it, which knows that no call with a start of its own is still under way.
    """
    if conversation.status in (Status.NEW, Status.IDLE, Status.ENDED):
        return []
    turn = conversation.turn
    return [*(_left(slot, end, drive) for slot in (turn.slots if turn else ()) if slot.outcome is None), end]


def _left(slot: Slot, end: RunEnded, drive: int | None) -> Outcome:
    """The outcome of an open call that nobody waits for."""
    begun = slot.started is not None and (slot.drive != drive or slot.doubt is not None)
    if slot.started is not None and slot.started.effect != "read" and begun:
        return ToolUnknown(slot.place, unknown_words(slot.call.name, "the run was ended while it ran"))
    return ToolFailed(slot.place, "cancelled", f"Not called: {end.words or 'the run was ended.'}")


def _broken(error: Exception) -> RunEnded:
    if isinstance(error, SegueError):
        return failed("error", error)
    return RunEnded("failed", "error", f"A function of this program raised {type(error).__name__}.", "", {})


async def _to_its_end(task: "asyncio.Future[None]") -> None:
    """Wait for something to its end, whatever is cancelled meanwhile; the cancellation is passed on afterwards."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled

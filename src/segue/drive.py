"""The loop: ask what is left to do, do it, write down what happened, until nothing is left.
There is one. Streaming is this loop; whole answers consume it; sync stands behind a portal; resuming begins it again."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from typing import Any, assert_never

from segue.calls import Calls, Ended, TimedOut
from segue.core.conversation import CallModel, CallTool, Conversation, EndRun, Recover, Status, Step, apply, next_steps
from segue.core.events import DriveStarted, Event, Outcome, RunEnded, ToolFailed, ToolLate, ToolUnknown
from segue.core.turns import Slot
from segue.errors import SegueError
from segue.journal.base import Journal
from segue.model import Delta, Restarted
from segue.perform import Progress, Ready, World, ask, failed, late_content, outcome, prepare, unknown_words
from segue.pool import Done
from segue.tools.tool import Tool

log = logging.getLogger("segue")

Item = Event | Delta | Restarted | Progress
"""What a stream yields."""

CANCELLED = RunEnded("cancelled", "cancelled", "The run was cancelled.", "RunCancelled")


class Stopped(Exception):
    """The drive was told to stop while its consumer held an item."""


class Drive:
    """One driver's work on one conversation; `items` is the loop."""

    def __init__(self, conversation: Conversation, world: World, journal: Journal, *, driver: str = "", driven: float = 0.0) -> None:
        self.conversation = conversation
        self.error: Exception | None = None
        """The exception behind a failed run, where it happened in this drive."""
        self._world = world
        self._journal = journal
        self._driver = driver
        self.driven = driven
        """Seconds for which earlier drives have driven this run."""
        self._pending: list[Event] = []
        self._calls: Calls | None = None
        self._stop: RunEnded | None = None
        self._event_loop = asyncio.get_running_loop()
        self._task: asyncio.Task[Any] | None = None
        """The task that is inside the loop; `None` while the consumer holds an item."""

    def stop(self, end: RunEnded) -> None:
        """End the run as soon as may be. What was begun gets its outcome first."""
        if self._stop is None:
            self._stop = end
            if self._task is not None:
                self._task.cancel()

    def stop_soon(self, end: RunEnded) -> None:
        """`stop`, from any thread."""
        self._event_loop.call_soon_threadsafe(self.stop, end)

    async def items(self, *opening: Event) -> AsyncGenerator[Item, None]:
        """Append the opening events and drive until no step is left, yielding what happens.

        Closing the iterator, or cancelling the task that consumes it, ends the run, whole. A run that fails is ended, and
        `error` is set; nothing is raised but `CancelledError`, and what the journal raises.
        """
        self._decide(*opening, DriveStarted(self._driver, self._world.team.fingerprint))
        self._task = asyncio.current_task()
        timer = self._run_timer()
        try:
            async with aclosing(self._loop()) as items:
                async for item in items:
                    self._task = None
                    yield item
                    self._task = asyncio.current_task()
                    if self._stop is not None:
                        raise Stopped
        except GeneratorExit:
            await _shielded(self._end(CANCELLED))
            raise
        except (asyncio.CancelledError, Stopped):
            await _shielded(self._end(self._stop or CANCELLED))
            if self._stop is None:
                raise
            if self._task is not None and self._task.cancelling():
                self._task.uncancel()
        except Exception as error:  # noqa: BLE001 - users' functions raise what they like; the run ends, and the caller is told
            self.error = error
            await _shielded(self._end(_broken(error)))
        finally:
            self._task = None
            if timer is not None:
                timer.cancel()
            if self._calls is not None:
                self._calls.close()

    def _run_timer(self) -> asyncio.TimerHandle | None:
        limit = self.conversation.run.limits.run_timeout
        if limit is None:
            return None
        words = f"The run was driven for its limit of {limit:g} seconds; resume it to give it a new allowance."
        end = RunEnded("limited", "run_timeout", words, "LimitReached", {"limit": "run_timeout"})
        return self._event_loop.call_later(max(0.0, limit - self.driven), self.stop, end)

    async def _loop(self) -> AsyncGenerator[Item, None]:
        for event in await self._flush():  # the input is durable before anyone acts on it
            yield event
        while steps := next_steps(self.conversation):
            ready: list[Ready] = []
            match steps[0]:
                case EndRun(end):
                    self._decide(end)
                case CallModel():
                    async with aclosing(ask(self._world, self.conversation)) as replies:
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
            if ready:
                async for item in self._make(ready):
                    yield item

    async def _prepare(self, steps: Sequence[Step]) -> list[Ready]:
        """Look at the calls that may be made side by side; what is decided of them joins the next append."""
        ready: list[Ready] = []
        for step in steps:
            assert isinstance(step, CallTool | Recover)
            offer = self._world.team.member(step.agent).table.get(step.slot.call.name)
            alone = isinstance(offer, Tool) and offer.alone
            if alone and ready:
                break
            try:
                found = await prepare(self._world, self.conversation, step)
            except Exception as error:  # noqa: BLE001 - a check of the user's that fails is a no
                log.warning("the check of a call of %s raised %s", step.slot.call.name, type(error).__name__, exc_info=error)
                found = ToolFailed(step.slot.place, "raised", f"Not called: its check failed with {type(error).__name__}.")
            if isinstance(found, Ready):
                ready.append(found)
                found = found.start
            self._decide(found)
            if alone and ready:
                break
        return ready

    async def _make(self, ready: list[Ready]) -> AsyncGenerator[Item, None]:
        """Make calls side by side, and append what came of them as it comes."""
        if self._calls is None:
            self._calls = Calls(self._world, self.conversation.id, self._heard)
        calls = self._calls
        calls.begin(ready)
        while calls.under_way:
            ended, progress = await calls.take()
            self._decide(*[await self._outcome(one) for one in ended])
            for said in progress:
                yield said
            for event in await self._flush():
                yield event

    async def _outcome(self, ended: Ended) -> Outcome:
        if isinstance(ended.error, TimedOut):
            return _given_up(ended.call, "timeout", str(ended.error))
        return await outcome(self._world, self.conversation, ended.call, ended.value, ended.error, ended.seconds)

    def _decide(self, *events: Event) -> None:
        for event in events:
            self.conversation = apply(self.conversation, event)
            self._pending.append(event)

    async def _flush(self) -> list[Event]:
        """Append what was decided."""
        events, self._pending = self._pending, []
        if events:
            seq = self.conversation.seq - len(events) + 1
            append = self._journal.append(self.conversation.id, seq, events, at=time.time())
            await (_shielded(append) if self._journal.durable else append)
        return events

    async def _end(self, end: RunEnded) -> None:
        """Give every open call its outcome, and end the run."""
        if self._calls is not None:
            for ended in await self._calls.give_up():
                if isinstance(ended.error, asyncio.CancelledError):
                    self._decide(_given_up(ended.call, "cancelled", end.words or "the run was ended"))
                else:
                    self._decide(await self._outcome(ended))
        self._decide(*close_out(self.conversation, end))
        await self._flush()

    def _heard(self, call: Ready, done: Done) -> None:
        """Write down a result that came after its call was given up."""
        event = ToolLate(call.slot.place, call.offer.name, late_content(done.value, done.error))
        if self._task is not None or self._pending:
            self._decide(event)
        else:
            self._event_loop.create_task(self._append_late(event))

    async def _append_late(self, event: ToolLate) -> None:
        stored = await self._journal.read(self.conversation.id)
        await self._journal.append(self.conversation.id, len(stored) + 1, [event], at=time.time())


def _given_up(call: Ready, kind: Any, why: str) -> Outcome:
    """The outcome of a call that was begun and not waited for (R25)."""
    if call.start.effect == "read":
        return ToolFailed(call.slot.place, kind, f"Given up: {why}.")
    return ToolUnknown(call.slot.place, unknown_words(call.offer.name, why), ask=False)


def close_out(conversation: Conversation, end: RunEnded) -> list[Event]:
    """The events that end a run now: an outcome for each open call that nobody waits for, and the end; none if it is over."""
    if conversation.status in (Status.NEW, Status.IDLE, Status.ENDED):
        return []
    turn = conversation.turn
    return [*(_left(slot, end) for slot in (turn.slots if turn else ()) if slot.outcome is None), end]


def _left(slot: Slot, end: RunEnded) -> Outcome:
    """The outcome of an open call that this drive has not begun."""
    if slot.started is not None and slot.started.effect != "read":
        return ToolUnknown(slot.place, unknown_words(slot.call.name, "the run was ended while it ran"))
    return ToolFailed(slot.place, "cancelled", f"Not called: {end.words or 'the run was ended.'}")


def _broken(error: Exception) -> RunEnded:
    if isinstance(error, SegueError):
        return failed("error", error)
    return RunEnded("failed", "error", f"A function of this program raised {type(error).__name__}.", "", {})


async def _shielded(work: Coroutine[Any, Any, None]) -> None:
    """Do something to its end, whatever is cancelled meanwhile; the cancellation is passed on afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled

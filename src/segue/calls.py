"""Calls of tools that are under way: begun side by side, taken as they end, given up when they must be.
What a tool does after it was given up is still heard, and told as a late result."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from types import CoroutineType
from typing import Any, NamedTuple

from segue.agent import AgentTool
from segue.outcomes import NotBegun, TimedOut
from segue.pool import POOL, Done, Inbox, Job
from segue.tools.tool import Tool
from segue.world import Progress, Ready, World

GRACE = 5.0
"""Seconds that an async tool has to end after it was cancelled."""


class Ended(NamedTuple):
    """A call that has ended, or was given up: then `error` is `TimedOut`, `NotBegun` or `asyncio.CancelledError`."""

    call: Ready
    value: Any
    error: BaseException | None
    seconds: float


class Calls:
    """The calls of one drive."""

    def __init__(
        self, world: World, conversation: str, late: Callable[[Ready, Done], None], transact: Callable[[Ready, Callable[[], Any]], Any]
    ) -> None:
        self.under_way: dict[str, Ready] = {}
        self._world = world
        self._conversation = conversation
        self._late = late
        self._transact = transact
        self._loop = asyncio.get_running_loop()
        self._inbox = Inbox()
        self._given_up: dict[str, Ready] = {}
        self._tasks: dict[str, asyncio.Future[Any]] = {}
        self._jobs: dict[str, Job] = {}
        self._due: dict[str, float] = {}
        """When a call's time is over, on the loop's clock."""
        self._timer: asyncio.TimerHandle | None = None
        """One for all calls, and left standing when they end: quick calls need none of their own."""
        self._began: dict[str, float] = {}
        world.progress = self._inbox.put_from_thread if world.stream else None

    def begin(self, calls: Sequence[Ready]) -> None:
        """Make calls side by side. Their starts are written down already."""
        for call in calls:
            self.under_way[call.slot.place] = call
        for call in calls:
            if self._world.trace is None:
                self._begin(call)
            else:
                with self._world.trace.inside(call.slot.place):
                    self._begin(call)

    def _begin(self, call: Ready) -> None:
        place, offer = call.slot.place, call.offer
        self._began[place] = self._loop.time()
        if isinstance(offer, AgentTool):
            assert self._world.ask_agent is not None
            ask = self._world.ask_agent
            self._spawn(place, lambda: ask(offer.agent, f"{self._conversation}/{place}", *call.args))
        elif offer.is_async:
            self._spawn(place, lambda: _call_async(offer, call))
        elif call.commit is not None:
            self._jobs[place] = POOL.submit(self._inbox, place, self._transact, call, partial(_call_sync, offer, call))
        elif offer.thread:
            self._jobs[place] = POOL.submit(self._inbox, place, _call_sync, offer, call)
        else:
            self._inline(place, offer, call)
        if call.timeout is not None:
            self._watch(place, self._began[place] + call.timeout)

    def _watch(self, place: str, due: float) -> None:
        self._due[place] = due
        if self._timer is None or due < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        """Give up the calls whose time is over, and look again when the next one's is."""
        self._timer = None
        for place, due in list(self._due.items()):
            if due <= self._loop.time():
                del self._due[place]
                self._timed_out(place)
        if self._due:
            self._timer = self._loop.call_at(min(self._due.values()), self._look)

    def _spawn(self, place: str, work: Callable[[], Awaitable[Any]]) -> None:
        task = self._loop.create_task(_done(place, work))
        self._tasks[place] = task
        cancelled = Done(place, None, asyncio.CancelledError())
        task.add_done_callback(lambda ended: self._inbox.put(cancelled if ended.cancelled() else ended.result()))

    def _inline(self, place: str, offer: Tool, call: Ready) -> None:
        try:
            self._inbox.put(Done(place, _call_sync(offer, call), None))
        except KeyboardInterrupt:  # on this thread it is the program's, and not the tool's
            raise
        except BaseException as error:
            self._inbox.put(Done(place, None, error))  # whatever a tool raises is its outcome (R6)

    def _timed_out(self, place: str) -> None:
        call = self.under_way[place]
        if call.commit is not None and not call.commit.claim():
            return  # it is being committed, and its outcome with it
        if self._dropped(place):
            self._inbox.put(Done(place, None, NotBegun(f"no thread was free for it within {call.timeout:g} s")))
            return
        self._inbox.put(Done(place, None, TimedOut(f"it gave no result within {call.timeout:g} s")))
        task = self._tasks.get(place)
        if task is not None:
            task.cancel()

    def _dropped(self, place: str) -> bool:
        """Take a call out of the queue for threads; `False` if it was begun."""
        job = self._jobs.get(place)
        return job is not None and job.claim()

    async def take(self) -> tuple[list[Ended], list[Progress]]:
        """What has ended since the last time, and what was said of progress; waits for the first of either."""
        ended: list[Ended] = []
        progress: list[Progress] = []
        while not ended and not progress:
            for done in await self._inbox.take():
                if isinstance(done, Progress):
                    progress.append(done)
                elif found := self._ended(done):
                    ended.append(found)
        return ended, progress

    def _ended(self, done: Done) -> Ended | None:
        place = done.tag
        if place not in self.under_way:
            self._heard(done)
            return None
        if _is_awaitable(done.value):  # a sync tool made it; it is awaited like any other, within the same time
            value = done.value
            self._spawn(place, lambda: value)
            if type(value) is CoroutineType:  # a task that is cancelled before its first step leaves it unbegun
                self._tasks[place].add_done_callback(lambda _: value.close())
            return None
        call = self.under_way.pop(place)
        self._due.pop(place, None)
        if isinstance(done.error, TimedOut):
            self._given_up[place] = call
        else:
            self._tasks.pop(place, None)
            self._jobs.pop(place, None)
        return Ended(call, done.value, done.error, self._loop.time() - self._began.pop(place))

    def catch_up(self) -> None:
        """Hear what has come of calls that were given up, while nobody waited for any."""
        if self._given_up and not self.under_way:
            for done in self._inbox.taken():
                self._heard(done)

    def _heard(self, done: Done | Progress) -> None:
        """A call that was given up has ended after all; one that obeyed its cancellation has nothing to tell."""
        if isinstance(done, Progress):
            return
        call = self._given_up.pop(done.tag, None)
        self._tasks.pop(done.tag, None)
        if type(done.value) is CoroutineType:
            done.value.close()  # nobody is there to await it
        if call is not None and call.commit is None and not isinstance(done.error, asyncio.CancelledError):
            self._late(call, done)

    async def give_up(self) -> list[Ended]:
        """Cancel what can be cancelled and wait a little for it; threads go on, and are heard when they end."""
        ended: list[Ended] = []
        committing = [place for place, call in self.under_way.items() if call.commit is not None and not call.commit.claim()]
        while any(place in self.under_way for place in committing):
            ended += (await self.take())[0]
        tasks = [task for place, task in self._tasks.items() if place in self.under_way]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE)
            await asyncio.sleep(0)  # their callbacks run before what they brought is looked at
        self._inbox.close(lambda done: ended.append(found) if isinstance(done, Done) and (found := self._ended(done)) else None)
        for place, call in list(self.under_way.items()):
            error: BaseException = asyncio.CancelledError()
            if self._dropped(place):
                error = NotBegun("the run was ended before a thread was free for it")
            else:
                self._given_up[place] = call
                if begun := self._tasks.get(place):
                    begun.cancel()  # one that was begun while the others were waited for
            ended.append(Ended(call, None, error, self._loop.time() - self._began.pop(place)))
        self.under_way.clear()
        self.close()
        return ended

    def leave(self) -> None:
        """Wait for nothing more, and stop nothing but transactions: what the calls come to is heard when they end."""
        for place, call in self.under_way.items():
            if call.commit is None or not call.commit.claim():
                self._given_up[place] = call
        self.under_way.clear()
        self.close()

    def close(self) -> None:
        """The drive is over; what is heard from now on is late."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self.under_way or self._given_up:  # else nobody has anything to tell, and no cycle is left to the garbage collector
            self._inbox.close(self._heard)


async def _done(place: str, work: Callable[[], Awaitable[Any]]) -> Done:
    try:
        return Done(place, await work(), None)
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise
    except BaseException as error:
        return Done(place, None, error)


def _is_awaitable(value: Any) -> bool:
    try:
        return inspect.isawaitable(value)
    except Exception:  # a proxy that does not even tell its class; what cannot be told of it is seen later
        return False


def _call_sync(offer: Tool, call: Ready) -> Any:
    for left in range(offer.retries, -1, -1):
        try:
            return offer.function(*call.args, **call.kwargs)
        except Exception:
            if not left:
                raise
    raise AssertionError("unreachable: the last attempt returns or raises")


async def _call_async(offer: Tool, call: Ready) -> Any:
    for left in range(offer.retries, -1, -1):
        try:
            return await offer.function(*call.args, **call.kwargs)
        except Exception:
            if not left:
                raise
    raise AssertionError("unreachable: the last attempt returns or raises")

"""Threads for sync tools, shared by all runs: at most forty in a process that do not wait for a run of their own.
Threads are daemons: a tool that never returns does not keep the process alive. Outcomes go back to an event loop in
batches, with one wake-up for all that are ready."""

import asyncio
import contextlib
import contextvars
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

THREADS = 40
MOST = 400
"""How many threads there are at most, with those that wait for a run of their own."""


class Done(NamedTuple):
    """What came of a call: a value, or the exception in its place."""

    tag: Any
    value: Any
    error: BaseException | None


class Inbox:
    """Takes what threads and tasks have done or said, for one waiter on one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._done: deque[Any] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._called = False
        self._closed: Callable[[Any], None] | None = None

    def put(self, done: Any) -> None:
        """Add what was done, on the loop's own thread."""
        if self._closed is not None:
            self._closed(done)
            return
        self._done.append(done)
        self._wake()

    def put_from_thread(self, done: Any) -> None:
        """Add what was done, on any thread. After the loop is closed there is nobody to tell, and nothing happens."""
        self._done.append(done)
        if not self._called:
            self._called = True
            try:
                self._loop.call_soon_threadsafe(self._arrived)
            except RuntimeError:
                if not self._loop.is_closed():
                    raise

    def _arrived(self) -> None:
        self._called = False
        if self._closed is not None:
            self._drain(self._closed)
            return
        self._wake()

    def _drain(self, late: Callable[[Any], None]) -> None:
        while self._done:
            late(self._done.popleft())

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def take(self) -> list[Any]:
        """All that was done since the last time; waits for the first."""
        while not self._done:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self.taken()

    def taken(self) -> list[Any]:
        """All that was done since the last time, without waiting."""
        taken = []
        while self._done:
            taken.append(self._done.popleft())
        return taken

    def close(self, late: Callable[[Any], None]) -> None:
        """Nobody waits any more: what comes from now on is given to `late`."""
        self._closed = late
        self._drain(late)


class Once:
    """Something that can be had once: whoever claims it first has it, from whichever thread."""

    __slots__ = ("_unclaimed",)

    def __init__(self) -> None:
        self._unclaimed = [True]

    def claim(self) -> bool:
        """Whether it is now the caller's."""
        try:
            return self._unclaimed.pop()  # done in one go, so that two threads cannot both have it
        except IndexError:
            return False


class Job(Once):
    """A call that waits for a thread: a thread claims it, or the one who gives it up."""

    __slots__ = ("args", "context", "function", "inbox", "tag")

    def __init__(self, inbox: Inbox, tag: Any, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        super().__init__()
        self.inbox = inbox
        self.tag = tag
        self.function = function
        self.args = args
        self.context = contextvars.copy_context()


class Pool:
    """At most `THREADS` daemon threads that call functions."""

    def __init__(self, threads: int = THREADS) -> None:
        self._most = threads
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        """Threads without a job, less the jobs without a thread."""
        self._threads = 0
        self._pid = os.getpid()

    def submit(self, inbox: Inbox, tag: Any, function: Callable[..., Any], *args: Any) -> Job:
        """Call a function on a thread, in a copy of this context; what came of it goes into the inbox under `tag`."""
        if self._pid != os.getpid():  # threads do not survive a fork
            self.__init__(self._most)  # type: ignore[misc]
        job = Job(inbox, tag, function, args)
        with self._lock:
            self._idle -= 1
            self._grow()
        self._jobs.put(job)
        return job

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """While one of our threads waits for a run, another one has its place: that run may need a thread itself."""
        if not getattr(_HERE, "working", False) or self._pid != os.getpid():  # in a fork of a tool's, the lock may be held for ever
            yield
            return
        with self._lock:
            lends = self._most < MOST
            self._most += lends
            self._grow()
        try:
            yield
        finally:
            with self._lock:
                self._most -= lends

    def _grow(self) -> None:
        """Begin a thread, if a job has none and one more may be."""
        if self._idle < 0 and self._threads < self._most:
            self._threads += 1
            self._idle += 1
            threading.Thread(target=self._work, name=f"segue-tool-{self._threads}", daemon=True).start()

    def _work(self) -> None:
        _HERE.working = True
        over = False
        while not over:
            job = self._jobs.get()
            if job.claim():
                try:
                    done = Done(job.tag, job.context.run(job.function, *job.args), None)
                except BaseException as error:
                    done = Done(job.tag, None, error)
            else:
                done = None
            inbox = job.inbox
            del job
            with self._lock:
                over = self._threads > self._most  # its place was lent, and the one who had it is still there
                self._threads -= over
                self._idle += not over
            if done is not None:
                inbox.put_from_thread(done)
            del done, inbox  # an idle thread holds on to nothing of a run


_HERE = threading.local()
"""Whether this thread is one of a pool's."""

POOL = Pool()

"""The caller's own thread, lent to the run it waits for.
Swarm's functions are called where the program runs, as they always were: a SQLite connection, an input() or a page's
session that belongs to that thread keeps working. Nothing here knows agents or models."""

import asyncio
import concurrent.futures
import contextlib
import queue
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import Any, NamedTuple

from segue.portal import PORTAL


class _Job(NamedTuple):
    """A call that the run wants made on the caller's thread; `done` gets its value, or what it raised."""

    function: Callable[[], Any]
    done: "concurrent.futures.Future[tuple[Any, BaseException | None]]"

    def do(self) -> None:
        """Make the call, unless the run has given it up."""
        if not self.done.set_running_or_notify_cancel():
            return
        try:
            self.done.set_result((self.function(), None))
        except (Exception, SystemExit) as error:  # whatever a function raises is for the run to judge
            self.done.set_result((None, error))


class _Item(NamedTuple):
    value: Any


class _End(NamedTuple):
    error: BaseException | None


class Caller:
    """A thread that waits for a run, takes what the run yields, and makes the calls that it asks for."""

    def __init__(self) -> None:
        self._box: queue.SimpleQueue[_Job | _Item | _End] = queue.SimpleQueue()

    async def call(self, function: Callable[[], Any]) -> Any:
        """Call a function on the caller's thread; for the run, on its event loop. What it raises is raised here."""
        job = _Job(function, concurrent.futures.Future())
        self._box.put(job)
        value, error = await asyncio.wrap_future(job.done)
        if error is None:
            return value
        if isinstance(error, Exception) and not isinstance(error, StopIteration):
            raise error
        raise RuntimeError(f"{type(error).__name__}: {error}") from error  # these two would end a coroutine, or the event loop

    def iterate(self, items: Callable[[], AsyncGenerator[Any]]) -> Iterator[Any]:
        """Give what an asynchronous generator yields; leaving early cancels it."""

        async def begin() -> "asyncio.Task[None]":
            return asyncio.create_task(self._fill(items()))

        task = PORTAL.run(begin)
        try:
            while not isinstance(found := self._box.get(), _End):
                if isinstance(found, _Job):
                    found.do()
                else:
                    yield found.value
            if found.error is not None:
                raise found.error
        finally:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the program is ending, and the task with it
                task.get_loop().call_soon_threadsafe(task.cancel)

    async def _fill(self, items: AsyncGenerator[Any]) -> None:
        try:
            async with aclosing(items):
                async for item in items:
                    self._box.put(_Item(item))
        except Exception as error:  # raised again where somebody waits
            self._box.put(_End(error))
        except asyncio.CancelledError as error:
            self._box.put(_End(error))
            raise
        else:
            self._box.put(_End(None))

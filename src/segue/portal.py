"""An event loop on a thread of its own, for callers without one: sync code is async code behind this door.
It therefore works inside a running loop too (a notebook), as long as that loop is another one."""

import asyncio
import atexit
import concurrent.futures
import contextvars
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from segue.errors import UsageError
from segue.pool import POOL

T = TypeVar("T")


class Portal:
    """A thread that runs an event loop, begun on first use and again after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do something on the portal's loop and wait for it, in a copy of this context. Ctrl-C cancels it, and is passed on."""
        loop = self._running()
        if threading.current_thread() is self._thread:
            raise UsageError("run_sync was called on the thread that runs it, and would wait for itself: use `await run(...)` there.")
        context = contextvars.copy_context()
        done: concurrent.futures.Future[T] = concurrent.futures.Future()
        begun: list[asyncio.Task[T]] = []
        try:
            loop.call_soon_threadsafe(_begin, loop, work, context, done, begun)
            with POOL.lent():
                return done.result()
        except KeyboardInterrupt:
            if not done.done():  # it came to this thread, and not out of the work
                loop.call_soon_threadsafe(lambda: [task.cancel() for task in begun])
                concurrent.futures.wait([done])
            raise

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._pid != os.getpid():
            self.__init__()  # type: ignore[misc]  # threads do not survive a fork, and the lock may have been held
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name="segue-portal", daemon=True)
                self._thread.start()
            return self._loop

    def close(self) -> None:
        """End the loop and what lives on it; the next use begins a new one."""
        if self._pid != os.getpid():
            return
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(loop.shutdown_asyncgens(), loop).result(timeout=5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=5)
        if not thread.is_alive():
            loop.close()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    while True:
        try:
            loop.run_forever()
            return
        except (KeyboardInterrupt, SystemExit):  # raised by some work: its caller is told, and the others go on
            continue


def _begin(
    loop: asyncio.AbstractEventLoop,
    work: Callable[[], Coroutine[Any, Any, T]],
    context: contextvars.Context,
    done: "concurrent.futures.Future[T]",
    begun: "list[asyncio.Task[T]]",
) -> None:
    try:
        coroutine = work()
    except Exception as error:  # an option that there is not: whoever waits must hear of it
        done.set_exception(error)
        return
    task = loop.create_task(coroutine, context=context)
    begun.append(task)
    task.add_done_callback(lambda ended: _pass_on(ended, done))


def _pass_on(task: "asyncio.Task[T]", done: "concurrent.futures.Future[T]") -> None:
    if task.cancelled():
        done.set_exception(asyncio.CancelledError())
    elif error := task.exception():
        done.set_exception(error)
    else:
        done.set_result(task.result())


PORTAL = Portal()
atexit.register(PORTAL.close)

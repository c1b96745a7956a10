"""The locks by which others see that a driver lives: session-level advisory locks on one connection for all drivers of a process.
The server lets go of them when the process dies; a thread of their own takes them again when the connection is lost."""

import contextlib
import os
import selectors
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future

import psycopg
from psycopg.rows import TupleRow

from segue.errors import SegueError
from segue.journal.postgres_link import passing, pauses, refused
from segue.journal.postgres_sql import number

_AGAIN = 0.1
"""Seconds until a lock is tried again that somebody else has: a look of another process, or our own lost connection."""

_WATCHED = b"""
    SELECT set_config('tcp_keepalives_idle', '15', false), set_config('tcp_keepalives_interval', '5', false),
           set_config('tcp_keepalives_count', '4', false), set_config('idle_session_timeout', '0', false)
"""
"""A machine that went away without a word loses its locks within a minute; a quiet connection is not cut off."""


def lock_of(schema: str, driver: str) -> int:
    """The number of a driver's lock."""
    return number(f"segue driver {schema} {driver}")


class Holds:
    """What is held, and the thread that holds it while there is anything to hold."""

    def __init__(self, connect: Callable[[], psycopg.Connection[TupleRow]], schema: str) -> None:
        self._connect = connect
        self._schema = schema
        self._forget()

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._wanted: set[str] = set()
        self._asked: list[tuple[str, Future[None]]] = []
        self._ended: Future[None] | None = None
        """Done when the thread has ended; there while it lives."""
        self._wake: socket.socket | None = None

    def want(self, driver: str, held: bool) -> "Future[None]":
        """Hold a driver's lock, or let go of it; done when that is so."""
        if self._pid != os.getpid():  # threads do not survive a fork, and the locks are the parent's
            self._forget()
        done: Future[None] = Future()
        with self._lock:
            (self._wanted.add if held else self._wanted.discard)(driver)
            self._asked.append((driver, done))
            if self._ended is None and self._wanted:
                self._wake, woken = socket.socketpair()
                self._wake.setblocking(False)
                self._ended = Future()
                threading.Thread(target=self._serve, args=(woken,), name="segue-holds", daemon=True).start()
            alone = self._ended is None
            self._look()
        if alone:
            self._answer(set())
        return done

    def close(self) -> "Future[None]":
        """Let go of everything; done when the connection is closed."""
        with self._lock:
            ended = self._ended if self._pid == os.getpid() else None
            if ended is not None:
                self._wanted.clear()
                self._look()
                return ended
        none: Future[None] = Future()
        none.set_result(None)
        return none

    def _look(self) -> None:
        if self._wake is not None:
            with contextlib.suppress(BlockingIOError):  # it has been woken often enough
                self._wake.send(b"w")

    # --- on the thread

    def _serve(self, woken: socket.socket) -> None:
        with woken, selectors.DefaultSelector() as selector:
            selector.register(woken, selectors.EVENT_READ)
            for pause in pauses():
                if self._over():
                    return
                try:
                    with self._connect() as link:
                        link.execute(_WATCHED)
                        self._tend(link, woken)
                    continue
                except Exception as error:  # whatever it is, who asked is told; the thread goes on
                    if not passing(error):
                        self._fail(refused(error))
                self._answer(set())
                if selector.select(pause):
                    woken.recv(4096)

    def _over(self) -> bool:
        """Whether there is nothing to hold any more: then the thread is no more either."""
        with self._lock:
            if self._wanted:
                return False
            wake, ended, self._wake, self._ended = self._wake, self._ended, None, None
        assert wake is not None
        assert ended is not None
        wake.close()
        self._answer(set())
        ended.set_result(None)
        return True

    def _tend(self, link: psycopg.Connection[TupleRow], woken: socket.socket) -> None:
        """Hold what is wanted until nothing is. Raises when the connection is lost."""
        held: set[str] = set()
        with selectors.DefaultSelector() as selector:
            selector.register(woken, selectors.EVENT_READ)
            selector.register(link, selectors.EVENT_READ)
            while True:
                with self._lock:
                    wanted = set(self._wanted)
                for driver in held - wanted:
                    link.execute("SELECT pg_advisory_unlock(%s)", [lock_of(self._schema, driver)])
                    held.discard(driver)
                for driver in wanted - held:
                    row = link.execute("SELECT pg_try_advisory_lock(%s)", [lock_of(self._schema, driver)]).fetchone()
                    if row is not None and row[0]:
                        held.add(driver)
                self._answer(held)
                if not wanted:
                    return
                ready = selector.select(_AGAIN if wanted - held else None)
                if any(key.fileobj is woken for key, _ in ready):
                    woken.recv(4096)
                link.execute("SELECT")  # the connection has something to say: usually, that it is lost

    def _answer(self, held: set[str]) -> None:
        """Tell those who asked for what is so now."""
        with self._lock:
            asked, self._asked = self._asked, []
            for driver, done in asked:
                if (driver in held) != (driver in self._wanted):
                    self._asked.append((driver, done))
                elif done.set_running_or_notify_cancel():
                    done.set_result(None)

    def _fail(self, error: SegueError) -> None:
        """Tell those who wait for a lock that they will not have it."""
        with self._lock:
            failed, self._asked = self._asked, []
            for driver, done in failed:
                self._wanted.discard(driver)
                if done.set_running_or_notify_cancel():
                    done.set_exception(error)

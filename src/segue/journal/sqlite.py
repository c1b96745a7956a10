"""The journal in one file, for one machine: the embedded default. Several processes may use the file at once.
Here is its face; the SQL is in `sqlite_rows`, the threads are in `writer`."""

import asyncio
import atexit
import os
import sqlite3
import weakref
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TypeVar

from segue.core.events import Event
from segue.errors import UsageError
from segue.journal.base import Line, Raw, Stored, Summary
from segue.journal.locks import Locks
from segue.journal.sqlite_open import PAUSE, Database
from segue.journal.sqlite_rows import Erase, appending, checked, conversation_of, decoded, list_lines, read_events
from segue.journal.sqlite_transact import transact
from segue.journal.writer import Reader, Waiting, Writer, give

T = TypeVar("T")

PATIENCE = 60.0
LAST_PLACE = 2**63 - 1


class SqliteJournal:
    """Keeps events in an SQLite file, which is made on first use; a file that has tables of yours may hold the journal's too.

    An event is on the disk when `append` returns. `patience`: seconds to wait for another program that keeps the file
    locked. Safe to use from several event loops and threads, and after a fork. It opens itself on first use, and again
    when it is used after `aclose`. Not for network file systems.
    """

    durable = True

    def __init__(self, path: str | os.PathLike[str] = "segue.db", *, patience: float = PATIENCE) -> None:
        name = os.fspath(path)
        if not isinstance(name, str) or not name or name == ":memory:" or "\0" in name:
            raise UsageError(f"{path!r} is no path of a file: SqliteJournal keeps a file, MemoryJournal keeps none.")
        self.path = os.path.realpath(name)
        self._patience = patience
        self._locks = Locks(self.path)
        self._waiting = Waiting()
        self._reader = Reader(Database(self.path, patience), self._waiting)
        self._writer = Writer(Database(self.path, patience), self._locks, self._waiting)
        _OPEN.add(self)
        for end in (self._reader.stop, self._writer.stop, self._locks.close):
            weakref.finalize(self, end).atexit = False

    async def append(self, conversation: str, seq: int, events: Sequence[Event], *, at: float, summary: Summary | None = None) -> None:
        """Write events; see `Journal.append`. Without a `summary` the list tells what it told, with the new time."""
        await self._writer.ask(appending(conversation, seq, events, at, summary))

    async def read(self, conversation: str, *, after: int = 0) -> list[Stored]:
        """The events after a place; see `Journal.read`."""
        after = min(after, LAST_PLACE)
        return await self._read(lambda db: decoded(conversation, after, read_events(db, conversation, after)))

    async def raw(self, conversation: str, *, after: int = 0) -> list[Raw]:
        """The events after a place as they are stored; see `Journal.raw`."""
        after = min(after, LAST_PLACE)
        return await self._read(lambda db: checked(conversation, after, read_events(db, conversation, after)))

    async def wait(self, conversation: str, *, after: int, timeout: float) -> None:
        """Return when there may be events after a place; see `Journal.wait`."""
        future = self._waiting.add(conversation, after)
        try:
            async with asyncio.timeout(timeout):
                await self._reader.ask(partial(self._reader.look_at, conversation))
                await future
        except TimeoutError:
            return
        finally:
            self._waiting.remove(conversation, future)

    async def keyed(self, key: str) -> str | None:
        """The conversation that was given an input with this key."""
        return await self._read(lambda db: conversation_of(db, key))

    async def conversations(
        self,
        *,
        status: Collection[str] = (),
        agent: str | None = None,
        before: float | None = None,
        since: float | None = None,
        following: Line | None = None,
        limit: int = 100,
    ) -> list[Line]:
        """Conversations, the last updated first; see `Journal.conversations`."""
        return await self._read(lambda db: list_lines(db, status, agent, before, since, following, limit))

    async def erase(self, conversation: str) -> bool:
        """Delete everything that is stored of a conversation; when it returns, the file and its log hold no byte of it.

        Raises `JournalError` if somebody keeps reading an earlier state of the log: it is deleted then, and another
        `erase` removes the traces.
        """
        return bool(await self._writer.ask(Erase(conversation)))

    async def hold(self, driver: str) -> None:
        """A driver lives; see `Journal.hold`. Raises `JournalError` if somebody else holds it."""
        await self._reader.ask(partial(self._locks.hold, driver))

    async def let_go(self, driver: str) -> None:
        """The driver drives no more."""
        await self._reader.ask(partial(self._locks.let_go, driver))

    async def alive(self, driver: str) -> bool:
        """Whether a process holds a driver; see `Journal.alive`."""
        return bool(await self._reader.ask(partial(self._locks.alive, driver)))

    def transact(self, conversation: str, fence: int, work: Callable[[sqlite3.Connection], Event], *, at: float) -> Stored:
        """Give `work` a connection in a transaction, and commit what it did with the event; see `Transactional`.

        Raises `UsageError`, with everything rolled back, if `work` ends the transaction itself or writes to the journal's
        own tables.
        """
        stored = transact(self.path, conversation, fence, work, at)
        give(self._waiting.reached(conversation, stored.seq))
        return stored

    async def aclose(self) -> None:
        """Finish what is being written; let go of the file, the drivers and the threads."""
        for thread in (self._reader, self._writer):  # in turn: of two that close at once, SQLite takes neither for the last
            ending = thread.stop()
            while ending is not None and ending.is_alive():
                await asyncio.sleep(PAUSE)
        self._locks.close()

    def close(self) -> None:
        """`aclose` for code without an event loop."""
        for thread in (self._reader, self._writer):
            ending = thread.stop()
            if ending is not None:
                ending.join()
        self._locks.close()

    async def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        answer: T = await self._reader.ask(partial(self._reader.read, query))
        return answer


_OPEN: weakref.WeakSet[SqliteJournal] = weakref.WeakSet()


def _at_exit() -> None:
    """Finish what is being written before the process ends, and let go of drivers."""
    for journal in list(_OPEN):
        journal.close()


atexit.register(_at_exit)

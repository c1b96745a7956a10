"""The threads of an SQLite journal, one that writes and one that reads, and how they answer event loops.
What waits to be written is written in one transaction, with one wait for the disk."""

import asyncio
import copy
import queue
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

from segue.errors import JournalConflict, JournalError, KeyReused, SegueError
from segue.journal.locks import Locks
from segue.journal.sqlite_forks import Forked, tell_of_forks
from segue.journal.sqlite_open import Database, checkpoint, patiently
from segue.journal.sqlite_rows import Append, Erase, last_place, rewrite

T = TypeVar("T")

GROUP = 200
"""How many appends are written in one transaction at most."""
LOOK = 0.05
"""Seconds between two looks at what other processes have written, while somebody waits for it."""
GATHER = 0.02
"""Seconds for which one who erases waits for others who do: the traces are removed once for all of them."""
LOG_PATIENCE = 10.0
"""Seconds for which the removal of the last traces waits for readers."""

Future = asyncio.Future[Any]
Write = Append | Erase


class Asked(NamedTuple):
    """A job, and who waits for what comes of it."""

    job: Any
    future: Future


Jobs = queue.SimpleQueue[Asked | None]
"""What a thread is to do; `None` after the last."""


class Answer(NamedTuple):
    """What came of a job."""

    future: Future
    value: Any = None
    error: Exception | None = None


def give(answers: Iterable[Answer]) -> None:
    """Hand out answers: one call into each event loop. A loop that is closed has nobody who waits."""
    loops: dict[asyncio.AbstractEventLoop, list[Answer]] = {}
    for answer in answers:
        loops.setdefault(answer.future.get_loop(), []).append(answer)
    for loop, group in loops.items():
        try:
            loop.call_soon_threadsafe(_resolve, group)
        except RuntimeError:
            if not loop.is_closed():
                raise


def _resolve(answers: list[Answer]) -> None:
    for future, value, error in answers:
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)


class Waiting(Forked):
    """Who waits for events of which conversation, after which place. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._futures: dict[str, dict[Future, int]] = {}
        tell_of_forks(self)

    def __bool__(self) -> bool:
        return bool(self._futures)

    def add(self, conversation: str, after: int) -> Future:
        """Begin to wait on this event loop."""
        future = asyncio.get_running_loop().create_future()
        with self._lock:
            self._futures.setdefault(conversation, {})[future] = after
        return future

    def remove(self, conversation: str, future: Future) -> None:
        """Wait no more."""
        with self._lock:
            waiting = self._futures.get(conversation, {})
            waiting.pop(future, None)
            if not waiting:
                self._futures.pop(conversation, None)

    def conversations(self) -> list[str]:
        """What is waited for."""
        with self._lock:
            return list(self._futures)

    def reached(self, conversation: str, seq: float) -> list[Answer]:
        """The answers for those who wait for a place up to this one."""
        if conversation not in self._futures:
            return []
        with self._lock:
            return [Answer(future) for future, after in self._futures.get(conversation, {}).items() if after < seq]

    def in_child(self) -> None:
        """Nobody waits."""
        self._lock, self._futures = threading.Lock(), {}


class JobThread(Forked, ABC):
    """A thread that does what it is asked in turn, begun on first use and again after `close` or a fork."""

    def __init__(self, name: str, database: Database) -> None:
        self._name = name
        self._database = database
        self._lock = threading.Lock()
        self._jobs: Jobs = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        tell_of_forks(self)

    def ask(self, job: Any) -> Future:
        """Give the thread a job; what comes of it is the future's result."""
        future = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._thread is None:
                self._jobs = queue.SimpleQueue()
                self._thread = threading.Thread(target=self._run, args=(self._jobs,), name=self._name, daemon=True)
                self._thread.start()
            self._jobs.put(Asked(job, future))
        return future

    def stop(self) -> threading.Thread | None:
        """Let the thread end when it has done what it was asked."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._jobs.put(None)
        return thread

    def _run(self, jobs: Jobs) -> None:
        try:
            self._serve(jobs)
        finally:
            self._database.close()

    @abstractmethod
    def _serve(self, jobs: Jobs) -> None:
        """Do jobs until the last."""

    def in_child(self) -> None:
        """The thread is not here."""
        self._lock, self._thread = threading.Lock(), None


class Reader(JobThread):
    """Does what is not to be done on an event loop, and looks for what other processes have written while somebody waits."""

    def __init__(self, database: Database, waiting: Waiting) -> None:
        super().__init__("segue-journal-read", database)
        self._waiting = waiting
        self._looked = 0.0
        self._seen: tuple[sqlite3.Connection | None, int] = (None, 0)

    def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Ask the database, on this thread."""
        with self._database as db:
            return patiently(lambda: query(db), self._database.patience)

    def look_at(self, conversation: str) -> None:
        """Wake those for whose conversation there is something already, on this thread."""
        seq = self.read(lambda db: last_place(db, conversation))
        give(self._waiting.reached(conversation, seq or 0))

    def _serve(self, jobs: Jobs) -> None:
        while True:
            try:
                asked = jobs.get(timeout=LOOK if self._waiting else None)
                if asked is None:
                    return
                give([_done(asked)])
                del asked  # an idle thread holds on to nothing
            except queue.Empty:
                pass
            if self._waiting and time.monotonic() >= self._looked + LOOK:
                self._look()

    def _look(self) -> None:
        self._looked = time.monotonic()
        try:
            give(self.read(self._news))
        except SegueError:  # who waits shall read, and meet it
            give([answer for name in self._waiting.conversations() for answer in self._waiting.reached(name, float("inf"))])

    def _news(self, db: sqlite3.Connection) -> list[Answer]:
        """The answers for those for whom something was written since the last look."""
        seen = db, db.execute("pragma data_version").fetchone()[0]
        if seen == self._seen:
            return []
        self._seen = seen
        return [answer for name in self._waiting.conversations() for answer in self._waiting.reached(name, last_place(db, name) or 0)]


def _done(asked: Asked) -> Answer:
    try:
        return Answer(asked.future, asked.job())
    except Exception as error:
        return Answer(asked.future, error=error)


class Writer(JobThread):
    """Writes what is appended to any conversation: all that waits in one transaction."""

    def __init__(self, database: Database, locks: Locks, waiting: Waiting) -> None:
        super().__init__("segue-journal-write", database)
        self._locks = locks
        self._waiting = waiting
        self._erased: list[Answer] = []
        """What was deleted, but may have left traces in the file."""

    def _serve(self, jobs: Jobs) -> None:
        while True:
            try:
                asked = jobs.get(timeout=GATHER if self._erased else None)
            except queue.Empty:
                give(self._scrubbed())
                continue
            if asked is None:
                break
            erased = len(self._erased)
            give(self._write([asked], jobs))
            if self._erased and len(self._erased) == erased:
                give(self._scrubbed())
            del asked  # an idle thread holds on to nothing
        if self._erased:
            give(self._scrubbed())

    def _write(self, group: list[Asked], jobs: Jobs | None) -> list[Answer]:
        """Write a group, and what has come meanwhile, in one transaction. Where that fails, each one's fault shall be its own."""
        stage = "begin"
        try:
            with self._database as db:
                begin(db, self._locks, self._database.patience)
                stage = "write"
                if jobs is not None:
                    group += _come(jobs)
                answers = [_written(db, asked) for asked in group]
                stage = "commit"
                db.execute("commit")
        except Exception as error:
            if stage == "write" and len(group) > 1:
                return [answer for asked in group for answer in self._write([asked], None)]
            return [Answer(asked.future, error=_again(error)) for asked in group]
        ready: list[Answer] = []
        for asked, answer in zip(group, answers, strict=True):
            if isinstance(asked.job, Erase):
                self._erased.append(answer)
                continue
            ready.append(answer)
            if answer.error is None:
                ready += self._waiting.reached(asked.job.conversation, asked.job.seq + len(asked.job.rows) - 1)
        return ready

    def _scrubbed(self) -> list[Answer]:
        """The answers for those who have erased, when the traces are gone, too."""
        erased, self._erased = self._erased, []
        try:
            with self._database as db:
                begin(db, self._locks, self._database.patience)
                rewrite(db)
                db.execute("commit")
                with self._locks.turn():
                    emptied = checkpoint(db, "truncate", LOG_PATIENCE)
            if not emptied:
                raise JournalError(
                    f"What was erased is still in the log of {self._database.path}, which somebody reads: erase it once more."
                )
        except Exception as error:
            return [Answer(answer.future, error=_again(error)) for answer in erased]
        return erased

    def in_child(self) -> None:
        """The thread is not here, nor are those for whom it erased."""
        super().in_child()
        self._erased = []


def begin(db: sqlite3.Connection, locks: Locks, patience: float) -> None:
    """Begin a transaction that writes, when it is this process's turn."""
    with locks.turn():
        patiently(lambda: db.execute("begin immediate"), patience)


def _come(jobs: Jobs) -> list[Asked]:
    """What has come meanwhile; the end of the jobs stays where it is."""
    come: list[Asked] = []
    while len(come) < GROUP:
        try:
            asked = jobs.get_nowait()
        except queue.Empty:
            break
        if asked is None:
            jobs.put(None)
            break
        come.append(asked)
    return come


def _written(db: sqlite3.Connection, asked: Asked) -> Answer:
    try:
        return Answer(asked.future, asked.job.write(db))
    except (JournalConflict, KeyReused) as error:  # nothing of it is written
        return Answer(asked.future, error=error)


def _again(error: Exception) -> Exception:
    """An error to be raised in one more place."""
    again = copy.copy(error)
    again.__cause__ = error.__cause__
    return again

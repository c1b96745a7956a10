"""A journal's SQLite file: opened, checked, founded, and its errors told in Segue's words.
What SQLite raises is translated here and nowhere else."""

import sqlite3
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from segue.errors import JournalDamaged, JournalError, JournalFull, JournalNewer, SegueError, UsageError
from segue.journal.sqlite_forks import OPENING, Forked, tell_of_forks

T = TypeVar("T")

FLOOR = (3, 40)
"""The oldest SQLite that will do (Debian 12)."""
APPLICATION = 0x53656775
"""Marks the file as a journal: "Segu"."""
SCHEMA = 1
RAISED = (sqlite3.Error, UnicodeError)
"""What the module `sqlite3` raises: also for texts that are none, in rows and in its own messages."""
PAUSE = 0.0003
"""Seconds between two looks at a lock that another process holds, at first."""
LONGEST_PAUSE = 0.002
FORK_PATIENCE = 5.0
"""Seconds for which a fork waits for the end of what is being written."""

# A rowid table, as replies are often longer than a quarter of a page: measured, the file is a third smaller than without.
TABLES = """
create table event (
    conversation text not null, seq integer not null, v integer not null, at real not null, kind text not null, data text not null,
    primary key (conversation, seq)
) strict;
create table conversation (
    conversation text not null primary key, seq integer not null, created real not null, updated real not null,
    status text not null, entry text not null, agent text not null, driver text not null
) strict, without rowid;
create index conversation_status on conversation (status, updated desc, conversation);
create table input_key (key text not null primary key, conversation text not null) strict, without rowid;
create index input_key_conversation on input_key (conversation);
"""


class Database(Forked):
    """A connection for one thread at a time: `with database as db`. It is opened on first use, and again after a fork or an error."""

    def __init__(self, path: str, patience: float, **options: Any) -> None:
        self.path = path
        self.patience = patience
        self._options = options
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._used = False
        self._held = False
        tell_of_forks(self)

    def __enter__(self) -> sqlite3.Connection:
        self._lock.acquire()
        try:
            if self._db is None:
                with OPENING:
                    self._db = connect(self.path, self.patience, **self._options)
            if self.path in _DOUBTFUL:
                self._write_anew(self._db)
        except BaseException:
            self._lock.release()
            raise
        self._used = True
        return self._db

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._used = False
        try:
            if error is None:
                return
            self.close()  # and with that a transaction that is open is rolled back
            if isinstance(error, RAISED):
                if _code(error) == sqlite3.SQLITE_IOERR:
                    _DOUBTFUL.add(self.path)
                raise translated(error, self.path) from error
        finally:
            self._lock.release()

    def _write_anew(self, db: sqlite3.Connection) -> None:
        """Copy the log into the file and wait for the disk: a wait that has failed says nothing when it is repeated."""
        try:
            copied = checkpoint(db, "full", self.patience)
        except sqlite3.Error as error:
            self.close()
            raise translated(error, self.path) from error
        if not copied:
            raise JournalError(f"The disk of the journal {self.path} has failed, and others keep its log in use: try again when they end.")
        _DOUBTFUL.discard(self.path)

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        with self._lock:
            if self._db is not None:
                try:
                    self._db.close()
                finally:
                    self._db = None

    def before_fork(self) -> None:
        """Close the connection; what is being written with it is waited for."""
        deadline = time.monotonic() + FORK_PATIENCE
        while not self._held and self._db is not None and time.monotonic() < deadline:
            self._held = self._lock.acquire(timeout=0.05)
        if self._held and not self._used:
            self.close()

    def in_parent(self) -> None:
        """Let others go on."""
        if self._held:
            self._held = False
            self._lock.release()

    def in_child(self) -> None:
        """Begin anew, without what could not be closed: even to close it here would be wrong."""
        if self._db is not None:
            _CUT[self.path] = self._db
        self._lock, self._db, self._used, self._held = threading.RLock(), None, False, False


_DOUBTFUL: set[str] = set()
"""Files whose disk has failed: what can be read from the log may never have reached it."""

_CUT: dict[str, sqlite3.Connection] = {}
"""Files that this process cannot use any more, as it was forked in the middle of a transaction on them."""


def connect(path: str, patience: float, **options: Any) -> sqlite3.Connection:
    """Open a journal's file, founding the journal if there is none. Raises a `JournalError` for a file that is something else."""
    if sqlite3.sqlite_version_info < FLOOR:
        raise JournalError(
            f"This Python has SQLite {sqlite3.sqlite_version}, and a journal needs 3.40 or newer: use a newer build of Python, "
            "or a journal on PostgreSQL."
        )
    if path in _CUT:
        raise JournalError(
            f"This process was forked while a transaction was open on {path}, and cannot use it: fork before that, or start "
            'processes with "spawn".'
        )
    try:
        db: sqlite3.Connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False, **options)
    except sqlite3.Error as error:
        raise translated(error, path) from error
    try:
        patiently(lambda: _prepare(db, path), patience)
    except BaseException as error:
        db.close()
        if isinstance(error, RAISED):
            raise translated(error, path) from error
        raise
    return db


def _prepare(db: sqlite3.Connection, path: str) -> None:
    founded = _is_ours(db, path)
    (mode,) = db.execute("pragma journal_mode=wal").fetchone()
    if mode != "wal":
        raise JournalError(f"The place of {path} cannot have a write-ahead log: put the journal on a local disk.")
    db.execute("pragma synchronous=full")
    db.execute("pragma fullfsync=on")  # macOS: a plain fsync does not reach the disk
    db.execute("pragma secure_delete=on")
    if not founded:
        _found(db, path)


def _is_ours(db: sqlite3.Connection, path: str) -> bool:
    """Whether there is a journal in the file; `False` if one may be founded in it."""
    # in this order: who founds a journal in between must not be taken for another program
    (schema,), (application,) = (db.execute(f"pragma {name}").fetchone() for name in ("user_version", "application_id"))
    if application == 0 and schema == 0:
        return False
    if application != APPLICATION:
        raise JournalDamaged(f"The database {path} belongs to another program: give the journal a file of its own.")
    if schema > SCHEMA:
        raise JournalNewer(f"The journal {path} was written by a newer version of Segue (schema {schema}): use that one.")
    return True


def _found(db: sqlite3.Connection, path: str) -> None:
    db.execute("begin immediate")
    try:
        if not _is_ours(db, path):  # or else another process was quicker
            for statement in TABLES.split(";")[:-1]:
                db.execute(statement)
            db.execute(f"pragma application_id={APPLICATION}")
            db.execute(f"pragma user_version={SCHEMA}")
        db.execute("commit")
    finally:
        if db.in_transaction:
            db.execute("rollback")


def patiently(action: Callable[[], T], seconds: float) -> T:
    """Do something again and again while another connection holds the lock that it needs, for so many seconds."""
    deadline, pause = time.monotonic() + seconds, PAUSE
    while True:
        try:
            return action()
        except sqlite3.OperationalError as error:
            if _code(error) not in _WAITED_FOR or time.monotonic() >= deadline:
                raise
        time.sleep(pause)
        pause = min(pause * 1.05, LONGEST_PAUSE)


def checkpoint(db: sqlite3.Connection, mode: str, seconds: float) -> bool:
    """Copy the log into the file; whether all of it was copied, or others have kept it in use for so many seconds."""
    deadline = time.monotonic() + seconds
    while db.execute(f"pragma wal_checkpoint({mode})").fetchone()[0]:
        if time.monotonic() >= deadline:
            return False
        time.sleep(LONGEST_PAUSE)
    return True


_WAITED_FOR = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PROTOCOL)

_WORDS: dict[int, tuple[type[JournalError], str]] = {
    sqlite3.SQLITE_FULL: (JournalFull, "There is no room left for the journal {path}: make room on its disk, and try again."),
    sqlite3.SQLITE_IOERR: (
        JournalError,
        "The disk of the journal {path} refused ({name}): see whether it is full, over its quota or broken, and try again.",
    ),
    sqlite3.SQLITE_NOTADB: (
        JournalDamaged,
        "The file {path} is not an SQLite database: give another path, or put back the journal from a copy.",
    ),
    sqlite3.SQLITE_CORRUPT: (JournalDamaged, "The journal {path} is damaged ({error}): put it back from a copy."),
    sqlite3.SQLITE_READONLY: (JournalError, "The journal {path} may not be written: see to the rights on the file and its folder."),
    sqlite3.SQLITE_CANTOPEN: (JournalError, "The journal {path} cannot be opened: see whether its folder exists and may be written."),
    sqlite3.SQLITE_PERM: (JournalError, "The journal {path} cannot be opened: see to the rights on the file and its folder."),
    sqlite3.SQLITE_BUSY: (JournalError, "Another program keeps the journal {path} locked: let it end its transaction, and try again."),
    sqlite3.SQLITE_CONSTRAINT: (JournalDamaged, "The journal {path} is at odds with itself ({error}): put it back from a copy."),
}


def translated(error: Exception, path: str) -> SegueError:
    """What SQLite raised, in Segue's words."""
    if isinstance(error, UnicodeEncodeError):
        return UsageError("A conversation's id, a key or a name holds half a surrogate pair: it cannot be stored.")
    code = _code(error)
    if isinstance(error, UnicodeError) or (code is None and isinstance(error, sqlite3.OperationalError)):  # a text that is none
        return JournalDamaged(f"The journal {path} is damaged ({error}): put it back from a copy.")
    kind, words = _WORDS.get(code or 0, (JournalError, "The journal {path} refused ({name}): {error}."))
    return kind(words.format(path=path, error=error, name=getattr(error, "sqlite_errorname", type(error).__name__)))


def _code(error: Exception) -> int | None:
    """SQLite's primary result code; `None` where the error is not SQLite's own."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF

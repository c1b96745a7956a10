"""Locks between processes, by `flock`: they end with the process that holds them, however it ends.
They lie in a folder beside the database: one file for each driver that lives, and one for the turn to write."""

import errno
import hashlib
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from segue.errors import JournalError, JournalFull
from segue.journal.sqlite_forks import Forked, tell_of_forks

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class Locks(Forked):
    """The locks beside one journal."""

    def __init__(self, path: str) -> None:
        self.folder = f"{path}-locks"
        self._held: dict[str, int] = {}
        self._open: set[int] = set()
        self._lock = threading.RLock()  # a collected journal closes its locks on any thread, and at any line
        tell_of_forks(self)

    def hold(self, driver: str) -> None:
        """Lock a driver's file until `let_go`. Raises `JournalError` if someone else holds it."""
        with self._lock:
            if driver in self._held:
                return
            with self._alone():
                file = self._opened(os.path.join(self.folder, _name(driver)), os.O_RDWR | os.O_CREAT)
                if not _lock(file, wait=False):
                    self._close(file)
                    raise JournalError(f"The driver {driver} is held already: each Runner needs a driver of its own.")
                self._held[driver] = file

    def let_go(self, driver: str) -> None:
        """Unlock a driver's file and remove it."""
        with self._lock:
            if driver not in self._held:
                return
            with self._alone():
                _remove(os.path.join(self.folder, _name(driver)))
                self._close(self._held.pop(driver))

    def alive(self, driver: str) -> bool:
        """Whether somebody holds a driver's file. One that nobody holds is removed."""
        path = os.path.join(self.folder, _name(driver))
        if not os.path.exists(path):
            return False
        with self._alone():
            if not os.path.exists(path):
                return False
            file = self._opened(path, os.O_RDWR)
            try:
                dead = _lock(file, wait=False)
                if dead:
                    _remove(path)
                return not dead
            finally:
                self._close(file)

    def close(self) -> None:
        """Let go of all drivers."""
        for driver in list(self._held):
            self.let_go(driver)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Be the one who is next to write: processes write in the order in which they came here.

        SQLite alone lets whoever looks at the right instant write next, and under load that is the one who has just written.
        """
        with self._locked("turn"):
            yield

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Drivers' files are made, looked at and removed by one process at a time."""
        with self._locked("drivers"):
            yield

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        file = self._opened(os.path.join(self.folder, name), os.O_RDWR | os.O_CREAT)
        try:
            _lock(file, wait=True)
            yield
        finally:
            self._close(file)

    def _opened(self, path: str, how: int) -> int:
        if fcntl is None:
            raise JournalError("A journal in a file needs flock, which this system lacks: use a journal on PostgreSQL.")
        try:
            try:
                file = os.open(path, how, 0o666)
            except FileNotFoundError:
                with suppress(FileExistsError):
                    os.mkdir(self.folder)
                file = os.open(path, how, 0o666)
        except OSError as error:
            raise _refused(error, path) from error
        self._open.add(file)
        return file

    def _close(self, file: int) -> None:
        self._open.discard(file)
        fcntl.flock(file, fcntl.LOCK_UN)  # a child that was forked just now may still have it open
        os.close(file)

    def before_fork(self) -> None:
        """Let no driver be held half."""
        self._lock.acquire()

    def in_parent(self) -> None:
        """Let others go on."""
        self._lock.release()

    def in_child(self) -> None:
        """Drop the parent's locks: a child that kept them would make a dead parent look alive."""
        for file in self._open:
            os.close(file)
        self._open, self._held, self._lock = set(), {}, threading.RLock()


def _lock(file: int, *, wait: bool) -> bool:
    """Lock a file for nobody else; `False` where someone has locked it and is not to be waited for."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise _refused(error, "flock") from error
    return True


def _refused(error: OSError, what: str) -> JournalError:
    kind = JournalFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else JournalError
    return kind(f"The locks beside the journal are refused ({error.strerror}: {what}): see to the rights and the room on its disk.")


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):  # someone has tidied the folder by hand
        os.unlink(path)


def _name(driver: str) -> str:
    """A file's name for a driver, whatever the driver is called."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,80}", driver):
        return f"{driver}.lock"
    return f"{hashlib.sha256(driver.encode('utf-8', 'surrogatepass')).hexdigest()}.lock"

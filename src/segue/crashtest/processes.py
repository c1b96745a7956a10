"""One piece of work in a process of its own: forked from one that has imported Segue, but has begun no thread and no loop.
That saves the start of an interpreter. The user's own modules are imported in the new process, as after a real restart."""

import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn

from segue.core.messages import Json

_OUTPUT = "output.txt"
"""What the processes of a trial have printed, in the trial's folder."""
_FOLDER = "work"
"""Their working directory, in the same."""
_TOLD = "told.json"
_HANDLES = 256
"""More files than a process that does nothing but this has open."""


class Ended(NamedTuple):
    """How a process ended.

    "done": `value` is what the work gave. "raised": `words` say what. "killed": `words` name the signal. "stuck": it was
    killed because its time was over.
    """

    how: Literal["done", "raised", "killed", "stuck"]
    value: Json = None
    words: str = ""


def in_process(work: Callable[[], Json], folder: Path, *, environment: Mapping[str, str], timeout: float) -> Ended:
    """Do work in a new process, and wait for its end."""
    (folder / _FOLDER).mkdir(exist_ok=True)
    (folder / _TOLD).unlink(missing_ok=True)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # what is buffered now would be written by both
    child = os.fork()
    if child == 0:
        _live(work, folder, environment)
    status: int | None = None
    try:
        status = _wait(child, timeout)
    finally:
        if status is None:  # its time is over, or this process is to end
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    if status is None:
        return Ended("stuck", words=f"it did not come to an end within {timeout:g} s")
    if os.WIFSIGNALED(status):
        return Ended("killed", words=signal.Signals(os.WTERMSIG(status)).name)
    if not (folder / _TOLD).exists():
        return Ended("raised", words=f"it left with exit code {os.waitstatus_to_exitcode(status)}")
    return Ended(**json.loads((folder / _TOLD).read_text("utf-8")))


def _wait(child: int, timeout: float) -> int | None:
    """Wait for a process; `None` if its time is over."""
    due, pause = time.monotonic() + timeout, 0.001
    while time.monotonic() < due:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)
    return None


def _live(work: Callable[[], Json], folder: Path, environment: Mapping[str, str]) -> NoReturn:
    """Be the new process, to its end; nothing of the old one is gone back to."""
    code = 1
    try:
        _settle_in(folder, environment)
        (folder / _TOLD).write_text(json.dumps(_done(work)._asdict()), "utf-8")
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _settle_in(folder: Path, environment: Mapping[str, str]) -> None:
    out = os.open(folder / _OUTPUT, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, file in ((0, nothing), (1, out), (2, out)):
        os.dup2(file, number)
    os.closerange(3, _HANDLES)  # nothing of this one's parents is held open
    os.chdir(folder / _FOLDER)
    os.environ.update(environment)
    random.seed()  # a new process does not throw the same dice


def _done(work: Callable[[], Json]) -> Ended:
    try:
        value = work()
        json.dumps(value)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        words = str(error)
        return Ended("raised", words=f"{type(error).__name__}: {words}" if words else type(error).__name__)
    return Ended("done", value)

"""Workers for tests: in this process, or as processes of their own that can be killed. What a drive does is written to a ledger,
a file outside of every process; nothing here says what is right."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from segue.engines.procrastinate import ProcrastinateEngine

PATIENCE = 60.0
"""Seconds after which what does not come is given up. Nothing that a test asserts depends on it."""


def quick(address: str, **options: Any) -> ProcrastinateEngine:
    """An engine that gives up on a worker sooner than people would want."""
    return ProcrastinateEngine(address, **{"heartbeat": 0.5, "stalled": 3.0, "sweep": 1, **options})


async def until(condition: Callable[[], Any]) -> Any:
    """Wait for something to come true; what it then is."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, "this never came true"
        await asyncio.sleep(0.02)
    return found


@contextlib.asynccontextmanager
async def working(
    engine: ProcrastinateEngine, drive: Callable[[str], Awaitable[None]], **options: Any
) -> AsyncIterator["asyncio.Task[None]"]:
    """A worker in this process; cancelled in the end."""
    task = asyncio.create_task(engine.work(drive, **options))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def rows(address: str, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Ask the database, or do something to it."""
    with psycopg.connect(address, autocommit=True) as connection:
        found = connection.execute(statement, values)
        return found.fetchall() if found.description else []


def jobs(address: str) -> list[tuple[str, str]]:
    """The conversations in the queue and the state of their jobs, in the order in which they were put there."""
    if rows(address, "SELECT to_regclass('procrastinate_jobs')") == [(None,)]:
        return []  # nobody has submitted anything yet
    return rows(address, "SELECT args->>'conversation', status::text FROM procrastinate_jobs WHERE task_name = 'segue.drive' ORDER BY id")


class Entry(NamedTuple):
    """A line of a ledger."""

    what: str
    conversation: str
    pid: int
    at: float


class Ledger:
    """What was done, by whom and when: a file that many processes append to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, what: str, conversation: str) -> None:
        """Append a line, at once."""
        line = json.dumps(Entry(what, conversation, os.getpid(), time.time())) + "\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    def read(self, *whats: str) -> list[Entry]:
        """The lines, or those of some kinds."""
        text = self.path.read_text("utf-8") if self.path.exists() else ""
        entries = [Entry(*json.loads(line)) for line in text.splitlines()]
        return [entry for entry in entries if not whats or entry.what in whats]


@contextlib.contextmanager
def process(program: str, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A Python program in a process of its own; killed in the end."""
    started = subprocess.Popen(
        [sys.executable, "-c", program, *words], env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    )
    try:
        yield started
    finally:
        started.kill()
        started.wait()

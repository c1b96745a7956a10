"""A journal file for tests with several drivers: Runners with journals of their own on it, and processes."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from segue.journal.sqlite import SqliteJournal
from segue.runner import Runner
from tests.counter import Counter


class Place:
    """A journal file, the ledger beside it, and Runners and processes that share them."""

    def __init__(self, folder: Path) -> None:
        self.journal = str(folder / "segue.db")
        self.ledger = folder / "ledger"
        self.store = SqliteJournal(self.journal)
        self.counter = Counter(self.ledger)
        self.runners: list[Runner] = []
        self.children: list[subprocess.Popen[str]] = []

    def runner(self, counter: Counter | None = None, **options: Any) -> Runner:
        """A Runner with a journal of its own on the file."""
        made = (counter or Counter(self.ledger)).runner(self.journal, **options)
        self.runners.append(made)
        return made

    def process(self, method: str, *args: Any, **options: Any) -> subprocess.Popen[str]:
        """Another process that calls a method of a Runner."""
        spec = {"journal": self.journal, "ledger": str(self.ledger), "method": method, "args": args, "options": options}
        words = [sys.executable, "-m", "tests.otherwise", "do", json.dumps(spec)]
        child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
        self.children.append(child)
        return child

    async def said(self, child: subprocess.Popen[str]) -> dict[str, Any]:
        """What came of it."""
        out, _ = await asyncio.to_thread(child.communicate)
        assert child.returncode == 0
        came: dict[str, Any] = json.loads(out)
        return came

    async def held(self) -> None:
        """Wait until somebody is in the middle of a call."""
        async with asyncio.timeout(60):
            while not self.counter.holds:
                await asyncio.sleep(0.005)

    async def until(self, condition: Any) -> None:
        """Wait until the journal's events of the conversation are so."""
        async with asyncio.timeout(60):
            while not condition([row.event for row in await self.store.read("c")]):
                await asyncio.sleep(0.005)

    async def events(self) -> list[Any]:
        return [row.event for row in await self.store.read("c")]

    async def close(self) -> None:
        for child in self.children:
            child.kill()
            child.wait()
            assert child.stdout is not None
            child.stdout.close()
        for runner in self.runners:
            await runner.aclose()
        await self.store.aclose()

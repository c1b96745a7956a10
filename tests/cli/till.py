"""A till with a journal, for commands about stored conversations: its payments need an approval, and stand in a file.

Commands are run in this process, as if typed in a directory with the program and the journal."""

import asyncio
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from segue.cli import main
from segue.core.events import Event
from segue.core.fold import replay
from segue.journal.base import Stored, fold, summary_of
from segue.journal.sqlite import SqliteJournal

PROGRAM = """
from segue import Agent, Limits, Runner, tool
from segue.testing import FunctionModel

@tool(approve=True)
def pay(amount: int) -> str:
    "Pay."
    with open("paid.txt", "a") as file:
        file.write(f"{amount}\\n")
    return f"paid {amount}"

def reply(request):
    last = request.messages[-1]
    if type(last).__name__ == "ToolAnswer":
        return f"I am told: {last.content}"
    words = last.content.split()
    if words[0] == "Pay":
        return [{"pay": {"amount": int(word)}} for word in words[1:]]
    return f"You said {last.content}."

model = FunctionModel(reply)
agent = Agent("Cashier", tools=[pay], model=model)
"""


class Till:
    """A directory with the program `till.py` and, once something is said, the journal `j.db`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def segue(self, *words: str, code: int | None = 0, stdin: str = "") -> Result:
        """Run a command; its exit code must be as expected."""
        done = CliRunner().invoke(main, list(words), input=stdin, catch_exceptions=False, prog_name="segue")
        assert code is None or done.exit_code == code, done.output
        return done

    def lines(self, *words: str) -> list[Any]:
        """What a command prints as lines of JSON."""
        return [json.loads(line) for line in self.segue(*words, "--json").stdout.splitlines()]

    def say(self, text: str, conversation: str | None = None) -> str:
        """Give the cashier a message; the conversation's id."""
        more = ["--conversation", conversation] if conversation else []
        done = self.segue("run", "till.py", text, "--json", *more, code=None)
        name: str = json.loads(done.stdout)["conversation"]
        return name

    def asked(self) -> dict[str, Any]:
        """The one call that waits for a decision."""
        (one,) = self.lines("approvals", "ls")
        return dict(one)

    @property
    def paid(self) -> list[str]:
        """What was paid."""
        path = self.folder / "paid.txt"
        return path.read_text().split() if path.exists() else []

    def write(self, conversation: str, events: Iterable[Event], *, seq: int = 1, at: float = 1.0) -> None:
        """Put events into the journal."""

        made = list(events)

        async def append(journal: SqliteJournal) -> None:
            before = fold(await journal.read(conversation))
            await journal.append(conversation, seq, made, at=at, summary=summary_of(replay(made, before)))

        self._with_journal(append)

    def rows(self, conversation: str) -> list[Stored]:
        """What the journal has of a conversation."""
        return self._with_journal(lambda journal: journal.read(conversation))

    def _with_journal(self, work: Any) -> Any:
        async def do() -> Any:
            journal = SqliteJournal(self.folder / "j.db")
            try:
                return await work(journal)
            finally:
                await journal.aclose()

        return asyncio.run(do())


@pytest.fixture
def till(tmp_path, monkeypatch):
    """A till, in whose directory the test is; what its program imports is forgotten afterwards."""
    (tmp_path / "till.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    for name in ("SEGUE_MODEL", "OPENAI_API_KEY", "OPENAI_BASE_URL", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"SEGUE_PROBE": "off", "SEGUE_JOURNAL": "j.db", "USER": "ann", "COLUMNS": "100"}.items():
        monkeypatch.setenv(name, value)
    path, modules = list(sys.path), set(sys.modules)
    yield Till(tmp_path)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("till", "segue_target")):
            del sys.modules[name]

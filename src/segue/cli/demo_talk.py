"""The conversation of a demonstration whose example is kept in a file: a process is killed in the middle of a call, and another goes on.
The killed one and the next are plain `segue resume`, as after any crash; here they are started, and what they have left is shown."""

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

from segue.cli.asking import Verdict
from segue.cli.choose import Choice
from segue.cli.following import program
from segue.cli.screen import FAINT, NOTE, WRONG, Screen
from segue.cli.talk import Talk
from segue.core.conversation import Conversation
from segue.core.events import ApprovalDecided, DriveStarted, ModelReplied, ToolReturned, ToolStarted
from segue.core.turns import Slot
from segue.journal.base import Stored
from segue.response import Response
from segue.runner import Runner
from segue.views.story import text_of
from segue.views.words import call_words, one_line


class Kept(NamedTuple):
    """Where an example is kept, and how other processes come to it."""

    folder: Path
    variable: str
    """Names the file with the example's data to `target` and `doomed`."""
    target: str
    doomed: str
    """The same team; the process that calls `tool` for it is killed when the call has done its work."""
    tool: str

    @property
    def journal(self) -> str:
        """The file with the journal."""
        return str(self.folder / "segue.db")

    @property
    def data(self) -> str:
        """The file with the example's data."""
        return str(self.folder / "data.db")

    def afterwards(self, conversation: str) -> list[str]:
        """The commands that tell a conversation's story, and that go on with it."""
        found = ["--journal", self.journal]
        show = [*program(), "runs", "show", conversation, *found]
        chat = [*program(), "chat", self.target, *found, "--conversation", conversation]
        return [shlex.join(show), f"{self.variable}={shlex.quote(self.data)} {shlex.join(chat)}"]


class KeptTalk(Talk):
    """A conversation that is kept. The first call that is approved may be made by a process that is killed at it, if `ask` says so.

    `model` is what the other processes are told to use, if anything; `data` says how the example's data stand.
    """

    def __init__(
        self,
        runner: Runner,
        choice: Choice,
        screen: Screen,
        conversation: str | None = None,
        *,
        kept: Kept,
        model: str | None,
        data: Callable[[], str],
        ask: Callable[[], bool],
    ) -> None:
        super().__init__(runner, choice, screen, conversation)
        self._kept = kept
        self._model = model
        self._data = data
        self._ask: Callable[[], bool] | None = ask
        self._kill = False

    def decide(self, slot: Slot, verdict: Verdict, *, by: str = "") -> Coroutine[Any, Any, Response[Any]]:
        """Decide about a call that waits. Whether a process is to be killed at it is asked here, outside of the event loop."""
        if verdict.approve and self._ask is not None and slot.call.name == self._kept.tool:
            ask, self._ask = self._ask, None
            self._kill = ask()
        return super().decide(slot, verdict, by=by)

    async def resume(self, before: Conversation | None = None) -> Response[Any]:
        """Go on with the conversation; in other processes, one of which is killed, if that was wished for."""
        if self._kill:
            self._kill = False
            await self.runner.aclose()  # so that this process does not count as driving the conversation
            place = before.seq if before is not None else 0
            place = await self._killed(place)
            await self._gone_on(place)
        return await super().resume(before)

    async def _killed(self, place: int) -> int:
        """Have the call made in a process that is killed, and show what that leaves; the place of the last event."""
        pid, code, words = await self._resumed_elsewhere(self._kept.doomed)
        if code == -signal.SIGKILL:
            self.screen.remark(
                "  ✗ ", f"Process {pid} made the call, and was killed (SIGKILL) before it could write down that it had.", WRONG
            )
        else:
            self.screen.remark("  ■ ", f"Process {pid} was to be killed in the call, but ended before, with {code}. {words}", WRONG)
        return await self._show("The journal since the question, as it was left", place)

    async def _gone_on(self, place: int) -> None:
        """Have another process go on, and show what that adds."""
        pid, code, words = await self._resumed_elsewhere(self._kept.target)
        how = f"Process {pid} went on, with the same key." if code == 0 else f"Process {pid} went on, and ended with {code}. {words}"
        self.screen.remark("  ↻ ", how, NOTE)
        await self._show("What that added to the journal", place)

    async def _resumed_elsewhere(self, target: str) -> tuple[int, int, str]:
        """Go on with the conversation in a new process, to its end: its id, its exit code, and the last line that it wrote."""
        assert self.conversation is not None
        command = [sys.executable, "-m", "segue", "resume", self.conversation, target, "--journal", self._kept.journal]
        process = await asyncio.create_subprocess_exec(
            *command,
            *(["--model", self._model] if self._model else []),
            env={**os.environ, self._kept.variable: self._kept.data},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        self.screen.busy(f"process {process.pid} …")
        try:
            _, told = await process.communicate()
        finally:
            self.screen.idle()
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        return process.pid, process.returncode, next(iter(told.decode(errors="replace").splitlines()[-1:]), "")

    async def _show(self, heading: str, place: int) -> int:
        """Show the events after a place and how the example's data stand; the place of the last event."""
        rows = [row for row in await self.rows() if row.seq > place]
        self.screen.line(f"    {heading}:", FAINT)
        self.screen.table(("", "event", ""), [_words(row) for row in rows], indent=4)
        self.screen.line(f"    {self._data()}", FAINT)
        return rows[-1].seq if rows else place


def _words(row: Stored) -> tuple[str, str, str]:
    """An event as a row: its place, its kind, and what it is about."""
    match row.event:
        case ApprovalDecided(decision=decision, by=by):
            words = f"{decision}, by {by}" if by else decision
        case DriveStarted(driver):
            words = driver
        case ToolStarted(name=name, key=key):
            words = f"{name}, key {key}" if key else name
        case ToolReturned(content=content):
            words = text_of(content)
        case ModelReplied(reply=reply):
            words = reply.text or ", ".join(call_words(call.name, call.arguments) for call in reply.calls)
        case _:
            words = ""
    return str(row.seq), type(row.event).__name__, one_line(words, 70)

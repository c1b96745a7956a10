"""A conversation with a team: one message in, told on a screen while it is worked on, a response out.
It knows nothing of prompts and commands."""

import asyncio
from typing import Any

from segue import clock, openings, outside
from segue.cli.answer import told
from segue.cli.asking import Verdict
from segue.cli.choose import Choice
from segue.cli.screen import WRONG, Screen
from segue.cli.teller import Teller
from segue.core.conversation import Conversation
from segue.core.fold import replay
from segue.core.turns import Slot
from segue.errors import ApprovalError, SegueError
from segue.journal.base import Stored
from segue.response import Response
from segue.runner import Runner
from segue.streams import Stream

QUIET = 0.25
"""Seconds of silence before it is shown that somebody is at work."""


class Talk:
    """One conversation after another with one team."""

    def __init__(self, runner: Runner, choice: Choice, screen: Screen, conversation: str | None = None) -> None:
        self.runner = runner
        self.choice = choice
        self.screen = screen
        self.teller = Teller(screen, choice)
        self.conversation = conversation
        """The conversation's id; `None` before the first message."""

    async def rows(self) -> list[Stored]:
        """The conversation's events so far."""
        return await self.runner.journal.read(self.conversation) if self.conversation else []

    async def folded(self) -> Conversation:
        """The conversation as it stands."""
        return replay(row.event for row in await self.rows())

    async def send(self, text: str) -> Response[Any]:
        """Give a message and tell what happens. Raises the run's error when it failed."""
        return await self._follow(self.runner.stream(text, conversation=self.conversation))

    async def resume(self, before: Conversation | None = None) -> Response[Any]:
        """Go on with the conversation where it was left, and tell what happens; `before`: what happened since is told first."""
        assert self.conversation is not None
        return await self._follow(self.runner.resuming(self.conversation, listen=True), before)

    async def decide(self, slot: Slot, verdict: Verdict, *, by: str = "") -> Response[Any]:
        """Approve or deny a call that waits, and tell what happens then. A decision that comes too late is told, and not taken."""
        assert slot.approval is not None
        assert self.conversation is not None
        before = await self.folded()
        try:
            await outside.decide(
                self.runner.journal,
                self.conversation,
                slot.approval.id,
                slot.approval.digest,
                "approve" if verdict.approve else "deny",
                by=by,
                reason=verdict.reason,
                arguments=verdict.arguments,
                at=clock.now(),
            )
        except ApprovalError as error:
            self.screen.remark("  ■ ", str(error), WRONG)
        return await self.resume(before)

    async def settle(self, slot: Slot, content: str, *, by: str = "") -> Response[Any]:
        """Say what came of a call, and tell what happens then."""
        assert self.conversation is not None
        before = await self.folded()
        await outside.tell(
            self.runner.journal, self.conversation, lambda c: openings.settled(c, slot.place, content, by=by), at=clock.now()
        )
        return await self.resume(before)

    async def _follow(self, stream: Stream, before: Conversation | None = None) -> Response[Any]:
        """Tell what happens in a run, to its end."""
        before = before or await self.folded()
        self.teller.begin(before)
        for row in await self.runner.journal.read(stream.conversation, after=before.seq):
            self.teller.tell(row.event)
        timer: asyncio.TimerHandle | None = None
        try:
            async with stream:
                self.conversation = stream.conversation
                timer = self._wait()
                async for item in stream:
                    timer.cancel()
                    self.teller.tell(item)
                    timer = self._wait()
                return stream.response
        except SegueError:
            raise
        except Exception as error:
            raise told(error) from error
        finally:
            if timer is not None:
                timer.cancel()
            self.screen.idle()
            self.teller.stop()

    def _wait(self) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()
        return loop.call_later(QUIET, self._show_waiting)

    def _show_waiting(self) -> None:
        if words := self.teller.waiting:
            self.screen.busy(words)

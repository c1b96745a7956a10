"""A conversation with a team: one message in, told on a screen while it is worked on, a response out.
It knows nothing of prompts and commands."""

import asyncio
from collections.abc import Mapping
from typing import Any

from segue.agent import Agent
from segue.cli.choose import Choice
from segue.cli.safe import json_text
from segue.cli.screen import Screen
from segue.cli.teller import Teller
from segue.core.conversation import Conversation, replay
from segue.core.turns import Slot
from segue.errors import SegueError
from segue.journal.base import Stored
from segue.response import Response
from segue.runner import Runner

QUIET = 0.25
"""Seconds of silence before it is shown that somebody is at work."""


class Talk:
    """One conversation after another with one team."""

    def __init__(self, agent: Agent, choice: Choice, screen: Screen) -> None:
        self.runner = Runner(agent, model=choice.model)
        self.choice = choice
        self.screen = screen
        self.teller = Teller(screen, choice)
        self.conversation: str | None = None
        """The conversation's id; `None` before the first message."""

    async def rows(self) -> list[Stored]:
        """The conversation's events so far."""
        return await self.runner.journal.read(self.conversation) if self.conversation else []

    async def folded(self) -> Conversation:
        """The conversation as it stands."""
        return replay(row.event for row in await self.rows())

    async def send(self, text: str) -> Response[Any]:
        """Give a message and tell what happens. Raises the run's error when it failed."""
        self.teller.begin(await self.folded())
        timer: asyncio.TimerHandle | None = None
        try:
            async with self.runner.stream(text, conversation=self.conversation) as stream:
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

    async def decide(self, slot: Slot, *, approve: bool) -> Response[Any]:
        """Approve or deny a call that waits, and tell what happens then."""
        assert slot.approval is not None
        assert self.conversation is not None
        before = await self.rows()
        self.teller.begin(replay(row.event for row in before))
        decide = self.runner.approve if approve else self.runner.deny
        try:
            return await decide(self.conversation, slot.approval.id, slot.approval.digest, by="the terminal")
        except SegueError:
            raise
        except Exception as error:
            raise told(error) from error
        finally:
            for row in (await self.rows())[len(before) :]:
                self.teller.tell(row.event)
            self.teller.stop()

    def _wait(self) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()
        return loop.call_later(QUIET, self._show_waiting)

    def _show_waiting(self) -> None:
        if words := self.teller.waiting:
            self.screen.busy(words)


def told(error: Exception) -> SegueError:
    """What a function of the user's raised, as an error that can be told in a line."""
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return SegueError(f"A function of this program raised {words}. SEGUE_DEBUG=1 shows where.")


def as_json(response: Response[Any], choice: Choice) -> Mapping[str, Any]:
    """A response as JSON values."""
    typed, error = response.agent.typed_output, response.error
    output = response.output if response.status == "done" else None
    return {
        "status": response.status,
        "output": typed.dump(output) if typed is not None and output is not None else output,
        "agent": response.agent.name,
        "messages": response.messages,
        "context": response.context,
        "usage": {**response.usage._asdict(), "total": response.usage.total},
        "conversation": response.conversation,
        "model": {"name": choice.name, "why": choice.why, "stand_in": choice.stand_in},
        "waiting_for": [{"place": slot.place, "name": slot.call.name, "arguments": slot.call.arguments} for slot in response.waiting_for],
        "error": None if error is None else {"type": type(error).__name__, "message": str(error)},
    }


def printed(response: Response[Any], choice: Choice) -> str:
    """A response as one line of JSON."""
    return json_text(as_json(response, choice))

"""The model of a scenario: replies from its file.
Which one is next is read from the journal, so that a process that goes on for a dead one goes on in the right place."""

from collections.abc import AsyncIterator, Sequence

from segue.core.events import ModelReplied
from segue.core.messages import Reply
from segue.crashtest.scenario import Scripted
from segue.errors import UsageError
from segue.journal.base import Journal
from segue.model import Delta, ModelRequest, Restarted
from segue.models.scripted import spoken


class Script:
    """Replies in order. An agent that has replies of its own gets these, in each conversation from the first on."""

    name = "script"

    def __init__(self, lines: Sequence[Scripted], journal: Journal) -> None:
        self._lines = lines
        self._journal = journal
        self._own = {line.agent for line in lines if line.agent}

    async def reply(self, request: ModelRequest) -> AsyncIterator[Delta | Restarted | Reply]:
        """Give the next reply, word by word where somebody listens."""
        whose = request.agent if request.agent in self._own else ""
        stored = await self._journal.read(request.conversation)
        said = [row.event.agent for row in stored if isinstance(row.event, ModelReplied)]
        number = sum((agent if agent in self._own else "") == whose for agent in said)
        replies = [line.reply for line in self._lines if line.agent == whose]
        if number >= len(replies):
            of = f" for {whose}" if whose else ""
            raise UsageError(f"The scenario's replies{of} are at their end after {number}, and {request.agent} is to speak once more.")
        for item in spoken(replies[number], stream=request.stream):
            yield item

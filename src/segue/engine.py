"""The engine seam: what makes sure that a driver runs, on some machine, again if one dies.
Only a conversation's id crosses it; the journal gives safety, the engine gives liveness."""

from collections.abc import Awaitable, Callable
from typing import Protocol


class Engine(Protocol):
    """Delivers "drive conversation C": at least once, serially per conversation, again if a worker dies."""

    async def submit(self, conversation: str) -> None:
        """Ask for a conversation to be driven; return when the wish is durable."""
        ...

    async def work(self, drive: Callable[[str], Awaitable[None]]) -> None:
        """Drive what was submitted, until cancelled."""
        ...

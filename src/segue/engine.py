"""The engine seam: what makes sure that a driver runs, on some machine, again if one dies.
Only a conversation's id crosses it; the journal gives safety, the engine gives liveness."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol, runtime_checkable


class Engine(Protocol):
    """Delivers "drive conversation C": at least once, serially per conversation, again if a worker dies."""

    async def submit(self, conversation: str) -> None:
        """Ask for a conversation to be driven; return when the wish is durable.

        A wish that waits already is not doubled. One that is being driven may have looked before now: it is driven once more.
        """
        ...

    async def work(
        self,
        drive: Callable[[str], Awaitable[None]],
        *,
        left: Callable[[], Awaitable[Iterable[str]]] | None = None,
        stop: asyncio.Event | None = None,
    ) -> None:
        """Drive what is submitted, until cancelled or told to stop.

        `drive` may be called for a conversation that has no work left, and for one whose last driver is not known to be dead:
        it drives on nevertheless. A `JournalConflict` or `ConversationBusy` that it raises means that somebody else drives;
        after anything else the conversation is delivered again, later and later.
        `left`: the conversations that have work left. Those that nobody has submitted are submitted; it is asked every now and then.
        `stop`: once set, nothing more is taken, the drives that are going on are waited for, and what they leave is given to
        other workers at once. Cancelled, it cancels them first.
        """
        ...


@runtime_checkable
class Sharing(Protocol):
    """An engine that can take a wish in the transaction in which a journal appends: neither is there without the other."""

    def shares(self, journal: object) -> bool:
        """Whether the journal lives in this engine's database."""
        ...

    async def submit_within(self, connection: Any, conversation: str) -> None:
        """`submit` on a connection with a transaction open, to be committed by the caller."""
        ...

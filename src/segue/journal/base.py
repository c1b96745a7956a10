"""What a journal is: the events of conversations, in order, append-only.
The journal stamps the time; events do not know it. Whoever appends says where: two writers at one place are a conflict."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from segue.core.events import Event


class Stored(NamedTuple):
    """An event with its place (from 1) and its time in seconds since the epoch."""

    seq: int
    at: float
    event: Event


class Journal(Protocol):
    """Keeps the events of conversations."""

    @property
    def durable(self) -> bool:
        """Whether an append waits for a disk or a server; if not, `append` never suspends."""
        ...

    async def append(self, conversation: str, seq: int, events: Sequence[Event], *, at: float) -> None:
        """Write events at places `seq`, `seq` + 1, ...; return when they are durable.

        Raises `JournalConflict`, with nothing written, if `seq` is not the place after the last event.
        """
        ...

    async def read(self, conversation: str, *, after: int = 0) -> list[Stored]:
        """The events after a place, in order; an empty list for a conversation that does not exist."""
        ...

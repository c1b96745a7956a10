"""A journal in memory: for tests and throw-away runs. It ends with the process."""

import threading
from collections.abc import Sequence
from itertools import repeat

from segue.core.events import Event
from segue.errors import JournalConflict
from segue.journal.base import Stored


class MemoryJournal:
    """Keeps events in this process. Safe to use from several threads."""

    durable = False

    def __init__(self) -> None:
        self._events: dict[str, list[Stored]] = {}
        self._lock = threading.Lock()

    async def append(self, conversation: str, seq: int, events: Sequence[Event], *, at: float) -> None:
        """Write events; see `Journal.append`."""
        with self._lock:
            stored = self._events.setdefault(conversation, [])
            if seq != len(stored) + 1:
                raise JournalConflict(
                    f"Place {seq} of conversation {conversation} is taken or not reached yet; the next is {len(stored) + 1}."
                )
            stored.extend(map(Stored, range(seq, seq + len(events)), repeat(at), events))

    async def read(self, conversation: str, *, after: int = 0) -> list[Stored]:
        """The events after a place; see `Journal.read`."""
        with self._lock:
            return self._events.get(conversation, [])[after:]

    def conversations(self) -> list[str]:
        """The ids of all conversations, oldest first."""
        with self._lock:
            return list(self._events)

"""A journal in memory: for tests and throw-away runs. It ends with the process."""

import threading
from collections.abc import Sequence
from itertools import count, repeat
from typing import NamedTuple

from segue.core.events import Event
from segue.errors import JournalConflict
from segue.journal.base import Stored


class _Rows(NamedTuple):
    """Two lists in place of one of rows: a process with many conversations has fewer objects to look after."""

    events: list[Event]
    times: list[float]


class MemoryJournal:
    """Keeps events in this process. Safe to use from several threads."""

    durable = False

    def __init__(self) -> None:
        self._rows: dict[str, _Rows] = {}
        self._lock = threading.Lock()

    async def append(self, conversation: str, seq: int, events: Sequence[Event], *, at: float) -> None:
        """Write events; see `Journal.append`."""
        with self._lock:
            rows = self._rows.get(conversation)
            if rows is None:
                rows = self._rows[conversation] = _Rows([], [])
            following = len(rows.events) + 1
            if seq != following:
                raise JournalConflict(f"Place {seq} of conversation {conversation} is taken or not reached yet; the next is {following}.")
            rows.events.extend(events)
            rows.times.extend(repeat(at, len(events)))

    async def read(self, conversation: str, *, after: int = 0) -> list[Stored]:
        """The events after a place; see `Journal.read`."""
        with self._lock:
            rows = self._rows.get(conversation)
            return [] if rows is None else list(map(Stored, count(after + 1), rows.times[after:], rows.events[after:]))

    def conversations(self) -> list[str]:
        """The ids of all conversations, oldest first."""
        with self._lock:
            return list(self._rows)

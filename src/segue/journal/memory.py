"""A journal in memory: for tests and throw-away runs. It ends with the process."""

import asyncio
import threading
from collections.abc import Collection, Sequence
from itertools import count, repeat
from typing import NamedTuple

from segue.core.codec import encode
from segue.core.events import Event, InputGiven
from segue.errors import JournalConflict, KeyReused
from segue.journal.base import Line, Raw, Stored, Summary, fold, summary_of

_UNTOLD = Summary()


class _Rows(NamedTuple):
    """Two lists in place of one of rows: a process with many conversations has fewer objects to look after."""

    events: list[Event]
    times: list[float]


class MemoryJournal:
    """Keeps events in this process. Safe to use from several threads."""

    durable = False

    def __init__(self) -> None:
        self._rows: dict[str, _Rows] = {}
        self._keys: dict[str, str] = {}
        self._drivers: set[str] = set()
        self._waiting: dict[str, list[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = {}
        self._lock = threading.Lock()

    async def append(self, conversation: str, seq: int, events: Sequence[Event], *, at: float, summary: Summary = _UNTOLD) -> None:
        """Write events; see `Journal.append`. Lists are folded from the events: `summary` is not kept."""
        with self._lock:
            rows = self._rows.get(conversation)
            following = len(rows.events) + 1 if rows is not None else 1
            if seq != following:
                raise JournalConflict(f"Place {seq} of conversation {conversation} is taken or not reached yet; the next is {following}.")
            if not events:
                return
            keys = [event.key for event in events if type(event) is InputGiven and event.key is not None]
            for key in keys:
                if self._keys.get(key, conversation) != conversation:
                    raise KeyReused(f"The key {key!r} was used for an input of conversation {self._keys[key]}.")
            if keys:
                self._keys |= dict.fromkeys(keys, conversation)
            if rows is None:
                rows = self._rows[conversation] = _Rows([], [])
            rows.events.extend(events)
            rows.times.extend(repeat(at, len(events)))
            waiting = self._waiting.pop(conversation, ()) if self._waiting else ()
        for loop, woken in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(woken.set)

    async def read(self, conversation: str, *, after: int = 0) -> list[Stored]:
        """The events after a place; see `Journal.read`."""
        with self._lock:
            rows = self._rows.get(conversation)
            return [] if rows is None else list(map(Stored, count(after + 1), rows.times[after:], rows.events[after:]))

    async def raw(self, conversation: str, *, after: int = 0) -> list[Raw]:
        """The events after a place as another journal would store them; see `Journal.raw`."""
        return [Raw(seq, at, *encode(event)) for seq, at, event in await self.read(conversation, after=after)]

    async def wait(self, conversation: str, *, after: int, timeout: float) -> None:
        """Return when there may be events after a place; see `Journal.wait`."""
        waiter = asyncio.get_running_loop(), asyncio.Event()
        with self._lock:
            rows = self._rows.get(conversation)
            if rows is not None and len(rows.events) > after:
                return
            self._waiting.setdefault(conversation, []).append(waiter)
        try:
            async with asyncio.timeout(timeout):
                await waiter[1].wait()
        except TimeoutError:
            return
        finally:
            with self._lock:
                waiting = self._waiting.get(conversation, [])
                if waiter in waiting:
                    waiting.remove(waiter)
                if not waiting:
                    self._waiting.pop(conversation, None)

    async def keyed(self, key: str) -> str | None:
        """The conversation that was given an input with this key."""
        return self._keys.get(key)

    async def conversations(
        self,
        *,
        status: Collection[str] = (),
        agent: str | None = None,
        before: float | None = None,
        since: float | None = None,
        following: Line | None = None,
        limit: int = 100,
    ) -> list[Line]:
        """Conversations, the last updated first; see `Journal.conversations`."""
        with self._lock:
            kept = {name: list(map(Stored, count(1), rows.times, rows.events)) for name, rows in self._rows.items()}
        lines = [Line(name, len(rows), rows[0].at, rows[-1].at, summary_of(fold(rows))) for name, rows in kept.items()]
        lines.sort(key=_newest_first)
        return [
            line
            for line in lines
            if (not status or line.summary.status in status)
            and (agent is None or line.summary.agent == agent)
            and (before is None or line.updated < before)
            and (since is None or line.updated >= since)
            and (following is None or _newest_first(line) > _newest_first(following))
        ][:limit]

    async def erase(self, conversation: str) -> bool:
        """Forget a conversation."""
        with self._lock:
            self._keys = {key: name for key, name in self._keys.items() if name != conversation}
            return self._rows.pop(conversation, None) is not None

    async def hold(self, driver: str) -> None:
        """A driver lives; see `Journal.hold`."""
        self._drivers.add(driver)

    async def let_go(self, driver: str) -> None:
        """The driver drives no more."""
        self._drivers.discard(driver)

    async def alive(self, driver: str) -> bool:
        """Whether a driver lives."""
        return driver in self._drivers

    async def aclose(self) -> None:
        """Nothing is held that must be let go."""


def _newest_first(line: Line) -> tuple[float, str]:
    return -line.updated, line.conversation

"""Waiting for events of others: one connection of an event loop listens, for as long as somebody waits.
Notifications hold ids only. A loss of the connection wakes everybody: they look for themselves whether they missed anything."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import psycopg

from segue.errors import SegueError
from segue.journal.postgres_link import Links, passing, pauses, refused

_LINGER = 10.0
"""Seconds to go on listening when nobody waits: whoever follows a conversation waits again and again."""
_LONGEST_TOLD = 2000
"""Characters. A payload has at most 8,000 bytes; a conversation with a longer id is not named, and everybody looks."""

Told = asyncio.Future[SegueError | None]
"""Done when there may be something new; with an error, where there is no listening any more."""


def payload(conversation: str) -> str:
    """What is told of an append."""
    return conversation if len(conversation) < _LONGEST_TOLD else ""


class Listener:
    """Listens on one connection for everybody on an event loop."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._waiting: dict[str, set[Told]] = {}
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def told(self, conversation: str) -> Iterator[Told]:
        """What is done when there may be something new in a conversation."""
        told: Told = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(payload(conversation), set())
        waiting.add(told)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._listen())
        try:
            yield told
        finally:
            waiting.discard(told)
            if not waiting and self._waiting.get(payload(conversation)) is waiting:
                del self._waiting[payload(conversation)]

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _listen(self) -> None:
        for pause in pauses():
            try:
                await self._on_one_connection()
                return
            except (psycopg.Error, SegueError) as error:
                if not passing(error):
                    self._tell_all(error if isinstance(error, SegueError) else refused(error))
                    return
            await asyncio.sleep(pause)

    async def _on_one_connection(self) -> None:
        """Listen until nobody waits any more."""
        link = await self._links.connect()
        try:
            await link.execute(self._links.sql.listen)
            self._tell_all()  # what was appended before this was told to nobody
            while self._waiting:
                async for notify in link.notifies(timeout=_LINGER):
                    if notify.payload:
                        _tell(self._waiting.get(notify.payload, ()))
                    else:
                        self._tell_all()
        finally:
            await link.close()

    def _tell_all(self, error: SegueError | None = None) -> None:
        for waiting in self._waiting.values():
            _tell(waiting, error)


def _tell(waiting: Iterable[Told], error: SegueError | None = None) -> None:
    for told in waiting:
        if not told.done():
            told.set_result(error)

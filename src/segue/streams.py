"""What happens in one run, while it happens: the loop, from a claim on a conversation to the response.
No rule of the machine lives here."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any

from segue.agent import Agent
from segue.core.conversation import Conversation, Status
from segue.core.events import Event
from segue.desk import Busy, Claim, Desk, Kept
from segue.drive import Drive, Item
from segue.errors import SegueError, UsageError
from segue.inputs import begins_anew
from segue.portal import PORTAL
from segue.response import Response
from segue.world import World

Opening = Callable[[Conversation], Awaitable[list[Event] | Conversation]]
"""The events that a run is opened with; or, where nothing is to be done, the conversation as some run has left it."""


class Stream:
    """What happens in one run, while it happens; `response` says what came of it."""

    def __init__(self, desk: Desk, conversation: str, opening: Opening, world: World, busy: Busy, *, key: str | None = None) -> None:
        self.conversation = conversation
        """The conversation's id."""
        self._desk = desk
        self._opening = opening
        self._world = world
        self._busy = busy
        self._key = key
        self._items: AsyncGenerator[Item, None] | None = None
        self._came: list[Response[Any]] = []

    @property
    def response(self) -> Response[Any]:
        """What came of the run, once the stream has ended. Raises `UsageError` before."""
        if not self._came:
            raise UsageError("The stream has not ended: read it to its end first.")
        return self._came[0]

    def join(self, agent: Agent) -> None:
        """Take an agent into the conversation's team, from its next step on."""
        self._world.team = self._world.team.joined(agent)

    async def __aenter__(self) -> "Stream":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leave the stream. A run that has not ended is cancelled, whole."""
        if self._items is not None:
            await self._items.aclose()

    def __aiter__(self) -> AsyncIterator[Item]:
        if self._items is not None:
            raise UsageError("A stream can be read once.")
        self._world.told = True
        return self._begin()

    async def finish(self) -> Response[Any]:
        """Read what is left, to the end, and give the response. Raises the run's error when it failed."""
        async for _ in self._items or self._begin():
            pass
        return self.response

    def _begin(self) -> AsyncGenerator[Item, None]:
        self._items = _drive(self._desk, self.conversation, self._opening, self._world, self._busy, self._key, self._came)
        return self._items


async def _drive(
    desk: Desk, name: str, opening: Opening, world: World, busy: Busy, key: str | None, came: list[Response[Any]]
) -> AsyncGenerator[Item, None]:
    """Drive a conversation, and put what came of it into `came`.

    It knows nothing of the stream that is read by it, so that a stream that is dropped closes it at once.
    """
    drive = Drive(Conversation(), world, desk.journal, driver=desk.driver)
    drive.when_late = lambda event: desk.late(name, event)
    claim = Claim(drive, key)
    await desk.take(name, claim, busy)
    kept: Kept | None = None
    try:
        kept = await desk.load(name)
        begin = await opening(kept.conversation)
        if isinstance(begin, Conversation):
            drive.conversation = begin
        else:
            drive.when_over = lambda: desk.left(name, world.team)
            drive.conversation = kept.conversation
            drive.driven = 0.0 if begins_anew(begin) else kept.driven
            world.cache, world.team = kept.cache, desk.team_of(name)
            async with aclosing(drive.items(*begin)) as items:
                async for item in items:
                    yield item
    finally:
        if kept is not None and drive.over:
            kept = None if drive.lost else Kept(drive.conversation, kept.cache, drive.driven)
        desk.release(name, claim, kept)
        for event in drive.early:
            desk.late(name, event)
    response = _respond(desk, drive)
    came.append(response)
    if response.status == "failed" and response.error is not None:
        raise response.error


def _respond(desk: Desk, drive: Drive) -> Response[Any]:
    c, team = drive.conversation, desk.team_of(drive.conversation.id)
    agent = team.member(c.active).agent if c.active in team else desk.team.entry
    error, failure = drive.error, drive.world.error
    if error is None and c.status is Status.ENDED and c.ended is not None and type(failure).__name__ == c.ended.error:
        error = failure
    if isinstance(error, SegueError):
        error.conversation = c.id
    elif error is not None:
        error.add_note(f"in conversation {c.id}")
    return Response(c, agent, error=error)


class SyncStream:
    """A `Stream` for sync code."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    @property
    def response(self) -> Response[Any]:
        """What came of the run, once the stream has ended."""
        return self._stream.response

    @property
    def conversation(self) -> str:
        """The conversation's id."""
        return self._stream.conversation

    def __enter__(self) -> "SyncStream":
        return self

    def __exit__(self, *exc: object) -> None:
        PORTAL.run(self._stream.aclose)

    def __iter__(self) -> Iterator[Item]:
        items = aiter(self._stream)
        ended = object()

        async def following() -> Any:
            return await anext(items, ended)

        try:
            while (item := PORTAL.run(following)) is not ended:
                yield item
        finally:
            PORTAL.run(self._stream.aclose)

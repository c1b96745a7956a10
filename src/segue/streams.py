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
        self._response: Response[Any] | None = None

    @property
    def response(self) -> Response[Any]:
        """What came of the run, once the stream has ended. Raises `UsageError` before."""
        if self._response is None:
            raise UsageError("The stream has not ended: read it to its end first.")
        return self._response

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
        self._items = self._drive()
        return self._items

    async def finish(self) -> Response[Any]:
        """Read what is left, to the end, and give the response. Raises the run's error when it failed."""
        async for _ in self._items or self:
            pass
        return self.response

    async def _drive(self) -> AsyncGenerator[Item, None]:
        desk, name, world = self._desk, self.conversation, self._world
        drive = Drive(Conversation(), world, desk.journal, driver=desk.driver)
        drive.when_late = lambda event: desk.late(name, event)
        claim = Claim(drive, self._key)
        await desk.take(name, claim, self._busy)
        kept: Kept | None = None
        try:
            kept = await desk.load(name)
            opening = await self._opening(kept.conversation)
            if isinstance(opening, Conversation):
                drive.conversation = opening
            else:
                drive.when_over = lambda: self._left(world)
                drive.conversation = kept.conversation
                drive.driven = 0.0 if begins_anew(opening) else kept.driven
                world.cache, world.team = kept.cache, desk.team_of(name)
                async with aclosing(drive.items(*opening)) as items:
                    async for item in items:
                        yield item
        finally:
            if kept is not None and drive.over:
                kept = None if drive.lost else Kept(drive.conversation, kept.cache, drive.driven)
            desk.release(name, claim, kept)
            for event in drive.early:
                desk.late(name, event)
        self._response = self._respond(drive)
        if self._response.status == "failed" and self._response.error is not None:
            raise self._response.error

    def _left(self, world: World) -> None:
        """The drive is over: whoever waits for the conversation need not wait for the consumer of this stream."""
        self._desk.keep_team(self.conversation, world.team)
        self._desk.wake(self.conversation)

    def _respond(self, drive: Drive) -> Response[Any]:
        c, team = drive.conversation, self._desk.team_of(self.conversation)
        agent = team.member(c.active).agent if c.active in team else self._desk.team.entry
        error = drive.error
        failure = drive.world.error
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

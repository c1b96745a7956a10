"""What happens in one run, while it happens, for whoever reads it: async or sync.
No rule of the machine lives here."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

from segue.agent import Agent
from segue.drive import Item
from segue.errors import UsageError
from segue.order import Order
from segue.portal import PORTAL
from segue.response import Response


class Stream:
    """What happens in one run, while it happens; `response` says what came of it."""

    def __init__(self, order: Order) -> None:
        self.conversation = order.name
        """The conversation's id."""
        self._order = order
        self._items: AsyncGenerator[Item, None] | None = None
        self._came: list[Response[Any]] = []

    @property
    def response(self) -> Response[Any]:
        """What came of the run, once the stream has ended. Raises `UsageError` before."""
        if not self._came:
            raise UsageError("The stream has not ended: read it to its end first.")
        return self._came[0]

    @property
    def ended(self) -> bool:
        """Whether there is a response."""
        return bool(self._came)

    def join(self, agent: Agent) -> None:
        """Take an agent into the conversation's team, from its next step on."""
        self._order.world.team = self._order.world.team.joined(agent)

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
        self._order.world.told = True
        return self._begin()

    async def finish(self) -> Response[Any]:
        """Read what is left, to the end, and give the response. Raises the run's error when it failed."""
        async for _ in self._items or self._begin():
            pass
        return self.response

    def _begin(self) -> AsyncGenerator[Item, None]:
        self._items = self._order.items(self._came)
        return self._items


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

"""Connections, kept per event loop, shared by every carrier on that loop, and closed with it.
A loop that ends in the usual way (`asyncio.run`, `asyncio.Runner`) first closes its asynchronous generators: one of them is
ours and holds the connections."""

import asyncio
from collections.abc import AsyncGenerator

import aiohttp

CONNECTIONS = 1000
"""How many requests of one loop may be under way at once; more wait their turn."""

_KEPT = "_segue_connections"


class Connections:
    """What one event loop keeps open."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session
        self.turn = asyncio.Semaphore(CONNECTIONS)
        self.busy = 0
        """How many requests are under way or wait."""
        self._keeper = _keep(session)

    async def __aenter__(self) -> aiohttp.ClientSession:
        self.busy += 1
        try:
            await self.turn.acquire()
        except BaseException:
            self.busy -= 1
            raise
        return self.session

    async def __aexit__(self, *error: object) -> None:
        self.busy -= 1
        self.turn.release()

    async def open(self) -> None:
        """Have the loop know what to close: a generator that was begun is closed with it."""
        await anext(self._keeper)

    async def aclose(self) -> None:
        """Close everything."""
        await self._keeper.aclose()


async def _keep(session: aiohttp.ClientSession) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await session.close()


async def connections() -> Connections:
    """The running loop's connections. They hold the loop, so only the loop may hold them."""
    loop = asyncio.get_running_loop()
    kept: Connections | None = getattr(loop, _KEPT, None)
    if kept is None or kept.session.closed:
        # without a limit of aiohttp's own: a request that waits for its turn must not be timed out for it
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
        )
        kept = Connections(session)
        setattr(loop, _KEPT, kept)
        await kept.open()
    return kept


async def close_idle() -> None:
    """Close the running loop's connections, if nobody else is using them."""
    kept: Connections | None = getattr(asyncio.get_running_loop(), _KEPT, None)
    if kept is not None and not kept.busy:
        await kept.aclose()

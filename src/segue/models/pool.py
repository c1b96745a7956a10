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
    """What one event loop keeps open. Entered for each request: it waits for its turn."""

    def __init__(self) -> None:
        # without a limit of aiohttp's own, which would count waiting as a part of connecting
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
        )
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self._busy = 0
        self._keeper = _keep(self.session)
        self._kept = False

    async def __aenter__(self) -> None:
        if not self._kept:
            self._kept = True
            await anext(self._keeper)  # a generator that was begun is closed with its loop
        self._busy += 1
        try:
            await self._turns.acquire()
        except asyncio.CancelledError:
            self._busy -= 1
            raise

    async def __aexit__(self, *error: object) -> None:
        self._busy -= 1
        self._turns.release()

    async def close_if_idle(self) -> None:
        """Close everything, if nobody is using it."""
        if not self._busy:
            await self._keeper.aclose()
            await self.session.close()


async def _keep(session: aiohttp.ClientSession) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await session.close()


def connections() -> Connections:
    """The running loop's connections. They hold the loop, so only the loop may hold them."""
    loop = asyncio.get_running_loop()
    kept: Connections | None = getattr(loop, _KEPT, None)
    if kept is None or kept.session.closed:
        kept = Connections()
        setattr(loop, _KEPT, kept)
    return kept

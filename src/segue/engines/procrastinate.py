"""Procrastinate as the engine: a queue in PostgreSQL, and workers on any number of machines.
Here is the engine's face; `queue` says what is put into the database, `delivery` what a worker does with it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from segue.errors import JournalError, UsageError

try:
    from procrastinate.exceptions import ConnectorException
    from psycopg import AsyncConnection, Error, ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    from segue.engines.delivery import Delivery, Pace
    from segue.engines.queue import make_tables, put, settle, watched
    from segue.engines.steady import reason
except ImportError as error:
    raise UsageError("Workers need Procrastinate, psycopg and libpq: pip install '.[workers]' in Segue's folder.") from error


class ProcrastinateEngine:
    """Gives conversations to workers, through a queue in a PostgreSQL database. It makes its tables itself.

    `concurrency`: how many conversations a worker drives at once. `heartbeat`: seconds between a worker's signs of life;
    `stalled`: seconds without one after which its conversations go to others. `sweep`: seconds between two searches for
    conversations that nobody submitted; it divides 60.
    """

    def __init__(self, conninfo: str, *, concurrency: int = 40, heartbeat: float = 1.0, stalled: float = 4.0, sweep: int = 15) -> None:
        if concurrency < 1:
            raise UsageError(f"concurrency={concurrency}: a worker drives one conversation at least.")
        if not 0 < 2 * heartbeat <= stalled:
            raise UsageError(
                f"heartbeat={heartbeat}, stalled={stalled}: a worker must be able to miss a sign of life; give stalled twice as long."
            )
        if sweep < 1 or 60 % sweep:
            raise UsageError(f"sweep={sweep}: give a number of seconds that divides 60.")
        try:
            self._place = _place(conninfo)
        except ProgrammingError:  # its words may hold the password
            raise UsageError("This is no address of a PostgreSQL database. It looks like postgresql://user@host:5432/database.") from None
        self._conninfo = watched(conninfo)
        self.concurrency = concurrency
        self._heartbeat = heartbeat
        self._stalled = stalled
        self._sweep = sweep
        self._tables = False

    async def submit(self, conversation: str) -> None:
        """Ask for a conversation to be driven; see `Engine.submit`. It opens a connection; `submit_within` needs none."""
        await self._make_tables()
        with _refusals():
            async with await AsyncConnection.connect(self._conninfo, autocommit=True) as connection:
                await settle(connection)
                async with connection.transaction():
                    await put(connection, conversation)

    def shares(self, journal: object) -> bool:
        """Whether the journal lives in this engine's database."""
        conninfo = getattr(journal, "conninfo", None)
        return isinstance(conninfo, str) and _place(conninfo) == self._place

    async def submit_within(self, connection: "AsyncConnection[Any]", conversation: str) -> None:
        """`submit` in the transaction that is open on a connection to the same database; see `Sharing`."""
        await self._make_tables()
        try:
            await put(connection, conversation)
        except ConnectorException as error:
            raise (error.__cause__ or error) from None  # whoever has the connection knows what to do about its errors

    async def work(
        self,
        drive: Callable[[str], Awaitable[None]],
        *,
        left: Callable[[], Awaitable[Iterable[str]]] | None = None,
        stop: asyncio.Event | None = None,
    ) -> None:
        """Be a worker; see `Engine.work`. A database that is away later on is waited for; one that refuses is a `JournalError`."""
        await self._make_tables()
        pace = Pace(self.concurrency, self._heartbeat, self._stalled, self._sweep)
        with _refusals():
            await Delivery(self._conninfo, drive, left, stop or asyncio.Event(), pace).run()

    async def _make_tables(self) -> None:
        if not self._tables:
            with _refusals():
                async with await AsyncConnection.connect(self._conninfo, autocommit=True) as connection:
                    await make_tables(connection)
            self._tables = True


def _place(conninfo: str) -> tuple[Any, ...]:
    """Which database, and which tables in it, a connection is to."""
    given = conninfo_to_dict(conninfo)
    return tuple(given.get(name) for name in ("service", "host", "hostaddr", "port", "dbname", "user", "options"))


@contextmanager
def _refusals() -> Iterator[None]:
    """Say in our own words that the database did not do it."""
    try:
        yield
    except (ConnectorException, Error) as error:
        raise JournalError(f"The queue's database did not do it: {reason(error)}") from error

"""A journal in PostgreSQL: for several processes and machines. It needs psycopg, which the extra `postgres` brings.
An append is one statement and therefore one transaction; who waits for events is told by LISTEN and NOTIFY, with ids only."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from segue.core.codec import decode, encode
from segue.core.events import DriveStarted, Event, InputGiven
from segue.errors import JournalConflict, JournalDamaged, JournalError, KeyReused, UsageError
from segue.journal.base import Line, Raw, Stored, Summary

try:
    from psycopg.errors import OperationalError, UniqueViolation

    from segue.journal.postgres_hold import Holds, lock_of
    from segue.journal.postgres_link import Address, Link, Links
    from segue.journal.postgres_wait import Listener, payload
    from segue.journal.postgres_work import transact
except ImportError as error:
    raise UsageError("A journal in PostgreSQL needs psycopg and libpq: pip install '.[postgres]' in Segue's folder.") from error

_UNTOLD = Summary()

_GRACE = 5.0
"""Seconds after its start in which the server may not have been told yet who lives: locks are taken again after a restart."""

_ALIVE = b"""
    SELECT NOT pg_try_advisory_xact_lock_shared(%s), extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::double precision
"""

Within = Callable[[Link], Awaitable[None]]


class _Here(NamedTuple):
    """What an event loop has of the journal."""

    links: Links
    listener: Listener

    async def close(self) -> None:
        await self.listener.close()
        await self.links.close()


class PostgresJournal:
    """Keeps events in a PostgreSQL database (14 or newer), in tables of its own that are made on first use.

    `conninfo`: "postgresql://user@host/database", or libpq's words; a connection to the server itself or to a pooler of
    sessions, not of transactions. `pool_size`: connections per event loop, at most; `patience`: seconds for which an operation
    outlasts a server that restarts or cannot be reached. Connections are kept per event loop and closed with it.
    """

    durable = True

    def __init__(self, conninfo: str, *, schema: str = "segue", pool_size: int = 10, patience: float = 60.0) -> None:
        if pool_size < 1 or not patience > 0:
            raise UsageError("pool_size is at least 1, and patience is more than 0 seconds.")
        self.conninfo = conninfo
        """The address: an engine whose queue is in the same database shares its transactions."""
        self._address = Address(conninfo, schema)
        self._sql = self._address.sql
        self._pool_size = pool_size
        self._patience = patience
        self._loops: dict[asyncio.AbstractEventLoop, _Here] = {}
        self._holds = Holds(self._address.connect_blocking, schema)

    def _here(self) -> _Here:
        loop = asyncio.get_running_loop()
        here = self._loops.get(loop)
        if here is None:
            for gone in [loop for loop in list(self._loops) if loop.is_closed()]:
                self._loops.pop(gone).links.abandon()
            links = Links(self._address, self._pool_size, self._patience)
            here = self._loops[loop] = _Here(links, Listener(links))
        return here

    # --- events

    async def append(
        self,
        conversation: str,
        seq: int,
        events: Sequence[Event],
        *,
        at: float,
        summary: Summary = _UNTOLD,
        within: Within | None = None,
    ) -> None:
        """Write events; see `Journal.append`.

        `within` is called with the connection, in the same transaction and before it is committed; more than once if the
        connection is lost.
        """
        if not events:
            last = await self._rows(self._sql.seq, [conversation])
            if seq != (last[0][0] if last else 0) + 1:
                raise _taken(conversation, seq, last[0][0] if last else 0)
            return
        rows = [encode(event) for event in events]
        given = {
            "conversation": conversation,
            "seq": seq,
            "last": seq + len(rows) - 1,
            "drive": max((seq + nth for nth, event in enumerate(events) if type(event) is DriveStarted), default=0),
            "at": at,
            "versions": [version for _, version, _ in rows],
            "kinds": [kind for kind, _, _ in rows],
            "data": [data.decode() for _, _, data in rows],
            "keys": [event.key for event in events if type(event) is InputGiven and event.key is not None],
            **summary._asdict(),
        }

        async def write(link: Link, again: bool) -> None:
            if await self._written(link, given, within) or (again and await self._written_before(link, given)):
                await link.execute(self._sql.tell, [payload(conversation)], prepare=True)  # apart: it makes commits wait for each other
            else:
                raise await self._conflict(link, conversation, seq)

        await self._here().links.patiently(write)

    async def _written(self, link: Link, given: dict[str, Any], within: Within | None) -> bool:
        """Write rows, the line and keys; whether the place was free."""
        statement = self._sql.begin if given["seq"] == 1 else self._sql.go_on
        try:
            if within is None:
                return (await link.execute(statement, given, prepare=True)).rowcount == 1
            async with link.transaction():
                free = (await link.execute(statement, given, prepare=True)).rowcount == 1
                if free:
                    await self._do_within(link, within)
                return free
        except UniqueViolation as error:
            if error.diag.schema_name == self._sql.schema and error.diag.table_name == "input_key":
                raise KeyReused("The key was used in another conversation. A key belongs to one input: give a new one.") from error
            if error.diag.schema_name == self._sql.schema and error.diag.table_name == "event":
                return False
            raise

    async def _do_within(self, link: Link, within: Within) -> None:
        try:
            await within(link)
        except Exception as error:
            if link.broken:  # whatever it calls that
                raise OperationalError("the connection was lost") from error
            raise

    async def _written_before(self, link: Link, given: dict[str, Any]) -> bool:
        """Whether the places hold exactly these rows: an attempt was committed, and its answer lost."""
        cursor = await link.execute(self._sql.rows, [given["conversation"], given["seq"] - 1])
        count = len(given["kinds"])
        ours = [(given["at"], *row) for row in zip(given["kinds"], given["versions"], given["data"], strict=True)]
        return [tuple(row[1:]) for row in await cursor.fetchmany(count)] == ours

    async def _conflict(self, link: Link, conversation: str, seq: int) -> JournalError:
        line, last = await (await link.execute(self._sql.last, {"conversation": conversation})).fetchone() or (None, None)
        if line != last:
            return JournalDamaged(f"Conversation {conversation} has {last or 0} events, but its line tells of {line or 0}.")
        return _taken(conversation, seq, line or 0)

    async def read(self, conversation: str, *, after: int = 0) -> list[Stored]:
        """The events after a place; see `Journal.read`."""
        return [Stored(row.seq, row.at, decode(row.kind, row.version, row.data)) for row in await self.raw(conversation, after=after)]

    async def raw(self, conversation: str, *, after: int = 0) -> list[Raw]:
        """The events after a place as they are stored; see `Journal.raw`."""
        rows = await self._rows(self._sql.rows, [conversation, after])
        if rows and (rows[0][0] != after + 1 or rows[-1][0] != after + len(rows)):
            raise JournalDamaged(f"Conversation {conversation} lacks events between places {after} and {rows[-1][0]}.")
        return [Raw(seq, at, kind, version, data) for seq, at, kind, version, data in rows]

    async def _rows(self, statement: bytes, given: Any) -> list[tuple[Any, ...]]:
        async def ask(link: Link, _: bool) -> list[tuple[Any, ...]]:
            return await (await link.execute(statement, given)).fetchall()

        return await self._here().links.patiently(ask)

    async def wait(self, conversation: str, *, after: int, timeout: float) -> None:
        """Return when there may be events after a place; see `Journal.wait`."""
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                with self._here().listener.told(conversation) as told:
                    last = await self._rows(self._sql.seq, [conversation])
                    if last and last[0][0] > after:
                        return
                    if error := await told:
                        raise error
        except TimeoutError:
            if not limit.expired():
                raise

    async def keyed(self, key: str) -> str | None:
        """The conversation that was given an input with this key."""
        rows = await self._rows(self._sql.keyed, [key])
        return rows[0][0] if rows else None

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
        wishes = {"agent": agent, "before": before, "since": since, "last": following and following.conversation}
        statement = self._sql.lines([name for name, wish in wishes.items() if wish is not None], by_status=bool(status))
        given = wishes | {"updated": following and following.updated, "status": sorted(set(status)), "limit": max(0, limit)}
        rows = await self._rows(statement, given)
        return [Line(name, seq, created, updated, Summary(*summary)) for name, seq, created, updated, *summary in rows]

    async def erase(self, conversation: str) -> bool:
        """Delete everything that is stored of a conversation; whether there was anything."""
        found = 0

        async def delete(link: Link, _: bool) -> None:
            nonlocal found
            async with link.transaction():
                for statement in self._sql.erase:
                    found += (await link.execute(statement, [conversation])).rowcount

        await self._here().links.patiently(delete)
        return found > 0

    # --- drivers

    async def hold(self, driver: str) -> None:
        """A driver lives: a lock of the server tells, for as long as this process is connected; see `Journal.hold`."""
        try:
            await self._within_patience(self._holds.want(driver, True))
        except BaseException:
            self._holds.want(driver, False)
            raise

    async def let_go(self, driver: str) -> None:
        """The driver drives no more."""
        await self._within_patience(self._holds.want(driver, False))

    async def _within_patience(self, done: "Future[None]") -> None:
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.wrap_future(done)
        except TimeoutError as error:
            words = "it cannot be reached, or another process has that driver's name."
            raise JournalError(f"PostgreSQL gave no lock for {self._patience:g} s: {words}") from error

    async def alive(self, driver: str) -> bool:
        """Whether a living process holds the driver; just after a restart of the server this waits until that can be known."""
        while True:
            ((held, age),) = await self._rows(_ALIVE, [lock_of(self._sql.schema, driver)])
            if held or age >= _GRACE:
                return bool(held)
            await asyncio.sleep(_GRACE - age)

    # --- tools

    def transact(self, conversation: str, fence: int, work: Callable[[Any], Event], *, at: float) -> Stored:
        """Commit a tool's work with its outcome; see `Transactional.transact`. `work` is given a `psycopg.Connection` of its own."""
        return transact(self._address, self._patience, conversation, fence, work, at)

    async def aclose(self) -> None:
        """Close all connections, those of other event loops too, and let go of all drivers."""
        running = asyncio.get_running_loop()
        while self._loops:
            loop, here = self._loops.popitem()
            if loop is running:
                await here.close()
            elif loop.is_running():
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(here.close(), loop))
            else:
                here.links.abandon()
        await asyncio.wrap_future(self._holds.close())


def _taken(conversation: str, seq: int, last: int) -> JournalConflict:
    return JournalConflict(f"Place {seq} of conversation {conversation} is taken or not reached yet; the next is {last + 1}.")

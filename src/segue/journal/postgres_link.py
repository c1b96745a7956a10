"""Connections to PostgreSQL: how one is opened, what its errors mean, and those that an event loop keeps open.
They are kept here and not by a library's pool, because who waits here wants to be served as soon as the server is back, to be
told why it is not, and to leave no task behind when the loop ends."""

import asyncio
import contextlib
import os
import random
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow

from segue.errors import JournalError, JournalFull, JournalNewer, SegueError, UsageError
from segue.journal.postgres_sql import VERSION, Statements

T = TypeVar("T")
Link = psycopg.AsyncConnection[TupleRow]

_DEFAULTS = {
    "fallback_application_name": "segue",
    "connect_timeout": "10",
    "keepalives_idle": "15",  # a server that went away without a word is noticed within a minute
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "35000",
}

SETTLE = b"""
    SELECT set_config('default_transaction_isolation', 'read committed', false),
           set_config('synchronous_commit', CASE setting WHEN 'off' THEN 'on' ELSE setting END, false)
    FROM current_setting('synchronous_commit') AS setting
"""
"""What appends and queues rely on, whatever the defaults of the database or the role are."""

_PASSING = frozenset(
    {
        *("40001", "40P01", "55P03", "57014"),  # in each other's way, or too slow for a limit of the server's
        *("57P01", "57P02", "57P03", "57P05", "25P03"),  # stopping, starting, tired of a quiet connection
        *("53300", "25006"),  # full; not, or not yet, the one that is written to
    }
)
_HOPELESS = re.compile(r"authentication failed|no pg_hba\.conf entry|no password supplied|(role|user|database) .*does not exist")
_LONGEST_PAUSE = 1.0


class Address:
    """Where the journal is, and how to get there."""

    def __init__(self, conninfo: str, schema: str) -> None:
        try:
            given = conninfo_to_dict(conninfo)
        except psycopg.ProgrammingError:  # its words may hold the password
            raise UsageError("This is no address of a database. It looks like postgresql://user@host:5432/database.") from None
        if not 0 < len(schema.encode("utf-8", "replace")) < 64 or "\0" in schema or "%" in schema:
            raise UsageError(f"schema={schema!r}: the name of a schema has 1 to 63 bytes, and no NUL or % in it.")
        self._options: dict[str, Any] = {**_DEFAULTS, **given, "client_encoding": "UTF8"}
        self.sql = Statements(schema)
        self._made = False

    async def connect(self) -> Link:
        """Open a connection; the first one makes the tables where there are none."""
        link = await psycopg.AsyncConnection.connect(**self._options, autocommit=True)
        try:
            await link.execute(SETTLE)
            if not self._made:
                await _make(link, self.sql)
                self._made = True
        except BaseException:
            await link.close()
            raise
        return link

    def connect_blocking(self) -> psycopg.Connection[TupleRow]:
        """Open a connection for code that blocks; the tables are there."""
        link = psycopg.Connection.connect(**self._options, autocommit=True)
        try:
            link.execute(SETTLE)
        except BaseException:
            link.close()
            raise
        return link


async def _make(link: Link, sql: Statements) -> None:
    """Make the tables, or bring them up to date; many processes may try at once."""
    encoding = link.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise UsageError(f"The database has the encoding {encoding}: a journal needs one that was created with ENCODING 'UTF8'.")
    version = await _version(link, sql)
    if version < VERSION:
        async with link.transaction():
            await link.execute("SELECT pg_advisory_xact_lock(%s)", [sql.lock])
            if (await link.execute(sql.has_schema)).rowcount == 0:
                await link.execute(sql.make_schema)
            version = await _version(link, sql)
            for migration in sql.migrations[version:]:
                await link.execute(migration)
            await link.execute(sql.migrated, [max(version, VERSION)])
    if version > VERSION:
        raise JournalNewer(f"The tables in schema {sql.schema} are of a newer version of Segue (layout {version}): use that one.")


async def _version(link: Link, sql: Statements) -> int:
    if (await link.execute(sql.has_tables)).rowcount == 0:
        return 0
    row = await (await link.execute(sql.version)).fetchone()
    if row is None or type(row[0]) is not int or row[0] < 1:
        raise JournalError(f"The table {sql.schema}.journal does not say what version of Segue made it.")
    return row[0]


class Links:
    """The connections of one event loop, opened when they are needed and closed with the loop."""

    def __init__(self, address: Address, size: int, patience: float) -> None:
        self.sql = address.sql
        self.connect = address.connect
        self.pid = os.getpid()
        self._patience = patience
        self._idle: list[Link] = []
        self._turns = asyncio.Semaphore(size)
        self._keeper: AsyncGenerator[None] | None = None

    async def patiently(self, work: Callable[[Link, bool], Awaitable[T]]) -> T:
        """Do something on a connection, and again on another where that one is lost or the server is restarting.

        `work` is told whether it may have been done before: what became of it then is not known. Raises `JournalError` when
        patience is over, and at once where waiting does not help.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + self._patience
        begun = False
        failure: Exception | None = None
        for pause in pauses():
            limit = asyncio.timeout_at(end)
            try:
                async with limit, self._one() as link:
                    again, begun = begun, True
                    return await work(link, again)
            except (psycopg.Error, UnicodeEncodeError) as error:
                if not passing(error):
                    raise refused(error) from error
                failure = error
                await self._drop_idle()  # they were cut off with this one, more likely than not
            except TimeoutError as error:
                if not limit.expired():
                    raise
                raise out_of_reach(self._patience, failure) from error
            if loop.time() + pause >= end:
                raise out_of_reach(self._patience, failure) from failure
            await asyncio.sleep(pause)
        raise AssertionError("pauses never end")

    @contextlib.asynccontextmanager
    async def _one(self) -> AsyncIterator[Link]:
        async with self._turns:
            if self._keeper is None:
                self._keeper = self._keep()
                await anext(self._keeper)  # a generator that was begun is closed with its loop
            link = self._idle.pop() if self._idle else await self.connect()
            try:
                yield link
            finally:
                if self._keeper is not None and link.pgconn.transaction_status == TransactionStatus.IDLE:
                    self._idle.append(link)
                else:
                    await link.close()

    async def _keep(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._keeper = None
            await self._drop_idle()

    async def _drop_idle(self) -> None:
        while self._idle:
            await self._idle.pop().close()

    async def close(self) -> None:
        """Close what nobody uses; what is in use is closed after that."""
        if self._keeper is not None:
            await self._keeper.aclose()

    def abandon(self) -> None:
        """Close everything at once, where the loop has gone without closing it; another process's connections are left alone."""
        idle, self._idle = self._idle, []
        for link in idle if self.pid == os.getpid() else ():
            link.pgconn.finish()


def pauses() -> Iterator[float]:
    """Seconds to wait between attempts: growing, and not the same for everybody."""
    longest = 0.05
    while True:
        yield random.uniform(longest / 2, longest)  # noqa: S311
        longest = min(_LONGEST_PAUSE, longest * 2)


def passing(error: Exception) -> bool:
    """Whether it may go better on another connection, or later."""
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is not None:
        return error.sqlstate in _PASSING or error.sqlstate.startswith("08")
    return isinstance(error, psycopg.OperationalError) and not _HOPELESS.search(str(error))


def refused(error: Exception) -> SegueError:
    """What an error of PostgreSQL means that will not pass by itself."""
    unsendable = isinstance(error, psycopg.DataError) and error.sqlstate is None
    if unsendable or isinstance(error, UnicodeEncodeError | psycopg.errors.ProgramLimitExceeded):
        return UsageError(
            "PostgreSQL cannot keep this conversation's id, key or agent's name: "
            "it is longer than 2,600 bytes, or has a NUL or half a surrogate pair in it."
        )
    if isinstance(error, psycopg.errors.DiskFull):
        return JournalFull("The disk of the PostgreSQL server is full. Nothing of this was written: make room, then resume.")
    return JournalError(f"PostgreSQL refused: {words(error)}")


def out_of_reach(patience: float, error: Exception | None) -> JournalError:
    """Patience is over."""
    reason = words(error) if error is not None else "it did not answer, or all connections were in use."
    return JournalError(
        f"PostgreSQL could not be used for {patience:g} s: {reason} Look at the server, then resume the conversation: "
        "whether the last write arrived is not known here, but the journal knows."
    )


def words(error: Exception) -> str:
    """The first line of what the server or the library said; the others may hold data."""
    said = (isinstance(error, psycopg.Error) and error.diag.message_primary) or str(error)
    line = next((line.strip() for line in said.splitlines() if line.strip()), type(error).__name__)
    return line if line.endswith(".") else f"{line}."

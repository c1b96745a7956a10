"""The queue: conversations that are to be driven, as jobs of Procrastinate in PostgreSQL.
What a job is, and how one is put there or replaced, is said here, on connections of the caller's; nobody drives here."""

import re
from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any

from procrastinate import PsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.manager import JobManager
from procrastinate.schema import SchemaManager
from procrastinate.sql import queries
from procrastinate.tasks import configure_task
from procrastinate.utils import utcnow
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from segue.errors import UsageError
from segue.journal.postgres_link import SETTLE

QUEUE = "segue"
DRIVE = "segue.drive"
"""The task whose jobs have the arguments `conversation` and `tries`."""

_JOBS = JobManager(PsycopgConnector())
_TABLES = 5_140_427_017
"""The advisory lock under which tables are made."""


_WATCHED = {
    "fallback_application_name": "segue worker",
    "connect_timeout": "10",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}


def watched(conninfo: str) -> str:
    """The address, where a server that went away without a word is noticed within seconds, unless it says otherwise itself."""
    given: dict[str, Any] = {**_WATCHED, **conninfo_to_dict(conninfo)}
    return make_conninfo(**given)


async def settle(connection: "AsyncConnection[Any]") -> None:
    """Have what a queue relies on, whatever the defaults of the database are: what is committed stays, and is seen at once."""
    await connection.execute(SETTLE)
    await connection.commit()


def lock_of(conversation: str) -> str:
    """A conversation's name among the locks: one job of a name is under way at a time, and one more may wait."""
    return f"segue:{conversation}"


async def put(connection: "AsyncConnection[Any]", conversation: str, *, wait: float = 0.0, tries: int = 0) -> None:
    """Let a conversation be driven, after `wait` seconds. A job that waits already does as well, and now waits no longer."""
    lock = lock_of(conversation)
    while True:
        # The caller's transaction now holds the row. No worker can take the job, and look, before it sees what the caller wrote.
        waiting = await connection.execute(
            "UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE queueing_lock = %s AND status = 'todo'", (lock,)
        )
        if waiting.rowcount:
            return
        job = configure_task(
            name=DRIVE,
            job_manager=_JOBS,
            queue=QUEUE,
            lock=lock,
            queueing_lock=lock,
            schedule_at=utcnow() + timedelta(seconds=wait) if wait else None,
            connection=connection,
        )
        try:
            async with connection.transaction():  # a savepoint, where one is open
                await job.defer_async(conversation=conversation, tries=tries)
            return
        except AlreadyEnqueued:
            continue  # somebody else has just put one there


async def put_back(connection: "AsyncConnection[Any]", job: int, conversation: str, *, wait: float = 0.0, tries: int = 0) -> bool:
    """Put a new job in the place of one that is under way; `False` if it is that no more.

    Procrastinate's own retry keeps the job: it fails where another one waits already, and leaves a worker that was thought
    dead able to end what another one drives.
    """
    async with connection.transaction():
        gone = await take_away(connection, job)
        if gone:
            await put(connection, conversation, wait=wait, tries=tries)
    return gone


async def take_away(connection: "AsyncConnection[Any]", job: int) -> bool:
    """Delete a job that is under way; `False` if it is that no more."""
    return (await connection.execute("DELETE FROM procrastinate_jobs WHERE id = %s AND status = 'doing'", (job,))).rowcount > 0


async def without_job(connection: "AsyncConnection[Any]", conversations: Iterable[str]) -> list[str]:
    """Those of the conversations that are neither waiting to be driven nor being driven."""
    locks = {lock_of(name): name for name in conversations}
    found = await connection.execute(
        "SELECT queueing_lock FROM procrastinate_jobs WHERE queueing_lock = ANY(%(locks)s) AND status = 'todo' "
        "UNION SELECT lock FROM procrastinate_jobs WHERE lock = ANY(%(locks)s) AND status = 'doing'",
        {"locks": list(locks)},
    )
    known = {row[0] for row in await found.fetchall()}
    return [name for lock, name in locks.items() if lock not in known]


async def make_tables(connection: "AsyncConnection[Any]") -> None:
    """Make Procrastinate's tables if there are none; any number of processes may do so at once.

    Raises `UsageError` where there are tables of another version.
    """
    needed = sorted(set(re.findall(r"procrastinate_\w+_v\d+(?=\()", " ".join(queries.values()))))
    if not await _missing(connection, needed):
        return
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_TABLES,))
        missing = await _missing(connection, needed)
        if len(missing) == len(needed):
            await connection.execute(SchemaManager.get_schema())
        elif missing:
            raise UsageError(
                f"The tables of Procrastinate in this database are of another version ({missing[0]} is missing). "
                "Apply its migrations, or install the version that made them."
            )


async def _missing(connection: "AsyncConnection[Any]", functions: Collection[str]) -> list[str]:
    found = await connection.execute(  # of the table itself: `to_regproc` does not hear at once of what others have just made
        "SELECT name FROM unnest(%s::text[]) AS name "
        "WHERE NOT EXISTS (SELECT FROM pg_proc WHERE proname = name AND pg_function_is_visible(oid))",
        (list(functions),),
    )
    return [row[0] for row in await found.fetchall()]

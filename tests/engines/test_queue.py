import asyncio
import contextlib

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from segue.engines.queue import make_tables, put, put_back, settle, watched, without_job
from segue.errors import UsageError
from tests.engines.workers import jobs, process, rows

MAKING = """
import asyncio, sys
from segue.engines.procrastinate import ProcrastinateEngine
asyncio.run(ProcrastinateEngine(sys.argv[1]).submit(sys.argv[2]))
"""


@contextlib.asynccontextmanager
async def connected(address, *, tables=True):
    async with await psycopg.AsyncConnection.connect(address, autocommit=True) as connection:
        if tables:
            await make_tables(connection)
        yield connection


def taken(address):
    """Take a job out of the queue, as a worker does; its id."""
    worker = rows(address, "SELECT worker_id FROM procrastinate_register_worker_v1()")[0][0]
    return rows(address, "SELECT id FROM procrastinate_fetch_job_v2(%s, %s)", (["segue"], worker))[0][0]


async def test_a_conversation_waits_once_however_often_it_is_put_there(database):
    async with connected(database) as connection:
        for _ in range(3):
            await put(connection, "c1")
        await put(connection, "c2")
    assert jobs(database) == [("c1", "todo"), ("c2", "todo")]


async def test_one_that_is_being_driven_may_wait_once_more(database):
    async with connected(database) as connection:
        await put(connection, "c1")
        taken(database)
        await put(connection, "c1")
        await put(connection, "c1")
        assert jobs(database) == [("c1", "doing"), ("c1", "todo")]
        assert taken(database) is None


async def test_a_second_wish_inside_a_transaction_leaves_the_transaction_whole(database):
    async with connected(database) as connection:
        await put(connection, "c1")
        async with connection.transaction():
            await connection.execute("CREATE TABLE told (words text)")
            await put(connection, "c1")
            await connection.execute("INSERT INTO told VALUES ('all of it')")
        assert rows(database, "SELECT words FROM told") == [("all of it",)]
    assert jobs(database) == [("c1", "todo")]


async def test_a_wish_goes_with_the_transaction_that_is_rolled_back(database):
    async with connected(database) as connection:
        async with connection.transaction(force_rollback=True):
            await put(connection, "c1")
            await put(connection, "c1")
    assert jobs(database) == []


async def test_nobody_takes_a_job_before_those_who_rely_on_it_have_committed(database):
    async with connected(database) as connection:
        await put(connection, "c1")
        async with connection.transaction():
            await put(connection, "c1")
            assert taken(database) is None
        assert taken(database) is not None


async def test_two_transactions_that_put_the_same_conversation_there_at_once_both_commit(database):
    async with connected(database) as first, connected(database) as second:
        async with first.transaction():
            await put(first, "c1")
            other = asyncio.create_task(put(second, "c1"))
            while not rows(database, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
                await asyncio.sleep(0.01)
        await other
    assert jobs(database) == [("c1", "todo")]


async def test_a_new_wish_waits_no_longer_than_it_must_for_an_old_one_that_failed(database):
    async with connected(database) as connection:
        await put(connection, "c1", wait=3600)
        assert taken(database) is None
        await put(connection, "c1")
    assert taken(database) is not None


async def test_a_job_that_is_put_back_is_a_new_one_and_the_old_one_is_gone(database):
    async with connected(database) as connection:
        await put(connection, "c1")
        job = taken(database)
        assert await put_back(connection, job, "c1", tries=2)
        assert not await put_back(connection, job, "c1")
    assert rows(database, "SELECT id = %s, status::text, args->>'tries' FROM procrastinate_jobs", (job,)) == [(False, "todo", "2")]


async def test_a_job_can_be_put_back_where_another_one_waits_already(database):
    async with connected(database) as connection:
        await put(connection, "c1")
        job = taken(database)
        await put(connection, "c1")
        assert await put_back(connection, job, "c1")
    assert jobs(database) == [("c1", "todo")]


async def test_those_without_a_job_are_neither_waiting_nor_being_driven(database):
    async with connected(database) as connection:
        await put(connection, "driven")
        taken(database)
        await put(connection, "waiting")
        assert await without_job(connection, ["a", "driven", "b", "waiting"]) == ["a", "b"]
        assert await without_job(connection, []) == []


async def test_many_processes_make_the_tables_at_once(database):
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(process(MAKING, database, f"c{number}")) for number in range(8)]
        assert [await asyncio.to_thread(one.wait) for one in started] == [0] * 8
    assert sorted(jobs(database)) == [(f"c{number}", "todo") for number in range(8)]


async def test_tables_of_another_version_are_told_and_left_alone(database):
    async with connected(database) as connection:
        await connection.execute("DROP FUNCTION procrastinate_fetch_job_v2")
        with pytest.raises(UsageError, match="of another version \\(procrastinate_fetch_job_v2 is missing\\)"):
            await make_tables(connection)
    assert rows(database, "SELECT to_regproc('procrastinate_fetch_job_v2')") == [(None,)]


async def test_a_database_with_other_defaults_serves_as_well(database):
    rows(database, "ALTER ROLE segue SET synchronous_commit = off")
    rows(database, "ALTER ROLE segue SET default_transaction_isolation = 'serializable'")
    try:
        async with connected(database) as connection:
            await settle(connection)
            found = await connection.execute("SELECT current_setting('synchronous_commit'), current_setting('transaction_isolation')")
            assert await found.fetchone() == ("on", "read committed")
    finally:
        rows(database, "ALTER ROLE segue RESET ALL")


def test_an_address_keeps_what_it_says_itself():
    given = conninfo_to_dict(watched("postgresql://app:secret@db/segue?connect_timeout=3"))
    assert (given["user"], given["password"], given["connect_timeout"], given["keepalives_idle"]) == ("app", "secret", "3", "5")

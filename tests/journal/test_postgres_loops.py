"""What the journal in PostgreSQL has open: connections per event loop, one to listen on, one for the locks of drivers."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from segue.core.events import DriveStarted, Started
from segue.journal.base import follow
from segue.journal.postgres import PostgresJournal
from tests.postgres import name_of

LONG = 600.0
"""Seconds that no test lasts: whoever waits so long was not woken."""


@pytest.fixture
async def journal(database):
    journal = PostgresJournal(database)
    yield journal
    await journal.aclose()


@pytest.fixture
def sessions(postgres, database):
    """How many connections there are whose last statement begins in this way, seen from outside."""

    def count(words: str = "") -> int:
        where = f"application_name = 'segue' AND datname = '{name_of(database)}' AND query ILIKE '{words}%'"
        return int(postgres.run_sql(f"SELECT count(*) FROM pg_stat_activity WHERE {where}"))

    return count


async def until(what, wanted) -> None:
    """Look again and again, from a thread: what is looked at may take its time."""
    async with asyncio.timeout(60):
        while await asyncio.to_thread(what) != wanted:
            await asyncio.sleep(0.01)


def woken(awaited):
    return asyncio.wait_for(awaited, 60)


# --- waiting


async def test_who_waits_is_woken_by_an_append_of_another_journal(journal, database):
    other = PostgresJournal(database)
    await other.append("c", 1, [Started("c", "A")], at=1.0)

    async def see(count):
        seen = []
        async with contextlib.aclosing(follow(journal, "c")) as stored:
            async for row in stored:
                seen.append(row.seq)
                if len(seen) == count:
                    return seen
        return seen

    seeing = asyncio.create_task(woken(see(11)))
    for seq in range(2, 12):
        await other.append("c", seq, [DriveStarted("d")], at=1.0)
        await asyncio.sleep(0.02)
    assert await seeing == list(range(1, 12))
    await other.aclose()


async def test_who_waits_is_woken_by_the_outcome_of_a_transaction(journal, sessions):
    await journal.append("c", 1, [Started("c", "A"), DriveStarted("d")], at=1.0)
    await journal.wait("c", after=2, timeout=0.01)
    waiting = asyncio.create_task(woken(wait_for_place(journal, 3)))
    await until(lambda: sessions("LISTEN"), 1)
    await asyncio.to_thread(journal.transact, "c", 2, lambda db: DriveStarted("x"), at=1.0)
    await waiting


async def wait_for_place(journal: PostgresJournal, seq: int, name: str = "c") -> None:
    while len(await journal.read(name)) < seq:
        await journal.wait(name, after=seq - 1, timeout=LONG)


async def test_an_append_that_falls_into_the_time_without_a_connection_still_wakes(journal, postgres, sessions, database):
    await journal.append("c", 1, [Started("c", "A")], at=1.0)
    other = PostgresJournal(database)
    for seq in range(2, 8):
        waiting = asyncio.create_task(woken(wait_for_place(journal, seq)))
        await until(lambda: sessions("LISTEN"), 1)
        cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = '{name_of(database)}'"
        await asyncio.gather(asyncio.to_thread(postgres.run_sql, cut), other.append("c", seq, [DriveStarted("d")], at=1.0))
        await waiting
    await other.aclose()


async def test_who_waits_is_woken_after_a_restart_of_the_server(journal, postgres):
    await journal.append("c", 1, [Started("c", "A")], at=1.0)
    waiting = asyncio.create_task(woken(wait_for_place(journal, 2)))
    await asyncio.to_thread(postgres.restart)
    await journal.append("c", 2, [DriveStarted("d")], at=1.0)
    await waiting


async def test_waiting_ends_when_its_time_is_over_or_there_is_something_already(journal):
    await journal.append("c", 1, [Started("c", "A")], at=1.0)
    await journal.wait("c", after=1, timeout=0.05)
    await journal.wait("nowhere", after=0, timeout=0)
    await woken(journal.wait("c", after=0, timeout=LONG))
    await woken(journal.wait("c", after=0, timeout=LONG))


async def test_an_id_that_is_too_long_to_be_told_wakes_all_the_same(journal, sessions):
    name = "x" * 9000  # so long, and yet short in an index
    await journal.append(name, 1, [Started(name, "A")], at=1.0)
    waiting = asyncio.create_task(woken(wait_for_place(journal, 2, name)))
    await until(lambda: sessions("LISTEN"), 1)
    await journal.append(name, 2, [DriveStarted("d")], at=1.0)
    await waiting


async def test_many_who_wait_share_one_connection_and_none_is_there_for_nobody(journal, sessions):
    await journal.append("c", 1, [Started("c", "A")], at=1.0)
    assert await asyncio.to_thread(sessions, "LISTEN") == 0
    waiting = [asyncio.create_task(woken(wait_for_place(journal, 2, f"c{nth % 5}"))) for nth in range(50)]
    await until(lambda: sessions("LISTEN"), 1)
    for nth in range(5):
        await journal.append(f"c{nth}", 1, [Started("c", "A"), DriveStarted("d")], at=1.0)
    await asyncio.gather(*waiting)
    assert await asyncio.to_thread(sessions, "LISTEN") == 1
    await journal.aclose()
    await until(lambda: sessions(), 0)


# --- event loops


async def use(journal: PostgresJournal, name: str) -> None:
    await journal.append(name, 1, [Started(name, "A")], at=1.0)
    await journal.wait(name, after=1, timeout=0.05)
    await asyncio.gather(*(journal.read(name) for _ in range(20)))


def test_a_journal_outlives_its_event_loops_and_leaves_nothing_open_in_them(database, sessions):
    journal = PostgresJournal(database)
    for nth in range(3):
        asyncio.run(use(journal, f"c{nth}"))
        asyncio.run(until(lambda: sessions(), 0))
    assert len(asyncio.run(journal.conversations())) == 3


def test_a_loop_that_is_closed_without_its_end_leaves_nothing_open_either(database, sessions):
    journal = PostgresJournal(database)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(journal.append("c", 1, [Started("c", "A")], at=1.0))
    loop.close()
    asyncio.run(journal.read("c"))
    asyncio.run(until(lambda: sessions(), 0))


async def test_closing_a_journal_closes_what_other_loops_have_of_it(database, sessions):
    journal = PostgresJournal(database)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(use(journal, "c"), loop))
    await use(journal, "d")
    await journal.hold("d_1")
    assert await asyncio.to_thread(sessions) > 2
    await journal.aclose()
    await until(lambda: sessions(), 0)
    assert len(await journal.read("c")) == 1
    await journal.aclose()
    loop.call_soon_threadsafe(loop.stop)
    await asyncio.to_thread(thread.join)
    loop.close()


async def test_no_more_connections_are_opened_than_allowed(database, sessions):
    journal = PostgresJournal(database, pool_size=3)
    await asyncio.gather(*(journal.append(f"c{nth}", 1, [Started("c", "A")], at=1.0) for nth in range(50)))
    assert await asyncio.to_thread(sessions) == 3
    await journal.aclose()


async def test_who_is_cancelled_in_the_middle_leaves_the_connections_usable(journal):
    await journal.append("c", 1, [Started("c", "A")], at=1.0)
    for nth in range(40):
        task = asyncio.create_task(journal.append(f"d{nth}", 1, [Started("c", "A")], at=1.0))
        await asyncio.sleep(0.0001 * nth)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(await journal.read("c")) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_opens_connections_of_its_own_and_leaves_its_parents_alone(database):
    journal = PostgresJournal(database)
    sessions: list[int] = []

    async def note(link):
        sessions.append(link.info.backend_pid)

    with asyncio.Runner() as parent:
        parent.run(journal.append("c", 1, [Started("c", "A")], at=1.0, within=note))
        parent.run(journal.hold("d_1"))
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                asyncio.run(in_the_child(journal))
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        parent.run(journal.append("c", 3, [DriveStarted("d")], at=1.0, within=note))
        assert sessions == [sessions[0]] * 2
        assert parent.run(journal.alive("d_1"))
        assert not parent.run(journal.alive("d_2"))
        parent.run(journal.aclose())


async def in_the_child(journal: PostgresJournal) -> None:
    await journal.append("c", 2, [DriveStarted("d")], at=1.0)
    await journal.hold("d_2")
    assert await journal.alive("d_2")
    await journal.aclose()


# --- drivers


HOLD = """
import asyncio, sys, time
from segue.journal.postgres import PostgresJournal

async def main():
    journal = PostgresJournal(sys.argv[1])
    for driver in sys.argv[2:]:
        await journal.hold(driver)
    print("held", flush=True)
    await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


@contextlib.contextmanager
def holder(database: str, *drivers: str):
    """Another process that holds drivers until it is killed."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, database, *drivers], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


async def test_a_driver_is_alive_until_its_process_is_killed(journal, database):
    with holder(database, "d_1", "d_2") as process:
        assert await journal.alive("d_1")
        assert await journal.alive("d_2")
        assert not await journal.alive("d_3")
        process.kill()
        process.wait()
    async with asyncio.timeout(60):
        while await journal.alive("d_1") or await journal.alive("d_2"):
            await asyncio.sleep(0.01)


async def test_a_driver_that_is_let_go_is_not_alive_and_the_others_are(journal, database):
    other = PostgresJournal(database)
    await asyncio.gather(*(journal.hold(f"d_{nth}") for nth in range(20)))
    for nth in range(0, 20, 2):
        await journal.let_go(f"d_{nth}")
    assert [await other.alive(f"d_{nth}") for nth in range(20)] == [False, True] * 10
    await asyncio.gather(*(journal.let_go(f"d_{nth}") for nth in range(20)))
    assert not any([await other.alive(f"d_{nth}") for nth in range(20)])
    await journal.let_go("d_99")
    await journal.hold("d_1")
    assert await other.alive("d_1")
    await other.aclose()


async def test_a_driver_outlives_the_event_loop_on_which_it_was_held(database, journal):
    held = PostgresJournal(database)
    await asyncio.to_thread(lambda: asyncio.run(held.hold("d_1")))
    assert await journal.alive("d_1")
    await held.aclose()
    assert not await journal.alive("d_1")


async def test_drivers_are_held_again_after_a_restart_and_nobody_takes_them_for_dead_in_between(journal, database, postgres):
    with holder(database, "d_1", "d_2") as process:
        process.send_signal(signal.SIGSTOP)
        await asyncio.to_thread(postgres.restart)
        asked = [asyncio.create_task(journal.alive(driver)) for driver in ("d_1", "d_2", "d_3")]
        await journal.read("c")
        await asyncio.sleep(0.2)
        process.send_signal(signal.SIGCONT)
        assert await asyncio.gather(*asked) == [True, True, False]


async def test_a_lock_whose_connection_is_cut_is_taken_again(journal, database, postgres):
    await journal.hold("d_1")
    other = PostgresJournal(database)
    for _ in range(3):
        cut = f"SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = '{name_of(database)}')"
        await asyncio.to_thread(postgres.run_sql, cut)
        async with asyncio.timeout(60):
            while not await other.alive("d_1"):
                await asyncio.sleep(0.01)
    await other.aclose()


async def test_a_driver_is_held_as_soon_as_the_server_is_there(journal, postgres):
    await asyncio.to_thread(postgres.stop)
    holding = asyncio.create_task(journal.hold("d_1"))
    await asyncio.sleep(0.1)
    assert not holding.done()
    await asyncio.to_thread(postgres.start)
    await woken(holding)
    assert await journal.alive("d_1")


async def test_looking_whether_a_driver_lives_keeps_nobody_from_holding_it(journal, database):
    other = PostgresJournal(database)
    stop = time.monotonic() + 1

    async def look():
        while time.monotonic() < stop:
            await other.alive("d_1")

    async def come_and_go():
        while time.monotonic() < stop:
            await journal.hold("d_1")
            await journal.let_go("d_1")

    await asyncio.gather(come_and_go(), *(look() for _ in range(5)))
    await other.aclose()

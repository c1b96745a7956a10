import signal
import time

import pytest

from tests.engines.workers import Ledger, jobs, process, quick, rows, until

WORKER = """
import asyncio, sys, time
from pathlib import Path
from tests.engines.workers import Ledger, quick

address, ledger, seconds = sys.argv[1], Ledger(Path(sys.argv[2])), float(sys.argv[3])

async def drive(conversation):
    ledger.write("begun", conversation)
    await asyncio.to_thread(time.sleep, seconds)
    ledger.write("ended", conversation)

asyncio.run(quick(address).work(drive))
"""


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger")


def begun_by(ledger, worker):
    return [entry.conversation for entry in ledger.read("begun") if entry.pid == worker.pid]


async def two_workers(address):
    await until(lambda: rows(address, "SELECT count(*) FROM procrastinate_workers") == [(2,)])


async def test_what_a_killed_worker_was_driving_goes_to_another_one_and_is_still_driven_by_one_at_a_time(database, ledger, capsys):
    engine = quick(database)
    with process(WORKER, database, str(ledger.path), "600") as first:
        await engine.submit("c1")
        await until(lambda: begun_by(ledger, first))
        await engine.submit("c1")
        with process(WORKER, database, str(ledger.path), "0") as second:
            await two_workers(database)
            killed = time.time()
            first.kill()
            await until(lambda: not jobs(database))
            taken = ledger.read("begun")[1]
    with capsys.disabled():
        print(f"\ntaken over {taken.at - killed:.1f} s after kill -9, where a worker is thought dead after 3 s")
    assert begun_by(ledger, second) == ["c1"]
    assert [entry.what for entry in ledger.read()] == ["begun", "begun", "ended"]


@pytest.mark.slow
async def test_a_worker_that_was_stopped_and_wakes_again_leaves_what_others_took_over_alone_and_works_on(database, ledger):
    engine = quick(database)
    with process(WORKER, database, str(ledger.path), "2") as first:
        await engine.submit("c1")
        await until(lambda: begun_by(ledger, first))
        first.send_signal(signal.SIGSTOP)
        with process(WORKER, database, str(ledger.path), "4") as second:
            await until(lambda: begun_by(ledger, second))
            first.send_signal(signal.SIGCONT)
            await until(lambda: first.pid in [entry.pid for entry in ledger.read("ended")])
            assert jobs(database) == [("c1", "doing")]
            await until(lambda: not jobs(database))
        await engine.submit("c2")
        await until(lambda: "c2" in begun_by(ledger, first))
    assert [entry.pid for entry in ledger.read("begun") if entry.conversation == "c1"] == [first.pid, second.pid]


@pytest.mark.slow
async def test_a_drive_that_blocks_a_thread_for_longer_than_a_worker_may_be_silent_is_not_taken_over(database, ledger):
    engine = quick(database)
    with process(WORKER, database, str(ledger.path), "10") as first:
        await engine.submit("c1")
        await until(lambda: begun_by(ledger, first))
        with process(WORKER, database, str(ledger.path), "0"):
            await two_workers(database)
            await until(lambda: not jobs(database))
    assert [(entry.what, entry.pid) for entry in ledger.read()] == [("begun", first.pid), ("ended", first.pid)]

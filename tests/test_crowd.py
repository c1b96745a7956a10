"""Many at once: processes on one file, and conversations on a server that keeps going away."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from segue import Runner
from segue.journal.sqlite import SqliteJournal
from segue.testing import FunctionModel
from tests.crowd import customer_service, reply
from tests.scale import scaled


async def listed(journal):
    """All conversations that a journal lists, page by page."""
    lines, following = [], None
    while page := await journal.conversations(following=following):
        lines += page
        following = page[-1]
    return lines


@pytest.mark.parametrize(("processes", "runs"), [(6, 4), pytest.param(32, scaled(100), marks=pytest.mark.slow)])
async def test_many_processes_on_one_file_all_come_to_their_end_and_each_effect_is_there_once(tmp_path, processes, runs):
    file, ledger = tmp_path / "crowd.db", tmp_path / "ledger"
    words = [sys.executable, "-m", "tests.crowd", str(file), str(ledger)]
    crowd = [subprocess.Popen([*words, str(name), str(runs)], stderr=subprocess.PIPE, text=True) for name in range(processes)]
    for one in crowd:
        _, heard = one.communicate()
        assert (one.returncode, heard) == (0, "")
    effects = Counter(ledger.read_text().split("\n"))
    assert len(effects) == processes * runs + 1  # and the end of the last line
    assert set(effects.values()) == {1}
    journal = SqliteJournal(file)
    lines = await listed(journal)
    await journal.aclose()
    assert len(lines) == processes * runs
    assert {line.summary.status for line in lines} == {"done"}
    database = sqlite3.connect(file)
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()


@pytest.mark.parametrize(("at_once", "seconds", "pause"), [(12, 4, 1.0), pytest.param(200, scaled(120), 3.0, marks=pytest.mark.slow)])
async def test_runs_on_a_server_that_is_restarted_all_the_time_all_end_right(postgres, tmp_path, at_once, seconds, pause):
    from segue.journal.postgres import PostgresJournal

    journal, ledger = PostgresJournal(postgres.fresh()), tmp_path / "ledger"
    ends = time.monotonic() + seconds
    restarts = 0

    def restart():
        nonlocal restarts
        while time.monotonic() < ends or restarts < 2:
            time.sleep(pause)
            postgres.restart((signal.SIGINT, signal.SIGQUIT)[restarts % 2])
            restarts += 1

    runner = Runner(customer_service(str(ledger)), model=FunctionModel(reply), journal=journal)
    done: list[str] = []

    async def one(name):
        number = 0
        while time.monotonic() < ends:
            response = await runner.run("Money back", conversation=f"{name}-{number}", key=f"key-{name}-{number}")
            assert response.output == "Refunded."
            done.append(response.conversation)
            number += 1

    thread = threading.Thread(target=restart)
    thread.start()
    try:
        await asyncio.gather(*[one(name) for name in range(at_once)])
    finally:
        await asyncio.to_thread(thread.join)
    effects = Counter(ledger.read_text().split())
    assert restarts > 1
    assert [effects[name] for name in done] == [1] * len(done)
    assert len(done) >= at_once
    assert {line.summary.status for line in await listed(journal)} == {"done"}
    await runner.aclose()
    await journal.aclose()

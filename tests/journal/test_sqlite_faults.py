"""The journal in a file when the disk refuses and when the process is killed, at any write and any wait for the disk."""

import asyncio
import errno
import signal
import sqlite3
import subprocess
import sys
from collections import Counter

import pytest

from segue.journal.sqlite import SqliteJournal
from tests.journal.faults import HERE, faults, start  # noqa: F401 - a fixture
from tests.journal.writes import batch
from tests.scale import scaled

STEPS = 5
EVENTS = [event for number in range(STEPS) for event in batch(number)]


def whole(path):
    """Whether SQLite finds the file in order."""
    db = sqlite3.connect(path)
    found = db.execute("pragma integrity_check").fetchall()
    db.close()
    return found == [("ok",)]


async def stands(path):
    """What the journal holds, after it has opened and read it; that keys, line and events agree."""
    journal = SqliteJournal(path)
    events = [row.event for row in await journal.read("c")]
    keyed = [number for number in range(STEPS) if await journal.keyed(f"key {number}") == "c"]
    lines = await journal.conversations()
    await journal.aclose()
    batches = next(count for count in range(STEPS + 1) if events == EVENTS[: sum(len(batch(number)) for number in range(count))])
    assert keyed == list(range(batches))
    assert [(line.seq, line.summary.driver) for line in lines] == ([(len(events), f"d{batches - 1}")] if batches else [])
    return batches


def said(done):
    """How many batches the program said to be durable."""
    return sum(line.startswith("ok ") for line in done.stdout.splitlines())


@pytest.fixture(scope="module")
def doings(faults, tmp_path_factory):  # noqa: F811
    """What the program does to its files when nothing goes wrong: a letter for each write, wait and cut."""
    folder = tmp_path_factory.mktemp("sound")
    done = faults("steps", folder / "segue.db", STEPS, LOG=folder / "log")
    assert done.stdout.splitlines()[-1] == "end", done.stderr
    return (folder / "log").read_text()


async def killed(faults, path, at, how):  # noqa: F811
    """Kill the program at one of its doings; what was said to be durable is there, and it goes on from there."""
    done = faults("steps", path, STEPS, AT=at, HOW=how)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not path.exists() or whole(path)
    assert said(done) <= await stands(path) <= said(done) + 1
    again = start("steps", path, STEPS)
    assert again.stdout.splitlines()[-1] == "end", again.stderr
    assert await stands(path) == STEPS
    assert whole(path)


async def refused(faults, path, at, number, many):  # noqa: F811
    """Let some of the program's doings fail; it is told so, and goes on with the same journal object."""
    done = faults("steps", path, STEPS, AT=at, HOW=number, MANY=many)
    lines = done.stdout.splitlines()
    assert lines[-1:] == ["end"], done.stderr
    assert await stands(path) == STEPS
    assert whole(path)
    return [line.split()[1] for line in lines if line.startswith("error")]


async def test_an_append_waits_for_the_disk_once_and_before_it_returns(faults, doings, tmp_path):  # noqa: F811
    one_more = tmp_path / "log"
    done = faults("steps", tmp_path / "segue.db", STEPS + 1, LOG=one_more)
    assert said(done) == STEPS + 1
    assert one_more.read_text().count("s") == doings.count("s") + 1


async def test_appends_that_wait_together_share_one_wait_for_the_disk(faults, tmp_path):  # noqa: F811
    log = tmp_path / "log"
    done = faults("runs", tmp_path / "segue.db", "w", 40, 40, LOG=log)
    assert done.stdout.startswith("end"), done.stderr
    assert log.read_text().count("s") < 40 * 8 / 2


def spread(doings, count):
    """Some of all places, from the first to the last."""
    return sorted({1 + place * (len(doings) - 1) // max(1, count - 1) for place in range(count)})


async def test_a_process_that_is_killed_at_a_write_has_written_whole_batches_only(faults, doings, tmp_path):  # noqa: F811
    for at in spread(doings, 8):
        how = ("kill", "torn", "done")[at % 3]
        await killed(faults, tmp_path / f"{at}.db", at, how)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["kill", "torn", "done"])
async def test_wherever_a_process_is_killed_it_has_written_whole_batches_only(faults, doings, tmp_path, how):  # noqa: F811
    for at in spread(doings, scaled(len(doings))):
        await killed(faults, tmp_path / f"{at}.db", at, how)


async def test_a_disk_that_is_full_or_fails_is_told_and_the_journal_goes_on(faults, doings, tmp_path):  # noqa: F811
    told = Counter()
    for at in spread(doings, 8):
        number = (errno.ENOSPC, errno.EIO)[at % 2]
        told.update(await refused(faults, tmp_path / f"{at}.db", at, number, 1 + at % 3))
    assert set(told) == {"JournalFull", "JournalError"}


@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("many", [1, 7])
async def test_wherever_the_disk_refuses_it_is_told_and_the_journal_goes_on(faults, doings, tmp_path, number, many):  # noqa: F811
    told = Counter()
    for at in spread(doings, scaled(len(doings))):
        told.update(await refused(faults, tmp_path / f"{at}.db", at, number, many))
    assert set(told) <= {"JournalFull", "JournalError"}
    assert sum(told.values()) > 0


async def test_a_disk_that_stays_full_is_told_each_time_and_what_was_written_is_kept(faults, doings, tmp_path):  # noqa: F811
    path = tmp_path / "segue.db"
    done = faults("steps", path, STEPS, AT=len(doings) * 2 // 3, HOW=errno.ENOSPC, MANY=10**9)
    lines = done.stdout.splitlines()
    assert lines[-1] == "gave up", done.stderr
    assert 0 < said(done) < STEPS
    assert {line.split()[1] for line in lines if line.startswith("error")} <= {"JournalFull", "JournalError"}
    assert whole(path)
    assert said(done) <= await stands(path) <= said(done) + 1


# ---- several processes -----------------------------------------------------


def crowd(path, processes, count, lanes):
    """Processes that write to one file at the same time; what each has said."""
    command = [sys.executable, HERE / "writes.py", "runs", path]
    running = [
        subprocess.Popen([*command, f"w{number}", str(count), str(lanes)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for number in range(processes)
    ]
    said = [process.communicate() for process in running]
    assert [out.split()[0] if out else err for out, err in said] == ["end"] * processes
    assert [err for _, err in said] == [""] * processes


def events(path):
    db = sqlite3.connect(path)
    rows = db.execute("select conversation, count(*), min(seq), max(seq) from event group by conversation").fetchall()
    db.close()
    return rows


@pytest.mark.parametrize(
    ("processes", "count", "lanes"),
    [(8, 3, 1), (3, 20, 10), pytest.param(32, scaled(100), 2, marks=pytest.mark.slow)],
)
def test_many_processes_write_to_one_file_and_none_is_told_that_it_is_locked(tmp_path, processes, count, lanes):
    path = tmp_path / "segue.db"
    crowd(path, processes, count, lanes)
    assert whole(path)
    rows = events(path)
    assert len(rows) == processes * count
    assert {row[1:] for row in rows} == {(16, 1, 16)}


async def grown(path, count):
    """Wait until the file holds so many conversations."""
    journal = SqliteJournal(path)
    while len(await journal.conversations(limit=count)) < count:
        await asyncio.sleep(0.01)
    await journal.aclose()


def test_processes_that_are_killed_while_they_write_leave_a_whole_file_that_others_go_on_with(tmp_path):
    path = tmp_path / "segue.db"
    command = [sys.executable, HERE / "writes.py", "runs", path]
    for round in range(scaled(5)):
        running = [subprocess.Popen([*command, f"r{round}w{number}", "100000", "3"], stdout=subprocess.DEVNULL) for number in range(3)]
        try:
            asyncio.run(asyncio.wait_for(grown(path, 25 * (round + 1)), 60))
        finally:
            for process in running:
                process.kill()
                process.wait()
        assert whole(path)
    asyncio.run(_writes_on(path))
    for conversation, count, first, last in events(path):
        assert (first, last % 2, count) == (1, 0, last), conversation


async def _writes_on(path):
    journal = SqliteJournal(path)
    await journal.append("after", 1, batch(0) * 2, at=1.0)
    await journal.aclose()


def test_a_process_that_is_killed_in_a_tools_transaction_has_done_nothing(tmp_path):
    path = tmp_path / "segue.db"
    with subprocess.Popen([sys.executable, HERE / "writes.py", "transact", path], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"paid\n"
        process.kill()
        process.stdout.close()
    journal = SqliteJournal(path)
    assert [row.event for row in asyncio.run(journal.read("c"))] == batch(1)
    asyncio.run(journal.append("c", len(batch(1)) + 1, batch(2), at=1.0))
    asyncio.run(journal.aclose())
    db = sqlite3.connect(path)
    assert db.execute("select name from sqlite_schema where name = 'paid'").fetchall() == []
    db.close()

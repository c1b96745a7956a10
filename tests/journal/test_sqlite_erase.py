"""What is erased from the journal in a file leaves no byte in it, nor in its log."""

import asyncio
import os
import random
import sqlite3
import subprocess

import pytest

from segue.core.events import InputGiven, InstructionsRendered
from segue.core.messages import User
from segue.errors import JournalError
from segue.journal import writer
from segue.journal.base import Summary
from segue.journal.sqlite import SqliteJournal
from tests.scale import scaled


def bytes_of(path):
    """All files of the database, read by another process: one that uses SQLite must not open and close them itself."""
    names = [name for name in (path, f"{path}-wal", f"{path}-shm") if os.path.exists(name)]
    return subprocess.run(["cat", *names], capture_output=True, check=True).stdout


def mark(number):
    return f"<{number:04}>"


async def fill(journal, chance, conversations, appends):
    """Conversations that hold their mark everywhere: in ids, keys, texts, names."""
    places = [0] * conversations
    for _ in range(appends):
        number = chance.randrange(conversations)
        name = mark(number)
        events = []
        for _ in range(chance.choice((1, 1, 2, 3))):
            places[number] += 1
            key = f"{name}{chance.getrandbits(64):x}" if chance.random() < 0.3 else None
            text = name * (1 + chance.choice((0, 5, 20, 50, 200, 500, 1500, 5000)))
            events.append(InputGiven("r", (User(text),), key=key))
        summary = Summary(chance.choice(("running", "done", "waiting")), name, name * chance.choice((1, 9)), name)
        await journal.append(f"c{name}", places[number] - len(events) + 1, events, at=chance.random() * 1e9, summary=summary)


@pytest.mark.parametrize("seed", [1, 4, 5, pytest.param(None, marks=pytest.mark.slow)])
async def test_no_byte_of_what_was_erased_is_left_in_any_file(tmp_path, seed):
    """With the seeds given here, `secure_delete` alone leaves copies of rows that SQLite had moved."""
    seeds = [seed] if seed is not None else range(100, 100 + scaled(40))
    for one in seeds:
        path, chance = str(tmp_path / f"{one}.db"), random.Random(one)
        journal = SqliteJournal(path)
        await fill(journal, chance, 60, 1200)
        gone = chance.sample(range(60), chance.choice((1, 5, 30, 59)))
        assert all(mark(number).encode() in bytes_of(path) for number in gone)
        await asyncio.gather(*(journal.erase(f"c{mark(number)}") for number in gone))
        left = bytes_of(path)
        assert [number for number in gone if mark(number).encode() in left] == [], f"seed {one}"
        kept = [number for number in range(60) if number not in gone]
        assert [number for number in kept if not await journal.read(f"c{mark(number)}")] == []
        await journal.aclose()


async def test_an_erase_that_somebodys_reading_holds_up_is_told_and_done_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "LOG_PATIENCE", 0.05)
    path = str(tmp_path / "segue.db")
    journal = SqliteJournal(path)
    await journal.append("secret", 1, [InstructionsRendered("A", "secret " * 1000)], at=1.0)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("begin")
    reader.execute("select count(*) from event").fetchall()
    appending = asyncio.gather(*(journal.append(f"c{number}", 1, [InstructionsRendered("A", "x")], at=1.0) for number in range(5)))
    with pytest.raises(JournalError, match="erase it once more"):
        await journal.erase("secret")
    await appending
    assert await journal.read("secret") == []
    assert b"secret " in bytes_of(path)
    reader.execute("commit")
    reader.close()
    assert not await journal.erase("secret")
    assert b"secret " not in bytes_of(path)
    assert len(await journal.conversations()) == 5
    await journal.aclose()


async def test_tables_of_a_tool_are_left_as_they_are(tmp_path):
    path = str(tmp_path / "segue.db")
    journal = SqliteJournal(path)
    await journal.append("c", 1, [InstructionsRendered("A", "x")], at=1.0)

    def work(db):
        db.execute("create table orders (id text)")
        db.executemany("insert into orders values (?)", [("A17",), ("B3",), ("C9",)])
        db.execute("delete from orders where id = 'B3'")
        db.execute("create view said as select conversation, data from event")
        return InstructionsRendered("A", "y")

    await asyncio.to_thread(journal.transact, "c", 0, work, at=1.0)
    await journal.append("d", 1, [InstructionsRendered("A", "x")], at=1.0)
    await journal.erase("c")
    await journal.aclose()
    db = sqlite3.connect(path)
    assert db.execute("select rowid, id from orders order by rowid").fetchall() == [(1, "A17"), (3, "C9")]
    assert [row[0] for row in db.execute("select conversation from said")] == ["d"]
    assert db.execute("pragma integrity_check").fetchall() == [("ok",)]
    db.close()

"""Transactions that tools share with the journal in a file: the tool cannot end them."""

import asyncio
import sqlite3
import threading

import pytest

from segue.core.events import DriveStarted, InputGiven, Started, ToolLate
from segue.core.messages import User
from segue.errors import JournalConflict, JournalError, UsageError
from segue.journal import sqlite_transact
from segue.journal.base import Transactional
from segue.journal.sqlite import SqliteJournal

PAID = ToolLate("1.0", "pay", "paid")


@pytest.fixture
async def journal(tmp_path):
    journal = SqliteJournal(tmp_path / "segue.db")
    db = sqlite3.connect(journal.path, isolation_level=None)
    db.execute("create table paid (amount integer primary key)")
    db.close()
    await journal.append("c", 1, [Started("c", "A"), InputGiven("r", (User("x"),), key="k"), DriveStarted("d")], at=1.0)
    yield journal
    await journal.aclose()


def amounts(journal):
    db = sqlite3.connect(journal.path)
    rows = [row[0] for row in db.execute("select amount from paid order by amount")]
    db.close()
    return rows


def transact(journal, work, fence=3):
    return asyncio.to_thread(journal.transact, "c", fence, work, at=2.0)


def test_it_is_a_journal_with_transactions(journal):
    assert isinstance(journal, Transactional)


async def test_the_tool_is_called_on_the_thread_that_asked(journal):
    seen = []

    def work(db):
        db.execute("insert into paid values (5)")
        seen.append(threading.current_thread())
        return PAID

    asking = threading.Thread(target=journal.transact, args=("c", 3, work), kwargs={"at": 2.0})
    asking.start()
    await asyncio.to_thread(asking.join)
    assert seen == [asking]
    assert amounts(journal) == [5]


def with_block(db):
    with db:
        pass


def isolation(db):
    db.isolation_level = None


REFUSED = [
    lambda db: db.commit(),
    lambda db: db.rollback(),
    with_block,
    isolation,
    lambda db: db.executescript("select 1"),
    lambda db: db.execute("commit"),
    lambda db: db.execute("END"),
    lambda db: db.execute(" /* */ RoLlBaCk"),
    lambda db: db.execute("begin"),
    lambda db: db.execute("attach ':memory:' as other"),
    lambda db: db.execute("detach main"),
    lambda db: db.execute("delete from event"),
    lambda db: db.execute("update conversation set seq = 99"),
    lambda db: db.execute("insert into input_key values ('x', 'c')"),
    lambda db: db.execute("drop table event"),
    lambda db: db.execute("alter table event rename to other"),
    lambda db: db.execute("create trigger t after insert on event begin select 1; end"),
    lambda db: db.execute("create index i on event (kind)"),
    lambda db: db.execute("drop index conversation_status"),
    lambda db: db.execute("pragma user_version = 7"),
    lambda db: db.execute("pragma application_id = 7"),
]


@pytest.mark.parametrize("meddle", REFUSED)
async def test_a_tool_that_commits_or_writes_to_the_journals_tables_is_refused_and_rolled_back(journal, meddle):
    before = await journal.read("c")

    def work(db):
        db.execute("insert into paid values (5)")
        meddle(db)
        return PAID

    with pytest.raises(UsageError, match="may not commit"):
        await transact(journal, work)
    assert amounts(journal) == []
    assert await journal.read("c") == before


@pytest.mark.parametrize("meddle", REFUSED)
async def test_a_tool_that_goes_on_after_such_a_refusal_is_still_in_its_one_transaction(journal, meddle):
    def work(db):
        db.execute("insert into paid values (5)")
        with pytest.raises(sqlite3.DatabaseError):
            meddle(db)
        db.execute("insert into paid values (6)")
        assert amounts(journal) == []  # seen by nobody else
        return PAID

    stored = await transact(journal, work)
    assert amounts(journal) == [5, 6]
    assert (await journal.read("c"))[3:] == [stored]


def rolls_back(db):
    with pytest.raises(sqlite3.IntegrityError):
        db.execute("insert or rollback into paid values (5)")


@pytest.mark.parametrize("end", [lambda db: db.close(), rolls_back])
@pytest.mark.parametrize("goes_on", [False, True])
async def test_where_a_tool_ends_its_transaction_all_the_same_nothing_is_kept(journal, end, goes_on):
    before = await journal.read("c")

    def work(db):
        db.execute("insert into paid values (5)")
        end(db)
        if goes_on:
            for again in ("insert into paid values (5)", "insert into paid values (6)"):
                with pytest.raises(sqlite3.Error):
                    db.execute(again)
        return PAID

    with pytest.raises(UsageError, match="was ended by"):
        await transact(journal, work)
    assert amounts(journal) == []
    assert await journal.read("c") == before


async def test_a_tool_may_use_savepoints_read_the_journal_and_see_rows_its_own_way(journal):
    def work(db):
        db.row_factory = sqlite3.Row
        db.execute("savepoint one")
        db.execute("insert into paid values (5)")
        db.execute("rollback to one")
        db.execute("release one")
        db.execute("insert into paid values (6)")
        assert db.execute("select count(*) as events from event").fetchone()["events"] == 3
        db.row_factory = lambda cursor, row: {"row": row}
        db.text_factory = bytes
        return PAID

    stored = await transact(journal, work)
    assert amounts(journal) == [6]
    assert (await journal.read("c"))[3:] == [stored]


@pytest.mark.parametrize("error", [KeyError("no such order"), SystemExit(3), StopIteration(), sqlite3.OperationalError("mine")])
async def test_what_a_tool_raises_comes_out_as_it_is_and_nothing_is_kept(journal, error):
    def work(db):
        db.execute("insert into paid values (5)")
        raise error

    with pytest.raises(type(error)) as raised:
        journal.transact("c", 3, work, at=2.0)
    assert raised.value is error
    assert amounts(journal) == []
    assert len(await journal.read("c")) == 3


async def test_a_tool_is_not_called_where_another_driver_has_come_or_the_conversation_is_gone(journal):
    called = []
    await journal.append("c", 4, [DriveStarted("d2")], at=1.0)
    with pytest.raises(JournalConflict):
        await transact(journal, called.append)
    await transact(journal, lambda db: PAID, fence=4)
    await journal.erase("c")
    with pytest.raises(JournalConflict):
        await transact(journal, called.append, fence=4)
    assert called == []


async def test_appends_wait_for_a_tools_transaction_and_a_tool_gives_up_where_it_waits_too_long(journal, monkeypatch):
    monkeypatch.setattr(sqlite_transact, "PATIENCE", 0.05)
    inside, leave = threading.Event(), threading.Event()

    def work(db):
        inside.set()
        leave.wait()
        return PAID

    first = asyncio.ensure_future(transact(journal, work))
    try:
        await asyncio.to_thread(inside.wait)
        appending = asyncio.ensure_future(journal.append("d", 1, [PAID], at=1.0))
        await asyncio.sleep(0.05)
        with pytest.raises(JournalError, match="locked"):
            await transact(journal, lambda db: PAID)
        assert not appending.done()
    finally:
        leave.set()
    await first
    await appending
    assert [len(await journal.read(name)) for name in "cd"] == [4, 1]

"""The journal in a file: what the file is, and what is said where it cannot be used."""

import asyncio
import gc
import os
import random
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from segue.core.codec import Unknown
from segue.core.events import InputGiven, InstructionsRendered, ToolLate
from segue.core.messages import User
from segue.errors import JournalConflict, JournalDamaged, JournalError, JournalNewer, KeyReused, UsageError
from segue.journal import sqlite_open
from segue.journal.base import STATUSES, Raw, Summary, skimmed
from segue.journal.sqlite import SqliteJournal
from segue.journal.sqlite_open import APPLICATION, SCHEMA, translated
from segue.journal.sqlite_rows import list_lines
from tests.scale import scaled


def notes(count, begin=1):
    return [InstructionsRendered("Triage", f"note {number}") for number in range(begin, begin + count)]


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "segue.db")


@pytest.fixture
async def journal(path):
    journal = SqliteJournal(path)
    yield journal
    await journal.aclose()


def sql(path, *statements):
    """Do something to the file behind the journal's back; the rows of the last statement."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        for statement in statements:
            rows = db.execute(statement).fetchall()
        return rows
    finally:
        db.close()


# ---- the file --------------------------------------------------------------


async def test_the_file_has_the_tables_that_the_design_names_and_is_marked_as_a_journal(journal, path):
    await journal.append("c", 1, [InputGiven("r", (User("é"),), key="k")], at=1.5, summary=Summary("running", "A", "B", "d"))
    assert sql(path, "select * from event") == [
        ("c", 1, 1, 1.5, "InputGiven", '{"run":"r","messages":[{"role":"user","content":"é"}],"key":"k"}')
    ]
    assert sql(path, "select * from conversation") == [("c", 1, 1.5, 1.5, "running", "A", "B", "d")]
    assert sql(path, "select * from input_key") == [("k", "c")]
    assert sql(path, "pragma application_id") == [(APPLICATION,)]
    assert sql(path, "pragma user_version") == [(SCHEMA,)]
    assert sql(path, "pragma journal_mode") == [("wal",)]


async def test_nothing_is_opened_or_made_before_the_first_use(tmp_path):
    journal = SqliteJournal(tmp_path / "segue.db")
    await journal.aclose()
    assert list(tmp_path.iterdir()) == []


async def test_a_path_means_the_same_file_after_the_folder_was_changed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    journal = SqliteJournal()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    await journal.append("c", 1, notes(1), at=1.0)
    await journal.aclose()
    assert (tmp_path / "segue.db").exists()
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("path", ["", ":memory:", b"segue.db", "a\0b"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(UsageError, match="no path"):
        SqliteJournal(path)


async def test_a_database_with_tables_of_its_own_takes_the_journal_in(path):
    sql(path, "create table orders (id text)", "insert into orders values ('A17')")
    journal = SqliteJournal(path)
    await journal.append("c", 1, notes(1), at=1.0)
    await journal.aclose()
    assert sql(path, "select * from orders") == [("A17",)]


async def refused(path, kind, words, **options):
    journal = SqliteJournal(path, **options)
    for doing in (journal.read("c"), journal.append("c", 1, notes(1), at=1.0), journal.conversations(), journal.erase("c")):
        with pytest.raises(kind, match=words) as raised:
            await doing
        assert str(path) in str(raised.value)
    await journal.aclose()


async def test_a_database_of_another_program_is_refused_and_left_as_it_is(path):
    sql(path, "pragma application_id=7", "create table theirs (x)")
    before = Path(path).read_bytes()
    await refused(path, JournalDamaged, "another program")
    assert Path(path).read_bytes() == before


async def test_a_database_with_a_table_of_the_same_name_is_refused_and_left_as_it_is(path):
    sql(path, "create table input_key (x)")
    await refused(path, JournalError, "already exists")
    assert sql(path, "select name from sqlite_schema") == [("input_key",)]


async def test_a_journal_of_a_newer_version_is_refused(path):
    sql(path, f"pragma application_id={APPLICATION}", f"pragma user_version={SCHEMA + 1}")
    await refused(path, JournalNewer, "newer version")


async def test_a_file_that_is_no_database_is_refused(path):
    with open(path, "w") as file:
        file.write("conversations\n" * 1000)
    await refused(path, JournalDamaged, "not an SQLite database")


async def test_a_folder_that_does_not_exist_is_told(tmp_path):
    await refused(tmp_path / "no" / "segue.db", JournalError, "folder exists")
    await refused(tmp_path, JournalError, "folder exists")


async def test_an_old_sqlite_is_told(path, monkeypatch):
    monkeypatch.setattr(sqlite_open, "FLOOR", (99, 0))
    with pytest.raises(JournalError, match="newer build of Python"):
        await SqliteJournal(path).read("c")


async def test_a_file_that_may_not_be_written_is_told(journal, path):
    await journal.append("c", 1, notes(1), at=1.0)
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError) as raised:
        db.execute("delete from event")
    db.close()
    error = translated(raised.value, path)
    assert type(error) is JournalError
    assert "may not be written" in str(error)


async def test_another_program_that_keeps_the_file_locked_is_waited_for_and_then_told(journal, path):
    await journal.append("c", 1, notes(1), at=1.0)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    impatient = SqliteJournal(path, patience=0.02)
    with pytest.raises(JournalError, match="locked"):
        await impatient.append("c", 2, notes(1), at=1.0)
    appending = asyncio.ensure_future(journal.append("c", 2, notes(1), at=1.0))
    await asyncio.sleep(0.05)
    assert len(await journal.read("c")) == 1
    other.execute("commit")
    other.close()
    await appending
    await impatient.append("c", 3, notes(1), at=1.0)
    await impatient.aclose()
    assert len(await journal.read("c")) == 3


# ---- groups ----------------------------------------------------------------


async def test_the_fault_of_one_that_is_written_in_a_group_harms_no_other(journal):
    await journal.append("c", 1, [InputGiven("r", (User("x"),), key="k")], at=1.0)
    doing = [journal.append(f"c{number}", 1, notes(2), at=1.0) for number in range(20)]
    doing[5:5] = [
        journal.append("c", 1, notes(1), at=1.0),
        journal.append("other", 1, [InputGiven("r", (User("x"),), key="k")], at=1.0),
        journal.append("half \ud800", 1, notes(1), at=1.0),
    ]
    done = await asyncio.gather(*doing, return_exceptions=True)
    refusals = [type(one) for one in done if one is not None]
    assert refusals == [JournalConflict, KeyReused, UsageError]
    assert [one for one in done[:5] + done[8:] if one is not None] == []
    for number in range(20):
        assert [row.event for row in await journal.read(f"c{number}")] == notes(2)
    assert await journal.read("other") == []


@pytest.mark.parametrize("at", [float("nan"), float("inf"), -1.0, 1e12])
async def test_what_is_no_time_is_refused(journal, at):
    with pytest.raises(UsageError, match="no time"):
        await journal.append("c", 1, notes(1), at=at)
    assert await journal.read("c") == []


async def test_an_error_that_several_are_told_is_one_for_each(path):
    sql(path, "pragma application_id=7")
    journal = SqliteJournal(path)
    errors = await asyncio.gather(*(journal.append(f"c{n}", 1, notes(1), at=1.0) for n in range(10)), return_exceptions=True)
    assert {type(error) for error in errors} == {JournalDamaged}
    assert len({id(error) for error in errors}) == 10


async def test_what_was_asked_before_closing_is_written(path):
    journal = SqliteJournal(path)
    appending = [asyncio.ensure_future(journal.append(f"c{number}", 1, notes(1), at=1.0)) for number in range(50)]
    await asyncio.sleep(0)
    await journal.aclose()
    await asyncio.gather(*appending)
    assert sql(path, "select count(*) from event") == [(50,)]


async def test_one_who_waits_for_a_name_that_cannot_be_harms_nobody_else_who_waits(journal):
    waiting = asyncio.ensure_future(journal.wait("c", after=0, timeout=60.0))
    for _ in range(3):
        with pytest.raises(UsageError, match="half a surrogate pair"):
            await journal.wait("\ud800", after=0, timeout=60.0)
    for doing in (journal.read("\ud800"), journal.keyed("\ud800"), journal.conversations(agent="\ud800"), journal.erase("\ud800")):
        with pytest.raises(UsageError, match="half a surrogate pair"):
            await doing
    await journal.append("c", 1, notes(1), at=1.0)
    await waiting


# ---- opening and closing ---------------------------------------------------


@pytest.fixture
def threads():
    """The threads of journals that were made in this test; other tests' may still be ending."""
    before = set(threading.enumerate())
    return lambda: [one for one in threading.enumerate() if one.name.startswith("segue-journal") and one not in before]


async def test_closing_ends_the_threads_and_using_it_again_begins_new_ones(path, threads):
    journal = SqliteJournal(path)
    for place in (1, 2, 3):
        await journal.append("c", place, notes(1), at=1.0)
        assert len(await journal.read("c")) == place
        assert len(threads()) == 2
        await journal.aclose()
        assert threads() == []
    assert sorted(os.listdir(os.path.dirname(path))) == ["segue.db", "segue.db-locks"]


def test_one_journal_serves_one_event_loop_after_another(path):
    journal = SqliteJournal(path)
    for place in (1, 2, 3):
        asyncio.run(journal.append("c", place, notes(1), at=1.0))
    assert len(asyncio.run(journal.read("c"))) == 3
    asyncio.run(journal.aclose())


async def test_a_journal_that_is_dropped_lets_go_of_threads_and_files(path, threads):
    journal, other = SqliteJournal(path), SqliteJournal(path)
    await journal.append("c", 1, notes(1), at=1.0)
    await journal.hold("d_1")
    assert await other.alive("d_1")
    await other.aclose()
    ending = threads()
    assert len(ending) == 2
    del journal
    gc.collect()
    for thread in ending:
        thread.join(timeout=60)
    assert threads() == []
    assert not await other.alive("d_1")
    assert len(await other.read("c")) == 1
    await other.aclose()
    assert not os.path.exists(f"{path}-wal")  # this was the last connection


def test_a_process_that_ends_without_closing_has_written_what_it_was_asked(path):
    program = f"""
import asyncio
from segue.journal.sqlite import SqliteJournal
from segue.core.events import ToolLate
journal = SqliteJournal({path!r})
async def main():
    await journal.hold("d_1")
    for number in range(20):
        asyncio.ensure_future(journal.append(f"c{{number}}", 1, [ToolLate("1.0", "pay", "paid" * 500_000)], at=1.0))
    await asyncio.sleep(0)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert sql(path, "select count(*) from event") == [(20,)]
    assert not os.path.exists(f"{path}-wal")
    assert sorted(os.listdir(f"{path}-locks")) == ["drivers", "turn"]


def test_a_journal_that_another_process_founds_while_it_is_looked_for_is_no_other_programs(path):
    db, looks = sqlite3.connect(path), []

    class Looking:
        """A connection; another process founds the journal after its first look."""

        def execute(self, statement):
            if not looks:
                sqlite_open.connect(path, 10.0).close()
            looks.append(statement)
            return self

        def fetchone(self):
            return db.execute(looks[-1]).fetchone() if len(looks) > 1 else (0,)

    assert sqlite_open._is_ours(Looking(), path)
    assert len(looks) == 2
    db.close()


# ---- damage ----------------------------------------------------------------

DAMAGES = [
    ("update event set data = '{}' where seq = 2", JournalDamaged, "ToolLate"),
    ("update event set data = '{' where seq = 2", JournalDamaged, "ToolLate"),
    ("update event set data = cast(x'80ff' as text) where seq = 2", JournalDamaged, "ToolLate"),
    ("update event set data = '' where seq = 2", JournalDamaged, "ToolLate"),
    ("delete from event where seq = 2", JournalDamaged, "place 2 .* missing"),
    ("delete from event where seq = 1", JournalDamaged, "place 1 .* missing"),
    ("update event set seq = 9 where seq = 2", JournalDamaged, "place 2 .* missing"),
    ("update event set kind = 'MoonRisen' where seq = 2", JournalNewer, "MoonRisen"),
    ("update event set kind = cast(x'80ff' as text) where seq = 2", JournalDamaged, "damaged"),
    ("update event set v = 99 where seq = 2", JournalNewer, "version 99"),
]


@pytest.mark.parametrize(("damage", "kind", "words"), DAMAGES)
async def test_a_damaged_row_is_told_and_other_conversations_are_read(journal, path, damage, kind, words):
    for name in ("c", "d"):
        await journal.append(name, 1, [ToolLate("1.0", "pay", "paid")] * 3, at=1.0)
    sql(path, f"{damage} and conversation = 'c'")
    with pytest.raises(kind, match=words):
        await journal.read("c")
    assert len(await journal.read("d")) == 3


NEWER = [("kind = 'MoonRisen'", ("MoonRisen", 1)), ("v = 99", ("ToolLate", 99))]


@pytest.mark.parametrize(("change", "kept"), NEWER)
async def test_a_row_of_a_newer_version_is_refused_when_read_and_kept_when_copied(journal, path, change, kept):
    await journal.append("c", 1, [ToolLate("1.0", "pay", "paid")] * 3, at=1.0)
    sql(path, f"update event set {change} where seq = 2")
    with pytest.raises(JournalNewer):
        await journal.read("c")
    data = b'{"place":"1.0","name":"pay","content":"paid"}'
    assert await journal.raw("c", after=1) == [Raw(2, 1.0, *kept, data), Raw(3, 1.0, "ToolLate", 1, data)]
    assert [type(event) for _, _, event in await skimmed(journal, "c")] == [ToolLate, Unknown, ToolLate]


@pytest.mark.parametrize("damage", ["delete from event where seq = 2", "update event set kind = cast(x'80ff' as text) where seq = 2"])
async def test_a_row_that_is_missing_or_has_no_kind_is_told_when_copied(journal, path, damage):
    await journal.append("c", 1, notes(3), at=1.0)
    sql(path, damage)
    with pytest.raises(JournalDamaged, match=r"missing|damaged"):
        await journal.raw("c")


async def test_a_damaged_line_is_told(journal, path):
    await journal.append("c", 1, notes(1), at=1.0)
    sql(path, "update conversation set agent = cast(x'80ff' as text)")
    with pytest.raises(JournalDamaged):
        await journal.conversations()


async def test_a_line_that_knows_less_than_the_events_is_told_and_nothing_is_overwritten(journal, path):
    await journal.append("c", 1, notes(3), at=1.0)
    sql(path, "update conversation set seq = 1")
    with pytest.raises(JournalDamaged, match="at odds with itself"):
        await journal.append("c", 2, notes(1, 9), at=1.0)
    assert [row.event for row in await journal.read("c")] == notes(3)


async def test_pages_that_were_overwritten_are_told(path):
    journal = SqliteJournal(path)
    for number in range(200):
        await journal.append(f"c{number}", 1, [ToolLate("1.0", "pay", "paid " * 200)], at=1.0)
    await journal.aclose()
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        file.seek(8192)
        file.write(b"\x55" * (size - 8192))
    with pytest.raises(JournalDamaged):
        await asyncio.gather(*(journal.read(f"c{number}") for number in range(200)))
    await journal.aclose()


@pytest.mark.parametrize("count", [20, pytest.param(scaled(1000), marks=pytest.mark.slow)])
async def test_bytes_that_were_changed_at_random_are_told_or_harmless(tmp_path, count):
    sound = SqliteJournal(tmp_path / "sound.db")
    for number in range(30):
        await sound.append(f"c{number}", 1, [InputGiven("r", (User("x" * number * 40),), key=f"k{number}")], at=1.0)
    await sound.aclose()
    content, seed = Path(sound.path).read_bytes(), random.randrange(2**32)
    chance = random.Random(seed)
    for number in range(count):
        damaged = bytearray(content)
        for _ in range(chance.choice((1, 3, 30))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path = tmp_path / f"{number}.db"
        path.write_bytes(damaged)
        journal = SqliteJournal(path)
        doings = [journal.read(f"c{n}") for n in range(30)]
        doings += [journal.conversations(), journal.keyed("k7"), journal.append("new", 1, notes(1), at=1.0), journal.erase("c3")]
        done = await asyncio.gather(*doings, return_exceptions=True)
        strange = [one for one in done if isinstance(one, BaseException) and not isinstance(one, JournalError)]
        assert strange == [], f"seed {seed}, file {number}"
        await journal.aclose()


# ---- the list --------------------------------------------------------------


async def test_the_list_is_read_from_the_index_and_never_from_the_whole_table(journal, path):
    await journal.append("c", 1, notes(1), at=1.0)

    class Explaining(sqlite3.Connection):
        plans = []

        def execute(self, query, values):
            self.plans += [row[3] for row in super().execute(f"explain query plan {query}", values)]
            return super().execute(query, values)

    db = sqlite3.connect(path, factory=Explaining)
    line = (await journal.conversations())[0]
    list_lines(db, (), None, 9.0, 0.5, line, 10)
    db.close()
    looks = [plan for plan in Explaining.plans if plan.startswith(("SEARCH conversation", "SCAN conversation"))]
    assert len(looks) == len(STATUSES)
    assert all("USING INDEX conversation_status (status=? AND updated>? AND updated<?)" in look for look in looks)


async def test_a_line_without_a_new_summary_tells_what_it_told(journal):
    await journal.append("c", 1, notes(1), at=1.0, summary=Summary("waiting", "A", "B", "d"))
    await journal.append("c", 2, notes(2, 2), at=5.0)
    (line,) = await journal.conversations(status=["waiting"])
    assert line == ("c", 3, 1.0, 5.0, Summary("waiting", "A", "B", "d"))


async def test_a_summary_with_a_status_that_no_list_shows_is_refused(journal):
    with pytest.raises(UsageError, match="finished"):
        await journal.append("c", 1, notes(1), at=1.0, summary=Summary("finished"))

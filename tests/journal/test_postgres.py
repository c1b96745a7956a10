"""The journal in PostgreSQL: what it writes and gives back, its tables, and what it says where it cannot."""

import asyncio
import random
import string
import subprocess
import sys

import psycopg
import pytest

from segue.core.events import DriveStarted, InputGiven, InstructionsRendered, Started, ToolReturned
from segue.core.messages import User
from segue.errors import JournalConflict, JournalDamaged, JournalError, JournalNewer, KeyReused, UsageError
from segue.journal.base import Raw, Summary
from segue.journal.postgres import PostgresJournal
from segue.testing import journal_checks
from tests import postgres as postgres_server
from tests.postgres import name_of


@pytest.fixture
async def journal(database):
    journal = PostgresJournal(database)
    yield journal
    await journal.aclose()


def said(words: str, key: str | None = None) -> InputGiven:
    return InputGiven("r_1", (User(words),), key=key)


async def sql(database: str, statement: str, *values: object) -> list[tuple]:
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as link:
        cursor = await link.execute(statement, values)
        return await cursor.fetchall() if cursor.description else []


@pytest.mark.parametrize("check", journal_checks, ids=lambda check: check.__name__)
async def test_the_postgres_journal_conforms(check, database):
    await check(lambda: PostgresJournal(database))


# --- events


TEXTS = ["\0", "\ud800", "a\udfffb", "\U0001f600", "'; DROP TABLE segue.event; --", "%s %(at)s {schema}", "\\u0000", "x" * 3_000_000]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
async def test_what_was_said_comes_back_as_it_was(journal, text):
    events = [Started("c", "A", {"note": text}), said(text)]
    await journal.append("c", 1, events, at=1.1)
    assert [row.event for row in await journal.read("c")] == events


@pytest.mark.parametrize("at", [0.0, 1.1, 1e-300, 1763719999.123457, 0.1 + 0.2])
async def test_a_time_comes_back_to_the_last_bit(journal, at):
    await journal.append("c", 1, [Started("c", "A")], at=at)
    assert [row.at for row in await journal.read("c")] == [at]


@pytest.mark.parametrize("name", ["", " ", "'", '"', "%s", "\\", "é", "\U0001f600", "c\n", "x" * 600], ids=range(10))
async def test_an_id_may_be_any_text_that_is_not_too_long(journal, name):
    await journal.append(name, 1, [Started(name, "A"), said("hi", key=name)], at=1.0, summary=Summary("running", name, name, name))
    assert await journal.keyed(name) == name
    assert [line.conversation for line in await journal.conversations(agent=name)] == [name]
    assert await journal.erase(name)


@pytest.mark.parametrize(
    "name", ["\0", "\ud800", "".join(random.Random(1).choices(string.printable, k=4000))], ids=["NUL", "half a pair", "long"]
)
async def test_an_id_that_cannot_be_kept_is_refused_with_nothing_written(journal, name):
    with pytest.raises(UsageError, match="cannot keep"):
        await journal.append(name, 1, [Started(name, "A")], at=1.0)
    assert await journal.conversations() == []


async def test_an_append_is_one_transaction_with_its_line_and_its_keys(journal, database):
    await journal.append("c", 1, [Started("c", "A"), said("hi", key="k")], at=1.0, summary=Summary("running", "A", "B", "d_1"))
    await journal.append("c", 3, [DriveStarted("d_1")], at=2.0, summary=Summary("waiting", "A", "C", "d_2"))
    ids = await sql(database, "SELECT DISTINCT xmin::text FROM segue.event WHERE seq <= 2 UNION SELECT xmin::text FROM segue.input_key")
    assert len(ids) == 1
    assert await sql(
        database, "SELECT conversation, seq, drive, created, updated, status, entry, agent, driver FROM segue.conversation"
    ) == [("c", 3, 3, 1.0, 2.0, "waiting", "A", "C", "d_2")]


async def test_of_many_that_append_at_one_place_one_is_there_and_the_others_are_told(journal, database):
    others = [PostgresJournal(database, pool_size=3) for _ in range(3)]
    await journal.append("c", 1, [Started("c", "A")], at=1.0)

    async def add(journal, who):
        for seq in range(2, 30):
            try:
                await journal.append("c", seq, [DriveStarted(who)], at=1.0)
            except JournalConflict:
                lost.append(who)
            else:
                won.append((seq, who))

    won: list[tuple[int, str]] = []
    lost: list[str] = []
    await asyncio.gather(*(add(each, f"d_{nth}") for nth, each in enumerate([journal, *others, journal, *others])))
    assert sorted(won) == [(row.seq, row.event.driver) for row in (await journal.read("c"))[1:]]
    assert len(won) == 28
    assert len(lost) == 7 * 28
    for other in others:
        await other.aclose()


async def test_of_many_that_use_a_key_at_once_one_has_it(journal):
    async def begin(name):
        try:
            await journal.append(name, 1, [Started(name, "A"), said("hi", key="k")], at=1.0)
        except KeyReused:
            return None
        return name

    (winner,) = {name for name in await asyncio.gather(*(begin(f"c{nth}") for nth in range(20))) if name}
    assert await journal.keyed("k") == winner
    assert [line.conversation for line in await journal.conversations()] == [winner]


async def test_what_is_done_within_an_append_is_committed_with_it_or_not_at_all(journal, database):
    await sql(database, "CREATE TABLE job (conversation text)")

    async def submit(link):
        await link.execute("INSERT INTO job VALUES ('c')")

    async def fail(link):
        await submit(link)
        raise LookupError("no queue")

    with pytest.raises(LookupError, match="no queue"):
        await journal.append("c", 1, [Started("c", "A")], at=1.0, within=fail)
    assert await journal.read("c") == []
    assert await sql(database, "TABLE job") == []
    await journal.append("c", 1, [Started("c", "A")], at=1.0, within=submit)
    with pytest.raises(JournalConflict):
        await journal.append("c", 1, [Started("c", "A")], at=1.0, within=submit)
    assert await sql(database, "TABLE job") == [("c",)]


async def test_a_write_waits_for_the_disk_and_reads_what_is_committed_whatever_the_defaults_of_the_database_are(
    journal, database, postgres
):
    name = name_of(database)
    postgres.run_sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    postgres.run_sql(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    found = []

    async def look(link):
        for setting in ("synchronous_commit", "transaction_isolation"):
            found.append((await (await link.execute(f"SHOW {setting}")).fetchone())[0])

    await journal.append("c", 1, [Started("c", "A")], at=1.0, within=look)
    assert found == ["on", "read committed"]


async def test_a_stricter_default_for_the_disk_is_kept(journal, database, postgres):
    postgres.run_sql(f"ALTER DATABASE {name_of(database)} SET synchronous_commit = 'remote_apply'")
    found = []

    async def look(link):
        found.append(await (await link.execute("SHOW synchronous_commit")).fetchone())

    await journal.append("c", 1, [Started("c", "A")], at=1.0, within=look)
    assert found == [("remote_apply",)]


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM segue.event WHERE seq = 2",
        "DELETE FROM segue.event WHERE seq = 1",
        "UPDATE segue.event SET seq = 9 WHERE seq = 3",
        "UPDATE segue.event SET data = '{' WHERE seq = 2",
        "UPDATE segue.event SET kind = 'ToolReturned' WHERE seq = 1",
    ],
)
async def test_events_that_were_changed_behind_its_back_are_noticed(journal, database, harm):
    await journal.append("c", 1, [Started("c", "A"), InstructionsRendered("A", "x"), DriveStarted("d")], at=1.0)
    await sql(database, harm)
    with pytest.raises(JournalDamaged):
        await journal.read("c")


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM segue.event WHERE seq = 3",
        "UPDATE segue.conversation SET seq = 7",
        "UPDATE segue.conversation SET seq = 2",
        "TRUNCATE segue.conversation",
    ],
)
async def test_a_line_that_does_not_fit_its_events_is_noticed_by_who_appends(journal, database, harm):
    await journal.append("c", 1, [Started("c", "A"), InstructionsRendered("A", "x"), DriveStarted("d")], at=1.0)
    await sql(database, harm)
    places = {len(await journal.read("c")) + 1, 3, 1}
    for seq in places:
        with pytest.raises(JournalDamaged, match="its line tells of"):
            await journal.append("c", seq, [DriveStarted("e")], at=1.0)


async def test_an_event_of_a_newer_version_is_named_as_such(journal, database):
    await journal.append("c", 1, [Started("c", "A")], at=1.0)
    await sql(database, "UPDATE segue.event SET v = 99")
    with pytest.raises(JournalNewer, match="newer"):
        await journal.read("c")
    assert await journal.raw("c") == [Raw(1, 1.0, "Started", 99, '{"conversation":"c","agent":"A"}')]


# --- lists


async def test_pages_of_a_list_are_read_by_an_index_however_it_is_filtered(journal, database):
    await journal.append("c", 1, [Started("c", "A")], at=1.0)
    await sql(
        database,
        "INSERT INTO segue.conversation SELECT 'x' || n, 1, 0, n, n, (ARRAY['done', 'waiting', 'failed'])[1 + n %% 3], 'A', 'A', 'd'"
        " FROM generate_series(1, 20000) AS n",
    )
    await sql(database, "ANALYZE segue.conversation")
    (last,) = (await journal.conversations(limit=50))[-1:]
    for status in ([], ["waiting"], ["waiting", "failed"]):
        statement = journal._sql.lines(["since", "last"], by_status=bool(status))
        given = {"since": 3.0, "status": status, "updated": last.updated, "last": last.conversation, "limit": 50}
        async with await psycopg.AsyncConnection.connect(database) as link:
            plan = "\n".join(row[0] for row in await (await link.execute(b"EXPLAIN " + statement, given)).fetchall())
        assert "Seq Scan" not in plan
        assert "conversation_status" in plan if status else "conversation_updated" in plan


async def test_pages_follow_each_other_without_gap_or_overlap(journal):
    for nth in range(25):
        summary = Summary("done" if nth % 3 else "waiting", "A", "B" if nth % 2 else "C", "d")
        await journal.append(f"c{nth}", 1, [Started(f"c{nth}", "A")], at=float(nth // 4), summary=summary)
    for wishes in (
        {},
        {"status": ["done"]},
        {"status": {"done", "waiting"}},
        {"agent": "B"},
        {"status": ["waiting"], "since": 2.0, "before": 5.0},
    ):
        whole = await journal.conversations(**wishes)
        pages = page = await journal.conversations(**wishes, limit=4)
        while page:
            page = await journal.conversations(**wishes, limit=4, following=page[-1])
            pages = pages + page
        assert pages == whole
        assert whole == sorted(whole, key=lambda line: (-line.updated, line.conversation))
    assert len(await journal.conversations()) == 25


async def test_an_erased_conversation_leaves_nothing_and_may_begin_again(journal, database):
    await journal.append("c", 1, [Started("c", "A"), said("hi", key="k")], at=1.0)
    await journal.append("d", 1, [Started("d", "A")], at=1.0)
    assert await journal.erase("c")
    assert not await journal.erase("c")
    assert await sql(database, "SELECT conversation FROM segue.event") == [("d",)]
    assert await journal.keyed("k") is None
    await journal.append("c", 1, [Started("c", "A"), said("hi", key="k")], at=1.0)


async def test_an_append_and_an_erase_at_once_leave_all_or_nothing(journal):
    for turn in range(20):
        name = f"c{turn}"
        await journal.append(name, 1, [Started(name, "A")], at=1.0)
        done = await asyncio.gather(journal.append(name, 2, [DriveStarted("d")] * 5, at=1.0), journal.erase(name), return_exceptions=True)
        assert done[1] is True
        assert done[0] is None or isinstance(done[0], JournalConflict)
        assert await journal.read(name) == []
        assert await journal.conversations() == []


# --- tables


BEGIN = """
import asyncio, sys
from segue.core.events import Started
from segue.journal.postgres import PostgresJournal

async def main():
    journal = PostgresJournal(sys.argv[1])
    sys.stdin.readline()
    await journal.append(sys.argv[2], 1, [Started(sys.argv[2], "A")], at=1.0)
    await journal.aclose()

asyncio.run(main())
"""


async def test_many_processes_may_make_the_tables_at_once(journal, database):
    names = [f"c{nth}" for nth in range(6)]
    processes = [
        subprocess.Popen([sys.executable, "-c", BEGIN, database, name], stdin=subprocess.PIPE, stderr=subprocess.PIPE) for name in names
    ]
    for process in processes:
        process.stdin.write(b"\n")
        process.stdin.flush()
    assert [(process.communicate()[1], process.returncode) for process in processes] == [(b"", 0)] * len(names)
    assert sorted(line.conversation for line in await journal.conversations()) == names


async def test_many_journals_of_one_process_may_make_the_tables_at_once(database):
    journals = [PostgresJournal(database) for _ in range(10)]
    await asyncio.gather(*(journal.append(f"c{nth}", 1, [Started("c", "A")], at=1.0) for nth, journal in enumerate(journals)))
    assert len(await journals[0].conversations()) == 10
    await asyncio.gather(*(journal.aclose() for journal in journals))


async def test_tables_of_a_newer_version_are_left_alone(journal, database):
    await journal.append("c", 1, [Started("c", "A")], at=1.0)
    await sql(database, "UPDATE segue.journal SET version = 99")
    later = PostgresJournal(database)
    with pytest.raises(JournalNewer, match="layout 99"):
        await later.read("c")
    with pytest.raises(JournalNewer):
        await later.wait("c", after=0, timeout=60)
    assert await sql(database, "TABLE segue.journal") == [(99,)]
    await later.aclose()


async def test_journals_in_two_schemas_know_nothing_of_each_other(database):
    one, two = PostgresJournal(database), PostgresJournal(database, schema='My "own" schema; {}')
    await one.append("c", 1, [Started("c", "A"), said("hi", key="k")], at=1.0)
    await two.append("c", 1, [Started("c", "B"), said("hi", key="k")], at=1.0)
    assert (await two.read("c"))[0].event == Started("c", "B")
    await one.hold("d")
    assert not await two.alive("d")
    with pytest.raises(JournalConflict):
        await two.append("c", 1, [Started("c", "B")], at=1.0)
    await one.aclose()
    await two.aclose()


async def test_a_user_who_may_only_use_the_tables_can_use_them(journal, database, postgres):
    await journal.append("c", 1, [Started("c", "A")], at=1.0)
    await sql(database, "CREATE ROLE clerk LOGIN")
    await sql(database, "GRANT USAGE ON SCHEMA segue TO clerk")
    await sql(database, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA segue TO clerk")
    clerk = PostgresJournal(database.replace("segue@", "clerk@"))
    await clerk.append("c", 2, [DriveStarted("d")], at=1.0)
    assert (await asyncio.to_thread(clerk.transact, "c", 2, lambda db: ToolReturned("1.1"), at=1.0)).seq == 3
    await clerk.hold("d")
    assert await clerk.erase("c")
    await clerk.aclose()
    await sql(database, "REVOKE ALL ON ALL TABLES IN SCHEMA segue FROM clerk")
    refused = PostgresJournal(database.replace("segue@", "clerk@"))
    with pytest.raises(JournalError, match="permission denied"):
        await refused.read("c")
    await refused.aclose()
    await sql(database, "DROP OWNED BY clerk")
    await sql(database, "DROP ROLE clerk")


async def test_a_database_that_cannot_hold_every_text_is_refused(postgres):
    postgres.run_sql("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    journal = PostgresJournal(postgres.address("latin"))
    with pytest.raises(UsageError, match="ENCODING 'UTF8'"):
        await journal.read("c")
    await journal.aclose()


# --- what it says where it cannot


@pytest.mark.parametrize("wrong", ["postgresql://u:secret@[", "host=h secret", "postgresql://u:secret@h/d?nonsense=secret"])
def test_an_address_that_is_none_is_refused_without_its_password(wrong):
    with pytest.raises(UsageError, match="no address of a database") as refused:
        PostgresJournal(wrong)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "wishes", [{"schema": ""}, {"schema": "x" * 64}, {"schema": "\0"}, {"schema": "%s"}, {"pool_size": 0}, {"patience": 0.0}]
)
def test_a_wish_that_makes_no_sense_is_refused(wishes):
    with pytest.raises(UsageError):
        PostgresJournal("postgresql://localhost/d", **wishes)


@pytest.mark.parametrize(
    ("user", "name", "words"), [("segue", "nowhere", "database .* does not exist"), ("nobody", "postgres", "role .* does not exist")]
)
async def test_where_patience_does_not_help_it_is_not_waited_for(postgres, user, name, words):
    journal = PostgresJournal(postgres.address(name).replace("segue@", f"{user}@"), patience=1e9)
    for asked in (journal.read("c"), journal.hold("d"), journal.wait("c", after=0, timeout=1e9)):
        with pytest.raises(JournalError, match=words):
            await asyncio.wait_for(asked, 60)
    with pytest.raises(JournalError, match=words):
        await asyncio.to_thread(journal.transact, "c", 1, lambda db: ToolReturned("1.1"), at=1.0)
    await journal.aclose()


async def test_a_server_that_is_not_there_is_named_when_patience_is_over(tmp_path):
    journal = PostgresJournal(f"postgresql://u:secret@/d?host={tmp_path}", patience=0.2)
    for asked in (journal.read("c"), journal.append("c", 1, [Started("c", "A")], at=1.0), journal.hold("d")):
        with pytest.raises(JournalError, match=r"for 0\.2 s") as refused:
            await asked
        assert "secret" not in str(refused.value)
    with pytest.raises(JournalError, match=r"for 0\.2 s"):
        await asyncio.to_thread(journal.transact, "c", 1, lambda db: ToolReturned("1.1"), at=1.0)
    await journal.aclose()


async def test_waiting_at_a_server_that_is_not_there_ends_with_its_time(tmp_path):
    journal = PostgresJournal(f"postgresql://u@/d?host={tmp_path}", patience=60)
    await journal.wait("c", after=0, timeout=0.1)
    await journal.aclose()


async def test_without_the_extra_the_mend_is_told():
    code = "import sys; sys.modules['psycopg'] = None\nfrom segue.journal.resolve import journal_from\njournal_from('postgresql://h/d')"
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install '.[postgres]'" in done.stderr.strip().splitlines()[-1]
    assert "UsageError" in done.stderr.strip().splitlines()[-1]


def test_where_all_tests_must_run_a_machine_without_a_server_is_a_failure_and_elsewhere_a_skip(monkeypatch):
    monkeypatch.setattr(postgres_server, "programs", lambda: None)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt install postgresql"):
        postgres_server.wanted()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="apt install postgresql"):
        postgres_server.wanted()

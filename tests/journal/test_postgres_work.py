"""A tool's own work in the journal's database: with its outcome or not at all, whatever the tool, a rival or the network does."""

import asyncio
import contextlib
import threading

import psycopg
import pytest
from psycopg.rows import dict_row

from segue.core.events import DriveStarted, Started, ToolReturned
from segue.errors import JournalConflict, JournalError, UsageError
from segue.journal.base import Transactional
from segue.journal.postgres import PostgresJournal
from tests.postgres import Relay, name_of

PAID = ToolReturned("2.1", "paid", seconds=0.1)


@pytest.fixture
async def journal(database, postgres):
    postgres.run_sql("CREATE TABLE account (owner text PRIMARY KEY, cents int); INSERT INTO account VALUES ('ann', 0)", name_of(database))
    journal = PostgresJournal(database, patience=20)
    await journal.append("c", 1, [Started("c", "A"), DriveStarted("d_1")], at=1.0)
    yield journal
    await journal.aclose()


@pytest.fixture
def cents(postgres, database):
    """What the account holds, seen from outside."""
    return lambda: int(postgres.run_sql("SELECT sum(cents) FROM account", name_of(database)))


RAISE = "UPDATE account SET cents = cents + 1 WHERE owner = 'ann'"


def pay(db: psycopg.Connection) -> ToolReturned:
    db.execute(RAISE)
    return PAID


async def transact(journal, work, fence=2, at=2.0):
    return await asyncio.to_thread(journal.transact, "c", fence, work, at=at)


async def test_a_tools_work_and_its_outcome_are_there_together(journal, cents):
    assert isinstance(journal, Transactional)
    assert await transact(journal, pay) == (3, 2.0, PAID)
    assert cents() == 1
    assert (await journal.read("c", after=2)) == [(3, 2.0, PAID)]
    await journal.append("c", 4, [DriveStarted("d_2")], at=3.0)


async def test_what_the_tool_raises_comes_out_with_everything_rolled_back(journal, cents):
    def fail(db):
        pay(db)
        raise LookupError("no such item")

    with pytest.raises(LookupError, match="no such item"):
        await transact(journal, fail)
    assert cents() == 0
    assert len(await journal.read("c")) == 2


async def test_a_tool_is_not_called_where_another_driver_has_taken_over(journal, cents):
    called = []
    await journal.append("c", 3, [DriveStarted("d_2")], at=1.0)
    with pytest.raises(JournalConflict, match="Another driver"):
        await transact(journal, lambda db: called.append(1) or pay(db))
    assert not called
    await transact(journal, pay, fence=3)
    assert cents() == 1


async def test_a_conversation_that_is_not_there_has_no_tools(journal):
    with pytest.raises(JournalConflict):
        await asyncio.to_thread(journal.transact, "nowhere", 1, pay, at=1.0)


async def test_a_tool_that_wakes_after_a_takeover_is_rolled_back(journal, cents, database):
    begun, wake = threading.Event(), threading.Event()

    def sleep(db):
        pay(db)
        begun.set()
        wake.wait(60)
        return PAID

    zombie = asyncio.create_task(transact(journal, sleep))
    await asyncio.to_thread(begun.wait, 60)
    other = PostgresJournal(database)
    await other.append("c", 3, [DriveStarted("d_2")], at=1.5)
    wake.set()
    with pytest.raises(JournalConflict, match="rolled back"):
        await zombie
    assert cents() == 0
    await transact(other, pay, fence=3)
    assert cents() == 1
    assert [row.seq for row in await other.read("c")] == [1, 2, 3, 4]
    await other.aclose()


async def test_a_takeover_that_is_not_yet_committed_is_waited_for(journal, cents, database):
    """The takeover holds the conversation's row when the tool ends; the tool sees it as soon as it is there."""
    taking, taken, ended = asyncio.Event(), asyncio.Event(), threading.Event()

    async def hold_on(link):
        taking.set()
        await taken.wait()

    takeover = asyncio.create_task(journal.append("c", 3, [DriveStarted("d_2")], at=1.5, within=hold_on))
    await taking.wait()
    zombie = asyncio.create_task(transact(journal, lambda db: ended.set() or pay(db)))
    await asyncio.to_thread(ended.wait, 60)
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as link:
        while not await (await link.execute("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")).fetchall():
            await asyncio.sleep(0)
    taken.set()
    await takeover
    with pytest.raises(JournalConflict):
        await zombie
    assert cents() == 0


async def test_tools_and_appends_of_one_conversation_at_once_wait_for_each_other_and_all_are_written(journal, cents, postgres, database):
    postgres.run_sql("INSERT INTO account SELECT 't' || n, 0 FROM generate_series(0, 7) AS n", name_of(database))

    def pay_own(nth):
        def work(db):
            db.execute("UPDATE account SET cents = cents + 1 WHERE owner = %s", [f"t{nth}"])
            return ToolReturned(f"2.{nth}", "paid")

        return work

    async def tool(nth):
        for _ in range(5):
            await transact(journal, pay_own(nth))

    async def outside():
        done = 0
        while done < 20:
            try:
                await journal.append("c", len(await journal.read("c")) + 1, [ToolReturned("9.9", "x")], at=2.0)
                done += 1
            except JournalConflict:
                pass

    await asyncio.gather(outside(), *(tool(nth) for nth in range(8)))
    rows = await journal.read("c")
    assert [row.seq for row in rows] == list(range(1, 2 + 20 + 40 + 1))
    assert cents() == 40


# --- what a tool might do to its transaction


def swallow(db, *statements):
    for statement in statements:
        with contextlib.suppress(psycopg.Error):
            db.execute(statement)


COMMITS = {
    "commit()": lambda db: db.commit(),
    "COMMIT": lambda db: db.execute("COMMIT"),
    "END": lambda db: db.execute("END"),
    "COMMIT AND CHAIN": lambda db: db.execute("COMMIT AND CHAIN"),
    "COMMIT, swallowed": lambda db: swallow(db, "COMMIT"),
    "COMMIT, swallowed, and more": lambda db: [swallow(db, "COMMIT"), pay(db)],
    "COMMIT, swallowed, and more, and again": lambda db: [swallow(db, "COMMIT"), pay(db), swallow(db, "COMMIT")],
    "several statements": lambda db: db.execute(f"COMMIT; {RAISE}; COMMIT"),
    "several statements, swallowed": lambda db: swallow(db, f"COMMIT; {RAISE}; COMMIT"),
    "checks at once": lambda db: db.execute("SET CONSTRAINTS ALL IMMEDIATE"),
    "two-phase": lambda db: db.execute("PREPARE TRANSACTION 'x'"),
    "autocommit": lambda db: setattr(db, "autocommit", True),
    "with db": lambda db: db.__exit__(None, None, None),
}
ROLLBACKS = {
    "rollback()": lambda db: db.rollback(),
    "ROLLBACK": lambda db: db.execute("ROLLBACK"),
    "ROLLBACK and more": lambda db: [db.execute("ROLLBACK"), pay(db)],
    "ROLLBACK and a new one": lambda db: [db.execute("ROLLBACK"), db.execute("BEGIN"), pay(db)],
    "ROLLBACK AND CHAIN": lambda db: [db.execute("ROLLBACK AND CHAIN"), pay(db)],
    "ROLLBACK and more and COMMIT": lambda db: [db.execute("ROLLBACK"), swallow(db, RAISE), db.execute("COMMIT")],
    "ROLLBACK and more in one string": lambda db: swallow(db, f"ROLLBACK; {RAISE}; COMMIT"),
    "close": lambda db: db.close(),
    "swallowed error": lambda db: swallow(db, "SELECT 1/0"),
}


@pytest.mark.parametrize("deed", (COMMITS | ROLLBACKS).items(), ids=lambda deed: deed[0])
async def test_a_tool_can_end_its_transaction_in_no_way_that_leaves_its_work_without_an_outcome(journal, cents, deed):
    def work(db):
        pay(db)
        deed[1](db)
        return PAID

    with pytest.raises((UsageError, psycopg.Error)):
        await transact(journal, work)
    assert cents() == 0
    assert len(await journal.read("c")) == 2
    await transact(journal, pay)
    assert cents() == 1


async def test_what_a_tool_did_wrong_is_told_in_words(journal):
    for deed, words in (("ROLLBACK", "it ended it"), ("SELECT 1/0", "kept an error of the database to itself")):
        with pytest.raises(UsageError, match=words):
            await transact(journal, lambda db, deed=deed: swallow(db, deed) or PAID)
    with pytest.raises(UsageError, match="went on in another one"):
        await transact(journal, lambda db: [db.execute("ROLLBACK"), db.execute("SELECT 1")] and PAID)
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="segue_commits_the_transactions_of_tools"):
        await transact(journal, lambda db: db.execute("COMMIT"))


async def test_a_savepoint_of_the_tools_own_is_its_own_affair(journal, cents):
    def work(db):
        with pytest.raises(psycopg.errors.UniqueViolation), db.transaction():
            db.execute("INSERT INTO account VALUES ('bob', 5), ('bob', 5)")
        return pay(db)

    await transact(journal, work)
    assert cents() == 1


async def test_what_a_tool_sets_on_its_connection_harms_nothing_and_is_gone_with_it(journal, cents):
    def work(db):
        db.row_factory = dict_row
        db.cursor_factory = psycopg.ClientCursor
        db.execute("SET search_path = pg_catalog")
        db.execute("SET SESSION statement_timeout = '1h'")
        db.execute("CREATE TEMPORARY TABLE mine (x int)")
        kept.append(db)
        return PAID

    kept: list[psycopg.Connection] = []
    await transact(journal, work)
    assert kept[0].closed

    def look(db):
        found.append(db.execute("SELECT current_setting('statement_timeout'), current_setting('search_path')").fetchone())
        found.append(db.execute("SELECT to_regclass('mine')").fetchone())
        return pay(db)

    found: list[tuple] = []
    await transact(journal, look)
    assert found == [("5s", '"$user", public'), (None,)]


async def test_a_tool_that_waits_for_a_lock_is_not_waited_for_for_ever(journal, cents, database):
    async with await psycopg.AsyncConnection.connect(database) as other:
        await other.execute("SELECT FROM account FOR UPDATE")
        with pytest.raises((psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled)):
            await transact(journal, pay)
    assert cents() == 0


async def test_a_constraint_that_is_checked_at_the_commit_is_the_tools_own_failure(journal, cents, postgres, database):
    postgres.run_sql("ALTER TABLE account ADD CONSTRAINT fair EXCLUDE (cents WITH =) DEFERRABLE INITIALLY DEFERRED", name_of(database))

    def work(db):
        db.execute("INSERT INTO account VALUES ('bob', 7), ('eve', 7)")
        return PAID

    with pytest.raises(psycopg.errors.ExclusionViolation):
        await transact(journal, work)
    assert cents() == 0
    assert len(await journal.read("c")) == 2


# --- connections that are lost


@pytest.fixture
async def relay(postgres):
    async with Relay(postgres) as relay:
        yield relay


@pytest.fixture
async def far(relay, database, journal):
    far = PostgresJournal(relay.address(database), patience=20)
    yield far
    await far.aclose()


async def test_a_commit_whose_answer_was_lost_is_found_to_have_happened(far, relay, cents, journal):
    relay.lose(b"COMMIT", "answer")
    assert await transact(far, pay) == (3, 2.0, PAID)
    assert relay.lost
    assert cents() == 1
    assert len(await journal.read("c")) == 3


async def test_a_commit_that_never_arrived_is_found_not_to_have_happened(far, relay, cents, journal):
    relay.lose(b"COMMIT", "words")
    with pytest.raises(JournalError, match="lost in the commit: the tool's work was rolled back"):
        await transact(far, pay)
    assert relay.lost
    assert cents() == 0
    assert len(await journal.read("c")) == 2


async def test_a_commit_that_the_server_is_still_busy_with_is_waited_for(far, relay, cents, postgres):
    """A server that waits for a standby has not finished the commit, and others do not see it yet."""
    try:
        postgres.run_sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        postgres.run_sql("SELECT pg_reload_conf(), pg_sleep(0.3)")
        relay.lose(b"COMMIT", "both")
        paying = asyncio.create_task(transact(far, pay))
        while not paying.done() and not postgres.run_sql("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
            await asyncio.sleep(0.05)
    finally:
        postgres.run_sql("ALTER SYSTEM RESET synchronous_standby_names")
        postgres.run_sql("SELECT pg_reload_conf()")
    assert await paying == (3, 2.0, PAID)
    assert relay.lost
    assert cents() == 1


async def test_who_stops_before_the_commit_does_not_keep_the_conversation_from_the_others(far, relay, cents, journal):
    relay.lose(b"COMMIT", "silently")
    stopped = asyncio.create_task(transact(far, pay))
    while not relay.lost:
        await asyncio.sleep(0.01)
    await journal.append("c", 3, [DriveStarted("d_2")], at=3.0)
    with pytest.raises(JournalError, match="rolled back"):
        await stopped
    assert cents() == 0


async def test_a_commit_of_which_nothing_is_known_when_patience_is_over_is_not_said_to_be_rolled_back(relay, database, cents, journal):
    hasty = PostgresJournal(relay.address(database), patience=0.3)
    relay.lose(b"COMMIT", "answer")
    relay.closed = True
    with pytest.raises(JournalError, match="is not known here"):
        await transact(hasty, pay)
    assert cents() == 1
    assert len(await journal.read("c")) == 3
    await hasty.aclose()


@pytest.mark.parametrize("lost", ["words", "answer"])
async def test_an_outcome_that_was_lost_before_the_commit_is_rolled_back(far, relay, cents, journal, lost):
    relay.lose(b"paid", lost)
    with pytest.raises(JournalError, match=r"tool's work .* rolled back"):
        await transact(far, pay)
    assert cents() == 0
    assert len(await journal.read("c")) == 2


async def test_a_connection_that_is_lost_in_the_tools_hands_is_the_tools_failure(journal, cents, postgres):
    def work(db):
        pay(db)
        postgres.run_sql(f"SELECT pg_terminate_backend({db.info.backend_pid}, 5000)")
        return pay(db)

    with pytest.raises(psycopg.OperationalError):
        await transact(journal, work)
    assert cents() == 0


async def test_a_tool_waits_for_a_server_that_restarts(journal, cents, postgres):
    await asyncio.to_thread(postgres.stop)
    waiting = asyncio.create_task(transact(journal, pay))
    await asyncio.to_thread(postgres.start)
    assert (await waiting).seq == 3
    assert cents() == 1

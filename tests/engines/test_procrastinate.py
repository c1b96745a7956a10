import pytest

from segue.engine import Sharing
from segue.engines.procrastinate import ProcrastinateEngine
from segue.errors import JournalError, UsageError
from tests.engines.workers import jobs


class Elsewhere:
    """A journal that is not in a database."""


class In:
    """A journal in a database."""

    def __init__(self, conninfo):
        self.conninfo = conninfo


@pytest.mark.parametrize(
    ("journal", "shared"),
    [
        (In("postgresql://app@db/segue"), True),
        (In("postgresql://app:secret@db/segue"), True),
        (In("host=db dbname=segue user=app"), True),
        (In("postgresql://app@db/another"), False),
        (In("postgresql://other@db/segue"), False),
        (In("postgresql://app@db2/segue"), False),
        (In("postgresql://app@db:5433/segue"), False),
        (In("postgresql://app@db/segue?options=-csearch_path%3Dteam"), False),
        (Elsewhere(), False),
    ],
)
def test_an_engine_shares_the_transactions_of_a_journal_that_lives_in_its_database(journal, shared):
    engine = ProcrastinateEngine("postgresql://app@db/segue")
    assert isinstance(engine, Sharing)
    assert engine.shares(journal) is shared


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"conninfo": "segue.db"}, "no address of a PostgreSQL database"),
        (
            {"conninfo": "postgresql://app:secret@db:54 32/segue"},
            "^This is no address of a PostgreSQL database[^:]*postgresql://user@host:5432/database.$",
        ),
        ({"concurrency": 0}, "drives one conversation at least"),
        ({"heartbeat": 3.0, "stalled": 4.0}, "give stalled twice as long"),
        ({"heartbeat": 0.0}, "must be able to miss"),
        ({"sweep": 7}, "divides 60"),
        ({"sweep": 0}, "divides 60"),
    ],
)
def test_what_no_worker_could_keep_to_is_refused_when_the_engine_is_made(options, words):
    with pytest.raises(UsageError, match=words):
        ProcrastinateEngine(**{"conninfo": "postgresql://app@db/segue", **options})


async def test_a_database_that_cannot_be_reached_is_a_typed_error_that_keeps_the_password(tmp_path):
    engine = ProcrastinateEngine(f"postgresql://app:secret@/segue?host={tmp_path}")
    with pytest.raises(JournalError, match=r"did not do it: connection .* failed: .*\.$") as caught:
        await engine.submit("c1")
    assert "secret" not in str(caught.value)
    with pytest.raises(JournalError):
        await engine.work(engine.submit)


async def test_a_conversation_may_have_any_name(database):
    names = ["c 1", "ü/%s'; --", "x" * 300]
    engine = ProcrastinateEngine(database)
    for name in names:
        await engine.submit(name)
    assert jobs(database) == [(name, "todo") for name in names]

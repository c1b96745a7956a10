"""Connections that are lost at every moment, and a server that restarts: nothing acknowledged is lost, nothing is written twice."""

import asyncio
import random
import signal
import time

import pytest

from segue.core.events import InstructionsRendered, Started
from segue.errors import JournalConflict, JournalError
from segue.journal.postgres import PostgresJournal
from tests.acting import pass_time, until
from tests.postgres import Relay, name_of
from tests.scale import scaled


@pytest.fixture
async def journal(database):
    journal = PostgresJournal(database)
    yield journal
    await journal.aclose()


@pytest.fixture
async def relay(postgres):
    async with Relay(postgres) as relay:
        yield relay


@pytest.fixture
async def far(relay, database):
    """A journal whose connections pass through the relay."""
    far = PostgresJournal(relay.address(database))
    yield far
    await far.aclose()


def noted(text: str) -> InstructionsRendered:
    return InstructionsRendered("A", text)


async def texts(journal: PostgresJournal, name: str = "c") -> list[str]:
    return [row.event.text for row in (await journal.read(name))[1:]]


@pytest.mark.parametrize("lost", ["words", "answer"])
@pytest.mark.parametrize("seq", [1, 2])
async def test_an_append_whose_answer_was_lost_is_written_once(journal, far, relay, lost, seq):
    await far.read("c")
    if seq == 2:
        await journal.append("c", 1, [Started("c", "A")], at=1.0)
    events = [Started("c", "A"), noted("lose me")][seq - 1 :]
    relay.lose(b"lose me", lost)
    await far.append("c", seq, [*events, noted("and me")], at=2.0)
    assert relay.lost
    assert await texts(journal) == ["lose me", "and me"]


async def test_an_append_whose_answer_was_lost_is_known_again_when_others_have_gone_on(journal, far, relay):
    await far.append("c", 1, [Started("c", "A")], at=1.0)
    relay.lose(b"lose me", "answer")

    async def go_on():
        while not await texts(journal):
            await asyncio.sleep(0)
        await journal.append("c", 3, [noted("from outside")], at=2.0)

    await asyncio.gather(far.append("c", 2, [noted("lose me")], at=2.0), go_on())
    assert await texts(journal) == ["lose me", "from outside"]


@pytest.mark.parametrize(("text", "at"), [("other", 2.0), ("lose me", 3.0)])
async def test_an_append_that_was_lost_on_its_way_is_a_conflict_where_another_was_there_first(journal, far, relay, text, at):
    await far.append("c", 1, [Started("c", "A")], at=1.0)

    async def first():
        while not relay.lost:
            await asyncio.sleep(0)
        await journal.append("c", 2, [noted(text)], at=at)

    await journal.read("c")
    relay.lose(b"lose me", "words")
    _, conflict = await asyncio.gather(first(), far.append("c", 2, [noted("lose me")], at=2.0), return_exceptions=True)
    assert isinstance(conflict, JournalConflict)
    assert await texts(journal) == [text]


@pytest.mark.parametrize("lost", ["words", "answer"])
async def test_what_was_to_be_done_within_an_append_is_done_once_though_the_commits_answer_was_lost(
    journal, far, relay, postgres, database, lost
):
    postgres.run_sql("CREATE TABLE job (conversation text)", name_of(database))
    await far.append("c", 1, [Started("c", "A")], at=1.0)

    async def submit(link):
        await link.execute("INSERT INTO job VALUES ('c')")
        if attempts.append(1) or len(attempts) == 1:
            relay.lose(b"COMMIT", lost)

    attempts: list[int] = []
    await far.append("c", 2, [noted("x")], at=2.0, within=submit)
    assert relay.lost
    assert postgres.run_sql("SELECT count(*) FROM job", name_of(database)) == "1"
    assert await texts(journal) == ["x"]
    assert len(attempts) == (1 if lost == "answer" else 2)


async def test_what_is_done_within_an_append_is_tried_again_whatever_it_makes_of_a_lost_connection(journal, postgres, database):
    class Wrapped(Exception):
        pass

    async def submit(link):
        attempts.append(1)
        if len(attempts) == 1:
            postgres.run_sql(f"SELECT pg_terminate_backend({link.info.backend_pid}, 5000)")
        try:
            await link.execute("SELECT 1")
        except Exception as error:
            raise Wrapped from error

    attempts: list[int] = []
    await journal.append("c", 1, [Started("c", "A")], at=2.0, within=submit)
    assert len(attempts) == 2
    assert len(await journal.read("c")) == 1


async def test_when_patience_is_over_it_is_not_said_that_nothing_was_written(relay, database, journal):
    hasty = PostgresJournal(relay.address(database), patience=30)
    await hasty.append("c", 1, [Started("c", "A")], at=1.0)
    relay.lose(b"lose me", "answer")
    relay.closed = True
    appending = asyncio.create_task(hasty.append("c", 2, [noted("lose me")], at=2.0))
    await until(lambda: relay.lost)
    while not await texts(journal):
        await asyncio.sleep(0.001)
    pass_time(30)
    with pytest.raises(JournalError, match="is not known here"):
        await appending
    assert await texts(journal) == ["lose me"]
    await hasty.aclose()


async def converse(journal: PostgresJournal, name: str, over: asyncio.Event, turns: int) -> None:
    """Append as a run does, a few events at a time, at least so many times and until it is over; see that all of it is there."""
    await journal.append(name, 1, [Started(name, "A")], at=time.time())
    said: list[str] = []
    while len(said) < turns or not over.is_set():
        events = [f"{len(said)}.{nth}" for nth in range(1 + len(said) % 3)]
        await journal.append(name, len(said) + 2, [noted(text) for text in events], at=time.time())
        said += events
    assert await texts(journal, name) == said


async def test_every_acknowledged_append_is_there_once_though_connections_are_cut_at_random(journal, postgres, database):
    over = asyncio.Event()

    async def cut():
        for _ in range(40):
            statement = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                f" WHERE application_name = 'segue' AND datname = '{name_of(database)}' AND random() < 0.5"
            )
            await asyncio.to_thread(postgres.run_sql, statement)
            await asyncio.sleep(random.uniform(0, 0.02))
        over.set()

    await asyncio.gather(cut(), *(converse(journal, f"c{nth}", over, 10) for nth in range(40)))


async def restart(postgres, times: int, pause: float, over: asyncio.Event) -> None:
    """Restart the server in each of its ways in turn."""
    for nth in range(times):
        await asyncio.sleep(pause)
        match nth % 3:
            case 0:
                await asyncio.to_thread(postgres.restart)
            case 1:
                await asyncio.to_thread(postgres.restart, signal.SIGQUIT)
            case _:
                await asyncio.to_thread(postgres.kill)
                await asyncio.to_thread(postgres.start)
    over.set()


async def test_conversations_go_on_while_the_server_restarts(journal, postgres):
    over = asyncio.Event()
    await asyncio.gather(restart(postgres, 6, 0.1, over), *(converse(journal, f"c{nth}", over, 10) for nth in range(30)))


async def test_connections_that_were_cut_with_another_one_are_not_tried_one_by_one(database, postgres):
    journal = PostgresJournal(database, pool_size=20, patience=5)  # less than twenty pauses
    await asyncio.gather(*(journal.append(f"c{nth}", 1, [Started("c", "A")], at=1.0) for nth in range(100)))
    await asyncio.to_thread(postgres.restart)
    assert len(await journal.read("c1")) == 1
    await journal.aclose()


@pytest.mark.slow
async def test_two_hundred_conversations_go_on_while_the_server_restarts_every_few_seconds_for_two_minutes(journal, postgres):
    over = asyncio.Event()

    async def customer(who: int) -> None:
        nth = 0
        while not over.is_set():
            done = asyncio.Event()
            done.set()
            await converse(journal, f"c{who}-{nth}", done, 14)
            nth += 1

    times = scaled(40)
    await asyncio.gather(restart(postgres, times, 3.0, over), *(customer(who) for who in range(200)))
    assert len(await journal.conversations(limit=10_000)) >= 200

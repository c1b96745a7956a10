"""A Runner, its journal and the queue in one database: what is committed together, and what is found again."""

import asyncio

import pytest

from segue import Runner
from segue.core.events import DriveStarted, InputGiven, Started, ToolReturned
from segue.core.fold import replay
from segue.core.messages import User
from segue.journal.base import summary_of
from segue.journal.postgres import PostgresJournal
from tests.engines.shop import entry
from tests.engines.workers import jobs, quick, until, working

ASKED = [Started("c1", "Clerk"), InputGiven("run-1", (User("refund A 0"),))]


@pytest.fixture
async def journal(database):
    journal = PostgresJournal(database)
    yield journal
    await journal.aclose()


async def append(journal, *events, **options):
    await journal.append("c1", 1, events, at=1.0, summary=summary_of(replay(events)), **options)


async def test_an_input_and_the_wish_to_have_it_driven_are_there_together_or_not_at_all(journal, database):
    engine = quick(database)
    assert engine.shares(journal)

    async def submitted_and_broken(connection):
        await engine.submit_within(connection, "c1")
        raise ZeroDivisionError

    async def submitted(connection):
        await engine.submit_within(connection, "c1")

    with pytest.raises(ZeroDivisionError):
        await append(journal, *ASKED, within=submitted_and_broken)
    assert (await journal.read("c1"), jobs(database)) == ([], [])
    await append(journal, *ASKED, within=submitted)
    assert (len(await journal.read("c1")), jobs(database)) == (2, [("c1", "todo")])


async def test_a_runner_with_an_engine_leaves_the_driving_to_the_workers(journal, database):
    engine = quick(database)
    runner = Runner(entry, journal=journal, engine=engine)
    run = asyncio.create_task(runner.run("refund A 0", conversation="c1"))
    await until(lambda: jobs(database))
    assert [type(row.event) for row in await journal.read("c1")] == [Started, InputGiven]
    worker = Runner(entry, journal=journal)
    async with working(engine, worker.drive, left=worker.left):
        assert (await run).output == "A is refunded"
        await until(lambda: not jobs(database))
    await worker.aclose()
    assert len([row for row in await journal.read("c1") if isinstance(row.event, DriveStarted)]) == 1


async def test_what_was_appended_and_never_submitted_is_driven_all_the_same(journal, database):
    await append(journal, *ASKED)
    worker = Runner(entry, journal=journal)
    async with working(quick(database), worker.drive, left=worker.left):
        async for row in worker.follow("c1"):
            if isinstance(row.event, ToolReturned):
                break
        await until(lambda: not jobs(database))
    await worker.aclose()
    assert await worker.left() == []


async def test_many_conversations_go_through_two_workers_once_each(journal, database):
    engine = quick(database)
    runner = Runner(entry, journal=journal, engine=engine)
    workers = [Runner(entry, journal=journal) for _ in range(2)]
    async with working(engine, workers[0].drive), working(quick(database), workers[1].drive):
        responses = await asyncio.gather(*[runner.run(f"refund {number} 0", conversation=f"c{number}") for number in range(60)])
        await until(lambda: not jobs(database))
    for worker in workers:
        await worker.aclose()
    assert [response.output for response in responses] == [f"{number} is refunded" for number in range(60)]
    for number in range(60):
        assert len([row for row in await journal.read(f"c{number}") if isinstance(row.event, DriveStarted)]) == 1

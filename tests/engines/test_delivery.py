import asyncio
import logging

import pytest

from segue.errors import ConversationBusy, JournalConflict, JournalError
from tests.engines.workers import jobs, quick, rows, until, working


class Drives:
    """Drives that go on until they are let; what was begun and ended, in order."""

    def __init__(self):
        self.told = []
        self.gates = {}

    async def __call__(self, conversation):
        self.told.append(("begun", conversation))
        try:
            await self.gate(conversation).wait()
        except asyncio.CancelledError:
            self.told.append(("cancelled", conversation))
            raise
        self.told.append(("ended", conversation))

    def gate(self, conversation):
        return self.gates.setdefault(conversation, asyncio.Event())

    def let(self, conversation):
        self.gate(conversation).set()

    def count(self, what, conversation):
        return self.told.count((what, conversation))


async def nothing_left(address):
    await until(lambda: not jobs(address))


async def test_what_is_submitted_is_driven_and_the_queue_is_left_empty(database):
    engine, drives = quick(database), Drives()
    await engine.submit("before")
    drives.let("before")
    drives.let("while")
    async with working(engine, drives):
        await until(lambda: drives.count("ended", "before"))
        await engine.submit("while")
        await until(lambda: drives.count("ended", "while"))
        await nothing_left(database)
    assert rows(database, "SELECT count(*) FROM procrastinate_jobs WHERE status NOT IN ('todo', 'doing')") == [(0,)]


async def test_a_conversation_is_driven_by_one_at_a_time_and_others_beside_it(database):
    drives = Drives()
    first, second = quick(database), quick(database)
    async with working(first, drives), working(second, drives):
        await first.submit("c1")
        await until(lambda: drives.count("begun", "c1"))
        await first.submit("c1")
        await first.submit("c2")
        await until(lambda: drives.count("begun", "c2"))
        assert drives.count("begun", "c1") == 1
        assert ("c1", "todo") in jobs(database)
        drives.let("c1")
        await until(lambda: drives.count("ended", "c1") == 2)
        drives.let("c2")
        await nothing_left(database)
    assert [what for what, name in drives.told if name == "c1"] == ["begun", "ended", "begun", "ended"]


async def test_a_worker_drives_as_many_conversations_at_once_as_it_was_told_to(database):
    engine, drives = quick(database, concurrency=3), Drives()
    async with working(engine, drives):
        for number in range(5):
            await engine.submit(f"c{number}")
        await until(lambda: len(drives.told) == 3)
        drives.let("c0")
        await until(lambda: drives.count("begun", "c3"))
        assert [name for what, name in drives.told if what == "begun"] == ["c0", "c1", "c2", "c3"]
        for number in range(5):
            drives.let(f"c{number}")
        await nothing_left(database)
    assert sorted(drives.told) == sorted((what, f"c{number}") for what in ("begun", "ended") for number in range(5))


async def test_what_another_driver_has_taken_over_is_left_to_it(database):
    engine, asked = quick(database), []

    async def drive(conversation):
        asked.append(conversation)
        raise JournalConflict("taken")

    await engine.submit("c1")
    async with working(engine, drive):
        await until(lambda: asked)
        await nothing_left(database)
    assert asked == ["c1"]


async def test_what_is_held_in_this_process_is_looked_at_again(database):
    engine, asked = quick(database), []

    async def drive(conversation):
        asked.append(conversation)
        if len(asked) == 1:
            raise ConversationBusy("busy")

    await engine.submit("c1")
    async with working(engine, drive):
        await until(lambda: len(asked) == 2)
        await nothing_left(database)


async def test_what_fails_is_driven_again_later_and_later_until_it_does_not_fail(database, caplog):
    engine, asked = quick(database), []

    async def drive(conversation):
        asked.append(conversation)
        if len(asked) < 3:
            raise JournalError("the disk is full")

    await engine.submit("c1")
    async with working(engine, drive):
        await until(lambda: len(asked) == 3)
        await nothing_left(database)
    told = [record.message for record in caplog.records if record.name == "segue.engines.delivery"]
    assert told == [
        "A drive of conversation c1 failed, and is tried again in 1 s: JournalError('the disk is full')",
        "A drive of conversation c1 failed, and is tried again in 2 s: JournalError('the disk is full')",
    ]


async def test_a_conversation_that_is_submitted_while_its_drive_fails_is_driven_at_once(database):
    engine, asked = quick(database), []

    async def drive(conversation):
        asked.append(conversation)
        if len(asked) == 1:
            await engine.submit(conversation)
            raise JournalError("the disk is full")

    await engine.submit("c1")
    async with working(engine, drive):
        await until(lambda: len(asked) == 2)
        await nothing_left(database)
    assert asked == ["c1", "c1"]


async def test_a_worker_that_stops_waits_for_its_drives_takes_no_more_and_gives_back_what_they_leave(database):
    drives, others, stop = Drives(), Drives(), asyncio.Event()
    engine = quick(database)
    async with working(engine, drives, stop=stop) as task:
        await engine.submit("c1")
        await until(lambda: drives.told)
        stop.set()
        await engine.submit("c2")
        others.let("c2")
        async with working(quick(database), others):
            await until(lambda: others.count("ended", "c2"))
            since = "SELECT now() - %s > interval '5 seconds'"  # a worker that gave no sign of life would be thought dead by then
            stopped = rows(database, "SELECT now()")[0][0]
            await until(lambda: rows(database, since, (stopped,))[0][0])
            assert (others.count("begun", "c1"), task.done()) == (0, False)
            drives.let("c1")
            others.let("c1")
            await task
            await until(lambda: others.count("ended", "c1"))
            await nothing_left(database)
    assert drives.told == [("begun", "c1"), ("ended", "c1")]


async def test_a_worker_that_is_cancelled_cancels_its_drives_and_others_go_on_with_them(database):
    drives, others = Drives(), Drives()
    engine = quick(database)
    async with working(engine, drives) as task:
        await engine.submit("c1")
        await until(lambda: drives.told)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert drives.told == [("begun", "c1"), ("cancelled", "c1")]
    others.let("c1")
    async with working(quick(database), others):
        await until(lambda: others.count("ended", "c1"))
        await nothing_left(database)


async def test_a_worker_that_is_stopping_can_still_be_cancelled(database):
    drives, stop = Drives(), asyncio.Event()
    engine = quick(database)
    async with working(engine, drives, stop=stop) as task:
        await engine.submit("c1")
        await until(lambda: drives.told)
        stop.set()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert drives.told == [("begun", "c1"), ("cancelled", "c1")]
    assert [name for name, _ in jobs(database)] == ["c1"]


async def test_a_worker_that_was_stopped_before_it_began_takes_nothing(database):
    drives, stop = Drives(), asyncio.Event()
    stop.set()
    engine = quick(database)
    await engine.submit("c1")
    await engine.work(drives, stop=stop)
    assert (drives.told, jobs(database)) == ([], [("c1", "todo")])


async def test_conversations_with_work_left_that_nobody_submitted_are_found(database):
    engine, drives = quick(database), Drives()
    left, asked = ["forgotten", "driven"], []

    async def find():
        asked.append(list(left))
        return asked[-1]

    await engine.submit("driven")
    async with working(engine, drives, left=find):
        await until(lambda: drives.count("begun", "forgotten") and drives.count("begun", "driven"))
        swept = len(asked)
        await until(lambda: len(asked) >= swept + 3)
        assert sorted(jobs(database)) == [("driven", "doing"), ("forgotten", "doing")]
        left.clear()
        drives.let("forgotten")
        drives.let("driven")
        await nothing_left(database)
    assert sorted(drives.told) == [("begun", "driven"), ("begun", "forgotten"), ("ended", "driven"), ("ended", "forgotten")]


@pytest.mark.slow
async def test_a_worker_lives_through_a_database_that_is_away_and_its_drives_go_on_undoubled(postgres, database, caplog):
    caplog.set_level(logging.INFO, logger="segue")
    drives = Drives()
    first, second = quick(database), quick(database)
    async with working(first, drives) as one, working(second, drives) as two:
        await first.submit("c1")
        await until(lambda: drives.told)
        for _ in range(3):
            await asyncio.to_thread(postgres.restart)
            await first.submit("c2")
            await until(lambda: drives.count("begun", "c2"))
            drives.let("c2")
            await until(lambda: drives.count("ended", "c2"))
            drives.told = [told for told in drives.told if told[1] != "c2"]
        await asyncio.to_thread(postgres.stop)
        drives.let("c1")
        await until(lambda: drives.count("ended", "c1"))
        await asyncio.sleep(3)
        await asyncio.to_thread(postgres.start)
        await nothing_left(database)
        assert not one.done()
        assert not two.done()
    assert drives.told == [("begun", "c1"), ("ended", "c1")]


async def test_a_database_that_refuses_what_a_worker_asks_ends_it_with_a_typed_error(database):
    engine = quick(database)
    await engine.submit("c1")
    rows(database, "DROP FUNCTION procrastinate_fetch_job_v2")
    with pytest.raises(JournalError, match="procrastinate_fetch_job_v2"):
        await engine.work(Drives())


async def test_a_worker_that_was_thought_dead_and_forgotten_begins_again(database, caplog):
    engine, drives = quick(database), Drives()
    async with working(engine, drives):
        await engine.submit("c1")
        drives.let("c1")
        await until(lambda: drives.count("ended", "c1"))
        await nothing_left(database)
        await asyncio.to_thread(rows, database, "DELETE FROM procrastinate_workers")  # the worker may hold its row, on this loop
        await engine.submit("c2")
        drives.let("c2")
        await until(lambda: drives.count("ended", "c2"))
    assert "The worker begins again" in caplog.text

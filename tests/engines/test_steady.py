import time

import psycopg
import pytest
from procrastinate import PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Status

from segue.engines.queue import make_tables, put
from segue.engines.steady import Steady
from tests.engines.workers import jobs


class Wire(PsycopgConnector):
    """A connection on which an answer can get lost, after what was asked for was done."""

    lost = 0

    async def execute_query_one_async(self, query, **arguments):
        answer = await super().execute_query_one_async(query, **arguments)
        self._lose()
        return answer

    async def execute_query_async(self, query, **arguments):
        await super().execute_query_async(query, **arguments)
        self._lose()

    def _lose(self):
        if self.lost:
            self.lost -= 1
            raise ConnectorException from psycopg.OperationalError("server closed the connection unexpectedly")


@pytest.fixture
async def wire(database):
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await make_tables(connection)
        for number in range(3):
            await put(connection, f"c{number}")
    wire = Wire(conninfo=database)
    await wire.open_async()
    yield wire
    await wire.close_async()


async def test_a_job_is_not_lost_with_the_answer_that_brought_it(wire, database):
    steady = Steady(wire, 4.0)
    worker = await steady.register_worker()
    first = await steady.fetch_job(["segue"], worker)
    wire.lost = 1
    assert await steady.fetch_job(["segue"], worker) is None
    assert jobs(database) == [("c0", "doing"), ("c1", "doing"), ("c2", "todo")]
    fetched = [first, *[await steady.fetch_job(["segue"], worker) for _ in range(3)]]
    assert [job and job.task_kwargs["conversation"] for job in fetched] == ["c0", "c1", "c2", None]


async def test_a_job_that_ended_is_taken_away_once_however_often_it_is_tried(wire, database):
    steady = Steady(wire, 4.0)
    job = await steady.fetch_job(["segue"], await steady.register_worker())
    wire.lost = 1
    await steady.finish_job(job, Status.SUCCEEDED, delete_job=True)
    await steady.finish_job(job, Status.SUCCEEDED, delete_job=True)
    assert [name for name, _ in jobs(database)] == ["c1", "c2"]


async def test_a_worker_that_was_out_of_touch_judges_nobody_until_the_others_had_time(wire, monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    steady = Steady(wire, 4.0)
    worker = await steady.register_worker()
    may = {}
    for now in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0):
        may[now] = steady.may_judge()
        await steady.update_heartbeat(worker)
    assert [moment for moment, may_it in may.items() if may_it] == [4.0, 5.0, 15.0, 16.0]

"""Procrastinate's queries as a worker makes them, mended in one respect: a database that is away for a moment stops no worker.
What is done about a job is said in `delivery`."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager, NotificationCallback
from psycopg import Error, InterfaceError, OperationalError
from psycopg.errors import RaiseException, ReadOnlySqlTransaction

from segue.journal.postgres_link import words

log = logging.getLogger(__name__)

AGAIN = 1.0
"""Seconds after which a database that was away is asked again."""


def away(error: Exception) -> bool:
    """Whether the database did not answer, rather than refuse."""
    cause = error.__cause__ if isinstance(error, ConnectorException) else error
    return isinstance(cause, OperationalError | InterfaceError | ReadOnlySqlTransaction)


def reason(error: Exception) -> str:
    """What the database said, in a line."""
    return words(error.__cause__ if isinstance(error.__cause__, Error) else error)


class Steady(JobManager):
    """The queries of one worker."""

    def __init__(self, connector: BaseConnector, stalled: float) -> None:
        super().__init__(connector)
        self.taking = True
        """Whether jobs are taken out of the queue."""
        self.leaving = False
        """Whether jobs that end are left as they are: somebody else will find them."""
        self._stalled = stalled
        self._taken: set[int | None] = set()
        self._in_doubt = False
        self._in_touch_since = self._last = time.monotonic()
        self._look: Callable[[], Any] | None = None

    def may_judge(self) -> bool:
        """Whether this worker was in touch for long enough that it may think others dead.

        Where it was away itself, or the database was for everybody, the others need time to show that they live.
        """
        now = time.monotonic()
        return now - self._last <= self._stalled <= now - self._in_touch_since

    async def update_heartbeat(self, worker_id: int) -> None:
        """Give a sign of life."""
        try:
            await super().update_heartbeat(worker_id)
        except ConnectorException as error:
            _told(error, "A worker's sign of life was not written")
            return
        now = time.monotonic()
        if now - self._last > self._stalled:
            self._in_touch_since = now
        self._last = now

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """Take a job out of the queue."""
        if not self.taking:
            return None
        try:
            job = await self._lost(worker_id) if self._in_doubt else None
            job = job or await super().fetch_job(queues, worker_id)
        except ConnectorException as error:
            _told(error, "The queue was not looked at")
            self._in_doubt = True
            return None
        if job is not None:
            self._taken.add(job.id)
        return job

    async def _lost(self, worker_id: int) -> Job | None:
        """A job that was taken by a query whose answer was lost: it would be under way for ever."""
        for job in await self.list_jobs_async(status="doing", worker_id=worker_id):
            if job.id not in self._taken:
                return job
        self._in_doubt = False
        return None

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        """Take a job that has ended away, as soon as the database answers. It may be gone already.

        A job that stayed would keep its conversation from being driven for as long as this worker lives.
        """
        while not self.leaving:
            try:
                await super().finish_job(job, status, delete_job)
                break
            except ConnectorException as error:
                if isinstance(error.__cause__, RaiseException):
                    break  # it is gone
                _told(error, f"The end of {job.call_string} was not written")
            await asyncio.sleep(AGAIN)
        self._taken.discard(job.id)
        if self._look is not None:
            await self._look()

    async def defer_periodic_job(self, job: Job, periodic_id: str, defer_timestamp: int) -> int | None:
        """Put a job there whose time has come."""
        try:
            return await super().defer_periodic_job(job, periodic_id, defer_timestamp)
        except ConnectorException as error:
            _told(error, f"{job.task_name} was left out once")
            return None

    async def listen_for_jobs(self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None) -> None:
        """Hear of new jobs. Of one that waited for another's end, nobody hears: whoever ends one looks for such."""

        async def look() -> None:
            await on_notification(channel="", notification={"type": "job_inserted", "job_id": 0})

        self._look = look
        while True:
            try:
                await super().listen_for_jobs(on_notification=on_notification, queues=queues)
            except ConnectorException as error:
                _told(error, "New jobs are looked for, and not heard of")
            await asyncio.sleep(AGAIN)


def _told(error: ConnectorException, what: str) -> None:
    """Log that the database was away; raise what is something else."""
    if not away(error):
        raise error
    log.warning("%s: the database is away. %s", what, reason(error))

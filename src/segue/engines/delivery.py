"""A worker: takes conversations out of the queue, has them driven, and rescues those of workers that died.
Procrastinate tells who died; what becomes of a drive is the journal's business."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from procrastinate import App, JobContext, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from procrastinate.worker import Worker
from psycopg import AsyncConnection, OperationalError
from psycopg.errors import ForeignKeyViolation

from segue.engines.queue import DRIVE, QUEUE, put, put_back, settle, take_away, without_job
from segue.engines.steady import AGAIN, Steady, away, reason
from segue.errors import ConversationBusy, JournalConflict, JournalError

log = logging.getLogger(__name__)

BUSY = 5.0
"""Seconds after which a conversation that somebody holds is looked at again: whoever does may not do all that is left."""
LONGEST_WAIT = 60.0
"""Seconds after which a conversation whose drives fail is tried again, at most."""
PRUNED = 300.0
"""Seconds without a sign of life after which a worker is forgotten. Its conversations have gone to others long before."""


class Pace(NamedTuple):
    """How many conversations a worker drives at once, and its times in seconds; see `ProcrastinateEngine`."""

    concurrency: int
    heartbeat: float
    stalled: float
    sweep: int


class Delivery:
    """The conversations that one worker drives."""

    def __init__(
        self,
        conninfo: str,
        drive: Callable[[str], Awaitable[None]],
        left: Callable[[], Awaitable[Iterable[str]]] | None,
        stop: asyncio.Event,
        pace: Pace,
    ) -> None:
        self._drive = drive
        self._left = left
        self._stop = stop
        self._pace = pace
        self._going = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._connector = PsycopgConnector(
            conninfo=conninfo, configure=settle, min_size=1, max_size=8, timeout=2.0, reconnect_timeout=AGAIN
        )
        self._app = App(connector=self._connector)
        self._steady = self._app.job_manager = Steady(self._connector, pace.stalled)
        self._app.task(name=DRIVE, queue=QUEUE, pass_context=True)(self._deliver)
        # no lock: a rescue that dies must not keep others from rescuing
        rescue = self._app.task(name="segue.rescue", queue=QUEUE, queueing_lock="segue/rescue", priority=1)(self._rescue)
        self._app.periodic(cron="* * * * * *")(rescue)
        if left is not None:
            swept = self._app.task(name="segue.sweep", queue=QUEUE, queueing_lock="segue/sweep", priority=1)(self._sweep)
            self._app.periodic(cron=f"* * * * * */{pace.sweep}")(swept)

    async def run(self) -> None:
        """Work until told to stop; see `Engine.work`."""
        async with self._app.open_async():
            while not self._stop.is_set():
                try:
                    await self._work()
                except ConnectorException as error:
                    if not away(error) and not isinstance(error.__cause__, ForeignKeyViolation):
                        raise
                    # thought dead and forgotten, or stopped while the database was away: there is a place for a new worker
                    log.warning("The worker begins again: %s", reason(error))
                    await asyncio.sleep(AGAIN)

    async def _work(self) -> None:
        worker: Any = Worker(
            self._app,
            [QUEUE],
            concurrency=self._pace.concurrency,
            fetch_job_polling_interval=1.0,
            abort_job_polling_interval=60.0,  # no job of ours is ever aborted by others
            delete_jobs="always",
            install_signal_handlers=False,
            update_heartbeat_interval=self._pace.heartbeat,
            stalled_worker_timeout=PRUNED,
        )
        running = asyncio.create_task(worker.run())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                # A worker that is told to stop gives no more signs of life: it is told when its last drive is over.
                self._steady.taking = False
                await self._quiet.wait()
                worker.stop()
            await running
            if not self._stop.is_set():
                raise JournalError("The queue's database refused what a worker asked of it; the log of Procrastinate says what that was.")
        except asyncio.CancelledError:
            self._steady.taking, self._steady.leaving = False, True
            worker.shutdown_graceful_timeout = 0.0
            worker.stop()
            await asyncio.gather(running, return_exceptions=True)
            raise
        finally:
            stopping.cancel()

    # -- the tasks

    async def _deliver(self, context: JobContext, conversation: str, tries: int = 0) -> None:
        """Have a conversation driven, and give it back where it is not to be left at that."""
        self._going += 1
        self._quiet.clear()
        try:
            wait = await self._driven(conversation, tries)
            if wait is not None:
                assert context.job.id is not None
                await self._give_back(context.job.id, conversation, wait, tries + 1 if wait else 0)
        finally:
            self._going -= 1
            if not self._going:
                self._quiet.set()

    async def _driven(self, conversation: str, tries: int) -> float | None:
        """Drive; the seconds after which the conversation is to be driven again, or `None` if it is not."""
        if self._stop.is_set():
            return 0.0
        try:
            await self._drive(conversation)
        except JournalConflict as error:
            log.info("Conversation %s was taken over by another driver: %s", conversation, error)
        except ConversationBusy as error:
            log.info("Conversation %s is held in this process, and is looked at again: %s", conversation, error)
            return BUSY
        except Exception as error:
            wait = min(2.0**tries, LONGEST_WAIT)
            log.warning("A drive of conversation %s failed, and is tried again in %d s: %r", conversation, wait, error, exc_info=True)
            return wait
        return 0.0 if self._stop.is_set() else None  # it may have been handed over; if not, somebody finds nothing to do

    async def _give_back(self, job: int, conversation: str, wait: float, tries: int) -> None:
        while True:
            with _patience("A conversation was not given back"):
                async with self._connector.pool.connection() as connection:
                    await put_back(connection, job, conversation, wait=wait, tries=tries)
                return
            await asyncio.sleep(AGAIN)

    async def _rescue(self, timestamp: int) -> None:
        """Give the conversations of workers that died to others."""
        if not self._steady.may_judge():
            return
        with _patience("Nobody was rescued"):
            stalled = await self._steady.get_stalled_jobs(queue=QUEUE, seconds_since_heartbeat=self._pace.stalled)
            for job in stalled:
                async with self._connector.pool.connection() as connection:
                    await self._replace(connection, job)

    async def _replace(self, connection: "AsyncConnection[Any]", job: Job) -> None:
        assert job.id is not None
        if job.task_name != DRIVE:
            await take_away(connection, job.id)
        elif await put_back(connection, job.id, conversation := str(job.task_kwargs["conversation"])):
            log.warning("Conversation %s goes to another worker: its own gives no sign of life.", conversation)

    async def _sweep(self, timestamp: int) -> None:
        """Submit the conversations that have work left and that nobody submitted."""
        assert self._left is not None
        with _patience("Nothing was swept"):
            left = await self._left()
            async with self._connector.pool.connection() as connection:
                forgotten = await without_job(connection, left)
            for conversation in forgotten:
                log.warning("Conversation %s was left behind, and is submitted.", conversation)
                async with self._connector.pool.connection() as connection:
                    await put(connection, conversation)


@contextmanager
def _patience(what: str) -> Iterator[None]:
    """Go on where the database is away: what was to be done is done the next time."""
    try:
        yield
    except (ConnectorException, OperationalError) as error:
        if not away(error):
            raise
        log.warning("%s: the database is away. %s", what, reason(error))
    except JournalError as error:
        log.warning("%s: %s", what, error)

"""A run may be cancelled at each of its awaits, over every journal and in every way: the conversation is whole, what was done is told,
the next input goes on, and no effect is repeated."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segue.core.conversation import Status
from segue.core.events import ToolReturned
from segue.errors import ApprovalError
from segue.journal.base import fold
from segue.journal.sqlite import SqliteJournal
from segue.outside import cancel
from segue.pool import POOL
from segue.testing import MemoryJournal
from tests.acting import idle, until
from tests.counter import Counter


class At:
    """Awaits a coroutine, and does something where it suspends for the k-th time; `reached` says whether it did."""

    def __init__(self, work: Any, k: int, act: Callable[[], Any]) -> None:
        self.work, self.k, self.act, self.reached = work, k, act, False

    def __await__(self) -> Any:
        inner = self.work.__await__()
        error, count = None, 0
        while True:
            try:
                waits = inner.throw(error) if error is not None else inner.send(None)
            except StopIteration as stop:
                return stop.value
            count += 1
            if count == self.k:
                self.reached = True
                self.act()
            try:
                error = None
                yield waits
            except BaseException as thrown:
                error = thrown


class Trial:
    """One run on one journal, cancelled once."""

    def __init__(self, file: Path | None, plan: str) -> None:
        self.file = file
        self.plan = plan
        self.journal: Any = SqliteJournal(file) if file is not None else MemoryJournal()
        self.other: Any = SqliteJournal(file) if file is not None else self.journal
        self.counter = Counter(transactions=file is not None)
        self.runner = self.counter.runner(self.journal)

    async def work(self, how: str) -> Any:
        """What is cancelled."""
        if self.plan == "approve":
            asked = (await self.runner.run("sign", conversation="c")).waiting_for[0].approval
            assert asked is not None
            return self.runner.approve("c", asked.id, asked.digest)
        if how == "stream":
            return self._read()
        return self.runner.run(self.plan, conversation="c")

    async def _read(self) -> Any:
        async with self.runner.stream(self.plan, conversation="c") as stream:
            async for _ in stream:
                await asyncio.sleep(0)
        return stream.response

    async def cancelled_at(self, k: int, how: str) -> bool:
        """Cancel it at its k-th suspension; whether it came to that."""
        acts: list[asyncio.Future[Any]] = []

        def act() -> None:
            match how:
                case "task" | "stream":
                    task.cancel()
                case "runner":
                    acts.append(asyncio.ensure_future(self.runner.cancel("c")))
                case "elsewhere":
                    acts.append(asyncio.ensure_future(self._cancel_elsewhere()))

        steps = At(await self.work(how), k, act)

        async def whole() -> Any:
            return await steps

        task = asyncio.create_task(whole())
        await asyncio.wait([task])
        await asyncio.gather(*acts)
        if steps.reached and how in ("task", "stream"):
            assert task.cancelled(), f"the cancel was swallowed, and {task!r} came of it"
        elif steps.reached and not isinstance(task.exception(), ApprovalError):  # that is, the cancel came before the approval
            assert task.result().status in ("cancelled", "done", "waiting")
            assert task.cancelling() == 0
        return steps.reached

    async def _cancel_elsewhere(self) -> None:
        if await self.other.read("c"):
            await cancel(self.other, "c", at=2.0)

    async def goes_on(self) -> None:
        """What was cancelled is whole, and the next input is answered."""
        await until(lambda: self.runner._desk.drives() == [])
        await idle(POOL)  # threads that nobody waits for end
        before = list(self.counter.done)
        if await self.journal.read("c"):
            c = await self.counter.checked(self.journal, over=False)
            assert c.status in (Status.IDLE, Status.ENDED, Status.HUMAN), c.status
        response = await self.runner.run("nothing", conversation="c", busy="interrupt")
        assert response.output == "As you like."
        c = await self.counter.checked(self.journal)
        assert self.counter.done == before, "something was done again"
        returned = [row.event.place for row in await self.journal.read("c") if isinstance(row.event, ToolReturned)]
        if self.file is not None and self.plan == "book":
            assert self._booked() == [f"c {place}" for place in returned if place == "1.0"]
        inner = await self.journal.read("c/1.0")
        if inner:
            assert fold(inner).status in (Status.IDLE, Status.ENDED)
            await self.counter.checked(self.journal, "c/1.0")
        await until(
            lambda: {task for task in asyncio.all_tasks() if not task.done()} == {asyncio.current_task()}
        )  # a late result is written down

    def _booked(self) -> list[str]:
        db = sqlite3.connect(self.journal.path)
        try:
            tables = db.execute("select count(*) from sqlite_master where name = 'booked'").fetchone()[0]
            return [place for (place,) in db.execute("select place from booked")] if tables else []
        finally:
            db.close()

    async def close(self) -> None:
        await self.runner.aclose()
        await self.journal.aclose()
        await self.other.aclose()


async def everywhere(file: Callable[[int], Path | None], plan: str, how: str) -> int:
    """Cancel a run at each of its suspensions, each time from the beginning; how many there were.

    A thread may be faster than whoever would have waited for it: that there is no k-th suspension is believed the third time.
    """
    k, trials, missed = 1, 0, 0
    while missed < 3:
        trials += 1
        trial = Trial(file(trials), plan)
        try:
            reached = await trial.cancelled_at(k, how)
            await trial.goes_on()
        except BaseException as error:
            error.add_note(f"{plan}, cancelled ({how}) at suspension {k}")
            raise
        finally:
            await trial.close()
        k, missed = (k + 1, 0) if reached else (k, missed + 1)
    return k - 1


HOW = ["task", "stream", "runner", "elsewhere"]
PLANS = {"look": 2, "refund": 10, "approve": 2, "sign": 4, "ask": 3}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("plan", PLANS)
async def test_in_memory_a_run_may_be_cancelled_at_each_await(plan, how):
    assert await everywhere(lambda k: None, plan, how) >= PLANS[plan]


@pytest.mark.parametrize("how", [how if how in ("task", "elsewhere") else pytest.param(how, marks=pytest.mark.slow) for how in HOW])
@pytest.mark.parametrize("plan", [*PLANS, "book"])
async def test_over_sqlite_a_run_may_be_cancelled_at_each_await(tmp_path, plan, how):
    assert await everywhere(lambda k: tmp_path / f"{k}.db", plan, how) >= PLANS.get(plan, 5) + 2

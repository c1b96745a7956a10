"""Workers as people start them: `segue worker`, processes that are killed, stopped and asked to end, on one PostgreSQL."""

import asyncio
import contextlib
import random
import signal
import subprocess
import sys
import time

import pytest

from segue import Runner
from segue.core.events import DriveStarted, InputGiven, ModelReplied, ToolLate, ToolReturned, ToolUnknown
from segue.engines.procrastinate import ProcrastinateEngine
from segue.journal.postgres import PostgresJournal
from tests.cli.terminal import surroundings
from tests.engines.shop import entry
from tests.engines.workers import Ledger, jobs, rows, until


class Shop:
    """The workers, and a Runner that drives nothing itself."""

    def __init__(self, address, folder):
        self.address = address
        self.folder = folder
        self.ledger = Ledger(folder / "ledger")
        self.journal = PostgresJournal(address)
        self.runner = Runner(entry, journal=self.journal, engine=ProcrastinateEngine(address))
        self.workers = {}

    @contextlib.asynccontextmanager
    async def open(self, workers=2):
        try:
            for _ in range(workers):
                self.start()
            await until(lambda: rows(self.address, "SELECT to_regclass('procrastinate_workers')") != [(None,)])
            await until(lambda: rows(self.address, "SELECT count(*) FROM procrastinate_workers") == [(workers,)])
            async with self.runner:
                yield self
        finally:
            for worker in self.workers.values():
                worker.kill()
                worker.wait()
            await self.journal.aclose()

    def start(self):
        """Start a worker."""
        environment = surroundings(self.folder, SHOP_LEDGER=str(self.ledger.path), PYTHONPATH=":".join(filter(None, sys.path)))
        words = [sys.executable, "-m", "segue", "worker", "tests.engines.shop:entry", "--journal", self.address]
        worker = subprocess.Popen(words, env=environment, cwd=self.folder)
        self.workers[worker.pid] = worker
        return worker

    async def paid(self, order):
        """The worker that has begun to refund an order."""
        return self.workers[(await until(lambda: [entry for entry in self.ledger.read("paid") if entry.conversation == order]))[0].pid]

    def orders(self, what, worker=None):
        """The orders that were paid, or whose refund returned; those of one worker."""
        return [entry.conversation for entry in self.ledger.read(what) if worker is None or entry.pid == worker.pid]

    async def events(self, conversation, *kinds):
        return [row.event for row in await self.journal.read(conversation) if isinstance(row.event, kinds)]

    async def nothing_left(self):
        await until(lambda: not jobs(self.address))


@pytest.fixture
def shop(database, tmp_path):
    return Shop(database, tmp_path)


async def killed_inside_a_refund(shop, seconds, capsys):
    async with shop.open():
        first = asyncio.create_task(shop.runner.run(f"refund A {seconds}", conversation="c1"))
        worker = await shop.paid("A")
        second = asyncio.create_task(shop.runner.run("refund B 0", conversation="c1", busy="queue"))
        await until(lambda: rows(shop.address, "SELECT 1 FROM segue.event WHERE kind = 'InputGiven' OFFSET 1"))
        worker.kill()
        killed = time.time()
        assert "unknown" in (await first).output
        assert (await second).output == "B is refunded"
        await shop.nothing_left()
        taken = [row.at for row in await shop.journal.read("c1") if isinstance(row.event, DriveStarted)][1]
        with capsys.disabled():
            print(f"\nkilled inside a refund of {seconds} s; taken over after {taken - killed:.1f} s")
        assert shop.orders("paid") == ["A", "B"]
        assert shop.orders("paid", worker) == ["A"]
        assert shop.orders("returned") == ["B"]
        turns = await shop.events("c1", InputGiven, ToolUnknown, ToolReturned, ModelReplied)
        kinds = [type(event).__name__ for event in turns if not isinstance(event, ModelReplied) or not event.reply.calls]
        assert kinds == ["InputGiven", "InputGiven", "ToolUnknown", "ModelReplied", "ToolReturned", "ModelReplied"]


async def test_a_worker_killed_inside_a_refund_is_followed_by_another_one_that_does_not_pay_again(shop, capsys):
    await killed_inside_a_refund(shop, 5, capsys)


@pytest.mark.slow
async def test_a_worker_killed_inside_a_tool_that_blocks_for_a_minute_is_followed_by_another_one(shop, capsys):
    await killed_inside_a_refund(shop, 60, capsys)


@pytest.mark.slow
async def test_a_tool_that_blocks_for_a_minute_does_not_make_its_worker_look_dead(shop):
    async with shop.open():
        response = await shop.runner.run("refund A 60", conversation="c1")
        assert response.output == "A is refunded"
        assert len(await shop.events("c1", DriveStarted)) == 1
        assert shop.orders("paid") == shop.orders("returned") == ["A"]


async def test_a_stopped_worker_that_wakes_after_it_was_replaced_pays_nothing_and_loses_no_fact(shop):
    async with shop.open():
        run = asyncio.create_task(shop.runner.run("refund A 4, B 3", conversation="c1"))
        stopped = await shop.paid("A")
        stopped.send_signal(signal.SIGSTOP)
        other = await shop.paid("B")
        assert other is not stopped
        stopped.send_signal(signal.SIGCONT)
        await until(lambda: shop.orders("returned", stopped))
        assert "unknown" in (await run).output
        assert (await run).output.endswith("B is refunded")
        while not (late := await shop.events("c1", ToolLate)):
            await asyncio.sleep(0.05)
        assert [event.content for event in late] == ["A is refunded"]
        assert (await shop.runner.run("refund C 0", conversation="c1")).output == "C is refunded"
        assert (shop.orders("paid")[:2], shop.orders("paid", stopped)[:1]) == (["A", "B"], ["A"])
        assert sorted(shop.orders("paid")) == ["A", "B", "C"]
        await shop.nothing_left()
        assert [worker.poll() for worker in shop.workers.values()] == [None, None]


async def test_a_worker_that_is_told_to_end_finishes_its_step_and_another_one_takes_the_next(shop):
    async with shop.open():
        run = asyncio.create_task(shop.runner.run("refund A 6, B 0", conversation="c1"))
        worker = await shop.paid("A")
        worker.send_signal(signal.SIGTERM)
        assert (await run).output == "A is refunded | B is refunded"
        assert await asyncio.to_thread(worker.wait) == 0
        assert (shop.orders("paid"), shop.orders("paid", worker)) == (["A", "B"], ["A"])
        assert await shop.events("c1", ToolUnknown, ToolLate) == []
        assert len(await shop.events("c1", DriveStarted)) == 2
        await shop.nothing_left()


@pytest.mark.slow
async def test_a_worker_that_is_told_twice_to_end_is_gone_and_another_one_goes_on(shop):
    async with shop.open():
        run = asyncio.create_task(shop.runner.run("refund A 600, B 0", conversation="c1"))
        worker = await shop.paid("A")
        while worker.poll() is None:
            worker.send_signal(signal.SIGINT)
            await asyncio.sleep(0.5)
        assert worker.returncode == 1
        assert (await run).output.endswith("B is refunded")
        assert shop.orders("paid") == ["A", "B"]


async def test_a_decision_is_followed_by_whichever_worker_is_there(shop):
    async with shop.open(workers=1):
        response = await shop.runner.run("much A", conversation="c1")
        assert response.status == "waiting"
        await shop.nothing_left()
        asked = response.waiting_for[0].approval
        decided = await shop.runner.approve("c1", asked.id, asked.digest, by="ann")
        assert decided.output == "A is refunded"
        assert shop.orders("paid") == ["A"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_whatever_befalls_the_workers_each_order_is_paid_once_at_most_and_each_customer_gets_an_answer(shop, seed, capsys):
    chance = random.Random(seed)

    def wish(number, turn):
        return ", ".join(f"{number}{letter}{turn} {chance.uniform(0.2, 2):.1f}" for letter in "ab")

    wishes = {f"c{number}": [f"refund {wish(number, turn)}" for turn in range(4)] for number in range(20)}

    async def served(conversation, wish):
        return [(await shop.runner.run(text, conversation=conversation)).output for text in wish]

    async def befall():
        while True:
            await asyncio.sleep(chance.uniform(0.3, 2))
            victim = chance.choice([worker for worker in shop.workers.values() if worker.poll() is None])
            deed = chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
            victim.send_signal(deed)
            shop.start()
            for worker in shop.workers.values():
                if worker is not victim and worker.poll() is None:
                    worker.send_signal(signal.SIGCONT)

    async with shop.open(workers=3):
        fate = asyncio.create_task(befall())
        answers = await asyncio.gather(*[served(*one) for one in wishes.items()])
        fate.cancel()
        for worker in shop.workers.values():
            if worker.poll() is None:
                worker.send_signal(signal.SIGCONT)
        await shop.nothing_left()
        paid, workers = shop.orders("paid"), len(shop.workers)
        orders = [order.split(" ")[0] for wish in wishes.values() for text in wish for order in text.removeprefix("refund ").split(", ")]
        unknown = sum(said.count("unknown") for answer in answers for said in answer)
        with capsys.disabled():
            print(f"\n{len(orders)} orders, {workers} workers: {len(paid)} paid, {unknown} said to be unknown")
        assert len(paid) == len(set(paid))
        assert all(said.count(" | ") == 1 for answer in answers for said in answer)
        told = {one for answer in answers for said in answer for one in said.split(" | ")}  # whole: "3a2" also stands in "13a2"
        certain = [order for order in orders if f"{order} is refunded" in told]
        assert set(certain) <= set(paid)
        assert len(orders) - unknown <= len(certain)
        for conversation, wish in wishes.items():
            assert [event.messages[0].content for event in await shop.events(conversation, InputGiven)] == wish

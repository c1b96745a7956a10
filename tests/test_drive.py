"""The loop: cancelled at every await, left at every item, killed at every event, refused by the journal."""

import asyncio
import gc
import threading
import time
import weakref

import pytest

from segue.agent import Agent, guard
from segue.core.conversation import Conversation, Status, next_steps
from segue.core.events import (
    InputGiven,
    InstructionsRendered,
    ModelReplied,
    RunEnded,
    Started,
    ToolFailed,
    ToolReturned,
    ToolStarted,
    ToolUnknown,
)
from segue.core.fold import replay
from segue.core.limits import Limits
from segue.core.messages import Assistant
from segue.core.view import check, view
from segue.drive import CANCELLED, Drive
from segue.errors import JournalConflict, JournalError, UsageError
from segue.model import TextDelta
from segue.models.scripted import as_reply, spoken
from segue.pool import POOL
from segue.runner import Runner
from segue.team import Team
from segue.testing import FunctionModel, MemoryJournal, ScriptedModel
from segue.tools.tool import tool
from segue.world import World
from tests.acting import answers, asked, brought_back, idle, legal, until

SCRIPT = [
    {"transfer_to_refunds": {}},
    [{"look_up": {"item": "boots"}}, {"note": {"text": "angry"}}],
    [{"refund": {"item": "boots"}}, {"charge": {"item": "laces"}}],
    "Refunded, and charged.",
]


class Shop:
    """A team whose tools write down what they did to the world."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.requests: list = []

        @tool(effect="read")
        def look_up(item: str) -> str:
            self.done.append("look_up")
            return f"{item}: 5"

        @tool(effect="keyed")
        async def note(text: str) -> str:
            await asyncio.sleep(0)
            self.done.append("note")
            await asyncio.sleep(0)
            return "noted"

        @tool
        def refund(item: str) -> str:
            self.done.append("refund")
            return "refunded"

        @tool
        async def charge(item: str) -> str:
            await asyncio.sleep(0)
            self.done.append("charge")
            await asyncio.sleep(0)
            return "charged"

        @guard("input")
        async def listen(text: str) -> None:
            await asyncio.sleep(0)

        @guard("tool")
        async def watch(call) -> None:
            await asyncio.sleep(0)

        refunds = Agent("Refunds", tools=[look_up, note, refund, charge], guards=[watch])
        self.entry = Agent("Triage", handoffs=[refunds], guards=[listen])

    async def reply(self, request):
        """Speak by how much was said since the user's last message; deltas where somebody listens."""
        self.requests.append(request)
        await asyncio.sleep(0)
        said = 0
        for message in request.messages:
            said = said + 1 if isinstance(message, Assistant) and message.calls else said
        for item in spoken(as_reply(SCRIPT[min(said, 3)]), stream=request.stream):
            yield item
            await asyncio.sleep(0)

    name = "shop"

    def runner(self, journal=None) -> Runner:
        return Runner(self.entry, model=self, journal=journal)

    def effects(self) -> dict[str, int]:
        return {name: self.done.count(name) for name in ("refund", "charge")}

    def assert_requests_were_legal(self) -> None:
        assert [check(request.messages) for request in self.requests] == [None] * len(self.requests)


class CancelledAt:
    """Awaits a coroutine and cancels the task where it suspends for the k-th time; `reached` says whether it did."""

    def __init__(self, work, k: int) -> None:
        self.work, self.k, self.reached = work, k, False

    def __await__(self):
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
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            try:
                error = None
                yield waits
            except BaseException as thrown:
                error = thrown


async def settled(journal, name) -> Conversation:
    """The conversation after a run that is over: a whole history, with nothing left to do."""
    c = replay([row.event for row in await journal.read(name)])
    assert c.status in (Status.NEW, Status.IDLE, Status.ENDED)
    assert c.turn is None
    assert next_steps(c) == []
    return c


async def cancel_everywhere(consume) -> int:
    """Cancel a run at each of its suspensions, and see that the next one goes on without repeating anything."""
    k = 0
    while True:
        k += 1
        shop, journal = Shop(), MemoryJournal()
        runner = shop.runner(journal)

        async def whole(runner=runner, k=k) -> CancelledAt:
            steps = CancelledAt(consume(runner), k)
            await steps
            return steps

        task = asyncio.create_task(whole())
        await asyncio.wait([task])
        if not task.cancelled():
            assert not task.result().reached, f"the cancel at suspension {k} was swallowed"
            return k - 1
        await idle(POOL)  # threads that were given up end
        c = await settled(journal, "c")
        before = shop.effects()
        assert c.ended is None or c.ended.kind == "cancelled"
        response = await runner.run("Go on", conversation="c")
        assert response.status == "done", f"cancelled at suspension {k}"
        shop.assert_requests_were_legal()
        started = [row.event for row in await journal.read("c") if isinstance(row.event, ToolStarted)]
        assert len({start.place for start in started}) == len(started)
        assert all(before[name] <= shop.effects()[name] <= sum(start.name == name for start in started) for name in before)


async def consume_run(runner):
    await runner.run("Money back", conversation="c")


async def consume_stream(runner):
    async with runner.stream("Money back", conversation="c") as stream:
        async for _ in stream:
            await asyncio.sleep(0)


@pytest.mark.parametrize(("consume", "at_least"), [(consume_run, 15), (consume_stream, 40)])
async def test_a_run_may_be_cancelled_at_any_await_and_the_conversation_goes_on(consume, at_least):
    assert await cancel_everywhere(consume) >= at_least


async def test_a_stream_may_be_left_at_any_item_and_the_conversation_goes_on():
    shop = Shop()
    async with shop.runner().stream("Money back", conversation="c") as stream:
        count = len([item async for item in stream])
    assert count > 20
    for leave_at in range(count):
        shop = Shop()
        runner = shop.runner()
        async with runner.stream("Money back", conversation="c") as stream:
            at = 0
            async for _ in stream:
                if at == leave_at:
                    break
                at += 1
        await settled(runner.journal, "c")
        assert (await runner.run("Go on", conversation="c")).status == "done"
        shop.assert_requests_were_legal()
        started = [row.event.name for row in await runner.events("c") if isinstance(row.event, ToolStarted)]
        assert all(made <= started.count(name) for name, made in shop.effects().items())


async def test_a_call_that_was_written_down_as_started_but_not_begun_is_told_as_not_made():
    shop = Shop()
    runner = shop.runner()
    async with runner.stream("Money back", conversation="c") as stream:
        async for item in stream:
            if isinstance(item, ToolStarted) and item.name == "refund":
                break
    outcome = next(row.event for row in await runner.events("c") if isinstance(row.event, ToolFailed) and row.event.place == item.place)
    assert outcome.words == "Not called: The run was cancelled."
    assert shop.effects() == {"refund": 0, "charge": 0}


async def test_killed_after_any_event_and_resumed_the_messages_end_the_same_unless_a_call_ended_unknown():
    shop, journal = Shop(), MemoryJournal()
    await shop.runner(journal).run("Money back", conversation="c")
    events = [row.event for row in await journal.read("c")]
    whole = (await shop.runner(journal).resume("c")).messages
    assert shop.effects() == {"refund": 1, "charge": 1}
    unknown = 0
    for cut in range(2, len(events) + 1):
        again, left = Shop(), MemoryJournal()
        await left.append("c", 1, events[:cut], at=0.0)
        response = await again.runner(left).resume("c")
        assert response.status == "done", f"killed after event {cut}"
        again.assert_requests_were_legal()
        begun = {event.name for event in events[:cut] if isinstance(event, ToolStarted)}
        assert all(again.effects()[name] == 0 for name in begun & {"refund", "charge"})
        said = [message for message in response.messages if "Outcome unknown" in str(message["content"])]
        unknown += bool(said)
        if not said:
            assert response.messages == whole, f"killed after event {cut}"
            assert all(again.effects()[name] == 1 for name in {"refund", "charge"} - begun)
    assert unknown > 0


async def test_resumed_twice_at_once_only_one_drives():
    shop, journal = Shop(), MemoryJournal()
    await journal.append("c", 1, [Started("c", "Triage"), InputGiven("r", (as_user("Hi"),))], at=0.0)
    runner = shop.runner(journal)
    first, second = await asyncio.gather(runner.resume("c"), runner.resume("c"), return_exceptions=True)
    assert {type(first).__name__, type(second).__name__} == {"Response", "ConversationBusy"}
    assert shop.effects() == {"refund": 1, "charge": 1}


def as_user(text):
    from segue.core.messages import User

    return User(text)


async def test_dropping_all_deltas_changes_nothing():
    told, silent = Shop(), Shop()
    async with told.runner().stream("Money back") as stream:
        deltas = [item async for item in stream if isinstance(item, TextDelta)]
    assert deltas
    assert stream.response.messages == (await silent.runner().run("Money back")).messages


async def test_what_a_stream_yields_are_the_events_of_the_journal_in_order():
    shop = Shop()
    runner = shop.runner()
    async with runner.stream("Money back", conversation="c") as stream:
        items = [item async for item in stream]
    events = [row.event for row in await runner.events("c")]
    assert [item for item in items if any(item is event for event in events)] == events


# ---- the journal refuses


class Refusing(MemoryJournal):
    """Refuses every append from the n-th on, while it is told to."""

    def __init__(self, at: int, error: type[Exception] = JournalError) -> None:
        super().__init__()
        self.at, self.error, self.count = at, error, 0

    async def append(self, conversation, seq, events, *, at, summary=None):
        self.count += 1
        if self.count >= self.at:
            raise self.error("the disk is full")
        await super().append(conversation, seq, events, at=at)


@pytest.mark.parametrize("error", [JournalError, JournalConflict, OSError])
async def test_a_journal_that_refuses_ends_the_run_with_its_error_and_what_is_stored_can_be_resumed(error):
    appends = 1
    while True:
        shop, journal = Shop(), Refusing(appends, error)
        runner = shop.runner(journal)
        try:
            response = await runner.run("Money back", conversation="c")
        except error:
            stored = {row.event.name for row in await journal.read("c") if isinstance(row.event, ToolStarted)}
            assert all(name in stored for name, made in shop.effects().items() if made), "called before its start was durable"
        else:
            assert response.status == "done"
            break
        journal.at = 1_000_000
        if await journal.read("c"):
            response = await runner.resume("c")
            assert response.status == "done"
            assert all(made <= 1 for made in shop.effects().values())
            shop.assert_requests_were_legal()
        appends += 1
    assert appends > 5


class Slow(MemoryJournal):
    """Takes its time, like one that waits for a disk."""

    durable = True

    async def append(self, conversation, seq, events, *, at, summary=None):
        await asyncio.sleep(0)
        await super().append(conversation, seq, events, at=at)
        await asyncio.sleep(0)


async def test_with_a_journal_that_takes_its_time_a_run_may_be_cancelled_at_any_await_too():
    k, cancelled = 0, 0
    while True:
        k += 1
        shop, journal = Shop(), Slow()
        runner = shop.runner(journal)
        steps = CancelledAt(runner.run("Money back", conversation="c"), k)

        async def whole(steps=steps):
            return await steps

        task = asyncio.create_task(whole())
        await asyncio.wait([task])
        if not steps.reached:
            break
        cancelled += task.cancelled()
        await idle(POOL)
        await settled(journal, "c")
        assert (await runner.run("Go on", conversation="c")).status == "done"
        shop.assert_requests_were_legal()
    assert cancelled > 20


# ---- stopping


async def test_a_run_is_ended_by_cancel_even_while_the_consumer_holds_an_item():
    shop = Shop()
    runner = shop.runner()
    items = []
    async with runner.stream("Money back", conversation="c") as stream:
        async for item in stream:
            items.append(item)
            if isinstance(item, ToolStarted) and item.name == "look_up":
                assert await runner.cancel("c")
                await until(lambda: runner._desk.drive_of("c") is None)
                ended = [row.event for row in await runner.events("c")]
                assert isinstance(ended[-1], RunEnded)
    assert stream.response.status == "cancelled"
    assert isinstance(items[-1], ToolStarted)


async def test_two_ways_of_stopping_at_once_are_one_end():
    shop = Shop()
    runner = shop.runner()
    begun = asyncio.Event()

    async def consume():
        async with runner.stream("Money back", conversation="c") as stream:
            async for _ in stream:
                begun.set()

    task = asyncio.create_task(consume())
    await begun.wait()
    await runner.cancel("c")
    await runner.cancel("c")
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert [type(row.event) for row in await runner.events("c")].count(RunEnded) == 1


async def test_a_cancel_of_the_run_does_not_cancel_the_task_that_waits_for_it():
    begun = asyncio.Event()

    async def hang(request):
        begun.set()
        await asyncio.sleep(60)

    runner = Runner(Agent("A"), model=FunctionModel(hang))

    async def caller():
        response = await runner.run("Hi", conversation="c")
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        async with asyncio.timeout(10):
            await asyncio.sleep(0)
        return response.status

    task = asyncio.create_task(caller())
    await begun.wait()
    await runner.cancel("c")
    assert await task == "cancelled"


async def test_a_timeout_around_a_run_is_a_timeout_and_the_run_is_cancelled_whole():
    async def hang(request):
        await asyncio.sleep(60)

    runner = Runner(Agent("A"), model=FunctionModel(hang))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await runner.run("Hi", conversation="c")
    assert (await settled(runner.journal, "c")).ended == CANCELLED


async def test_the_time_for_driving_ends_the_run_in_a_limited_state():
    async def hang(request):
        await asyncio.sleep(60)

    runner = Runner(Agent("A"), model=FunctionModel(hang), limits=Limits(run_timeout=0.02))
    response = await runner.run("Hi", conversation="c")
    assert (response.status, response.error.limit) == ("limited", "run_timeout")


async def test_the_time_for_driving_counts_from_the_input_over_drives_and_not_from_the_conversations_beginning():
    shop, journal = Shop(), MemoryJournal()
    now = 1000.0
    for events, at in [
        ([Started("c", "Triage"), InputGiven("r0", (as_user("Hi"),)), *drive_started()], now),
        ([CANCELLED], now + 500),
        ([InputGiven("r1", (as_user("Again"),), limits={"run_timeout": 5}), *drive_started()], now + 900),
    ]:
        await journal.append("c", len(await journal.read("c")) + 1, events, at=at)
    assert (await shop.runner(journal).resume("c")).status == "done"
    other = MemoryJournal()
    rows = [row.event for row in (await journal.read("c"))[:6]]
    await other.append("c", 1, rows, at=now)
    await other.append("c", 7, [InstructionsRendered("Triage", "You are a helpful agent.")], at=now + 6)
    response = await Shop().runner(other).resume("c")
    assert (response.status, response.error.limit) == ("limited", "run_timeout")


async def test_the_time_of_an_earlier_run_does_not_count_for_the_next():
    journal = MemoryJournal()
    await journal.append("c", 1, [Started("c", "Triage"), InputGiven("r0", (as_user("Hi"),)), *drive_started()], at=1000.0)
    await journal.append("c", 4, [ModelReplied("Triage", as_reply("Hello."))], at=1500.0)
    shop = Shop()
    runner = Runner(shop.entry, model=shop, journal=journal, limits=Limits(run_timeout=60))
    for _ in range(2):
        assert (await runner.run("Money back", conversation="c")).status == "done"


def drive_started():
    from segue.core.events import DriveStarted

    return [DriveStarted("d")]


async def test_a_sync_tool_that_goes_on_after_a_cancel_is_unknown_and_its_result_is_told_later():
    release, begun = threading.Event(), threading.Event()

    @tool
    def refund() -> str:
        begun.set()
        release.wait(10)
        return "refunded"

    model = ScriptedModel([{"refund": {}}, "Now I know."])
    runner = Runner(Agent("A", tools=[refund]), model=model)
    task = asyncio.create_task(runner.run("Hi", conversation="c"))
    await until(begun.is_set)
    await runner.cancel("c")
    assert (await task).status == "cancelled"
    assert any(isinstance(row.event, ToolUnknown) for row in await runner.events("c"))
    release.set()
    async with asyncio.timeout(10):
        while type((await runner.events("c"))[-1].event).__name__ != "ToolLate":
            await asyncio.sleep(0.001)
    await runner.run("And?", conversation="c")
    assert "refunded" in str(asked(model))
    assert legal(model)


async def test_a_call_that_still_waits_for_a_thread_when_the_run_is_cancelled_is_never_made(monkeypatch):
    import segue.calls
    from segue.pool import Pool

    pool = Pool(1)
    monkeypatch.setattr(segue.calls, "POOL", pool)
    release, begun, made = threading.Event(), threading.Event(), []

    def hog() -> str:
        begun.set()
        release.wait(10)
        return ""

    def waits() -> str:
        made.append(1)
        return ""

    runner = Runner(Agent("A", tools=[hog, waits]), model=ScriptedModel([{"hog": {}, "waits": {}}]))
    task = asyncio.create_task(runner.run("Hi", conversation="c"))
    await until(begun.is_set)
    await runner.cancel("c")
    await task
    release.set()
    await brought_back(pool)
    assert made == []
    words = {row.event.place: row.event.words for row in await runner.events("c") if isinstance(row.event, ToolFailed | ToolUnknown)}
    assert words["1.0"].startswith("Outcome unknown")
    assert words["1.1"].startswith("Not called")


# ---- what is left behind


async def test_a_finished_run_leaves_no_task_and_can_be_collected():
    shop = Shop()
    runner = shop.runner()
    tasks = asyncio.all_tasks()
    async with runner.stream("Money back") as stream:
        async for _ in stream:
            pass
    response = stream.response
    assert asyncio.all_tasks() == tasks
    gone = [weakref.ref(kept) for kept in (runner, stream, response, shop)]
    del runner, stream, response, shop
    await asyncio.sleep(0)
    deadline = time.monotonic() + 5
    while any(ref() is not None for ref in gone) and time.monotonic() < deadline:
        gc.collect()
        await asyncio.sleep(0.01)
    assert [ref() for ref in gone] == [None] * 4


async def test_a_thousand_runs_leave_no_threads_beyond_the_pools():
    def look() -> str:
        return ""

    runner = Runner(Agent("A", tools=[look]), model=FunctionModel(lambda request: "Done." if len(request.messages) > 2 else {"look": {}}))
    await asyncio.gather(*(runner.run("Hi") for _ in range(1000)))
    assert 0 < POOL._threads <= 40
    assert len(runner._desk._kept) <= 256
    assert runner._desk._claims == runner._desk._waiting == {}


async def test_a_drive_can_be_made_by_hand_over_any_conversation():
    journal = MemoryJournal()
    agent = Agent("A")
    drive = Drive(Conversation(), World(Team(agent), ScriptedModel(["Hello."]), told=True), journal)
    items = [item async for item in drive.items(Started("c", "A"), InputGiven("r", (as_user("Hi"),)))]
    assert isinstance(items[-1], ModelReplied)
    assert drive.over
    assert drive.conversation == replay([row.event for row in await journal.read("c")])
    assert view(drive.conversation)[-1].text == "Hello."


async def test_what_the_model_side_raises_that_is_no_provider_error_ends_the_run_and_is_raised():
    def broken(request):
        raise ZeroDivisionError

    runner = Runner(Agent("A"), model=FunctionModel(broken))
    with pytest.raises(ZeroDivisionError):
        await runner.run("Hi", conversation="c")
    ended = (await settled(runner.journal, "c")).ended
    assert (ended.kind, ended.words) == ("failed", "A function of this program raised ZeroDivisionError.")
    with pytest.raises(UsageError, match="at its end"):
        await Runner(Agent("A"), model=ScriptedModel([]), journal=runner.journal).run("Again", conversation="c")


async def test_a_stuck_interrupt_of_the_program_leaves_a_journal_that_can_be_resumed():
    stopped = True

    def look() -> str:
        return "seen"

    @guard("tool")
    def stop(call):
        if stopped:
            raise KeyboardInterrupt

    model = ScriptedModel([{"look": {}}, {"look": {}}, "Done."])
    runner = Runner(Agent("A", tools=[look], guards=[stop]), model=model)
    with pytest.raises(KeyboardInterrupt):
        runner.run_sync("Hi", conversation="c")
    stopped = False
    response = await runner.resume("c")
    assert response.output == "Done."
    assert answers(response.messages) == ["seen"]


async def test_events_of_a_run_are_durable_before_anyone_sees_them():
    shop = Shop()
    runner = shop.runner(Slow())
    async with runner.stream("Money back", conversation="c") as stream:
        async for item in stream:
            if isinstance(item, ModelReplied | ToolReturned | ToolStarted):
                assert any(row.event is item for row in await runner.events("c"))

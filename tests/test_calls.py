"""Calls of tools, as a run sees them: side by side, alone, on threads, within their time, and after it (R3, R6, R25)."""

import asyncio
import contextvars
import sys
import threading
import time

import pytest

from segue.agent import Agent
from segue.core.events import ModelReplied, ToolFailed, ToolLate, ToolReturned, ToolStarted, ToolUnknown
from segue.core.limits import Limits
from segue.pool import Pool
from segue.runner import Runner
from segue.testing import MemoryJournal, ScriptedModel
from segue.throwaway import run
from segue.tools.tool import Context, tool
from segue.world import Progress
from tests.acting import answers, asked, brought_back, expiring, legal, pass_time, until

VARIABLE = contextvars.ContextVar("VARIABLE", default="outside")


@pytest.fixture
def pool(monkeypatch):
    """One thread for all calls."""
    import segue.calls

    made = Pool(1)
    monkeypatch.setattr(segue.calls, "POOL", made)
    return made


async def once(*tools, call=None, **options):
    """One run with one message of calls, and what they were answered."""
    model = ScriptedModel([call or {tools[0].__name__: {}}, "Done."])
    response = await run(Agent("A", tools=tools), "Hi", model=model, **options)
    assert response.output == "Done."
    assert legal(model)
    return answers(response.messages)


async def test_sync_and_async_tools_of_one_message_run_side_by_side():
    together = threading.Barrier(3)

    def first() -> str:
        together.wait(10)
        return "first"

    def second() -> str:
        together.wait(10)
        return "second"

    async def third() -> str:
        while together.n_waiting < 2:
            await asyncio.sleep(0.001)
        together.wait(10)
        return "third"

    assert await once(first, second, third, call={"first": {}, "second": {}, "third": {}}) == ["first", "second", "third"]


async def test_answers_stand_in_call_order_whatever_order_they_came_in():
    release = asyncio.Event()

    async def slow() -> str:
        await release.wait()
        return "slow"

    async def quick() -> str:
        release.set()
        return "quick"

    assert await once(slow, quick, call={"slow": {}, "quick": {}}) == ["slow", "quick"]


async def test_a_tool_that_asks_to_be_alone_runs_beside_no_other():
    running: set[str] = set()
    overlaps: list[set[str]] = []

    async def work(name):
        running.add(name)
        overlaps.append(set(running))
        await asyncio.sleep(0.005)
        running.discard(name)
        return name

    async def a() -> str:
        return await work("a")

    async def b() -> str:
        return await work("b")

    @tool(alone=True)
    async def single() -> str:
        return await work("single")

    calls = [{"a": {}}, {"b": {}}, {"single": {}}, {"b": {}}]
    assert await once(a, b, single, call=calls) == ["a", "b", "single", "b"]
    assert {"a", "b"} in overlaps
    assert [seen for seen in overlaps if "single" in seen] == [{"single"}]


async def test_a_quick_sync_tool_may_run_without_a_thread():
    @tool(thread=False)
    def where() -> str:
        return threading.current_thread().name

    def elsewhere() -> str:
        return threading.current_thread().name

    here, there = await once(where, elsewhere, call={"where": {}, "elsewhere": {}})
    assert here == threading.current_thread().name
    assert there.startswith("segue-tool")


async def test_the_event_loop_goes_on_while_a_sync_tool_blocks():
    ticks = 0

    def block() -> str:
        before = ticks
        deadline = time.monotonic() + 10
        while ticks == before and time.monotonic() < deadline:
            time.sleep(0.001)
        return "ticked" if ticks > before else "stood still"

    async def tick():
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.001)

    ticking = asyncio.create_task(tick())
    assert await once(block) == ["ticked"]
    ticking.cancel()


@pytest.mark.parametrize("kind", ["thread", "inline", "async"])
async def test_tools_see_the_callers_context_variables(kind):
    VARIABLE.set("inside")

    async def look_async() -> str:
        return VARIABLE.get()

    def look_sync() -> str:
        return VARIABLE.get()

    made = look_async if kind == "async" else tool(name="look_sync", thread=kind == "thread")(look_sync)
    assert await once(made, call={"look_async" if kind == "async" else "look_sync": {}}) == ["inside"]


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no words")


RAISED = [
    (ValueError("no such item"), "Failed with ValueError: no such item"),
    (KeyError("A17"), "Failed with KeyError: 'A17'"),
    (SystemExit(3), "Failed with SystemExit: 3"),
    (StopIteration("x"), "StopIteration"),
    (StopAsyncIteration("x"), "StopAsyncIteration"),
    (asyncio.CancelledError(), "Failed with CancelledError."),
    (TimeoutError(), "Failed with TimeoutError."),
    (ExceptionGroup("several", [ValueError("x")]), "Failed with ExceptionGroup: several (1 sub-exception)"),
    (Unspeakable(), "Failed with Unspeakable."),
    (ValueError("half \ud800 pair"), "Failed with ValueError: half \ufffd pair"),
]


@pytest.mark.parametrize("kind", ["thread", "inline", "async"])
@pytest.mark.parametrize(("error", "words"), RAISED, ids=lambda value: type(value).__name__)
async def test_whatever_a_tool_raises_is_read_by_the_model_and_the_run_goes_on(kind, error, words):
    def broken_sync() -> str:
        raise error

    async def broken_async() -> str:
        raise error

    made = tool(name="broken")(broken_async) if kind == "async" else tool(name="broken", thread=kind == "thread")(broken_sync)
    (said,) = await once(made, call={"broken": {}})
    assert words in said


async def test_sys_exit_in_a_tool_does_not_end_the_program():
    def leave() -> str:
        sys.exit("bye")

    async def leave_async() -> str:
        sys.exit("bye")

    assert await once(leave, leave_async, call={"leave": {}, "leave_async": {}}) == ["Failed with SystemExit: bye"] * 2


async def test_an_awaitable_that_a_sync_tool_returns_is_awaited_within_the_tools_time():
    async def later():
        await asyncio.sleep(0)
        return "later"

    async def never():
        pass_time(30)
        await asyncio.sleep(60)

    def coroutine() -> str:
        return later()

    @tool(timeout=30, effect="read")
    def endless() -> str:
        return never()

    assert await once(coroutine, endless, call={"coroutine": {}, "endless": {}}) == [
        "later",
        "Given up: it gave no result within 30 s.",
    ]


UNKNOWN = "Outcome unknown: it gave no result within 30 s. It is not known whether hang took effect. Do not repeat it; say so, or find out by other means."
GIVEN_UP = "Given up: it gave no result within 30 s."


@pytest.mark.parametrize(("effect", "words"), [("read", GIVEN_UP), ("once", UNKNOWN), ("keyed", UNKNOWN)])
@pytest.mark.parametrize("is_async", [True, False])
async def test_a_call_that_takes_too_long_failed_if_it_only_reads_and_is_else_unknown(effect, words, is_async):
    release, begun = threading.Event(), threading.Event()

    def hang() -> str:
        begun.set()
        release.wait(10)
        return ""

    async def hang_async() -> str:
        begun.set()
        await asyncio.sleep(60)
        return ""

    made = tool(name="hang", effect=effect, timeout=30)(hang_async if is_async else hang)
    expires = expiring(begun, 30)
    assert await once(made, call={"hang": {}}) == [words]
    await expires
    release.set()


async def test_the_time_of_a_tool_without_one_of_its_own_is_the_limits():
    async def hang() -> str:
        pass_time(30)
        await asyncio.sleep(60)
        return ""

    assert await once(hang, limits=Limits(tool_timeout=30)) == [UNKNOWN]


async def test_a_late_result_is_a_fact_that_the_model_is_told_at_the_next_turn(pool):
    release, begun = threading.Event(), threading.Event()

    @tool(timeout=30)
    def refund() -> str:
        begun.set()
        release.wait(10)
        return "refunded 5"

    async def look() -> str:
        release.set()
        await brought_back(pool)
        return "nothing yet"

    model = ScriptedModel([{"refund": {}}, {"look": {}}, "It was refunded after all."])
    runner = Runner(Agent("A", tools=[refund, look]), model=model)
    expires = expiring(begun, 30)
    response = await runner.run("Hi", conversation="c")
    assert asked(model)[-1] == {
        "role": "user",
        "content": "[Late result of the earlier call of refund, whose outcome was unknown: refunded 5]",
    }
    await expires
    assert [type(row.event) for row in await runner.events("c")].count(ToolLate) == 1
    assert response.output == "It was refunded after all."
    assert legal(model)


@pytest.mark.parametrize("end", ["returns", "raises", "coroutine"])
async def test_a_result_that_comes_when_the_run_is_over_is_written_down_and_told_in_the_next_run(end):
    release, begun = threading.Event(), threading.Event()

    @tool(timeout=30)
    def refund() -> str:
        begun.set()
        release.wait(10)
        if end == "raises":
            raise ValueError("no money")
        return asyncio.sleep(0) if end == "coroutine" else "refunded"

    model = ScriptedModel([{"refund": {}}, "Unknown.", "Now I know."])
    runner = Runner(Agent("A", tools=[refund]), model=model)
    expires = expiring(begun, 30)
    await runner.run("Hi", conversation="c")
    await expires
    release.set()

    async def late():
        return [row.event for row in await runner.events("c") if isinstance(row.event, ToolLate)]

    async with asyncio.timeout(10):
        while not await late():
            await asyncio.sleep(0.001)
    await runner.run("And?", conversation="c")
    told = {"returns": "refunded]", "raises": "Failed with ValueError: no money]", "coroutine": "it ended, but"}[end]
    assert told in asked(model)[-2]["content"]
    assert legal(model)


@pytest.mark.parametrize("when", ["while the next run is going on", "while the next run is being opened"])
async def test_a_late_result_of_an_earlier_run_is_taken_in_by_the_one_that_goes_on(when, pool):
    release, begun = threading.Event(), threading.Event()

    def refund() -> str:
        begun.set()
        release.wait(10)
        return "refunded"

    async def let_it_end() -> str:
        release.set()
        await brought_back(pool)
        return ""

    class Opening(MemoryJournal):
        async def read(self, conversation, *, after=0):
            if begun.is_set() and "opened" in when:
                await let_it_end()
            return await super().read(conversation, after=after)

    model = ScriptedModel([{"refund": {}}, {"let_it_end": {}}, "I know."])
    runner = Runner(Agent("A", tools=[refund, let_it_end]), model=model, journal=Opening())
    first = asyncio.create_task(runner.run("Hi", conversation="c"))
    await until(begun.is_set)
    await runner.cancel("c")
    await first
    assert (await runner.run("And?", conversation="c")).output == "I know."
    assert [type(row.event) for row in await runner.events("c")].count(ToolLate) == 1
    assert "refunded" in str(asked(model, 1 if "opened" in when else 2))
    assert legal(model)


async def test_a_late_result_that_comes_with_the_last_append_is_not_lost(pool):
    release, begun = threading.Event(), threading.Event()

    @tool(timeout=30)
    def refund() -> str:
        begun.set()
        release.wait(10)
        return "refunded"

    class Slow(MemoryJournal):
        durable = True

        async def append(self, conversation, seq, events, *, at, summary=None):
            await super().append(conversation, seq, events, at=at)
            if any(isinstance(event, ModelReplied) and not event.reply.calls for event in events):
                release.set()
                await brought_back(pool)

    runner = Runner(Agent("A", tools=[refund]), model=ScriptedModel([{"refund": {}}, "Unknown."]), journal=Slow())
    expires = expiring(begun, 30)
    assert (await runner.run("Hi", conversation="c")).output == "Unknown."
    await expires
    assert isinstance((await runner.events("c"))[-1].event, ToolLate)


async def test_an_outcome_that_comes_while_the_timeout_of_another_call_is_written_down_is_not_lost():
    release, ended = asyncio.Event(), asyncio.Event()

    @tool(timeout=0.02)
    async def slow() -> str:
        await asyncio.sleep(60)
        return ""

    async def other() -> str:
        await release.wait()
        ended.set()
        return "other"

    class Slow(MemoryJournal):
        durable = True

        async def append(self, conversation, seq, events, *, at, summary=None):
            await super().append(conversation, seq, events, at=at)
            if any(isinstance(event, ToolUnknown) for event in events):
                release.set()
                await ended.wait()
                await asyncio.sleep(0.01)

    async with asyncio.timeout(10):
        heard = await once(slow, other, call={"slow": {}, "other": {}}, journal=Slow())
    assert heard[1] == "other"


async def test_a_late_result_that_comes_while_the_consumer_holds_an_item_does_not_break_the_run(pool):
    release, begun = threading.Event(), threading.Event()

    @tool(timeout=30)
    def refund() -> str:
        begun.set()
        release.wait(10)
        return "refunded"

    model = ScriptedModel([{"refund": {}}, {"refund": {}}, "Done."])
    runner = Runner(Agent("A", tools=[refund]), model=model)
    expires = expiring(begun, 30)
    async with runner.stream("Hi", conversation="c") as stream:
        async for item in stream:
            if isinstance(item, ToolUnknown) and not release.is_set():
                release.set()
                await brought_back(pool)
    await expires
    assert stream.response.output == "Done."
    assert any(isinstance(row.event, ToolLate) for row in await runner.events("c"))


async def test_a_tool_that_obeys_its_cancellation_has_nothing_to_tell_late_and_one_that_does_not_has():
    insisted = asyncio.Event()

    @tool(timeout=30)
    async def obeys() -> str:
        await asyncio.sleep(60)
        return "no"

    @tool(timeout=30)
    async def insists() -> str:
        pass_time(30)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
        insisted.set()
        return "done anyway"

    async def wait() -> str:
        await insisted.wait()
        for _ in range(20):
            await asyncio.sleep(0)  # what was returned is heard
        return ""

    runner = Runner(Agent("A", tools=[obeys, insists, wait]), model=ScriptedModel([{"obeys": {}, "insists": {}}, {"wait": {}}, "."]))
    await runner.run("Hi", conversation="c")
    late = [row.event.content for row in await runner.events("c") if isinstance(row.event, ToolLate)]
    assert late == ["done anyway"]


async def test_retries_call_a_read_or_keyed_tool_again_with_the_same_key_and_count_as_one_call():
    keys: list[str] = []

    @tool(effect="keyed", retries=2)
    def shaky(ctx: Context) -> str:
        keys.append(ctx.key)
        if len(keys) < 3:
            raise ConnectionError("again")
        return "third time"

    attempts = 0

    @tool(effect="read", retries=1)
    async def hopeless() -> str:
        nonlocal attempts
        attempts += 1
        raise ConnectionError("never")

    assert await once(shaky, hopeless, call={"shaky": {}, "hopeless": {}}) == ["third time", "Failed with ConnectionError: never"]
    assert (len(keys), len(set(keys)), attempts) == (3, 1, 2)
    assert keys[0]


@pytest.mark.usefixtures("pool")
async def test_a_call_for_which_no_thread_is_free_in_time_is_known_not_to_be_made():
    release, begun, made = threading.Event(), threading.Event(), []

    @tool(timeout=300)
    def hog() -> str:
        begun.set()
        release.wait(10)
        return "hogged"

    @tool(timeout=30)
    def late() -> str:
        made.append(1)
        return "made"

    @tool(timeout=300)
    async def free() -> str:
        await until(begun.is_set)
        pass_time(30)
        await asyncio.sleep(0.01)
        release.set()
        return ""

    heard = await once(hog, late, free, call={"hog": {}, "late": {}, "free": {}})
    assert heard == ["hogged", "Not called: no thread was free for it within 30 s.", ""]
    assert made == []


async def test_progress_of_the_first_call_already_reaches_who_listens_from_threads_and_tasks():
    def sync_tool(ctx: Context) -> str:
        ctx.progress("half")
        return ""

    async def async_tool(ctx: Context) -> str:
        ctx.progress("begun")
        return ""

    runner = Runner(Agent("A", tools=[sync_tool, async_tool]), model=ScriptedModel([{"sync_tool": {}, "async_tool": {}}, "Done."]))
    async with runner.stream("Hi", conversation="c") as stream:
        said = {item async for item in stream if isinstance(item, Progress)}
    assert {(one.place, one.text) for one in said} == {("1.0", "half"), ("1.1", "begun")}
    assert not any(isinstance(row.event, Progress) for row in await runner.events("c"))


async def test_progress_without_a_listener_is_said_to_nobody():
    def sync_tool(ctx: Context) -> str:
        ctx.progress("half")
        return "ok"

    assert await once(sync_tool) == ["ok"]


async def test_the_starts_of_all_calls_are_written_down_before_any_is_called_together_with_the_reply():
    seen: list[list[str]] = []

    async def a() -> str:
        seen.append([type(row.event).__name__ for row in await runner.events("c")])
        return ""

    def b() -> str:
        return ""

    runner = Runner(Agent("A", tools=[a, b]), model=ScriptedModel([{"a": {}, "b": {}}, "Done."]))
    await runner.run("Hi", conversation="c")
    assert seen[0][-3:] == ["ModelReplied", "ToolStarted", "ToolStarted"]
    rows = await runner.events("c")
    replied, *starts = [row for row in rows if type(row.event).__name__ in seen[0][-3:]][:3]
    assert {row.at for row in starts} == {replied.at}


async def test_outcomes_are_written_down_as_they_come():
    release = asyncio.Event()

    async def quick() -> str:
        return "quick"

    async def slow() -> str:
        await release.wait()
        return "slow"

    runner = Runner(Agent("A", tools=[slow, quick]), model=ScriptedModel([{"slow": {}, "quick": {}}, "Done."]))
    task = asyncio.create_task(runner.run("Hi", conversation="c"))

    async def outcomes():
        return [row.event.content for row in await runner.journal.read("c") if isinstance(row.event, ToolReturned)]

    async with asyncio.timeout(10):
        while await outcomes() != ["quick"]:
            await asyncio.sleep(0.001)
    release.set()
    await task
    assert await outcomes() == ["quick", "slow"]


async def test_two_hundred_calls_of_one_message_are_all_answered():
    def number(n: int) -> int:
        return n

    calls = [{"number": {"n": n}} for n in range(200)]
    assert await once(number, call=calls) == [str(n) for n in range(200)]


async def test_a_check_that_raises_is_a_no_that_the_model_reads():
    made = []

    @tool(approve=lambda arguments, context: 1 / 0)
    def refund() -> str:
        made.append(1)
        return ""

    assert await once(refund, call={"refund": {}}) == ["Not called: its check failed with ZeroDivisionError."]
    assert made == []


async def test_kinds_of_outcomes_are_kept_in_the_journal():
    def fine() -> str:
        return "ok"

    def broken() -> str:
        raise ValueError

    runner = Runner(Agent("A", tools=[fine, broken]), model=ScriptedModel([{"fine": {}, "broken": {}, "none": {}}, "."]))
    await runner.run("Hi", conversation="c")
    events = [row.event for row in await runner.events("c")]
    assert sorted(event.kind for event in events if isinstance(event, ToolFailed)) == ["raised", "unknown_tool"]
    assert [event.name for event in events if isinstance(event, ToolStarted)] == ["fine", "broken"]

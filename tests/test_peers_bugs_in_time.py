"""What went wrong in other libraries when a run was cancelled, killed, or met another one; see `test_peers_bugs` for their versions."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from segue import Agent, ConversationBusy, MemoryJournal, Runner
from segue.events import ToolReturned, ToolStarted
from segue.model import ModelRequest
from segue.testing import FunctionModel, ScriptedModel
from tests.acting import expiring
from tests.test_peers_bugs import PAY, SALES, TO_SALES, TRIAGE, Ledger, play, sound, told


# openai-agents: after a cancel that came after the refund, 25 of 39 next turns refunded again; many: a call is left without an answer
@pytest.mark.parametrize("streams", [False, True], ids=["run", "stream"])
async def test_a_run_may_be_cancelled_at_each_await_and_the_conversation_is_whole(streams: bool):
    cancelled = 0
    while await _cancel_at(cancelled, streams=streams):
        cancelled += 1
    assert cancelled > 15


async def _cancel_at(place: int, *, streams: bool) -> bool:
    """Cancel a run when its event loop has turned so often; whether it was still going on."""
    ledger: list[str] = []
    model = FunctionModel(_slow_script())
    runner = Runner(Agent("Triage", tools=[slow_refund], handoffs=[SALES]), model=model, deps=ledger)
    run = runner.stream("Refund me.", conversation="c").finish() if streams else runner.run("Refund me.", conversation="c")
    task = asyncio.ensure_future(run)
    for _ in range(place):
        await asyncio.sleep(0)
    going_on = not task.done()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() is going_on
    await _check_after_cancel(runner, ledger)
    return going_on


async def _check_after_cancel(runner: Runner, ledger: list[str]) -> None:
    model = ScriptedModel(["How can I help?"])
    response = await runner.run("And now?", conversation="c", model=model)
    assert response.output == "How can I help?"
    assert sound(model.requests)
    assert len(ledger) <= 2
    assert len(ledger) == len(set(ledger))
    history = str(model.requests[0].messages)
    for line in ledger:
        assert f'"amount":{line.split()[1]}' in history.replace(" ", "")
    events = [stored.event for stored in await runner.events("c")]
    assert len({event.place for event in events if isinstance(event, ToolStarted)}) == sum(
        isinstance(event, ToolStarted) for event in events
    )
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def slow_refund(amount: int, *, ctx: Ledger) -> str:
    for _ in range(3):
        await asyncio.sleep(0)
    ctx.deps.append(f"refund {amount}")
    for _ in range(3):
        await asyncio.sleep(0)
    return "refunded"


def _slow_script() -> Callable[[ModelRequest], Any]:
    script = iter([[{"slow_refund": {"amount": 1}}, {"slow_refund": {"amount": 2}}], TO_SALES, "Done."])

    async def reply(request: ModelRequest) -> Any:
        for _ in range(3):
            await asyncio.sleep(0)
        return next(script)

    return reply


# LangGraph: refunded twice at 25 of 82 kills; openai-agents at 5 of 89; DBOS at 6 of 61
async def test_a_call_that_was_begun_before_a_crash_is_not_made_again_and_the_model_is_told():
    whole_run, ledger = MemoryJournal(), list[str]()
    await Runner(TRIAGE, model=ScriptedModel([PAY, "Done."]), journal=whole_run, deps=ledger).run("Refund me.", conversation="c")
    stored = await whole_run.read("c")
    crash = next(place for place, row in enumerate(stored, 1) if isinstance(row.event, ToolStarted))
    journal = MemoryJournal()
    await journal.append("c", 1, [row.event for row in stored[:crash]], at=0)
    model = ScriptedModel(["I do not know whether it was paid."])
    await Runner(TRIAGE, model=model, journal=journal, deps=ledger).resume("c")
    assert ledger == ["refund 5"]
    assert "Outcome unknown" in told(model.requests[0])["refund"]
    assert sound(model.requests)


async def test_an_outcome_that_was_written_down_before_a_crash_is_not_lost():
    whole_run, ledger = MemoryJournal(), list[str]()
    await Runner(TRIAGE, model=ScriptedModel([PAY, "Done."]), journal=whole_run, deps=ledger).run("Refund me.", conversation="c")
    stored = await whole_run.read("c")
    crash = next(place for place, row in enumerate(stored, 1) if isinstance(row.event, ToolReturned))
    journal = MemoryJournal()
    await journal.append("c", 1, [row.event for row in stored[:crash]], at=0)
    model = ScriptedModel(["You were refunded."])
    await Runner(TRIAGE, model=model, journal=journal, deps=ledger).resume("c")
    assert (ledger, told(model.requests[0])) == (["refund 5"], {"refund": "refunded"})


# agent-framework #4053: turns of two inputs interleave in one history
async def test_of_two_inputs_at_once_the_second_is_refused_and_the_first_is_not_disturbed():
    go_on = asyncio.Event()

    async def waits() -> str:
        await go_on.wait()
        return "waited"

    model = ScriptedModel([{"waits": {}}, "First.", "Third."])
    runner = Runner(Agent("Triage", tools=[waits]), model=model)
    first = asyncio.ensure_future(runner.run("One.", conversation="c"))
    while not model.requests:
        await asyncio.sleep(0)
    with pytest.raises(ConversationBusy) as raised:
        await runner.run("Two.", conversation="c")
    go_on.set()
    assert raised.value.conversation == "c"
    assert (await first).output == "First."
    assert (await runner.run("Three.", conversation="c")).output == "Third."
    assert "Two." not in str(model.requests[-1].messages)
    assert sound(model.requests)


# all three: a tool that never returns hangs the run for ever
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_tool_that_never_returns_ends_in_an_unknown_outcome_and_the_run_goes_on(kind: str):
    begun, end = threading.Event(), threading.Event()

    def hangs(ctx: Ledger) -> str:
        ctx.deps.append("hangs")
        begun.set()
        end.wait(10)
        return "late"

    async def hangs_async(ctx: Ledger) -> str:
        ctx.deps.append("hangs")
        begun.set()
        await asyncio.sleep(3600)
        return "late"

    made = hangs if kind == "sync" else hangs_async
    expires = expiring(begun, 60)
    try:
        model, ledger, response = await play({made.__name__: {}}, "Sorry.", agent=Agent("Triage", tools=[made]))
        await expires
    finally:
        end.set()
    assert (ledger, response.output) == (["hangs"], "Sorry.")
    assert "Do not repeat it" in told(model.requests[1])[made.__name__]

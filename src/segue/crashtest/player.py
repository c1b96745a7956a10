"""Plays a scenario on a Runner, from its beginning or from wherever a dead process has left it.
A step that was taken already is not taken twice: inputs have keys, and decisions say whose they are."""

import asyncio
from typing import assert_never

from segue.core.conversation import Conversation, Status
from segue.core.events import ApprovalAsked, ApprovalDecided, ToolStarted
from segue.core.turns import Slot
from segue.crashtest.points import ROOT
from segue.crashtest.scenario import Decide, Say, Scenario
from segue.errors import UsageError
from segue.journal.base import Stored, fold
from segue.runner import Runner


async def play(runner: Runner, scenario: Scenario, *, goes_on: bool) -> None:
    """Play a scenario to its end. `goes_on`: another process has begun it, and died."""
    if goes_on:
        await runner.recover()
    await _settle(runner, scenario)
    for number, step in enumerate(scenario.steps, 1):
        match step:
            case Say():
                await _say(runner, step, f"{ROOT} step {number}")
            case Decide():
                decided = await _decide(runner, step, f"{ROOT} step {number}")
                if not decided and not goes_on:
                    raise UsageError(f"{scenario.path}: step {number}: approve decides what waits for a person, and nothing does.")
            case _:
                assert_never(step)
        await _settle(runner, scenario)


async def _say(runner: Runner, step: Say, key: str) -> None:
    context = step.context or None
    if not step.stream and not step.queued:
        await runner.run(step.text, conversation=ROOT, context=context, key=key)
        return
    queued: asyncio.Task[object] | None = None
    async with runner.stream(step.text, conversation=ROOT, context=context, key=key) as stream:
        async for item in stream:
            if step.queued and queued is None and isinstance(item, ToolStarted):
                queued = asyncio.create_task(runner.run(step.queued, conversation=ROOT, key=f"{key} queued", busy="queue"))
    if step.queued:
        await (queued or runner.run(step.queued, conversation=ROOT, key=f"{key} queued", busy="queue"))


async def _decide(runner: Runner, step: Decide, by: str) -> bool:
    """Decide about the calls that waited when this step was due; whether it has decided anything, now or before."""
    rows = await runner.journal.read(ROOT)
    c = fold(rows)
    own = [row.seq for row in rows if isinstance(row.event, ApprovalDecided) and row.event.by == by]
    for approval in _asked(c, rows, before=own[0] if own else c.seq):
        if step.approve:
            await runner.approve(ROOT, approval.id, approval.digest, by=by, arguments=step.arguments)
        else:
            await runner.deny(ROOT, approval.id, approval.digest, by=by)
        own.append(c.seq)
    return bool(own)


def _asked(c: Conversation, rows: list[Stored], *, before: int) -> list[ApprovalAsked]:
    """The questions that wait and were put no later than at a place; who was asked later is answered by a later step."""
    put = {row.event.id: row.seq for row in rows if isinstance(row.event, ApprovalAsked)}
    asked = [slot.approval for slot in c.waiting if slot.approval is not None and slot.doubt is None]
    return [approval for approval in asked if put[approval.id] <= before]


async def _settle(runner: Runner, scenario: Scenario) -> None:
    """Have a person say something of every call that nobody knows about."""
    while (doubtful := _doubtful(fold(await runner.journal.read(ROOT)))) is not None:
        await runner.settle(ROOT, doubtful.place, scenario.settle, by=ROOT)


def _doubtful(c: Conversation) -> Slot | None:
    if c.status not in (Status.HUMAN, Status.TOOLS):
        return None
    return next((slot for slot in c.waiting if slot.doubt is not None), None)

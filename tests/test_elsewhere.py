"""One conversation, several drivers: Runners and processes on one journal, and who does what."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from segue import order as order_module
from segue.agent import Agent
from segue.core.conversation import Status
from segue.core.events import DriveStarted, InputGiven, ModelReplied, RunEnded, ToolReturned
from segue.errors import ApprovalError, ConversationBusy, KeyReused
from segue.journal.base import fold
from segue.runner import Runner
from segue.testing import ScriptedModel
from tests.acting import until
from tests.place import Place


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path)
    yield made
    await made.close()


def inputs(count: int) -> Any:
    return lambda events: sum(isinstance(event, InputGiven) for event in events) >= count


def drivers(events: list[Any]) -> list[str]:
    return [event.driver for event in events if isinstance(event, DriveStarted)]


# ---- while a living driver has it


async def test_an_input_to_what_another_process_drives_is_refused_and_does_not_disturb_it(place):
    child = place.process("run", "hold", conversation="c")
    await place.held()
    with pytest.raises(ConversationBusy) as refused:
        await place.runner().run("look", conversation="c")
    assert refused.value.conversation == "c"
    place.counter.go()
    assert (await place.said(child))["text"] == "Held."
    await place.counter.checked(place.store)
    assert await place.counter.inputs(place.store) == ["hold"]


async def test_an_input_that_is_queued_is_read_by_the_living_driver_and_each_caller_has_the_answer_to_his_own(place):
    child = place.process("run", "hold", conversation="c")
    await place.held()
    second = asyncio.create_task(place.runner(busy="queue").run("look", conversation="c"))
    await place.until(inputs(2))
    third = asyncio.create_task(place.runner(busy="queue").run("pay", conversation="c"))
    await place.until(inputs(3))
    place.counter.go()
    assert (await place.said(child))["text"] == "Held."
    responses = [await second, await third]
    assert [response.output for response in responses] == ["Boots are 5.", "Paid."]
    assert [[message["role"] for message in response.messages] for response in responses] == [["assistant", "tool", "assistant"]] * 2
    assert len(drivers(await place.events())) == 1
    await place.counter.checked(place.store)


async def test_an_interrupt_from_elsewhere_ends_the_run_of_the_living_driver_and_is_read(place):
    child = place.process("run", "hold", conversation="c")
    await place.held()
    second = asyncio.create_task(place.runner().run("look", conversation="c", busy="interrupt"))
    await place.until(inputs(2))
    place.counter.go()
    assert (await second).output == "Boots are 5."
    assert (await place.said(child))["status"] == "cancelled"
    assert any(isinstance(event, ToolReturned) and event.content == "held" for event in await place.events())
    await place.counter.checked(place.store)


async def test_an_input_that_comes_when_the_living_driver_has_just_ended_is_driven_by_the_one_who_gave_it(place, monkeypatch):
    first, second = place.runner(), place.runner(busy="queue")
    held = asyncio.create_task(first.run("hold", conversation="c"))
    await place.held()
    desk, told = second._desk, []
    load = desk.load

    async def slowly(conversation: str) -> Any:
        kept = await load(conversation)
        if len(told) == 1:  # the look before the input is appended: the other one ends in between
            place.counter.go()
            await place.until(lambda events: isinstance(events[-1], ModelReplied) and not events[-1].reply.calls)
            await held
        told.append(kept)
        return kept

    monkeypatch.setattr(desk, "load", slowly)
    async with asyncio.timeout(20):
        response = await second.run("look", conversation="c")
    assert response.output == "Boots are 5."
    assert (await held).output == "Held."
    assert drivers(await place.events()) == [first._desk.driver, second._desk.driver]


async def test_a_decision_while_another_process_makes_other_calls_is_met_by_it(place):
    child = place.process("run", "hold and sign", conversation="c")
    await place.held()
    await place.until(lambda events: any(type(event).__name__ == "ApprovalAsked" for event in events))
    asked = fold(await place.store.read("c")).waiting[0].approval
    approving = asyncio.create_task(place.runner().approve("c", asked.id, asked.digest, by="ann"))
    await place.until(lambda events: any(type(event).__name__ == "ApprovalDecided" for event in events))
    place.counter.go()
    assert (await approving).output == "Held, and signed."
    assert (await place.said(child))["text"] == "Held, and signed."
    assert len(drivers(await place.events())) == 1
    assert sum(line.startswith("sign") for line in place.counter.done) == 1
    with pytest.raises(ApprovalError) as consumed:
        await place.runner().approve("c", asked.id, asked.digest)
    assert consumed.value.reason == "consumed"


async def test_what_a_living_driver_has_is_not_resumed_and_recovery_leaves_it_alone(place):
    child = place.process("run", "hold", conversation="c")
    await place.held()
    other = place.runner()
    with pytest.raises(ConversationBusy, match="elsewhere"):
        await other.resume("c")
    assert await other.recover() == []
    place.counter.go()
    assert (await place.said(child))["text"] == "Held."
    assert (await other.resume("c")).output == "Held."
    assert len(drivers(await place.events())) == 1


async def test_a_cancel_from_another_process_ends_the_run_and_what_it_had_begun_is_told_late(place):
    child = place.process("run", "hold", conversation="c")
    await place.held()
    assert await place.runner().cancel("c") is True
    assert await place.runner().cancel("c") is False
    place.counter.go()
    assert (await place.said(child))["status"] == "cancelled"
    await place.until(lambda events: type(events[-1]).__name__ == "ToolLate")
    response = await place.runner().run("look", conversation="c")
    assert response.output == "Boots are 5."
    await place.counter.checked(place.store)


async def test_a_stream_of_a_run_that_is_driven_elsewhere_yields_its_events(place):
    child = place.process("run", "hold", conversation="c")
    await place.held()
    stream = place.runner(busy="queue").stream("look", conversation="c")

    async def read() -> list[Any]:
        return [item async for item in stream]

    reading = asyncio.create_task(read())
    await place.until(inputs(2))
    place.counter.go()
    items = await reading
    await place.said(child)
    events = await place.events()
    given = next(place for place, event in enumerate(events) if isinstance(event, InputGiven) and event.messages[0].content == "look")
    assert items == events[given:]
    assert stream.response.output == "Boots are 5."


async def test_following_from_elsewhere_yields_what_is_written_while_it_is_written(place):
    child = place.process("run", "hold", conversation="c")
    await place.held()
    followed = []
    async with asyncio.timeout(30):
        async for row in place.runner().follow("c"):
            followed.append(row)
            if type(row.event).__name__ == "ToolStarted":
                place.counter.go()
            if isinstance(row.event, ModelReplied) and not row.event.reply.calls:
                break
    await place.said(child)
    assert followed == await place.store.read("c")


# ---- keys


async def test_the_same_key_elsewhere_is_the_same_run_and_is_waited_for(place):
    child = place.process("run", "hold", key="order 7")
    await place.held()
    second = asyncio.create_task(place.runner().run("hold", key="order 7"))
    with pytest.raises(KeyReused):
        await place.runner().run("look", key="order 7")
    with pytest.raises(KeyReused):
        await place.runner().run("look", conversation="another", key="order 7")
    await asyncio.sleep(0.05)
    assert not second.done()
    place.counter.go()
    assert (await place.said(child))["text"] == (await second).output == "Held."
    assert (await place.runner().run("hold", key="order 7")).output == "Held."
    assert len(place.counter.done) == 1


async def test_the_same_key_as_an_input_that_is_still_queued_is_answered_with_that_inputs_run(place):
    child = place.process("run", "hold", conversation="c")
    await place.held()
    runners = [place.runner(busy="queue") for _ in range(3)]
    tasks = []
    for number, runner in enumerate(runners, 2):
        tasks.append(asyncio.create_task(runner.run("look", conversation="c", key="again")))
        await place.until(inputs(min(number, 2)))
    await asyncio.sleep(0.05)
    place.counter.go()
    assert (await place.said(child))["text"] == "Held."
    assert [(await task).output for task in tasks] == ["Boots are 5."] * 3
    assert await place.counter.inputs(place.store) == ["hold", "look"]


# ---- when a driver dies


async def test_who_waits_takes_over_when_the_driver_is_killed_and_has_the_answer_to_his_own(place, monkeypatch):
    monkeypatch.setattr(order_module, "LOOK", 0.05)
    child = place.process("run", "hold", conversation="c")
    await place.held()
    tasks = []
    for number, said in enumerate(["look", "pay", "look"], 2):
        tasks.append(asyncio.create_task(place.runner(busy="queue").run(said, conversation="c")))
        await place.until(inputs(number))
    child.kill()
    child.wait()
    place.counter.go()
    assert [(await task).output for task in tasks] == ["Boots are 5.", "Paid.", "Boots are 5."]
    await place.counter.checked(place.store)
    assert [line.split()[0] for line in place.counter.done] == ["hold", "hold", "look", "pay", "look"]


async def test_an_input_that_is_queued_behind_what_a_dead_driver_left_has_its_own_answer(place):
    child = place.process("run", "hold", conversation="c")
    await place.held()
    child.kill()
    child.wait()
    place.counter.go()
    response = await place.runner(busy="queue").run("look", conversation="c")
    assert response.output == "Boots are 5."
    answers = [event.reply.text for event in await place.events() if isinstance(event, ModelReplied) and not event.reply.calls]
    assert answers == ["Held.", "Boots are 5."]


async def test_an_input_that_rejects_busy_ones_takes_the_place_of_what_a_dead_driver_left(place):
    child = place.process("run", "hold", conversation="c")
    await place.held()
    child.kill()
    child.wait()
    response = await place.runner().run("look", conversation="c")
    assert response.output == "Boots are 5."
    assert any(isinstance(event, RunEnded) and event.reason == "superseded" for event in await place.events())
    await place.counter.checked(place.store)


async def test_recovery_drives_on_what_dead_drivers_left_and_nothing_else(place):
    dead = place.process("run", "hold", conversation="c")
    await place.held()
    dead.kill()
    dead.wait()
    living = place.process("run", "hold", conversation="living")
    async with asyncio.timeout(30):
        while len(place.counter.done) < 2:
            await asyncio.sleep(0.005)
    stranger = ScriptedModel([{"look": {}}])
    other_team = Runner(Agent("Stranger", model=stranger), journal=place.journal)
    place.runners.append(other_team)
    assert await other_team.recover() == []
    runner = place.runner()
    recovering = asyncio.create_task(runner.recover())
    await place.until(lambda events: len(drivers(events)) == 2)
    place.counter.go()
    assert await recovering == ["c"]
    assert (await place.said(living))["text"] == "Held."
    assert len(drivers([row.event for row in await place.store.read("living")])) == 1
    assert fold(await place.store.read("c")).status is Status.IDLE


async def test_a_runner_that_is_opened_recovers_by_itself_and_its_end_leaves_the_rest_to_the_next(place):
    child = place.process("run", "hold", conversation="c")
    await place.held()
    child.kill()
    child.wait()
    async with place.runner():
        await until(lambda: len(place.counter.done) == 2)  # the call is begun again
        asyncio.get_running_loop().call_later(0.05, place.counter.go)
    events = await place.events()
    assert isinstance(events[-1], ToolReturned)  # the step is finished, and the run is not ended
    assert fold(await place.store.read("c")).status is Status.MODEL
    async with place.runner():
        await place.until(lambda events: isinstance(events[-1], ModelReplied) and events[-1].reply.text == "Held.")


async def test_a_run_that_somebody_waits_for_is_cancelled_whole_when_its_runner_is_closed(place):
    runner = place.runner()
    async with runner:
        run = asyncio.create_task(runner.run("hold", conversation="c"))
        await place.held()
    assert (await run).status == "cancelled"
    assert fold(await place.store.read("c")).status is Status.ENDED


def test_a_fork_of_the_process_is_another_driver(place):
    runner = place.runner()

    async def one(said: str) -> str:
        return str((await runner.run(said, conversation="c")).output)

    assert asyncio.run(one("look")) == "Boots are 5."
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(into, asyncio.run(one("hold")).encode())
        finally:
            os._exit(0)
    os.close(into)

    async def meanwhile() -> None:
        await place.held()
        with pytest.raises(ConversationBusy):
            await runner.run("look", conversation="c")
        place.counter.go()

    asyncio.run(meanwhile())
    with os.fdopen(out) as pipe:
        assert pipe.read() == "Held."
    os.waitpid(pid, 0)
    assert asyncio.run(one("look")) == "Boots are 5."
    names = drivers(asyncio.run(place.events()))
    assert names[0] == names[2] != names[1]


async def test_after_an_append_that_failed_others_may_go_on_while_that_process_lives(place, monkeypatch):
    runner = place.runner()
    append = runner.journal.append

    async def refuses(conversation: str, seq: int, events: Any, **more: Any) -> None:
        if any(isinstance(event, ToolReturned) for event in events):
            raise OSError("the disk is gone")
        await append(conversation, seq, events, **more)

    monkeypatch.setattr(runner.journal, "append", refuses)
    beside = asyncio.create_task(runner.run("hold", conversation="other"))
    await place.held()
    with pytest.raises(OSError, match="disk"):
        await runner.run("look", conversation="c")
    monkeypatch.undo()
    with pytest.raises(ConversationBusy):  # its name is let go when the other drive under it is over
        await place.runner().resume("c")
    place.counter.go()
    assert (await beside).output == "Held."
    assert (await place.runner().resume("c")).output == "Boots are 5."
    assert (await runner.run("pay", conversation="c")).output == "Paid."

"""Conformance: what is there is found: by waiting, by key, in lists; until it is erased."""

import asyncio
import os
from collections.abc import Sequence

from segue.core.events import DriveStarted, InputGiven, RunEnded
from segue.core.messages import User
from segue.errors import KeyReused
from segue.journal.base import Line, Summary, follow
from segue.journal.conformance_stage import LONG, Stage, answer, check, holds, notes, opening, same


@check
async def waiting_ends_when_there_is_something(stage: Stage) -> None:
    """At once for what is there; then for what this journal object, or another on the same store, appends."""
    name, other = stage.name(), stage.another()
    await stage.journal.append(name, 1, notes(2), at=1.0)
    for after in (0, 1):
        await asyncio.wait_for(stage.journal.wait(name, after=after, timeout=LONG), LONG / 2)
    for place, writer in enumerate((stage.journal, other), 3):
        waiting = [asyncio.ensure_future(stage.journal.wait(name, after=place - 1, timeout=LONG)) for _ in range(3)]
        await asyncio.sleep(0.01)
        await writer.append(name, place, notes(1, place), at=1.0)
        await asyncio.wait_for(asyncio.gather(*waiting), LONG / 2)


@check
async def waiting_ends_after_its_time(stage: Stage) -> None:
    """For a conversation that stays as it is, and for one that does not exist; and when it is cancelled."""
    name = stage.name()
    await stage.journal.append(name, 1, notes(1), at=1.0)
    await asyncio.wait_for(stage.journal.wait(name, after=1, timeout=0.01), LONG)
    await asyncio.wait_for(stage.journal.wait(stage.name(), after=0, timeout=0.01), LONG)
    waiting = asyncio.ensure_future(stage.journal.wait(name, after=1, timeout=LONG))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.wait([waiting], timeout=LONG)
    holds(waiting.cancelled(), "a wait that is cancelled ends")


@check
async def a_conversation_that_begins_ends_the_wait_for_it(stage: Stage) -> None:
    """From another event loop, too."""
    name = stage.name()
    waiting = asyncio.ensure_future(stage.journal.wait(name, after=0, timeout=LONG))
    await asyncio.sleep(0.01)
    await asyncio.to_thread(lambda: asyncio.run(stage.journal.append(name, 1, notes(1), at=1.0)))
    await asyncio.wait_for(waiting, LONG / 2)


@check
async def following_gives_each_event_once_and_in_order(stage: Stage) -> None:
    """What was there, and what is appended meanwhile."""
    name, other = stage.name(), stage.another()
    await stage.journal.append(name, 1, notes(3), at=1.0)

    async def write() -> None:
        for place in range(4, 13):
            await (stage.journal if place % 2 else other).append(name, place, notes(1, place), at=1.0)
            await asyncio.sleep(0.002)

    writing = asyncio.ensure_future(write())
    seen = []
    async with asyncio.timeout(LONG):
        async for row in follow(stage.journal, name, after=1):
            seen.append(row)
            if row.seq == 12:
                break
    await writing
    same([row.seq for row in seen], list(range(2, 13)), "the places that were followed")
    same([row.event for row in seen], notes(11, 2), "the events that were followed")


@check
async def a_key_leads_to_its_conversation(stage: Stage) -> None:
    """And to nothing before it was used."""
    name, key = stage.name(), f"key {stage.token} '\"%é"
    same(await stage.journal.keyed(key), None, "a key that was never used")
    await stage.tell(name, *opening(name, key=key))
    same(await stage.journal.keyed(key), name, "where a key leads")
    same(await stage.another().keyed(key), name, "where a key leads, for another journal object")
    same(await stage.journal.keyed(key.upper()), None, "a key in another case")
    await stage.tell(name, answer(), InputGiven("run-2", (User("Again"),), key=key))
    same(await stage.journal.keyed(key), name, "where a key leads when its conversation repeats it")


@check
async def a_key_of_another_conversation_is_refused_and_nothing_is_written(stage: Stage) -> None:
    """Not even the other keys of the batch."""
    first, second, used, free = stage.name(), stage.name(), f"used {stage.token}", f"free {stage.token}"
    await stage.tell(first, *opening(first, key=used))
    events = [*opening(second, key=free), InputGiven("run-2", (User("Again"),), key=used)]
    await stage.refused(KeyReused, stage.journal.append(second, 1, events, at=1.0), "a key of another conversation")
    same(await stage.journal.read(second), [], "what a refused key has left")
    same(await stage.journal.keyed(free), None, "where a key of a refused batch leads")
    same(await stage.journal.keyed(used), first, "where the key leads still")
    await stage.tell(second, *opening(second, key=free))
    same(await stage.journal.keyed(free), second, "where a key leads after it was refused with others")


@check
async def of_many_conversations_exactly_one_gets_a_key(stage: Stage) -> None:
    """Whoever asks at the same time."""
    key, names, journals = f"key {stage.token}", [stage.name() for _ in range(16)], (stage.journal, stage.another())

    async def begin(number: int, name: str) -> bool:
        try:
            await journals[number % 2].append(name, 1, opening(name, key=key), at=1.0)
        except KeyReused:
            return False
        return True

    got = await asyncio.gather(*(begin(number, name) for number, name in enumerate(names)))
    same(sum(got), 1, "conversations that were given the key")
    winner = names[got.index(True)]
    same(await stage.journal.keyed(key), winner, "where the key leads")
    for name in names:
        same(len(await stage.journal.read(name)), 2 if name == winner else 0, "events of a conversation that asked for the key")


@check
async def a_line_tells_what_a_conversation_is_now(stage: Stage) -> None:
    """Its last place, when it began, when it was updated, and its summary."""
    name, agent = stage.name(), f"Agent {stage.token}"

    async def line() -> list[Line]:
        return await stage.journal.conversations(agent=agent)

    same(await line(), [], "the list before it began")
    await stage.tell(name, *opening(name, agent), at=10.5)
    same(await line(), [Line(name, 2, 10.5, 10.5, Summary("running", agent, agent, ""))], "the line of a new conversation")
    await stage.tell(name, DriveStarted("d_1"), answer(agent), at=11.25)
    same(await line(), [Line(name, 4, 10.5, 11.25, Summary("done", agent, agent, "d_1"))], "the line of one that is done")
    await stage.tell(name, InputGiven("run-2", (User("?"),)), RunEnded("failed", "provider"), at=12.0)
    same(await line(), [Line(name, 6, 10.5, 12.0, Summary("failed", agent, agent, "d_1"))], "the line of one that failed")
    await stage.journal.erase(name)
    same(await line(), [], "the list after it was erased")


async def _crowd(stage: Stage, agent: str, base: float) -> list[Line]:
    """Conversations in several states, some updated at the same time; newest first."""
    for number in range(12):
        name = stage.name(f"{'bBéa'[number % 4]}{number}")
        await stage.tell(name, *opening(name, agent), at=base)
        if number % 3 == 1:
            await stage.tell(name, answer(agent), at=base + number // 4)
        elif number % 3 == 2:
            await stage.tell(name, RunEnded("limited", "turns"), at=base + number // 4)
    lines = await stage.journal.conversations(agent=agent)
    same(lines, sorted(lines, key=lambda line: (-line.updated, line.conversation)), "the order: last updated first, then by id")
    same(len(lines), 12, "conversations in the list")
    return lines


def _times() -> float:
    """A time that no other check uses, so that a list may be asked for it alone."""
    return 1e10 + (int.from_bytes(os.urandom(4), "big") >> 1) * 64.0


@check
async def a_list_is_chosen_by_status_agent_and_time(stage: Stage) -> None:
    """And by several of them at once."""
    agent, base = f"Agent {stage.token}", _times()
    lines = await _crowd(stage, agent, base)
    ask = stage.journal.conversations

    def those(status: Sequence[str] = (), since: float = 0.0, before: float = 1e300) -> list[Line]:
        return [line for line in lines if (not status or line.summary.status in status) and since <= line.updated < before]

    for status in (["done"], ["done", "limited"], {"running"}, ("waiting",), ("limited", "running", "done", "parked")):
        same(await ask(agent=agent, status=status), those(list(status)), f"the list of {status}")
    same(await ask(since=base, before=base + 64), lines, "the list of a time")
    same(await ask(since=base + 1, before=base + 64), those(since=base + 1), "the list since a time, with that time")
    same(await ask(since=base, before=base + 2), those(before=base + 2), "the list before a time, without that time")
    same(await ask(agent=agent, status=["done"], since=base + 1, before=base + 2), those(["done"], base + 1, base + 2), "a choice by all")
    same(await ask(agent=f"Nobody {stage.token}"), [], "the list of an agent that does not exist")


@check
async def pages_hold_each_line_once(stage: Stage) -> None:
    """Also where conversations were updated at the same time, whatever the length of the page."""
    agent, base = f"Agent {stage.token}", _times()
    lines = await _crowd(stage, agent, base)
    for limit in (1, 2, 5, 12, 100):
        for options, expected in (
            ({"agent": agent}, lines),
            ({"since": base, "before": base + 64}, lines),
            ({"agent": agent, "status": ["running", "done"]}, [line for line in lines if line.summary.status in ("running", "done")]),
        ):
            pages: list[Line] = []
            while page := await stage.journal.conversations(**options, following=pages[-1] if pages else None, limit=limit):
                holds(len(page) <= limit, f"a page of {limit} holds {len(page)} lines")
                pages += page
            same(pages, expected, f"all pages of {limit}")


@check
async def what_is_erased_is_gone_and_nothing_else_is(stage: Stage) -> None:
    """Its events, its line and its keys; the same id and the same keys may be used anew."""
    gone, kept, agent, base = stage.name(), stage.name(), f"Agent {stage.token}", _times()
    for name in (gone, kept):
        await stage.tell(name, *opening(name, agent, key=f"key of {name}"), at=base)
    same(await stage.journal.erase(stage.name()), False, "whether there was anything of a conversation that does not exist")
    same(await stage.journal.erase(gone), True, "whether there was anything")
    same(await stage.journal.erase(gone), False, "whether there was anything the second time")
    same(await stage.journal.read(gone), [], "the events of what was erased")
    same(await stage.journal.keyed(f"key of {gone}"), None, "where the key of what was erased leads")
    same([line.conversation for line in await stage.journal.conversations(agent=agent)], [kept], "the list")
    same(len(await stage.journal.read(kept)), 2, "events of another conversation")
    same(await stage.journal.keyed(f"key of {kept}"), kept, "where the key of another conversation leads")
    again = stage.name()
    await stage.tell(again, *opening(again, agent, key=f"key of {gone}"), at=base)
    await stage.tell(gone, *opening(gone, agent), at=base)
    same([row.seq for row in await stage.journal.read(gone)], [1, 2], "the places of one that begins anew")

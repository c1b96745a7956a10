"""Conformance: who drives is seen by the others; and, where a journal has a database, tools share a transaction with it."""

import asyncio
from typing import Any

from segue.core.events import DriveStarted, Event, ToolLate
from segue.errors import JournalConflict
from segue.journal.base import Line, Stored, Summary, Transactional
from segue.journal.conformance_stage import LONG, Stage, check, holds, opening, same


@check
async def a_driver_lives_from_hold_to_let_go(stage: Stage) -> None:
    """For itself and for others on the same store; several do not disturb each other."""
    first, second, odd = f"d_{stage.token}", f"e_{stage.token}", f"é/../{stage.token}"
    other = stage.another()
    for driver in (first, "", "../turn"):
        same(await stage.journal.alive(driver), False, f"whether {driver!r} lives that was never held")
    await stage.journal.hold(first)
    await other.hold(second)
    await other.hold(odd)
    for journal in (stage.journal, other):
        for driver in (first, second, odd):
            same(await journal.alive(driver), True, f"whether {driver!r} lives that is held")
    await stage.journal.let_go(first)
    await stage.journal.let_go(first)
    for journal in (stage.journal, other):
        same([await journal.alive(driver) for driver in (first, second, odd)], [False, True, True], "who lives when the first has let go")
    await stage.journal.hold(first)
    same(await other.alive(first), True, "whether a driver lives that is held again")
    await stage.journal.let_go(first)
    for driver in (second, odd):
        await other.let_go(driver)
        same(await stage.journal.alive(driver), False, "whether a driver lives that was let go")


def _transactional(stage: Stage) -> Transactional | None:
    """The journal, if it has transactions for tools: one without is complete."""
    return stage.journal if isinstance(stage.journal, Transactional) else None


def _late(text: str) -> Event:
    return ToolLate("1.0", "pay", text)


@check
async def a_transaction_writes_its_event_at_the_next_place(stage: Stage) -> None:
    """It wakes who waits, keeps the summary of the line, and moves its place and time."""
    journal, name, agent = _transactional(stage), stage.name(), f"Agent {stage.token}"
    if journal is None:
        return
    rows = await stage.tell(name, *opening(name, agent), DriveStarted("d_1"), at=5.0)
    waiting = asyncio.ensure_future(stage.journal.wait(name, after=3, timeout=LONG))
    await asyncio.sleep(0.01)
    stored = await asyncio.to_thread(journal.transact, name, 3, lambda db: _late("paid"), at=6.5)
    await asyncio.wait_for(waiting, LONG / 2)
    same(stored, Stored(4, 6.5, _late("paid")), "what a transaction gives back")
    same(await stage.another().read(name), [*rows, stored], "what is stored after a transaction")
    expected = [Line(name, 4, 5.0, 6.5, Summary("running", agent, agent, "d_1"))]
    same(await stage.journal.conversations(agent=agent), expected, "the line after a transaction")


@check
async def what_a_tool_writes_and_its_event_are_kept_together_or_not_at_all(stage: Stage) -> None:
    """Not where it raises, nor where another driver has come."""
    journal, name, table = _transactional(stage), stage.name(), f"segue_conformance_{stage.token}"
    if journal is None:
        return
    rows = await stage.tell(name, *opening(name), DriveStarted("d_1"))

    async def transact(fence: int, *statements: str, raising: BaseException | None = None) -> Stored:
        def work(db: Any) -> Event:
            found = None
            for statement in statements:
                found = db.execute(statement)
            if raising is not None:
                raise raising
            return _late(str(found.fetchone()[0]) if found is not None and found.description else "done")

        return await asyncio.to_thread(journal.transact, name, fence, work, at=1.0)

    count = f"select count(*) from {table}"  # noqa: S608
    insert = f"insert into {table} values (1)"  # noqa: S608
    await transact(3, f"create table {table} (x integer)")
    try:
        same((await transact(3, insert, count)).event, _late("1"), "rows that a tool sees of its own")
        for error in (KeyError("no such order"), SystemExit(3)):
            try:
                await transact(3, insert, raising=error)
            except BaseException as raised:
                if raised is not error:
                    raise
            else:
                holds(False, "what a tool raises comes out")
        same((await transact(3, count)).event, _late("1"), "rows after a tool has raised")
        place = len(await stage.journal.read(name)) + 1
        await stage.journal.append(name, place, [DriveStarted("d_2")], at=1.0)
        await stage.refused(JournalConflict, transact(3, insert), "a transaction of a driver that another has followed")
        same((await transact(place, count)).event, _late("1"), "rows after a transaction that came too late")
        same([row.event for row in await stage.journal.read(name)][3:6], [_late("done"), _late("1"), _late("1")], "events of transactions")
    finally:
        await transact(10**6, f"drop table {table}")
    same((await stage.journal.read(name))[:3], rows, "what stood before")


@check
async def transactions_and_appends_take_places_one_by_one(stage: Stage) -> None:
    """Of one conversation and of others, from many threads."""
    journal, name, others = _transactional(stage), stage.name(), [stage.name() for _ in range(5)]
    if journal is None:
        return
    await stage.tell(name, *opening(name), DriveStarted("d_1"))

    async def append(other: str) -> None:
        for place in range(1, 6):
            await stage.journal.append(other, place, [_late(str(place))], at=1.0)

    numbers = range(12)
    transactions = [asyncio.to_thread(journal.transact, name, 3, lambda db, n=n: _late(str(n)), at=1.0) for n in numbers]  # type: ignore[misc]
    done = await asyncio.gather(*transactions, *(append(other) for other in others))
    stored = sorted(row for row in done if row is not None)
    same([row.seq for row in stored], list(range(4, 16)), "the places of twelve transactions at once")
    same((await stage.journal.read(name))[3:], stored, "what they have stored")
    for other in others:
        same(len(await stage.journal.read(other)), 5, "events of a conversation beside them")

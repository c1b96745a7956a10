"""After a crash: which conversations were left with work to do, and driving them on."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from segue import clock
from segue.core.events import ToolStarted
from segue.desk import Desk
from segue.errors import SegueError
from segue.journal.base import Journal, every_line, fold
from segue.outside import cancel
from segue.team import Team

log = logging.getLogger("segue")

AT_ONCE = 16
"""How many conversations are recovered at once."""


async def left(journal: Journal, team: Team) -> list[str]:
    """The conversations of a team that have work left. Those of agents used as tools are driven by their outer ones."""
    running = every_line(journal, status=("running",))
    return [line.conversation async for line in running if line.summary.entry in team and "/" not in line.conversation]


async def forsaken(journal: Journal, team: Team) -> list[str]:
    """The conversations of agents used as tools that nobody waits for: a crash came between the end of their call and their own."""
    found = []
    async for line in every_line(journal, status=("running", "waiting")):
        outer, _, place = line.conversation.rpartition("/")
        rows = await journal.read(outer) if outer else []
        if not any(isinstance(row.event, ToolStarted) and row.event.place == place for row in rows):
            continue  # a slash in an id of somebody's own
        c = fold(rows)
        slots = c.turn.slots if c.turn is not None else ()
        if c.entry in team and not any(slot.place == place and slot.outcome is None for slot in slots):
            found.append(line.conversation)
    return found


async def recover(desk: Desk, drive: Callable[[str], Awaitable[None]]) -> list[str]:
    """Drive on what dead drivers have left, and give the conversations' ids; what cannot be gone on with is logged and left."""
    gate = asyncio.Semaphore(AT_ONCE)
    recovered: list[str] = []

    async def one(conversation: str) -> None:
        async with gate:
            try:
                c = fold(await desk.journal.read(conversation))
                if not desk.leaving and desk.drive_of(conversation) is None and not await desk.elsewhere(c):
                    await drive(conversation)
                    recovered.append(conversation)
            except SegueError as error:
                log.warning("conversation %s could not be gone on with: %s", conversation, error)

    await asyncio.gather(*[one(conversation) for conversation in await left(desk.journal, desk.team)])
    for conversation in await forsaken(desk.journal, desk.team):
        await cancel(desk.journal, conversation, at=clock.now())
    return recovered

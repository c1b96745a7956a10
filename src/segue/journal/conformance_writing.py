"""Conformance: what is appended is there, whole, in its place, once, and nothing else is."""

import asyncio
from contextlib import suppress

from segue.core.codec import decode, loaded
from segue.errors import JournalConflict
from segue.journal.base import Stored
from segue.journal.conformance_stage import EVERY_KIND, Stage, check, holds, newer, note, notes, of_a_size, same


@check
async def events_are_read_in_order_with_their_places_and_times(stage: Stage) -> None:
    """And what does not exist is empty."""
    name, journal = stage.name(), stage.journal
    same(await journal.read(name), [], "a conversation that does not exist")
    await journal.append(name, 1, notes(2), at=1_764_000_000.123456)
    await journal.append(name, 3, notes(1, 3), at=7.0)
    times = (1_764_000_000.123456, 1_764_000_000.123456, 7.0)
    expected = [Stored(place, at, event) for place, (at, event) in enumerate(zip(times, notes(3), strict=True), 1)]
    same(await journal.read(name), expected, "what was appended")
    holds(all(type(row.seq) is int and type(row.at) is float for row in await journal.read(name)), "a place is an int, a time is a float")


@check
async def reading_begins_after_a_place(stage: Stage) -> None:
    """Any place, also one that is not reached yet."""
    name = stage.name()
    await stage.journal.append(name, 1, notes(4), at=1.0)
    whole = await stage.journal.read(name)
    for after in range(7):
        same(await stage.journal.read(name, after=after), whole[after:], f"what is after {after} of 4")
    same(await stage.journal.read(name, after=10**12), [], "what is after a place far away")


@check
async def every_kind_of_event_and_odd_values_come_back_equal(stage: Stage) -> None:
    """In one batch, and one by one."""
    together, apart = stage.name(), stage.name()
    await stage.journal.append(together, 1, EVERY_KIND, at=1.0)
    for place, event in enumerate(EVERY_KIND, 1):
        await stage.journal.append(apart, place, [event], at=1.0)
    for name in (together, apart):
        for row, event in zip(await stage.journal.read(name), EVERY_KIND, strict=True):
            same(row.event, event, f"a stored {type(event).__name__}")


@check
async def events_can_be_had_as_they_are_stored(stage: Stage) -> None:
    """With their places and times, after any place; read, they are what was appended."""
    name = stage.name()
    await stage.journal.append(name, 1, EVERY_KIND, at=1.5)
    raw = await stage.journal.raw(name)
    read = [Stored(row.seq, row.at, decode(row.kind, row.version, row.data)) for row in raw]
    same(read, await stage.journal.read(name), "what is stored")
    for after in (1, len(EVERY_KIND), 10**12):
        same(await stage.journal.raw(name, after=after), raw[after:], f"what is stored after {after} of {len(raw)}")
    same(await stage.journal.raw(stage.name()), [], "what is stored of a conversation that does not exist")


@check
async def an_event_of_a_newer_version_is_kept_as_it_was_written(stage: Stage) -> None:
    """Between others, none of which is lost."""
    name = stage.name()
    await stage.journal.append(name, 1, [*notes(1), newer("full"), *notes(1, 3)], at=1.0)
    raw = await stage.journal.raw(name)
    expected = [(1, "InstructionsRendered"), (2, "MoonRisen"), (3, "InstructionsRendered")]
    same([(row.seq, row.kind) for row in raw], expected, "what is stored")
    same(loaded(raw[1].data), {"phase": "full"}, "what an event of a newer version says")


@check
async def an_event_of_eight_megabytes_comes_back_equal(stage: Stage) -> None:
    """Between small ones."""
    name, large = stage.name(), of_a_size(8)
    await stage.journal.append(name, 1, [*notes(1), large, *notes(1)], at=1.0)
    holds([row.event for row in await stage.journal.read(name)] == [*notes(1), large, *notes(1)], "8 MB came back otherwise")


@check
async def another_place_than_the_next_is_a_conflict_and_nothing_is_written(stage: Stage) -> None:
    """Below, above, in the middle, for one event and for several, and for none."""
    name, fresh = stage.name(), stage.name()
    for seq in (0, 2, -1):
        await stage.refused(JournalConflict, stage.journal.append(fresh, seq, notes(2), at=1.0), f"place {seq} of a new conversation")
        same(await stage.journal.read(fresh), [], "a conversation whose first append was a conflict")
    await stage.journal.append(name, 1, notes(3), at=1.0)
    whole = await stage.journal.read(name)
    for seq in (1, 2, 3, 5, 0, -3):
        for events in (notes(1), notes(5), []):
            await stage.refused(JournalConflict, stage.journal.append(name, seq, events, at=2.0), f"place {seq} after 3")
            same(await stage.journal.read(name), whole, "what a conflict has left")
    await stage.journal.append(name, 4, [], at=2.0)
    same(await stage.journal.read(name), whole, "what an append of nothing has left")
    await stage.journal.append(name, 4, notes(1, 4), at=2.0)
    same(len(await stage.journal.read(name)), 4, "the next append")


@check
async def ids_that_look_alike_are_different_conversations(stage: Stage) -> None:
    """Case, blanks, composed letters, quotes, wildcards, length: an id is what it is."""
    likes = (
        "a",
        "A",
        " a",
        "é",
        "e\u0301",
        "'",
        '"',
        "%",
        "_",
        "\\",
        "'; drop table event; --",
        "a/../b",
        "旅" * 100,
        "{}",
        "$1",
        "?",
        "\n",
    )
    names = [stage.name(like) for like in likes]
    for number, name in enumerate(names, 1):
        await stage.journal.append(name, 1, notes(1, number), at=1.0)
    for number, name in enumerate(names, 1):
        same([row.event for row in await stage.journal.read(name)], notes(1, number), f"the conversation {name!r}")


async def _compete(stage: Stage, name: str, who: str, places: int, batch: int) -> list[tuple[int, str]]:
    """Try to take each of the next places; those that were won."""
    won = []
    for turn in range(places):
        seq = turn * batch + 1
        events = [note(f"{who}/{seq + number}") for number in range(batch)]
        with suppress(JournalConflict):
            await stage.journal.append(name, seq, events, at=1.0)
            won.append((seq, who))
        while len(await stage.journal.read(name)) < seq + batch - 1:
            await asyncio.sleep(0)
    return won


async def _one_wins(stage: Stage, name: str, won: list[list[tuple[int, str]]], places: int, batch: int) -> None:
    rows = await stage.journal.read(name)
    winners = dict(pair for one in won for pair in one)
    same(sum(map(len, won)), places, "wins")
    expected = [note(f"{winners.get(seq)}/{seq + number}") for seq in range(1, places * batch + 1, batch) for number in range(batch)]
    same([row.event for row in rows], expected, "what the winners wrote")


@check
async def of_many_tasks_exactly_one_wins_each_place(stage: Stage) -> None:
    """And it wins it with its whole batch."""
    name = stage.name()
    won = await asyncio.gather(*(_compete(stage, name, f"task {number}", 6, 3) for number in range(12)))
    await _one_wins(stage, name, won, 6, 3)


@check
async def of_many_event_loops_exactly_one_wins_each_place(stage: Stage) -> None:
    """One journal object serves threads with event loops of their own."""
    name = stage.name()

    def run(number: int) -> list[tuple[int, str]]:
        return asyncio.run(_compete(stage, name, f"thread {number}", 10, 2))

    won = await asyncio.gather(*(asyncio.to_thread(run, number) for number in range(4)))
    await _one_wins(stage, name, list(won), 10, 2)


@check
async def two_journals_on_one_store_see_each_other(stage: Stage) -> None:
    """What one has appended is there for the other when the append returns."""
    name, other = stage.name(), stage.another()
    await stage.journal.append(name, 1, notes(1), at=1.0)
    await stage.refused(JournalConflict, other.append(name, 1, notes(1), at=1.0), "a place that another journal object took")
    await other.append(name, 2, notes(1, 2), at=1.0)
    same([row.event for row in await stage.journal.read(name)], notes(2), "what both have appended")
    await stage.refused(JournalConflict, stage.journal.append(name, 2, notes(1), at=1.0), "a place that another journal object took")


@check
async def many_conversations_are_written_side_by_side(stage: Stage) -> None:
    """A conflict in one of them harms no other."""
    names = [stage.name() for _ in range(30)]

    async def write(number: int, name: str) -> None:
        for place in range(1, 6):
            await stage.journal.append(name, place, notes(1, number + place), at=float(place))
            if number % 3 == 0:
                await stage.refused(JournalConflict, stage.journal.append(name, place, notes(1), at=1.0), "a place that is taken")

    await asyncio.gather(*(write(number, name) for number, name in enumerate(names)))
    for number, name in enumerate(names):
        same([row.event for row in await stage.journal.read(name)], notes(5, number + 1), f"conversation {number}")


@check
async def a_batch_is_seen_whole_or_not_at_all(stage: Stage) -> None:
    """By whoever reads while it is written."""
    name, other = stage.name(), stage.another()

    async def write() -> None:
        for batch in range(10):
            await stage.journal.append(name, batch * 20 + 1, notes(20, batch * 20), at=1.0)

    writing = asyncio.ensure_future(write())
    while not writing.done():
        for journal in (stage.journal, other):
            same(len(await journal.read(name)) % 20, 0, "events beyond whole batches of 20")
        await asyncio.sleep(0)
    await writing


@check
async def a_cancelled_append_is_there_whole_or_not_at_all(stage: Stage) -> None:
    """And the journal goes on."""
    names = [stage.name() for _ in range(20)]
    for number, name in enumerate(names):
        task = asyncio.ensure_future(stage.journal.append(name, 1, notes(3), at=1.0))
        for _ in range(number % 4):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    for name in names:
        with suppress(JournalConflict):  # it was written before the cancel
            await stage.journal.append(name, 1, notes(3), at=1.0)
        same([row.event for row in await stage.journal.read(name)], notes(3), "a conversation whose first append was cancelled")


@check
async def what_was_appended_is_there_after_closing(stage: Stage) -> None:
    """Closing twice does no harm, nor does closing what was never used."""
    name, first, unused = stage.name(), stage.another(), stage.another()
    await first.append(name, 1, notes(3), at=1.0)
    for journal in (first, unused):
        await journal.aclose()
        await journal.aclose()
    same([row.event for row in await stage.another().read(name)], notes(3), "what was appended before closing")

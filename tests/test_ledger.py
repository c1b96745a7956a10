"""What a ledger writes down while others write to the same conversation, and while its task is cancelled."""

import asyncio
from typing import Any

import pytest

from segue.core.conversation import Status
from segue.core.events import (
    CANCELLED,
    DriveStarted,
    Event,
    InputGiven,
    ToolLate,
    ToolReturned,
)
from segue.core.messages import User
from segue.errors import JournalConflict
from segue.journal.base import fold
from segue.ledger import ATTEMPTS, Fenced, Ledger
from segue.outside import tell
from segue.testing import MemoryJournal
from tests.core.making import ASKED, asks, call, fails, says, starts
from tests.test_drive import CancelledAt

LATE = ToolLate("9.0", "pay", "paid long ago")


class Plain(MemoryJournal):
    durable = True


async def ledger(*events: Event, journal: MemoryJournal | None = None) -> Ledger:
    """A ledger whose first append has been taken."""
    journal = journal or Plain()
    made = Ledger(fold([]), journal)
    made.decide(*events)
    await made.flush()
    return made


async def foreign(made: Ledger, *events: Event) -> None:
    await tell(made.journal, "c", lambda _: list(events), at=2.0)


async def stored(made: Ledger) -> list[Event]:
    return [row.event for row in await made.journal.read("c")]


def came(place: str) -> ToolReturned:
    return ToolReturned(place, "paid")


BEGUN = (*ASKED, DriveStarted("d_here"), asks(call("pay", "a"), call("pay", "b")), starts("1.0"), starts("1.1"))


async def test_what_others_wrote_is_told_before_what_was_decided():
    made = await ledger(*BEGUN)
    await foreign(made, LATE)
    made.decide(came("1.0"))
    assert await made.flush() == [LATE, came("1.0")]
    assert (await stored(made))[-2:] == [LATE, came("1.0")]
    assert made.written == made.conversation


async def test_an_outcome_that_is_not_waited_for_any_more_becomes_a_late_one():
    made = await ledger(*BEGUN)
    await foreign(made, fails("1.0"))
    made.decide(came("1.0"), came("1.1"))
    await made.flush()
    assert (await stored(made))[-3:] == [fails("1.0"), ToolLate("1.0", "look_up", "paid"), came("1.1")]


async def test_a_start_that_cannot_be_any_more_is_dropped():
    made = await ledger(*ASKED, DriveStarted("d_here"), asks(call("pay", "a"), call("pay", "b")))
    await foreign(made, fails("1.0"))
    made.decide(starts("1.0"), starts("1.1"))
    await made.flush()
    assert (await stored(made))[-2:] == [fails("1.0"), starts("1.1")]


async def test_a_reply_to_a_run_that_gave_way_is_dropped():
    made = await ledger(*ASKED, DriveStarted("d_here"))
    after = InputGiven("r_after", (User("Something else."),), busy="interrupt")
    await foreign(made, after)
    made.decide(says())
    await made.flush()
    assert (await stored(made))[-1] == after
    assert made.conversation.status is Status.MODEL
    assert made.conversation.run.id == "r_after"


async def test_with_another_driver_nothing_is_written_but_late_outcomes_are_kept_to_be_told():
    made = await ledger(*BEGUN)
    await foreign(made, DriveStarted("d_other"))
    made.decide(came("1.0"), fails("1.1", kind="cancelled"))
    with pytest.raises(Fenced):
        await made.flush()
    assert made.late == [ToolLate("1.0", "look_up", "paid")]
    assert (await stored(made))[-1] == DriveStarted("d_other")
    assert made.fenced
    assert made.lost


async def test_how_a_run_was_left_is_how_it_was_written_down_and_not_how_it_was_decided_first():
    queued = InputGiven("r_after", (User("Something else."),))
    made = await ledger(*ASKED, DriveStarted("d_here"), queued)
    made.run = made.conversation.run.id
    await foreign(made, LATE)
    made.decide(says("That is it."))
    await made.flush()
    assert made.left is not None
    assert made.left.seq == made.written.seq
    assert made.left.answer is not None
    await foreign(made, DriveStarted(""), CANCELLED)
    made.decide(says("And that."))
    with pytest.raises(Fenced):
        await made.flush()
    assert made.left.answer.text == "That is it."


async def test_a_run_that_another_driver_ended_was_not_left_as_it_was_decided_here():
    queued = InputGiven("r_after", (User("Something else."),))
    made = await ledger(*ASKED, DriveStarted("d_here"), queued)
    made.run = made.conversation.run.id
    await foreign(made, DriveStarted(""), CANCELLED)
    made.decide(says("That is it."))
    with pytest.raises(Fenced):
        await made.flush()
    assert made.left is not None
    assert made.left.ended == CANCELLED


class Suspending(Plain):
    """Suspends several times in each append and read."""

    async def append(self, conversation: str, seq: int, events: Any, **more: Any) -> None:
        await asyncio.sleep(0)
        await super().append(conversation, seq, events, **more)
        await asyncio.sleep(0)

    async def read(self, conversation: str, *, after: int = 0) -> Any:
        await asyncio.sleep(0)
        return await super().read(conversation, after=after)


@pytest.mark.parametrize("conflict", [False, True])
async def test_what_was_decided_is_written_whole_though_the_task_is_cancelled_at_any_suspension(conflict):
    k = 0
    while True:
        k += 1
        made = await ledger(*BEGUN, journal=Suspending())
        if conflict:
            await foreign(made, LATE)
        made.decide(came("1.0"), came("1.1"))
        steps = CancelledAt(made.flush(), k)

        async def whole(steps: CancelledAt = steps) -> Any:
            return await steps

        task = asyncio.create_task(whole())
        await asyncio.wait([task])
        assert task.cancelled() is steps.reached
        assert (await stored(made))[-2:] == [came("1.0"), came("1.1")]
        assert not made.pending
        assert made.written == made.conversation
        made.decide(says())
        await made.flush()
        assert (await stored(made))[-1] == says()
        if not steps.reached:
            break
    assert k > 1


@pytest.mark.parametrize("turns", range(1, 8))
async def test_something_that_is_decided_while_a_write_is_under_way_is_not_lost(turns):
    made = await ledger(*BEGUN, journal=Suspending())
    await foreign(made, LATE)
    made.decide(came("1.0"))
    writing = asyncio.ensure_future(made.flush())
    late = ToolLate("8.0", "note", "noted")
    for _ in range(turns):
        await asyncio.sleep(0)
    made.decide(late)
    await writing
    await made.flush()
    assert sorted(map(str, (await stored(made))[-3:])) == sorted(map(str, [LATE, came("1.0"), late]))
    assert made.written == made.conversation == fold(await made.journal.read("c"))


async def test_a_conflict_before_anything_was_taken_is_the_callers():
    journal = Plain()
    await ledger(*ASKED, journal=journal)
    made = Ledger(fold([]), journal)
    made.decide(*ASKED)
    with pytest.raises(JournalConflict):
        await made.flush()
    assert made.lost
    assert not made.opened


class Contested(Plain):
    """Somebody else is always faster."""

    contested = False

    async def append(self, conversation: str, seq: int, events: Any, **more: Any) -> None:
        if self.contested:
            await super().append(conversation, len(self._rows[conversation].events) + 1, [LATE], at=3.0)
        await super().append(conversation, seq, events, **more)


async def test_who_is_always_too_late_gives_up_in_the_end_with_a_conflict():
    journal = Contested()
    made = await ledger(*BEGUN, journal=journal)
    journal.contested = True
    made.decide(came("1.0"))
    with pytest.raises(JournalConflict, match="times in a row"):
        await made.flush()
    assert made.lost
    assert sum(event == LATE for event in await stored(made)) == ATTEMPTS + 1

"""What a run comes to while others write to its conversation, or its journal refuses: nothing is lost, and nothing done twice."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from segue.core.conversation import Status
from segue.core.events import (
    CANCELLED,
    DriveStarted,
    InputGiven,
    Started,
    ToolLate,
)
from segue.core.messages import User
from segue.errors import ConversationBusy, JournalConflict, JournalError
from segue.journal.base import fold
from segue.openings import given, taken_over
from segue.outside import decide, tell
from segue.testing import MemoryJournal
from tests.acting import until
from tests.counter import Counter

LATE = ToolLate("9.0", "pay", "paid long ago")

Act = Callable[[MemoryJournal], Awaitable[Any]]


class Met(MemoryJournal):
    """Somebody else does something to the conversation just before its n-th append."""

    def __init__(self, at: int, act: Act, *, durable: bool) -> None:
        super().__init__()
        self.at, self.act, self.count = at, act, 0
        self.durable = durable

    async def append(self, conversation: str, seq: int, events: Any, **more: Any) -> None:
        if conversation == "c" and self.act is not None:
            self.count += 1
            if self.count == self.at:
                act, self.act = self.act, None
                await act(self)
        if self.durable:
            await asyncio.sleep(0)
        await super().append(conversation, seq, events, **more)
        if self.durable:
            await asyncio.sleep(0)

    async def read(self, conversation: str, *, after: int = 0) -> Any:
        if self.durable:
            await asyncio.sleep(0)
        return await super().read(conversation, after=after)

    @property
    def reached(self) -> bool:
        return self.act is None


def says_also(text: str, busy: str = "queue", run: str = "r_other") -> Act:
    event = InputGiven(run, (User(text),), busy=busy)  # type: ignore[arg-type]

    async def act(journal: MemoryJournal) -> None:
        def opening(c: Any) -> Any:
            return given(c, event, conversation="c", entry="Triage", reject=False, driven=True, now=2.0)

        await tell(journal, "c", opening, at=2.0)

    return act


async def is_late(journal: MemoryJournal) -> None:
    await tell(journal, "c", lambda c: [LATE] if c.status is not Status.NEW else [Started("c", "Triage")], at=2.0)


async def cancels(journal: MemoryJournal) -> None:
    await tell(journal, "c", lambda c: taken_over(c, CANCELLED), at=2.0)


async def takes_over(journal: MemoryJournal) -> None:
    await tell(journal, "c", lambda c: [DriveStarted("d_other")] if c.status is not Status.NEW else [], at=2.0)


class Tried:
    """One run that met one act."""

    def __init__(self, at: int, act: Act, *, durable: bool, said: str = "refund", slow: int = 1) -> None:
        self.counter = Counter(slow=slow)
        self.journal = Met(at, act, durable=durable)
        self.runner = self.counter.runner(self.journal)
        self.response: Any = None
        self.error: Exception | None = None
        self.said = said

    async def run(self) -> bool:
        """Run it; whether the act has come to pass."""
        try:
            self.response = await self.runner.run(self.said, conversation="c")
        except Exception as error:
            self.error = error
        return self.journal.reached

    async def go_on(self) -> Any:
        """Resume what was left, and say something more."""
        await until(lambda: self.runner._desk.drives() == [])
        await self.runner.resume("c")
        response = await self.runner.run("nothing", conversation="c")
        assert response.output == "As you like."
        await self.counter.settled(self.journal)
        return response


async def at_every_append(act: Act, judge: Callable[[Tried], Awaitable[None]], *, durable: bool, **options: Any) -> int:
    at = 0
    while True:
        at += 1
        tried = Tried(at, act, durable=durable, **options)
        if not await tried.run():
            return at - 1
        try:
            await judge(tried)
        except BaseException as error:
            error.add_note(f"met at append {at}")
            raise


DURABLE = pytest.mark.parametrize("durable", [False, True], ids=["memory", "durable"])


@DURABLE
async def test_an_input_that_is_queued_at_any_append_is_read_and_the_first_run_has_its_own_answer(durable):
    async def judge(tried: Tried) -> None:
        assert tried.error is None
        if len(await tried.counter.inputs(tried.journal)) == 2 and (await tried.journal.read("c"))[1].event.run != "r_other":
            assert tried.response.output == "Refunded, and charged."
            assert [message["content"] for message in tried.response.messages][-1] == "Refunded, and charged."
        c = await tried.counter.checked(tried.journal)
        assert c.status is Status.IDLE
        assert sum(line.startswith("pay") for line in tried.counter.done) == 1

    assert await at_every_append(says_also("look"), judge, durable=durable) > 5


@DURABLE
async def test_an_interrupt_at_any_append_ends_the_run_and_what_was_done_is_told(durable):
    async def judge(tried: Tried) -> None:
        assert tried.error is None
        c = await tried.counter.checked(tried.journal)
        assert c.status is Status.IDLE
        assert c.answer is not None
        assert c.answer.text in ("As you like.", "Refunded, and charged.")
        assert tried.response.status in ("done", "cancelled")

    assert await at_every_append(says_also("nothing", "interrupt"), judge, durable=durable) > 5


@DURABLE
async def test_a_late_result_that_comes_at_any_append_is_kept_and_changes_nothing_else(durable):
    async def judge(tried: Tried) -> None:
        assert tried.error is None
        assert tried.response.output == "Refunded, and charged."
        await tried.counter.checked(tried.journal)
        assert len(tried.counter.done) == 4

    assert await at_every_append(is_late, judge, durable=durable) > 5


@DURABLE
async def test_a_cancel_from_elsewhere_at_any_append_ends_the_run_and_no_effect_is_lost_or_repeated(durable):
    async def judge(tried: Tried) -> None:
        assert tried.error is None
        if tried.journal.at > 1:
            assert tried.response.status == "cancelled"
            c = await tried.counter.settled(tried.journal)
            assert c.ended == CANCELLED
        await tried.go_on()

    assert await at_every_append(cancels, judge, durable=durable) > 5


@DURABLE
async def test_another_driver_that_takes_over_at_any_append_stops_this_one_and_hears_what_it_had_begun(durable):
    async def judge(tried: Tried) -> None:
        if tried.journal.at > 1:
            assert isinstance(tried.error, ConversationBusy)
            before = list(tried.counter.done)
            await tried.counter.settled(tried.journal, over=False)
            rows = [row.event for row in await tried.journal.read("c")]
            fence = rows.index(DriveStarted("d_other"))
            assert {type(event) for event in rows[fence + 1 :]} <= {ToolLate}
            assert len(tried.counter.done) - len(before) <= 2
        await tried.go_on()

    assert await at_every_append(takes_over, judge, durable=durable, slow=3) > 5


# ---- acts on calls that wait for a person


def decides(decision: str) -> Act:
    async def act(journal: MemoryJournal) -> None:
        c = fold(await MemoryJournal.read(journal, "c"))
        for slot in c.waiting:
            await decide(journal, "c", slot.approval.id, slot.approval.digest, decision, by="ann", at=2.0)  # type: ignore

    return act


@DURABLE
@pytest.mark.parametrize("decision", ["approve", "deny"])
async def test_a_decision_at_any_append_holds_whether_or_not_the_run_goes_on(decision, durable):
    decided = 0

    async def judge(tried: Tried) -> None:
        nonlocal decided
        assert tried.error is None
        rows = await tried.journal.read("c")
        if tried.response.status == "waiting":
            slot = tried.response.waiting_for[0]
            response = await tried.runner.deny("c", slot.approval.id, slot.approval.digest)
            assert response.status == "done"
        else:
            decided += 1
            assert sum(line.startswith("sign") for line in tried.counter.done) == (decision == "approve")
        await tried.counter.checked(tried.journal)
        assert sum(line.startswith("pay") for line in tried.counter.done) == 1
        assert len(rows) > 5

    assert await at_every_append(decides(decision), judge, durable=durable, said="sign", slow=4) >= 3
    assert decided > 0


# ---- a journal that refuses


class Refusing(MemoryJournal):
    """Refuses its n-th append, before or after it was written; from then on as often as is said."""

    def __init__(self, at: int, error: Exception, *, times: int = 1, durable: bool, written: bool = False) -> None:
        super().__init__()
        self.at, self.error, self.times, self.count, self.written = at, error, times, 0, written
        self.durable = durable

    async def append(self, conversation: str, seq: int, events: Any, **more: Any) -> None:
        self.count += 1
        refused = self.at <= self.count < self.at + self.times
        if not refused or self.written:
            await super().append(conversation, seq, events, **more)
        if refused:
            raise self.error


@DURABLE
@pytest.mark.parametrize("written", [False, True], ids=["lost", "written"])
@pytest.mark.parametrize("times", [1, 1_000_000])
async def test_an_append_that_fails_ends_the_run_with_the_journals_error_and_it_can_be_gone_on_with(durable, written, times):
    at = 0
    while True:
        at += 1
        counter = Counter()
        journal = Refusing(at, JournalError("the disk is full"), durable=durable, written=written, times=times)
        runner = counter.runner(journal)
        try:
            await runner.run("refund", conversation="c")
            break
        except JournalError:
            assert journal.count >= at
        journal.at = 1_000_000_000
        await asyncio.sleep(0.005)
        if await journal.read("c"):
            await counter.checked(journal, over=False) if written else None
            assert (await runner.resume("c")).status == "done"
            c = fold(await journal.read("c"))
            assert c.status is Status.IDLE
            places = [line for line in counter.done if line.startswith(("pay", "charge"))]
            assert len(places) == len(set(places))
        else:
            assert counter.done == []
        assert (await runner.run("nothing", conversation="c")).output == "As you like."
    assert at > 5


@DURABLE
async def test_after_an_append_that_failed_another_runner_may_go_on_while_this_one_lives(durable):
    counter = Counter()
    journal = Refusing(3, JournalError("the disk is full"), durable=durable)
    runner = counter.runner(journal)
    with pytest.raises(JournalError):
        await runner.run("refund", conversation="c")
    other = counter.runner(journal)
    assert (await other.resume("c")).output == "Refunded, and charged."
    assert (await runner.run("look", conversation="c")).output == "Boots are 5."
    assert (await other.run("nothing", conversation="c")).output == "As you like."


@DURABLE
async def test_conflicts_for_ever_are_a_conflict_in_the_end_and_nothing_was_done(durable):
    counter = Counter()
    journal = Refusing(1, JournalConflict("somebody is faster"), durable=durable, times=1_000_000)
    with pytest.raises(JournalConflict):
        await counter.runner(journal).run("pay", conversation="c")
    assert counter.done == []


# ---- traces


@pytest.mark.parametrize("act", [is_late, cancels, takes_over, says_also("look"), says_also("nothing", "interrupt")])
async def test_every_span_that_is_begun_is_ended_whatever_is_met(act, monkeypatch):
    opened: list[str] = []
    ended: list[str] = []

    class Counting(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            opened.append(span.name)

        def on_end(self, span: Any) -> None:
            ended.append(span.name)

    provider = TracerProvider()
    provider.add_span_processor(Counting())
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    for at in (3, 5):
        tried = Tried(at, act, durable=True)
        assert await tried.run()
        await asyncio.sleep(0.01)
    assert sorted(opened) == sorted(ended)
    assert opened

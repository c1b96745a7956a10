"""The public conformance suite: what passes it, and that it notices what is wrong."""

import asyncio

import pytest

from segue.core.codec import KINDS
from segue.core.events import InputGiven, Started, ToolReturned
from segue.errors import JournalConflict
from segue.journal.conformance_stage import EVERY_KIND
from segue.journal.sqlite import SqliteJournal
from segue.testing import MemoryJournal, NotConforming, journal_checks, journal_conformance


def named(check):
    return check.__name__


@pytest.fixture
def sqlite_file(tmp_path):
    return lambda: SqliteJournal(tmp_path / "segue.db")


@pytest.fixture
def memory():
    journal = MemoryJournal()
    return lambda: journal


@pytest.mark.parametrize("check", journal_checks, ids=named)
async def test_the_sqlite_journal_conforms(check, sqlite_file):
    await check(sqlite_file)


@pytest.mark.parametrize("check", journal_checks, ids=named)
async def test_the_memory_journal_conforms(check, memory):
    await check(memory)


@pytest.mark.parametrize("store", ["sqlite_file", "memory"])
async def test_the_whole_suite_runs_on_a_store_that_holds_other_things_and_leaves_them(store, request):
    open_journal = request.getfixturevalue(store)
    journal = open_journal()
    await journal.append("c", 1, [Started("c", "Triage")], at=1.0)
    before = await journal.conversations()
    await journal_conformance(open_journal)
    assert await journal.conversations() == before
    assert len(await journal.read("c")) == 1
    await journal.aclose()


def test_the_suite_holds_every_kind_of_event():
    assert {type(event) for event in EVERY_KIND} == set(KINDS.values())


# ---- journals that are wrong -----------------------------------------------


class Wrong(MemoryJournal):
    """Does everything as `MemoryJournal` does, but for one thing."""


class OverwritesNothingButSaysSo(Wrong):
    async def append(self, conversation, seq, events, **options):
        try:
            await super().append(conversation, seq, events, **options)
        except JournalConflict:
            return


class TakesAnyPlace(Wrong):
    async def append(self, conversation, seq, events, **options):
        await super().append(conversation, len(await self.read(conversation)) + 1, events, **options)


class WritesHalfOfAConflict(Wrong):
    async def append(self, conversation, seq, events, **options):
        following = len(await self.read(conversation)) + 1
        if seq < following < seq + len(events):
            await super().append(conversation, following, events[following - seq :], **options)
        await super().append(conversation, seq, events, **options)


class WritesEventsOneByOne(Wrong):
    async def append(self, conversation, seq, events, **options):
        for place, event in enumerate(events, seq):
            await super().append(conversation, place, [event], **options)
            await asyncio.sleep(0)
        if not events:
            await super().append(conversation, seq, events, **options)


class ChecksThePlaceTooEarly(Wrong):
    async def append(self, conversation, seq, events, **options):
        if seq == len(await self.read(conversation)) + 1:
            await asyncio.sleep(0)
            seq = len(await self.read(conversation)) + 1
        await super().append(conversation, seq, events, **options)


class StampsItsOwnTime(Wrong):
    async def append(self, conversation, seq, events, *, at, **options):
        await super().append(conversation, seq, events, at=float(int(at)), **options)


class ReadsWithThePlaceItself(Wrong):
    async def read(self, conversation, *, after=0):
        return await super().read(conversation, after=max(0, after - 1))


class LeavesOutWhatItDoesNotKnow(Wrong):
    async def raw(self, conversation, *, after=0):
        return [row for row in await super().raw(conversation, after=after) if row.kind in KINDS]


class StoresFromTheBeginning(Wrong):
    async def raw(self, conversation, *, after=0):
        return await super().raw(conversation)


class ReplacesHalfPairs(Wrong):
    async def append(self, conversation, seq, events, **options):
        kept = [
            ToolReturned(event.place, event.content.encode("utf-8", "replace").decode())
            if isinstance(event, ToolReturned) and isinstance(event.content, str)
            else event
            for event in events
        ]
        await super().append(conversation, seq, kept, **options)


class TakesIdsForTheSame(Wrong):
    async def append(self, conversation, seq, events, **options):
        await super().append(conversation.casefold(), seq, events, **options)

    async def read(self, conversation, *, after=0):
        return await super().read(conversation.casefold(), after=after)


class NeverWakes(Wrong):
    async def wait(self, conversation, *, after, timeout):
        await asyncio.sleep(timeout)


class WakesOnlyForWhatIsThere(Wrong):
    async def wait(self, conversation, *, after, timeout):
        if len(await self.read(conversation)) <= after:
            await asyncio.sleep(timeout)


class WaitsForever(Wrong):
    async def wait(self, conversation, *, after, timeout):
        await super().wait(conversation, after=after, timeout=1e6)


class ForgetsKeys(Wrong):
    async def keyed(self, key):
        return None


class LetsAnyoneHaveAKey(Wrong):
    async def append(self, conversation, seq, events, **options):
        for event in events:
            if isinstance(event, InputGiven):
                self._keys.pop(event.key, None)
        await super().append(conversation, seq, events, **options)


class KeepsKeysOfARefusedBatch(Wrong):
    async def append(self, conversation, seq, events, **options):
        self._keys = {event.key: conversation for event in events if isinstance(event, InputGiven) and event.key} | self._keys
        await super().append(conversation, seq, events, **options)


class ListsOldestFirst(Wrong):
    async def conversations(self, **options):
        return (await super().conversations(**options))[::-1]


class ListsBeforeWithTheTime(Wrong):
    async def conversations(self, *, before=None, **options):
        return await super().conversations(before=before and before + 0.5, **options)


class PagesSkipEqualTimes(Wrong):
    async def conversations(self, *, following=None, **options):
        lines = await super().conversations(following=following, **options)
        return [line for line in lines if following is None or line.updated < following.updated]


class PagesAreLong(Wrong):
    async def conversations(self, *, limit=100, **options):
        return await super().conversations(limit=limit + 1, **options)


class ErasesNothing(Wrong):
    async def erase(self, conversation):
        return conversation in self._rows


class ErasesEventsButNotKeys(Wrong):
    async def erase(self, conversation):
        keys = dict(self._keys)
        done = await super().erase(conversation)
        self._keys = keys
        return done


class EveryoneIsAlive(Wrong):
    async def alive(self, driver):
        return True


class NobodyIsAlive(Wrong):
    async def alive(self, driver):
        return False


class ForgetsWhenClosed(Wrong):
    async def aclose(self):
        self._rows.clear()


@pytest.mark.parametrize("kind", Wrong.__subclasses__(), ids=lambda kind: kind.__name__)
async def test_a_journal_that_is_wrong_in_one_thing_does_not_pass(kind, monkeypatch):
    monkeypatch.setattr("segue.journal.conformance_finding.LONG", 0.2)
    found = []
    for check in journal_checks:
        journal = kind()
        try:
            await asyncio.wait_for(check(lambda: journal), 2.0)  # noqa: B023
        except (NotConforming, TimeoutError):
            found.append(check.__name__)
    assert found

"""Copying conversations out, and erasing old ones."""

import asyncio
import json
import sqlite3
from contextlib import closing

import pytest

from segue.core.codec import decode
from segue.core.events import InputGiven, InstructionsRendered, ModelReplied, RunEnded, Started, ToolReturned
from segue.core.messages import Reply, User
from segue.errors import JournalDamaged, UsageError
from segue.journal import retention
from segue.journal.base import Stored, fold, summary_of
from segue.journal.memory import MemoryJournal
from segue.journal.retention import export, prune
from segue.journal.sqlite import SqliteJournal


@pytest.fixture(params=["memory", "sqlite"])
async def journal(request, tmp_path):
    journal = MemoryJournal() if request.param == "memory" else SqliteJournal(tmp_path / "segue.db")
    yield journal
    await journal.aclose()


ENDS = {
    "done": [],
    "limited": [RunEnded("limited", "turns")],
    "failed": [RunEnded("failed", "provider")],
    "cancelled": [RunEnded("cancelled", "cancelled")],
    "parked": [RunEnded("parked", "missing agent")],
    "running": [],
}


async def talk(journal, name, status, at, agent="A"):
    ending = [ModelReplied(agent, Reply("Here."))] if status == "done" else ENDS[status]
    events = [Started(name, agent), InputGiven("r", (User("Hi"),)), *ending]
    line = summary_of(fold([Stored(place, at, event) for place, event in enumerate(events, 1)]))
    assert line.status == status
    await journal.append(name, 1, events, at=at, summary=line)


async def with_a_second_row(folder, change):
    """A journal with three rows, the second of which was changed."""
    journal = SqliteJournal(folder / "segue.db")
    await journal.append("c", 1, [Started("c", "A"), *[InstructionsRendered("A", "Be kind.")] * 2], at=1.0)
    with closing(sqlite3.connect(folder / "segue.db")) as db:
        db.execute(f"update event set {change} where seq = 2")
        db.commit()
    return journal


async def names(journal):
    return {line.conversation for line in await journal.conversations()}


async def test_a_conversation_is_exported_row_by_row_as_json_and_can_be_read_back(journal):
    events = [Started("c", "A", {"odd": "\ud800", "number": 10**30}), ToolReturned("1.0", "é")]
    await journal.append("c", 1, events[:1], at=1.5)
    await journal.append("c", 2, events[1:], at=2.5)
    rows = [json.loads(json.dumps(row)) async for row in export(journal, "c")]
    assert rows[1] == {"conversation": "c", "seq": 2, "at": 2.5, "v": 1, "kind": "ToolReturned", "data": {"place": "1.0", "content": "é"}}
    assert [row["seq"] for row in rows] == [1, 2]
    assert [decode(row["kind"], row["v"], json.dumps(row["data"])) for row in rows] == events


NEWER = [
    ("kind = 'MoonRisen', data = '{\"phase\": \"full\"}'", "MoonRisen", 1, {"phase": "full"}),
    ("v = 2, data = '{\"text\": [1]}'", "InstructionsRendered", 2, {"text": [1]}),
    ('data = \'{"agent": "A", "text": "x", "mood": 1}\'', "InstructionsRendered", 1, {"agent": "A", "text": "x", "mood": 1}),
]


@pytest.mark.parametrize(("change", "kind", "version", "data"), NEWER)
async def test_what_a_newer_version_has_written_is_exported_as_it_is(tmp_path, change, kind, version, data):
    journal = await with_a_second_row(tmp_path, change)
    rows = [row async for row in export(journal, "c")]
    await journal.aclose()
    assert [row["kind"] for row in rows] == ["Started", kind, "InstructionsRendered"]
    assert (rows[1]["v"], rows[1]["data"]) == (version, data)


@pytest.mark.parametrize("damage", ["data = '{}'", "data = '{'", "kind = 'MoonRisen', data = '{'", "v = 2, data = ''"])
async def test_damage_is_not_exported(tmp_path, damage):
    journal = await with_a_second_row(tmp_path, damage)
    with pytest.raises(JournalDamaged, match="cannot be read"):
        _ = [row async for row in export(journal, "c")]
    await journal.aclose()


async def test_of_a_conversation_that_does_not_exist_there_are_no_rows(journal):
    assert [row async for row in export(journal, "c")] == []


async def test_what_is_over_and_old_is_pruned_and_nothing_else(journal):
    for status in ENDS:
        await talk(journal, f"old {status}", status, at=10.0)
        await talk(journal, f"new {status}", status, at=20.0)
    over = {"old done", "old limited", "old failed", "old cancelled"}
    everything = {f"{age} {status}" for age in ("old", "new") for status in ENDS}
    assert set(await prune(journal, before=20.0)) == over
    assert await names(journal) == everything - over
    assert await prune(journal, before=20.0) == []


async def test_pruning_is_chosen_by_status_and_agent(journal):
    for agent in "AB":
        for status in ("done", "parked", "running"):
            await talk(journal, f"{agent} {status}", status, at=1.0, agent=agent)
    assert await prune(journal, before=2.0, status=["parked", "running"], agent="B") in (
        ["B parked", "B running"],
        ["B running", "B parked"],
    )
    assert await prune(journal, before=2.0, status=["done"]) in (["A done", "B done"], ["B done", "A done"])
    assert await names(journal) == {"A parked", "A running"}


async def test_pruning_goes_through_all_pages(journal, monkeypatch):
    monkeypatch.setattr(retention, "PAGE", 3)
    for number in range(20):
        await talk(journal, f"c{number:02}", "done", at=float(number // 4))
    assert sorted(await prune(journal, before=4.0)) == [f"c{number:02}" for number in range(16)]
    assert len(await names(journal)) == 4


async def test_a_conversation_that_goes_on_while_old_ones_are_listed_is_left_alone(journal):
    for name in ("c", "d"):
        await talk(journal, name, "done", at=1.0)

    class Continued:
        """A customer who writes just after the list was made."""

        def __getattr__(self, name):
            return getattr(journal, name)

        async def conversations(self, **options):
            lines = await journal.conversations(**options)
            if lines:
                await journal.append("c", 4, [InputGiven("r2", (User("And?"),))], at=5.0)
            return lines

    assert await prune(Continued(), before=2.0) == ["d"]
    assert len(await journal.read("c")) == 4


@pytest.mark.parametrize("status", ["done", ["finished"], []])
async def test_a_status_that_does_not_exist_is_refused(journal, status):
    with pytest.raises(UsageError, match="done, limited"):
        await prune(journal, before=1.0, status=status)


async def test_many_are_erased_with_one_writing_anew_of_the_file(tmp_path, monkeypatch):
    from segue.journal import writer

    count = []
    rewrite = writer.rewrite
    monkeypatch.setattr(writer, "rewrite", lambda db: (count.append(1), rewrite(db)))
    journal = SqliteJournal(tmp_path / "segue.db")
    await asyncio.gather(*(talk(journal, f"c{number}", "done", at=1.0) for number in range(300)))
    assert len(await prune(journal, before=2.0)) == 300
    await journal.aclose()
    assert 1 <= len(count) < 10

"""Journals that earlier versions wrote fold for ever, and can be gone on with under today's code."""

import contextlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from segue.core.codec import KINDS, VERSION, decode, encode
from segue.core.conversation import Status
from segue.core.events import ToolStarted
from segue.core.view import check
from segue.errors import ApprovalError, JournalNewer
from segue.journal.base import Stored, fold, summary_of
from segue.journal.sqlite import SqliteJournal
from segue.runner import Runner
from segue.testing import FunctionModel
from tests.journals.house import CLERK, house
from tests.journals.make import told

HERE = Path(__file__).parent
JOURNALS = sorted(HERE.glob("v*/*.jsonl"))


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def stored(path: Path) -> list[Stored]:
    return [Stored(row["seq"], row["at"], decode(row["kind"], row["v"], json.dumps(row["data"]))) for row in rows(path)]


@pytest.mark.parametrize("path", JOURNALS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_journal_of_an_earlier_version_folds_to_what_it_was(path):
    expected = json.loads((path.parent / "expected.json").read_text())[path.stem]
    assert json.loads(json.dumps(told(fold(stored(path))))) == expected


@pytest.mark.parametrize("path", JOURNALS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_is_written_again_is_what_was_read(path):
    for row in rows(path):
        kind, _, data = encode(decode(row["kind"], row["v"], json.dumps(row["data"])))
        assert (kind, json.loads(data)) == (row["kind"], row["data"])


@pytest.mark.parametrize("path", JOURNALS, ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_a_journal_of_an_earlier_version_is_gone_on_with(path, tmp_path):
    before = stored(path)
    name = before[0].event.conversation
    journal = SqliteJournal(tmp_path / "segue.db")
    asked: list[Any] = []

    def model(request: Any) -> str:
        asked.append(check(request.messages))
        return '{"guilty": false}' if request.agent == "Judge" else "Here I am."

    runner = Runner(house(), agents=[CLERK], model=FunctionModel(model), journal=journal)
    try:
        await journal.append(name, 1, [row.event for row in before], at=before[-1].at, summary=summary_of(fold(before)))
        c = fold(before)
        if c.status is Status.ENDED and c.turn is not None:
            await runner.resume(name)
        elif c.status in (Status.MODEL, Status.TOOLS):
            await runner.drive(name)
        while waiting := fold(await journal.read(name)).waiting:
            slot = waiting[0]
            if slot.doubt is not None:
                await runner.settle(name, slot.place, "it was found out", by="ann")
            else:
                assert slot.approval is not None
                with contextlib.suppress(ApprovalError):  # these journals grow old, and then it has expired
                    await runner.deny(name, slot.approval.id, slot.approval.digest)
        response = await runner.run("And now?", conversation=name)
        assert response.status == "done"
        after = await journal.read(name)
        assert [row.event for row in after[: len(before)]] == [row.event for row in before]
        once = [row.event.place for row in after if isinstance(row.event, ToolStarted) and row.event.effect == "once"]
        assert len(once) == len(set(once))
        assert set(asked) == {None}
    finally:
        await runner.aclose()
        await journal.aclose()


def test_the_journals_of_this_version_hold_every_kind_of_event_and_every_field():
    seen: dict[str, set[str]] = {}
    for path in (HERE / f"v{VERSION}").glob("*.jsonl"):
        for row in rows(path):
            seen.setdefault(row["kind"], set()).update(row["data"])
    assert {name: {field.name for field in fields(kind)} for name, kind in KINDS.items()} == seen


@pytest.mark.parametrize(("kind", "version"), [("ToolStarted", VERSION + 1), ("ToolDreamt", VERSION), ("ToolDreamt", VERSION + 1)])
async def test_a_conversation_with_an_event_of_a_newer_version_is_refused_by_drivers_and_left_as_it_is(kind, version, tmp_path):
    journal = SqliteJournal(tmp_path / "segue.db")
    runner = Runner(house(), model=FunctionModel(lambda request: "Here I am."), journal=journal)
    try:
        await runner.run("Hello", conversation="c")
        with journal._reader._database as db:
            db.execute("insert into event values ('c', 6, ?, 1.0, ?, '{}')", (version, kind))
            db.execute("update conversation set seq = 6, status = 'running' where conversation = 'c'")
        for act in (runner.run("And now?", conversation="c"), runner.resume("c"), runner.drive("c"), runner.cancel("c")):
            with pytest.raises(JournalNewer, match="newer version"):
                await act
        assert await runner.recover() == []
        with journal._reader._database as db:
            assert db.execute("select max(seq) from event").fetchone() == (6,)
    finally:
        await runner.aclose()
        await journal.aclose()

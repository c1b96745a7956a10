import asyncio
import json
import sqlite3

import pytest

from segue import clock
from segue.core.codec import decode
from segue.core.events import DriveStarted, Started
from segue.journal.sqlite import SqliteJournal
from tests.cli.terminal import on_terminal, surroundings
from tests.core.making import ASKED, asks, call, says, starts, user

DAY = 86_400.0


@pytest.fixture
def kept(till, monkeypatch):
    """Conversations that were changed 1, 2, 3 and 90 days ago, one with an agent used as a tool."""
    monkeypatch.setattr(clock, "now", lambda: 100 * DAY)
    till.write("done", [*ASKED, says("caf\u00e9 \u202e")], at=99 * DAY)
    till.write("running", ASKED, at=98 * DAY)
    till.write("outer", [*ASKED, asks(call("expert")), starts("1.0", "keyed")], at=97 * DAY)
    till.write("outer/1.0", [Started("outer/1.0", "Expert"), user("Hi"), DriveStarted("d"), says("Well.", "Expert")], at=97 * DAY)
    till.write("old", [*ASKED, says()], at=10 * DAY)
    till.write("waiting", ASKED, at=10 * DAY)
    return till


def names(till):
    return {row["conversation"] for row in till.lines("runs", "ls")}


# --- export


def test_a_conversation_is_copied_out_as_lines_of_json_that_are_the_events(kept):
    done = kept.segue("runs", "export", "done")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [decode(row["kind"], row["v"], json.dumps(row["data"])) for row in rows] == [row.event for row in kept.rows("done")]
    assert [(row["conversation"], row["seq"], row["at"]) for row in rows] == [("done", seq, 99 * DAY) for seq in (1, 2, 3, 4)]
    assert "\u202e" not in done.stdout
    assert done.stderr == "segue: 1 conversation.\n"


def test_with_a_conversation_those_of_the_agents_it_used_as_tools_are_copied_out(kept):
    rows = [json.loads(line) for line in kept.segue("runs", "export", "outer", "old").stdout.splitlines()]
    assert list(dict.fromkeys(row["conversation"] for row in rows)) == ["outer", "outer/1.0", "old"]


def test_all_that_fit_are_copied_into_a_file(kept):
    done = kept.segue("runs", "export", "--status", "done", "--since", "95d", "-o", "out.jsonl", "--json")
    assert done.stdout == ""
    found = [json.loads(line)["conversation"] for line in (kept.folder / "out.jsonl").read_text("utf-8").splitlines()]
    assert list(dict.fromkeys(found)) == ["done", "outer/1.0", "old"]
    assert "not both" in kept.segue("runs", "export", "done", "--status", "done", code=2).stderr


# --- prune


def test_what_is_old_and_over_is_erased_and_what_is_not_over_stays(kept):
    done = kept.segue("runs", "prune", "--before", "30d", "--yes")
    assert (done.stdout, done.stderr) == ("old\n", "segue: 1 conversation erased.\n")
    assert names(kept) == {"done", "running", "outer", "outer/1.0", "waiting"}


def test_other_statuses_are_erased_when_they_are_named(kept):
    rows = kept.lines("runs", "prune", "--before", "30d", "--status", "running", "--agent", "Triage", "-y")
    assert rows == [{"conversation": "waiting", "erased": True}]


def test_nothing_is_erased_that_nobody_agreed_to(kept):
    done = kept.segue("runs", "prune", "--before", "30d", code=2)
    assert "This would erase 1 conversation that changed last before" in done.stderr
    assert "Say --yes" in kept.segue("runs", "erase", "done", code=2).stderr
    assert "Missing option '--before'" in kept.segue("runs", "prune", "-y", code=2).stderr
    assert len(names(kept)) == 6


def test_where_there_is_nothing_to_erase_nobody_is_asked(kept):
    assert kept.segue("runs", "prune", "--before", "95d").stderr == "segue: 0 conversations erased.\n"


# --- erase


def test_a_conversation_is_erased_with_those_of_the_agents_it_used_as_tools(kept):
    assert kept.segue("runs", "erase", "oute", "old", "--yes", code=2).stderr.startswith("segue: 'oute' begins the ids of 2")
    assert kept.segue("runs", "erase", "outer", "old", "--yes").stdout.split() == ["outer", "outer/1.0", "old"]
    assert names(kept) == {"done", "running", "waiting"}


def test_a_conversation_that_a_living_process_drives_is_not_erased(kept):
    held = SqliteJournal(kept.folder / "j.db")

    async def hold():
        await held.hold("driver")

    async def let_go():
        await held.let_go("driver")
        await held.aclose()

    with asyncio.Runner() as loop:
        loop.run(hold())
        assert "is being run: cancel it first" in kept.segue("runs", "erase", "running", "--yes", code=1).stderr
        kept.segue("runs", "erase", "done", "--yes")
        loop.run(let_go())
    kept.segue("runs", "erase", "running", "--yes")


def test_a_conversation_that_cannot_be_read_can_be_erased_and_does_not_hide_the_others(kept):
    with sqlite3.connect(kept.folder / "j.db") as db:
        db.execute("update event set data = '{' where conversation = 'running' and seq = 2")
    db.close()
    kept.segue("runs", "show", "running", code=1)
    done = kept.segue("approvals", "ls")
    assert "segue: running cannot be looked into" in done.stderr
    assert kept.segue("runs", "erase", "running", "--yes").stdout == "running\n"
    assert "running" not in names(kept)


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1), ("", 1)])
def test_on_a_terminal_the_person_is_asked(kept, answer, code):
    with on_terminal("runs", "erase", "done", env=surroundings(kept.folder, SEGUE_JOURNAL="j.db"), cwd=kept.folder) as terminal:
        terminal.wait_for("This erases 1 conversation: done, for good.")
        terminal.wait_for("Erase? [y/N]")
        terminal.type(answer)
        assert terminal.end() == code
    assert ("done" in names(kept)) == bool(code)

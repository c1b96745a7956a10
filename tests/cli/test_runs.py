import json
import sqlite3
from contextlib import closing

import pytest

from segue import clock
from segue.core.events import DriveStarted, InstructionsRendered, RunEnded, ToolStarted, ToolUnknown
from tests.core.making import ASKED, asks, call, returns, says

DAY = 86_400.0


def ids(rows):
    return [row["conversation"] for row in rows]


@pytest.fixture
def kept(till, monkeypatch):
    """Conversations that were changed 1, 2, 3 and 10 days ago."""
    monkeypatch.setattr(clock, "now", lambda: 100 * DAY)
    till.write("done", [*ASKED, says()], at=99 * DAY)
    till.write("limited", [*ASKED, RunEnded("limited", "turns")], at=98 * DAY)
    till.write("running", ASKED, at=97 * DAY)
    till.write("old", [*ASKED, says()], at=90 * DAY)
    return till


# --- ls


def test_conversations_are_listed_the_last_changed_first_with_what_they_are_at(kept):
    assert kept.segue("runs", "ls").stdout.splitlines() == [
        "conversation   status    agent    changed    events",
        "done           done      Triage   1 d ago    4",
        "limited        limited   Triage   2 d ago    4",
        "running        running   Triage   3 d ago    3",
        "old            done      Triage   10 d ago   4",
    ]


def test_the_json_of_a_conversation_is_a_line_of_its_own(kept):
    first = kept.lines("runs", "ls")[0]
    assert first == {
        "conversation": "done",
        "status": "done",
        "agent": "Triage",
        "entry": "Triage",
        "created": 99 * DAY,
        "updated": 99 * DAY,
        "events": 4,
        "driver": "driver",
    }


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--status", "done"], ["done", "old"]),
        (["--status", "running", "--status", "limited"], ["limited", "running"]),
        (["--agent", "Triage", "--since", "3d"], ["done", "limited", "running"]),
        (["--agent", "Nobody"], []),
        (["--before", "60h"], ["running", "old"]),
        (["--since", "1970-04-07", "--before", "36h"], ["limited", "running"]),
        (["--limit", "2"], ["done", "limited"]),
        (["--limit", "2", "--after", "limited"], ["running", "old"]),
        (["--after", "ol"], []),
    ],
)
def test_a_list_can_be_narrowed_by_status_agent_and_time_and_read_page_by_page(kept, words, found):
    assert ids(kept.lines("runs", "ls", *words)) == found


def test_that_there_is_another_page_is_told_on_stderr_with_the_words_for_it(kept):
    assert kept.segue("runs", "ls", "-n", "2").stderr == "segue: There are more: --after limited\n"
    assert kept.segue("runs", "ls", "-n", "4").stderr == ""
    assert "no such conversations" in kept.segue("runs", "ls", "--agent", "Nobody").stderr


@pytest.mark.parametrize("words", [["--since", "yesterday"], ["--before", "7 years"], ["--status", "odd"], ["--limit", "0"]])
def test_what_is_no_filter_is_told(kept, words):
    assert "Invalid value" in kept.segue("runs", "ls", *words, code=2).stderr


def test_a_journal_that_is_not_there_is_told_and_not_made(till):
    done = till.segue("runs", "ls", "--journal", "other.db", code=2)
    assert "There is no journal other.db" in done.stderr
    assert sorted(path.name for path in till.folder.iterdir()) == ["till.py"]


# --- show


def test_the_story_of_a_conversation_is_told_from_the_question_to_the_answer(till):
    name = till.say("Pay 5")
    one = till.asked()
    words = ("approvals", "approve", one["approval"], "--digest", one["digest"], "--reason", "it is owed", "-t", "till.py")
    till.segue(*words)
    told = till.segue("runs", "show", name).stdout
    head, _, rest = told.partition("\n\n")
    assert head.startswith(f"{name} · done · Cashier has the floor\n")
    lines = [line[9:] for line in rest.splitlines()]
    assert lines[1] == "User: Pay 5"
    assert lines[2].startswith("Cashier (")
    assert lines[3].startswith(f"  ? 1.0 pay(amount=5) waits for a decision: approval {one['approval']}, until ")
    assert lines[4] == "  ✓ 1.0 pay approved by ann: it is owed"
    assert lines[5] == "  ▸ 1.0 pay(amount=5)"
    assert lines[6].startswith("    → 1.0 pay")
    assert lines[6].endswith(": paid 5")
    assert lines[7].endswith(": I am told: paid 5")
    assert rest.splitlines()[-1].startswith("Cashier  2 replies")


def test_the_json_of_a_story_has_every_moment_and_who_is_waited_for(till):
    name = till.say("Pay 5")
    told = json.loads(till.segue("runs", "show", name, "--json").stdout)
    assert (told["conversation"], told["status"], told["agent"]) == (name, "waiting", "Cashier")
    assert [one["what"] for one in told["story"]] == ["Opened", "Asked", "Driven", "Replied", "Waits"]
    (waiting,) = told["waiting_for"]
    assert waiting["digest"] == till.asked()["digest"]
    assert told["usage"][0]["agent"] == "Cashier"


def test_a_conversation_may_be_named_by_the_beginning_of_its_id(kept):
    assert kept.segue("runs", "show", "lim").stdout.startswith("limited · limited")
    kept.write("limit", [*ASKED, says()])
    assert kept.segue("runs", "show", "limit").stdout.startswith("limit · done")
    assert "begins the ids of 2 conversations" in kept.segue("runs", "show", "lim", code=2).stderr
    assert "There is no conversation 'x'" in kept.segue("runs", "show", "x", code=2).stderr


def test_a_process_that_died_and_a_call_that_nobody_knows_of_are_told_with_the_mend(till):
    begun = [*ASKED, asks(call("pay")), ToolStarted("1.0", "pay", "{}"), DriveStarted("d_2")]
    till.write("c", [*begun, ToolUnknown("1.0", "the process ended while it ran", ask=True)])
    done = till.segue("runs", "show", "c")
    assert "■ driven on by d_2: the drive of driver had not come to its end" in done.stdout
    assert "✗ 1.0 pay: unknown, and somebody is to say what came of it: the process ended while it ran" in done.stdout
    assert done.stderr == "segue: What came of pay can be told with: segue settle c 1.0 TEXT\n"


def test_long_texts_are_cut_for_people_and_whole_in_json(till):
    till.write("c", [*ASKED, says("x" * 5_000)])
    assert "5,0" in till.segue("runs", "show", "c").stdout
    assert "x" * 2_001 not in till.segue("runs", "show", "c").stdout
    assert "x" * 5_000 in till.segue("runs", "show", "c", "--json").stdout


# --- what a newer version has written

NEWER = "segue: A newer version of Segue has written to this conversation: use that one to go on with it, and to be told all of it.\n"


def renew(till, change):
    """Let a newer version have written the fourth event of conversation c."""
    with closing(sqlite3.connect(till.folder / "j.db")) as db:
        db.execute(f"update event set {change} where conversation = 'c' and seq = 4")
        db.commit()


def test_an_event_of_a_newer_version_is_named_where_it_stands_and_the_story_goes_on(till):
    till.write("c", [*ASKED, InstructionsRendered("Triage", "Be kind."), says()])
    renew(till, "kind = 'MoonRisen'")
    done = till.segue("runs", "show", "c")
    assert done.stdout.startswith("c · done · Triage has the floor\n")
    assert [line[9:] for line in done.stdout.splitlines()[4:7]] == [
        "User: Hello?",
        "  ■ an event MoonRisen (version 1) of a newer version of Segue",
        "Triage (0 ms, no tokens counted): Here you are.",
    ]
    assert done.stderr == NEWER
    assert [line["status"] for line in till.lines("runs", "ls")] == ["done"]


def test_where_the_story_cannot_go_on_the_kinds_are_told_and_the_status_is_that_of_the_list(till):
    till.write("c", [*ASKED, asks(call("pay")), *returns("1.0"), says()])
    renew(till, "v = 2")
    lines = [line[9:] for line in till.segue("runs", "show", "c").stdout.splitlines()]
    assert "  ■ an event ModelReplied (version 2) of a newer version of Segue" in lines
    first = lines.index("  ■ what follows does not fit what is known, and is told by its kind only")
    assert lines[first + 1 : first + 4] == ["  ■ an event ToolStarted", "  ■ an event ToolReturned", "  ■ an event ModelReplied"]
    told = json.loads(till.segue("runs", "show", "c", "--json").stdout)
    assert (told["status"], told["events"]) == ("done", 7)
    assert told["story"][3] == {"seq": 4, "at": 1.0, "what": "Newer", "kind": "ModelReplied", "version": 2}
    assert [one["kind"] for one in told["story"] if one["what"] == "Untold"] == ["ToolStarted", "ToolReturned", "ModelReplied"]


def test_a_conversation_that_a_newer_version_has_written_to_is_exported_whole_with_those_of_its_agents(till):
    till.write("c/1.0", ASKED)
    till.write("c", [*ASKED, asks(call("expert")), ToolStarted("1.0", "expert", "{}", "keyed")])
    renew(till, """v = 2, data = '{"words": 1}'""")
    rows = [json.loads(line) for line in till.segue("runs", "export", "c").stdout.splitlines()]
    assert [row["conversation"] for row in rows] == ["c"] * 5 + ["c/1.0"] * 3
    assert (rows[3]["kind"], rows[3]["v"], rows[3]["data"]) == ("ModelReplied", 2, {"words": 1})

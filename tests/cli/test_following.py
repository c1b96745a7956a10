import asyncio
import shlex
import sys

import click
import pytest

from segue.cli import following
from segue.journal.base import Journal
from segue.journal.sqlite import SqliteJournal
from tests.cli.till import PROGRAM

OWN = "\nfrom segue import Runner\ndesk = Runner(agent, journal='own till.db')\n"


def within(given, work, **own):
    """What `work` says while a command with these options runs."""
    context = click.Context(click.Command("one"))
    context.params = given
    with context:
        for journal in own.values():
            following.bring_along(journal)
        return work()


def printed(done):
    """The commands that stand between backticks, or at the end of a line, in what a command said."""
    words = done.stderr.split("`")[1::2]
    words += [line for line in done.stdout.splitlines() if line.startswith("    segue ")]
    return [shlex.split(one) for one in words]


def test_what_is_printed_works_as_it_is_printed_to_the_end_of_the_conversation(till, monkeypatch):
    monkeypatch.delenv("SEGUE_JOURNAL")
    listing, going_on = printed(till.segue("run", "till.py", "Pay 5", "--journal", "my till.db", code=1))
    (approving,) = printed(till.segue(*listing[1:]))
    done = till.segue(*approving[1:])
    assert done.stderr == f"segue: Go on with it: segue resume {going_on[2]} TARGET --journal 'my till.db'\n"
    assert till.segue(*going_on[1:]).stdout == "I am told: paid 5\n"
    assert till.paid == ["5"]


def test_the_journal_that_a_runner_brings_along_is_named_to_commands_that_do_not_see_the_runner(till, monkeypatch):
    (till.folder / "till.py").write_text(PROGRAM + OWN)
    monkeypatch.setenv("SEGUE_JOURNAL", "other.db")
    listing, going_on = printed(till.segue("run", "till.py:desk", "Pay 5", code=1))
    assert listing == ["segue", "approvals", "ls", "--journal", str(till.folder / "own till.db")]
    assert going_on[3:] == ["till.py:desk", *listing[3:]]
    (approving,) = printed(till.segue(*listing[1:]))
    till.segue(*approving[1:])
    assert till.segue(*going_on[1:]).stdout == "I am told: paid 5\n"


def test_a_journal_of_the_environment_is_not_named(till):
    listing, going_on = printed(till.segue("run", "till.py", "Pay 5", code=1))
    assert (listing, going_on[3:]) == (["segue", "approvals", "ls"], ["till.py"])


def test_a_chat_says_how_it_is_gone_on_with_whole(till):
    done = till.segue("chat", "till.py", "--journal", "t.db", stdin="Hello")
    name = till.segue("runs", "ls", "--journal", "t.db", "--json").stdout.split('"')[3]
    assert f"the conversation is {name}; to go on with it: segue chat till.py --conversation {name} --journal t.db\n" in done.stderr


def test_a_mistake_names_the_same_journal(till):
    till.segue("run", "till.py", "Pay 5", "--journal", "t.db", code=1)
    for words in (["runs", "show", "x"], ["approvals", "approve", "x"], ["approvals", "approve", "x", "--digest", "0" * 16]):
        done = till.segue(*words, "--journal", "t.db", code=None)
        assert done.exit_code
        assert "ls --journal t.db`" in done.stderr, words


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "Go on with it: segue resume c TARGET"),
        ({"journal": "j.db", "target": "till.py", "model": "m:x"}, "Go on with it: segue resume c till.py --model m:x --journal j.db"),
        ({"journal": "postgresql://db/x"}, "A worker goes on with it, or: segue resume c TARGET --journal postgresql://db/x"),
        ({"journal": "postgres://a:b@db/x"}, "A worker goes on with it, or: segue resume c TARGET --journal 'postgres://a:***@db/x'"),
        ({"journal": "\x1b.db"}, r"Go on with it: segue resume c TARGET --journal '\x1b.db'"),
    ],
)
def test_a_worker_is_promised_in_a_database_alone_and_no_password_is_repeated(given, words, monkeypatch):
    monkeypatch.delenv("SEGUE_JOURNAL", raising=False)
    assert within(given, lambda: following.going_on("c")) == words


def test_a_worker_is_promised_where_the_environment_names_a_database(monkeypatch):
    monkeypatch.setenv("SEGUE_JOURNAL", "postgresql://db/x")
    assert within({}, lambda: following.going_on("c")) == "A worker goes on with it, or: segue resume c TARGET"


def test_a_given_journal_comes_before_the_runners_own_and_words_of_libpq_are_left_to_be_filled_in(tmp_path):
    class Database(Journal):
        conninfo = "host=db dbname=x"

    file = SqliteJournal(tmp_path / "own.db")
    try:
        assert within({}, lambda: following.command("runs", "ls"), own=file) == f"segue runs ls --journal {file.path}"
        assert within({"journal": "j.db"}, lambda: following.command("runs", "ls"), own=file) == "segue runs ls --journal j.db"
        assert within({}, lambda: following.command("runs", "ls"), own=Database()) == "segue runs ls --journal postgresql://..."
    finally:
        asyncio.run(file.aclose())


def test_outside_of_a_command_nothing_is_known_and_nothing_fails():
    assert following.command("runs", "ls") == "segue runs ls"


def test_a_program_that_was_called_as_a_module_is_called_so_again(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/src/segue/__main__.py"])
    assert following.program() == [sys.executable, "-m", "segue"]
    monkeypatch.setattr(sys, "argv", ["/src/pytest/__main__.py"])
    assert following.program() == ["segue"]

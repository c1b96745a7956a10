"""Words become journals."""

import asyncio

import pytest

from segue.errors import UsageError
from segue.journal.memory import MemoryJournal
from segue.journal.postgres import PostgresJournal
from segue.journal.resolve import given_journal, journal_from
from segue.journal.sqlite import SqliteJournal


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("segue.db", "{cwd}/segue.db"),
        ("folder/with blanks.db", "{cwd}/folder/with blanks.db"),
        ("/tmp/segue.db", "/tmp/segue.db"),
        ("sqlite:///segue.db", "{cwd}/segue.db"),
        ("sqlite:////tmp/with%20blanks.db", "/tmp/with blanks.db"),
        ("a:b", "{cwd}/a:b"),
    ],
)
def test_a_path_is_a_file(text, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    journal = journal_from(text)
    assert isinstance(journal, SqliteJournal)
    assert journal.path == name.format(cwd=tmp_path.resolve())


def test_a_path_may_be_a_path(tmp_path):
    journal = journal_from(tmp_path / "segue.db")
    assert journal.path == str(tmp_path / "segue.db")
    assert given_journal(tmp_path / "segue.db").path == journal.path


def test_a_journal_that_is_made_is_taken_as_it_is_and_none_is_memory(tmp_path):
    journal = SqliteJournal(tmp_path / "segue.db")
    assert given_journal(journal) is journal
    assert isinstance(given_journal(None), MemoryJournal)


@pytest.mark.parametrize("journal", [True, 5, b"segue.db", SqliteJournal, object()])
def test_what_cannot_keep_events_is_no_journal(journal):
    with pytest.raises(UsageError, match="give a path"):
        given_journal(journal)


def test_memory_is_memory():
    assert isinstance(journal_from("memory:"), MemoryJournal)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_an_address_of_a_server_is_a_database(scheme):
    journal = journal_from(f"{scheme}://host/database")
    assert isinstance(journal, PostgresJournal)
    asyncio.run(journal.aclose())


@pytest.mark.parametrize("text", ["", "  ", None, "mysql://host/database", "sqlite://segue.db", "sqlite:///", "http://x", ":memory:"])
def test_what_is_no_journal_is_refused_with_what_there_is(text):
    with pytest.raises(UsageError):
        journal_from(text)

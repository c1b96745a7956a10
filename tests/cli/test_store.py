import asyncio
from datetime import datetime

import click
import pytest

from segue import clock
from segue.cli.store import USUAL, WHEN, conversation_named, line_of, opened, where
from segue.errors import UsageError
from segue.journal.base import Line, every_line
from segue.journal.memory import MemoryJournal
from tests.core.making import ASKED, says


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("90min", 5_400), ("90m", 5_400), ("1.5h", 5_400), ("7d", 604_800), (" 2 w ", 1_209_600)],
)
def test_an_age_is_a_time_before_now(text, seconds, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: 10_000_000.0)
    assert WHEN.convert(text, None, None) == 10_000_000.0 - seconds


@pytest.mark.parametrize("text", ["2026-11-21", "2026-11-21T09:30", "2026-11-21T09:30:00+02:00"])
def test_a_date_is_taken_where_this_machine_is_unless_it_says_where(text):
    assert WHEN.convert(text, None, None) == datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize("text", ["", "7", "d", "-7d", "7 years", "1e3d", "tomorrow", "2026-13-01", "9999999-01-01"])
def test_what_is_no_time_is_told(text):
    with pytest.raises(click.BadParameter, match="neither an age"):
        WHEN.convert(text, None, None)


def test_the_journal_is_the_one_that_is_given_or_that_of_the_environment_or_the_usual_file(monkeypatch):
    monkeypatch.setenv("SEGUE_JOURNAL", "env.db")
    assert (where("given.db"), where(None)) == ("given.db", "env.db")
    monkeypatch.delenv("SEGUE_JOURNAL")
    assert where(None) == USUAL


@pytest.mark.parametrize("place", ["no.db", "sqlite:///no.db", "folder/no.db"])
def test_looking_makes_no_journal(place, tmp_path, monkeypatch):
    async def look():
        async with opened(place):
            raise AssertionError

    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"There is no journal .*no\.db"):
        asyncio.run(look())
    assert list(tmp_path.iterdir()) == []


async def journal_of(*names):
    journal = MemoryJournal()
    for at, name in enumerate(names):
        await journal.append(name, 1, [*ASKED, says()], at=float(at))
    return journal


async def test_a_whole_id_is_taken_before_the_beginning_of_another():
    journal = await journal_of("abc", "abcd", "abd")
    assert [await conversation_named(journal, given) for given in ("abc", "abcd", "abd")] == ["abc", "abcd", "abd"]
    for given, words in {
        "ab": "begins the ids of 3 conversations: abd, abcd, abc",
        "x": "no conversation 'x'",
        "": "begins the ids of 3",
    }.items():
        with pytest.raises(UsageError, match=words):
            await conversation_named(journal, given)


async def test_all_pages_are_read(monkeypatch):
    monkeypatch.setattr("segue.journal.base.PAGE", 2)
    journal = await journal_of("a", "b", "c", "d", "e")
    assert [line.conversation async for line in every_line(journal)] == ["e", "d", "c", "b", "a"]
    assert [line.conversation async for line in every_line(journal, before=3.0)] == ["c", "b", "a"]


async def test_a_line_is_what_the_journal_lists():
    journal = await journal_of("a", "b")
    (line, _) = await journal.conversations()
    assert isinstance(line, Line)
    assert await line_of(journal, "b") == line

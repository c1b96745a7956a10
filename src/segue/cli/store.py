"""The journal that a command looks into: where it is, which conversation is meant, and what a time means.
Nothing here changes a conversation, and no journal is made by looking for one."""

import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from segue import clock
from segue.cli import following
from segue.errors import JournalDamaged, JournalNewer, UsageError
from segue.journal.base import STATUSES, Journal, Line, Stored, every_line, fold, summary_of
from segue.journal.resolve import journal_from

Command = TypeVar("Command", bound=Callable[..., Any])

USUAL = "segue.db"
_UNITS = {"s": 1, "min": 60, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)")


class When(click.ParamType[float]):
    """A time: an age ("90min", "12h", "7d", "2w") or a date ("2026-11-21", "2026-11-21T09:30"), as seconds since the epoch."""

    name = "when"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """How it is shown in the help."""
        return "AGE|DATE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it."""
        if isinstance(value, float):
            return value
        age = _AGE.fullmatch(value.strip())
        if age is not None:
            return clock.now() - float(age[1]) * _UNITS[age[2]]
        try:
            return datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError, OSError):
            self.fail(f"{value!r} is neither an age (90min, 12h, 7d, 2w) nor a date (2026-11-21, 2026-11-21T09:30).", param, ctx)


WHEN = When()


def journal_option(command: Command) -> Command:
    """`--journal`, for commands about stored conversations."""
    return _journal(f"SEGUE_JOURNAL, else {USUAL}")(command)


def new_journal_option(command: Command) -> Command:
    """`--journal`, for commands that also begin conversations, which need not be stored."""
    return _journal(f"SEGUE_JOURNAL, else memory; with --conversation, {USUAL}")(command)


def _journal(default: str) -> Callable[[Command], Command]:
    return click.option("--journal", metavar="WHERE", help=f"A SQLite file, or postgresql://...  [default: {default}]")


def json_option(command: Command) -> Command:
    """`--json`, for commands whose answer is a value or a list of them."""
    return click.option("--json", is_flag=True, help="Print JSON; of a list, a line for each.")(command)


def filter_options(command: Command) -> Command:
    """The words that narrow a list of conversations."""
    for option in (
        click.option("--before", type=WHEN, help="Only what was changed last before then."),
        click.option("--since", type=WHEN, help="Only what was changed since then: an age such as 7d, or a date."),
        click.option("--agent", metavar="NAME", help="Only where this agent has the floor."),
        click.option("--status", multiple=True, type=click.Choice(STATUSES), help="Only these; may be given several times."),
    ):
        command = option(command)
    return command


def by_option(command: Command) -> Command:
    """`--by`, for commands that write down who gave them."""
    return click.option("--by", envvar="USER", default="", help="Who does this; it is written down.  [default: $USER]")(command)


def where(given: str | None) -> str:
    """The journal that is meant."""
    return given or os.environ.get("SEGUE_JOURNAL") or USUAL


@asynccontextmanager
async def opened(place: str, *, make: bool = False) -> AsyncIterator[Journal]:
    """A journal, closed at the end. Raises `UsageError` for a file that is not there, unless it may be made."""
    journal = journal_from(place)
    from segue.journal.sqlite import SqliteJournal  # slow to import, and not needed to show a command's help

    if not make and isinstance(journal, SqliteJournal) and not Path(journal.path).is_file():
        raise UsageError(
            f"There is no journal {place}. Name one with --journal or SEGUE_JOURNAL: a SQLite file, or postgresql://.... "
            "`segue run` and `segue chat` make it when they are given --journal."
        )
    try:
        yield journal
    finally:
        await journal.aclose()


async def conversation_named(journal: Journal, given: str) -> str:
    """The id of the conversation that is meant: its own, or the beginning of it that no other has."""
    if given and await _there(journal, given):
        return given
    found = [line.conversation async for line in every_line(journal) if line.conversation.startswith(given)]
    if not found:
        raise UsageError(
            f"There is no conversation {given!r} in this journal. `{following.command('runs', 'ls')}` lists those that there are."
        )
    if len(found) > 1:
        few = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
        raise UsageError(f"{given!r} begins the ids of {len(found)} conversations: {few}. Give more of it.")
    return found[0]


async def _there(journal: Journal, conversation: str) -> bool:
    try:
        return bool(await journal.read(conversation))
    except (JournalDamaged, JournalNewer):
        return True  # it cannot be read, but it can be erased


async def line_of(journal: Journal, conversation: str) -> Line:
    """A conversation as lists tell it."""
    return line_from(conversation, await journal.read(conversation))


def line_from(conversation: str, rows: list[Stored]) -> Line:
    """A conversation as lists tell it, from its events."""
    return Line(conversation, rows[-1].seq, rows[0].at, rows[-1].at, summary_of(fold(rows)))

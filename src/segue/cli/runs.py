"""`segue runs`: the conversations of a journal, in a list or one by one."""

import asyncio
import sys
from typing import Any

import click

from segue import clock
from segue.cli import following
from segue.cli.answer import waiting_json
from segue.cli.keep import erase, export, prune
from segue.cli.safe import json_text
from segue.cli.screen import AGENT, FAINT, NOTE, SWITCH, TOOL, WRONG, Screen
from segue.cli.store import (
    conversation_named,
    filter_options,
    journal_option,
    json_option,
    line_from,
    line_of,
    opened,
    where,
)
from segue.core.codec import Unknown
from segue.core.conversation import Conversation
from segue.errors import JournalNewer
from segue.journal.base import Line, every_line, skimmed
from segue.views import record, usage
from segue.views.story import Skimmed, Story
from segue.views.words import age, counted, moment

LONGEST = 2_000
"""Letters of a text that are shown to people; --json has all of them."""

_MARKS = {
    "user": ("", AGENT),
    "agent": ("", AGENT),
    "call": ("  ▸ ", TOOL),
    "result": ("    → ", FAINT),
    "wrong": ("    ✗ ", WRONG),
    "handoff": ("  ── ", SWITCH),
    "waits": ("  ? ", NOTE),
    "decision": ("  ✓ ", NOTE),
    "note": ("  ■ ", WRONG),
}


@click.group()
def runs() -> None:
    """List, show, export and remove stored conversations."""


@runs.command()
@journal_option
@filter_options
@click.option("-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
@click.option("--after", metavar="ID", help="The page after this conversation.")
@json_option
def ls(
    journal: str | None,
    limit: int,
    after: str | None,
    json: bool,
    **filters: Any,
) -> None:
    """List conversations, the last changed first.

    The status is "running" where there is work left, "waiting" where a person is asked, else how the last run ended.
    """
    lines, more = asyncio.run(_page(where(journal), after, limit, filters))
    if json:
        for line in lines:
            click.echo(json_text(line_json(line)))
    elif lines:
        headings = ("conversation", "status", "agent", "changed", "events")
        now = clock.now()
        rows = [
            (line.conversation, line.summary.status, line.summary.agent, f"{age(now - line.updated)} ago", str(line.seq)) for line in lines
        ]
        Screen(sys.stdout).table(headings, rows, indent=0)
    if not lines:
        click.echo("segue: There are no such conversations.", err=True)
    elif more:
        click.echo(f"segue: There are more: --after {lines[-1].conversation}", err=True)


async def _page(place: str, after: str | None, limit: int, filters: dict[str, Any]) -> tuple[list[Line], bool]:
    """A page of conversations, and whether there is another."""
    async with opened(place) as store:
        following = await line_of(store, await conversation_named(store, after)) if after else None
        lines = await store.conversations(**filters, following=following, limit=limit + 1)
    return lines[:limit], len(lines) > limit


def line_json(line: Line) -> dict[str, Any]:
    """A conversation in a list, as JSON values."""
    summary = line.summary
    return {
        "conversation": line.conversation,
        "status": summary.status,
        "agent": summary.agent,
        "entry": summary.entry,
        "created": line.created,
        "updated": line.updated,
        "events": line.seq,
        "driver": summary.driver,
    }


@runs.command()
@click.argument("conversation", metavar="ID")
@journal_option
@json_option
def show(conversation: str, journal: str | None, json: bool) -> None:
    """Tell the story of a conversation.

    Who spoke and for which agent, every call with its arguments and what came of it, handoffs, approvals and who gave them,
    times and tokens, processes that died, and what nobody knows. ID may be the beginning of an id.
    """
    line, rows = asyncio.run(_read(where(journal), conversation))
    story = Story()
    moments, c = record.record(rows, story), story.conversation
    if json:
        used = [{**one._asdict(), "tokens": one.tokens._asdict()} for one in usage.usage(rows)]
        waiting = [waiting_json(slot) for slot in c.waiting]
        told = {**line_json(line), "context": c.context, "usage": used, "waiting_for": waiting, "story": record.as_json(moments)}
        click.echo(json_text(told, indent=2 if sys.stdout.isatty() else None))
        return
    screen = Screen(sys.stdout)
    _head(screen, line)
    _story(screen, list(record.lines(moments)))
    screen.line()
    screen.line(usage.render(usage.usage(rows)), FAINT)
    newer = any(isinstance(event, Unknown) for _, _, event in rows)
    for words in [_NEWER] if newer else _mends(c):
        click.echo(f"segue: {words}", err=True)


async def _read(place: str, given: str) -> tuple[Line, list[Skimmed]]:
    """A conversation as lists tell it, and its events; where they cannot all be folded, the list knows more than they tell here."""
    async with opened(place) as store:
        name = await conversation_named(store, given)
        try:
            rows = await store.read(name)
        except JournalNewer:
            listed = [line async for line in every_line(store) if line.conversation == name]
            if not listed:
                raise
            return listed[0], await skimmed(store, name)
        return line_from(name, rows), [*rows]


def _head(screen: Screen, line: Line) -> None:
    summary = line.summary
    screen.line(f"{line.conversation} · {summary.status} · {summary.agent} has the floor", AGENT)
    ago = age(clock.now() - line.updated)
    screen.line(f"begun {moment(line.created)} · changed {moment(line.updated)} ({ago} ago) · {counted(line.seq, 'event')}", FAINT)


def _story(screen: Screen, lines: list[record.Line]) -> None:
    day = ""
    for line in lines:
        date, time = moment(line.at).split(" ")
        if date != day:
            screen.line()
            screen.line(date, FAINT)
            day = date
        mark, style = _MARKS[line.kind]
        text = line.text if len(line.text) <= LONGEST else f"{line.text[:LONGEST]}… ({counted(len(line.text), 'letter')}; --json has all)"
        screen.remark(f"{time} {mark}", text, style)


_NEWER = "A newer version of Segue has written to this conversation: use that one to go on with it, and to be told all of it."


def _mends(c: Conversation) -> list[str]:
    """What can be done about calls that wait for a person."""
    doubts = [slot for slot in c.waiting if slot.doubt is not None]
    mends = [f"What came of {slot.call.name} can be told with: {following.command('settle', c.id, slot.place, 'TEXT')}" for slot in doubts]
    if len(c.waiting) > len(doubts):
        mends.append(f"Calls wait for a decision: {following.command('approvals', 'ls')}")
    return mends


for command in (export, prune, erase):
    runs.add_command(command)

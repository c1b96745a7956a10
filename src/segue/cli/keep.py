"""`segue runs export|prune|erase`: how long conversations are kept, and how they are copied out.
What is erased is gone: each command that erases asks first, or is told --yes."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import click

from segue.cli.safe import json_text, visible
from segue.cli.store import WHEN, conversation_named, filter_options, journal_option, json_option, opened, where
from segue.errors import ConversationBusy, JournalDamaged, JournalNewer, SegueError, UsageError
from segue.journal import retention
from segue.journal.base import STATUSES, Journal, every_line, fold
from segue.outside import family
from segue.views.words import counted, moment


@click.command()
@click.argument("conversations", metavar="[ID]...", nargs=-1)
@filter_options
@click.option("-o", "--output", type=click.File("w", encoding="utf-8", lazy=True), default="-", help="Write to a file.")
@journal_option
@click.option("--json", is_flag=True, hidden=True)
def export(conversations: tuple[str, ...], output: Any, journal: str | None, json: bool, **filters: Any) -> None:
    """Copy conversations out, event by event, as lines of JSON.

    Those that are named, with those of agents that they used as tools; or all that fit. IDs may be the beginnings of ids.
    """
    if conversations and any(filters.values()):
        raise UsageError("Name conversations, or say which by --status, --agent, --since and --before; not both.")
    asyncio.run(_export(where(journal), conversations, filters, output))


async def _export(place: str, given: tuple[str, ...], filters: dict[str, Any], output: Any) -> None:
    count = 0
    async with opened(place) as store:
        async for name in _meant(store, given, filters):
            async for row in retention.export(store, name):
                click.echo(json_text(row), file=output)
            count += 1
    click.echo(f"segue: {counted(count, 'conversation')}.", err=True)


async def _meant(store: Journal, given: tuple[str, ...], filters: dict[str, Any]) -> AsyncIterator[str]:
    for one in given:
        for name in await family(store, await conversation_named(store, one)):
            yield name
    if not given:
        async for line in every_line(store, **filters):
            yield line.conversation


@click.command()
@click.option("--before", type=WHEN, required=True, help="What was changed last before then: an age such as 90d, or a date.")
@click.option(
    "--status",
    multiple=True,
    type=click.Choice(STATUSES),
    default=retention.OVER,
    show_default=", ".join(retention.OVER),
    help="Only these; may be given several times.",
)
@click.option("--agent", metavar="NAME", help="Only where this agent has the floor.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@journal_option
@json_option
def prune(before: float, status: tuple[str, ...], agent: str | None, yes: bool, journal: str | None, json: bool) -> None:
    """Erase conversations that nothing has happened in for long.

    By default those only in which nothing is left to do and nobody is waited for. The ids of those that are gone are printed.
    """
    gone = asyncio.run(_prune(where(journal), {"before": before, "status": status, "agent": agent}, yes))
    _print_gone(gone, json=json)


async def _prune(place: str, filters: dict[str, Any], yes: bool) -> list[str]:
    async with opened(place) as store:
        count = len([line async for line in every_line(store, **filters)])
        if count and not yes:
            _confirm(f"{counted(count, 'conversation')} that changed last before {moment(filters['before'])}")
        return await retention.prune(store, **filters) if count else []


@click.command()
@click.argument("conversations", metavar="ID...", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@journal_option
@json_option
def erase(conversations: tuple[str, ...], yes: bool, journal: str | None, json: bool) -> None:
    """Erase everything that is stored of a conversation, and of agents that it used as tools.

    One that a living process drives is to be cancelled first. IDs may be the beginnings of ids.
    """
    _print_gone(asyncio.run(_erase(where(journal), conversations, yes)), json=json)


async def _erase(place: str, given: tuple[str, ...], yes: bool) -> list[str]:
    async with opened(place) as store:
        names = [await conversation_named(store, one) for one in given]
        gone = [name for one in names for name in await _free(store, one)]
        if not yes:
            _confirm(f"{counted(len(names), 'conversation')}: {', '.join(names)}")
        for name in reversed(gone):  # the inner ones first: they are found by the outer one
            await store.erase(name)
    return gone


async def _free(store: Journal, conversation: str) -> list[str]:
    """A conversation that nobody drives, with those of agents that it used as tools; alone, where it cannot be read."""
    try:
        c = fold(await store.read(conversation))
        names = await family(store, conversation)
    except (JournalDamaged, JournalNewer):
        return [conversation]
    if c.running and c.driver and await store.alive(c.driver):
        raise ConversationBusy(f"The conversation {conversation} is being run: cancel it first.", conversation=conversation)
    return names


def _confirm(what: str) -> None:
    """Ask before anything is erased. Raises where nobody can be asked, or somebody says no."""
    if not sys.stdin.isatty():
        raise UsageError(f"This would erase {what}. Say --yes, and it does.")
    click.echo(f"This erases {visible(what)}, for good.", err=True)
    if not click.confirm("Erase?", err=True):
        raise SegueError("Nothing was erased.")


def _print_gone(names: list[str], *, json: bool) -> None:
    for name in names:
        click.echo(json_text({"conversation": name, "erased": True}) if json else visible(name))
    click.echo(f"segue: {counted(len(names), 'conversation')} erased.", err=True)

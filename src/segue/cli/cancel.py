"""`segue cancel ID`: end what a conversation is at."""

import asyncio

import click

from segue import clock, outside
from segue.cli.safe import json_text
from segue.cli.store import conversation_named, journal_option, json_option, opened, where
from segue.journal.base import fold, summary_of


@click.command()
@click.argument("conversation", metavar="ID")
@journal_option
@json_option
def cancel(conversation: str, journal: str | None, json: bool) -> None:
    """End the run of a stored conversation.

    Calls that were not begun are not made any more. Of those that were, nobody knows what comes of them; their results are
    written down when they come. A process that drives the conversation stops when it next writes. ID may be the beginning of
    an id.
    """
    name, status, ended = asyncio.run(_cancel(where(journal), conversation))
    if json:
        click.echo(json_text({"conversation": name, "cancelled": ended, "status": status}))
    elif not ended:
        click.echo(f"segue: There is nothing to cancel: {name} is {status}.", err=True)
    else:
        click.echo(f"segue: {name} is {status}.", err=True)


async def _cancel(place: str, given: str) -> tuple[str, str, bool]:
    async with opened(place) as store:
        name = await conversation_named(store, given)
        ended = await outside.cancel(store, name, at=clock.now())
        return name, summary_of(fold(await store.read(name))).status, ended

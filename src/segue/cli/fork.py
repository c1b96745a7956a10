"""`segue fork ID`: a new conversation from a place in another."""

import asyncio

import click

from segue import clock, outside
from segue.cli.safe import json_text
from segue.cli.store import conversation_named, journal_option, json_option, opened, where
from segue.core.events import Started
from segue.inputs import new_conversation


@click.command()
@click.argument("conversation", metavar="ID")
@click.option("--at", type=int, metavar="SEQ", help="The place of the last event to copy; the last one between turns, by default.")
@click.option("--allow-effects", is_flag=True, help="Also where calls lie beyond the place that the copy could make again.")
@journal_option
@json_option
def fork(conversation: str, at: int | None, allow_effects: bool, journal: str | None, json: bool) -> None:
    """Open a new conversation with the events of another up to a place, and print its id.

    The place must be one between turns. Calls beyond it that may have changed the world are named, and keep from forking. ID may
    be the beginning of an id; `segue runs show ID --json` tells the places.
    """
    new, origin = asyncio.run(_fork(where(journal), conversation, at, allow_effects))
    click.echo(json_text({"conversation": new, "origin": origin}) if json else new)


async def _fork(place: str, given: str, at: int | None, allow: bool) -> tuple[str, str]:
    """The new conversation's id, and what it says of where it comes from."""
    async with opened(place) as store:
        name = await conversation_named(store, given)
        new = new_conversation()
        await outside.fork(store, name, at=at, effects="allow" if allow else "refuse", new_id=new, now=clock.now())
        begun = (await store.read(new))[0].event
    return new, begun.origin if isinstance(begun, Started) else name

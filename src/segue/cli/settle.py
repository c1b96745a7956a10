"""`segue settle ID PLACE TEXT`: say what came of a call that nobody knows of."""

import asyncio

import click

from segue import clock
from segue.cli import following
from segue.cli.safe import json_text
from segue.cli.store import by_option, conversation_named, journal_option, json_option, opened, where
from segue.journal.base import summary_of
from segue.openings import settled
from segue.outside import end_inner, tell


@click.command()
@click.argument("conversation", metavar="ID")
@click.argument("place")
@click.argument("text")
@by_option
@journal_option
@json_option
def settle(conversation: str, place: str, text: str, by: str, journal: str | None, json: bool) -> None:
    """Say what came of a call whose outcome is unknown.

    Such a call of a tool that needs an approval waits for it; `segue runs show ID` tells its PLACE, such as 3.0. The model reads
    TEXT as the call's result. `segue resume`, or a worker on PostgreSQL, goes on with it. ID may be the beginning of an id.
    """
    name, status = asyncio.run(_settle(where(journal), conversation, place, text, by))
    if json:
        click.echo(json_text({"conversation": name, "place": place, "status": status, "by": by}))
    if status == "running":
        click.echo(f"segue: {following.going_on(name)}", err=True)


async def _settle(place: str, given: str, call: str, text: str, by: str) -> tuple[str, str]:
    async with opened(place) as store:
        name = await conversation_named(store, given)
        c = await tell(store, name, lambda c: settled(c, call, text, by=by), at=clock.now())
        await end_inner(store, name, [call], at=clock.now())
    return name, summary_of(c).status

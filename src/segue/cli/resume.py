"""`segue resume ID TARGET`: go on with a stored conversation where it was left."""

import asyncio

import click

from segue.cli.answer import print_run
from segue.cli.choose import Choice
from segue.cli.stage import prepared, staged
from segue.cli.store import conversation_named, journal_option
from segue.cli.target import Target
from segue.errors import UsageError


@click.command()
@click.argument("conversation", metavar="ID")
@click.argument("target")
@click.option("-m", "--model", metavar="PROVIDER:MODEL", help="Replaces every agent's model.")
@journal_option
@click.option("--json", is_flag=True, help="Print one JSON object: status, output, agent, messages, context, usage, ...")
@click.option("--events", is_flag=True, help="Print what happens, event by event, as lines of JSON.")
def resume(conversation: str, target: str, model: str | None, journal: str | None, json: bool, events: bool) -> None:
    """Go on with a stored conversation and print its answer.

    After a crash, a decision, a limit, a failure or a cancel: a run that had ended gets a new allowance. Where nothing is left to
    do, the last answer is printed. ID may be the beginning of an id. The exit code is 0 where there is an answer, and 1 where
    the run came to none or waits for a person.
    """
    if json and events:
        raise UsageError("Give --json or --events, not both.")
    found, choice = prepared(target, model)
    asyncio.run(_resume(found, choice, journal, conversation, json=json, events=events))


async def _resume(found: Target, choice: Choice, journal: str | None, given: str, *, json: bool, events: bool) -> None:
    async with staged(found, choice, journal, stored=True) as runner:
        name = await conversation_named(runner.journal, given)
        await print_run(runner.resuming(name), runner.journal, choice, json=json, events=events)

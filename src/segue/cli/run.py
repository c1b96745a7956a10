"""`segue run TARGET TEXT`: one message, one answer on stdout."""

import asyncio
import sys

import click

from segue.cli.answer import print_run
from segue.cli.choose import Choice
from segue.cli.stage import prepared, staged
from segue.cli.store import conversation_named, new_journal_option
from segue.cli.target import Target
from segue.errors import UsageError


@click.command()
@click.argument("target")
@click.argument("text", required=False)
@click.option("-m", "--model", metavar="PROVIDER:MODEL", help="Replaces every agent's model.")
@new_journal_option
@click.option("-c", "--conversation", metavar="ID", help="Go on with a conversation of the journal.")
@click.option("--json", is_flag=True, help="Print one JSON object: status, output, agent, messages, context, usage, ...")
@click.option("--events", is_flag=True, help="Print what happens, event by event, as lines of JSON.")
def run(target: str, text: str | None, model: str | None, journal: str | None, conversation: str | None, json: bool, events: bool) -> None:
    """Give one message to a team of agents and print its answer.

    TEXT is read from stdin where it is left out or is "-". Without --journal, SEGUE_JOURNAL or --conversation the conversation
    is kept in memory, and ends with the command. The exit code is 0 where there is an answer, 1 where the run came to none,
    and 2 where the command or the program is at fault.
    """
    if json and events:
        raise UsageError("Give --json or --events, not both.")
    message = _message(text)
    found, choice = prepared(target, model)
    asyncio.run(_run(found, message, choice, journal, conversation, json=json, events=events))


def _message(text: str | None) -> str:
    if text is None and sys.stdin.isatty():
        raise UsageError('There is no message. Write: segue run TARGET "text", or give it on stdin.')
    message = sys.stdin.read().strip() if text in (None, "-") else text
    if not message.strip():
        raise UsageError("The message is empty.")
    return message


async def _run(
    found: Target, text: str, choice: Choice, journal: str | None, conversation: str | None, *, json: bool, events: bool
) -> None:
    async with staged(found, choice, journal, stored=conversation is not None, make=conversation is None) as runner:
        name = await conversation_named(runner.journal, conversation) if conversation else None
        stream = runner.stream(text, conversation=name)
        try:
            await print_run(stream, runner.journal, choice, json=json, events=events)
        finally:
            if runner.journal.durable:
                click.echo(f"segue: the conversation is {stream.conversation}", err=True)

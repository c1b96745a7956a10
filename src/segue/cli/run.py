"""`segue run TARGET TEXT`: one message, one answer on stdout."""

import asyncio
import contextlib
import sys
from typing import Any

import click
from pydantic_core import from_json

from segue.cli.chat import banner
from segue.cli.choose import Choice, choose
from segue.cli.safe import json_text, visible
from segue.cli.talk import as_json, told
from segue.cli.target import load
from segue.core.codec import encode
from segue.errors import SegueError, UsageError
from segue.journal.base import Stored
from segue.response import Response
from segue.runner import Runner
from segue.streams import Stream


@click.command()
@click.argument("target")
@click.argument("text", required=False)
@click.option("-m", "--model", metavar="PROVIDER:MODEL", help="Replaces every agent's model.")
@click.option("--json", is_flag=True, help="Print one JSON object: status, output, agent, messages, context, usage, ...")
@click.option("--events", is_flag=True, help="Print what happens, event by event, as lines of JSON.")
def run(target: str, text: str | None, model: str | None, json: bool, events: bool) -> None:
    """Give one message to a team of agents and print its answer.

    TEXT is read from stdin where it is left out or is "-". The exit code is 0 where there is an answer, 1 where the run came
    to none, and 2 where the command or the program is at fault.
    """
    if json and events:
        raise UsageError("Give --json or --events, not both.")
    found = load(target)
    message = _message(text)
    choice = choose(found.agent, model, found.example)
    banner(choice)
    runner = Runner(found.agent, model=choice.model)
    asyncio.run(_run(runner, message, choice, json=json, events=events))


def _message(text: str | None) -> str:
    if text is None and sys.stdin.isatty():
        raise UsageError('There is no message. Write: segue run TARGET "text", or give it on stdin.')
    message = sys.stdin.read().strip() if text in (None, "-") else text
    if not message:
        raise UsageError("The message is empty.")
    return message


async def _run(runner: Runner, text: str, choice: Choice, *, json: bool, events: bool) -> None:
    stream = runner.stream(text)
    failure: SegueError | None = None
    printed = 0
    try:
        async for _ in stream:
            if events:
                printed = await _print_new(runner, stream, printed)
    except SegueError as error:
        failure = error
    except Exception as error:
        failure = told(error)
        failure.__cause__ = error
    response: Response[Any] | None = None
    with contextlib.suppress(UsageError):  # there is none where the run did not even begin
        response = stream.response
    if events:
        await _print_new(runner, stream, printed)
    elif response is not None and json:
        click.echo(json_text(as_json(response, choice), indent=2 if sys.stdout.isatty() else None))
    elif response is not None and response.status == "done":
        click.echo(visible(response.text) if sys.stdout.isatty() else response.text, color=True)  # nothing is taken out for a pipe
    if failure is not None:
        raise failure
    if response is not None:
        response.raise_for_status()


async def _print_new(runner: Runner, stream: Stream, printed: int) -> int:
    """Print the events that are new in the journal, with the places and times that it gave them; say how many are printed."""
    for row in await runner.journal.read(stream.conversation, after=printed):
        click.echo(json_text(_as_json(row)))
        printed = row.seq
    return printed


def _as_json(row: Stored) -> dict[str, Any]:
    kind, version, data = encode(row.event)
    return {"seq": row.seq, "at": row.at, "kind": kind, "v": version, "data": from_json(data)}

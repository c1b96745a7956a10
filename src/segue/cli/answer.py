"""What a command prints of a run: the answer, the whole response as JSON, or the events as they come; and what went wrong.
Nothing is run here but what is handed in."""

import contextlib
import sys
from collections.abc import Mapping
from json import loads
from typing import Any

import click

from segue.cli import following
from segue.cli.choose import Choice
from segue.cli.raised import WHERE, raised_is_told, said
from segue.cli.safe import json_text, visible
from segue.core.codec import encode
from segue.core.turns import Slot
from segue.errors import NoOutput, SegueError, UsageError
from segue.journal.base import Journal, Stored
from segue.response import Response
from segue.streams import Stream


async def print_run(stream: Stream, journal: Journal, choice: Choice, *, json: bool, events: bool = False) -> None:
    """Have a run done and print what comes of it. Raises where there is no answer, after everything is printed."""
    failure: SegueError | None = None
    before = len(await journal.read(stream.conversation)) if events else 0
    try:
        with raised_is_told():
            async for _ in stream:
                if events:
                    before = await _print_new(journal, stream.conversation, before)
    except SegueError as error:
        failure = error
    except Exception as error:
        failure = told(error)
        failure.__cause__ = error
    response: Response[Any] | None = None
    with contextlib.suppress(UsageError):  # there is none where the run did not even begin
        response = stream.response
    if events:
        await _print_new(journal, stream.conversation, before)
    elif response is not None and json:
        click.echo(json_text(as_json(response, choice), indent=2 if sys.stdout.isatty() else None))
    elif response is not None and response.status == "done":
        click.echo(visible(response.text) if sys.stdout.isatty() else response.text, color=True)  # nothing is taken out for a pipe
    if failure is not None:
        raise failure
    if response is not None:
        raise_unless_done(response, journal)


def raise_unless_done(response: Response[Any], journal: Journal) -> None:
    """Raise the run's error, or `NoOutput` where a person is waited for, with words for the command line."""
    if response.status == "waiting":
        mend = _mend(response) if journal.durable else "give --journal, so that it can be told"
        raise NoOutput(f"The run waits for a person: {mend}.", status="waiting")
    response.raise_for_status()


def _mend(response: Response[Any]) -> str:
    """Which commands tell for what a run waits, and which one goes on with it then."""
    name = response.conversation
    doubts = [slot.doubt is not None for slot in response.waiting_for]
    tell = [] if all(doubts) else [f"`{following.command('approvals', 'ls')}`"]
    tell += [f"`{following.command('runs', 'show', name)}`"] if any(doubts) else []
    return f"{' and '.join(tell)} {'tell' if len(tell) > 1 else 'tells'} for what; then `{following.resume(name)}` goes on"


async def _print_new(journal: Journal, conversation: str, printed: int) -> int:
    """Print the events that are new in the journal, with the places and times that it gave them; the place of the last one."""
    for row in await journal.read(conversation, after=printed):
        click.echo(json_text(event_json(row)))
        printed = row.seq
    return printed


def event_json(row: Stored) -> dict[str, Any]:
    """A stored event as JSON values."""
    kind, version, data = encode(row.event)
    return {"seq": row.seq, "at": row.at, "kind": kind, "v": version, "data": loads(data)}


def told(error: Exception) -> SegueError:
    """What a function of the user's raised, as an error that can be told in a line."""
    return SegueError(f"A function of this program raised {said(error).removesuffix('.')}. {WHERE}")


def as_json(response: Response[Any], choice: Choice) -> Mapping[str, Any]:
    """A response as JSON values."""
    typed, error = response.agent.typed_output, response.error
    output = response.output if response.status == "done" else None
    return {
        "status": response.status,
        "output": typed.dump(output) if typed is not None and output is not None else output,
        "agent": response.agent.name,
        "messages": response.messages,
        "context": response.context,
        "usage": {**response.usage._asdict(), "total": response.usage.total},
        "conversation": response.conversation,
        "model": {"name": choice.name, "why": choice.why, "stand_in": choice.stand_in},
        "waiting_for": [waiting_json(slot) for slot in response.waiting_for],
        "error": None if error is None else {"type": type(error).__name__, "message": str(error)},
    }


def waiting_json(slot: Slot) -> dict[str, Any]:
    """A call that waits for a person, as JSON values: for a decision about its approval, or to be told what came of it."""
    waiting: dict[str, Any] = {"place": slot.place, "name": slot.call.name, "arguments": slot.call.arguments}
    if slot.doubt is not None:
        return waiting | {"doubt": slot.doubt.words}
    if slot.approval is not None:
        asked = slot.approval
        waiting |= {"arguments": asked.arguments, "approval": asked.id, "digest": asked.digest, "expires": asked.expires}
    return waiting


def printed(response: Response[Any], choice: Choice) -> str:
    """A response as one line of JSON."""
    return json_text(as_json(response, choice))

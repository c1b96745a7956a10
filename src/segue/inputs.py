"""What a run is begun with: a user's message, or a list that ends with one; and what a journal tells of earlier inputs."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from segue.core.conversation import Conversation
from segue.core.events import (
    AllowanceGiven,
    ApprovalAsked,
    ApprovalDecided,
    DriveStarted,
    Event,
    InputGiven,
    Started,
    ToolLate,
    ToolSettled,
)
from segue.core.fold import as_left
from segue.core.messages import Message, System, User, sendable_text
from segue.core.view import check
from segue.errors import KeyReused, UsageError
from segue.journal.base import Stored, fold
from segue.wire.chat_messages import from_chat

Input = str | Sequence[Mapping[str, Any]]


class Given(NamedTuple):
    """An input, read: what was said before, elsewhere, and what the user says now."""

    earlier: tuple[Message, ...]
    message: User


def read_input(messages: Input) -> Given:
    """Read an input. Raises `UsageError` for what no provider would take."""
    if isinstance(messages, str):
        if not messages:
            raise UsageError("The user's message is empty.")
        return Given((), User(sendable_text(messages)))
    if not isinstance(messages, Iterable):
        raise UsageError(f"The input is a text or a list of chat-completions messages, not {type(messages).__name__}.")
    read = list(from_chat(messages))
    if any(isinstance(message, System) for message in read):
        raise UsageError("The messages hold a system message. An agent's instructions are its own: Agent(..., instructions=...).")
    if not read or not isinstance(read[-1], User):
        raise UsageError("The messages must end with the user's.")
    fault = check(read)
    if fault:
        raise UsageError(f"The messages are no history that a provider takes: {fault}.")
    try:
        json.dumps([message.content for message in read if isinstance(message, User)], allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"The messages are not JSON ({error}).") from None
    return Given(tuple(read[:-1]), read[-1])


def earlier_run(stored: Sequence[Stored], run: InputGiven, earlier: tuple[Message, ...] = ()) -> Conversation | None:
    """The conversation as the run with the same key left it; `None` if there is no such run.

    Raises `KeyReused` if that run was given another input.
    """
    given = ((at, row.event) for at, row in enumerate(stored) if isinstance(row.event, InputGiven) and row.event.key == run.key)
    at, found = next(given, (0, None))
    if found is None:
        return None
    opened = stored[0].event
    before = opened.messages if isinstance(opened, Started) and at == 1 else ()
    if (before, found.messages, found.context) != (earlier, run.messages, run.context):
        raise KeyReused(f"The key {run.key!r} was used for another input of this conversation.")
    return left_by(found.run, Conversation(), stored) or fold(stored)


def left_by(run: str, before: Conversation, rows: Sequence[Stored]) -> Conversation | None:
    """The conversation as a run has left it, if it has."""
    for row in rows:
        c = fold([row], before)
        if (left := as_left(run, before, row.event, c)) is not None:
            return left
        before = c
    return before if before.run.id == run and not before.running else None


def new_conversation(key: str | None = None) -> str:
    """The id of a new conversation; with a key, the one of that key."""
    return f"c_{os.urandom(16).hex()}" if key is None else f"k_{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def driven(stored: Sequence[Stored]) -> float:
    """Seconds of driving since the last input or allowance, over all drives (R19)."""
    seconds, last = 0.0, 0.0
    begun: float | None = None
    for row in stored:
        if begins_anew([row.event]):
            seconds, begun = 0.0, row.at
        elif isinstance(row.event, DriveStarted):
            seconds, begun = seconds + (max(0.0, last - begun) if begun is not None else 0.0), row.at
        if not _told_at_any_time(row.event):
            last = row.at
    return seconds + (max(0.0, last - begun) if begun is not None else 0.0)


def _told_at_any_time(event: Event) -> bool:
    """Whether an event says nothing of how long a drive took: it may come when nobody drives."""
    edited = isinstance(event, ApprovalAsked) and event.edited
    return edited or isinstance(event, ToolLate | ToolSettled | ApprovalDecided)


def begins_anew(events: Sequence[Event]) -> bool:
    """Whether what a run may spend is counted from these events on."""
    return any(isinstance(event, InputGiven | AllowanceGiven) for event in events)

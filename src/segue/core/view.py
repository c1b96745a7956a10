"""The messages that one agent is shown, derived from the log.
Only this file builds views. A view is a history that the strictest provider accepts (law L6); `check` says so or says why not."""

from collections.abc import Sequence

from segue.core.conversation import Conversation
from segue.core.floor import Frame
from segue.core.messages import Assistant, Message, System, ToolAnswer, User
from segue.core.turns import LEGAL_NAME, is_object


def view(conversation: Conversation) -> list[Message]:
    """The messages of the active agent, without its instructions."""
    frame, log = conversation.stack[-1], conversation.log
    messages: list[Message] = list(frame.brief)
    for start, stop in _ranges(frame, len(log)):
        for place, entry in enumerate(log.between(start, stop), start):
            if not entry.only or entry.only == frame.agent:
                messages += entry.messages if entry.clean is None or place >= frame.switched else entry.clean
    return messages


def _ranges(frame: Frame, end: int) -> list[tuple[int, int]]:
    """The ranges of the log, which ends at `end`, that an agent is shown."""
    ranges = [] if frame.anchor is None else [(frame.anchor, frame.anchor + 1)]
    at = frame.start
    for start, stop in frame.skips:
        ranges.append((at, start))
        at = stop
    return [*ranges, (at, end)]


def new_messages(conversation: Conversation) -> list[Message]:
    """What the last run has added, by whomever it was said; the user's input is left out."""
    return [message for entry in conversation.log.since(conversation.run.start + 1) for message in entry.messages]


def check(messages: Sequence[Message]) -> str | None:
    """Say what a strict provider would refuse in a history, or `None`.

    The rules: at most one system message, first; then a user's message first; each call answered exactly once, in call
    order, before anything else is said; ids unique; legal tool names; call arguments are JSON objects; nobody says
    nothing; the last word is not the assistant's.
    """
    said = messages[1:] if messages and isinstance(messages[0], System) else messages
    if not said:
        return "there is no message"
    ids: set[str] = set()
    owed: list[tuple[str, str]] = []
    if not isinstance(said[0], User):
        return "the first message is not the user's"
    for place, message in enumerate(said):
        if isinstance(message, ToolAnswer):
            if not owed:
                return f"message {place} answers a call that was not made, or was answered before"
            if (message.call_id, message.name) != owed.pop(0):
                return f"message {place} answers the calls out of order"
            continue
        if owed:
            return f"the call {owed[0][0]} ({owed[0][1]}) is not answered before message {place}"
        if isinstance(message, System):
            return f"message {place} is a second system message"
        if isinstance(message, User):
            if not message.content:
                return f"message {place} of the user is empty"
            continue
        fault = _fault(message, ids)
        if fault:
            return f"message {place}: {fault}"
        owed = [(call.id, call.name) for call in message.calls]
    if owed:
        return f"the call {owed[0][0]} ({owed[0][1]}) is not answered"
    return "the last message is the assistant's own" if isinstance(said[-1], Assistant) else None


def _fault(message: Assistant, ids: set[str]) -> str | None:
    if not message.calls and not message.text:
        return "the assistant says nothing"
    for call in message.calls:
        if not call.id or call.id in ids:
            return f"the call id {call.id!r} is empty or used before"
        ids.add(call.id)
        if not LEGAL_NAME.fullmatch(call.name):
            return f"the tool name {call.name!r} is not legal"
        if not is_object(call.arguments):
            return f"the arguments of the call {call.id} are not a JSON object"
    return None

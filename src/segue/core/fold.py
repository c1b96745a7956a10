"""The machine: what happened makes a conversation.
`apply` is the only way in which a conversation changes; it says what is, after something has happened, or refuses that it can have."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from segue.core import closing, turns
from segue.core.closing import Entry
from segue.core.conversation import Conversation, Run, Status, end_due
from segue.core.earlier import adopt
from segue.core.events import (
    SUPERSEDED,
    AllowanceGiven,
    ApprovalAsked,
    ApprovalDecided,
    DriveStarted,
    Event,
    InputGiven,
    InstructionsRendered,
    ModelReplied,
    RunEnded,
    Started,
    ToolFailed,
    ToolLate,
    ToolReturned,
    ToolSettled,
    ToolStarted,
    ToolUnknown,
)
from segue.core.floor import Frame
from segue.core.limits import DEFAULTS, Limits, Spent
from segue.core.log import Log
from segue.core.messages import Assistant, Json, User
from segue.core.turns import CallEvent, Turn
from segue.core.view import new_messages
from segue.errors import IllegalEvent, UsageError

_ALWAYS = frozenset({DriveStarted, ToolLate})
_RUNNING = _ALWAYS | {InputGiven, RunEnded}
_WAITING = _RUNNING | {ToolReturned, ToolFailed, ToolUnknown, ToolSettled, ApprovalDecided}

ACCEPTS: dict[Status, frozenset[type]] = {
    Status.NEW: frozenset({Started}),
    Status.IDLE: _ALWAYS | {InputGiven},
    Status.MODEL: _RUNNING | {InstructionsRendered, ModelReplied},
    Status.TOOLS: _WAITING | {ToolStarted, ApprovalAsked},
    Status.HUMAN: _WAITING,
    Status.ENDED: _ALWAYS | {InputGiven, AllowanceGiven},
}
"""What may happen when. `apply` refuses what the table lacks; the diagram in the documentation is drawn from it."""


def replay(events: Iterable[Event], conversation: Conversation | None = None) -> Conversation:
    """Fold events onto a conversation (a new one by default), without doing anything."""
    conversation = conversation or Conversation()
    for event in events:
        conversation = apply(conversation, event)
    return conversation


MISFITS = (IllegalEvent, ValueError, TypeError, LookupError, AttributeError, AssertionError, RecursionError)
"""What a fold raises over events that cannot have happened in this order."""


def apply(conversation: Conversation, event: Event) -> Conversation:
    """Say what a conversation is after an event. Raises `IllegalEvent` for what cannot have happened now."""
    kind = type(event)
    if kind not in ACCEPTS[conversation.status]:
        raise IllegalEvent(f"{kind.__name__} cannot happen while the conversation is {conversation.status.value}.")
    return _AFTER[kind](conversation, event)


def as_left(run: str, before: Conversation, event: Event, after: Conversation) -> Conversation | None:
    """The conversation as a run has left it, where `event` ended that run and another, which was queued, began at once.

    `None` where the event did not: a run that ends with nothing behind it is left as `after`.
    """
    if _has(after, run) or not _has(before, run):
        return None
    if before.run.id != run:  # it gave way to a later one before its own turn came
        start = after.run.start
        return _superseded(after)._replace(context=before.context, run=Run(run, start=start), log=after.log.upto(start))
    if before.status in (Status.IDLE, Status.ENDED):
        return before
    left = before._replace(queue=())
    if not isinstance(event, InputGiven):
        left = apply(left, event)
    if left.turn is not None:
        left = _settled(left, turns.supersede(left.turn), left.seq)
    return _superseded(left) if left.status is Status.MODEL else left


def _superseded(c: Conversation) -> Conversation:
    return c._replace(status=Status.ENDED, ended=SUPERSEDED, queue=(), answer=None)


def _has(c: Conversation, run: str) -> bool:
    """Whether a run goes on, or waits for its turn."""
    return c.run.id == run or any(event.run == run for event in c.queue)


def _started(c: Conversation, event: Started) -> Conversation:
    messages, ids = adopt(event.messages)
    return c._replace(
        id=event.conversation,
        seq=c.seq + 1,
        status=Status.IDLE,
        entry=event.agent,
        stack=(Frame(event.agent),),
        context=event.context,
        log=Log([Entry(messages)] if messages else ()),
        ids=ids,
    )


def _driven(c: Conversation, event: DriveStarted) -> Conversation:
    return c._replace(
        seq=c.seq + 1,
        drive=c.drive + 1,
        driver=event.driver,
        fingerprint=event.fingerprint or c.fingerprint,
        idle_drives=c.idle_drives + 1,
    )


def _rendered(c: Conversation, event: InstructionsRendered) -> Conversation:
    return c._replace(seq=c.seq + 1, instructions={**c.instructions, event.agent: event.text})


def _input(c: Conversation, event: InputGiven) -> Conversation:
    if c.status is Status.ENDED and c.turn is not None:
        raise IllegalEvent("The conversation is parked with open calls: it takes no input before it is resumed.")
    if not event.messages or not all(message.content for message in event.messages):
        raise IllegalEvent("An input says something.")
    _changed(DEFAULTS, event.limits)  # refused now, not when its turn comes
    c = c._replace(seq=c.seq + 1, queue=(*c.queue, event), idle_drives=0)
    if c.status is Status.IDLE or c.status is Status.ENDED:
        return _next_input(c)
    if event.busy == "queue":
        return c
    return _next_input(c) if c.turn is None else _settled(c, c.turn, c.seq)


def _begin(c: Conversation, event: InputGiven) -> Conversation:
    return c._replace(
        status=Status.MODEL,
        run=Run(event.run, _changed(DEFAULTS, event.limits), Spent(), len(c.log)),
        log=c.log.append(Entry(event.messages)),
        context={**c.context, **event.context} if event.context else c.context,
        queue=c.queue[1:],
        ended=None,
        answer=None,
    )


def _changed(limits: Limits, changes: Mapping[str, Json]) -> Limits:
    try:
        return limits.updated(changes)
    except UsageError as error:
        raise IllegalEvent(str(error)) from error


def _next_input(c: Conversation) -> Conversation:
    """Begin the run that was queued first; one that is interrupted already gives way to the next at once."""
    c = _begin(c, c.queue[0])
    return _next_input(c) if _interrupted(c) else c


def _interrupted(c: Conversation) -> bool:
    return bool(c.queue) and any(event.busy == "interrupt" for event in c.queue)


def _replied(c: Conversation, event: ModelReplied) -> Conversation:
    if event.agent != c.active:
        raise IllegalEvent(f"{event.agent} replied while {c.active} had the floor.")
    if end_due(c) is not None:
        raise IllegalEvent("A reply came when the run was to be ended.")
    reply = event.reply
    whole = reply.whole
    if reply.calls and whole:
        turn, ids = turns.open_turn(c.turns + 1, event.agent, reply, c.ids)
        return c._replace(**_counts(c, event), status=Status.TOOLS, turn=turn, ids=ids)
    messages = closing.said(event.agent, reply)
    if event.refused is not None:
        entry = Entry((*messages, User(event.refused)), only=event.agent)
        return c._replace(**_counts(c, event, refused=1), log=c.log.append(entry))
    status = Status.IDLE if whole else Status.MODEL
    c = c._replace(**_counts(c, event), status=status, log=c.log.append(Entry(messages)), answer=reply)
    return _next_input(c) if whole and c.queue else c


def _counts(c: Conversation, event: ModelReplied, refused: int = 0) -> dict[str, Any]:
    """What a reply adds to the accounts, as changes of the conversation."""
    run, spent, usage = c.run, c.run.spent, event.reply.usage
    spent = spent._replace(
        turns=spent.turns + 1,
        output_refusals=spent.output_refusals + refused,
        usage=spent.usage.plus(usage),
        cost=spent.cost + event.cost,
    )
    run = Run(run.id, run.limits, spent, run.start, run.earlier)
    return {"seq": c.seq + 1, "turns": c.turns + 1, "run": run, "usage": c.usage.plus(usage), "idle_drives": 0}


def _called(c: Conversation, event: CallEvent) -> Conversation:
    turn = c.turn
    assert turn is not None
    turn = turns.update(turn, event, c.drive)
    if c.idle_drives and type(event) is not ToolStarted:
        c = c._replace(idle_drives=0)
    return _settled(c, turn, c.seq + 1)


def _settled(c: Conversation, turn: Turn, seq: int) -> Conversation:
    """The conversation after something happened to a call of the open turn."""
    interrupted = _interrupted(c)
    if turn.open and interrupted:
        turn = turns.supersede(turn)
    if turn.open:
        return c._replace(seq=seq, turn=turn, status=Status.HUMAN if turn.waiting == turn.open else Status.TOOLS)
    run = c.run
    closed = closing.close(turn, run.spent, run.limits, c.stack, len(c.log), run.start)
    log = c.log.append(closed.entry)
    for note in c.notes:
        log = log.append(Entry((note,)))
    c = c._replace(
        seq=seq,
        turn=None,
        notes=(),
        log=log,
        stack=closed.stack,
        context={**c.context, **closed.context} if closed.context else c.context,
        run=Run(run.id, run.limits, closed.spent, run.start, run.earlier),
        status=Status.MODEL,
    )
    if closed.unique:
        c = c._replace(uniques={**c.uniques, **closed.unique})
    if closed.usage.total:
        c = c._replace(usage=c.usage.plus(closed.usage))
    return _next_input(c) if interrupted else c


def _run_ended(c: Conversation, event: RunEnded) -> Conversation:
    c = c._replace(seq=c.seq + 1, status=Status.ENDED, ended=event, answer=None, idle_drives=0)
    if event.kind == "parked":
        return c  # with its open calls and its queue: nothing is tried before the code is mended
    if c.turn is not None:
        raise IllegalEvent("A run with open calls cannot end: each needs its outcome first.")
    if event.reason == "input guard" and not any(isinstance(message, Assistant) for message in new_messages(c)):
        c = c._replace(log=c.log.without(c.run.start))
    elif event.reason == "output guard" and (last := _last_reply(c)) is not None:
        c = c._replace(log=c.log.without(last))
    return _next_input(c) if c.queue else c


def _last_reply(c: Conversation) -> int | None:
    """Where the run's last reply stands in the log; `None` if that was one with calls, or there is none."""
    for place in range(len(c.log) - 1, c.run.start, -1):
        messages = c.log[place].messages
        if messages and isinstance(messages[0], Assistant):
            return None if messages[0].calls else place
    return None


def _allowed(c: Conversation, event: AllowanceGiven) -> Conversation:
    if c.ended is not None and c.ended.reason == "input guard":
        raise IllegalEvent("The input was refused by a guard: there is nothing to go on with.")
    run = c.run._replace(limits=_changed(c.run.limits, event.limits), spent=Spent(), earlier=c.run.usage)
    c = c._replace(seq=c.seq + 1, run=run, ended=None, answer=None, status=Status.MODEL, idle_drives=0)
    if c.turn is not None:
        return _settled(c, c.turn, c.seq)
    last = _last_reply(c)
    if last is not None and isinstance(c.log[last].messages[-1], Assistant):
        c = c._replace(log=c.log.without(last))  # cut, or declined: the model is asked anew, and must not find its own words last
    return c


def _noted(c: Conversation, event: ToolLate) -> Conversation:
    note = closing.late_note(event)
    if c.turn is not None:
        return c._replace(seq=c.seq + 1, notes=(*c.notes, note))
    return c._replace(seq=c.seq + 1, log=c.log.append(Entry((note,))))


_AFTER: dict[type, Callable[[Conversation, Any], Conversation]] = {
    Started: _started,
    InputGiven: _input,
    DriveStarted: _driven,
    InstructionsRendered: _rendered,
    ModelReplied: _replied,
    ToolStarted: _called,
    ToolReturned: _called,
    ToolFailed: _called,
    ToolUnknown: _called,
    ToolSettled: _called,
    ToolLate: _noted,
    ApprovalAsked: _called,
    ApprovalDecided: _called,
    RunEnded: _run_ended,
    AllowanceGiven: _allowed,
}
"""What takes an event in, by its kind. A table and not a `match`: it is gone through at every step. A test sees that no event is missing,
and that each function takes what it is given."""

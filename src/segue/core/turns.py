"""One turn: a reply and the outcomes of its calls, from the first call to the moment it closes.
Here the rules of R8, R12, R13 and R24 are decided. What a closed turn leaves is an entry of the log, the stack of
who has the floor, and changes of the context."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, assert_never

from segue.core.arguments import parse
from segue.core.events import (
    ApprovalAsked,
    ApprovalDecided,
    Handoff,
    Outcome,
    ToolFailed,
    ToolLate,
    ToolReturned,
    ToolSettled,
    ToolStarted,
    ToolUnknown,
)
from segue.core.floor import Frame, misdirected, switch
from segue.core.limits import Limits, Spent, handoff_refusal
from segue.core.log import Names
from segue.core.messages import Assistant, Call, Content, Json, Message, Reply, ToolAnswer, Usage, User
from segue.errors import ArgumentsRefused, IllegalEvent

CUT = frozenset({"length", "content_filter"})
"""Words for a reply that is not whole: its calls are never run and its text is no answer (R9, R10)."""

LEGAL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What every provider takes for the name of a tool."""


class Slot(NamedTuple):
    """One call of the open turn, and how far it has come. `place` names it in the journal: turn, dot, index."""

    call: Call
    place: str
    started: ToolStarted | None = None
    drive: int = 0
    """The drive that started it."""
    approval: ApprovalAsked | None = None
    decision: ApprovalDecided | None = None
    asked: int = 0
    """How many approvals were asked for it."""
    doubt: ToolUnknown | None = None
    """Set while a person is asked what came of it."""
    outcome: Outcome | None = None

    @property
    def waits(self) -> bool:
        """Whether the call waits for a person."""
        if self.outcome is not None:
            return False
        return self.doubt is not None or (self.approval is not None and self.decision is None)


class Turn(NamedTuple):
    """A reply whose calls are not all answered yet."""

    agent: str
    reply: Reply
    slots: tuple[Slot, ...]
    open: int
    """How many calls lack their outcome."""
    waiting: int = 0
    """How many of these wait for a person."""


class Entry(NamedTuple):
    """What one closed turn, or one input, adds to views.

    `clean` is what is left once a handoff has gone by: refused handoffs are dropped (R13); `None` if nothing differs.
    `only` names the one agent that is shown the entry; empty for all.
    """

    messages: tuple[Message, ...]
    clean: tuple[Message, ...] | None = None
    only: str = ""


class Closed(NamedTuple):
    """What a turn leaves."""

    entry: Entry
    stack: tuple[Frame, ...]
    context: Mapping[str, Json]
    spent: Spent
    unique: Mapping[str, Content]
    """Outcomes of unique calls, by `same_call`."""
    usage: Usage
    """The tokens of agents that were used as tools."""


def open_turn(number: int, agent: str, reply: Reply, ids: Names) -> tuple[Turn, Names]:
    """Give every call a place and an id that no other call has (R8). The same call twice in a reply is one call."""
    slots: list[Slot] = []
    met: set[tuple[str, str, str]] = set()
    for call in reply.calls:
        same = (call.id, call.name, call.arguments)
        if call.id and same in met:
            continue
        met.add(same)
        place = f"{number}.{len(slots)}"
        call = unique(call, f"call_{number}_{len(slots)}", ids)
        ids = ids.add(call.id)
        slots.append(Slot(call, place))
    return Turn(agent, reply, tuple(slots), len(slots)), ids


def unique(call: Call, name: str, ids: Names) -> Call:
    """The call, under another id if its own is empty or taken."""
    if call.id and call.id not in ids:
        return call
    while name in ids:
        name += "_"
    return call._replace(id=name)


def update(turn: Turn, event: Outcome | ToolStarted | ToolSettled | ApprovalAsked | ApprovalDecided, drive: int) -> Turn:
    """The turn after something happened to one of its calls. Raises `IllegalEvent` for what cannot have happened."""
    index = _index(turn, event)
    slot = turn.slots[index]
    waited = slot.waits
    if slot.outcome is not None:
        raise IllegalEvent(f"The call at {slot.place} has its outcome already: {type(event).__name__} cannot follow.")
    match event:
        case ToolStarted():
            slot = _started(slot, event, drive)
        case ToolReturned():
            if slot.started is None and (waited or not (event.handoff and event.handoff.generated)):
                raise IllegalEvent(f"The call at {slot.place} was never started.")
            slot = slot._replace(outcome=event)
        case ToolFailed():
            slot = slot._replace(outcome=event)
        case ToolUnknown():
            if slot.started is None:
                raise IllegalEvent(f"The call at {slot.place} was never started.")
            slot = slot._replace(doubt=event) if event.ask else slot._replace(outcome=event)
        case ToolSettled():
            if slot.doubt is None:
                raise IllegalEvent(f"The outcome of the call at {slot.place} is not in doubt.")
            slot = slot._replace(outcome=ToolReturned(slot.place, event.content))
        case ApprovalAsked():
            taken = any(other.approval and other.approval.id == event.id for other in turn.slots)
            if waited or taken or (slot.started is not None) != bool(event.inner):
                raise IllegalEvent(f"The call at {slot.place} cannot be put to a person now, or not under this id.")
            slot = slot._replace(approval=event, decision=None, asked=slot.asked + 1)
        case ApprovalDecided():
            slot = _decided(slot, event)
        case _:
            assert_never(event)
    slots = (*turn.slots[:index], slot, *turn.slots[index + 1 :])
    return Turn(turn.agent, turn.reply, slots, turn.open - (slot.outcome is not None), turn.waiting + slot.waits - waited)


def _index(turn: Turn, event: Outcome | ToolStarted | ToolSettled | ApprovalAsked | ApprovalDecided) -> int:
    if isinstance(event, ApprovalDecided):
        for index, slot in enumerate(turn.slots):
            if slot.approval is not None and slot.approval.id == event.id:
                return index
        raise IllegalEvent(f"No approval {event.id} is asked for.")
    number = event.place.rpartition(".")[2]
    index = int(number) if number.isdecimal() else len(turn.slots)
    if index >= len(turn.slots) or turn.slots[index].place != event.place:
        raise IllegalEvent(f"There is no call at {event.place}.")
    return index


def _started(slot: Slot, event: ToolStarted, drive: int) -> Slot:
    if slot.waits:
        raise IllegalEvent(f"The call at {slot.place} waits for a person.")
    if slot.started is not None and (slot.drive == drive or slot.started.effect == "once"):
        raise IllegalEvent(f"The call at {slot.place} was started already.")
    approval = slot.approval if slot.approval and not slot.approval.inner else None
    if event.approval != (approval.id if approval else None) or (approval and approval.arguments != event.arguments):
        raise IllegalEvent(f"The call at {slot.place} was not approved as it is.")
    return slot._replace(started=event, drive=drive)


def _decided(slot: Slot, event: ApprovalDecided) -> Slot:
    approval = slot.approval
    assert approval is not None
    if slot.decision is not None or approval.digest != event.digest:
        raise IllegalEvent(f"The approval {event.id} is decided already, or is for other arguments.")
    if approval.inner:
        return slot._replace(decision=event, drive=0)  # to be taken up again, and told to the one that asked
    if event.decision == "superseded":
        return slot._replace(approval=None)
    slot = slot._replace(decision=event)
    if event.decision == "approve":
        return slot
    words = f"Not done: {event.decision if event.decision != 'deny' else 'denied'}" + (f" ({event.reason})." if event.reason else ".")
    return slot._replace(outcome=ToolFailed(slot.place, "denied", words))


def supersede(turn: Turn) -> Turn:
    """End the calls that were not begun, and the questions to people, because the user has said something new."""
    for slot in turn.slots:
        if slot.outcome is not None:
            continue
        if slot.started is None:
            turn = update(turn, ToolFailed(slot.place, "superseded", "Not done: the user has said something new."), 0)
        elif slot.doubt is not None:
            turn = update(turn, ToolUnknown(slot.place, slot.doubt.words), 0)
    return turn


def close(turn: Turn, spent: Spent, limits: Limits, stack: tuple[Frame, ...], at: int, run_start: int) -> Closed:
    """Say what a turn leaves once every call has its outcome. `at` is where its entry will stand in the log."""
    winner, contents, limited = _choose(turn, spent, limits, stack)
    context: dict[str, Json] = {}
    unique: dict[str, Content] = {}
    usage, cost = Usage(), 0.0
    for slot, content in zip(turn.slots, contents, strict=True):
        if isinstance(slot.outcome, ToolReturned):
            context.update(slot.outcome.context)
            if slot.outcome.usage.total:
                usage, cost = usage.plus(slot.outcome.usage), cost + slot.outcome.cost
        if slot.started is not None and slot.started.unique and not isinstance(slot.outcome, ToolFailed):
            unique[same_call(slot.started.name, slot.started.arguments)] = content
    handoff = _handoff(turn.slots[winner]) if winner is not None else None
    if handoff is not None:
        stack = switch(stack, handoff, at, run_start)
    spent = _spend(turn, spent, contents, handoff, limited)
    if usage.total:
        spent = spent._replace(usage=spent.usage.plus(usage), cost=spent.cost + cost)
    return Closed(_entry(turn, contents, winner), stack, context, spent, unique, usage)


def same_call(name: str, arguments: str) -> str:
    """What two equal calls of a unique tool have in common; `arguments` in canonical form."""
    return f"{name}\n{arguments}"


def _handoff(slot: Slot) -> Handoff | None:
    return slot.outcome.handoff if isinstance(slot.outcome, ToolReturned) else None


def _choose(turn: Turn, spent: Spent, limits: Limits, stack: tuple[Frame, ...]) -> tuple[int | None, list[Content], bool]:
    """Find the handoff that wins (the first that may be made, R12), what each call is answered, and whether a limit refused one."""
    winner: int | None = None
    first = ""
    limited = False
    contents: list[Content] = []
    for index, slot in enumerate(turn.slots):
        content = _content(slot)
        handoff = _handoff(slot)
        if handoff is None:
            limited = limited or (isinstance(slot.outcome, ToolFailed) and slot.outcome.kind == "limit")
        elif winner is not None:
            content = content or f"Not transferred to {handoff.agent}: the conversation went to {first}."
        elif words := misdirected(handoff, stack):
            content = _told(content, words)
        elif words := handoff_refusal(spent, limits, len(stack), kind=handoff.kind, active=turn.agent, target=handoff.agent):
            limited = True
            content = _told(content, words)
        else:
            winner, first = index, handoff.agent
            content = content or _done(handoff)
        contents.append(content)
    return winner, contents, limited


def _told(content: Content, words: str) -> Content:
    """What a function returned, and that the handoff it asked for was not made."""
    if isinstance(content, str):
        return f"{content}\n\n{words}" if content else words
    return [*content, {"type": "text", "text": words}]


def _done(handoff: Handoff) -> str:
    match handoff.kind:
        case "transfer":
            return f"Transferred to {handoff.agent}. Adopt persona immediately."
        case "call":
            return f"{handoff.agent} has the floor."
        case "return":
            return f"Returned to {handoff.agent}."
        case _:
            assert_never(handoff.kind)


def _content(slot: Slot) -> Content:
    assert slot.outcome is not None
    match slot.outcome:
        case ToolReturned(content=content):
            return _told_edit(slot, content or "")
        case ToolFailed(words=words) | ToolUnknown(words=words):
            return words
        case _:
            assert_never(slot.outcome)


def approval_id(key: str, asked: int) -> str:
    """The id of the next approval of a call, by the call's key and by how many were asked for it before."""
    return f"{key[:16]}-{asked + 1}" if asked else key[:16]


def _told_edit(slot: Slot, content: Content) -> Content:
    """A result, and that a person had changed the arguments, where one had: the model must not take its own for granted."""
    if slot.approval is None or not slot.approval.edited:
        return content
    words = f"[A person changed the arguments before the call was made, to {slot.approval.arguments}]"
    return f"{words}\n{content}" if isinstance(content, str) else [{"type": "text", "text": words}, *content]


def _entry(turn: Turn, contents: list[Content], winner: int | None) -> Entry:
    """The turn's messages, without generated transfers that lost; `clean` also without those that were refused (R13)."""
    if signed(turn.reply):
        return Entry(_messages(turn, contents, range(len(turn.slots))))
    every = range(len(turn.slots))
    failed = [index for index in every if index != winner and _is_failed_transfer(turn.slots[index].outcome)]
    if not failed:
        return Entry(_messages(turn, contents, every))
    lost = [index for index in failed if winner is not None and isinstance(turn.slots[index].outcome, ToolReturned)]
    messages = _messages(turn, contents, [index for index in every if index not in lost])
    return Entry(messages, clean=_messages(turn, contents, [index for index in every if index not in failed]))


def _is_failed_transfer(outcome: Outcome | None) -> bool:
    """Whether a call that did not win was a generated transfer, refused before it was made or when the turn closed."""
    match outcome:
        case ToolReturned(handoff=handoff):
            return handoff is not None and handoff.generated
        case ToolFailed(transfer=transfer):
            return transfer
        case _:
            return False


def signed(reply: Reply) -> bool:
    """Whether a reply carries fields (signed reasoning, thought signatures) that forbid any edit of it."""
    return bool(reply.extra) or any(call.extra for call in reply.calls)


def _messages(turn: Turn, contents: list[Content], kept: Sequence[int]) -> tuple[Message, ...]:
    reply = turn.reply
    calls = [_sent(turn.slots[i]) for i in kept]
    if not calls and not reply.text:
        return ()
    said = Assistant(reply.text, tuple(calls), turn.agent, None, reply.extra, reply.dialect)
    return (said, *[ToolAnswer(call.id, call.name, contents[i]) for call, i in zip(calls, kept, strict=True)])


def _sent(slot: Slot) -> Call:
    """The call as views hold it; where it was made with other arguments than it came with, these were broken."""
    return sendable(slot.call, slot.started.arguments if slot.started else "{}")


def sendable(call: Call, instead: str = "{}") -> Call:
    """The call as every provider accepts it in a history: a legal name, and arguments that are a JSON object, or else `instead`."""
    if not LEGAL_NAME.fullmatch(call.name):
        call = call._replace(name=re.sub(r"[^a-zA-Z0-9_-]", "_", call.name)[:64] or "invalid_tool")
    return call if call.arguments == instead or is_object(call.arguments) else call._replace(arguments=instead)


def is_object(text: str) -> bool:
    """Tell whether a text is one sound JSON object."""
    try:
        parse(text)
    except ArgumentsRefused:
        return False
    return not text.isspace() and text != ""


def _spend(turn: Turn, spent: Spent, contents: list[Content], handoff: Handoff | None, limited: bool) -> Spent:
    calls = [
        (slot.call.name, slot.started.arguments if slot.started else slot.call.arguments, content)
        for slot, content in zip(turn.slots, contents, strict=True)
    ]
    trail = () if any(_is_work(slot.outcome) for slot in turn.slots) else spent.trail
    if handoff is not None:
        trail = (*trail, handoff.agent)[-4:]
    return spent._replace(
        handoffs=spent.handoffs + (handoff is not None),
        refused_handoffs=spent.refused_handoffs + limited,
        trail=trail,
        calls=calls,
        repeats=spent.repeats + 1 if calls == spent.calls else 1,
    )


def _is_work(outcome: Outcome | None) -> bool:
    """A handoff is none, unless it brings back what a caller had asked for."""
    return isinstance(outcome, ToolReturned) and (outcome.handoff is None or outcome.handoff.kind == "return")


def said(agent: str, reply: Reply) -> tuple[Message, ...]:
    """The message of a reply without calls; none for an empty one."""
    text = reply.text or reply.refusal
    return (Assistant(text, (), agent, reply.refusal, reply.extra, reply.dialect),) if text else ()


def late_note(event: ToolLate) -> User:
    """What the model is told of a result that came late."""
    return User(f"[Late result of the earlier call of {event.name}, whose outcome was unknown: {event.content}]")

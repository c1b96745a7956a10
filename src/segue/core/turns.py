"""One turn: a reply and its calls, from the first call to the last outcome.
Here it is decided what may happen to a call (R8, R25, R28 to R30), and how a call is sent to providers again.
What a turn leaves when it closes is decided elsewhere."""

import re
from typing import NamedTuple, assert_never

from segue.core.arguments import canonical, digest, parse
from segue.core.events import (
    ApprovalAsked,
    ApprovalDecided,
    Outcome,
    ToolFailed,
    ToolReturned,
    ToolSettled,
    ToolStarted,
    ToolUnknown,
)
from segue.core.log import Names
from segue.core.messages import Call, Reply
from segue.errors import ArgumentsRefused, IllegalEvent

LEGAL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What every provider takes for the name of a tool."""

CallEvent = Outcome | ToolStarted | ToolSettled | ApprovalAsked | ApprovalDecided
"""What happens to a call of the open turn."""


class Slot(NamedTuple):
    """One call of the open turn, and how far it has come. `place` names it in the journal: turn, dot, index."""

    call: Call
    """As the model wished it."""
    place: str
    started: ToolStarted | None = None
    drive: int = 0
    """The drive that started it."""
    approval: ApprovalAsked | None = None
    """The question to a person: its id, the call's arguments and their digest, and until when it may be answered."""
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


def open_turn(number: int, agent: str, reply: Reply, ids: Names) -> tuple[Turn, Names]:
    """Give every call a place and an id that no other call has (R8). The same call twice in a reply is one call."""
    slots: list[Slot] = []
    met: set[tuple[str, str, str]] = set()
    for call in reply.calls:
        same = (call.id, call.name, call.arguments)
        if call.id and same in met:
            continue
        met.add(same)
        index = len(slots)
        call = unique(call, f"call_{number}_{index}", ids)
        ids = ids.add(call.id)
        slots.append(Slot(call, f"{number}.{index}"))
    return Turn(agent, reply, tuple(slots), len(slots)), ids


def distinct(calls: tuple[Call, ...]) -> tuple[Call, ...]:
    """The calls, without those that say in another spelling what one of the same id and name says."""
    if len({call.id for call in calls}) == len(calls):
        return calls
    kept: dict[tuple[str, ...], Call] = {}
    for place, call in enumerate(calls):
        kept.setdefault((call.id, call.name, _said(call.arguments)) if call.id else (str(place),), call)
    return tuple(kept.values())


def _said(arguments: str) -> str:
    try:
        return canonical(parse(arguments))
    except ArgumentsRefused:
        return arguments


def unique(call: Call, name: str, ids: Names) -> Call:
    """The call, under another id if its own is empty or taken."""
    if call.id and call.id not in ids:
        return call
    while name in ids:
        name += "_"
    return call._replace(id=name)


def update(turn: Turn, event: CallEvent, drive: int) -> Turn:
    """The turn after something happened to one of its calls. Raises `IllegalEvent` for what cannot have happened."""
    index = _index(turn, event)
    slot = turn.slots[index]
    if slot.outcome is not None:
        raise IllegalEvent(f"The call at {slot.place} has its outcome already: {type(event).__name__} cannot follow.")
    waited = slot.waits
    match event:
        case ToolStarted():
            if waited:
                raise IllegalEvent(f"The call at {slot.place} waits for a person.")
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
            if digest(event.arguments) != event.digest:
                raise IllegalEvent(f"The approval {event.id} is not for the arguments that it shows.")
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


def _index(turn: Turn, event: CallEvent) -> int:
    if isinstance(event, ApprovalDecided):
        for index, slot in enumerate(turn.slots):
            if slot.approval is not None and slot.approval.id == event.id:
                return index
        raise IllegalEvent(f"No approval {event.id} is asked for.")
    place = event.place
    try:
        index = int(place.rpartition(".")[2])
        found = turn.slots[index].place == place
    except (ValueError, IndexError):
        found = False
    if not found:
        raise IllegalEvent(f"There is no call at {place}.")
    return index


def _started(slot: Slot, event: ToolStarted, drive: int) -> Slot:
    first, approval = slot.started, slot.approval
    if first is not None:
        if slot.drive == drive or first.effect == "once":
            raise IllegalEvent(f"The call at {slot.place} was started already.")
        if (event.name, event.arguments, event.approval) != (first.name, first.arguments, first.approval):
            raise IllegalEvent(f"The call at {slot.place} was begun as another one: it cannot be begun again as this.")
    elif event.approval != (approval.id if approval else None) or (approval and approval.arguments != event.arguments):
        raise IllegalEvent(f"The call at {slot.place} was not approved as it is.")
    return slot._replace(started=event, drive=drive)


def _decided(slot: Slot, event: ApprovalDecided) -> Slot:
    approval = slot.approval
    assert approval is not None
    if slot.decision is not None or approval.digest != event.digest:
        raise IllegalEvent(f"The approval {event.id} is decided already, or is for other arguments.")
    if approval.inner:
        return slot._replace(decision=event, drive=-1)  # to be taken up again by any drive, and told to the one that asked
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
        elif slot.waits:
            words = slot.doubt.words if slot.doubt is not None else _LEFT_WAITING.format(name=slot.call.name)
            turn = update(turn, ToolUnknown(slot.place, words), 0)
    return turn


_LEFT_WAITING = (
    "Ended while it waited for a person, because the user has said something new. "
    "It is not known what {name} had done before. Do not repeat it."
)


def call_key(conversation: str, scope: str, arguments: str) -> str:
    """The same for each attempt at a call, and for no other call (R26). `scope`: its place, or what stands for it."""
    return digest(f"{conversation}\n{scope}\n{arguments}")[:32]


def approval_id(conversation: str, slot: Slot, arguments: str) -> str:
    """The id of a call's next approval: of its place, of the arguments, and of how many were asked for it before."""
    key = call_key(conversation, slot.place, arguments)[:16]  # by place also for a unique tool, whose own key has none
    return f"{key}-{slot.asked + 1}" if slot.asked else key


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

"""Random journals: a walk through the machine that looks at where it stands and lets something happen that may happen.
Now and then something happens that may not; the walk keeps both, and judges nothing."""

from dataclasses import dataclass, field, replace
from typing import Any

from segue.core.conversation import Conversation, EndRun, Status, next_steps
from segue.core.events import (
    AllowanceGiven,
    ApprovalAsked,
    ApprovalDecided,
    DriveStarted,
    Event,
    InputGiven,
    InstructionsRendered,
    ModelReplied,
    Started,
    ToolFailed,
    ToolLate,
    ToolReturned,
    ToolSettled,
    ToolStarted,
    ToolUnknown,
)
from segue.core.fold import ACCEPTS, apply
from segue.core.messages import UNUSED, Reply, Usage, User
from segue.core.turns import Slot
from segue.errors import IllegalEvent
from tests.laws import vocabulary as v
from tests.laws.vocabulary import Chance, likely, one_of


def snapshot(c: Conversation) -> Any:
    """Everything of a conversation that shares storage with others, copied; the rest is tuples, which cannot change."""
    return c.log.since(0), set(c.ids), dict(c.context), dict(c.instructions), dict(c.uniques), dict(c.fingerprint)


@dataclass
class Journal:
    """Events, with the conversation before each of them and after the last."""

    events: list[Event] = field(default_factory=list)
    states: list[Conversation] = field(default_factory=lambda: [Conversation()])
    kept: dict[int, Any] = field(default_factory=dict)
    """Copies of every fourth state, by its number, made when it was new."""
    refused: list[tuple[int, Event]] = field(default_factory=list)
    """Events that must be refused, with the number of the state to which they were offered."""
    broken: str = ""
    """What `apply` raised instead of refusing."""

    def append(self, event: Event) -> None:
        """Let something happen. What is refused leaves the journal as it is, and raises."""
        self.states.append(apply(self.states[-1], event))
        self.events.append(event)
        if len(self.events) % 4 == 2:
            self.kept[len(self.events)] = snapshot(self.states[-1])

    @classmethod
    def of(cls, events: list[Event]) -> "Journal":
        """Fold events."""
        journal = cls()
        for event in events:
            journal.append(event)
        return journal


def walk(chance: Chance, most: int = 32) -> Journal:
    """A random journal of up to `most` events."""
    journal = Journal()
    for _ in range(4 + int(chance.random() * (most - 4))):
        c = journal.states[-1]
        if likely(chance, 0.04):
            journal.refused.append((len(journal.events), illegal(chance, c)))
        wild = likely(chance, 0.03)
        event = anything(chance, c) if wild else legal(chance, c)
        try:
            journal.append(event)
        except IllegalEvent:
            if not wild:
                raise
            journal.refused.append((len(journal.events), event))
        except Exception as error:
            journal.broken = f"{type(error).__name__}: {error} at {event!r}"
            break
    return journal


def legal(chance: Chance, c: Conversation) -> Event:
    """Something that may happen now."""
    if c.status is Status.NEW:
        return v.started(chance)
    if likely(chance, 0.06 if c.idle_drives < 2 else 0.5):  # who dies twice in a row may well die again
        return v.drive(chance)
    if likely(chance, 0.02):
        return ToolLate(f"{c.turns}.0", "refund", "paid after all")
    match c.status:
        case Status.IDLE:
            return v.given(chance, c.seq)
        case Status.MODEL:
            return _while_asked(chance, c)
        case Status.ENDED:
            return _after_the_end(chance, c)
        case _:
            return _while_called(chance, c)


def _while_asked(chance: Chance, c: Conversation) -> Event:
    step = next_steps(c)[0]
    if likely(chance, 0.04):
        return v.given(chance, c.seq)
    if isinstance(step, EndRun):
        return step.event
    if likely(chance, 0.04):
        return InstructionsRendered(c.active, f"instructions {c.seq}")
    return v.ended(chance) if likely(chance, 0.05) else v.replied(chance, c.active)


def _after_the_end(chance: Chance, c: Conversation) -> Event:
    assert c.ended is not None
    resumable = c.ended.reason != "input guard"
    if c.turn is not None or (resumable and likely(chance, 0.5)):
        return AllowanceGiven(one_of(chance, v.LIMITS), "ann")
    return v.given(chance, c.seq)


def _while_called(chance: Chance, c: Conversation) -> Event:
    if likely(chance, 0.04):
        return v.given(chance, c.seq)
    if likely(chance, 0.02):
        return v.ENDED_PARKED
    steps = next_steps(c)
    if steps and isinstance(steps[0], EndRun) and likely(chance, 0.8):
        return steps[0].event
    assert c.turn is not None
    slot = one_of(chance, [slot for slot in c.turn.slots if slot.outcome is None])
    if slot.doubt is not None:
        return _in_doubt(chance, slot)
    if slot.approval is not None and slot.decision is None:
        return _asked(chance, slot)
    if slot.started is None:
        return _open(chance, c, slot)
    again = slot.drive < c.drive and slot.started.effect != "once"
    return _again(chance, slot.started) if again and likely(chance, 0.5) else _begun(chance, c, slot)


def _open(chance: Chance, c: Conversation, slot: Slot) -> Event:
    if slot.approval is None and likely(chance, 0.6 if slot.asked else 0.1):
        return _ask(chance, slot, c.seq)
    if slot.approval is not None:
        return _ask(chance, slot, c.seq) if likely(chance, 0.1) else _begin(chance, slot)
    if likely(chance, 0.25):
        transfer = v.handoff(chance, True, _caller(c))
        return ToolReturned(slot.place, one_of(chance, v.CONTENTS), transfer)
    if likely(chance, 0.25):
        return ToolFailed(slot.place, one_of(chance, v.FAILURES), "Not done.", likely(chance, 0.4))
    return _begin(chance, slot)


def _begin(chance: Chance, slot: Slot) -> Event:
    approval = slot.approval
    arguments = approval.arguments if approval else one_of(chance, v.CANONICAL)
    effect, approved = one_of(chance, v.EFFECTS), approval.id if approval else None
    return ToolStarted(slot.place, slot.call.name, arguments, effect, "key", approved, likely(chance, 0.3))


def _again(chance: Chance, started: ToolStarted) -> Event:
    """A later drive begins a call again, perhaps under other code, by which its effect is another."""
    return replace(started, effect=one_of(chance, ("read", "once"))) if likely(chance, 0.1) else started


def _begun(chance: Chance, c: Conversation, slot: Slot) -> Event:
    assert slot.started is not None
    if slot.started.effect == "keyed" and slot.started.approval is None and likely(chance, 0.4):
        return _ask(chance, slot, c.seq, inner=f"c/{slot.place}")
    usage, cost = (Usage(3, 2), 0.1) if slot.approval is not None and slot.approval.inner else (UNUSED, 0.0)
    if likely(chance, 0.15):
        return ToolFailed(slot.place, one_of(chance, ("raised", "timeout", "cancelled")), "It failed.", usage=usage, cost=cost)
    if likely(chance, 0.12):
        return ToolUnknown(slot.place, "Outcome unknown.", likely(chance, 0.5))
    chosen = v.handoff(chance, likely(chance, 0.1), _caller(c)) if likely(chance, 0.2) else None
    return ToolReturned(slot.place, one_of(chance, v.CONTENTS), chosen, one_of(chance, v.CONTEXTS), usage=usage, cost=cost)


def _ask(chance: Chance, slot: Slot, number: int, inner: str = "") -> Event:
    """A call is put to a person: for the first time, or once more with arguments that a person has edited; or one of an inner agent is."""
    arguments = one_of(chance, v.CANONICAL)
    edited = not inner and slot.asked > 0 and likely(chance, 0.5)
    name = "pay" if inner else slot.call.name
    return ApprovalAsked(
        f"approval-{number}", slot.place, "Refunds", name, arguments, v.digest(arguments), "", 9.5, inner=inner, edited=edited
    )


def _asked(chance: Chance, slot: Slot) -> Event:
    assert slot.approval is not None
    if likely(chance, 0.1):
        return ToolFailed(slot.place, "cancelled", "Not done.")
    decision = "approve" if likely(chance, 0.5) else one_of(chance, ("deny", "expired", "superseded", "superseded"))
    return ApprovalDecided(slot.approval.id, slot.approval.digest, decision, "ann", one_of(chance, ("", "too much")))  # type: ignore[arg-type]


def _in_doubt(chance: Chance, slot: Slot) -> Event:
    settled = ToolSettled(slot.place, "it was paid", "ann")
    return one_of(chance, (settled, settled, ToolReturned(slot.place, "paid"), ToolUnknown(slot.place, "Nobody knows.")))


def _caller(c: Conversation) -> str:
    return c.stack[-2].agent if len(c.stack) > 1 else ""


def anything(chance: Chance, c: Conversation) -> Event:
    """Something of a kind that the status accepts, about any call, by any agent."""
    kinds = sorted(ACCEPTS[c.status], key=lambda kind: kind.__name__)
    kind = one_of(chance, kinds)
    place = f"{one_of(chance, (c.turns, c.turns, max(0, c.turns - 1)))}.{one_of(chance, ('0', '0', '1', '3', 'x', '²', ''))}"
    arguments = one_of(chance, v.CANONICAL)
    match kind.__name__:
        case "Started":
            return v.started(chance)
        case "InputGiven":
            return v.given(chance, c.seq)
        case "DriveStarted":
            return DriveStarted("another", {"Triage": {"instructions": "a1"}})
        case "InstructionsRendered":
            return InstructionsRendered(one_of(chance, v.AGENTS), "others")
        case "ModelReplied":
            return v.replied(chance, one_of(chance, v.AGENTS))
        case "ToolStarted":
            return ToolStarted(place, "refund", arguments, one_of(chance, v.EFFECTS), "", one_of(chance, (None, "approval-3")))
        case "ToolReturned":
            given = v.handoff(chance, likely(chance, 0.5), one_of(chance, v.AGENTS)) if likely(chance, 0.5) else None
            return ToolReturned(place, one_of(chance, v.CONTENTS), given, one_of(chance, v.CONTEXTS))
        case "ToolFailed":
            return ToolFailed(place, one_of(chance, v.FAILURES), "words", likely(chance, 0.5))
        case "ToolUnknown":
            return ToolUnknown(place, "words", likely(chance, 0.5))
        case "ToolSettled":
            return ToolSettled(place, "content")
        case "ToolLate":
            return ToolLate(place, "refund", "content")
        case "ApprovalAsked":
            inner = one_of(chance, ("", "c/1.0"))
            return ApprovalAsked("approval-3", place, "Sales", "refund", arguments, v.digest(arguments), inner=inner)
        case "ApprovalDecided":
            decision = one_of(chance, ("approve", "superseded"))
            return ApprovalDecided("approval-3", v.digest(arguments), decision)  # type: ignore[arg-type]
        case "RunEnded":
            return v.ended(chance)
        case _:
            return AllowanceGiven(one_of(chance, v.LIMITS))


def illegal(chance: Chance, c: Conversation) -> Event:
    """Something that must not happen now."""
    wrong: list[Event] = [
        InputGiven("empty", ()),
        InputGiven("empty", (User(""),)),
        InputGiven("limits", (User("x"),), limits={"turns": 0}),
        ModelReplied("nobody", Reply("Hi.")),
        ToolReturned("0.0", "never made"),
        ApprovalDecided("never asked", "", "approve"),
    ]
    if c.status is not Status.NEW:
        wrong.append(Started("again", "Triage"))
    if c.status is not Status.ENDED:
        wrong.append(AllowanceGiven())
    if c.status is not Status.MODEL:
        wrong.append(ModelReplied(c.active, Reply("Hi.")))
        wrong.append(InstructionsRendered(c.active, "late"))
    if c.turn is not None:
        wrong.append(v.ENDED_FAILED)
        wrong.extend(_wrong_for(one_of(chance, c.turn.slots)))
    return one_of(chance, wrong)


def _wrong_for(slot: Slot) -> list[Event]:
    place, started, approval = slot.place, slot.started, slot.approval
    if slot.outcome is not None:
        return [
            ToolReturned(place, "twice"),
            ToolFailed(place, "raised", "twice"),
            ToolUnknown(place, "twice"),
            ToolSettled(place, "twice"),
        ]
    wrong: list[Event] = []
    own = ApprovalAsked("fresh", place, "Refunds", "refund", "{}", v.digest("{}"))
    if started is None:
        wrong += [ToolReturned(place, "never started"), ToolUnknown(place, "never started"), replace(own, inner=f"c/{place}")]
    else:
        wrong.append(own)  # it is too late
        wrong.append(replace(started, arguments='{"amount":5000}'))
        wrong.append(replace(started, approval="another"))
        if started.effect == "once":
            wrong.append(started)
    if slot.doubt is None:
        wrong.append(ToolSettled(place, "not in doubt"))
    if approval is None:
        wrong.append(ToolStarted(place, "refund", "{}", "once", "", "never asked"))
    else:
        wrong.append(ToolStarted(place, "refund", '{"amount":5000}', "once", "", approval.id))
        wrong.append(ApprovalDecided(approval.id, "another digest", "approve"))
        wrong.append(replace(own, id=approval.id))
        wrong.append(replace(own, id=approval.id, inner=f"c/{place}"))
        if slot.decision is not None:
            wrong.append(replace(slot.decision, decision="deny"))
        elif started is None:
            wrong.append(ToolStarted(place, slot.call.name, approval.arguments, "once", "", approval.id))  # not approved yet
    return wrong

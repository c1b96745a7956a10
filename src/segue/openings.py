"""What an act from outside appends: an input, a decision, an allowance, a cancel, what was found out of a call.
Each function is given the conversation as it stands and says which events the act is; it writes nothing, and reads no clock.
An act that cannot be is a typed error whose words tell why."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Literal, NamedTuple, assert_never

from segue.core.arguments import canonical, parse
from segue.core.arguments import digest as digest_of
from segue.core.conversation import Conversation, Status
from segue.core.events import (
    SUPERSEDED,
    AllowanceGiven,
    ApprovalAsked,
    ApprovalDecided,
    DriveStarted,
    Event,
    InputGiven,
    Outcome,
    RunEnded,
    Started,
    ToolFailed,
    ToolSettled,
    ToolStarted,
    ToolUnknown,
)
from segue.core.fold import replay
from segue.core.limits import Limits
from segue.core.messages import NOTHING, Json, Message
from segue.core.turns import Slot, approval_id
from segue.errors import ApprovalError, ConversationBusy, ConversationParked, UsageError
from segue.outcomes import unknown_words


def existing(c: Conversation, name: str = "") -> None:
    """Raise `UsageError` for a conversation that the journal does not have."""
    if c.status is Status.NEW:
        raise UsageError(f"There is no conversation {name or c.id!r} in this journal.")


# ---- approvals -------------------------------------------------------------


class Decision(NamedTuple):
    """What a decision appends. With `refused`, the decision came too late: append the events, then raise it."""

    events: list[Event]
    refused: ApprovalError | None = None


def decided(
    c: Conversation,
    approval: str,
    digest: str,
    decision: Literal["approve", "deny"],
    *,
    by: str = "",
    reason: str = "",
    arguments: Mapping[str, Json] | None = None,
    now: float,
) -> Decision:
    """Decide about one exact call, by its approval's id and digest (R29). The first decision holds.

    `arguments`: the call is approved with these in place of its own; that is another approval, decided by whoever edits.
    Raises `ApprovalError`, whose `reason` says why: "unknown" (no call that is open now was put under this id; see `past`),
    "changed" (the digest is another one), "expired", "decided" or "consumed" (the call was begun with it).
    """
    existing(c)
    if not isinstance(approval, str):
        raise UsageError(f"An approval is named by its id, a text, and not by {type(approval).__name__}: slot.approval.id.")
    if arguments is not None and decision != "approve":
        raise UsageError("Arguments are changed by approving a call with them, not by denying it.")
    slot = next((slot for slot in (c.turn.slots if c.turn else ()) if slot.approval is not None and slot.approval.id == approval), None)
    if slot is None or slot.approval is None:
        raise _refused(c.id, approval, "unknown", "never was asked for in this conversation")
    asked = slot.approval
    if slot.decision is not None:
        raise _refused(c.id, approval, *_fate(slot.decision, begun=slot.started is not None and not asked.inner))
    if asked.digest != digest:
        words = "is for other arguments than the digest says: look at the call again, and decide about what it is now"
        raise _refused(c.id, approval, "changed", words)
    if not slot.waits:
        raise _refused(c.id, approval, "decided", "has been settled without a decision: its call was ended")
    if c.status is Status.ENDED:
        raise ConversationParked(f"The conversation {c.id} is parked: resume it first, then decide.", conversation=c.id)
    if asked.expires is not None and asked.expires <= now:
        return Decision(expired(c, now), _refused(c.id, approval, "expired", "has expired: the call was not made, and the model is told"))
    text = asked.arguments if arguments is None else _canonical(arguments)
    if text == asked.arguments:
        return Decision([ApprovalDecided(approval, digest, decision, by, reason)])
    if asked.inner:
        raise UsageError(f"The agent that {asked.agent} uses as a tool asks for this call: approve or deny it as it is.")
    return Decision(_edited(c, slot, asked, text, by, reason))


def _canonical(arguments: Mapping[str, Json]) -> str:
    if not isinstance(arguments, Mapping):
        raise UsageError(f"arguments={arguments!r}: give a dict of them all, as in json.loads(approval.arguments).")
    text = canonical(dict(arguments))
    parse(text)  # what a model could not have asked for is not to be had by a decision either (R4)
    return text


def _edited(c: Conversation, slot: Slot, asked: ApprovalAsked, text: str, by: str, reason: str) -> list[Event]:
    """The old question makes room for one about the new arguments, which whoever wrote them has approved."""
    new = ApprovalAsked(
        id=approval_id(c.id, slot, text),
        place=asked.place,
        agent=asked.agent,
        name=asked.name,
        arguments=text,
        digest=digest_of(text),
        fingerprint=asked.fingerprint,
        expires=asked.expires,
        edited=True,
    )
    superseded = ApprovalDecided(asked.id, asked.digest, "superseded", by, "approved with other arguments")
    return [superseded, new, ApprovalDecided(new.id, new.digest, "approve", by, reason)]


def _refused(conversation: str, approval: str, reason: str, words: str) -> ApprovalError:
    return ApprovalError(f"The approval {approval} {words}.", conversation=conversation, reason=reason, approval=approval)


def _fate(decision: ApprovalDecided, *, begun: bool) -> tuple[str, str]:
    """Why a decided approval takes no other decision: a word for programs, and words."""
    by = f" by {decision.by}" if decision.by else ""
    match decision.decision:
        case "approve":
            return ("consumed", f"was given{by}, and its call has been begun") if begun else ("decided", f"was given already{by}")
        case "deny":
            return "decided", f"was denied already{by}"
        case "expired":
            return "expired", "has expired: the call was not made, and the model was told"
        case "superseded":
            return "changed", f"was replaced{by} by one for other arguments: look for the call's new approval"
        case _:
            assert_never(decision.decision)


def past(error: ApprovalError, events: Iterable[Event]) -> ApprovalError:
    """The same error; or, where what is "unknown" to the open turn is known to the conversation's events, one that tells of it."""
    if error.reason != "unknown":
        return error
    asked, begun = False, False
    decision: ApprovalDecided | None = None
    for event in events:
        match event:
            case ApprovalAsked(id=id) if id == error.approval:
                asked = True
            case ApprovalDecided(id=id) if id == error.approval:
                decision = event
            case ToolStarted(approval=id) if id == error.approval:
                begun = True
            case _:
                pass
    if decision is not None:
        return _refused(error.conversation or "", error.approval, *_fate(decision, begun=begun))
    if asked:
        words = "is not waited for any more: the run was ended, or the tool had changed and the call was put to a person anew"
        return _refused(error.conversation or "", error.approval, "decided", words)
    return error


def expired(c: Conversation, now: float) -> list[Event]:
    """The approvals whose time is over, as whoever looks next writes them down (R30)."""
    if c.status not in (Status.TOOLS, Status.HUMAN):
        return []
    asked = [slot.approval for slot in c.waiting if slot.doubt is None and slot.approval is not None]
    return [ApprovalDecided(one.id, one.digest, "expired") for one in asked if one.expires is not None and one.expires <= now]


# ---- calls in doubt --------------------------------------------------------


def settled(c: Conversation, place: str, content: str, *, by: str = "") -> list[Event]:
    """Say what came of a call that a person was asked about. Raises `UsageError` where that is no such call."""
    existing(c)
    doubtful = [slot for slot in c.waiting if slot.doubt is not None]
    if not any(slot.place == place for slot in doubtful):
        listed = ", ".join(f"{slot.place} ({slot.call.name})" for slot in doubtful) or "none"
        raise UsageError(f"No call at {place} of conversation {c.id} waits to be settled. Waiting to be settled: {listed}.")
    if c.status is Status.ENDED:
        raise ConversationParked(f"The conversation {c.id} is parked: resume it first, then settle.", conversation=c.id)
    return [ToolSettled(place, content, by)]


# ---- runs ------------------------------------------------------------------


def given(
    c: Conversation,
    run: InputGiven,
    *,
    conversation: str,
    entry: str,
    earlier: tuple[Message, ...] = (),
    reject: bool = True,
    driven: bool = False,
    now: float,
) -> list[Event]:
    """Give a conversation an input, or open one with it.

    `earlier`: what was said before, elsewhere; a new conversation only takes it. `reject`: refuse where a run is going on or
    waits, instead of what `run.busy` says. `driven`: a living driver has the conversation. A run that was left by a dead one
    is gone on with where the input is queued, and gives way to it otherwise.
    """
    if c.status is Status.NEW:
        return [Started(conversation, entry, NOTHING, earlier), run]
    if earlier:
        count = len(earlier) + 1
        raise UsageError(f"The conversation {conversation} exists: give the user's new message alone, not {count} messages.")
    late = expired(c, now)
    c = replay(late, c)
    match c.status:
        case Status.IDLE:
            return [*late, run]
        case Status.ENDED:
            if c.turn is not None:
                raise ConversationParked(f"The conversation {conversation} is parked: resume it first.", conversation=conversation)
            return [run]
        case Status.HUMAN:
            if reject:
                asked = ", ".join(f"{slot.call.name} ({_asked(slot)})" for slot in c.waiting)
                raise ConversationBusy(
                    f"The conversation {conversation} waits for a person: {asked}. Answer that first (approve, deny; settle, where it is "
                    'unknown what came of a call), or give busy="queue" or busy="interrupt".',
                    conversation=conversation,
                    waiting_for=c.waiting,
                )
            return [*late, run]
        case _:
            if driven and reject:
                raise ConversationBusy(
                    f'The conversation {conversation} is being run. Wait for it, or give busy="queue" or busy="interrupt".',
                    conversation=conversation,
                )
            goes_on = driven or (run.busy == "queue" and not reject)
            return [*late, run] if goes_on else [*late, *cancelled(c, SUPERSEDED), run]


def _asked(slot: Slot) -> str:
    return f"approval {slot.approval.id}" if slot.approval is not None and slot.doubt is None else f"unknown, at {slot.place}"


def resumed(c: Conversation, limits: Limits | None = None, *, by: str = "", now: float) -> list[Event] | Conversation:
    """Go on with a conversation where it was left: an ended run gets a new allowance, under `limits` if given.

    The conversation itself, where there is nothing to go on with: it is done, or still waits.
    """
    existing(c)
    match c.status:
        case Status.ENDED:
            if c.ended is not None and c.ended.reason == "input guard":
                raise UsageError("The input was refused by a guard: there is nothing to resume. Give another input.")
            more = allowance(limits, c.run.limits, by=by)
            return [more, *expired(replay([more], c), now)]
        case Status.HUMAN:
            return expired(c, now) or c
        case Status.MODEL | Status.TOOLS:
            return expired(c, now)
        case Status.NEW | Status.IDLE:
            return c
        case _:
            assert_never(c.status)


def allowance(limits: Limits | None, before: Limits, *, by: str = "") -> AllowanceGiven:
    """A new allowance, under the limits that are given, or under those that hold."""
    if limits is None:
        return AllowanceGiven(by=by)
    changes = {one.name: getattr(limits, one.name) for one in fields(limits) if getattr(limits, one.name) != getattr(before, one.name)}
    if changes.get("prices"):
        changes["prices"] = {model: list(price) for model, price in changes["prices"].items()}
    return AllowanceGiven(changes, by)


def cancelled(c: Conversation, end: RunEnded, *, drive: int | None = None) -> list[Event]:
    """The events that end a run now: an outcome for each open call that nobody waits for, and the end; none if it is over.

    `drive`: the one that ends it, which knows that no call with a start of its own is still under way.
    """
    if c.status in (Status.NEW, Status.IDLE, Status.ENDED):
        return []
    return [*(_left(slot, end, drive) for slot in (c.turn.slots if c.turn else ()) if slot.outcome is None), end]


def taken_over(c: Conversation, end: RunEnded) -> list[Event]:
    """`cancelled`, by whoever does not drive: a driver that lives elsewhere begins nothing more, and what it has begun is told late."""
    if c.status is Status.ENDED and c.turn is not None:  # parked with calls that this code may not be able to end
        more = AllowanceGiven()
        return [more, *cancelled(replay([more], c), end)]
    events = cancelled(c, end)
    return [DriveStarted(""), *events] if c.running else events


def _left(slot: Slot, end: RunEnded, drive: int | None) -> Outcome:
    """The outcome of an open call that nobody waits for."""
    if slot.started is not None and slot.started.effect != "read" and (slot.drive != drive or slot.waits):
        return ToolUnknown(slot.place, unknown_words(slot.call.name, "the run was ended while it ran"))
    return ToolFailed(slot.place, "cancelled", f"Not called: {end.words or 'the run was ended.'}")

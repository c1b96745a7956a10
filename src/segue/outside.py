"""Acts on a stored conversation by whoever has its journal: no team, no model, no driver is needed.
An act is read from the conversation and appended to it. A driver that lives elsewhere meets it at its next append."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from segue.core.conversation import Conversation, Status
from segue.core.events import CANCELLED, DriveStarted, Event, InputGiven, Started, ToolFailed, ToolStarted, ToolUnknown
from segue.core.fold import replay
from segue.core.messages import Json
from segue.errors import ApprovalError, ForkRefused, JournalConflict, UsageError
from segue.journal.base import ATTEMPTS, Journal, Stored, fold, skimmed, summary_of
from segue.openings import decided, existing, past, taken_over

Opening = Callable[[Conversation], Sequence[Event] | Conversation]
"""Says which events an act is, by the conversation as it stands; or gives a conversation, where there is nothing to append."""


async def tell(journal: Journal, conversation: str, opening: Opening, *, at: float) -> Conversation:
    """Append an act to a conversation, and give the conversation as it then is.

    `opening` is asked again where another writer was faster; what it raises comes out, with nothing written. For a
    conversation that the journal does not have, it is given an empty one of that id. Raises `JournalConflict` where others
    are faster time and again.
    """
    c = Conversation(id=conversation)
    for _ in range(ATTEMPTS):
        c = fold(await journal.read(conversation, after=c.seq), c)
        events = opening(c)
        if isinstance(events, Conversation):
            return events
        if not events:
            return c
        after = replay(events, c)
        if c.status is not Status.NEW and not c.running and after.running:
            events = [DriveStarted(""), *events]  # who drove it last is done with it, and must not seem to drive what is left to do now
            after = replay(events, c)
        try:
            await journal.append(conversation, c.seq + 1, list(events), at=at, summary=summary_of(after))
        except JournalConflict:
            continue
        return after
    raise JournalConflict(
        f"Others wrote to conversation {conversation} {ATTEMPTS} times in a row while this was to be written. Nothing was: try again.",
        conversation=conversation,
    )


async def decide(
    journal: Journal,
    conversation: str,
    approval: str,
    digest: str,
    decision: Literal["approve", "deny"],
    *,
    by: str = "",
    reason: str = "",
    arguments: Mapping[str, Json] | None = None,
    at: float,
) -> Conversation:
    """Approve or deny a call, by its approval's id and digest. Whoever drives next goes on with it.

    `reason`: of a denial, the model reads it. `arguments`: approve the call with these instead; whether the tool takes them is
    seen when it is to be made. Raises `ApprovalError`, whose `reason` says why, where it cannot be decided. That an approval has
    expired is written down first.
    """
    refused: list[ApprovalError | None] = []

    def opening(c: Conversation) -> Sequence[Event]:
        made = decided(c, approval, digest, decision, by=by, reason=reason, arguments=arguments, now=at)
        refused[:] = [made.refused]
        return made.events

    try:
        c = await tell(journal, conversation, opening, at=at)
    except ApprovalError as error:
        raise past(error, [row.event for row in await journal.read(conversation)]) from None
    if refused[0] is not None:
        raise refused[0]
    return c


async def cancel(journal: Journal, conversation: str, *, at: float) -> bool:
    """End the run of a conversation, and of agents that it uses as tools just now; `False` if none goes on or waits.

    A driver that lives elsewhere stops when it next writes, and what it had begun is told late.
    """
    told: list[Event] = []

    def opening(c: Conversation) -> Sequence[Event]:
        existing(c)
        told[:] = taken_over(c, CANCELLED)
        return told

    # before and after: a crash in between leaves no agent at work for nobody, nor does a driver that begins one meanwhile
    opening(fold(await journal.read(conversation), Conversation(id=conversation)))
    await end_inner(journal, conversation, left_open(told), at=at)
    await tell(journal, conversation, opening, at=at)
    await end_inner(journal, conversation, left_open(told), at=at)
    return bool(told)


def left_open(events: Iterable[Event]) -> list[str]:
    """The places of calls that by these events nobody waits for any more."""
    return [event.place for event in events if isinstance(event, ToolUnknown | ToolFailed)]


async def end_inner(journal: Journal, conversation: str, places: Iterable[str], *, at: float) -> None:
    """End what agents do that were used as tools, in calls that are not waited for any more."""
    for inner in [f"{conversation}/{place}" for place in places]:
        if await journal.read(inner):
            await cancel(journal, inner, at=at)


async def family(journal: Journal, conversation: str) -> list[str]:
    """A conversation's id and, after it, those of the conversations of agents that it used as tools; none for one that is not there."""
    rows = await skimmed(journal, conversation)
    names = [conversation] if rows else []
    for place in dict.fromkeys(event.place for _, _, event in rows if isinstance(event, ToolStarted)):
        names += await family(journal, f"{conversation}/{place}")
    return names


async def fork(
    journal: Journal,
    conversation: str,
    *,
    at: int | None = None,
    effects: Literal["refuse", "allow"] = "refuse",
    new_id: str,
    now: float,
) -> str:
    """Open a conversation `new_id` with the events of another up to a place, and give its id.

    `at`: a place between turns; the last one by default. The copy has no keys of inputs and no drivers, and its events have
    the time of the fork; no event is copied without its end. Raises `ForkRefused` where calls lie beyond the place that may
    have changed the world, unless `effects` is "allow": the copy could make them again.
    """
    if effects not in ("refuse", "allow"):
        raise UsageError(f'effects={effects!r}: give "refuse" or "allow".')
    rows = await journal.read(conversation)
    existing(fold(rows), conversation)
    place = _boundary(rows, at, conversation)
    beyond = [row.event for row in rows[place:] if isinstance(row.event, ToolStarted) and row.event.effect != "read"]
    if beyond and effects == "refuse":
        listed = ", ".join(dict.fromkeys(f"{start.place} {start.name}" for start in beyond))
        raise ForkRefused(
            f"Beyond place {place} of conversation {conversation} lie calls that may have changed the world, and a fork could make "
            f'them again: {listed}. Fork at a later place, or say that it may: effects="allow", or --allow-effects.',
            conversation=conversation,
            calls=tuple(dict.fromkeys(start.place for start in beyond)),
        )
    events = [_copy(row.event, new_id, f"{conversation}@{place}") for row in rows[:place]]
    try:
        await journal.append(new_id, 1, events, at=now, summary=summary_of(replay(events)))
    except JournalConflict as error:
        raise UsageError(f"There is a conversation {new_id} already: a fork needs an id of its own.") from error
    return new_id


def _boundary(rows: Sequence[Stored], at: int | None, conversation: str) -> int:
    """The place to fork at, if it is one: after an event that leaves no call open."""
    if at is not None and not 1 <= at <= len(rows):
        raise UsageError(f"Conversation {conversation} has no place {at}: its places are 1 to {len(rows)}.")
    c, last = Conversation(), 1
    for row in rows[:at]:
        c = fold([row], c)
        if c.turn is None:
            last = row.seq
    if at is not None and at != last:
        raise UsageError(
            f"Place {at} of conversation {conversation} stands inside a turn, with calls that have no outcome yet. "
            f"The nearest place before it to fork at is {last}."
        )
    return last


def _copy(event: Event, conversation: str, origin: str) -> Event:
    match event:
        case Started():
            return replace(event, conversation=conversation, origin=origin)
        case InputGiven():
            return replace(event, key=None)  # a key stands for one input in the whole journal
        case DriveStarted():
            return replace(event, driver="")  # whoever drove the one does not drive the other
        case _:
            return event

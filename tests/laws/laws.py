"""The laws of the core, each a question to a journal: what is broken, in words, or `None`.
`places` are the states at which a law is tried; all of them is thorough, a few chosen ones are what a long run can pay for."""

from collections import Counter
from collections.abc import Callable, Sequence

from segue.core.codec import decode, encode
from segue.core.conversation import CallModel, Conversation, Status, next_steps
from segue.core.events import (
    ApprovalAsked,
    ApprovalDecided,
    DriveStarted,
    Event,
    InputGiven,
    ModelReplied,
    ToolFailed,
    ToolLate,
    ToolReturned,
    ToolSettled,
    ToolStarted,
    ToolUnknown,
)
from segue.core.fold import apply, replay
from segue.core.messages import System, User
from segue.core.turns import CUT
from segue.core.view import check, view
from segue.errors import IllegalEvent
from tests.laws.generator import Journal, snapshot

Law = Callable[[Journal, Sequence[int]], str | None]

WAITING = (Status.NEW, Status.IDLE, Status.HUMAN, Status.ENDED)
OUTCOMES = (ToolReturned, ToolFailed, ToolUnknown, ToolSettled)


def l1_a_fold_may_be_cut_anywhere(journal: Journal, places: Sequence[int]) -> str | None:
    """Fold the rest onto an earlier state, whose storage later states share: the end is the same."""
    end = journal.states[-1]
    for place in places:
        if replay(journal.events[place:], journal.states[place]) != end:
            return f"folding on from event {place} leads elsewhere"
    for place, c in enumerate(journal.states):
        if c.seq != place:
            return f"the state after {place} events says that there were {c.seq}"
    return None


def l2_no_steps_left_means_waiting_or_ended(journal: Journal, places: Sequence[int]) -> str | None:
    """For a new driver always; for one at work but for the calls that it has begun itself."""
    for place, c in enumerate(journal.states):
        if c.turn is None or c.status is Status.ENDED:
            if bool(next_steps(c)) == (c.status in WAITING):
                return f"before event {place}, {c.status.value}: the steps do not fit"
            continue
        if bool(next_steps(c._replace(drive=c.drive + 1))) == (c.status in WAITING):
            return f"before event {place}, {c.status.value}: the steps of a new driver do not fit"
        if not next_steps(c) and not all(slot.outcome or slot.waits or (slot.started and slot.drive == c.drive) for slot in c.turn.slots):
            return f"before event {place}: nothing is left to do, and a call is forgotten"
    return None


def l3_each_call_has_one_outcome_before_the_model_speaks_again(journal: Journal, places: Sequence[int]) -> str | None:
    """Counted from the events alone; the calls that an interrupting input has ended are told by the state after it."""
    asked: dict[str, str] = {}
    doubted: set[str] = set()
    had: Counter[str] = Counter()
    expected: list[str] = []
    for number, event in enumerate(journal.events):
        before, after = journal.states[number], journal.states[number + 1]
        if isinstance(event, ModelReplied):
            if [place for place in expected if had[place] != 1]:
                return f"event {number}: the model speaks, and the outcomes so far are {dict(had)}"
            had.clear()
            whole = event.reply.calls and event.reply.finish not in CUT and not event.reply.refusal
            expected = [slot.place for slot in after.turn.slots] if whole and after.turn else []
        elif isinstance(event, ApprovalAsked):
            asked[event.id] = event.place
        elif isinstance(event, ApprovalDecided) and event.decision not in ("approve", "superseded"):
            had[asked[event.id]] += 1
        elif isinstance(event, ToolUnknown) and event.ask:
            doubted.add(event.place)
        elif isinstance(event, OUTCOMES):
            had[event.place] += 1
        interrupted = any(given.busy == "interrupt" for given in before.queue) or (
            isinstance(event, InputGiven) and event.busy == "interrupt"
        )
        if interrupted and before.turn is not None:
            left = {slot.place for slot in after.turn.slots if slot.outcome is None} if after.turn else set()
            for slot in before.turn.slots:
                if not had[slot.place] and slot.place not in left and (slot.started is None or slot.place in doubted):
                    had[slot.place] += 1
        if max(had.values(), default=0) > 1:
            return f"event {number}: a call has a second outcome"
    return None


def l4_the_order_in_which_outcomes_arrive_does_not_matter(journal: Journal, places: Sequence[int]) -> str | None:
    """Two neighbours that are outcomes of two calls of a turn may change places."""
    events = journal.events
    pairs = [n for n in range(len(events) - 1) if isinstance(events[n], OUTCOMES) and isinstance(events[n + 1], OUTCOMES)]
    for first in [n for n in pairs if n in places] or pairs[:1]:
        if events[first].place == events[first + 1].place:  # type: ignore[union-attr]
            continue
        if journal.states[first].turn is None or journal.states[first + 1].turn is None:
            continue
        swapped = replay((events[first + 1], events[first]), journal.states[first])
        if swapped != journal.states[first + 2]:
            return f"events {first} and {first + 1} do not commute"
    return None


def l5_an_event_is_applied_whole_or_refused(journal: Journal, places: Sequence[int]) -> str | None:
    """What is refused raises `IllegalEvent`; neither it nor what is applied changes an earlier value, though they share storage."""
    if journal.broken:
        return f"after {len(journal.events)} events: {journal.broken}"
    for place, event in journal.refused:
        if not _refuses(journal.states[place], event):
            return f"{event!r} is not refused after {place} events"
    for place in places:
        for event in BRANCHES:
            _refuses(journal.states[place], event)
    for place, kept in journal.kept.items():
        if snapshot(journal.states[place]) != kept:
            return f"the state after {place} events was changed by what came later"
    return None


BRANCHES: Sequence[Event] = (ToolLate("1.0", "refund", "another past"), InputGiven("another", (User("Stop!"),), busy="interrupt"))
"""Things that might have happened instead: they lengthen the storage that the state shares with what did happen."""


def _refuses(c: Conversation, event: Event) -> bool:
    try:
        apply(c, event)
    except IllegalEvent:
        return True
    return False


def l6_every_view_is_accepted_by_the_strictest_provider(journal: Journal, places: Sequence[int]) -> str | None:
    """Whenever the model is to be asked."""
    for place, c in enumerate(journal.states):
        if c.status is Status.MODEL and isinstance(next_steps(c)[0], CallModel):
            fault = check([System("x"), *view(c)])
            if fault:
                return f"before event {place}: {fault}"
    return None


def codec_what_is_written_is_read_again(journal: Journal, places: Sequence[int]) -> str | None:
    """Each event, through JSON and back."""
    for place in places:
        event = journal.events[min(place, len(journal.events) - 1)]
        if decode(*encode(event)) != event:
            return f"{event!r} is read as {decode(*encode(event))!r}"
    return None


def l8_no_once_call_is_started_twice(journal: Journal, places: Sequence[int]) -> str | None:
    """Nor is a call begun again in the same drive, whatever its effect."""
    begun: dict[str, tuple[str, int]] = {}
    drive = 0
    for number, event in enumerate(journal.events):
        if isinstance(event, DriveStarted):
            drive += 1
        elif isinstance(event, ToolStarted):
            effect, when = begun.get(event.place, ("", -1))
            if effect == "once" or when == drive:
                return f"event {number}: the {effect} call at {event.place} is started again"
            begun[event.place] = event.effect, drive
    return None


LAWS: dict[str, Law] = {
    law.__name__: law
    for law in (
        l1_a_fold_may_be_cut_anywhere,
        l2_no_steps_left_means_waiting_or_ended,
        l3_each_call_has_one_outcome_before_the_model_speaks_again,
        l4_the_order_in_which_outcomes_arrive_does_not_matter,
        l5_an_event_is_applied_whole_or_refused,
        l6_every_view_is_accepted_by_the_strictest_provider,
        codec_what_is_written_is_read_again,
        l8_no_once_call_is_started_twice,
    )
}
"""Every law of one journal; L7, which compares two, is in `crashes`."""


def violations(journal: Journal, places: Sequence[int]) -> dict[str, str]:
    """The laws that a journal breaks, with the words."""
    found = {}
    for name, law in LAWS.items():
        words = law(journal, places)
        if words:
            found[name] = words
    return found


def still_broken(events: list[Event], name: str) -> str | None:
    """Whether these events alone, tried at every place, break the law; `None` if they do not, or cannot happen."""
    try:
        journal = Journal.of(events)
    except IllegalEvent:
        return None
    except Exception as error:
        return f"{type(error).__name__}: {error}" if name.startswith("l5") else None
    return LAWS[name](journal, range(len(journal.states)))


def shrunk(events: list[Event], name: str) -> list[Event]:
    """The events without those that the violation does not need."""
    place = len(events)
    while place:
        place -= 1
        fewer = events[:place] + events[place + 1 :]
        if still_broken(fewer, name):
            events, place = fewer, len(fewer)
    return events

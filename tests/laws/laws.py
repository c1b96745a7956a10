"""The laws of the core, each a question to a journal: what is broken, in words, or `None`.
`places` are the states at which a law is tried; all of them is thorough, a few chosen ones are what a long run can pay for."""

from collections import Counter
from collections.abc import Callable, Sequence

from segue.core.closing import same_call
from segue.core.codec import decode, encode
from segue.core.conversation import NO_PROGRESS, CallModel, CallTool, Conversation, EndRun, Recover, Status, end_due, next_steps
from segue.core.events import (
    SUPERSEDED,
    AllowanceGiven,
    ApprovalAsked,
    ApprovalDecided,
    DriveStarted,
    Event,
    InputGiven,
    ModelReplied,
    RunEnded,
    ToolFailed,
    ToolLate,
    ToolReturned,
    ToolSettled,
    ToolStarted,
    ToolUnknown,
)
from segue.core.fold import apply, as_left, replay
from segue.core.limits import IDLE_DRIVES
from segue.core.messages import CUT, System, User
from segue.core.view import check, view
from segue.errors import IllegalEvent
from tests.laws.generator import Journal, snapshot
from tests.laws.vocabulary import digest

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
        if c.status is not Status.ENDED and c.waiting and any(given.busy == "interrupt" for given in c.queue):
            return f"before event {place}: an input that interrupts waits for a person"
        decided = journal.events[place - 1] if place else None
        if isinstance(decided, ApprovalDecided) and c.status is Status.TOOLS:
            taken_up = [step.slot.decision for step in next_steps(c) if isinstance(step, CallTool | Recover)]
            approved = [slot.decision for slot in c.turn.slots if slot.outcome is None] if c.turn else []
            if decided in approved and decided not in taken_up:
                return f"before event {place}: nobody makes use of the decision"
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
        elif isinstance(event, ApprovalAsked) and event.inner:
            doubted.add(event.place)
        elif isinstance(event, ApprovalAsked):
            asked[event.id] = event.place
        elif isinstance(event, ApprovalDecided) and event.decision not in ("approve", "superseded") and event.id in asked:
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
    """Two neighbours that tell of two calls of a turn may change places."""
    events = journal.events
    told = _places(events)
    pairs = [n for n in range(len(events) - 1) if told[n] and told[n + 1] and told[n] != told[n + 1]]
    for first in [n for n in pairs if n in places] or pairs[:1]:
        if journal.states[first].turn is None or journal.states[first + 1].turn is None:
            continue
        if isinstance(events[first], ApprovalDecided) and isinstance(events[first + 1], ApprovalAsked):
            continue  # the question may be asked because the other one is decided: under its id, or as the last call that is left
        try:
            swapped = replay((events[first + 1], events[first]), journal.states[first])
        except IllegalEvent as error:
            return f"events {first} and {first + 1} cannot change places: {error}"
        if swapped != journal.states[first + 2]:
            return f"events {first} and {first + 1} do not commute"
    return None


def _places(events: Sequence[Event]) -> list[str]:
    """Of which call each event tells; nothing, where it tells of none."""
    asked: dict[str, str] = {}
    places: list[str] = []
    for event in events:
        match event:
            case ApprovalAsked(id=id, place=place):
                asked[id] = place
                places.append(place)
            case ToolStarted(place=place):
                places.append(place)
            case ToolReturned(place=place) | ToolFailed(place=place) | ToolUnknown(place=place) | ToolSettled(place=place):
                places.append(place)
            case ApprovalDecided(id=id):
                places.append(asked.get(id, ""))
            case _:
                places.append("")
    return places


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
    """Nor is a call begun again in the same drive, but to be told what a person has decided for the agent that it asks."""
    begun: dict[str, tuple[str, int]] = {}
    asked: dict[str, str] = {}
    drive = 0
    for number, event in enumerate(journal.events):
        if isinstance(event, DriveStarted):
            drive += 1
        elif isinstance(event, ApprovalAsked) and event.inner:
            asked[event.id] = event.place
        elif isinstance(event, ApprovalDecided) and event.id in asked:
            place = asked[event.id]
            begun[place] = begun[place][0], -1
        elif isinstance(event, ToolStarted):
            effect, when = begun.get(event.place, ("", -1))
            if effect == "once" or when == drive:
                return f"event {number}: the {effect} call at {event.place} is started again"
            begun[event.place] = event.effect, drive
    return None


def l9_no_call_is_begun_without_the_approval_that_was_given_for_it_as_it_is(journal: Journal, places: Sequence[int]) -> str | None:
    """The last question about a call holds, and one who said yes to exactly its arguments; begun again, it is the same call."""
    questions: dict[str, ApprovalAsked] = {}
    decisions: dict[str, ApprovalDecided] = {}
    begun: dict[str, ToolStarted] = {}
    for number, event in enumerate(journal.events):
        if isinstance(event, ApprovalAsked):
            decisions.pop(event.id, None)  # in a later turn an id may come again
            if not event.inner:
                questions[event.place] = event
        elif isinstance(event, ApprovalDecided):
            if event.id in decisions:
                return f"event {number}: the approval {event.id} is decided twice"
            decisions[event.id] = event
        elif isinstance(event, ToolStarted):
            question, first = questions.get(event.place), begun.setdefault(event.place, event)
            if question is not None and question.id in decisions and decisions[question.id].decision == "superseded":
                question = None
            if (event.approval or "") != (question.id if question else ""):
                return f"event {number}: the call at {event.place} is begun with the approval {event.approval}, and {question} was asked"
            if question is not None:
                decided = decisions.get(question.id)
                if decided is None or (decided.decision, decided.digest) != ("approve", digest(event.arguments)):
                    return f"event {number}: the call at {event.place} is begun, and what was decided is {decided}"
            if (event.name, event.arguments) != (first.name, first.arguments):
                return f"event {number}: the call at {event.place} is begun again as another one"
    return None


def l10_a_run_that_gave_way_to_a_queued_one_is_known_as_it_was_left(journal: Journal, places: Sequence[int]) -> str | None:
    """Its answer or its end is told, with all that was said in it and nothing of what came after."""
    for number, event in enumerate(journal.events):
        before, after = journal.states[number], journal.states[number + 1]
        if not before.run.id or before.run.id == after.run.id:
            continue
        if as_left(after.run.id, before, event, after) is not None:
            return f"event {number}: the run that begins is said to be over"
        still = {after.run.id, *(given.run for given in after.queue)}
        for run in (before.run.id, *(given.run for given in before.queue if given.run not in still)):
            left = as_left(run, before, event, after)
            if left is None:
                return f"event {number}: nobody can tell how {run} was left"
            if run == before.run.id and before.status in (Status.IDLE, Status.ENDED):
                told: object = (before.status, before.answer, before.ended)
            elif run == before.run.id and isinstance(event, ModelReplied):
                told = (Status.IDLE, event.reply, None)
            else:
                told = (Status.ENDED, None, event if isinstance(event, RunEnded) and run == before.run.id else SUPERSEDED)
            if (left.status, left.answer, left.ended) != told:
                return f"event {number}: {run} is said to be left as {left.status}, {left.answer}, {left.ended}"
            if left.run.id != run or list(left.log) != list(after.log.upto(len(left.log))):
                return f"event {number}: what was said in {run} is told otherwise"
            following = after.log[len(left.log)].messages
            if following not in [given.messages for given in (*before.queue, event) if isinstance(given, InputGiven)]:
                return f"event {number}: not all that was said in {run} is told"
    return None


def l11_what_was_used_and_what_was_done_is_counted_once(journal: Journal, places: Sequence[int]) -> str | None:
    """Tokens of models and of agents used as tools, drives without progress, outcomes of unique calls: from the events alone."""
    tokens, idle = 0, 0
    kept: dict[str, str] = {}
    unique: dict[str, str] = {}
    for number, event in enumerate(journal.events):
        c = journal.states[number + 1]
        match event:
            case ModelReplied():
                tokens, idle = tokens + event.reply.usage.total, 0
            case DriveStarted():
                idle += 1
            case ToolStarted():
                if event.unique:
                    unique[event.place] = same_call(event.name, event.arguments)
                else:
                    unique.pop(event.place, None)
            case ToolReturned() | ToolSettled() | ToolFailed():
                tokens, idle = tokens + (0 if isinstance(event, ToolSettled) else event.usage.total), 0
                if event.place in unique and not isinstance(event, ToolFailed):
                    kept[unique[event.place]] = event.place
            case InputGiven() | AllowanceGiven() | RunEnded() | ToolUnknown() | ApprovalAsked() | ApprovalDecided():
                idle = 0
            case _:
                pass
        if c.idle_drives != idle:
            return f"after event {number}: {c.idle_drives} drives are said to have got nothing done, and it were {idle}"
        stuck = idle > IDLE_DRIVES and (c.status is Status.TOOLS or (c.status is Status.MODEL and end_due(c) is None))
        if stuck != (next_steps(c)[:1] == [EndRun(NO_PROGRESS)]):
            return f"after event {number}: {idle} drives have got nothing done, and the steps are {next_steps(c)}"
        if c.turn is None and c.usage.total != tokens:
            return f"after event {number}: {c.usage.total} tokens are counted, and {tokens} were used"
        if c.turn is None and not kept.keys() <= c.uniques.keys():
            return f"after event {number}: the outcomes of unique calls at {kept} are not all known"
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
        l9_no_call_is_begun_without_the_approval_that_was_given_for_it_as_it_is,
        l10_a_run_that_gave_way_to_a_queued_one_is_known_as_it_was_left,
        l11_what_was_used_and_what_was_done_is_counted_once,
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

"""Whether a trial came out right: held against the course of the same scenario without a crash, and against what each tool declares.
Nothing is run here. A fault says what is wrong, of which call, and what would mend it."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from segue.core.conversation import Conversation, Status, next_steps
from segue.core.events import ToolReturned, ToolUnknown
from segue.core.fold import apply
from segue.core.messages import Json
from segue.core.view import check, view
from segue.crashtest.course import Course, Tale, tales
from segue.crashtest.points import Entry, entries
from segue.errors import SegueError
from segue.wire.chat_messages import as_chat


class Fault(NamedTuple):
    """What is wrong with a trial; `call` and what follows are empty where it is not of one call."""

    kind: str
    """One of "process", "history", "end", "effect" and "world"."""
    words: str
    mend: str = ""
    call: str = ""
    tool: str = ""
    effect: str = ""


def judge(reference: Course, trial: Course) -> list[Fault]:
    """What is wrong with a trial; an empty list if it is right."""
    faults: list[Fault] = []
    if trial.trouble:
        faults.append(Fault("process", trial.trouble))
    ends: dict[str, Conversation] = {}
    for name, events in trial.journal.items():
        ends[name], words = folded(events)
        faults += [Fault("history", f"{name}: {one}") for one in words]
    if faults:
        return faults
    for left in trial.left:
        faults += [Fault("history", f"as a process left it, {name}: {one}") for name, events in left.items() for one in folded(events)[1]]
    doubtful = doubts(reference, trial)
    faults += _effects(reference, trial)
    faults += _world(reference, trial, doubtful)
    faults += _ends(reference, ends, doubtful)
    return faults


def folded(events: Sequence[Any]) -> tuple[Conversation, list[str]]:
    """What events make of a conversation, and what is wrong on the way: every view must be one that any provider takes."""
    c = Conversation()
    for place, event in enumerate(events, 1):
        try:
            c = apply(c, event)
            fault = check(view(c)) if c.status is Status.MODEL else None
        except SegueError as error:
            return c, [f"event {place} ({type(event).__name__}) does not follow: {error}"]
        if fault:
            return c, [f"after event {place}, the view of {c.active} is none that a provider takes: {fault}"]
    return c, []


def doubts(reference: Course, trial: Course) -> set[str]:
    """The calls of which somebody may not know what came of them: from there on, a trial may differ from the reference."""
    known = {call for call, tale in tales(reference.journal).items() if tale.unknown}
    said = {call for call, tale in tales(trial.journal).items() if tale.unknown} - known
    return said | {call for left in trial.left for call, tale in tales(left).items() if tale.open and tale.effect == "once"}


# ---- effects ---------------------------------------------------------------


def _effects(reference: Course, trial: Course) -> Iterator[Fault]:
    """Hold what the witness saw of each call against what its tool declares."""
    tools = {entry.tool: entry.reconcile for course in (reference, trial) for entry in entries(course.account)}
    returned = {(line["process"], line["call"]) for line in trial.account if line["kind"] == "return"}
    told = [tales(journal) for journal in (*trial.left, trial.journal)]
    calls: dict[str, list[Entry]] = {}
    for entry in entries(trial.account):
        calls.setdefault(entry.call, []).append(entry)
    for call, entered in calls.items():
        for words in _entered(entered, [before.get(call, Tale()) for before in told]):
            yield Fault("effect", words, "", call, entered[0].tool, entered[0].effect)
    for call, tale in told[-1].items():
        left_open = any(before.get(call, Tale()).open for before in told[:-1])
        reconciled = left_open and tools.get(tale.name, False) and isinstance(tale.outcome, ToolReturned)
        if left_open and not reconciled:
            yield from _left_open(call, tale)
        if tale.name in tools and isinstance(tale.outcome, ToolReturned) and not reconciled:
            process = 1 + [before.get(call, Tale()).outcome is not None for before in told].index(True)
            if (process, call) not in returned:
                words = f"process {process} wrote down that it returned, and it did not come to that"
                yield Fault("effect", words, "", call, tale.name, tale.effect)


def _entered(entered: list[Entry], told: Sequence[Tale]) -> Iterator[str]:
    """What is wrong with how often, and with what, a function was entered for a call; `told`: the call in each process's journal."""
    first = entered[0]
    for entry in entered:
        if not told[entry.process - 1].starts:
            yield f"process {entry.process} entered it, and the journal that it left knows of no start"
        if any(tale.outcome is not None for tale in told[: entry.process - 1]):
            yield f"process {entry.process} entered it, though its outcome was in the journal"
    if first.effect == "once" and len(entered) > 1:
        yield f"it was entered {len(entered)} times"
    if len({(entry.key, entry.arguments) for entry in entered}) > 1:
        yield "it was entered with different keys or arguments"
    if told[-1].effect == "keyed" and first.key != told[-1].key:
        yield "its key is not the one in the journal"


def _left_open(call: str, tale: Tale) -> Iterator[Fault]:
    """What must be said of a call that a dead process had begun."""
    if tale.effect == "once" and not tale.unknown:
        words = "a process died in it, and it is not said that nobody knows what came of it"
        yield Fault("effect", words, "", call, tale.name, tale.effect)
    if tale.effect != "once" and isinstance(tale.outcome, ToolUnknown):
        words = "its outcome is said to be unknown, though the call could have been made again"
        mend = "A guard, an approval or a check may have refused it the second time: what was begun must stay allowed."
        yield Fault("effect", words, mend, call, tale.name, tale.effect)


# ---- the world -------------------------------------------------------------

_TWICE: Mapping[str, str] = {
    "read": 'A "read" tool is called again after a crash, and this one changes something. Leave effect= out: it is "once" then, and '
    'never repeated. Or let the service know the call by ctx.key and say "keyed"; or write to ctx.db only and say "transaction".',
    "keyed": "The call is made again with the same ctx.key, and the service did not know it: hand it ctx.key as its idempotency key.",
    "transaction": "What is written to ctx.db is rolled back with the process; what is written elsewhere is not. Write to ctx.db only.",
}


def _world(reference: Course, trial: Course, doubtful: set[str]) -> Iterator[Fault]:
    """Hold what `observe` saw against what it saw without a crash: with a call in doubt something may be missing, but nothing more."""
    if reference.world is None or trial.world is None:
        return
    seen, expected = _counted(trial.world), _counted(reference.world)
    more, missing = seen - expected, expected - seen
    if more:
        entered = Counter(entry.call for entry in entries(trial.account))
        suspects = {entry.call: entry for entry in entries(trial.account) if entered[entry.call] > 1}
        what = f"this has happened more often than without a crash: {_listed(more)}"
        others = f", and is one of {len(suspects)} such calls" if len(suspects) > 1 else ""
        for call, entry in suspects.items():
            words = f"{what}. {entry.tool} was entered {entered[call]} times for one call{others}"
            yield Fault("world", words, _TWICE.get(entry.effect, ""), call, entry.tool, entry.effect)
        if not suspects:
            yield Fault("world", f"{what}. No call was made twice: the model has asked for it twice")
    if missing and not doubtful:
        mend = "What a tool does must be kept before the tool returns, and outlive the process."
        yield Fault("world", f"this is missing, and no outcome is unknown: {_listed(missing)}", mend)


def _counted(world: Sequence[Json]) -> Counter[str]:
    return Counter(json.dumps(effect, sort_keys=True, ensure_ascii=False) for effect in world)


def _listed(effects: Counter[str]) -> str:
    return ", ".join(effects.elements())


# ---- the end ---------------------------------------------------------------


Ending = tuple[list[dict[str, Any]], Any]


def ending(c: Conversation) -> Ending:
    """What a conversation has come to: every message; and the rest that must be the same with and without a crash."""
    messages = [as_chat(message) for entry in c.log for message in entry.messages]
    ended = (c.ended.kind, c.ended.reason) if c.ended is not None else ()
    return messages, (c.status.value, ended, dict(c.context), [frame.agent for frame in c.stack], len(c.queue))


def _ends(reference: Course, ends: Mapping[str, Conversation], doubtful: set[str]) -> Iterator[Fault]:
    for name, c in ends.items():
        if next_steps(c):
            yield Fault("end", f"{name} has not come to an end: it is {c.status.value}")
    if doubtful:
        return
    for name in sorted({*reference.journal, *ends}):
        if name not in ends or name not in reference.journal:
            yield Fault("end", f"the conversation {name} is there {'without' if name in reference.journal else 'with'} the crash only")
        elif words := difference(ending(folded(reference.journal[name])[0]), ending(ends[name])):
            yield Fault("end", f"{name}: {words}")


def difference(expected: Ending, found: Ending, when: str = "without a crash") -> str:
    """Say where an end differs from the one that was come to at another time; nothing if it does not."""
    (messages, rest), (others, other) = expected, found
    for place, (one, two) in enumerate(zip(messages, others, strict=False), 1):
        if one != two:
            return f"message {place} is {_short(two)}, and {_short(one)} {when}"
    if len(messages) != len(others):
        return f"it has {len(others)} messages, and {len(messages)} {when}"
    return "" if rest == other else f"it ends as {_short(other)}, and as {_short(rest)} {when}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else f"{text[:300]}..."

"""What a conversation did, run by run: who spoke, which calls, what came of them, who had the floor, times and tokens.
A fold over stored events, and a text of it; nothing is looked up or printed here."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from segue.core.events import Started
from segue.core.messages import Usage
from segue.views.story import Answered, Asked, Beat, Called, Ended, HandedOver, Replied, Row, Story, Waits
from segue.views.words import call_words, counted, duration, one_line, tokens


@dataclass(slots=True)
class CallTrace:
    """A call. `how` is empty while nothing has come of it, "waits" while a person is asked; else as in `Answered`."""

    place: str
    name: str
    arguments: str
    began: float
    how: str = ""
    text: str = ""
    seconds: float = 0.0
    late: str | None = None
    """A result that came after the outcome had been written down."""


@dataclass(slots=True)
class TurnTrace:
    """One reply of a model, and its calls. `handoff` is the switch that the turn ended with."""

    agent: str
    began: float
    seconds: float
    text: str
    model: str
    usage: Usage
    cost: float = 0.0
    attempt: int = 1
    refused: str | None = None
    calls: list[CallTrace] = field(default_factory=list)
    handoff: HandedOver | None = None


@dataclass(slots=True)
class RunTrace:
    """From one input to its end. `ended` is `None` for a run that is done, or goes on."""

    id: str
    input: str
    began: float
    seconds: float = 0.0
    turns: list[TurnTrace] = field(default_factory=list)
    ended: Ended | None = None

    @property
    def usage(self) -> Usage:
        """The tokens of all turns."""
        total = Usage()
        for turn in self.turns:
            total = total.plus(turn.usage)
        return total


@dataclass(slots=True)
class Trace:
    """A conversation, run by run."""

    conversation: str = ""
    entry: str = ""
    active: str = ""
    runs: list[RunTrace] = field(default_factory=list)


def trace(rows: Iterable[Row]) -> Trace:
    """Fold stored events into a trace."""
    made, story = Trace(), Story()
    runs: dict[str, RunTrace] = {}
    calls: dict[str, CallTrace] = {}
    for _, at, event in rows:
        if isinstance(event, Started):
            made.conversation, made.entry = event.conversation, event.agent
        run = runs.get(story.conversation.run.id)  # the run before the event: the event may have ended it and begun the next
        for beat in story.follow(event):
            if isinstance(beat, Asked):
                runs[beat.run] = RunTrace(beat.run, beat.text, at)
            elif run is not None:
                _add(run, calls, beat, at)
                run.seconds = max(run.seconds, at - run.began)
    made.runs = list(runs.values())
    made.active = story.conversation.active
    return made


def _add(run: RunTrace, calls: dict[str, CallTrace], beat: Beat, at: float) -> None:
    match beat:
        case Replied(agent, reply, attempt, seconds, cost, refused):
            said = reply.text or (f"[declined] {reply.refusal}" if reply.refusal else "")
            turn = TurnTrace(agent, at - seconds, seconds, said, reply.model, reply.usage, cost, attempt, refused)
            run.turns.append(turn)
        case Called(_, place, name, arguments) | Waits(_, place, name, arguments):
            # A call that waited for a person and is made now is still the same call.
            call = calls.get(place) or CallTrace(place, name, arguments, at)
            if place not in calls:
                calls[place] = call
                run.turns[-1].calls.append(call)
            call.began, call.how = at, "waits" if isinstance(beat, Waits) else ""
        case Answered(_, place, _, "late", text):
            if place in calls:
                calls[place].late = text
        case Answered(_, place, _, how, text, seconds):
            call = calls[place]
            call.how, call.text, call.seconds = how, text, seconds or max(0.0, at - call.began)
        case HandedOver():
            run.turns[-1].handoff = beat
        case Ended():
            run.ended = beat
        case _:
            pass


# ---- as text ---------------------------------------------------------------


def render(made: Trace, *, width: int = 100) -> str:
    """A trace as lines of text, no longer than `width` where that can be."""
    lines = [line for number, run in enumerate(made.runs, 1) for line in _run_lines(number, run, width)]
    return "\n".join(lines) if lines else "Nothing has happened yet."


_GAP = " " * 12


def _run_lines(number: int, run: RunTrace, width: int) -> Iterator[str]:
    yield one_line(f"{number}. {run.input}", width)
    for turn in run.turns:
        again = f" · attempt {turn.attempt}" if turn.attempt > 1 else ""
        model = f" · {turn.model}" if turn.model else ""
        spent = f" · {tokens(turn.usage)}" if turn.usage.total else ""
        yield _at(turn.began - run.began) + one_line(f"{turn.agent}{model} · {duration(turn.seconds)}{again}{spent}", width - 12)
        if turn.text:
            yield _GAP + one_line(f"“{turn.text}”", width - 14, indent=2)
        if turn.refused is not None:
            yield _GAP + one_line(f"not accepted: {turn.refused}", width - 14, indent=2)
        for call in turn.calls:
            yield from _call_lines(call, run.began, width)
        if turn.handoff is not None:
            yield _GAP + one_line(_floor(turn.handoff), width - 12)
    yield _GAP + one_line(_end(run), width - 12) + "\n"


def _call_lines(call: CallTrace, began: float, width: int) -> Iterator[str]:
    took = f" · {duration(call.seconds)}" if call.how not in ("", "waits") else ""
    yield _at(call.began - began) + "  " + call_words(call.name, call.arguments, width - 14 - len(took)) + took
    if call.how == "returned" and call.text:
        yield _GAP + one_line(f"→ {call.text}", width - 16, indent=4)
    elif call.how != "returned":
        state = {"": "under way", "waits": "waits for a person"}.get(call.how) or f"{call.how.replace('_', ' ')}: {call.text}"
        yield _GAP + one_line(f"✗ {state}", width - 16, indent=4)
    if call.late is not None:
        yield _GAP + one_line(f"→ came late: {call.late}", width - 16, indent=4)


def _floor(handoff: HandedOver) -> str:
    how = {"transfer": "", "call": " (called)", "return": " (returned)"}[handoff.kind]
    return f"{handoff.source} → {handoff.target}{how}"


def _end(run: RunTrace) -> str:
    calls = sum(len(turn.calls) for turn in run.turns)
    how = f"{run.ended.kind} ({run.ended.reason})" if run.ended else "done"
    if run.ended is None and any(not call.how or call.how == "waits" for turn in run.turns for call in turn.calls):
        how = "not ended"
    counts = f"{counted(len(run.turns), 'model call')} · {counted(calls, 'tool call')} · {tokens(run.usage)}"
    return f"{how} · {duration(run.seconds)} · {counts}"


def _at(seconds: float) -> str:
    return f"  +{max(0.0, seconds):.2f} s".rjust(10) + "  "

"""A conversation as a record: what happened when, who decided what, and what is not known. Lines for people, and JSON values.
A fold over stored events; nothing is formatted for a screen or printed here."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, assert_never

from segue.core.messages import Json
from segue.views.story import (
    Allowed,
    Answered,
    Asked,
    Beat,
    Called,
    Decided,
    Driven,
    Ended,
    HandedOver,
    Newer,
    Opened,
    Replied,
    Skimmed,
    Story,
    Untold,
    Waits,
)
from segue.views.words import call_words, duration, moment, tokens


class Moment(NamedTuple):
    """Something that happened, with the place and the time of the event that tells it."""

    seq: int
    at: float
    beat: Beat


class Line(NamedTuple):
    """One line of a record.

    `kind` is "user", "agent", "call", "result", "wrong" (a call that failed, or whose outcome is unknown), "handoff", "waits",
    "decision" or "note".
    """

    at: float
    kind: str
    text: str


def record(rows: Iterable[Skimmed], story: Story | None = None) -> list[Moment]:
    """Fold stored events into what happened, in order, as far as they fit; those of a newer version are named. `story` follows them."""
    story = story or Story()
    return [Moment(seq, at, beat) for seq, at, event in rows for beat in story.skim(event)]


def lines(moments: Iterable[Moment]) -> Iterator[Line]:
    """A record as lines of text; a drive is told where it took over from one that had not ended."""
    driver = ""
    called: set[str] = set()
    for _, at, beat in moments:
        for kind, text in _told(beat, driver, called):
            yield Line(at, kind, text)
        if isinstance(beat, Driven):
            driver = beat.driver or driver


def _told(beat: Beat, driver: str, called: set[str]) -> Iterator[tuple[str, str]]:
    match beat:
        case Opened(agent, origin, earlier):
            if origin:
                yield "note", f"forked from {origin}"
            if earlier:
                yield "note", f"opened with {earlier} messages from elsewhere; {agent} has the floor"
        case Driven(name, again):
            if again and name:  # without a name it is a fence, which a cancel puts up
                yield "note", f"driven on by {name}: the drive of {driver or 'another'} had not come to its end"
        case Allowed(limits, by):
            changed = f", with {', '.join(f'{name}={value}' for name, value in limits.items())}" if limits else ""
            yield "note", f"resumed{f' by {by}' if by else ''} with a new allowance{changed}"
        case Asked(_, text, by):
            yield "user", f"{by or 'User'}: {text}"
        case Replied():
            yield from _replied(beat)
        case Called(_, place, name, arguments):
            yield "call", f"{place} {call_words(name, arguments)}{', again' if place in called else ''}"
            called.add(place)
        case Answered():
            yield ("result" if beat.how in ("returned", "settled", "late") else "wrong"), _answered(beat)
        case HandedOver(source, target, kind):
            yield "handoff", f"{source} {'calls' if kind == 'call' else 'returns to' if kind == 'return' else '→'} {target}"
        case Waits():
            yield "waits", _waits(beat)
        case Decided():
            yield "decision", _decided(beat)
        case Ended():
            yield "note", f"the run ended, {beat.kind} ({beat.reason}): {beat.words}"
        case Newer(name, version):
            yield "note", f"an event {name} (version {version}) of a newer version of Segue"
        case Untold(name, first):
            if first:
                yield "note", "what follows does not fit what is known, and is told by its kind only"
            yield "note", f"an event {name}"
        case _:
            assert_never(beat)


def _replied(beat: Replied) -> Iterator[tuple[str, str]]:
    reply = beat.reply
    model = f"{reply.model}, " if reply.model else ""
    again = f", attempt {beat.attempt}" if beat.attempt > 1 else ""
    cost = f", {beat.cost:.4f}" if beat.cost else ""
    spent = f"{model}{duration(beat.seconds)}, {tokens(reply.usage)}{cost}{again}"
    said = reply.text or (f"declined: {reply.refusal}" if reply.refusal else "")
    yield "agent", f"{beat.agent} ({spent}){f': {said}' if said else ''}"
    if beat.refused is not None:
        yield "wrong", f"not accepted, and given back: {beat.refused}"


def _answered(beat: Answered) -> str:
    took = f" ({duration(beat.seconds)})" if beat.seconds else ""
    by = f" by {beat.by}" if beat.by else ""
    asks = ", and somebody is to say what came of it" if beat.asks else ""
    how = "" if beat.how == "returned" else f"{beat.how.replace('_', ' ')}{by}{asks}: "
    return f"{beat.place} {beat.name}{took}: {how}{beat.text}"


def _waits(beat: Waits) -> str:
    until = f", until {moment(beat.expires)}" if beat.expires is not None else ""
    asked = f", asked in conversation {beat.inner}" if beat.inner else ""
    edited = ", with edited arguments" if beat.edited else ""
    return f"{beat.place} {call_words(beat.name, beat.arguments)} waits for a decision: approval {beat.approval}{edited}{asked}{until}"


_DECISIONS = {"approve": "approved", "deny": "denied", "expired": "not decided in time", "superseded": "to be decided anew"}


def _decided(beat: Decided) -> str:
    words = _DECISIONS.get(beat.decision, beat.decision)
    by = f" by {beat.by}" if beat.by else ""
    return f"{beat.place} {beat.name} {words}{by}{f': {beat.reason}' if beat.reason else ''}"


# ---- as JSON values --------------------------------------------------------


def as_json(moments: Iterable[Moment]) -> list[Mapping[str, Json]]:
    """A record as JSON values: of each moment its place and time, what it was, and its parts."""
    return [{"seq": seq, "at": at, "what": type(beat).__name__, **_parts(beat)} for seq, at, beat in moments]


def _parts(beat: Beat) -> dict[str, Any]:
    if isinstance(beat, Replied):
        reply = beat.reply
        return {
            "agent": beat.agent,
            "text": reply.text,
            "refusal": reply.refusal,
            "model": reply.model,
            "usage": {**reply.usage._asdict(), "total": reply.usage.total},
            "attempt": beat.attempt,
            "seconds": beat.seconds,
            "cost": beat.cost,
            "refused": beat.refused,
        }
    parts = beat._asdict()
    return {**parts, "limits": dict(beat.limits)} if isinstance(beat, Allowed) else parts

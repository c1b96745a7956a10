"""What was said, by whom, with the calls and handoffs in between: a conversation as people read it.
A fold over stored events into plain text; nothing is printed here."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from segue.views.story import Answered, Asked, Called, Decided, Ended, HandedOver, Replied, Row, Story, Waits
from segue.views.words import call_words


class Line(NamedTuple):
    """One line of a transcript. `kind` is "user", "agent", "call", "result", "handoff" or "note"."""

    kind: str
    who: str
    text: str


def transcript(rows: Iterable[Row]) -> list[Line]:
    """Fold stored events into lines, in the order in which things happened."""
    story = Story()
    return [line for _, _, event in rows for beat in story.follow(event) for line in _lines(beat)]


def _lines(beat: object) -> Iterator[Line]:
    match beat:
        case Asked(_, text, by):
            yield Line("user", by or "User", text)
        case Replied(agent, reply, refused=refused):
            if reply.text:
                yield Line("agent", agent, reply.text)
            if reply.refusal:
                yield Line("note", agent, f"declined: {reply.refusal}")
            if refused is not None:
                yield Line("note", agent, f"the reply was not accepted: {refused}")
        case Called(agent, _, name, arguments):
            yield Line("call", agent, call_words(name, arguments))
        case Answered(agent, _, name, how, text):
            if how != "returned" or text:
                yield Line("result", agent, text if how == "returned" else f"{name} {how.replace('_', ' ')}: {text}")
        case HandedOver(source, target, kind):
            yield Line("handoff", source, f"{source} {'calls' if kind == 'call' else 'returns to' if kind == 'return' else '→'} {target}")
        case Waits(agent, _, name, arguments):
            yield Line("note", agent, f"waits for a person's decision: {call_words(name, arguments)}")
        case Decided(decision, by, reason):
            yield Line("note", by or "someone", f"decided: {decision}{f' ({reason})' if reason else ''}")
        case Ended(kind, _, words):
            yield Line("note", "", f"The run ended, {kind}: {words}")
        case _:
            pass


def render(lines: Iterable[Line]) -> str:
    """A transcript as text."""
    return "\n".join(_text(line) for line in lines)


def _text(line: Line) -> str:
    match line.kind:
        case "user" | "agent":
            return f"{line.who}: {line.text}"
        case "call":
            return f"    {line.text}"
        case "result":
            return f"      → {line.text}"
        case "handoff":
            return f"    -- {line.text} --"
        case _:
            return f"    [{line.who + ': ' if line.who else ''}{line.text}]"

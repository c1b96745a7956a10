"""What a conversation has used: replies, tokens, seconds and money, by agent and model.
A fold over stored events into plain values."""

from collections.abc import Iterable
from typing import NamedTuple

from segue.core.events import ModelReplied
from segue.core.messages import Usage
from segue.views.story import Skimmed
from segue.views.words import counted, duration, tokens


class Used(NamedTuple):
    """What one agent has used of one model. `seconds` is the time of its model's replies."""

    agent: str
    model: str
    replies: int = 0
    tokens: Usage = Usage()
    seconds: float = 0.0
    cost: float = 0.0

    def plus(self, other: "Used") -> "Used":
        """Add another's use; the names stay."""
        return self._replace(
            replies=self.replies + other.replies,
            tokens=self.tokens.plus(other.tokens),
            seconds=self.seconds + other.seconds,
            cost=self.cost + other.cost,
        )


def usage(rows: Iterable[Skimmed]) -> list[Used]:
    """Fold stored events into what was used, in the order in which agents first spoke."""
    found: dict[tuple[str, str], Used] = {}
    for _, _, event in rows:
        if isinstance(event, ModelReplied):
            one = Used(event.agent, event.reply.model, 1, event.reply.usage, event.seconds, event.cost)
            known = found.get((one.agent, one.model))
            found[one.agent, one.model] = known.plus(one) if known else one
    return list(found.values())


def total(used: Iterable[Used]) -> Used:
    """All of it together."""
    everything = Used("all", "")
    for one in used:
        everything = everything.plus(one)
    return everything


def render(used: Iterable[Used]) -> str:
    """What was used as lines of text, the last one the sum."""
    rows = list(used)
    if len(rows) > 1:
        rows.append(total(rows))
    if not rows:
        return "Nothing was used yet."
    names = [f"{one.agent}{f' ({one.model})' if one.model else ''}" for one in rows]
    width = max(map(len, names))
    return "\n".join(f"{name.ljust(width)}  {spent(one)}" for name, one in zip(names, rows, strict=True))


def spent(one: Used) -> str:
    """What was used in one line, without the names."""
    money = f" · {one.cost:.4f}" if one.cost else ""
    return f"{counted(one.replies, 'reply', 'replies')} · {tokens(one.tokens)} · {duration(one.seconds)}{money}"

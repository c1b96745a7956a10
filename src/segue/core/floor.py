"""Who has the floor, who waits for it to come back, and what each of them is shown (R15 to R17).
A handoff changes the stack here and nowhere else; whether it may be made is decided elsewhere."""

import json
from typing import NamedTuple

from segue.core.events import Handoff
from segue.core.messages import Message, User


class Frame(NamedTuple):
    """An agent's stay on the floor, and what it is shown of the log."""

    agent: str
    via: str = ""
    """The agent that handed off to it."""
    view: str = "everything"
    start: int = 0
    """Where its view of the log begins."""
    anchor: int | None = None
    """An entry before `start` that is shown first: the user's message that led to the handoff."""
    brief: tuple[Message, ...] = ()
    skips: tuple[tuple[int, int], ...] = ()
    """Ranges of the log that it is not shown: exchanges of agents that it had called."""
    switched: int = 0
    """Where the log stood at the last handoff; refused handoffs before it are not shown any more."""
    opened: int = 0
    """For a callee: where the log stood when it was called."""
    shared: bool = True
    """Whether the caller sees the callee's exchange after the return."""


def misdirected(handoff: Handoff, stack: tuple[Frame, ...]) -> str | None:
    """Say why a handoff leads nowhere, in words for the model; `None` if it does lead somewhere."""
    if handoff.kind != "return":
        return f"{handoff.agent} has the floor already." if handoff.agent == stack[-1].agent else None
    if len(stack) > 1 and stack[-2].agent == handoff.agent:
        return None
    return f"Not returned: {handoff.agent} does not wait for an answer."


def switch(stack: tuple[Frame, ...], handoff: Handoff, at: int, run_start: int) -> tuple[Frame, ...]:
    """The stack after a handoff whose turn stands at `at` in the log."""
    here = stack[-1]
    if handoff.kind == "return":
        caller = stack[-2]
        skips = here.skips if here.shared else (*caller.skips, (here.opened, at))  # who shares has taken over the caller's skips
        return (*stack[:-2], caller._replace(skips=skips, switched=at + 1))
    frame = here._replace(agent=handoff.agent, via=here.agent, view=handoff.view, switched=at + 1)
    if handoff.view == "handoff" or (handoff.view == "brief" and handoff.brief is None):
        frame = frame._replace(start=at, anchor=run_start, brief=(), skips=())
    elif handoff.view == "brief":
        text = handoff.brief if isinstance(handoff.brief, str) else json.dumps(handoff.brief, ensure_ascii=False)
        brief = (User(f"Brief from {here.agent}: {text}"),)
        frame = frame._replace(start=at + 1, anchor=None, brief=brief, skips=())
    shared = handoff.view not in ("handoff", "brief")
    if handoff.kind == "call":
        return (*stack, frame._replace(opened=at + 1, shared=shared))
    return (*stack[:-1], frame._replace(shared=here.shared and shared))

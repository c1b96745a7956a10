"""What came of a call, as an event that the model will read.
Whatever a tool returns or raises has its place here (R6, R7); nothing of it escapes as an exception."""

import logging
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, assert_never

from segue.agent import Agent, Edge, Result
from segue.core.conversation import Conversation
from segue.core.events import Event, FailureKind, Handoff, Outcome, ToolFailed, ToolReturned, ToolUnknown
from segue.core.messages import Json
from segue.errors import ConversationBusy, ConversationParked, JournalError
from segue.tools.context import Context
from segue.tools.results import Mixed, Unreadable, clean, content_of, swarms
from segue.world import InnerAnswer, InnerWaits, Ready, World

log = logging.getLogger("segue")


class TimedOut(Exception):
    """Stands in the place of a call's result when its time is over."""


class NotBegun(Exception):
    """Stands in the place of a call's result when it was given up before a thread was free for it."""


class GivenUp(Exception):
    """Stands in the place of a call's result when its run was ended."""


class RolledBack(Exception):
    """A transaction is not to be committed; `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


def came(world: World, c: Conversation, ready: Ready, value: Any, error: BaseException | None, seconds: float) -> Event:
    """What becomes of a call that has ended, in whatever way: its outcome, or the question that it waits with."""
    match error:
        case TimedOut():
            return given_up(ready, "timeout", str(error))
        case GivenUp():
            return given_up(ready, "cancelled", str(error))
        case NotBegun():
            return ToolFailed(ready.slot.place, "timeout", f"Not called: {error}.")
        case RolledBack(outcome=failed):
            return failed
        case None if type(value) is InnerWaits:
            return waiting(ready, value)
        case _:
            return outcome(world, c, ready, value, error, seconds)


def outcome(world: World, c: Conversation, ready: Ready, value: Any, error: BaseException | None, seconds: float) -> Outcome:
    """What a call came to: what it returned, or raised, as the model will read it."""
    if error is None:
        try:
            return _returned(world, c, ready, value, seconds)
        except Unreadable as unreadable:
            error = unreadable
        except (Exception, SystemExit) as raised:  # a foreign object's own methods, or a context that is no JSON
            error = Unreadable(f"what it returned cannot be used ({type(raised).__name__}: {_words(raised)})")
    if isinstance(error, Unreadable):
        words = f"{ready.offer.name} {'returned' if ready.commit is not None else 'did its work'}, but {error}."
        if isinstance(error, Mixed):
            _warn(words)
        return ToolFailed(ready.slot.place, "result", words, seconds=seconds)
    log.warning("tool %s raised %s", ready.offer.name, type(error).__name__)
    log.debug("tool %s raised:", ready.offer.name, exc_info=error)
    return ToolFailed(ready.slot.place, "raised", _raised_words(error), seconds=seconds)


def given_up(ready: Ready, kind: FailureKind, why: str) -> Outcome:
    """The outcome of a call that was begun and not waited for (R25)."""
    match ready.start.effect:
        case "read":
            return ToolFailed(ready.slot.place, kind, f"Given up: {why}.")
        case "transaction":
            return ToolFailed(ready.slot.place, kind, f"Rolled back, so nothing was done: {why}.")
        case "once" | "keyed":
            return ToolUnknown(ready.slot.place, unknown_words(ready.offer.name, why))
        case _:
            assert_never(ready.start.effect)


def unknown_words(name: str, why: str) -> str:
    """What a model is told of a call whose outcome nobody knows."""
    return f"Outcome unknown: {why}. It is not known whether {name} took effect. Do not repeat it; say so, or find out by other means."


def late_content(value: Any, error: BaseException | None) -> str:
    """What is told of a result that came late."""
    if error is not None:
        return _raised_words(error)
    try:
        content = content_of(value)
    except Unreadable as unreadable:
        content = f"it ended, but {unreadable}"
    except Exception as raised:
        content = f"it ended, but what it returned cannot be used ({type(raised).__name__})"
    return content if isinstance(content, str) else str(content)


def handoff_to(world: World, target: str, edge: Edge | None, *, brief: Json = None, generated: bool = False) -> Handoff:
    """A handoff to an agent of the team, along an edge if there is one, with what the agent will be shown (R15)."""
    chosen = edge.view if edge and edge.view is not None else world.team.member(target).agent.view
    shown = "custom" if callable(chosen) else chosen or "everything"
    if shown == "brief" and brief is None:
        shown = "handoff"
    return Handoff(target, edge.kind if edge else "transfer", shown, brief, generated)


def _raised_words(error: BaseException) -> str:
    words = _words(error)
    return f"Failed with {type(error).__name__}: {words}" if words else f"Failed with {type(error).__name__}."


def _words(error: BaseException) -> str:
    """What an exception says of itself; nothing, if that raises too."""
    try:
        return clean(str(error))
    except (Exception, SystemExit):
        return ""


def waiting(ready: Ready, inner: InnerWaits) -> Event:
    """An agent that is used as a tool waits for a person: what its conversation asks is asked here as well (R35)."""
    asked = inner.slot.approval
    if asked is None or inner.slot.doubt is not None:
        words = f"{ready.offer.name} waits for a person: it is not known what came of its call of {inner.slot.call.name}."
        return ToolUnknown(ready.slot.place, words, ask=True)
    return replace(asked, place=ready.slot.place, inner=inner.conversation)


def _returned(world: World, c: Conversation, ready: Ready, value: Any, seconds: float) -> Outcome:
    if type(value) is InnerAnswer:
        if isinstance(value.error, ConversationParked | ConversationBusy | JournalError):  # what it began may have been done
            return ToolUnknown(ready.slot.place, unknown_words(ready.offer.name, str(value.error)), ask=True)
        if value.error is not None:
            words = _raised_words(value.error)
            return ToolFailed(ready.slot.place, "raised", words, seconds=seconds, usage=value.usage, cost=value.cost)
        return ToolReturned(ready.slot.place, value.text, seconds=seconds, usage=value.usage, cost=value.cost)
    place, changes = ready.slot.place, dict(ready.context.changes)
    if ready.variables is not None:
        changes = {**_changed(c.context, ready.variables), **changes}
    target: Agent | None = None
    if isinstance(value, Result):
        target = value.agent
        for name, changed in (value.context or {}).items():
            ready.context.set(**{name: changed})
            changes[name] = ready.context.changes[name]
        value = value.value if value.value is not None else ""
        if target is not None and not isinstance(target, Agent):
            if name := swarms(target):
                raise Mixed(f"its Result(agent=...) holds {name}; give segue's own Agent: see docs/howto/from-swarm.md")
            raise Unreadable(f"its Result(agent=...) holds a {type(target).__name__}, and no Agent")
    elif isinstance(value, Agent):
        target, value = value, ""
    content = content_of(value)
    if target is None:
        return ToolReturned(place, content, None, changes, seconds)
    if target.name not in world.team or world.team.member(target.name).agent is not target:
        if not world.open_team:
            words = f"{ready.offer.name} returned the agent {target.name!r}, which the team does not know. Name it in agents=[...]."
            _warn(_unknown(ready.offer.name, target, known=target.name in world.team))
            return ToolFailed(place, "result", words, seconds=seconds)
        world.team = world.team.joined(target)
    edge = world.team.member(c.active).edges.get(target.name)
    return ToolReturned(place, content, handoff_to(world, target.name, edge), changes, seconds)


def _unknown(tool: str, target: Agent, *, known: bool) -> str:
    """Why a handoff that works in memory is refused with a durable journal, told to who wrote the tool."""
    what = f"another agent {target.name!r} than the team's" if known else f"the agent {target.name!r}, which the team does not know"
    mend = "Return the one of the team, made once" if known else "Make it once, and name it: Runner(..., agents=[...])"
    return (
        f"{tool} returned {what}, and the handoff is refused. A durable journal keeps agents' names only, and another process "
        f"must find the agent by its name; with a journal in memory it would have joined the team. {mend}."
    )


def _warn(words: str) -> None:
    """Tell the author of the tool what else only the model would read. A filter that makes an error of it takes no outcome away."""
    try:
        warnings.warn(words, RuntimeWarning, stacklevel=2)
    except RuntimeWarning:
        log.warning("%s", words)


def _changed(before: Mapping[str, Json], after: dict[str, Json]) -> dict[str, Json]:
    from_before: Context[Any] = Context()
    from_before.set(**{name: value for name, value in after.items() if name not in before or before[name] != value})
    return dict(from_before.changes)

"""A call of a tool, before it is made: may it be, with which arguments, and what happens to it if not.
The users' functions that are asked here are guards, conditions of handoffs, `approve=` and `reconcile=`; the tools are called elsewhere."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, assert_never

from segue import clock
from segue.agent import AgentTool
from segue.calling import guarded, is_open, value_of
from segue.core.arguments import canonical, digest, parse
from segue.core.closing import same_call
from segue.core.conversation import CallTool, Conversation, Recover, Step
from segue.core.events import (
    ApprovalAsked,
    Event,
    Handoff,
    ToolFailed,
    ToolReturned,
    ToolStarted,
    ToolUnknown,
)
from segue.core.limits import handoff_refusal, remaining
from segue.core.messages import Json
from segue.core.turns import Slot, approval_id
from segue.errors import ArgumentsRefused, UsageError
from segue.outcomes import handoff_to, unknown_words
from segue.pool import Once
from segue.team import Member, Offer, Return, Team, Transfer
from segue.tools.context import Context, copied
from segue.tools.results import content_of
from segue.tools.tool import Tool
from segue.world import Ready, World

log = logging.getLogger("segue")


async def prepared(world: World, c: Conversation, steps: Sequence[Step]) -> tuple[list[Ready], list[Event]]:
    """Look at the calls that may be made side by side: those that are ready, and what is decided of all that were looked at."""
    ready: list[Ready] = []
    decided: list[Event] = []
    for step in steps:
        assert isinstance(step, CallTool | Recover)
        offer = world.team.member(step.agent).table.get(step.slot.call.name)
        alone = isinstance(offer, Tool) and (offer.alone or offer.effect == "transaction")
        if alone and ready:
            break
        try:
            found = await _prepare(world, c, step)
        except Exception as error:
            log.warning("the check of a call of %s raised %s", step.slot.call.name, type(error).__name__)
            log.debug("the check of a call of %s raised:", step.slot.call.name, exc_info=error)
            found = ToolFailed(step.slot.place, "raised", f"Not called: its check failed with {type(error).__name__}.")
        started = step.slot.started
        if isinstance(found, ToolFailed) and started is not None and started.effect in ("once", "keyed"):
            words = unknown_words(step.slot.call.name, "the process ended while it ran, and it cannot be called again")
            found = ToolUnknown(found.place, words)  # an earlier drive began it: that it was not called is more than is known
        if isinstance(found, Ready):
            if found.start.unique and (same := _repeated(c, found, ready)):
                found = same
            else:
                ready.append(found)
                found = found.start
        decided.append(found)
        if alone and ready:
            break
    return ready, decided


def checked_arguments(team: Team, c: Conversation, approval: str, arguments: Mapping[str, Json]) -> dict[str, Json]:
    """Arguments in place of those of a call that waits for this approval, as they are delivered to its tool.

    Raises `ArgumentsRefused` where the call cannot be made with them: it waits on.
    """
    given = dict(arguments)
    for slot in c.waiting:
        asked = slot.approval
        if asked is None or asked.id != approval or asked.inner or asked.agent not in team:
            continue
        offer = team.member(asked.agent).table.get(asked.name)
        if isinstance(offer, Tool):
            return offer.parameters.settled(given, offer.parameters.values(given))
    return given


def _repeated(c: Conversation, found: Ready, ready: Sequence[Ready]) -> ToolFailed | None:
    """The outcome of a unique call whose like is made in the same turn (R26)."""
    turn, start = c.turn, found.start
    assert turn is not None
    made = [slot.started for slot in turn.slots if not isinstance(slot.outcome, ToolFailed)] + [one.start for one in ready]
    for other in made:
        if other is not None and other.place != start.place and (other.name, other.arguments) == (start.name, start.arguments):
            return ToolFailed(start.place, "repeated", "Not called again: the same call is in this message, and its result with it.")
    return None


async def _prepare(world: World, c: Conversation, step: CallTool | Recover) -> Ready | Event:
    """Look at a call: it is ready to be made, or something else happens to it at once."""
    slot = step.slot
    member = world.team.member(step.agent)
    offer = member.table.get(slot.call.name)
    if isinstance(step, Recover) and slot.started is not None and not _repeatable(world, c, slot, slot.started, offer):
        return await _recovered(world, c, slot, slot.started, offer)
    if offer is None and c.caller:
        gives_back = member.returns(c.caller)
        offer = gives_back if gives_back.spec.name == slot.call.name else None
    if offer is None:
        names = ", ".join(spec.name for spec in member.specs(c.caller)) or "none"
        called_as = slot.call.name if len(slot.call.name) <= 80 else slot.call.name[:80] + "..."
        return ToolFailed(slot.place, "unknown_tool", f"{step.agent} has no tool {called_as!r}. Its tools: {names}.")
    try:
        arguments = parse(_agreed(slot) or slot.call.arguments)
        match offer:
            case Tool():
                return await _ready_tool(world, c, member, slot, offer, arguments)
            case AgentTool():
                return await _ready_agent(world, c, member, slot, offer, arguments)
            case Transfer() | Return():
                return await _generated(world, c, member, slot, offer, arguments)
            case _:
                assert_never(offer)
    except ArgumentsRefused as error:
        return ToolFailed(slot.place, "arguments", str(error), transfer=isinstance(offer, Transfer | Return))


def _agreed(slot: Slot) -> str | None:
    """The arguments with which a call was begun or agreed to, which are not read anew; `None` if neither was."""
    if slot.started is not None:
        return slot.started.arguments
    return slot.approval.arguments if slot.approval is not None and not slot.approval.inner else None


def _repeatable(world: World, c: Conversation, slot: Slot, started: ToolStarted, offer: Offer | None) -> bool:
    """Whether a call that died with its process may be made again: by what its start said of it, and by what the tool says now (R25)."""
    match started.effect:
        case "read" | "transaction":  # of a transaction without an outcome nothing is left
            return True
        case "keyed":
            if isinstance(offer, Tool) and offer.effect in ("read", "keyed"):
                return _context(world, c, slot, offer, started.arguments).key == started.key
            return isinstance(offer, AgentTool)
        case "once":
            return False
        case _:
            assert_never(started.effect)


def _context(world: World, c: Conversation, slot: Slot, offer: Tool, arguments: str) -> Context[Any]:
    """What a call may know. The place of a unique tool's call does not count for its key (R26)."""
    return world.context(c, slot, arguments, f"unique {offer.name}" if offer.unique else "")


async def _recovered(world: World, c: Conversation, slot: Slot, started: ToolStarted, offer: Offer | None) -> Event:
    """What came of a call that died with its process: what the tool's `reconcile` finds out, or nobody knows (R25)."""
    if isinstance(offer, Tool) and offer.reconcile is not None:
        try:
            found = await value_of(offer.reconcile(_context(world, c, slot, offer, started.arguments).key))
            if found is not None:
                return ToolReturned(slot.place, content_of(found))
        except Exception as error:
            log.warning("reconcile of %s raised %s", slot.call.name, type(error).__name__)
            log.debug("reconcile of %s raised:", slot.call.name, exc_info=error)
    return ToolUnknown(slot.place, unknown_words(slot.call.name, "the process ended while it ran"), ask=slot.approval is not None)


async def _generated(
    world: World, c: Conversation, member: Member, slot: Slot, offer: Transfer | Return, arguments: dict[str, Json]
) -> Event:
    if isinstance(offer, Return):
        value = offer.typed.dump(offer.typed.value(arguments))
        return ToolReturned(slot.place, "", Handoff(offer.caller, "return", brief=value, generated=True))
    edge = offer.edge
    brief = None
    if edge.brief is not None:
        brief = edge.brief.dump(edge.brief.value(arguments))
    elif arguments:
        raise ArgumentsRefused(f"{offer.spec.name} takes no arguments.", fields=tuple((name, "unknown") for name in arguments))
    if not await is_open(edge, world.context(c)):
        return ToolFailed(slot.place, "closed_edge", f"Not transferred: the way to {edge.target} is closed now.", transfer=True)
    if refusal := await guarded(member.guards["tool"], world.context(c), GuardedCall(offer.spec.name, arguments)):
        return ToolFailed(slot.place, "guard", f"Not transferred: {refusal[1]}", transfer=True)
    limited = handoff_refusal(c.run.spent, c.run.limits, len(c.stack), kind=edge.kind, active=member.agent.name, target=edge.target)
    if limited:
        return ToolFailed(slot.place, "limit", limited, transfer=True)
    return ToolReturned(slot.place, "", handoff_to(world, edge.target, edge, brief=brief, generated=True))


async def _ready_agent(
    world: World, c: Conversation, member: Member, slot: Slot, offer: AgentTool, arguments: dict[str, Json]
) -> Ready | Event:
    given = arguments.get("input")
    if not isinstance(given, str) or len(arguments) != 1:
        raise ArgumentsRefused("input: a text is needed, and nothing else.", fields=(("input", "a text is needed"),))
    text = canonical(arguments)
    context = world.context(c, slot, text)
    if slot.started is None and (refusal := await guarded(member.guards["tool"], context, GuardedCall(offer.name, arguments))):
        return ToolFailed(slot.place, "guard", f"Not called: {refusal[1]}")
    start = ToolStarted(slot.place, offer.name, text, "keyed", context.key)
    return Ready(slot, offer, (given, remaining(c.run.limits, c.run.spent), slot), {}, context, None, None, start)


async def _ready_tool(world: World, c: Conversation, member: Member, slot: Slot, offer: Tool, arguments: dict[str, Json]) -> Ready | Event:
    guards = member.guards["tool"]
    parameters = offer.parameters
    values = parameters.values(arguments)
    if guards or offer.approve is not False or offer.unique:
        arguments = parameters.settled(arguments, values)
    text = _agreed(slot) or canonical(arguments)
    context = _context(world, c, slot, offer, text)
    variables = copied(c.context) if parameters.context_variables else None
    args, kwargs = parameters.placed(values, context=context, context_variables=variables)
    if guards and (refusal := await guarded(guards, context, GuardedCall(offer.name, arguments))):
        return ToolFailed(slot.place, "guard", f"Not called: {refusal[1]}")
    if offer.unique and slot.started is None and (earlier := c.uniques.get(same_call(offer.name, text))) is not None:
        came = earlier if isinstance(earlier, str) else canonical(earlier)
        words = f"Not called again: the same call was made earlier in this conversation, and this is what came of it.\n{came}"
        return ToolFailed(slot.place, "repeated", words)
    if (offer.approve is not False or slot.approval is not None) and (asked := await _approval(c, member, slot, offer, arguments, context)):
        return asked
    approval = slot.approval.id if slot.approval else None
    key = context.key if offer.effect == "keyed" else ""
    start = ToolStarted(slot.place, offer.name, text, offer.effect, key, approval, offer.unique)
    timeout = offer.timeout if offer.timeout is not None else c.run.limits.tool_timeout
    commit = Once() if offer.effect == "transaction" else None
    return Ready(slot, offer, args, kwargs, context, variables, timeout, start, commit)


async def _approval(
    c: Conversation, member: Member, slot: Slot, offer: Tool, arguments: dict[str, Json], context: Context[Any]
) -> Event | None:
    """The question to a person, where one must be asked before this exact call of this exact tool is made (R28, R30)."""
    approval = slot.approval
    if approval is not None and approval.fingerprint == offer.fingerprint and approval.agent == member.agent.name:
        return None
    needed = offer.approve if isinstance(offer.approve, bool) else await value_of(offer.approve(arguments, context))
    if needed is None:
        raise UsageError(f"approve= of {offer.name} returned None: return True, to ask a person, or False.")
    if not needed:
        return None
    if slot.started is not None:  # begun by an earlier drive, under other code: what was agreed to then does not hold for it now
        changed = "the tool has changed since the call was begun, and now needs an approval of its own"
        if slot.started.effect == "keyed":
            return ToolUnknown(slot.place, unknown_words(offer.name, changed), ask=True)
        return ToolFailed(slot.place, "denied", f"Not done: {changed}.")
    text, expiry = context.arguments, c.run.limits.approval_expiry
    expires = None if expiry is None else clock.now() + expiry
    name = approval_id(c.id, slot, text)
    edited = approval is not None and approval.edited
    return ApprovalAsked(name, slot.place, member.agent.name, offer.name, text, digest(text), offer.fingerprint, expires, edited=edited)


class GuardedCall(NamedTuple):
    """A call as a tool guard is shown it."""

    name: str
    arguments: Mapping[str, Json]

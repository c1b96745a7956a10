"""A step in, events out: the one place that calls models and users' functions.
What they do becomes an event; nothing is decided here that the core could decide."""

import hashlib
import inspect
import logging
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from segue import spans
from segue.agent import Agent, AgentTool, Edge, Guard, Result
from segue.core.arguments import canonical, parse
from segue.core.chat import as_chat, from_chat
from segue.core.conversation import CallTool, Conversation, Recover
from segue.core.events import (
    ApprovalAsked,
    Event,
    FailureKind,
    Handoff,
    InstructionsRendered,
    ModelReplied,
    Outcome,
    RunEnded,
    ToolFailed,
    ToolReturned,
    ToolStarted,
    ToolUnknown,
)
from segue.core.limits import cost_of, handoff_refusal
from segue.core.messages import Json, Message, Reply, System, User
from segue.core.turns import CUT, Slot
from segue.core.view import check, view
from segue.errors import ArgumentsRefused, BadReply, GuardTripped, ProviderError, SegueError, UsageError
from segue.model import Delta, Model, ModelRequest, OutputSpec, Restarted, TextDelta
from segue.models.resolve import model_from
from segue.team import Member, Return, Team, Transfer
from segue.tools.results import Unreadable, content_of
from segue.tools.tool import Context, Tool

log = logging.getLogger("segue")


class Progress(NamedTuple):
    """What a tool said of its progress; it passes by, like a delta."""

    place: str
    text: str


@dataclass(slots=True)
class World:
    """What steps are performed with: code, live objects, and who listens. Never journalled."""

    team: Team
    model: Model | None = None
    """Replaces every agent's own model."""
    deps: Any = None
    stream: bool = False
    open_team: bool = True
    """Whether an agent that a tool returns may join the team."""
    progress: Callable[[Progress], None] | None = None
    ask_agent: Callable[[Agent, str, str], Awaitable[str]] | None = None
    """Drives an agent that is used as a tool: (agent, input, conversation id) to its output."""
    cache: dict[Any, Any] = field(default_factory=dict)
    error: Exception | None = None
    """The exception behind a failed model call."""

    def model_of(self, agent: Agent) -> Model:
        """The model that replies for an agent (T2)."""
        if self.model is not None:
            return self.model
        named = agent.model or os.environ.get("SEGUE_MODEL")
        if not named:
            raise UsageError(
                f'{agent.name} has no model. Give it one, Agent(..., model="openai:gpt-5-mini"); '
                'or give one for all, run(..., model="openai:gpt-5-mini"); or set SEGUE_MODEL in the environment.'
            )
        return model_from(named)

    def context(self, c: Conversation, slot: Slot | None = None, key: str = "") -> Context[Any]:
        """What a function of the user's may know."""
        if slot is None:
            return Context(c.context, deps=self.deps, agent=c.active, conversation=c.id)
        tell, place = self.progress, slot.place
        return Context(
            c.context,
            deps=self.deps,
            agent=c.active,
            conversation=c.id,
            place=place,
            call_id=slot.call.id,
            key=key,
            progress=(lambda text: tell(Progress(place, text))) if tell else None,
        )


class Ready(NamedTuple):
    """A call that may be made: its start is an event to be appended first."""

    slot: Slot
    offer: Tool | AgentTool
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    context: Context[Any]
    variables: dict[str, Json] | None
    timeout: float | None
    start: ToolStarted


# ---- the model -------------------------------------------------------------


async def ask(world: World, c: Conversation) -> AsyncGenerator[Delta | Restarted | list[Event], None]:
    """Ask the active agent's model: deltas where somebody listens, and at the end the events of it."""
    member = world.team.member(c.active)
    agent = member.agent
    text = await _instructions(agent, world, c)
    events: list[Event] = [] if c.instructions.get(agent.name) == text else [InstructionsRendered(agent.name, text)]
    if member.guards["input"] and c.run.spent.turns == 0:
        refusal = await _guarded(member.guards["input"], world.context(c), _input_text(c))
        if refusal:
            yield [*events, _guard_end("input guard", *refusal)]
            return
    model = world.model_of(agent)
    request = await _request(world, c, member, text)
    held: list[TextDelta] = []
    attempt = 1
    reply: Reply | None = None
    started = time.perf_counter()
    with spans.chat(model.name, request) as span:
        try:
            async for item in model.reply(request):
                if isinstance(item, Reply):
                    reply = item
                elif isinstance(item, TextDelta) and member.guards["output"]:
                    held.append(item)
                else:
                    if isinstance(item, Restarted):
                        attempt = item.attempt
                        held.clear()
                    yield item
            if reply is None:
                raise BadReply(f"{model.name} ended without a reply.", provider=model.name)
        except ProviderError as error:
            spans.failed(span, error)
            world.error = error
            yield [*events, failed("provider", error)]
            return
        spans.replied(span, reply)
    refused, ends = await _judge(world, c, member, reply)
    if ends is None:
        for item in held:
            yield item
    seconds = time.perf_counter() - started
    cost = cost_of(reply.usage, reply.model or model.name, c.run.limits) if c.run.limits.prices else 0.0
    replied = ModelReplied(agent.name, reply, attempt, seconds, cost, refused)
    yield [*events, replied, ends] if ends else [*events, replied]


def failed(reason: str, error: SegueError) -> RunEnded:
    """The end of a run by one of our errors, with the error's plain attributes."""
    values = {name: value for name, value in vars(error).items() if isinstance(value, str | int | float | bool)}
    return RunEnded("failed", reason, str(error), type(error).__name__, values)


def _guard_end(reason: str, guard: str, words: str) -> RunEnded:
    return failed(reason, GuardTripped(f"The guard {guard} said no: {words}", guard=guard, reason=words))


async def _instructions(agent: Agent, world: World, c: Conversation) -> str:
    instructions = agent.instructions
    if isinstance(instructions, str):
        return instructions
    assert callable(instructions)
    text = await _called(instructions, world.context(c))
    if not isinstance(text, str):
        raise UsageError(f"The instructions function of {agent.name} returned {type(text).__name__}; it must return text.")
    return text


async def _request(world: World, c: Conversation, member: Member, text: str) -> ModelRequest:
    agent = member.agent
    messages = await _view(world, c, member)
    closed = frozenset([offer.spec.name for offer in member.conditional if not await _open(offer.edge, world, c)])
    typed = agent.typed_output
    return ModelRequest(
        messages=[System(text), *messages] if text else messages,
        tools=member.specs(c.stack[-2].agent if len(c.stack) > 1 else "", closed),
        settings=agent.settings,
        output=OutputSpec("output", typed.schema, True if typed.strict else None) if typed else None,
        stream=world.stream,
        idle_timeout=c.run.limits.idle_timeout,
        agent=agent.name,
        conversation=c.id,
        cache=world.cache,
    )


async def _view(world: World, c: Conversation, member: Member) -> Sequence[Message]:
    """The active agent's view; a function of the user's may choose among its messages (R15)."""
    messages = view(c)
    frame = c.stack[-1]
    if frame.view != "custom":
        return messages
    edge = world.team.member(frame.via).edges.get(frame.agent) if frame.via in world.team else None
    choose = edge.view if edge and callable(edge.view) else member.agent.view
    if not callable(choose):
        return messages
    shown = [as_chat(message) for message in messages]
    chosen = await _called(choose, world.context(c), [dict(message) for message in shown])
    if not isinstance(chosen, list):
        raise UsageError(f"The view function for {frame.agent} returned {type(chosen).__name__}; it must return a list of messages.")
    kept = [messages[shown.index(message)] if message in shown else from_chat([message])[0] for message in chosen]
    fault = check(kept)
    if fault:
        raise UsageError(f"The view function for {frame.agent} made a history that no provider takes: {fault}.")
    return kept


async def _open(edge: Edge, world: World, c: Conversation) -> bool:
    return edge.when is None or bool(await _called(edge.when, world.context(c)))


async def _judge(world: World, c: Conversation, member: Member, reply: Reply) -> tuple[str | None, RunEnded | None]:
    """Hold a final reply against the output type and the guards: the words it is given back with, and the run's end."""
    if reply.calls or reply.finish in CUT or reply.refusal:
        return None, None
    answer: Any = reply.text or ""
    if member.agent.typed_output is not None:
        try:
            answer = member.agent.typed_output.read(answer)
        except ArgumentsRefused as error:
            return f"Your answer does not fit what is asked for: {error}. Answer again, with a JSON object that fits the schema only.", None
    refusal = await _guarded(member.guards["output"], world.context(c), answer)
    if refusal:
        return refusal[1], _guard_end("output guard", *refusal)
    return None, None


async def _guarded(guards: Sequence[Guard], context: Context[Any], subject: Any) -> tuple[str, str] | None:
    """The name and reason of the first guard that says no."""
    for guard in guards:
        reason = await _called(guard.function, context, subject)
        if reason is not None:
            return guard.name, str(reason)
    return None


def _input_text(c: Conversation) -> str:
    entries = c.log.since(c.run.start)[:1]
    users = [message for entry in entries for message in entry.messages if isinstance(message, User)]
    return "\n".join(user.content if isinstance(user.content, str) else str(user.content) for user in users)


# ---- the call of a tool ----------------------------------------------------


async def prepare(world: World, c: Conversation, step: CallTool | Recover) -> Ready | Event:
    """Look at a call: it is ready to be made, or something else happens to it at once."""
    slot = step.slot
    if isinstance(step, Recover) and slot.started is not None and slot.started.effect not in ("read", "keyed"):
        return ToolUnknown(slot.place, unknown_words(slot.call.name, "the process ended while it ran"), ask=slot.approval is not None)
    member = world.team.member(step.agent)
    offer = member.table.get(slot.call.name)
    if offer is None and len(c.stack) > 1:
        gives_back = member.returns(c.stack[-2].agent)
        offer = gives_back if gives_back.spec.name == slot.call.name else None
    if offer is None:
        names = ", ".join(spec.name for spec in member.specs(c.stack[-2].agent if len(c.stack) > 1 else "")) or "none"
        return ToolFailed(slot.place, "unknown_tool", f"{step.agent} has no tool {slot.call.name!r}. Its tools: {names}.")
    try:
        arguments = parse(slot.call.arguments)
        if isinstance(offer, Transfer | Return):
            return await _generated(world, c, member, slot, offer, arguments)
        return await _ready(world, c, member, slot, offer, arguments)
    except ArgumentsRefused as error:
        return ToolFailed(slot.place, "arguments", str(error), transfer=isinstance(offer, Transfer | Return))


def unknown_words(name: str, why: str) -> str:
    """What a model is told of a call whose outcome nobody knows."""
    return f"Outcome unknown: {why}. It is not known whether {name} took effect. Do not repeat it; say so, or find out by other means."


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
    if not await _open(edge, world, c):
        return ToolFailed(slot.place, "closed_edge", f"Not transferred: the way to {edge.target} is closed now.", transfer=True)
    refusal = handoff_refusal(
        c.run.spent, c.run.limits, len(c.stack), kind=edge.kind, active=member.agent.name, target=edge.target
    )
    if refusal:
        return ToolFailed(slot.place, "limit", refusal, transfer=True)
    return ToolReturned(slot.place, "", _handoff(world, edge.target, edge, brief=brief, generated=True))


def _handoff(world: World, target: str, edge: Edge | None, *, brief: Json = None, generated: bool = False) -> Handoff:
    chosen = edge.view if edge and edge.view is not None else world.team.member(target).agent.view
    shown = "custom" if callable(chosen) else chosen or "everything"
    if shown == "brief" and brief is None:
        shown = "handoff"
    return Handoff(target, edge.kind if edge else "transfer", shown, brief, generated)


async def _ready(
    world: World, c: Conversation, member: Member, slot: Slot, offer: Tool | AgentTool, arguments: dict[str, Json]
) -> Ready | Event:
    text = canonical(arguments)
    key = call_key(c.id, slot.place, text)
    if isinstance(offer, AgentTool):
        given = arguments.get("input")
        if not isinstance(given, str) or len(arguments) != 1:
            raise ArgumentsRefused("input: a text is needed, and nothing else.", fields=(("input", "a text is needed"),))
        start = ToolStarted(slot.place, offer.name, text, "keyed", key)
        return Ready(slot, offer, (given,), {}, world.context(c, slot, key), None, None, start)
    context = world.context(c, slot, key)
    wants_variables = offer.parameters.context_variables
    variables = _copy(c.context) if wants_variables else None
    args, kwargs = offer.parameters.bind(arguments, context=context, context_variables=variables)
    if member.guards["tool"]:
        refusal = await _guarded(member.guards["tool"], context, GuardedCall(offer.name, arguments))
        if refusal:
            return ToolFailed(slot.place, "guard", f"Not called: {refusal[1]}")
    if offer.approve is not False and (slot.decision is None or slot.approval is None or slot.approval.arguments != text):
        needed = offer.approve if isinstance(offer.approve, bool) else await _value(offer.approve(arguments, context))
        if needed:
            digest = hashlib.sha256(text.encode()).hexdigest()
            return ApprovalAsked(key[:16], slot.place, member.agent.name, offer.name, text, digest, offer.fingerprint)
    approval = slot.approval.id if slot.approval else None
    start = ToolStarted(slot.place, offer.name, text, offer.effect, key if offer.effect == "keyed" else "", approval)
    timeout = offer.timeout if offer.timeout is not None else c.run.limits.tool_timeout
    return Ready(slot, offer, args, kwargs, context, variables, timeout, start)


class GuardedCall(NamedTuple):
    """A call as a tool guard is shown it."""

    name: str
    arguments: Mapping[str, Json]


def call_key(conversation: str, place: str, arguments: str) -> str:
    """The key of a call: the same over retries and resumes, for no other call (R26)."""
    return hashlib.sha256(f"{conversation}\n{place}\n{arguments}".encode()).hexdigest()[:32]


def _copy(value: Any) -> Any:
    """A JSON value that may be changed without changing the original."""
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


# ---- what came of it -------------------------------------------------------


async def outcome(world: World, c: Conversation, ready: Ready, value: Any, error: BaseException | None, seconds: float) -> Outcome:
    """What a call came to: what it returned, or raised, as the model will read it."""
    place = ready.slot.place
    try:
        if error is None and inspect.isawaitable(value):
            value = await value
        if error is None:
            return _returned(world, c, ready, value, seconds)
    except Exception as raised:  # noqa: BLE001 - an awaitable that a sync tool returned may raise anything (R6)
        error = raised
    assert error is not None
    if isinstance(error, Unreadable):
        return _fail(place, "result", f"{ready.offer.name} did its work, but {error}.", seconds)
    log.warning("tool %s raised %s", ready.offer.name, type(error).__name__, exc_info=error)
    return _fail(place, "raised", _raised_words(error), seconds)


def late_content(value: Any, error: BaseException | None) -> str:
    """What is told of a result that came late."""
    if error is not None:
        return _raised_words(error)
    try:
        content = content_of(value)
    except Unreadable as unreadable:
        content = f"it ended, but {unreadable}"
    return content if isinstance(content, str) else str(content)


def _fail(place: str, kind: FailureKind, words: str, seconds: float) -> ToolFailed:
    return ToolFailed(place, kind, words, seconds=seconds)


def _raised_words(error: BaseException) -> str:
    try:
        words = content_of(str(error))
    except Exception:  # noqa: BLE001 - an exception whose text cannot be had is told by its type
        words = ""
    return f"Failed with {type(error).__name__}: {words}" if words else f"Failed with {type(error).__name__}."


def _returned(world: World, c: Conversation, ready: Ready, value: Any, seconds: float) -> Outcome:
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
    elif isinstance(value, Agent):
        target, value = value, ""
    if target is None:
        return ToolReturned(place, content_of(value), None, changes, seconds)
    if target.name not in world.team or world.team.member(target.name).agent is not target:
        if not world.open_team:
            words = f"{ready.offer.name} returned the agent {target.name!r}, which the team does not know; it must be named in agents=[...]."
            return _fail(place, "result", words, seconds)
        world.team.join(target)
    edge = world.team.member(c.active).edges.get(target.name)
    return ToolReturned(place, content_of(value), _handoff(world, target.name, edge), changes, seconds)


def _changed(before: Mapping[str, Json], after: dict[str, Json]) -> dict[str, Json]:
    from_before: Context[Any] = Context()
    from_before.set(**{name: value for name, value in after.items() if name not in before or before[name] != value})
    return from_before.changes


# ---- users' functions ------------------------------------------------------


@lru_cache(maxsize=1024)
def _takes(function: Callable[..., Any]) -> tuple[int, bool]:
    """How many positional arguments a function takes, and whether it wants Swarm's `context_variables`."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1, False
    if any(p.kind is p.VAR_POSITIONAL for p in found):
        return 99, False
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in found), any(p.name == "context_variables" for p in found)


async def _called(function: Callable[..., Any], context: Context[Any], *subject: Any) -> Any:
    """Call a function of (subject, context) with as much of it as it takes; a guard takes the context first."""
    count, variables = _takes(function)
    if variables:
        return await _value(function(*subject, context_variables=_copy(context.values)))
    given = (context, *subject)
    if subject and count == 1:
        return await _value(function(*subject))
    return await _value(function(*given[:count]))


async def _value(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value

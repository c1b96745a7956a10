"""A step in, events out: the one place that calls models and users' functions.
What they do becomes an event; nothing is decided here that the core could decide."""

import inspect
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

from segue.agent import Agent
from segue.calling import called, guarded, is_open
from segue.core.conversation import Conversation
from segue.core.events import (
    Event,
    InstructionsRendered,
    ModelReplied,
    RunEnded,
)
from segue.core.limits import cost_of
from segue.core.messages import CUT, Assistant, Message, Reply, System, User
from segue.core.turns import distinct
from segue.core.view import check, view
from segue.errors import ArgumentsRefused, BadReply, GuardTripped, ProviderError, SegueError, UsageError
from segue.model import Delta, Model, ModelRequest, ReasoningDelta, Restarted, TextDelta
from segue.spans import SILENT
from segue.team import Member
from segue.tools.typed import Typed
from segue.wire.chat_messages import as_chat, from_chat
from segue.world import World

log = logging.getLogger("segue")

OPEN: frozenset[str] = frozenset()
"""No way is closed."""


async def ask(world: World, c: Conversation) -> AsyncGenerator[Delta | Restarted | list[Event], None]:
    """Ask the active agent's model: deltas where somebody listens, and at the end the events of it."""
    member = world.team.member(c.active)
    agent = member.agent
    text = await _instructions(agent, world, c)
    events: list[Event] = [] if c.instructions.get(agent.name) == text else [InstructionsRendered(agent.name, text)]
    if member.guards["input"] and not _has_spoken(agent, c):
        refusal = await guarded(member.guards["input"], world.context(c), _input_text(c))
        if refusal:
            yield [*events, _guard_end("input guard", *refusal)]
            return
    model = world.model_of(agent)
    if c.run.limits.cost is not None and model.name not in (c.run.limits.prices or {}):
        raise UsageError(
            f"Limits(cost={c.run.limits.cost:g}) needs the price of {model.name}: Limits(prices={{{model.name!r}: (1.25, 10.0)}}) "
            "says what a million input and a million output tokens cost."
        )
    request = await _request(world, c, member, text)
    held: list[Delta] = []
    attempt = 1
    reply: Reply | None = None
    started = time.perf_counter()
    with world.trace.chat(model, request) if world.trace is not None else SILENT as span:
        said = span.through(_answer(model, request))
        try:
            async for item in said:
                if isinstance(item, Reply):
                    reply = _checked(model, item)
                elif member.guards["output"] and isinstance(item, TextDelta | ReasoningDelta):
                    held.append(item)
                else:
                    if isinstance(item, Restarted):
                        attempt = item.attempt
                        held.clear()
                    yield item
            if reply is None:
                raise BadReply(f"{model.name} ended without a reply.", provider=model.name)
        except ProviderError as error:
            span.failed(error)
            world.error = error
            yield [*events, failed("provider", error)]
            return
        finally:
            if isinstance(said, AsyncGenerator):
                await said.aclose()  # whoever leaves early does not leave a connection to the garbage collector
        span.replied(reply)
    refused, ends = await _judge(world, c, member, reply)
    if refused is None and not reply.calls and reply.whole:  # what stands beside calls is no output, and was not judged
        for delta in held:
            yield delta
    seconds = time.perf_counter() - started
    cost = cost_of(reply.usage, (reply.model, model.name), c.run.limits) if c.run.limits.prices else 0.0
    replied = ModelReplied(agent.name, reply, attempt, seconds, cost, refused)
    yield [*events, replied, ends] if ends else [*events, replied]


def _answer(model: Model, request: ModelRequest) -> AsyncIterator[Delta | Restarted | Reply]:
    said: Any = model.reply(request)
    if not hasattr(said, "__aiter__"):
        if inspect.iscoroutine(said):
            said.close()
        raise UsageError(f"The model {model.name} gives no stream: `async def reply(self, request)` has to yield what comes, a Reply last.")
    return said  # type: ignore[no-any-return]


def _checked(model: Model, reply: Reply) -> Reply:
    for call in reply.calls:
        if not isinstance(call.arguments, str):
            raise UsageError(f"The model {model.name} gives a call whose arguments are no text: give them as JSON, json.dumps({{...}}).")
    finish, calls = CUT.get(reply.finish.lower(), reply.finish), distinct(reply.calls)
    return reply if finish == reply.finish and calls is reply.calls else reply._replace(finish=finish, calls=calls)


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
    text = await called(instructions, world.context(c), role=f"the instructions function of agent {agent.name!r}")
    if not isinstance(text, str):
        raise UsageError(f"The instructions function of {agent.name} returned {type(text).__name__}; it must return text.")
    return text


async def _request(world: World, c: Conversation, member: Member, text: str) -> ModelRequest:
    agent = member.agent
    messages = await _view(world, c, member)
    closed = (
        frozenset([offer.spec.name for offer in member.conditional if not await is_open(offer.edge, world.context(c))])
        if member.conditional
        else OPEN
    )
    typed = _output_type(agent, c)
    return ModelRequest(
        messages=[System(text), *messages] if text else messages,
        tools=member.specs(c.caller, closed),
        settings=agent.settings,
        output=typed.spec if typed else None,
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
        raise UsageError(f"{frame.agent} is shown what a view function of the handoff from {frame.via} chooses, and this code has none.")
    shown = [as_chat(message) for message in messages]
    role = f"the view function for agent {frame.agent!r}"
    chosen = await called(choose, world.context(c), [dict(message) for message in shown], role=role)
    if not isinstance(chosen, list):
        raise UsageError(f"The view function for {frame.agent} returned {type(chosen).__name__}; it must return a list of messages.")
    read = from_chat(chosen)  # as a whole, because an answer is known by the call before it
    kept = [messages[shown.index(given)] if given in shown else made for given, made in zip(chosen, read, strict=True)]
    fault = check(kept)
    if fault:
        raise UsageError(f"The view function for {frame.agent} made a history that no provider takes: {fault}.")
    return kept


async def _judge(world: World, c: Conversation, member: Member, reply: Reply) -> tuple[str | None, RunEnded | None]:
    """Hold a final reply against the output type and the guards: the words it is given back with, and the run's end."""
    if reply.calls or not reply.whole:
        return None, None
    answer: Any = reply.text or ""
    typed = _output_type(member.agent, c)
    if typed is not None:
        try:
            answer = typed.read(answer)
        except ArgumentsRefused as error:
            return f"Your answer does not fit what is asked for: {error}. Answer again, with a JSON object that fits the schema only.", None
    refusal = await guarded(member.guards["output"], world.context(c), answer)
    if refusal:
        return refusal[1], _guard_end("output guard", *refusal)
    return None, None


def _output_type(agent: Agent, c: Conversation) -> Typed | None:
    """What an answer must fit. Who was called may talk to the user: it owes its value to its caller, by the tool that returns."""
    return None if c.caller else agent.typed_output


def _has_spoken(agent: Agent, c: Conversation) -> bool:
    """Whether the agent has said anything since the run's input: then its guards have passed that input."""
    entries = c.log.since(c.run.start)
    return any(isinstance(message, Assistant) and message.agent == agent.name for entry in entries for message in entry.messages)


def _input_text(c: Conversation) -> str:
    entries = c.log.since(c.run.start)[:1]
    return "\n".join(_text(message) for entry in entries for message in entry.messages if isinstance(message, User))


def _text(message: User) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\n".join(str(part.get("text") or f"[{part.get('type')}]") for part in message.content)

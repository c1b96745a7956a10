"""What a turn leaves once every call has its outcome: an entry of the log, the stack of who has the floor, changes of the context.
Here the rules of R12, R13, R24 and R26 are decided."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, assert_never

from segue.core.events import Handoff, Outcome, ToolFailed, ToolLate, ToolReturned, ToolUnknown
from segue.core.floor import Frame, misdirected, switch
from segue.core.limits import Limits, Spent, handoff_refusal
from segue.core.messages import UNUSED, Assistant, Call, Content, Json, Message, Reply, ToolAnswer, Usage, User
from segue.core.turns import Slot, Turn, sendable


class Entry(NamedTuple):
    """What one closed turn, or one input, adds to views.

    `clean` is what is left once a handoff has gone by: refused handoffs are dropped (R13); `None` if nothing differs.
    `only` names the one agent that is shown the entry; empty for all.
    """

    messages: tuple[Message, ...]
    clean: tuple[Message, ...] | None = None
    only: str = ""


class Closed(NamedTuple):
    """What a turn leaves."""

    entry: Entry
    stack: tuple[Frame, ...]
    context: Mapping[str, Json]
    spent: Spent
    unique: Mapping[str, Content]
    """Outcomes of unique calls, by `same_call`."""
    usage: Usage
    """The tokens of agents that were used as tools."""


def close(turn: Turn, spent: Spent, limits: Limits, stack: tuple[Frame, ...], at: int, run_start: int) -> Closed:
    """Say what a turn leaves once every call has its outcome. `at` is where its entry will stand in the log."""
    winner, contents, limited = _choose(turn, spent, limits, stack)
    context: dict[str, Json] = {}
    unique: dict[str, Content] = {}
    usage, cost = UNUSED, 0.0
    for slot, content in zip(turn.slots, contents, strict=True):
        outcome, started = slot.outcome, slot.started
        assert outcome is not None
        if isinstance(outcome, ToolReturned):
            context.update(outcome.context)
        if not isinstance(outcome, ToolUnknown) and outcome.usage.total:
            usage, cost = usage.plus(outcome.usage), cost + outcome.cost
        if started is not None and started.unique and not isinstance(outcome, ToolFailed):
            unique[same_call(started.name, started.arguments)] = content
    handoff = _handoff(turn.slots[winner]) if winner is not None else None
    if handoff is not None:
        stack = switch(stack, handoff, at, run_start)
    spent = _spend(turn, spent, contents, handoff, limited)
    if usage.total:
        spent = spent._replace(usage=spent.usage.plus(usage), cost=spent.cost + cost)
    return Closed(_entry(turn, contents, winner), stack, context, spent, unique, usage)


def same_call(name: str, arguments: str) -> str:
    """What two equal calls of a unique tool have in common; `arguments` in canonical form."""
    return f"{name}\n{arguments}"


def _handoff(slot: Slot) -> Handoff | None:
    return slot.outcome.handoff if isinstance(slot.outcome, ToolReturned) else None


def _choose(turn: Turn, spent: Spent, limits: Limits, stack: tuple[Frame, ...]) -> tuple[int | None, list[Content], bool]:
    """Find the handoff that wins (the first that may be made, R12), what each call is answered, and whether a limit refused one."""
    winner: int | None = None
    first = ""
    limited = False
    contents: list[Content] = []
    for index, slot in enumerate(turn.slots):
        content = _content(slot)
        handoff = _handoff(slot)
        if handoff is None:
            limited = limited or (isinstance(slot.outcome, ToolFailed) and slot.outcome.kind == "limit")
        elif winner is not None:
            content = content or f"Not transferred to {handoff.agent}: the conversation went to {first}."
        elif words := misdirected(handoff, stack):
            content = _told(content, words)
        elif words := handoff_refusal(spent, limits, len(stack), kind=handoff.kind, active=turn.agent, target=handoff.agent):
            limited = True
            content = _told(content, words)
        else:
            winner, first = index, handoff.agent
            content = content or _done(handoff)
        contents.append(content)
    return winner, contents, limited


def _told(content: Content, words: str) -> Content:
    """What a function returned, and that the handoff it asked for was not made."""
    if isinstance(content, str):
        return f"{content}\n\n{words}" if content else words
    return [*content, {"type": "text", "text": words}]


def _done(handoff: Handoff) -> str:
    match handoff.kind:
        case "transfer":
            return f"Transferred to {handoff.agent}. Adopt persona immediately."
        case "call":
            return f"{handoff.agent} has the floor."
        case "return":
            return f"Returned to {handoff.agent}."
        case _:
            assert_never(handoff.kind)


def _content(slot: Slot) -> Content:
    """What the model is told of a call, and that a person had changed its arguments, where one had."""
    content: Content
    assert slot.outcome is not None
    match slot.outcome:
        case ToolReturned():
            content = slot.outcome.content or ""
        case ToolFailed() | ToolUnknown():
            content = slot.outcome.words
        case _:
            assert_never(slot.outcome)
    if slot.approval is None or not slot.approval.edited:
        return content
    edit = f"[A person changed the arguments of this call to {slot.approval.arguments}]"
    return f"{edit}\n{content}" if isinstance(content, str) else [{"type": "text", "text": edit}, *content]


def _entry(turn: Turn, contents: list[Content], winner: int | None) -> Entry:
    """The turn's messages, without generated transfers that lost; `clean` also without those that were refused (R13)."""
    every = range(len(turn.slots))
    failed = [index for index in every if index != winner and _is_failed_transfer(turn.slots[index].outcome)]
    if not failed or signed(turn.reply):
        return Entry(_messages(turn, contents, every))
    lost = [index for index in failed if winner is not None and isinstance(turn.slots[index].outcome, ToolReturned)]
    messages = _messages(turn, contents, [index for index in every if index not in lost])
    return Entry(messages, clean=_messages(turn, contents, [index for index in every if index not in failed]))


def _is_failed_transfer(outcome: Outcome | None) -> bool:
    """Whether a call that did not win was a generated transfer, refused before it was made or when the turn closed."""
    match outcome:
        case ToolReturned(handoff=handoff):
            return handoff is not None and handoff.generated
        case ToolFailed(transfer=transfer):
            return transfer
        case _:
            return False


def signed(reply: Reply) -> bool:
    """Whether a reply carries fields (signed reasoning, thought signatures) that forbid any edit of it."""
    return bool(reply.extra) or any(call.extra for call in reply.calls)


def _messages(turn: Turn, contents: list[Content], kept: Sequence[int]) -> tuple[Message, ...]:
    calls: list[Call] = []
    answers: list[ToolAnswer] = []
    for index in kept:
        call = _sent(turn.slots[index])
        calls.append(call)
        answers.append(ToolAnswer(call.id, call.name, contents[index]))
    reply = turn.reply
    if not calls and not reply.text:
        return ()
    return (Assistant(reply.text, tuple(calls), turn.agent, None, reply.extra, reply.dialect), *answers)


def _sent(slot: Slot) -> Call:
    """The call as views hold it; where it was made with other arguments than it came with, these were broken."""
    return sendable(slot.call, slot.started.arguments if slot.started else "{}")


def _spend(turn: Turn, spent: Spent, contents: list[Content], handoff: Handoff | None, limited: bool) -> Spent:
    calls: list[tuple[str, str, Content]] = []
    trail = spent.trail
    for slot, content in zip(turn.slots, contents, strict=True):
        calls.append((slot.call.name, (slot.started or slot.call).arguments, content))
        if _is_work(slot.outcome):
            trail = ()
    if handoff is not None:
        trail = (*trail, handoff.agent)[-4:]
    return spent._replace(
        handoffs=spent.handoffs + (handoff is not None),
        refused_handoffs=spent.refused_handoffs + limited,
        trail=trail,
        calls=calls,
        repeats=spent.repeats + 1 if calls == spent.calls else 1,
    )


def _is_work(outcome: Outcome | None) -> bool:
    """A handoff is none, unless it brings back what a caller had asked for."""
    return isinstance(outcome, ToolReturned) and (outcome.handoff is None or outcome.handoff.kind == "return")


def said(agent: str, reply: Reply) -> tuple[Message, ...]:
    """The message of a reply without calls; none for an empty one."""
    text = reply.text or reply.refusal
    return (Assistant(text, (), agent, reply.refusal, reply.extra, reply.dialect),) if text else ()


def late_note(event: ToolLate) -> User:
    """What the model is told of a result that came late."""
    return User(f"[Late result of the earlier call of {event.name}, whose outcome was unknown: {event.content}]")

"""L7: a simple driver in a made-up world, killed after any event and begun again, ends with the same messages.
In that world everything follows from the place: what the model says in a turn, what a call comes to, what people decide.
A driver that is killed time and again before it gets anything done is parked, and after an allowance the end is the same as well."""

import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from segue.core.closing import same_call
from segue.core.conversation import NO_PROGRESS, CallModel, CallTool, Conversation, EndRun, Recover, Status, end_due, next_steps
from segue.core.events import (
    AllowanceGiven,
    ApprovalAsked,
    ApprovalDecided,
    DriveStarted,
    Event,
    InputGiven,
    ModelReplied,
    Started,
    ToolFailed,
    ToolReturned,
    ToolSettled,
    ToolStarted,
    ToolUnknown,
)
from segue.core.fold import apply, replay
from segue.core.limits import IDLE_DRIVES
from segue.core.messages import Message, Reply, Usage
from segue.core.turns import Slot
from tests.laws import vocabulary as v
from tests.laws.vocabulary import Chance, likely, one_of

ENDLESS = 1000
"""More events than any story has."""


class Placed:
    """Chance from a number: a congruential generator, which is made in no time."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.random()

    def random(self) -> float:
        """A number from 0 up to 1."""
        self._number = (self._number * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
        return (self._number >> 11) / (1 << 53)


class World:
    """Everything outside of the machine, as it follows from a seed."""

    def __init__(self, seed: int, *, free: bool = False) -> None:
        self.seed = seed
        self.free = free
        """No limit is met, so that an allowance changes nothing."""
        self.inputs = 1 + seed % 2
        self.turns = 2 + seed % 5

    def chance(self, *place: Any) -> Chance:
        """Chance that is the same whenever the same place is come to."""
        return Placed(zlib.crc32(f"{self.seed}/{place}".encode()))

    def happens(self, c: Conversation) -> Event | None:
        """What comes from outside when the machine has nothing left to do; `None` at the end of the story."""
        if c.status is Status.NEW:
            return Started("c", v.AGENTS[self.seed % len(v.AGENTS)])
        if c.ended == NO_PROGRESS:
            return AllowanceGiven()
        if c.waiting:
            return self._decision(c.waiting[0])
        chance = self.chance("outside", c.turns, c.status)
        if c.status is Status.ENDED and c.ended is not None and c.ended.reason != "input guard" and likely(chance, 0.3):
            return AllowanceGiven()
        return self._given(c, chance)

    def queues(self, c: Conversation) -> Event | None:
        """An input that comes while calls are open, if one does in this turn."""
        chance = self.chance("queued", c.turns)
        given = self._given(c, chance) if c.status is Status.TOOLS and likely(chance, 0.2) else None
        return replace(given, busy="queue") if given is not None else None

    def _given(self, c: Conversation, chance: Chance) -> InputGiven | None:
        last = c.queue[-1].run if c.queue else c.run.id
        done = int(last.rpartition("-")[2] or 0)
        if done >= self.inputs:
            return None
        given = v.given(chance, done + 1)
        return replace(given, limits={}) if self.free else given

    def _decision(self, slot: Slot) -> Event:
        if slot.doubt is not None:
            return ToolSettled(slot.place, f"settled {slot.place}")
        assert slot.approval is not None
        chance = self.chance("decision", slot.place, slot.asked)
        decision: Any = "approve" if likely(chance, 0.6) else "deny"
        if not slot.approval.inner and slot.asked == 1 and likely(chance, 0.4):
            decision = "superseded"  # the call is put anew, with arguments that a person has edited
        return ApprovalDecided(slot.approval.id, slot.approval.digest, decision)

    def reply(self, c: Conversation) -> ModelReplied:
        """What the model says in this turn; it comes to an end some time."""
        if c.turns >= self.turns:
            return ModelReplied(c.active, Reply("That is all."))
        reply = v.replied(self.chance("model", c.turns), c.active)
        return replace(reply, refused=None) if self.free else reply

    def look(self, c: Conversation, slot: Slot) -> Event:
        """What becomes of a call that was not begun: a start, a question, or an outcome at once."""
        chance = self.chance("call", slot.place)
        fate = chance.random()
        if fate < 0.15:
            kind = one_of(chance, v.FAILURES)
            return ToolFailed(slot.place, "guard" if self.free else kind, f"failed {slot.place}", likely(chance, 0.4))
        if fate < 0.3:
            return ToolReturned(slot.place, "", v.handoff(chance, True, c.stack[-2].agent if len(c.stack) > 1 else ""))
        arguments, effect = one_of(chance, v.CANONICAL), one_of(chance, v.EFFECTS)
        if slot.asked > 1:
            arguments = '{"amount":5}'
        if slot.asked and slot.approval is None:
            return self._ask(slot, '{"amount":5}', edited=True)
        if fate < 0.45 and slot.decision is None:
            return self._ask(slot, arguments)
        unique = likely(chance, 0.3)
        if unique and (same := c.uniques.get(same_call(slot.call.name, arguments))) is not None:
            return ToolFailed(slot.place, "repeated", f"the same as before: {same}")
        return ToolStarted(slot.place, slot.call.name, arguments, effect, "", slot.approval.id if slot.approval else None, unique)

    def _ask(self, slot: Slot, arguments: str, *, edited: bool = False, inner: str = "") -> ApprovalAsked:
        name = f"{'inner' if inner else 'approval'} {slot.place} {slot.asked}"
        return ApprovalAsked(name, slot.place, "Refunds", "refund", arguments, v.digest(arguments), inner=inner, edited=edited)

    def outcome(self, slot: Slot) -> Event:
        """What a call that was begun comes to: the keyed ones may be agents, who ask a person themselves, and again."""
        assert slot.started is not None
        is_agent = slot.started.effect == "keyed" and not slot.started.approval
        if is_agent and slot.asked < 3 and likely(self.chance("inner", slot.place, slot.asked), 0.4):
            return self._ask(slot, "{}", inner=f"c/{slot.place}")
        chance = self.chance("outcome", slot.place)
        if likely(chance, 0.15):
            return ToolFailed(slot.place, "raised", f"raised {slot.place}")
        chosen = v.handoff(chance, False, "") if likely(chance, 0.15) else None
        decided = slot.decision.decision if slot.decision else ""
        return ToolReturned(slot.place, f"returned {slot.place} {decided}", chosen, {f"key {slot.place}": 1}, usage=Usage(2, 1))


def driven(world: World, c: Conversation) -> tuple[list[Event], list[Conversation]]:
    """What a new driver and the world do from here on, and the conversation before each event and after the last."""
    events: list[Event] = []
    states = [c]
    event: Event | None = DriveStarted("driver") if c.status is not Status.NEW else world.happens(c)
    while event is not None:
        if len(events) >= ENDLESS:
            raise AssertionError(f"the story of seed {world.seed} does not come to its end")
        events.append(event)
        states.append(apply(states[-1], event))
        event = next(_next(world, states[-1]), None)
    return events, states


def _next(world: World, c: Conversation) -> Iterator[Event]:
    steps = next_steps(c)
    queued = None if any(isinstance(step, EndRun) for step in steps) else world.queues(c)
    if queued is not None:
        yield queued
    for step in steps:
        match step:
            case EndRun(event):
                yield event
            case CallModel():
                yield world.reply(c)
            case CallTool(_, slot):
                yield world.look(c, slot)
            case Recover(_, slot):
                yield _recovered(slot)
    for slot in c.turn.slots if c.turn else ():
        if slot.started is not None and slot.outcome is None and slot.drive == c.drive and not slot.waits:
            yield world.outcome(slot)
    outside = world.happens(c)
    if outside is not None:
        yield outside


def _recovered(slot: Slot) -> Event:
    """R25: begun again where that is harmless; else nobody knows, and a person is asked where one had to approve."""
    assert slot.started is not None
    if slot.started.effect == "once":
        return ToolUnknown(slot.place, "Outcome unknown.", slot.approval is not None)
    return slot.started


def told(c: Conversation) -> tuple[list[Message], Any, Any, Any, Any]:
    """What a conversation has come to: every message, the context, who has the floor, what is kept, and what it took."""
    messages = [message for entry in c.log for message in entry.messages]
    return messages, c.context, [frame.agent for frame in c.stack], c.uniques, c.usage


def violation(seed: int, kills: int | None = None) -> str | None:
    """Kill the story of a seed after `kills` events (after each, by default), and again later; say where it then differs.

    Every third story is killed time and again at the same place, until it is parked and gets an allowance.
    """
    world = World(seed, free=seed % 3 == 0)
    story, states = driven(world, Conversation())
    end = told(states[-1])
    for place in range(1, len(story) + 1) if kills is None else [1 + kills % len(story)]:
        c = states[place]
        if world.free:
            c = replay([DriveStarted("doomed")] * IDLE_DRIVES, c)
        begun, later = driven(world, c)
        parks = world.free and (c.status is Status.TOOLS or (c.status is Status.MODEL and end_due(c) is None))
        if parks != (NO_PROGRESS in begun):
            return f"story {seed}, killed {IDLE_DRIVES} times after event {place}, is parked or is not where it should"
        again = 1 + seed % len(begun)
        last, latest = driven(world, later[again])
        if any(isinstance(event, ToolUnknown) for event in (*begun[:again], *last)):
            continue
        if told(latest[-1]) != end:
            return f"story {seed}, killed after event {place} ({type(story[place - 1]).__name__}), ends otherwise"
    return None

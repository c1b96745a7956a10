"""L7: a simple driver in a made-up world, killed after any event and begun again, ends with the same messages.
In that world everything follows from the place: what the model says in a turn, what a call comes to, what people decide."""

import zlib
from collections.abc import Iterator
from typing import Any

from segue.core.conversation import CallModel, CallTool, Conversation, EndRun, Recover, Status, next_steps
from segue.core.events import (
    AllowanceGiven,
    ApprovalAsked,
    ApprovalDecided,
    DriveStarted,
    Event,
    ModelReplied,
    Started,
    ToolFailed,
    ToolReturned,
    ToolSettled,
    ToolStarted,
    ToolUnknown,
)
from segue.core.fold import apply
from segue.core.messages import Message, Reply
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

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.inputs = 1 + seed % 2
        self.turns = 2 + seed % 5

    def chance(self, *place: Any) -> Chance:
        """Chance that is the same whenever the same place is come to."""
        return Placed(zlib.crc32(f"{self.seed}/{place}".encode()))

    def happens(self, c: Conversation) -> Event | None:
        """What comes from outside when the machine has nothing left to do; `None` at the end of the story."""
        if c.status is Status.NEW:
            return Started("c", v.AGENTS[self.seed % len(v.AGENTS)])
        if c.waiting:
            return self._decision(c.waiting[0])
        done = 0 if not c.run.id else int(c.run.id.rpartition("-")[2])
        chance = self.chance("outside", c.turns, c.status)
        if c.status is Status.ENDED and c.ended is not None and c.ended.reason != "input guard" and likely(chance, 0.3):
            return AllowanceGiven()
        return v.given(chance, done + 1) if done < self.inputs else None

    def _decision(self, slot: Slot) -> Event:
        if slot.doubt is not None:
            return ToolSettled(slot.place, f"settled {slot.place}")
        assert slot.approval is not None
        decision: Any = "approve" if likely(self.chance("decision", slot.place), 0.7) else "deny"
        return ApprovalDecided(slot.approval.id, slot.approval.digest, decision)

    def reply(self, c: Conversation) -> ModelReplied:
        """What the model says in this turn; it comes to an end some time."""
        if c.turns >= self.turns:
            return ModelReplied(c.active, Reply("That is all."))
        return v.replied(self.chance("model", c.turns), c.active)

    def look(self, c: Conversation, slot: Slot) -> Event:
        """What becomes of a call that was not begun: a start, a question, or an outcome at once."""
        chance = self.chance("call", slot.place)
        fate = chance.random()
        if fate < 0.15:
            return ToolFailed(slot.place, one_of(chance, v.FAILURES), f"failed {slot.place}", likely(chance, 0.4))
        if fate < 0.3:
            return ToolReturned(slot.place, "", v.handoff(chance, True, c.stack[-2].agent if len(c.stack) > 1 else ""))
        arguments, effect = one_of(chance, v.CANONICAL), one_of(chance, v.EFFECTS)
        if fate < 0.4 and slot.decision is None:
            return ApprovalAsked(f"approval {slot.place}", slot.place, "Refunds", "refund", arguments, v.digest(arguments))
        return ToolStarted(slot.place, slot.call.name, arguments, effect, "", slot.approval.id if slot.approval else None)

    def outcome(self, slot: Slot) -> Event:
        """What a call that was begun comes to."""
        chance = self.chance("outcome", slot.place)
        if likely(chance, 0.15):
            return ToolFailed(slot.place, "raised", f"raised {slot.place}")
        chosen = v.handoff(chance, False, "") if likely(chance, 0.15) else None
        return ToolReturned(slot.place, f"returned {slot.place}", chosen, {f"key {slot.place}": 1})


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


def told(c: Conversation) -> tuple[list[Message], Any, Any]:
    """What a conversation has come to: every message, the context, and who has the floor."""
    return [message for entry in c.log for message in entry.messages], c.context, [frame.agent for frame in c.stack]


def violation(seed: int, kills: int | None = None) -> str | None:
    """Kill the story of a seed after `kills` events (after each, by default), and again later; say where it then differs."""
    world = World(seed)
    story, states = driven(world, Conversation())
    end = told(states[-1])
    for place in range(1, len(story) + 1) if kills is None else [1 + kills % len(story)]:
        begun, later = driven(world, states[place])
        again = 1 + seed % len(begun)
        last, latest = driven(world, later[again])
        if any(isinstance(event, ToolUnknown) for event in (*begun[:again], *last)):
            continue
        if told(latest[-1]) != end:
            return f"story {seed}, killed after event {place} ({type(story[place - 1]).__name__}), ends otherwise"
    return None

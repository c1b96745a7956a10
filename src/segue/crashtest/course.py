"""What a trial has left behind: the journal after each death and at the end, what the witness wrote, the world.
Here it is only read and put together; `verdict` says whether it is right."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from segue.core.codec import decode, encode
from segue.core.events import Event, ToolFailed, ToolReturned, ToolSettled, ToolStarted, ToolUnknown
from segue.core.messages import NOTHING, Json
from segue.crashtest.points import Point, path_of
from segue.journal.base import Journal, every_line

Events = Mapping[str, Sequence[Event]]
"""The events of conversations, by conversation."""


class Course(NamedTuple):
    """What a trial has left behind."""

    points: tuple[Point, ...] = ()
    """Where its processes were to be killed; none for the reference."""
    account: Sequence[Mapping[str, Any]] = ()
    left: Sequence[Events] = ()
    """The journal as each killed process left it."""
    journal: Events = NOTHING
    """The journal at the end."""
    world: Sequence[Json] | None = None
    """What `observe` has seen; `None` if nobody looked."""
    missed: bool = False
    """A process ended without coming to its point."""
    trouble: str = ""
    """Why a process that nobody killed came to no end of its own."""


class Tale(NamedTuple):
    """What a journal tells of a call."""

    name: str = ""
    effect: str = ""
    key: str = ""
    starts: int = 0
    outcome: ToolReturned | ToolFailed | ToolUnknown | ToolSettled | None = None

    @property
    def open(self) -> bool:
        """Whether it was begun, and has no outcome."""
        return self.starts > 0 and self.outcome is None

    @property
    def unknown(self) -> bool:
        """Whether it is said that nobody knows what came of it, or a person was asked."""
        return isinstance(self.outcome, ToolUnknown | ToolSettled)


def tales(journal: Events) -> dict[str, Tale]:
    """What a journal tells of each call, by its place with the way there."""
    told: dict[str, Tale] = {}
    for conversation, events in journal.items():
        for event in events:
            match event:
                case ToolStarted():
                    call = f"{path_of(conversation)}{event.place}"
                    told[call] = Tale(event.name, event.effect, event.key, told.get(call, Tale()).starts + 1)
                case ToolReturned() | ToolFailed() | ToolUnknown() | ToolSettled():
                    call = f"{path_of(conversation)}{event.place}"
                    told[call] = told.get(call, Tale())._replace(outcome=event)
                case _:
                    continue
    return told


async def dumped(journal: Journal) -> Json:
    """All that a journal holds, as JSON."""
    names = sorted([line.conversation async for line in every_line(journal)])
    return {name: [_written(row.event) for row in await journal.read(name)] for name in names}


def _written(event: Event) -> list[Any]:
    kind, version, data = encode(event)
    return [kind, version, data.decode()]


def undumped(value: Json) -> Events:
    """What `dumped` has written down."""
    return {name: [decode(*event) for event in events] for name, events in value.items()}

"""What a journal is: the events of conversations, in order, append-only, and a line about each conversation for lists.
The journal stamps the time; events do not know it. Whoever appends says where: two writers at one place are a conflict."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any, NamedTuple, Protocol, assert_never, runtime_checkable

from segue.core.codec import Unknown, skim
from segue.core.conversation import Conversation, Status
from segue.core.events import Event
from segue.core.fold import MISFITS, replay
from segue.errors import JournalDamaged

ATTEMPTS = 100
"""How often an append is tried where others are faster; each time, somebody else has got something done."""


class Stored(NamedTuple):
    """An event with its place (from 1) and its time in seconds since the epoch."""

    seq: int
    at: float
    event: Event


class Raw(NamedTuple):
    """An event as it is stored, not read: it may be of a newer version. `segue.core.codec` reads it."""

    seq: int
    at: float
    kind: str
    version: int
    data: bytes | str


class Summary(NamedTuple):
    """What a list tells of a conversation."""

    status: str = "new"
    """"new", "running" (there is work left), "waiting" (for a person), "done", "limited", "failed", "cancelled" or "parked"."""
    entry: str = ""
    """The agent with which it was opened."""
    agent: str = ""
    """The agent that has the floor."""
    driver: str = ""
    """Who drove it last."""


class Line(NamedTuple):
    """A conversation in a list. Times are in seconds since the epoch; `seq` is the place of its last event."""

    conversation: str
    seq: int
    created: float
    updated: float
    summary: Summary


STATUSES = ("new", "running", "waiting", "done", "limited", "failed", "cancelled", "parked")
"""What `Summary.status` may be."""


PAGE = 200
"""How many lines are asked for together, where all are wanted."""


def summary_of(conversation: Conversation) -> Summary:
    """What a list tells of a conversation as it is now."""
    match conversation.status:
        case Status.NEW:
            status = "new"
        case Status.IDLE:
            status = "done" if conversation.run.id else "new"
        case Status.MODEL | Status.TOOLS:
            status = "running"
        case Status.HUMAN:
            status = "waiting"
        case Status.ENDED:
            assert conversation.ended is not None
            status = conversation.ended.kind
        case _:
            assert_never(conversation.status)
    return Summary(status, conversation.entry, conversation.active, conversation.driver)


def fold(stored: Sequence[Stored], conversation: Conversation | None = None) -> Conversation:
    """Fold what a journal holds. Raises `JournalDamaged` for events that cannot have happened in this order."""
    try:
        return replay([row.event for row in stored], conversation)
    except MISFITS as error:
        name = getattr(stored[0].event, "conversation", "") if stored else ""
        raise JournalDamaged(f"The stored events of conversation {name} do not fit together: {error}") from error


class Journal(Protocol):
    """Keeps the events of conversations. `segue.testing.journal_conformance` holds an implementation to this."""

    @property
    def durable(self) -> bool:
        """Whether an append waits for a disk or a server; if not, `append` never suspends."""
        ...

    async def append(self, conversation: str, seq: int, events: Sequence[Event], *, at: float, summary: Summary = ...) -> None:
        """Write events at places `seq`, `seq` + 1, ... with the conversation's new line; return when they are durable.

        Raises `JournalConflict`, with nothing written, if `seq` is not the place after the last event; `KeyReused`, with
        nothing written, if an `InputGiven` has a key under which another conversation was given an input; and
        `JournalError` where the store refuses: nothing is known to be written then, and nothing else is lost.
        """
        ...

    async def read(self, conversation: str, *, after: int = 0) -> list[Stored]:
        """The events after a place, in order; an empty list for a conversation that does not exist.

        Raises `JournalDamaged` or `JournalNewer` for what cannot be read.
        """
        ...

    async def raw(self, conversation: str, *, after: int = 0) -> list[Raw]:
        """The events after a place as they are stored, those of a newer version too; for copies, and for those who only look on.

        Raises `JournalDamaged` where a place or a time cannot be right.
        """
        ...

    async def wait(self, conversation: str, *, after: int, timeout: float) -> None:
        """Return when there are events after a place, or when `timeout` seconds are over. It may return too early."""
        ...

    async def keyed(self, key: str) -> str | None:
        """The conversation that was given an input with this key (R23); `None` if none was."""
        ...

    async def conversations(
        self,
        *,
        status: Collection[str] = (),
        agent: str | None = None,
        before: float | None = None,
        since: float | None = None,
        following: Line | None = None,
        limit: int = 100,
    ) -> list[Line]:
        """Conversations, the last updated first, at most `limit` of them.

        `status`: one of these; `agent`: has the floor; `before`, `since`: when it was updated last; `following`: the last line
        of the page before.
        """
        ...

    async def erase(self, conversation: str) -> bool:
        """Delete everything that is stored of a conversation; whether there was anything."""
        ...

    async def hold(self, driver: str) -> None:
        """Let the others see that a driver lives, for as long as this process does or until `let_go`."""
        ...

    async def let_go(self, driver: str) -> None:
        """The driver drives no more."""
        ...

    async def alive(self, driver: str) -> bool:
        """Whether a driver is held by a living process: by a lock, and not by the clock. A wrong answer costs time, never an effect."""
        ...

    async def aclose(self) -> None:
        """Let go of files, connections and threads. What was appended stays."""
        ...


@runtime_checkable
class Transactional(Protocol):
    """A journal whose database tools may write to, in one transaction with their outcome."""

    def transact(self, conversation: str, fence: int, work: Callable[[Any], Event], *, at: float) -> Stored:
        """Call `work` with an open transaction on a connection of its own, write the event that it gives, and commit both.

        Called on a thread. The event takes the place after the last one. Raises `JournalConflict`, with everything rolled
        back, if a `DriveStarted` stands after place `fence`; what `work` raises comes out, with everything rolled back.
        """
        ...


async def follow(journal: Journal, conversation: str, *, after: int = 0) -> AsyncIterator[Stored]:
    """The events after a place, and those to come, for as long as they are read."""
    while True:
        for stored in await journal.read(conversation, after=after):
            after = stored.seq
            yield stored
        await journal.wait(conversation, after=after, timeout=30.0)


async def every_line(journal: Journal, **filters: Any) -> AsyncIterator[Line]:
    """All conversations that fit, page by page, the last updated first; `filters` are those of `Journal.conversations`."""
    following: Line | None = None
    while page := await journal.conversations(**filters, following=following, limit=PAGE):
        for line in page:
            yield line
        following = page[-1]


async def skimmed(journal: Journal, conversation: str) -> list[tuple[int, float, Event | Unknown]]:
    """The events with their places and times, for those who only look on; what this version does not know is `Unknown`."""
    return [(row.seq, row.at, skim(row.kind, row.version, row.data)) for row in await journal.raw(conversation)]

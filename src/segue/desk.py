"""What the runs of one Runner share: who drives which conversation, and what is kept of it for the next run.
A conversation is driven by one drive at a time. What is kept may be dropped at any time: the journal has it all."""

import asyncio
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from segue import clock
from segue.change import OnChange, differences, parked_for
from segue.core.conversation import Conversation, Status
from segue.core.events import SUPERSEDED, Event, InputGiven, RunEnded, ToolLate
from segue.core.limits import Limits
from segue.drive import Drive
from segue.engine import Engine
from segue.errors import CodeChanged, ConversationBusy, JournalConflict, JournalError, SegueError, UsageError
from segue.inputs import Given, begins_anew, driven, earlier_run
from segue.journal.base import Journal, fold
from segue.openings import given
from segue.outside import end_inner, left_open, tell
from segue.team import Team

log = logging.getLogger("segue")

Busy = Literal["reject", "queue", "interrupt"]

KEPT = 256
"""How many conversations are kept folded, so that the next run need not fold them again."""


class Kept(NamedTuple):
    """What is kept of a conversation."""

    conversation: Conversation
    cache: dict[Any, Any]
    driven: float = 0.0


class Claim:
    """A wish to drive a conversation, and then the right to: for the run with `key`, if it has one."""

    def __init__(self, drive: Drive | None = None, key: str | None = None) -> None:
        self.drive = drive
        self.key = key
        self.loop = asyncio.get_running_loop()
        self.freed: asyncio.Event | None = None
        """Set whenever the conversation may have become free; there while somebody waits for that."""

    @property
    def over(self) -> bool:
        """Whether nobody drives under this claim any more."""
        return (self.drive is not None and self.drive.over) or self.loop.is_closed()

    def wake(self) -> None:
        """Look again whether the conversation is free; from any thread."""
        if self.freed is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.freed.set)


class Desk:
    """The conversations of one Runner."""

    def __init__(self, team: Team, journal: Journal, engine: Engine | None = None, on_change: OnChange = "adopt") -> None:
        self.team = team
        self.journal = journal
        self.engine = engine
        self.driver = _named()
        self.leaving = False
        """Whether nothing more is to be taken up that could be left to another driver."""
        self._on_change = on_change
        self._held = 0
        """The process in which the journal lets others see that this driver lives."""
        self._caller: Drive | None = None
        """The drive that waits for the agent that is driven here, where that is used as a tool."""
        self._shared = False
        """Whether the driver's name is another desk's."""
        self._retired: set[str] = set()
        """Names under which nothing more is begun here."""
        self._claims: dict[str, Claim] = {}
        self._waiting: dict[str, list[Claim]] = {}
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._teams: dict[str, Team] = {}
        self._lock = threading.Lock()

    async def take(self, conversation: str, claim: Claim, busy: Busy) -> None:
        """Claim a conversation, as `busy` says. The run that is going on is waited for if it has the same key."""
        while True:
            with self._lock:
                running = self._claims.setdefault(conversation, claim)
                if running is not claim and running.over:
                    running = self._claims[conversation] = claim
                if running is claim:
                    return
                same = claim.key is not None and claim.key == running.key
                if busy == "reject" and not same:
                    raise ConversationBusy(
                        f'The conversation {conversation} is being run. Wait for it, or give busy="queue" or busy="interrupt".',
                        conversation=conversation,
                    )
                freed = claim.freed = asyncio.Event()
                self._waiting.setdefault(conversation, []).append(claim)
            if busy == "interrupt" and not same and running.drive is not None:
                running.drive.stop_soon(SUPERSEDED)
            await freed.wait()

    def wake(self, conversation: str) -> None:
        """Let those who wait for a conversation look again."""
        with self._lock:
            waiting = self._waiting.pop(conversation, [])
        for claim in waiting:
            claim.wake()

    def release(self, conversation: str, claim: Claim, kept: Kept | None) -> None:
        """Let the next one have the conversation. `kept`: what the drive left; `None` if that is not to be relied on."""
        with self._lock:
            if self._claims.get(conversation) is claim:  # or else another one has gone on meanwhile
                del self._claims[conversation]
                self._kept.pop(conversation, None)
                if kept is not None:
                    self._kept[conversation] = kept
                    if len(self._kept) > KEPT:
                        self._kept.popitem(last=False)
        self.wake(conversation)

    async def load(self, conversation: str) -> Kept:
        """A conversation as the journal has it. Raises `JournalDamaged` and `JournalNewer`."""
        kept = self._kept.get(conversation)
        if kept is None:
            stored = await self.journal.read(conversation)
            return Kept(fold(stored), {}, driven(stored))
        stored = await self.journal.read(conversation, after=kept.conversation.seq)
        if not stored:
            return kept
        before = 0.0 if begins_anew([row.event for row in stored]) else kept.driven
        return Kept(fold(stored, kept.conversation), kept.cache, before + driven(stored))

    def forget(self, conversation: str) -> None:
        """What is kept of a conversation is not what the journal has."""
        with self._lock:
            self._kept.pop(conversation, None)

    async def hold(self) -> None:
        """Let others see that this driver lives."""
        if self._held != os.getpid():
            if self._held:
                self.driver = _named()  # a fork is another driver
                self._retired.clear()
            driver = self.driver
            await self.journal.hold(driver)
            self._held = os.getpid()

    def share(self, outer: "Desk", conversation: str) -> None:
        """Drive an agent's conversation under the name of the drive that uses it as a tool, which lives as long as that one."""
        self._caller = outer.drive_of(conversation.rpartition("/")[0])
        self.driver = outer.driver if self._caller is None else self._caller.driver
        self._held, self._shared = os.getpid(), True

    async def tidy(self, drive: Drive) -> None:
        """After a drive that could not write down how it ended, drive under another name: others see by the old one that it is dead."""
        if _abandoned(drive) and self._held == os.getpid() and not self._shared:
            self._retired.add(drive.driver)
            if drive.driver == self.driver:
                self.driver, self._held = _named(), 0
        for driver in [name for name in self._retired if all(other.driver != name for other in self.drives())]:
            self._retired.discard(driver)
            await self.journal.let_go(driver)

    async def hand_over(self) -> None:
        """Let the drives that nobody here waits for finish their present step, and leave the rest to the next driver."""
        self.leaving = True
        while handed := [drive for drive in self.drives() if drive.handed]:  # again, for one that was just being begun
            for drive in handed:
                drive.leave_soon()
            await asyncio.sleep(0.01)  # they may run on other event loops, on which nothing can be waited for here

    async def let_go(self) -> None:
        """This driver drives no more."""
        held, self._retired = self._retired, set()
        if self._held == os.getpid():
            self._held = 0
            held.add(self.driver)
        for driver in held:
            await self.journal.let_go(driver)

    async def elsewhere(self, c: Conversation) -> bool:
        """Whether a run is going on that someone else drives: a living driver, or the engine's workers."""
        if not c.running:
            return False
        if self.engine is not None:
            return True
        return self.journal.durable and c.driver not in ("", self.driver) and await self.journal.alive(c.driver)

    async def given(self, name: str, message: Given, run: InputGiven, policy: Busy, c: Conversation) -> list[Event] | Conversation:
        """How an input is taken, by the conversation as it stands; or the conversation as the run with its key left it."""
        if run.key is not None and c.seq and (earlier := earlier_run(await self.journal.read(name), run, message.earlier)) is not None:
            going_on = earlier.seq == c.seq and c.running
            return [] if going_on else earlier
        if policy == "interrupt":
            await end_inner(self.journal, name, [slot.place for slot in c.waiting], at=clock.now())
        driven = await self.elsewhere(c)
        entry, reject = self.team.entry.name, policy == "reject"
        events = given(c, run, conversation=name, entry=entry, earlier=message.earlier, reject=reject, driven=driven, now=clock.now())
        await end_inner(self.journal, name, left_open(events), at=clock.now())  # what a dead driver's agents did, nobody waits for
        return events

    async def is_waited_for(self, conversation: str) -> bool:
        """Whether the call is open that the conversation of an agent used as a tool belongs to.

        Raises `ConversationBusy` where another driver has taken that call over.
        """
        outer, _, place = conversation.rpartition("/")
        known = self._caller.ledger.written if self._caller is not None else Conversation()
        c = fold(await self.journal.read(outer, after=known.seq), known)
        if c.driver not in (self.driver, ""):
            raise ConversationBusy(f"Another driver has taken conversation {outer} over, and goes on with it.", conversation=conversation)
        return c.turn is not None and any(slot.place == place and slot.outcome is None for slot in c.turn.slots)

    def changed(self, c: Conversation) -> RunEnded | None:
        """What the policy for changed code asks for, where a run is to be gone on with (R31): nothing, or that it is parked.

        Raises `CodeChanged` where such runs are refused.
        """
        if c.status in (Status.NEW, Status.IDLE):
            return None
        changes = differences(c.fingerprint, self.team.fingerprint)
        if not changes:
            return None
        words = "; ".join(changes)
        if self._on_change == "refuse":
            raise CodeChanged(
                f"The code has changed since conversation {c.id} was driven last: {words}. Go on with it under the code it was begun "
                'with, or give Runner(on_change="adopt") or "ask".',
                conversation=c.id,
                changes=tuple(changes),
            )
        log.info("conversation %s goes on under changed code: %s", c.id, words)
        return parked_for(changes) if self._on_change == "ask" else None

    def drive_of(self, conversation: str) -> Drive | None:
        """Who drives a conversation here, if anyone does."""
        claim = self._claims.get(conversation)
        return claim.drive if claim is not None and not claim.over else None

    def drives(self) -> Sequence[Drive]:
        """All drives that are going on here."""
        return [claim.drive for claim in list(self._claims.values()) if claim.drive is not None and not claim.over]

    def team_of(self, conversation: str) -> Team:
        """The team, with the agents that tools of this conversation have returned."""
        return self._teams.get(conversation, self.team)

    def left(self, conversation: str, team: Team) -> None:
        """A drive is over: who waits for the conversation need not wait for its consumer.

        The team is remembered where tools have added to it, and not dropped: nothing else knows the agents that they made.
        """
        if team is not self.team:
            self._teams[conversation] = team
        self.wake(conversation)

    def late(self, conversation: str, event: ToolLate) -> None:
        """Write down a result that came when its drive was over; a drive that goes on now takes it in."""
        task = asyncio.get_running_loop().create_task(self._write_late(conversation, event))
        _TASKS.add(task)
        task.add_done_callback(_TASKS.discard)

    async def _write_late(self, conversation: str, event: ToolLate) -> None:
        drive = self.drive_of(conversation)
        if drive is not None:
            drive.event_loop.call_soon_threadsafe(drive.tell, event)
            return
        try:
            await tell(self.journal, conversation, lambda _: [event], at=clock.now())
        except SegueError as error:
            log.warning("the late result of %s in conversation %s could not be written down: %s", event.name, conversation, error)


_TASKS: set[asyncio.Task[None]] = set()
"""An event loop holds its tasks weakly."""


def _abandoned(drive: Drive) -> bool:
    """Whether a drive is over, and the journal may say that it goes on."""
    ledger = drive.ledger
    if not drive.over or ledger.fenced:
        return False
    if not ledger.opened:
        return isinstance(drive.error, JournalError) and not isinstance(drive.error, JournalConflict)
    return ledger.written.running


def _named() -> str:
    return f"d_{os.urandom(6).hex()}"


def checked_id(conversation: Any) -> str:
    """The conversation's id, if it is one."""
    if not isinstance(conversation, str) or not conversation:
        raise UsageError(f"conversation={conversation!r}: give a conversation's id, a text; of a response it is response.conversation.")
    return conversation


def checked_limits(limits: Any) -> Limits:
    """The limits, if they are some."""
    if not isinstance(limits, Limits):
        raise UsageError(f"limits={limits!r}: give Limits(turns=20, ...), from segue.")
    return limits


def checked_busy(busy: Any) -> Busy:
    """The policy, if it is one."""
    if busy not in ("reject", "queue", "interrupt"):
        raise UsageError(f'busy={busy!r}: give "reject", "queue" or "interrupt".')
    return busy  # type: ignore[no-any-return]

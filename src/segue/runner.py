"""The faces of the loop: run, run_sync, stream. They say how a run is opened, and hand it to the loop.
No rule of the machine lives here."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Literal

from segue import clock
from segue.agent import Agent
from segue.change import OnChange, checked_change
from segue.core.conversation import Conversation
from segue.core.events import CANCELLED, Event, InputGiven
from segue.core.limits import DEFAULTS, Limits
from segue.core.messages import NOTHING, Json
from segue.core.turns import Slot
from segue.desk import Busy, Desk, checked_busy, checked_id, checked_limits
from segue.engine import Engine
from segue.errors import ApprovalError, ConversationBusy, JournalError, UsageError
from segue.inputs import Input, new_conversation, read_input
from segue.journal.base import Journal, Stored, Transactional, fold, follow
from segue.journal.resolve import Named, given_journal
from segue.model import Model
from segue.models.resolve import model_from
from segue.openings import Decision, decided, existing, expired, past, resumed, settled
from segue.order import Opening, Order
from segue.outside import cancel, end_inner, fork
from segue.portal import PORTAL
from segue.prepare import checked_arguments
from segue.recovery import left, recover
from segue.response import Response
from segue.streams import Stream, SyncStream
from segue.team import Team
from segue.tools.context import context_of
from segue.tools.results import swarms
from segue.transaction import refuse_transactions
from segue.world import InnerAnswer, InnerWaits, World

log = logging.getLogger("segue")


class Runner:
    """Runs conversations of one team.

    `agents`: agents that nothing names but that tools may return. `model`: replaces every agent's own. `deps`: live objects
    for tools, never stored. `busy`: what to do with an input to a conversation that is being run: "reject" it with
    `ConversationBusy`, "queue" it, or "interrupt" the run. Raises `UsageError` where the team's names clash or lead nowhere.
    """

    def __init__(
        self,
        entry: Agent,
        *,
        agents: Iterable[Agent] = (),
        model: str | Model | None = None,
        journal: Named | Journal | None = None,
        engine: Engine | None = None,
        deps: Any = None,
        limits: Limits = DEFAULTS,
        busy: Busy = "reject",
        on_change: OnChange = "adopt",
    ) -> None:
        if not isinstance(entry, Agent):
            other = f" That is {name}: Swarm().run takes it." if (name := swarms(entry)) else ""
            raise UsageError(f"Runner needs the entry Agent, not {entry!r}.{other}")
        self.team = Team(entry, agents)
        self.journal = given_journal(journal)
        self.engine = engine
        self.deps = deps
        self.limits = checked_limits(limits)
        self.busy = checked_busy(busy)
        self.model = model_from(model) if model is not None else None
        """Replaces every agent's own."""
        self.on_change = checked_change(on_change)
        self._desk = Desk(self.team, self.journal, engine, self.on_change)
        self._inside = False
        """Whether this Runner drives agents that are used as tools, for a Runner that has the outer conversation."""
        self._own_journal = self.journal is not journal
        self._recovery: asyncio.Task[list[str]] | None = None
        if engine is not None and not self.journal.durable:
            raise UsageError("An engine's workers are other processes: give a journal that they share, Runner(journal='postgresql://...').")
        if not isinstance(self.journal, Transactional):
            refuse_transactions(self.team)

    def like(self, *, model: str | Model | None = None, journal: Named | Journal | None = None) -> "Runner":
        """A Runner like this one, without its engine: under another model, or over another journal."""
        agents = [member.agent for member in self.team]
        return Runner(
            self.team.entry,
            agents=agents,
            model=model or self.model,
            journal=journal,
            deps=self.deps,
            limits=self.limits,
            busy=self.busy,
            on_change=self.on_change,
        )

    async def __aenter__(self) -> "Runner":
        if self.journal.durable and self.engine is None:
            self._recovery = asyncio.create_task(self.recover())
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End what is running here, and leave what was being recovered to the next start.

        A Runner in memory needs no closing: its connections are shared, and close with their event loop. A journal that was
        named by a text is closed; one that was handed in is not.
        """
        if self._recovery is not None:
            await self.hand_over()
            await self._recovery
            self._recovery, self._desk.leaving = None, False  # it may be opened again
        for drive in self._desk.drives():
            drive.stop_soon(CANCELLED)
        if self.journal.durable:
            while self._desk.drives():
                await asyncio.sleep(0.01)
            await self._desk.let_go()
        if self._own_journal:
            await self.journal.aclose()

    def close(self) -> None:
        """`aclose` for sync code."""
        PORTAL.run(self.aclose)

    # -- one input

    async def run(
        self,
        messages: Input,
        *,
        conversation: str | None = None,
        context: Mapping[str, Json] | None = None,
        key: str | None = None,
        model: str | Model | None = None,
        busy: Busy | None = None,
    ) -> Response[Any]:
        """Give an input and drive the conversation until nothing is left to do without someone else.

        `messages`: the user's text, or chat-completions messages that end with the user's and open a new conversation.
        `conversation`: the id of one to go on with. `context`: merged over the conversation's. `key`: the same input with
        the same key is the same run. Raises a typed error when the run failed, after all that happened was written down.
        """
        return await self._stream(messages, conversation, context, key, model, busy, listen=False).finish()

    def run_sync(self, messages: Input, **options: Any) -> Response[Any]:
        """`run` for sync code; it also works where an event loop is running (a notebook)."""
        return PORTAL.run(lambda: self.run(messages, **options))

    def stream(
        self,
        messages: Input,
        *,
        conversation: str | None = None,
        context: Mapping[str, Json] | None = None,
        key: str | None = None,
        model: str | Model | None = None,
        busy: Busy | None = None,
    ) -> Stream:
        """`run`, but what happens is seen while it happens: `async with runner.stream(...) as stream: async for item in stream`."""
        return self._stream(messages, conversation, context, key, model, busy, listen=True)

    def stream_sync(self, messages: Input, **options: Any) -> SyncStream:
        """`stream` for sync code: `with runner.stream_sync(...) as stream: for item in stream`."""
        return SyncStream(self.stream(messages, **options))

    def _stream(
        self,
        messages: Input,
        conversation: str | None,
        context: Mapping[str, Json] | None,
        key: str | None,
        model: str | Model | None,
        busy: Busy | None,
        *,
        listen: bool,
    ) -> Stream:
        message = read_input(messages)
        policy = checked_busy(busy) if busy is not None else self.busy
        changes = context_of(context) if context else NOTHING
        taken: Literal["queue", "interrupt"] = "interrupt" if policy == "interrupt" else "queue"
        run = InputGiven(f"r_{os.urandom(16).hex()}", (message.message,), changes, key, None, self.limits.differences(), taken)
        if conversation is None:
            conversation = new_conversation(key)
        opening = partial(self._desk.given, conversation, message, run, policy)
        return self.open(conversation, opening, model=model_from(model) if model is not None else None, busy=policy, key=key, listen=listen)

    def open(
        self,
        conversation: str,
        opening: Opening,
        *,
        model: Model | None = None,
        busy: Busy | None = None,
        key: str | None = None,
        listen: bool = False,
        here: bool = False,
        beside: bool = False,
    ) -> Stream:
        """The stream of a run that is opened in a way of its own: `opening` is given the conversation, and says with which events.

        `here`: it is driven in this process, whoever else may do so; the journal sees to it that one of them does.
        `beside`: a run that goes on in this process is told of it, and takes it in at its next append.
        """
        model, conversation = model or self.model, checked_id(conversation)
        ask_agent = partial(self._ask_agent, model)
        world = World(self.team, model, self.deps, stream=listen, open_team=not self.journal.durable, ask_agent=ask_agent)
        busy, here_only = busy or self.busy, here or self._inside
        order = Order(self._desk, conversation, opening, world, busy, key, here=here_only, handed=here, beside=beside)
        if self._inside and self.journal.durable:
            order.wanted = partial(self._desk.is_waited_for, conversation)
        return Stream(order)

    # -- going on

    async def resume(self, conversation: str, *, limits: Limits | None = None, by: str = "") -> Response[Any]:
        """Go on with a conversation where it was left: after a crash, a limit, a failure or a cancel, or when it was parked.

        An ended run gets a new allowance: its counts begin again, under `limits` if given. Where nothing is left to do, the
        last run's response is returned. Raises `ConversationBusy` where a living driver has it.
        """
        return await self.resuming(conversation, limits=limits, by=by).finish()

    def resuming(self, conversation: str, *, limits: Limits | None = None, by: str = "", listen: bool = False) -> Stream:
        """`resume` as a stream. `listen`: models are asked for deltas."""
        more = checked_limits(limits) if limits is not None else None

        async def opening(c: Conversation) -> list[Event] | Conversation:
            existing(c, conversation)
            if await self._desk.elsewhere(c) and self.engine is None:
                raise ConversationBusy(f"The conversation {conversation} is being run elsewhere.", conversation=conversation)
            return resumed(c, more, by=by, now=clock.now())

        return self.open(conversation, opening, listen=listen)

    async def approve(
        self, conversation: str, approval: str, digest: str, *, by: str = "", arguments: Mapping[str, Json] | None = None
    ) -> Response[Any]:
        """Approve a call by its approval's id and digest, and go on. `arguments`: with these instead; that is an approval of its own.

        Raises `ApprovalError`, whose `reason` says why, for a decision that cannot be taken, and `ArgumentsRefused` where the
        tool does not take these: then nothing is done by it.
        """
        return await self._decide(conversation, approval, digest, "approve", by, arguments=arguments)

    async def deny(self, conversation: str, approval: str, digest: str, *, by: str = "", reason: str = "") -> Response[Any]:
        """Deny a call by its approval's id and digest, and go on: the model is told, with the reason."""
        return await self._decide(conversation, approval, digest, "deny", by, reason)

    async def _decide(
        self,
        conversation: str,
        approval: str,
        digest: str,
        decision: Literal["approve", "deny"],
        by: str,
        reason: str = "",
        *,
        arguments: Mapping[str, Json] | None = None,
    ) -> Response[Any]:
        async def opening(c: Conversation) -> Decision:
            existing(c, conversation)
            edited = arguments
            if isinstance(arguments, Mapping):
                edited = checked_arguments(self._desk.team_of(conversation), c, approval, arguments)
            return decided(c, approval, digest, decision, by=by, reason=reason, arguments=edited, now=clock.now())

        try:
            return await self.open(conversation, opening, beside=True).finish()
        except ApprovalError as error:
            raise past(error, [row.event for row in await self.journal.read(conversation)]) from None

    async def settle(self, conversation: str, place: str, content: str, *, by: str = "") -> Response[Any]:
        """Say what came of a call whose outcome was unknown, and go on."""

        async def opening(c: Conversation) -> list[Event] | Conversation:
            existing(c, conversation)
            events = settled(c, place, content, by=by)
            await end_inner(self.journal, conversation, [place], at=clock.now())
            return events

        return await self.open(conversation, opening, beside=True).finish()

    async def cancel(self, conversation: str) -> bool:
        """Cancel the run of a conversation, wherever it is driven; `False` if none goes on or waits. Safe from other threads."""
        drive = self._desk.drive_of(checked_id(conversation))
        if drive is not None:
            drive.stop_soon(CANCELLED)
            if not self.journal.durable or drive.consumer is not None or not await self.journal.read(conversation):
                return True  # one that has not begun may find yet that the run goes on elsewhere, or waits
        return await cancel(self.journal, conversation, at=clock.now()) or drive is not None

    async def fork(self, conversation: str, *, at: int | None = None, effects: Literal["refuse", "allow"] = "refuse") -> str:
        """Open a new conversation with the events of another up to a place, and give its id; see `segue.outside.fork`.

        `at` is a place between turns, by default the last. Raises `ForkRefused` where calls with effects lie beyond it.
        """
        return await fork(self.journal, conversation, at=at, effects=effects, new_id=new_conversation(), now=clock.now())

    async def replay(self, conversation: str, *, at: int | None = None) -> Conversation:
        """Fold a conversation again, up to a place, without doing anything."""
        stored = await self.events(conversation)
        return fold(stored if at is None else [row for row in stored if row.seq <= at])

    def follow(self, conversation: str, *, after: int = 0) -> AsyncIterator[Stored]:
        """The events of a conversation after a place, and those to come, for as long as they are read."""
        return follow(self.journal, conversation, after=after)

    # -- for engines, and after a crash

    async def drive(self, conversation: str) -> None:
        """Do what is left to do in a conversation, whoever drove it before; nothing, where nothing is left.

        A run that fails is written down and raises nothing. Raises `ConversationBusy` where it is driven here already or was
        taken over by another driver, and `JournalError`.
        """
        await self._drive(conversation, take_over=True)

    async def _drive(self, conversation: str, *, take_over: bool) -> None:
        async def opening(c: Conversation) -> list[Event] | Conversation:
            if not take_over and await self._desk.elsewhere(c):
                return c
            late = expired(c, clock.now())
            return late if late or c.running else c

        stream = self.open(conversation, opening, busy="reject", here=True)
        try:
            await stream.finish()
        except (ConversationBusy, JournalError):
            raise
        except Exception as error:
            if not stream.ended:
                raise
            log.warning("the run of conversation %s failed with %s", conversation, type(error).__name__)

    async def left(self) -> list[str]:
        """The conversations of this team that have work left, the last updated first; of any driver, also a living one."""
        return await left(self.journal, self.team)

    async def recover(self) -> list[str]:
        """Drive on what dead drivers have left, at most 16 conversations at once, and give their ids when that is done.

        `async with Runner(...)` begins this by itself, beside its other work. What a living driver has is left alone.
        """
        return await recover(self._desk, partial(self._drive, take_over=False))

    async def hand_over(self) -> None:
        """Let what `drive` and `recover` are driving finish its present step, and leave the rest to the next driver."""
        await self._desk.hand_over()

    async def events(self, conversation: str) -> list[Stored]:
        """The journal of a conversation. Raises `UsageError` for one that does not exist."""
        stored = await self.journal.read(checked_id(conversation))
        if not stored:
            raise UsageError(f"There is no conversation {conversation!r} in this journal.")
        return stored

    async def _ask_agent(
        self, model: Model | None, agent: Agent, conversation: str, text: str, limits: Limits, slot: Slot
    ) -> InnerAnswer | InnerWaits:
        """Drive an agent that is used as a tool, in a conversation of its own: from its beginning, or from where it was left (R35)."""
        inner = Runner(agent, model=model, journal=self.journal, deps=self.deps, limits=limits)
        inner._desk.share(self._desk, conversation)
        inner._inside = True
        try:
            response = await inner._inner(conversation, text, slot)
            if response.status == "waiting":
                return InnerWaits(conversation, response.waiting_for[0])
            response.raise_for_status()
            return InnerAnswer(response.text, response.usage, response.cost)
        except Exception as error:
            run = Conversation().run
            with suppress(JournalError):  # what it used is less than what became of it
                run = fold(await self.journal.read(conversation)).run
            return InnerAnswer("", run.usage, run.spent.cost, error)

    async def _inner(self, conversation: str, text: str, slot: Slot) -> Response[Any]:
        begun = await self.journal.read(conversation)
        if self.journal.durable:
            await self._desk.is_waited_for(conversation)
        if not begun:
            return await self.run(text, conversation=conversation)
        asked, decided = slot.approval, slot.decision
        if asked is not None and decided is not None and decided.decision in ("approve", "deny"):
            with suppress(ApprovalError):  # it was told before this process had heard so
                return await self._decide(conversation, asked.id, asked.digest, decided.decision, decided.by, decided.reason)

        async def opening(c: Conversation) -> list[Event] | Conversation:
            over = c.ended is not None and c.ended.kind != "parked"
            return c if over else resumed(c, now=clock.now())

        return await self.open(conversation, opening).finish()

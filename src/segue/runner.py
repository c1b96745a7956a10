"""The faces of the loop: run, run_sync, stream. They say how a run is opened, and hand it to the loop.
No rule of the machine lives here."""

import hashlib
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Literal

from segue.agent import Agent
from segue.core.conversation import Conversation, Status
from segue.core.events import ApprovalDecided, Event, InputGiven, Started, ToolSettled
from segue.core.limits import DEFAULTS, Limits
from segue.core.messages import NOTHING, Json
from segue.desk import Busy, Desk, checked_busy
from segue.drive import CANCELLED, SUPERSEDED, close_out
from segue.engine import Engine
from segue.errors import ApprovalError, ConversationBusy, ConversationParked, UsageError
from segue.inputs import Given, Input, allowance, earlier_run, existing, read_input
from segue.journal.base import Journal, Stored
from segue.journal.memory import MemoryJournal
from segue.model import Model
from segue.models.resolve import model_from
from segue.portal import PORTAL
from segue.response import Response
from segue.streams import Opening, Stream, SyncStream
from segue.team import Team
from segue.tools.tool import Tool, as_json
from segue.world import World


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
        journal: Journal | None = None,
        engine: Engine | None = None,
        deps: Any = None,
        limits: Limits = DEFAULTS,
        busy: Busy = "reject",
    ) -> None:
        if not isinstance(entry, Agent):
            raise UsageError(f"Runner needs the entry Agent, not {entry!r}.")
        if engine is not None:
            raise UsageError("This version drives conversations in this process: leave engine=None.")
        self.team = Team(entry, agents)
        self.journal: Journal = journal if journal is not None else MemoryJournal()
        self.deps = deps
        self.limits = limits
        self.busy = checked_busy(busy)
        self._model = model_from(model) if model is not None else None
        self._desk = Desk(self.team, self.journal)
        for member in self.team:
            for offer in member.table.values():
                if isinstance(offer, Tool) and offer.effect == "transaction":
                    raise UsageError(
                        f'{member.agent.name}: {offer.name} has effect="transaction", and this journal has no database to share with it. '
                        'Use effect="once", or "keyed" with ctx.key.'
                    )

    async def __aenter__(self) -> "Runner":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End what is running here. A Runner needs no closing: its connections are shared, and close with their event loop."""
        for drive in self._desk.drives():
            drive.stop_soon(CANCELLED)

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
        given = read_input(messages)
        policy = checked_busy(busy) if busy is not None else self.busy
        changes = {name: as_json(name, value) for name, value in context.items()} if context else NOTHING
        taken: Literal["queue", "interrupt"] = "interrupt" if policy == "interrupt" else "queue"
        run = InputGiven(f"r_{os.urandom(16).hex()}", (given.message,), changes, key, None, self.limits.differences(), taken)
        if conversation is None:
            conversation = f"c_{os.urandom(16).hex()}" if key is None else f"k_{hashlib.sha256(key.encode()).hexdigest()[:32]}"
        opening = self._input(conversation, given, run, policy)
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
    ) -> Stream:
        """The stream of a run that is opened in a way of its own: `opening` is given the conversation, and says with which events."""
        model = model or self._model
        world = World(self.team, model, self.deps, stream=listen, open_team=not self.journal.durable, ask_agent=self._ask_agent(model))
        return Stream(self._desk, conversation, opening, world, busy or self.busy, key=key)

    def _input(self, name: str, given: Given, run: InputGiven, policy: Busy) -> Opening:
        async def opening(c: Conversation) -> list[Event] | Conversation:
            if run.key is not None and (earlier := earlier_run(await self.journal.read(name), run)) is not None:
                going_on = earlier.seq == c.seq and c.status in (Status.MODEL, Status.TOOLS)
                return [] if going_on else earlier
            if c.status is Status.NEW:
                return [Started(name, self.team.entry.name, NOTHING, given.earlier), run]
            if given.earlier:
                count = len(given.earlier) + 1
                raise UsageError(f"The conversation {name} exists: give the user's new message alone, not {count} messages.")
            if c.status is Status.HUMAN and policy == "reject":
                raise ConversationBusy(f"The conversation {name} waits for a person.", conversation=name, waiting_for=c.waiting)
            if c.status is Status.ENDED and c.turn is not None:
                raise ConversationParked(f"The conversation {name} is parked: resume it first.", conversation=name)
            return [run] if c.status in (Status.IDLE, Status.ENDED, Status.HUMAN) else [*close_out(c, SUPERSEDED), run]

        return opening

    # -- going on

    async def resume(self, conversation: str, *, limits: Limits | None = None) -> Response[Any]:
        """Go on with a conversation where it was left: after a crash, a limit, a failure or a cancel.

        An ended run gets a new allowance: its counts begin again, under `limits` if given. Where nothing is left to do, the
        last run's response is returned.
        """

        async def opening(c: Conversation) -> list[Event] | Conversation:
            existing(c, conversation)
            if c.status is Status.ENDED:
                if c.ended is not None and c.ended.reason == "input guard":
                    raise UsageError("The input was refused by a guard: there is nothing to resume. Give another input.")
                return [allowance(limits, c.run.limits)]
            return [] if c.status in (Status.MODEL, Status.TOOLS) else c

        return await self.open(conversation, opening).finish()

    async def approve(self, conversation: str, approval: str, digest: str, *, by: str = "") -> Response[Any]:
        """Approve a call by its approval's id and digest, and go on."""
        return await self._decide(conversation, approval, digest, "approve", by, "")

    async def deny(self, conversation: str, approval: str, digest: str, *, by: str = "", reason: str = "") -> Response[Any]:
        """Deny a call by its approval's id and digest, and go on: the model is told, with the reason."""
        return await self._decide(conversation, approval, digest, "deny", by, reason)

    async def _decide(
        self, conversation: str, approval: str, digest: str, decision: Literal["approve", "deny"], by: str, reason: str
    ) -> Response[Any]:
        async def opening(c: Conversation) -> list[Event] | Conversation:
            existing(c, conversation)
            asked = [slot.approval for slot in c.waiting if slot.approval is not None and slot.approval.id == approval]
            if not asked:
                raise ApprovalError(f"No approval {approval} is waiting in conversation {c.id}.", conversation=c.id)
            if asked[0].digest != digest:
                raise ApprovalError(f"The approval {approval} is for other arguments: look at it again.", conversation=c.id)
            return [ApprovalDecided(approval, digest, decision, by, reason)]

        return await self.open(conversation, opening).finish()

    async def settle(self, conversation: str, place: str, content: str, *, by: str = "") -> Response[Any]:
        """Say what came of a call whose outcome was unknown, and go on."""

        async def opening(c: Conversation) -> list[Event] | Conversation:
            existing(c, conversation)
            if not any(slot.place == place and slot.doubt is not None for slot in c.waiting):
                raise UsageError(f"No call at {place} of conversation {c.id} waits to be settled.")
            return [ToolSettled(place, content, by)]

        return await self.open(conversation, opening).finish()

    def cancel(self, conversation: str) -> bool:
        """Cancel the run of a conversation that is driven here; `False` if none is. Safe from other threads."""
        drive = self._desk.drive_of(conversation)
        if drive is not None:
            drive.stop_soon(CANCELLED)
        return drive is not None

    async def events(self, conversation: str) -> list[Stored]:
        """The journal of a conversation. Raises `UsageError` for one that does not exist."""
        stored = await self.journal.read(conversation)
        if not stored:
            raise UsageError(f"There is no conversation {conversation!r} in this journal.")
        return stored

    def _ask_agent(self, model: Model | None) -> Callable[[Agent, str, str], Awaitable[str]]:
        async def ask(agent: Agent, text: str, conversation: str) -> str:
            inner = Runner(agent, model=model, journal=self.journal, deps=self.deps, limits=self.limits)
            stored = await self.journal.read(conversation)
            response = await (inner.resume(conversation) if stored else inner.run(text, conversation=conversation))
            response.raise_for_status()
            return response.text

        return ask


# ---- throw-away runs -------------------------------------------------------


async def run(agent: Agent, messages: Input, *, context: Mapping[str, Json] | None = None, **options: Any) -> Response[Any]:
    """Run one input with a throw-away `Runner` and a memory journal; `options` are the Runner's."""
    return await Runner(agent, **options).run(messages, context=context)


def run_sync(agent: Agent, messages: Input, *, context: Mapping[str, Json] | None = None, **options: Any) -> Response[Any]:
    """`run` for sync code."""
    return Runner(agent, **options).run_sync(messages, context=context)


def stream(agent: Agent, messages: Input, *, context: Mapping[str, Json] | None = None, **options: Any) -> Stream:
    """Stream one input with a throw-away `Runner` and a memory journal; `options` are the Runner's."""
    return Runner(agent, **options).stream(messages, context=context)

"""The faces of the loop: run, run_sync, stream. They open conversations, hand them to the loop and say what came of it.
No rule of the machine lives here."""

import asyncio
import hashlib
import threading
import uuid
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Literal, NamedTuple

from segue.agent import Agent
from segue.core.chat import as_chat, from_chat
from segue.core.conversation import Conversation, Status, replay
from segue.core.events import (
    AllowanceGiven,
    ApprovalDecided,
    DriveStarted,
    Event,
    InputGiven,
    RunEnded,
    Started,
    ToolSettled,
)
from segue.core.limits import DEFAULTS, Limits
from segue.core.messages import NOTHING, Json, Message, System, User
from segue.core.view import check
from segue.drive import CANCELLED, Drive, Item, close_out
from segue.engine import Engine
from segue.errors import ApprovalError, ConversationBusy, ConversationParked, KeyReused, SegueError, UsageError
from segue.journal.base import Journal, Stored
from segue.journal.memory import MemoryJournal
from segue.model import Model
from segue.models.resolve import model_from
from segue.perform import World
from segue.portal import PORTAL
from segue.response import Response
from segue.team import Team
from segue.tools.tool import as_json

Input = str | Sequence[Mapping[str, Any]]
Busy = Literal["reject", "queue", "interrupt"]

KEPT = 256
"""How many conversations a Runner keeps folded, so that the next run need not fold them again."""

SUPERSEDED = RunEnded("cancelled", "superseded", "The user has said something new.", "RunCancelled")


class _Kept(NamedTuple):
    conversation: Conversation
    cache: dict[Any, Any]


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
        self.busy = _checked_busy(busy)
        self._model = model_from(model) if model is not None else None
        self._driver = f"d_{uuid.uuid4().hex[:12]}"
        self._live: dict[str, Drive] = {}
        self._waiters: dict[str, list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]]] = {}
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    async def __aenter__(self) -> "Runner":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End what is running here. A Runner needs no closing: its connections are shared, and close with their event loop."""
        for drive in list(self._live.values()):
            drive.stop(CANCELLED)

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
        stream = self._stream(messages, conversation, context, key, model, busy, listen=False)
        return await stream.finish()

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
    ) -> "Stream":
        """`run`, but what happens is seen while it happens: `async with runner.stream(...) as stream: async for item in stream`."""
        return self._stream(messages, conversation, context, key, model, busy, listen=True)

    def stream_sync(self, messages: Input, **options: Any) -> "SyncStream":
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
    ) -> "Stream":
        given = read_input(messages)
        changes = {name: as_json(name, value) for name, value in context.items()} if context else NOTHING
        run = InputGiven(f"r_{uuid.uuid4().hex}", (given[-1],), changes, key, None, self.limits.differences())
        policy = _checked_busy(busy) if busy is not None else self.busy
        replacing = model_from(model) if model is not None else self._model

        async def opening(c: Conversation, stored: Sequence[Stored]) -> list[Event] | None:
            if key is not None and (earlier := _keyed(stored, key)) is not None:
                if earlier.messages != run.messages:
                    raise KeyReused(f"The key {key!r} was used for another input of this conversation.", conversation=c.id)
                return None
            if c.status is Status.NEW:
                return [Started(name, self.team.entry.name, NOTHING, tuple(given[:-1])), run]
            if len(given) > 1:
                raise UsageError(f"The conversation {c.id} exists: give the user's new message alone, not {len(given)} messages.")
            if c.status is Status.HUMAN:
                raise ConversationBusy(f"The conversation {c.id} waits for a person.", conversation=c.id, waiting_for=c.waiting)
            if c.turn is not None and c.status is Status.ENDED:
                raise ConversationParked(f"The conversation {c.id} is parked: resume it first.", conversation=c.id)
            return [run] if c.status in (Status.IDLE, Status.ENDED) else [*close_out(c, SUPERSEDED), run]

        name = conversation or (f"k_{hashlib.sha256(key.encode()).hexdigest()[:32]}" if key is not None else f"c_{uuid.uuid4().hex}")
        return Stream(self, name, opening, replacing, policy, listen=listen)

    # -- going on

    async def resume(self, conversation: str, *, limits: Limits | None = None) -> Response[Any]:
        """Go on with a conversation where it was left: after a crash, a limit, a failure or a cancel.

        An ended run gets a new allowance: its counts begin again, under `limits` if given. Where nothing is left to do, the
        last run's response is returned.
        """

        async def opening(c: Conversation, stored: Sequence[Stored]) -> list[Event] | None:
            _existing(c, conversation)
            if c.status is Status.ENDED:
                if c.ended is not None and c.ended.reason == "input guard":
                    raise UsageError("The input was refused by a guard: there is nothing to resume. Give another input.")
                return [AllowanceGiven(limits.differences() if limits is not None else NOTHING)]
            return [] if c.status in (Status.MODEL, Status.TOOLS) else None

        return await Stream(self, conversation, opening, self._model, self.busy, listen=False).finish()

    async def approve(self, conversation: str, approval: str, digest: str, *, by: str = "") -> Response[Any]:
        """Approve a call by its approval's id and digest, and go on."""
        return await self._decide(conversation, approval, digest, "approve", by, "")

    async def deny(self, conversation: str, approval: str, digest: str, *, by: str = "", reason: str = "") -> Response[Any]:
        """Deny a call by its approval's id and digest, and go on: the model is told, with the reason."""
        return await self._decide(conversation, approval, digest, "deny", by, reason)

    async def _decide(
        self, conversation: str, approval: str, digest: str, decision: Literal["approve", "deny"], by: str, reason: str
    ) -> Response[Any]:
        async def opening(c: Conversation, stored: Sequence[Stored]) -> list[Event] | None:
            _existing(c, conversation)
            asked = [slot.approval for slot in c.waiting if slot.approval is not None and slot.approval.id == approval]
            if not asked:
                raise ApprovalError(f"No approval {approval} is waiting in conversation {c.id}.", conversation=c.id)
            if asked[0].digest != digest:
                raise ApprovalError(f"The approval {approval} is for other arguments: look at it again.", conversation=c.id)
            return [ApprovalDecided(approval, digest, decision, by, reason)]

        return await Stream(self, conversation, opening, self._model, self.busy, listen=False).finish()

    async def settle(self, conversation: str, place: str, content: str, *, by: str = "") -> Response[Any]:
        """Say what came of a call whose outcome was unknown, and go on."""

        async def opening(c: Conversation, stored: Sequence[Stored]) -> list[Event] | None:
            _existing(c, conversation)
            if not any(slot.place == place and slot.doubt is not None for slot in c.waiting):
                raise UsageError(f"No call at {place} of conversation {c.id} waits to be settled.")
            return [ToolSettled(place, content, by)]

        return await Stream(self, conversation, opening, self._model, self.busy, listen=False).finish()

    def cancel(self, conversation: str) -> bool:
        """Cancel the run of a conversation that is driven here; `False` if none is. Safe from other threads."""
        drive = self._live.get(conversation)
        if drive is None:
            return False
        drive.stop_soon(CANCELLED)
        return True

    async def events(self, conversation: str) -> list[Stored]:
        """The journal of a conversation. Raises `UsageError` for one that does not exist."""
        stored = await self.journal.read(conversation)
        if not stored:
            raise UsageError(f"There is no conversation {conversation!r} in this journal.")
        return stored

    # -- what streams need

    async def load(self, conversation: str) -> tuple[_Kept, list[Stored]]:
        """A conversation as the journal has it, and the events that were new to this Runner."""
        kept = self._kept.get(conversation) or _Kept(Conversation(), {})
        stored = await self.journal.read(conversation, after=kept.conversation.seq)
        return _Kept(replay([row.event for row in stored], kept.conversation), kept.cache), stored

    async def take(self, conversation: str, drive: Drive, busy: Busy) -> None:
        """Claim a conversation for a drive, as `busy` says."""
        loop = asyncio.get_running_loop()
        while True:
            with self._lock:
                running = self._live.setdefault(conversation, drive)
                if running is drive:
                    return
                if busy == "reject":
                    raise ConversationBusy(
                        f"The conversation {conversation} is being run. Wait for it, or give busy=\"queue\" or busy=\"interrupt\".",
                        conversation=conversation,
                    )
                free = loop.create_future()
                self._waiters.setdefault(conversation, []).append((loop, free))
            if busy == "interrupt":
                running.stop_soon(SUPERSEDED)
            await free

    def release(self, conversation: str, drive: Drive, kept: _Kept) -> None:
        """Let the next one have the conversation."""
        with self._lock:
            if self._live.get(conversation) is drive:
                del self._live[conversation]
            waiting = self._waiters.pop(conversation, [])
            self._kept[conversation] = kept
            self._kept.move_to_end(conversation)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        for loop, free in waiting:
            loop.call_soon_threadsafe(_free, free)

    def world(self, model: Model | None, cache: dict[Any, Any], *, listen: bool) -> World:
        """What a drive performs with."""
        return World(self.team, model, self.deps, listen, not self.journal.durable, None, self._ask_agent(model), cache)

    def _ask_agent(self, model: Model | None) -> Callable[[Agent, str, str], Awaitable[str]]:
        async def ask(agent: Agent, text: str, conversation: str) -> str:
            inner = Runner(agent, agents=(), model=model, journal=self.journal, deps=self.deps, limits=self.limits)
            stored = await self.journal.read(conversation)
            response = await (inner.resume(conversation) if stored else inner.run(text, conversation=conversation))
            response.raise_for_status()
            return response.text

        return ask

    @property
    def driver(self) -> str:
        """The name under which this Runner drives."""
        return self._driver


class Stream:
    """What happens in one run, while it happens; `response` says what came of it."""

    def __init__(
        self,
        runner: Runner,
        conversation: str,
        opening: Callable[[Conversation, Sequence[Stored]], Awaitable[list[Event] | None]],
        model: Model | None,
        busy: Busy,
        *,
        listen: bool,
    ) -> None:
        self.conversation = conversation
        """The conversation's id."""
        self._runner = runner
        self._opening = opening
        self._model = model
        self._busy = busy
        self._listen = listen
        self._items: AsyncGenerator[Item, None] | None = None
        self._response: Response[Any] | None = None

    @property
    def response(self) -> Response[Any]:
        """What came of the run, once the stream has ended. Raises `UsageError` before."""
        if self._response is None:
            raise UsageError("The stream has not ended: read it to its end first.")
        return self._response

    async def __aenter__(self) -> "Stream":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leave the stream. A run that has not ended is cancelled, whole."""
        if self._items is not None:
            await self._items.aclose()

    def __aiter__(self) -> AsyncIterator[Item]:
        if self._items is not None:
            raise UsageError("A stream can be read once.")
        self._items = self._drive()
        return self._items

    async def finish(self) -> Response[Any]:
        """Read to the end and give the response. Raises the run's error when it failed."""
        async for _ in self:
            pass
        return self.response

    async def _drive(self) -> AsyncGenerator[Item, None]:
        runner, name = self._runner, self.conversation
        world = runner.world(self._model, {}, listen=self._listen)
        drive = Drive(Conversation(), world, runner.journal, driver=runner.driver)
        await runner.take(name, drive, self._busy)
        kept = _Kept(Conversation(), {})
        try:
            kept, new = await runner.load(name)
            opening = await self._opening(kept.conversation, new)
            world.cache = kept.cache
            drive.conversation = kept.conversation
            drive.driven = driven(new)
            if opening is not None:
                async with aclosing(drive.items(*opening)) as items:
                    async for item in items:
                        yield item
        finally:
            kept = kept._replace(conversation=drive.conversation)
            runner.release(name, drive, kept)
        self._response = self._respond(drive, world)
        if self._response.status == "failed" and self._response.error is not None:
            raise self._response.error

    def _respond(self, drive: Drive, world: World) -> Response[Any]:
        c = drive.conversation
        active = c.active
        agent = world.team.member(active).agent if active in world.team else self._runner.team.entry
        error = drive.error
        if error is None and c.status is Status.ENDED and c.ended is not None and type(world.error).__name__ == c.ended.error:
            error = world.error
        if isinstance(error, SegueError):
            error.conversation = c.id
        elif error is not None:
            error.add_note(f"in conversation {c.id}")
        return Response(c, agent, error=error)


class SyncStream:
    """A `Stream` for sync code."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._items: Any = None

    @property
    def response(self) -> Response[Any]:
        """What came of the run, once the stream has ended."""
        return self._stream.response

    @property
    def conversation(self) -> str:
        """The conversation's id."""
        return self._stream.conversation

    def __enter__(self) -> "SyncStream":
        return self

    def __exit__(self, *exc: object) -> None:
        PORTAL.run(self._stream.aclose)

    def __iter__(self) -> Iterator[Item]:
        items = aiter(self._stream)
        ended = object()

        async def following() -> Any:
            return await anext(items, ended)

        while (item := PORTAL.run(following)) is not ended:
            yield item


def _free(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)


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


def read_input(messages: Input) -> list[Any]:
    """Earlier messages, and the user's last. Raises `UsageError` for what no provider would take."""
    if isinstance(messages, str):
        if not messages:
            raise UsageError("The user's message is empty.")
        return [User(_text(messages))]
    read = list(from_chat(messages))
    if any(isinstance(message, System) for message in read):
        raise UsageError("The messages hold a system message. An agent's instructions are its own: Agent(..., instructions=...).")
    if not read or not isinstance(read[-1], User):
        raise UsageError("The messages must end with the user's.")
    fault = check(read)
    if fault:
        raise UsageError(f"The messages are no history that a provider takes: {fault}.")
    return read


def _text(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _checked_busy(busy: Any) -> Busy:
    if busy not in ("reject", "queue", "interrupt"):
        raise UsageError(f'busy={busy!r}: give "reject", "queue" or "interrupt".')
    return busy  # type: ignore[no-any-return]


def _existing(c: Conversation, name: str) -> None:
    if c.status is Status.NEW:
        raise UsageError(f"There is no conversation {name!r} in this journal.")


def _keyed(stored: Sequence[Stored], key: str) -> InputGiven | None:
    return next((row.event for row in stored if isinstance(row.event, InputGiven) and row.event.key == key), None)


def driven(stored: Sequence[Stored]) -> float:
    """Seconds of driving since the last input or allowance, over all drives (R19)."""
    seconds, begun, last = 0.0, 0.0, 0.0
    for row in stored:
        if isinstance(row.event, InputGiven | AllowanceGiven):
            seconds, begun = 0.0, row.at
        elif isinstance(row.event, DriveStarted):
            seconds, begun = seconds + max(0.0, last - begun), row.at
        last = row.at
    return seconds + max(0.0, last - begun)

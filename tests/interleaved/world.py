"""Several processes over one journal, all in one event loop, and what must never be seen of them.
Every append and every look at the journal, every model call and every effect is a point at which another process may go on."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from segue import Agent, Context, Runner, tool
from segue.agent import AgentTool
from segue.core.conversation import Conversation, Status
from segue.core.events import ApprovalAsked, ApprovalDecided, Event, Outcome, ToolFailed, ToolLate, ToolReturned, ToolSettled, ToolStarted
from segue.core.fold import replay
from segue.core.messages import Assistant, User
from segue.core.view import check
from segue.journal.base import Line, Raw, Stored, Summary
from segue.journal.memory import MemoryJournal
from segue.model import ModelRequest
from segue.testing import FunctionModel
from segue.tools.tool import Tool
from tests.interleaved.schedule import Schedule

CALLS = [{"pay": {"n": 1}}, {"sign": {"n": 2}}]
"""What the model asks for when it is told to go: one call that anybody may make, and one that a person has to approve."""


class Effect(NamedTuple):
    """Something that was done in the world."""

    tool: str
    conversation: str
    place: str
    process: str


class World:
    """The journal that processes share, the processes by name, and what was seen of them."""

    def __init__(self, schedule: Schedule, *, agent: bool, engine: bool) -> None:
        self.schedule = schedule
        self.journal = MemoryJournal()
        self.agent = agent
        """Whether the tools are those of an agent that is used as a tool."""
        self.engine = Queue(self) if engine else None
        self.problems: list[str] = []
        self.effects: list[Effect] = []
        self.started: dict[tuple[str, str], int] = {}
        """When a call was last written down as begun."""
        self.forbidden: list[tuple[int, int, str]] = []
        """From a step on, nothing of the turns up to one may be begun: its run was ended, unless that was told to a process that died."""
        self._held: dict[str, set[str]] = {}

    def conversation(self, name: str = "c") -> Conversation:
        """A conversation as it stands in the journal."""
        return replay(self.events(name))

    def events(self, name: str) -> Sequence[Event]:
        """What is written of a conversation."""
        rows = self.journal._rows.get(name)
        return rows.events if rows is not None else ()

    def names(self) -> list[str]:
        """The conversations that there are."""
        return list(self.journal._rows)

    def runner(self, process: str, *, works: bool = False) -> Runner:
        """A process of its own, as far as Segue can tell. `works`: it drives, whoever else does by an engine."""
        tools: list[Tool | AgentTool] = [self._tool(process, "pay"), self._tool(process, "sign", approve=True)]
        if self.agent:
            tools = [Agent("Inner", tools=tools).as_tool()]
        engine = None if works else self.engine
        return Runner(Agent("Outer", tools=tools), journal=Access(self, process), engine=engine, model=self._model(process))

    def held(self, process: str) -> set[str]:
        """The drivers that a process lets others see."""
        return self._held.setdefault(process, set())

    def crash(self, process: str) -> None:
        """Nothing of a process goes on from here, and its locks are free."""
        self.schedule.dead.add(process)
        self.journal._drivers -= self.held(process)
        if self.engine is not None:
            self.engine.give_back(process)

    def wrote(self, conversation: str, events: Sequence[Event]) -> None:
        """Look at what was just written."""
        for event in events:
            if isinstance(event, ToolStarted):
                self.started[conversation, event.place] = self.schedule.steps
        try:
            self.conversation(conversation)
        except Exception as error:
            self.problems.append(f"damaged: {conversation} after {self.schedule.steps} steps: {error!r}")

    def _tool(self, process: str, name: str, *, approve: bool = False) -> Tool:
        async def act(n: int, ctx: Context) -> str:
            await self.schedule.point(process, f"{name} begins")
            effect = Effect(name, ctx.conversation, ctx.place, process)
            self.effects.append(effect)
            self._look_at(effect)
            await self.schedule.point(process, f"{name} ends")
            return f"{name} done"

        return tool(name=name, approve=approve)(act)

    def _model(self, process: str) -> FunctionModel:
        async def reply(request: ModelRequest) -> Any:
            await self.schedule.point(process, f"the model of {request.agent}")
            messages = list(request.messages)
            if fault := check(messages):
                self.problems.append(f"request: {request.agent} is asked with messages that do not fit together: {fault}")
            told = [place for place, one in enumerate(messages) if isinstance(one, User) and one.content in ("go", "queue", "interrupt")]
            said = [one for one in messages[told[-1] :] if isinstance(one, Assistant)]
            text = messages[told[-1]].content
            if text != "go" or said:
                return f"answer to {text}"
            return {"inner": {"input": "go"}} if self.agent and request.agent == "Outer" else CALLS

        return FunctionModel(reply)

    def _look_at(self, effect: Effect) -> None:
        name, place = effect.conversation, effect.place
        outermost = name.partition("/")[2] or place
        begun = self.started.get((name, place))
        if begun is None:
            self.problems.append(f"unwritten: {effect} was not written down as begun")
        turn, dead = int(outermost.partition(".")[0]), self.schedule.dead
        if begun is not None and any(begun > step and turn <= turns and told not in dead for step, turns, told in self.forbidden):
            self.problems.append(f"after the end: {effect} was begun after its run was ended")
        if [(one.conversation, one.place) for one in self.effects].count((name, place)) > 1:
            self.problems.append(f"twice: {effect} was done before")
        asked = {event.id for event in self.events(name) if isinstance(event, ApprovalAsked) and event.place == place}
        agreed = {event.id for event in self.events(name) if isinstance(event, ApprovalDecided) and event.decision == "approve"}
        if effect.tool == "sign" and not asked & agreed:
            self.problems.append(f"unapproved: {effect} was approved by nobody")

    def judge_agents(self) -> None:
        """Look whether an agent that was used as a tool is left by those who wait for it no more."""
        for name in self.names():
            outer, _, place = name.rpartition("/")
            turn = self.conversation(outer).turn if outer else None
            waited = turn is not None and any(slot.place == place and slot.outcome is None for slot in turn.slots)
            c = self.conversation(name)
            if outer and not waited and (c.running or c.status is Status.HUMAN):
                self.problems.append(f"forsaken: {name} is left {c.status}, and nobody waits for it")

    def judge(self, *, ended: bool) -> None:
        """Look at everything when all is over. `ended`: by a cancel, an interrupt or a rescue, results of the living may be late."""
        for effect in self.effects:
            events = [event for event in self.events(effect.conversation) if getattr(event, "place", "") == effect.place]
            outcomes = [event for event in events if isinstance(event, Outcome | ToolSettled)]
            late = any(isinstance(event, ToolLate) for event in events)
            if not outcomes:
                self.problems.append(f"no outcome: {effect} has none in the journal")
            if not ended and effect.process not in self.schedule.dead and not any(isinstance(event, ToolReturned) for event in outcomes):
                self.problems.append(f"lost: {effect} was done by one who lives, and the journal says {outcomes}")
            if not late and any(isinstance(event, ToolFailed) for event in outcomes):
                self.problems.append(f"denied: {effect} was done, and the journal says {outcomes}")
        for name in self.names():
            c = self.conversation(name)
            if c.running or c.status is Status.HUMAN or c.queue:
                self.problems.append(f"left: {name} is left {c.status}, {len(c.queue)} inputs wait")
            for event in self.events(name):
                if isinstance(event, ToolFailed) and ("Busy" in event.words or "Conflict" in event.words):
                    self.problems.append(f"told: the model of {name} heard of a race: {event.words}")


class Access:
    """The shared journal, as one process has access to it: another one may go on before every act."""

    durable = True

    def __init__(self, world: World, process: str) -> None:
        self._world, self._process, self._journal = world, process, world.journal

    async def _point(self, what: str, enabled: Callable[[], bool] | None = None, *, look: bool = True) -> None:
        await self._world.schedule.point(self._process, what, enabled, look=look)

    async def append(self, conversation: str, seq: int, events: Sequence[Event], *, at: float, summary: Summary = Summary()) -> None:  # noqa: B008
        await self._point(f"append {conversation} {seq} " + ", ".join(type(event).__name__ for event in events), look=False)
        await self._journal.append(conversation, seq, events, at=self._world.schedule.steps, summary=summary)
        self._world.wrote(conversation, events)

    async def read(self, conversation: str, *, after: int = 0) -> list[Stored]:
        await self._point(f"read {conversation} after {after}")
        return await self._journal.read(conversation, after=after)

    async def raw(self, conversation: str, *, after: int = 0) -> list[Raw]:
        await self._point(f"read {conversation} after {after}")
        return await self._journal.raw(conversation, after=after)

    async def wait(self, conversation: str, *, after: int, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self._point(f"wait for {conversation} {after + 1}", lambda: len(self._world.events(conversation)) > after)
        except TimeoutError:
            return

    async def keyed(self, key: str) -> str | None:
        return await self._journal.keyed(key)

    async def conversations(self, *, status: Collection[str] = (), **filters: Any) -> list[Line]:
        await self._point("list")
        return await self._journal.conversations(status=status, **filters)

    async def erase(self, conversation: str) -> bool:
        return await self._journal.erase(conversation)

    async def hold(self, driver: str) -> None:
        await self._point("hold", look=False)
        self._world.held(self._process).add(driver)
        await self._journal.hold(driver)

    async def let_go(self, driver: str) -> None:
        await self._point("let go", look=False)
        await self._journal.let_go(driver)

    async def alive(self, driver: str) -> bool:
        await self._point("alive?")
        return await self._journal.alive(driver)

    async def aclose(self) -> None:
        """Nothing is held but by `hold`."""


class Queue:
    """An engine: what is submitted is given to one worker at a time, unless one is wrongly held to be dead."""

    def __init__(self, world: World) -> None:
        self.waiting: list[str] = []
        self.given: dict[str, str] = {}
        """What each worker has."""
        self._world = world

    async def submit(self, conversation: str) -> None:
        self.put(conversation)

    async def work(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError

    def put(self, conversation: str) -> None:
        """Have a conversation driven, once more if it is being driven now."""
        if conversation not in self.waiting:
            self.waiting.append(conversation)

    def give_back(self, worker: str) -> None:
        """What a worker had is for another one."""
        if worker in self.given:
            self.put(self.given.pop(worker))

    def free(self) -> list[str]:
        """What may be taken by a worker now."""
        return [one for one in self.waiting if one not in self.given.values()]

"""What happens in a story: a run, two acts of others, perhaps a crash or an engine's workers; and how it ends.
All of it follows from a seed. `switches` are the choices of the schedule that are not the usual ones; they repeat it."""

import asyncio
from collections.abc import Callable, Mapping
from itertools import combinations_with_replacement, product
from random import Random
from typing import Any, Literal, NamedTuple, get_args

from segue import Runner, outside
from segue.core.conversation import Conversation, Status
from segue.core.turns import Slot
from segue.errors import ApprovalError, ConversationBusy, JournalConflict
from segue.response import Response
from tests.interleaved.schedule import Hang, Schedule
from tests.interleaved.world import Access, World

Kind = Literal[
    "approve",
    "deny",
    "approve outside",
    "deny outside",
    "approve within",
    "cancel",
    "cancel outside",
    "interrupt",
    "queue",
    "resume",
    "recover",
]
Trouble = Literal["none", "crash", "rescue", "worker crash"]
PAIRS = list(combinations_with_replacement(get_args(Kind), 2))
SCENARIOS = list(product((False, True), get_args(Trouble), PAIRS))
STRIDE = 101
"""Shares no factor with the number of scenarios, so that seeds in a row are of all of them."""
LATEST = 45
"""The step until which an act may be put off."""


FITTING = (ApprovalError, ConversationBusy)
"""What an act may raise because others were faster."""


class Act(NamedTuple):
    """Something that somebody does in a process, not before a step."""

    kind: Kind | Literal["run", "crash", "rescue"]
    process: str
    due: int = 0


class Scenario(NamedTuple):
    """Who does what, and where."""

    agent: bool
    engine: bool
    acts: tuple[Act, ...]


def scenario(seed: int) -> Scenario:
    """The scenario of a seed."""
    chance = Random(seed)
    agent, trouble, kinds = SCENARIOS[seed * STRIDE % len(SCENARIOS)]
    engine = trouble in ("rescue", "worker crash")
    acts = [Act("run", "P1")]
    acts += [Act(kind, chance.choice(("P1", "P2", "P3")), chance.randrange(LATEST)) for kind in kinds]
    if trouble != "none":
        acts.append(
            Act("crash", "W1" if engine else "P1", chance.randrange(LATEST))
            if "crash" in trouble
            else Act("rescue", "X", chance.randrange(LATEST))
        )
    if engine:
        acts.append(Act("rescue", "X", chance.randrange(LATEST)))
    return Scenario(agent, engine, tuple(acts))


class Story:
    """A scenario under a schedule."""

    def __init__(self, seed: int, switches: Mapping[int, int] | None = None) -> None:
        self.seed = seed
        self.scenario = scenario(seed)
        self.schedule = Schedule(seed, switches)
        self.world = World(self.schedule, agent=self.scenario.agent, engine=self.scenario.engine)
        self.answers: dict[Act, Any] = {}
        self._runners = {name: self.world.runner(name) for name in ("P1", "P2", "P3")}
        self._last = self.world.runner("last", works=True)
        self._begins = True
        """Whether acts may still begin."""

    @property
    def problems(self) -> list[str]:
        """What must not be, each with its kind before a colon."""
        return self.world.problems

    def play(self) -> "Story":
        """Let it happen, and judge it."""
        self.schedule.set_exception_handler(lambda _, found: None if self.schedule.over else self.problems.append(f"loop: {found}"))
        try:
            self.schedule.play(self._whole())
        except Hang as hang:
            left = [act for act in self.scenario.acts if act not in self.answers]
            self.problems.append(f"hang: {hang}, {self._c.status}; not over: {left}")
        return self

    async def _whole(self) -> None:
        acts = {asyncio.create_task(self._act(act)): act for act in self.scenario.acts}
        servants = [self._person(), *([self._sweep(), self._worker("W1"), self._worker("W2")] if self.scenario.engine else [])]
        kept = [asyncio.create_task(servant) for servant in servants]
        dead = self.schedule.dead
        await self._rest("nothing more begins", last=3)
        self._begins = False
        await self._rest("all acts are over", lambda: all(task.done() or act.process in dead for task, act in acts.items()), last=3)
        c = self._c
        if not dead:
            self.world.judge_agents()  # where no process has died, nobody has to recover
        if self.scenario.engine:
            for process in ("P1", "P2", "P3", "W1", "W2"):
                self.world.crash(process)
        elif c.running and await self.world.journal.alive(c.driver):
            self.problems.append(f"undriven: it is {c.status}, and whoever seems to drive it does nothing")
        await self._last.recover()
        await self._rest("the end", last=3)
        self.world.judge(ended=any(act.kind in ("cancel", "cancel outside", "interrupt", "rescue") for act in self.scenario.acts))
        for task in [*acts, *kept]:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                self.problems.append(f"raised: {acts.get(task, 'a servant')}: {error!r}")

    @property
    def _c(self) -> Conversation:
        return self.world.conversation()

    async def _rest(self, what: str, enabled: Callable[[], bool] | None = None, *, last: int) -> None:
        await self.schedule.point("story", what, enabled, last=last)

    async def _act(self, act: Act) -> None:
        await self.schedule.point(act.process, f"begins to {act.kind}", lambda: not self._begins or self._may(act), due=act.due)
        if not self._may(act):
            self.answers[act] = "never begun"
            return
        try:
            answer = await self._do(act)
        except FITTING as error:
            answer = error
        self.answers[act] = answer
        if answer is True or (act.kind == "interrupt" and isinstance(answer, Response) and answer.status == "done"):
            self.world.forbidden.append((self.schedule.steps, self._c.turns, act.process if act.kind == "cancel" else ""))
        inputs = {"run": "go", "queue": "queue", "interrupt": "interrupt"}
        if (
            act.kind in inputs
            and isinstance(answer, Response)
            and answer.status == "done"
            and answer.text != f"answer to {inputs[act.kind]}"
        ):
            self.problems.append(f"answer: {act} was answered {answer.text!r}")

    def _may(self, act: Act) -> bool:
        match act.kind:
            case "run":
                return True
            case "rescue":
                return self.world.engine is not None and bool(self.world.engine.given)
            case "approve" | "deny" | "approve outside" | "deny outside" | "approve within":
                return self._asked("c") is not None
            case _:
                return bool(self.world.events("c"))

    def _asked(self, name: str) -> Slot | None:
        """The first call of a conversation about which a person is asked."""
        return next((slot for slot in self.world.conversation(name).waiting if slot.doubt is None), None)

    async def _do(self, act: Act) -> Any:
        runner, journal, at = self._runners.get(act.process, self._last), Access(self.world, act.process), float(self.schedule.steps)
        match act.kind:
            case "run":
                return await runner.run("go", conversation="c")
            case "interrupt" | "queue":
                return await runner.run(act.kind, conversation="c", busy=act.kind)
            case "cancel":
                return await runner.cancel("c")
            case "cancel outside":
                return await outside.cancel(journal, "c", at=at)
            case "resume":
                return await runner.resume("c")
            case "recover":
                return await runner.recover()
            case "crash":
                return self.world.crash(act.process)
            case "rescue":
                assert self.world.engine is not None
                return [self.world.engine.give_back(worker) for worker in list(self.world.engine.given)]
            case _:
                return await self._decide(act, runner, journal, at)

    async def _decide(self, act: Act, runner: Runner, journal: Access, at: float) -> Any:
        name = "c"
        if act.kind == "approve within" and self.scenario.agent:
            name = next(one for one in self.world.names() if "/" in one)
        slot = self._asked(name)
        if slot is None or slot.approval is None:
            return "decided already"
        approval, digest = slot.approval.id, slot.approval.digest
        if act.kind == "approve":
            return await runner.approve(name, approval, digest)
        if act.kind == "deny":
            return await runner.deny(name, approval, digest)
        return await outside.decide(journal, name, approval, digest, "deny" if act.kind == "deny outside" else "approve", at=at)

    async def _person(self) -> None:
        """Answers what is asked when nobody else goes on, and resumes what was parked."""
        while True:
            await self.schedule.point("last", "a person answers", lambda: bool(self._c.waiting), last=2)
            slot = self._c.waiting[0]
            if self._c.status is Status.ENDED:
                await self._last.resume("c")
            elif slot.doubt is not None:
                await self._last.settle("c", slot.place, "found out")
            elif slot.approval is not None:
                await self._last.approve("c", slot.approval.id, slot.approval.digest)

    async def _sweep(self) -> None:
        """What has work left and was submitted by nobody is submitted."""
        engine = self.world.engine
        assert engine is not None
        while True:
            await self._rest("sweep", lambda: self._c.running and not engine.waiting and not engine.given, last=1)
            engine.put("c")

    async def _worker(self, name: str) -> None:
        engine, runner = self.world.engine, self.world.runner(name, works=True)
        assert engine is not None
        while True:
            await self.schedule.point(name, "take", lambda: bool(engine.free()))
            conversation = engine.given[name] = engine.free()[0]
            engine.waiting.remove(conversation)
            try:
                await runner.drive(conversation)
            except (ConversationBusy, JournalConflict):
                pass
            finally:
                if engine.given.get(name) == conversation:
                    del engine.given[name]

"""The trials of a scenario: one without a crash, twice, and then one for each point that it came to.
Every process of a trial is forked from one that has run nothing of the user's."""

import asyncio
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from segue.agent import Agent
from segue.core.messages import Json
from segue.crashtest.course import Course, dumped, undumped
from segue.crashtest.killing import watch_tools, watched
from segue.crashtest.places import named
from segue.crashtest.player import play
from segue.crashtest.points import Point, Witness, killed, read_account
from segue.crashtest.processes import Ended, in_process
from segue.crashtest.scenario import Scenario
from segue.crashtest.script import Script
from segue.crashtest.stores import fresh
from segue.crashtest.verdict import difference, ending, folded
from segue.errors import UsageError
from segue.journal.base import Journal
from segue.journal.resolve import journal_from
from segue.model import Model
from segue.models.denied import deny_model_requests
from segue.runner import Runner
from segue.views.graph import everyone

TRIES = 3
"""How often a trial is begun whose process does not come to its point: calls that run side by side may come in any order."""

_WITNESS = "witness.jsonl"
_WARM = ("segue.journal.sqlite", "segue.tools.fields")
"""Slow to import, and needed by every process: imported by the one that they are forked from."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What trials are made with. `load` and `model` import the user's code, and are called in the trials' processes only."""

    scenario: Scenario
    load: Callable[[], Agent]
    model: Callable[[str], Model]
    journal: str = "sqlite"
    """An address; "sqlite" for a file of each trial's own."""
    timeout: float = 60.0
    """Seconds for a process."""
    keep: Path | None = None
    """Where the trials' folders stay; `None` where they go."""

    def reference(self) -> Course:
        """The course without a crash. Raises `UsageError` where there is none, or another one each time."""
        for name in _WARM:
            import_module(name)
        first, second = self.course(()), self.course(())
        if trouble := first.trouble or second.trouble:
            raise UsageError(f"{self.scenario.path}: the scenario cannot be played, even without a crash: {trouble}")
        for name in sorted({*first.journal, *second.journal}):
            one, other = [ending(folded(course.journal.get(name, ()))[0]) for course in (first, second)]
            if words := difference(one, other, "the other time"):
                raise UsageError(
                    f"{self.scenario.path}: two plays without a crash do not end alike, so nothing could be said of one with a crash. "
                    f"In {name}, {words}."
                )
        if first.world != second.world:
            raise UsageError(f"{self.scenario.path}: observe sees {second.world} after one play and {first.world} after another.")
        return first

    def course(self, points: Sequence[Point]) -> Course:
        """Play the scenario in a fresh folder, and kill one process after the other, each at its point."""
        for _ in range(TRIES):
            with self._folder(points) as folder, fresh(self.journal, folder) as address:
                course = _Trial(self, folder, address).course(tuple(points))
            if not course.missed:
                break
        return course

    @contextmanager
    def _folder(self, points: Sequence[Point]) -> Iterator[Path]:
        if self.keep is None:
            with tempfile.TemporaryDirectory(prefix="segue-crashtest-") as folder:
                yield Path(folder)
            return
        kept = self.keep / re.sub(r"[:/]", "-", "+".join(map(str, points)) or "no-crash")
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        yield kept


@dataclass(frozen=True, slots=True)
class _Trial:
    """One trial: its folder, and its journal."""

    stage: Stage
    folder: Path
    address: str

    def course(self, points: tuple[Point, ...]) -> Course:
        """Play to the end, over the deaths, and look at what is left."""
        if self.stage.scenario.setup:
            ended = self._process(partial(_called, self.stage.scenario.setup, self.address))
            if ended.how != "done":
                return Course(points, trouble=f"setup: {ended.words}")
        missed, trouble = False, ""
        for process, point in enumerate((*points, None), 1):
            ended = self._process(partial(self._play, process, point))
            if ended.how == "killed" and point is not None and str(point) in killed(read_account(self.folder / _WITNESS)):
                continue
            missed = point is not None and ended.how == "done"
            trouble = "" if ended.how == "done" else f"process {process}: {ended.words}"
            break
        looked = self._process(self._look)
        if looked.how != "done":
            return Course(points, trouble=trouble or f"afterwards: {looked.words}")
        return Course(
            points=points,
            account=read_account(self.folder / _WITNESS),
            left=[undumped(json.loads(path.read_text("utf-8"))) for path in sorted(self.folder.glob("left-*.json"))],
            journal=undumped(looked.value["journal"]),
            world=looked.value["world"],
            missed=missed,
            trouble=trouble,
        )

    def _process(self, work: Callable[[], Json]) -> Ended:
        return in_process(work, self.folder, environment=self.stage.scenario.environment, timeout=self.stage.timeout)

    # -- in a process of its own

    def _play(self, process: int, kill_at: Point | None) -> None:
        deny_model_requests()
        asyncio.run(self._played(self.stage.load(), process, Witness(self.folder / _WITNESS, process, kill_at)))

    async def _played(self, entry: Agent, process: int, witness: Witness) -> None:
        journal = journal_from(self.address)
        try:
            if process > 1:
                left = json.dumps(await dumped(journal))
                (self.folder / f"left-{process - 1}.json").write_text(left, "utf-8")
            runner = self._runner(entry, watched(journal, witness))
            watch_tools(everyone(runner.team), witness)
            await play(runner, self.stage.scenario, goes_on=process > 1)
            await runner.aclose()
        finally:
            await journal.aclose()

    def _runner(self, entry: Agent, journal: Journal) -> Runner:
        scenario = self.stage.scenario
        model = Script(scenario.lines, journal) if scenario.lines else self.stage.model(scenario.model)
        make = named(scenario.runner) if scenario.runner else Runner
        runner = make(entry, journal=journal, model=model)
        if not isinstance(runner, Runner):
            raise UsageError(f"{scenario.path}: runner is called as Runner is, and gives one; {scenario.runner} gave {runner!r}.")
        return runner

    def _look(self) -> Json:
        observe = self.stage.scenario.observe
        world = _called(observe, self.address) if observe else None
        if observe and not isinstance(world, list):
            raise UsageError(f"{self.stage.scenario.path}: observe gives a list of what has happened, as JSON values, and not {world!r}.")
        return {"journal": asyncio.run(self._dumped()), "world": world}

    async def _dumped(self) -> Json:
        journal = journal_from(self.address)
        try:
            return await dumped(journal)
        finally:
            await journal.aclose()


def _called(place: str, address: str) -> Any:
    """Call a function of the scenario's: with the journal's address, if it takes something."""
    function = named(place)
    return function(address) if signature(function).parameters else function()

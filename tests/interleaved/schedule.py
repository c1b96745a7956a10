"""Which of several tasks goes on: an event loop in which every task stands at a point, and a schedule lets one of them pass.
By default the process that passed last goes on. A switch is another choice at a step; all switches of a story repeat it."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from random import Random
from typing import Any

from segue.errors import JournalError

STEPS = 3000
"""More steps than any story takes that comes to its end."""
QUIET = 6
"""Timers that go off one after the other, with nothing done but looks at the journal: then nobody but a person goes on."""


class Hang(Exception):
    """Some story does not come to its end."""


class Point:
    """Where a task stands until it is let pass: when `enabled`, and not before step `due`, if anybody else may go on till then."""

    def __init__(self, process: str, what: str, enabled: Callable[[], bool] | None, due: int, *, last: int, look: bool) -> None:
        self.process = process
        self.what = what
        self.enabled = enabled
        self.due = due
        self.last = last
        """Passed when nobody goes on whose `last` is less, and the clock has gone on for a while."""
        self.look = look
        """Whether passing it changes nothing, and may be done for ever."""
        self.passed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def open(self) -> bool:
        """Whether it may be passed now."""
        return not self.passed.done() and (self.enabled is None or self.enabled())


class Schedule(asyncio.SelectorEventLoop):
    """Lets one task pass at a time, and the clock go on only where none can: by chance from a seed, or by given switches."""

    def __init__(self, seed: int, switches: Mapping[int, int] | None = None) -> None:
        self.now = 1000.0
        super().__init__(_Selector(self._at_rest))
        self.switches: dict[int, int] = {}
        """Of the steps at which the default was not taken: which of the open points was passed instead."""
        self.steps = 0
        self.told: list[str] = []
        """The points that were passed, in words."""
        self.over = False
        """Nothing is chosen any more: whoever passes a point now is dead."""
        self.dead: set[str] = set()
        """Processes of which nothing goes on any more."""
        self._given = switches
        self._chance = Random(seed)
        self._rate = self._chance.choice((0.03, 0.1, 0.3, 1.0))
        begins = self._chance.randrange(80)
        self._sleep = range(begins, begins + self._chance.choice((0, 10, 20, 40)))
        """The steps in which the process that went on before them does not, if another one can."""
        self._sleeper = ""
        self._points: list[Point] = []
        self._process = ""
        self._quiet = 0

    def time(self) -> float:
        """Seconds in which nothing could go on."""
        return self.now

    async def point(
        self, process: str, what: str, enabled: Callable[[], bool] | None = None, *, due: int = 0, last: int = 0, look: bool = False
    ) -> None:
        """Stand here until the schedule lets this task pass; for ever in a process that is dead."""
        if self.over:
            raise JournalError("This process is dead.")
        point = Point(process, what, enabled, due, last=last, look=look)
        self._points.append(point)
        try:
            await point.passed
        finally:
            if point in self._points:
                self._points.remove(point)

    def play(self, story: Coroutine[Any, Any, None]) -> None:
        """Let a story go on to its end, and close the loop with all that is left. Raises `Hang`, and what the story raises."""
        try:
            self.run_until_complete(story)
        finally:
            self.over = True
            while tasks := asyncio.all_tasks(self):
                for task in tasks:
                    task.cancel()
                self.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self.run_until_complete(self.shutdown_asyncgens())
            self.close()

    def _at_rest(self, timeout: float | None) -> None:
        """No task can go on by itself, until `timeout` at the earliest: let one pass, or let that time go by."""
        if self.over:
            self.now += timeout or 0.0
            return
        here = [point for point in self._points if point.process not in self.dead and point.open()]
        usual, lasts = [point for point in here if not point.last], [point for point in here if point.last]
        here = [point for point in usual if point.due <= self.steps] or usual
        if not here and timeout is not None and self._quiet < QUIET:
            self._quiet += 1
            self.now += timeout
            return
        if not here:
            here = sorted(lasts, key=lambda point: point.last)[:1]
        if not here or self.steps > STEPS:
            raise Hang(f"{'nobody goes on' if not here else 'it goes on for ever'} after {self.steps} steps")
        self._pass(self._chosen(sorted(here, key=lambda point: point.process != self._process)))

    def _chosen(self, points: list[Point]) -> Point:
        choice = 0
        if self.steps == self._sleep.start:
            self._sleeper = self._process
        if self._given is not None:
            choice = self._given.get(self.steps, 0) % len(points)
        elif self._chance.random() < self._rate:
            choice = self._chance.randrange(len(points))
        if self._given is None and self.steps in self._sleep and points[choice].process == self._sleeper:
            choice = next((number for number, point in enumerate(points) if point.process != self._sleeper), choice)
        if choice:
            self.switches[self.steps] = choice
        return points[choice]

    def _pass(self, point: Point) -> None:
        self.steps += 1
        self._quiet = self._quiet if point.look else 0
        self._process = point.process
        self.told.append(f"{point.process}: {point.what}")
        point.passed.set_result(None)


class _Selector(selectors.SelectSelector):
    """Asked by the event loop what has happened, it says when nothing is left but to wait."""

    def __init__(self, at_rest: Callable[[float | None], None]) -> None:
        super().__init__()
        self._at_rest = at_rest

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now; never waits."""
        if timeout is None or timeout > 0:
            self._at_rest(timeout)
        return super().select(0)


def shrunk(switches: Mapping[int, int], fails: Callable[[Mapping[int, int]], bool]) -> dict[int, int]:
    """The switches without those that a failure does not need."""
    needed, before = dict(switches), -1
    while len(needed) != before:
        before, size = len(needed), max(1, len(needed) // 2)
        while size:
            for steps in [list(needed)[at : at + size] for at in range(0, len(needed), size)]:
                fewer = {step: choice for step, choice in needed.items() if step not in steps}
                if fails(fewer):
                    needed = fewer
            size //= 2
    return needed

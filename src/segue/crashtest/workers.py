"""Shares the trials out among workers: forked processes that make one after the other.
What came of each is heard through a pipe of the worker's own, as a line of JSON."""

import json
import os
import selectors
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from segue.crashtest.course import Course
from segue.crashtest.points import Point, points_of
from segue.crashtest.report import Result, read, tally, written
from segue.crashtest.trials import Stage
from segue.crashtest.verdict import judge
from segue.errors import SegueError

Points = tuple[Point, ...]


def make_trials(
    stage: Stage, reference: Course, trials: Sequence[Points], *, twice: bool, jobs: int, tell: Callable[[Result], None]
) -> list[Result]:
    """Make trials side by side, and give what came of them, in their order; `tell` is told of each when it is done.

    `twice`: a process that goes on for a dead one is killed in its turn, at each point that it comes to, in trials of their own.
    """
    workers: dict[int, int] = {}
    heard: list[tuple[int, Result]] = []
    sys.stdout.flush()  # or each of them would write it once more
    sys.stderr.flush()
    try:
        for first in range(min(jobs, len(trials))):
            reading, writing = os.pipe()
            worker = os.fork()
            if worker == 0:
                for other in (reading, *workers):
                    os.close(other)
                _work(stage, reference, list(enumerate(trials))[first::jobs], twice, writing)
            os.close(writing)
            workers[reading] = worker
        for place, result in _results(list(workers)):
            tell(result)
            heard.append((place, result))
    finally:
        codes = [_ended(reading, worker) for reading, worker in workers.items()]
    if any(codes):
        raise SegueError("A process that makes trials has died; what it said stands above. This is a bug in Segue: please report it.")
    return [result for _, result in sorted(heard, key=lambda one: one[0])]


def _results(pipes: list[int]) -> Iterator[tuple[int, Result]]:
    """What workers write, as it comes, until all have ended."""
    with selectors.DefaultSelector() as selector:
        rest = dict.fromkeys(pipes, b"")
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        while rest:
            for key, _ in selector.select():
                data = os.read(key.fd, 1 << 16)
                *lines, rest[key.fd] = (rest[key.fd] + data).split(b"\n")
                for line in lines:
                    place, value = json.loads(line)
                    yield place, read(value)
                if not data:
                    selector.unregister(key.fd)
                    del rest[key.fd]


def _ended(reading: int, worker: int) -> int:
    """Wait for a worker's end; one that is not done ends when it finds that nobody listens any more."""
    os.close(reading)
    return os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])


def _work(stage: Stage, reference: Course, trials: Sequence[tuple[int, Points]], twice: bool, writing: int) -> NoReturn:
    """Be a worker, to the end."""
    code = 1
    try:
        with os.fdopen(writing, "w") as pipe:
            for place, points in trials:
                for result in _made(stage, reference, points, twice):
                    pipe.write(json.dumps([place, written(result)]) + "\n")
                    pipe.flush()
        code = 0
    except (KeyboardInterrupt, BrokenPipeError):  # nobody wants to know any more
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _made(stage: Stage, reference: Course, points: Points, twice: bool) -> Iterator[Result]:
    began = time.monotonic()
    trial = stage.course(points)
    faults = tuple(judge(reference, trial))
    yield Result(tuple(map(str, points)), faults, trial.missed, tally(trial), round(time.monotonic() - began, 3))
    if twice and not faults:
        for second in points_of(trial.account, len(points) + 1):
            yield from _made(stage, reference, (*points, second), twice=False)

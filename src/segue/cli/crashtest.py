"""`segue crashtest TARGET`: play a scenario of a team, kill it wherever it can be killed, go on, and say whether all came out right."""

import os
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import click

from segue.agent import Agent
from segue.cli.choose import STAND_IN, stand_in
from segue.cli.safe import json_text, visible
from segue.cli.screen import is_terminal
from segue.cli.target import absolute, home, load
from segue.crashtest.places import named
from segue.crashtest.points import point_from, points_of
from segue.crashtest.report import Report, Result
from segue.crashtest.scenario import read_scenario
from segue.crashtest.stores import SQLITE, check_journal, shown
from segue.crashtest.trials import Stage
from segue.crashtest.workers import make_trials
from segue.errors import UsageError
from segue.model import Model

SCENARIO = "crash.toml"


@click.command()
@click.argument("target")
@click.option("-s", "--scenario", metavar="FILE", help=f"What is played; {SCENARIO} beside the target, if nothing is said.")
@click.option("--journal", metavar="WHERE", default="sqlite", show_default=True, help="Or postgresql://...; each trial has a fresh one.")
@click.option("--only", metavar="POINT", multiple=True, help="Kill at this point only, such as after:7 or entry:2.0.")
@click.option("--twice", is_flag=True, help="Kill the process that goes on, too, at each of its points.")
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Trials side by side; if nothing is said, one for each processor.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=60.0, show_default=True, help="Seconds for a process.")
@click.option("--keep", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False), help="Keep journals and output there.")
@click.option("--json", is_flag=True, help="Print one JSON object: trials, right, wrong, effects, results, ...")
def crashtest(
    target: str,
    scenario: str | None,
    journal: str,
    only: tuple[str, ...],
    twice: bool,
    jobs: int | None,
    timeout: float,
    keep: Path | None,
    json: bool,
) -> None:
    """Kill a team of agents wherever a crash can hit it, and see that all comes out right.

    A scenario is played without a crash, and then once for each append to the journal, killed before it and after it, and
    for each call of a tool, killed at its entry and before it returns. Each time another process goes on. No effect may
    happen twice, nothing may be lost that is not said to be unknown, and the conversation must come to the same end. No
    real model is asked. The exit code is 0 where all is right, 1 where it is not, and 2 where the scenario is at fault.
    """
    if not hasattr(os, "fork"):
        raise UsageError("A crash test forks its processes, and this system cannot do that. Run it on Linux or macOS.")
    check_journal(journal)
    file = _scenario(target, scenario)
    wishes = [tuple(map(point_from, wish.split("+"))) for wish in only]
    sys.path[:0] = [str(Path.cwd()), str(file.resolve().parent)]
    stage = Stage(read_scenario(file), _agent(target), _model, journal, timeout, keep.resolve() if keep else None)
    reference = stage.reference()
    trials = wishes or [(point,) for point in points_of(reference.account, 1)]
    results = make_trials(stage, reference, trials, twice=twice, jobs=jobs or os.cpu_count() or 1, tell=_progress())
    options = [("--scenario", scenario), ("--journal", shown(journal) if journal != SQLITE else "")]
    command = ["segue", "crashtest", target, *(word for name, value in options if value for word in (name, value))]
    report = Report(target, str(file), shown(journal), command, reference, results)
    click.echo(json_text(report.as_json(), indent=2 if sys.stdout.isatty() else None) if json else visible(report.as_text()))
    click.get_current_context().exit(report.exit_code)


def _scenario(target: str, given: str | None) -> Path:
    if given:
        return Path(given)
    folder = home(target)
    if folder is None or not (folder / SCENARIO).is_file():
        beside = f" in {folder}" if folder else ""
        raise UsageError(
            f"There is no {SCENARIO} beside {target}{beside}. Name one with --scenario FILE; docs/howto/crashtest.md says what is in it."
        )
    return folder / SCENARIO


def _agent(target: str) -> Callable[[], Agent]:
    place = absolute(target)
    return lambda: load(place).agent


def _model(place: str) -> Model:
    if place.startswith(STAND_IN):
        return stand_in(place.removeprefix(STAND_IN))
    model = named(place)
    if not isinstance(model, Model):
        raise UsageError(f"{place} is no Model, but a {type(model).__name__}.")
    return model


def _progress() -> Callable[[Result], None]:
    """Tells people at a terminal how many trials are made."""
    made = count(1)
    if not is_terminal(sys.stderr):
        return lambda result: None
    return lambda result: click.echo(f"\r{next(made)} trials ", nl=False, err=True)

"""Where a command's run takes place: the target and its model, the Runner that does it, and the journal that keeps it.
Nothing is run here."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from segue.cli import following
from segue.cli.choose import Choice, choose
from segue.cli.screen import FAINT, NOTE, Screen
from segue.cli.store import USUAL, opened
from segue.cli.target import Target, load
from segue.journal.base import Journal
from segue.runner import Runner


def prepared(target: str, model: str | None) -> tuple[Target, Choice]:
    """What a target names, and the model that replies, which people are told."""
    found = load(target)
    choice = choose(found.team, model, found.example, found.runner.model if found.runner is not None else None)
    banner(choice)
    return found, choice


def banner(choice: Choice) -> None:
    """Tell which model replies, and why."""
    aside = Screen(sys.stderr)
    for line in choice.lines():
        aside.remark("segue: ", line, NOTE if choice.stand_in else FAINT)


@asynccontextmanager
async def staged(found: Target, choice: Choice, given: str | None, *, stored: bool = False, make: bool = False) -> AsyncIterator[Runner]:
    """A Runner for a target, let go of at the end.

    Its journal: the one that is `given`; that of a Runner which the target names, if it is kept; SEGUE_JOURNAL; with `stored`,
    the usual file; else one in memory. `make`: a file that is not there is made.
    """
    own = found.runner.journal if found.runner is not None and found.runner.journal.durable else None
    place = given or (None if own is not None else os.environ.get("SEGUE_JOURNAL") or (USUAL if stored else None))
    if place is None:
        if own is not None:
            following.bring_along(own)
        runner = runner_of(found, choice, own)
        try:
            yield runner
        finally:
            await runner.aclose()
            if own is not None:
                await own.aclose()
        return
    async with opened(place, make=make) as journal:
        runner = runner_of(found, choice, journal)
        try:
            yield runner
        finally:
            await runner.aclose()


def runner_of(found: Target, choice: Choice, journal: Journal | None) -> Runner:
    """The target's Runner, or one like it, with the model and the journal of this command."""
    given = found.runner
    if given is None:
        return Runner(found.agent, model=choice.model, journal=journal)
    if choice.model is None and (journal is None or journal is given.journal):
        return given
    return given.like(model=choice.model, journal=journal)

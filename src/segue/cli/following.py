"""The commands that people are told to type next, complete: with the journal, the target and the model that this one was given.
They are made here alone, of what click's context has of the command that runs. Nothing is run here."""

import os
import shlex
import sys
from pathlib import Path

import click

from segue.cli.safe import visible
from segue.crashtest.stores import shown
from segue.journal.base import Journal
from segue.journal.resolve import is_postgresql

_OWN = "segue.journal"
"""In click's context: where the journal is that the target's Runner brings along."""


def program() -> list[str]:
    """How this program was called, for commands that a person can copy."""
    return [sys.executable, "-m", "segue"] if Path(sys.argv[0]).match("segue/__main__.py") else ["segue"]


def command(*words: str) -> str:
    """A command about the same journal. A password in its address is not repeated, and must be filled in."""
    place = _journal()
    at = ["--journal", shown(place)] if place else []
    return visible(shlex.join([*program(), *words, *at]))


def resume(conversation: str) -> str:
    """The command that goes on with a conversation; it says TARGET where none was given."""
    model = _given("model")
    return command("resume", conversation, target() or "TARGET", *(["--model", model] if model else []))


def chat(conversation: str) -> str:
    """The command that goes on with a conversation at a terminal; it says TARGET where none was given."""
    model = _given("model")
    return command("chat", target() or "TARGET", *(["--model", model] if model else []), "--conversation", conversation)


def going_on(conversation: str) -> str:
    """Who goes on with a conversation that has work left: a worker where it can be one, or a command."""
    if for_workers(_journal() or os.environ.get("SEGUE_JOURNAL") or ""):
        return f"A worker goes on with it, or: {resume(conversation)}"
    return f"Go on with it: {resume(conversation)}"


def for_workers(place: str) -> bool:
    """Whether workers can drive the conversations of a journal: those of a PostgreSQL database alone."""
    return is_postgresql(place)


def target() -> str:
    """The target of the command that runs; empty if it has none."""
    return _given("target")


def bring_along(journal: Journal) -> None:
    """Name a Runner's own journal in the commands to come, which would look elsewhere."""
    context = click.get_current_context(silent=True)
    place = getattr(journal, "path", None) or getattr(journal, "conninfo", None)
    if context is not None and isinstance(place, str):
        database = hasattr(journal, "conninfo")
        context.meta[_OWN] = "postgresql://..." if database and not for_workers(place) else place  # libpq's words are no --journal


def _journal() -> str:
    """What `--journal` must say; empty where the journal is found without."""
    context = click.get_current_context(silent=True)
    return _given("journal") or (context.meta.get(_OWN, "") if context is not None else "")


def _given(option: str) -> str:
    context = click.get_current_context(silent=True)
    return (context.params.get(option) or "") if context is not None else ""

"""`segue demo`: the examples that come with Segue, as a conversation at a terminal, or with a customer who has a script."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import click

from segue.agent import Agent
from segue.cli.asking import Verdict, show
from segue.cli.chat import converse
from segue.cli.choose import EXAMPLES, Choice, choose
from segue.cli.demo_talk import Kept, KeptTalk
from segue.cli.screen import AGENT, FAINT, NOTE, WRONG, Screen
from segue.cli.stage import banner, staged
from segue.cli.talk import Talk
from segue.cli.target import Target
from segue.response import Response
from segue.runner import Runner
from segue.team import Team
from segue.views.words import counted

Rows = list[tuple[str, ...]]


class Table(NamedTuple):
    """A table of an example's data that the demonstration changes."""

    name: str
    headings: Sequence[str]
    rows: Callable[[], Rows]

    def size(self) -> str:
        """How many rows it has, in words."""
        return f"The table {self.name} has {counted(len(self.rows()), 'row')}."


class Example(NamedTuple):
    """What a demonstration needs: the team, the customer's lines, and where a change shows.

    `person` says what a person is asked about; `kept` where it is kept, if it is.
    """

    agent: Agent
    customer: Sequence[str]
    table: Table
    person: str = ""
    kept: Kept | None = None


@click.command()
@click.argument("example", type=click.Choice(EXAMPLES), default=EXAMPLES[0])
@click.option("-m", "--model", metavar="PROVIDER:MODEL", help="What replies, in place of whatever is found.")
@click.option("--auto", is_flag=True, help="Have the scripted customer speak, also on a terminal.")
def demo(example: str, model: str | None, auto: bool) -> None:
    """See agents at work, without a key or network.

    acme is a shop, and airline a service desk. On a terminal you are the customer. Without one, or with --auto, a customer
    with a script is. Where neither a key nor a model server is found, a scripted stand-in replies, which is not an LLM; tools,
    handoffs and data are real.

    The shop's journal is a file in a temporary folder. A refund above a limit waits for a person, and can be made by a process
    that is killed in the middle of it, to see another one go on.
    """
    shown = _acme(_kept_acme()) if example == "acme" else _airline()
    choice = choose(Team(shown.agent), model, example)
    banner(choice)
    named = model or (choice.name if choice.stand_in else None)
    if auto or not (sys.stdin.isatty() and sys.stdout.isatty()):
        click.get_current_context().exit(asyncio.run(_play(shown, choice, named)))
    _converse(shown, choice, named)


def _kept_acme() -> Kept | None:
    if not hasattr(os, "fork"):
        return None  # the locks of a journal in a file need a Unix
    folder = Path(tempfile.mkdtemp(prefix="segue-demo-"))
    return Kept(folder, "ACME_DATABASE", "segue.examples.acme:triage", "segue.examples.acme.doomed:triage", "execute_refund")


def _acme(kept: Kept | None) -> Example:
    acme, script = import_module("segue.examples.acme"), import_module("segue.examples.acme.demo")
    shop = acme.Shop(kept.data if kept else ":memory:")
    table = Table("refunds", script.HEADINGS, lambda: script.refund_rows(shop))
    return Example(acme.build(shop), script.CUSTOMER, table, script.PERSON, kept)


def _airline() -> Example:
    airline, script = import_module("segue.examples.airline"), import_module("segue.examples.airline.demo")
    database = airline.small_world()
    table = Table("reservations", script.HEADINGS, lambda: script.reservation_rows(database))
    return Example(airline.build(database), script.CUSTOMER, table)


def _afterwards(example: Example, talk: Talk | None) -> None:
    """Tell where the conversation is found again."""
    if example.kept is not None and talk is not None and talk.conversation is not None:
        click.echo("segue: Its story, and how to go on with it:", err=True)
        for command in example.kept.afterwards(talk.conversation):
            click.echo(f"  {command}", err=True)


# ---- with a person ---------------------------------------------------------


def _converse(example: Example, choice: Choice, model: str | None) -> None:
    """Have the person at the terminal be the customer, and whoever decides about calls."""
    tries = "\n".join(f"  {line}" for line in example.customer[1:4])
    hints = [f"You are the customer. Try, one after the other:\n{tries}"]
    if example.kept is None:
        converse(Target(example.agent, ""), choice, hints=tuple(hints))
        return
    hints += [f"{example.person} You are that person too.", f"The journal is {example.kept.journal}."]
    talks: list[Talk] = []

    def make(runner: Runner, choice: Choice, screen: Screen, name: str | None) -> Talk:
        talks.append(_talk(example, model, partial(_ask_to_kill, screen), runner, choice, screen, name))
        return talks[-1]

    converse(Target(example.agent, ""), choice, journal=example.kept.journal, hints=tuple(hints), make_talk=make)
    _afterwards(example, talks[-1] if talks else None)


def _ask_to_kill(screen: Screen) -> bool:
    screen.remark("  ", "A process of its own can make the call and be killed in the middle of it. Then another one goes on.", NOTE)
    return input("  Kill it? [Y/n] ").strip().lower() in ("", "y", "yes")


def _say_to_kill(screen: Screen) -> bool:
    screen.remark("  ", "A process of its own makes the call and is killed in the middle of it. Then another one goes on.", NOTE)
    return True


def _talk(
    example: Example, model: str | None, ask: Callable[[], bool], runner: Runner, choice: Choice, screen: Screen, name: str | None = None
) -> Talk:
    if example.kept is None:
        return Talk(runner, choice, screen, name)
    return KeptTalk(runner, choice, screen, name, kept=example.kept, model=model, data=example.table.size, ask=ask)


# ---- with a script ---------------------------------------------------------


async def _play(example: Example, choice: Choice, model: str | None) -> int:
    """Have the customer say the lines of the script, and show which rows that changes; the exit code."""
    screen = Screen(sys.stdout)
    table = example.table
    before = first = table.rows()
    replies, told = 0, []
    async with _runner(example, choice) as runner:
        talk = _talk(example, model, partial(_say_to_kill, screen), runner, choice, screen)
        for line in example.customer:
            screen.line()
            screen.flow("Customer: ", AGENT)
            screen.flow(line)
            screen.end()
            told.append((await _answered(example, talk, line)).text)
            replies += talk.teller.replies
            after = table.rows()
            if after != before:
                _changes(screen, table, before, after)
                before = after
    screen.line()
    screen.line(f"The table {table.name}, before the conversation:")
    _rows(screen, table, first)
    screen.line("and after it:")
    _rows(screen, table, before)
    same = not (example.kept and choice.stand_in) or await _same_undisturbed(screen, choice, told, before)
    talker = f"{choice.name}, a scripted stand-in and not an LLM" if choice.stand_in else choice.name
    screen.line()
    screen.line(f"{counted(replies, 'reply', 'replies')} by {talker}. Every tool call, handoff and row above is real.", FAINT)
    _afterwards(example, talk)
    return 0 if same else 1


def _runner(example: Example, choice: Choice) -> AbstractAsyncContextManager[Runner]:
    if example.kept is None:
        return Runner(example.agent, model=choice.model)
    return staged(Target(example.agent, ""), choice, example.kept.journal, make=True)


async def _answered(example: Example, talk: Talk, line: str) -> Response[Any]:
    """Say a line, and decide about what waits for a person: nobody else is there to do it."""
    response = await talk.send(line)
    while response.waiting_for and (asked := response.waiting_for[0].approval) is not None:
        show(asked, talk.screen)
        words = "The question is in the journal, and could wait there for days. Nobody is asked here: the demonstration says yes."
        talk.screen.remark("  ", f"{example.person} {words}", NOTE)
        response = await talk.decide(response.waiting_for[0], Verdict(True), by="the demonstration")
    response.raise_for_status()
    return response


async def _same_undisturbed(screen: Screen, choice: Choice, told: list[str], rows: Rows) -> bool:
    """Have the same conversation once more, in memory, with nobody killed, and say whether it comes to the same answers and rows."""
    example, again = _acme(None), []
    async with Runner(example.agent, model=choice.model) as runner:
        conversation: str | None = None
        for line in example.customer:
            response = await runner.run(line, conversation=conversation)
            conversation = response.conversation
            while response.waiting_for and (asked := response.waiting_for[0].approval) is not None:
                response = await runner.approve(conversation, asked.id, asked.digest)
            again.append(response.text)
    same = (again, example.table.rows()) == (told, rows)
    words = "the same answers and the same rows." if same else f"other answers or rows: {again}, {example.table.rows()}."
    screen.line()
    screen.remark("", f"The same conversation once more, in memory, with nobody killed: {words}", FAINT if same else WRONG)
    return same


def _changes(screen: Screen, table: Table, before: Rows, after: Rows) -> None:
    changed = [("-", *row) for row in before if row not in after] + [("+", *row) for row in after if row not in before]
    screen.line(f"  [the table {table.name} has changed]", FAINT)
    screen.table(("", *table.headings), changed, indent=4)


def _rows(screen: Screen, table: Table, rows: Rows) -> None:
    if rows:
        screen.table(table.headings, rows)
    else:
        screen.line("  (no rows)", FAINT)

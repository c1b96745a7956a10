"""`segue demo`: the examples that come with Segue, as a conversation at a terminal, or with a customer who has a script."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NamedTuple

import click

from segue.agent import Agent
from segue.cli.chat import converse
from segue.cli.choose import EXAMPLES, Choice, choose
from segue.cli.screen import AGENT, FAINT, Screen
from segue.cli.stage import banner
from segue.cli.talk import Talk
from segue.cli.target import Target
from segue.runner import Runner
from segue.views.words import counted

Rows = list[tuple[str, ...]]


class Table(NamedTuple):
    """A table of an example's data that the demonstration changes."""

    name: str
    headings: Sequence[str]
    rows: Callable[[], Rows]


class Example(NamedTuple):
    """What a demonstration needs: the team, the customer's lines, and where a change shows."""

    agent: Agent
    customer: Sequence[str]
    table: Table


@click.command()
@click.argument("example", type=click.Choice(EXAMPLES), default=EXAMPLES[0])
@click.option("-m", "--model", metavar="PROVIDER:MODEL", help="What replies, in place of whatever is found.")
@click.option("--auto", is_flag=True, help="Have the scripted customer speak, also on a terminal.")
def demo(example: str, model: str | None, auto: bool) -> None:
    """See agents at work, without a key or network.

    acme is a shop, and airline a service desk. On a terminal you are the customer. Without one, or with --auto, a customer
    with a script is. Where neither a key nor a model server is found, a scripted stand-in replies, which is not an LLM; tools,
    handoffs and data are real.
    """
    shown = _acme() if example == "acme" else _airline()
    choice = choose(shown.agent, model, example)
    banner(choice)
    if auto or not (sys.stdin.isatty() and sys.stdout.isatty()):
        _play(shown, choice)
        return
    tries = "\n".join(f"  {line}" for line in shown.customer[1:4])
    converse(Target(shown.agent, ""), choice, hints=(f"You are the customer. Try, one after the other:\n{tries}",))


def _acme() -> Example:
    acme, script = import_module("segue.examples.acme"), import_module("segue.examples.acme.demo")
    shop = acme.Shop()
    return Example(acme.build(shop), script.CUSTOMER, Table("refunds", script.HEADINGS, lambda: script.refund_rows(shop)))


def _airline() -> Example:
    airline, script = import_module("segue.examples.airline"), import_module("segue.examples.airline.demo")
    database = airline.small_world()
    table = Table("reservations", script.HEADINGS, lambda: script.reservation_rows(database))
    return Example(airline.build(database), script.CUSTOMER, table)


def _play(example: Example, choice: Choice) -> None:
    """Have the customer say the lines of the script, and show which rows that changes."""
    screen = Screen(sys.stdout)
    talk = Talk(Runner(example.agent, model=choice.model), choice, screen)
    before = first = example.table.rows()
    replies = 0
    with asyncio.Runner() as loop:
        for line in example.customer:
            screen.line()
            screen.flow("Customer: ", AGENT)
            screen.flow(line)
            screen.end()
            loop.run(talk.send(line)).raise_for_status()
            replies += talk.teller.replies
            after = example.table.rows()
            if after != before:
                _changes(screen, example.table, before, after)
                before = after
    screen.line()
    screen.line(f"The table {example.table.name}, before the conversation:")
    _rows(screen, example.table, first)
    screen.line("and after it:")
    _rows(screen, example.table, before)
    talker = f"{choice.name}, a scripted stand-in and not an LLM" if choice.stand_in else choice.name
    screen.line()
    screen.line(f"{counted(replies, 'reply', 'replies')} by {talker}. Every tool call, handoff and row above is real.", FAINT)


def _changes(screen: Screen, table: Table, before: Rows, after: Rows) -> None:
    changed = [("-", *row) for row in before if row not in after] + [("+", *row) for row in after if row not in before]
    screen.line(f"  [the table {table.name} has changed]", FAINT)
    screen.table(("", *table.headings), changed, indent=4)


def _rows(screen: Screen, table: Table, rows: Rows) -> None:
    if rows:
        screen.table(table.headings, rows)
    else:
        screen.line("  (no rows)", FAINT)

"""`segue chat TARGET`: a conversation at a terminal, or one message from a pipe."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

import click

from segue.cli import following
from segue.cli.answer import printed, raise_unless_done
from segue.cli.asking import ask_about, ask_what_came_of
from segue.cli.choose import Choice
from segue.cli.prompt import Prompt
from segue.cli.screen import AGENT, FAINT, NOTE, WRONG, Screen, is_terminal
from segue.cli.stage import prepared, staged
from segue.cli.store import conversation_named, new_journal_option
from segue.cli.talk import Talk
from segue.cli.target import Target
from segue.core.conversation import Status
from segue.core.messages import Json
from segue.errors import SegueError, UsageError
from segue.prepare import checked_arguments
from segue.response import Response
from segue.runner import Runner
from segue.views import trace, usage
from segue.views.graph import everyone

HELP = """\
/agent    who has the floor, and who else there is
/trace    what happened: replies, calls, outcomes, handoffs, times, tokens
/usage    what was used, by agent and model
/resume   go on with what was left: after a limit, a failure, or with calls that wait for you
/reset    begin a new conversation
/exit     leave; so does Ctrl-D
Ctrl-C    end the reply that is under way; twice: leave"""


@click.command()
@click.argument("target")
@click.option("-m", "--model", metavar="PROVIDER:MODEL", help="Replaces every agent's model.")
@new_journal_option
@click.option("-c", "--conversation", metavar="ID", help="Go on with a conversation of the journal.")
@click.option("--json", is_flag=True, help="Print each response as a line of JSON, and nothing else.")
def chat(target: str, model: str | None, journal: str | None, conversation: str | None, json: bool) -> None:
    """Talk with a team of agents.

    On a terminal it is a conversation; /help lists its commands. Calls that need an approval are shown, and made when you say
    so. From a pipe, all of stdin is one message, and the exit code says whether it was answered. Without --journal,
    SEGUE_JOURNAL or --conversation the conversation is kept in memory, and ends with the command.
    """
    found, choice = prepared(target, model)
    converse(found, choice, journal=journal, conversation=conversation, json=json)


def converse(
    found: Target,
    choice: Choice,
    *,
    journal: str | None = None,
    conversation: str | None = None,
    json: bool = False,
    hints: tuple[str, ...] = (),
    make_talk: Callable[[Runner, Choice, Screen, str | None], Talk] = Talk,
) -> None:
    """Have the conversation, with a person or with a pipe."""
    screen = Screen(sys.stderr if json else sys.stdout)
    with asyncio.Runner() as loop, contextlib.ExitStack() as leaving:
        stage = staged(found, choice, journal, stored=conversation is not None, make=conversation is None)
        runner = loop.run(stage.__aenter__())
        leaving.callback(lambda: loop.run(stage.__aexit__(None, None, None)))
        name = loop.run(conversation_named(runner.journal, conversation)) if conversation else None
        talk = make_talk(runner, choice, screen, name)
        if not sys.stdin.isatty():
            _once(loop, talk, sys.stdin.read().strip(), json=json)
            return
        for hint in (*hints, "Type a message. /help lists the commands, Ctrl-D leaves."):
            click.echo(hint, err=True)
        click.echo(err=True)
        Chat(loop, talk, json=json).run()


def _once(loop: asyncio.Runner, talk: Talk, text: str, *, json: bool) -> None:
    if not text:
        raise UsageError("stdin holds no message. Write: echo 'My boots fell apart.' | segue chat TARGET.")
    response = loop.run(talk.send(text))
    if json:
        click.echo(printed(response, talk.choice))
    click.echo(f"segue: {talk.teller.sum_up(response)}", err=True)
    _name(talk)
    raise_unless_done(response, talk.runner.journal)


def _name(talk: Talk) -> None:
    """Say how the conversation is found again, where it is kept."""
    if talk.conversation is not None and talk.runner.journal.durable:
        onward = f"; to go on with it: {following.chat(talk.conversation)}" if following.target() else ""
        click.echo(f"segue: the conversation is {talk.conversation}{onward}", err=True)


class Chat:
    """A conversation with a person, line by line."""

    def __init__(self, loop: asyncio.Runner, talk: Talk, *, json: bool) -> None:
        self._loop = loop
        self._talk = talk
        self._json = json
        self._screen = talk.screen
        self._prompt = Prompt(colour=is_terminal(sys.stdout) and self._screen.fancy and not os.environ.get("NO_COLOR"))
        self._interrupts = 0
        """Since the person last said something; the second one leaves."""

    def run(self) -> None:
        """Go on until the person leaves."""
        with contextlib.suppress(KeyboardInterrupt):  # whoever cannot wait leaves
            if self._talk.conversation is None or self._take_up():
                while self._turn():
                    pass
            self._say_goodbye()
        self._prompt.keep()

    def _take_up(self) -> bool:
        """Show where a stored conversation stands, and go on with what was left of it; say whether the person stays."""
        c = self._loop.run(self._talk.folded())
        self._screen.line(f"{c.active} has the floor, after {c.turns} replies.", FAINT)
        if c.ended is not None:
            self._screen.remark("  ■ ", f"The last run ended, {c.ended.kind}: {c.ended.words}", WRONG)
        if c.running or c.status is Status.HUMAN:
            return self._kept(lambda: self._work_on(self._talk.resume()))
        return True

    def _turn(self) -> bool:
        """Have one line and do what it says; say whether the conversation goes on."""
        return self._kept(self._one_line)

    def _kept(self, work: Callable[[], bool]) -> bool:
        """Do something for the person; say whether the conversation goes on. Ctrl-C ends it and, the second time, the chat."""
        try:
            return work()
        except EOFError:
            self._screen.line()
            return False
        except KeyboardInterrupt:
            self._interrupts += 1
            self._screen.line()
            if self._interrupts > 1:
                return False
            self._screen.line("Ctrl-C again, or Ctrl-D, leaves.", FAINT)
        return True

    def _one_line(self) -> bool:
        line = self._prompt.line().strip()
        self._interrupts = 0
        if line.startswith("/"):
            return self._command(line)
        return self._work_on(self._talk.send(line)) if line else True

    def _work_on(self, work: Coroutine[Any, Any, Response[Any]]) -> bool:
        """Have a message worked on, with the person's decisions in between."""
        self._screen.line()
        try:
            response = self._loop.run(work)
            while (decision := self._decision(response)) is not None:
                response = self._loop.run(decision)
        except KeyboardInterrupt:
            self._interrupts += 1
            self._screen.line("  ■ cancelled; the conversation goes on", WRONG)
        except SegueError as error:
            self._screen.remark("  ■ ", str(error), WRONG)
        else:
            if self._json:
                click.echo(printed(response, self._talk.choice))
            self._screen.line(f"  {self._talk.teller.sum_up(response)}", FAINT)
        self._screen.line()
        return True

    def _decision(self, response: Response[Any]) -> Coroutine[Any, Any, Response[Any]] | None:
        """What follows from what the person says about a call that waits; `None` if none does, or it is left open."""
        by = os.environ.get("USER", "")
        try:
            for slot in response.waiting_for:
                if slot.doubt is None and (asked := slot.approval) is not None:
                    verdict = ask_about(asked, self._screen, self._prompt.line, partial(self._check, asked.id))
                    return self._talk.decide(slot, verdict, by=by)
                if slot.doubt is not None and (found := ask_what_came_of(slot, self._screen, self._prompt.line)):
                    return self._talk.settle(slot, found, by=by)
        except KeyboardInterrupt:
            self._interrupts += 1
            self._screen.line()
            self._screen.line("  It waits; /resume asks again.", NOTE)
        return None

    def _check(self, approval: str, arguments: Mapping[str, Json]) -> dict[str, Json]:
        return checked_arguments(self._talk.runner.team, self._loop.run(self._talk.folded()), approval, arguments)

    # -- commands

    def _command(self, line: str) -> bool:
        """Do what a line that begins with a slash says; say whether the conversation goes on."""
        match line.split()[0]:
            case "/exit" | "/quit":
                return False
            case "/help":
                self._screen.line(HELP)
            case "/agent":
                self._show_agents()
            case "/trace":
                rows = self._loop.run(self._talk.rows())
                self._screen.line(trace.render(trace.trace(rows), width=min(self._screen.width, 100)).rstrip())
            case "/usage":
                self._screen.line(usage.render(usage.usage(self._loop.run(self._talk.rows()))))
            case "/resume" if self._talk.conversation is not None:
                return self._work_on(self._talk.resume())
            case "/reset":
                self._talk.conversation = None
                self._screen.line(f"A new conversation: {self._talk.runner.team.entry.name} has the floor.")
            case unknown:
                self._screen.line(f"There is no {unknown}. /help lists the commands.", NOTE)
        self._screen.line()
        return True

    def _show_agents(self) -> None:
        team = self._talk.runner.team
        agents = {agent.name: agent.description or "" for agent in everyone(team)}
        active = self._loop.run(self._talk.folded()).active or team.entry.name
        for name, about in (agents | {active: agents.get(active, "made by a tool")}).items():
            self._screen.put(f"{'▸' if name == active else ' '} {name}", AGENT if name == active else "")
            self._screen.line(f"   {about}".rstrip(), FAINT)

    def _say_goodbye(self) -> None:
        used = usage.usage(self._loop.run(self._talk.rows()))
        if used:
            click.echo(f"segue: {usage.spent(usage.total(used))}", err=True)
        _name(self._talk)

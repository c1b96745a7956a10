"""`segue chat TARGET`: a conversation at a terminal, or one message from a pipe."""

import asyncio
import contextlib
import sys
from typing import Any

import click

from segue.agent import Agent
from segue.cli.choose import Choice, choose
from segue.cli.prompt import Prompt
from segue.cli.safe import visible
from segue.cli.screen import AGENT, FAINT, NOTE, WRONG, Screen, is_terminal
from segue.cli.talk import Talk, printed
from segue.cli.target import load
from segue.errors import SegueError, UsageError
from segue.response import Response
from segue.views import trace, usage
from segue.views.graph import everyone
from segue.views.words import call_words

HELP = """\
/agent    who has the floor, and who else there is
/trace    what happened: replies, calls, outcomes, handoffs, times, tokens
/usage    what was used, by agent and model
/reset    begin a new conversation
/exit     leave; so does Ctrl-D
Ctrl-C    end the reply that is under way; twice: leave"""


@click.command()
@click.argument("target")
@click.option("-m", "--model", metavar="PROVIDER:MODEL", help="Replaces every agent's model.")
@click.option("--json", is_flag=True, help="Print each response as a line of JSON, and nothing else.")
def chat(target: str, model: str | None, json: bool) -> None:
    """Talk with a team of agents.

    On a terminal it is a conversation; /help lists its commands. From a pipe, all of stdin is one message, and the exit code
    says whether it was answered.
    """
    found = load(target)
    choice = choose(found.agent, model, found.example)
    converse(found.agent, choice, json=json)


def converse(agent: Agent, choice: Choice, *, json: bool = False, hints: tuple[str, ...] = ()) -> None:
    """Have the conversation, with a person or with a pipe."""
    banner(choice)
    screen = Screen(sys.stderr if json else sys.stdout)
    talk = Talk(agent, choice, screen)
    if not sys.stdin.isatty():
        _once(talk, sys.stdin.read().strip(), json=json)
        return
    for hint in (*hints, "Type a message. /help lists the commands, Ctrl-D leaves."):
        click.echo(hint, err=True)
    click.echo(err=True)
    Chat(talk, json=json).run()


def banner(choice: Choice) -> None:
    """Tell which model replies, and why."""
    aside = Screen(sys.stderr)
    for line in choice.lines():
        aside.remark("segue: ", line, NOTE if choice.stand_in else FAINT)


def _once(talk: Talk, text: str, *, json: bool) -> None:
    if not text:
        raise UsageError("stdin holds no message. Write: echo 'My boots fell apart.' | segue chat TARGET.")
    response = asyncio.run(talk.send(text))
    if json:
        click.echo(printed(response, talk.choice))
    click.echo(f"segue: {talk.teller.sum_up(response)}", err=True)
    response.raise_for_status()


class Chat:
    """A conversation with a person, line by line."""

    def __init__(self, talk: Talk, *, json: bool) -> None:
        self._talk = talk
        self._json = json
        self._screen = talk.screen
        self._interrupts = 0
        """Since the person last said something; the second one leaves."""

    def run(self) -> None:
        """Go on until the person leaves."""
        prompt = Prompt(colour=is_terminal(sys.stdout) and self._screen.fancy)
        with asyncio.Runner() as loop, contextlib.suppress(KeyboardInterrupt):  # whoever cannot wait leaves
            while self._turn(loop, prompt):
                pass
            self._say_goodbye(loop)
        prompt.keep()

    def _turn(self, loop: asyncio.Runner, prompt: Prompt) -> bool:
        """Have one line and do what it says; say whether the conversation goes on."""
        try:
            line = prompt.line().strip()
            self._interrupts = 0
            if line.startswith("/"):
                return self._command(loop, line)
            if line:
                self._send(loop, prompt, line)
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

    def _send(self, loop: asyncio.Runner, prompt: Prompt, text: str) -> None:
        """Have a message worked on."""
        self._screen.line()
        try:
            response = loop.run(self._talk.send(text))
            while any(slot.approval for slot in response.waiting_for):
                response = self._decide(loop, prompt, response)
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

    def _decide(self, loop: asyncio.Runner, prompt: Prompt, response: Response[Any]) -> Response[Any]:
        """Ask about the first call that waits for an approval."""
        slot = next(slot for slot in response.waiting_for if slot.approval)
        assert slot.approval is not None
        call = visible(call_words(slot.approval.name, slot.approval.arguments))
        answer = prompt.line(f"  {call}\n  Make this call? [y/N] ").strip().lower()
        return loop.run(self._talk.decide(slot, approve=answer in ("y", "yes")))

    # -- commands

    def _command(self, loop: asyncio.Runner, line: str) -> bool:
        """Do what a line that begins with a slash says; say whether the conversation goes on."""
        match line.split()[0]:
            case "/exit" | "/quit":
                return False
            case "/help":
                self._screen.line(HELP)
            case "/agent":
                self._show_agents(loop)
            case "/trace":
                rows = loop.run(self._talk.rows())
                self._screen.line(trace.render(trace.trace(rows), width=min(self._screen.width, 100)).rstrip())
            case "/usage":
                self._screen.line(usage.render(usage.usage(loop.run(self._talk.rows()))))
            case "/reset":
                self._talk.conversation = None
                self._screen.line(f"A new conversation: {self._talk.runner.team.entry.name} has the floor.")
            case unknown:
                self._screen.line(f"There is no {unknown}. /help lists the commands.", NOTE)
        self._screen.line()
        return True

    def _show_agents(self, loop: asyncio.Runner) -> None:
        team = self._talk.runner.team
        agents = {agent.name: agent.description or "" for agent in everyone(team)}
        active = loop.run(self._talk.folded()).active or team.entry.name
        for name, about in (agents | {active: agents.get(active, "made by a tool")}).items():
            self._screen.put(f"{'▸' if name == active else ' '} {name}", AGENT if name == active else "")
            self._screen.line(f"   {about}".rstrip(), FAINT)

    def _say_goodbye(self, loop: asyncio.Runner) -> None:
        used = usage.usage(loop.run(self._talk.rows()))
        if used:
            click.echo(f"segue: {usage.spent(usage.total(used))}", err=True)

"""The command line: `segue COMMAND`, one file per command. Data goes to stdout, everything else to stderr.
Here the commands are gathered, and errors become one line and an exit code; no command lives here."""

import io
import logging
import os
import sys
import traceback
from importlib.metadata import version
from typing import Any, TypeGuard

import click

from segue.cli.approvals import approvals
from segue.cli.cancel import cancel
from segue.cli.chat import chat
from segue.cli.crashtest import crashtest
from segue.cli.demo import demo
from segue.cli.environment import read_env_file
from segue.cli.fork import fork
from segue.cli.graph import graph
from segue.cli.resume import resume
from segue.cli.run import run
from segue.cli.runs import runs
from segue.cli.safe import visible
from segue.cli.settle import settle
from segue.cli.worker import worker
from segue.errors import SegueError

__all__ = ["main"]


HELP = """\
Conversations handled by several LLM agents.

TARGET, where a command takes one, is module:attribute or a file: shop:triage, shop.py:triage, shop.py.

\b
Environment:
  OPENAI_API_KEY, OPENAI_BASE_URL, ...   as each provider's own programs read them
  SEGUE_MODEL    the model of agents that name none, such as openai:gpt-5-mini
  SEGUE_PROBE    off: do not look for a model server on this machine
  SEGUE_DEBUG    1: show where an error comes from
  NO_COLOR       1: no colours

A .env file in the current directory may hold all but the last; what is in the environment already stays.
"""


UNWRITTEN = "stdout could not be written"


class Stdout(io.FileIO):
    """Standard output whose errors say by a note what they are: other files, also a user's, fail in the same words."""

    def write(self, data: Any) -> int:
        """Write as a file does."""
        try:
            return super().write(data)
        except OSError as error:
            error.add_note(UNWRITTEN)
            raise


class Commands(click.Group):
    """A group of commands whose errors are told in one line."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run a command, and end the process."""
        _watch_stdout()
        try:
            return super().main(*args, **options)
        except OSError as error:
            if not _is_stdouts(error):
                raise
            _tell(error, f"{UNWRITTEN}: {error.strerror}.")
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python will try once more when it ends
            sys.exit(SegueError.exit_code)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except SegueError as error:
            if _is_stdouts(error.__cause__):
                raise error.__cause__ from None
            _tell(error, str(error))
            ctx.exit(error.exit_code)


def _watch_stdout() -> None:
    """Have `sys.stdout`, where that is a file, say which errors are its own."""
    text = sys.stdout
    under = getattr(text, "buffer", None)
    raw = getattr(under, "raw", under)  # with PYTHONUNBUFFERED there is no buffer
    if isinstance(text, io.TextIOWrapper) and isinstance(raw, io.FileIO):
        text.flush()
        made: Any = Stdout(raw.fileno(), "w", closefd=False)
        made.text = text  # who put it there may have kept no other hold on it, and its file closes with it
        written = made if raw is under else io.BufferedWriter(made)
        sys.stdout = io.TextIOWrapper(written, text.encoding, text.errors, None, text.line_buffering, text.write_through)


def _is_stdouts(error: BaseException | None) -> TypeGuard[OSError]:
    return isinstance(error, OSError) and UNWRITTEN in getattr(error, "__notes__", ())


def _tell(error: Exception, words: str) -> None:
    if os.environ.get("SEGUE_DEBUG"):
        traceback.print_exception(error)
    click.echo(f"segue: {visible(words)}", err=True)


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"segue {version('segue')}")
        ctx.exit()


@click.group(cls=Commands, help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version and exit.")
def main() -> None:
    """Conversations handled by several LLM agents."""
    for name, mode, errors in (("stdin", "r", "replace"), ("stdout", "w", "backslashreplace"), ("stderr", "w", "backslashreplace")):
        stream = getattr(sys, name)
        if stream is None:  # it was closed, as by `2>&-`
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - as long as the process
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=errors)  # a letter that cannot be read or shown is no reason to stop
    read_env_file()
    if os.environ.get("SEGUE_DEBUG"):
        logging.basicConfig(stream=sys.stderr)
        logging.getLogger("segue").setLevel(logging.DEBUG)  # the tracebacks of tools


for command in (demo, chat, run, graph, runs, approvals, resume, settle, cancel, fork, worker, crashtest):
    main.add_command(command)

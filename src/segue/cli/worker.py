"""`segue worker TARGET`: drives the conversations of a PostgreSQL journal, beside any number of other workers.
Signals and words are here; what a worker does is the engine's."""

import asyncio
import logging
import os
import signal
import sys
import time
from functools import partial

import click

from segue.cli.choose import Choice
from segue.cli.following import for_workers
from segue.cli.safe import json_text, visible
from segue.cli.stage import prepared, staged
from segue.cli.target import Target
from segue.crashtest.stores import shown
from segue.engine import Engine
from segue.errors import UsageError
from segue.runner import Runner


@click.command()
@click.argument("target")
@click.option("--journal", metavar="postgresql://...", envvar="SEGUE_JOURNAL", help="The database.  [default: SEGUE_JOURNAL]")
@click.option("-m", "--model", metavar="PROVIDER:MODEL", help="Replaces every agent's model.")
@click.option("--concurrency", type=click.IntRange(min=1), default=40, show_default=True, help="How many conversations to drive at once.")
@click.option("--json", is_flag=True, help="Print a line of JSON for each drive: conversation, seconds, error.")
def worker(target: str, journal: str | None, model: str | None, concurrency: int, json: bool) -> None:
    """Drive the conversations that are kept in a PostgreSQL database.

    Start as many workers as you like, on as many machines as you like. Each conversation is driven by one of them; where that
    one dies, another goes on. SIGTERM and Ctrl-C let each drive finish its present step and leave the rest to the others; a
    second time, they end the worker as a crash would.
    """
    if not journal:
        raise UsageError("Say where the conversations are: --journal postgresql://user@host/database, or SEGUE_JOURNAL.")
    if not for_workers(journal):
        raise UsageError(
            f"{shown(journal)} is no address of a PostgreSQL database, which workers need: give --journal postgresql://user@host/database, "
            "or SEGUE_JOURNAL. What is kept elsewhere, `segue run`, `segue chat` and `segue resume` drive."
        )
    from segue.engines.procrastinate import ProcrastinateEngine  # of the extra [workers]

    engine = ProcrastinateEngine(journal, concurrency=concurrency)
    found, choice = prepared(target, model)
    if not os.environ.get("SEGUE_DEBUG"):
        for name in ("segue", "procrastinate", "psycopg.pool"):
            logging.getLogger(name).addHandler(Lines(logging.WARNING))
    asyncio.run(_work(found, choice, journal, engine, concurrency, json=json))


async def _work(found: Target, choice: Choice, journal: str, engine: Engine, concurrency: int, *, json: bool) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def signalled() -> None:
        if stop.is_set():
            sys.stdout.flush()
            os._exit(1)  # to cancel the drives would end their runs; now others go on with them
        stop.set()
        click.echo("segue: Each drive finishes its present step. Once more: stop at once, as a crash would.", err=True)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signalled)
    async with staged(found, choice, journal, make=True) as runner:
        click.echo(f"segue: Working, on up to {concurrency} conversations at once. Ctrl-C ends it.", err=True)
        handing = loop.create_task(_hand_over(runner, stop))
        try:
            await engine.work(partial(_told, runner) if json else runner.drive, left=runner.left, stop=stop)
        finally:
            handing.cancel()


async def _hand_over(runner: Runner, stop: asyncio.Event) -> None:
    await stop.wait()
    await runner.hand_over()


async def _told(runner: Runner, conversation: str) -> None:
    """Drive, and print what came of it."""
    began, error = time.monotonic(), None
    try:
        await runner.drive(conversation)
    except BaseException as failure:
        error = type(failure).__name__
        raise
    finally:
        click.echo(json_text({"conversation": conversation, "seconds": round(time.monotonic() - began, 3), "error": error}))


class Lines(logging.Handler):
    """What is logged, as lines on stderr. Where an error comes from is told with SEGUE_DEBUG alone."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line."""
        click.echo(f"segue: {visible(record.getMessage())}", err=True)

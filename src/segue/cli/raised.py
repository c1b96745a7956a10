"""What functions of the user's raise while a run goes on, and the model is told of, as lines on stderr for whoever wrote them.
The library logs it; here it is only shown."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import click

from segue.cli.safe import visible
from segue.views.words import one_line

LONGEST = 500
WHERE = "SEGUE_DEBUG=1 shows where."


def said(error: BaseException) -> str:
    """An exception in a line: its type and its words."""
    words = str(error)
    return one_line(f"{type(error).__name__}: {words}" if words else type(error).__name__, LONGEST)


@contextmanager
def raised_is_told() -> Iterator[None]:
    """Tell of each exception that is logged meanwhile. With SEGUE_DEBUG, or where the program logs by itself, that tells it already."""
    log = logging.getLogger("segue")
    if os.environ.get("SEGUE_DEBUG") or logging.getLogger().handlers:
        yield
        return
    level, lines = log.level, _Lines()
    log.addHandler(lines)
    log.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(lines)


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Print a line for a record that has an exception."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            click.echo(visible(f"segue: {record.getMessage().removesuffix(':')}: {said(error).removesuffix('.')}. {WHERE}"), err=True)

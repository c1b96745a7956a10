"""Where text goes: a terminal, with colours and word wrap by rich, or anything else, plain. Rich is imported for a terminal only.
Everything that is put here is made harmless first. What is said, and when, is decided elsewhere."""

import os
import re
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from segue.cli.safe import visible

AGENT, TOOL, FAINT, SWITCH, NOTE, WRONG = "bold cyan", "yellow", "bright_black", "bold magenta", "yellow", "bold red"


def is_terminal(file: TextIO) -> bool:
    """Whether somebody looks at it, on a terminal that can do more than print."""
    return file.isatty() and os.environ.get("TERM", "") not in ("dumb", "")


class Screen:
    """One place that text goes to."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._console: Any = None
        self._status: Any = None
        self._column = 0
        self._gap = ""
        """Blanks that are printed if another word follows on the line."""
        if is_terminal(file):
            from rich.console import Console  # here, for it takes a while and most uses have no terminal

            self._console = Console(file=file, highlight=False, markup=False, emoji=False)

    @property
    def fancy(self) -> bool:
        """Whether it is a terminal."""
        return self._console is not None

    @property
    def width(self) -> int:
        """How many letters fit a line; as many as one likes where nobody looks."""
        return min(100, self._console.width) if self.fancy else 10_000

    def put(self, text: str, style: str = "") -> None:
        """Print text as it is, but harmless, without a line end of its own."""
        self.idle()
        self._put(visible(text), style)

    def line(self, text: str = "", style: str = "") -> None:
        """Print a line; first the one that stands unfinished is ended."""
        self.end()
        self.put(f"{text}\n", style)

    def lead(self, text: str, style: str = "") -> None:
        """Begin a line of running text with these words, as they stand."""
        self.end()
        self.put(text, style)
        self._column = len(text)

    def flow(self, text: str, style: str = "", *, indent: int = 0) -> None:
        """Print a piece of running text. On a terminal it is wrapped between words, and its lines begin with an indent."""
        self.idle()
        text = visible(text)
        if not self.fancy:
            self._put(text, style)
            self._column = 0 if text.endswith("\n") else 1
            return
        from rich.cells import cell_len

        for word in re.findall(r"\n|[^\S\n]+|\S+", text):
            if word == "\n":
                self._put("\n")
                self._column, self._gap = 0, ""
            elif word.isspace():
                self._gap = word if self._column > indent else ""
            else:
                if self._column > indent and self._column + len(self._gap) + cell_len(word) >= self.width:
                    self._put("\n")
                    self._column, self._gap = 0, ""
                before = " " * (indent - self._column) + self._gap
                self._put(before + word, style)
                self._column, self._gap = self._column + len(before) + cell_len(word), ""

    def remark(self, mark: str, text: str, style: str) -> None:
        """A remark behind a mark, wrapped beside it."""
        self.lead(mark, style)
        self.flow(text, style, indent=len(mark))
        self.end()

    def end(self) -> None:
        """End the line of running text, if one stands unfinished."""
        self.idle()
        if self._column:
            self._put("\n")
        self._column, self._gap = 0, ""

    def rule(self, text: str, style: str = "") -> None:
        """A line across, with words in it."""
        text = visible(text)
        if self.fancy:
            from rich.cells import cell_len

            self.line(f"── {text} {'─' * max(2, self.width - cell_len(text) - 4)}", style)
        else:
            self.line(f"-- {text} --")

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[str]], *, indent: int = 2) -> None:
        """Columns under headings."""
        lines = [[visible(str(cell)) for cell in row] for row in (headings, *rows)]
        widths = [max(len(row[place]) for row in lines) for place in range(len(headings))]
        for number, row in enumerate(lines):
            cells = "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.line(" " * indent + cells.rstrip(), FAINT if number == 0 else "")

    def busy(self, text: str) -> None:
        """Show on a terminal that something is under way, until the next thing is printed."""
        if self.fancy and self._status is None:
            self._status = self._console.status(visible(text), spinner_style=AGENT)
            self._status.start()

    def idle(self) -> None:
        """Take away what `busy` shows."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _put(self, text: str, style: str = "") -> None:
        if self.fancy:
            from rich.text import Text

            self._console.print(Text(text, style, end=""), end="", soft_wrap=True)
        else:
            self._file.write(text)
        self._file.flush()

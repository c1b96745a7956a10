"""Lines from a person at a terminal, with a history that is kept for the next time, for this user's eyes only.
Where there is no readline, lines are read without one."""

import contextlib
import os
from importlib import import_module
from pathlib import Path
from typing import Any

KEPT = 1000


def history_file() -> Path:
    """Where the history is kept: in the user's state directory, by the XDG rules."""
    home = os.environ.get("XDG_STATE_HOME", "")
    base = Path(home) if home.startswith("/") else Path.home() / ".local" / "state"
    return base / "segue" / "history"


class Prompt:
    """Asks for lines."""

    def __init__(self, *, colour: bool) -> None:
        self._words = "› "
        self._readline: Any = None
        self._path = history_file()
        try:
            self._readline = import_module("readline")  # changes how input() works; Windows has none
        except ImportError:
            return
        if colour:
            self._words = "\001\033[1;36m\002› \001\033[0m\002"  # the marks tell readline that colours take no room
        with contextlib.suppress(OSError):  # no history yet, or none that may be read: that is no reason not to talk
            self._readline.read_history_file(str(self._path))

    def line(self, words: str = "", text: str = "") -> str:
        """Ask for a line, with a text that can be edited. Raises `EOFError` and `KeyboardInterrupt` as `input` does."""
        if self._readline is None or not text:
            return input(words or self._words)
        self._readline.set_startup_hook(lambda: self._readline.insert_text(text))
        try:
            return input(words or self._words)
        finally:
            self._readline.set_startup_hook(None)

    def keep(self) -> None:
        """Write the history down."""
        if self._readline is None:
            return
        with contextlib.suppress(OSError):  # a home that cannot be written is no reason to end with an error
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600))  # before there is anything to read in it
            self._path.chmod(0o600)
            self._readline.set_history_length(KEPT)
            self._readline.write_history_file(str(self._path))
            self._path.chmod(0o600)

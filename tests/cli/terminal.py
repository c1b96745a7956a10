"""The command line as a process of its own: with pipes, or on a terminal whose screen a test can read.

A terminal is waited on until it shows something; that it never does is a failure, told with what it shows."""

import codecs
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from pathlib import Path

SEGUE = [sys.executable, "-m", "segue"]
ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b[=>]")
HURRY = 20
"""Seconds after which a process that shows nothing new is given up."""


def surroundings(home: Path, **variables: str) -> dict[str, str]:
    """An environment in which no model is to be found, but for what `variables` say."""
    taken = ("OPENAI_", "SEGUE_", "XDG_", "AZURE_", "OLLAMA_", "PYTHON", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(taken) and not name.endswith("_API_KEY")}
    return kept | {"HOME": str(home), "SEGUE_PROBE": "off", "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"} | variables


def segue(*words: str, env: Mapping[str, str], cwd: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with pipes."""
    return subprocess.run([*SEGUE, *words], env=env, cwd=cwd, input=stdin, capture_output=True, text=True, timeout=HURRY, encoding="utf-8")


class Terminal:
    """A command on a terminal of 100 columns."""

    def __init__(self, process: "subprocess.Popen[bytes]", master: int) -> None:
        self.process = process
        self.raw = ""
        self._master = master
        self._seen = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        """A read may end in the middle of a character."""

    @property
    def shown(self) -> str:
        """What the terminal was sent, without colours and movements of the cursor."""
        return ESCAPE.sub("", self.raw).replace("\r", "")

    def wait_for(self, text: str) -> None:
        """Read on until a text is shown that was not shown before."""
        while (place := self.shown.find(text, self._seen)) < 0:
            ready, _, _ = select.select([self._master], [], [], HURRY)
            data = b""
            with contextlib.suppress(OSError):  # the other side has been closed
                data = os.read(self._master, 65536) if ready else b""
            assert data, f"{text!r} was never shown, only:\n{self.shown[self._seen :]}"
            self.raw += self._decoder.decode(data)
        self._seen = place + len(text)

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._master, text.encode() + b"\r")

    def press(self, key: str) -> None:
        """Press Ctrl and a key."""
        os.write(self._master, bytes([ord(key.upper()) - 64]))

    def press_until_shown(self, key: str, text: str) -> None:
        """Press Ctrl and a key, again where nothing comes of it, until a text is shown.

        A signal that comes just before a prompt waits for input is noticed with the next key only: so it is with Python's `input`.
        """
        self.press(key)
        tries = 20
        while self.shown.find(text, self._seen) < 0:
            tries -= 1
            assert tries, f"{text!r} was never shown, only:\n{self.shown[self._seen :]}"
            if select.select([self._master], [], [], 1.5)[0]:
                self.raw += self._decoder.decode(os.read(self._master, 65536))
            else:
                self.press(key)
        self._seen = self.shown.find(text, self._seen) + len(text)

    def leave(self) -> int:
        """Press Ctrl-D at the next prompt; the exit code. Before the prompt is there, the key would be lost."""
        self.wait_for("› ")
        self.press("d")
        return self.end()

    def end(self) -> int:
        """Read until the process has ended; its exit code."""
        with contextlib.suppress(OSError):
            while select.select([self._master], [], [], HURRY)[0] and (data := os.read(self._master, 65536)):
                self.raw += self._decoder.decode(data)
        return self.process.wait(HURRY)


@contextlib.contextmanager
def on_terminal(*words: str, env: Mapping[str, str], cwd: Path) -> Iterator[Terminal]:
    """Run a command on a terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 100, 0, 0))

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C reaches it

    process = subprocess.Popen([*SEGUE, *words], env=env, cwd=cwd, stdin=slave, stdout=slave, stderr=slave, preexec_fn=take_terminal)
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
        os.close(master)

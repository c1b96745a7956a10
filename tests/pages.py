"""How the blocks of README and docs are run: a page is one program, its `python` blocks in order in one namespace.

`await` may stand at the top of a block. No page reaches a real model. In `console` blocks, what follows `$ segue` and
`$ python3 dev.py` is held against the commands' own `--help`. `<!-- run: no, REASON -->` exempts the block below it.
"""

import ast
import asyncio
import contextlib
import inspect
import os
import re
import shlex
import subprocess
import sys
import tempfile
import textwrap
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import dev

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("README.md", "AGENTS.md", "CHANGELOG.md", "docs/**/*.md", "src/segue/examples/*/README.md")
FENCE = re.compile(r"\s*(?P<fence>```+|~~~+)\s*(?P<language>[^`]*?)\s*")
EXEMPTION = re.compile(r"\s*<!-- run: no, (?P<reason>.+) -->\s*")


def paths() -> list[Path]:
    """Every page that is run."""
    return sorted(path for pattern in SOURCES for path in ROOT.glob(pattern))


class Block(NamedTuple):
    """A fenced block of a page."""

    line: int
    """Of its opening fence, from 1."""
    language: str
    source: str
    exempt: str
    """Why it is not run; empty if it is."""


def blocks(text: str) -> Iterator[Block]:
    """Give the blocks of a page; one that stands inside another is part of its text."""
    lines, start, above = text.splitlines(), 0, ""
    while start < len(lines):
        opening = FENCE.fullmatch(lines[start])
        if opening is None:
            above = lines[start] if lines[start].strip() else above
            start += 1
            continue
        closing = re.compile(rf"\s*{opening['fence']}{opening['fence'][0]}*\s*")
        end = next((n for n in range(start + 1, len(lines)) if closing.fullmatch(lines[n])), len(lines))
        source = textwrap.dedent("".join(f"{line}\n" for line in lines[start + 1 : end]))
        exemption = EXEMPTION.fullmatch(above)
        yield Block(start + 1, opening["language"], source, exemption["reason"] if exemption else "")
        start, above = end + 1, ""


# --- python


def run_python(block: Block, page: "Page") -> None:
    """Run one block in its page's namespace, with the page's own line numbers."""
    source = "\n" * block.line + block.source
    code = compile(source, str(page.path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    waiting = eval(code, page.namespace)
    if code.co_flags & inspect.CO_COROUTINE:
        page.loop.run(waiting)


# --- console


def run_console(block: Block) -> None:
    """Check that each command of a block would be understood."""
    for argv in commands(block.source):
        understood(argv)


def commands(source: str) -> Iterator[list[str]]:
    """Give the commands after `$ `, taken apart at pipes, without the variables in front of them."""
    for line in source.replace("\\\n", " ").splitlines():
        if not line.startswith("$ "):
            continue
        words = shlex.shlex(line[2:], posix=True, punctuation_chars=True)
        words.whitespace_split = True
        command: list[str] = []
        for word in [*words, "|"]:
            if set(word) <= set("|&;<>()"):
                yield command
                command = []
            elif command or "=" not in word:
                command.append(word)


def understood(argv: list[str]) -> None:
    """Fail if a command of this project is none, or does not know one of its words."""
    match argv:
        case ["segue", *words] | ["python3", "-m", "segue", *words]:
            # --help is looked at after the words are parsed, so an option that does not exist is an error all the same
            done = subprocess.run([sys.executable, "-m", "segue", *words, "--help"], capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, f"{shlex.join(argv)}: {done.stderr}"
        case ["python3", "dev.py", *words]:
            assert words, "dev.py needs a verb"
            assert words[0] in dev.VERBS, f"dev.py has no verb {words[0]!r}"
        case _:
            pass  # somebody else's command: git, curl, pip


# --- the pages


class Page(pytest.File):
    """A Markdown file, run as a program of its own, in an empty folder, with no way to a real model."""

    def collect(self) -> Iterator[pytest.Item]:
        """Give the blocks that can be run."""
        for block in blocks(self.path.read_text("utf-8")):
            if block.language in {"python", "console"}:
                yield PageBlock.from_parent(self, name=f"line {block.line}", block=block)

    def setup(self) -> None:
        """Open the page."""
        from segue.testing import deny_model_requests  # here, so that what breaks it does not keep every other test from being found

        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        self.leaving = contextlib.ExitStack()
        folder = self.leaving.enter_context(tempfile.TemporaryDirectory(prefix="segue-page-"))
        self.leaving.enter_context(contextlib.chdir(folder))
        self.leaving.callback(os.environ.update, dict(os.environ))
        self.leaving.callback(os.environ.clear)
        for name in [name for name in os.environ if name.startswith(("OPENAI_", "SEGUE_"))]:
            del os.environ[name]  # a page shows the same on every machine
        self.leaving.enter_context(deny_model_requests())
        self.loop = self.leaving.enter_context(asyncio.Runner())

    def teardown(self) -> None:
        """Close the page, and put everything back."""
        self.leaving.close()
        self.namespace.clear()


class PageBlock(pytest.Item):
    """One block, as a test."""

    def __init__(self, *, block: Block, **rest: Any) -> None:
        super().__init__(**rest)
        self.block = block

    def runtest(self) -> None:
        """Run the block, or say why not."""
        if self.block.exempt:
            pytest.skip(self.block.exempt)
        if self.block.language == "python":
            assert isinstance(self.parent, Page)
            run_python(self.block, self.parent)
        else:
            run_console(self.block)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Say where the block stands."""
        return self.path, self.block.line - 1, f"{self.path.name}, line {self.block.line}"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        """Show the failure from the page on, without the way that led there."""
        frame = excinfo.tb
        while frame is not None and frame.tb_frame.f_code.co_filename != str(self.path):
            frame = frame.tb_next
        return "".join(traceback.format_exception(excinfo.type, excinfo.value, frame))

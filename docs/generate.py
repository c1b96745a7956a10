"""Fills the generated parts of the pages: the commands' help texts, and the machine as its own table draws it.

A part stands between `<!-- generated: NAME WORDS -->` and `<!-- /generated -->`. Run without words, this compares and
fails if a page is behind; with `--write` it brings the pages up to date.
"""

import difflib
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from click.testing import CliRunner

from segue.cli import main as segue
from segue.core.conversation import ACCEPTS

ROOT = Path(__file__).resolve().parents[1]
PART = re.compile(r"(<!-- generated: (?P<words>[^>]+?) -->\n)(?P<text>.*?)(<!-- /generated -->)", re.DOTALL)


def help_text(*words: str) -> str:
    """The help of a command, as a terminal of 100 columns shows it."""
    result = CliRunner().invoke(segue, [*words, "--help"], prog_name="segue", terminal_width=100, color=False, catch_exceptions=False)
    if result.exit_code:
        raise SystemExit(f"segue {' '.join(words)} --help ended with {result.exit_code}")
    return f"```text\n{result.output.rstrip()}\n```\n"


def machine() -> str:
    """Which event may happen in which status: ACCEPTS, turned by a quarter."""
    statuses = list(ACCEPTS)
    accepted = [{event.__name__ for event in ACCEPTS[status]} for status in statuses]
    rows = [["event", *(status.value for status in statuses)], ["---", *(":-:" for _ in statuses)]]
    rows += [[f"`{name}`", *("●" if name in names else "" for names in accepted)] for name in sorted(set().union(*accepted))]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


PARTS: Mapping[str, Callable[..., str]] = {"help": help_text, "machine": machine}


def filled(page: str) -> str:
    """Give the page with every part made anew."""

    def fill(match: re.Match[str]) -> str:
        name, *words = match["words"].split()
        return f"{match[1]}{PARTS[name](*words)}{match[4]}"

    return PART.sub(fill, page)


def main(write: bool) -> int:
    """Compare, or write, all pages; give the exit code."""
    behind = 0
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        old = path.read_text("utf-8")
        new = filled(old)
        if old == new:
            continue
        behind += 1
        name = str(path.relative_to(ROOT))
        if write:
            path.write_text(new, "utf-8")
            print(f"wrote {name}")
        else:
            sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), name, f"{name} (generated)"))
    if behind and not write:
        print(f"{behind} pages are behind; bring them up to date with: python3 dev.py docs --write")
    return 1 if behind and not write else 0


if __name__ == "__main__":
    sys.exit(main(write="--write" in sys.argv[1:]))

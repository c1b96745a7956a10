"""Fills the generated parts of the pages: help texts, signatures, events, errors, and the machine as its own table draws it.

A part stands between `<!-- generated: NAME WORDS -->` and `<!-- /generated -->`. Run without words, this compares and
fails if a page is behind, or if a link leads nowhere; with `--write` it brings the pages up to date.
"""

import configparser
import difflib
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any, get_args

from click.testing import CliRunner
from source import Field, Found, find

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the laws' generator of journals stands among the tests

from segue import errors  # noqa: E402
from segue.cli import main as segue  # noqa: E402
from segue.core.conversation import ACCEPTS, Status  # noqa: E402
from segue.core.events import Event  # noqa: E402
from tests.laws.generator import walk  # noqa: E402

PART = re.compile(r"(<!-- generated: (?P<words>[^>]+?) -->\n)(?P<text>.*?)(<!-- /generated -->)", re.DOTALL)
LINK = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<target>[^)\s]+)\)")
JOURNALS = 4_000


# ---- the commands


def help_text(*words: str) -> str:
    """The help of a command, as a terminal of 100 columns shows it."""
    result = CliRunner().invoke(segue, [*words, "--help"], prog_name="segue", terminal_width=100, color=False, catch_exceptions=False)
    if result.exit_code:
        raise SystemExit(f"segue {' '.join(words)} --help ended with {result.exit_code}")
    return f"```text\n{result.output.rstrip()}\n```\n"


# ---- the machine


def machine() -> str:
    """Which event may happen in which status: ACCEPTS, turned by a quarter."""
    statuses = list(ACCEPTS)
    accepted = [{event.__name__ for event in ACCEPTS[status]} for status in statuses]
    rows = [["event", *(status.value for status in statuses)], ["---", *(":-:" for _ in statuses)]]
    rows += [[f"`{name}`", *("●" if name in names else "" for names in accepted)] for name in sorted(set().union(*accepted))]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def diagram() -> str:
    """How the status changes, as the fold of random journals shows it; events that leave the status as it is are left out."""
    ways: dict[tuple[Status, Status], set[str]] = defaultdict(set)
    seen: set[tuple[Status, type]] = set()
    for seed in range(JOURNALS):
        journal = walk(Random(seed))
        for before, event, after in zip(journal.states, journal.events, journal.states[1:], strict=False):
            seen.add((before.status, type(event)))
            if before.status is not after.status:
                ways[before.status, after.status].add(type(event).__name__)
    missing = {(status, kind) for status, kinds in ACCEPTS.items() for kind in kinds} - seen
    if missing:
        raise SystemExit(f"{JOURNALS} random journals do not show {missing}")
    lines = ["stateDiagram-v2", "    [*] --> new"]
    for (before, after), names in sorted(ways.items(), key=lambda way: [list(Status).index(status) for status in way[0]]):
        lines.append(f"    {before.value} --> {after.value}: {', '.join(sorted(names))}")
    return "```mermaid\n" + "\n".join(lines) + "\n```\n"


def layers() -> str:
    """The layers of the import contract, the highest first."""
    config = configparser.ConfigParser()
    config.read(ROOT / ".importlinter")
    rows = config["importlinter:contract:layers"]["layers"].strip().splitlines()
    here = {path.stem for path in (ROOT / "src" / "segue").iterdir()}
    lines = []
    for row in rows:
        names = [name.strip(" ()") for name in row.split("|")]
        lines.append("  ".join(name for name in names if name in here))
    return "```text\n" + "".join(f"{line}\n" for line in lines if line) + "```\n"


# ---- what is public


def api(place: str, *names: str) -> str:
    """Names of a module: signature, words, attributes, methods."""
    return "\n".join(_entry(find(_named(place, name))) for name in names)


def _named(place: str, name: str) -> Any:
    return getattr(import_module(place), name)


def _entry(found: Found) -> str:
    text = f"### `{found.name}`\n\n"
    if found.signature:
        text += f"```text\n{found.signature}\n```\n\n"
    text += f"{found.words}\n"
    told = [field for field in found.fields if field.words]
    if told:
        text += "\n" + "".join(f"- `{field.name}`{_typed(field)}: {_inline(field.words)}\n" for field in told)
    for method in found.methods:
        text += f"\n```text\n{method.signature}\n```\n\n{method.words}\n"
    return text


def _typed(field: Field) -> str:
    return f" (`{field.type}`)" if field.type else ""


def _inline(words: str) -> str:
    return words.replace("\n\n", " ").rstrip(".")


def events(*words: str) -> str:
    """The facts of a journal, with their fields; or, with `passing`, what a stream yields besides."""
    if words == ("passing",):
        passing = [("segue.model", name) for name in ("TextDelta", "ReasoningDelta", "CallDelta", "Restarted")]
        kinds = [_named(place, name) for place, name in [*passing, ("segue.events", "Progress")]]
    else:
        kinds = list(get_args(Event))
    return "\n".join(_event(find(kind)) for kind in kinds)


def parts(place: str, *names: str) -> str:
    """Values that events hold, with their fields."""
    return "\n".join(_event(find(_named(place, name))) for name in names)


def _event(found: Found) -> str:
    text = f"### `{found.name}`\n\n{found.words}\n"
    fields = [field for field in found.fields if not (field.name == "total")]
    if fields:
        text += "\n| field | type | default | |\n| --- | --- | --- | --- |\n"
        text += "".join(f"| `{f.name}` | {_cell(f.type)} | {_cell(f.default)} | {_inline(f.words)} |\n" for f in fields)
    return text


def _cell(code: str) -> str:
    return f"`{code}`".replace("|", "\\|") if code else ""


def error_table() -> str:
    """Every error: under whom it stands, its words, exit code, HTTP status, attributes of its own."""
    rows = ["| error | | exit code | HTTP | attributes |\n| --- | --- | :-: | :-: | --- |\n"]
    for kind, depth in _below(errors.SegueError, 0):
        own = [field.name for field in find(kind).fields if field.name not in ("exit_code", "http_status")]
        names = ", ".join(f"`{name}`" for name in own)
        first = _inline(find(kind).words).split(". ")[0]
        rows.append(f"| {'· ' * depth}`{kind.__name__}` | {first} | {kind.exit_code} | {kind.http_status} | {names} |\n")
    return "".join(rows)


def _below(kind: type[errors.SegueError], depth: int) -> Iterator[tuple[type[errors.SegueError], int]]:
    yield kind, depth
    for under in kind.__subclasses__():
        if under.__module__ == errors.__name__:
            yield from _below(under, depth + 1)


def error_tree() -> str:
    """The tree as it stands at the top of its module."""
    drawn = [line for line in (errors.__doc__ or "").splitlines() if line.startswith(("SegueError", "├", "│", "└"))]
    return "```text\n" + "\n".join(drawn) + "\n```\n"


PARTS: Mapping[str, Callable[..., str]] = {
    "help": help_text,
    "machine": machine,
    "diagram": diagram,
    "layers": layers,
    "api": api,
    "events": events,
    "parts": parts,
    "errors": error_table,
    "tree": error_tree,
}


# ---- the pages


def pages() -> list[Path]:
    """Every page that may have generated parts."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def filled(page: str) -> str:
    """Give the page with every part made anew."""

    def fill(match: re.Match[str]) -> str:
        name, *words = match["words"].split()
        return f"{match[1]}{PARTS[name](*words)}{match[4]}"

    return PART.sub(fill, page)


def broken_links(path: Path) -> Iterator[str]:
    """The links of a page that lead to no file, to no heading, or to no test of that name."""
    for match in LINK.finditer(path.read_text("utf-8")):
        target, _, anchor = match["target"].partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        file = (path.parent / target).resolve() if target else path
        if not file.exists():
            yield f"{match[0]}: there is no {target}"
        elif file.suffix == ".md" and anchor and anchor not in _anchors(file):
            yield f"{match[0]}: {file.name} has no heading #{anchor}"
        elif match["text"].startswith("`test_") and f"def {match['text'].strip('`')}(" not in file.read_text("utf-8"):
            yield f"{match[0]}: there is no such test"


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def main(write: bool) -> int:
    """Compare, or write, all pages; give the exit code."""
    behind = 0
    for path in pages():
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
    broken = [f"{path.relative_to(ROOT)}: {words}" for path in pages() for words in broken_links(path)]
    print("".join(f"{line}\n" for line in broken), end="")
    return 1 if broken or (behind and not write) else 0


if __name__ == "__main__":
    sys.exit(main(write="--write" in sys.argv[1:]))

"""Fills the generated parts of the pages: help texts, signatures, events, errors, and the machine as its own table draws it.

A part stands between `<!-- generated: NAME WORDS -->` and `<!-- /generated -->`. Run without words, this compares and
fails if a page is behind, or if a link leads nowhere; with `--write` it brings the pages up to date.
"""

import configparser
import difflib
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

from click.testing import CliRunner
from source import Field, Found, find

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the laws' generator of journals stands among the tests

import diagram  # noqa: E402

import segue as face  # noqa: E402
from segue import errors  # noqa: E402
from segue.cli import main as commands  # noqa: E402
from segue.core.events import Event  # noqa: E402

PART = re.compile(r"(<!-- generated: (?P<words>[^>]+?) -->\n)(?P<text>.*?)(<!-- /generated -->)", re.DOTALL)
LINK = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<target>[^)\s]+)\)")


# ---- the commands


def help_text(*words: str) -> str:
    """The help of a command, as a terminal of 100 columns shows it."""
    result = CliRunner().invoke(commands, [*words, "--help"], prog_name="segue", terminal_width=100, color=False, catch_exceptions=False)
    if result.exit_code:
        raise SystemExit(f"segue {' '.join(words)} --help ended with {result.exit_code}")
    return f"```text\n{result.output.rstrip()}\n```\n"


# ---- the machine


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


def brief(place: str, *names: str) -> str:
    """Names of a module: signature and words."""
    return "\n".join(_entry(find(_named(place, name))._replace(fields=[], methods=[])) for name in names)


def given(place: str, *names: str) -> str:
    """Names of a module that users are given and do not make: words, attributes, methods."""
    return "\n".join(_entry(find(_named(place, name))._replace(signature="")) for name in names)


def _named(place: str, name: str) -> Any:
    return getattr(import_module(place), name)


def _entry(found: Found) -> str:
    text = f"### `{found.name}`\n\n"
    if found.signature:
        text += f"```text\n{found.signature}\n```\n\n"
    text += f"{_wrapped(found.words)}\n"
    told = [field for field in found.fields if field.words]
    if told:
        text += "\n" + "".join(f"{_wrapped(f'- `{field.name}`{_typed(field)}: {_inline(field.words)}', '  ')}\n" for field in told)
    for method in found.methods:
        text += f"\n```text\n{method.signature}\n```\n\n{_wrapped(method.words)}\n"
    return text


def _wrapped(words: str, indent: str = "") -> str:
    """Paragraphs in lines of the project's length; code is not broken."""
    whole = re.sub(r"`[^`]+`", lambda code: code[0].replace(" ", "\0"), words)
    lines = [
        textwrap.fill(paragraph, 140, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        for paragraph in whole.split("\n\n")
    ]
    return "\n\n".join(lines).replace("\0", " ")


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


def words(place: str, *names: str) -> str:
    """Types that are a choice of words."""
    return "".join(f"- `{name}`: {', '.join(f'`{word}`' for word in get_args(_named(place, name)))}\n" for name in names)


def parts(place: str, *names: str) -> str:
    """Values that events hold, with their fields."""
    return "\n".join(_event(find(_named(place, name))) for name in names)


def _event(found: Found) -> str:
    text = f"### `{found.name}`\n\n{_wrapped(found.words)}\n"
    fields = [field for field in found.fields if field.given]
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
        inherited = {"exit_code", "http_status", *(field.name for above in kind.__mro__[1:-3] for field in find(above).fields)}
        own = [field.name for field in find(kind).fields if field.name not in inherited]
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
    "machine": diagram.table,
    "diagram": diagram.diagram,
    "layers": layers,
    "api": api,
    "brief": brief,
    "given": given,
    "events": events,
    "parts": parts,
    "words": words,
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


def missing_names() -> Iterator[str]:
    """The names of the face that the reference lacks."""
    told = "".join((ROOT / "docs" / "reference" / page).read_text("utf-8") for page in ("api.md", "errors.md"))
    for name in face.__all__:
        if f"### `{name}`" not in told and f"`{name}` |" not in told:
            yield f"docs/reference: segue.{name} is not told of"


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
    broken = [*missing_names(), *(f"{path.relative_to(ROOT)}: {words}" for path in pages() for words in broken_links(path))]
    print("".join(f"{line}\n" for line in broken), end="")
    return 1 if broken or (behind and not write) else 0


if __name__ == "__main__":
    sys.exit(main(write="--write" in sys.argv[1:]))

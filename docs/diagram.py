"""Draws the machine: `python docs/diagram.py` writes diagram and table into docs/design.md, `--check` fails if they are behind.

What may happen when is read from ACCEPTS. Where it leads is not written in a table: it is what seeded random journals
have seen, the same that the laws are tried on, and every entry of ACCEPTS is among it.
"""

import sys
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from segue.core.codec import KINDS  # noqa: E402  (the checkout must be found first)
from segue.core.conversation import ACCEPTS, Status  # noqa: E402
from tests.laws.generator import walk  # noqa: E402

PAGE = ROOT / "docs" / "design.md"
BEGIN, END = "<!-- drawn by docs/diagram.py -->\n", "<!-- /drawn -->\n"
JOURNALS = 12_000
ORDER = {status: place for place, status in enumerate(Status)}


def transitions() -> dict[tuple[Status, Status], set[str]]:
    """Which events were seen to lead from one status to another."""
    seen: dict[tuple[Status, Status], set[str]] = {}
    for seed in range(JOURNALS):
        journal = walk(Random(seed))
        for before, event, after in zip(journal.states, journal.events, journal.states[1:], strict=False):
            seen.setdefault((before.status, after.status), set()).add(type(event).__name__)
    missing = {
        (status.value, kind.__name__)
        for status, kinds in ACCEPTS.items()
        for kind in kinds
        if not any(kind.__name__ in names for (source, _), names in seen.items() if source is status)
    }
    if missing:
        raise SystemExit(f"The random journals have not seen all that ACCEPTS allows: {sorted(missing)}")
    return seen


def diagram(seen: dict[tuple[Status, Status], set[str]]) -> str:
    """The statuses and what leads from one to another; what changes no status is left to the table."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> new"]
    for (source, target), names in sorted(seen.items(), key=lambda item: (ORDER[item[0][0]], ORDER[item[0][1]])):
        if source is not target:
            lines.append(f"    {source.value} --> {target.value}: {', '.join(sorted(names))}")
    return "\n".join([*lines, "```", ""])


def table(seen: dict[tuple[Status, Status], set[str]]) -> str:
    """For each event and status, the statuses that it was seen to lead to; `·` where it stays, empty where it may not happen."""
    rows = [["event \\ while", *(status.value for status in Status)], ["---"] * (len(Status) + 1)]
    for name, kind in KINDS.items():
        row = [f"`{name}`"]
        for source in Status:
            targets = [target for target in Status if name in seen.get((source, target), ())] if kind in ACCEPTS[source] else []
            row.append(", ".join("·" if target is source else target.value for target in targets))
        rows.append(row)
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def drawn(page: str) -> str:
    """The page with diagram and table made anew."""
    seen = transitions()
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{PAGE} has no place for the diagram: {BEGIN.strip()} … {END.strip()}")
    return f"{before}{BEGIN}\n{diagram(seen)}\n{table(seen)}\n{END}{after}"


def main(check: bool) -> int:
    """Write, or compare; give the exit code."""
    old = PAGE.read_text("utf-8")
    new = drawn(old)
    if check and old != new:
        print("docs/design.md is behind; bring it up to date with: python docs/diagram.py")
        return 1
    if old != new:
        PAGE.write_text(new, "utf-8")
        print("wrote docs/design.md")
    return 0


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))

"""Draws the machine, for docs/generate.py: how the status changes, and which event leads where.

What may happen when is read from ACCEPTS. Where it leads is not written in a table: it is what seeded random journals
have seen, the same that the laws are tried on, and every entry of ACCEPTS is among it.
"""

import functools
from random import Random

from segue.core.codec import KINDS
from segue.core.conversation import Status
from segue.core.fold import ACCEPTS
from tests.laws.generator import walk

JOURNALS = 12_000
ORDER = {status: place for place, status in enumerate(Status)}

Seen = dict[tuple[Status, Status], set[str]]


@functools.cache
def transitions() -> Seen:
    """Which events were seen to lead from one status to another."""
    seen: Seen = {}
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


def diagram() -> str:
    """The statuses and what leads from one to another; what changes no status is left to the table."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> new"]
    for (source, target), names in sorted(transitions().items(), key=lambda item: (ORDER[item[0][0]], ORDER[item[0][1]])):
        if source is not target:
            lines.append(f"    {source.value} --> {target.value}: {', '.join(sorted(names))}")
    return "\n".join([*lines, "```", ""])


def table() -> str:
    """For each event and status, the statuses that it was seen to lead to; `·` where it stays, empty where it may not happen."""
    seen = transitions()
    rows = [["event \\ while", *(status.value for status in Status)], ["---"] * (len(Status) + 1)]
    for name, kind in KINDS.items():
        row = [f"`{name}`"]
        for source in Status:
            targets = [target for target in Status if name in seen.get((source, target), ())] if kind in ACCEPTS[source] else []
            row.append(", ".join("·" if target is source else target.value for target in targets))
        rows.append(row)
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)

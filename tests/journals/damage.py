"""Changes rows of stored journals at random, and reads, shows and drives on what then is there: python -m tests.journals.damage COUNT SEED

What comes of it must be a typed error, or harmless: no module is imported, no file opened, no code compiled, no process started.
Prints what came of it as JSON."""

import asyncio
import contextlib
import json
import random
import sqlite3
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from segue.core.codec import KINDS
from segue.core.conversation import next_steps
from segue.core.view import check, view
from segue.errors import JournalError, SegueError
from segue.journal.base import fold, summary_of
from segue.journal.sqlite_open import TABLES
from segue.journal.sqlite_rows import decoded, list_lines, read_events
from segue.response import Response
from segue.runner import Runner
from segue.testing import FunctionModel, MemoryJournal
from segue.views import record, trace, transcript, usage
from tests.journals.house import CLERK, house

FORBIDDEN = ("import", "open", "exec", "compile", "os.", "subprocess.", "socket.", "pickle.", "marshal.", "ctypes.", "shutil.", "tempfile.")
NAMES = [
    "__class__",
    "__init__",
    "os.system",
    "builtins.eval",
    "Agent",
    "SegueError",
    "Any",
    "__builtins__",
    "__loader__",
    "KeyboardInterrupt",
]
TEXTS = ["", "\ud800", "\x00", "x" * 10_000, "1.0", "999999999999.0", "1.-1", "%s{}", "../../etc/passwd", "${x}", "9" * 400, *NAMES]
NUMBERS: list[Any] = [0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**400, 1e308, -0.0, 0.5, float("nan"), float("inf"), float("-inf")]
LEAVES: list[Any] = [None, True, False, [], {}, [[]], {"": {}}]


class Watch:
    """What the process does that it must not, while it is looked at."""

    def __init__(self) -> None:
        self.on = False
        self.seen: Counter[str] = Counter()
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if self.on and event.startswith(FORBIDDEN):
            self.seen[f"{event} {args[:1]!r}"[:200]] += 1


def nodes(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places in a JSON value."""
    found = [path]
    if isinstance(value, dict):
        found += [place for key, item in value.items() for place in nodes(item, (*path, key))]
    elif isinstance(value, list):
        found += [place for key, item in enumerate(value) for place in nodes(item, (*path, key))]
    return found


def deep(chance: random.Random) -> Any:
    value: Any = []
    for _ in range(chance.choice([50, 150, 5000])):
        value = [value] if chance.random() < 0.5 else {"a": value}
    return value


def dumped(value: Any) -> bytes:
    """JSON, however deep, and whatever is in it."""
    sys.setrecursionlimit(50_000)
    try:
        return json.dumps(value).encode()
    finally:
        sys.setrecursionlimit(1_000)


def other(chance: random.Random, value: Any) -> Any:
    """A value in the place of another."""
    if isinstance(value, str) and chance.random() < 0.3:
        place = chance.randrange(len(value) + 1)
        return value[:place] + chance.choice(TEXTS) + value[place + chance.randrange(3) :]
    if isinstance(value, int | float) and chance.random() < 0.3:
        return value + chance.choice([-1, 1, 0.5])
    kind = chance.random()
    if kind < 0.4:
        return chance.choice(TEXTS)
    if kind < 0.7:
        return chance.choice(NUMBERS)
    return deep(chance) if kind < 0.72 else chance.choice(LEAVES)


def in_data(chance: random.Random, data: str) -> bytes:
    """The data of an event, changed."""
    if chance.random() < 0.15:
        raw = bytearray(data.encode("utf-8", "surrogatepass"))
        for _ in range(chance.randrange(1, 4)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        return bytes(raw)
    if chance.random() < 0.05:
        return data.encode()[: chance.randrange(len(data))]
    value = json.loads(data)
    path = chance.choice(nodes(value))
    if not path:
        return dumped(other(chance, value)) if chance.random() < 0.2 else dumped({**value, chance.choice(TEXTS): other(chance, "x")})
    *before, last = path
    holder = value
    for key in before:
        holder = holder[key]
    if chance.random() < 0.2:
        del holder[last]
    elif isinstance(holder, dict) and chance.random() < 0.2:
        holder[chance.choice([*TEXTS, *holder])] = holder.pop(last)
    else:
        holder[last] = other(chance, holder[last])
    return dumped(value)


def change(chance: random.Random, db: sqlite3.Connection, name: str, count: int) -> str:
    """Change one or two rows of a conversation, and say how."""
    seq = 1 + chance.randrange(count)
    at = "where conversation = ? and seq = ?"
    match chance.choices(["data", "kind", "v", "at", "swap", "drop", "copy", "line"], [70, 6, 4, 4, 5, 4, 4, 3])[0]:
        case "data":
            (data,) = db.execute(f"select data from event {at}", (name, seq)).fetchone()
            db.execute(f"update event set data = cast(? as text) {at}", (in_data(chance, data), name, seq))
            return "data"
        case "kind":
            words = [*KINDS, "toolstarted", "segue.core.events.ToolStarted", *NAMES, ""]
            db.execute(f"update event set kind = ? {at}", (chance.choice(words), name, seq))
            return "kind"
        case "v":
            db.execute(f"update event set v = ? {at}", (chance.choice([0, -1, 2, 2**40, -(2**63)]), name, seq))
            return "v"
        case "at":
            db.execute(f"update event set at = ? {at}", (chance.choice([0.0, -1.0, -1e18, 1e300, float("inf"), float("-inf")]), name, seq))
            return "at"
        case "swap":
            one = 1 + chance.randrange(count)
            for before, after in ((seq, -1), (one, seq), (-1, one)):
                db.execute(f"update or ignore event set seq = ? {at}", (after, name, before))
            return "swap"
        case "drop":
            db.execute(f"delete from event {at}", (name, seq))
            if chance.random() < 0.5:
                for later in range(seq + 1, count + 1):
                    db.execute(f"update event set seq = ? {at}", (later - 1, name, later))
            return "drop"
        case "copy":
            db.execute("insert or ignore into event select conversation, ?, v, at, kind, data from event " + at, (count + 1, name, seq))
            return "copy"
        case _:
            column = chance.choice(["seq", "created", "updated", "status", "entry", "agent", "driver"])
            value = {"seq": 2**62, "created": 1e300, "updated": float("inf")}.get(column, chance.choice(["", "new", *NAMES]))
            db.execute(f"update conversation set {column} = ? where conversation = ?", (value, name))
            return "line"


def looked_at(db: sqlite3.Connection, name: str, entry: Any) -> tuple[Any, list[Any]]:
    """The conversation as readers see it, in every way that there is."""
    for line in list_lines(db, (), None, None, None, None, 100):
        repr(line)
    stored = decoded(name, 0, read_events(db, name, 0))
    c = fold(stored)
    repr((next_steps(c), summary_of(c), c.waiting))
    if c.stack:
        check(view(c))
    response = Response(c, entry)
    repr((response.status, response.messages, response.context, response.usage, response.cost, response.waiting_for, response.error))
    moments = record.record(stored)
    list(record.lines(moments))
    json.dumps(record.as_json(moments))
    usage.render(usage.usage(stored))
    trace.render(trace.trace(stored))
    transcript.render(transcript.transcript(stored))
    return c, stored


class WithoutDatabase(MemoryJournal):
    """Takes tools that need a database, and has none."""

    def transact(self, *args: Any, **options: Any) -> Any:
        """Refuse."""
        raise JournalError("There is no database.")


def answer(request: Any) -> str:
    """What every agent says, in the form that is asked for."""
    return '{"guilty": false}' if request.output is not None else "Here I am."


async def driven_on(name: str, stored: list[Any], entry: Any) -> None:
    """The conversation as a driver goes on with it."""
    journal = WithoutDatabase()
    await journal.append(name, 1, [row.event for row in stored], at=1.0)
    runner = Runner(entry, agents=[CLERK], model=FunctionModel(answer), journal=journal)
    with contextlib.suppress(SegueError):
        await runner.resume(name)
    await runner.run("And now?", conversation=name, busy="interrupt")


def judged(act: Callable[[], Any]) -> tuple[str, Any]:
    """What came of it: "harmless", the name of a typed error, or, which must not be, of another one."""
    try:
        return "harmless", act()
    except SegueError as error:
        return type(error).__name__, None
    except (Exception, SystemExit) as error:
        frames = [f"{Path(frame.f_code.co_filename).name}:{line}" for frame, line in traceback.walk_tb(error.__traceback__)]
        return f"untyped {type(error).__name__} in {' < '.join(frames[:-4:-1])}", None


def main(count: int, seed: int) -> None:
    """Do it so often."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    for statement in TABLES.split(";")[:-1]:
        db.execute(statement)
    sizes: dict[str, int] = {}
    for path in sorted((Path(__file__).parent / "v1").glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        name = rows[0]["conversation"]
        sizes[name] = len(rows)
        for row in rows:
            data = json.dumps(row["data"])
            db.execute("insert into event values (?, ?, ?, ?, ?, ?)", (name, row["seq"], row["v"], row["at"], row["kind"], data))
        db.execute("insert into conversation values (?, ?, 1.0, 2.0, 'done', 'Triage', 'Triage', '')", (name, len(rows)))
    chance, watch, entry = random.Random(seed), Watch(), house()
    loop = asyncio.new_event_loop()
    came: Counter[str] = Counter()
    faults: list[str] = []
    for number in range(-len(sizes), count):
        name = list(sizes)[number % len(sizes)]
        db.execute("begin")
        how = change(chance, db, name, sizes[name]) if number >= 0 else "nothing"
        watch.on = number >= 0  # what is imported on first use is imported now
        found, seen = judged(lambda: looked_at(db, name, entry))  # noqa: B023
        if seen is not None and (number < 0 or number % 10 == 0):
            found, _ = judged(lambda: loop.run_until_complete(driven_on(name, seen[1], entry)))  # noqa: B023
        watch.on = False
        db.execute("rollback")
        came[found] += 1
        if (found.startswith("untyped") or (number < 0 and found != "harmless")) and len(faults) < 20:
            faults.append(f"number {number} ({how} of {name}): {found}")
    threads = [thread.name for thread in threading.enumerate() if not thread.name.startswith(("segue-", "MainThread"))]
    loop.close()
    print(json.dumps({"seed": seed, "came": came, "faults": faults, "forbidden": watch.seen, "threads": threads}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

"""Another process with a Runner of `tests.counter`'s team, for tests that need one.

do JSON      one call of a method of the Runner; says what came of it on standard output, as a line of JSON
race JSON    trials: so many processes, forked from one without threads, do the same at the same instant
"""

import asyncio
import json
import os
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from segue import clock
from segue.core.events import DriveStarted, InputGiven, ModelReplied, Started
from segue.core.fold import replay
from segue.core.messages import Call, Reply, User
from segue.journal.base import fold, summary_of
from segue.journal.resolve import journal_from
from tests.counter import Counter

DEAD = "d_dead"


async def call(
    journal: str, ledger: str, method: str, args: list[Any], options: dict[str, Any], ahead: float = 0.0, changed: str = ""
) -> dict[str, Any]:
    """Call a method of a new Runner, and say what came of it; `ahead`: so many seconds from now, `changed`: under other code."""
    if ahead:
        real = time.time
        clock.now = lambda: real() + ahead
    runner = Counter(Path(ledger), changed=changed).runner(journal, **options.pop("runner", {}))
    try:
        came = await getattr(runner, method)(*args, **options)
        if method in ("run", "resume", "approve", "deny", "settle"):
            waiting = [[slot.approval.id, slot.approval.digest] for slot in came.waiting_for if slot.approval]
            return {"status": came.status, "text": came.text, "waiting": waiting}
        return {"came": came}
    except Exception as error:
        return {"error": type(error).__name__, "words": str(error), "reason": getattr(error, "reason", "")}
    finally:
        await runner.aclose()


# ---- races


async def prepare(journal: str, kind: str, names: list[str]) -> dict[str, list[str]]:
    """Conversations that wait for a decision, or were left in the middle by a driver that died; with their approvals."""
    store = journal_from(journal)
    runner = Counter(Path(os.devnull)).runner(store)
    approvals: dict[str, list[str]] = {}
    try:
        for name in names:
            if kind == "approve":
                waiting = (await runner.run("sign alone", conversation=name)).waiting_for[0].approval
                assert waiting is not None
                approvals[name] = [waiting.id, waiting.digest]
            else:
                reply = Reply(None, (Call("", "pay", '{"item":"boots"}'),), "tool_calls")
                begun = [Started(name, "Triage"), InputGiven("r_1", (User("pay"),)), DriveStarted(DEAD), ModelReplied("Triage", reply)]
                await store.append(name, 1, begun, at=clock.now(), summary=summary_of(replay(begun)))
    finally:
        await runner.aclose()
        await store.aclose()
    return approvals


async def judge(journal: str, names: list[str]) -> list[list[str]]:
    """Who has driven each conversation, after what was prepared, and where it now stands."""
    store = journal_from(journal)
    try:
        found = []
        for name in names:
            rows = await store.read(name)
            drivers = [row.event.driver for row in rows if isinstance(row.event, DriveStarted)]
            found.append([fold(rows).status.value, *drivers[1:]])
        return found
    finally:
        await store.aclose()


def apart(work: Callable[[], Awaitable[Any]], gate: int | None = None) -> tuple[int, int]:
    """Do something in a process of its own, once the gate is closed; its id, and a pipe with what came of it as JSON."""
    out, into = os.pipe()
    pid = os.fork()
    if pid:
        os.close(into)
        return pid, out
    os.close(out)
    code = 1
    try:
        if gate is not None:
            os.read(gate, 1)
        os.write(into, json.dumps(asyncio.run(work())).encode())  # type: ignore[arg-type]
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def result(pid: int, out: int) -> Any:
    """What came of it."""
    with os.fdopen(out, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    assert status == 0, f"a process ended with {status}, and said {said!r}"
    return json.loads(said)


def race(journal: str, ledger: str, kind: str, processes: int, names: list[str]) -> list[dict[str, Any]]:
    """For each conversation, what came of it in each process, and what the journal then holds."""
    approvals = result(*apart(lambda: prepare(journal, kind, names)))
    came = []
    for name in names:
        args = [name, *approvals[name]] if kind == "approve" else [name]
        waits, opens = os.pipe()
        racers = []
        for _ in range(processes):
            racers.append(apart(lambda args=args: call(journal, ledger, kind, args, {}), waits))  # type: ignore[misc]
        os.close(waits)
        time.sleep(0.002 * processes)
        os.write(opens, b"." * processes)
        os.close(opens)
        came.append({"name": name, "came": [result(*racer) for racer in racers]})
    for one, (status, *drivers) in zip(came, result(*apart(lambda: judge(journal, names))), strict=True):
        one |= {"status": status, "drivers": drivers}
    return came


def main() -> None:
    """Do what the command line says."""
    what, spec = sys.argv[1], json.loads(sys.argv[2])
    came = asyncio.run(call(**spec)) if what == "do" else race(**spec)
    print(json.dumps(came))


if __name__ == "__main__":
    main()

"""A program that writes to a journal, for tests that kill it. What is durable it says on its standard output.

steps PATH COUNT         one conversation, COUNT batches; after an error it looks what is there, and goes on
runs PATH WHO COUNT LANES  COUNT conversations of eight batches each, LANES of them side by side
hold PATH DRIVER         hold a driver until killed
transact PATH            a tool's transaction that does not end
"""

import asyncio
import os
import sys
import time

from segue.core.events import InputGiven, InstructionsRendered, ToolLate
from segue.core.messages import User
from segue.errors import JournalConflict, JournalError
from segue.journal.base import Summary
from segue.journal.sqlite import SqliteJournal

TRIES = 50


def batch(number):
    """The events of a batch: one to three, the second of which is long now and then."""
    events = [InputGiven(f"r{number}", (User(f"input {number}"),), key=f"key {number}")]
    if number % 2:
        events.append(ToolLate(f"{number}.0", "pay", f"result {number} " * (1 + 900 * (number % 4 == 1))))
    if number % 3 == 0:
        events.append(InstructionsRendered("Triage", f"instructions {number}"))
    return events


def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def steps(path, count):
    journal = SqliteJournal(path)
    seq = 1
    for number in range(int(count)):
        for _ in range(TRIES):
            try:
                await write(journal, seq, number)
                break
            except JournalError as error:
                say("error", type(error).__name__, error)
        else:
            say("gave up")
            return
        seq += len(batch(number))
        say("ok", number)
    await journal.aclose()
    say("end")


async def write(journal, seq, number):
    """Append a batch, as a driver does that does not know whether it has done so already."""
    events = batch(number)
    try:
        await journal.append("c", seq, events, at=float(number), summary=Summary("running", "A", "A", f"d{number}"))
    except JournalConflict:
        there = [row.event for row in await journal.read("c", after=seq - 1)][: len(events)]
        if there != events:
            raise SystemExit(f"at place {seq} stands {there}") from None


async def runs(path, who, count, lanes):
    journal = SqliteJournal(path)
    numbers = iter(range(int(count)))
    longest = 0.0

    async def lane():
        nonlocal longest
        for number in numbers:
            for step in range(8):
                begun = time.monotonic()
                events = [ToolLate(f"{step}.{place}", "pay", f"{who} {number} " * 20) for place in range(2)]
                await journal.append(f"{who}-{number}", 2 * step + 1, events, at=time.time(), summary=Summary("running", "A", "A", who))
                longest = max(longest, time.monotonic() - begun)

    await asyncio.gather(*(lane() for _ in range(int(lanes))))
    await journal.aclose()
    say("end", f"{longest:.3f}")


async def hold(path, driver):
    journal = SqliteJournal(path)
    await journal.hold(driver)
    say("held")
    await asyncio.sleep(3600)


async def transact(path):
    journal = SqliteJournal(path)
    await journal.append("c", 1, batch(1), at=1.0)

    def work(db):
        db.execute("create table paid (amount integer)")
        db.execute("insert into paid values (5)")
        say("paid")
        time.sleep(3600)

    await asyncio.to_thread(journal.transact, "c", 0, work, at=1.0)


if __name__ == "__main__":
    asyncio.run({"steps": steps, "runs": runs, "hold": hold, "transact": transact}[sys.argv[1]](*sys.argv[2:]))

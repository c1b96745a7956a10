"""A long run of the laws over random journals: `python -m tests.laws --n 1000000 --seed 7`.

Journal number i of a run comes from seed + i, so that a violation is repeated by `--n 1 --seed` with the number that it
names. On each journal every law is tried, those that could be tried at every place at one place chosen by chance; with
every fifth goes a story that is killed and begun again (L7). All cores are used.
"""

import argparse
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing import Pool
from random import Random

from tests.laws.crashes import violation
from tests.laws.generator import walk
from tests.laws.laws import shrunk, still_broken, violations

BATCH = 500
SHOWN = 5


def tried(start: int, count: int) -> tuple[int, int, int, list[tuple[int, str, str]]]:
    """Try some journals; give the numbers of journals, events and stories, and the violations as (seed, law, words)."""
    events = stories = 0
    found: list[tuple[int, str, str]] = []
    for seed in range(start, start + count):
        chance = Random(seed)
        journal = walk(chance)
        events += len(journal.events)
        places = [int(chance.random() * len(journal.states))]
        found += [(seed, law, words) for law, words in violations(journal, places).items()]
        if seed % 5 == 0:
            stories += 1
            words = violation(seed, int(chance.random() * 1000))
            found += [(seed, "l7", words)] if words else []
    return count, events, stories, found


def _tried(batch: tuple[int, int]) -> tuple[int, int, int, list[tuple[int, str, str]]]:
    return tried(*batch)


def show(seed: int, law: str, words: str) -> None:
    """Print a violation with the fewest events that show it."""
    print(f"\n{law}: seed {seed}: {words}")
    if law == "l7":
        return
    events = shrunk(walk(Random(seed)).events, law)
    again = still_broken(events, law)
    print(f"shrunk to {len(events)} events: {again}" if again else "(seen only in the whole journal)")
    for event in events:
        print(f"    {event!r}")


def main() -> int:
    """Run, and print what was found."""
    parser = argparse.ArgumentParser(prog="laws", description="Try the laws of the core on random journals.")
    parser.add_argument("--n", type=int, default=100_000, help="how many journals (100,000)")
    parser.add_argument("--seed", type=int, help="the seed of the first; chosen by chance and printed if not given")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="how many processes (one for each core)")
    given = parser.parse_args()
    seed = secrets.randbelow(10**9) if given.seed is None else given.seed
    began = time.perf_counter()
    totals: Counter[str] = Counter()
    found: list[tuple[int, str, str]] = []
    for journals, events, stories, more in _results(seed, given.n, given.workers):
        totals.update(journals=journals, events=events, stories=stories)
        found += more
        if sys.stderr.isatty():
            print(f"\r{totals['journals']:,} journals, {len(found)} violations ", end="", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - began
    for one in found[:SHOWN]:
        show(*one)
    print(
        f"seed {seed}: {totals['journals']:,} journals, {totals['events']:,} events, {totals['stories']:,} stories killed and resumed, "
        f"{len(found)} violations ({seconds:.0f} s)"
    )
    return 1 if found else 0


def _results(seed: int, count: int, workers: int) -> Iterator[tuple[int, int, int, list[tuple[int, str, str]]]]:
    batches = [(start, min(BATCH, seed + count - start)) for start in range(seed, seed + count, BATCH)]
    if workers == 1 or len(batches) == 1:
        yield from map(_tried, batches)
        return
    with Pool(workers) as pool:
        yield from pool.imap_unordered(_tried, batches)


if __name__ == "__main__":
    sys.exit(main())

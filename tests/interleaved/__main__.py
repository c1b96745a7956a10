"""Play stories of processes that get in each other's way: `python -m tests.interleaved --n 100000 --seed 7`.

Story number i comes from seed + i. One that fails is told with the fewest switches that show it, and with the command that
repeats it: `--n 1 --seed S`, with `--switches 17:2,40:1` for those alone, or `--switches ""` for none.
"""

import argparse
import secrets
import sys
from collections.abc import Mapping
from functools import partial

from tests.interleaved.schedule import shrunk
from tests.interleaved.story import Story

SHOWN = 5


def failing(start: int, count: int) -> list[int]:
    """The seeds of a stretch whose stories fail."""
    return [seed for seed in range(start, start + count) if Story(seed).play().problems]


def words(seed: int, switches: Mapping[int, int] | None = None) -> str:
    """What fails in a story, with the fewest switches that show it, step by step; empty if nothing does."""
    story = Story(seed, switches).play()
    if not story.problems:
        return ""
    kind = story.problems[0].partition(":")[0]
    fewest = shrunk(story.schedule.switches, partial(_fails, seed, kind))
    story = Story(seed, fewest).play()
    given = ",".join(f"{step}:{choice}" for step, choice in fewest.items())
    lines = [f"seed {seed}: {problem}" for problem in story.problems]
    lines += [f"  {number:3} {'*' if number in fewest else ' '} {told}" for number, told in enumerate(story.schedule.told)]
    lines += [f"  {name}: " + " ".join(type(event).__name__ for event in story.world.events(name)) for name in story.world.names()]
    lines += [f"  {act.kind} in {act.process}: {answer!r}" for act, answer in story.answers.items()]
    return "\n".join([*lines, f'again: python -m tests.interleaved --n 1 --seed {seed} --switches "{given}"'])


def _fails(seed: int, kind: str, switches: Mapping[int, int]) -> bool:
    return any(problem.startswith(f"{kind}:") for problem in Story(seed, switches).play().problems)


def _switches(text: str) -> dict[int, int]:
    return {int(step): int(choice) for step, _, choice in (one.partition(":") for one in text.split(",") if one)}


def main() -> int:
    """Play, and print what was found."""
    parser = argparse.ArgumentParser(prog="interleaved", description="Play stories of processes that get in each other's way.")
    parser.add_argument("--n", type=int, default=10_000, help="how many stories (10,000)")
    parser.add_argument("--seed", type=int, help="the seed of the first; chosen by chance and printed if not given")
    parser.add_argument("--switches", type=_switches, help="of one story: the steps at which the usual choice is not taken, and what is")
    given = parser.parse_args()
    seed = secrets.randbelow(10**9) if given.seed is None else given.seed
    failed = [seed] if given.switches is not None else failing(seed, given.n)
    told = [text for one in failed[:SHOWN] if (text := words(one, given.switches))]
    print(*told, f"seed {seed}: {given.n:,} stories, {len(failed) if given.switches is None else len(told)} failed", sep="\n\n")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())

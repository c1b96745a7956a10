"""What came of all trials: as JSON, and as text for people. Nothing is judged here."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from segue.core.events import EFFECTS
from segue.core.messages import Json
from segue.crashtest.course import Course, tales
from segue.crashtest.points import KINDS, entries
from segue.crashtest.verdict import Fault
from segue.views.words import counted

SHOWN = 10
"""How many wrong trials are told of in full."""


@dataclass(frozen=True, slots=True)
class Result:
    """One trial."""

    points: tuple[str, ...]
    faults: tuple[Fault, ...] = ()
    missed: bool = False
    """Its process never came to the point."""
    tally: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """In a word: "wrong", "missed" or "right"."""
        return "wrong" if self.faults else "missed" if self.missed else "right"


def tally(course: Course) -> dict[str, dict[str, int]]:
    """Count calls by effect: all of them, those that a process died in, those made again, those nobody knows the outcome of."""
    processes: dict[str, set[int]] = {}
    for entry in entries(course.account):
        processes.setdefault(entry.call, set()).add(entry.process)
    died = {call for left in course.left for call, tale in tales(left).items() if tale.open}
    sums: dict[str, dict[str, int]] = {}
    for call, tale in tales(course.journal).items():
        if tale.starts:
            of = sums.setdefault(tale.effect, {"calls": 0, "died": 0, "again": 0, "unknown": 0})
            of["calls"] += 1
            of["died"] += call in died
            of["again"] += len(processes.get(call, ())) > 1
            of["unknown"] += tale.unknown
    return sums


@dataclass(frozen=True, slots=True)
class Report:
    """What came of all trials. `command`: the words that repeat it, but for the point."""

    target: str
    scenario: str
    journal: str
    command: Sequence[str]
    reference: Course
    results: Sequence[Result]

    def having(self, verdict: str) -> list[Result]:
        """The trials with a verdict."""
        return [result for result in self.results if result.verdict == verdict]

    @property
    def exit_code(self) -> int:
        """1 where a trial is wrong, 2 where none came to its point, else 0."""
        return 1 if self.having("wrong") else 0 if self.having("right") else 2

    @property
    def effects(self) -> dict[str, dict[str, int]]:
        """The tallies of all trials, by effect."""
        added: dict[str, Counter[str]] = {}
        for result in self.results:
            for effect, of in result.tally.items():
                added.setdefault(effect, Counter()).update(of)
        return {effect: dict(added[effect]) for effect in EFFECTS if effect in added}

    def as_json(self) -> Json:
        """The report as JSON values."""
        return {
            "target": self.target,
            "scenario": self.scenario,
            "journal": self.journal,
            "trials": len(self.results),
            **{verdict: len(self.having(verdict)) for verdict in ("right", "wrong", "missed")},
            "effects": self.effects,
            "world": self.reference.world,
            "results": [
                {
                    "points": result.points,
                    "verdict": result.verdict,
                    "faults": [{**fault._asdict(), "again": self._again(result)} for fault in result.faults],
                    "effects": result.tally,
                    "seconds": result.seconds,
                }
                for result in self.results
            ],
        }

    def as_text(self) -> str:
        """The report as lines for people."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        events = sum(map(len, self.reference.journal.values()))
        appends = sum(line["kind"] == "append" for line in self.reference.account)
        calls = len({entry.call for entry in entries(self.reference.account)})
        yield f"{self.target} plays {self.scenario} on {self.journal}."
        yield f"Without a crash: {events} events in {appends} appends, and {counted(calls, 'call of a tool', 'calls of tools')}."
        yield from self._notes()
        yield ""
        yield f"{'killed':<36}{'trials':>8}{'right':>8}{'wrong':>8}{'missed':>8}"
        for kind, words in KINDS.items():
            of = [result for result in self.results if result.points[-1].startswith(f"{kind}:")]
            if of:
                counts = Counter(result.verdict for result in of)
                yield f"{words:<36}{len(of):>8}{counts['right']:>8}{counts['wrong']:>8}{counts['missed']:>8}"
        yield ""
        yield f"{'a call that a process died in':<36}{'died in':>8}{'again':>8}{'unknown':>8}"
        for effect, sums in self.effects.items():
            yield f"{effect:<36}{sums['died']:>8}{sums['again']:>8}{sums['unknown']:>8}"
        for result in self.having("wrong")[:SHOWN]:
            yield from self._wrong(result)
        if (more := len(self.having("wrong")) - SHOWN) > 0:
            yield f"\n... and {more} more; --json tells of all."
        yield ""
        yield self._verdict()

    def _notes(self) -> Iterator[str]:
        if self.reference.world is None:
            yield 'Nobody looks at the world. With observe = "module:function", a tool that does more than it declares is found out.'
        elif not self.reference.world:
            yield "observe saw nothing after the play without a crash. What it looks at must outlive the process."

    def _wrong(self, result: Result) -> Iterator[str]:
        yield f"\nWRONG, killed at {' and then at '.join(result.points)}"
        for fault in result.faults:
            whose = f'{fault.tool} (effect="{fault.effect}"), the call at {fault.call}: ' if fault.call else ""
            yield f"  {whose}{fault.words.rstrip('.')}."
            if fault.mend:
                yield f"  Mend: {fault.mend}"
        yield f"  Again: {self._again(result)}"

    def _again(self, result: Result) -> str:
        return shlex.join([*self.command, "--only", "+".join(result.points)])

    def _verdict(self) -> str:
        wrong, missed, right = (len(self.having(verdict)) for verdict in ("wrong", "missed", "right"))
        words = f"{right} of {counted(len(self.results), 'trial')} came out right"
        if wrong:
            words += f", {wrong} wrong"
        return f"{words}; {missed} never came to the point." if missed else f"{words}."


def written(result: Result) -> Json:
    """A result as JSON, for another process."""
    return asdict(result) | {"faults": [fault._asdict() for fault in result.faults]}


def read(value: Json) -> Result:
    """What `written` wrote."""
    faults = tuple(Fault(**fault) for fault in value["faults"])
    return Result(**value | {"points": tuple(value["points"]), "faults": faults})

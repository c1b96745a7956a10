"""Places in a run at which its process can be killed, and the file outside of it that tells which of them it came to.
A point is named by what happens there, not by how many came before it: calls that run side by side come in any order."""

import json
import os
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from segue.errors import UsageError

ROOT = "crashtest"
"""The conversation that is played. Those of agents that are used as tools have names that begin with it."""

Kind = Literal["before", "after", "entry", "return"]

KINDS: Mapping[str, str] = {
    "before": "before an append",
    "after": "after an append",
    "entry": "at the entry of a tool",
    "return": "inside a tool, before it returns",
}


class Point(NamedTuple):
    """Where a process is killed: before or after the append of an event, at the entry of a call's function or before its return.

    `place` is the place of an event in the journal, or of a call; in the conversation of an agent that is used as a tool,
    with the way there before it.
    """

    kind: Kind
    place: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.place}"


def point_from(text: str) -> Point:
    """Read a point as it is printed. Raises `UsageError` for anything else."""
    kind, _, place = text.partition(":")
    number = place.rpartition("/")[2]
    if kind not in get_args(Kind) or not number.replace(".", "", 1).isdecimal() or ("." in number) != (kind in ("entry", "return")):
        raise UsageError(f"{text!r} is no point. Points look like before:7, after:7, entry:2.0 and return:2.0.")
    return Point(kind, place)  # type: ignore[arg-type]


def path_of(conversation: str) -> str:
    """What stands before the places of a conversation: nothing for the one that is played."""
    return "" if conversation == ROOT else f"{conversation.removeprefix(f'{ROOT}/')}/"


class Entry(NamedTuple):
    """A call's function was entered."""

    process: int
    """From 1: the first one, the one that went on, ..."""
    call: str
    """The call's place, with the way there."""
    tool: str
    effect: str
    key: str
    arguments: str
    reconcile: bool


class Witness:
    """A file outside of the process: what it came to. A killed process loses nothing of what it has written there."""

    def __init__(self, path: Path, process: int, kill_at: Point | None = None) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._process = process
        self._kill_at = kill_at

    def reach(self, point: Point) -> None:
        """The process has come to a point; if it is to be killed there, it dies here."""
        if point == self._kill_at:
            self.write("killed", at=str(point))
            os.kill(os.getpid(), signal.SIGKILL)

    def reach_append(self, kind: Kind, conversation: str, last: int) -> None:
        """The process is about to append the event at place `last`, or has done so."""
        target, path = self._kill_at, path_of(conversation)
        if target is not None and target.kind == kind and target.place.startswith(path):
            place = target.place.removeprefix(path)
            if place.isdecimal() and last >= int(place):
                self.reach(target)

    def write(self, kind: str, **values: Any) -> None:
        """Write a line, in one piece."""
        os.write(self._file, json.dumps({"kind": kind, "process": self._process, **values}).encode() + b"\n")


def read_account(path: Path) -> list[dict[str, Any]]:
    """The lines that witnesses wrote; none if no process has come to anything."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def entries(lines: Iterable[Mapping[str, Any]]) -> list[Entry]:
    """The calls whose functions were entered, in order."""
    return [Entry(**{name: line[name] for name in Entry._fields}) for line in lines if line["kind"] == "entry"]


def killed(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """The points at which processes were killed."""
    return [line["at"] for line in lines if line["kind"] == "killed"]


def points_of(lines: Sequence[Mapping[str, Any]], process: int) -> list[Point]:
    """The points that a process came to, in order, each once."""
    return list(dict.fromkeys(point for line in lines if line["process"] == process for point in _points(line)))


def _points(line: Mapping[str, Any]) -> Iterator[Point]:
    match line["kind"]:
        case "append":
            path, last = path_of(line["conversation"]), line["last"]
            if line["first"] is not None:
                yield Point("before", f"{path}{line['first']}")
            yield Point("after", f"{path}{last}")
        case "entry" | "return":
            yield Point(line["kind"], line["call"])
        case _:
            return

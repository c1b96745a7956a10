"""Limits of time on an event loop: one timer for all that are given the same number of seconds.
Nearly every limit is taken back long before it is reached. A timer of its own for each would be among the dearest parts of a model call."""

import asyncio
from collections.abc import Callable

_KEPT = "_segue_deadlines"


class Deadline:
    """Something that is called when its time has come, unless it is cancelled before."""

    __slots__ = ("_among", "_call", "due")

    def __init__(self, due: float, call: Callable[[], object], among: "dict[Deadline, None]") -> None:
        self.due = due
        """On the loop's clock."""
        self._call: Callable[[], object] | None = call
        self._among = among
        among[self] = None

    def cancel(self) -> None:
        """Let the time go by; again, or afterwards, it does nothing."""
        self._among.pop(self, None)
        self._call = None

    def come(self) -> None:
        """The time has come."""
        if self._call is not None:
            self._call()


class Deadlines:
    """What one event loop is to call later, by the number of seconds that each was given: those of one number come in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._alike: dict[float, dict[Deadline, None]] = {}
        """For each number a timer is set to the first that there was. It is left standing when that one is cancelled."""

    def after(self, seconds: float, call: Callable[[], object]) -> Deadline:
        """Call something when so many seconds are over."""
        due = self._loop.time() + seconds
        alike = self._alike.get(seconds)
        if alike is None:
            alike = self._alike[seconds] = {}
            self._loop.call_at(due, self._look, seconds)
        return Deadline(due, call, alike)

    def _look(self, seconds: float) -> None:
        alike = self._alike[seconds]
        now = self._loop.time()
        while alike:
            first = next(iter(alike))
            if first.due > now:
                self._loop.call_at(first.due, self._look, seconds)
                return
            del alike[first]
            self._loop.call_soon(first.come)  # apart from here, so that one that raises keeps no other from coming
        del self._alike[seconds]


def after(seconds: float, call: Callable[[], object]) -> Deadline:
    """Call something on the running loop when so many seconds are over. It is for numbers that come again and again, as limits do."""
    loop = asyncio.get_running_loop()
    kept: Deadlines | None = getattr(loop, _KEPT, None)
    if kept is None:
        kept = Deadlines(loop)
        setattr(loop, _KEPT, kept)  # it holds the loop, so only the loop may hold it
    return kept.after(seconds, call)

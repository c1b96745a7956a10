"""A journal and tools that tell a witness what they come to, and die where they are told to.
The journal is whatever store is tested; the tools are the team's own. Neither knows that it is watched."""

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, cast

from segue.agent import Agent
from segue.core.events import Event
from segue.crashtest.points import Point, Witness, path_of
from segue.journal.base import Journal, Line, Raw, Stored, Summary, Transactional
from segue.tools.context import Context
from segue.tools.schema import Parameters
from segue.tools.tool import Tool

# ---- the journal -----------------------------------------------------------

_UNTOLD = Summary()


def watched(journal: Journal, witness: Witness) -> Journal:
    """The journal, with a witness that is told of every append."""
    return WatchedDatabase(journal, witness) if isinstance(journal, Transactional) else Watched(journal, witness)


class Watched:
    """A journal that another one keeps."""

    def __init__(self, journal: Journal, witness: Witness) -> None:
        self._journal = journal
        self._witness = witness

    @property
    def durable(self) -> bool:
        """As the other says."""
        return self._journal.durable

    async def append(self, conversation: str, seq: int, events: Sequence[Event], *, at: float, summary: Summary = _UNTOLD) -> None:
        """Write events: the process may die before that, and after it."""
        last = seq + len(events) - 1
        self._witness.reach_append("before", conversation, last)
        await self._journal.append(conversation, seq, events, at=at, summary=summary)
        self._witness.write("append", conversation=conversation, first=seq, last=last)
        self._witness.reach_append("after", conversation, last)

    async def read(self, conversation: str, *, after: int = 0) -> list[Stored]:
        """As the other reads."""
        return await self._journal.read(conversation, after=after)

    async def raw(self, conversation: str, *, after: int = 0) -> list[Raw]:
        """As the other has them."""
        return await self._journal.raw(conversation, after=after)

    async def wait(self, conversation: str, *, after: int, timeout: float) -> None:
        """As the other waits."""
        await self._journal.wait(conversation, after=after, timeout=timeout)

    async def keyed(self, key: str) -> str | None:
        """As the other says."""
        return await self._journal.keyed(key)

    async def conversations(
        self,
        *,
        status: Collection[str] = (),
        agent: str | None = None,
        before: float | None = None,
        since: float | None = None,
        following: Line | None = None,
        limit: int = 100,
    ) -> list[Line]:
        """As the other lists them."""
        return await self._journal.conversations(status=status, agent=agent, before=before, since=since, following=following, limit=limit)

    async def erase(self, conversation: str) -> bool:
        """As the other erases."""
        return await self._journal.erase(conversation)

    async def hold(self, driver: str) -> None:
        """As the other holds."""
        await self._journal.hold(driver)

    async def let_go(self, driver: str) -> None:
        """As the other lets go."""
        await self._journal.let_go(driver)

    async def alive(self, driver: str) -> bool:
        """As the other says."""
        return await self._journal.alive(driver)

    async def aclose(self) -> None:
        """As the other closes."""
        await self._journal.aclose()


class WatchedDatabase(Watched):
    """A journal with a database that tools may write to."""

    def transact(self, conversation: str, fence: int, work: Callable[[Any], Event], *, at: float) -> Stored:
        """Commit a tool's work with its outcome: the process may die after that; before it, it dies inside the tool."""
        stored = cast(Transactional, self._journal).transact(conversation, fence, work, at=at)
        self._witness.write("append", conversation=conversation, first=None, last=stored.seq)
        self._witness.reach_append("after", conversation, stored.seq)
        return stored


# ---- the tools -------------------------------------------------------------

_CONTEXT = "crashtest context"
"""A keyword that no function can have: under it the wrapper is told which call it is."""


def watch_tools(agents: Iterable[Agent], witness: Witness) -> None:
    """Let every tool of the agents tell a witness when its function is entered and left.

    It is done to the tools themselves, because teams, agents and functions hold them; this process is made to be killed.
    """
    tools = {id(made): made for agent in agents for made in agent.tools if isinstance(made, Tool)}
    for made in tools.values():
        function = _watched_async(made, witness) if made.is_async else _watched_sync(made, witness)
        object.__setattr__(made, "function", function)
        object.__setattr__(made, "parameters", _Told(made.parameters))


class _Told:
    """A tool's parameters, which hand the call's context on to the wrapper."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parameters, name)

    def placed(self, values: dict[str, Any], *, context: object = None, **options: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Add the context to what the function is called with."""
        args, kwargs = self._parameters.placed(values, context=context, **options)
        return args, {**kwargs, _CONTEXT: context}


def _watched_sync(made: Tool, witness: Witness) -> Callable[..., Any]:
    function = made.function

    @functools.wraps(function)
    def watched(*args: Any, **values: Any) -> Any:
        call = _entered(made, witness, values.pop(_CONTEXT))
        try:
            value = function(*args, **values)
            if inspect.isawaitable(value):
                return _awaited(value, witness, call)
        except BaseException:
            _left(witness, call)
            raise
        _left(witness, call)
        return value

    return watched


def _watched_async(made: Tool, witness: Witness) -> Callable[..., Any]:
    function = made.function

    @functools.wraps(function)
    async def watched(*args: Any, **values: Any) -> Any:
        call = _entered(made, witness, values.pop(_CONTEXT))
        return await _awaited(function(*args, **values), witness, call)

    return watched


async def _awaited(value: Any, witness: Witness, call: str) -> Any:
    try:
        return await value
    finally:
        _left(witness, call)


def _entered(made: Tool, witness: Witness, context: Context[Any]) -> str:
    call = f"{path_of(context.conversation)}{context.place}"
    witness.write(
        "entry",
        call=call,
        tool=made.name,
        effect=made.effect,
        key=context.key,
        arguments=context.arguments,
        reconcile=made.reconcile is not None,
    )
    witness.reach(Point("entry", call))
    return call


def _left(witness: Witness, call: str) -> None:
    """The function's body is done, whether it returned or raised; what came of it is not told to anybody yet."""
    witness.write("return", call=call)
    witness.reach(Point("return", call))

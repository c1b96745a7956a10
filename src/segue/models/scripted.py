"""Models that reply from a script or from a function: for tests, demonstrations and benchmarks."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from operator import length_hint
from typing import Any

from segue.core.arguments import canonical
from segue.core.messages import Call, Reply
from segue.errors import UsageError
from segue.model import CallDelta, Delta, ModelRequest, Restarted, TextDelta


class ScriptedModel:
    """Replies with what it is given, in order.

    An entry is a text; `{"tool": {arguments}}` for one call or several side by side; a list of these; a `Reply`; or an
    exception, which is raised. Arguments may be a text, sent as it is. Raises `UsageError` when the script is at its end,
    and for a script that is no list. `left == 0` says that all of it was asked for.
    """

    def __init__(self, replies: Iterable[Any], *, name: str = "scripted") -> None:
        if isinstance(replies, str | Mapping | Reply | BaseException):
            raise UsageError(f"A script is a list of replies. Put this one into a list: ScriptedModel([{replies!r}]).")
        if not isinstance(replies, Iterable):
            raise UsageError(f"A script is a list of replies, not {replies!r}. A function that replies is a FunctionModel.")
        self.name = name
        self.requests: list[ModelRequest] = []
        """What it was asked, in order."""
        self._replies = iter(list(replies))

    @property
    def left(self) -> int:
        """How many entries of the script have not been asked for yet."""
        return length_hint(self._replies)  # exact for a list's iterator

    async def reply(self, request: ModelRequest) -> AsyncIterator[Delta | Restarted | Reply]:
        """Give the next entry of the script, word by word where somebody listens."""
        self.requests.append(request)
        try:
            said = next(self._replies)
        except StopIteration:
            raise UsageError(f"The script of {self.name} is at its end, and {request.agent} is to speak once more.") from None
        if isinstance(said, BaseException):
            raise said
        for item in spoken(as_reply(said), stream=request.stream):
            yield item


class FunctionModel:
    """Replies with what a function of the request returns: any entry of a script. The function may be async."""

    def __init__(self, function: Callable[[ModelRequest], Any], *, name: str = "function") -> None:
        self.name = name
        self._function = function

    async def reply(self, request: ModelRequest) -> AsyncIterator[Delta | Restarted | Reply]:
        """Call the function, and say what it returned."""
        said = self._function(request)
        if inspect.isawaitable(said):
            said = await said
        if isinstance(said, BaseException):
            raise said
        for item in spoken(as_reply(said), stream=request.stream):
            yield item


def as_reply(said: Any) -> Reply:
    """Read an entry of a script. Raises `UsageError` for what is none."""
    if isinstance(said, Reply):
        return said
    if isinstance(said, str):
        return Reply(text=said, finish="stop")
    parts = said if isinstance(said, list | tuple) else [said]
    texts = [part for part in parts if isinstance(part, str)]
    calls = [call for part in parts if not isinstance(part, str) for call in _calls(part)]
    return Reply(text=" ".join(texts) or None, calls=tuple(calls), finish="tool_calls" if calls else "stop")


def _calls(part: Any) -> Iterator[Call]:
    if isinstance(part, Call):
        yield part
    elif isinstance(part, Mapping):
        for name, arguments in part.items():
            yield Call("", name, arguments if isinstance(arguments, str) else canonical(arguments or {}))
    else:
        raise UsageError(f'A script holds texts, {{"tool": {{...}}}}, lists of these, Reply values and exceptions, not {part!r}.')


def spoken(reply: Reply, *, stream: bool) -> Iterator[Delta | Reply]:
    """A reply as a model gives it: in pieces first, if somebody listens."""
    if stream:
        for index, word in enumerate((reply.text or "").split(" ")):
            if word or index:
                yield TextDelta(f" {word}" if index else word)
        for index, call in enumerate(reply.calls):
            yield CallDelta(index, call.name, call.arguments)
    yield reply

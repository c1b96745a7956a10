"""A client as a Swarm program hands one in: `chat.completions.create` gives objects like those of OpenAI's own."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

USER = {"role": "user", "content": "Hello."}


def call(name: str, call_id: str = "call_1", /, **arguments: Any) -> SimpleNamespace:
    """A tool call of a reply."""
    return raw_call(name, json.dumps(arguments), call_id)


def raw_call(name: str, arguments: str, call_id: str = "call_1") -> SimpleNamespace:
    """A tool call with arguments as they come."""
    return SimpleNamespace(id=call_id, type="function", function=SimpleNamespace(name=name, arguments=arguments))


class Client:
    """Replies in order: a text, a call, a list of calls, or an exception. `requests` holds what it was asked."""

    def __init__(self, *replies: Any) -> None:
        self.requests: list[dict[str, Any]] = []
        self._replies = iter(replies)
        self.chat = SimpleNamespace(completions=SimpleNamespace(create=self._create))

    def _create(self, **fields: Any) -> Any:
        self.requests.append(fields)
        reply = next(self._replies)
        if isinstance(reply, Exception):
            raise reply
        text = reply if isinstance(reply, str) else None
        calls = [] if text is not None else reply if isinstance(reply, list) else [reply]
        return _pieces(text, calls) if fields.get("stream") else _whole(text, calls)

    @property
    def systems(self) -> list[str]:
        """The system message of each request."""
        return [request["messages"][0]["content"] for request in self.requests]

    @property
    def answers(self) -> list[str]:
        """What the last request told of tools."""
        return [message["content"] for message in self.requests[-1]["messages"] if message["role"] == "tool"]


def offered(request: dict[str, Any]) -> list[str]:
    """The names of the tools in a request."""
    return [tool["function"]["name"] for tool in request.get("tools") or ()]


def _whole(text: str | None, calls: list[Any]) -> SimpleNamespace:
    message = SimpleNamespace(role="assistant", content=text, refusal=None, tool_calls=calls or None, function_call=None)
    choice = SimpleNamespace(index=0, message=message, finish_reason="tool_calls" if calls else "stop")
    return SimpleNamespace(id="c", created=1, model="gpt-4o", object="chat.completion", choices=[choice])


def _pieces(text: str | None, calls: list[Any]) -> Iterator[SimpleNamespace]:
    yield _piece(role="assistant", content="" if text is not None else None)
    for start in range(0, len(text or ""), 3):
        yield _piece(content=(text or "")[start : start + 3])
    for index, made in enumerate(calls):
        name, arguments = made.function.name, made.function.arguments
        head = SimpleNamespace(name=name, arguments="")
        yield _piece(tool_calls=[SimpleNamespace(index=index, id=made.id, type="function", function=head)])
        rest = SimpleNamespace(name=None, arguments=arguments)
        yield _piece(tool_calls=[SimpleNamespace(index=index, id=None, type=None, function=rest)])
    yield _piece(finish="tool_calls" if calls else "stop")


def _piece(finish: str | None = None, **delta: Any) -> SimpleNamespace:
    choice = SimpleNamespace(index=0, delta=SimpleNamespace(**delta), finish_reason=finish)
    return SimpleNamespace(id="c", created=1, model="gpt-4o", object="chat.completion.chunk", choices=[choice])

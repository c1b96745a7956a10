"""Model servers on this machine for the command line to talk to: one speaks Chat Completions, one Responses. Each refuses the
other's path with 404. They reply with a script, in the wire formats of our own servers, piece by piece."""

from collections.abc import Callable, Iterator
from threading import Event

from segue.core.messages import Call, Reply, Usage
from segue.model import CallDelta, Delta, TextDelta
from segue.wire import openai_chat_server, openai_responses_server
from tests.loopback import Answer, Bit, Pause, Request, stream, whole

NOT_FOUND = {"error": {"message": "no such path", "type": "not_found", "code": None}}
USAGE = Usage(input=30, output=5)


def says(text: str) -> Reply:
    return Reply(text, finish="stop", usage=USAGE, model="m")


def calls(*made: tuple[str, str], text: str | None = None) -> Reply:
    return Reply(text, tuple(Call(f"call_{at}", *one) for at, one in enumerate(made)), finish="tool_calls", usage=USAGE, model="m")


class Gate:
    """Holds an answer back, after its first word, until it is opened."""

    def __init__(self) -> None:
        self._open = Event()

    def open(self) -> None:
        self._open.set()

    def wait(self) -> Iterator[Bit]:
        while not self._open.is_set():
            yield Pause(0.01)


def pieces(reply: Reply) -> list[Delta]:
    words = (reply.text or "").split(" ")
    text: list[Delta] = [TextDelta(f" {word}" if at else word) for at, word in enumerate(words)] if reply.text else []
    made: list[Delta] = []
    for at, call in enumerate(reply.calls):
        half = len(call.arguments) // 2
        made += [CallDelta(at, call.name, call.arguments[:half]), CallDelta(at, "", call.arguments[half:])]
    return text + made


def chat_completions(*script: Reply, gate: Gate | None = None) -> Callable[[Request], Answer]:
    """Replies in order, by Chat Completions; with a gate, the last one is held back after its first piece."""
    left = list(script)

    def answer(request: Request) -> Answer:
        if request.path != "/v1/chat/completions":
            return whole(NOT_FOUND, status=404)
        reply = left.pop(0)
        encoder = openai_chat_server.StreamEncoder("m", include_usage=True)
        return _streamed([encoder.delta(piece) for piece in pieces(reply)], encoder.end(reply), None if left else gate)

    return answer


def responses(*script: Reply, gate: Gate | None = None) -> Callable[[Request], Answer]:
    """Replies in order, by the Responses API; with a gate, the last one is held back after its first piece."""
    left = list(script)

    def answer(request: Request) -> Answer:
        if request.path != "/v1/responses":
            return whole(NOT_FOUND, status=404)
        reply = left.pop(0)
        encoder = openai_responses_server.StreamEncoder("m")
        begun = encoder.begin()
        return _streamed([begun, *(encoder.delta(piece) for piece in pieces(reply))], encoder.end(reply), None if left else gate)

    return answer


def _streamed(bits: list[bytes], end: bytes, gate: Gate | None) -> Answer:
    if gate is None:
        return stream(*bits, end)
    first, *rest = stream(*bits, end)
    shown = 2  # Responses begin with an event that shows nothing
    return _held([first, *rest[:shown]], gate, rest[shown:])


def _held(first: list[Bit], gate: Gate, rest: list[Bit]) -> Iterator[Bit]:
    yield from first
    yield from gate.wait()
    yield from rest

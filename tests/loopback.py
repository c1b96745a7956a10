"""A server on this machine that says exactly what a test tells it to, byte by byte.

An answer is a list of bits, done in order: `bytes` are sent as they are, `Pause(seconds)` waits, `RESET` tears the connection
down, `CLOSE` ends it, `HANG` says nothing more until the client leaves. Answers are given to requests in the order in which
these come; the last one is given again and again. A function of the request may stand for an answer.

    async with Loopback(whole({"error": "busy"}, status=503), stream(chunk("Hel"), chunk("lo"), DONE)) as server:
        model = OpenAIChat("m", base_url=server.url)
        ...
        server.requests[0].json()["messages"]

`in_thread(...)` is the same on a thread and an event loop of its own, for code that is not asynchronous. Nothing here knows
what is being tested; the shapes of Chat Completions are helpers only.
"""

import asyncio
import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Pause(NamedTuple):
    """Wait before the next bit."""

    seconds: float


RESET = "reset"
CLOSE = "close"
HANG = "hang"
DONE = b"data: [DONE]\n\n"

Bit = bytes | Pause | str
Answer = Iterable[Bit]


@dataclass
class Request:
    """What came: header names are lower-case; `connection` counts from 1."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass
class Loopback:
    """The server. `requests` and `connections` tell what came, `left` how many clients went away before an answer's end."""

    answers: tuple[Answer | Callable[[Request], Answer], ...]
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    left: int = 0
    url: str = ""

    def __init__(self, *answers: Answer | Callable[[Request], Answer]) -> None:
        self.answers = answers
        self.requests = []
        self.connections = 0
        self.left = 0

    async def __aenter__(self) -> "Loopback":
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", 0, backlog=2048)
        port = self._server.sockets[0].getsockname()[1]
        self.host = f"127.0.0.1:{port}"
        self.url = f"http://{self.host}/v1"
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def until(self, *, requests: int = 0, left: int = 0) -> None:
        """Wait until so many requests have come and so many clients have gone; at most 5 seconds."""
        async with asyncio.timeout(5):
            while len(self.requests) < requests or self.left < left:
                await asyncio.sleep(0.001)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._connection(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        try:
            while (request := await _read(reader, number)) is not None:
                self.requests.append(request)
                answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
                if not await self._say(answer(request) if callable(answer) else answer, reader, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left += 1
        finally:
            with contextlib.suppress(ConnectionError):
                writer.close()
                await writer.wait_closed()

    async def _say(self, answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Do an answer's bits; say whether the connection goes on."""
        for bit in answer:
            if isinstance(bit, bytes):
                writer.write(bit)
                await writer.drain()
                await asyncio.sleep(0)  # so that two bits are two packets, mostly
            elif isinstance(bit, Pause):
                await asyncio.sleep(bit.seconds)
            elif bit == RESET:
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return False
            elif bit == HANG:
                if not await reader.read(1):
                    self.left += 1
                return False
            else:
                return False
        return True


async def _read(reader: asyncio.StreamReader, connection: int) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines if line)}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body, connection)


@contextlib.contextmanager
def in_thread(*answers: Answer | Callable[[Request], Answer]) -> Iterator[Loopback]:
    """The server on a thread of its own."""
    ready = threading.Event()
    server = Loopback(*answers)
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with server:
            ready.set()
            await stop.wait()

    def work() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


# --- answers


def head(status: int = 200, headers: dict[str, str] | None = None, *, content_type: str = "application/json") -> bytes:
    """The first lines of an answer, up to its body."""
    lines = {"Content-Type": content_type} | (headers or {})
    return f"HTTP/1.1 {status} Said\r\n".encode() + b"".join(f"{name}: {value}\r\n".encode() for name, value in lines.items()) + b"\r\n"


def whole(body: Any, status: int = 200, headers: dict[str, str] | None = None, *, content_type: str = "application/json") -> list[Bit]:
    """A whole answer: bytes as they are, anything else as JSON."""
    said = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [head(status, {"Content-Length": str(len(said))} | (headers or {}), content_type=content_type) + said]


def stream(*bits: Bit, headers: dict[str, str] | None = None) -> list[Bit]:
    """A streamed answer, each piece of bytes a chunk of HTTP, and its proper end."""
    return [*begun(*bits, headers=headers), b"0\r\n\r\n"]


def begun(*bits: Bit, headers: dict[str, str] | None = None) -> list[Bit]:
    """A streamed answer that is never ended: what the last bit is decides what becomes of it."""
    first = head(200, {"Transfer-Encoding": "chunked"} | (headers or {}), content_type="text/event-stream")
    return [first, *(_chunked(bit) if isinstance(bit, bytes) else bit for bit in bits)]


def _chunked(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


# --- Chat Completions


def event(value: Any) -> bytes:
    """A value as one event."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunk(text: str | None = None, *, finish: str | None = None, **delta: Any) -> bytes:
    """A piece of a streamed reply."""
    if text is not None:
        delta["content"] = text
    return event({"object": "chat.completion.chunk", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def usage_chunk(prompt: int, completion: int) -> bytes:
    """The last piece, which has no choices."""
    return event({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}})


def call(name: str, arguments: str, call_id: str = "call_1") -> dict[str, Any]:
    """A tool call, as it stands in a message."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def completion(text: str | None = None, *calls: dict[str, Any], finish: str | None = None, **message: Any) -> dict[str, Any]:
    """A whole reply."""
    said: dict[str, Any] = {"role": "assistant", "content": text} | message
    if calls:
        said["tool_calls"] = list(calls)
    reason = finish or ("tool_calls" if calls else "stop")
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return {"object": "chat.completion", "model": "m", "choices": [{"index": 0, "message": said, "finish_reason": reason}], "usage": usage}

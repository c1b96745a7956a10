"""A model call over whatever carries bytes: attempts, waits and limits of time. The one owner of retries.
Nothing of a broken reply is acted on: a reply is given once it is whole, and who saw pieces of a broken one is told."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from segue.core.messages import Reply
from segue.errors import BadReply, ProviderError, RateLimited
from segue.model import Delta, ModelRequest, Restarted
from segue.models.exchange import Answer, Exchange, too_slow
from segue.wire.errors import error_from

_log = logging.getLogger("segue.models")

LONGEST_WAIT = 60.0
"""A provider that asks for a longer wait is not waited for: the caller is told how long it would be."""
LARGEST_BODY = 64 << 20
_TAIL = 0.1
"""Seconds to wait for the end of a body after the reply is whole, so that its connection can be used again."""

watcher: Callable[[str], None] | None = None
"""Called with the host before each request; it may raise. For tests that must not reach a real model."""


class Decoder(Protocol):
    """What puts a streamed reply together."""

    done: bool

    @property
    def finished(self) -> bool:
        """Whether what came is a whole reply."""
        ...

    def feed(self, data: bytes) -> list[Delta]:
        """Take bytes and give what they add."""
        ...

    def reply(self) -> Reply:
        """The whole reply."""
        ...


class Dialect(Protocol):
    """A wire format, as a carrier needs it."""

    path: str

    def encode(self, request: ModelRequest) -> bytes:
        """The request's body."""
        ...

    def decode(self, body: bytes) -> Reply:
        """The reply in a whole body."""
        ...

    def decoder(self) -> Decoder:
        """What puts one streamed reply together."""
        ...


@dataclass(frozen=True, slots=True)
class Clock:
    """What a carrier knows of time and chance; tests bring their own."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random


async def carry(
    request: ModelRequest, dialect: Dialect, exchange: Exchange, *, provider: str, timeout: float | None, retries: int, clock: Clock
) -> AsyncGenerator[Delta | Restarted | Reply]:
    """Yield deltas if they are asked for, and at the end the reply; try again where that may help."""
    body = dialect.encode(request)
    attempt = 1
    shown = False
    while True:
        try:
            if request.stream:
                pieces = _streamed(dialect, exchange, body, request.idle_timeout, provider, timeout, clock)
                try:
                    async for piece in pieces:
                        yield piece
                        if isinstance(piece, Reply):
                            return
                        shown = True
                finally:
                    await pieces.aclose()
            else:
                yield await _whole(dialect, exchange, body, provider, timeout, clock)
                return
        except ProviderError as error:
            wait = _wait(error, attempt, clock)
            if not error.retryable or attempt > retries or wait > LONGEST_WAIT:
                raise
            _log.info("attempt %d of %d at %s failed (%s); the next in %.1f s", attempt, retries + 1, provider, type(error).__name__, wait)
        await clock.sleep(wait)
        attempt += 1
        if shown:
            shown = False
            yield Restarted(attempt)


def _wait(error: ProviderError, attempt: int, clock: Clock) -> float:
    """Seconds to the next attempt: what the provider asked for at least, and a growing chance above it."""
    asked = error.retry_after if isinstance(error, RateLimited) else None
    spread = clock.chance() * min(8.0, 0.5 * 2.0 ** (attempt - 1))
    return spread if asked is None else asked + spread


async def _whole(dialect: Dialect, exchange: Exchange, body: bytes, provider: str, timeout: float | None, clock: Clock) -> Reply:
    try:
        async with exchange.turn(), asyncio.timeout(timeout):
            answer = await _send(dialect, exchange, body, provider, clock, stream=False)
            try:
                said = await _body(answer, provider)
            finally:
                await answer.close()
    except TimeoutError as error:
        raise too_slow(provider, "did not answer", timeout, exchange.url(dialect.path)) from error
    return dialect.decode(said)


async def _send(dialect: Dialect, exchange: Exchange, body: bytes, provider: str, clock: Clock, *, stream: bool) -> Answer:
    """Send the request. Raises the error that the answer's status means."""
    if watcher is not None:
        watcher(exchange.host)
    answer = await exchange.send(dialect.path, body, stream=stream)
    if 200 <= answer.status < 300:
        return answer
    try:
        said = await _body(answer, provider)
    finally:
        await answer.close()
    raise error_from(answer.status, said, answer.headers, provider=provider, now=clock.now(), url=exchange.url(dialect.path))


async def _body(answer: Answer, provider: str) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := await answer.read():
        pieces.append(piece)
        size = _counted(size + len(piece), provider)
    return b"".join(pieces)


def _counted(size: int, provider: str) -> int:
    if size > LARGEST_BODY:
        raise BadReply(f"The reply of {provider} is larger than {LARGEST_BODY >> 20} MiB. Nothing of it was acted on.", provider=provider)
    return size


async def _streamed(
    dialect: Dialect, exchange: Exchange, body: bytes, idle: float | None, provider: str, timeout: float | None, clock: Clock
) -> AsyncGenerator[Delta | Reply]:
    decoder = dialect.decoder()
    async with exchange.turn():
        try:
            async with asyncio.timeout(timeout):
                answer = await _send(dialect, exchange, body, provider, clock, stream=True)
        except TimeoutError as error:
            raise too_slow(provider, "did not answer", timeout, exchange.url(dialect.path)) from error
        silence = Silence(idle)
        size = 0
        try:
            while data := await _read(answer, silence, decoder, provider):
                size = _counted(size + len(data), provider)
                for delta in decoder.feed(data):
                    yield delta
                if decoder.done:
                    silence.limit_to(_TAIL)  # the end of the body comes at once or is not worth waiting for
        finally:
            silence.close()
            await answer.close()
    yield decoder.reply()


async def _read(answer: Answer, silence: "Silence", decoder: Decoder, provider: str) -> bytes:
    """The next bytes; none at the end, and where the stream breaks though its reply is whole."""
    try:
        with silence:
            return await answer.read()
    except (ProviderError, TimeoutError) as error:
        if decoder.finished:
            return b""
        if isinstance(error, ProviderError):
            raise
        raise too_slow(provider, "said nothing", silence.limit) from error


class Silence:
    """Breaks off a read that waits too long: `with silence:` raises `TimeoutError` then.

    One timer for a whole stream, that looks at a timestamp. Time counts only inside, and not while a consumer holds a delta.
    """

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self._loop = asyncio.get_running_loop()
        self._since = 0.0
        self._reader: asyncio.Task[object] | None = None
        self._cancelling = 0
        """How often the reader had been told to cancel, by others, when it began to read."""
        self._broken = False
        self._timer: asyncio.TimerHandle | None = None
        if limit is not None:
            self.limit_to(limit)

    def limit_to(self, limit: float) -> None:
        """From now on this many seconds of silence are too many."""
        self.close()
        self.limit = limit
        self._timer = self._loop.call_later(limit, self._look, limit)

    def __enter__(self) -> None:
        self._since = self._loop.time()
        self._reader = asyncio.current_task()
        self._cancelling = self._reader.cancelling() if self._reader is not None else 0

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        reader, self._reader = self._reader, None
        if not self._broken or reader is None:
            return
        self._broken = False
        if reader.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error  # it was cancelled from here, and by nobody else

    def close(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self, limit: float) -> None:
        waited = self._loop.time() - self._since if self._reader is not None else 0.0
        if self._reader is not None and waited >= limit:
            self._broken = True
            self._reader.cancel()
        else:
            self._timer = self._loop.call_later(max(limit - waited, 0.001), self._look, limit)

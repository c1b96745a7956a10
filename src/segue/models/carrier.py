"""A model call over whatever carries bytes: attempts, waits and limits of time. The one owner of retries.
Nothing of a broken reply is acted on: a reply is given once it is whole, and who saw pieces of a broken one is told."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from segue.core.messages import Reply
from segue.errors import BadReply, ProviderError, ProviderTimeout, RateLimited
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


class Courier(NamedTuple):
    """Carries requests to their replies. `timeout`: seconds for a whole reply, or for the beginning of a streamed one."""

    dialect: Dialect
    exchange: Exchange
    provider: str
    timeout: float | None
    retries: int
    clock: Clock

    async def reply(self, request: ModelRequest) -> AsyncGenerator[Delta | Restarted | Reply]:
        """Yield deltas if they are asked for, and at the end the reply; try again where that may help."""
        body = self.dialect.encode(request)
        attempt = 1
        shown = False
        while True:
            try:
                if request.stream:
                    pieces = self._streamed(body, request.idle_timeout)
                    try:
                        async for piece in pieces:
                            yield piece
                            if isinstance(piece, Reply):
                                return
                            shown = True
                    finally:
                        await pieces.aclose()
                else:
                    yield await self._whole(body)
                    return
            except ProviderError as error:
                wait = _wait(error, attempt, self.clock)
                if not error.retryable or attempt > self.retries or wait > LONGEST_WAIT:
                    raise
                words = "attempt %d of %d at %s failed (%s); the next in %.1f s"
                _log.info(words, attempt, self.retries + 1, self.provider, type(error).__name__, wait)
            await self.clock.sleep(wait)
            attempt += 1
            if shown:
                shown = False
                yield Restarted(attempt)

    async def _whole(self, body: bytes) -> Reply:
        try:
            async with self.exchange.turn(), asyncio.timeout(self.timeout):
                answer = await self._send(body, stream=False)
                try:
                    said = await self._body(answer)
                finally:
                    await answer.close()
        except TimeoutError as error:
            raise self._no_answer() from error
        return self.dialect.decode(said)

    async def _streamed(self, body: bytes, idle: float | None) -> AsyncGenerator[Delta | Reply]:
        decoder = self.dialect.decoder()
        async with self.exchange.turn():
            try:
                async with asyncio.timeout(self.timeout):
                    answer = await self._send(body, stream=True)
            except TimeoutError as error:
                raise self._no_answer() from error
            silence = Silence(idle)
            size = 0
            try:
                while data := await self._read(answer, silence, decoder):
                    size = self._counted(size + len(data))
                    for delta in decoder.feed(data):
                        yield delta
                    if decoder.done:
                        silence.limit_to(_TAIL)  # the end of the body comes at once or is not worth waiting for
            finally:
                silence.close()
                await answer.close()
        yield decoder.reply()

    async def _send(self, body: bytes, *, stream: bool) -> Answer:
        """Send the request. Raises the error that the answer's status means."""
        if watcher is not None:
            watcher(self.exchange.host)
        answer = await self.exchange.send(self.dialect.path, body, stream=stream)
        if 200 <= answer.status < 300:
            return answer
        try:
            said = await self._body(answer)
        finally:
            await answer.close()
        raise error_from(answer.status, said, answer.headers, provider=self.provider, now=self.clock.now(), url=self._url())

    async def _body(self, answer: Answer) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while piece := await answer.read():
            pieces.append(piece)
            size = self._counted(size + len(piece))
        return b"".join(pieces)

    async def _read(self, answer: Answer, silence: "Silence", decoder: Decoder) -> bytes:
        """The next bytes; none at the end, and where the stream breaks though its reply is whole."""
        try:
            with silence:
                return await answer.read()
        except (ProviderError, TimeoutError) as error:
            if decoder.finished:
                return b""
            if isinstance(error, ProviderError):
                raise
            raise too_slow(self.provider, "said nothing", silence.limit) from error

    def _counted(self, size: int) -> int:
        if size > LARGEST_BODY:
            words = f"The reply of {self.provider} is larger than {LARGEST_BODY >> 20} MiB. Nothing of it was acted on."
            raise BadReply(words, provider=self.provider)
        return size

    def _no_answer(self) -> ProviderTimeout:
        return too_slow(self.provider, "did not answer", self.timeout, self._url())

    def _url(self) -> str:
        return self.exchange.url(self.dialect.path)


def _wait(error: ProviderError, attempt: int, clock: Clock) -> float:
    """Seconds to the next attempt: what the provider asked for at least, and a growing chance above it."""
    asked = error.retry_after if isinstance(error, RateLimited) else None
    spread = clock.chance() * min(8.0, 0.5 * 2.0 ** (attempt - 1))
    return spread if asked is None else asked + spread


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

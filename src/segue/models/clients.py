"""Clients that a user hands in, as carriers: an `openai` client for its credentials and its HTTP set-up, or any object that
has `chat.completions.create`. Their answers go through the same codec as everybody's."""

import asyncio
import contextlib
import contextvars
import inspect
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from segue.errors import ProviderError, UsageError
from segue.models.exchange import Answer, Exchange, connection_failed, too_slow
from segue.wire.errors import error_from
from segue.wire.jsontext import dumps, loads
from segue.wire.sse import encode_event


def exchange_for(client: Any, provider: str, timeout: float | None) -> Exchange:
    """What sends over this client."""
    openai = sys.modules.get("openai")  # whoever has such a client has imported it
    if openai is not None and isinstance(client, openai.AsyncOpenAI):
        return SdkExchange(client, openai, provider, timeout)
    if openai is not None and isinstance(client, openai.OpenAI):
        client = client.with_options(max_retries=0, timeout=timeout)
        return CreateExchange(client, provider, str(client.base_url.host))
    return CreateExchange(client, provider)


# --- an openai client: the same bytes over its HTTP


class SdkExchange:
    """Sends over an `AsyncOpenAI`: its base URL, its headers, its connections, without its retries."""

    def __init__(self, client: Any, openai: Any, provider: str, timeout: float | None) -> None:
        class Untouched(openai.AsyncStream[object]):  # type: ignore[misc, name-defined, unused-ignore]
            """The response as it came, where the client would put a parser of its own."""

            def __init__(self, *, response: Any, **parser: Any) -> None:
                self.response = response

        self.host = str(client.base_url.host)
        self._base_url = str(client.base_url).rstrip("/")
        self._client = client.with_options(max_retries=0, timeout=timeout)
        self._as_values = isinstance(client, openai.AsyncAzureOpenAI)  # it finds its URL by looking at the model's name
        self._stream_cls = Untouched
        self._provider = provider

    async def send(self, path: str, body: bytes, *, stream: bool) -> Answer:
        """Send the body and give the answer."""
        sent: dict[str, Any] = {"body": loads(body)} if self._as_values else {"content": body}
        options = {"headers": {"Content-Type": "application/json"}}
        with _meaning(self._provider, self.url(path)):
            raw = await self._client.post("/" + path, cast_to=object, stream=True, stream_cls=self._stream_cls, options=options, **sent)
        return SdkAnswer(raw.response, self._provider)

    def url(self, path: str) -> str:
        """Where a request for this path goes, as far as the base URL says."""
        return f"{self._base_url}/{path}"

    def turn(self) -> AbstractAsyncContextManager[None]:
        """The client has a limit of its own."""
        return contextlib.nullcontext()

    async def aclose(self) -> None:
        """The client belongs to who made it, and stays open."""


class SdkAnswer:
    """An answer over the client's HTTP."""

    def __init__(self, response: Any, provider: str) -> None:
        self._response = response
        self._pieces: AsyncIterator[bytes] = response.aiter_bytes()
        self._provider = provider
        self.status: int = response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, by lower-case names."""
        return {name.lower(): value for name, value in self._response.headers.items()}

    async def read(self) -> bytes:
        """What has come since."""
        with _meaning(self._provider, self._response.url):
            return await anext(self._pieces, b"")

    async def close(self) -> None:
        """Let go of the connection."""
        with contextlib.suppress(Exception):  # it is being closed because it is of no more use
            await self._response.aclose()


_OTHER_LOOP = ("Event loop is closed", "attached to a different loop", "bound to a different event loop")
"""What asyncio says where something that was made on one loop is used on another."""


@contextlib.contextmanager
def _meaning(provider: str, url: object = "") -> Iterator[None]:
    """Turn a client's errors into ours, by what they carry: clients differ, and none is imported here."""
    try:
        yield
    except (ProviderError, UsageError, TimeoutError):
        raise
    except Exception as error:
        raise _meant(error, provider, _asked(error) or str(url)) from error


def _asked(error: Exception) -> str:
    """The URL of the request that an error of a client carries, if it does."""
    return str(getattr(vars(error).get("request"), "url", ""))


def _meant(error: Exception, provider: str, url: str) -> ProviderError:
    status = getattr(error, "status_code", None)
    name = type(error).__name__
    if isinstance(status, int) and status >= 400:
        headers = getattr(getattr(error, "response", None), "headers", None) or {}
        body = getattr(error, "body", None)
        lower = {str(key).lower(): str(value) for key, value in dict(headers).items()}
        said = {"error": body} if isinstance(body, Mapping) else body
        return error_from(status, dumps(said), lower, provider=provider, url=url)
    if _is_of_another_loop(error):
        words = f"The client of {provider} was used on another event loop before, and belongs to that one."
        mend = 'Give the model as a string, as in model="openai:gpt-5-mini": Segue then has a client for each loop.'
        return ProviderError(f"{words} {mend}", provider=provider)
    if "Timeout" in name:
        return too_slow(provider, "did not answer", None, url)
    if isinstance(error, OSError) or any(word in name for word in ("Connect", "Protocol", "Read", "Transport", "Network")):
        return connection_failed(provider, "failed", error, url)
    return ProviderError(f"The client of {provider} raised {name}. Look at the client.", provider=provider)


def _is_of_another_loop(error: BaseException) -> bool:
    """Whether asyncio refused it, itself or inside of a client's own error, because of the loop that it was asked on."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, RuntimeError):
        found = found.__cause__
    return found is not None and any(words in str(found) for words in _OTHER_LOOP)


# --- any object that has chat.completions.create


class CreateExchange:
    """Calls `client.chat.completions.create` (or `responses.create`), sync or async, with the request's fields."""

    def __init__(self, client: Any, provider: str, host: str = "") -> None:
        self.host = host
        self._client = client
        self._provider = provider

    async def send(self, path: str, body: bytes, *, stream: bool) -> Answer:
        """Call the client and give its answer."""
        create = self._client
        for name in (*path.split("/"), "create"):
            create = getattr(create, name, None)
        if not callable(create):
            raise UsageError(f"client={type(self._client).__name__} has no {path.replace('/', '.')}.create. Hand in a client that has.")
        with _meaning(self._provider):
            answer = await _called(create, loads(body))
        if hasattr(answer, "__aiter__"):
            return CreateAnswer(aiter(answer), self._provider, done=_says_when_done(answer))
        if stream and hasattr(answer, "__iter__") and not isinstance(answer, Mapping) and not hasattr(answer, "model_dump"):
            return CreateAnswer(_pumped(answer), self._provider, done=_says_when_done(answer))
        return CreateAnswer(_alone(answer), self._provider, whole=True)

    def turn(self) -> AbstractAsyncContextManager[None]:
        """The client has a limit of its own."""
        return contextlib.nullcontext()

    def url(self, path: str) -> str:
        """Only the client knows."""
        return ""

    async def aclose(self) -> None:
        """The client belongs to who made it, and stays open."""


class CreateAnswer:
    """A client's answer: objects, written down as a provider would have sent them."""

    status = 200
    headers: Mapping[str, str] = {}

    def __init__(self, pieces: AsyncIterator[Any], provider: str, *, whole: bool = False, done: bool = False) -> None:
        self._pieces = pieces
        self._provider = provider
        self._whole = whole
        self._done = done
        """Whether the end of the iteration is the end of the reply."""
        self._ended = False

    async def read(self) -> bytes:
        """The next object as an event, or the whole answer."""
        if self._ended:
            return b""
        with _meaning(self._provider):
            piece = await anext(self._pieces, _END)
        if piece is _END:
            self._ended = True
            return encode_event(b"[DONE]") if self._done else b""
        written = dumps(values_of(piece))
        return written if self._whole else encode_event(written)

    async def close(self) -> None:
        """Stop the iteration, where that can be done."""
        stop = getattr(self._pieces, "aclose", None) or getattr(self._pieces, "close", None)
        if callable(stop):
            stopped = stop()
            if inspect.isawaitable(stopped):
                await stopped


_END = object()


def _says_when_done(answer: Any) -> bool:
    """Whether an iterator that comes to its end was not cut: an openai client's also ends, in silence, where its connection does."""
    openai = sys.modules.get("openai")
    return openai is None or not isinstance(answer, openai.Stream | openai.AsyncStream)


def values_of(answer: Any) -> Any:
    """An answer as JSON values: a pydantic model, a dictionary, or an object with attributes."""
    if answer is None or isinstance(answer, str | int | float | bool):
        return answer
    if isinstance(answer, Mapping):
        return {str(key): values_of(value) for key, value in answer.items()}
    if isinstance(answer, list | tuple):
        return [values_of(value) for value in answer]
    dump = getattr(answer, "model_dump", None)
    if callable(dump):
        return dump()
    return {key: values_of(value) for key, value in vars(answer).items() if not key.startswith("_")}


async def _called(create: Callable[..., Any], fields: dict[str, Any]) -> Any:
    if inspect.iscoroutinefunction(create):
        return await create(**fields)
    answer = await _in_thread(lambda: create(**fields))
    return await answer if inspect.isawaitable(answer) else answer


async def _alone(answer: Any) -> AsyncIterator[Any]:
    yield answer


async def _in_thread(call: Callable[[], Any]) -> Any:
    """Wait for a call that blocks. Its thread holds nobody up who no longer waits, not even the end of the program."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)

    def work() -> None:
        result, failed = None, None
        try:
            result = call()
        except BaseException as error:
            failed = RuntimeError("the client stopped") if isinstance(error, StopIteration) else error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=contextvars.copy_context().run, args=(work,), name="segue-client", daemon=True).start()
    return await done


async def _pumped(pieces: Iterable[Any]) -> AsyncGenerator[Any]:
    """Iterate something that blocks, in one thread."""
    loop = asyncio.get_running_loop()
    came: asyncio.Queue[Any] = asyncio.Queue()
    left = threading.Event()

    def pump() -> None:
        for piece in pieces:
            if left.is_set():
                return
            loop.call_soon_threadsafe(came.put_nowait, piece)

    pumping = asyncio.ensure_future(_in_thread(pump))
    pumping.add_done_callback(lambda _: came.put_nowait(_END))
    try:
        while (piece := await came.get()) is not _END:
            yield piece
        await pumping
    finally:
        left.set()
        pumping.cancel()

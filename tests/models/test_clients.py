"""Clients that a user hands in: their answers are decoded as everybody's are."""

import asyncio
import gc
import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from segue.core.messages import Call, Reply, System, User
from segue.errors import BadReply, ProviderError, ProviderRefused, ProviderTimeout, RateLimited, UsageError
from segue.model import Model, ModelRequest, ModelSettings, Restarted, TextDelta, ToolSpec
from segue.models import OpenAIChat, OpenAIResponses
from segue.models.carrier import Clock
from segue.wire.openai_responses_server import StreamEncoder, encode_reply
from tests.acting import until
from tests.loopback import DONE, HANG, RESET, Loopback, begun, call, chunk, completion, in_thread, stream, usage_chunk, whole

HELLO = [chunk("Hel"), chunk("lo"), chunk(finish="stop"), usage_chunk(5, 2), DONE]


async def no_wait(seconds: float) -> None:
    pass


def model(client: Any, kind: type[OpenAIChat] | type[OpenAIResponses] = OpenAIChat, **options: Any) -> Model:
    return kind("m", client=client, **({"_clock": Clock(sleep=no_wait)} | options))


async def ask(model: Model, *, stream: bool = False, idle_timeout: float | None = 5) -> list[Any]:
    request = ModelRequest([System("s"), User("Hi")], (ToolSpec("f", "", {}),), stream=stream, idle_timeout=idle_timeout)
    return [piece async for piece in model.reply(request)]


# --- AsyncOpenAI: the same bytes over its HTTP


@pytest.fixture
async def sdk() -> AsyncIterator[Any]:
    made: list[openai.AsyncOpenAI] = []

    def make(server: Loopback) -> openai.AsyncOpenAI:
        made.append(openai.AsyncOpenAI(base_url=server.url, api_key="sk-1", default_headers={"X-Team": "blue"}))
        return made[-1]

    yield make
    for client in made:
        await client.close()


async def test_an_openai_client_carries_the_same_bytes(sdk: Any):
    async with Loopback(whole(completion("Hello", call("f", "{}"))), whole(completion("Hello"))) as server:
        [reply] = await ask(model(sdk(server)))
        await ask(OpenAIChat("m", base_url=server.url))
    assert (reply.text, reply.calls) == ("Hello", (Call("call_1", "f", "{}"),))
    theirs, ours = server.requests
    assert (theirs.path, theirs.body) == (ours.path, ours.body)
    assert (theirs.headers["authorization"], theirs.headers["x-team"]) == ("Bearer sk-1", "blue")
    assert theirs.headers["content-type"] == "application/json"


async def test_an_openai_client_streams(sdk: Any):
    async with Loopback(stream(*HELLO)) as server:
        *deltas, reply = await ask(model(sdk(server)), stream=True)
    assert deltas == [TextDelta("Hel"), TextDelta("lo")]
    assert (reply.text, reply.usage.input) == ("Hello", 5)


@pytest.mark.parametrize("streams", [False, True])
async def test_an_openai_client_speaks_responses(sdk: Any, streams: bool):
    reply = Reply("Hello", finish="stop", model="m", dialect="openai-responses")
    async with Loopback(stream(StreamEncoder("m").whole(reply)) if streams else whole(encode_reply(reply))) as server:
        assert (await ask(model(sdk(server), OpenAIResponses), stream=streams))[-1] == reply
    assert server.requests[0].path == "/v1/responses"


async def test_retries_have_one_owner(sdk: Any):
    async with Loopback(whole({"error": {"message": "m"}}, 500)) as server:
        with pytest.raises(ProviderError, match="HTTP 500"):
            await ask(model(sdk(server), max_retries=1))
    assert len(server.requests) == 2


async def test_a_broken_stream_of_an_openai_client_is_tried_again(sdk: Any):
    async with Loopback(begun(chunk("Hel"), RESET), begun(chunk("Hel"), HANG), stream(*HELLO)) as server:
        pieces = await ask(model(sdk(server)), stream=True, idle_timeout=0.1)
    assert [piece for piece in pieces if isinstance(piece, Restarted)] == [Restarted(2), Restarted(3)]
    assert pieces[-1].text == "Hello"


async def test_errors_of_an_openai_client_are_ours(sdk: Any):
    limited = whole({"error": {"message": "m", "code": "rate_limit_exceeded"}}, 429, {"Retry-After": "7"})
    refused = whole({"error": {"message": "sk-1 is wrong", "code": "invalid_api_key"}}, 401)
    async with Loopback(limited, refused, [RESET], [HANG]) as server:
        client = model(sdk(server), max_retries=0)
        with pytest.raises(RateLimited) as raised:
            await ask(client)
        assert raised.value.retry_after == 7
        with pytest.raises(ProviderRefused, match="invalid_api_key") as refusal:
            await ask(client)
        assert "sk-1" not in str(refusal.value)
        with pytest.raises(ProviderError) as reset:
            await ask(client)
        assert reset.value.retryable
        with pytest.raises(ProviderTimeout):
            await ask(model(sdk(server), max_retries=0, timeout=0.2))


async def test_errors_of_an_openai_client_say_where_the_request_went(sdk: Any):
    async with Loopback(whole(b"<html>no</html>", 404), [RESET]) as server:
        client = model(sdk(server), max_retries=0)
        for words in ("HTTP 404", "APIConnectionError"):
            with pytest.raises(ProviderError, match=rf"\({words}, at {server.url}/chat/completions\)"):
                await ask(client)


async def test_an_azure_client_finds_its_deployment():
    async with Loopback(whole(completion("Hello"))) as server:
        async with openai.AsyncAzureOpenAI(azure_endpoint=f"http://{server.host}", api_key="k", api_version="2024-10-21") as client:
            [reply] = await ask(model(client))
    assert reply.text == "Hello"
    assert server.requests[0].path.startswith("/openai/deployments/m/chat/completions")


async def test_a_clients_model_can_be_closed_and_its_client_stays_open(sdk: Any):
    async with Loopback(whole(completion("Hello"))) as server:
        client = model(sdk(server))
        await ask(client)
        await client.aclose()  # type: ignore[attr-defined]
        assert (await ask(client))[-1].text == "Hello"


async def test_a_blocking_openai_client_is_used_in_a_thread():
    async with Loopback(whole(completion("Hello")), stream(*HELLO), whole({}, 500)) as server:
        with openai.OpenAI(base_url=server.url, api_key="sk-1") as client:
            assert (await ask(model(client)))[-1].text == "Hello"
            *deltas, reply = await ask(model(client), stream=True)
            with pytest.raises(ProviderError, match="HTTP 500"):
                await ask(model(client, max_retries=0))
    assert deltas == [TextDelta("Hel"), TextDelta("lo")]
    assert reply.usage.input == 5
    assert len(server.requests) == 3


ANOTHER_LOOP = "used on another event loop before, and belongs to that one. Give the model as a string"


def asked_on_two_loops(server: Loopback) -> str:
    made = model(openai.AsyncOpenAI(base_url=server.url, api_key="sk-1"), max_retries=0)
    assert asyncio.run(ask(made))[-1].text == "Hello"
    try:
        return str(asyncio.run(ask(made))[-1].text)
    except ProviderError as error:
        return str(error)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_an_openai_client_that_is_used_on_a_second_event_loop_is_told_to_belong_to_the_first():
    with in_thread(whole(completion("Hello"))) as server:
        assert ANOTHER_LOOP in asked_on_two_loops(server)
    gc.collect()  # the client's connection, which cannot be closed without its loop, is lost here and not in another test


class ConnectionBroke(Exception):
    """A client's own error, around what it met."""


OF_LOOPS = [
    "Event loop is closed",
    "Task <Task pending> got Future <Future pending> attached to a different loop",
    "<asyncio.locks.Lock object at 0x7f> is bound to a different event loop",
]


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("words", OF_LOOPS)
async def test_what_asyncio_says_of_another_loop_is_told_with_the_mend_also_inside_of_a_clients_error(words: str, wrapped: bool):
    async def create(**fields: Any) -> Any:
        if not wrapped:
            raise RuntimeError(words)
        raise ConnectionBroke from RuntimeError(words)

    client = SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=create)))
    with pytest.raises(ProviderError, match=re.escape(ANOTHER_LOOP)):
        await ask(model(client, max_retries=0))


async def test_another_runtime_error_of_a_client_is_not_blamed_on_loops():
    async def create(**fields: Any) -> Any:
        raise RuntimeError("the licence has run out")

    client = SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=create)))
    with pytest.raises(ProviderError, match="raised RuntimeError"):
        await ask(model(client, max_retries=0))


# --- anything with chat.completions.create


class Fake:
    """A client that gives what it was told to, and remembers what it was asked and where."""

    def __init__(self, answer: Any, *, is_async: bool = False) -> None:
        self.asked: list[dict[str, Any]] = []
        self.threads: list[str] = []
        self.chat = self.responses = self
        self.completions = self
        self._answer = answer
        if is_async:
            self.create = self._create_async

    def create(self, **fields: Any) -> Any:
        self.asked.append(fields)
        self.threads.append(threading.current_thread().name)
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer() if callable(self._answer) else self._answer

    async def _create_async(self, **fields: Any) -> Any:
        return Fake.create(self, **fields)


COMPLETION = {"id": "c", "created": 1} | completion("Hello", call("f", "{}"))
SHAPES: dict[str, Any] = {
    "a dictionary": COMPLETION,
    "an SDK object": ChatCompletion.model_validate(COMPLETION),
    "an object with attributes": json.loads(json.dumps(COMPLETION), object_hook=lambda fields: SimpleNamespace(**fields)),
    "something to be awaited": lambda: asyncio.sleep(0, COMPLETION),
}


@pytest.mark.parametrize(("shape", "is_async"), [(shape, False) for shape in SHAPES] + [(shape, True) for shape in list(SHAPES)[:3]])
@pytest.mark.parametrize("streams", [False, True])
async def test_any_object_with_create_is_used_as_it_is(shape: str, is_async: bool, streams: bool):
    client = Fake(SHAPES[shape], is_async=is_async)
    [reply] = await ask(model(client), stream=streams)
    assert (reply.text, reply.calls) == ("Hello", (Call("call_1", "f", "{}"),))
    [asked] = client.asked
    assert asked["messages"] == [{"role": "system", "content": "s"}, {"role": "user", "content": "Hi"}]
    assert (asked["model"], asked["tools"][0]["function"]["name"], asked.get("stream", False)) == ("m", "f", streams)
    assert (client.threads == ["segue-client"]) is not is_async


CHUNKS = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}]},
]
SDK_CHUNKS = [
    ChatCompletionChunk.model_validate({"id": "c", "created": 1, "model": "m", "object": "chat.completion.chunk"} | one) for one in CHUNKS
]


async def slowly(pieces: list[Any]) -> AsyncIterator[Any]:
    for piece in pieces:
        yield piece


STREAMS: dict[str, Any] = {
    "a list": lambda: CHUNKS,
    "a generator": lambda: (one for one in CHUNKS),
    "SDK objects": lambda: iter(SDK_CHUNKS),
    "an async generator": lambda: slowly(CHUNKS),
    "no finish, but an end": lambda: [CHUNKS[0], {"choices": [{"delta": {"content": "lo"}}]}],
}


@pytest.mark.parametrize("answer", STREAMS.values(), ids=STREAMS)
async def test_a_client_may_stream_in_its_own_way(answer: Any):
    *deltas, reply = await ask(model(Fake(answer)), stream=True)
    assert deltas == [TextDelta("Hel"), TextDelta("lo")]
    assert reply.text == "Hello"


def breaking(pieces: list[Any], error: Exception) -> Iterator[Any]:
    yield from pieces
    raise error


async def test_a_clients_stream_that_breaks_is_tried_again():
    answers = iter([breaking(CHUNKS[:1], ConnectionResetError()), iter(CHUNKS)])
    pieces = await ask(model(Fake(lambda: next(answers))), stream=True)
    assert pieces[:2] == [TextDelta("Hel"), Restarted(2)]
    assert pieces[-1].text == "Hello"


async def test_a_clients_stream_that_is_left_early_stops():
    reading: list[threading.Thread] = []

    def endless() -> Iterator[Any]:
        reading.append(threading.current_thread())
        while True:
            yield CHUNKS[0]

    pieces = OpenAIChat("m", client=Fake(endless)).reply(ModelRequest([User("Hi")], stream=True))
    await anext(pieces)
    await pieces.aclose()
    await until(lambda: not reading[0].is_alive())


class Refused(Exception):
    status_code = 404
    body = {"message": "secret words", "code": "model_not_found"}
    response = SimpleNamespace(headers={"Retry-After": "1"})


class ReadTimeout(Exception):
    pass


RAISED: list[tuple[Exception, type[ProviderError], bool]] = [
    (Refused("secret words"), ProviderRefused, False),
    (ReadTimeout("secret words"), ProviderTimeout, True),
    (TimeoutError("secret words"), ProviderTimeout, True),
    (ConnectionResetError("secret words"), ProviderError, True),
    (ValueError("secret words"), ProviderError, False),
    (StopIteration("secret words"), ProviderError, False),
    (BadReply("as it is"), BadReply, True),
]


@pytest.mark.parametrize(("raised", "kind", "retryable"), RAISED)
async def test_what_a_client_raises_is_a_providers_error(raised: Exception, kind: type[ProviderError], retryable: bool):
    with pytest.raises(ProviderError) as caught:
        await ask(model(Fake(raised), max_retries=0))
    assert type(caught.value) is kind
    assert caught.value.retryable is retryable
    assert "secret" not in str(caught.value)


async def test_a_blocking_client_that_hangs_has_its_limit_and_holds_nobody_up():
    let_go = threading.Event()
    try:
        with pytest.raises(ProviderTimeout):
            await ask(model(Fake(let_go.wait), max_retries=0, timeout=0.05))
    finally:
        let_go.set()


@pytest.mark.parametrize("client", [object(), SimpleNamespace(chat=SimpleNamespace())])
async def test_a_client_without_create_is_a_mistake_that_says_so(client: Any):
    with pytest.raises(UsageError, match=r"no chat\.completions\.create"):
        await ask(model(client))


async def test_a_clients_responses_are_used():
    answer = json.loads(encode_reply(Reply("Hello", finish="stop", model="m", dialect="openai-responses")))
    client = Fake(answer)
    [reply] = await ask(model(client, OpenAIResponses))
    assert reply.text == "Hello"
    assert client.asked[0]["instructions"] == "s"


def test_a_clients_model_shows_its_client_and_no_key():
    assert repr(OpenAIChat("m", client=openai.OpenAI(api_key="sk-secret"))) == "OpenAIChat('m', provider='openai', client=OpenAI)"


# --- openai clients that block: what their provider is sent and what broke off is known as of any other


@pytest.fixture
def blocking() -> Iterator[Any]:
    made: list[openai.OpenAI] = []

    def make(url: str) -> openai.OpenAI:
        made.append(openai.OpenAI(base_url=url, api_key="sk-1"))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.mark.parametrize("said", [[chunk("Unless")], [chunk(tool_calls=[{"index": 0} | call("pay", "{}")])]], ids=["a text", "a call"])
async def test_a_stream_that_breaks_off_is_no_reply_though_the_clients_iterator_just_ends(blocking: Any, said: list[Any]):
    async with Loopback(stream(*said)) as server:
        with pytest.raises(BadReply, match="broke off before its end"):
            await ask(model(blocking(server.url), max_retries=0), stream=True)


def test_a_client_that_blocks_is_sent_what_its_provider_takes(blocking: Any):
    request = ModelRequest([User("Hi")], settings=ModelSettings(max_tokens=5))
    assert b'"max_completion_tokens":5' in OpenAIChat("m", client=blocking("https://api.openai.com/v1")).encode(request)
    assert b'"max_tokens":5' in OpenAIChat("m", client=blocking("https://other.example/v1")).encode(request)

"""OpenAI's carriers, over real HTTP on this machine."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from segue.core.messages import Call, Reply, User
from segue.errors import ProviderRefused, UsageError
from segue.model import CallDelta, ModelRequest, ModelSettings, TextDelta, ToolSpec
from segue.models import OpenAIChat, OpenAIResponses
from segue.wire.openai_responses_server import StreamEncoder, encode_reply
from tests.loopback import CLOSE, Loopback, call, completion, head, stream, whole
from tests.models.asking import HELLO, ask, chat, text

# --- a reply


async def test_a_whole_reply_comes_alone():
    async with Loopback(whole(completion("Hello", call("f", "{}")))) as server:
        model = OpenAIChat("m", base_url=server.url, api_key="sk-1", headers={"X-Team": "blue"})
        [reply] = await ask(model)
    assert (reply.text, reply.calls, reply.usage.input) == ("Hello", (Call("call_1", "f", "{}"),), 3)
    [request] = server.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert (request.headers["authorization"], request.headers["x-team"]) == ("Bearer sk-1", "blue")
    assert request.json() == {"model": "m", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "Hi"}]}


async def test_a_streamed_reply_comes_in_pieces_and_then_whole():
    async with Loopback(stream(*HELLO)) as server:
        *deltas, reply = await ask(chat(server), stream=True)
    assert deltas == [TextDelta("Hel"), TextDelta("lo")]
    assert (reply.text, reply.finish, reply.usage.input) == ("Hello", "stop", 5)
    assert server.requests[0].json()["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("stream_asked", [False, True])
async def test_responses_are_spoken_too(stream_asked: bool):
    reply = Reply("Hello", (Call("c1", "f", "{}"),), "tool_calls", model="m", dialect="openai-responses")
    raw = StreamEncoder("m").whole(reply)
    async with Loopback(stream(raw) if stream_asked else whole(encode_reply(reply))) as server:
        *deltas, got = await ask(OpenAIResponses("m", base_url=server.url), stream=stream_asked)
    assert got == reply
    assert deltas == ([TextDelta("Hello"), CallDelta(0, "f", ""), CallDelta(0, "", "{}")] if stream_asked else [])
    assert (server.requests[0].path, server.requests[0].json()["instructions"]) == ("/v1/responses", "s")


async def test_a_server_that_streams_unasked_or_does_not_when_asked_is_understood():
    async with Loopback(stream(*HELLO), whole(completion("Hello"))) as server:
        assert await text(chat(server)) == "Hello"
        [reply] = await ask(chat(server), stream=True)
    assert reply.text == "Hello"


async def test_a_reply_whose_end_is_the_end_of_the_connection_is_whole():
    async with Loopback([head(content_type="text/event-stream"), *HELLO, CLOSE]) as server:
        assert (await ask(chat(server), stream=True))[-1].text == "Hello"


async def test_a_large_request_is_sent():
    async with Loopback(whole(completion("Hello"))) as server:
        request = ModelRequest([User("x" * (3 << 20))])
        [reply] = [piece async for piece in chat(server).reply(request)]
    assert isinstance(reply, Reply)
    assert len(server.requests[0].body) > 3 << 20


# --- keys and mistakes

SECRET = "sk-very-secret-0123456789"


async def test_keys_are_shown_nowhere(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    said = {"error": {"message": f"Incorrect key {SECRET}", "code": SECRET, "type": SECRET}}
    async with Loopback(whole(said, 500), whole(said, 401)) as server:
        model = chat(server, api_key=SECRET, headers={"X-Key": SECRET})
        with pytest.raises(ProviderRefused) as raised:
            await ask(model)
    shown = [
        repr(model),
        str(raised.value),
        repr(raised.value),
        repr(vars(raised.value)),
        *(record.getMessage() for record in caplog.records),
    ]
    assert not [words for words in shown if SECRET in words]
    assert any("attempt 1 of 3" in words for words in shown)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)

    def setenv(**names: str) -> None:
        for name, value in names.items():
            monkeypatch.setenv(name, value)

    return setenv


async def test_the_environment_names_url_and_key(environment: Callable[..., None]):
    async with Loopback(whole(completion("Hello"))) as server:
        environment(OPENAI_BASE_URL=server.url, OPENAI_API_KEY="sk-env")
        await text(OpenAIChat("m"))
    assert server.requests[0].headers["authorization"] == "Bearer sk-env"


async def test_the_environments_key_goes_to_no_other_url(environment: Callable[..., None]):
    environment(OPENAI_API_KEY="sk-env")
    async with Loopback(whole(completion("Hello"))) as server:
        await text(chat(server))
    assert "authorization" not in server.requests[0].headers


async def test_no_key_for_openai_is_a_mistake_that_says_so(environment: Callable[..., None]):
    with pytest.raises(UsageError, match="OPENAI_API_KEY"):
        await ask(OpenAIChat("m"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"base_url": "localhost:1234/v1"}, "http"),
        ({"base_url": "ftp://x/v1"}, "http"),
        ({"base_url": "http://[bad/v1"}, "not a URL"),
        ({"base_url": "http://127.0.0.1:9", "api_key": "sk-é"}, "characters"),
    ],
)
async def test_a_mistaken_url_or_key_is_said_when_it_is_used(options: dict[str, str], words: str):
    with pytest.raises(UsageError, match=words):
        await ask(OpenAIChat("m", **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("arguments", [{"model": ""}, {"model": None}, {"model": "m", "client": object(), "api_key": "k"}])
def test_a_mistaken_model_is_said_when_it_is_made(arguments: dict[str, Any]):
    with pytest.raises(UsageError):
        OpenAIChat(**arguments)


async def test_proxies_of_the_environment_are_used_but_not_for_this_machine(monkeypatch: pytest.MonkeyPatch):
    async with Loopback(whole(completion("Hello"))) as server:
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("http_proxy", f"http://{server.host}")
        assert await text(OpenAIChat("m", base_url="http://model.example/v1")) == "Hello"
        assert server.requests[0].path == "http://model.example/v1/chat/completions"
        assert await text(chat(server)) == "Hello"
        assert server.requests[1].path == "/v1/chat/completions"


@pytest.mark.parametrize(
    ("host", "provider", "fields"),
    [
        ("api.openai.com", "openai", {"max_completion_tokens", "stream_options"}),
        ("x.openai.azure.com", "azure", {"max_completion_tokens", "stream_options"}),
        ("api.mistral.ai", "mistral", {"max_tokens"}),
        ("localhost", "llama-cpp", {"max_tokens", "stream_options", "parallel_tool_calls"}),
        ("localhost", "openai", {"max_tokens", "stream_options"}),
    ],
)
def test_a_request_has_the_form_that_its_host_takes(host: str, provider: str, fields: set[str]):
    model = OpenAIChat("m", base_url=f"https://{host}/v1", api_key="k", provider=provider)
    request = ModelRequest([User("Hi")], (ToolSpec("f", "", {}),), ModelSettings(max_tokens=3), stream=True)
    optional = {"max_tokens", "max_completion_tokens", "stream_options", "parallel_tool_calls"}
    assert set(json.loads(model.encode(request))) & optional == fields


async def test_a_server_that_is_not_secure_is_refused_at_once():
    def speak_plainly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(speak_plainly, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ProviderRefused, match="no secure connection"):
            await ask(OpenAIChat("m", base_url=f"https://127.0.0.1:{port}/v1"))

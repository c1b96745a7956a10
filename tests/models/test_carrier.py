"""Attempts, waits and limits of time, over real HTTP on this machine."""

import asyncio
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest

from segue.core.messages import Reply, User
from segue.errors import BadReply, ContextTooLong, ProviderError, ProviderRefused, ProviderTimeout, RateLimited, UsageError
from segue.model import CallDelta, ModelRequest, Restarted, TextDelta
from segue.models import OpenAIChat, carrier
from segue.models.exchange import connection_failed
from tests.acting import pass_time
from tests.loopback import CLOSE, HANG, RESET, Bit, Loopback, Pause, Request, begun, call, chunk, completion, event, head, stream, whole
from tests.models.asking import HELLO, NOW, Slept, ask, chat, text

# --- again


BROKEN: dict[str, Any] = {
    "500": whole({"error": {"message": "oops"}}, 500),
    "503 with a page": whole(b"<html>busy</html>", 503, content_type="text/html"),
    "408": whole({}, 408),
    "409": whole({}, 409),
    "429": whole({"error": {"type": "requests"}}, 429),
    "a reset": [RESET],
    "a reset in the middle of a body": [head(headers={"Content-Length": "900"}), b"{", RESET],
    "an early end": [head(headers={"Content-Length": "900"}), b"{", CLOSE],
    "no answer": [CLOSE],
    "no HTTP": [b"220 smtp ready\r\n\r\n", CLOSE],
    "an empty body": whole(b""),
    "an empty reply": whole(completion("")),
    "a page": whole(b"<html>hello</html>", content_type="text/html"),
    "cut JSON": whole(b'{"choices": [{"message": {"cont'),
    "an error in a 200": whole({"error": "overloaded"}),
    "another role": whole(completion("x", role="tool")),
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
async def test_what_is_broken_is_tried_again(answer: Any):
    slept = Slept()
    async with Loopback(answer, answer, whole(completion("Hello"))) as server:
        assert await text(chat(server, _clock=slept.clock)) == "Hello"
    assert len(server.requests) == 3
    assert slept.waits == [0.25, 0.5]


BROKEN_STREAMS: dict[str, Any] = {
    "a reset": begun(chunk("Hel"), RESET),
    "an end without a finish": stream(chunk("Hel")),
    "an end in the middle of a chunk": stream(chunk("Hel"), chunk("lo")[:20]),
    "an end in the middle of HTTP": begun(chunk("Hel"), CLOSE),
    "garbage": stream(chunk("Hel"), b"data: {cut\n\n", *HELLO),
    "an error": stream(chunk("Hel"), event({"error": {"code": 502, "message": "m"}})),
    "an error event": stream(chunk("Hel"), b"event: error\n" + event({"error": {"code": "tool_use_failed"}})),
    "a call without an end": begun(chunk("Hel"), chunk(tool_calls=[{"index": 0, **call("refund", '{"id": 1}')}]), RESET),
}


@pytest.mark.parametrize("answer", BROKEN_STREAMS.values(), ids=BROKEN_STREAMS)
async def test_who_saw_pieces_of_a_broken_stream_is_told_to_drop_them(answer: Any):
    async with Loopback(answer, stream(*HELLO)) as server:
        pieces = await ask(chat(server), stream=True)
    again = pieces.index(Restarted(2))
    assert all(isinstance(piece, TextDelta | CallDelta) for piece in pieces[:again])
    assert pieces[again + 1 : -1] == [TextDelta("Hel"), TextDelta("lo")]
    assert (pieces[-1].text, pieces[-1].calls) == ("Hello", ())


async def test_nobody_is_told_of_an_attempt_that_showed_nothing():
    async with Loopback(whole({}, 500), begun(RESET), stream(*HELLO)) as server:
        pieces = await ask(chat(server), stream=True)
    assert [type(piece) for piece in pieces] == [TextDelta, TextDelta, Reply]


async def test_attempts_are_counted_over_those_that_showed_nothing():
    async with Loopback(begun(chunk("a"), RESET), whole({}, 500), stream(*HELLO)) as server:
        pieces = await ask(chat(server), stream=True)
    assert [piece for piece in pieces if isinstance(piece, Restarted)] == [Restarted(2)]
    assert len(server.requests) == 3


async def test_what_breaks_after_the_reply_is_whole_takes_nothing_from_it():
    async with Loopback(begun(*HELLO[:3], RESET), begun(*HELLO[:3], HANG)) as server:
        for _ in range(2):
            assert (await ask(chat(server, max_retries=0), stream=True, idle_timeout=0.05))[-1].text == "Hello"


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, ProviderRefused), (401, ProviderRefused), (404, ProviderRefused), (302, ProviderRefused), (413, ContextTooLong)],
)
async def test_what_would_be_refused_again_is_not_tried_again(status: int, error: type[ProviderError]):
    said = {"error": {"message": "prompt is too long" if status == 413 else "no"}}
    async with Loopback(whole(said, status, {"Location": "http://127.0.0.1:9/"})) as server:
        with pytest.raises(error) as raised:
            await ask(chat(server))
    assert type(raised.value) is error
    assert (raised.value.status, raised.value.provider) == (status, "openai")
    assert len(server.requests) == 1


@pytest.mark.parametrize("retries", [0, 1, 2])
async def test_attempts_end(retries: int):
    async with Loopback(whole({}, 500)) as server:
        with pytest.raises(ProviderError):
            await ask(chat(server, max_retries=retries))
    assert len(server.requests) == retries + 1


async def test_a_host_that_is_not_there_is_a_providers_error():
    async with Loopback() as server:
        pass
    slept = Slept()
    with pytest.raises(ProviderError, match="connection to openai failed") as raised:
        await ask(chat(server, _clock=slept.clock))
    assert raised.value.retryable
    assert f"at {server.url}/chat/completions). Is it running?" in str(raised.value)
    assert len(slept.waits) == 2


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "0.0.0.0", "api.localhost"])
def test_a_server_on_this_machine_is_asked_whether_it_runs(host: str):
    url = f"http://{host}:11434/v1"
    assert f"(OSError, at {url}). Is it running?" in str(connection_failed("ollama", "failed", OSError(), url))
    assert "running" not in str(connection_failed("ollama", "broke in the middle of a reply", OSError(), url))


def test_a_server_elsewhere_is_named_without_what_may_be_secret():
    error = connection_failed("acme", "failed", OSError(), "https://ada:hunter2@api.example.com/v1?key=hunter2")
    assert str(error).endswith("(OSError, at https://api.example.com/v1). Try again, or look at the base URL.")
    assert "running" not in str(error)


async def test_a_base_url_without_v1_is_told_so_by_a_server_that_serves_nothing_there():
    async with Loopback(whole(b"404 page not found", 404, content_type="text/plain")) as server:
        with pytest.raises(ProviderRefused) as raised:
            await ask(OpenAIChat("m", base_url=f"http://{server.host}"))
    assert f"(HTTP 404, at http://{server.host}/chat/completions). Look at the base URL: it usually ends in /v1." in str(raised.value)


async def test_who_does_not_answer_is_named_by_its_url():
    async with Loopback([HANG]) as server:
        with pytest.raises(ProviderTimeout, match=f"at {server.url}/chat/completions"):
            await ask(chat(server, timeout=0.05, max_retries=0))


WAITS = [
    ({"Retry-After": "3"}, [3.5, 4.0]),
    ({"Retry-After-Ms": "250"}, [0.75, 1.25]),
    ({"Retry-After": formatdate(NOW + 7, usegmt=True)}, [7.5, 8.0]),
    ({"Retry-After": "soon"}, [0.5, 1.0]),
    ({}, [0.5, 1.0]),
]


@pytest.mark.parametrize(("headers", "waits"), WAITS)
async def test_a_wait_is_as_long_as_was_asked_for_at_least(headers: dict[str, str], waits: list[float]):
    slept = Slept(chance=1.0)
    async with Loopback(whole({}, 429, headers)) as server:
        with pytest.raises(RateLimited):
            await ask(chat(server, _clock=slept.clock))
    assert slept.waits == waits


async def test_nobody_waits_for_very_long():
    slept = Slept()
    async with Loopback(whole({}, 429, {"Retry-After": "3600"})) as server:
        with pytest.raises(RateLimited) as raised:
            await ask(chat(server, _clock=slept.clock))
    assert raised.value.retry_after == 3600
    assert (len(server.requests), slept.waits) == (1, [])


async def test_waits_grow_up_to_a_limit():
    slept = Slept(chance=1.0)
    async with Loopback(whole({}, 500)) as server:
        with pytest.raises(ProviderError):
            await ask(chat(server, max_retries=7, _clock=slept.clock))
    assert slept.waits == [0.5, 1, 2, 4, 8, 8, 8]


# --- time


@pytest.mark.parametrize("answer", [[HANG], [head(headers={"Content-Length": "9"}), HANG]])
async def test_a_whole_reply_has_its_limit(answer: Any):
    async with Loopback(answer) as server:
        with pytest.raises(ProviderTimeout, match=r"0\.05 seconds"):
            await ask(chat(server, timeout=0.05, max_retries=0))


async def test_a_stream_that_does_not_begin_has_its_limit():
    async with Loopback([HANG]) as server:
        with pytest.raises(ProviderTimeout):
            await ask(chat(server, timeout=0.05, max_retries=0), stream=True)


async def test_a_stream_that_falls_silent_is_tried_again():
    async with Loopback(begun(chunk("Hel"), HANG), stream(*HELLO)) as server:
        pieces = await ask(chat(server), stream=True, idle_timeout=0.05)
    assert pieces[:2] == [TextDelta("Hel"), Restarted(2)]
    assert pieces[-1].text == "Hello"


async def test_silence_is_a_timeout_when_nothing_is_left_to_try():
    async with Loopback(begun(chunk("Hel"), HANG)) as server:
        with pytest.raises(ProviderTimeout, match="said nothing"):
            await ask(chat(server, max_retries=0), stream=True, idle_timeout=0.05)
        await server.until(left=1)


async def test_a_slow_stream_that_goes_on_is_not_silent():
    seen: list[Any] = []

    def slowly(request: Request) -> Iterator[Bit]:
        for number, bit in enumerate(stream(*[chunk("x")] * 4, *HELLO[2:])):  # the head, four words, and the end
            yield bit
            if 1 <= number <= 4:
                while len(seen) < number:
                    yield Pause(0.001)
                yield Pause(0.01)  # it reads on
                pass_time(20)

    async with Loopback(slowly) as server:
        async for piece in chat(server, max_retries=0).reply(ModelRequest([User("Hi")], stream=True, idle_timeout=30)):
            seen.append(piece)
    assert seen[-1].text == "xxxx"


async def test_a_stream_without_a_limit_is_not_watched():
    async with Loopback(stream(*HELLO)) as server:
        assert (await ask(chat(server), stream=True, idle_timeout=None))[-1].text == "Hello"


async def test_silence_does_not_count_while_the_consumer_holds_a_delta():
    async with Loopback(begun(*HELLO, HANG)) as server:
        request = ModelRequest([User("Hi")], stream=True, idle_timeout=30)
        pieces = []
        async for piece in chat(server, max_retries=0).reply(request):
            pieces.append(piece)
            pass_time(40)
            await asyncio.sleep(0.01)  # the watch looks
    assert isinstance(pieces[-1], Reply)


# --- leaving


async def test_a_cancelled_reply_closes_its_connection_and_the_next_one_works():
    async with Loopback([HANG], whole(completion("Hello"))) as server:
        model = chat(server)
        asking = asyncio.ensure_future(ask(model))
        await server.until(requests=1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await server.until(left=1)
        assert await text(model) == "Hello"
    assert server.connections == 2


async def test_a_cancel_in_a_stream_is_a_cancel_and_no_timeout():
    async with Loopback(begun(chunk("Hel"), HANG)) as server:
        asking = asyncio.ensure_future(ask(chat(server), stream=True))
        await server.until(requests=1)
        await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await server.until(left=1)


async def test_a_stream_that_is_left_early_closes_its_connection():
    async with Loopback(begun(chunk("Hel"), HANG)) as server:
        pieces = chat(server).reply(ModelRequest([User("Hi")], stream=True))
        assert await anext(pieces) == TextDelta("Hel")
        await pieces.aclose()
        await server.until(left=1)
    assert len(server.requests) == 1


# --- measure


async def test_a_reply_beyond_all_measure_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(carrier, "LARGEST_BODY", 1 << 10)
    async with Loopback(whole(completion("x" * 2000)), stream(chunk("x" * 2000), *HELLO)) as server:
        for streams in (False, True):
            with pytest.raises(BadReply, match="larger than"):
                await ask(chat(server, max_retries=0), stream=streams)


async def test_who_watches_may_refuse_a_request(monkeypatch: pytest.MonkeyPatch):
    def refuse(host: str) -> None:
        raise UsageError(f"no requests to {host}")

    monkeypatch.setattr(carrier, "watcher", refuse)
    async with Loopback(whole(completion("Hello"))) as server:
        with pytest.raises(UsageError, match=r"127\.0\.0\.1"):
            await ask(chat(server))
    assert server.requests == []


# --- a limit that comes together with something else


class Slow:
    """A read that takes its time to end when it is broken off."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.reading = asyncio.Event()

    async def read(self) -> bytes:
        self.reading.set()
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(0.05)
            if self.error is not None:
                raise self.error
        return b""


async def broken_off(slow: Slow, limit: float) -> int:
    silence = carrier.Silence(limit)
    try:
        with silence:
            await slow.read()
    except (TimeoutError, RuntimeError):
        return asyncio.current_task().cancelling()
    finally:
        silence.close()
    raise AssertionError("it was not broken off")


async def test_a_cancel_of_others_is_theirs_though_the_limit_comes_before_it_has_got_through():
    slow = Slow()
    reading = asyncio.ensure_future(broken_off(slow, 0.02))
    await slow.reading.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


@pytest.mark.parametrize("error", [None, RuntimeError("closing failed")])
async def test_a_limit_takes_its_own_cancel_back_however_the_read_ends(error: Exception | None):
    assert await broken_off(Slow(error), 0.02) == 0

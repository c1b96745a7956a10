"""Connections: used again, limited, and closed with their loop."""

import asyncio
import gc
import logging
import warnings
from typing import Any

import pytest

from segue.core.messages import User
from segue.errors import ProviderRefused
from segue.model import ModelRequest, TextDelta
from segue.models import OpenAIChat
from tests.acting import pass_time
from tests.loopback import HANG, Answer, Loopback, Pause, Request, begun, chunk, completion, in_thread, stream, whole
from tests.models.asking import HELLO, ask, chat, text


async def test_connections_are_used_again_by_streams_and_whole_replies_and_throwaway_models():
    async with Loopback(stream(*HELLO), whole(completion("Hello")), stream(*HELLO), whole({}, 400), whole(completion("Hello"))) as server:
        for streams in (True, False, True):
            await ask(chat(server), stream=streams)
        with pytest.raises(ProviderRefused):
            await ask(chat(server))
        await ask(chat(server))
    assert (len(server.requests), server.connections) == (5, 1)


async def test_two_hundred_calls_at_once_are_all_answered():
    async with Loopback([Pause(0.05), *whole(completion("Hello"))]) as server:
        model = chat(server)
        assert await asyncio.gather(*(text(model) for _ in range(200))) == ["Hello"] * 200
    assert server.connections <= 200


async def test_more_calls_than_connections_wait_their_turn(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("segue.models.pool.CONNECTIONS", 3)
    async with Loopback([Pause(0.01), *whole(completion("Hello"))]) as server:
        model = chat(server, timeout=1)
        assert await asyncio.gather(*(text(model) for _ in range(12))) == ["Hello"] * 12
    assert server.connections == 3


async def test_a_model_can_be_closed_and_used_again():
    async with Loopback(whole(completion("Hello"))) as server:
        model = chat(server)
        await model.aclose()
        await text(model)
        await model.aclose()
        await text(model)
    assert server.connections == 2


async def test_closing_a_model_leaves_what_others_have_under_way():
    async with Loopback([Pause(0.05), *whole(completion("Hello"))]) as server:
        model = chat(server)
        other = asyncio.ensure_future(text(model))
        await server.until(requests=1)
        await model.aclose()
        assert await other == "Hello"


def test_connections_close_with_their_loop_without_a_word(caplog: pytest.LogCaptureFixture):
    with in_thread(whole(completion("Hello"))) as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        model = OpenAIChat("m", base_url=server.url)  # one model, several loops
        for _ in range(3):
            assert asyncio.run(text(model)) == "Hello"
            gc.collect()
    assert server.connections == 3
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_stream_that_is_left_open_closes_with_its_loop():
    async def leave(model: OpenAIChat) -> Any:
        pieces = model.reply(ModelRequest([User("Hi")], stream=True))
        return await anext(pieces), pieces

    with in_thread(begun(chunk("Hel"), HANG)) as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        delta, pieces = asyncio.run(leave(OpenAIChat("m", base_url=server.url)))
        del pieces
        gc.collect()
    assert delta == TextDelta("Hel")


async def test_who_waits_for_a_turn_may_go(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("segue.models.pool.CONNECTIONS", 1)
    async with Loopback([Pause(0.05), *whole(completion("Hello"))]) as server:
        model = chat(server)
        first = asyncio.ensure_future(text(model))
        await server.until(requests=1)
        second = asyncio.ensure_future(text(model))
        await asyncio.sleep(0)
        second.cancel()
        assert await first == "Hello"
        assert await text(model) == "Hello"
    assert second.cancelled()
    assert len(server.requests) == 2


async def test_waiting_for_a_turn_is_not_waiting_for_the_provider(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("segue.models.pool.CONNECTIONS", 1)

    def answer(request: Request) -> Answer:
        pass_time(20)
        return whole(completion("Hello"))

    async with Loopback(answer) as server:
        model = chat(server, timeout=30, max_retries=0)
        assert await asyncio.gather(*(text(model) for _ in range(4))) == ["Hello"] * 4

"""No request to a real model where that is denied, on whatever thread, loop or carrier."""

import asyncio
import threading

import pytest

from segue.agent import Agent
from segue.errors import UsageError
from segue.models.openai import OpenAIChat, OpenAIResponses
from segue.runner import Runner
from segue.testing import FunctionModel, RecordingModel, ReplayModel, ScriptedModel, allow_model_requests, deny_model_requests
from segue.throwaway import run, run_sync
from tests.loopback import Loopback, whole

REPLY = {"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello."}}]}


@pytest.fixture
async def server():
    async with Loopback(whole(REPLY)) as made:
        yield made


def chat(server):
    return OpenAIChat("m", base_url=server.url, api_key="k", max_retries=0)


async def ask(model):
    return (await run(Agent("A"), "Hi", model=model)).output


@pytest.mark.parametrize("kind", [OpenAIChat, OpenAIResponses])
async def test_a_denied_request_is_not_sent_and_the_error_tells_the_mend(server, kind):
    with deny_model_requests():
        with pytest.raises(UsageError, match=r"127\.0\.0\.1.*ScriptedModel.*ReplayModel.*allow_model_requests"):
            await ask(kind("m", base_url=server.url, api_key="k"))
    assert server.requests == []
    assert server.connections == 0


async def test_a_denied_stream_is_not_sent_either(server):
    with deny_model_requests():
        with pytest.raises(UsageError, match="deny_model_requests"):
            await Runner(Agent("A"), model=chat(server)).stream("Hi").finish()
    assert server.requests == []


async def test_models_that_ask_nobody_work_where_requests_are_denied(tmp_path):
    path = tmp_path / "r.jsonl"
    with deny_model_requests():
        assert await ask(ScriptedModel(["x"])) == "x"
        assert await ask(FunctionModel(lambda request: "x")) == "x"
        assert await ask(RecordingModel(ScriptedModel(["x"]), path)) == "x"
        assert await ask(ReplayModel(path)) == "x"


async def test_it_holds_on_other_threads_and_behind_the_portal(server):
    came: list[BaseException] = []

    def try_it(call):
        try:
            call()
        except UsageError as error:
            came.append(error)

    with deny_model_requests():
        calls = [lambda: run_sync(Agent("A"), "Hi", model=chat(server)), lambda: asyncio.run(ask(chat(server)))]
        for call in calls:
            thread = threading.Thread(target=try_it, args=(call,))
            thread.start()
            await asyncio.to_thread(thread.join, 10)
    assert len(came) == 2
    assert server.requests == []


async def test_it_ends_with_its_block_nests_and_can_be_lifted_inside(server):
    with deny_model_requests():
        with deny_model_requests():
            pass
        with pytest.raises(UsageError):
            await ask(chat(server))
        with allow_model_requests():
            assert await ask(chat(server)) == "Hello."
        with pytest.raises(UsageError):
            await ask(chat(server))
    assert await ask(chat(server)) == "Hello."


async def test_called_without_a_block_it_holds_until_it_is_left(server):
    rule = deny_model_requests()
    try:
        with pytest.raises(UsageError):
            await ask(chat(server))
    finally:
        rule.__exit__()
    assert await ask(chat(server)) == "Hello."

"""Hostile input that needs more than a table: every cut of a stream, networks that are not there, keys that must not leak,
interrupts, results that come late, floods, and inputs that are none."""

import asyncio
import contextlib
import gzip
import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from segue import Agent, Context, Limits, MemoryJournal, Runner, SegueError, UsageError, tool
from segue.errors import BadReply, ProviderError, ProviderRefused
from segue.events import ToolLate, ToolStarted, ToolUnknown
from segue.models import OpenAIChat
from segue.models import carrier as carriers
from segue.testing import ScriptedModel
from tests.acting import expiring
from tests.hostile.forms import Form, Raw, refund, says
from tests.hostile.stage import OFFERS, WELL, Provider, team
from tests.loopback import RESET, Bit, Loopback, Request, begun, chunk, event, head, in_thread, stream, whole
from tests.models.asking import Slept, chat

Ledger = Context[list[str]]

# --- cuts

LOST = '{"order": "A1", "amount": 5'
"""Of 50: with a brace behind it, this would pay the wrong sum."""
CHAT_CUT = [
    chunk(tool_calls=[{"index": 0, "id": "a", "type": "function", "function": {"name": "refund", "arguments": LOST}}]),
    chunk(tool_calls=[{"index": 0, "function": {"arguments": "0}"}}]),
    chunk(finish="tool_calls"),
]
RESPONSES_CUT = [
    event({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": LOST}),
    event({"type": "response.completed", "response": says(refund(LOST + "0}")).response()}),
]


@pytest.mark.parametrize(("end", "step"), [("", 1), (RESET, 3)], ids=["ended", "reset"])
@pytest.mark.parametrize(
    ("form", "events"), [(Form.CHAT_STREAM, CHAT_CUT), (Form.RESPONSES_STREAM, RESPONSES_CUT)], ids=["chat", "responses"]
)
async def test_a_stream_cut_at_any_byte_is_the_whole_reply_or_none_of_it(form: Form, events: list[bytes], end: str, step: int):
    sent, ledger, ran = b"".join(events), list[str](), list[int]()
    provider = Provider(form, [], OFFERS, forever=False)
    async with Loopback(provider.answer) as server:
        runner = Runner(team(), model=form.model("m", base_url=server.url, max_retries=0), deps=ledger)
        for cut in range(len(sent), -1, -step):
            bits: list[Bit] = [sent[:cut]] if cut else []
            provider.left = [Raw(begun(*bits, end) if end else stream(*bits))]
            with contextlib.suppress(BadReply if not end else ProviderError):
                await runner.stream("Hi", conversation="c").finish()
                ran.append(cut)
    assert provider.faults == []
    assert ledger == ["refund A1 50 none"] * len(ran)
    assert ran[0] == len(sent)
    assert min(ran) >= len(sent.rstrip())


# --- networks


async def test_after_a_server_that_was_not_there_the_conversation_goes_on_with_another():
    async with Loopback() as gone:
        pass
    runner = Runner(team(), model=chat(gone), deps=[])
    with pytest.raises(ProviderError, match="connection to openai failed") as raised:
        await runner.run("I want my money back.")
    provider = Provider(Form.CHAT_WHOLE, [], OFFERS, forever=False)
    provider.healthy = WELL
    async with Loopback(provider.answer) as server:
        response = await runner.run("And now?", conversation=raised.value.conversation, model=chat(server))
    assert (response.output, provider.faults) == (WELL, [])


async def test_a_server_without_encryption_where_there_should_be_some_is_a_providers_error():
    async with Loopback(whole({})) as server:
        model = OpenAIChat("m", base_url=server.url.replace("http:", "https:"), timeout=0.1, _clock=Slept().clock)
        with pytest.raises(ProviderError):
            await Runner(team(), model=model, deps=[]).run("Hi")
    assert server.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_with_the_key(status: int):
    async with Loopback(whole({})) as thief, Loopback(whole(b"", status, {"Location": thief.url})) as server:
        model = OpenAIChat("m", base_url=server.url, api_key="sk-secret-123")
        with pytest.raises(ProviderRefused):
            await Runner(team(), model=model, deps=[]).run("Hi")
    assert thief.requests == []


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
async def test_what_a_provider_echoes_of_a_key_is_in_no_error_and_in_no_log(status: int, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    said = {
        "error": {"message": "Incorrect API key: sk-secret-123", "type": "sk-secret-123", "code": "sk-secret-123", "param": "sk-secret-123"}
    }
    async with Loopback(whole(said, status, {"X-Key": "sk-secret-123"})) as server:
        model = OpenAIChat("m", base_url=server.url, api_key="sk-secret-123", _clock=Slept().clock)
        runner = Runner(team(), model=model, deps=[])
        with pytest.raises(ProviderError) as raised:
            await runner.run("Hi")
        stored = await runner.events(raised.value.conversation or "")
    error = raised.value
    assert "sk-secret" not in f"{error} {error!r} {vars(error)} {error.__cause__!r} {stored} {caplog.text}"


# --- floods


def flood(request: Request, bit: bytes) -> Any:
    yield head(200, {"Connection": "close"}, content_type="text/event-stream")
    while True:
        yield bit


@pytest.mark.parametrize("streams", [False, True])
async def test_a_reply_without_end_is_broken_off(streams: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(carriers, "LARGEST_BODY", 1 << 16)
    async with Loopback(lambda request: flood(request, chunk("x" * 1000))) as server:
        runner = Runner(team(), model=chat(server, max_retries=0), deps=[])
        with pytest.raises(BadReply, match="larger than"):
            await (runner.stream("Hi").finish() if streams else runner.run("Hi"))


@pytest.mark.parametrize("streams", [False, True])
async def test_a_small_body_that_unpacks_to_a_huge_one_is_broken_off(streams: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(carriers, "LARGEST_BODY", 1 << 20)
    packed = gzip.compress(b" " * (20 << 20))
    async with Loopback(whole(packed, headers={"Content-Encoding": "gzip"})) as server:
        runner = Runner(team(), model=chat(server, max_retries=0), deps=[])
        with pytest.raises(BadReply, match="larger than"):
            await (runner.stream("Hi").finish() if streams else runner.run("Hi"))


async def test_a_stream_of_keep_alives_without_end_is_ended_by_the_runs_time():
    async with Loopback(lambda request: flood(request, b": ping\n\n")) as server:
        runner = Runner(team(), model=chat(server), deps=[], limits=Limits(run_timeout=0.2))
        async with runner.stream("Hi") as items:
            async for _ in items:
                pass
        response = items.response
        again = await runner.run("And now?", conversation=response.conversation, model=ScriptedModel([WELL]))
    assert (response.status, response.error.limit) == ("limited", "run_timeout")  # type: ignore[union-attr]
    assert again.output == WELL


# --- results that come late


async def test_what_a_tool_says_after_it_was_given_up_is_told_in_the_next_turn_and_not_run_again():
    begun, go_on = threading.Event(), threading.Event()

    def hangs(ctx: Ledger) -> str:
        ctx.deps.append("hangs")
        begun.set()
        go_on.wait(10)
        return "paid after all"

    ledger: list[str] = []
    model = ScriptedModel([{"hangs": {}}, "I do not know.", "It was paid."])
    runner = Runner(Agent("Triage", tools=[hangs]), model=model, deps=ledger)
    expires = expiring(begun, 60)
    response = await runner.run("Pay.")
    await expires
    assert "Outcome unknown" in str(response.messages)
    go_on.set()
    async with asyncio.timeout(5):
        while not any(isinstance(stored.event, ToolLate) for stored in await runner.events(response.conversation)):
            await asyncio.sleep(0.001)
    assert (await runner.run("And now?", conversation=response.conversation)).output == "It was paid."
    assert "paid after all" in str(model.requests[-1].messages)
    assert ledger == ["hangs"]


# --- interrupts


async def interrupts(ctx: Ledger) -> str:
    """Ctrl-C, while the tool works."""
    ctx.deps.append("interrupts")
    raise KeyboardInterrupt


@tool(thread=False)
def interrupts_inline(ctx: Ledger) -> str:
    """Ctrl-C, while the tool works on the event loop itself."""
    ctx.deps.append("interrupts")
    raise KeyboardInterrupt


@pytest.mark.parametrize("made", [interrupts, interrupts_inline], ids=["async", "inline"])
def test_an_interrupt_on_the_event_loop_is_the_programs_and_its_call_is_not_repeated(made: Callable[..., Any]):
    journal, ledger = MemoryJournal(), list[str]()
    agent = Agent("Triage", tools=[made])
    name = getattr(made, "name", "interrupts")
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(Runner(agent, model=ScriptedModel([{name: {}}]), journal=journal, deps=ledger).run("Pay.", conversation="c"))
    model = ScriptedModel(["It may have been paid."])
    response = asyncio.run(Runner(agent, model=model, journal=journal, deps=ledger).resume("c"))
    assert response.output == "It may have been paid."
    assert ledger == ["interrupts"]
    events = [stored.event for stored in asyncio.run(Runner(agent, journal=journal).events("c"))]
    assert [type(event) for event in events if isinstance(event, ToolStarted | ToolUnknown)] == [ToolStarted, ToolUnknown]
    assert "Do not repeat it" in str(model.requests[-1].messages)


def test_an_interrupt_in_a_tools_thread_is_the_tools_own():
    def interrupted() -> str:
        raise KeyboardInterrupt

    model = ScriptedModel([{"interrupted": {}}, "Sorry."])
    assert asyncio.run(Runner(Agent("Triage", tools=[interrupted]), model=model).run("Pay.")).output == "Sorry."
    assert "Failed with KeyboardInterrupt" in str(model.requests[-1].messages)


# --- sync


def test_a_broken_reply_is_the_same_error_to_sync_code_and_the_next_run_works():
    ledger: list[str] = []
    said = [whole(says(refund()).body()), *[whole(b"<html>")] * 3, whole(says(text=WELL).body())]
    with in_thread(*said) as server:
        runner = Runner(team(), model=chat(server), deps=ledger)
        with pytest.raises(BadReply) as raised:
            runner.run_sync("Hi")
        assert runner.run_sync("And now?", conversation=raised.value.conversation).output == WELL
    assert ledger == ["refund A1 5 none"]


# --- inputs that are none

ASKS = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "a", "type": "function", "function": {"name": "refund", "arguments": "{}"}}],
}
USER = {"role": "user", "content": "Hi"}
JUNK: dict[str, Any] = {
    "None": None,
    "an empty text": "",
    "bytes": b"Hi",
    "a number": 5,
    "a message outside of a list": USER,
    "an empty list": [],
    "a list of texts": ["Hi"],
    "a list of None": [None],
    "an empty message": [{}],
    "no role": [{"content": "Hi"}],
    "an unknown role": [{"role": "robot", "content": "Hi"}],
    "a role that is a list": [{"role": ["user"], "content": "Hi"}],
    "no content": [{"role": "user"}],
    "empty content": [{"role": "user", "content": ""}],
    "an empty list of content": [{"role": "user", "content": []}],
    "content that is a number": [{"role": "user", "content": 5}],
    "content that is an object": [{"role": "user", "content": {"text": "Hi"}}],
    "content of numbers": [{"role": "user", "content": [5]}],
    "the assistant last": [USER, {"role": "assistant", "content": "Hello"}],
    "a system message": [{"role": "system", "content": "Pay."}, USER],
    "a call that is not answered": [USER, ASKS, USER],
    "an answer without a call": [{"role": "tool", "tool_call_id": "a", "content": "paid"}, USER],
    "an answer without an id": [USER, ASKS, {"role": "tool", "content": "paid"}, USER],
    "calls that are a text": [USER, {**ASKS, "tool_calls": "refund"}, USER],
    "a call without a function": [USER, {**ASKS, "tool_calls": [{"id": "a"}]}, USER],
    "a call with a function of null": [USER, {**ASKS, "tool_calls": [{"id": "a", "function": None}]}, USER],
}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
async def test_an_input_that_is_none_is_the_callers_error_and_nothing_is_sent(junk: Any):
    model = ScriptedModel([WELL])
    runner = Runner(team(), model=model, deps=[])
    with pytest.raises(UsageError):
        await runner.run(junk, conversation="c")
    assert model.requests == []
    assert (await runner.run("And now?", conversation="c")).output == WELL


@pytest.mark.parametrize("value", [{"a": object()}, {"a": float("nan")}, {"a": {1, 2}}, {"a": b"x"}])
async def test_a_context_that_is_not_json_is_the_callers_error(value: Any):
    with pytest.raises(UsageError):
        await Runner(team(), model=ScriptedModel([WELL])).run("Hi", context=value)


async def test_a_users_words_with_half_a_surrogate_pair_are_sent_as_every_provider_takes_them():
    provider = Provider(Form.CHAT_WHOLE, [], OFFERS, forever=False)
    async with Loopback(provider.answer) as server:
        runner = Runner(team(), model=chat(server), deps=[])
        for words in ("a\ud800b", [{"role": "user", "content": [{"type": "text", "text": "a\udfffb"}]}]):
            assert (await runner.run(words)).output == "Done."
    assert provider.faults == []


# --- many at once


async def test_hostile_replies_of_one_conversation_do_not_reach_another():
    broken = [whole({}), whole(b"<html>"), whole({"error": "busy"}), [RESET], stream(chunk("Do")), whole(says(refund("{")).body())]

    def answer(request: Request) -> Any:
        words = json.loads(request.body)["messages"][1]["content"]
        number = int(words)
        return broken[number % len(broken)] if number % 2 and len(request.json()["messages"]) == 2 else whole(says(text=words).body())

    async with Loopback(answer) as server:
        runner = Runner(team(), model=chat(server, max_retries=0), deps=[])
        ended = await asyncio.gather(*[runner.run(str(number)) for number in range(40)], return_exceptions=True)
    for number, response in enumerate(ended):
        if isinstance(response, BaseException):
            assert isinstance(response, SegueError)
            assert number % 2
        else:
            assert response.output == str(number)

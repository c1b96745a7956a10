"""The faces of the loop: inputs, keys, who may drive when, sync code, and what lasts from one run to the next."""

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import threading

import pytest

from segue.agent import Agent, guard, handoff
from segue.core.events import ApprovalAsked, ApprovalDecided, InputGiven, RunEnded, ToolReturned
from segue.core.limits import Limits
from segue.errors import (
    ApprovalError,
    ArgumentsRefused,
    ConversationBusy,
    ConversationParked,
    GuardTripped,
    KeyReused,
    RateLimited,
    UsageError,
)
from segue.model import TextDelta
from segue.runner import Runner
from segue.swarm import Agent as SwarmAgent
from segue.testing import FunctionModel, MemoryJournal, ScriptedModel
from segue.throwaway import run, run_sync, stream
from segue.tools.context import Context, as_json
from segue.tools.tool import tool
from tests.acting import answers, asked, instructions, legal, until
from tests.test_pool import in_a_fork

VARIABLE = contextvars.ContextVar("VARIABLE", default="outside")


def echo(request) -> str:
    return f"You said {request.messages[-1].content}"


class Gate:
    """A model that says who is being asked, and waits to be let go on."""

    name = "gate"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.open = threading.Event()

    async def reply(self, request):
        text = request.messages[-1].content
        self.asked.append(text)
        while not self.open.is_set():
            await asyncio.sleep(0.001)
        async for item in FunctionModel(echo).reply(request):
            yield item


# ---- inputs


async def test_a_conversation_goes_on_where_it_was_with_the_agent_that_has_the_floor():
    b = Agent("B", instructions="Be B.")
    model = ScriptedModel(["Hello.", {"transfer_to_b": {}}, "I am B.", "Still B."])
    runner = Runner(Agent("A", instructions="Be A.", handoffs=[b]), model=model)
    for text in ("One", "Two", "Three"):
        response = await runner.run(text, conversation="c")
    assert response.agent is b
    assert instructions(model) == ["Be A.", "Be A.", "Be B.", "Be B."]
    assert [message["content"] for message in asked(model) if message["role"] == "user"] == ["One", "Two", "Three"]


async def test_the_active_agent_is_kept_for_another_runner_on_the_same_journal():
    journal = MemoryJournal()

    def team():
        return Agent("A", handoffs=[Agent("B")])

    await Runner(team(), model=ScriptedModel([{"transfer_to_b": {}}, "Hi."]), journal=journal).run("One", conversation="c")
    assert (await Runner(team(), model=ScriptedModel(["Hi."]), journal=journal).run("Two", conversation="c")).agent.name == "B"


async def test_conversations_have_nothing_to_do_with_each_other():
    runner = Runner(Agent("A"), model=FunctionModel(lambda request: str(len(request.messages))))
    assert [(await runner.run("x")).output for _ in range(3)] == ["2", "2", "2"]
    assert len({line.conversation for line in await runner.journal.conversations()}) == 3


HISTORY = [
    {"role": "user", "content": "Where is my order?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "a", "content": "lost"},
    {"role": "assistant", "content": "Lost."},
    {"role": "user", "content": "Refund it."},
]


async def test_a_list_of_messages_opens_a_conversation_with_what_was_said_elsewhere():
    model = ScriptedModel(["Done.", "Again."])
    runner = Runner(Agent("A"), model=model)
    response = await runner.run(HISTORY, conversation="c")
    assert asked(model)[1:] == HISTORY
    assert response.messages == [{"role": "assistant", "content": "Done."}]
    with pytest.raises(UsageError, match="give the user's new message alone, not 5 messages"):
        await runner.run(HISTORY, conversation="c")
    assert (await runner.run([{"role": "user", "content": "More"}], conversation="c")).output == "Again."


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ("", "empty"),
        ([], "must end with the user's"),
        (HISTORY[:2], "must end with the user's"),
        (HISTORY[:3], "must end with the user's"),
        ([*HISTORY[:2], HISTORY[0]], "is not answered"),
        ([*HISTORY[:1], HISTORY[2], HISTORY[0]], "answers a call that was not made"),
        ([{"role": "system", "content": "x"}, HISTORY[0]], "system message"),
        ([{"role": "user", "content": ""}], "empty"),
        ([{"content": "x"}], r"messages\[0\] is not a chat-completions message"),
        ([3], r"messages\[0\]"),
    ],
)
async def test_an_input_that_no_provider_would_take_is_refused_before_anything_happens(messages, words):
    runner = Runner(Agent("A"), model=ScriptedModel([]))
    with pytest.raises(UsageError, match=words):
        await runner.run(messages)
    assert await runner.journal.conversations() == []


async def test_half_a_surrogate_pair_in_the_users_text_is_replaced():
    assert (await run(Agent("A"), "Hi \ud800", model=FunctionModel(echo))).output == "You said Hi \ufffd"


async def test_context_is_merged_over_what_the_conversation_has_and_reaches_tools_with_deps():
    seen = []

    @tool
    def look(ctx: Context) -> str:
        seen.append((ctx.values, ctx.deps, ctx.agent, ctx.conversation))
        ctx.set(c=3)
        return ""

    deps = object()
    runner = Runner(Agent("A", tools=[look]), model=ScriptedModel([{"look": {}}, ".", {"look": {}}, "."]), deps=deps)
    await runner.run("Hi", conversation="x", context={"a": 1, "b": [2]})
    response = await runner.run("Hi", conversation="x", context={"a": 9})
    assert seen == [({"a": 1, "b": [2]}, deps, "A", "x"), ({"a": 9, "b": [2], "c": 3}, deps, "A", "x")]
    assert response.context == {"a": 9, "b": [2], "c": 3}


async def test_a_context_that_is_not_json_is_refused():
    with pytest.raises(UsageError, match="'db' is not one"):
        await run(Agent("A"), "Hi", model=ScriptedModel([]), context={"db": object()})


@pytest.mark.parametrize("context", [["customer"], {1: "Maya"}, "Maya"])
async def test_a_context_that_is_no_dictionary_of_names_is_refused(context):
    with pytest.raises(UsageError, match="texts as its keys"):
        await run(Agent("A"), "Hi", model=ScriptedModel([]), context=context)


def test_options_that_cannot_be_are_refused_when_the_runner_is_built():
    with pytest.raises(UsageError, match="busy='wait'"):
        Runner(Agent("A"), busy="wait")
    with pytest.raises(UsageError, match="engine"):
        Runner(Agent("A"), engine=object())
    with pytest.raises(UsageError, match=r"give Limits\(turns=20"):
        Runner(Agent("A"), limits={"turns": 3})
    with pytest.raises(UsageError, match=r"Swarm\(\).run takes it"):
        Runner(SwarmAgent(name="A"))
    with pytest.raises(UsageError, match="model"):
        Runner(Agent("A"), model="nobody:x")


@pytest.mark.parametrize("name", ["", 5, b"c", object()])
async def test_a_conversation_is_named_by_a_text(name):
    runner = Runner(Agent("A"), model=ScriptedModel(["Hi."]))
    with pytest.raises(UsageError, match=r"it is response\.conversation"):
        await runner.run("Hello", conversation=name)
    for act in (runner.resume, runner.cancel, runner.events, runner.replay, runner.fork):
        with pytest.raises(UsageError):
            await act(name)


# ---- keys (R23)


async def test_the_same_input_with_the_same_key_is_the_same_run():
    model = ScriptedModel(["One.", "Two."])
    runner = Runner(Agent("A"), model=model)
    first = await runner.run("Hi", key="k")
    again = await runner.run("Hi", key="k")
    assert (again.conversation, again.output) == (first.conversation, "One.")
    assert len(model.requests) == 1


async def test_a_key_is_found_again_by_a_runner_that_has_the_conversation_folded_and_by_one_that_has_not():
    model = ScriptedModel(["One.", "Two."])
    runner = Runner(Agent("A"), model=model)
    await runner.run("Hi", conversation="c", key="k")
    await runner.run("Next", conversation="c")
    for one in (runner, Runner(Agent("A"), model=ScriptedModel([]), journal=runner.journal)):
        again = await one.run("Hi", conversation="c", key="k")
        assert (again.output, again.messages) == ("One.", [{"role": "assistant", "content": "One."}])


async def test_the_same_key_with_another_input_is_refused():
    runner = Runner(Agent("A"), model=ScriptedModel(["One.", "Two."]))
    await runner.run("Hi", key="k")
    with pytest.raises(KeyReused):
        await runner.run("Other", key="k")
    await runner.run("Hi", conversation="c", key="k2")
    with pytest.raises(KeyReused):
        await runner.run("Other", conversation="c", key="k2")


async def test_a_key_is_unique_in_the_journal():
    runner = Runner(Agent("A"), model=ScriptedModel(["One.", "Two."]))
    await runner.run("Hi", conversation="c", key="k")
    with pytest.raises(KeyReused, match="conversation c"):
        await runner.run("Hi", conversation="d", key="k")
    with pytest.raises(UsageError):
        await runner.events("d")


async def test_a_run_with_the_same_key_waits_for_the_one_that_is_going_on():
    gate = Gate()
    runner = Runner(Agent("A"), model=gate)
    runs = [asyncio.create_task(runner.run("Hi", key="k")) for _ in range(5)]
    await until(lambda: gate.asked)
    await asyncio.sleep(0.01)
    gate.open.set()
    assert {response.output for response in await asyncio.gather(*runs)} == {"You said Hi"}
    assert gate.asked == ["Hi"]


async def test_a_run_with_the_same_key_goes_on_with_one_that_was_left_in_the_middle():
    runner = Runner(Agent("A"), model=ScriptedModel(["One."]))
    await runner.run("Hi", conversation="c", key="k")
    left = MemoryJournal()
    rows = await runner.events("c")
    await left.append("c", 1, [row.event for row in rows[:-2]], at=0.0)
    response = await Runner(Agent("A"), model=ScriptedModel(["Resumed."]), journal=left).run("Hi", conversation="c", key="k")
    assert response.output == "Resumed."
    assert [type(row.event) for row in await left.read("c")].count(InputGiven) == 1


async def test_a_run_with_the_same_key_as_one_that_failed_fails_alike():
    runner = Runner(Agent("A"), model=ScriptedModel([RateLimited("busy")]))
    for _ in range(2):
        with pytest.raises(RateLimited):
            await runner.run("Hi", conversation="c", key="k")


# ---- two inputs at once (R21)


async def test_a_second_input_is_refused_while_the_first_is_run_and_the_first_is_not_harmed():
    gate = Gate()
    runner = Runner(Agent("A"), model=gate)
    first = asyncio.create_task(runner.run("One", conversation="c"))
    await until(lambda: gate.asked)
    with pytest.raises(ConversationBusy) as caught:
        await runner.run("Two", conversation="c")
    assert caught.value.conversation == "c"
    gate.open.set()
    assert (await first).output == "You said One"
    assert (await runner.run("Three", conversation="c")).output == "You said Three"


def test_of_many_threads_with_an_input_to_one_conversation_one_is_run_and_the_others_are_refused():
    gate = Gate()
    runner = Runner(Agent("A"), model=gate)
    came: list[str] = []

    def give(text):
        try:
            came.append(runner.run_sync(text, conversation="c").output)
        except ConversationBusy:
            came.append("busy")
        if came.count("busy") == 7:
            gate.open.set()

    threads = [threading.Thread(target=give, args=(str(number),)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(20)
    assert came.count("busy") == 7
    assert len(gate.asked) == 1


async def test_queued_inputs_are_run_one_after_the_other_in_the_order_in_which_they_came():
    gate = Gate()
    runner = Runner(Agent("A"), model=gate, busy="queue")
    runs = [asyncio.create_task(runner.run(str(number), conversation="c")) for number in range(5)]
    await until(lambda: gate.asked)
    gate.open.set()
    assert [response.output for response in await asyncio.gather(*runs)] == [f"You said {number}" for number in range(5)]
    assert gate.asked == [str(number) for number in range(5)]


def test_queued_inputs_from_many_event_loops_all_run_and_never_two_at_once():
    running, most = 0, 0

    async def reply(request):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return "ok"

    runner = Runner(Agent("A"), model=FunctionModel(reply), busy="queue")
    threads = [threading.Thread(target=lambda: asyncio.run(runner.run("x", conversation="c"))) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(20)
    assert most == 1
    assert len([row for row in asyncio.run(runner.events("c")) if isinstance(row.event, InputGiven)]) == 8


async def test_someone_who_gives_up_waiting_does_not_hold_up_who_waits_behind():
    gate = Gate()
    runner = Runner(Agent("A"), model=gate, busy="queue")
    first, second, third = (asyncio.create_task(runner.run(text, conversation="c")) for text in "123")
    await until(lambda: gate.asked)
    second.cancel()
    gate.open.set()
    assert (await third).output == "You said 3"
    assert (await first).output == "You said 1"
    assert second.cancelled()


async def test_an_interrupt_stops_the_model_and_reads_the_new_input():
    gate = Gate()
    runner = Runner(Agent("A"), model=gate)
    first = asyncio.create_task(runner.run("One", conversation="c"))
    await until(lambda: gate.asked)
    second = asyncio.create_task(runner.run("Two", conversation="c", busy="interrupt"))
    assert (await first).status == "cancelled"
    gate.open.set()
    assert (await second).output == "You said Two"
    ended = [row.event for row in await runner.events("c") if isinstance(row.event, RunEnded)]
    assert [event.reason for event in ended] == ["superseded"]


async def test_an_interrupt_waits_for_calls_that_were_begun_and_makes_no_other():
    release, begun, made = threading.Event(), threading.Event(), []

    def refund() -> str:
        begun.set()
        release.wait(10)
        return "refunded"

    @tool(alone=True)
    def after() -> str:
        made.append(1)
        return ""

    model = ScriptedModel([[{"refund": {}}, {"after": {}}], "New."])
    runner = Runner(Agent("A", tools=[refund, after]), model=model)
    first = asyncio.create_task(runner.run("One", conversation="c"))
    await until(begun.is_set)
    second = asyncio.create_task(runner.run("Two", conversation="c", busy="interrupt"))
    await asyncio.sleep(0.02)
    assert not second.done()
    release.set()
    assert (await second).output == "New."
    assert (await first).status == "cancelled"
    assert answers(asked(model)) == ["refunded", "Not called: The user has said something new."]
    assert made == []
    assert legal(model)


async def test_an_interrupt_does_not_wait_for_a_consumer_that_holds_an_item():
    runner = Runner(Agent("A"), model=FunctionModel(echo))
    async with runner.stream("One two three", conversation="c") as held:
        async for item in held:
            if isinstance(item, TextDelta):
                assert (await runner.run("New", conversation="c", busy="interrupt")).output == "You said New"
    assert held.response.status == "cancelled"
    assert (await runner.run("Last", conversation="c")).output == "You said Last"


async def test_a_run_that_waits_for_a_person_refuses_an_input_and_says_what_it_waits_for():
    @tool(approve=True)
    def refund(item: str) -> str:
        return "refunded"

    model = ScriptedModel([{"refund": {"item": "boots"}}, "Never mind."])
    runner = Runner(Agent("A", tools=[refund]), model=model)
    await runner.run("Refund", conversation="c")
    with pytest.raises(ConversationBusy) as caught:
        await runner.run("Hello?", conversation="c")
    (slot,) = caught.value.waiting_for
    assert slot.call.name == "refund"
    assert f"refund (approval {slot.approval.id}). Answer that first (approve, deny" in str(caught.value)
    response = await runner.run("Forget it", conversation="c", busy="interrupt")
    assert response.output == "Never mind."
    assert answers(asked(model)) == ["Not done: the user has said something new."]
    assert legal(model)


async def test_an_input_queued_behind_a_run_that_waits_for_a_person_is_read_when_that_ends():
    @tool(approve=True)
    def refund(item: str) -> str:
        return "refunded"

    model = ScriptedModel([{"refund": {"item": "boots"}}, "Refunded.", "Hello to you."])
    runner = Runner(Agent("A", tools=[refund]), model=model)
    (slot,) = (await runner.run("Refund", conversation="c")).waiting_for
    assert (await runner.run("Hello?", conversation="c", busy="queue")).status == "waiting"
    response = await runner.approve("c", slot.approval.id, slot.approval.digest, by="Ada")
    assert response.output == "Refunded."
    assert (await runner.resume("c")).output == "Hello to you."
    assert [message["content"] for message in asked(model)[-2:]] == ["Refunded.", "Hello?"]


async def test_a_new_input_to_a_run_that_was_left_in_the_middle_closes_it_first():
    made = []

    def refund() -> str:
        made.append(1)
        return "refunded"

    runner = Runner(Agent("A", tools=[refund]), model=ScriptedModel([{"refund": {}}, "Done."]))
    await runner.run("Refund", conversation="c")
    rows = await runner.events("c")
    cut = next(row.seq for row in rows if isinstance(row.event, ToolReturned))
    left = MemoryJournal()
    await left.append("c", 1, [row.event for row in rows[: cut - 1]], at=0.0)
    model = ScriptedModel(["I do not know."])
    response = await Runner(Agent("A", tools=[refund]), model=model, journal=left).run("And?", conversation="c")
    assert response.output == "I do not know."
    assert answers(asked(model))[0].startswith("Outcome unknown: the run was ended while it ran")
    assert made == [1]


# ---- going on


async def test_resuming_what_is_done_gives_the_last_runs_response_and_asks_nobody():
    model = ScriptedModel(["One."])
    runner = Runner(Agent("A"), model=model)
    await runner.run("Hi", conversation="c")
    assert (await runner.resume("c")).output == "One."
    assert len(model.requests) == 1


async def test_resuming_a_failed_run_asks_again():
    runner = Runner(Agent("A"), model=ScriptedModel([RateLimited("busy"), "Now."]))
    with pytest.raises(RateLimited):
        await runner.run("Hi", conversation="c")
    assert (await runner.resume("c")).output == "Now."


@pytest.mark.parametrize("limits", [Limits(), Limits(turns=3), None])
async def test_resuming_a_limited_run_gives_a_new_allowance_and_new_limits_where_they_are_given(limits):
    def look(n: int) -> str:
        return str(n)

    model = ScriptedModel([{"look": {"n": 1}}, {"look": {"n": 2}}, "Done."])
    runner = Runner(Agent("A", tools=[look]), model=model, limits=Limits(turns=1))
    assert (await runner.run("Hi", conversation="c")).status == "limited"
    response = await runner.resume("c", limits=limits)
    assert response.status == ("done" if limits else "limited")


async def test_what_does_not_exist_cannot_be_resumed_looked_at_or_cancelled():
    runner = Runner(Agent("A"), model=ScriptedModel([]))
    with pytest.raises(UsageError, match="no conversation 'x'"):
        await runner.resume("x")
    with pytest.raises(UsageError, match="no conversation 'x'"):
        await runner.events("x")
    with pytest.raises(UsageError):
        await runner.cancel("x")
    assert await runner.journal.conversations() == []


async def test_repeating_calls_and_ping_pong_are_told_and_then_ended():
    def look() -> str:
        return "same"

    response = await run(Agent("A", tools=[look]), "Hi", model=FunctionModel(lambda request: {"look": {}}))
    assert (response.status, response.error.limit) == ("limited", "repeats")
    b = Agent("B", handoffs=["A"])
    told = []

    def bounce(request):
        told.extend(message.content for message in request.messages[-1:] if type(message).__name__ == "ToolAnswer")
        return {request.tools[0].name: {}}

    response = await run(Agent("A", handoffs=[b]), "Hi", model=FunctionModel(bounce))
    assert (response.status, response.error.limit) == ("limited", "handoffs")
    assert any("back and forth" in words for words in told)


async def test_a_handoff_to_itself_is_told_and_changes_nothing():
    def to_a() -> Agent:
        return a

    a = Agent("A", tools=[to_a])
    model = ScriptedModel([{"to_a": {}}, "Still A."])
    response = await run(a, "Hi", model=model)
    assert (response.agent, answers(response.messages)) == (a, ["A has the floor already."])


async def test_closing_a_runner_ends_what_it_drives():
    gate = Gate()
    async with Runner(Agent("A"), model=gate) as runner:
        task = asyncio.create_task(runner.run("Hi", conversation="c"))
        await until(lambda: gate.asked)
    assert (await task).status == "cancelled"


# ---- streams


async def test_a_stream_says_what_came_of_it_only_at_its_end_and_can_be_read_once():
    runner = Runner(Agent("A"), model=ScriptedModel(["one two"]))
    async with runner.stream("Hi", conversation="c") as told:
        assert told.conversation == "c"
        with pytest.raises(UsageError, match="has not ended"):
            told.response
        text = "".join([item.text async for item in told if isinstance(item, TextDelta)])
        with pytest.raises(UsageError, match="read once"):
            aiter(told)
    assert text == told.response.output == "one two"


async def test_the_end_of_a_stream_raises_when_the_run_failed_and_the_response_is_there():
    @guard("input")
    def never(text):
        return "no"

    told = stream(Agent("A", guards=[never]), "Hi", model=ScriptedModel([]))
    with pytest.raises(GuardTripped):
        async for _ in told:
            pass
    assert told.response.status == "failed"


async def test_a_stream_that_is_never_read_never_runs():
    runner = Runner(Agent("A"), model=ScriptedModel([]))
    async with runner.stream("Hi"):
        pass
    assert await runner.journal.conversations() == []


async def test_what_is_left_of_a_stream_can_be_finished():
    told = stream(Agent("A"), "Hi", model=ScriptedModel(["one two three"]))
    async for _ in told:
        break
    assert (await told.finish()).output == "one two three"


async def test_a_stream_that_is_dropped_without_being_closed_is_cancelled_and_the_conversation_is_free():
    runner = Runner(Agent("A"), model=FunctionModel(echo))
    told = runner.stream("one two three", conversation="c")
    async for _ in told:
        break
    del told
    await until(lambda: runner._desk.drive_of("c") is None and not runner._desk._claims)
    assert (await runner.run("Next", conversation="c")).output == "You said Next"


# ---- sync code


def test_run_sync_is_run():
    assert run_sync(Agent("A"), "Hi", model=FunctionModel(echo)).output == "You said Hi"
    runner = Runner(Agent("A"), model=FunctionModel(echo))
    runner.run_sync("Hi", conversation="c")
    assert runner.run_sync("Again", conversation="c").output == "You said Again"
    runner.close()


async def test_run_sync_works_inside_a_running_loop():
    assert run_sync(Agent("A"), "Hi", model=FunctionModel(echo)).output == "You said Hi"


def test_run_sync_works_inside_a_tool_of_run_sync_but_not_on_the_loop_that_runs_it():
    inner = Agent("Inner", model=FunctionModel(echo))

    def ask() -> str:
        return run_sync(inner, "inner").output

    @tool(thread=False)
    def ask_on_the_loop() -> str:
        return run_sync(inner, "inner").output

    async def ask_async() -> str:
        return run_sync(inner, "inner").output

    calls = [{"ask": {}}, {"ask_on_the_loop": {}}, {"ask_async": {}}]
    response = run_sync(Agent("A", tools=[ask, ask_on_the_loop, ask_async]), "Hi", model=ScriptedModel([calls, "."]))
    said = answers(response.messages)
    assert said[0] == "You said inner"
    assert all("UsageError: run_sync was called on the thread that runs it" in words for words in said[1:])


def test_run_sync_copies_the_callers_context_variables():
    @tool(thread=False)
    def here() -> str:
        return VARIABLE.get()

    def there() -> str:
        return VARIABLE.get()

    def use():
        VARIABLE.set("inside")
        return answers(run_sync(Agent("A", tools=[here, there]), "Hi", model=ScriptedModel([{"here": {}, "there": {}}, "."])).messages)

    assert contextvars.copy_context().run(use) == ["inside", "inside"]


def test_run_sync_works_from_many_threads():
    runner = Runner(Agent("A"), model=FunctionModel(echo))
    came: list[str] = []
    threads = [threading.Thread(target=lambda n=n: came.append(runner.run_sync(str(n)).output)) for n in range(20)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(20)
    assert sorted(came) == sorted(f"You said {n}" for n in range(20))


def test_run_sync_works_after_a_fork():
    def look() -> str:
        return "seen"

    def go() -> bool:
        return run_sync(Agent("A", tools=[look]), "Hi", model=ScriptedModel([{"look": {}}, "Done."])).output == "Done."

    assert go()
    assert in_a_fork(go)


def test_run_sync_raises_the_error_of_a_failed_run():
    with pytest.raises(RateLimited):
        run_sync(Agent("A"), "Hi", model=ScriptedModel([RateLimited("busy")]))


def test_stream_sync_yields_while_it_happens_and_is_cancelled_when_it_is_left():
    runner = Runner(Agent("A"), model=FunctionModel(echo))
    with runner.stream_sync("Hi", conversation="c") as told:
        assert told.conversation == "c"
        assert "".join(item.text for item in told if isinstance(item, TextDelta)) == "You said Hi"
    assert told.response.output == "You said Hi"
    with runner.stream_sync("Hi", conversation="c") as told:
        for item in told:
            if isinstance(item, TextDelta):
                break
    assert runner.run_sync("Next", conversation="c").output == "You said Next"
    for _ in runner.stream_sync("Hi", conversation="c"):
        break
    assert runner.run_sync("Last", conversation="c").output == "You said Last"


PROGRAM = """
import asyncio, threading
from segue import Agent, Runner
from segue.testing import ScriptedModel
begun = threading.Event()
async def hang() -> str:
    print("begun", flush=True)
    await asyncio.sleep(30)
    return ""
runner = Runner(Agent("A", tools=[hang]), model=ScriptedModel([{"hang": {}}, "Hello again."]))
try:
    runner.run_sync("Hi", conversation="c")
except KeyboardInterrupt:
    print("interrupted", flush=True)
print(type(asyncio.run(runner.events("c"))[-1].event).__name__)
print(runner.run_sync("Hi again", conversation="c").output)
"""


def test_control_c_cancels_the_run_whole_and_the_conversation_goes_on():
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    os.kill(process.pid, signal.SIGINT)
    said, errors = process.communicate(timeout=120)
    assert (said, errors) == ("interrupted\nRunEnded\nHello again.\n", "")


async def test_the_module_level_functions_are_a_runner_that_is_thrown_away():
    assert (await run(Agent("A"), "Hi", model=FunctionModel(echo))).output == "You said Hi"
    async with stream(Agent("A"), "Hi", model=FunctionModel(echo)) as told:
        async for _ in told:
            pass
    assert told.response.output == "You said Hi"
    with pytest.raises(TypeError, match="nonsense"):
        await run(Agent("A"), "Hi", nonsense=1)


async def test_a_thousand_conversations_at_once_all_end():
    def look() -> str:
        return "seen"

    async def reply(request):
        await asyncio.sleep(0)
        return "Done." if len(request.messages) > 2 else {"look": {}}

    runner = Runner(Agent("A", tools=[look]), model=FunctionModel(reply))
    responses = await asyncio.gather(*(runner.run("Hi") for _ in range(1000)))
    assert {response.output for response in responses} == {"Done."}


async def test_a_conversation_that_is_no_longer_kept_is_folded_again(monkeypatch):
    import segue.desk

    monkeypatch.setattr(segue.desk, "KEPT", 2)
    model = FunctionModel(lambda request: str(len(request.messages)))
    runner = Runner(Agent("A"), model=model)
    for name in "abcab":
        response = await runner.run("x", conversation=name)
    assert response.output == "4"
    assert len(runner._desk._kept) == 2


async def test_what_another_runner_has_appended_is_seen():
    runner = Runner(Agent("A"), model=ScriptedModel(["One.", "Three."]))
    other = Runner(Agent("A"), model=ScriptedModel(["Two."]), journal=runner.journal)
    await runner.run("1", conversation="c")
    await other.run("2", conversation="c")
    model = ScriptedModel(["Three."])
    await runner.run("3", conversation="c", model=model)
    assert [message["content"] for message in asked(model)[1:]] == ["1", "One.", "2", "Two.", "3"]


async def test_a_call_goes_down_and_up_over_several_user_messages_and_another_runner():
    def team():
        c = Agent("C", instructions="Be C.")
        b = Agent("B", instructions="Be B.", handoffs=[handoff(c, kind="call")])
        return Agent("A", instructions="Be A.", handoffs=[handoff(b, kind="call")])

    script = [{"call_b": {}}, {"call_c": {}}, "C?", {"return_to_b": {"value": "c"}}, "B?", {"return_to_a": {"value": "b"}}, "A."]
    journal, model = MemoryJournal(), ScriptedModel(script)
    agents = []
    for text in ("one", "two", "three"):
        agents.append((await Runner(team(), model=model, journal=journal).run(text, conversation="c")).agent.name)
    assert agents == ["C", "B", "A"]
    assert instructions(model) == ["Be A.", "Be B.", "Be C.", "Be C.", "Be B.", "Be B.", "Be A."]
    assert legal(model)


# ---- a person decides


class Refunds:
    """A runner whose one tool needs a person's agreement; `paid` is what was done."""

    def __init__(self, journal=None) -> None:
        self.paid: list[str] = []

        @tool(approve=True)
        def refund(item: str) -> str:
            self.paid.append(item)
            return "refunded"

        self.model = FunctionModel(
            lambda request: str(request.messages[-1].content) if len(request.messages) > 2 else {"refund": {"item": "boots"}}
        )
        self.runner = Runner(Agent("A", tools=[refund]), model=self.model, journal=journal)

    async def ask(self):
        return (await self.runner.run("Refund", conversation="c")).waiting_for[0].approval


async def test_an_approved_call_is_made_once_with_the_arguments_that_were_shown():
    shop = Refunds()
    approval = await shop.ask()
    assert shop.paid == []
    response = await shop.runner.approve("c", approval.id, approval.digest, by="Ada")
    assert (response.output, shop.paid) == ("refunded", ["boots"])
    with pytest.raises(ApprovalError, match="its call has been begun"):
        await shop.runner.approve("c", approval.id, approval.digest, by="Bob")
    assert shop.paid == ["boots"]


@pytest.mark.parametrize("arguments", [{"itm": "boots"}, {"item": 4}, {}])
async def test_arguments_that_the_tool_does_not_take_are_refused_and_the_call_waits_on(arguments):
    shop = Refunds()
    approval = await shop.ask()
    with pytest.raises(ArgumentsRefused, match="its arguments do not fit") as caught:
        await shop.runner.approve("c", approval.id, approval.digest, by="Ada", arguments=arguments)
    assert caught.value.fields
    assert (await shop.runner.resume("c")).waiting_for[0].approval == approval
    response = await shop.runner.approve("c", approval.id, approval.digest, by="Ada", arguments={"item": "shoes"})
    assert shop.paid == ["shoes"]
    assert response.status == "done"


@pytest.mark.parametrize("arguments", ['{"item": "shoes"}', 5, ["item"]])
async def test_arguments_that_are_no_dict_are_refused_and_the_call_waits_on(arguments):
    shop = Refunds()
    approval = await shop.ask()
    with pytest.raises(UsageError, match="give a dict of them all"):
        await shop.runner.approve("c", approval.id, approval.digest, arguments=arguments)
    assert (await shop.runner.resume("c")).status == "waiting"
    assert shop.paid == []


async def test_a_denied_call_is_not_made_and_the_model_reads_why():
    shop = Refunds()
    approval = await shop.ask()
    response = await shop.runner.deny("c", approval.id, approval.digest, by="Ada", reason="too late")
    assert (response.output, shop.paid) == ("Not done: denied (too late).", [])


async def test_a_decision_on_something_else_is_refused_and_the_run_still_waits():
    shop = Refunds()
    approval = await shop.ask()
    with pytest.raises(ApprovalError, match="other arguments"):
        await shop.runner.approve("c", approval.id, "0" * 64)
    with pytest.raises(ApprovalError, match="never was asked for"):
        await shop.runner.approve("c", "x", approval.digest)
    with pytest.raises(UsageError, match="no conversation"):
        await shop.runner.approve("nobody", approval.id, approval.digest)
    assert (await shop.runner.resume("c")).status == "waiting"
    with pytest.raises(UsageError, match=r"give Limits\(turns=20"):
        await shop.runner.resume("c", limits={"turns": 3})


async def test_an_approved_call_that_a_crash_left_open_is_settled_by_a_person_and_never_made_again():
    shop = Refunds()
    approval = await shop.ask()
    await shop.runner.approve("c", approval.id, approval.digest)
    rows = await shop.runner.events("c")
    cut = next(row.seq for row in rows if isinstance(row.event, ToolReturned))
    left = MemoryJournal()
    await left.append("c", 1, [row.event for row in rows[: cut - 1]], at=0.0)
    again = Refunds(left)
    response = await again.runner.resume("c")
    assert response.status == "waiting"
    (slot,) = response.waiting_for
    with pytest.raises(UsageError, match=r"No call at 9\.9"):
        await again.runner.settle("c", "9.9", "x")
    response = await again.runner.settle("c", slot.place, "It was refunded.", by="Ada")
    assert (response.output, again.paid) == ("It was refunded.", [])


async def test_a_parked_conversation_takes_no_input_before_it_is_resumed():
    shop = Refunds()
    await shop.ask()
    await shop.runner.journal.append("c", len(await shop.runner.events("c")) + 1, [RunEnded("parked", "tool missing", "Mend it.")], at=0.0)
    with pytest.raises(ConversationParked, match="resume it first"):
        await shop.runner.run("Hello?", conversation="c")


async def test_a_run_that_is_cancelled_before_it_has_begun_is_written_down_as_cancelled():
    class Held(MemoryJournal):
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def read(self, conversation, *, after=0):
            self.begun.set()
            await self.go_on.wait()
            return await super().read(conversation, after=after)

    journal = Held()
    runner = Runner(Agent("A"), model=FunctionModel(echo), journal=journal)
    task = asyncio.create_task(runner.run("Hi", conversation="c"))
    await journal.begun.wait()
    assert await runner.cancel("c")
    await asyncio.sleep(0)
    journal.go_on.set()
    assert (await task).status == "cancelled"
    assert [type(row.event).__name__ for row in await runner.events("c")] == ["Started", "InputGiven", "DriveStarted", "RunEnded"]


class Durable(MemoryJournal):
    durable = True


async def test_with_a_journal_that_lasts_a_returned_agent_must_be_named_in_the_team():
    def make() -> Agent:
        return Agent("Made")

    response = await run(Agent("A", tools=[make]), "Hi", model=ScriptedModel([{"make": {}}, "."]), journal=Durable())
    assert answers(response.messages) == ["make returned the agent 'Made', which the team does not know. Name it in agents=[...]."]
    assert response.agent.name == "A"


async def test_a_call_is_approved_while_others_of_its_message_go_on_in_this_process():
    going = asyncio.Event()

    @tool(approve=True)
    def refund(item: str) -> str:
        return f"refunded {item}"

    @tool
    async def look() -> str:
        await going.wait()
        return "seen"

    runner = Runner(Agent("A", tools=[refund, look]), model=ScriptedModel([[{"look": {}}, {"refund": {"item": "boots"}}], "Done."]))
    run = asyncio.create_task(runner.run("Hi", conversation="c"))
    while not (waiting := [row.event for row in await runner.journal.read("c") if isinstance(row.event, ApprovalAsked)]):
        await asyncio.sleep(0.001)
    decision = asyncio.create_task(runner.approve("c", waiting[0].id, waiting[0].digest, by="Ada"))
    while not any(isinstance(row.event, ApprovalDecided) for row in await runner.journal.read("c")):
        await asyncio.sleep(0.001)
    going.set()
    first, second = await asyncio.gather(run, decision)
    assert first.output == second.output == "Done."
    assert [message["content"] for message in first.messages if message["role"] == "tool"] == ["seen", "refunded boots"]


def test_a_context_that_is_nested_too_deep_is_refused():
    deep = []
    for _ in range(150):
        deep = [deep]
    with pytest.raises(UsageError, match="at most 100 levels"):
        as_json("deep", deep)

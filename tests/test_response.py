"""What came of a run."""

import asyncio

import pytest
from pydantic import BaseModel

from segue.agent import Agent
from segue.core.limits import Limits
from segue.core.messages import Reply, Usage
from segue.errors import LimitReached, NoOutput, ProviderRefused, RateLimited, RunCancelled
from segue.runner import Runner
from segue.testing import ScriptedModel
from segue.throwaway import run
from segue.tools.tool import Context, tool


class Order(BaseModel):
    item: str
    count: int = 1


async def test_a_done_run_has_its_output_text_agent_and_no_error():
    response = await run(Agent("A"), "Hi", model=ScriptedModel(["Hello."]))
    assert (response.status, response.output, response.text, response.agent.name) == ("done", "Hello.", "Hello.", "A")
    assert response.error is None
    assert response.waiting_for == ()
    response.raise_for_status()


async def test_the_output_is_a_value_of_the_agents_type_and_the_text_as_the_model_wrote_it():
    text = '```json\n{"item": "boots", "count": 2}\n```'
    response = await run(Agent("A", output=Order), "Hi", model=ScriptedModel([text]))
    assert response.output == Order(item="boots", count=2)
    assert response.text == text


async def test_messages_are_what_this_run_added_without_the_users_own():
    runner = Runner(Agent("A"), model=ScriptedModel(["One.", "Two."]))
    first = await runner.run("Hi", conversation="c")
    second = await runner.run("And?", conversation="c")
    assert first.messages == [{"role": "assistant", "content": "One."}]
    assert second.messages == [{"role": "assistant", "content": "Two."}]


async def test_changing_what_a_response_gives_changes_nothing_in_the_conversation():
    @tool
    def note(ctx: Context) -> str:
        ctx.set(seen=[1])
        return "ok"

    runner = Runner(Agent("A", tools=[note]), model=ScriptedModel([{"note": {}}, "One.", "Two."]))
    response = await runner.run("Hi", conversation="c")
    response.messages[0]["content"] = "changed"
    response.messages.clear()
    dict(response.context)["seen"] = None
    response.context.clear()
    assert response.messages[-1]["content"] == "One."
    assert (await runner.run("And?", conversation="c")).context == {"seen": [1]}


async def test_usage_is_that_of_the_run_over_all_its_replies():
    replies = [Reply(text="One.", finish="stop", usage=Usage(10, 1, 5, 1)), Reply(text="Two.", finish="stop", usage=Usage(20, 2))]
    runner = Runner(Agent("A"), model=ScriptedModel(replies))
    assert (await runner.run("Hi", conversation="c")).usage == Usage(10, 1, 5, 1)
    assert (await runner.run("Hi", conversation="c")).usage == Usage(20, 2, 0, 0)


async def test_a_limited_run_has_no_output_and_says_which_limit():
    def look() -> str:
        return "x"

    response = await run(Agent("A", tools=[look]), "Hi", model=ScriptedModel([{"look": {}}] * 2), limits=Limits(turns=1))
    assert response.status == "limited"
    assert isinstance(response.error, LimitReached)
    assert response.error.limit == "turns"
    with pytest.raises(NoOutput, match="limited") as caught:
        response.output
    assert caught.value.status == "limited"
    assert response.text == ""
    with pytest.raises(LimitReached):
        response.raise_for_status()


async def test_a_waiting_run_has_no_output_no_error_and_the_calls_it_waits_for():
    @tool(approve=True)
    def refund(item: str) -> str:
        return item

    response = await run(Agent("A", tools=[refund]), "Hi", model=ScriptedModel([{"refund": {"item": "boots"}}]))
    assert response.status == "waiting"
    assert response.error is None
    (slot,) = response.waiting_for
    assert slot.approval is not None
    assert slot.approval.arguments == '{"item":"boots"}'
    with pytest.raises(NoOutput, match="waiting"):
        response.raise_for_status()


async def test_a_failed_runs_error_is_raised_and_names_the_conversation():
    runner = Runner(Agent("A"), model=ScriptedModel([RateLimited("busy", retry_after=3.0, provider="p"), "Hello."]))
    with pytest.raises(RateLimited) as caught:
        await runner.run("Hi", conversation="c")
    assert (caught.value.conversation, caught.value.retry_after) == ("c", 3.0)
    assert (await runner.run("Again", conversation="c")).output == "Hello."


async def test_another_runner_that_looks_at_a_failed_run_finds_the_same_error_with_its_values():
    runner = Runner(Agent("A"), model=ScriptedModel([ProviderRefused("no such model", provider="p", status=404)]))
    with pytest.raises(ProviderRefused):
        await runner.run("Hi", conversation="c", key="k")
    other = Runner(Agent("A"), model=ScriptedModel([]), journal=runner.journal)
    with pytest.raises(ProviderRefused, match="no such model") as caught:
        await other.run("Hi", conversation="c", key="k")
    assert (caught.value.provider, caught.value.status, caught.value.conversation) == ("p", 404, "c")


async def test_a_cancelled_run_says_so():
    asked = asyncio.Event()

    async def hang() -> str:
        asked.set()
        await asyncio.sleep(60)
        return ""

    runner = Runner(Agent("A", tools=[hang]), model=ScriptedModel([{"hang": {}}]))
    task = asyncio.create_task(runner.run("Hi", conversation="c"))
    await asked.wait()
    assert await runner.cancel("c")
    response = await task
    assert response.status == "cancelled"
    assert isinstance(response.error, RunCancelled)
    with pytest.raises(RunCancelled):
        response.raise_for_status()

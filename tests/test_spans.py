"""Spans of a run, seen through the SDK's in-memory exporter."""

import asyncio
import json
import logging
import subprocess
import sys
import threading

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from segue.agent import Agent, handoff
from segue.core.messages import Reply, Usage
from segue.errors import RateLimited, RunCancelled
from segue.runner import Runner
from segue.spans import CAPTURE, trace_of
from segue.testing import FunctionModel, ScriptedModel
from segue.throwaway import run, run_sync
from segue.tools.tool import tool

REFUND = [
    {"transfer_to_refunds": {}},
    [{"look_up_item": {"search_query": "boots"}}, {"note": {"text": "angry"}}],
    {"execute_refund": {"item_id": "item_1"}},
    Reply(text="Refunded.", finish="stop", usage=Usage(10, 3, 2, 1), model="gpt-x-1"),
]


@pytest.fixture
def spans(monkeypatch):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    use(monkeypatch, provider)
    return exporter


def use(monkeypatch, provider):
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)


def team(**own):
    def look_up_item(search_query: str) -> str:
        with trace.get_tracer("own").start_as_current_span("own: look up"):
            return own.get("found", "item_1")

    async def note(text: str) -> str:
        with trace.get_tracer("own").start_as_current_span("own: note"):
            await asyncio.sleep(0)
            return "noted"

    @tool(thread=False)
    def execute_refund(item_id: str) -> str:
        with trace.get_tracer("own").start_as_current_span("own: refund"):
            if own.get("broken"):
                raise ValueError(own["broken"])
            return "success"

    def transfer_to_refunds() -> Agent:
        return refunds

    refunds = Agent("Refund Agent", instructions=own.get("instructions", "Refund."), tools=[look_up_item, note, execute_refund])
    return Agent("Triage Agent", tools=[transfer_to_refunds])


def tree(exporter):
    """Every span as its path of names from the root, in the order in which they began."""
    spans = sorted(exporter.get_finished_spans(), key=lambda span: span.start_time)
    by_id = {span.context.span_id: span for span in spans}

    def path(span):
        parent = by_id.get(span.parent.span_id) if span.parent else None
        return [*(path(parent) if parent else []), span.name]

    return ["/".join(path(span)) for span in spans]


def named(exporter, name):
    return [span for span in exporter.get_finished_spans() if span.name == name]


EXPECTED = {
    "invoke_workflow Triage Agent",
    "invoke_workflow Triage Agent/invoke_agent Triage Agent",
    "invoke_workflow Triage Agent/invoke_agent Triage Agent/chat scripted",
    "invoke_workflow Triage Agent/invoke_agent Triage Agent/execute_tool transfer_to_refunds",
    "invoke_workflow Triage Agent/invoke_agent Refund Agent",
    "invoke_workflow Triage Agent/invoke_agent Refund Agent/chat scripted",
    "invoke_workflow Triage Agent/invoke_agent Refund Agent/execute_tool look_up_item",
    "invoke_workflow Triage Agent/invoke_agent Refund Agent/execute_tool look_up_item/own: look up",
    "invoke_workflow Triage Agent/invoke_agent Refund Agent/execute_tool note",
    "invoke_workflow Triage Agent/invoke_agent Refund Agent/execute_tool note/own: note",
    "invoke_workflow Triage Agent/invoke_agent Refund Agent/execute_tool execute_refund",
    "invoke_workflow Triage Agent/invoke_agent Refund Agent/execute_tool execute_refund/own: refund",
}


async def by_run(agent):
    await run(agent, "Money back!", model=ScriptedModel(REFUND))


async def by_stream(agent):
    async with Runner(agent, model=ScriptedModel(REFUND)).stream("Money back!") as stream:
        async for _ in stream:
            assert not trace.get_current_span().is_recording(), "a span leaked to the consumer"


async def by_run_sync(agent):
    run_sync(agent, "Money back!", model=ScriptedModel(REFUND))


async def by_stream_sync(agent):
    with Runner(agent, model=ScriptedModel(REFUND)).stream_sync("Money back!") as stream:
        list(stream)


@pytest.mark.parametrize("way", [by_run, by_stream, by_run_sync, by_stream_sync])
async def test_a_run_is_a_tree_of_workflow_agents_chats_and_tools_by_whatever_face(spans, way):
    await way(team())
    assert set(tree(spans)) == EXPECTED
    assert len(named(spans, "chat scripted")) == 4
    assert len(tree(spans)) == len(EXPECTED) + 2  # the Refund Agent was asked three times


async def test_the_spans_of_a_run_stand_under_the_callers(spans):
    with trace.get_tracer("own").start_as_current_span("request") as request:
        await by_run(team())
        await by_run_sync(team())
        assert trace.get_current_span() is request
    assert {path.split("/")[0] for path in tree(spans)} == {"request"}


async def test_attributes_are_those_of_the_conventions(spans):
    model = ScriptedModel(REFUND, name="gpt-x")
    response = await Runner(team(), model=model).run("Money back!", conversation="c1")
    (workflow,) = named(spans, "invoke_workflow Triage Agent")
    assert workflow.attributes == {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": "Triage Agent",
        "gen_ai.conversation.id": "c1",
        "segue.run.status": "done",
    }
    (stay,) = named(spans, "invoke_agent Refund Agent")
    assert stay.attributes == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "Refund Agent",
        "gen_ai.conversation.id": "c1",
    }
    chat = named(spans, "chat gpt-x")[-1]
    assert chat.kind is trace.SpanKind.CLIENT
    assert workflow.kind is stay.kind is trace.SpanKind.INTERNAL
    assert chat.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "custom",
        "gen_ai.request.model": "gpt-x",
        "gen_ai.response.model": "gpt-x-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 2,
        "gen_ai.usage.reasoning.output_tokens": 1,
        "gen_ai.output.type": "text",
        "gen_ai.agent.name": "Refund Agent",
        "gen_ai.conversation.id": "c1",
    }
    (tool_span,) = named(spans, "execute_tool execute_refund")
    call_id = response.messages[-3]["tool_calls"][0]["id"]
    assert tool_span.attributes == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "execute_refund",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": call_id,
        "gen_ai.agent.name": "Refund Agent",
        "gen_ai.conversation.id": "c1",
    }


def handoffs(spans):
    return [
        (span.name, span.attributes["gen_ai.agent.handoff.source.name"], span.attributes["gen_ai.agent.handoff.target.name"])
        for span in spans.get_finished_spans()
        if "gen_ai.agent.handoff.source.name" in span.attributes
    ]


async def test_a_handoff_by_a_function_names_source_and_target(spans):
    await by_run(team())
    assert handoffs(spans) == [("execute_tool transfer_to_refunds", "Triage Agent", "Refund Agent")]


async def test_of_two_generated_handoffs_only_the_first_is_one(spans):
    sales, repairs = Agent("Sales"), Agent("Repairs")
    triage = Agent("Triage", handoffs=[sales, handoff(repairs)])
    await run(triage, "Hi", model=ScriptedModel([[{"transfer_to_repairs": {}}, {"transfer_to_sales": {}}], "Hello."]))
    assert handoffs(spans) == [("execute_tool transfer_to_repairs", "Triage", "Repairs")]
    assert len(named(spans, "execute_tool transfer_to_sales")) == 1


async def test_a_tool_that_fails_marks_its_span_and_no_other(spans):
    await by_run(team(broken="no such item"))
    failed = [span for span in spans.get_finished_spans() if "error.type" in span.attributes]
    assert [(span.name, span.attributes["error.type"]) for span in failed] == [("execute_tool execute_refund", "raised")]


async def test_a_call_that_is_not_made_has_a_span_that_says_why(spans):
    await run(Agent("A"), "Hi", model=ScriptedModel([{"rm -rf": {}}, "Sorry."]))
    (span,) = named(spans, "execute_tool rm_-rf")
    assert span.attributes["error.type"] == "unknown_tool"


async def test_a_provider_error_marks_chat_agent_and_workflow(spans):
    with pytest.raises(RateLimited):
        await run(Agent("A"), "Hi", model=ScriptedModel([RateLimited("busy")]))
    errors = {span.name: span.attributes["error.type"] for span in spans.get_finished_spans()}
    assert errors == {"chat scripted": "RateLimited", "invoke_agent A": "RateLimited", "invoke_workflow A": "RateLimited"}


async def test_a_cancelled_run_leaves_no_span_open(spans):
    started, model_asked = asyncio.Event(), asyncio.Event()

    async def hang() -> str:
        started.set()
        await asyncio.sleep(60)
        return ""

    runner = Runner(Agent("A", tools=[hang]), model=ScriptedModel([{"hang": {}}, "Never."]))
    task = asyncio.create_task(runner.run("Hi", conversation="c"))
    await started.wait()
    await runner.cancel("c")
    assert isinstance((await task).error, RunCancelled)
    assert {span.name: span.attributes.get("error.type") for span in spans.get_finished_spans()} == {
        "execute_tool hang": "unknown",
        "chat scripted": None,
        "invoke_agent A": None,
        "invoke_workflow A": None,
    }
    spans.clear()

    async def never(request):
        model_asked.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(run(Agent("A"), "Hi", model=FunctionModel(never)))
    await model_asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert {span.name: span.attributes.get("error.type") for span in spans.get_finished_spans()} == {
        "chat function": "CancelledError",
        "invoke_agent A": None,
        "invoke_workflow A": None,
    }


async def test_an_agent_as_a_tool_that_waits_for_an_approval_is_no_error(spans):
    @tool(approve=True)
    def pay(amount: int) -> str:
        return "paid"

    outer = Agent("Outer", tools=[Agent("Inner", tools=[pay]).as_tool(), pay])
    both = {"inner": {"input": "?"}, "pay": {"amount": 2}}
    runner = Runner(outer, model=ScriptedModel([both, {"pay": {"amount": 1}}, "Paid.", "Done."]))
    asked = [slot.approval for slot in (await runner.run("Hi", conversation="c")).waiting_for]
    (waits,) = named(spans, "execute_tool inner")
    assert (waits.status.status_code, waits.attributes.get("error.type")) == (trace.StatusCode.UNSET, None)
    assert not named(spans, "execute_tool pay")  # a plain tool has no span before it is called
    assert [span.attributes["segue.run.status"] for span in spans.get_finished_spans() if "workflow" in span.name] == ["waiting"] * 2
    spans.clear()
    for approval in asked:
        await runner.approve("c", approval.id, approval.digest)
    assert [span.name for span in spans.get_finished_spans() if span.attributes.get("error.type")] == []
    assert len(named(spans, "execute_tool inner")) == 1
    assert len(named(spans, "execute_tool pay")) == 2


async def test_leaving_a_stream_early_ends_every_span(spans):
    async with Runner(Agent("A"), model=ScriptedModel(["one two three"])).stream("Hi") as stream:
        async for item in stream:
            if type(item).__name__ == "TextDelta":
                break
    assert tree(spans) == ["invoke_workflow A", "invoke_workflow A/invoke_agent A", "invoke_workflow A/invoke_agent A/chat scripted"]
    assert named(spans, "invoke_workflow A")[0].attributes["segue.run.status"] == "cancelled"


async def test_an_agent_as_a_tool_is_a_workflow_of_its_own_under_the_call(spans):
    inner = Agent("Inner", model=ScriptedModel(["42"]))
    await run(Agent("Outer", tools=[inner.as_tool()], model=ScriptedModel([{"inner": {"input": "?"}}, "Done."])), "Hi")
    assert "invoke_workflow Outer/invoke_agent Outer/execute_tool inner/invoke_workflow Inner/invoke_agent Inner/chat scripted" in tree(
        spans
    )


CANARY = "canary-4711"


async def say_canaries():
    agent = team(found=CANARY, broken=CANARY, instructions=f"Instructions {CANARY}")
    script = [*REFUND[:1], [{"look_up_item": {"search_query": CANARY}}], {"execute_refund": {"item_id": CANARY}}, CANARY]
    await run(agent, CANARY, model=ScriptedModel(script))


def everything(spans):
    return "\n".join(span.to_json() for span in spans.get_finished_spans() if not span.name.startswith("own:"))


async def test_what_was_said_is_in_no_span_and_in_no_log_unless_asked_for(spans, caplog):
    caplog.set_level(logging.INFO, "segue")
    await say_canaries()
    assert CANARY not in everything(spans)
    assert CANARY not in caplog.text
    assert "raised ValueError" in caplog.text


async def test_what_was_said_is_recorded_where_the_environment_asks_for_it(spans, monkeypatch):
    monkeypatch.setenv(CAPTURE, "true")
    await say_canaries()
    chats = named(spans, "chat scripted")
    assert json.loads(chats[-1].attributes["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": CANARY}], "finish_reason": "stop"}
    ]
    assert json.loads(chats[-1].attributes["gen_ai.system_instructions"]) == [{"type": "text", "content": f"Instructions {CANARY}"}]
    heard = json.loads(chats[-1].attributes["gen_ai.input.messages"])
    assert heard[0] == {"role": "user", "parts": [{"type": "text", "content": CANARY}]}
    assert [part["type"] for message in heard for part in message["parts"]].count("tool_call_response") == 3
    (look_up,) = named(spans, "execute_tool look_up_item")
    assert look_up.attributes["gen_ai.tool.call.arguments"] == json.dumps({"search_query": CANARY}, separators=(",", ":"))
    assert look_up.attributes["gen_ai.tool.call.result"] == CANARY
    (refund,) = named(spans, "execute_tool execute_refund")
    assert CANARY in refund.attributes["gen_ai.tool.call.result"]


class Raising(SpanProcessor):
    def on_start(self, span, parent_context=None):
        raise OSError("on_start")

    def on_end(self, span):
        raise OSError("on_end")


async def test_a_processor_that_raises_does_not_harm_the_run(monkeypatch, caplog):
    provider = TracerProvider()
    provider.add_span_processor(Raising())
    use(monkeypatch, provider)

    async def add(a: int) -> int:
        return a + 1

    response = await run(Agent("A", tools=[add]), "Hi", model=ScriptedModel([{"add": {"a": 1}}, "Done."]))
    assert response.output == "Done."
    assert "tracing failed" in caplog.text


async def test_an_exporter_that_hangs_does_not_hold_up_the_run(monkeypatch):
    release, entered = threading.Event(), threading.Event()

    class Hanging(SpanExporter):
        def export(self, spans):
            entered.set()
            release.wait(30)
            return SpanExportResult.FAILURE

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Hanging(), max_export_batch_size=1, max_queue_size=4))
    use(monkeypatch, provider)
    for _ in range(5):
        assert (await run(team(), "Hi", model=ScriptedModel(REFUND))).output == "Refunded."
    assert entered.wait(10)
    release.set()
    provider.shutdown()


def test_without_a_tracer_nothing_is_traced():
    assert trace_of("A", "c") is None


def test_opentelemetry_is_not_imported_by_a_program_that_has_no_tracer():
    program = (
        "import sys, segue\nfrom segue.testing import ScriptedModel\n"
        "assert segue.run_sync(segue.Agent('A'), 'Hi', model=ScriptedModel(['Hello.'])).output == 'Hello.'\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_program_that_does_not_ask_for_logs_sees_none():
    program = (
        "import segue\nfrom segue.testing import ScriptedModel\n"
        "def broken():\n    raise ValueError('x')\n"
        "segue.run_sync(segue.Agent('A', tools=[broken]), 'Hi', model=ScriptedModel([{'broken': {}}, 'Hello.']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")

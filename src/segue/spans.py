"""Live OpenTelemetry spans of what is performed: invoke_workflow > invoke_agent > chat, execute_tool.
Without a tracer nothing is done, and OpenTelemetry is not even imported. Names and attributes are those of the GenAI
conventions. What was said, and what tools were given and returned, is recorded only where the environment asks for it."""

import logging
import os
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, assert_never

from segue.core.arguments import canonical
from segue.core.conversation import Conversation
from segue.core.events import ApprovalAsked, Event, Outcome, RunEnded, ToolFailed, ToolReturned, ToolStarted, ToolUnknown
from segue.core.messages import Assistant, Message, Reply, System, ToolAnswer
from segue.core.turns import Slot, sendable
from segue.model import Model, ModelRequest
from segue.wire.chat_messages import as_chat

_STATUS = {"idle": "done", "human": "waiting"}

T = TypeVar("T")

log = logging.getLogger("segue")

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

_PROVIDERS = {"azure": "azure.ai.openai", "gemini": "gcp.gemini", "mistral": "mistral_ai"}
"""Where a provider's name in the conventions is not ours."""


def trace_of(entry: str, conversation: str) -> "Trace | None":
    """The spans of a drive that begins now; `None` where the program has set up no tracing."""
    if "opentelemetry.trace" not in sys.modules and "OTEL_PYTHON_TRACER_PROVIDER" not in os.environ:
        return None  # whoever sets up a tracer has imported it
    from opentelemetry import context, trace  # here, because most programs have no use for it

    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
        return None
    return Trace(provider.get_tracer("segue"), trace, context, entry, conversation)


class Silent:
    """A model call that nobody traces."""

    def __enter__(self) -> "Silent":
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def through(self, items: AsyncIterator[T]) -> AsyncIterator[T]:
        """The items as they are."""
        return items

    def replied(self, reply: Reply) -> None:
        """Say nothing."""

    def failed(self, error: BaseException) -> None:
        """Say nothing."""


SILENT = Silent()


class Chat(Silent):
    """The span of one model call."""

    def __init__(self, trace: "Trace", span: Any) -> None:
        self._trace = trace
        self._span = span

    def __enter__(self) -> "Chat":
        return self

    def __exit__(self, *exc: object) -> None:
        error = exc[1]
        self._trace.end(self._span, "" if error is None else type(error).__name__)

    def through(self, items: AsyncIterator[T]) -> AsyncIterator[T]:
        """The items, with the span current while they are waited for; never while a consumer holds one."""
        return self._trace.through(self._span, items)

    def replied(self, reply: Reply) -> None:
        """Write down what the reply cost, and why it ended."""
        self._trace.harmless(self._write, reply)

    def failed(self, error: BaseException) -> None:
        """The call brought no reply."""
        self._trace.end(self._span, type(error).__name__)

    def _write(self, reply: Reply) -> None:
        usage = reply.usage
        found = {
            "gen_ai.response.model": reply.model,
            "gen_ai.usage.input_tokens": usage.input,
            "gen_ai.usage.output_tokens": usage.output,
            "gen_ai.usage.cache_read.input_tokens": usage.cached,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning,
        }
        for name, value in found.items():
            if value:
                self._span.set_attribute(name, value)
        if reply.finish:
            self._span.set_attribute("gen_ai.response.finish_reasons", [reply.finish])
        if self._trace.content:
            said = _told(Assistant(reply.text, reply.calls)) | {"finish_reason": reply.finish}
            self._span.set_attribute("gen_ai.output.messages", canonical([said]))


class Trace:
    """The spans of one drive, as a fold over its events; model calls, which have no event of their beginning, are told of.

    Nothing that goes wrong with a span is felt by the run.
    """

    def __init__(self, tracer: Any, trace: Any, context: Any, entry: str, conversation: str) -> None:
        self._tracer, self._api, self._context = tracer, trace, context
        self.content = os.environ.get(CAPTURE, "").lower() in ("true", "span_only", "span_and_event")
        """Whether what was said is recorded."""
        self._conversation = conversation
        self._around = context.get_current()
        self._run = self._start("invoke_workflow", entry, None, {"gen_ai.workflow.name": entry})
        self._agent = ""
        self._stay: Any = None
        self._tools: dict[str, Any] = {}
        self._switching: list[tuple[str, Any, str, int]] = []
        """Calls of the open turn that ask for a handoff: their places, spans, targets and ends. Which one wins is seen when it closes."""

    def harmless(self, do: Callable[..., T], *args: Any) -> T | None:
        """Do something that is not to disturb the run; `None` if it failed."""
        try:
            return do(*args)
        except Exception:
            log.warning("tracing failed; the run goes on", exc_info=True)
            return None

    def end(self, span: Any, error: str = "", at: int | None = None) -> None:
        """End a span that may have ended already; `error` is the type of what went wrong."""
        if span is None or not span.is_recording():
            return
        if error:
            span.set_attribute("error.type", error)
            span.set_status(self._api.StatusCode.ERROR)
        self.harmless(span.end, at)

    async def through(self, span: Any, items: AsyncIterator[T]) -> AsyncGenerator[T, None]:
        """The items, with a span current while they are waited for."""
        try:
            while True:
                with self._inside(span):
                    try:
                        item = await anext(items)
                    except StopAsyncIteration:
                        return
                yield item
        finally:
            if isinstance(items, AsyncGenerator):
                await items.aclose()

    def inside(self, place: str) -> Any:
        """A context manager: what begins in it, a task or a thread's work, belongs to the call at this place."""
        return self._inside(self._tools.get(place))

    @contextmanager
    def _inside(self, span: Any) -> Iterator[None]:
        if span is None:
            yield
            return
        token = self._context.attach(self._under(span))
        try:
            yield
        finally:
            self._context.detach(token)

    def chat(self, model: Model, request: ModelRequest) -> Silent:
        """The span of a model call that begins now."""
        span = self.harmless(self._chat, model, request)
        return SILENT if span is None else Chat(self, span)

    def saw(self, event: Event, before: Conversation, after: Conversation) -> None:
        """Take notice of what happened."""
        self.harmless(self._saw, event, before, after)

    def close(self, c: Conversation, error: Exception | None) -> None:
        """The drive is over: nothing stays open."""
        ended = c.ended if c.status.value == "ended" else None
        failure = ""
        if ended is not None and ended.kind == "failed":
            failure = ended.error or (type(error).__name__ if error is not None else ended.reason)
        for span in self._tools.values():
            self.end(span, "cancelled")
        self._leave(failure)
        if self._run is not None:
            self._run.set_attribute("segue.run.status", ended.kind if ended else _STATUS.get(c.status.value, "left"))
            self.end(self._run, failure)

    # -- what happens

    def _start(self, operation: str, name: str, parent: Any, attributes: dict[str, Any], kind: str = "INTERNAL") -> Any:
        attributes = {"gen_ai.operation.name": operation, "gen_ai.conversation.id": self._conversation, **attributes}
        kinds = self._api.SpanKind
        around = self._around if parent is None else self._under(parent)
        start = self._tracer.start_span
        return self.harmless(lambda: start(f"{operation} {name}", context=around, kind=kinds[kind], attributes=attributes))

    def _under(self, span: Any) -> Any:
        return self._api.set_span_in_context(span, self._around)

    def _staying(self, agent: str) -> Any:
        """The span of an agent's stay on the floor; begun where it does something for the first time."""
        if self._agent != agent:
            self._leave()
            self._agent = agent
            self._stay = self._start("invoke_agent", agent, self._run, {"gen_ai.agent.name": agent})
        return self._stay

    def _leave(self, error: str = "") -> None:
        self.end(self._stay, error)
        self._agent, self._stay = "", None

    def _chat(self, model: Model, request: ModelRequest) -> Any:
        settings = request.settings
        provider = getattr(model, "provider", "") or "custom"
        attributes: dict[str, Any] = {
            "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
            "gen_ai.request.model": model.name,
            "gen_ai.agent.name": request.agent,
            "gen_ai.output.type": "json" if request.output else "text",
        }
        asked = {
            "stream": request.stream or None,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "max_tokens": settings.max_tokens,
            "seed": settings.seed,
            "stop_sequences": list(settings.stop) if settings.stop else None,
        }
        attributes |= {f"gen_ai.request.{name}": value for name, value in asked.items() if value is not None}
        if self.content:
            said = [message for message in request.messages if not isinstance(message, System)]
            attributes["gen_ai.input.messages"] = canonical([_told(message) for message in said])
            told = [{"type": "text", "content": message.content} for message in request.messages if isinstance(message, System)]
            attributes["gen_ai.system_instructions"] = canonical(told)
        return self._start("chat", model.name, self._staying(request.agent), attributes, "CLIENT")

    def _saw(self, event: Event, before: Conversation, after: Conversation) -> None:
        match event:
            case ToolStarted():
                self._tools[event.place] = self._tool(_slot(before, event.place), before.active)
            case ToolReturned() | ToolFailed() | ToolUnknown():
                self._came(event, before)
            case ApprovalAsked():  # an agent that is used as a tool waits for a person: it goes on in another drive
                self.end(self._tools.pop(event.place, None))
            case RunEnded() if event.kind == "failed":
                self._leave(event.error or event.reason)
        if self._switching and after.turn is None:
            self._switched(before.active, after.active)

    def _tool(self, slot: Slot, agent: str) -> Any:
        name = sendable(slot.call).name
        attributes = {"gen_ai.tool.name": name, "gen_ai.tool.type": "function", "gen_ai.tool.call.id": slot.call.id}
        attributes["gen_ai.agent.name"] = agent
        if self.content:
            attributes["gen_ai.tool.call.arguments"] = slot.call.arguments
        return self._start("execute_tool", name, self._staying(agent), attributes)

    def _came(self, event: Outcome, before: Conversation) -> None:
        span = self._tools.pop(event.place, None) or self._tool(_slot(before, event.place), before.active)
        if span is None:
            return
        match event:
            case ToolReturned():
                if self.content:
                    said = event.content if isinstance(event.content, str) else canonical(event.content)
                    span.set_attribute("gen_ai.tool.call.result", said)
                if event.handoff is not None:
                    self._switching.append((event.place, span, event.handoff.agent, time.time_ns()))
                else:
                    self.end(span)
            case ToolFailed():
                if self.content:
                    span.set_attribute("gen_ai.tool.call.result", event.words)
                self.end(span, event.kind)
            case ToolUnknown():
                self.end(span, "unknown")
            case _:
                assert_never(event)

    def _switched(self, source: str, active: str) -> None:
        """The turn has closed: the first in call order that leads to who has the floor now is the handoff (R12)."""
        for _, span, target, at in sorted(self._switching, key=lambda asked: int(asked[0].rpartition(".")[2])):
            if target == active != source:
                span.set_attribute("gen_ai.agent.handoff.source.name", source)
                span.set_attribute("gen_ai.agent.handoff.target.name", target)
                source = active
            self.end(span, at=at)
        self._switching = []


def _slot(c: Conversation, place: str) -> Slot:
    assert c.turn is not None
    return next(slot for slot in c.turn.slots if slot.place == place)


def _told(message: Message) -> dict[str, Any]:
    """A message in the form of the conventions."""
    chat = as_chat(message)
    parts: list[dict[str, Any]] = []
    if isinstance(message, ToolAnswer):
        parts = [{"type": "tool_call_response", "id": message.call_id, "response": chat["content"]}]
    elif isinstance(chat["content"], str):
        parts = [{"type": "text", "content": chat["content"]}]
    elif chat["content"]:
        parts = [{"type": "text", "content": part["text"]} if part.get("type") == "text" else part for part in chat["content"]]
    if isinstance(message, Assistant):
        parts += [{"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments} for call in message.calls]
    return {"role": chat["role"], "parts": parts}

"""What is strange in the Responses API alone: statuses, items, events."""

from typing import Any

from segue.errors import BadReply, ContextTooLong, ModelRefused, ProviderError, ProviderTimeout, RateLimited, ReplyCut
from tests.hostile.arguments import GOOD, RAN
from tests.hostile.forms import STREAMS, Form, Raw, response_events
from tests.hostile.stage import Case
from tests.loopback import CLOSE, DONE, HANG, RESET, Answer, Bit, begun, event, stream, whole

TEXT = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Done.", "annotations": []}],
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "refund", "arguments": GOOD, "status": "completed"}
OTHER = {**CALL, "id": "fc_2", "call_id": "call_2", "arguments": '{"order": "B2", "amount": 7}'}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2ln"}
HALF = {**CALL, "arguments": GOOD[:13], "status": "incomplete"}


def response(*output: Any, **fields: Any) -> dict[str, Any]:
    return {"object": "response", "id": "resp_1", "model": "m", "status": "completed", "output": list(output), "error": None} | fields


def both(value: dict[str, Any], *kinds: str) -> list[Raw]:
    """A response, whole and as its events."""
    status = value.get("status")
    last = {"type": f"response.{status if status in ('failed', 'incomplete', 'cancelled') else 'completed'}", "response": value}
    bits = stream(event({"type": "response.created", "response": {}}), event(last))
    return [Raw(whole(value), (Form.RESPONSES_WHOLE,), frozenset(kinds)), Raw(bits, (Form.RESPONSES_STREAM,), frozenset(kinds))]


def streamed(*bits: Bit) -> Raw:
    return Raw(stream(*bits), (Form.RESPONSES_STREAM,))


def broken_off(*bits: Bit) -> Raw:
    said: Answer = begun(*bits)
    return Raw(list(said), (Form.RESPONSES_STREAM,))


def without(item: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in names}


EVENTS = response_events(response(CALL))

# responses that are broken
BROKEN: dict[str, tuple[dict[str, Any], type[ProviderError]]] = {
    "an empty output": (response(), BadReply),
    "an output of null": (response(output=None), BadReply),
    "an output that is an object": (response(output={"type": "message"}), BadReply),
    "an output of null items": (response(None), BadReply),
    "an output of texts": (response("Done."), BadReply),
    "an empty message": (response({**TEXT, "content": []}), BadReply),
    "a message of null": (response({**TEXT, "content": None}), BadReply),
    "a message of another role": (response({**TEXT, "role": "user"}), BadReply),
    "thoughts alone": (response(THOUGHT), BadReply),
    "an unknown item alone": (response({"type": "mystery"}), BadReply),
    "a status of failed": (response(status="failed", error={"code": "server_error", "message": "m"}), ProviderError),
    "a status of failed without an error": (response(status="failed"), BadReply),
    "a status of cancelled": (response(CALL, status="cancelled"), BadReply),
    "a status of queued": (response(CALL, status="queued"), BadReply),
    "a whole reply with a call that is not": (response({**CALL, "status": "incomplete"}), BadReply),
    "a status of in_progress with a call": (response(CALL, status="in_progress"), BadReply),
    "a status that nobody knows": (response(CALL, status="paused"), BadReply),
    "a rate limit": (response(status="failed", error={"code": "rate_limit_exceeded", "message": "m"}), RateLimited),
}

ENDED: dict[str, tuple[dict[str, Any], type[ProviderError]]] = {
    "a message cut by its length": (response(TEXT, status="incomplete", incomplete_details={"reason": "max_output_tokens"}), ReplyCut),
    "a call cut by its length": (response(HALF, status="incomplete", incomplete_details={"reason": "max_output_tokens"}), ReplyCut),
    "a call that looks whole, cut by its length": (
        response(CALL, status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
        ReplyCut,
    ),
    "a call taken back by a filter": (response(CALL, status="incomplete", incomplete_details={"reason": "content_filter"}), ReplyCut),
    "a cut for no reason": (response(CALL, status="incomplete", incomplete_details=None), ReplyCut),
    "a refusal": (response({**TEXT, "content": [{"type": "refusal", "refusal": "No."}]}), ModelRefused),
    "a refusal beside a call": (response({**TEXT, "content": [{"type": "refusal", "refusal": "No."}]}, CALL), ModelRefused),
    "a full context": (response(status="failed", error={"code": "context_length_exceeded", "message": "m"}), ContextTooLong),
}

# responses that mean something: the output, what ran, what the model is told
WELL: dict[str, tuple[list[Any], list[str], str]] = {
    "a message before its call": ([TEXT, CALL], RAN, "refunded"),
    "a message after its call": ([CALL, TEXT], RAN, "refunded"),
    "thoughts before its call": ([THOUGHT, CALL], RAN, "refunded"),
    "two calls with the same id": ([CALL, {**OTHER, "call_id": "call_1"}], [*RAN, "refund B2 7 none"], "refunded"),
    "the same call twice": ([CALL, CALL], RAN, "refunded"),
    "a call without a call id": ([without(CALL, "call_id")], RAN, "refunded"),
    "a call without any id": ([without(CALL, "call_id", "id")], RAN, "refunded"),
    "a call with an id of null": ([{**CALL, "call_id": None, "id": None}], RAN, "refunded"),
    "a call with an id that is a number": ([{**CALL, "call_id": 5}], RAN, "refunded"),
    "a call with arguments that are an object": ([{**CALL, "arguments": {"order": "A1", "amount": 5}}], RAN, "refunded"),
    "a call with arguments of null": ([{**CALL, "arguments": None}], [], "order"),
    "a call without arguments": ([without(CALL, "arguments")], [], "order"),
    "a call without a name": ([without(CALL, "name")], [], "no tool"),
    "a call with a name of null": ([{**CALL, "name": None}], [], "no tool"),
    "a call with an illegal name": ([{**CALL, "name": "refund me!"}], [], "no tool"),
    "a call with cut arguments": ([{**HALF, "status": "completed"}], [], "closed"),
    "a call without a status": ([without(CALL, "status")], RAN, "refunded"),
    "a custom call": ([{"type": "custom_tool_call", "call_id": "c", "name": "refund", "input": "A1 for 5"}], [], "cannot be read"),
    "another agent's tool after thoughts": ([THOUGHT, {**CALL, "name": "sell"}], [], "no tool"),
    "an empty name after thoughts": ([THOUGHT, {**CALL, "name": ""}], [], "no tool"),
    "empty ids after thoughts": ([THOUGHT, {**CALL, "call_id": ""}, {**OTHER, "call_id": ""}], [*RAN, "refund B2 7 none"], "refunded"),
}

SAID: dict[str, list[Any]] = {
    "content that is a text": [{**TEXT, "content": "Done."}],
    "parts of unknown kinds": [{**TEXT, "content": [{"type": "mystery"}, None, *TEXT["content"]]}],
    "items of unknown kinds": [{"type": "mystery", "data": [1]}, TEXT],
    "a web search before it": [{"type": "web_search_call", "id": "ws_1", "status": "completed"}, TEXT],
    "thoughts in plain words": [{**THOUGHT, "encrypted_content": None}, TEXT],
    "no role": [without(TEXT, "role")],
    "no ids": [without(TEXT, "id", "status")],
}

LOST: dict[str, tuple[list[Bit], type[ProviderError]]] = {
    "that ends before its last event": (EVENTS[:-1], BadReply),
    "that ends inside arguments": (EVENTS[:5], BadReply),
    "that ends after its call is done": (EVENTS[:-1], BadReply),
    "of [DONE] alone": ([DONE], BadReply),
    "of unknown events": ([event({"type": "mystery"})] * 3, BadReply),
    "with a last event without a response": ([*EVENTS[:-1], event({"type": "response.completed"})], BadReply),
    "with a last event of null": ([*EVENTS[:-1], event({"type": "response.completed", "response": None})], BadReply),
    "with a line that is not JSON": ([*EVENTS[:3], b"data: {cut\n\n", *EVENTS[3:]], BadReply),
    "with a line that is a list": ([b"data: [1]\n\n", *EVENTS], BadReply),
    "with an error event": ([*EVENTS[:4], event({"type": "error", "code": "server_error", "message": "m"})], ProviderError),
    "with an error without a type": ([*EVENTS[:4], event({"error": {"message": "m", "code": 502}})], ProviderError),
    "with a rate limit": ([event({"type": "error", "code": "rate_limit_exceeded", "message": "m"})], RateLimited),
}

FINE: dict[str, list[Bit]] = {
    "byte by byte": [bytes([byte]) for byte in b"".join(EVENTS)],
    "with CRLF": [bit.replace(b"\n", b"\r\n") for bit in EVENTS],
    "with names of events": [b"event: x\n" + bit for bit in EVENTS],
    "with its last event alone": EVENTS[-1:],
    "with unknown events between": [bit for one in EVENTS for bit in (one, event({"type": "mystery", "item": 5}), b": ping\n\n")],
    "with null events": [b"data: null\n\n", *EVENTS],
    "with deltas that disagree": [
        *EVENTS[:3],
        event({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "5000"}),
        EVENTS[-1],
    ],
    "with places that are no numbers": [bit.replace(b'"output_index": 0', b'"output_index": "0"') for bit in EVENTS],
    "with places from one": [bit.replace(b'"output_index": 0', b'"output_index": 1') for bit in EVENTS],
    "without an output at its end": [*EVENTS[:-1], event({"type": "response.completed", "response": response()})],
    "with data after its end": [*EVENTS, event({"type": "error", "message": "m"}), b"data: {cut\n\n"],
    "with [DONE] after its end": [*EVENTS, DONE],
    "with deltas of wrong types": [
        event({"type": "response.output_text.delta", "delta": None}),
        event({"type": "response.function_call_arguments.delta", "delta": 5}),
        *EVENTS,
    ],
    "with an added item of null": [event({"type": "response.output_item.added", "output_index": 0, "item": None}), *EVENTS],
}

KINDS = ("reasoning", "message", "mystery", "web_search_call")

CASES = [
    *(Case(f"A response with {name}", said, fails=error, again=True) for name, (value, error) in BROKEN.items() for said in both(value)),
    *(Case(f"A response with {name}", said, fails=error) for name, (value, error) in ENDED.items() for said in both(value)),
    *(
        Case(f"A response with {name}", said, ran=ran, told=told)
        for name, (output, ran, told) in WELL.items()
        for said in both(response(*output), *KINDS)
    ),
    *(Case(f"A response with {name}", said) for name, output in SAID.items() for said in both(response(*output), *KINDS)),
    *(Case(f"A stream of Responses {name}", streamed(*bits), fails=error, again=True) for name, (bits, error) in LOST.items()),
    *(Case(f"A stream of Responses {name}", streamed(*bits), ran=RAN, told="refunded") for name, bits in FINE.items()),
    Case("A stream of Responses that is reset", broken_off(*EVENTS[:5], RESET), fails=ProviderError, again=True),
    Case("A stream of Responses that is closed", broken_off(*EVENTS[:5], CLOSE), fails=ProviderError, again=True),
    Case(
        "A stream of Responses that stalls", broken_off(*EVENTS[:5], HANG), fails=ProviderTimeout, again=True, limits={"idle_timeout": 0.1}
    ),
    Case("A stream of Responses that is reset after its end", broken_off(*EVENTS, RESET), ran=RAN),
    Case("A whole response to who asked for a stream", Raw(whole(response(CALL)), STREAMS[1:]), ran=RAN),
    Case("A stream of Responses to who asked for a whole one", Raw(stream(*EVENTS), (Form.RESPONSES_WHOLE,)), ran=RAN),
    Case(
        "A Chat Completions reply from Responses",
        Raw(whole({"choices": [{"message": {"content": "Done."}}]}), (Form.RESPONSES_WHOLE, Form.RESPONSES_STREAM)),
        fails=BadReply,
        again=True,
    ),
    Case("A response from Chat Completions", Raw(whole(response(TEXT)), (Form.CHAT_WHOLE, Form.CHAT_STREAM)), fails=BadReply, again=True),
]

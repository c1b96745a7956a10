"""Chat Completions, as a server: a client's request to messages, replies to bodies and streams."""

from collections.abc import Mapping
from typing import Any, assert_never

from segue.core.messages import Call, Reply
from segue.errors import SegueError
from segue.model import CallDelta, Delta, ModelSettings, ReasoningDelta, TextDelta
from segue.wire.chat_assembly import DIALECT
from segue.wire.chat_messages import from_chat
from segue.wire.jsontext import dumps
from segue.wire.request_fields import Fields, ServedRequest, output_spec, tool_spec
from segue.wire.sse import encode_event
from segue.wire.usage import chat_counts

LAST = encode_event(b"[DONE]")


def decode_request(body: bytes | Mapping[str, Any]) -> ServedRequest:
    """What a client asks for. Raises `UsageError` that names the field that is wrong."""
    fields = Fields(body)
    model = fields.text("model", needed=True)
    messages = from_chat(fields.objects("messages", needed=True))
    tools = tuple(tool_spec(place, tool.get("function")) for place, tool in enumerate(fields.objects("tools")))
    form = fields.left.get("response_format")
    output = None
    if isinstance(form, dict) and form.get("type") == "json_schema":
        output = output_spec(fields.object("response_format").get("json_schema"))
    stream = bool(fields.flag("stream"))
    options = fields.object("stream_options")
    settings = ModelSettings(
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        max_tokens=_first(fields.integer("max_completion_tokens"), fields.integer("max_tokens")),
        seed=fields.integer("seed"),
        stop=fields.stop(),
        tool_choice=fields.tool_choice(),
        parallel_tool_calls=fields.flag("parallel_tool_calls"),
        reasoning_effort=fields.text("reasoning_effort"),
        extra=fields.left,
    )
    return ServedRequest(model or "", messages, tools, settings, output, stream, options.get("include_usage") is True)


def _first(one: int | None, other: int | None) -> int | None:
    return other if one is None else one


def encode_reply(reply: Reply, *, reply_id: str = "chatcmpl-0", created: int = 0) -> bytes:
    """A reply as a whole body."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": reply.refusal}
    if reply.calls:
        message["tool_calls"] = [_call(call) for call in reply.calls]
    message.update(_extra(reply))
    choice = {"index": 0, "message": message, "finish_reason": _finish(reply)}
    head = {"id": reply_id, "object": "chat.completion", "created": created, "model": reply.model}
    return dumps(head | {"choices": [choice], "usage": chat_counts(reply.usage)})


def encode_error(error: SegueError) -> bytes:
    """An error as a body; its status is `error.http_status`."""
    return dumps({"error": {"message": str(error), "type": type(error).__name__, "code": getattr(error, "code", None)}})


class StreamEncoder:
    """A reply as a stream, piece by piece."""

    def __init__(self, model: str, *, reply_id: str = "chatcmpl-0", created: int = 0, include_usage: bool = False) -> None:
        self._head = {"id": reply_id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._include_usage = include_usage
        self._begun = False
        self._calls: set[int] = set()

    def delta(self, delta: Delta) -> bytes:
        """A passing piece. Of a call, only its name and arguments are known while it passes."""
        match delta:
            case TextDelta(text):
                return self._chunk({"content": text})
            case ReasoningDelta(text):
                return self._chunk({"reasoning_content": text})
            case CallDelta(place, name, arguments):
                function: dict[str, Any] = {"arguments": arguments}
                call: dict[str, Any] = {"index": place, "function": function}
                if place not in self._calls:
                    self._calls.add(place)
                    call |= {"id": f"call_{place}", "type": "function"}
                    function["name"] = name
                return self._chunk({"tool_calls": [call]})
            case _:
                assert_never(delta)

    def end(self, reply: Reply) -> bytes:
        """What stands after the last piece: why it ended, the usage if it was asked for, and the end."""
        ended = self._chunk({}, _finish(reply))
        if not self._include_usage:
            return ended + LAST
        return ended + encode_event(dumps(self._head | {"choices": [], "usage": chat_counts(reply.usage)})) + LAST

    def whole(self, reply: Reply) -> bytes:
        """A whole reply at once, with everything that it holds."""
        pieces: list[bytes] = []
        extra = _extra(reply)
        if "content" not in extra and reply.text is not None:
            extra["content"] = reply.text
        if reply.refusal is not None:
            extra["refusal"] = reply.refusal
        pieces.extend(self._chunk({key: value}) for key, value in extra.items())
        pieces.extend(self._chunk({"tool_calls": [{"index": place, **_call(call)}]}) for place, call in enumerate(reply.calls))
        return b"".join(pieces) + self.end(reply)

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        if not self._begun:
            self._begun = True
            delta = {"role": "assistant", **delta}
        return encode_event(dumps(self._head | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}))


def _call(call: Call) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}, **call.extra}


def _extra(reply: Reply) -> dict[str, Any]:
    return dict(reply.extra) if reply.dialect.partition("/")[0] == DIALECT else {}


def _finish(reply: Reply) -> str:
    return reply.finish or ("tool_calls" if reply.calls else "stop")

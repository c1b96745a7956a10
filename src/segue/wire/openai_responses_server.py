"""The Responses API, as a server: a client's request to messages, replies to bodies and streams."""

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from segue.core.messages import Assistant, Call, Content, Message, Reply, System, ToolAnswer, User
from segue.errors import UsageError
from segue.model import CallDelta, Delta, ModelSettings, ReasoningDelta, TextDelta
from segue.wire.jsontext import dumps
from segue.wire.request_fields import Fields, ServedRequest, output_spec, tool_spec
from segue.wire.responses_items import DIALECT
from segue.wire.sse import encode_event
from segue.wire.usage import responses_counts

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def decode_request(body: bytes | Mapping[str, Any]) -> ServedRequest:
    """What a client asks for. Raises `UsageError` that names the field that is wrong."""
    fields = Fields(body)
    model = fields.text("model", needed=True)
    given = fields.left.pop("input", None)
    fields.left["input"] = [{"role": "user", "content": given}] if isinstance(given, str) else given
    instructions = fields.text("instructions")
    messages = _messages(fields.objects("input", needed=True))
    if instructions is not None:
        messages = (System(instructions), *messages)
    if fields.left.get("previous_response_id") is not None:
        raise UsageError("previous_response_id is not kept here. Send the whole conversation as input.")
    tools = tuple(tool_spec(place, tool) for place, tool in enumerate(fields.objects("tools")))
    form = fields.object("text").get("format")
    settings = ModelSettings(
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        max_tokens=fields.integer("max_output_tokens"),
        tool_choice=fields.tool_choice(),
        parallel_tool_calls=fields.flag("parallel_tool_calls"),
        reasoning_effort=fields.object("reasoning").get("effort"),
        extra=fields.left,
    )
    stream = bool(fields.flag("stream"))
    output = output_spec(form) if isinstance(form, dict) and form.get("type") == "json_schema" else None
    return ServedRequest(model or "", messages, tools, settings, output, stream, True)


def _messages(items: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """Input items as messages; a reply's text and calls, and calls that stand together, become one message."""
    read: list[Message] = []
    names: dict[str, str] = {}
    for place, item in enumerate(items):
        try:
            message = _message(item, names)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UsageError(f"input[{place}] is not an item that is known here ({type(error).__name__}: {error}).") from None
        last = read[-1] if read else None
        if isinstance(message, Assistant) and isinstance(last, Assistant) and message.text is None:
            read[-1] = last._replace(calls=last.calls + message.calls)
        elif message is not None:
            read.append(message)
    return tuple(read)


def _message(item: Mapping[str, Any], names: dict[str, str]) -> Message | None:
    match item.get("type", "message"):
        case "message":
            content = _content(item["content"])
            match item["role"]:
                case "user":
                    return User(content)
                case "system" | "developer":
                    return System(_words(content))
                case "assistant":
                    return Assistant(_words(content))
                case role:
                    raise ValueError(f"no role {role!r}")
        case "function_call":
            call = Call(str(item["call_id"]), str(item["name"]), str(item["arguments"]))
            names[call.id] = call.name
            return Assistant(None, (call,))
        case "function_call_output":
            call_id = str(item["call_id"])
            return ToolAnswer(call_id, names.get(call_id, ""), _content(item["output"]))
        case "reasoning":
            return None
        case kind:
            raise ValueError(f"no type {kind!r}")


def _content(content: Any) -> Content:
    if isinstance(content, str):
        return content
    return [_part(part) for part in content]


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    match part:
        case {"type": "input_text" | "output_text" | "text", "text": str(words)}:
            return {"type": "text", "text": words}
        case {"type": "input_image", "image_url": str(url)}:
            return {"type": "image_url", "image_url": {"url": url}}
        case {"type": "input_file"}:
            return {"type": "file", "file": {key: value for key, value in part.items() if key != "type"}}
        case _:
            return dict(part)


def _words(content: Content) -> str:
    return content if isinstance(content, str) else "".join(part.get("text") or "" for part in content)


def encode_reply(reply: Reply, *, reply_id: str = "resp_0", created: int = 0) -> bytes:
    """A reply as a whole body."""
    return dumps(_response(reply, reply_id, created))


def _response(reply: Reply, reply_id: str, created: int) -> dict[str, Any]:
    reason = _INCOMPLETE.get(reply.finish)
    return {
        "id": reply_id,
        "object": "response",
        "created_at": created,
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "error": None,
        "model": reply.model,
        "output": _output(reply, reply_id),
        "usage": responses_counts(reply.usage),
    }


def _output(reply: Reply, reply_id: str) -> list[dict[str, Any]]:
    if reply.dialect.partition("/")[0] == DIALECT and (items := reply.extra.get("items")):
        return list(items)
    parts: list[dict[str, Any]] = []
    if reply.text is not None:
        parts.append({"type": "output_text", "text": reply.text, "annotations": []})
    if reply.refusal is not None:
        parts.append({"type": "refusal", "refusal": reply.refusal})
    output: list[dict[str, Any]] = []
    if parts:
        output.append({"id": f"msg_{reply_id}", "type": "message", "role": "assistant", "status": "completed", "content": parts})
    for place, call in enumerate(reply.calls):
        known = {"id": f"fc_{reply_id}_{place}", "type": "function_call", "status": "completed"}
        output.append(known | {"call_id": call.id, "name": call.name, "arguments": call.arguments})
    return output


class StreamEncoder:
    """A reply as a stream of events, piece by piece, numbered as they go."""

    def __init__(self, model: str, *, reply_id: str = "resp_0", created: int = 0) -> None:
        self._model = model
        self._id = reply_id
        self._created = created
        self._number = 0
        self._said = False
        self._calls: dict[int, int] = {}

    def begin(self) -> bytes:
        """What stands before the first piece."""
        response = _response(Reply(model=self._model), self._id, self._created) | {"status": "in_progress", "usage": None}
        return self._event("response.created", response=response) + self._event("response.in_progress", response=response)

    def delta(self, delta: Delta) -> bytes:
        """A passing piece."""
        match delta:
            case TextDelta(text):
                return self._text(text)
            case ReasoningDelta(text):
                where = {"item_id": f"rs_{self._id}", "output_index": 0, "summary_index": 0}
                return self._event("response.reasoning_summary_text.delta", **where, delta=text)
            case CallDelta(place, name, arguments):
                return self._call(place, name, arguments)
            case _:
                assert_never(delta)

    def end(self, reply: Reply) -> bytes:
        """What stands after the last piece: the whole items, and the whole response."""
        response = _response(reply, self._id, self._created)
        ended = b"".join(
            self._event("response.output_item.done", output_index=place, item=item) for place, item in enumerate(response["output"])
        )
        return ended + self._event(f"response.{response['status']}", response=response)

    def whole(self, reply: Reply) -> bytes:
        """A whole reply at once."""
        deltas: list[Delta] = [TextDelta(reply.text)] if reply.text is not None else []
        deltas.extend(CallDelta(place, call.name, call.arguments) for place, call in enumerate(reply.calls))
        return self.begin() + b"".join(map(self.delta, deltas)) + self.end(reply)

    def _text(self, text: str) -> bytes:
        item_id = f"msg_{self._id}"
        begun = b""
        if not self._said:
            self._said = True
            item = {"id": item_id, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
            part = {"type": "output_text", "text": "", "annotations": []}
            begun = self._event("response.output_item.added", output_index=0, item=item)
            begun += self._event("response.content_part.added", item_id=item_id, output_index=0, content_index=0, part=part)
        return begun + self._event("response.output_text.delta", item_id=item_id, output_index=0, content_index=0, delta=text)

    def _call(self, place: int, name: str, arguments: str) -> bytes:
        item_id = f"fc_{self._id}_{place}"
        begun = b""
        if place not in self._calls:
            self._calls[place] = len(self._calls) + self._said
            call = {"call_id": f"call_{place}", "name": name, "arguments": ""}
            item = {"id": item_id, "type": "function_call", "status": "in_progress"} | call
            begun = self._event("response.output_item.added", output_index=self._calls[place], item=item)
        index = self._calls[place]
        return begun + self._event("response.function_call_arguments.delta", item_id=item_id, output_index=index, delta=arguments)

    def _event(self, kind: str, **fields: Any) -> bytes:
        self._number += 1
        return encode_event(dumps({"type": kind, "sequence_number": self._number - 1, **fields}), kind)

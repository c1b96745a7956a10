"""Output items of the Responses API: what a reply says, what is kept of it, and what of that is sent again.
Items go back only where they still say what the message says: a view may have taken a call out or renamed it."""

from collections.abc import Sequence

from segue.core.messages import CUT, Assistant, Call, Json, Reply, sendable_text
from segue.wire.errors import broken, error_of
from segue.wire.jsontext import object_text, sendable, text
from segue.wire.usage import responses_usage

DIALECT = "openai-responses"

_CALLS = ("function_call", "custom_tool_call")
_PARTS = {"output_text": "text", "refusal": "refusal"}


def reply_of(answer: Json, *, provider: str = "", dialect: str = DIALECT) -> Reply:
    """The reply in a response object. Raises a `ProviderError` if there is none."""
    if not isinstance(answer, dict):
        raise broken("is no JSON object", provider)
    if answer.get("error") or answer.get("object") == "error":
        raise error_of(answer, provider=provider)
    status = answer.get("status")
    if status not in ("completed", "incomplete", None):
        raise broken("is not finished" if status in ("queued", "in_progress") else "failed or was cancelled", provider)
    output = answer.get("output")
    if not isinstance(output, list) or not all(isinstance(item, dict) for item in output):
        raise broken("has no list of output items", provider)
    finish = _finish(answer) if status == "incomplete" else ""
    if not finish and any(item.get("status") == "incomplete" for item in output if item.get("type") in _CALLS):
        raise broken("holds a call that is not finished", provider)
    calls = () if finish else tuple(_call(item) for item in output if item.get("type") in _CALLS)
    said, refusal = _said(output, provider)
    if not (said or calls or refusal or finish):
        raise broken("is empty", provider)
    known = [item for item in output if isinstance(item.get("type"), str)]
    extra = {"items": sendable(known)} if _says_more(known) else {}
    model = answer.get("model")
    return Reply(
        said or None,
        calls,
        finish or ("tool_calls" if calls else "stop"),
        refusal or None,
        responses_usage(answer.get("usage")),
        model if isinstance(model, str) else "",
        extra,
        dialect,
    )


def _finish(answer: dict[str, Json]) -> str:
    details = answer.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    return CUT.get(str(reason), "length")


def _call(item: dict[str, Json]) -> Call:
    # a custom tool's input stands for arguments: no tool of ours will take it
    arguments = text(item.get("arguments" if item["type"] == "function_call" else "input"))
    call_id, name = text(item.get("call_id") or item.get("id")), text(item.get("name"))
    return Call(sendable_text(call_id), sendable_text(name), sendable_text(arguments))


def _said(output: Sequence[dict[str, Json]], provider: str) -> tuple[str, str]:
    """The text and the refusal of all messages."""
    texts: list[str] = []
    refusals: list[str] = []
    for item in output:
        if item.get("type") != "message":
            continue
        if item.get("role") not in ("assistant", None):
            raise broken("speaks in another role than the assistant's", provider)
        content = item.get("content")
        parts = [{"type": "output_text", "text": content}] if isinstance(content, str) else content
        parts = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
        texts.append("".join(text(part.get("text")) for part in parts if part.get("type") in ("output_text", "text")))
        refusals.extend(text(part.get("refusal")) for part in parts if part.get("type") == "refusal")
    return sendable_text(join_texts([said for said in texts if said])), sendable_text("".join(refusals))


def join_texts(texts: Sequence[str]) -> str:
    """Several messages of one reply as one text."""
    return "\n\n".join(texts)


def _says_more(output: Sequence[dict[str, Json]]) -> bool:
    """Whether the items hold what text and calls do not: reasoning, a provider's own tools, a message's phase, their order."""
    kinds = [item.get("type") for item in output]
    if any(kind not in ("message", "function_call") for kind in kinds) or kinds.count("message") > 1:
        return True
    return any(item.get("phase") for item in output) or "message" in kinds[1:]


def replayed(items: Sequence[dict[str, Json]], message: Assistant) -> list[dict[str, Json]]:
    """The items as they go back; empty if they no longer say what the message says."""
    calls = [item for item in items if item.get("type") in _CALLS]
    said, _ = _said(items, "")
    if len(calls) != len(message.calls) or said != (message.text or ""):
        return []
    ids = [item["id"] for item in items if item.get("id") is not None]
    if not all(isinstance(one, str) for one in ids) or len(set(ids)) < len(ids) or not all(map(_is_sound, items)):
        return []
    kept = [item for item in items if item.get("type") != "reasoning" or item.get("encrypted_content") or item.get("content")]
    # an item's id points at the reasoning before it: where that is not sent, neither is the id
    hidden = {"status"} if len(kept) == len(items) else {"status", "id"}
    sent: list[dict[str, Json]] = []
    left = iter(message.calls)
    for item in kept:
        again = {key: value for key, value in item.items() if key not in hidden and value is not None}
        if item.get("type") == "function_call":
            call = next(left)
            if call.name != item.get("name"):
                return []
            again |= {"call_id": call.id, "arguments": object_text(call.arguments)}
        sent.append(again)
    return sent


def _is_sound(item: dict[str, Json]) -> bool:
    """Whether a message or a reasoning is one that may be sent, and no answer to a call; of other items only their maker knows."""
    kind, content = item["type"], item.get("content")
    if kind == "reasoning":
        return isinstance(item.get("summary"), list)
    if kind != "message":
        return not kind.endswith("_output") and kind not in ("custom_tool_call", "item_reference")
    if item.get("role") != "assistant" or not isinstance(content, list) or not content:
        return False
    return all(isinstance(part, dict) and isinstance(part.get(_PARTS.get(str(part.get("type")), "")), str) for part in content)

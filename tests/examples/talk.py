"""Requests made by hand, for driving a stand-in without the loop: what was said and answered so far, and the tools on offer."""

import json
from collections.abc import Iterable
from typing import Any

from segue.core.messages import Assistant, Call, Message, Reply, System, ToolAnswer, User
from segue.examples.standin import StandIn
from segue.model import CallDelta, Delta, ModelRequest, Restarted, TextDelta, ToolSpec

Line = str | tuple[str, Any, str] | Message


def request(*lines: Line, tools: Iterable[str], stream: bool = False) -> ModelRequest:
    """Strings are the customer's words; a triple is a call with its arguments and its answer."""
    messages: list[Message] = [System("A routine.")]
    for place, line in enumerate(lines):
        if isinstance(line, str):
            messages.append(User(line))
        elif type(line) is tuple:
            name, arguments, content = line
            messages.append(Assistant(None, (Call(f"c{place}", name, json.dumps(arguments)),)))
            messages.append(ToolAnswer(f"c{place}", name, content))
        else:
            messages.append(line)
    return ModelRequest(messages, [ToolSpec(name, "", {}) for name in tools], stream=stream)


async def pieces(model: StandIn, asked: ModelRequest) -> list[Delta | Restarted | Reply]:
    return [piece async for piece in model.reply(asked)]


async def answer(model: StandIn, *lines: Line, tools: Iterable[str]) -> str | tuple[str, dict[str, Any]]:
    """The text, or the call with its arguments."""
    (reply,) = await pieces(model, request(*lines, tools=tools))
    assert isinstance(reply, Reply)
    if reply.calls:
        return reply.calls[0].name, json.loads(reply.calls[0].arguments)
    assert reply.text
    return reply.text


def said(text: str) -> Assistant:
    return Assistant(text)


def shown(streamed: list[Any]) -> str:
    return "".join(piece.text for piece in streamed if isinstance(piece, TextDelta)) + "".join(
        piece.arguments for piece in streamed if isinstance(piece, CallDelta)
    )

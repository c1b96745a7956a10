"""Runs that are thrown away when they are over: a Runner for one input, and a journal in memory."""

from collections.abc import Mapping
from typing import Any

from segue.agent import Agent
from segue.core.messages import Json
from segue.inputs import Input
from segue.response import Response
from segue.runner import Runner
from segue.streams import Stream


async def run(agent: Agent, messages: Input, *, context: Mapping[str, Json] | None = None, **options: Any) -> Response[Any]:
    """Run one input with a throw-away `Runner` and a memory journal; `options` are the Runner's."""
    return await Runner(agent, **options).run(messages, context=context)


def run_sync(agent: Agent, messages: Input, *, context: Mapping[str, Json] | None = None, **options: Any) -> Response[Any]:
    """`run` for sync code."""
    return Runner(agent, **options).run_sync(messages, context=context)


def stream(agent: Agent, messages: Input, *, context: Mapping[str, Json] | None = None, **options: Any) -> Stream:
    """Stream one input with a throw-away `Runner` and a memory journal; `options` are the Runner's."""
    return Runner(agent, **options).stream(messages, context=context)

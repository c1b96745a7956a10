"""Swarm's values: an agent that a program may change, what a function returns, what a run returns.
They are not Segue's own `Agent`, `Result` and `Response`."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict

from segue.model import Model

AgentFunction = Callable[..., Any]
"""A function that a model may call: it returns text, an `Agent` or a `Result`; anything else is written down with `str`."""


class Agent(BaseModel):
    """Instructions and functions under a name; it may be changed at any time, and is looked at before each model call.

    `instructions`: text, or a function of the context variables. `model`: a name, "provider:model", or a `segue.Model`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: str = "Agent"
    model: str | Model = "gpt-4o"
    instructions: str | Callable[..., str] = "You are a helpful agent."
    functions: list[AgentFunction] = []
    tool_choice: Any = None
    parallel_tool_calls: bool = True


class Response(BaseModel):
    """What came of a run: the new messages, the agent that spoke last, the context variables as they are now."""

    messages: list[Any] = []
    agent: Agent | None = None
    context_variables: dict[Any, Any] = {}


class Result(BaseModel):
    """What a function returns to do several things at once: a value, a handoff, changes of the context variables."""

    value: str = ""
    agent: Agent | None = None
    context_variables: dict[Any, Any] = {}

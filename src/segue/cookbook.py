"""The cookbook's own words: `function_to_schema`, `execute_tool_call`, `run_full_turn`.
They are for programs that come from OpenAI's page on routines and handoffs and call these by name. Nothing is decided here:
schemas and arguments are those of `tools`, and the loop is the Runner's."""

import copy
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from segue.agent import Agent
from segue.core.arguments import canonical, parse
from segue.core.messages import Json
from segue.errors import ToolError, UsageError
from segue.model import Model
from segue.portal import PORTAL
from segue.response import Response
from segue.throwaway import run_sync
from segue.tools.context import Context
from segue.tools.signature import name_of
from segue.tools.tool import Tool, make_tool


def function_to_schema(func: Callable[..., Any]) -> dict[str, Any]:
    """Describe a function as a chat-completions tool, not strict.

    A parameter without an annotation is shown as a string, and takes any value. Raises `UsageError` for a function that
    cannot be told to a model.
    """
    spec = _tool(func).spec
    parameters = copy.deepcopy(dict(spec.parameters))
    return {"type": "function", "function": {"name": spec.name, "description": spec.description, "parameters": parameters}}


def execute_tool_call(tool_call: Any, tools: Iterable[Any] | Mapping[str, Any], agent_name: str = "") -> object:
    """Make a model's tool call, and give what the function returned.

    `tool_call` is a client's object or a dictionary; `tools` is a list of functions, or a dictionary of them by name. An
    async function is awaited. Raises `ToolError` for a tool that is not there and `ArgumentsRefused` for arguments that do
    not fit, and then nothing was called; what the function raises comes as it is.
    """
    function = _field(tool_call, "function")
    name, arguments = _field(function, "name"), _field(function, "arguments")
    known = _by_name(tools)
    if name not in known:
        raise ToolError(f"{agent_name or 'This program'} has no tool {name!r}. Its tools: {', '.join(known) or 'none'}.", tool=name)
    made = _tool(known[name], name)
    args, kwargs = made.parameters.bind(_read(arguments), context=Context(agent=agent_name), context_variables={})
    value = made.function(*args, **kwargs)
    return PORTAL.run(lambda: _awaited(value)) if inspect.isawaitable(value) else value


def run_full_turn(agent: Agent, messages: Sequence[Mapping[str, Any]], *, model: str | Model | None = None) -> Response[Any]:
    """Run from the user's last message until an agent answers it, and give the new messages and the last agent.

    Nothing is kept: `messages` holds all that was said, and the answer's `messages` are to be added to it. `model` replaces
    the agents' own. Nothing is printed: `response.text` is the answer.
    """
    return run_sync(agent, messages, model=model)


def _tool(func: Any, name: str | None = None) -> Tool:
    return func if isinstance(func, Tool) else make_tool(func, name=name, strict=False)


def _by_name(tools: Any) -> Mapping[str, Any]:
    if isinstance(tools, Mapping):
        return tools
    return {made.name if isinstance(made, Tool) else name_of(made): made for made in tools}


def _field(value: Any, name: str) -> Any:
    """A field of a client's object, or of a dictionary."""
    found = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
    if found is None and name != "arguments":
        raise UsageError(f"{value!r} is not a tool call: it has no {name!r}.")
    return found


def _read(arguments: Any) -> dict[str, Json]:
    """Arguments as a client gave them: a text, a dictionary, or none. What else JSON knows is refused like its text."""
    if isinstance(arguments, Mapping):
        return dict(arguments)
    text = "" if arguments is None else arguments if isinstance(arguments, str) else canonical(arguments)
    return parse(text)


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value

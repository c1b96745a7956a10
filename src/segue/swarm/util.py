"""What Swarm programs use besides the run: a function's schema, chunks put together, debug lines."""

import copy
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from segue.tools.tool import make_tool


def debug_print(debug: bool, *args: object) -> None:
    """Write a line with the time to stdout, if `debug` is set."""
    if debug:
        words = " ".join(str(arg) for arg in args)
        sys.stdout.write(f"[{datetime.now():%Y-%m-%d %H:%M:%S}] {words}\n")


def function_to_json(func: Callable[..., Any]) -> dict[str, Any]:
    """Describe a function as a chat-completions tool; `context_variables` is not shown."""
    spec = make_tool(func, strict=False).spec
    parameters = copy.deepcopy(dict(spec.parameters))
    return {"type": "function", "function": {"name": spec.name, "description": spec.description, "parameters": parameters}}


def merge_fields(target: dict[Any, Any], source: Mapping[Any, Any]) -> None:
    """Append the texts of `source` to those of `target`, at every depth; what is `None` adds nothing."""
    for key, value in source.items():
        if isinstance(value, str):
            target[key] = (target.get(key) or "") + value
        elif isinstance(value, Mapping):
            merge_fields(target.setdefault(key, {}), value)


def merge_chunk(final_response: dict[str, Any], delta: dict[str, Any]) -> None:
    """Add a chunk of a stream to a message; its `tool_calls` is a dictionary by index."""
    merge_fields(final_response, {key: value for key, value in delta.items() if key not in ("role", "tool_calls")})
    for call in delta.get("tool_calls") or ():
        calls = final_response["tool_calls"]
        if call["index"] not in calls:
            calls[call["index"]] = {"id": "", "type": "", "function": {"name": "", "arguments": ""}}
        merge_fields(calls[call["index"]], {key: value for key, value in call.items() if key not in ("index", "type")})
        calls[call["index"]]["type"] = call.get("type") or "function"

"""Calls of users' functions that are no tools: instructions, guards, views, conditions, approvals.
Each is given as much of what it may know as it takes; sync or async is all one."""

import inspect
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from segue.agent import Edge, Guard
from segue.tools.tool import Context

_MANY = 99


async def called(function: Callable[..., Any], context: Context[Any], *subject: Any) -> Any:
    """Call a function of (context, subject), of the subject alone or of nothing; or one of Swarm's, of `context_variables`."""
    count, variables = _takes(function)
    if variables:
        return await value_of(function(*subject, context_variables=context.values))
    if subject and count == 1:
        return await value_of(function(*subject))
    return await value_of(function(*(context, *subject)[:count]))


async def value_of(value: Any) -> Any:
    """The value, awaited if it is to be."""
    return await value if inspect.isawaitable(value) else value


def _takes(function: Callable[..., Any]) -> tuple[int, bool]:
    """How many positional arguments a function takes, and whether it wants Swarm's `context_variables`."""
    if type(function) is FunctionType and not hasattr(function, "__wrapped__"):  # by far the usual case, and ten times as fast
        code = function.__code__
        if not code.co_flags & inspect.CO_VARARGS:
            named = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            return code.co_argcount, "context_variables" in named
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1, False
    if any(p.kind is p.VAR_POSITIONAL for p in found):
        return _MANY, False
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in found), any(p.name == "context_variables" for p in found)


async def guarded(guards: Sequence[Guard], context: Context[Any], subject: Any) -> tuple[str, str] | None:
    """The name and reason of the first guard that says no."""
    for guard in guards:
        reason = await called(guard.function, context, subject)
        if reason is not None:
            return guard.name, str(reason)
    return None


async def is_open(edge: Edge, context: Context[Any]) -> bool:
    """Whether a handoff may be made now (R18)."""
    return edge.when is None or bool(await called(edge.when, context))

"""Calls of users' functions that are no tools: instructions, guards, views, conditions, approvals.
What each takes was worked out when it was taken in; sync or async is all one."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from segue.agent import Edge, Guard
from segue.tools.tool import Context


async def called(function: Callable[..., Any], *given: Any) -> Any:
    """Call a function of the user's that was fitted when it was taken in (`segue.tools.functions`)."""
    return await value_of(function(*given))


async def value_of(value: Any) -> Any:
    """The value, awaited if it is to be."""
    return await value if inspect.isawaitable(value) else value


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

"""Calls of users' functions that are no tools: instructions, guards, views, conditions, approvals.
What each takes was worked out when it was taken in; sync or async is all one."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from segue.agent import Edge, Guard
from segue.tools.context import Context


async def called(function: Callable[..., Any], *given: Any, role: str) -> Any:
    """Call a function of the user's that was fitted when it was taken in (`segue.tools.functions`).

    What it raises is passed on, with a note that tells its `role`.
    """
    try:
        return await value_of(function(*given))
    except Exception as error:
        error.add_note(f"in {role}")
        raise


async def value_of(value: Any) -> Any:
    """The value, awaited if it is to be."""
    return await value if inspect.isawaitable(value) else value


async def guarded(guards: Sequence[Guard], context: Context[Any], subject: Any) -> tuple[str, str] | None:
    """The name and reason of the first guard that says no."""
    for guard in guards:
        reason = await called(guard.function, context, subject, role=f"the {guard.kind} guard {guard.name} of agent {context.agent!r}")
        if reason is not None:
            return guard.name, str(reason)
    return None


async def is_open(edge: Edge, context: Context[Any]) -> bool:
    """Whether a handoff may be made now (R18)."""
    if edge.when is None:
        return True
    return bool(await called(edge.when, context, role=f"when= of the handoff from agent {context.agent!r} to {edge.target!r}"))

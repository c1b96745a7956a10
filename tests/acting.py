"""Short ways to put agents on a stage: scripted models, what they were asked, and what tools answered."""

import asyncio
import threading
from typing import Any

from segue.core.messages import System
from segue.core.view import check
from segue.pool import Inbox, Pool
from segue.testing import ScriptedModel
from segue.wire.chat_messages import as_chat


def answers(messages: list[dict[str, Any]]) -> list[Any]:
    """What tools answered, in order."""
    return [message["content"] for message in messages if message["role"] == "tool"]


def asked(model: ScriptedModel, at: int = -1) -> list[dict[str, Any]]:
    """The messages of one request, instructions included."""
    return [as_chat(message) for message in model.requests[at].messages]


def instructions(model: ScriptedModel) -> list[str]:
    """The instructions of each request."""
    return [message.content for request in model.requests for message in request.messages if isinstance(message, System)]


def offered(model: ScriptedModel) -> list[list[str]]:
    """The names of the tools in each request."""
    return [[tool.name for tool in request.tools] for request in model.requests]


def legal(model: ScriptedModel) -> bool:
    """Whether every request was a history that the strictest provider takes."""
    return [check(request.messages) for request in model.requests] == [None] * len(model.requests)


async def until(condition) -> None:
    """Let other tasks and threads go on until something is so."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def pass_time(seconds: float) -> None:
    """Let the event loop's clock jump ahead: a limit of time is over as soon as the loop turns, on however slow a machine."""
    loop = asyncio.get_running_loop()
    real = loop.time
    loop.time = lambda: real() + seconds  # type: ignore[method-assign]


def expiring(begun: threading.Event, seconds: float) -> "asyncio.Task[None]":
    """Let so many seconds pass as soon as a call was begun: one that waits for its thread yet would count as not made."""

    async def wait() -> None:
        await until(begun.is_set)
        pass_time(seconds)

    return asyncio.create_task(wait())


async def brought_back(pool: Pool) -> None:
    """Wait until what a pool of one thread has ended has come back to this event loop, and the loop has turned a few times."""
    inbox = Inbox()
    pool.submit(inbox, "", int)
    await inbox.take()
    for _ in range(20):
        await asyncio.sleep(0)


async def idle(pool: Pool) -> None:
    """Wait until no thread of a pool does anything, also for those who do not wait for it any more."""
    await until(lambda: pool._idle == pool._threads)

"""Tools that hang, change what is not theirs, or fail beside others: what they did is not done again, and nothing else suffers."""

import asyncio
import functools
import threading
from typing import Any

from segue import Agent, tool
from tests.hostile.arguments import RAN
from tests.hostile.forms import refund, says
from tests.hostile.stage import Case
from tests.hostile.tools import UNTELLABLE, Ledger, again, asynchronous, plain, raises
from tests.loopback import call


def changes(tags: list[str], ctx: Ledger) -> str:
    """Change the arguments."""
    ctx.deps.append(f"changes {tags}")
    tags.clear()
    tags.append("changed")
    return "changed"


def remembers(item: str, seen: list[str] = [], *, ctx: Ledger) -> str:  # noqa: B006
    """Keep what it was told in its default."""
    seen.append(item)
    ctx.deps.append(f"remembers {item}")
    return "kept"


def poisons(ctx: Ledger) -> str:
    """Put what is not JSON into the context."""
    ctx.deps.append("poisons")
    ctx.set(lock=threading.Lock())
    return "poisoned"


def nan(ctx: Ledger) -> str:
    """Put a number that is none into the context."""
    ctx.deps.append("nan")
    ctx.set(number=float("nan"))
    return "poisoned"


def scribbles(context_variables: dict[str, Any], ctx: Ledger) -> str:
    """Change the context's dictionary to what is not JSON."""
    ctx.deps.append("scribbles")
    context_variables["self"] = context_variables
    return "scribbled"


def half(ctx: Ledger) -> str:
    """Put half a surrogate pair into the context."""
    ctx.deps.append("half")
    ctx.set(**{"name\ud800": "a\ud800"})
    return "set"


def hangs(ctx: Ledger) -> str:
    """Hang, until the process ends or nearly so."""
    ctx.deps.append("hangs")
    threading.Event().wait(0.3)
    return "late"


async def sleeps(ctx: Ledger) -> str:
    """Hang, but obey a cancellation."""
    ctx.deps.append("sleeps")
    await asyncio.sleep(60)
    return "late"


async def stubborn(ctx: Ledger) -> str:
    """Hang, and not obey a cancellation at once."""
    ctx.deps.append("stubborn")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await asyncio.sleep(0.05)
    return "in spite of all"


def awaits_forever(ctx: Ledger) -> Any:
    """Give something to wait for that never comes."""
    ctx.deps.append("awaits_forever")
    return asyncio.sleep(60)


@tool(effect="read")
async def reads(ctx: Ledger) -> str:
    """Hang, but only read."""
    ctx.deps.append("reads")
    await asyncio.sleep(60)
    return "late"


@tool(effect="keyed", retries=2)
def tries(ctx: Ledger) -> str:
    """Fail each time."""
    ctx.deps.append(f"tries {len(ctx.key)}")
    raise ConnectionError("down")


@functools.wraps(plain(lambda: None))
def starred(*args: Any, **kwargs: Any) -> str:
    kwargs["ctx"].deps.append("odd")
    return "starred"


def talks(ctx: Ledger) -> str:
    """Tell of its progress what no stream can show."""
    ctx.deps.append("talks")
    for words in ("a\ud800", "", "x" * 100_000):
        ctx.progress(words)
    return "told"


def two_agents(ctx: Ledger) -> Any:
    """Return two agents at once."""
    ctx.deps.append("two_agents")
    return [Agent("A"), Agent("B")]


SOON = {"tool_timeout": 0.1}
UNKNOWN = "Outcome unknown"

CASES = [
    Case(
        "A tool that changes its arguments",
        says(call("changes", '{"tags": ["red"]}')),
        ran=["changes ['red']"],
        told="changed",
        tools=[changes],
    ),
    Case(
        "A tool that raises beside one that pays",
        says(call("odd", "{}", "a"), refund(call_id="b")),
        ran=["odd", *RAN],
        told=["Failed with ValueError", "refunded"],
        tools=[plain(raises(ValueError))],
    ),
    Case(
        "A tool that exits beside one that pays",
        says(refund(call_id="a"), call("odd", "{}", "b")),
        ran=["odd", *RAN],
        told=["Failed with SystemExit", "refunded"],
        tools=[asynchronous(raises(SystemExit))],
    ),
    Case(
        "A tool that puts a lock into the context",
        says(call("poisons", "{}")),
        ran=["poisons"],
        told="Failed with UsageError",
        tools=[poisons],
    ),
    Case("A tool that puts NaN into the context", says(call("nan", "{}")), ran=["nan"], told="Failed with UsageError", tools=[nan]),
    Case("A tool that puts the context into itself", says(call("scribbles", "{}")), ran=["scribbles"], told=UNTELLABLE, tools=[scribbles]),
    Case("A tool that puts half a surrogate pair into the context", says(call("half", "{}")), ran=["half"], told="set", tools=[half]),
    Case("A sync tool that hangs", says(call("hangs", "{}")), ran=["hangs"], told=UNKNOWN, tools=[hangs], limits=SOON),
    Case("An async tool that hangs", says(call("sleeps", "{}")), ran=["sleeps"], told=UNKNOWN, tools=[sleeps], limits=SOON),
    Case(
        "An async tool that does not obey at once",
        says(call("stubborn", "{}")),
        ran=["stubborn"],
        told=UNKNOWN,
        tools=[stubborn],
        limits=SOON,
    ),
    Case(
        "A sync tool that gives something endless",
        says(call("awaits_forever", "{}")),
        ran=["awaits_forever"],
        told=UNKNOWN,
        tools=[awaits_forever],
        limits=SOON,
    ),
    Case("A reading tool that hangs", says(call("reads", "{}")), ran=["reads"], told="Given up", tools=[reads], limits=SOON),
    Case(
        "A tool that hangs beside one that pays",
        says(call("sleeps", "{}", "a"), refund(call_id="b")),
        ran=["sleeps", *RAN],
        told=[UNKNOWN, "refunded"],
        tools=[sleeps],
        limits=SOON,
    ),
    Case(
        "A keyed tool that fails each time",
        says(call("tries", "{}")),
        ran=["tries 32"] * 3,
        told="Failed with ConnectionError: down",
        tools=[tries],
    ),
    Case(
        "A tool that gives one coroutine after the other",
        says(call("odd", "{}")),
        ran=["odd"],
        told=UNKNOWN,
        tools=[asynchronous(again)],
        limits=SOON,
    ),
    Case("A tool behind a decorator", says(call("odd", "{}")), ran=["odd"], told="starred", tools=[starred]),
    Case("A tool that tells strange progress", says(call("talks", "{}")), ran=["talks"], told="told", tools=[talks]),
    Case(
        "A tool with a default that it changes",
        [
            says(call("remembers", '{"item": "a"}')),
            says(call("remembers", '{"item": "b"}')),
            says(call("remembers", '{"item": "c", "seen": []}')),
        ],
        ran=["remembers a", "remembers b", "remembers c"],
        told="kept",
        tools=[remembers],
    ),
    Case("A tool that returns two agents", says(call("two_agents", "{}")), ran=["two_agents"], told=UNTELLABLE, tools=[two_agents]),
    Case(
        "A tool that raises each time is noticed",
        says(call("odd", "{}", "a")),
        ran=["odd"] * 3,
        limit="repeats",
        forever=True,
        tools=[plain(raises(ValueError))],
    ),
]

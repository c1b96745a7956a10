"""A team with one of everything that leaves a mark in a journal; what was written by runs of it is kept in `v1/`.
It may grow. What is here must stay as it is: the journals name its agents and tools."""

import asyncio
from dataclasses import dataclass
from typing import Any

from segue.agent import Agent, Result, guard, handoff
from segue.tools.tool import Context, tool


@dataclass
class Brief:
    """What is handed on."""

    order: str
    reason: str = ""


@dataclass
class Verdict:
    """What the judge says."""

    guilty: bool


@tool(effect="read")
def look(item: str) -> str:
    """Look at an item."""
    return f"{item}: 5"


@tool(effect="keyed")
async def note(text: str) -> Result:
    """Note something."""
    return Result("noted", context={"note": text, "words": [1, None, {"deep": True}]})


@tool
def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


@tool
def fail(why: str) -> str:
    """Fail."""
    raise ValueError(why)


@tool(timeout=0.02)
async def hang() -> str:
    """Take too long, and end after all."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await asyncio.sleep(0.01)
    return "done at last"


@tool(effect="read", timeout=0.02)
async def slow() -> str:
    """Take too long."""
    await asyncio.sleep(60)
    return "never"


@tool(effect="read")
def picture() -> list[dict[str, Any]]:
    """Show a picture."""
    return [{"type": "text", "text": "Here: \ud800"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]


@tool(effect="read")
def odd() -> object:
    """Return what nobody can read."""
    return object()


@tool(unique=True)
def register(name: str) -> str:
    """Register a name, once for all."""
    return f"{name} is number 1"


@tool(approve=True)
def sign(contract: str, price: int) -> str:
    """Sign a contract."""
    return f"signed {contract} for {price}"


@tool(effect="transaction")
def book(item: str, ctx: Context) -> str:
    """Book an item."""
    ctx.db.execute("create table if not exists booked (item text)")
    ctx.db.execute("insert into booked values (?)", (item,))
    return f"{item} is booked"


@guard("tool")
def hours(context: Any, call: Any) -> str | None:
    """Nothing is registered at night."""
    return "it is night" if call.name == "register" and call.arguments["name"] == "Night" else None


@guard("input")
def manners(text: str) -> str | None:
    """Who shouts is not heard."""
    return "do not shout" if text.isupper() else None


@guard("output")
def secrets(text: str) -> str | None:
    """Secrets stay secrets."""
    return "that is a secret" if "secret" in str(text) else None


def is_open(context: Any) -> bool:
    """Whether the way to the manager is open."""
    return bool(context.values.get("vip"))


CLERK = Agent("Clerk", instructions="You sign.", tools=[sign, pay])
"""Used as a tool; its conversations are its own."""


def house() -> Agent:
    """The entry agent."""
    judge = Agent("Judge", instructions="Judge.", output=Verdict)
    manager = Agent("Manager", instructions="You manage.", tools=[look])
    expert = Agent("Expert", instructions="You know.", tools=[look], handoffs=["Triage"])
    till = Agent("Till", instructions="You pay.", tools=[pay, look, sign, book], handoffs=[handoff("Triage")])
    return Agent(
        "Triage",
        instructions=lambda context: f"You help {context.values.get('customer', 'someone')}.",
        tools=[look, note, pay, fail, hang, slow, picture, odd, register, sign, book, CLERK.as_tool(name="ask_clerk")],
        handoffs=[
            handoff(till, brief=Brief, view="brief"),
            handoff(expert, kind="call", view="handoff"),
            handoff(manager, when=is_open),
            judge,
        ],
        guards=[hours, manners, secrets],
    )

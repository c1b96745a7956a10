"""A team with tools of all effects, over a world that outlives its processes: a file, and a table in the journal's own database."""

import contextlib
import fcntl
import json
import os
import sqlite3
from pathlib import Path

from segue import Agent, Context, handoff, tool

WORLD = Path("world.jsonl")


def done(*what, key=""):
    """Do something to the world; under a key that it knows, nothing."""
    with WORLD.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        if not key or key not in [json.loads(line)["key"] for line in file]:
            file.write(json.dumps({"what": what, "key": key}) + "\n")


def connected(address):
    if address.startswith("sqlite:"):
        return contextlib.closing(sqlite3.connect(address.removeprefix("sqlite:///"), isolation_level=None, timeout=30))
    import psycopg

    return psycopg.connect(address, autocommit=True)


def setup(address):
    with connected(address) as database:
        database.execute("create table stock (item text)")


def observe(address):
    with connected(address) as database:
        rows = database.execute("select item from stock").fetchall()
    lines = WORLD.read_text().splitlines() if WORLD.exists() else []
    return sorted([json.loads(line)["what"] for line in lines] + [["stock", *row] for row in rows])


@tool(effect="read")
def look(item: str) -> str:
    """Look an item up."""
    return f"{item} is there"


@tool
def refund(item: str) -> str:
    """Refund an item."""
    done("refund", item)
    return f"{item} is refunded"


@tool(effect="keyed")
async def charge(amount: int, ctx: Context) -> str:
    """Charge an amount."""
    done("charge", amount, key=ctx.key)
    return f"{amount} is charged"


@tool(effect="transaction")
def take(item: str, ctx: Context) -> str:
    """Take an item out of stock."""
    ctx.db.execute(f"insert into stock values ('{item}')")
    return f"{item} is taken"


@tool(approve=True)
def pay(amount: int) -> str:
    """Pay an amount, if a person agrees."""
    done("pay", amount)
    return f"{amount} is paid"


@tool(reconcile=lambda key: "it is sent" if ["send"] in observed() else None)
def send() -> str:
    """Send it."""
    done("send")
    return "it is sent"


def observed():
    return [json.loads(line)["what"] for line in WORLD.read_text().splitlines()] if WORLD.exists() else []


def transfer_to_refunds() -> Agent:
    """Hand over to refunds."""
    return refunds


everything = [look, refund, charge, take, pay, send]
clerk = Agent("Clerk", tools=[look, refund, pay], description="Looks things up.")
refunds = Agent("Refunds", tools=everything, handoffs=[handoff("Desk", name="back")])
expert = Agent("Expert", tools=[look, charge], output=str)
desk = Agent(
    "Desk",
    instructions=lambda context: f"You are the desk, and know {sorted(context.values)}.",
    tools=[*everything, transfer_to_refunds, clerk.as_tool()],
    handoffs=[handoff(expert, kind="call")],
)
wrong = Agent("Wrong", tools=[tool(effect=os.environ.get("WRONG", "read"), name="pay_out")(lambda item: done("paid", item) or "paid")])

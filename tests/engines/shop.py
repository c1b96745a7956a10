"""A shop whose refunds take as long as they are told to. What it pays is written to a ledger outside of every process.
"refund A 60, B 0": the clerk refunds A, which takes 60 seconds, and then B. `segue worker` loads this file."""

import os
import time
from pathlib import Path

from segue import Agent, tool
from segue.core.messages import ToolAnswer, User
from segue.testing import FunctionModel
from tests.engines.workers import Ledger

WISHES = ("refund ", "much ")
LEDGER = Ledger(Path(os.environ.get("SHOP_LEDGER", os.devnull)))


@tool(timeout=600)
def refund(order: str, seconds: float) -> str:
    """Refund an order."""
    LEDGER.write("paid", order)
    time.sleep(seconds)
    LEDGER.write("returned", order)
    return f"{order} is refunded"


@tool(approve=True)
def refund_much(order: str) -> str:
    """Refund an order that cost much."""
    LEDGER.write("paid", order)
    return f"{order} is refunded"


def clerk(request):
    """Refund one order after the other, and tell what came of each."""
    wishes = [place for place, message in enumerate(request.messages) if isinstance(message, User) and message.content.startswith(WISHES)]
    last = wishes[-1]
    told = [message.content for message in request.messages[last:] if isinstance(message, ToolAnswer)]
    verb, _, orders = request.messages[last].content.partition(" ")
    left = orders.split(", ")[len(told) :]
    if not left:
        return " | ".join(told)
    order, _, seconds = left[0].partition(" ")
    return {"refund_much": {"order": order}} if verb == "much" else {verb: {"order": order, "seconds": float(seconds)}}


entry = Agent("Clerk", tools=[refund, refund_much], model=FunctionModel(clerk))

"""What the crash test of the shop needs: the team over a shop that outlives the process, and what has been done in it."""

from typing import Any

from segue import Agent, Runner
from segue.examples.acme.shop import Shop
from segue.examples.acme.team import build

FILE = "acme.db"


def runner(triage: Agent, **options: Any) -> Runner:
    """Run the team over a shop in a file, in place of the one in memory."""
    return Runner(build(Shop(FILE)), **options)


def effects() -> list[Any]:
    """List what the shop has refunded and sold."""
    shop = Shop(FILE)
    return [["refund", *row] for row in shop.refunds()] + [["order", *row] for row in shop.orders()[4:]]

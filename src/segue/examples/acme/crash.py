"""What a crash test of the shop looks at."""

from typing import Any

from segue.examples.acme.shop import ORDERED
from segue.examples.acme.team import shop


def effects() -> list[Any]:
    """List what the shop has refunded and sold."""
    return [["refund", *row] for row in shop.refunds()] + [["order", *row] for row in shop.orders()[len(ORDERED) :]]

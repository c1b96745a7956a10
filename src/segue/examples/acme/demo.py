"""What a customer says in ACME's demonstration, and the rows that it changes."""

from segue.examples.acme.shop import Shop
from segue.examples.acme.team import LIMIT

CUSTOMER = [
    "Hello!",
    "The black boots I bought fell apart.",
    "No. I want my money back.",
    "Refund the black boots again, please.",
    "Then I would like to buy something.",
    "They are all too fast for me.",
    "How much?",
    "Yes, deal.",
    "Thanks, bye.",
]

PERSON = f"A refund of more than ${LIMIT} waits for a person of the shop."

HEADINGS = ("order", "item", "dollars", "reason")


def refund_rows(shop: Shop) -> list[tuple[str, ...]]:
    """Give the rows of the refunds table, to be shown before and after."""
    return [tuple(str(value) for value in row) for row in shop.refunds()]

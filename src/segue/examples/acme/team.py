"""The shop's team: triage, sales, and issues and repairs. A handoff is a function that returns an agent.
`build(shop)` makes the team over any shop; `triage` is the team over the one in the file that ACME_DATABASE names, or in memory.
"""

import os
from typing import Any

from segue import Agent, Context, tool
from segue.examples.acme.shop import Shop

LIMIT = 50
"""Dollars; refunds above it need a person's approval."""


def build(shop: Shop, *, limit: int = LIMIT) -> Agent:
    """Make the team over a shop; returns its entry agent. Refunds above `limit` dollars wait for a person."""

    def above_limit(arguments: dict[str, Any], ctx: Context[Any]) -> bool:
        """Say whether a person is to approve a refund."""
        return shop.at_stake(arguments["item_id"]) > limit

    # Not "transaction": the shop's database is its own, as a payment service's would be, so what holds over a crash is the key.
    execute_refund = tool(effect="keyed", approve=above_limit)(shop.execute_refund)

    def transfer_to_sales_agent() -> Agent:
        """Use for whatever has to do with buying something."""
        return sales

    def transfer_to_issues_and_repairs() -> Agent:
        """Use for complaints, repairs and refunds."""
        return issues

    def transfer_back_to_triage() -> Agent:
        """Use when the customer wants something that is not your department, a person included."""
        return triage

    triage = Agent(
        "Triage Agent",
        instructions=(
            "You answer the phone of ACME Inc., purveyor of fine contraptions. Say who you are, in few words. "
            "Find out what the customer is after and pass them to the right department. "
            "Ask lightly, as in small talk; never like a form."
        ),
        tools=[transfer_to_sales_agent, transfer_to_issues_and_repairs, shop.escalate_to_human],
        description="Finds out what the customer is after.",
    )
    sales = Agent(
        "Sales Agent",
        instructions=(
            "You sell for ACME Inc. One sentence at a time, never more. Keep to this routine:\n"
            "1. Ask what trouble the customer has had of late with catching roadrunners.\n"
            "2. Let slip that a preposterous ACME product would end it. Do not speak of money yet.\n"
            "3. When they are hooked, name a ludicrous price, in whole dollars.\n"
            "4. When they say yes, and not before, order it with `execute_order`, "
            "and mention the absurd small print as if it were nothing."
        ),
        tools=[shop.execute_order, transfer_back_to_triage],
        description="Sells contraptions.",
    )
    issues = Agent(
        "Issues and Repairs Agent",
        instructions=(
            "You mend what ACME Inc. has sold. One sentence at a time, never more. Keep to this routine:\n"
            "1. Unless the customer has told you, ask what went wrong.\n"
            "2. Propose a repair that they can do at home; invent it.\n"
            "3. Only when that does not please them, offer the money back.\n"
            "4. When they want it, find the item's id with `look_up_item` and then use `execute_refund`. "
            "Say truly what came of it."
        ),
        tools=[tool(effect="read")(shop.look_up_item), execute_refund, transfer_back_to_triage],
        description="Complaints, repairs and refunds.",
    )
    return triage


shop = Shop(os.environ.get("ACME_DATABASE", ":memory:"))
triage = build(shop)

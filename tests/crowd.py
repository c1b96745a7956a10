"""A process of a crowd: `python -m tests.crowd JOURNAL LEDGER NAME RUNS` runs that many conversations, and writes each effect down."""

import asyncio
import os
import sys

from segue import Agent, Context, Runner, tool
from segue.core.messages import Assistant
from segue.testing import FunctionModel


def customer_service(ledger: str) -> Agent:
    """Triage and refunds, whose refund is written into a file outside."""

    @tool
    def execute_refund(item: str, ctx: Context) -> str:
        descriptor = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, f"{ctx.conversation} {item}\n".encode())
        os.close(descriptor)
        return f"refunded {item}"

    refunds = Agent("Refunds", instructions="Refund.", tools=[execute_refund])

    def transfer_to_refunds() -> Agent:
        return refunds

    return Agent("Triage", instructions="Route.", tools=[transfer_to_refunds])


def reply(request):
    """Hand over, refund, and say so, by what was said before."""
    said = sum(isinstance(message, Assistant) for message in request.messages)
    return ({"transfer_to_refunds": {}}, {"execute_refund": {"item": "boots"}}, "Refunded.")[said]


async def main(journal: str, ledger: str, name: str, runs: int) -> None:
    """Run the conversations one after the other."""
    async with Runner(customer_service(ledger), model=FunctionModel(reply), journal=journal) as runner:
        for number in range(runs):
            response = await runner.run("Money back", conversation=f"{name}-{number}", key=f"key-{name}-{number}")
            assert response.output == "Refunded."


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))

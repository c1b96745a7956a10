"""Whole conversations of the examples' teams with their stand-ins, through the loop."""

import json
from typing import Any

from segue import Runner
from segue.examples import acme, airline
from segue.examples.acme.demo import CUSTOMER, refund_rows
from segue.examples.acme.standin import standin as acme_standin
from segue.examples.airline.standin import standin as airline_standin


async def talk(runner: Runner, lines: list[str]) -> list[Any]:
    """Say each line in one conversation, and approve what waits for that; give the responses."""
    responses: list[Any] = []
    for line in lines:
        conversation = responses[-1].conversation if responses else None
        response = await runner.run(line, conversation=conversation)
        while response.waiting_for:
            asked = response.waiting_for[0].approval
            assert asked is not None
            response = await runner.approve(response.conversation, asked.id, asked.digest)
        responses.append(response)
    assert [response.status for response in responses] == ["done"] * len(lines)
    return responses


def answers(responses: list[Any], tool: str) -> list[str]:
    """What a tool answered, in order."""
    names = {call["id"]: call["function"]["name"] for r in responses for m in r.messages for call in m.get("tool_calls") or ()}
    return [m["content"] for r in responses for m in r.messages if m["role"] == "tool" and names[m["tool_call_id"]] == tool]


async def test_the_demonstration_refunds_the_boots_once_and_sells_something_in_the_end():
    shop = acme.Shop()
    assert refund_rows(shop) == []
    async with Runner(acme.build(shop), model=acme_standin) as runner:
        responses = await talk(runner, CUSTOMER)
    assert refund_rows(shop) == [("1", "Black Desert Boots", "89", "The black boots I bought fell apart.")]
    assert [text.split(":")[0] for text in answers(responses, "execute_refund")] == ["success", "refused"]
    assert shop.orders()[-1] == (5, "Rocket Skates", 8999)
    assert [response.agent.name for response in responses] == [
        "Triage Agent",
        *["Issues and Repairs Agent"] * 3,
        *["Sales Agent"] * 4,
        "Triage Agent",
    ]
    shop.close()


async def test_a_customer_who_asks_for_a_person_gets_a_ticket():
    shop = acme.Shop()
    async with Runner(acme.build(shop), model=acme_standin) as runner:
        await talk(runner, ["My boots broke", "I want to speak to a human"])
    assert shop.escalations() == [(1, "I want to speak to a human")]
    shop.close()


async def test_the_airline_looks_up_counts_bags_cancels_and_hands_over_to_a_person():
    database = airline.small_world()
    lines = ["Hello", "What about MAYA01?", "How many bags may I check?", "Cancel MAYA01", "Yes", "I want a human"]
    async with Runner(airline.build(database), model=airline_standin) as runner:
        responses = await talk(runner, lines)
    assert database.reservations["MAYA01"]["status"] == "cancelled"
    assert [response.agent.name for response in responses] == [
        "triage",
        "triage",
        "baggage",
        "cancellations",
        "cancellations",
        "cancellations",
    ]
    assert json.loads(answers(responses, "cancel_reservation")[0])["reservation_id"] == "MAYA01"
    assert answers(responses, "transfer_to_human_agents") == ["Transfer successful"]

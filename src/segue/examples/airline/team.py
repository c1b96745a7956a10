"""The airline's team: who has which routine, which tools, and whom to hand over to.
`build(database)` makes the team over any database.
"""

from pathlib import Path

from segue import Agent, tool
from segue.examples.airline.database import Database
from segue.examples.airline.service import Airline
from segue.examples.airline.world import small_world

ROUTINES = Path(__file__).parent / "routines"


def build(database: Database) -> Agent:
    """Make the team over a database; returns its entry agent."""
    airline = Airline(database)
    look = tool(effect="read", thread=False)  # in memory, so a thread would cost more than the work
    user, reservation = look(airline.get_user_details), look(airline.get_reservation_details)
    airports = look(airline.list_all_airports)
    search = [look(airline.search_direct_flight), look(airline.search_onestop_flight)]
    reckon = [look(airline.calculate), look(airline.think)]
    person = airline.transfer_to_human_agents

    booking = Agent(
        "booking",
        instructions=ROUTINES / "booking.md",
        tools=[user, airports, *search, *reckon, airline.book_reservation, person],
        handoffs=["triage", "baggage"],
        description="Finds flights and books trips.",
    )
    changes = Agent(
        "changes",
        instructions=ROUTINES / "changes.md",
        tools=[
            *(user, reservation, *search, *reckon),
            *(airline.update_reservation_flights, airline.update_reservation_passengers, airline.send_certificate, person),
        ],
        handoffs=["triage", "cancellations", "baggage"],
        description="Changes flights, cabins and passengers of a reservation.",
    )
    cancellations = Agent(
        "cancellations",
        instructions=ROUTINES / "cancellations.md",
        tools=[user, reservation, *reckon, airline.cancel_reservation, airline.send_certificate, person],
        handoffs=["triage", "changes", "booking"],
        description="Cancels reservations; refunds and compensation.",
    )
    baggage = Agent(
        "baggage",
        instructions=ROUTINES / "baggage.md",
        tools=[user, reservation, *reckon, airline.update_reservation_baggages, person],
        handoffs=["triage", "changes"],
        description="Answers questions about checked bags, and adds them.",
    )
    return Agent(
        "triage",
        instructions=ROUTINES / "triage.md",
        tools=[user, reservation, airports, person],
        handoffs=[booking, changes, cancellations, baggage],
        description="Finds out what the customer is after.",
    )


triage = build(small_world())

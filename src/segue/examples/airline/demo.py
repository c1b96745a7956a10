"""What a customer says in the airline's demonstration, and the row that it changes."""

from segue.examples.airline.database import Database

CUSTOMER = [
    "Hello!",
    "What about MAYA01?",
    "How many bags may I check?",
    "Please cancel MAYA01.",
    "Yes, go ahead.",
    "I would like to talk to a human.",
]

HEADINGS = ("reservation", "user", "cabin", "status")


def reservation_rows(database: Database) -> list[tuple[str, ...]]:
    """Give the row of the reservation that is spoken of, to be shown before and after."""
    trip = database.reservations["MAYA01"]
    return [(trip["reservation_id"], trip["user_id"], trip["cabin"], trip.get("status") or "booked")]

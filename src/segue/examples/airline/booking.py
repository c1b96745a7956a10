"""What the airline sells: the shapes of segments, passengers and payments, and the sums and refusals of a booking system.
Functions over records only; nothing here holds or changes a database.
"""

from collections.abc import Iterable, Iterator
from functools import reduce
from itertools import count
from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

from segue.examples.airline.database import Record

NOW = "2024-05-15T15:00:00"
BAG = 50
INSURANCE = 30
AIRPORTS = {
    "SFO": "San Francisco",
    "JFK": "New York",
    "LAX": "Los Angeles",
    "ORD": "Chicago",
    "DFW": "Dallas",
    "DEN": "Denver",
    "SEA": "Seattle",
    "ATL": "Atlanta",
    "MIA": "Miami",
    "BOS": "Boston",
    "PHX": "Phoenix",
    "IAH": "Houston",
    "LAS": "Las Vegas",
    "MCO": "Orlando",
    "EWR": "Newark",
    "CLT": "Charlotte",
    "MSP": "Minneapolis",
    "DTW": "Detroit",
    "PHL": "Philadelphia",
    "LGA": "LaGuardia",
}

Cabin = Literal["basic_economy", "economy", "business"]
FlightType = Literal["one_way", "round_trip"]
YesNo = Literal["yes", "no"]


class Segment(TypedDict):
    """One flight on one day."""

    flight_number: Annotated[str, Field(description="The flight's number, for example 'HAT001'.")]
    date: Annotated[str, Field(description="The day it leaves, as YYYY-MM-DD, for example '2024-05-01'.")]


class Passenger(TypedDict):
    """Somebody who flies."""

    first_name: Annotated[str, Field(description="Given name, for example 'Noah'.")]
    last_name: Annotated[str, Field(description="Family name, for example 'Brown'.")]
    dob: Annotated[str, Field(description="Date of birth as YYYY-MM-DD, for example '1990-01-01'.")]


class Payment(TypedDict):
    """A part of the price."""

    payment_id: Annotated[str, Field(description="A payment id of the user's profile: 'credit_card_…', 'gift_card_…' or 'certificate_…'.")]
    amount: Annotated[float, Field(description="How much of the price it pays, in dollars.")]


class Refused(Exception):
    """The booking system says no; the words are for the model."""


def on(flight: Record, day: str) -> Record:
    """Give what is known of a flight on a day; empty where nothing is."""
    status: Record = flight["dates"].get(day, {})
    return status


def offer(flight: Record, day: str) -> Record:
    """Show a flight with its seats and fares of a day."""
    return {key: value for key, value in flight.items() if key != "dates"} | on(flight, day)


def held(segment: Segment, cabin: Cabin, reservation: Record) -> Record | None:
    """Give a flight that stays as it was its old fare; `None` if it is a new one."""
    if cabin != reservation["cabin"]:
        return None
    for old in reservation["flights"]:
        if old["flight_number"] == segment["flight_number"] and old["date"] == segment["date"]:
            return {**segment, "price": old["price"], "origin": old["origin"], "destination": old["destination"]}
    return None


def check_bags(total: int, nonfree: int) -> None:
    """Refuse numbers of bags that cannot be."""
    if not 0 <= nonfree <= total:
        raise Refused("the bags that are not free must be some of all bags")


def prices(segments: Iterable[Record]) -> Iterator[int]:
    """Give the fares of segments."""
    return (segment["price"] for segment in segments)


def pay(methods: Record, payments: list[dict[str, Any]], price: int) -> Record:
    """Take a price from payment methods; a certificate is used up, whatever was left on it."""
    left = dict(methods)
    for payment in payments:
        name, amount = payment["payment_id"], payment["amount"]
        if name not in left:
            raise Refused(f"payment method {name} not found")
        if amount < 0:
            raise Refused(f"payment amount of {name} is below zero")
        method = left[name]
        if method["source"] != "credit_card" and method["amount"] < amount:
            raise Refused(f"not enough balance in payment method {name}")
        if method["source"] == "gift_card":
            left[name] = {**method, "amount": method["amount"] - amount}
        elif method["source"] == "certificate":
            del left[name]
    paid = sum(payment["amount"] for payment in payments)
    if paid != price:
        raise Refused(f"payment amount does not add up, total price is {price}, but paid {paid}")
    return left


def whole(amount: float) -> float:
    """Write whole dollars without a decimal point."""
    return int(amount) if amount == int(amount) else amount


def reservation_ids() -> Iterator[str]:
    """Count on in letters: HATHAT, HATHAU, … HATHAZ, HATHBA, …"""
    first = reduce(lambda number, letter: number * 26 + ord(letter) - ord("A"), "HATHAT", 0)
    for number in count(first):
        yield "".join(chr(ord("A") + number // 26**place % 26) for place in range(5, -1, -1))


def certificate_ids() -> Iterator[str]:
    """Count on from the first certificate."""
    return (f"certificate_{number}" for number in count(3221322))

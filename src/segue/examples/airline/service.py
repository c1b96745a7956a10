"""The airline's fourteen tools, as methods over a `Database`.
They check what a booking system checks (seats, balances, sums) and leave the airline's policy to the agents.
A refusal is told as a text that begins with `Error`; everything else comes back as JSON text.
"""

import functools
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from typing import Any, Concatenate, ParamSpec

from segue.examples.airline.booking import (
    AIRPORTS,
    BAG,
    INSURANCE,
    NOW,
    Cabin,
    FlightType,
    Passenger,
    Payment,
    Refused,
    Segment,
    YesNo,
    certificate_ids,
    check_bags,
    held,
    offer,
    on,
    pay,
    prices,
    reservation_ids,
    whole,
)
from segue.examples.airline.calculator import calculate as work_out
from segue.examples.airline.database import Database, Record

P = ParamSpec("P")


def _told(tool: Callable[Concatenate[Any, P], str]) -> Callable[Concatenate[Any, P], str]:
    """Let one call at a time through, and tell a refusal in words."""

    @functools.wraps(tool)
    def guarded(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> str:
        with self._lock:
            try:
                return tool(self, *args, **kwargs)
            except Refused as refusal:
                return f"Error: {refusal}"

    return guarded


class Airline:
    """A booking system; its public methods are the tools of the airline's agents."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._lock = threading.Lock()

    # What changes nothing

    @_told
    def get_user_details(self, user_id: str) -> str:
        """Look up a user's profile: payment methods, membership and reservation ids.

        Args:
            user_id: The user's id, for example 'sara_doe_496'.
        """
        return json.dumps(self._user(user_id))

    @_told
    def get_reservation_details(self, reservation_id: str) -> str:
        """Look up one reservation.

        Args:
            reservation_id: The reservation's id, for example '8JX2WO'.
        """
        return json.dumps(self._reservation(reservation_id))

    @_told
    def list_all_airports(self) -> str:
        """List every airport with its city."""
        return json.dumps(AIRPORTS)

    @_told
    def search_direct_flight(self, origin: str, destination: str, date: str) -> str:
        """Find flights without a stop between two cities on one day.

        Args:
            origin: Airport to leave from, in three letters, for example 'JFK'.
            destination: Airport to arrive at, in three letters, for example 'LAX'.
            date: The day it leaves, as YYYY-MM-DD, for example '2024-01-01'.
        """
        return json.dumps([offer(flight, date) for flight in self._bookable(origin, date) if flight["destination"] == destination])

    @_told
    def search_onestop_flight(self, origin: str, destination: str, date: str) -> str:
        """Find pairs of flights with one stop between two cities, leaving on one day.

        Args:
            origin: Airport to leave from, in three letters, for example 'JFK'.
            destination: Airport to arrive at, in three letters, for example 'LAX'.
            date: The day it leaves, as YYYY-MM-DD, for example '2024-05-01'.
        """
        recorded = self.database.as_recorded
        pairs = self._pairs(origin, destination, date)
        return json.dumps([[offer(leg, date if recorded else day) | {"date": day} for leg, day in pair] for pair in pairs])

    def calculate(self, expression: str) -> str:
        """Work out an arithmetical expression.

        Args:
            expression: For example '2 + 2': numbers, + - * /, parentheses and spaces.
        """
        try:
            return str(work_out(expression))
        except ValueError as error:
            return f"Error: {error}"

    def think(self, thought: str) -> str:
        """Write down a thought: learns nothing and changes nothing, but helps with what is complicated.

        Args:
            thought: What to think about.
        """
        return ""

    def transfer_to_human_agents(self, summary: str) -> str:
        """Hand the user to a person: only where they ask for one, or where no tool can solve it.

        Args:
            summary: What the user wants and what was done so far.
        """
        return "Transfer successful"

    # What changes the database

    @_told
    def book_reservation(
        self,
        user_id: str,
        origin: str,
        destination: str,
        flight_type: FlightType,
        cabin: Cabin,
        flights: list[Segment],
        passengers: list[Passenger],
        payment_methods: list[Payment],
        total_baggages: int,
        nonfree_baggages: int,
        insurance: YesNo,
    ) -> str:
        """Book a trip and take the payment.

        Args:
            user_id: Whose profile the trip is booked and paid with, for example 'sara_doe_496'.
            origin: Airport where the trip begins, for example 'SFO'.
            destination: Airport that the trip is for, for example 'JFK'.
            flight_type: One way or there and back.
            cabin: The cabin of all passengers on all flights.
            flights: Every flight of the trip, in order.
            passengers: Everybody who flies.
            payment_methods: What pays for it; the amounts must add up to the price.
            total_baggages: How many bags are checked in all.
            nonfree_baggages: How many of them are paid for.
            insurance: Whether travel insurance is bought for every passenger.
        """
        user = self._user(user_id)
        if not flights or not passengers:
            raise Refused("a reservation needs a flight and a passenger")
        check_bags(total_baggages, nonfree_baggages)
        segments = [self._priced(segment, cabin, len(passengers)) for segment in flights]
        price = sum(segment["price"] for segment in segments) * len(passengers) + BAG * nonfree_baggages
        price += INSURANCE * len(passengers) if insurance == "yes" else 0
        payments = [{**payment, "amount": whole(payment["amount"])} for payment in payment_methods]
        methods = pay(user["payment_methods"], payments, price)
        reservation_id = next(new for new in reservation_ids() if new not in self.database.reservations)
        reservation = {
            "reservation_id": reservation_id,
            "user_id": user_id,
            "origin": origin,
            "destination": destination,
            "flight_type": flight_type,
            "cabin": cabin,
            "flights": segments,
            "passengers": [dict(passenger) for passenger in passengers],
            "payment_history": payments,
            "created_at": NOW,
            "total_baggages": total_baggages,
            "nonfree_baggages": nonfree_baggages,
            "insurance": insurance,
        }
        self._seat(segments, cabin, len(passengers))
        booked = [*user["reservations"], reservation_id]
        self.database.users[user_id] = {**user, "payment_methods": methods, "reservations": booked}
        return self._keep(reservation)

    @_told
    def cancel_reservation(self, reservation_id: str) -> str:
        """Cancel a whole reservation and refund what was paid for it.

        Args:
            reservation_id: The reservation's id, for example 'ZFA04Y'.
        """
        reservation = self._live(reservation_id)
        paid = reservation["payment_history"]
        self._seat(reservation["flights"], reservation["cabin"], -len(reservation["passengers"]))
        refunds = [{"payment_id": payment["payment_id"], "amount": -payment["amount"]} for payment in paid]
        return self._keep({**reservation, "payment_history": paid + refunds, "status": "cancelled"})

    @_told
    def update_reservation_flights(self, reservation_id: str, cabin: Cabin, flights: list[Segment], payment_id: str) -> str:
        """Change the flights or the cabin of a reservation, and pay or refund the difference.

        Args:
            reservation_id: The reservation's id, for example 'ZFA04Y'.
            cabin: The cabin of all flights as it shall be.
            flights: Every flight of the trip as it shall be, also those that stay as they are.
            payment_id: What pays or gets the difference, an id of the user's profile, for example 'credit_card_7815826'.
        """
        reservation = self._live(reservation_id)
        heads = len(reservation["passengers"])
        if not flights:
            raise Refused("a reservation needs a flight")
        segments = [held(segment, cabin, reservation) or self._priced(segment, cabin, heads) for segment in flights]
        difference = sum(prices(segments)) - sum(prices(reservation["flights"]))
        changed = self._charged(reservation, payment_id, difference * heads)
        self._seat(reservation["flights"], reservation["cabin"], -heads)
        self._seat(segments, cabin, heads)
        on_file = reservation["cabin"] if self.database.as_recorded else cabin
        return self._keep({**changed, "cabin": on_file, "flights": segments})

    @_told
    def update_reservation_baggages(self, reservation_id: str, total_baggages: int, nonfree_baggages: int, payment_id: str) -> str:
        """Change the number of checked bags of a reservation, and pay for those that are not free.

        Args:
            reservation_id: The reservation's id, for example 'ZFA04Y'.
            total_baggages: How many bags shall be checked in all.
            nonfree_baggages: How many of them are paid for.
            payment_id: What pays, an id of the user's profile, for example 'credit_card_7815826'.
        """
        reservation = self._live(reservation_id)
        check_bags(total_baggages, nonfree_baggages)
        more = max(0, nonfree_baggages - reservation["nonfree_baggages"])
        changed = self._charged(reservation, payment_id, BAG * more)
        return self._keep({**changed, "total_baggages": total_baggages, "nonfree_baggages": nonfree_baggages})

    @_told
    def update_reservation_passengers(self, reservation_id: str, passengers: list[Passenger]) -> str:
        """Change who flies on a reservation; their number stays.

        Args:
            reservation_id: The reservation's id, for example 'ZFA04Y'.
            passengers: Everybody who shall fly.
        """
        reservation = self._live(reservation_id)
        if len(passengers) != len(reservation["passengers"]):
            raise Refused("number of passengers does not match")
        return self._keep({**reservation, "passengers": [dict(passenger) for passenger in passengers]})

    @_told
    def send_certificate(self, user_id: str, amount: float) -> str:
        """Give a user a travel certificate. Be careful: it is money.

        Args:
            user_id: The user's id, for example 'sara_doe_496'.
            amount: Its worth in dollars.
        """
        user = self._user(user_id)
        taken = {payment_id for anyone in self.database.users.values() for payment_id in anyone["payment_methods"]}
        new = next(name for name in certificate_ids() if name not in taken)
        if amount <= 0:
            raise Refused("a certificate must be worth something")
        certificate = {"source": "certificate", "amount": whole(amount), "id": new}
        self.database.users[user_id] = {**user, "payment_methods": {**user["payment_methods"], new: certificate}}
        return f"Certificate {new} added to user {user_id} with amount {whole(amount)}."

    # What the tools share

    def _user(self, user_id: str) -> Record:
        if user_id not in self.database.users:
            raise Refused("user not found")
        return self.database.users[user_id]

    def _reservation(self, reservation_id: str) -> Record:
        if reservation_id not in self.database.reservations:
            raise Refused("reservation not found")
        return self.database.reservations[reservation_id]

    def _live(self, reservation_id: str) -> Record:
        reservation = self._reservation(reservation_id)
        if reservation.get("status") == "cancelled":
            raise Refused("reservation is cancelled already")
        return reservation

    def _keep(self, reservation: Record) -> str:
        self.database.reservations[reservation["reservation_id"]] = reservation
        return json.dumps(reservation)

    def _bookable(self, origin: str, day: str) -> Iterator[Record]:
        for flight in self.database.flights.values():
            if flight["origin"] == origin and on(flight, day).get("status") == "available":
                yield flight

    def _pairs(self, origin: str, destination: str, day: str) -> Iterator[tuple[tuple[Record, str], tuple[Record, str]]]:
        for first in self._bookable(origin, day):
            arrival, _, later = first["scheduled_arrival_time_est"].partition("+")
            next_day = str(date.fromisoformat(day) + timedelta(days=int(later or 0)))
            for second in self._bookable(first["destination"], next_day):
                if second["destination"] == destination and second["scheduled_departure_time_est"] >= arrival:
                    yield (first, day), (second, next_day)

    def _priced(self, segment: Segment, cabin: Cabin, heads: int) -> Record:
        """Give a flight its fare of today, if there are seats for everybody."""
        number = segment["flight_number"]
        if number not in self.database.flights:
            raise Refused(f"flight {number} not found")
        flight = self.database.flights[number]
        day = on(flight, segment["date"])
        if day.get("status") != "available":
            raise Refused(f"flight {number} not available on date {segment['date']}")
        if day["available_seats"][cabin] < heads:
            raise Refused(f"not enough seats on flight {number}")
        return {**segment, "price": day["prices"][cabin], "origin": flight["origin"], "destination": flight["destination"]}

    def _seat(self, segments: Iterable[Record], cabin: Cabin, heads: int) -> None:
        """Take seats on flights, or give them back where `heads` is below zero."""
        for segment in segments:
            flight = self.database.flights[segment["flight_number"]]
            day = on(flight, segment["date"])
            if day.get("status") == "available":
                seats = {**day["available_seats"], cabin: day["available_seats"][cabin] - heads}
                dates = {**flight["dates"], segment["date"]: {**day, "available_seats": seats}}
                self.database.flights[segment["flight_number"]] = {**flight, "dates": dates}

    def _charged(self, reservation: Record, payment_id: str, amount: int) -> Record:
        """Charge (or refund, below zero) what a change costs, and note it in the reservation's payments."""
        user = self._user(reservation["user_id"])
        methods = user["payment_methods"]
        if payment_id not in methods:
            raise Refused("payment method not found")
        method = methods[payment_id]
        if method["source"] == "certificate":
            raise Refused("certificate cannot be used to update reservation")
        if method["source"] == "gift_card":
            if method["amount"] < amount:
                raise Refused("gift card balance is not enough")
            left = {**method, "amount": method["amount"] - amount}
            self.database.users[reservation["user_id"]] = {**user, "payment_methods": {**methods, payment_id: left}}
        if not amount:
            return reservation
        payment = {"payment_id": payment_id, "amount": amount}
        return {**reservation, "payment_history": [*reservation["payment_history"], payment]}

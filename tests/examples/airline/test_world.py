import json

import pytest

from segue.examples.airline import Database, small_world
from segue.examples.airline.booking import AIRPORTS, BAG, INSURANCE


@pytest.fixture(scope="module")
def world() -> Database:
    return small_world()


def test_the_world_is_the_same_each_time_and_shares_nothing():
    one, other = small_world(), small_world()
    assert json.dumps([one.flights, one.reservations, one.users]) == json.dumps([other.flights, other.reservations, other.users])
    one.reservations["MAYA01"]["cabin"] = "economy"
    assert other.reservations["MAYA01"]["cabin"] == "business"


def test_there_are_a_few_dozen_of_everything(world):
    assert (len(world.flights), len(world.users), len(world.reservations)) == (36, 24, 30)


def test_every_reservation_names_users_and_flights_that_exist_and_was_paid_in_full(world):
    for trip in world.reservations.values():
        user = world.users[trip["user_id"]]
        assert trip["reservation_id"] in user["reservations"]
        heads, insured = len(trip["passengers"]), trip["insurance"] == "yes"
        price = heads * (sum(leg["price"] for leg in trip["flights"]) + INSURANCE * insured) + BAG * trip["nonfree_baggages"]
        assert [(payment["payment_id"] in user["payment_methods"], payment["amount"]) for payment in trip["payment_history"]] == [
            (True, price)
        ]
        for leg in trip["flights"]:
            flight = world.flights[leg["flight_number"]]
            assert (flight["origin"], flight["destination"]) == (leg["origin"], leg["destination"])
            assert leg["date"] in flight["dates"]


def test_every_airport_has_a_city(world):
    assert {flight[end] for flight in world.flights.values() for end in ("origin", "destination")} == set(AIRPORTS)


def test_flights_have_landed_before_today_and_are_on_sale_after_it(world):
    days = [(day, status["status"]) for flight in world.flights.values() for day, status in flight["dates"].items()]
    assert {status for day, status in days if day < "2024-05-15"} == {"landed", "cancelled"}
    assert {status for day, status in days if day == "2024-05-15"} == {"landed", "flying", "on time", "delayed"}
    assert {status for day, status in days if day > "2024-05-15"} == {"available", "cancelled"}

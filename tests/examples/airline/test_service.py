import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from segue.examples.airline import Airline, Database, small_world

MAYA = "maya_lindqvist_1647"
CARD, GIFT, CERTIFICATE = "credit_card_4101357", "gift_card_4101358", "certificate_4101359"
MAYA_FLIES = {"first_name": "Maya", "last_name": "Lindqvist", "dob": "1988-03-14"}


@pytest.fixture
def database() -> Database:
    return small_world()


@pytest.fixture
def airline(database: Database) -> Airline:
    return Airline(database)


def book(airline: Airline, *payments: tuple[str, float], **changes: object) -> str:
    trip = {
        "user_id": MAYA,
        "origin": "JFK",
        "destination": "SFO",
        "flight_type": "one_way",
        "cabin": "economy",
        "flights": [{"flight_number": "HAT101", "date": "2024-05-20"}],
        "passengers": [MAYA_FLIES],
        "payment_methods": [{"payment_id": name, "amount": amount} for name, amount in payments],
        "total_baggages": 0,
        "nonfree_baggages": 0,
        "insurance": "no",
    }
    return airline.book_reservation(**{**trip, **changes})


def seats(database: Database, number: str, day: str, cabin: str) -> int:
    return database.flights[number]["dates"][day]["available_seats"][cabin]


def money(database: Database, method: str) -> float:
    return database.users[MAYA]["payment_methods"][method]["amount"]


def test_a_booking_stands_in_the_profile_takes_the_seat_and_the_money(airline, database):
    before = seats(database, "HAT101", "2024-05-20", "economy")
    trip = json.loads(book(airline, (GIFT, 100.0), (CARD, 65.0)))
    assert trip["flights"] == [{"flight_number": "HAT101", "date": "2024-05-20", "price": 165, "origin": "JFK", "destination": "SFO"}]
    assert database.users[MAYA]["reservations"][-1] == trip["reservation_id"]
    assert json.loads(airline.get_reservation_details(trip["reservation_id"])) == trip
    assert seats(database, "HAT101", "2024-05-20", "economy") == before - 1
    assert money(database, GIFT) == 220


def test_reservation_ids_count_on_and_never_come_twice(airline):
    made = [json.loads(book(airline, (CARD, 165)))["reservation_id"] for _ in range(8)]
    assert made == ["HATHAT", "HATHAU", "HATHAV", "HATHAW", "HATHAX", "HATHAY", "HATHAZ", "HATHBA"]


def test_a_price_counts_passengers_insurance_and_bags(airline):
    two = [MAYA_FLIES, {"first_name": "Tomas", "last_name": "Okafor", "dob": "1979-11-02"}]
    refused = book(airline, (CARD, 1), passengers=two, insurance="yes", total_baggages=3, nonfree_baggages=1)
    assert refused == "Error: payment amount does not add up, total price is 440, but paid 1"


@pytest.mark.parametrize(
    ("payments", "changes", "words"),
    [
        ([("gift_card_1", 165)], {}, "payment method gift_card_1 not found"),
        ([(GIFT, 500)], {}, f"not enough balance in payment method {GIFT}"),
        ([(CERTIFICATE, 165)], {}, f"not enough balance in payment method {CERTIFICATE}"),
        ([(GIFT, -100), (CARD, 265)], {}, f"payment amount of {GIFT} is below zero"),
        ([(CARD, 165)], {"user_id": "nobody_1"}, "user not found"),
        ([(CARD, 165)], {"flights": []}, "a reservation needs a flight and a passenger"),
        ([(CARD, 165)], {"passengers": []}, "a reservation needs a flight and a passenger"),
        ([(CARD, 165)], {"flights": [{"flight_number": "HAT999", "date": "2024-05-20"}]}, "flight HAT999 not found"),
        (
            [(CARD, 165)],
            {"flights": [{"flight_number": "HAT101", "date": "2024-05-14"}]},
            "flight HAT101 not available on date 2024-05-14",
        ),
        ([(CARD, 165)], {"passengers": [MAYA_FLIES] * 12}, "not enough seats on flight HAT101"),
        ([(CARD, 165)], {"total_baggages": 1, "nonfree_baggages": 2}, "the bags that are not free must be some of all bags"),
        ([(CARD, 165)], {"total_baggages": 1, "nonfree_baggages": -2}, "the bags that are not free must be some of all bags"),
    ],
)
def test_a_refused_booking_says_why_and_changes_nothing(airline, database, payments, changes, words):
    before = json.dumps([database.flights, database.reservations, database.users])
    assert book(airline, *payments, **changes) == f"Error: {words}"
    assert json.dumps([database.flights, database.reservations, database.users]) == before


def test_a_certificate_is_used_up_with_what_was_left_on_it(airline, database):
    book(airline, (CERTIFICATE, 100), (CARD, 65))
    assert CERTIFICATE not in database.users[MAYA]["payment_methods"]


def test_cancelling_gives_back_seats_and_notes_the_refund(airline, database):
    before = seats(database, "HAT115", "2024-05-20", "business")
    trip = json.loads(airline.cancel_reservation("MAYA01"))
    assert trip["status"] == "cancelled"
    assert sum(payment["amount"] for payment in trip["payment_history"]) == 0
    assert seats(database, "HAT115", "2024-05-20", "business") == before + 1


def test_what_is_cancelled_cannot_be_cancelled_or_changed_again(airline):
    airline.cancel_reservation("MAYA01")
    said = {
        airline.cancel_reservation("MAYA01"),
        airline.update_reservation_baggages("MAYA01", 3, 1, CARD),
        airline.update_reservation_passengers("MAYA01", [MAYA_FLIES]),
        airline.update_reservation_flights("MAYA01", "business", [{"flight_number": "HAT115", "date": "2024-05-20"}], CARD),
    }
    assert said == {"Error: reservation is cancelled already"}


def test_a_flight_that_stays_keeps_its_old_fare_and_the_other_has_the_fare_of_today(airline, database):
    database.reservations["MAYA01"]["flights"][0]["price"] = 7
    flights = [{"flight_number": "HAT115", "date": "2024-05-20"}, {"flight_number": "HAT116", "date": "2024-05-27"}]
    trip = json.loads(airline.update_reservation_flights("MAYA01", "business", flights, CARD))
    today = database.flights["HAT116"]["dates"]["2024-05-27"]["prices"]["business"]
    assert [flight["price"] for flight in trip["flights"]] == [7, today]
    assert trip["payment_history"][-1] == {"payment_id": CARD, "amount": today - 248}


def test_a_change_of_cabin_is_on_file_and_refunds_the_difference_to_the_gift_card(airline, database):
    flights = [{"flight_number": "HAT115", "date": "2024-05-20"}, {"flight_number": "HAT116", "date": "2024-05-24"}]
    trip = json.loads(airline.update_reservation_flights("MAYA01", "economy", flights, GIFT))
    assert trip["cabin"] == "economy"
    assert money(database, GIFT) == 320 - trip["payment_history"][-1]["amount"] > 320


def test_in_a_recorded_world_the_cabin_on_file_stays():
    database = small_world()
    database.as_recorded = True
    flights = [{"flight_number": "HAT115", "date": "2024-05-20"}, {"flight_number": "HAT116", "date": "2024-05-24"}]
    assert json.loads(Airline(database).update_reservation_flights("MAYA01", "economy", flights, CARD))["cabin"] == "business"


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("credit_card_0", "payment method not found"),
        (CERTIFICATE, "certificate cannot be used to update reservation"),
        (GIFT, "gift card balance is not enough"),
    ],
)
def test_a_change_must_be_paid_by_a_card_with_enough_on_it(airline, database, method, words):
    before = json.dumps([database.flights, database.reservations, database.users])
    assert airline.update_reservation_baggages("MAYA01", 20, 18, method) == f"Error: {words}"
    assert json.dumps([database.flights, database.reservations, database.users]) == before


def test_more_bags_are_paid_and_free_ones_are_not(airline):
    free = json.loads(airline.update_reservation_baggages("MAYA01", 3, 0, CARD))
    paid = json.loads(airline.update_reservation_baggages("MAYA01", 5, 2, CARD))
    assert len(free["payment_history"]) == 1
    assert paid["payment_history"][-1] == {"payment_id": CARD, "amount": 100}


def test_passengers_may_change_but_not_their_number(airline):
    other = {"first_name": "Lena", "last_name": "Fischer", "dob": "1971-08-25"}
    assert json.loads(airline.update_reservation_passengers("MAYA01", [other]))["passengers"] == [other]
    assert airline.update_reservation_passengers("MAYA01", [other, other]) == "Error: number of passengers does not match"


def test_each_certificate_has_an_id_of_its_own(airline, database):
    said = [airline.send_certificate(MAYA, 150.0), airline.send_certificate("tomas_okafor_1751", 50.5)]
    assert said == [
        f"Certificate certificate_3221322 added to user {MAYA} with amount 150.",
        "Certificate certificate_3221323 added to user tomas_okafor_1751 with amount 50.5.",
    ]
    assert money(database, "certificate_3221322") == 150
    assert airline.send_certificate(MAYA, 0) == "Error: a certificate must be worth something"


def test_only_available_flights_are_found(airline):
    found = json.loads(airline.search_direct_flight("JFK", "SFO", "2024-05-20"))
    assert [flight["flight_number"] for flight in found] == ["HAT101", "HAT103"]
    assert all(flight["status"] == "available" and "dates" not in flight for flight in found)
    assert airline.search_direct_flight("JFK", "SFO", "2024-05-15") == "[]"
    assert airline.search_direct_flight("PHX", "MSP", "2024-05-20") == "[]"


def test_a_connection_leaves_after_the_first_flight_has_arrived_the_next_day_included(airline, database):
    database.flights["HAT101"] |= {"scheduled_departure_time_est": "20:00:00", "scheduled_arrival_time_est": "02:30:00+1"}
    pairs = json.loads(airline.search_onestop_flight("JFK", "ORD", "2024-05-20"))
    assert [[(leg["flight_number"], leg["date"]) for leg in pair] for pair in pairs] == [
        [("HAT101", "2024-05-20"), ("HAT108", "2024-05-21")]
    ]
    assert pairs[0][1]["prices"] == database.flights["HAT108"]["dates"]["2024-05-21"]["prices"]


def test_what_is_not_there_is_told_in_words(airline):
    assert airline.get_user_details("nobody_1") == "Error: user not found"
    assert airline.get_reservation_details("NOSUCH") == "Error: reservation not found"


def test_the_last_seat_is_sold_once_to_many_who_ask_at_the_same_time(airline, database):
    left = seats(database, "HAT103", "2024-05-20", "economy")
    flights = [{"flight_number": "HAT103", "date": "2024-05-20"}]
    with ThreadPoolExecutor(16) as pool:
        said = list(pool.map(lambda _: book(airline, (CARD, 175), flights=flights), range(16)))
    sold = [text for text in said if not text.startswith("Error")]
    assert (len(sold), seats(database, "HAT103", "2024-05-20", "economy")) == (left, 0)
    assert len({json.loads(text)["reservation_id"] for text in sold}) == left


def test_thinking_says_nothing_and_a_person_takes_over(airline):
    assert airline.think("hm") == ""
    assert airline.transfer_to_human_agents("cannot be solved") == "Transfer successful"

import json

import pytest

from segue.examples.airline import Airline, small_world
from segue.examples.airline.standin import OTHERWISE, SURE, may_cancel, standin
from tests.examples.talk import answer, said

LOOK = ["get_user_details", "get_reservation_details", "transfer_to_human_agents", "calculate", "think"]
TRIAGE = [*LOOK, "transfer_to_booking", "transfer_to_changes", "transfer_to_cancellations", "transfer_to_baggage"]
CANCELLATIONS = [*LOOK, "cancel_reservation", "send_certificate", "transfer_to_triage", "transfer_to_changes"]
BAGGAGE = [*LOOK, "update_reservation_baggages", "transfer_to_triage"]
BOOKING = [*LOOK, "search_direct_flight", "search_onestop_flight", "book_reservation", "transfer_to_triage"]
CHANGES = [*LOOK, "update_reservation_flights", "transfer_to_triage", "transfer_to_cancellations"]


@pytest.fixture
def airline() -> Airline:
    return Airline(small_world())


def looked_up(airline: Airline, name: str) -> tuple[str, dict[str, str], str]:
    return ("get_reservation_details", {"reservation_id": name}, airline.get_reservation_details(name))


@pytest.mark.parametrize(
    ("words", "desk"),
    [
        ("I want to cancel my trip", "cancellations"),
        ("How many bags may I check?", "baggage"),
        ("I need a later flight", "changes"),
        ("Book me something nice", "booking"),
    ],
)
async def test_triage_hands_over_to_the_right_desk(words, desk):
    assert await answer(standin, words, tools=TRIAGE) == (f"transfer_to_{desk}", {})


async def test_a_desk_hands_over_what_is_not_its_business_straight_or_by_way_of_triage():
    assert await answer(standin, "cancel it", tools=CHANGES) == ("transfer_to_cancellations", {})
    assert await answer(standin, "cancel it", tools=BAGGAGE) == ("transfer_to_triage", {})


async def test_a_reservation_is_looked_up_by_its_id_and_told(airline):
    move = await answer(standin, "What about MAYA01?", tools=TRIAGE)
    assert move == ("get_reservation_details", {"reservation_id": "MAYA01"})
    told = await answer(standin, "What about MAYA01?", looked_up(airline, "MAYA01"), tools=TRIAGE)
    assert "HAT115 BOS-MCO on 2024-05-20" in told
    assert "business" in told


async def test_a_reservation_that_does_not_exist_is_told_in_the_systems_words(airline):
    told = await answer(standin, "What about NOSUC1?", looked_up(airline, "NOSUC1"), tools=TRIAGE)
    assert told == "The booking system says no: reservation not found."


async def test_free_bags_are_counted_by_membership_cabin_and_passengers(airline):
    trip = looked_up(airline, "MAYA02")
    lines = ["How many bags on MAYA02?", trip]
    owner = json.loads(trip[2])["user_id"]
    assert await answer(standin, *lines, tools=BAGGAGE) == ("get_user_details", {"user_id": owner})
    user = ("get_user_details", {"user_id": owner}, airline.get_user_details(owner))
    assert "6 checked bags cost nothing" in await answer(standin, *lines, user, tools=BAGGAGE)


@pytest.mark.parametrize(
    ("name", "words", "ground"),
    [
        ("MAYA01", "changed my mind", "it is business"),
        ("TOM9Q2", "changed my mind", "it was booked within the last 24 hours"),
        ("MAYA02", "I am sick", "it is insured, and the reason is covered"),
        ("MAYA02", "changed my mind", None),
        ("TOM4K7", "I am sick", None),
        ("LEN0D7", "a storm is coming", None),
    ],
)
def test_who_may_cancel_is_decided_by_cabin_time_and_insurance(name, words, ground):
    assert may_cancel(small_world().reservations[name], [words]) == ground


async def test_a_cancellation_is_asked_for_done_after_a_yes_and_told(airline):
    question = await answer(standin, "cancel MAYA01", looked_up(airline, "MAYA01"), tools=CANCELLATIONS)
    assert question.endswith(SURE)
    lines = ["cancel MAYA01", looked_up(airline, "MAYA01"), said(question)]
    assert "stays as it is" in await answer(standin, *lines, "no", tools=CANCELLATIONS)
    assert await answer(standin, *lines, "yes", tools=CANCELLATIONS) == ("cancel_reservation", {"reservation_id": "MAYA01"})
    done = ("cancel_reservation", {"reservation_id": "MAYA01"}, airline.cancel_reservation("MAYA01"))
    assert "588 dollars go back" in await answer(standin, *lines, "yes", done, tools=CANCELLATIONS)
    assert "cancelled already" in await answer(standin, "cancel MAYA01", looked_up(airline, "MAYA01"), tools=CANCELLATIONS)


async def test_what_may_not_be_cancelled_stays(airline):
    told = await answer(standin, "cancel TOM4K7", looked_up(airline, "TOM4K7"), tools=CANCELLATIONS)
    assert "it stays" in told
    assert SURE not in told


@pytest.mark.parametrize(("name", "words"), [("LEV5S9", "cancel LEV5S9"), ("ROS2H4", "cancel ROS2H4, the airline cancelled my flight")])
async def test_what_only_a_person_can_decide_goes_to_a_person(airline, name, words):
    move = await answer(standin, words, looked_up(airline, name), tools=CANCELLATIONS)
    assert move[0] == "transfer_to_human_agents"
    told = await answer(standin, words, looked_up(airline, name), (*move, "Transfer successful"), tools=CANCELLATIONS)
    assert told.startswith("A person will take it")


async def test_flights_are_searched_direct_first_and_then_with_a_stop(airline):
    where = {"origin": "JFK", "destination": "SEA", "date": "2024-05-20"}
    words = "flights from jfk to sea on 2024-05-20"
    assert await answer(standin, words, tools=BOOKING) == ("search_direct_flight", where)
    none = ("search_direct_flight", where, airline.search_direct_flight(**where))
    assert await answer(standin, words, none, tools=BOOKING) == ("search_onestop_flight", where)
    some = ("search_onestop_flight", where, airline.search_onestop_flight(**where))
    assert "HAT105 JFK-ORD and HAT119 ORD-SEA, 297 dollars" in await answer(standin, words, none, some, tools=BOOKING)


async def test_the_stand_in_says_what_it_cannot_do():
    offer = await answer(standin, "change my flight", tools=CHANGES)
    assert "more than this stand-in can do" in offer
    move = await answer(standin, "change my flight", said(offer), "yes", tools=CHANGES)
    assert move[0] == "transfer_to_human_agents"
    assert await answer(standin, "What is the capital of France?", tools=TRIAGE) == OTHERWISE

"""The rules of the airline's stand-in: which words lead where. It is no LLM, and says so when it does not understand.
Which agent it speaks for shows in the tools that are on offer. It looks up, counts free bags, searches and cancels; no more.
"""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from segue.examples.airline.booking import BAG, NOW
from segue.examples.standin import Answer, Rule, Say, Scene, StandIn, Use, mentions

CANCEL = ("cancel*", "refund*", "compensat*", "money back")
BAGS = ("bag", "bags", "baggage", "luggage", "suitcase*")
CHANGE = ("change", "changes", "changing", "move", "rebook*", "upgrade*", "later flight", "earlier flight", "another flight", "passenger*")
BOOK = ("book", "booking", "search", "find", "flights from", "flight from", "fly from", "fly to")
PERSON = ("human", "person", "agent", "somebody real", "someone real", "supervisor")
YES = ("yes", "yes please", "go ahead", "do it", "confirm*")
NO = ("no", "nope", "stop", "don't", "do not", "never mind")
COVERED = ("sick", "ill", "illness", "health", "doctor", "hospital", "weather", "storm", "snow", "hurricane")
BY_AIRLINE = ("airline cancel*", "you cancel*", "was cancel*", "been cancel*")
THANKS = ("thanks", "thank you", "bye", "goodbye")
HELLO = ("hello", "hi", "hey", "good morning", "good evening")
ALLOWANCE = {
    "regular": {"basic_economy": 0, "economy": 1, "business": 2},
    "silver": {"basic_economy": 1, "economy": 2, "business": 3},
    "gold": {"basic_economy": 2, "economy": 3, "business": 3},
}
SURE = "Shall I cancel it? Yes or no."
OFFER = "Shall I get you a person?"
ASK_ID = "Which reservation is it? Its id has six letters and digits, such as MAYA01."
OTHERWISE = (
    "I am a scripted stand-in, not an LLM, and understand only a few things: a reservation's id, free bags, "
    "cancelling, flights 'from JFK to SFO on 2024-05-20', or asking for a person."
)


def named(customer: Sequence[str]) -> str | None:
    """Give the reservation that was named last: six capitals and digits, both of them; `None` if none was."""
    found = [name for said in customer for name in re.findall(r"\b(?=\w*\d)(?=\w*[A-Z])[A-Z0-9]{6}\b", said)]
    return found[-1] if found else None


def handed_over(scene: Scene) -> Say | None:
    """Tell that a person takes over."""
    done = scene.answer("transfer_to_human_agents")
    return Say("A person will take it from here. Thank you for your patience.") if done else None


def elsewhere(scene: Scene) -> Use | None:
    """Hand over to a person or to the desk whose business it is."""
    wishes = [(CANCEL, "cancellations"), (BAGS, "baggage"), (CHANGE, "changes"), (BOOK, "booking")]
    if scene.hears(*PERSON) or (OFFER in scene.last_spoken and scene.hears(*YES)):
        return Use("transfer_to_human_agents", {"summary": scene.said})
    desk = next((desk for words, desk in wishes if scene.hears(*words)), None)
    if desk is None or OWN_TOOL[desk] in scene.tools:
        return None
    tool = f"transfer_to_{desk}"
    return Use(tool if tool in scene.tools else "transfer_to_triage", {})


OWN_TOOL = {
    "booking": "book_reservation",
    "changes": "update_reservation_flights",
    "cancellations": "cancel_reservation",
    "baggage": "update_reservation_baggages",
}


def desk(name: str, rule: Rule) -> Rule:
    """Let a rule act only at one desk, known by the tool that no other desk has."""
    return lambda scene: rule(scene) if OWN_TOOL[name] in scene.tools else None


def record(answer: Answer, mark: str = "reservation_id") -> dict[str, Any]:
    """Read the record that a tool gave, known by a field it must have; empty if it gave none, but words."""
    try:
        value = json.loads(answer.content)
    except ValueError:
        return {}
    return value if isinstance(value, dict) and mark in value else {}


def refused(answer: Answer) -> Say:
    """Tell what a tool refused, in its own words."""
    return Say(f"The booking system says no: {answer.content.removeprefix('Error: ')}.")


def free_bags(scene: Scene) -> Say | Use | None:
    """Count the free bags of a reservation: by its owner's membership, its cabin and its passengers."""
    if not (scene.hears(*BAGS) or scene.last_spoken == ASK_ID):
        return None
    wanted = named(scene.customer)
    if wanted is None:
        return Say(ASK_ID)
    found = scene.answer("get_reservation_details")
    if not found:
        return Use("get_reservation_details", {"reservation_id": wanted})
    trip = record(found)
    if not trip:
        return refused(found)
    owner = scene.answer("get_user_details")
    if not owner:
        return Use("get_user_details", {"user_id": trip["user_id"]})
    membership, heads = record(owner, "membership").get("membership"), len(trip["passengers"])
    if membership not in ALLOWANCE:
        return refused(owner)
    free = ALLOWANCE[membership][trip["cabin"]] * heads
    return Say(
        f"On {wanted} ({membership} member, {_plain(trip['cabin'])}, {_many(heads, 'passenger')}) {_many(free, 'checked bag')} "
        f"cost nothing, and it has {_many(trip['total_baggages'], 'bag')}. Each bag beyond the free ones costs {BAG} dollars. "
        "Adding bags is more than this stand-in can do."
    )


def cancel(scene: Scene) -> Say | Use | None:
    """Go through the routine of cancelling: which, whether it may be, a plain yes, and do it."""
    done = scene.answer("cancel_reservation")
    if done:
        return _cancelled(record(done)) if record(done) else refused(done)
    wanted = named(scene.customer)
    asked = SURE in scene.last_spoken
    if asked and wanted and scene.hears(*NO):
        return Say(f"Then {wanted} stays as it is.")
    if asked and wanted and scene.hears(*YES):
        return Use("cancel_reservation", {"reservation_id": wanted})
    if not (scene.hears(*CANCEL) or named([scene.said])):
        return None
    if wanted is None:
        return Say(ASK_ID + " And why is it to be cancelled?")
    found = scene.answer("get_reservation_details")
    if not found:
        return Use("get_reservation_details", {"reservation_id": wanted})
    trip = record(found)
    if not trip:
        return refused(found)
    ground = may_cancel(trip, scene.customer)
    if trip.get("status") == "cancelled":
        return Say(f"{wanted} is cancelled already.")
    if any(flight["date"] <= NOW[:10] for flight in trip["flights"]) or scene.hears(*BY_AIRLINE):
        return Use("transfer_to_human_agents", {"summary": f"Wants to cancel {wanted}, a flight of which may be used or cancelled."})
    if ground is None:
        return Say(
            f"I am sorry: {_summary(trip)} That is neither business, nor booked within 24 hours, nor insured for this reason: it stays."
        )
    return Say(f"{_summary(trip)} It may be cancelled: {ground}. {SURE}")


def may_cancel(trip: dict[str, Any], customer: Iterable[str]) -> str | None:
    """Say why a trip that is not begun may be cancelled; `None` if it may not."""
    if trip["cabin"] == "business":
        return "it is business"
    if datetime.fromisoformat(NOW) - datetime.fromisoformat(trip["created_at"]) <= timedelta(hours=24):
        return "it was booked within the last 24 hours"
    if trip["insurance"] == "yes" and any(mentions(said, COVERED) for said in customer):
        return "it is insured, and the reason is covered"
    return None


def search(scene: Scene) -> Say | Use | None:
    """Search direct flights, then those with a stop; and tell what there is."""
    asked = re.search(r"from\s+([a-z]{3})\s+to\s+([a-z]{3})\b.*?(\d{4}-\d\d-\d\d)", scene.said, re.IGNORECASE)
    if not asked:
        if not scene.hears(*BOOK):
            return None
        return Say("From where to where, and when? Say it like 'from JFK to SFO on 2024-05-20'.")
    where = {"origin": asked[1].upper(), "destination": asked[2].upper(), "date": asked[3]}
    direct, one_stop = scene.answer("search_direct_flight"), scene.answer("search_onestop_flight")
    if not direct:
        return Use("search_direct_flight", where)
    if direct.content == "[]" and not one_stop:
        return Use("search_onestop_flight", where)
    offers = [[flight] for flight in _list(direct)] or (_list(one_stop) if one_stop else [])
    if not offers:
        return Say("There is nothing on that day.")
    return Say("There is " + "; ".join(map(_offer, offers)) + ". Booking is more than this stand-in can do.")


def look_up(scene: Scene) -> Say | Use | None:
    """Tell what stands in the reservation that the customer named just now."""
    wanted = named([scene.said])
    if not wanted:
        return None
    found = scene.answer("get_reservation_details")
    if not found:
        return Use("get_reservation_details", {"reservation_id": wanted})
    return Say(_summary(record(found))) if record(found) else refused(found)


def small_talk(scene: Scene) -> Say | None:
    """Greet, and say goodbye."""
    if scene.hears(*THANKS):
        return Say("You are welcome. Have a good flight.")
    if scene.hears(*HELLO):
        return Say("Good day, the airline's desk; a scripted stand-in speaking, not an LLM. What can I do for you?")
    return None


def not_here(scene: Scene) -> Say | None:
    """Be honest about what the stand-in cannot do."""
    return Say(f"Changing a reservation is more than this stand-in can do. {OFFER}") if scene.hears(*CHANGE) else None


def _cancelled(trip: dict[str, Any]) -> Say:
    back = -sum(payment["amount"] for payment in trip["payment_history"] if payment["amount"] < 0)
    return Say(f"{trip['reservation_id']} is cancelled; {back} dollars go back to where they came from in five to seven business days.")


def _list(answer: Answer) -> list[Any]:
    try:
        value = json.loads(answer.content)
    except ValueError:
        return []
    return value if isinstance(value, list) else []


def _offer(legs: list[dict[str, Any]]) -> str:
    names = " and ".join(f"{leg['flight_number']} {leg['origin']}-{leg['destination']}" for leg in legs)
    return f"{names}, {sum(leg['prices']['economy'] for leg in legs)} dollars in economy"


def _summary(trip: dict[str, Any]) -> str:
    legs = ", ".join(f"{leg['flight_number']} {leg['origin']}-{leg['destination']} on {leg['date']}" for leg in trip["flights"])
    insured = "insured" if trip["insurance"] == "yes" else "not insured"
    state = ", cancelled" if trip.get("status") == "cancelled" else ""
    people = _many(len(trip["passengers"]), "passenger")
    return f"{trip['reservation_id']}: {legs}; {_plain(trip['cabin'])}, {people}, {insured}{state}."


def _plain(word: str) -> str:
    return word.replace("_", " ")


def _many(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


RULES = (
    handed_over,
    desk("cancellations", cancel),
    elsewhere,
    desk("baggage", free_bags),
    desk("booking", search),
    desk("changes", not_here),
    look_up,
    small_talk,
)

standin = StandIn("scripted:airline", RULES, otherwise=OTHERWISE)

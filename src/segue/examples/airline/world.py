"""An invented airline on 15 May 2024, 15:00: three dozen flights, two dozen users, thirty reservations.
Everything follows from the small tables below; no chance and no clock, so that it is the same world each time.
"""

from segue.examples.airline.booking import BAG, INSURANCE, NOW
from segue.examples.airline.database import Database, Record

TODAY = 15
DAYS = range(8, 31)
TIMES_FARE = {"basic_economy": 1.0, "economy": 1.7, "business": 4.0}

# number, from, to, leaves, arrives, basic economy fare
FLIGHTS = """
HAT101 JFK SFO 07:00:00 13:30:00 92
HAT102 SFO JFK 08:00:00 14:00:00 95
HAT103 JFK SFO 17:00:00 23:30:00 88
HAT104 SFO JFK 22:00:00 04:00:00+1 71
HAT105 JFK ORD 06:00:00 08:30:00 58
HAT106 ORD JFK 10:00:00 12:30:00 56
HAT107 ORD SFO 11:00:00 15:30:00 69
HAT108 SFO ORD 12:00:00 16:30:00 73
HAT109 JFK ATL 09:00:00 11:30:00 54
HAT110 ATL JFK 13:00:00 15:30:00 55
HAT111 ATL SEA 22:00:00 03:00:00+1 83
HAT112 SEA ATL 07:00:00 12:00:00 86
HAT113 ATL MIA 08:00:00 10:00:00 49
HAT114 MIA ATL 19:00:00 21:00:00 48
HAT115 BOS MCO 10:00:00 13:30:00 64
HAT116 MCO BOS 15:00:00 18:30:00 66
HAT117 BOS ORD 07:00:00 09:30:00 60
HAT118 ORD BOS 18:00:00 20:30:00 57
HAT119 ORD SEA 11:00:00 15:00:00 77
HAT120 SEA ORD 16:00:00 20:00:00 79
HAT121 LAX DFW 06:00:00 09:00:00 62
HAT122 DFW LAX 20:00:00 23:00:00 59
HAT123 DFW MIA 10:00:00 13:00:00 61
HAT124 MIA DFW 14:00:00 17:00:00 63
HAT125 LAX SEA 09:00:00 11:30:00 52
HAT126 SEA LAX 18:00:00 20:30:00 51
HAT127 DEN LAS 14:00:00 16:00:00 50
HAT128 LAS DEN 17:00:00 19:00:00 53
HAT129 DEN IAH 05:00:00 07:30:00 56
HAT130 IAH DEN 21:00:00 23:30:00 58
HAT131 PHX MSP 08:00:00 11:00:00 67
HAT132 MSP PHX 12:00:00 15:00:00 65
HAT133 PHL CLT 09:00:00 10:30:00 47
HAT134 CLT PHL 16:00:00 17:30:00 46
HAT135 EWR DTW 13:00:00 14:30:00 49
HAT136 DTW LGA 19:00:00 20:30:00 52
"""

CANCELLED = {("HAT106", 14), ("HAT116", 18), ("HAT131", 20)}
DELAYED = {"HAT118", "HAT126"}

# name, city, state, zip, born, membership, card, gift card (0: none), certificate (0: none)
USERS = """
Maya Lindqvist|Boston|MA|02114|1988-03-14|gold|visa 4471|320|150
Tomas Okafor|New York|NY|10025|1979-11-02|regular|mastercard 9034|75|0
Greta Salinas|San Francisco|CA|94110|1992-07-21|silver|visa 2216|0|250
Idris Novak|Seattle|WA|98103|1965-01-30|regular|visa 5580|410|0
Wanda Petrov|Chicago|IL|60614|1984-05-09|gold|mastercard 7712|0|0
Hugo Abara|Atlanta|GA|30307|1996-12-18|regular|visa 6649|60|100
Lena Fischer|Miami|FL|33131|1971-08-25|silver|mastercard 1108|180|0
Pablo Winter|Dallas|TX|75204|1990-02-11|regular|visa 3397|0|0
Nina Castellan|Los Angeles|CA|90026|1983-10-06|gold|visa 8125|500|300
Omid Tanaka|Denver|CO|80203|1975-06-17|regular|mastercard 2943|95|0
Rosa Halvorsen|Phoenix|AZ|85006|1999-04-03|regular|visa 7050|0|0
Emil Duarte|Philadelphia|PA|19103|1968-09-29|silver|visa 4882|240|0
Zoe Marchetti|Orlando|FL|32803|1994-01-12|regular|mastercard 6617|0|100
Anton Mbeki|Las Vegas|NV|89104|1987-07-08|regular|visa 1359|135|0
Clara Yildiz|Houston|TX|77006|1981-03-27|gold|visa 9926|0|200
Bruno Sato|Minneapolis|MN|55408|1973-12-05|regular|mastercard 3084|70|0
Freya Moretti|Charlotte|NC|28203|1991-11-19|silver|visa 5501|0|0
Kasper Ahmadi|Newark|NJ|07102|1986-08-01|regular|visa 8743|155|0
Ines Barrow|Detroit|MI|48226|1978-02-23|regular|mastercard 4190|0|0
Levi Strand|Boston|MA|02130|1995-05-31|silver|visa 2675|90|0
Amara Kowalski|New York|NY|11215|1982-09-15|regular|visa 6038|0|50
Viktor Reyes|San Francisco|CA|94117|1969-06-04|gold|mastercard 7421|260|0
Selma Hoang|Seattle|WA|98122|1997-10-28|regular|visa 1864|0|0
Jonas Beck|Chicago|IL|60657|1989-12-22|regular|visa 9317|110|0
"""

# id, user's number, cabin, type, flights (number/day), companions, booked on, bags, paid bags, insured
RESERVATIONS = """
MAYA01 1 business round_trip HAT115/20,HAT116/24 0 2024-05-02T09:12:44 2 0 no
MAYA02 1 economy one_way HAT117/26 1 2024-05-11T18:40:10 3 0 yes
TOM4K7 2 basic_economy one_way HAT101/22 0 2024-05-06T07:31:55 0 0 no
TOM9Q2 2 economy round_trip HAT105/19,HAT106/23 0 2024-05-15T08:05:21 1 0 no
GRT5S8 3 economy round_trip HAT102/21,HAT103/28 1 2024-05-09T13:22:07 2 0 yes
GRT1B3 3 basic_economy one_way HAT108/25 0 2024-05-14T20:48:33 1 0 no
IDR7N4 4 economy one_way HAT112/18 0 2024-05-03T11:17:59 1 0 no
IDR2V6 4 business one_way HAT120/27 1 2024-05-12T16:09:42 4 0 no
WAN8P1 5 business round_trip HAT118/17,HAT117/21 0 2024-05-01T05:54:16 3 0 yes
WAN3T5 5 economy one_way HAT106/14 0 2024-05-04T10:26:38 1 0 no
HUG6A9 6 basic_economy round_trip HAT113/23,HAT114/26 0 2024-05-13T22:13:02 1 1 no
LEN4F2 7 economy one_way HAT124/16 2 2024-05-08T15:35:49 4 0 yes
LEN0D7 7 basic_economy one_way HAT114/29 0 2024-05-10T06:50:27 0 0 no
PAB5W8 8 economy round_trip HAT123/20,HAT124/22 0 2024-05-05T19:04:13 1 0 no
NIN9C3 9 business round_trip HAT125/18,HAT126/19 2 2024-05-02T21:41:36 6 0 no
NIN1L6 9 economy one_way HAT121/30 0 2024-05-15T12:20:05 2 0 no
OMI7T0 10 basic_economy one_way HAT127/17 0 2024-05-07T08:58:51 0 0 yes
ROS2H4 11 economy round_trip HAT131/20,HAT132/25 0 2024-05-06T14:33:18 1 0 no
EMI8D5 12 economy one_way HAT133/24 1 2024-05-11T17:07:44 2 0 no
ZOE3M1 13 basic_economy one_way HAT116/18 0 2024-05-09T09:45:30 0 0 no
ANT6B7 14 economy one_way HAT128/21 0 2024-05-12T12:12:12 1 0 yes
CLA9Y2 15 business one_way HAT130/19 0 2024-05-04T23:28:57 1 0 no
BRU0S8 16 economy round_trip HAT132/18,HAT131/27 0 2024-05-13T10:01:23 1 0 no
FRE4M6 17 basic_economy one_way HAT134/22 3 2024-05-08T18:16:40 0 0 no
KAS7A3 18 economy one_way HAT135/28 0 2024-05-14T21:39:15 1 0 no
INE1B5 19 economy one_way HAT136/16 0 2024-05-03T07:22:08 0 0 yes
LEV5S9 20 economy round_trip HAT115/10,HAT116/22 0 2024-05-01T13:55:34 2 0 no
AMA8K4 21 basic_economy round_trip HAT109/18,HAT110/21 1 2024-05-10T20:30:46 0 0 no
VIK2R0 22 business one_way HAT107/25 0 2024-05-12T11:14:29 2 0 no
SEL6H7 23 economy one_way HAT111/20 0 2024-05-09T16:47:53 1 0 no
"""


def small_world() -> Database:
    """Make the invented airline's tables, fresh."""
    flights = {row.split()[0]: _flight(*row.split()) for row in FLIGHTS.split("\n") if row}
    people = [_user(place, *row.split("|")) for place, row in enumerate(USERS.strip().split("\n"), 1)]
    database = Database(flights, {}, {_user_id(user): user for user in people})
    for row in RESERVATIONS.strip().split("\n"):
        _add_reservation(database, people, row.split())
    return database


def _flight(number: str, origin: str, destination: str, leaves: str, arrives: str, fare: str) -> Record:
    return {
        "flight_number": number,
        "origin": origin,
        "destination": destination,
        "scheduled_departure_time_est": leaves,
        "scheduled_arrival_time_est": arrives,
        "dates": {f"2024-05-{day:02}": _day(number, day, leaves, arrives, int(fare)) for day in DAYS},
    }


def _day(number: str, day: int, leaves: str, arrives: str, fare: int) -> Record:
    if (number, day) in CANCELLED:
        return {"status": "cancelled"}
    if day > TODAY:
        return _on_sale(int(number[3:]), day, fare)
    departure, arrival = f"2024-05-{day:02}T{leaves}", _moment(day, arrives)
    if day < TODAY or arrival <= NOW:
        return {"status": "landed", "actual_departure_time_est": departure, "actual_arrival_time_est": arrival}
    if departure <= NOW:
        return {"status": "flying", "actual_departure_time_est": departure, "estimated_arrival_time_est": arrival}
    status = "delayed" if number in DELAYED else "on time"
    return {"status": status, "estimated_departure_time_est": departure, "estimated_arrival_time_est": arrival}


def _on_sale(number: int, day: int, fare: int) -> Record:
    fare += (number * 5 + day * 13) % 40
    return {
        "status": "available",
        "available_seats": {
            "basic_economy": (number * 7 + day * 3) % 15,
            "economy": (number * 5 + day * 11) % 17,
            "business": (number * 3 + day * 5) % 11,
        },
        "prices": {cabin: round(fare * times) for cabin, times in TIMES_FARE.items()},
    }


def _moment(day: int, clock: str) -> str:
    time, _, later = clock.partition("+")
    return f"2024-05-{day + int(later or 0):02}T{time}"


def _user(
    place: int, name: str, city: str, state: str, code: str, born: str, membership: str, card: str, gift: str, certificate: str
) -> Record:
    first, last = name.split()
    brand, last_four = card.split()
    serial = 4100000 + place * 1357
    methods: list[Record] = [{"source": "credit_card", "brand": brand, "last_four": last_four, "id": f"credit_card_{serial}"}]
    if int(gift):
        methods.append({"source": "gift_card", "amount": int(gift), "id": f"gift_card_{serial + 1}"})
    if int(certificate):
        methods.append({"source": "certificate", "amount": int(certificate), "id": f"certificate_{serial + 2}"})
    return {
        "name": {"first_name": first, "last_name": last},
        "address": {
            "address1": f"{place * 37} Harbour Street",
            "address2": f"Flat {place}",
            "city": city,
            "country": "USA",
            "province": state,
            "zip": code,
        },
        "email": f"{first}.{last}@example.com".lower(),
        "dob": born,
        "payment_methods": {method["id"]: method for method in methods},
        "saved_passengers": [],
        "membership": membership,
        "reservations": [],
    }


def _user_id(user: Record) -> str:
    first, last = user["name"].values()
    return f"{first}_{last}_{1000 + len(first) * 137 + len(last) * 11}".lower()


def _add_reservation(database: Database, people: list[Record], row: list[str]) -> None:
    reservation_id, place, cabin, flight_type, trip, companions, created, bags, paid_bags, insured = row
    owner = int(place) - 1
    party = [people[(owner + step) % len(people)] for step in range(int(companions) + 1)]
    segments = [_segment(database.flights[number], int(day), cabin) for number, day in (leg.split("/") for leg in trip.split(","))]
    price = len(party) * (sum(segment["price"] for segment in segments) + (INSURANCE if insured == "yes" else 0))
    user = people[owner]
    card = next(iter(user["payment_methods"]))
    user["reservations"].append(reservation_id)
    database.reservations[reservation_id] = {
        "reservation_id": reservation_id,
        "user_id": _user_id(user),
        "origin": segments[0]["origin"],
        "destination": segments[0]["destination"] if flight_type == "round_trip" else segments[-1]["destination"],
        "flight_type": flight_type,
        "cabin": cabin,
        "flights": segments,
        "passengers": [{**person["name"], "dob": person["dob"]} for person in party],
        "payment_history": [{"payment_id": card, "amount": price + BAG * int(paid_bags)}],
        "created_at": created,
        "total_baggages": int(bags),
        "nonfree_baggages": int(paid_bags),
        "insurance": insured,
    }


def _segment(flight: Record, day: int, cabin: str) -> Record:
    fare = _on_sale(int(flight["flight_number"][3:]), day, 50)["prices"][cabin]
    return {
        "origin": flight["origin"],
        "destination": flight["destination"],
        "flight_number": flight["flight_number"],
        "date": f"2024-05-{day:02}",
        "price": fare,
    }

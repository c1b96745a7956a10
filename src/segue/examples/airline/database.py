"""What the airline knows: flights, reservations and users, by id.
A record is never changed in place: the tools put a new one in its stead, so a copy costs three small dictionaries.
"""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Record = dict[str, Any]


@dataclass(slots=True)
class Database:
    """The airline's tables.

    `as_recorded` keeps two oddities of the service in the recorded conversations, on which what was said there rests: a
    change of cabin changes the fares but not the cabin on file, and a connection on the next day shows the first day's offer.
    """

    flights: dict[str, Record]
    reservations: dict[str, Record]
    users: dict[str, Record]
    as_recorded: bool = False

    @classmethod
    def load(cls, folder: Path) -> "Database":
        """Read recorded tables: `flights.json.gz`, `reservations.json.gz` and `users.json.gz`."""
        flights, reservations, users = (_table(folder / f"{name}.json.gz") for name in ("flights", "reservations", "users"))
        return cls(flights, reservations, users, as_recorded=True)

    def copy(self) -> "Database":
        """Make a copy that shares the records, which nobody changes, and nothing else."""
        return Database(dict(self.flights), dict(self.reservations), dict(self.users), self.as_recorded)


def _table(path: Path) -> dict[str, Record]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        table: dict[str, Record] = json.load(file)
    return table

"""What the crash test of the airline needs: the team over tables that outlive the process, and what has been done in them."""

import json
import os
from pathlib import Path
from typing import Any

from segue import Agent, Runner
from segue.examples.airline.database import Database, Record
from segue.examples.airline.team import build
from segue.examples.airline.world import small_world


class Kept(dict[str, Record]):
    """A table that is written to its file whenever a record is put into it."""

    def __init__(self, name: str, records: dict[str, Record]) -> None:
        self._file = Path(f"{name}.json")
        super().__init__(json.loads(self._file.read_text("utf-8")) if self._file.exists() else records)

    def __setitem__(self, name: str, record: Record) -> None:
        super().__setitem__(name, record)
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(self), "utf-8")
        os.replace(new, self._file)


def kept_world() -> Database:
    """Make the airline's database over files in this folder."""
    world = small_world()
    return Database(Kept("flights", world.flights), Kept("reservations", world.reservations), Kept("users", world.users))


def runner(triage: Agent, **options: Any) -> Runner:
    """Run the team over tables in files, in place of those in memory."""
    return Runner(build(kept_world()), **options)


def effects() -> list[Any]:
    """List the reservations that are cancelled, with their payments and refunds."""
    trips = kept_world().reservations.values()
    return [[trip["reservation_id"], trip["payment_history"]] for trip in trips if trip.get("status") == "cancelled"]

"""The recorded conversations' tool calls, made again on the recorded database: each result must be the recorded one."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from segue.examples.airline import Airline, Database, build
from segue.team import Team
from segue.tools.tool import Tool
from tests.data import DATA, needs_data

FOLDER = DATA / "tau_airline"

pytestmark = needs_data


def recorded_calls(messages: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any], str]]:
    waiting: dict[str, Any] = {}
    for message in messages:
        for call in message.get("tool_calls") or ():
            waiting[call["id"]] = call["function"]
        if message["role"] == "tool":
            function = waiting.pop(message["tool_call_id"])
            yield function["name"], json.loads(function["arguments"]), message["content"]


@pytest.fixture(scope="module")
def conversations() -> list[list[tuple[str, dict[str, Any], str]]]:
    with gzip.open(FOLDER / "conversations_gpt4o.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [list(recorded_calls(json.loads(line)["messages"])) for line in lines]


def replay(conversations: list[list[tuple[str, dict[str, Any], str]]], database: Database) -> tuple[int, Counter[str], list[str]]:
    """Count equal results; count and show the others by tool and by kind of the recorded result."""
    equal, kinds, first = 0, Counter[str](), []
    for calls in conversations:
        airline = Airline(database.copy())
        for name, arguments, recorded in calls:
            result = getattr(airline, name)(**arguments)
            if result == recorded:
                equal += 1
                continue
            kind = f"{name} ({'error' if recorded.startswith('Error') else 'result'})"
            if not kinds[kind]:
                first.append(f"{kind} {arguments}\n  recorded {recorded}\n  given    {result}")
            kinds[kind] += 1
    return equal, kinds, first


def test_every_recorded_call_gives_the_recorded_result_character_by_character(conversations):
    equal, kinds, first = replay(conversations, Database.load(FOLDER / "db"))
    print(f"{equal} of 1001 equal; others by kind: {dict(kinds)}")
    assert (equal, sum(kinds.values())) == (1001, 0), "\n".join(first)


def test_without_the_recorded_oddities_only_changes_of_cabin_and_next_day_connections_differ(conversations):
    database = Database.load(FOLDER / "db")
    database.as_recorded = False
    equal, kinds, _ = replay(conversations, database)
    assert 0 < 1001 - equal < 100
    assert set(kinds) <= {
        "update_reservation_flights (result)",
        "update_reservation_flights (error)",
        "update_reservation_baggages (result)",
        "update_reservation_passengers (result)",
        "get_reservation_details (result)",
        "cancel_reservation (result)",
        "search_onestop_flight (result)",
    }


def test_a_replay_leaves_the_loaded_database_as_it_was(conversations):
    database = Database.load(FOLDER / "db")
    before = json.dumps([database.flights, database.reservations, database.users])
    replay(conversations, database)
    assert json.dumps([database.flights, database.reservations, database.users]) == before


def test_the_same_calls_fit_the_tools_that_the_team_offers_and_give_the_recorded_results(conversations):
    loaded, differing = Database.load(FOLDER / "db"), Counter[str]()
    for calls in conversations:
        tools = {tool.name: tool for member in Team(build(loaded.copy())) for tool in member.table.values() if isinstance(tool, Tool)}
        for name, arguments, recorded in calls:
            args, kwargs = tools[name].parameters.bind(arguments)
            differing[name] += tools[name](*args, **kwargs) != recorded
    print(f"through the offered tools, differing by tool: {dict(+differing)}")
    assert sum(differing.values()) <= 2

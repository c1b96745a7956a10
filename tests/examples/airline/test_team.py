import json
from typing import Any

import pytest

from segue.examples.airline import build, small_world, triage
from segue.team import Team
from tests.data import DATA, needs_data


@pytest.fixture(scope="module")
def team() -> Team:
    return Team(build(small_world()))


def offered(team: Team) -> dict[str, Any]:
    return {spec.name: spec for member in team for spec in member.specs()}


def plain(schema: Any, defs: dict[str, Any]) -> Any:
    """A schema without references, words and what strictness adds."""
    if isinstance(schema, list):
        return [plain(part, defs) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        schema = {**defs[schema["$ref"].rpartition("/")[2]], **{key: value for key, value in schema.items() if key != "$ref"}}
    dropped = {"$defs", "description", "additionalProperties", "title"}
    if isinstance(schema.get("properties"), dict):
        properties = {name: plain(part, defs) for name, part in schema["properties"].items()}
        rest = {key: plain(value, defs) for key, value in schema.items() if key not in dropped | {"properties"}}
        return {**rest, "properties": properties}
    return {key: plain(value, defs) for key, value in schema.items() if key not in dropped}


def undescribed(schema: dict[str, Any], defs: dict[str, Any], path: str = "") -> set[str]:
    """The paths of parameters that carry no description."""
    if "$ref" in schema:
        schema = {**defs[schema["$ref"].rpartition("/")[2]], **schema}
    found = set()
    for name, part in schema.get("properties", {}).items():
        if not part.get("description"):
            found.add(f"{path}{name}")
        found |= undescribed(part.get("items", {}), defs, f"{path}{name}.")
    return found


@needs_data
def test_the_tools_have_the_recorded_names_and_parameters_and_nothing_is_left_undescribed(team):
    tools = offered(team)
    for recorded in json.loads((DATA / "tau_airline" / "tools.json").read_text()):
        function = recorded["function"]
        spec = tools[function["name"]]
        defs = spec.parameters.get("$defs", {})
        assert plain(dict(spec.parameters), defs) == plain(function["parameters"], {}), function["name"]
        assert spec.description
        assert undescribed(dict(spec.parameters), defs) <= undescribed(function["parameters"], {})


def test_there_are_five_agents_and_each_can_be_reached_from_each(team):
    edges = {member.agent.name: set(member.edges) for member in team}
    assert set(edges) == {"triage", "booking", "changes", "cancellations", "baggage"}
    for start in edges:
        reached, waiting = {start}, [start]
        while waiting:
            for target in edges[waiting.pop()] - reached:
                reached.add(target)
                waiting.append(target)
        assert reached == set(edges)


def test_only_the_desk_whose_business_it_is_can_change_something(team):
    writes = {"book_reservation": {"booking"}, "cancel_reservation": {"cancellations"}, "update_reservation_baggages": {"baggage"}}
    writes |= {"update_reservation_flights": {"changes"}, "update_reservation_passengers": {"changes"}}
    writes |= {"send_certificate": {"changes", "cancellations"}}
    for tool, desks in writes.items():
        assert {member.agent.name for member in team if tool in member.table} == desks


def test_what_only_reads_is_marked_so_and_what_writes_is_not(team):
    reads = {name for member in team for name, tool in member.table.items() if getattr(tool, "effect", None) == "read"}
    assert reads == {
        *("get_user_details", "get_reservation_details", "list_all_airports", "calculate", "think"),
        *("search_direct_flight", "search_onestop_flight"),
    }


def test_each_routine_states_the_numbers_of_the_policy(team):
    said = {member.agent.name: member.agent.instructions for member in team}
    for name, numbers in {
        "booking": [
            "at most five",
            "50 dollars",
            "30 dollars",
            "three gift",
            "| silver | 1 | 2 | 3 |",
            "| gold | 2 | 3 | 3 |",
            "| regular | 0 | 1 | 2 |",
        ],
        "changes": ["never in basic economy", "50 dollars"],
        "cancellations": ["24 hours", "five to seven", "100 dollars", "50\n  dollars"],
        "baggage": ["50 dollars", "| gold | 2 | 3 | 3 |", "never taken off"],
    }.items():
        assert [number for number in numbers if number not in said[name]] == [], name


def test_the_team_of_the_module_works_over_the_invented_airline():
    tools = Team(triage).member("triage").table
    assert json.loads(tools["get_reservation_details"]("MAYA01"))["cabin"] == "business"

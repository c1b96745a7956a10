"""The airline example's own tools, on the recorded database and through `Runner`, under the recorded model's replies.
Their results must be the recorded ones, but for a few that are shown by kind: the same values in another order."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from segue import Agent, Limits, Runner
from segue.examples.airline import Airline, Database, build
from segue.models.scripted import ScriptedModel
from segue.wire.chat_messages import as_chat
from tests.data import needs_data
from tests.replays.recorded import AIRLINE, CLOSING, Part, Recording, airline, call_of, directed, reply_of, tool_names

pytestmark = needs_data

LIMITS = Limits(turns=40)


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    return airline()


@pytest.fixture(scope="module")
def loaded() -> Database:
    return Database.load(AIRLINE / "db")


def one_agent(database: Database) -> Agent:
    desk = Airline(database)
    return Agent("Airline", tools=[getattr(desk, name) for name in tool_names()])


def cast_of(runner: Runner) -> Mapping[str, Part]:
    """Who has which tools, and what leads where, as the runner's team has it."""
    return {
        name: Part("", list(member.table), {target: _transfer(member.specs(), target) for target in member.edges})
        for name, member in runner.team.members.items()
    }


def _transfer(specs: Any, target: str) -> str:
    (name,) = [spec.name for spec in specs if spec.name == f"transfer_to_{target}"]
    return str(name)


def fresh(database: Database, loaded: Database) -> None:
    """Give the database of the tools its first state again: records are never changed in place."""
    database.flights, database.reservations, database.users = dict(loaded.flights), dict(loaded.reservations), dict(loaded.users)


async def results(runner: Runner, recording: Recording) -> Iterator[tuple[str, str, str]]:
    """Play a conversation; of each recorded call, the tool's name, the recorded result, and what the tool gave now."""
    script = directed(recording.messages, cast_of(runner), runner.team.entry.name)
    model = ScriptedModel([*(reply_of(message) for message in script.messages if message["role"] == "assistant"), CLOSING])
    for message in recording.messages:
        if message["role"] == "user":
            await runner.run(message["content"], conversation=recording.id, model=model)
    heard = [as_chat(message) for message in model.requests[-1].messages[1:]]
    assert [message["role"] for message in heard] == [message["role"] for message in script.messages]
    calls = [call_of(message) for message in script.messages]
    return (
        (call["function"]["name"], script.messages[place + 1]["content"], heard[place + 1]["content"])
        for place, call in enumerate(calls)
        if call is not None and place not in script.inserted
    )


@pytest.mark.parametrize("entry", [one_agent, build])
async def test_the_tools_give_the_recorded_results_through_the_runner(recordings: list[Recording], loaded: Database, entry: Any) -> None:
    database = loaded.copy()
    runner = Runner(entry(database), limits=LIMITS)
    equal, others, kinds = 0, list[str](), Counter[str]()
    for recording in recordings:
        fresh(database, loaded)
        for name, recorded, given in await results(runner, recording):
            if given == recorded:
                equal += 1
                continue
            kinds[f"{name} ({'error' if recorded.startswith('Error') else 'result'})"] += 1
            others.append(f"{recording.id}: {name}\n  recorded {recorded}\n  given    {given}")
            assert json.loads(given) == json.loads(recorded), others[-1]
    print(f"{equal} of {equal + len(others)} equal; others by kind: {dict(kinds)}", *others, sep="\n")
    assert equal + len(others) == 1001
    assert equal >= 950

"""What Segue promises over a crash (R25 to R27): killed at every append and inside of every tool, each scenario comes out right.

The witness that says so stands outside of the processes that are killed. Everything, on both stores, is among the slow tests."""

import pytest

from tests.crashtest.playing import SCENARIOS, faults, reported, scenario

EVERY = sorted(path.stem for path in SCENARIOS.glob("*.toml"))
LEAST = {"approval": 40, "handoff": 22, "inner": 38, "parallel": 24, "plain": 37, "queued": 20, "stack": 28, "streaming": 16}
"""How many points a scenario has; more, where calls that run side by side have come one by one."""


def test_there_are_more_than_a_hundred_points():
    assert list(LEAST) == EVERY
    assert sum(LEAST.values()) > 200


def all_right(name, *words, least):
    report = reported(*scenario(name), *words)
    assert faults(report) == []
    assert report["missed"] == (0 if "--twice" not in words else report["missed"])  # how far calls were that ran side by side is chance
    assert report["right"] + report["missed"] == report["trials"]
    assert report["right"] >= least
    return report["effects"]


def held(effects):
    """What was died in: `once` was never made again, and of each it is said that nobody knows; of nothing else is it said."""
    assert effects.get("once", {"again": 0})["again"] == 0
    for effect in ("read", "transaction"):
        assert effects.get(effect, {"unknown": 0})["unknown"] == 0


def test_calls_of_all_effects_side_by_side_are_made_once_or_unknown_wherever_the_process_dies():
    effects = all_right("parallel", least=LEAST["parallel"])
    held(effects)
    assert set(effects) == {"read", "once", "keyed", "transaction"}
    assert all(counted["died"] > 0 for counted in effects.values())
    assert all(effects[effect]["again"] > 0 for effect in ("read", "keyed", "transaction"))
    assert effects["once"]["unknown"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_every_scenario_comes_out_right_wherever_it_is_killed(name):
    held(all_right(name, least=LEAST[name]))


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_every_scenario_comes_out_right_on_postgresql(name, database):
    held(all_right(name, "--journal", database, least=LEAST[name]))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["parallel", "streaming"])
def test_a_scenario_comes_out_right_when_the_process_that_goes_on_is_killed_as_well(name):
    held(all_right(name, "--twice", least=5 * LEAST[name]))


@pytest.mark.slow
@pytest.mark.parametrize("example", ["acme", "airline"])
def test_the_examples_come_out_right(example):
    report = reported(target=f"segue.examples.{example}:triage")
    assert (report["right"], faults(report)) == (report["trials"], [])
    assert report["trials"] >= 50
    assert report["world"]

"""Processes that get in each other's way at every point: a few dozen stories by seed, thousands in the long run.
And that the stories reach what they are for, repeat themselves, and are shrunk."""

import asyncio

import pytest

from segue.core.events import InputGiven, ToolReturned, ToolUnknown
from tests.interleaved.__main__ import failing, words
from tests.interleaved.schedule import Hang, Schedule, shrunk
from tests.interleaved.story import SCENARIOS, Story, scenario
from tests.scale import scaled

FAST = 60


def test_processes_that_get_in_each_others_way_do_nothing_twice_and_leave_nothing():
    assert [words(seed) for seed in failing(0, FAST)] == []


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_thousands_of_stories_of_other_seeds_do_so_too(part):
    assert [words(seed) for seed in failing(1_000_000 * (1 + part), scaled(4_000))[:3]] == []


def test_seeds_in_a_row_are_of_all_scenarios():
    told = {(one.agent, one.engine, tuple(act.kind for act in one.acts)) for one in map(scenario, range(len(SCENARIOS)))}
    assert len(told) == len(SCENARIOS)
    assert told == {
        (one.agent, one.engine, tuple(act.kind for act in one.acts)) for one in map(scenario, range(7000, 7000 + len(SCENARIOS)))
    }


def test_the_stories_reach_what_they_are_for():
    stories = [Story(seed).play() for seed in range(1000, 1000 + FAST)]
    events = [event for story in stories for name in story.world.names() for event in story.world.events(name)]
    assert {type(event) for event in events} >= {ToolReturned, ToolUnknown, InputGiven}
    assert {effect.conversation for story in stories for effect in story.world.effects} == {"c", "c/1.0"}
    assert any(story.schedule.dead for story in stories)
    assert sum(len(story.schedule.switches) for story in stories) > FAST


def test_a_story_is_repeated_by_its_seed_and_by_its_switches():
    first, again = Story(3).play(), Story(3).play()
    given = Story(3, first.schedule.switches).play()
    assert first.schedule.told == again.schedule.told == given.schedule.told


def test_a_failure_is_told_with_its_steps_and_the_command_that_repeats_it(monkeypatch):
    monkeypatch.setattr("tests.interleaved.world.check", lambda messages: "that is no history")
    told = words(3)
    assert told.startswith("seed 3: request: Outer is asked with messages that do not fit together: that is no history")
    assert "P1: append c 1 Started, InputGiven, DriveStarted" in told
    assert told.endswith('again: python -m tests.interleaved --n 1 --seed 3 --switches ""')


def test_the_switches_are_shrunk_to_those_that_a_failure_needs():
    assert shrunk(dict.fromkeys(range(50), 1), lambda switches: {7, 31} <= switches.keys()) == {7: 1, 31: 1}


def test_a_story_in_which_nobody_goes_on_hangs():
    async def story() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Hang, match="nobody goes on"):
        Schedule(0).play(story())


def test_a_clock_goes_on_when_nobody_else_can():
    async def story() -> None:
        await asyncio.sleep(3600)

    schedule = Schedule(0)
    schedule.play(story())
    assert schedule.now == pytest.approx(4600)

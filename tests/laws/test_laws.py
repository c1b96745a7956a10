"""The laws of the core over random journals: ten thousand by seed, and hypothesis over the same generator, for shrinking."""

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segue.core.conversation import Status
from segue.core.events import DriveStarted, Started
from segue.core.fold import ACCEPTS
from tests.laws import laws
from tests.laws.__main__ import tried
from tests.laws.crashes import violation
from tests.laws.generator import Journal, walk
from tests.scale import scaled

CHANCE = st.randoms(use_true_random=False)


def test_ten_thousand_seeded_journals_break_no_law():
    count = scaled(10_000)
    journals, events, stories, found = tried(0, count)
    assert journals == count
    assert events > 10 * count
    assert stories >= count // 5
    assert found == []


@pytest.mark.slow
def test_two_hundred_thousand_journals_of_other_seeds_break_no_law():
    count = scaled(200_000)
    journals, _, _, found = tried(10_000_000, count)
    assert journals == count
    assert found == []


@pytest.mark.parametrize("name", laws.LAWS)
def test_hypothesis_finds_no_journal_that_breaks(name):
    @settings(max_examples=scaled(200), deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(CHANCE)
    def holds(chance):
        journal = walk(chance, most=16)
        assert laws.LAWS[name](journal, range(len(journal.states))) is None, journal.events

    holds()


@settings(max_examples=scaled(200), deadline=None, database=None)
@given(st.integers(0, 2**32), st.integers(0, 1000))
def test_a_story_that_is_killed_anywhere_and_resumed_ends_the_same(seed, kills):
    assert violation(seed, kills) is None


def test_random_journals_reach_every_status_and_every_event_of_the_table():
    seen = {(state.status, type(event)) for seed in range(scaled(2_000)) for state, event in _steps(walk(Random(seed)))}
    assert {status for status, _ in seen} == set(Status)
    assert {(status, kind) for status, kinds in ACCEPTS.items() for kind in kinds} - seen == set()


def test_the_same_seed_gives_the_same_journal():
    assert walk(Random(7)).events == walk(Random(7)).events


def test_a_violation_is_shrunk_to_the_events_that_it_needs(monkeypatch):
    def no_drives(journal, places):
        return "driven" if any(isinstance(event, DriveStarted) for event in journal.events) else None

    monkeypatch.setitem(laws.LAWS, "no drives", no_drives)
    events = next(events for seed in range(100) if no_drives(Journal.of(events := walk(Random(seed)).events), ()) and len(events) > 10)
    assert [type(event) for event in laws.shrunk(events, "no drives")] == [Started, DriveStarted]


def _steps(journal: Journal):
    return zip(journal.states, journal.events, strict=False)

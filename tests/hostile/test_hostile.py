"""What a model, a server and a tool may do to a run, case by case, over real HTTP."""

import asyncio

import pytest

from tests.hostile import arguments, calls, effects, handoffs, outputs, replies, responses, streams, tools, transport
from tests.hostile.stage import Variant, play, variants

TABLES = {
    module.__name__.rpartition(".")[2]: module.CASES
    for module in (arguments, calls, effects, handoffs, outputs, replies, responses, streams, tools, transport)
}
EVERY = [variant for cases in TABLES.values() for variant in variants(cases)]


@pytest.mark.parametrize("variant", EVERY, ids=str)
async def test_hostile_input_ends_as_it_should_and_spoils_nothing(variant: Variant):
    async with asyncio.timeout(20):  # nothing hangs
        await play(variant.case, variant.form, once=variant.once)


def test_there_are_hundreds_of_cases():
    names = {name: len({case.name for case in cases}) for name, cases in TABLES.items()}
    assert sum(names.values()) >= 500, names


def test_no_two_cases_of_one_table_have_the_same_name():
    for name, cases in TABLES.items():
        plain = [(case.name, form) for case in cases for form in case.all_forms()]
        assert len(plain) == len(set(plain)), name


def test_every_case_can_be_played_in_some_form():
    assert [case.name for cases in TABLES.values() for case in cases if not case.all_forms()] == []

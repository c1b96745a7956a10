"""What a model, a server and a tool may do to a run, case by case, over real HTTP."""

import asyncio

import pytest

from tests.hostile import arguments, calls, handoffs, replies, responses, streams, tools, transport
from tests.hostile.stage import Variant, play, variants

TABLES = {module.__name__.rpartition(".")[2]: module.CASES for module in (arguments, calls, handoffs, replies, responses, streams, tools, transport)}
EVERY = [variant for cases in TABLES.values() for variant in variants(cases)]


@pytest.mark.parametrize("variant", EVERY, ids=str)
async def test_hostile_input_ends_as_it_should_and_spoils_nothing(variant: Variant):
    async with asyncio.timeout(20):  # nothing hangs
        await play(variant.case, variant.form, once=variant.once)

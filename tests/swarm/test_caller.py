import asyncio
import threading
from functools import partial

import pytest

from segue.swarm.caller import Caller


def test_what_is_yielded_comes_in_order_and_calls_are_made_between():
    caller, made = Caller(), []

    async def items():
        yield 1
        await caller.call(lambda: made.append(threading.current_thread()))
        yield 2

    assert list(caller.iterate(items)) == [1, 2]
    assert made == [threading.current_thread()]


def test_what_a_call_returns_or_raises_comes_to_the_run():
    caller = Caller()

    async def items():
        yield await caller.call(lambda: "value")
        try:
            await caller.call(partial(int, "no number"))
        except ValueError as error:
            yield type(error)

    assert list(caller.iterate(items)) == ["value", ValueError]


@pytest.mark.parametrize("error", [SystemExit, StopIteration])
def test_what_would_end_a_coroutine_or_a_loop_comes_as_an_error_that_does_not(error):
    caller = Caller()

    def leave():
        raise error

    async def items():
        try:
            await caller.call(leave)
        except RuntimeError as caught:
            yield str(caught)

    [words] = caller.iterate(items)
    assert error.__name__ in words


def test_what_the_run_raises_is_raised_to_the_caller():
    async def items():
        yield 1
        raise LookupError("gone")

    found = Caller().iterate(items)
    assert next(found) == 1
    with pytest.raises(LookupError, match="gone"):
        next(found)


def test_leaving_early_cancels_the_run_and_makes_none_of_its_calls():
    caller, ended, made = Caller(), threading.Event(), []

    async def items():
        try:
            yield 1
            await caller.call(lambda: made.append(1))
        finally:
            ended.set()

    found = caller.iterate(items)
    next(found)
    found.close()
    assert ended.wait(10)
    assert made == []


def test_a_call_that_the_run_has_given_up_is_not_made():
    caller, made = Caller(), []

    async def items():
        hold = threading.Event()
        held = asyncio.ensure_future(caller.call(hold.wait))  # keeps the caller busy
        given_up = asyncio.ensure_future(caller.call(lambda: made.append("given up")))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.sleep(0)
        hold.set()
        await held
        yield await caller.call(lambda: made.append("wanted"))

    assert list(caller.iterate(items)) == [None]
    assert made == ["wanted"]

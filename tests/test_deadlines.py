"""Limits of time: many with one timer, in order, each called once or taken back."""

import asyncio

import pytest

from segue.deadlines import after


class Timers:
    """Counts the timers that an event loop is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        made = loop.call_at
        self.set = 0

        def call_at(*args, **options):
            self.set += 1
            return made(*args, **options)

        monkeypatch.setattr(loop, "call_at", call_at)


async def test_what_is_not_taken_back_is_called_in_order():
    came = []
    for name in "abc":
        after(0.01, lambda name=name: came.append(name))
    await asyncio.sleep(0.05)
    assert came == ["a", "b", "c"]


async def test_what_is_taken_back_is_never_called_and_may_be_taken_back_again():
    came = []
    first, second, third = [after(0.01, lambda name=name: came.append(name)) for name in "abc"]
    first.cancel()
    third.cancel()
    third.cancel()
    await asyncio.sleep(0.05)
    second.cancel()
    assert came == ["b"]


async def test_one_that_is_taken_back_by_another_that_comes_at_the_same_moment_does_not_come():
    came = []
    first = after(0.01, lambda: second.cancel())
    second = after(0.01, lambda: came.append("second"))
    await asyncio.sleep(0.05)
    assert came == []
    first.cancel()


async def test_different_times_come_by_time_and_not_by_turn():
    came = []
    after(0.05, lambda: came.append("late"))
    after(0.01, lambda: came.append("early"))
    await asyncio.sleep(0.1)
    assert came == ["early", "late"]


async def test_a_thousand_that_are_taken_back_one_after_the_other_need_one_timer(monkeypatch):
    timers = Timers(monkeypatch)
    for _ in range(1000):
        after(60, lambda: None).cancel()
    assert timers.set == 1


async def test_one_that_raises_keeps_no_other_from_coming():
    came, told = [], []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    after(0.01, lambda: 1 / 0)
    after(0.01, lambda: came.append("second"))
    after(0.02, lambda: came.append("third"))
    await asyncio.sleep(0.05)
    assert came == ["second", "third"]
    assert [type(error) for error in told] == [ZeroDivisionError]


async def test_when_all_have_come_a_new_one_comes_as_well():
    came = []
    after(0.01, lambda: came.append("first"))
    await asyncio.sleep(0.05)
    after(0.01, lambda: came.append("second"))
    await asyncio.sleep(0.05)
    assert came == ["first", "second"]


async def test_one_that_is_set_after_the_timer_of_a_cancelled_one_waits_its_own_time():
    came = []
    after(0.1, lambda: came.append("first")).cancel()
    await asyncio.sleep(0.06)
    after(0.1, lambda: came.append("second"))
    await asyncio.sleep(0.07)
    assert came == []
    await asyncio.sleep(0.1)
    assert came == ["second"]


def test_each_event_loop_has_limits_of_its_own():
    async def one():
        came = []
        after(0.01, lambda: came.append("came"))
        await asyncio.sleep(0.05)
        return came

    assert asyncio.run(one()) == ["came"]
    assert asyncio.run(one()) == ["came"]

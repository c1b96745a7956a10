"""Threads for sync tools, and the inbox that brings outcomes back."""

import asyncio
import contextvars
import os
import threading
import time

from segue.pool import Done, Inbox, Pool
from tests.acting import until

VARIABLE = contextvars.ContextVar("VARIABLE", default="outside")


async def test_a_function_is_called_on_a_daemon_thread_and_its_value_comes_back_under_its_tag():
    inbox = Inbox()
    Pool().submit(inbox, "a", lambda: threading.current_thread())
    (done,) = await inbox.take()
    assert done.tag == "a"
    assert done.value is not threading.current_thread()
    assert done.value.daemon


async def test_whatever_is_raised_comes_back():
    inbox, pool = Inbox(), Pool(1)
    for error in (ValueError("x"), SystemExit(3), StopIteration(), KeyboardInterrupt(), asyncio.CancelledError()):

        def fail(error=error):
            raise error

        pool.submit(inbox, "a", fail)
        (done,) = await inbox.take()
        assert done.error is error


async def test_a_function_sees_the_callers_context_and_changes_only_its_own():
    inbox = Inbox()
    VARIABLE.set("inside")

    def look():
        seen = VARIABLE.get()
        VARIABLE.set("changed")
        return seen

    Pool(1).submit(inbox, "a", look)
    (done,) = await inbox.take()
    assert (done.value, VARIABLE.get()) == ("inside", "inside")


async def test_there_are_never_more_threads_than_allowed_and_idle_ones_are_used_again():
    inbox, pool, seen = Inbox(), Pool(3), set()

    def work():
        seen.add(threading.current_thread().name)
        time.sleep(0.001)

    for _ in range(30):
        pool.submit(inbox, "a", work)
    done = 0
    while done < 30:
        done += len(await inbox.take())
    assert len(seen) <= 3
    one_by_one = Pool(3)
    for _ in range(5):
        one_by_one.submit(inbox, "a", work)
        await inbox.take()
    assert one_by_one._threads == 1


async def test_a_job_that_was_dropped_before_a_thread_was_free_is_never_done():
    inbox, pool, release, done = Inbox(), Pool(1), threading.Event(), []
    pool.submit(inbox, "first", release.wait, 10)
    second = pool.submit(inbox, "second", done.append, 1)
    assert second.claim()
    assert not second.claim()
    release.set()
    pool.submit(inbox, "third", done.append, 3)
    heard = []
    while "third" not in heard:
        heard += [one.tag for one in await inbox.take()]
    assert (heard, done) == (["first", "third"], [3])


async def test_a_job_that_has_begun_cannot_be_dropped():
    inbox, begun, release = Inbox(), threading.Event(), threading.Event()

    def work():
        begun.set()
        release.wait(10)

    job = Pool(1).submit(inbox, "a", work)
    assert begun.wait(10)
    assert not job.claim()
    release.set()
    assert len(await inbox.take()) == 1


async def test_a_thousand_outcomes_from_many_threads_all_arrive():
    inbox, pool = Inbox(), Pool()
    for number in range(1000):
        pool.submit(inbox, number, int)
    heard = set()
    while len(heard) < 1000:
        heard |= {done.tag for done in await inbox.take()}
    assert heard == set(range(1000))


async def test_a_closed_inbox_hands_on_what_it_holds_and_what_still_comes():
    inbox, late = Inbox(), []
    inbox.put(Done("held", 1, None))
    inbox.close(late.append)
    inbox.put(Done("after", 2, None))
    inbox.put_from_thread(Done("from a thread", 3, None))
    await until(lambda: len(late) == 3)
    assert [done.tag for done in late] == ["held", "after", "from a thread"]


def test_what_comes_for_an_event_loop_that_is_closed_is_dropped_in_silence():
    release, ended = threading.Event(), threading.Event()

    def work():
        release.wait(10)
        ended.set()

    async def leave():
        Pool(1).submit(Inbox(), "a", work)

    asyncio.run(leave())
    release.set()
    assert ended.wait(10)


async def test_waiting_for_an_inbox_can_be_cancelled_and_nothing_is_lost():
    inbox = Inbox()
    waiting = asyncio.create_task(inbox.take())
    await asyncio.sleep(0)
    waiting.cancel()
    inbox.put(Done("a", 1, None))
    await asyncio.wait([waiting])
    assert [done.tag for done in await inbox.take()] == ["a"]


def test_a_forked_process_has_threads_of_its_own():
    pool = Pool(2)

    async def use():
        inbox = Inbox()
        pool.submit(inbox, "a", os.getpid)
        (done,) = await inbox.take()
        return done.value

    assert asyncio.run(use()) == os.getpid()
    assert in_a_fork(lambda: asyncio.run(use()) == os.getpid())


def in_a_fork(check) -> bool:
    """Whether a check holds in a forked process."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking where there are threads, which is the point
        child = os.fork()
    if child == 0:
        held = False
        try:
            held = check()
        finally:
            os._exit(0 if held else 1)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return False


async def test_a_thread_that_waits_for_a_run_lends_its_place_and_gets_no_more_than_it_back():
    inbox, pool = Inbox(), Pool(2)

    def waits():
        with pool.lent():
            inner = threading.Event()
            pool.submit(inbox, "inner", inner.set)
            return inner.wait(10)

    for _ in range(20):
        pool.submit(inbox, "outer", waits)
    done = []
    while len(done) < 40:
        done += await inbox.take()
    assert all(one.value for one in done if one.tag == "outer")
    for _ in range(30):  # the threads that were lent a place leave with the next thing they do
        pool.submit(inbox, "after", time.sleep, 0.001)
    while len(done) < 70:
        done += await inbox.take()
    assert pool._threads <= 2

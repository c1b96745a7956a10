"""The event loop behind sync code."""

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import threading

import pytest

from segue.agent import Agent
from segue.core.limits import Limits
from segue.errors import UsageError
from segue.pool import THREADS
from segue.portal import PORTAL, Portal
from segue.runner import Runner
from segue.testing import ScriptedModel
from segue.throwaway import run_sync
from tests.test_pool import in_a_fork

VARIABLE = contextvars.ContextVar("VARIABLE", default="outside")


@pytest.fixture
def portal():
    made = Portal()
    yield made
    made.close()


async def thread() -> str:
    return threading.current_thread().name


def test_work_is_done_on_one_thread_that_is_not_the_callers(portal):
    assert portal.run(thread) == portal.run(thread) == "segue-portal"


async def test_it_works_inside_a_running_loop(portal):
    assert portal.run(thread) == "segue-portal"


def test_many_threads_use_it_at_once(portal):
    together = threading.Barrier(8)
    inside: list[int] = []

    async def work() -> None:
        inside.append(1)
        while len(inside) < 8:
            await asyncio.sleep(0.001)

    def use() -> None:
        together.wait(10)
        portal.run(work)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(10)
    assert len(inside) == 8


def test_an_exception_is_passed_on(portal):
    async def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        portal.run(fail)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_an_exit_that_work_raises_is_passed_on_and_ends_neither_the_portal_nor_others(portal, error):
    begun, release = threading.Event(), threading.Event()
    others: list[str] = []

    async def wait() -> str:
        begun.set()
        while not release.is_set():
            await asyncio.sleep(0.001)
        return "whole"

    async def leave() -> None:
        raise error

    other = threading.Thread(target=lambda: others.append(portal.run(wait)))
    other.start()
    begun.wait(10)
    with pytest.raises(error):
        portal.run(leave)
    release.set()
    other.join(10)
    assert others == ["whole"]
    assert portal.run(thread) == "segue-portal"


def test_work_sees_the_callers_context_and_changes_only_its_own(portal):
    async def look() -> str:
        seen = VARIABLE.get()
        VARIABLE.set("changed")
        return seen

    def use() -> tuple[str, str]:
        VARIABLE.set("inside")
        return portal.run(look), VARIABLE.get()

    assert contextvars.copy_context().run(use) == ("inside", "inside")


def test_on_its_own_thread_it_refuses_to_wait_for_itself(portal):
    async def nested() -> None:
        portal.run(thread)

    with pytest.raises(UsageError, match="await run"):
        portal.run(nested)


def test_a_closed_portal_begins_again(portal):
    portal.run(thread)
    portal.close()
    assert portal.run(thread) == "segue-portal"


def test_a_forked_process_has_a_loop_of_its_own(portal):
    portal.run(thread)
    assert in_a_fork(lambda: portal.run(thread) == "segue-portal")


def test_a_fork_in_the_middle_of_a_call_leaves_the_child_able_to_work(portal):
    begun, release = threading.Event(), threading.Event()

    async def wait() -> None:
        begun.set()
        while not release.is_set():
            await asyncio.sleep(0.001)

    other = threading.Thread(target=lambda: portal.run(wait))
    other.start()
    begun.wait(10)
    with portal._lock:  # another thread may hold it while this one forks
        held = in_a_fork(lambda: portal.run(thread) == "segue-portal")
    release.set()
    other.join(10)
    assert held


PROGRAM = """
import asyncio, sys
from segue.portal import PORTAL
async def work():
    print("begun", flush=True)
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        await asyncio.sleep(0.01)
        print("cancelled, whole", flush=True)
        raise
try:
    PORTAL.run(work)
except KeyboardInterrupt:
    print("passed on", flush=True)
"""


def test_control_c_cancels_the_work_waits_for_it_and_is_passed_on():
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    os.kill(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert said == "cancelled, whole\npassed on\n"
    assert process.returncode == 0


def test_a_program_that_used_it_ends_by_itself():
    program = "from segue.portal import PORTAL\nasync def work(): return 1\nprint(PORTAL.run(work))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120).stdout == "1\n"


def test_there_is_one_for_the_process():
    assert PORTAL.run(thread) == "segue-portal"


def test_work_that_cannot_be_begun_is_told_to_who_waits_for_it():
    with pytest.raises(TypeError, match="speed"):
        run_sync(Agent("A"), "Hi", model=ScriptedModel(["Hi."]), speed=2)
    with pytest.raises(TypeError, match="speed"):
        Runner(Agent("A"), model=ScriptedModel(["Hi."])).run_sync("Hi", speed=2)
    with pytest.raises(ZeroDivisionError):
        PORTAL.run(lambda: 1 / 0)
    assert PORTAL.run(lambda: asyncio.sleep(0, "it still runs")) == "it still runs"


async def test_as_many_tools_as_there_are_threads_may_run_agents_that_have_tools_of_their_own():
    def look_up() -> str:
        return "found"

    inner = Agent("Inner", tools=[look_up])

    begun = threading.Barrier(THREADS)

    def ask() -> str:
        begun.wait(10)
        return run_sync(inner, "Go.", model=ScriptedModel([{"look_up": {}}, "Here."])).output

    outer = Agent("Outer", tools=[ask])
    runner = Runner(outer, limits=Limits(tool_timeout=5))
    runs = [runner.run("Go.", model=ScriptedModel([{"ask": {}}, "So be it."])) for _ in range(THREADS)]
    assert {response.messages[1]["content"] for response in await asyncio.gather(*runs)} == {"Here."}

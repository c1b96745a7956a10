"""A journal in a process that forks: nothing is lost on either side. In processes of their own, as pytest has threads."""

import signal
import subprocess
import sys
import textwrap

import pytest

if not hasattr(__import__("os"), "fork"):
    pytest.skip("no fork here", allow_module_level=True)

PROLOGUE = """
import asyncio, os, sqlite3, sys, threading, time, warnings
warnings.filterwarnings("ignore", message=".*multi-threaded.*fork")
from segue.core.events import DriveStarted, ToolLate
from segue.errors import JournalError
from segue.journal.sqlite import SqliteJournal

path = sys.argv[1]
journal = SqliteJournal(path)

def append(name, place):
    asyncio.run(journal.append(name, place, [ToolLate("1.0", name, str(place))], at=1.0))

def wait_for(child):
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 0, status

def count():
    db = sqlite3.connect(path)
    assert db.execute("pragma integrity_check").fetchall() == [("ok",)]
    rows = dict(db.execute("select conversation, count(*) from event group by conversation"))
    db.close()
    return rows
"""


def play(tmp_path, program, **options):
    command = [sys.executable, "-c", PROLOGUE + textwrap.dedent(program), str(tmp_path / "segue.db")]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


def plays(tmp_path, program):
    done = play(tmp_path, program)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["end"]), done.stderr


def test_parent_and_child_go_on_with_one_file_and_lose_nothing(tmp_path):
    """SQLite believes that a child has its parent's locks: with a connection open over the fork, the child's second append is lost."""
    plays(
        tmp_path,
        """
        append("parent", 1)
        asyncio.run(journal.read("parent"))
        told, tell = os.pipe()
        child = os.fork()
        if child == 0:
            append("child", 1)
            os.read(told, 1)                    # the parent has closed its connections, and thinks that they were the last
            append("child", 2)
            assert len(asyncio.run(journal.read("parent"))) == 2
            os._exit(0)
        append("parent", 2)
        asyncio.run(journal.aclose())
        os.write(tell, b".")
        wait_for(child)
        assert count() == {"parent": 2, "child": 2}, count()
        append("parent", 3)
        print("end")
        """,
    )


def test_a_child_that_ends_as_a_program_does_harms_nobody(tmp_path):
    plays(
        tmp_path,
        """
        append("parent", 1)
        if (child := os.fork()) == 0:
            append("child", 1)
            sys.exit()                          # with all that runs at exit
        wait_for(child)
        append("parent", 2)
        assert count() == {"parent": 2, "child": 1}
        print("end")
        """,
    )


def test_forks_in_the_middle_of_writing_lose_nothing(tmp_path):
    plays(
        tmp_path,
        """
        done, places = threading.Event(), []

        def write(name):
            async def main():
                place = 0
                while place <= 15 or not done.is_set():
                    place += 1
                    await journal.append(name, place, [ToolLate("1.0", name, str(place))], at=1.0)
                    await journal.read(name, after=place - 1)
                places.append((name, place))
            asyncio.run(main())

        threads = [threading.Thread(target=write, args=(f"thread {number}",)) for number in range(3)]
        for thread in threads:
            thread.start()
        children = []
        for number in range(15):
            time.sleep(0.01)
            if (child := os.fork()) == 0:
                for place in range(1, 6):
                    append(f"child {number}", place)
                os._exit(0)
            children.append(child)
        for child in children:
            wait_for(child)
        done.set()
        for thread in threads:
            thread.join()
        assert count() == dict(places) | {f"child {number}": 5 for number in range(15)}
        print("end")
        """,
    )


def test_who_waits_in_the_parent_is_woken_by_the_child(tmp_path):
    plays(
        tmp_path,
        """
        async def main():
            await journal.append("c", 1, [ToolLate("1.0", "c", "1")], at=1.0)
            waiting = asyncio.ensure_future(journal.wait("c", after=1, timeout=200.0))
            await asyncio.sleep(0.01)
            child = os.fork()
            if child == 0:
                thread = threading.Thread(target=append, args=("c", 2))
                thread.start()
                thread.join()
                os._exit(0)
            await waiting
            assert len(await journal.read("c")) == 2
            await asyncio.to_thread(wait_for, child)
        asyncio.run(main())
        print("end")
        """,
    )


def test_a_child_does_not_keep_its_dead_parents_drivers_alive(tmp_path):
    program = """
    asyncio.run(journal.hold("d_1"))
    told, tell = os.pipe()
    if os.fork() == 0:
        if os.fork() == 0:
            os.close(tell)
            os.read(told, 1)                    # ends when the parent is dead
            assert not asyncio.run(journal.alive("d_1"))
            asyncio.run(journal.hold("d_1"))
            print("end", flush=True)
            os._exit(0)
        os._exit(0)
    os.wait()
    assert asyncio.run(journal.alive("d_1"))
    os.kill(os.getpid(), 9)
    """
    done = play(tmp_path, program)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "end\n"), done.stderr


def test_a_child_of_a_tool_in_its_transaction_is_told_that_it_cannot_use_the_file(tmp_path):
    plays(
        tmp_path,
        """
        append("c", 1)

        def work(db):
            db.execute("create table paid (amount integer)")
            if (child := os.fork()) == 0:
                try:
                    append("child", 1)
                except JournalError as error:
                    assert "forked while a transaction was open" in str(error)
                    os._exit(0)
                os._exit(1)
            wait_for(child)
            db.execute("insert into paid values (5)")
            return ToolLate("1.0", "pay", "paid")

        journal.transact("c", 0, work, at=1.0)
        append("c", 3)
        assert count() == {"c": 3}
        print("end")
        """,
    )

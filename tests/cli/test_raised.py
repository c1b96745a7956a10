import logging

import pytest

from tests.cli.terminal import segue, surroundings

PROGRAM = """
import logging
from segue import Agent, tool
from segue.testing import ScriptedModel

@tool
def boom() -> str:
    "Boom."
    raise RuntimeError("no such\\n\\x1b[31morder.")

def to_nobody():
    "Hand over."
    return nobody

desk = Agent("Desk", tools=[boom, to_nobody], model=ScriptedModel([[{"boom": {}}, {"to_nobody": {}}], "Sorry."]))
"""
BOOM = r"segue: tool boom raised: RuntimeError: no such \x1b[31morder. SEGUE_DEBUG=1 shows where."
NOBODY = "segue: tool to_nobody raised: NameError: name 'nobody' is not defined. SEGUE_DEBUG=1 shows where."


@pytest.fixture
def run(tmp_path):
    """Runs the desk in a process of its own."""

    def run(*words, program=PROGRAM, command="run", stdin="", **variables):
        (tmp_path / "desk.py").write_text(program)
        done = segue(command, "desk.py", *words, env=surroundings(tmp_path, **variables), cwd=tmp_path, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done

    return run


@pytest.mark.parametrize("words", [[], ["--json"], ["--events"]])
def test_what_a_tool_or_a_transfer_function_raises_is_told_in_one_line_each(run, words):
    done = run("Hi", *words)
    assert sorted(done.stderr.splitlines()[1:]) == [BOOM, NOBODY]
    assert "SEGUE_DEBUG" not in done.stdout


def test_with_debug_the_traceback_of_a_tool_is_shown(run):
    done = run("Hi", SEGUE_DEBUG="1")
    assert done.stdout == "Sorry.\n"
    assert 'desk.py", line 9, in boom\n' in done.stderr
    assert 'desk.py", line 13, in to_nobody\n' in done.stderr
    assert "SEGUE_DEBUG" not in done.stderr


def test_a_program_that_logs_by_itself_is_told_in_its_own_log_and_as_it_chose(run):
    done = run("Hi", program=PROGRAM + "\nlogging.basicConfig(format='%(levelname)s %(message)s')\n")
    assert sorted(done.stderr.splitlines()[1:]) == ["WARNING tool boom raised RuntimeError", "WARNING tool to_nobody raised NameError"]


def test_a_chat_shows_the_failures_where_they_happen_and_says_once_how_to_see_more(run):
    done = run(command="chat", stdin="Hi")
    assert r"raised: Failed with RuntimeError: no such" in done.stdout
    assert done.stdout.count("      SEGUE_DEBUG=1 shows where.\n") == 1
    assert "SEGUE_DEBUG" not in run(command="chat", stdin="Hi", SEGUE_DEBUG="1").stdout


def test_nothing_is_left_of_the_listening_when_a_command_has_ended(till):
    log = logging.getLogger("segue")
    before = (log.level, list(log.handlers))
    till.say("Hello")
    assert (log.level, list(log.handlers)) == before

import errno
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from segue import __version__
from segue.cli import main
from tests.cli.terminal import segue, surroundings


@pytest.fixture
def home(tmp_path):
    return surroundings(tmp_path)


def test_the_version_is_the_packages(home, tmp_path):
    done = segue("--version", env=home, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"segue {__version__}\n")


def test_what_is_slow_is_not_imported_before_it_is_needed(home, tmp_path):
    words = "import sys, segue.cli; print(sorted({'aiohttp', 'rich', 'readline', 'openai', 'segue.examples'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", words], env=home, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize("command", sorted(main.commands))
def test_each_command_has_help(command):
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0
    assert f"main {command}" in result.output


def test_a_mistake_is_one_line_on_stderr_and_code_2_and_a_traceback_when_asked_for(home, tmp_path):
    done = segue("graph", "nowhere", env=home, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "segue: There is no module 'nowhere', neither installed nor in this directory.\n"
    debugged = segue("graph", "nowhere", env=home | {"SEGUE_DEBUG": "1"}, cwd=tmp_path)
    assert debugged.returncode == 2
    assert "Traceback" in debugged.stderr


def test_a_reader_that_goes_away_is_no_traceback(home, tmp_path):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "segue", "graph", "segue.examples.airline"],
        env=home,
        cwd=tmp_path,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(write)
    assert "Traceback" not in done.stderr


def test_letters_that_the_output_cannot_show_are_written_out(home, tmp_path):
    done = segue("demo", env=home | {"PYTHONIOENCODING": "ascii"}, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert r"  \u25b8 transfer_to_issues_and_repairs()" in done.stdout.splitlines()


# ---- standard streams that are closed, full, or hold something else than text

TALKER = """
from segue import Agent
from segue.testing import FunctionModel

def note(text: str):
    "Note."
    with open("noted.txt", "a") as file:
        file.write(text)
    return "noted"

def full():
    "Write to a disk that is full."
    with open("/dev/full", "w") as file:
        file.write("x")

def lost(ctx):
    full()

def reply(request):
    last = request.messages[-1]
    if type(last).__name__ == "ToolAnswer":
        return f"I am told: {last.content}"
    return {"full": {}} if last.content == "full" else {"note": {"text": last.content}}

agent = Agent("Clerk", tools=[note, full], model=FunctionModel(reply))
unable = Agent("Unable", instructions=lost, model=FunctionModel(reply))
long = Agent("Long", model=FunctionModel(lambda request: "word " * 20_000))
"""
FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no file that is always full")


@pytest.fixture
def clerk(tmp_path):
    (tmp_path / "clerk.py").write_text(TALKER)
    return tmp_path


def in_shell(words, home, folder, stdin=b"", **more):
    """A command line of a shell, in which `segue` is this one."""
    line = f'segue() {{ "{sys.executable}" -m segue "$@"; }}; {words}'
    return subprocess.run(["bash", "-c", line], env=home | more, cwd=folder, input=stdin, capture_output=True, timeout=60)


@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_keeps_no_work_from_being_done(closed, home, clerk):
    done = in_shell(f"segue run clerk.py Hello {closed}", home, clerk)
    assert (done.returncode, (clerk / "noted.txt").read_text()) == (0, "Hello")
    assert b"Traceback" not in done.stderr
    assert done.stdout == (b"" if ">&-" in closed.replace("2>&-", "") else b"I am told: noted\n")


def test_a_message_that_was_to_come_from_a_closed_stream_is_an_empty_one(home, clerk):
    done = in_shell("segue run clerk.py <&-", home, clerk)
    assert (done.returncode, done.stdout, done.stderr.splitlines()[-1]) == (2, b"", b"segue: The message is empty.")


@pytest.mark.parametrize("variables", [{"PYTHONIOENCODING": "utf-8:strict"}, {"LC_ALL": "en_US.UTF-8"}, {"PYTHONUTF8": "1"}], ids=str)
@pytest.mark.parametrize("command", ["run", "chat"])
def test_bytes_on_stdin_that_are_no_text_in_its_encoding_are_replaced(variables, command, home, clerk):
    done = in_shell(f"segue {command} clerk.py", home, clerk, "Grüße".encode("latin-1"), **variables)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert (clerk / "noted.txt").read_bytes().decode("utf-8", "replace").startswith("Gr\ufffd")


PRINTING = [
    "run clerk.py Hello",
    "run clerk.py Hello --json",
    "run clerk.py Hello --events",
    "run clerk.py:long Hello",
    "chat clerk.py",
    "chat clerk.py --json",
    "graph clerk.py:agent",
    "graph clerk.py:agent --json",
    "--version",
    "--help",
    "run --help",
]


@FULL
@pytest.mark.parametrize(
    ("command", "variables"),
    [*[(command, {}) for command in PRINTING], *[(command, {"PYTHONUNBUFFERED": "1"}) for command in PRINTING[:2]]],
)
def test_that_stdout_is_full_is_told_in_one_line(command, variables, home, clerk):
    done = in_shell(f"segue {command} >/dev/full", home, clerk, b"Hello", **variables)
    said = [line for line in done.stderr.decode().splitlines() if not line.startswith(("segue: The model is", "Clerk: ", "  "))]
    assert (done.returncode, said) == (1, [f"segue: stdout could not be written: {os.strerror(errno.ENOSPC)}."])
    assert b"Traceback" not in done.stderr


def test_what_a_program_prints_unbuffered_is_there_when_its_process_is_killed(home, clerk):
    (clerk / "dying.py").write_text("import os\nprint('last words')\nos._exit(9)\n")
    done = in_shell("segue graph dying.py", home, clerk, PYTHONUNBUFFERED="1")
    assert (done.returncode, done.stdout) == (9, b"last words\n")


@FULL
def test_where_a_full_stdout_was_met_is_shown_when_asked_for(home, clerk):
    done = in_shell("segue graph clerk.py:agent >/dev/full", home, clerk, SEGUE_DEBUG="1")
    assert done.returncode == 1
    assert b"Traceback" in done.stderr


@FULL
def test_another_file_that_is_full_is_not_taken_for_stdout(home, clerk):
    done = in_shell("segue run clerk.py full", home, clerk)
    assert (done.returncode, b"stdout" in done.stderr) == (0, False)
    assert done.stdout.startswith(b"I am told: Failed with OSError: [Errno 28]")
    done = in_shell("segue run clerk.py:unable Hello", home, clerk)
    assert done.returncode == 1
    assert b"segue: A function of this program raised OSError: [Errno 28]" in done.stderr
    done = in_shell("segue run clerk.py:unable Hello >/dev/full", home, clerk)
    assert b"segue: A function of this program raised OSError: [Errno 28]" in done.stderr

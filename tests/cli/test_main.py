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

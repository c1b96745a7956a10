import asyncio
import json
import signal
import subprocess
import sys

import pytest

from segue import Runner
from segue.engines.procrastinate import ProcrastinateEngine
from segue.examples.acme import triage
from tests.cli.terminal import SEGUE, segue, surroundings

ACME = "segue.examples.acme:triage"


@pytest.fixture
def home(tmp_path):
    return surroundings(tmp_path)


def test_a_worker_must_be_told_where_the_conversations_are(home, tmp_path):
    done = segue("worker", ACME, env=home, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--journal postgresql://user@host/database, or SEGUE_JOURNAL" in done.stderr


@pytest.mark.parametrize("place", ["segue.db", "sqlite:///segue.db", "memory:"])
def test_a_journal_that_is_not_in_postgresql_is_refused(place, home, tmp_path):
    done = segue("worker", ACME, env=home | {"SEGUE_JOURNAL": place}, cwd=tmp_path)
    assert done.returncode == 2
    assert "no address of a PostgreSQL database, which workers need" in done.stderr


def test_a_file_is_refused_before_the_extra_is_missed(home, tmp_path):
    program = "import sys; sys.modules['procrastinate'] = None; from segue.cli import main; main()"
    words = [sys.executable, "-c", program, "worker", ACME, "--journal", "cli.db"]
    done = subprocess.run(words, env=home, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "cli.db is no address of a PostgreSQL database" in done.stderr
    assert "pip install" not in done.stderr


def test_without_the_extra_the_command_says_which_one_it_needs(home, tmp_path):
    program = "import sys; sys.modules['procrastinate'] = None; from segue.cli import main; main()"
    words = [sys.executable, "-c", program, "worker", ACME, "--journal", "postgresql://db/segue"]
    done = subprocess.run(words, env=home, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "segue: Workers need Procrastinate, psycopg and libpq: pip install '.[workers]' in Segue's folder.\n"


def test_a_database_that_cannot_be_reached_ends_a_worker_with_one_line_and_code_1(home, tmp_path):
    done = segue("worker", ACME, "--journal", f"postgresql://app:secret@/segue?host={tmp_path}", env=home, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "The queue's database did not do it" in done.stderr.splitlines()[-1]
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_worker_tells_of_each_drive_and_ends_when_it_is_asked_to(database, home, tmp_path):
    words = [*SEGUE, "worker", ACME, "--journal", database, "--json"]
    worker = subprocess.Popen(words, env=home, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        async with Runner(triage, journal=database, engine=ProcrastinateEngine(database)) as runner:
            response = await runner.run("The black boots I bought fell apart.", conversation="c1")
        assert response.output.startswith("Have you tried")
        line = json.loads(await asyncio.to_thread(worker.stdout.readline))
        worker.send_signal(signal.SIGTERM)
        out, err = await asyncio.to_thread(worker.communicate)
    finally:
        worker.kill()
        worker.wait()
    assert (line["conversation"], line["error"]) == ("c1", None)
    assert (worker.returncode, out) == (0, "")
    assert "scripted stand-in, not an LLM" in err
    assert "up to 40 conversations at once" in err
    assert "Each drive finishes its present step" in err

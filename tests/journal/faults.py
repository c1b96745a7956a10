"""Processes whose disk goes wrong: a small library in C is loaded into them, and counts what is done to a file."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def faults(tmp_path_factory):
    """A function that starts `writes.py` with a fault: `run("steps", path, 5, AT=3, HOW="kill")`."""
    if sys.platform != "linux" or not shutil.which("gcc"):
        pytest.skip("needs Linux and gcc")
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, HERE / "faults.c", "-ldl"], check=True)

    def run(*words, file=None, **fault):
        path = file or words[1]
        environment = os.environ | {"LD_PRELOAD": str(library), "FAULT_FILE": str(path)} | {f"FAULT_{k}": str(v) for k, v in fault.items()}
        return start(*words, env=environment)

    return run


def start(*words, env=None, **options):
    """Run `writes.py` to its end."""
    command = [sys.executable, HERE / "writes.py", *map(str, words)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, **options)

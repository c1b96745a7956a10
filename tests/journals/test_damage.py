"""Rows that were changed at random give a typed error or are harmless; nothing is imported, opened or run on their account."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scale import scaled


def damaged(count: int) -> None:
    seed = int(os.environ.get("SEGUE_TEST_SEED", random.randrange(2**32)))
    print(f"SEGUE_TEST_SEED={seed}")
    words = [sys.executable, "-m", "tests.journals.damage", str(count), str(seed)]
    ran = subprocess.run(words, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    came = json.loads(ran.stdout)
    assert came["faults"] == [], came
    assert came["forbidden"] == {}, came
    assert came["threads"] == [], came
    assert sum(came["came"].values()) > count
    assert came["came"]["JournalDamaged"] > count / 10
    assert came["came"]["harmless"] > count / 10
    assert came["came"]["JournalNewer"] > count / 100


def test_two_thousand_changed_rows_do_no_harm():
    damaged(2000)


@pytest.mark.slow
def test_a_hundred_thousand_changed_rows_do_no_harm():
    damaged(scaled(100_000))

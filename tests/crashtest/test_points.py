import os
import signal
import subprocess
import sys

import pytest

from segue import UsageError
from segue.crashtest.points import ROOT, Entry, Witness, entries, killed, point_from, points_of, read_account


@pytest.mark.parametrize("text", ["before:1", "after:27", "entry:2.0", "return:12.3", "after:2.0/5", "entry:2.0/1.1"])
def test_a_point_is_read_as_it_is_printed(text):
    assert str(point_from(text)) == text


@pytest.mark.parametrize(
    "text", ["", "after", "after:", "after:2.0", "entry:2", "during:3", "after:x", "entry:2.0/", "entry:2.x", "after:-1"]
)
def test_what_is_no_point_is_refused(text):
    with pytest.raises(UsageError, match="is no point"):
        point_from(text)


def test_a_witness_gives_the_points_that_a_process_came_to_in_their_order(tmp_path):
    witness, other = Witness(tmp_path / "witness", 1), Witness(tmp_path / "witness", 2)
    call = {"call": "2.0", "tool": "pay", "effect": "once", "key": "k", "arguments": "{}", "reconcile": False}
    witness.write("append", conversation=ROOT, first=1, last=3)
    witness.write("entry", **call)
    witness.write("return", call="2.0")
    witness.write("append", conversation=f"{ROOT}/2.0", first=1, last=1)
    witness.write("append", conversation=ROOT, first=None, last=4)
    other.write("append", conversation=ROOT, first=5, last=5)
    lines = read_account(tmp_path / "witness")
    assert list(map(str, points_of(lines, 1))) == [
        "before:1",
        "after:3",
        "entry:2.0",
        "return:2.0",
        "before:2.0/1",
        "after:2.0/1",
        "after:4",
    ]
    assert list(map(str, points_of(lines, 2))) == ["before:5", "after:5"]
    assert entries(lines) == [Entry(process=1, **call)]
    assert read_account(tmp_path / "none") == []


DYING = """
from pathlib import Path
from segue.crashtest.points import ROOT, Witness, point_from
witness = Witness(Path({path!r}), 1, point_from({point!r}))
for first, last in ((1, 3), (4, 4), (5, 6)):
    for conversation in (ROOT, f"{{ROOT}}/2.0"):
        witness.reach_append("before", conversation, last)
        witness.write("append", conversation=conversation, first=first, last=last)
        witness.reach_append("after", conversation, last)
        witness.reach(point_from(f"entry:{{last}}.0"))
"""


@pytest.mark.parametrize(
    ("point", "appends"),
    [("before:1", 0), ("after:2", 1), ("before:4", 2), ("after:2.0/4", 4), ("before:2.0/6", 5), ("entry:4.0", 3), ("after:7", 6)],
)
def test_a_process_dies_at_its_point_and_at_no_other(tmp_path, point, appends):
    path = tmp_path / "witness"
    done = subprocess.run([sys.executable, "-c", DYING.format(path=str(path), point=point)])
    lines = read_account(path)
    dead = point != "after:7"
    assert done.returncode == (-signal.SIGKILL if dead else os.EX_OK)
    assert sum(line["kind"] == "append" for line in lines) == appends
    assert killed(lines) == ([point] if dead else [])

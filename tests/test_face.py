"""The face is a list, and this is its guard."""

import subprocess
import sys

import segue


def test_the_face_is_sorted_and_has_at_most_forty_names() -> None:
    assert segue.__all__ == sorted(segue.__all__)
    assert len(set(segue.__all__)) == len(segue.__all__) <= 40


def test_every_name_of_the_face_is_there_and_says_what_it_is() -> None:
    for name in segue.__all__:
        assert getattr(segue, name).__doc__, f"segue.{name} has no docstring"


def test_the_face_names_nothing_that_it_does_not_list() -> None:
    public = {name for name, value in vars(segue).items() if not name.startswith("_") and type(value).__name__ != "module"}
    assert public <= set(segue.__all__)


def test_importing_the_face_opens_nothing_and_starts_nothing() -> None:
    program = """
import sys, threading
seen = []
sys.addaudithook(lambda name, args: seen.append(name) if name in ("socket.connect", "socket.bind", "subprocess.Popen", "os.system") else None)
import segue
assert not seen, seen
assert threading.active_count() == 1
assert not {"aiohttp", "openai", "rich", "click", "docstring_parser", "pydantic"} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)

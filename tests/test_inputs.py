from dataclasses import replace

import pytest

from segue.core.events import DriveStarted, ToolLate, ToolReturned
from segue.errors import UsageError
from segue.inputs import driven, read_input
from segue.journal.base import Stored
from tests.core.making import ASKED, asks, call, decision, question, starts


def at(*timed):
    """Stored events, from (time, event) pairs."""
    return [Stored(seq, time, event) for seq, (time, event) in enumerate(timed, 1)]


BEGUN = [(0.0, ASKED[0]), (0.0, ASKED[1]), (0.0, ASKED[2]), (2.0, asks(call())), (2.0, question("1.0"))]
GOES_ON = [(1000.0, DriveStarted("e")), (1000.0, starts("1.0", approval="q")), (1003.0, ToolReturned("1.0", "ok"))]


def test_the_time_for_which_a_person_thinks_is_not_driving():
    assert driven(at(*BEGUN, (1000.0, decision()), *GOES_ON)) == 5.0


def test_what_comes_from_outside_and_late_does_not_make_a_drive_longer():
    edited = replace(question("1.0", "q-2"), edited=True)
    outside = [decision("superseded"), edited, decision(id="q-2"), ToolLate("0.9", "pay", "paid")]
    assert driven(at(*BEGUN, *((900.0, event) for event in outside))) == 2.0


def test_of_a_drive_whose_beginning_was_counted_before_nothing_is_counted_again():
    edited = replace(question("1.0", "q-2"), edited=True)
    assert driven(at((900.0, decision("superseded")), (900.0, edited), (900.0, decision(id="q-2")))) == 0.0
    assert driven(at((900.0, decision()), *GOES_ON)) == 3.0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"role": "user", "content": "Hi"}, "Put it into a list"),
        (["Hi"], r"messages\[0\] must be .*, not str"),
        (7, "not int"),
        ("", "empty"),
        ([{"role": "user", "content": [{"type": "input_audio", "seconds": float("nan")}]}], "not JSON"),
    ],
)
def test_an_input_that_is_no_text_and_no_list_is_refused_with_the_mend(given, words):
    with pytest.raises(UsageError, match=words):
        read_input(given)

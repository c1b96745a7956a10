import re

import pytest

from segue.core.messages import Usage
from segue.views.words import age, call_words, counted, duration, moment, one_line, tokens


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ('{"a": 1, "b": "ü", "c": [true, null]}', 'f(a=1, b="ü", c=[true, null])'),
        ("", "f()"),
        ("{}", "f()"),
        ('{"a": ', 'f({"a": )'),
        ("[1]", "f([1])"),
        ("[" * 100_000, None),
    ],
)
def test_a_call_reads_like_code_and_broken_arguments_as_they_came(arguments, words):
    assert call_words("f", arguments) == (words or f"f({arguments})")


def test_a_cut_says_so_and_fits():
    assert one_line("one  two\nthree", 9) == "one two…"
    assert one_line("one two", 7, indent=2) == "  one two"
    assert len(call_words("f", '{"a": "' + "x" * 500 + '"}', 40)) == 40


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 ms"), (0.0994, "99 ms"), (0.0996, "0.1 s"), (1.26, "1.3 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (125.4, "2 min 05 s")],
)
def test_times_are_said_as_people_say_them(seconds, words):
    assert duration(seconds) == words


def test_counts_have_their_nouns():
    assert [counted(1, "reply", "replies"), counted(2, "reply", "replies"), counted(1200, "call")] == [
        "1 reply",
        "2 replies",
        "1,200 calls",
    ]
    assert tokens(Usage()) == "no tokens counted"
    assert tokens(Usage(1200, 3)) == "1,200 tokens in, 3 out"


@pytest.mark.parametrize(
    ("seconds", "words"), [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (3_599, "59 min"), (7_200, "2 h"), (200_000, "2 d")]
)
def test_an_age_is_told_in_the_largest_unit_that_fits(seconds, words):
    assert age(seconds) == words


def test_a_moment_is_a_date_and_a_time_of_day():
    assert re.fullmatch(r"2001-09-0[89] \d\d:46:40", moment(1_000_000_000))

import io
from collections import deque

import pytest

from segue.cli.asking import Verdict, ask_about, ask_what_came_of
from segue.cli.screen import Screen
from segue.core.events import ToolUnknown
from segue.core.messages import Call
from segue.core.turns import Slot
from segue.errors import ArgumentsRefused
from segue.views.words import moment
from tests.core.making import question, starts


class Person:
    """Answers in order, and remembers what was asked and what stood there to be edited."""

    def __init__(self, *answers):
        self.left = deque(answers)
        self.asked = []
        self.screen = Screen(io.StringIO())

    def __call__(self, words, text):
        self.asked.append((words.strip(), text))
        return self.left.popleft()

    @property
    def shown(self):
        return self.screen._file.getvalue()


ASKED = question("1.0", "q", '{"amount":5,"note":"\u202e"}')


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        (["y"], Verdict(True)),
        ([" YES "], Verdict(True)),
        (["n"], Verdict(False)),
        (["no, never"], None),
        (["n too much"], Verdict(False, "too much")),
        (["", "maybe", "y please", "edit 5", "n"], Verdict(False)),
        (["e", '{"amount": 4.0}', "y"], Verdict(True, arguments={"amount": 4.0})),
        (["e", '{"amount": 4}', "", "n"], Verdict(False)),
        (["e", "{", "n"], Verdict(False)),
        (["e", '{"amount": 1, "amount": 2}', "n"], Verdict(False)),
    ],
)
def test_nothing_but_a_plain_yes_makes_a_call(answers, verdict):
    person = Person(*answers)
    if verdict is None:
        with pytest.raises(IndexError):  # asked again
            ask_about(ASKED, person.screen, person)
        return
    assert ask_about(ASKED, person.screen, person) == verdict
    assert not person.left


def test_arguments_that_do_not_fit_the_tool_are_told_and_the_call_is_asked_about_again():
    def check(arguments):
        if arguments["amount"] == "lots":
            raise ArgumentsRefused("amount: Input should be a valid integer")
        return {"amount": int(arguments["amount"])}

    person = Person("e", '{"amount": "lots"}', "e", '{"amount": "4"}', "y")
    assert ask_about(ASKED, person.screen, person, check) == Verdict(True, arguments={"amount": 4})
    assert "  ■ amount: Input should be a valid integer\n" in person.shown
    assert '  {"amount":4}\n' in person.shown  # as it would be done


def test_what_is_decided_about_is_shown_exactly_and_harmlessly():
    person = Person("n")
    ask_about(ASKED, person.screen, person)
    assert person.shown.splitlines() == [
        "  Triage wants to call look_up",
        r'  {"amount":5,"note":"\u202e"}',
        f"  approval q · digest {ASKED.digest[:16]}",
    ]


def test_the_time_there_is_to_think_is_shown():
    person = Person("n")
    ask_about(type(ASKED)("q", "1.0", "A", "pay", "{}", "d", expires=100.0), person.screen, person)
    assert f"  until {moment(100.0)} · approval q" in person.shown


def test_arguments_are_edited_where_they_stand_and_shown_again_in_their_canonical_form():
    person = Person("e", '{"note": "\u009b", "amount": 4.0}', "y")
    ask_about(ASKED, person.screen, person)
    assert person.asked[1] == ("Arguments:", r'{"amount":5,"note":"\u202e"}')
    assert person.shown.splitlines()[-1] == r'  {"amount":4,"note":"\u009b"}'


@pytest.mark.parametrize(
    ("edited", "answers"),
    [('{"amount": 4}', [""]), ('{"amount": 4}', ["n"]), ('{"amount": 4}', ["no, the other one"]), ("{", [])],
)
def test_after_an_edit_that_is_not_agreed_to_the_call_that_a_yes_makes_is_shown_again(edited, answers):
    person = Person("e", edited, *answers, "y")
    assert ask_about(ASKED, person.screen, person) == Verdict(True)
    first, last = person.shown.splitlines()[:3], person.shown.splitlines()[-3:]
    assert (
        first == last == ["  Triage wants to call look_up", r'  {"amount":5,"note":"\u202e"}', f"  approval q · digest {ASKED.digest[:16]}"]
    )
    assert person.shown.count("wants to call") == 2


@pytest.mark.parametrize("answer", ["it was paid", ""])
def test_what_came_of_a_call_is_asked_with_the_arguments_it_was_made_with(answer):
    slot = Slot(Call("c", "pay", '{"amount": 5}'), "1.0", starts("1.0", arguments='{"amount":5}'), doubt=ToolUnknown("1.0", "Who knows."))
    person = Person(f" {answer} ")
    assert ask_what_came_of(slot, person.screen, person) == answer
    assert person.shown.splitlines() == ["  pay", '  {"amount":5}', "  Who knows."]

import pytest

from segue.examples.airline import Airline, small_world
from segue.examples.airline.calculator import calculate


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("152 + 103", "255.0"),
        ("(136 - (94 + 80)) * 3", "-114.0"),
        ("498 * 1.5", "747.0"),
        ("10 / 3", "3.33"),
        ("-(-2)", "2.0"),
        ("+7", "7.0"),
    ],
)
def test_arithmetic_is_worked_out_and_rounded_to_cents(expression, value):
    assert Airline(small_world()).calculate(expression) == value


@pytest.mark.parametrize(
    "expression", ["", "2 +", "2 2", "__import__('os')", "1e9", "2 ** 9", "9 // 2", "1 / 0", "(" * 900, "-" * 990 + "1 -", "1" * 1001]
)
def test_what_is_not_arithmetic_is_refused_in_words(expression):
    with pytest.raises(ValueError):
        calculate(expression)
    assert Airline(small_world()).calculate(expression).startswith("Error: ")


def test_powers_are_refused_before_they_cost_anything():
    assert Airline(small_world()).calculate("9**9**9**9").startswith("Error: ")

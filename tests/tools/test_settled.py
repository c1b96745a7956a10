"""Arguments as they are delivered: whatever spelling a model chose, who looks at a call sees what its function gets."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typing_extensions
from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, Field, RootModel
from pydantic.dataclasses import dataclass as pydantic_dataclass

from segue import tool
from segue.core.messages import Json
from segue.errors import ArgumentsRefused

UUID = "12345678-1234-5678-1234-567812345abc"


def settled(function: Callable[..., Any], **given: Json) -> dict[str, Json]:
    parameters = tool(function).parameters
    return parameters.settled(given, parameters.values(given))


def exactly(found: Json, expected: Json) -> bool:
    """Whether two JSON values are the same, types included: for `==`, 1 is True and 1.0."""
    if type(found) is not type(expected):
        return False
    if isinstance(found, dict):
        return found.keys() == expected.keys() and all(exactly(found[key], expected[key]) for key in found)
    if isinstance(found, list):
        return len(found) == len(expected) and all(map(exactly, found, expected))
    return bool(found == expected)


class Colour(Enum):
    RED = 1
    BLUE = 2


class Level(IntEnum):
    LOW = 1


@pytest.mark.parametrize(
    ("hint", "given", "delivered"),
    [
        (int, 666, 666),
        (int, "666", 666),
        (int, " 666 ", 666),
        (int, 666.0, 666),
        (int, True, 1),
        (bool, "yes", True),
        (bool, 1, True),
        (bool, "off", False),
        (float, "1.5", 1.5),
        (float, 2, 2.0),
        (str, "666", "666"),
        (str, " x ", " x "),
        (int | str, "666", "666"),
        (int | None, "666", 666),
        (int | None, None, None),
        (Literal[1, "a"], 1, 1),
        (Colour, 1.0, 1),
        (Level, 1.0, 1),
        (uuid.UUID, UUID.replace("-", "").upper(), UUID),
        (uuid.UUID, f"{{{UUID}}}", UUID),
        (date, "2026-01-02T00:00:00", "2026-01-02"),
        (datetime, "2026-01-02 03:04:05+00:00", "2026-01-02T03:04:05Z"),
        (datetime, 0, "1970-01-01T00:00:00Z"),
        (timedelta, 90, "PT1M30S"),
        (Path, "a//b/./c", "a/b/c"),
        (list[int], ["1", 2.0], [1, 2]),
        (list[bool], ["yes", 0], [True, False]),
        (list[list[int]], [["1"], []], [[1], []]),
        (tuple[int, str], ["1", "2"], [1, "2"]),
        (tuple[int, ...], ["1", "2"], [1, 2]),
        (dict[str, bool], {"a": "no"}, {"a": False}),
        (dict[str, list[int]], {"a": ["1"]}, {"a": [1]}),
        (Any, {"a": "1"}, {"a": "1"}),
    ],
    ids=repr,
)
def test_a_value_is_seen_as_what_its_type_makes_of_it(hint, given, delivered):
    def refund(value):
        raise AssertionError("nothing is called")

    refund.__annotations__["value"] = hint
    found = settled(refund, value=given)
    assert exactly(found, {"value": delivered}), found


class Line(BaseModel):
    """One line of an order."""

    order: int = Field(alias="orderId")
    price: float = Field(validation_alias="Price")
    urgent: bool = False
    parts: list[int] = []


class Address(typing_extensions.TypedDict):
    number: int
    private: typing_extensions.NotRequired[bool]


@dataclass
class Parcel:
    weight: int
    on: date
    gifts: list[bool] = field(default_factory=list)


class Orders(RootModel[list[int]]):
    """A list that is a model."""


class Either(BaseModel):
    order: int = Field(validation_alias=AliasChoices("orderId", "order_id"))
    price: int = Field(validation_alias=AliasChoices("priceInCents", "price"))


@pydantic_dataclass
class Made:
    weight: int = Field(alias="weightInGrams")


class Wrapped(BaseModel):
    """Everything that can stand in something else."""

    colour: Colour
    token: uuid.UUID
    days: list[date]
    line: Line
    address: Address
    parcel: Parcel


@pytest.mark.parametrize(
    ("hint", "given", "delivered"),
    [
        (Line, {"orderId": "666", "Price": "5"}, {"orderId": 666, "Price": 5.0}),
        (
            Line,
            {"orderId": 666.0, "Price": 5, "urgent": "yes", "parts": ["1"]},
            {"orderId": 666, "Price": 5.0, "urgent": True, "parts": [1]},
        ),
        (Address, {"number": "7", "private": 1}, {"number": 7, "private": True}),
        (Parcel, {"weight": "3", "on": "2026-01-02T00:00:00", "gifts": ["no"]}, {"weight": 3, "on": "2026-01-02", "gifts": [False]}),
        (list[Line], [{"orderId": "1", "Price": 1}], [{"orderId": 1, "Price": 1.0}]),
        (Orders, ["1", 2.0], [1, 2]),
        (Either, {"orderId": "1", "priceInCents": "2"}, {"orderId": 1, "priceInCents": 2}),
        (Either, {"order_id": "1", "price": "2"}, {"order_id": 1, "price": 2}),
        (Made, {"weightInGrams": "3"}, {"weightInGrams": 3}),
        (set[int], ["3", "1", 3], [1, 3]),
        (frozenset[date], ["2026-01-02T00:00:00"], ["2026-01-02"]),
        (dict[int, bool], {"1": "yes", "2": "no"}, {"1": True, "2": False}),
        (dict[int, list[int]], {"01": ["5"]}, {"01": [5]}),
        (
            Wrapped,
            {
                "colour": 2.0,
                "token": UUID.upper(),
                "days": ["2026-01-02T00:00:00"],
                "line": {"orderId": "1", "Price": "2"},
                "address": {"number": "3"},
                "parcel": {"weight": "4", "on": 0},
            },
            {
                "colour": 2,
                "token": UUID,
                "days": ["2026-01-02"],
                "line": {"orderId": 1, "Price": 2.0},
                "address": {"number": 3},
                "parcel": {"weight": 4, "on": "1970-01-01"},
            },
        ),
    ],
    ids=str,
)
def test_what_stands_inside_a_value_is_seen_as_it_is_delivered(hint, given, delivered):
    def refund(value):
        raise AssertionError("nothing is called")

    refund.__annotations__["value"] = hint
    found = settled(refund, value=given)
    assert exactly(found, {"value": delivered}), found


def test_defaults_are_filled_in_where_json_can_say_them():
    def refund(
        order: int,
        cents: int = 500,
        why: str | None = None,
        colour: Colour = Colour.BLUE,
        marks: list[int] = [1],  # noqa: B006 - as users write it
        unsaid: object = object(),
    ):
        raise AssertionError("nothing is called")

    assert settled(refund, order="1") == {"order": 1, "cents": 500, "why": None, "colour": 2, "marks": [1]}
    assert settled(refund, order="1", cents="7", why="late") == {"order": 1, "cents": 7, "why": "late", "colour": 2, "marks": [1]}


def test_a_default_of_pydantics_is_filled_in_under_the_name_that_a_model_knows():
    def refund(order: Annotated[int, Field(alias="orderId")], cents: int = Field(500, alias="inCents")):
        raise AssertionError("nothing is called")

    assert settled(refund, orderId="666") == {"orderId": 666, "inCents": 500}
    assert settled(refund, orderId="666", inCents="7") == {"orderId": 666, "inCents": 7}


def test_further_arguments_by_place_and_by_name_are_seen_as_they_are_delivered():
    def refund(order: int, *lines: int, **marks: bool):
        raise AssertionError("nothing is called")

    found = settled(refund, order="1", lines=["2", 3.0], urgent="yes")
    assert exactly(found, {"order": 1, "lines": [2, 3], "urgent": True}), found


def test_named_further_arguments_are_seen_as_they_are_delivered():
    def refund(**asked: typing_extensions.Unpack[Address]):
        raise AssertionError("nothing is called")

    assert exactly(settled(refund, number="7", private="yes"), {"number": 7, "private": True})


def hundredfold(value: int) -> int:
    return value * 100


def test_an_argument_that_would_be_read_as_something_else_stays_as_it_was_given():
    def refund(euros: Annotated[int, AfterValidator(hundredfold)], order: int = 1):
        raise AssertionError("nothing is called")

    parameters = tool(refund).parameters
    assert parameters.values({"euros": 5}) == {"euros": 500}
    assert settled(refund, euros=5) == {"euros": 5, "order": 1}
    assert settled(refund, euros="5", order="2") == {"euros": "5", "order": 2}


def above_nine(value: int) -> int:
    if value > 9:
        raise ValueError("too much")
    return value + 5


def without_commas(value: str) -> str:
    return value.replace(",", "")


def test_arguments_that_a_validator_cannot_be_given_as_it_made_them_stay_as_they_were_given():
    def refund(cents: Annotated[int, BeforeValidator(without_commas)]):
        raise AssertionError("nothing is called")

    assert settled(refund, cents="1,000") == {"cents": "1,000"}


class Vague(BaseModel):
    at: int = 0

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("nobody knows")


def test_arguments_that_cannot_be_compared_stay_as_they_were_given():
    def refund(vague: Vague):
        raise AssertionError("nothing is called")

    assert settled(refund, vague={"at": "1"}) == {"vague": {"at": "1"}}


def test_arguments_that_would_not_be_taken_again_stay_as_they_were_given():
    def refund(euros: Annotated[int, AfterValidator(above_nine)]):
        raise AssertionError("nothing is called")

    assert settled(refund, euros="8") == {"euros": "8"}


class Paid(BaseModel):
    euros: float
    more: list[float] = []


@pytest.mark.parametrize(
    ("given", "path"),
    [({"euros": "nan"}, "paid.euros"), ({"euros": "-inf"}, "paid.euros"), ({"euros": 1, "more": [2, "1e400"]}, "paid.more.1")],
)
def test_a_number_inside_a_model_that_is_not_finite_is_refused_by_its_path(given, path):
    def refund(paid: Paid):
        raise AssertionError("nothing is called")

    with pytest.raises(ArgumentsRefused) as refused:
        settled(refund, paid=given)
    assert refused.value.fields == ((path, "a finite number is needed"),)


def test_what_was_given_is_not_changed():
    def refund(lines: list[Address]):
        raise AssertionError("nothing is called")

    given: Any = {"lines": [{"number": "7"}]}
    settled(refund, **given)
    assert given == {"lines": [{"number": "7"}]}

"""Functions of every kind of signature, for the tests of schemas: each gives back what arrived."""

# ruff: noqa: B006, B008, E731, F722, F821, RUF013 - odd signatures are what this file is for

import functools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from ipaddress import IPv4Address
from pathlib import Path
from typing import (
    IO,
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    TextIO,
    TypedDict,
    TypeVar,
    Unpack,
)
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from segue.tools.schema import Parameters, parameters

Deps = TypeVar("Deps")
T = TypeVar("T")


class Context(Generic[Deps]):
    """Stands where `segue.Context` stands: the marker is handed in."""


def built(function: Callable[..., Any], **options: Any) -> Parameters:
    return parameters(function, context_type=Context, **options)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


class Unit(StrEnum):
    CELSIUS = "c"


class Item(BaseModel):
    id: int
    tags: list[str] = []


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: int


class Strictly(BaseModel):
    model_config = ConfigDict(strict=True)
    day: date
    point: tuple[int, int]


class Node(BaseModel):
    value: int
    children: list["Node"] = []


@dataclass
class Line:
    sku: str
    quantity: int = 1


@dataclass
class Order:
    lines: list[Line]
    placed: date | None = None
    notes: dict[str, str] = field(default_factory=dict)


class Address(TypedDict):
    street: str
    zip: NotRequired[str]


class Tree(TypedDict):
    name: str
    below: list["Tree"]


class Point(NamedTuple):
    x: int
    y: int = 0


class OddInner(BaseModel):
    when: Any = object()


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    good: bool


class Box(BaseModel, Generic[T]):
    inside: T


def even(number: int) -> int:
    if number % 2:
        raise ValueError("must be even")
    return number


Even = Annotated[int, AfterValidator(even)]
UserId = NewType("UserId", int)

STRING, INTEGER, NUMBER, BOOLEAN, NULL = ({"type": kind} for kind in ("string", "integer", "number", "boolean", "null"))
ADDRESS = {"properties": {"street": STRING, "zip": STRING}, "required": ["street"], "type": "object"}


# fmt: off
def text(a: str): return a
def whole(a: int): return a
def number(a: float): return a
def truth(a: bool): return a
def nothing(a: None): return a
def no_parameters(): return "called"
def untyped(a): return a
def untyped_default(a, b="not provided"): return a, b
def anything(a: Any): return a
def plain_object(a: object): return a
def defaulted(a: str, b: int = 3): return a, b
def implicit_optional(a: str = None): return a
def optional(a: int | None): return a
def optional_default(a: int | None = None): return a
def union(a: int | str): return a
def old_union(a: list[int] | str): return a
def date_or_text(a: date | str): return a
def strings(a: list[str]): return a
def bare_list(a: list): return a
def bare_dict(a: dict): return a
def counts(a: dict[str, int]): return a
def int_keys(a: dict[int, str]): return a
def mapping(a: Mapping[str, list[int]]): return a
def sequence(a: Sequence[float]): return a
def iterable(a: Iterable[int]): return a
def optional_iterable(a: Iterable[date] | None = None): return a
def bare_iterable(a: Iterable): return a
def described_optional(a: Annotated[str, "words"] = None): return a
def odd_inner_default(a: OddInner): return a
def a_set(a: set[int]): return a
def frozen(a: frozenset[str]): return a
def pair(a: tuple[int, str]): return a
def many(a: tuple[int, ...]): return a
def literal(a: Literal["x", "y"]): return a
def mixed_literal(a: Literal[1, "one", None]): return a
def enum(a: Colour): return a
def enum_default(a: Colour = Colour.BLUE): return a
def int_enum(a: Size): return a
def str_enum(a: Unit = Unit.CELSIUS): return a
def model(a: Item): return a
def models(a: list[Item]): return a
def generic_model(a: Box[date]): return a
def strict_model(a: Strictly): return a
def recursive(a: Node): return a
def order(a: Order): return a
def typed_dict(a: Address): return a
def recursive_typed_dict(a: Tree): return a
def named_tuple(a: Point): return a
def discriminated(a: Annotated[Cat | Dog, Field(discriminator="kind")]): return a
def model_union(a: Cat | Dog): return a
def a_datetime(a: datetime): return a
def a_date(a: date): return a
def a_time(a: time): return a
def a_duration(a: timedelta): return a
def uuid(a: UUID): return a
def decimal(a: Decimal): return a
def path(a: Path): return a
def address(a: IPv4Address): return a
def raw(a: bytes): return a
def secret(a: SecretStr): return a.get_secret_value()
def constrained(a: Annotated[int, Field(ge=1, le=9)]): return a
def described(a: Annotated[str, "the item's id"]): return a
def field_described(a: Annotated[str, "loses", Field(description="wins", max_length=3)]): return a
def field_default(a: int = Field(default=5, ge=1)): return a
def field_factory(a: list[int] = Field(default_factory=list)): return a
def annotated_default(a: Annotated[int, Field(default=7)]): return a
def aliased(from_: Annotated[str, Field(alias="from")]): return from_
def aliased_open(from_: Annotated[str, Field(alias="from")], **rest: str): return from_, rest
def validated(a: Even): return a
def new_type(a: UserId): return a
def type_variable(a: T): return a
def keyword_only(*, a: int, b: str = "x"): return a, b
def positional_only(a: int, b: int = 2, c: int = 3, /): return a, b, c
def all_kinds(a: int, /, b: int, *, c: int): return a, b, c
def starred(*numbers: int): return numbers
def starred_after(a: str, b: str = "b", *rest: date, c: int = 0): return a, b, rest, c
def starred_untyped(*words): return words
def keywords(**limits: int): return limits
def keywords_after(a: str, /, **rest: date): return a, rest
def keywords_untyped(**rest): return rest
def keywords_closed(**address: Unpack[Address]): return address
def everything(a: int, /, b: int = 2, *args: int, c: int = 3, **kwargs: int): return a, b, args, c, kwargs
def awkward(_x: int, schema: str, model_config: str, json: str, copy: str, self: str, validate: str, cls: str, __y: str): return _x, schema, model_config, json, copy, self, validate, cls, __y
def shadowing(dict: int, str: int, type: int, title: int, properties: int): return dict, str, type, title, properties
def json_default(a: dict[str, list[int]] = {"x": [1]}): return a
def odd_default(a: date = date(2026, 1, 2), b: float = float("inf"), c: tuple = (1,)): return a, b, c
def quoted(a: "list[Item]"): return a
def half_quoted(a: list["Item"]): return a
# fmt: on


class Shop:
    class Shelf(BaseModel):
        name: str

    def buy(self, sku: str):
        return self, sku

    def look(self, shelf: "Shelf"):
        return shelf

    @classmethod
    def open(cls, name: str):
        return cls, name

    @staticmethod
    def close(hard: bool = False):
        return hard

    def __call__(self, count: int):
        return self, count

    def __eq__(self, other):
        return type(other) is Shop

    __hash__ = None


def add(a: int, b: int, c: int = 0):
    return a, b, c


def loud(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


wrapped_partial = functools.partial(add, 1)
functools.update_wrapper(wrapped_partial, add)
lambda_: Callable[..., Any] = lambda a, b=1: (a, b)


# fmt: off
def ctx_last(a: str, ctx: Context): return a, ctx
def ctx_first(ctx: Context, a: str): return a, ctx
def ctx_deps(a: str, *, ctx: Context[dict]): return a, ctx
def ctx_optional(a: str, ctx: Context | None = None): return a, ctx
def ctx_old_optional(a: str, ctx: Context[int] | None = None): return a, ctx
def ctx_quoted(a: str, ctx: "Context[NotImported]"): return a, ctx
def ctx_not_imported(a: str, ctx: "segue.Context | None"): return a, ctx
def ctx_annotated(a: str, ctx: Annotated[Context, "mine"]): return a, ctx
def ctx_positional(ctx: Context, a: str, /): return a, ctx
def ctx_before_star(ctx: Context, a: str, *rest: str): return a, ctx
def ctx_between(a: str, ctx: Context, /, *rest: str): return a, ctx
def ctx_with_keywords(a: str, ctx: Context, **rest: str): return a, ctx


class Connection: ...


def callback(a: str, then: Callable[[int], int]): ...
def file(a: IO[str]): ...
def text_file(a: TextIO): ...
def generator(a: Generator[int, None, None]): ...
def iterator(a: Iterator[int]): ...
def connection(a: Connection): ...
def nested_connection(a: list[dict[str, Connection]]): ...
def connection_default(a: Connection | None = None): ...
def a_class(a: type[Item]): ...
def half_callable(a: int | Callable[[], int]): ...
def missing(a: "Nowhere"): ...
def not_a_type(a: 5): ...
def words_for_a_type(a: "the item's id"): ...
def starred_connection(*a: Connection): ...
def keyword_connection(**a: Connection): ...
def bad_constraint(a: Annotated[str, Field(discriminator="kind")]): ...
# fmt: on

"""Where the names in an annotation are found: this file's own annotations are all strings."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Generic, NewType, TypeVar

import pytest
import typing_extensions
from pydantic import BaseModel, Field

from segue.errors import ArgumentsRefused, UsageError
from segue.tools.schema import parameters
from segue.tools.signature import name_of

if TYPE_CHECKING:
    from somewhere import Agent, Elsewhere

Deps = TypeVar("Deps")


class Context(Generic[Deps]):
    pass


def built(function, **options):
    return parameters(function, context_type=Context, **options)


Known = typing_extensions.TypeAliasType("Known", Context[Any])
KnownOf = typing_extensions.TypeAliasType("KnownOf", Context[Deps], type_params=(Deps,))
KnownOrNone = typing_extensions.TypeAliasType("KnownOrNone", Known | None)
Own = NewType("Own", Context)
Some = TypeVar("Some", bound=Context)
Number = typing_extensions.TypeAliasType("Number", int)
OrderId = NewType("OrderId", int)


class Item(BaseModel):
    id: int


def take(item: Item, ctx: Context[Item] | None = None) -> Agent:
    return item


def take_elsewhere(ctx: Context[Elsewhere], a: int):
    return a


def take_unknown(a: Elsewhere):
    return a


class Shop:
    class Shelf(BaseModel):
        name: str

    def look(self, shelf: Shelf):
        return shelf

    list = None

    def count(self, shelves: list[Item]):
        return shelves


def loud(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def call(function, arguments):
    args, kwargs = built(function).bind(arguments)
    return function(*args, **kwargs)


def test_names_of_the_module_are_found_and_the_return_annotation_is_not_needed():
    assert call(take, {"item": {"id": 1}}) == Item(id=1)
    assert built(take).context == "ctx"


def test_a_context_of_a_type_that_is_not_imported_is_still_the_context():
    assert built(take_elsewhere).context == "ctx"


def test_a_type_that_is_not_imported_is_an_error_with_a_mend():
    with pytest.raises(UsageError, match=r"take_unknown: the annotation of parameter 'a' \(Elsewhere\) cannot be resolved") as caught:
        built(take_unknown)
    assert caught.value.parameter == "a"


def test_a_class_local_to_the_defining_function_is_found_while_that_runs():
    class Local(BaseModel):
        day: int

    def use(local: Local):
        return local

    assert call(use, {"local": {"day": 1}}) == Local(day=1)
    assert call(loud(use), {"local": {"day": 1}}) == Local(day=1)
    assert call(functools.partial(use), {"local": {"day": 1}}) == Local(day=1)


def test_a_local_class_is_found_through_the_frames_in_between():
    @dataclass
    class Line:
        sku: str

    @dataclass
    class Order:
        lines: list[Line]

    def outer():
        def use(order: Order):
            return order

        return list(map(call, [use], [{"order": {"lines": [{"sku": "x"}]}}]))

    assert outer() == [Order([Line("x")])]


def test_a_local_class_that_the_function_uses_is_found_after_its_frame_is_gone():
    def make():
        class Local(BaseModel):
            day: int

        def use(local: Local):
            return Local(day=local.day + 1)

        return use

    assert call(make(), {"local": {"day": 1}}).day == 2


def test_a_local_class_that_is_gone_is_an_error_with_a_mend():
    def make():
        class Local(BaseModel):
            day: int

        def use(local: Local):
            return local

        return use

    with pytest.raises(UsageError, match="make the agent in the function that defines the type"):
        built(make())


def test_a_name_of_a_caller_that_did_not_define_the_function_is_not_taken():
    Elsewhere = int  # noqa: F841

    with pytest.raises(UsageError):
        built(take_unknown)


def test_a_callable_object_of_a_local_class_finds_local_names():
    class Local(BaseModel):
        day: int

    class Tool:
        def __call__(self, local: Local):
            return local

    assert call(Tool(), {"local": {"day": 1}}) == Local(day=1)


def test_a_method_finds_the_names_of_its_class_and_builtins_win_over_them():
    assert call(Shop().look, {"shelf": {"name": "x"}}) == Shop.Shelf(name="x")
    assert call(Shop().count, {"shelves": [{"id": 1}]}) == [Item(id=1)]


def test_a_method_is_found_while_its_class_is_being_made():
    found = []

    class Shelf:
        class Book(BaseModel):
            name: str

        def put(self, book: Book): ...

        found.append(built(functools.partial(put, None)))

    assert list(found[0].schema["$defs"]) == ["Book"]


def test_a_closure_variable_that_is_not_set_yet_does_no_harm():
    def use(a: int):
        return later

    schema = built(use).schema
    later = schema["required"]
    assert later == ["a"]


def test_a_decorator_with_its_own_signature_is_believed():
    import inspect

    def use(*args, **kwargs):
        return kwargs

    use.__signature__ = inspect.Signature([inspect.Parameter("item", inspect.Parameter.KEYWORD_ONLY, annotation="Item")])
    assert call(use, {"item": {"id": 1}}) == {"item": Item(id=1)}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="PEP 695 is the grammar of Python 3.12")
def test_type_parameters_and_type_aliases_are_understood():
    names = {}
    exec("type Tree = dict[str, Tree | int]\ndef use[T: int](a: T, tree: 'Tree', b: 'T'): return a, tree, b", names)
    assert call(names["use"], {"a": "1", "b": "2", "tree": {"x": {"y": 1}}}) == (1, {"x": {"y": 1}}, 2)


@pytest.mark.parametrize(
    ("function", "name"),
    [(take, "take"), (loud(take), "take"), (functools.partial(take, 1), "take"), (Shop().look, "look"), (Shop, "Shop")],
)
def test_a_callable_is_called_what_its_author_called_it(function, name):
    assert name_of(function) == name


def test_a_callable_object_is_called_after_its_class():
    class Refund:
        def __call__(self): ...

    assert name_of(Refund()) == "Refund"


# ---- what only gives a type another name


def by_alias(ctx: Known, a: int): ...
def by_alias_of_something(ctx: KnownOf[Item], a: int): ...
def by_alias_of_an_alias(a: int, ctx: KnownOrNone = None): ...
def by_new_type(ctx: Own, a: int): ...
def by_variable(ctx: Some, a: int): ...
def by_annotated_alias(ctx: Annotated[Known, "what is known"], a: int): ...
def by_alias_or_none(ctx: Known | None, a: int): ...


@pytest.mark.parametrize(
    "function",
    [
        by_alias,
        by_alias_of_something,
        by_alias_of_an_alias,
        by_new_type,
        by_variable,
        by_annotated_alias,
        by_alias_or_none,
    ],
)
def test_a_context_by_another_name_is_still_the_context(function):
    made = built(function)
    assert made.context == "ctx"
    assert list(made.schema["properties"]) == ["a"]
    args, kwargs = made.bind({"a": 1}, context="what is known")
    assert (args, kwargs) == ((), {"a": 1, "ctx": "what is known"})


def test_another_name_of_another_type_is_an_argument():
    def use(a: Number, b: OrderId): ...

    made = built(use)
    assert (made.context, list(made.schema["properties"])) == (None, ["a", "b"])
    assert made.bind({"a": "1", "b": "2"}) == ((), {"a": 1, "b": 2})


# ---- fields that are defaults, and fields that are not


def test_a_field_that_says_no_default_is_required_though_it_stands_where_one_would():
    def use(amount: int = Field(ge=1), why: str = Field("none", max_length=9)):
        return amount, why

    made = built(use)
    assert made.schema["required"] == ["amount"]
    with pytest.raises(ArgumentsRefused) as refused:
        made.bind({})
    assert refused.value.fields == (("amount", "Field required"),)
    with pytest.raises(ArgumentsRefused, match="greater than or equal to 1"):
        made.bind({"amount": 0})
    assert call(use, {"amount": 2}) == (2, "none")


def test_a_field_without_a_default_may_have_a_name_of_its_own_and_stand_by_place():
    def use(amount: int = Field(ge=1, alias="inCents"), /):
        return amount

    assert built(use).schema["required"] == ["inCents"]
    assert call(use, {"inCents": "2"}) == 2
    with pytest.raises(ArgumentsRefused, match="inCents: Field required"):
        built(use).bind({})

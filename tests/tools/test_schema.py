"""What a signature becomes for a model, and what a model's arguments become for the function."""

import functools
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from tests.tools.signatures import (
    ADDRESS,
    BOOLEAN,
    INTEGER,
    NULL,
    NUMBER,
    STRING,
    Box,
    Cat,
    Colour,
    Dog,
    Item,
    Line,
    Node,
    OddInner,
    Order,
    Point,
    Shop,
    Size,
    Strictly,
    Unit,
    a_date,
    a_datetime,
    a_duration,
    a_set,
    a_time,
    add,
    address,
    aliased,
    aliased_open,
    all_kinds,
    annotated_default,
    anything,
    awkward,
    bare_dict,
    bare_iterable,
    bare_list,
    built,
    constrained,
    counts,
    date_or_text,
    decimal,
    defaulted,
    described,
    described_optional,
    discriminated,
    enum,
    enum_default,
    everything,
    field_default,
    field_described,
    field_factory,
    frozen,
    generic_model,
    half_quoted,
    implicit_optional,
    int_enum,
    int_keys,
    iterable,
    json_default,
    keyword_only,
    keywords,
    keywords_after,
    keywords_closed,
    keywords_untyped,
    lambda_,
    literal,
    loud,
    many,
    mapping,
    mixed_literal,
    model,
    model_union,
    models,
    named_tuple,
    new_type,
    no_parameters,
    nothing,
    number,
    odd_default,
    odd_inner_default,
    old_union,
    optional,
    optional_default,
    optional_iterable,
    order,
    pair,
    path,
    plain_object,
    positional_only,
    quoted,
    raw,
    recursive,
    recursive_typed_dict,
    secret,
    sequence,
    shadowing,
    starred,
    starred_after,
    starred_untyped,
    str_enum,
    strict_model,
    strings,
    text,
    truth,
    type_variable,
    typed_dict,
    union,
    untyped,
    untyped_default,
    uuid,
    validated,
    whole,
    wrapped_partial,
)

utc = UTC
# function, properties, required, arguments, what arrives
TABLE = [
    (text, {"a": STRING}, ["a"], {"a": "é"}, "é"),
    (whole, {"a": INTEGER}, ["a"], {"a": "5"}, 5),
    (whole, {"a": INTEGER}, ["a"], {"a": 10**30}, 10**30),
    (number, {"a": NUMBER}, ["a"], {"a": 5}, 5.0),
    (truth, {"a": BOOLEAN}, ["a"], {"a": True}, True),
    (nothing, {"a": NULL}, ["a"], {"a": None}, None),
    (no_parameters, {}, [], {}, "called"),
    (untyped, {"a": STRING}, ["a"], {"a": [1, {"b": 2.0}]}, [1, {"b": 2.0}]),
    (untyped_default, {"a": STRING, "b": {**STRING, "default": "not provided"}}, ["a"], {"a": "x"}, ("x", "not provided")),
    (anything, {"a": {}}, ["a"], {"a": {"k": [None]}}, {"k": [None]}),
    (plain_object, {"a": {}}, ["a"], {"a": 5}, 5),
    (defaulted, {"a": STRING, "b": {**INTEGER, "default": 3}}, ["a"], {"a": "x"}, ("x", 3)),
    (implicit_optional, {"a": {"anyOf": [STRING, NULL], "default": None}}, [], {"a": None}, None),
    (optional, {"a": {"anyOf": [INTEGER, NULL]}}, ["a"], {"a": None}, None),
    (optional_default, {"a": {"anyOf": [INTEGER, NULL], "default": None}}, [], {"a": 4}, 4),
    (union, {"a": {"anyOf": [INTEGER, STRING]}}, ["a"], {"a": "5"}, "5"),
    (old_union, {"a": {"anyOf": [{"type": "array", "items": INTEGER}, STRING]}}, ["a"], {"a": [1]}, [1]),
    (date_or_text, {"a": {"anyOf": [{**STRING, "format": "date"}, STRING]}}, ["a"], {"a": "2026-01-02"}, date(2026, 1, 2)),
    (strings, {"a": {"type": "array", "items": STRING}}, ["a"], {"a": ["x"]}, ["x"]),
    (bare_list, {"a": {"type": "array", "items": {}}}, ["a"], {"a": [1, "x"]}, [1, "x"]),
    (bare_dict, {"a": {"type": "object", "additionalProperties": True}}, ["a"], {"a": {"x": 1}}, {"x": 1}),
    (counts, {"a": {"type": "object", "additionalProperties": INTEGER}}, ["a"], {"a": {"x": 1}}, {"x": 1}),
    (int_keys, {"a": {"type": "object", "additionalProperties": STRING}}, ["a"], {"a": {"1": "x"}}, {1: "x"}),
    (mapping, {"a": {"type": "object", "additionalProperties": {"type": "array", "items": INTEGER}}}, ["a"], {"a": {"x": [1]}}, {"x": [1]}),
    (sequence, {"a": {"type": "array", "items": NUMBER}}, ["a"], {"a": [1]}, [1.0]),
    (iterable, {"a": {"type": "array", "items": INTEGER}}, ["a"], {"a": ["1"]}, [1]),
    (optional_iterable, {"a": {"anyOf": [{"type": "array", "items": {**STRING, "format": "date"}}, NULL], "default": None}}, [], {"a": ["2026-01-02"]}, [date(2026, 1, 2)]),
    (bare_iterable, {"a": {"type": "array", "items": {}}}, ["a"], {"a": [1, "x"]}, [1, "x"]),
    (described_optional, {"a": {"anyOf": [STRING, NULL], "default": None, "description": "words"}}, [], {"a": None}, None),
    (odd_inner_default, {"a": {"$ref": "#/$defs/OddInner"}}, ["a"], {"a": {"when": 1}}, OddInner(when=1)),
    (a_set, {"a": {"type": "array", "items": INTEGER, "uniqueItems": True}}, ["a"], {"a": [1, 1]}, {1}),
    (frozen, {"a": {"type": "array", "items": STRING, "uniqueItems": True}}, ["a"], {"a": ["x"]}, frozenset({"x"})),
    (pair, {"a": {"type": "array", "maxItems": 2, "minItems": 2, "prefixItems": [INTEGER, STRING]}}, ["a"], {"a": [1, "x"]}, (1, "x")),
    (many, {"a": {"type": "array", "items": INTEGER}}, ["a"], {"a": [1, 2]}, (1, 2)),
    (literal, {"a": {**STRING, "enum": ["x", "y"]}}, ["a"], {"a": "y"}, "y"),
    (mixed_literal, {"a": {"enum": [1, "one", None]}}, ["a"], {"a": None}, None),
    (enum, {"a": {"$ref": "#/$defs/Colour"}}, ["a"], {"a": "red"}, Colour.RED),
    (enum_default, {"a": {"$ref": "#/$defs/Colour", "default": "blue"}}, [], {}, Colour.BLUE),
    (int_enum, {"a": {"$ref": "#/$defs/Size"}}, ["a"], {"a": 2}, Size.LARGE),
    (str_enum, {"a": {"$ref": "#/$defs/Unit", "default": "c"}}, [], {"a": "c"}, Unit.CELSIUS),
    (model, {"a": {"$ref": "#/$defs/Item"}}, ["a"], {"a": {"id": "1", "tags": ["t"]}}, Item(id=1, tags=["t"])),
    (models, {"a": {"type": "array", "items": {"$ref": "#/$defs/Item"}}}, ["a"], {"a": [{"id": 1}]}, [Item(id=1)]),
    (generic_model, {"a": {"$ref": "#/$defs/Box_date_"}}, ["a"], {"a": {"inside": "2026-01-02"}}, Box[date](inside=date(2026, 1, 2))),
    (strict_model, {"a": {"$ref": "#/$defs/Strictly"}}, ["a"], {"a": {"day": "2026-01-02", "point": [1, 2]}}, Strictly(day=date(2026, 1, 2), point=(1, 2))),
    (recursive, {"a": {"$ref": "#/$defs/Node"}}, ["a"], {"a": {"value": 1, "children": [{"value": 2}]}}, Node(value=1, children=[Node(value=2)])),
    (order, {"a": {"$ref": "#/$defs/Order"}}, ["a"], {"a": {"lines": [{"sku": "x"}], "placed": "2026-01-02"}}, Order([Line("x", 1)], date(2026, 1, 2))),
    (typed_dict, {"a": {"$ref": "#/$defs/Address"}}, ["a"], {"a": {"street": "x"}}, {"street": "x"}),
    (recursive_typed_dict, {"a": {"$ref": "#/$defs/Tree"}}, ["a"], {"a": {"name": "x", "below": [{"name": "y", "below": []}]}}, {"name": "x", "below": [{"name": "y", "below": []}]}),
    (named_tuple, {"a": {"$ref": "#/$defs/Point"}}, ["a"], {"a": ["1", 2]}, Point(1, 2)),
    (discriminated, {"a": {"discriminator": {"mapping": {"cat": "#/$defs/Cat", "dog": "#/$defs/Dog"}, "propertyName": "kind"}, "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]}}, ["a"], {"a": {"kind": "dog", "good": True}}, Dog(kind="dog", good=True)),
    (model_union, {"a": {"anyOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]}}, ["a"], {"a": {"kind": "cat", "lives": 9}}, Cat(kind="cat", lives=9)),
    (a_datetime, {"a": {**STRING, "format": "date-time"}}, ["a"], {"a": "2026-01-02T03:04:05Z"}, datetime(2026, 1, 2, 3, 4, 5, tzinfo=utc)),
    (a_date, {"a": {**STRING, "format": "date"}}, ["a"], {"a": "2026-01-02"}, date(2026, 1, 2)),
    (a_time, {"a": {**STRING, "format": "time"}}, ["a"], {"a": "03:04"}, time(3, 4)),
    (a_duration, {"a": {**STRING, "format": "duration"}}, ["a"], {"a": "PT1M"}, timedelta(minutes=1)),
    (uuid, {"a": {**STRING, "format": "uuid"}}, ["a"], {"a": "12345678-1234-5678-1234-567812345678"}, UUID("12345678123456781234567812345678")),
    (decimal, None, ["a"], {"a": "19.90"}, Decimal("19.90")),
    (path, {"a": {**STRING, "format": "path"}}, ["a"], {"a": "a/b"}, Path("a/b")),
    (address, {"a": {**STRING, "format": "ipv4"}}, ["a"], {"a": "10.0.0.1"}, IPv4Address("10.0.0.1")),
    (raw, {"a": {**STRING, "format": "binary"}}, ["a"], {"a": "é"}, "é".encode()),
    (secret, {"a": {**STRING, "format": "password", "writeOnly": True}}, ["a"], {"a": "x"}, "x"),
    (constrained, {"a": {**INTEGER, "minimum": 1, "maximum": 9}}, ["a"], {"a": 9}, 9),
    (described, {"a": {**STRING, "description": "the item's id"}}, ["a"], {"a": "x"}, "x"),
    (field_described, {"a": {**STRING, "maxLength": 3, "description": "wins"}}, ["a"], {"a": "x"}, "x"),
    (field_default, {"a": {**INTEGER, "minimum": 1, "default": 5}}, [], {}, 5),
    (field_factory, {"a": {"type": "array", "items": INTEGER}}, [], {}, []),
    (annotated_default, {"a": {**INTEGER, "default": 7}}, [], {}, 7),
    (aliased, {"from": STRING}, ["from"], {"from": "x"}, "x"),
    (aliased_open, {"from": STRING}, ["from"], {"from": "x", "to": "y"}, ("x", {"to": "y"})),
    (validated, {"a": INTEGER}, ["a"], {"a": 4}, 4),
    (new_type, {"a": INTEGER}, ["a"], {"a": 4}, 4),
    (type_variable, {"a": {}}, ["a"], {"a": 4}, 4),
    (keyword_only, {"a": INTEGER, "b": {**STRING, "default": "x"}}, ["a"], {"a": 1}, (1, "x")),
    (positional_only, {"a": INTEGER, "b": {**INTEGER, "default": 2}, "c": {**INTEGER, "default": 3}}, ["a"], {"a": 1, "c": 9}, (1, 2, 9)),
    (all_kinds, {"a": INTEGER, "b": INTEGER, "c": INTEGER}, ["a", "b", "c"], {"c": 3, "b": 2, "a": 1}, (1, 2, 3)),
    (starred, {"numbers": {"type": "array", "items": INTEGER}}, [], {"numbers": ["1", 2]}, (1, 2)),
    (starred, {"numbers": {"type": "array", "items": INTEGER}}, [], {}, ()),
    (starred_after, {"a": STRING, "b": {**STRING, "default": "b"}, "rest": {"type": "array", "items": {**STRING, "format": "date"}}, "c": {**INTEGER, "default": 0}}, ["a"], {"a": "x", "rest": ["2026-01-02"], "c": 1}, ("x", "b", (date(2026, 1, 2),), 1)),
    (starred_untyped, {"words": {"type": "array", "items": STRING}}, [], {"words": ["x", 1]}, ("x", 1)),
    (keywords, {}, [], {"low": "1", "high": 2}, {"low": 1, "high": 2}),
    (keywords_after, {"a": STRING}, ["a"], {"a": "x", "day": "2026-01-02"}, ("x", {"day": date(2026, 1, 2)})),
    (keywords_untyped, {}, [], {"not an identifier": [1]}, {"not an identifier": [1]}),
    (keywords_closed, {"street": STRING, "zip": STRING}, ["street"], {"street": "x"}, {"street": "x"}),
    (everything, {"a": INTEGER, "b": {**INTEGER, "default": 2}, "args": {"type": "array", "items": INTEGER}, "c": {**INTEGER, "default": 3}}, ["a"], {"a": 1, "args": [7], "z": 5}, (1, 2, (7,), 3, {"z": 5})),
    (awkward, {name: INTEGER if name == "_x" else STRING for name in ("_x", "schema", "model_config", "json", "copy", "self", "validate", "cls", "__y")}, ["_x", "schema", "model_config", "json", "copy", "self", "validate", "cls", "__y"], {"_x": 1, **{name: name for name in ("schema", "model_config", "json", "copy", "self", "validate", "cls", "__y")}}, (1, "schema", "model_config", "json", "copy", "self", "validate", "cls", "__y")),
    (shadowing, dict.fromkeys(("dict", "str", "type", "title", "properties"), INTEGER), ["dict", "str", "type", "title", "properties"], {"dict": 1, "str": 2, "type": 3, "title": 4, "properties": 5}, (1, 2, 3, 4, 5)),
    (json_default, {"a": {"type": "object", "additionalProperties": {"type": "array", "items": INTEGER}, "default": {"x": [1]}}}, [], {}, {"x": [1]}),
    (odd_default, {"a": {**STRING, "format": "date"}, "b": NUMBER, "c": {"type": "array", "items": {}}}, [], {}, (date(2026, 1, 2), float("inf"), (1,))),
    (quoted, {"a": {"type": "array", "items": {"$ref": "#/$defs/Item"}}}, ["a"], {"a": [{"id": 1}]}, [Item(id=1)]),
    (half_quoted, {"a": {"type": "array", "items": {"$ref": "#/$defs/Item"}}}, ["a"], {"a": [{"id": 1}]}, [Item(id=1)]),
    (Shop().buy, {"sku": STRING}, ["sku"], {"sku": "x"}, (Shop(), "x")),
    (Shop().look, {"shelf": {"$ref": "#/$defs/Shelf"}}, ["shelf"], {"shelf": {"name": "x"}}, Shop.Shelf(name="x")),
    (Shop.open, {"name": STRING}, ["name"], {"name": "x"}, (Shop, "x")),
    (Shop.close, {"hard": {**BOOLEAN, "default": False}}, [], {"hard": True}, True),
    (Shop(), {"count": INTEGER}, ["count"], {"count": 2}, (Shop(), 2)),
    (Line, {"sku": STRING, "quantity": {**INTEGER, "default": 1}}, ["sku"], {"sku": "x", "quantity": 2}, Line("x", 2)),
    (functools.partial(add, 1), {"b": INTEGER, "c": {**INTEGER, "default": 0}}, ["b"], {"b": 2}, (1, 2, 0)),
    (functools.partial(add, b=2), {"a": INTEGER, "c": {**INTEGER, "default": 0}}, ["a"], {"a": 1, "c": 3}, (1, 2, 3)),
    (functools.partial(functools.partial(add, 1), c=3), {"b": INTEGER}, ["b"], {"b": 2}, (1, 2, 3)),
    (wrapped_partial, {"b": INTEGER, "c": {**INTEGER, "default": 0}}, ["b"], {"b": 2}, (1, 2, 0)),
    (functools.partial(Shop().buy), {"sku": STRING}, ["sku"], {"sku": "x"}, (Shop(), "x")),
    (loud(date_or_text), {"a": {"anyOf": [{**STRING, "format": "date"}, STRING]}}, ["a"], {"a": "x"}, "x"),
    (functools.lru_cache(text), {"a": STRING}, ["a"], {"a": "x"}, "x"),
    (lambda_, {"a": STRING, "b": {**STRING, "default": 1}}, ["a"], {"a": "x"}, ("x", 1)),
]  # fmt: skip


def kinds(value: Any) -> Any:
    """The types in a value, all the way down: 1, 1.0 and True are equal, and not the same."""
    if isinstance(value, dict):
        return {key: (type(key), kinds(inner)) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value), [kinds(inner) for inner in value]
    return type(value)


@pytest.mark.parametrize(
    ("function", "properties", "required", "arguments", "arrives"), TABLE, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_signature_is_shown_as_its_schema_and_gets_its_own_types(function, properties, required, arguments, arrives):
    found = built(function)
    schema = json.loads(json.dumps(found.schema))
    assert schema["type"] == "object"
    if properties is not None:
        assert schema["properties"] == properties
        assert list(schema["properties"]) == list(properties)
    assert schema["required"] == required
    assert schema.keys() - {"$defs"} == {"type", "properties", "required", "additionalProperties"}
    args, kwargs = found.bind(json.loads(json.dumps(arguments)))
    result = function(*args, **kwargs)
    assert result == arrives
    assert kinds(result) == kinds(arrives)


def test_the_table_is_as_long_as_promised():
    assert len(TABLE) >= 60


@pytest.mark.parametrize(
    ("function", "further"),
    [
        (text, False),
        (no_parameters, False),
        (keywords, INTEGER),
        (keywords_untyped, True),
        (keywords_closed, False),
        (keywords_after, {**STRING, "format": "date"}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_further_keys_are_for_functions_with_keyword_arguments_only(function, further):
    assert built(function).schema["additionalProperties"] == further


def test_definitions_hold_what_is_nested_without_titles():
    assert built(order).schema["$defs"] == {
        "Line": {"type": "object", "properties": {"sku": STRING, "quantity": {**INTEGER, "default": 1}}, "required": ["sku"]},
        "Order": {
            "type": "object",
            "properties": {
                "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
                "placed": {"anyOf": [{**STRING, "format": "date"}, NULL], "default": None},
                "notes": {"type": "object", "additionalProperties": STRING},
            },
            "required": ["lines"],
        },
    }
    assert built(typed_dict).schema["$defs"] == {"Address": ADDRESS}


def test_a_property_called_title_keeps_its_place():
    class Book(BaseModel):
        title: str

    def lend(book: Book): ...

    assert built(lend).schema["$defs"]["Book"] == {"type": "object", "properties": {"title": STRING}, "required": ["title"]}


def test_descriptions_come_from_annotations_first_and_from_the_docstring_then():
    def refund(item_id: Annotated[str, "from the annotation"], reason: Annotated[str, Field(description="from the field")], note: str = ""):
        """Refund.

        Args:
            item_id: from the docstring
            reason: from the docstring
            note: from the docstring
            ghost: nobody
        """

    shown = built(refund).schema["properties"]
    assert {name: field["description"] for name, field in shown.items()} == {
        "item_id": "from the annotation",
        "reason": "from the field",
        "note": "from the docstring",
    }


def test_a_default_in_the_schema_is_a_copy():
    built(json_default).schema["properties"]["a"]["default"]["x"].append(2)
    assert json_default() == {"x": [1]}


def test_an_argument_that_is_not_given_is_not_passed():
    assert built(defaulted).bind({"a": "x"}) == ((), {"a": "x"})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_any_json_value_arrives_as_it_was_sent(value):
    _, kwargs = UNTYPED.bind({"a": value})
    assert kwargs == {"a": value}
    assert kinds(kwargs) == kinds({"a": value})


UNTYPED = built(untyped)

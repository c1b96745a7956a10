"""The strict subset, keyword by keyword."""

import pytest

from segue.tools.strict import MAX_CHOICES, MAX_LEVELS, MAX_PROPERTIES, fits_strict, misfit


def having(inner, **more):
    return {"type": "object", "properties": {"a": inner}, "required": ["a"], "additionalProperties": False, **more}


def nested(levels):
    schema = {"type": "string"}
    for _ in range(levels):
        schema = having(schema)
    return schema


FITS = [
    {"type": "string"},
    {"type": "string", "description": "words", "pattern": "^a", "format": "date-time"},
    {"type": "string", "enum": ["a", "b"]},
    {"type": "string", "const": "a"},
    {"type": "integer", "minimum": 1, "exclusiveMaximum": 5, "multipleOf": 2},
    {"type": "boolean"},
    {"type": "null"},
    {"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 2},
    {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "words"},
    having({"type": "string"}),
]

MISFITS = [
    ({}, "a", "it has no single type"),
    ({"enum": ["a", 1]}, "a", "it has no single type"),
    ({"type": ["string", "null"]}, "a", "it has no single type"),
    ({"type": "string", "default": "x"}, "a", "it is optional"),
    ({"anyOf": [{"type": "string"}], "default": None}, "a", "it is optional"),
    ({"type": "string", "minLength": 1}, "a", "'minLength' is not supported"),
    ({"type": "string", "format": "path"}, "a", "the format 'path' is not supported"),
    ({"type": "array"}, "a", "its items have no type"),
    ({"type": "array", "items": {}}, "a.[]", "it has no single type"),
    ({"type": "array", "items": {"type": "string"}, "uniqueItems": True}, "a", "'uniqueItems' is not supported"),
    ({"type": "array", "prefixItems": []}, "a", "'prefixItems' is not supported"),
    ({"oneOf": [{"type": "string"}]}, "a", "it has no single type"),
    ({"anyOf": [{"type": "string"}, {}]}, "a", "it has no single type"),
    ({"anyOf": [{"type": "string"}], "oneOf": []}, "a", "'oneOf' is not supported"),
    ({"type": "object", "properties": {}, "required": []}, "a", "it allows further keys"),
    ({"type": "object", "additionalProperties": {"type": "string"}}, "a", "it allows further keys"),
    ({"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": False}, "a.b", "it is optional"),
    ({"type": "string", "enum": [str(n) for n in range(MAX_CHOICES + 1)]}, "a", "it has more than 500 choices"),
    ({"$ref": "#/$defs/Item", "description": "words"}, "a", "a reference with a description or default beside it is not supported"),
]


@pytest.mark.parametrize("inner", FITS)
def test_what_lies_in_the_subset_fits(inner):
    assert misfit(having(inner)) is None
    assert fits_strict(having(inner)) is True


@pytest.mark.parametrize(("inner", "path", "reason"), MISFITS)
def test_what_lies_outside_is_named_with_its_place(inner, path, reason):
    assert misfit(having(inner)) == (path, reason)
    assert fits_strict(having(inner)) is False


def test_definitions_are_judged_where_they_are_used():
    item = {"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": False}
    assert misfit(having({"$ref": "#/$defs/Item"}, **{"$defs": {"Item": item}})) == ("a.b", "it is optional")
    assert misfit(having({"$ref": "#/$defs/Item"}, **{"$defs": {"Item": item | {"required": ["b"]}}})) is None


def test_a_definition_that_names_itself_is_judged_once():
    node = having({"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]})
    assert misfit(having({"$ref": "#/$defs/Node"}, **{"$defs": {"Node": node}})) is None


def test_levels_and_properties_have_a_limit():
    assert fits_strict(nested(MAX_LEVELS))
    assert misfit(nested(MAX_LEVELS + 1)).reason == "it is nested deeper than 5 levels"
    names = [f"p{n}" for n in range(MAX_PROPERTIES + 1)]
    wide = {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": names, "additionalProperties": False}
    assert misfit(wide) == ("", "it has more than 100 properties")

"""What is hidden from a model, what is refused of its arguments, and what cannot be a tool at all."""

import functools
from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from segue.errors import ArgumentsRefused, UsageError
from segue.tools.schema import refusal
from segue.tools.strict import clean_schema
from tests.tools.signatures import (
    Closed,
    Connection,
    Context,
    Shop,
    a_class,
    add,
    aliased,
    anything,
    bad_constraint,
    built,
    callback,
    connection,
    connection_default,
    constrained,
    counts,
    ctx_annotated,
    ctx_before_star,
    ctx_between,
    ctx_deps,
    ctx_first,
    ctx_last,
    ctx_not_imported,
    ctx_old_optional,
    ctx_optional,
    ctx_positional,
    ctx_quoted,
    ctx_with_keywords,
    defaulted,
    discriminated,
    enum,
    file,
    generator,
    half_callable,
    int_keys,
    iterator,
    keyword_connection,
    keywords,
    literal,
    missing,
    model,
    nested_connection,
    no_parameters,
    not_a_type,
    starred,
    starred_connection,
    text,
    text_file,
    truth,
    union,
    validated,
    words_for_a_type,
)

CONTEXTUAL = [
    ctx_last,
    ctx_first,
    ctx_deps,
    ctx_optional,
    ctx_old_optional,
    ctx_quoted,
    ctx_not_imported,
    ctx_annotated,
    ctx_positional,
    ctx_before_star,
    ctx_between,
    ctx_with_keywords,
]


@pytest.mark.parametrize("function", CONTEXTUAL)
def test_a_context_is_put_in_its_place_and_hidden(function):
    found = built(function)
    assert found.context == "ctx"
    assert "ctx" not in found.schema["properties"]
    marker = Context()
    args, kwargs = found.bind({"a": "x"}, context=marker)
    assert function(*args, **kwargs) == ("x", marker)


@pytest.mark.parametrize("function", CONTEXTUAL)
def test_a_context_that_a_model_sends_is_refused_as_unknown(function):
    with pytest.raises(ArgumentsRefused) as caught:
        built(function).bind({"a": "x", "ctx": "mine"}, context=Context())
    assert caught.value.fields[0][0] == "ctx"
    assert "Unknown argument" in caught.value.fields[0][1]


def test_context_variables_get_the_dictionary_itself():
    def greet(name: str, context_variables: dict):
        return context_variables

    found = built(greet)
    assert found.context_variables is True
    assert list(found.schema["properties"]) == ["name"]
    shared = {"user": "x"}
    assert found.bind({"name": "n"}, context_variables=shared)[1]["context_variables"] is shared
    assert found.bind({"name": "n"})[1]["context_variables"] == {}
    with pytest.raises(ArgumentsRefused, match="Unknown argument; greet takes name"):
        found.bind({"name": "n", "context_variables": {}})


def test_a_local_variable_called_context_variables_is_no_parameter():
    def greet(name: str):
        context_variables = {"name": name}
        return len(context_variables)

    assert built(greet).context_variables is False


def test_a_parameter_whose_type_only_sounds_like_the_context_is_no_context():
    class MyContext(BaseModel):
        a: int

    def use(ctx: MyContext): ...

    assert built(use).context is None


def test_two_contexts_are_one_too_many():
    def use(one: Context, two: Context): ...

    with pytest.raises(UsageError, match="'one' and 'two'"):
        built(use)


def test_a_starred_context_is_refused():
    def use(*ctx: Context): ...

    with pytest.raises(UsageError, match="cannot take the context"):
        built(use)


@pytest.mark.parametrize("key", ["b", "a", "from_"])
def test_what_is_fixed_or_aliased_does_not_come_in_as_a_further_key(key):
    def open_ended(a: int, from_: Annotated[str, Field(alias="from")] = "", b: int = 0, **rest: int): ...

    with pytest.raises(ArgumentsRefused, match=f"{key}: Unknown argument"):
        built(functools.partial(open_ended, a=1, b=2)).bind({key: 5})


REFUSED = [
    (defaulted, {}, [("a", "Field required")]),
    (defaulted, {"a": 1}, [("a", "Input should be a valid string")]),
    (defaulted, {"a": None, "b": "x"}, [("a", "Input should be a valid string"), ("b", "Input should be a valid integer, unable to parse string as an integer")]),
    (defaulted, {"a": "x", "c": 1}, [("c", "Unknown argument; defaulted takes a, b")]),
    (no_parameters, {"c": 1}, [("c", "Unknown argument; no_parameters takes no arguments")]),
    (model, {"a": {"tags": [1]}}, [("a.id", "Field required"), ("a.tags.0", "Input should be a valid string")]),
    (model, {"a": "x"}, [("a", "Input should be an object")]),
    (union, {"a": []}, [("a", "Input should be a valid integer"), ("a", "Input should be a valid string")]),
    (discriminated, {"a": {"kind": "cat"}}, [("a.lives", "Field required")]),
    (discriminated, {"a": {"kind": "cow"}}, [("a", "Input tag 'cow' found using 'kind' does not match any of the expected tags: 'cat', 'dog'")]),
    (int_keys, {"a": {"x": "y"}}, [("a.x.[key]", "Input should be a valid integer, unable to parse string as an integer")]),
    (constrained, {"a": 50}, [("a", "Input should be less than or equal to 9")]),
    (validated, {"a": 3}, [("a", "Value error, must be even")]),
    (enum, {"a": "green"}, [("a", "Input should be 'red' or 'blue'")]),
    (literal, {"a": "z"}, [("a", "Input should be 'x' or 'y'")]),
    (starred, {"numbers": [1, "x"]}, [("numbers.1", "Input should be a valid integer, unable to parse string as an integer")]),
    (keywords, {"low": "x"}, [("low", "Input should be a valid integer, unable to parse string as an integer")]),
    (aliased, {"from_": "x"}, [("from", "Field required"), ("from_", "Unknown argument; aliased takes from")]),
    (truth, {"a": 2}, [("a", "Input should be a valid boolean, unable to interpret input")]),
    (functools.partial(add, b=2), {"a": 1, "b": 3}, [("b", "Unknown argument; add takes a, c")]),
    (Shop().buy, {"self": 1, "sku": "x"}, [("self", "Unknown argument; buy takes sku")]),
    (text, {"a": "\ud800"}, None),
]  # fmt: skip


@pytest.mark.parametrize(("function", "arguments", "fields"), REFUSED)
def test_what_does_not_fit_is_told_field_by_field(function, arguments, fields):
    with pytest.raises(ArgumentsRefused) as caught:
        built(function).bind(arguments)
    if fields is not None:
        assert list(caught.value.fields) == fields
    for path, words in caught.value.fields:
        assert f"{path}: {words}" if path else words in str(caught.value)


def test_the_refusal_that_a_model_reads_says_that_nothing_ran():
    with pytest.raises(ArgumentsRefused) as caught:
        built(defaulted, name="refund").bind({"b": 1})
    assert str(caught.value) == "refund was not run, its arguments do not fit:\na: Field required"


def test_a_long_list_of_misfits_is_cut_with_a_mark():
    with pytest.raises(ArgumentsRefused) as caught:
        built(starred).bind({"numbers": ["x"] * 50})
    assert len(caught.value.fields) == 21
    assert caught.value.fields[-1] == ("", "and 30 more")


def test_a_validator_that_breaks_is_a_refusal_and_not_a_crash():
    class Broken(BaseModel):
        a: int

        @field_validator("a")
        @classmethod
        def check(cls, value: int) -> int:
            raise KeyError("gone")

    def use(broken: Broken): ...

    with pytest.raises(ArgumentsRefused) as caught:
        built(use).bind({"broken": {"a": 1}})
    assert caught.value.fields == (("", "KeyError: 'gone'"),)


def test_a_validators_own_words_reach_the_model():
    def fail(value: str) -> str:
        raise PydanticCustomError("stock", "there are only {count} left", {"count": 3})

    def use(sku: Annotated[str, AfterValidator(fail)]): ...

    with pytest.raises(ArgumentsRefused, match="sku: there are only 3 left"):
        built(use).bind({"sku": "x"})


def test_a_refusal_without_the_arguments_keeps_the_whole_location():
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(dict[str, int | bool]).validate_json('{"a": "x"}')
    assert [path for path, _ in refusal(caught.value).fields] == ["a.int", "a.bool"]


def test_clean_schema_takes_titles_out_and_leaves_properties_called_title():
    schema = {"title": "T", "properties": {"title": {"title": "Title", "type": "string"}}, "anyOf": [{"title": "A"}]}
    assert clean_schema(schema) == {"properties": {"title": {"type": "string"}}, "anyOf": [{}]}


@pytest.mark.parametrize(
    ("function", "parameter"),
    [(callback, "then")]
    + [(each, "a") for each in (file, text_file, generator, iterator, connection, nested_connection, connection_default, a_class)]
    + [
        (each, "a")
        for each in (half_callable, missing, not_a_type, words_for_a_type, starred_connection, keyword_connection, bad_constraint)
    ],
)
def test_what_a_model_cannot_give_is_an_error_when_the_tool_is_made(function, parameter):
    with pytest.raises(UsageError) as caught:
        built(function)
    words = str(caught.value)
    assert words.startswith(f"{function.__name__}: ")
    assert f"parameter {parameter!r}" in words
    assert (caught.value.function, caught.value.parameter) == (function.__name__, parameter)
    assert "Annotate" in words or "define the type" in words


def test_what_cannot_be_given_may_be_fixed_by_a_partial():
    def query(sql: str, on: Connection):
        return sql, on

    found = built(functools.partial(query, on=Connection()))
    assert list(found.schema["properties"]) == ["sql"]


def test_two_parameters_under_one_alias_are_an_error():
    def use(a: Annotated[int, Field(alias="x")], b: Annotated[str, Field(alias="x")]): ...

    with pytest.raises(UsageError, match="parameters 'a' and 'b' would both be given as 'x'"):
        built(use)


def test_a_type_that_fails_only_now_and_then_is_still_a_usage_error():
    class Moody:
        calls = 0

        @classmethod
        def __get_pydantic_core_schema__(cls, source, handler):
            cls.calls += 1
            if cls.calls == 1:
                raise RuntimeError("not today")
            return handler(int)

    def use(a: Moody): ...

    with pytest.raises(UsageError, match="use: its parameters have no JSON schema: not today"):
        built(use)


class Unreadable:
    __signature__ = 5

    def __call__(self): ...


def test_a_callable_without_a_readable_signature_names_the_mend():
    with pytest.raises(UsageError, match="Wrap it in a function of your own"):
        built(Unreadable())


def test_strict_is_on_only_where_the_schema_fits_as_it_is():
    def fits(a: str, b: int | None, c: list[Closed], d: Literal["x"]): ...

    assert built(fits).strict is True
    assert built(fits, strict=False).strict is False
    assert built(fits, strict=True).strict is True
    assert built(defaulted).strict is False
    assert built(no_parameters).strict is True


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (defaulted, "parameter 'b': it is optional"),
        (counts, "parameter 'a': it allows further keys"),
        (keywords, "the signature: it allows further keys"),
        (model, "parameter 'a.tags': it is optional"),
        (anything, "parameter 'a': it has no single type"),
    ],
)
def test_forced_strict_names_function_parameter_and_mend(function, words):
    with pytest.raises(UsageError) as caught:
        built(function, strict=True)
    assert str(caught.value).startswith(f"{function.__name__}: strict=True does not fit {words}")
    assert "strict=None" in str(caught.value)


def test_forcing_strict_never_bends_the_schema():
    def fits(a: str): ...

    assert built(fits, strict=True).schema == built(fits, strict=False).schema

"""Users' functions that are no tools: each parameter gets what it asks for, or the function is refused when it is taken in."""

import functools
from typing import Any, NewType, TypeVar

import pytest
import typing_extensions

from segue.agent import Agent, guard, handoff
from segue.errors import UsageError
from segue.tools.context import Context
from segue.tools.functions import fitted
from segue.tools.tool import tool

CTX = Context({"a": 1})


class Order:
    pass


def unwrapped(function):
    return lambda *args, **named: function(*args, **named)


def wrapped(function):
    @functools.wraps(function)
    def inner(*args, **named):
        return function(*args, **named)

    return inner


def as_documented(context, text):
    return text, context


def turned(text: str, ctx: Context):
    return text, ctx


def as_words(text: str, ctx: "Context[Order]"):
    return text, ctx


def by_name(text, ctx):
    return text, ctx


def optional(text, limit=3, ctx: Context | None = None):
    return text, ctx


def by_keyword(text, /, limit=3, *, ctx: Context):
    return text, ctx


Known = typing_extensions.TypeAliasType("Known", Context[Any])
Own = NewType("Own", Context)
Some = TypeVar("Some", bound=Context)


def by_alias(text, ctx: Known):
    return text, ctx


def by_alias_in_words(text, ctx: "Known | None" = None):
    return text, ctx


def by_new_type(text: str, ctx: Own):
    return text, ctx


def by_variable(text, ctx: Some):
    return text, ctx


def either(ctx: object, text: str):
    return text, ctx


def any_kind(ctx: Any, text: Any):
    return text, ctx


def one_and_more(context, text, limit=3):
    return text, context


def the_rest(ctx: Context, *rest):
    return rest[0], ctx


class Strict:
    def __call__(self, text: str, ctx: Context):
        return text, ctx

    def method(self, text: str, ctx: Context):
        return text, ctx


BOTH = [as_documented, turned, as_words, by_name, optional, by_keyword, either, any_kind, one_and_more, the_rest]
OTHERWISE_NAMED = [by_alias, by_alias_in_words, by_new_type, by_variable]
BOTH += [*OTHERWISE_NAMED, Strict(), Strict().method, wrapped(turned), functools.partial(turned)]


@pytest.mark.parametrize("function", BOTH)
def test_a_guard_gets_the_text_as_its_text_and_the_context_as_its_context_wherever_they_stand(function):
    assert guard("input")(function).function(CTX, "T") == ("T", CTX)


@pytest.mark.parametrize(
    ("function", "seen"),
    [
        (lambda: "nothing", "nothing"),
        (lambda text: text, "T"),
        (lambda ctx: ctx, "T"),
        (lambda text, *, limit=3: (text, limit), ("T", 3)),
        (lambda text, context_variables: (text, context_variables), ("T", {"a": 1})),
        (functools.partial(lambda text, limit: (text, limit), limit=5), ("T", 5)),
    ],
)
def test_a_guard_of_one_parameter_gets_what_is_guarded(function, seen):
    assert guard("input")(function).function(CTX, "T") == seen


def test_an_optional_parameter_beside_an_annotated_text_keeps_its_default():
    def long(text: str, limit: int = 12):
        return text, limit

    assert guard("input")(long).function(CTX, "T") == ("T", 12)


def text_first(text: str, other):
    pass


def two_contexts(a: Context, b: Context):
    pass


def unresolved(text, c: "Nowhere"):  # noqa: F821
    pass


def optional_text(ctx: Context, text=""):
    pass


REFUSED = [
    (text_first, "'text' would get the context by its place"),
    (two_contexts, "both ask for the context"),
    (unresolved, "cannot be resolved"),
    (optional_text, "is 'text' to get the text"),
    (unwrapped(turned), "use functools.wraps"),
    (lambda text, limit=3: None, "make what has a default keyword-only"),
    (lambda text=None: None, "it cannot be told"),
    (lambda a, b, c: None, "nothing is given for its parameter 'c'"),
    (lambda text, *, must: None, "nothing is given for its parameter 'must'"),
    (Strict.method, "method without its object"),
    (3, "give a function of"),
]


@pytest.mark.parametrize(("function", "words"), REFUSED)
def test_a_guard_of_which_it_cannot_be_told_what_it_would_look_at_is_refused_when_it_is_marked(function, words):
    with pytest.raises(UsageError, match=words):
        guard("input")(function)


def test_every_function_that_is_given_the_context_gets_it_by_the_same_rule():
    def view(messages: list, ctx: Context):
        return messages, ctx

    def approve(ctx: Context, arguments: dict):
        return arguments, ctx

    def instructions(*, ctx: Context):
        return ctx

    made = Agent("A", instructions=instructions, view=view)
    assert made.instructions(CTX) is CTX
    assert made.view(CTX, ["m"]) == (["m"], CTX)
    assert handoff("B", when=instructions, view=view).when(CTX) is CTX
    assert handoff("B", view=view).view(CTX, ["m"]) == (["m"], CTX)
    assert tool(approve=approve)(Strict().method).approve({"a": 1}, CTX) == ({"a": 1}, CTX)
    assert tool(approve=lambda arguments: arguments)(Strict().method).approve({"a": 1}, CTX) == {"a": 1}


@pytest.mark.parametrize("function", OTHERWISE_NAMED)
def test_a_function_that_asks_for_the_context_by_another_name_gets_it_and_nothing_in_its_place(function):
    assert tool(approve=function)(Strict().method).approve({"a": 1}, CTX) == ({"a": 1}, CTX)
    assert handoff("B", view=function).view(CTX, ["m"]) == (["m"], CTX)
    assert guard("tool")(function).function(CTX, "call") == ("call", CTX)


def test_a_default_is_never_overwritten_with_the_context():
    assert handoff("B", when=lambda closed=False: closed).when(CTX) is False


def test_reconcile_is_given_the_key_and_no_context():
    with pytest.raises(UsageError, match="no context is given to it"):
        tool(reconcile=turned)(Strict().method)


def test_a_function_that_takes_what_is_given_stays_itself_and_a_fitted_one_is_not_fitted_again():
    assert fitted(as_documented, "here", "context", "text") is as_documented
    made = fitted(turned, "here", "context", "text")
    assert fitted(made, "there", "context", "text") is made
    assert (made.__qualname__, repr(made)) == ("turned", repr(turned))


def test_a_partial_that_was_dressed_as_its_function_takes_what_is_left_of_it():
    def within(limit, text):
        return limit, text

    made = functools.update_wrapper(functools.partial(within, 5), within)
    assert fitted(made, "guard within", "context", "text")(CTX, "Hi") == (5, "Hi")

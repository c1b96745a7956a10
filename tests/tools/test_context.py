"""The context that functions are given: its values are a copy that says so."""

import copy
import json
import pickle
from collections.abc import Mapping

import pytest

from segue.errors import UsageError
from segue.tools.context import Context


def put(values):
    values["a"] = 1


def put_more(values):
    values |= {"a": 1}


def take(values):
    del values["a"]


CHANGES = [put, put_more, take, lambda v: v.update(a=1), lambda v: v.update({"a": 1}), lambda v: v.setdefault("a", 1), lambda v: v.pop("a")]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_values_is_refused_with_words_that_name_what_changes_the_context(change):
    with pytest.raises(UsageError, match=r"Write ctx\.set\(a=\.\.\.\)"):
        change(Context({"a": 0}).values)


@pytest.mark.parametrize("change", [lambda v: v.clear(), lambda v: v.popitem(), lambda v: v.update([("a", 1)])])
def test_a_change_without_a_name_is_refused_as_well(change):
    with pytest.raises(UsageError, match=r"ctx\.set\("):
        change(Context({"a": 0}).values)


def test_the_values_are_a_dictionary_in_all_else():
    values = Context({"a": [1], "b": "x"}).values
    assert isinstance(values, Mapping)
    assert values == {"a": [1], "b": "x"}
    assert json.loads(json.dumps(values)) == {**values}
    for other in (copy.copy(values), copy.deepcopy(values), pickle.loads(pickle.dumps(values)), values | {}, dict(values)):
        other["c"] = 1
        assert other == {"a": [1], "b": "x", "c": 1}


def test_what_stands_in_the_values_is_a_copy_and_what_is_set_is_seen():
    kept = {"a": [1]}
    context = Context(kept)
    context.values["a"].append(2)
    context.set(b=2)
    assert (kept, context.values) == ({"a": [1]}, {"a": [1], "b": 2})

import pytest

from segue.core.events import Started
from segue.core.messages import NOTHING, Reply, Usage


def test_usage_adds_up():
    assert Usage(1, 2, 3, 4).plus(Usage(10, 20, 30, 40)) == Usage(11, 22, 33, 44)


def test_cached_and_reasoning_tokens_are_parts_and_not_counted_again():
    assert Usage(input=10, output=5, cached=8, reasoning=4).total == 15


def test_the_shared_empty_dictionary_stays_empty_whatever_is_done_to_it():
    for change in (
        lambda shared: shared.__setitem__("a", 1),
        lambda shared: shared.update(a=1),
        lambda shared: shared.setdefault("a", 1),
        lambda shared: shared.__ior__({"a": 1}),
    ):
        with pytest.raises(TypeError, match="shared"):
            change(NOTHING)
    assert NOTHING == {}
    assert {**NOTHING, "a": 1} == {"a": 1}
    assert hash(NOTHING) == hash(NOTHING)


def test_what_is_not_given_is_nothing():
    assert Reply() == Reply(None, (), "", None, Usage(), "", {}, "")
    assert Started("c", "Triage").context is NOTHING

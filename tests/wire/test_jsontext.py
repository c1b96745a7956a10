"""JSON over the wire, with what providers and tools put into it."""

from datetime import date

import pytest

from segue.errors import UsageError
from segue.wire.jsontext import dumps, loads, object_text, sendable


def test_half_a_surrogate_pair_is_replaced_before_it_leaves():
    assert loads(dumps({"a\ud800": ["x\udc00y", ("\ud83c\udf89", 1)]})) == {"a\ufffd": ["x\ufffdy", ["🎉", 1]]}


def test_half_a_surrogate_pair_is_kept_while_it_may_find_its_other_half():
    assert loads(b'{"a": "\\ud83c"}') == {"a": "\ud83c"}
    assert sendable("\ud83c" + "\udf89") == "🎉"


def test_what_is_no_number_becomes_null():
    assert dumps([float("nan"), float("inf")]) == b"[null,null]"
    assert loads(dumps([float("nan")])) == [None]


def test_bytes_that_are_not_utf8_are_replaced():
    assert loads(b'"a\xffb"') == "a\ufffdb"


@pytest.mark.parametrize("raw", [b"", b"{", b"<html>", b'{"a":1}{', b"nul", b"[" * 100_000, "{'a': 1}"])
def test_what_is_no_json_is_a_value_error(raw: bytes | str):
    with pytest.raises(ValueError):
        loads(raw)


@pytest.mark.parametrize("value", [object(), {"\ud800": object()}, {1, 2, object()}])
def test_a_value_that_is_not_json_is_the_callers_mistake(value: object):
    with pytest.raises(UsageError, match="not JSON"):
        dumps(value)


def test_dates_are_written_as_iso():
    assert dumps({"on": date(2026, 11, 3)}) == b'{"on":"2026-11-03"}'


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ("", "{}"),
        (" ", "{}"),
        ('{"a": ', '{"not_json":"{\\"a\\": "}'),
        ("[1]", '{"not_json":"[1]"}'),
        ('{"a": NaN}', '{"not_json":"{\\"a\\": NaN}"}'),
    ],
)
def test_arguments_go_back_as_a_json_object(arguments: str, sent: str):
    assert object_text(arguments) == sent

"""Tool calls from fragments: indexes and ids come missing, equal and repeated."""

from typing import Any

import pytest

from segue.core.messages import Call
from segue.wire.chat_calls import Calls


def fragment(index: Any = None, call_id: Any = None, name: Any = None, arguments: Any = None, **more: Any) -> dict[str, Any]:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    said = {"index": index, "id": call_id, "function": function or None}
    return {key: value for key, value in said.items() if value is not None} | more


F = fragment
CASES: dict[str, tuple[list[dict[str, Any]], list[Call]]] = {
    "as OpenAI does": (
        [F(0, "a", "f", ""), F(0, arguments='{"x"'), F(0, arguments=":1}")],
        [Call("a", "f", '{"x":1}')],
    ),
    "interleaved": (
        [
            F(0, "a", "f", ""),
            F(1, "b", "g", ""),
            F(0, arguments='{"x"'),
            F(1, arguments='{"y"'),
            F(0, arguments=":1}"),
            F(1, arguments=":2}"),
        ],
        [Call("a", "f", '{"x":1}'), Call("b", "g", '{"y":2}')],
    ),
    "counted from one, with a gap": (
        [F(1, "a", "f", "{}"), F(5, "b", "g", "{}")],
        [Call("a", "f", "{}"), Call("b", "g", "{}")],
    ),
    "two whole calls at index 0, as Ollama does": (
        [F(0, "a", "f", "{}"), F(0, "b", "f", "{}")],
        [Call("a", "f", "{}"), Call("b", "f", "{}")],
    ),
    "id and name on each fragment": (
        [F(0, "a", "f", '{"x"'), F(0, "a", "f", ":1}")],
        [Call("a", "f", '{"x":1}')],
    ),
    "name on each fragment, no id": (
        [F(0, "", "f", '{"x"'), F(0, "", "f", ":1}")],
        [Call("", "f", '{"x":1}')],
    ),
    "the whole call again": (
        [F(0, "a", "f", '{"x":1}'), F(0, "a", "f", '{"x":1}')],
        [Call("a", "f", '{"x":1}')],
    ),
    "two calls without ids at one index, another name": (
        [F(0, "", "f", "{}"), F(0, "", "g", "{}")],
        [Call("", "f", "{}"), Call("", "g", "{}")],
    ),
    "two calls without ids at one index, the same name": (
        [F(0, "", "f", '{"x":1}'), F(0, "", "f", '{"x":2}')],
        [Call("", "f", '{"x":1}'), Call("", "f", '{"x":2}')],
    ),
    "no index, ids, as Mistral does": (
        [F(None, "a", "f", "{}"), F(None, "b", "g", "{}")],
        [Call("a", "f", "{}"), Call("b", "g", "{}")],
    ),
    "no index, fragments with ids, interleaved": (
        [F(None, "a", "f", "{"), F(None, "b", "g", "{"), F(None, "a", None, "}"), F(None, "b", None, "}")],
        [Call("a", "f", "{}"), Call("b", "g", "{}")],
    ),
    "no index, fragments without ids": (
        [F(None, "a", "f", "{"), F(None, None, None, "}"), F(None, None, "g", "{}")],
        [Call("a", "f", "{}"), Call("", "g", "{}")],
    ),
    "no index, the same name after whole arguments": (
        [F(None, None, "f", "{}"), F(None, None, "f", "{}")],
        [Call("", "f", "{}"), Call("", "f", "{}")],
    ),
    "an index that is no number": (
        [F("0", "a", "f", "{"), F("0", None, None, "}")],
        [Call("a", "f", "{}")],
    ),
    "the id comes late": (
        [F(0, None, "f", ""), F(0, "a", None, "{}")],
        [Call("a", "f", "{}")],
    ),
    "the name comes late": (
        [F(0, "a", None, "{"), F(0, None, "f", "}")],
        [Call("a", "f", "{}")],
    ),
    "the name comes in pieces": (
        [F(0, "a", "transfer_"), F(0, None, "to_sales"), F(0, None, None, "{}")],
        [Call("a", "transfer_to_sales", "{}")],
    ),
    "arguments are null, then an object": (
        [F(0, "a", "f"), F(0, arguments={"x": 1})],
        [Call("a", "f", '{"x":1}')],
    ),
    "nothing but arguments": ([F(None, None, None, "{}")], [Call("", "", "{}")]),
    "no function": ([{"index": 0, "id": "a"}], [Call("a", "", "")]),
    "unknown fields": (
        [F(0, "a", "f", "{}", type="function", sig="s", none=None, empty={}), F(0, other=1)],
        [Call("a", "f", "{}", {"sig": "s", "other": 1})],
    ),
}


@pytest.mark.parametrize(("fragments", "expected"), CASES.values(), ids=CASES)
def test_fragments_become_calls(fragments: list[dict[str, Any]], expected: list[Call]):
    calls = Calls()
    assert not calls
    shown = [calls.take(one) for one in fragments]
    assert list(calls.all()) == expected
    assert calls
    for place, call in enumerate(expected):
        assert "".join(arguments for at, _, arguments in shown if at == place) == call.arguments
        assert "".join(name for at, name, _ in shown if at == place) == call.name


def test_whole_calls_are_never_joined():
    calls = Calls()
    for _ in range(2):
        calls.take_whole(fragment(0, "a", "f", "{}"))
    assert calls.all() == (Call("a", "f", "{}"),) * 2

"""A hundred ways to write other arguments, or the same in other words: leaves of JSON, number forms, keys twice, unicode forms."""

import json
from collections.abc import Iterator
from typing import Any

CLAIM: dict[str, Any] = {
    "order": {"id": "A-17", "lines": [{"sku": "boots", "count": 2}, {"sku": "skates", "count": 1}]},
    "cents": 5000,
    "rate": 0.5,
    "rush": False,
    "note": "caf\u00e9",
    "until": None,
}

_OTHER: dict[type, list[Any]] = {
    int: [0, -1, "5000", 5000.5, 50000, 1e300, None, True, [5000], 9007199254740993, -5000],
    float: [0.5000000001, -0.5, 0, 5, "0.5", None],
    bool: [True, 0, 1, "false", None, ""],
    str: ["", "a-17", "A-17 ", "\u0410-17", "A\u200d-17", "A-\uff11\uff17", "cafe\u0301", "caf\u00c9", None, 17, "A-17\u0000", "\ud800"],
    type(None): [False, 0, "", "null", [], {}],
}

_NUMBERS = ["5000.0", "5e3", "5.0E+3", "50e2", "5000.00", "05000", "+5000", "5_000", "0x1388", "5000.", ".5", "NaN", "Infinity", "1e400", "-0",
            "5000.0000000000001", "4999.9999999999999", "5000.000001", "5e-3", "500e1", "\uff15000"]  # fmt: skip

_TEXTS = [r'"caf\u00e9"', r'"\u0063af\u00e9"', r'"caf\u00E9"', r'"cafe\u0301"', r'"caf\ud83d"', r'"caf\u0439"', r'"caf\xe9"', "'caf\u00e9'", '"caf\u00e9',
          r'"caf\u00e9\u200b"', r'"\u202ecaf\u00e9"', r'"caf\u00e9\u0000"']  # fmt: skip

_WHOLE = json.dumps({"claim": CLAIM}, ensure_ascii=False)


def mutations() -> Iterator[str]:
    """Texts of arguments, sound or not; a few of them mean the same as the original."""
    for path, leaf in _leaves(CLAIM, ()):
        for other in _OTHER[type(leaf)]:
            if type(other) is not type(leaf) or other != leaf:
                yield json.dumps({"claim": _with(CLAIM, path, other)})
    for number in _NUMBERS:
        yield _WHOLE.replace("5000", number)
    for text in _TEXTS:
        yield _WHOLE.replace('"caf\u00e9"', text)
    yield _WHOLE.replace('"cents": 5000', '"cents": 5000, "cents": 1')
    yield _WHOLE.replace('"cents": 5000', '"cents": 1, "cents": 5000')
    yield _WHOLE.replace('"cents": 5000', r'"cents": 5000, "\u0063ents": 1')
    yield _WHOLE.replace('"cents": 5000', '"cents": 5000, "Cents": 1')
    yield _WHOLE.replace('{"claim"', '{"claim": {}, "claim"')
    yield _WHOLE[:-1] + ', "claim": {}}'
    yield _WHOLE[:-1] + ', "more": 1}'
    yield _WHOLE.replace("}]", '}, {"sku": "boots", "count": 2}]')
    yield _WHOLE[:-1]
    yield _WHOLE + _WHOLE
    yield "[" + _WHOLE + "]"
    yield "{}"
    yield ""
    yield json.dumps({"claim": dict(reversed(CLAIM.items()))})
    yield json.dumps({"claim": CLAIM}, indent=4)
    yield json.dumps({"claim": {**CLAIM, "order": {**CLAIM["order"], "lines": CLAIM["order"]["lines"][::-1]}}})


def _leaves(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield path, value
        return
    for key, item in items:
        yield from _leaves(item, (*path, key))


def _with(value: Any, path: tuple[Any, ...], leaf: Any) -> Any:
    if not path:
        return leaf
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _with(value[path[0]], path[1:], leaf)
    return copy

"""Names and ids of calls, and the shapes in which calls come: nothing runs under a name that is not offered, and each call is
answered under an id of its own."""

from typing import Any

from tests.hostile.arguments import GOOD, RAN
from tests.hostile.forms import CHAT, says
from tests.hostile.forms import refund as refunds
from tests.hostile.stage import Case
from tests.loopback import call

NAMES: dict[str, str] = {
    "unknown": "refnd",
    "another agent's": "sell",
    "an agent's": "Sales",
    "a transfer that is not offered": "transfer_to_boss",
    "a return that is not offered": "return_to_sales",
    "empty": "",
    "blank": "  ",
    "the right one in capitals": "REFUND",
    "the right one with a space behind it": "refund ",
    "the right one with a line break before it": "\nrefund",
    "the right one in a namespace": "functions.refund",
    "the right one with a hidden character": "re\u200bfund",
    "the right one with a Cyrillic letter": "r\u0435fund",
    "the right one with its arguments": "refund(order='A1', amount=5)",
    "the right one in quotes": '"refund"',
    "illegal": "refund me now!",
    "a path": "../../etc/passwd",
    "Chinese": "退款",
    "an emoji": "\U0001f4b8",
    "a lone surrogate": "refund\ud800",
    "a NUL": "refund\x00",
    "65 characters": "r" * 65,
    "a megabyte": "r" * 1_000_000,
    "a dunder": "__init__",
    "a method of the tool": "refund.__call__",
    "a token of the model's own": "<|tool_call|>refund",
    "code": "__import__('os').system('true')",
    "a number": "123",
}

ODD_NAMES: dict[str, Any] = {"null": None, "an integer": 7, "a list": ["refund"], "an object": {"name": "refund"}}


def _without(one: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in one.items() if name not in names}


def _twice(first: Any, second: Any) -> list[dict[str, Any]]:
    return [refunds(GOOD, first), refunds('{"order": "B2", "amount": 7}', second)]


BOTH = ["refund A1 5 none", "refund B2 7 none"]

# ids of two different calls in one message
PAIRS: dict[str, tuple[Any, Any]] = {
    "are empty": ("", ""),
    "are null": (None, None),
    "are equal": ("call_1", "call_1"),
    "are numbers": (1, 2),
    "are the same number": (1, 1),
    "are blank": (" ", " "),
    "are lone surrogates": ("\ud800", "\ud801"),
    "are objects": ({}, {}),
    "are false": (False, False),
    "are 1,200 characters long": ("a" * 1199 + "1", "a" * 1199 + "2"),
    "are like those that Segue makes": ("", "call_1_0"),
    "are like those that Segue makes, the other way round": ("call_1_1", ""),
    "have line breaks and quotes": ('a"\n', "b'\x00"),
    "are written in Chinese": ("一", "二"),
}

# one call and then another one in the next message: ids and arguments, and what ran
LATER: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "is used again for other arguments": (refunds(GOOD, "a"), refunds('{"order": "B2", "amount": 7}', "a"), BOTH),
    "is used again for the same arguments": (refunds(GOOD, "a"), refunds(GOOD, "a"), RAN * 2),
    "is used again for another tool": (refunds(GOOD, "a"), call("ping", "{}", "a"), [*RAN, "ping"]),
    "is used again after it was refused": (refunds("{", "a"), refunds(GOOD, "a"), RAN),
    "is empty in each message": (refunds(GOOD, ""), refunds('{"order": "B2", "amount": 7}', ""), BOTH),
    "is one that Segue made for an earlier call": (refunds(GOOD, ""), refunds('{"order": "B2", "amount": 7}', "call_1_0"), BOTH),
    "is one that Segue will make": (refunds(GOOD, "call_2_0"), refunds('{"order": "B2", "amount": 7}', ""), BOTH),
}

SHAPES: dict[str, tuple[list[Any], str, list[str]]] = {
    "without a type": ([_without(refunds(), "type")], "refunded", RAN),
    "with a type of null": ([{**refunds(), "type": None}], "refunded", RAN),
    "with an unknown type": ([{**refunds(), "type": "retrieval"}], "refunded", RAN),
    "without an id": ([_without(refunds(), "id")], "refunded", RAN),
    "with an index": ([{**refunds(), "index": 0}], "refunded", RAN),
    "with unknown fields": ([{**refunds(), "extra_content": {"google": {"thought_signature": "c2ln"}}}], "refunded", RAN),
    "without a function": ([{"id": "a", "type": "function"}], "no tool", []),
    "with a function of null": ([{"id": "a", "type": "function", "function": None}], "no tool", []),
    "with a function that is a text": ([{"id": "a", "type": "function", "function": "refund"}], "no tool", []),
    "with an empty function": ([{"id": "a", "type": "function", "function": {}}], "no tool", []),
    "that is an empty object": ([{}], "no tool", []),
    "of the type custom": ([{"id": "a", "type": "custom", "custom": {"name": "refund", "input": "A1 and 5"}}], "cannot be read", []),
    "with name and arguments outside of a function": ([{"id": "a", "name": "refund", "arguments": GOOD}], "no tool", []),
}

CASES = [
    *(Case(f"A tool's name: {name}", says(call(given, GOOD)), told="Triage has no tool") for name, given in NAMES.items()),
    *(Case(f"A tool's name: {name}", says(call(given, GOOD)), told="no tool") for name, given in ODD_NAMES.items()),  # type: ignore[arg-type]
    *(Case(f"Two ids that {name}", says(*_twice(*ids)), ran=BOTH) for name, ids in PAIRS.items()),
    *(Case(f"An id that {name}", [says(one), says(two)], ran=ran) for name, (one, two, ran) in LATER.items()),
    *(Case(f"A call {name}", says(*given), told=told, ran=ran, forms=CHAT) for name, (given, told, ran) in SHAPES.items()),
    Case("The same call twice in one message is made once", says(refunds(), refunds()), ran=RAN),
    Case("The same call fifty times in one message is made once", says(*[refunds()] * 50), ran=RAN),
    Case("The same id for a call and a transfer", says(refunds(GOOD, "a"), call("transfer_to_sales", "{}", "a")), ran=RAN, agent="Sales"),
    Case("The same id for two tools", says(refunds(GOOD, "a"), call("ping", "{}", "a")), ran=[*RAN, "ping"]),
    Case("Equal calls without an id are two calls", says(call("ping", "{}", ""), call("ping", "{}", "")), ran=["ping", "ping"]),
    Case("A hundred calls in one message", says(*[call("ping", "{}", f"c{n}") for n in range(100)]), ran=["ping"] * 100),
    Case(
        "Known and unknown names in one message", says(call("refnd", "{}", "a"), refunds(GOOD, "b")), told=["no tool", "refunded"], ran=RAN
    ),
    Case("Calls with a finish of stop", says(refunds(), finish="stop"), ran=RAN),
    Case("Calls with an unknown finish", says(refunds(), finish="eos"), ran=RAN, forms=CHAT),
    Case("A finish of tool_calls without a call", says(text="Done.", finish="tool_calls")),
    Case("Text beside a call", says(refunds(), text="One moment."), ran=RAN),
]

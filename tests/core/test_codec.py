import json

import pytest

from segue.core.codec import KINDS, VERSION, Unknown, decode, encode, skim
from segue.core.events import (
    AllowanceGiven,
    ApprovalAsked,
    ApprovalDecided,
    DriveStarted,
    Handoff,
    InputGiven,
    InstructionsRendered,
    ModelReplied,
    RunEnded,
    Started,
    ToolFailed,
    ToolLate,
    ToolReturned,
    ToolSettled,
    ToolStarted,
    ToolUnknown,
)
from segue.core.limits import Limits
from segue.core.messages import Assistant, Call, Reply, System, ToolAnswer, Usage, User
from segue.errors import JournalDamaged, JournalError, JournalNewer

REPLY = Reply(
    "旅", (Call("a", "f", '{"x": 1}', {"signature": "…"}),), "tool_calls", None, Usage(1, 2, 3, 4), "m", {"r": [1]}, "openai-chat"
)
EARLIER = (
    System("s"),
    User("Hi", "ann"),
    Assistant("Hi.", REPLY.calls, "Triage", "no", {"r": 1}, "d"),
    ToolAnswer("a", "f", [{"type": "text"}]),
)

WHOLE = [
    (Started("c", "Triage"), {"conversation": "c", "agent": "Triage"}),
    (
        Started("c", "Triage", {"a": None}, (User("Hi"),)),
        {"conversation": "c", "agent": "Triage", "context": {"a": None}, "messages": [{"role": "user", "content": "Hi"}]},
    ),
    (
        InputGiven("r", (User([{"type": "text", "text": "Hi"}]),), {"a": 1}, "k", "ann", {"turns": None}, "interrupt"),
        {
            "run": "r",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
            "context": {"a": 1},
            "key": "k",
            "by": "ann",
            "limits": {"turns": None},
            "busy": "interrupt",
        },
    ),
    (DriveStarted("d", {"Triage": "abc"}), {"driver": "d", "fingerprint": {"Triage": "abc"}}),
    (InstructionsRendered("Triage", "Be kind."), {"agent": "Triage", "text": "Be kind."}),
    (
        ModelReplied("Triage", REPLY, 2, 0.5, 1.5, "No."),
        {
            "agent": "Triage",
            "reply": {
                "text": "旅",
                "calls": [{"id": "a", "name": "f", "arguments": '{"x": 1}', "extra": {"signature": "…"}}],
                "finish": "tool_calls",
                "usage": {"input": 1, "output": 2, "cached": 3, "reasoning": 4},
                "model": "m",
                "extra": {"r": [1]},
                "dialect": "openai-chat",
            },
            "attempt": 2,
            "seconds": 0.5,
            "cost": 1.5,
            "refused": "No.",
        },
    ),
    (ModelReplied("Triage", Reply("Hi.")), {"agent": "Triage", "reply": {"text": "Hi."}}),
    (
        ToolStarted("1.0", "f", "{}", "keyed", "k", "q"),
        {"place": "1.0", "name": "f", "arguments": "{}", "effect": "keyed", "key": "k", "approval": "q"},
    ),
    (
        ToolReturned("1.0", "ok", Handoff("Refunds", "call", "brief", {"x": [1, None]}, True), {"a": 1}, 2),
        {
            "place": "1.0",
            "content": "ok",
            "handoff": {"agent": "Refunds", "kind": "call", "view": "brief", "brief": {"x": [1, None]}, "generated": True},
            "context": {"a": 1},
            "seconds": 2,
        },
    ),
    (
        ToolFailed("1.0", "raised", "KeyError: x", True, 0.1),
        {"place": "1.0", "kind": "raised", "words": "KeyError: x", "transfer": True, "seconds": 0.1},
    ),
    (
        ToolStarted("1.0", "f", "{}", unique=True),
        {"place": "1.0", "name": "f", "arguments": "{}", "unique": True},
    ),
    (
        ToolReturned("1.0", "ok", usage=Usage(5, 2), cost=0.5),
        {"place": "1.0", "content": "ok", "usage": {"input": 5, "output": 2}, "cost": 0.5},
    ),
    (
        ToolFailed("1.0", "raised", "It failed.", usage=Usage(5), cost=0.5),
        {"place": "1.0", "kind": "raised", "words": "It failed.", "usage": {"input": 5}, "cost": 0.5},
    ),
    (
        ApprovalAsked("q", "1.0", "Triage", "pay", "{}", "d", inner="c/1.0", edited=True),
        {"id": "q", "place": "1.0", "agent": "Triage", "name": "pay", "arguments": "{}", "digest": "d", "inner": "c/1.0", "edited": True},
    ),
    (ToolUnknown("1.0", "Who knows.", True), {"place": "1.0", "words": "Who knows.", "ask": True}),
    (ToolSettled("1.0", "paid", "ann"), {"place": "1.0", "content": "paid", "by": "ann"}),
    (ToolLate("1.0", "pay", "paid"), {"place": "1.0", "name": "pay", "content": "paid"}),
    (
        ApprovalAsked("q", "1.0", "Triage", "pay", "{}", "d", "f", 5),
        {"id": "q", "place": "1.0", "agent": "Triage", "name": "pay", "arguments": "{}", "digest": "d", "fingerprint": "f", "expires": 5},
    ),
    (ApprovalDecided("q", "d", "deny", "ann", "no"), {"id": "q", "digest": "d", "decision": "deny", "by": "ann", "reason": "no"}),
    (
        RunEnded("failed", "provider", "words", "RateLimited", {"retry_after": 1.5}),
        {"kind": "failed", "reason": "provider", "words": "words", "error": "RateLimited", "values": {"retry_after": 1.5}},
    ),
    (AllowanceGiven({"turns": 5}, "ann"), {"limits": {"turns": 5}, "by": "ann"}),
    (AllowanceGiven(), {}),
]


@pytest.mark.parametrize(("event", "stored"), WHOLE)
def test_an_event_is_stored_as_plain_json_and_read_again(event, stored):
    kind, version, data = encode(event)
    assert (kind, version, json.loads(data)) == (type(event).__name__, VERSION, stored)
    assert decode(kind, version, data) == event
    assert decode(kind, version, data.decode()) == event


def test_every_kind_of_event_is_in_the_table_above():
    assert {type(event) for event, _ in WHOLE} == set(KINDS.values())


def test_messages_of_every_role_are_read_again():
    event = Started("c", "Triage", {}, EARLIER)
    assert decode(*encode(event)) == event
    assert [message["role"] for message in json.loads(encode(event)[2])["messages"]] == ["system", "user", "assistant", "tool"]


def test_half_a_surrogate_pair_survives_the_journal():
    event = ToolReturned("1.0", "broken \ud800 text")
    assert encode(event)[2].isascii()
    assert decode(*encode(event)) == event


def test_limits_with_prices_are_the_same_after_the_journal():
    limits = Limits(turns=5, prices={"m": (1.0, 2.0)})
    event = InputGiven("r", (User("Hi"),), limits=limits.differences())
    assert decode(*encode(event)) == event


def test_a_field_that_this_version_does_not_know_is_passed_over():
    assert decode("ToolLate", 1, '{"place": "1.0", "name": "pay", "content": "paid", "mood": "good"}') == ToolLate("1.0", "pay", "paid")
    data = '{"agent": "Triage", "reply": {"text": "Hi.", "mood": {}, "usage": {"input": 1, "moon": 2}}}'
    assert decode("ModelReplied", 1, data) == ModelReplied("Triage", Reply("Hi.", usage=Usage(1)))


def test_a_field_that_is_missing_has_its_default():
    assert decode("ToolStarted", 1, '{"place": "1.0", "name": "f", "arguments": "{}"}') == ToolStarted("1.0", "f", "{}")


@pytest.mark.parametrize(("kind", "version"), [("MoonRisen", 1), ("ToolLate", VERSION + 1), ("str", 1), ("Handoff", 1)])
def test_a_kind_or_version_that_is_not_known_was_written_by_a_newer_segue(kind, version):
    with pytest.raises(JournalNewer, match=kind):
        decode(kind, version, "{}")


@pytest.mark.parametrize(("kind", "version"), [("MoonRisen", 1), ("ToolLate", VERSION + 1)])
def test_who_only_looks_on_is_told_the_kind_of_what_is_not_known(kind, version):
    assert skim(kind, version, "no JSON") == Unknown(kind, version)


def test_who_only_looks_on_reads_what_is_known_and_is_told_of_damage():
    assert skim("ToolLate", 1, '{"place": "1.0", "name": "pay", "content": "paid"}') == ToolLate("1.0", "pay", "paid")
    with pytest.raises(JournalDamaged, match="ToolLate"):
        skim("ToolLate", 1, "{}")


DAMAGED = [
    ("ToolLate", ""),
    ("ToolLate", "{"),
    ("ToolLate", "[]"),
    ("ToolLate", "null"),
    ("ToolLate", '"text"'),
    ("ToolLate", "[" * 100_000),
    ("ToolLate", '{"place": "1.0", "name": "pay"}'),
    ("ToolLate", '{"place": "1.0", "name": "pay", "content": null}'),
    ("ToolLate", '{"place": 1.0, "name": "pay", "content": "paid"}'),
    ("ToolUnknown", '{"place": "1.0", "words": "x", "ask": 1}'),
    ("ToolStarted", '{"place": "1.0", "name": "f", "arguments": {}}'),
    ("ToolStarted", '{"place": "1.0", "name": "f", "arguments": "{}", "effect": 1}'),
    ("ToolReturned", '{"place": "1.0", "seconds": "1"}'),
    ("ToolReturned", '{"place": "1.0", "seconds": true}'),
    ("ToolReturned", '{"place": "1.0", "seconds": 1e999}'),
    ("ToolReturned", '{"place": "1.0", "seconds": -1e301}'),
    ("ToolReturned", '{"place": "1.0", "cost": NaN}'),
    ("ToolReturned", '{"place": "1.0", "cost": 1' + "0" * 301 + "}"),
    ("ToolReturned", '{"place": "1.0", "usage": [1]}'),
    ("ToolLate", b"\xff\xfe{\x00"),
    ("ToolReturned", '{"place": "1.0", "context": []}'),
    ("ToolReturned", '{"place": "1.0", "content": ["text"]}'),
    ("ToolReturned", '{"place": "1.0", "handoff": "Refunds"}'),
    ("ToolReturned", '{"place": "1.0", "handoff": {}}'),
    ("ToolReturned", '{"place": "1.0", "handoff": {"agent": "A", "generated": "yes"}}'),
    ("ModelReplied", '{"agent": "Triage"}'),
    ("ModelReplied", '{"agent": "Triage", "reply": []}'),
    ("ModelReplied", '{"agent": "Triage", "reply": {}, "attempt": true}'),
    ("ModelReplied", '{"agent": "Triage", "reply": {}, "attempt": 1.5}'),
    ("ModelReplied", '{"agent": "Triage", "reply": {"calls": {}}}'),
    ("ModelReplied", '{"agent": "Triage", "reply": {"calls": [{"id": "a"}]}}'),
    ("ModelReplied", '{"agent": "Triage", "reply": {"calls": ["a"]}}'),
    ("ModelReplied", '{"agent": "Triage", "reply": {"usage": "much"}}'),
    ("ModelReplied", '{"agent": "Triage", "reply": {"usage": {"input": "1"}}}'),
    ("Started", '{"conversation": "c", "agent": "Triage", "messages": {}}'),
    ("Started", '{"conversation": "c", "agent": "Triage", "messages": [{"content": "Hi"}]}'),
    ("Started", '{"conversation": "c", "agent": "Triage", "messages": [{"role": "robot", "content": "Hi"}]}'),
    ("Started", '{"conversation": "c", "agent": "Triage", "messages": [{"role": ["user"], "content": "Hi"}]}'),
    ("ApprovalAsked", '{"id": "q", "place": "1.0", "agent": "A", "name": "f", "arguments": "{}", "digest": "d", "expires": "soon"}'),
]


@pytest.mark.parametrize(("kind", "data"), DAMAGED)
def test_damaged_data_is_never_guessed_at(kind, data):
    with pytest.raises(JournalDamaged, match=kind):
        decode(kind, 1, data)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("held", [lambda number: {"a": number}, lambda number: {"a": [{"b": number}]}], ids=["at the top", "deep inside"])
def test_an_event_with_a_number_that_could_not_be_read_back_is_not_written(number, held):
    with pytest.raises(JournalError, match="A InputGiven holds a number that is not finite"):
        encode(InputGiven("r", (User("Hi"),), held(number)))


@pytest.mark.parametrize("text", ["Infinity", "-Infinity", "NaN", "\ud83dNaN"])
def test_an_event_with_the_words_for_such_a_number_is_written_and_read_back(text):
    event = InputGiven("r", (User(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")),), {text: text})
    assert decode(*encode(event)) == event

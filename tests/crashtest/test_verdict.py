"""Courses that no sound machine would leave behind: each fault is found, and said."""

import pytest

from segue.core.events import (
    ApprovalAsked,
    DriveStarted,
    InputGiven,
    ModelReplied,
    Started,
    ToolReturned,
    ToolSettled,
    ToolStarted,
    ToolUnknown,
)
from segue.core.messages import Call, Reply, User
from segue.crashtest.course import Course, tales
from segue.crashtest.points import ROOT, Point
from segue.crashtest.verdict import judge

KEY = "key"
OPEN = [
    Started(ROOT, "Desk"),
    InputGiven("r", (User("Pay."),)),
    DriveStarted("one"),
    ModelReplied("Desk", Reply(calls=(Call("c", "pay", "{}"),))),
]
SAID = ModelReplied("Desk", Reply("Done."))
PAID = [["paid", 5]]


def started(effect, key=KEY):
    return ToolStarted("1.0", "pay", "{}", effect, key if effect == "keyed" else "")


def whole(effect):
    return [*OPEN, started(effect), ToolReturned("1.0", "paid"), SAID]


def entry(process, effect, **other):
    line = {
        "kind": "entry",
        "process": process,
        "call": "1.0",
        "tool": "pay",
        "effect": effect,
        "key": KEY,
        "arguments": "{}",
        "reconcile": False,
    }
    return {**line, **other}


def left(process):
    return {"kind": "return", "process": process, "call": "1.0"}


def reference(effect="once", world=PAID, **other):
    return Course(journal={ROOT: whole(effect)}, account=[entry(1, effect, **other)], world=world)


def killed(effect, then, *, begun=None, entered=None, world=PAID, lines=None):
    """A trial that was killed inside of the call: `then` is what the next process has appended."""
    entered = entered or ((1,) if effect == "once" else (1, 2))
    before = [*OPEN, started(effect)] if begun is None else begun
    account = lines or [line for process in entered for line in (entry(process, effect), left(process))]
    journal = {ROOT: [*before, DriveStarted("two"), *then]}
    return Course((Point("entry", "1.0"),), account, [{ROOT: before}], journal, world)


def words(reference, trial):
    return [f"{fault.kind}: {fault.words}" for fault in judge(reference, trial)]


UNKNOWN = ToolUnknown("1.0", "Outcome unknown.")
RIGHT = [
    ("read", [started("read"), ToolReturned("1.0", "paid"), SAID], (1, 2), PAID),
    ("keyed", [started("keyed"), ToolReturned("1.0", "paid"), SAID], (1, 2), PAID),
    ("transaction", [started("transaction"), ToolReturned("1.0", "paid"), SAID], (1, 2), PAID),
    ("once", [UNKNOWN, SAID], (1,), PAID),
    ("once", [UNKNOWN, SAID], (1,), []),
    ("once", [ToolUnknown("1.0", "Outcome unknown.", ask=True), ToolSettled("1.0", "It was paid."), SAID], (1,), PAID),
]


@pytest.mark.parametrize(("effect", "then", "entered", "world"), RIGHT)
def test_what_the_rules_ask_for_is_right(effect, then, entered, world):
    assert judge(reference(effect), killed(effect, then, entered=entered, world=world)) == []


def test_what_reconcile_finds_out_is_right():
    told = reference(reconcile=True)
    assert judge(told, killed("once", [ToolReturned("1.0", "paid"), SAID], lines=[entry(1, "once", reconcile=True)])) == []


def test_a_process_that_comes_to_no_end_is_a_fault():
    trial = killed("once", [UNKNOWN, SAID])._replace(trouble="process 2: it did not come to an end within 60 s")
    assert words(reference(), trial) == ["process: process 2: it did not come to an end within 60 s"]


def test_events_that_cannot_follow_each_other_are_a_fault():
    trial = killed("once", [UNKNOWN, UNKNOWN])
    (said,) = words(reference(), trial)
    assert said.startswith("history: crashtest: event 8 (ToolUnknown) does not follow")


def test_events_that_do_not_fit_are_found_in_what_a_process_left_too():
    trial = killed("once", [UNKNOWN, SAID])._replace(left=[{ROOT: [*OPEN, SAID, SAID]}])
    assert words(reference(), trial)[0].startswith("history: as a process left it, crashtest: event 5 (ModelReplied) does not follow")


def test_a_call_that_is_made_twice_is_a_fault_of_once():
    (said, mended) = judge(reference(), killed("once", [UNKNOWN, SAID], entered=(1, 1), world=[*PAID, *PAID]))
    assert (said.words, said.call, said.tool, said.effect) == ("it was entered 2 times", "1.0", "pay", "once")
    assert mended.kind == "world"


def test_that_nobody_knows_must_be_said_of_once():
    found = words(reference(), killed("once", [ToolReturned("1.0", "paid"), SAID]))
    assert found[0] == "effect: a process died in it, and it is not said that nobody knows what came of it"


@pytest.mark.parametrize("effect", ["read", "keyed", "transaction"])
def test_of_what_can_be_made_again_it_must_not_be_said_that_nobody_knows(effect):
    found = words(reference(effect), killed(effect, [UNKNOWN, SAID]))
    assert "effect: its outcome is said to be unknown, though the call could have been made again" in found


def test_a_call_is_entered_after_its_start_is_durable():
    trial = killed("once", [started("once"), ToolReturned("1.0", "paid"), SAID], begun=OPEN)
    assert "effect: process 1 entered it, and the journal that it left knows of no start" in words(reference(), trial)


def test_a_call_whose_outcome_is_known_is_not_made_again():
    trial = killed("read", [SAID], begun=[*OPEN, started("read"), ToolReturned("1.0", "paid")])
    assert "effect: process 2 entered it, though its outcome was in the journal" in words(reference("read"), trial)


def test_a_call_that_is_said_to_have_returned_has_done_so():
    then = [started("keyed"), ToolReturned("1.0", "paid"), SAID]
    (said,) = words(reference("keyed"), killed("keyed", then, lines=[entry(1, "keyed"), left(1), entry(2, "keyed")]))
    assert said == "effect: process 2 wrote down that it returned, and it did not come to that"


def test_a_key_that_differs_is_a_fault():
    then = [started("keyed"), ToolReturned("1.0", "paid"), SAID]
    trial = killed("keyed", then, lines=[entry(1, "keyed"), entry(2, "keyed", key="other")])
    assert "effect: it was entered with different keys or arguments" in words(reference("keyed"), trial)
    trial = killed("keyed", then, lines=[entry(1, "keyed", key="other"), entry(2, "keyed", key="other")])
    assert "effect: its key is not the one in the journal" in words(reference("keyed"), trial)


@pytest.mark.parametrize(
    ("effect", "mend"),
    [("read", 'Leave effect= out: it is "once" then'), ("keyed", "hand it ctx.key"), ("transaction", "Write to ctx.db only")],
)
def test_what_happens_twice_is_told_with_the_tool_that_did_it_and_the_mend(effect, mend):
    then = [started(effect), ToolReturned("1.0", "paid"), SAID]
    (fault,) = judge(reference(effect), killed(effect, then, world=[*PAID, *PAID]))
    assert fault.words == 'this has happened more often than without a crash: ["paid", 5]. pay was entered 2 times for one call'
    assert mend in fault.mend
    assert (fault.call, fault.tool, fault.effect) == ("1.0", "pay", effect)


def test_what_happens_twice_without_a_call_made_twice_is_the_models_doing():
    (fault,) = judge(reference(), killed("once", [UNKNOWN, SAID], world=[*PAID, ["paid", 6]]))
    assert fault.words.startswith('this has happened more often than without a crash: ["paid", 6].')
    assert "the model has asked for it twice" in fault.words


def test_what_is_missing_is_a_fault_where_no_outcome_is_unknown():
    then = [started("read"), ToolReturned("1.0", "paid"), SAID]
    (fault,) = judge(reference("read"), killed("read", then, world=[]))
    assert (fault.kind, fault.words) == ("world", 'this is missing, and no outcome is unknown: ["paid", 5]')


def test_a_conversation_that_ends_otherwise_is_a_fault():
    then = [started("read"), ToolReturned("1.0", "paid"), ModelReplied("Desk", Reply("Something else."))]
    (said,) = words(reference("read"), killed("read", then))
    assert said.startswith('end: crashtest: message 4 is {"role": "assistant", "content": "Something else."}, and {"role"')
    (said,) = words(reference("read"), killed("read", [started("read"), ToolReturned("1.0", "paid", context={"a": 1}), SAID]))
    assert said.startswith("end: crashtest: it ends as ")
    (said,) = words(reference("read"), killed("read", [*then[:2], SAID, InputGiven("s", (User("And?"),)), SAID]))
    assert said == "end: crashtest: it has 6 messages, and 4 without a crash"


def test_a_conversation_with_work_left_is_a_fault():
    assert "end: crashtest has not come to an end: it is model" in words(reference(), killed("once", [UNKNOWN]))


def test_a_conversation_that_is_there_with_the_crash_only_is_a_fault():
    trial = killed("read", [started("read"), ToolReturned("1.0", "paid"), SAID])
    more = trial._replace(journal={**trial.journal, f"{ROOT}/1.0": [Started(f"{ROOT}/1.0", "Clerk")]})
    assert words(reference("read"), more) == ["end: the conversation crashtest/1.0 is there with the crash only"]


def test_a_tale_of_a_call_is_read_from_every_conversation():
    asked = [*OPEN, ApprovalAsked("a", "1.0", "Desk", "pay", "{}", "d"), started("once"), UNKNOWN]
    told = tales({ROOT: asked, f"{ROOT}/2.0": whole("keyed")})
    assert (told["1.0"].effect, told["1.0"].unknown, told["1.0"].open) == ("once", True, False)
    assert (told["2.0/1.0"].effect, told["2.0/1.0"].starts, told["2.0/1.0"].key) == ("keyed", 1, KEY)


def test_where_several_calls_were_made_twice_each_is_named_as_one_of_them():
    trial = killed("read", [started("read"), ToolReturned("1.0", "paid"), SAID], world=[*PAID, *PAID])
    more = [*trial.account, entry(1, "read", call="1.1", tool="look"), entry(2, "read", call="1.1", tool="look")]
    found = [fault for fault in judge(reference("read"), trial._replace(account=more)) if fault.kind == "world"]
    assert [fault.tool for fault in found] == ["pay", "look"]
    assert all(fault.words.endswith("was entered 2 times for one call, and is one of 2 such calls") for fault in found)

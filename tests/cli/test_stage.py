"""Where runs of `segue run` and `segue chat` are kept, and which Runner does them."""

import asyncio
import json

import pytest

from segue.cli.choose import Choice
from segue.cli.stage import runner_of, staged
from segue.cli.target import Target, load
from segue.core.events import ApprovalDecided, DriveStarted, ToolStarted
from segue.core.limits import Limits
from segue.journal.memory import MemoryJournal
from segue.journal.sqlite import SqliteJournal
from segue.runner import Runner
from segue.testing import ScriptedModel
from tests.cli.terminal import on_terminal, surroundings

OWN = Choice(None, "function", "the agents' own")
DESK = """
from till import agent, model, pay
from segue import Agent, Limits, Runner

kept = Runner(agent, model=model, deps={"a": 1}, limits=Limits(turns=7), busy="queue", on_change="refuse", journal="own.db")
passing = Runner(agent, model=model, limits=Limits(turns=1))
"""


@pytest.fixture
def desk(till):
    (till.folder / "till_desk.py").write_text(DESK)
    return till


def journal_of(found, given=None, **options):
    async def look():
        async with staged(found, OWN, given, **options) as runner:
            return runner.journal

    return asyncio.run(look())


def test_without_a_word_of_a_journal_a_conversation_is_kept_in_memory(till, monkeypatch):
    monkeypatch.delenv("SEGUE_JOURNAL")
    assert isinstance(journal_of(load("till.py")), MemoryJournal)
    assert "the conversation is" not in till.segue("run", "till.py", "Hello").stderr
    assert not list(till.folder.glob("*.db"))


def test_a_journal_is_made_by_the_first_conversation_that_is_kept_there(till):
    done = till.segue("run", "till.py", "Hello", "--journal", "other.db")
    assert done.stdout == "You said Hello.\n"
    name = done.stderr.split()[-1]
    assert till.lines("runs", "ls", "--journal", "other.db")[0]["conversation"] == name


def test_a_conversation_is_gone_on_with_by_another_process(till):
    name = till.say("Hello")
    again = json.loads(till.segue("run", "till.py", "Once more", "--conversation", name[:6], "--json").stdout)
    assert (again["conversation"], again["output"]) == (name, "You said Once more.")
    assert len(till.lines("runs", "ls")) == 1


def test_to_go_on_with_a_conversation_makes_no_journal(till):
    done = till.segue("run", "till.py", "Hello", "--conversation", "c_1", code=2)
    assert "There is no journal j.db" in done.stderr
    assert not list(till.folder.glob("*.db"))


def test_only_the_events_of_this_run_are_printed_of_a_conversation_that_goes_on(till):
    name = till.say("Hello")
    rows = [json.loads(line) for line in till.segue("run", "till.py", "More", "-c", name, "--events").stdout.splitlines()]
    assert (rows[0]["seq"], rows[0]["kind"]) == (6, "InputGiven")


def test_a_runners_own_journal_is_used_before_that_of_the_environment_and_after_one_that_is_named(desk):
    found = load("till_desk.py:kept")
    assert journal_of(found).path.endswith("own.db")
    assert journal_of(found, "named.db", make=True).path.endswith("named.db")
    assert isinstance(journal_of(load("till_desk.py:passing"), stored=True, make=True), SqliteJournal)


def test_a_runner_as_a_target_brings_its_limits(desk):
    response = json.loads(desk.segue("run", "till_desk.py:passing", "Pay 5", "--json", code=1).stdout)
    one = desk.asked()
    words = ("approvals", "approve", one["approval"], "--digest", one["digest"], "-t", "till_desk.py:passing", "--json")
    limited = json.loads(desk.segue(*words, code=1).stdout)
    assert (response["status"], limited["status"]) == ("waiting", "limited")
    assert desk.paid == ["5"]


def test_a_runner_is_rebuilt_for_another_journal_or_model_with_all_that_it_was_given(desk):
    found = load("till_desk.py:kept")
    assert runner_of(found, OWN, None) is found.runner
    other = MemoryJournal()
    made = runner_of(found, OWN, other)
    assert (made.journal, made.deps, made.limits, made.busy) == (other, {"a": 1}, Limits(turns=7), "queue")
    model = ScriptedModel(["Hello."])
    assert asyncio.run(runner_of(found, Choice(model, "scripted", "named"), other).run("Hi")).output == "Hello."


def test_an_agent_as_a_target_gets_a_runner_of_its_own(till):
    found = load("till.py")
    made = runner_of(Target(found.agent, "till"), OWN, None)
    assert isinstance(made, Runner)
    assert made.team.entry is found.agent


# --- chat


def chatting(till, *words):
    return on_terminal("chat", "till.py", *words, env=surroundings(till.folder), cwd=till.folder)


def test_a_chat_goes_on_with_a_conversation_and_asks_at_once_about_the_call_that_waits(till):
    name = till.say("Pay 5")
    with chatting(till, "--journal", "j.db", "-c", name) as terminal:
        terminal.wait_for("Cashier has the floor, after 1 replies.")
        terminal.wait_for("Cashier wants to call pay")
        terminal.wait_for('{"amount":5}')
        terminal.wait_for("Make this call? [y]es, [n]o and why, [e]dit:")
        terminal.type("y")
        terminal.wait_for("I am told: paid 5")
        terminal.wait_for("› ")
        terminal.type("/usage")
        terminal.wait_for("2 replies")
        assert terminal.leave() == 0
        assert f"the conversation is {name}" in terminal.shown
    assert till.paid == ["5"]


def test_a_chat_takes_a_reason_and_edited_arguments_which_are_shown_again(till):
    with chatting(till) as terminal:
        terminal.wait_for("› ")
        terminal.type("Pay 5 6")
        terminal.wait_for('{"amount":5}')
        terminal.wait_for("[e]dit:")
        terminal.type("maybe")
        terminal.wait_for("y makes the call as it is shown")
        terminal.wait_for("[e]dit:")
        terminal.type("n not today")
        terminal.wait_for("denied (not today)")
        terminal.wait_for('{"amount":6}')
        terminal.wait_for("[e]dit:")
        terminal.type("e")
        terminal.wait_for("Arguments: ")
        terminal.press("u")  # takes away what stands there
        terminal.type('{"amount": 4.0}')
        terminal.wait_for('{"amount":4}')
        terminal.wait_for("Make this call? [y/N]")
        terminal.type("y")
        terminal.wait_for("paid 4")
        terminal.wait_for("I am told:")
        assert terminal.leave() == 0
    assert till.paid == ["4"]
    assert not list(till.folder.glob("*.db"))


def test_an_edit_that_is_no_json_or_not_agreed_to_comes_back_to_the_question(till):
    with chatting(till) as terminal:
        terminal.wait_for("› ")
        terminal.type("Pay 5")
        terminal.wait_for("[e]dit:")
        terminal.type("e")
        terminal.wait_for("Arguments: ")
        terminal.wait_for('{"amount":5}')  # to be changed where it stands
        terminal.type("}")
        terminal.wait_for("cannot be read")
        terminal.wait_for("[e]dit:")
        terminal.type("e")
        terminal.wait_for("Arguments: ")
        terminal.type("")
        terminal.wait_for("Make this call? [y/N]")
        terminal.type("")
        terminal.wait_for("[e]dit:")
        terminal.type("n")
        terminal.wait_for("I am told: Not done: denied.")
        assert terminal.leave() == 0
    assert till.paid == []


def test_a_call_that_nobody_decides_about_is_left_for_later(till):
    with chatting(till, "--journal", "j.db") as terminal:
        terminal.wait_for("› ")
        terminal.type("Pay 5")
        terminal.wait_for("[e]dit:")
        terminal.press("d")
        terminal.end()
    assert till.asked()["arguments"] == '{"amount":5}'
    assert till.paid == []


def test_a_chat_asks_what_came_of_a_call_that_nobody_knows_of_and_leaves_it_open_without_an_answer(till):
    name = till.say("Pay 5")
    one = till.asked()
    decided = ApprovalDecided(one["approval"], one["digest"], "approve")
    start = ToolStarted("1.0", "pay", one["arguments"], approval=one["approval"])
    till.write(name, [decided, DriveStarted("d_9"), start], seq=7)
    for answer, told in (("", "waiting"), ("it was paid", "I am told: it was paid")):
        with chatting(till, "--journal", "j.db", "-c", name) as terminal:
            terminal.wait_for("Outcome unknown")
            terminal.wait_for("What came of it?")
            terminal.type(answer)
            terminal.wait_for(told)
            assert terminal.leave() == 0
    assert till.paid == []


def test_ctrl_c_leaves_a_question_open_and_resume_asks_it_again(till):
    with chatting(till) as terminal:
        terminal.wait_for("› ")
        terminal.type("Pay 5")
        terminal.wait_for("[e]dit:")
        terminal.press_until_shown("c", "It waits; /resume asks again.")
        terminal.wait_for("waiting · ")
        terminal.type("Hello?")
        terminal.wait_for("waits for a person")
        terminal.type("/resume")
        terminal.wait_for('{"amount":5}')
        terminal.wait_for("[e]dit:")
        terminal.type("y")
        terminal.wait_for("I am told: paid 5")
        assert terminal.leave() == 0
    assert till.paid == ["5"]

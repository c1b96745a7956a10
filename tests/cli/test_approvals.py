import json
import subprocess

import pytest

from segue import clock
from segue.core.arguments import digest
from segue.core.events import ApprovalDecided, ToolStarted
from tests.cli.terminal import SEGUE, on_terminal, surroundings
from tests.core.making import ASKED, asks, call, question, starts


@pytest.fixture
def five(till):
    """A payment of 5 waits; the words that name it in a command."""
    conversation = till.say("Pay 5")
    one = till.asked()
    assert one["conversation"] == conversation
    return one


def named(one):
    return one["approval"], "--digest", one["digest"]


# --- ls


def test_a_pending_call_is_listed_with_its_exact_arguments_and_the_command_that_approves_it(till, five):
    text = till.segue("approvals", "ls").stdout
    assert "Cashier wants to call pay\n" in text
    assert '\n    {"amount":5}\n' in text
    assert f"in conversation {five['conversation']} · until " in text
    assert f"segue approvals approve {five['approval']} --digest {five['digest'][:16]}\n" in text


def test_the_json_of_a_pending_call_says_who_wants_what_where_and_since_when(till, five):
    assert {name: five[name] for name in ("place", "agent", "tool", "arguments", "digest", "inner")} == {
        "place": "1.0",
        "agent": "Cashier",
        "tool": "pay",
        "arguments": '{"amount":5}',
        "digest": digest('{"amount":5}'),
        "inner": None,
    }
    assert five["asked"] == till.rows(five["conversation"])[-1].at
    assert five["expires"] > five["asked"]


def test_what_could_steer_a_terminal_stands_in_the_arguments_as_json_escapes(till):
    arguments = '{"note":"\u202e\x9b1A"}'
    till.write("c", [*ASKED, asks(call()), question("1.0", arguments=arguments)])
    text = till.segue("approvals", "ls").stdout
    assert r'{"note":"\u202e\u009b1A"}' in text
    assert "\u202e" not in text


def test_calls_are_listed_in_the_order_in_which_they_were_asked_for_over_all_conversations(till):
    till.write("young", [*ASKED, asks(call()), question("1.0", "y")], at=5.0)
    till.write("old", [*ASKED, asks(call(), call(id="other")), question("1.0", "o"), starts("1.1")], at=3.0)
    assert [one["approval"] for one in till.lines("approvals", "ls")] == ["o", "y"]


def test_what_an_agent_used_as_a_tool_asks_for_is_listed_once_where_it_can_be_decided(till):
    inner = question("1.0", "q")
    outer = type(inner)("q", "1.0", "Triage", "look_up", "{}", inner.digest, inner="c/1.0")
    till.write("c/1.0", [*ASKED, asks(call()), inner])
    till.write("c", [*ASKED, asks(call()), starts("1.0", "keyed"), outer])
    assert [(one["conversation"], one["inner"]) for one in till.lines("approvals", "ls")] == [("c", "c/1.0")]


def test_nothing_to_decide_is_told_on_stderr(till):
    till.say("Hello")
    done = till.segue("approvals", "ls")
    assert (done.stdout, done.stderr) == ("", "segue: No call waits for a decision.\n")


def test_whoever_looks_when_the_time_is_over_writes_it_down(till, five, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: five["expires"])
    done = till.segue("approvals", "ls", "--json")
    assert done.stdout == ""
    assert "1 approval had expired.\n" in done.stderr
    assert f"segue resume {five['conversation']} TARGET\n" in done.stderr
    last = till.rows(five["conversation"])[-1]
    assert (last.event.decision, last.at) == ("expired", five["expires"])
    assert till.lines("runs", "ls")[0]["status"] == "running"
    assert "expired" in till.segue("resume", five["conversation"], "till.py").stdout
    assert till.paid == []


# --- decisions


def test_an_approval_without_a_target_is_written_down_for_whoever_drives_next(till, five):
    done = till.segue("approvals", "approve", *named(five))
    assert done.stdout == 'approved: pay {"amount":5}\n'
    assert f"segue resume {five['conversation']} TARGET" in done.stderr
    assert till.rows(five["conversation"])[-1].event == ApprovalDecided(five["approval"], five["digest"], "approve", "ann")
    assert till.paid == []
    assert till.segue("resume", five["conversation"], "till.py").stdout == "I am told: paid 5\n"
    assert till.paid == ["5"]


def test_an_approval_with_a_target_goes_on_and_prints_the_answer(till, five):
    done = till.segue("approvals", "approve", *named(five), "--target", "till.py")
    assert done.stdout == "I am told: paid 5\n"
    assert till.paid == ["5"]


def test_a_denial_is_told_to_the_model_with_its_reason(till, five):
    done = till.segue("approvals", "deny", *named(five), "--reason", "not today", "--by", "Bob", "-t", "till.py", "--json")
    assert json.loads(done.stdout)["output"] == "I am told: Not done: denied (not today)."
    (decided,) = [row.event for row in till.rows(five["conversation"]) if isinstance(row.event, ApprovalDecided)]
    assert (decided.by, decided.reason) == ("Bob", "not today")
    assert till.paid == []


def test_arguments_that_do_not_fit_the_tool_are_told_field_by_field_and_decide_nothing_where_the_team_is_at_hand(till, five):
    words = ("--arguments", '{"amount": "lots", "euros": 4}', "--reason", "a typo", "-t", "till.py")
    done = till.segue("approvals", "approve", *named(five), *words, code=1)
    assert "Nothing was decided" in done.stderr
    assert "\namount: Input should be a valid integer" in done.stderr
    assert "\neuros: Unknown argument; pay takes amount" in done.stderr
    assert till.asked() == five
    till.segue("approvals", "approve", *named(five), "--arguments", '{"amount": 4}', "-t", "till.py")
    assert till.paid == ["4"]


def test_the_beginnings_of_the_id_and_of_the_digest_are_enough(till, five):
    till.segue("approvals", "approve", five["approval"][:5], "--digest", five["digest"][:16], "-t", "till.py")
    assert till.paid == ["5"]


def test_arguments_that_are_edited_are_what_is_paid(till, five):
    done = till.segue("approvals", "approve", *named(five), "--arguments", '{"amount": 4.0}', "--json")
    assert json.loads(done.stdout)["decision"] == "approved"
    assert "paid 4" in till.segue("resume", five["conversation"], "till.py").stdout
    assert till.paid == ["4"]
    (start,) = [row.event for row in till.rows(five["conversation"]) if isinstance(row.event, ToolStarted)]
    assert start.arguments == '{"amount":4}'


@pytest.mark.parametrize("arguments", ['{"amount": 4', '{"amount": 4, "amount": 400}', '{"amount": NaN}', "[4]"])
def test_arguments_that_are_no_sound_json_object_decide_nothing(till, five, arguments):
    done = till.segue("approvals", "approve", *named(five), "--arguments", arguments, code=1)
    assert "cannot be read" in done.stderr
    assert till.asked() == five


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ([], 2, "Say which arguments you mean: --digest D"),
        (["--digest", "abc"], 2, "too short"),
        (["--digest", ""], 2, "too short"),
        (["--digest", "0" * 64], 1, "for other arguments"),
        (["--digest", digest('{"amount":6}')], 1, "for other arguments"),
    ],
)
def test_a_decision_that_does_not_say_which_arguments_it_means_decides_nothing(till, five, words, code, told):
    done = till.segue("approvals", "approve", five["approval"], *words, code=code)
    assert told in done.stderr
    assert till.asked() == five


def test_a_second_decision_is_refused_and_its_conversation_knows_why(till, five):
    till.segue("approvals", "approve", *named(five), "-t", "till.py")
    done = till.segue("approvals", "deny", *named(five), code=1)
    assert "No call waits under the approval" in done.stderr
    done = till.segue("approvals", "approve", *named(five), "-c", five["conversation"], "-t", "till.py", code=1)
    assert "was given by ann, and its call has been begun" in done.stderr
    assert till.paid == ["5"]


def test_a_decision_that_comes_too_late_is_refused(till, five, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: five["expires"] + 1)
    done = till.segue("approvals", "approve", *named(five), "-t", "till.py", code=1)
    assert "has expired" in done.stderr
    assert till.paid == []


def test_a_beginning_that_several_approvals_have_is_refused(till):
    till.say("Pay 5 6")
    done = till.segue("approvals", "approve", "", "--digest", "0" * 16, code=2)
    assert "begins the ids of 2 approvals" in done.stderr


def test_a_target_that_cannot_be_loaded_is_told_before_anything_is_decided(till, five):
    till.segue("approvals", "approve", *named(five), "-t", "nowhere.py", code=2)
    assert till.asked() == five


@pytest.mark.parametrize(("answer", "paid"), [("y", ["5"]), ("n", []), ("", [])])
def test_on_a_terminal_the_call_is_shown_and_asked_about_instead_of_the_digest(till, five, answer, paid):
    env = surroundings(till.folder, SEGUE_JOURNAL="j.db")
    with on_terminal("approvals", "approve", five["approval"], "-t", "till.py", env=env, cwd=till.folder) as terminal:
        terminal.wait_for("Cashier wants to call pay")
        terminal.wait_for('{"amount":5}')
        terminal.wait_for("Approve this call? [y/N]")
        terminal.type(answer)
        assert terminal.end() == (0 if paid else 1)
        assert ("I am told: paid 5" in terminal.shown) == bool(paid)
    assert till.paid == paid


def test_of_processes_that_approve_at_the_same_instant_one_pays(till, five):
    env = surroundings(till.folder, SEGUE_JOURNAL="j.db")
    words = [*SEGUE, "approvals", "approve", *named(five), "-t", "till.py"]
    begun = [subprocess.Popen(words, env=env, cwd=till.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    ended = [(process.communicate(timeout=60), process.returncode) for process in begun]
    assert sorted(code for _, code in ended) == [0, 1, 1, 1], ended
    assert [out for (out, _), code in ended if code == 0] == [b"I am told: paid 5\n"]
    assert till.paid == ["5"]


def test_all_of_it_works_in_a_database_as_in_a_file(till, database, monkeypatch):
    monkeypatch.setenv("SEGUE_JOURNAL", database)
    name = till.say("Pay 5")
    one = till.asked()
    till.segue("approvals", "approve", one["approval"][:6], "--digest", one["digest"][:16], "-t", "till.py")
    assert till.paid == ["5"]
    assert "approved by ann" in till.segue("runs", "show", name[:6]).stdout
    copy = till.segue("fork", name).stdout.strip()
    assert [row["status"] for row in till.lines("runs", "ls")] == ["done", "done"]
    assert till.segue("runs", "erase", name, copy, "--yes").stdout.split() == [name, copy]
    assert till.lines("runs", "ls") == []

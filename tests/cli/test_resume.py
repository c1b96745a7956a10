import json

from segue.core.events import DriveStarted, InputGiven, RunEnded, Started
from segue.core.messages import User
from tests.core.making import asks, call, starts, user

LEFT = [Started("c", "Cashier"), InputGiven("r", (User("Hello"),)), DriveStarted("d_1")]
"""A conversation whose process died before the model had replied."""


def test_what_a_process_left_is_gone_on_with_and_the_answer_printed(till):
    till.write("c", LEFT)
    done = till.segue("resume", "c", "till.py")
    assert done.stdout == "You said Hello.\n"
    assert till.lines("runs", "ls")[0]["status"] == "done"


def test_a_call_that_may_have_been_made_is_not_made_again(till):
    till.write("c", [*LEFT, asks(call("pay", arguments='{"amount": 5}'), agent="Cashier"), starts("1.0", arguments='{"amount":5}')])
    assert "Outcome unknown" in till.segue("resume", "c", "till.py").stdout
    assert till.paid == []


def test_a_run_that_reached_a_limit_gets_a_new_allowance(till):
    till.write("c", [*LEFT, RunEnded("limited", "turns", "Enough.")])
    response = json.loads(till.segue("resume", "c", "till.py", "--json").stdout)
    assert (response["status"], response["output"]) == ("done", "You said Hello.")


def test_where_nothing_is_left_to_do_the_last_answer_is_printed_again(till):
    name = till.say("Hello")
    assert till.segue("resume", name, "till.py").stdout == "You said Hello.\n"
    assert len(till.rows(name)) == 5


def test_a_run_that_waits_for_a_person_is_told_with_the_command_that_shows_for_what(till):
    name = till.say("Pay 5")
    done = till.segue("resume", name, "till.py", code=1)
    assert done.stdout == ""
    assert "segue approvals ls" in done.stderr


def test_only_the_events_that_are_new_are_printed(till):
    till.write("c", LEFT)
    rows = [json.loads(line) for line in till.segue("resume", "c", "till.py", "--events").stdout.splitlines()]
    assert [row["seq"] for row in rows] == list(range(4, 4 + len(rows)))
    assert rows[0]["kind"] == "DriveStarted"
    assert till.segue("resume", "c", "till.py", "--json", "--events", code=2).stdout == ""


def test_a_conversation_that_is_not_there_is_told(till):
    till.say("Hello")
    assert "no conversation 'x'" in till.segue("resume", "x", "till.py", code=2).stderr
    assert "no journal other.db" in till.segue("resume", "x", "till.py", "--journal", "other.db", code=2).stderr


def test_a_run_that_a_guard_refused_cannot_be_gone_on_with(till):
    till.write("c", [*LEFT, RunEnded("failed", "input guard")])
    assert "Give another input" in till.segue("resume", "c", "till.py", code=2).stderr
    till.write("d", [Started("d", "Cashier"), user("Hi")])
    assert till.segue("resume", "d", "till.py").stdout == "You said Hi.\n"

import json

import pytest

from segue.core.events import ApprovalDecided, DriveStarted, InputGiven, RunEnded, Started, ToolSettled, ToolStarted, ToolUnknown
from segue.core.messages import User
from tests.core.making import asks, call, question, starts


@pytest.fixture
def doubt(till):
    """Somebody is asked what came of a payment that was begun by a process that died."""
    asked = question("1.0", arguments='{"amount":5}')
    begun = [Started("c", "Cashier"), InputGiven("r", (User("Pay 5"),)), DriveStarted("d_1")]
    paying = [asks(call("pay", arguments='{"amount":5}'), agent="Cashier"), asked, ApprovalDecided("q", asked.digest, "approve")]
    till.write("c", [*begun, *paying, starts("1.0", arguments='{"amount":5}', approval="q"), ToolUnknown("1.0", "who knows", ask=True)])
    return till


def test_what_came_of_a_call_is_written_down_with_who_said_so_and_the_model_reads_it(doubt):
    done = doubt.segue("settle", "c", "1.0", "it was paid, receipt 7")
    assert (done.stdout, done.stderr) == ("", "segue: Go on with it: segue resume c TARGET\n")
    assert doubt.rows("c")[-1].event == ToolSettled("1.0", "it was paid, receipt 7", "ann")
    assert doubt.segue("resume", "c", "till.py").stdout == "I am told: it was paid, receipt 7\n"
    assert doubt.paid == []


def test_the_json_says_where_the_conversation_stands(doubt):
    done = doubt.segue("settle", "c", "1.0", "paid", "--by", "Bob", "--json")
    assert json.loads(done.stdout) == {"conversation": "c", "place": "1.0", "status": "running", "by": "Bob"}


def test_what_an_agent_did_for_a_call_that_is_settled_is_ended(till):
    inner = [Started("c/1.0", "Clerk"), InputGiven("r", (User("Pay 5"),)), DriveStarted("d_1")]
    till.write("c/1.0", [*inner, asks(call("pay", arguments='{"amount":5}'), agent="Clerk"), question("1.0", arguments='{"amount":5}')])
    begun = [Started("c", "Cashier"), InputGiven("r", (User("Pay 5"),)), DriveStarted("d_1")]
    asking = asks(call("clerk", arguments='{"input":"Pay 5"}'), agent="Cashier")
    started = ToolStarted("1.0", "clerk", '{"input":"Pay 5"}', "keyed", "k")
    till.write("c", [*begun, asking, started, ToolUnknown("1.0", "who knows", ask=True)])
    assert "c/1.0" in till.segue("approvals", "ls").stdout
    till.segue("settle", "c", "1.0", "it was paid")
    assert "c/1.0" not in till.segue("approvals", "ls").stdout
    assert isinstance(till.rows("c/1.0")[-1].event, RunEnded)


def test_a_call_that_is_not_in_doubt_cannot_be_settled(doubt):
    done = doubt.segue("settle", "c", "2.0", "paid", code=2)
    assert "Waiting to be settled: 1.0 (pay)" in done.stderr
    doubt.segue("settle", "c", "1.0", "paid")
    assert "Waiting to be settled: none" in doubt.segue("settle", "c", "1.0", "paid", code=2).stderr


def test_a_call_in_doubt_is_no_call_to_be_decided(doubt):
    assert doubt.lines("approvals", "ls") == []

import json

from segue.core.events import ToolUnknown
from tests.core.making import ASKED, asks, call, says, starts


def test_a_run_is_ended_and_a_call_that_was_begun_is_unknown(till):
    till.write("c", [*ASKED, asks(call()), starts("1.0")])
    done = till.segue("cancel", "c")
    assert (done.stdout, done.stderr) == ("", "segue: c is cancelled.\n")
    assert any(isinstance(row.event, ToolUnknown) for row in till.rows("c"))
    assert till.lines("runs", "ls")[0]["status"] == "cancelled"


def test_a_call_that_waits_for_a_decision_is_not_made_after_a_cancel(till):
    name = till.say("Pay 5")
    one = till.asked()
    assert json.loads(till.segue("cancel", name, "--json").stdout) == {"conversation": name, "cancelled": True, "status": "cancelled"}
    done = till.segue("approvals", "approve", one["approval"], "--digest", one["digest"], "-c", name, code=1)
    assert "is not waited for any more" in done.stderr
    assert till.paid == []


def test_where_nothing_is_run_there_is_nothing_to_cancel(till):
    till.write("c", [*ASKED, says()])
    done = till.segue("cancel", "c")
    assert done.stderr == "segue: There is nothing to cancel: c is done.\n"
    assert json.loads(till.segue("cancel", "c", "--json").stdout)["cancelled"] is False
    assert len(till.rows("c")) == 4

import json

from tests.core.making import ASKED, asks, call, returns, says


def test_the_id_of_the_fork_is_all_that_stdout_gets_and_the_fork_goes_on_by_itself(till):
    name = till.say("Hello")
    new = till.segue("fork", name).stdout.strip()
    assert new.startswith("c_")
    assert till.rows(new)[0].event.origin == f"{name}@5"
    till.say("More", conversation=new)
    assert len(till.rows(name)) == 5
    assert "forked from" in till.segue("runs", "show", new).stdout


def test_a_fork_before_a_payment_is_refused_unless_it_may_be_made_again(till):
    till.write("c", [*ASKED, asks(call("pay")), *returns("1.0"), says()])
    done = till.segue("fork", "c", "--at", "3", code=2)
    assert "1.0 look_up" in done.stderr
    assert "--allow-effects" in done.stderr
    made = json.loads(till.segue("fork", "c", "--at", "3", "--allow-effects", "--json").stdout)
    assert made["origin"] == "c@3"
    assert len(till.rows(made["conversation"])) == 3


def test_a_place_inside_a_turn_is_refused_with_the_nearest_before_it(till):
    till.write("c", [*ASKED, asks(call("pay")), *returns("1.0"), says()])
    assert "The nearest place before it to fork at is 3." in till.segue("fork", "c", "--at", "5", code=2).stderr
    assert "its places are 1 to 7" in till.segue("fork", "c", "--at", "9", code=2).stderr

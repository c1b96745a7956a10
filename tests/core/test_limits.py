import pytest

from segue.core.limits import DEFAULTS, Limits, Spent, cost_of, handoff_refusal, over, ping_pong, remaining
from segue.core.messages import Usage
from segue.errors import UsageError

NOTHING_SPENT = Spent()


def refusal(spent=NOTHING_SPENT, limits=DEFAULTS, depth=1, kind="transfer", active="A", target="B"):
    return handoff_refusal(spent, limits, depth, kind=kind, active=active, target=target)


@pytest.mark.parametrize(
    ("name", "value"),
    [("turns", 0), ("repeats", 0), ("handoffs", -1), ("tokens", -1), ("cost", float("nan")), ("turns", True), ("tool_timeout", "60")],
)
def test_a_limit_that_makes_no_sense_is_refused_where_it_is_written(name, value):
    with pytest.raises(UsageError, match=f"{name}="):
        Limits(**{name: value})


@pytest.mark.parametrize("prices", [[("m", 1, 2)], "m"])
def test_prices_that_are_no_dictionary_are_refused_with_one_to_copy(prices):
    with pytest.raises(UsageError, match="give a dictionary"):
        Limits(prices=prices)


def test_none_is_no_limit():
    free = Limits(None, None, None, None, None, None, None, None, None)
    spent = Spent(turns=10**6, handoffs=10**6, repeats=10**6, usage=Usage(10**9), cost=10.0**9)
    assert over(spent, free) is None
    assert refusal(spent, free) is None


def test_a_run_may_spend_what_its_limit_says_and_no_more():
    limits = Limits(turns=2, repeats=3, tokens=10, cost=1.5)
    assert over(Spent(turns=1, repeats=2, usage=Usage(5, 4), cost=1.4), limits) is None
    assert over(Spent(turns=2), limits) == "turns"
    assert over(Spent(repeats=3), limits) == "repeats"
    assert over(Spent(usage=Usage(5, 5)), limits) == "tokens"
    assert over(Spent(cost=1.5), limits) == "cost"


def test_the_first_handoff_over_the_limit_is_told_and_the_second_ends_the_run():
    assert over(Spent(refused_handoffs=1), DEFAULTS) is None
    assert over(Spent(refused_handoffs=2), DEFAULTS) == "handoffs"


def test_a_handoff_over_the_limit_is_refused_in_words_for_the_model():
    assert refusal(Spent(handoffs=7)) is None
    assert "limit of 8 handoffs" in refusal(Spent(handoffs=8))
    assert "limit of 0 handoffs" in refusal(limits=Limits(handoffs=0))


def test_the_fifth_handoff_in_a_row_between_the_same_two_is_ping_pong():
    assert ping_pong(("B", "A", "B", "A"), "A", "B")
    assert not ping_pong(("B", "A", "B"), "B", "A")
    assert not ping_pong(("C", "A", "B", "A"), "A", "B")
    assert not ping_pong(("B", "A", "B", "A"), "A", "C")
    assert "back and forth between B and A" in refusal(Spent(trail=("B", "A", "B", "A")))


def test_four_calls_may_be_open_and_a_fifth_is_refused():
    assert refusal(depth=4, kind="call") is None
    assert "4 calls are open" in refusal(depth=5, kind="call")
    assert refusal(depth=5, kind="transfer") is None


def test_limits_are_stored_as_what_differs_from_the_defaults():
    assert Limits().differences() == {}
    assert Limits(turns=40, cost=None).differences() == {"turns": 40}
    assert Limits(prices={"m": (1.0, 2.0)}).differences() == {"prices": {"m": [1.0, 2.0]}}


def test_stored_limits_are_read_back_and_names_of_another_version_are_passed_over():
    limits = Limits(turns=40, tool_timeout=None)
    assert DEFAULTS.updated(limits.differences()) == limits
    assert DEFAULTS.updated({}) is DEFAULTS
    assert DEFAULTS.updated({"moons": 3}) == DEFAULTS
    assert limits.updated({"turns": 5}) == Limits(turns=5, tool_timeout=None)


def test_a_reply_costs_what_its_model_costs_and_nothing_where_no_price_is_known():
    limits = Limits(prices={"m": (2.0, 10.0)})
    assert cost_of(Usage(1_000_000, 100_000), ["m-2026-11-01", "m"], limits) == 3.0
    assert cost_of(Usage(1_000_000, 0), ["another"], limits) == 0.0
    assert cost_of(Usage(1_000_000, 0), ["m"], DEFAULTS) == 0.0


def test_an_agent_used_as_a_tool_may_spend_what_is_left_of_the_budgets():
    limits, spent = Limits(turns=5, tokens=100, cost=2.0), Spent(turns=4, usage=Usage(50, 20), cost=0.5)
    assert remaining(limits, spent) == Limits(turns=5, tokens=30, cost=1.5)
    assert remaining(limits, Spent(usage=Usage(200), cost=3.0)) == Limits(turns=5, tokens=0, cost=0.0)
    assert remaining(Limits(tokens=100), spent) == Limits(tokens=30)
    assert remaining(Limits(cost=2.0), spent) == Limits(cost=1.5)
    assert remaining(DEFAULTS, spent) is DEFAULTS


def test_an_approval_waits_for_a_week_where_nothing_else_is_said():
    assert DEFAULTS.approval_expiry == 7 * 24 * 3600
    assert Limits(approval_expiry=None).differences() == {"approval_expiry": None}


@pytest.mark.parametrize("price", [5, (1.0,), (1.0, 2.0, 3.0), ("1", "2"), (True, 2.0), None])
def test_a_price_that_is_no_pair_of_numbers_is_refused(price):
    with pytest.raises(UsageError, match="a million output tokens"):
        Limits(prices={"gpt-5": price})

"""What becomes of a call whose process died while it ran (R25)."""

import pytest

from segue import Agent, MemoryJournal, Runner, UsageError, guard, tool
from segue.core.events import ToolStarted
from segue.testing import FunctionModel


def model(request):
    return "Done." if len(request.messages) > 2 else {"pay": {"amount": 5}}


async def died_while_paying(agent):
    """A journal that ends where the call of `pay` had just been started, and the conversation's id."""
    whole = Runner(agent, model=FunctionModel(model))
    conversation = (await whole.run("Pay five.")).conversation
    rows = await whole.events(conversation)
    last = next(place for place, row in enumerate(rows, 1) if isinstance(row.event, ToolStarted))
    journal = MemoryJournal()
    await journal.append(conversation, 1, [row.event for row in rows[:last]], at=0)
    return journal, conversation


async def resumed(paid, **options):
    @tool(**options)
    def pay(amount: int) -> str:
        """Pay."""
        paid.append(amount)
        return "paid"

    agent = Agent("Cashier", tools=[pay])
    journal, conversation = await died_while_paying(agent)
    paid.clear()
    response = await Runner(agent, model=FunctionModel(model), journal=journal).resume(conversation)
    return response.messages[1]["content"]


async def test_a_call_that_may_have_happened_is_not_made_again_and_the_model_is_told():
    paid = []
    assert (await resumed(paid)).startswith("Outcome unknown")
    assert paid == []


async def test_reconcile_is_given_the_calls_key_and_what_it_finds_is_the_outcome():
    paid, keys = [], []
    assert await resumed(paid, reconcile=lambda key: keys.append(key) or "paid, receipt 7") == "paid, receipt 7"
    assert paid == []
    assert len(keys[0]) == 32


@pytest.mark.parametrize("reconcile", [lambda key: None, lambda key: 1 / 0, lambda key: object()])
async def test_where_reconcile_cannot_tell_the_outcome_is_unknown(reconcile):
    paid = []
    assert (await resumed(paid, reconcile=reconcile)).startswith("Outcome unknown")
    assert paid == []


@pytest.mark.parametrize("effect", ["read", "keyed"])
async def test_what_may_be_repeated_is_repeated(effect):
    paid = []
    assert await resumed(paid, effect=effect) == "paid"
    assert paid == [5]


async def test_a_call_that_was_begun_and_is_refused_now_is_unknown_and_not_said_to_be_uncalled():
    paid, closed = [], []

    @guard("tool")
    def hours(context, call):
        return "closed" if closed else None

    @tool(effect="keyed")
    def pay(amount: int) -> str:
        """Pay."""
        paid.append(amount)
        return "paid"

    agent = Agent("Cashier", tools=[pay], guards=[hours])
    journal, conversation = await died_while_paying(agent)
    closed.append(True)
    response = await Runner(agent, model=FunctionModel(model), journal=journal).resume(conversation)
    assert response.messages[1]["content"].startswith("Outcome unknown")
    assert paid == [5]  # by the process that died


def test_a_transaction_tool_is_refused_by_a_journal_without_a_database():
    @tool(effect="transaction")
    def pay(amount: int) -> str:
        """Pay."""
        return "paid"

    with pytest.raises(UsageError, match="no database"):
        Runner(Agent("Cashier", tools=[pay]))



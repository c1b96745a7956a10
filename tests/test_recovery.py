"""What becomes of a call whose process died while it ran (R25)."""

import asyncio
import contextlib
import sqlite3
from dataclasses import replace

import pytest

from segue import Agent, Context, MemoryJournal, Runner, UsageError, guard, tool
from segue.core.conversation import Status
from segue.core.events import ApprovalAsked, DriveStarted, InputGiven, Started, ToolStarted
from segue.core.fold import replay
from segue.core.limits import IDLE_DRIVES
from segue.core.messages import User
from segue.errors import ConversationParked
from segue.journal.base import fold, summary_of
from segue.journal.sqlite import SqliteJournal
from segue.testing import FunctionModel, ScriptedModel
from tests.acting import until


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


# ---- with an approval that was consumed (R29, R30)


class Cashier:
    """A runner whose one tool needs an approval, as some version of the code has it; `paid` and `keys` tell of what was done."""

    def __init__(self, journal, *script, **options):
        self.paid, self.keys = [], []

        @tool(**{"approve": True, **options})
        def pay(amount: int, ctx: Context) -> str:
            """Pay."""
            self.paid.append(amount)
            self.keys.append(ctx.key)
            return f"paid {amount}"

        self.model = ScriptedModel(script)
        self.runner = Runner(Agent("Cashier", tools=[pay]), model=self.model, journal=journal)

    async def ask(self):
        (slot,) = (await self.runner.run("Pay five.", conversation="c")).waiting_for
        return slot.approval


async def died_after_the_start(**options):
    """A process that died while it made an approved call: what it had done, and the journal."""
    whole = Cashier(MemoryJournal(), {"pay": {"amount": 5}}, "Done.", **options)
    approval = await whole.ask()
    await whole.runner.approve("c", approval.id, approval.digest, by="Ada")
    rows = await whole.runner.events("c")
    start = next(place for place, row in enumerate(rows, 1) if isinstance(row.event, ToolStarted))
    journal = MemoryJournal()
    await journal.append("c", 1, [row.event for row in rows[:start]], at=0)
    return whole, journal


async def kinds(runner, kind):
    return [row.event for row in await runner.events("c") if isinstance(row.event, kind)]


@pytest.mark.parametrize("effect", ["keyed", "read"])
async def test_an_approved_call_that_may_be_repeated_is_repeated_with_its_key_and_nobody_is_asked_again(effect):
    whole, journal = await died_after_the_start(effect=effect)
    again = Cashier(journal, "Done.", effect=effect)
    assert (await again.runner.resume("c")).output == "Done."
    assert (again.paid, again.keys) == ([5], whole.keys)
    assert len(await kinds(again.runner, ApprovalAsked)) == 1
    first, second = await kinds(again.runner, ToolStarted)
    assert first == second


async def test_an_approved_call_that_may_not_be_repeated_is_put_to_a_person_who_settles_it():
    _, journal = await died_after_the_start(effect="once")
    again = Cashier(journal, "Done.", effect="once")
    (slot,) = (await again.runner.resume("c")).waiting_for
    assert slot.doubt.words.startswith("Outcome unknown")
    assert (await again.runner.settle("c", slot.place, "It was paid.")).output == "Done."
    assert again.paid == []


async def test_a_keyed_tool_that_changed_meanwhile_is_not_called_under_the_old_approval_and_a_person_is_asked_what_came_of_it():
    _, journal = await died_after_the_start(effect="keyed")
    again = Cashier(journal, "Done.", effect="keyed", description="Pay, and tell.")
    (slot,) = (await again.runner.resume("c")).waiting_for
    assert slot.doubt.words.startswith("Outcome unknown: the tool has changed since the call was begun")
    assert (await again.runner.settle("c", slot.place, "It was paid.")).output == "Done."
    assert again.paid == []


async def test_a_tool_that_only_reads_and_changed_meanwhile_is_denied_because_nothing_was_done():
    _, journal = await died_after_the_start(effect="read")
    again = Cashier(journal, "Done.", effect="read", description="Pay, and tell.")
    response = await again.runner.resume("c")
    assert response.messages[1]["content"].startswith("Not done: the tool has changed since the call was begun")
    assert again.paid == []


@pytest.mark.parametrize("effect", ["once", "transaction"])
async def test_a_keyed_call_whose_tool_is_not_keyed_any_more_is_unknown(effect):
    _, journal = await died_after_the_start(effect="keyed")
    if effect == "transaction":
        rows = await journal.read("c")
        journal = Shared()
        await journal.append("c", 1, [row.event for row in rows], at=0)
    again = Cashier(journal, "Done.", effect=effect)
    (slot,) = (await again.runner.resume("c")).waiting_for
    assert slot.doubt.words.startswith("Outcome unknown")
    assert again.paid == []


class Shared(MemoryJournal):
    """A journal that could share a transaction, if one were asked for."""

    def transact(self, conversation, fence, within, *, at):
        raise AssertionError("no transaction is to be begun")


async def test_edited_arguments_are_those_with_which_a_call_is_begun_again():
    whole = Cashier(MemoryJournal(), {"pay": {"amount": 5}}, "Done.", effect="keyed")
    approval = await whole.ask()
    await whole.runner.approve("c", approval.id, approval.digest, arguments={"amount": 3})
    rows = await whole.runner.events("c")
    start = next(place for place, row in enumerate(rows, 1) if isinstance(row.event, ToolStarted))
    journal = MemoryJournal()
    await journal.append("c", 1, [row.event for row in rows[:start]], at=0)
    again = Cashier(journal, "Done.", effect="keyed")
    response = await again.runner.resume("c")
    assert (again.paid, again.keys) == ([3], whole.keys)
    assert response.messages[1]["content"] == '[A person changed the arguments of this call to {"amount":3}]\npaid 3'


# ---- unique calls (R26)


@pytest.mark.parametrize(("effect", "made"), [("once", []), ("keyed", [5])])
async def test_a_unique_call_that_died_with_its_process_is_known_by_its_outcome_whatever_it_is(effect, made):
    def cashier(paid):
        @tool(effect=effect, unique=True)
        def pay(amount: int) -> str:
            paid.append(amount)
            return "paid"

        return Agent("Cashier", tools=[pay])

    journal, conversation = await died_while_paying(cashier([]))
    paid = []
    runner = Runner(cashier(paid), model=ScriptedModel([{"pay": {"amount": 5}}, "Done."]), journal=journal)
    response = await runner.resume(conversation)
    first, second = [message["content"] for message in response.messages if message["role"] == "tool"]
    assert second == f"Not called again: the same call was made earlier in this conversation, and this is what came of it.\n{first}"
    assert first.startswith("Outcome unknown") == (effect == "once")
    assert paid == made


# ---- transactions (R25)


async def test_a_transaction_that_died_with_its_process_left_nothing_and_is_made_again(tmp_path):
    def cashier(paid):
        @tool(effect="transaction", approve=True)
        def pay(amount: int, ctx: Context) -> str:
            ctx.db.execute("CREATE TABLE IF NOT EXISTS paid (amount INTEGER)")
            ctx.db.execute("INSERT INTO paid VALUES (?)", (amount,))
            paid.append(amount)
            return f"paid {amount}"

        return Agent("Cashier", tools=[pay])

    async with Runner(cashier([]), model=ScriptedModel([{"pay": {"amount": 5}}, "Done."]), journal=str(tmp_path / "one.db")) as whole:
        (slot,) = (await whole.run("Pay five.", conversation="c")).waiting_for
        await whole.approve("c", slot.approval.id, slot.approval.digest)
        rows = await whole.events("c")
    start = next(place for place, row in enumerate(rows, 1) if isinstance(row.event, ToolStarted))
    journal = SqliteJournal(tmp_path / "two.db")
    await journal.append(
        "c", 1, [replace(row.event, driver="") if isinstance(row.event, DriveStarted) else row.event for row in rows[:start]], at=0
    )
    paid = []
    async with Runner(cashier(paid), model=ScriptedModel(["Done."]), journal=journal) as again:
        response = await again.resume("c")
        assert (response.messages[1]["content"], paid) == ("paid 5", [5])
        assert len(await kinds(again, ApprovalAsked)) == 1
    await journal.aclose()
    with contextlib.closing(sqlite3.connect(tmp_path / "two.db")) as db:
        assert db.execute("SELECT amount FROM paid").fetchall() == [(5,)]


# ---- a conversation that kills its process


async def test_what_kills_every_driver_is_parked_with_a_reason_and_goes_on_when_it_is_resumed():
    agent = Agent("Cashier")
    journal = MemoryJournal()
    whole = Runner(agent, model=ScriptedModel(["Done."]))
    conversation = (await whole.run("Hello.")).conversation
    opening = [row.event for row in await whole.events(conversation)][:2]
    await journal.append(conversation, 1, [*opening, *[DriveStarted(f"d_{n}") for n in range(IDLE_DRIVES)]], at=0)
    runner = Runner(agent, model=ScriptedModel(["Done."]), journal=journal)
    with pytest.raises(ConversationParked, match="each time the process ended before anything was done") as caught:
        await runner.resume(conversation)
    assert caught.value.reason == "no progress"
    assert (await runner.resume(conversation)).output == "Done."


class Asked(MemoryJournal):
    """Takes its time to say whether a driver lives."""

    durable = True

    def __init__(self):
        super().__init__()
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def alive(self, driver):
        self.asked.set()
        await self.go_on.wait()
        return False


async def test_a_runner_that_is_closed_while_it_looks_what_to_recover_takes_no_step_and_recovers_when_it_is_opened_again():
    journal, model = Asked(), ScriptedModel(["Done."])
    left = [Started("c", "A"), InputGiven("r", (User("Hi"),)), DriveStarted("d_dead")]
    await journal.append("c", 1, left, at=1.0, summary=summary_of(replay(left)))
    runner = Runner(Agent("A"), model=model, journal=journal)
    async with runner:
        await journal.asked.wait()
        asyncio.get_running_loop().call_soon(journal.go_on.set)  # when nobody is left who could be told to stop
    assert model.requests == []
    async with runner:
        await until(lambda: model.requests)
        await until(lambda: runner._desk.drives() == [])
    assert fold(await journal.read("c")).status is Status.IDLE


async def test_recovery_ends_what_an_agent_does_for_a_call_that_is_over_and_leaves_ids_with_a_slash_alone(tmp_path):
    @tool(approve=True)
    def pay(n: int) -> str:
        return "paid"

    team = Agent("Outer", tools=[Agent("Inner", tools=[pay]).as_tool()], handoffs=[Agent("Payer", tools=[pay])])
    journal = SqliteJournal(tmp_path / "x.db")
    async with Runner(team, journal=journal, model=ScriptedModel([{"inner": {"input": "x"}}, {"pay": {"n": 1}}])) as runner:
        await runner.run("Go", conversation="c")
    rows = [row.event for row in await journal.read("c/1.0")]
    async with Runner(team, journal=journal, model=ScriptedModel(["Fine.", {"transfer_to_payer": {}}, {"pay": {"n": 1}}])) as runner:
        await runner.run("Forget it", conversation="c", busy="interrupt")
        assert fold(await journal.read("c/1.0")).status is Status.ENDED
        await journal.erase("c/1.0")
        await journal.append("c/1.0", 1, rows, at=1.0, summary=summary_of(replay(rows)))  # as after a crash before its end
        assert (await runner.run("Pay", conversation="c/own")).status == "waiting"
    async with Runner(team, journal=journal, model=ScriptedModel([])) as runner:
        await runner.recover()
    assert fold(await journal.read("c/1.0")).status is Status.ENDED
    assert fold(await journal.read("c/own")).status is Status.HUMAN
    await journal.aclose()

"""Two processes and one conversation with an agent as a tool: interrupts, takeovers, decisions that nobody goes on with."""

import asyncio

import pytest

from segue import Agent, Context, Result, Runner, tool
from segue.core.conversation import Status
from segue.core.events import ApprovalAsked, ApprovalDecided, DriveStarted, InputGiven, Started, ToolFailed
from segue.core.fold import replay
from segue.core.messages import User
from segue.errors import ConversationBusy, JournalError
from segue.journal.base import fold, summary_of
from segue.journal.sqlite import SqliteJournal
from segue.testing import FunctionModel, ScriptedModel


async def test_an_interrupt_from_elsewhere_ends_what_an_agent_as_a_tool_asks_later(tmp_path):
    at, go = asyncio.Event(), asyncio.Event()

    @tool(approve=True)
    def pay(n: int) -> str:
        return "paid"

    async def model(request):
        if request.agent == "Inner":
            at.set()
            await go.wait()
            return {"pay": {"n": 1}}
        return {"inner": {"input": "x"}} if len(request.messages) == 2 else "Forgotten."

    desk, file = Agent("Outer", tools=[Agent("Inner", tools=[pay]).as_tool()]), str(tmp_path / "x.db")
    async with Runner(desk, journal=file, model=FunctionModel(model)) as one, Runner(desk, journal=file, model=FunctionModel(model)) as two:
        first = asyncio.create_task(one.run("Pay", conversation="c"))
        await at.wait()
        second = asyncio.create_task(two.run("Forget it", conversation="c", busy="interrupt"))
        while len(await two.events("c")) < 7:
            await asyncio.sleep(0.01)
        go.set()
        assert ((await second).text, (await first).status) == ("Forgotten.", "cancelled")
        assert fold(await two.journal.read("c/1.0")).status is Status.ENDED


async def test_a_worker_that_wakes_does_not_take_the_agent_from_the_one_that_goes_on(tmp_path):
    asleep, wake, thinking, paid = asyncio.Event(), asyncio.Event(), asyncio.Event(), []

    class Stopped(SqliteJournal):
        async def read(self, conversation, **options):
            if conversation == "c/1.0" and not wake.is_set():
                asleep.set()
                await wake.wait()
            return await super().read(conversation, **options)

    @tool
    def pay(n: int) -> str:
        paid.append(n)
        return "paid"

    async def model(request):
        if request.agent == "Outer":
            return {"inner": {"input": "x"}} if len(request.messages) == 2 else "Done."
        if len(request.messages) > 2:
            return "Paid."
        thinking.set()
        await asyncio.sleep(0.3)
        return {"pay": {"n": 7}}

    desk = Agent("Outer", tools=[Agent("Inner", tools=[pay]).as_tool()])
    a, b = Stopped(tmp_path / "x.db"), SqliteJournal(tmp_path / "x.db")
    one, two = Runner(desk, journal=a, model=FunctionModel(model)), Runner(desk, journal=b, model=FunctionModel(model))
    first = asyncio.create_task(one.run("Go", conversation="c"))
    await asleep.wait()
    second = asyncio.create_task(two.drive("c"))
    await thinking.wait()
    wake.set()
    await asyncio.gather(first, second, return_exceptions=True)
    assert paid == [7]
    assert not any(isinstance(row.event, ToolFailed) for row in await b.read("c"))
    await a.aclose()
    await b.aclose()


async def test_a_decision_whose_giver_went_away_is_gone_on_with_elsewhere(tmp_path):
    @tool(approve=True)
    def pay(n: int) -> str:
        return "paid"

    desk, model = Agent("A", tools=[pay]), FunctionModel(lambda request: {"pay": {"n": 1}} if len(request.messages) == 2 else "Done.")
    file = str(tmp_path / "x.db")
    async with Runner(desk, journal=file, model=model) as one, Runner(desk, journal=file, model=model) as two:
        async with one.stream("Pay", conversation="c") as stream:
            async for item in stream:
                if isinstance(item, ApprovalAsked):
                    click = asyncio.create_task(one.approve("c", item.id, item.digest))
                    while not any(isinstance(row.event, ApprovalDecided) for row in await two.events("c")):
                        await asyncio.sleep(0.01)
                    click.cancel()
        assert (await two.resume("c")).text == "Done."


async def test_of_a_transaction_whose_result_cannot_be_told_the_model_does_not_hear_that_it_did_its_work(tmp_path):
    @tool(effect="transaction")
    def refund(n: int, ctx: Context):
        ctx.db.execute("create table paid(n)")
        return Result(context={"x": {1}}) if n else object()

    async with Runner(
        Agent("A", tools=[refund]), journal=str(tmp_path / "x.db"), model=ScriptedModel([{"refund": {"n": 0}}, "?"])
    ) as runner:
        told = (await runner.run("Go")).messages[1]["content"]
    assert told.startswith("Rolled back, so nothing was done")
    assert "did its work" not in told


async def test_who_reads_a_stream_is_told_that_a_decision_inside_it_would_wait_for_itself(tmp_path):
    @tool(approve=True)
    def pay(n: int) -> str:
        return "paid"

    model = ScriptedModel([{"pay": {"n": 1}}, "Done."])
    async with Runner(Agent("A", tools=[pay]), journal=tmp_path / "x.db", model=model) as runner:
        async with runner.stream("Pay", conversation="c") as stream:
            async for item in stream:
                if isinstance(item, ApprovalAsked):
                    asked = item
                    with pytest.raises(ConversationBusy, match="decide after the stream's end"):
                        await runner.approve("c", item.id, item.digest)
        assert (await runner.approve("c", asked.id, asked.digest)).text == "Done."


async def test_of_two_that_recover_at_once_one_drives_and_the_other_lets_it(tmp_path):
    thinking, go, asked = asyncio.Event(), asyncio.Event(), []

    async def model(request):
        asked.append(request)
        thinking.set()
        await go.wait()
        return "Done."

    class Slow(SqliteJournal):
        """Another process is faster: what this one would append comes second."""

        async def append(self, conversation, seq, events, **options):
            await thinking.wait()
            await super().append(conversation, seq, events, **options)

    desk, file = Agent("A"), tmp_path / "x.db"
    left = SqliteJournal(file)
    rows = [Started("c", "A"), InputGiven("r", (User("Hi"),)), DriveStarted("d_dead")]
    await left.append("c", 1, rows, at=1.0, summary=summary_of(replay(rows)))
    one, two = (Runner(desk, journal=journal, model=FunctionModel(model)) for journal in (left, Slow(file)))
    recovering = [asyncio.create_task(runner.recover()) for runner in (one, two)]
    await thinking.wait()
    while not recovering[1].done() and len(asked) < 2:
        await asyncio.sleep(0.001)
    go.set()
    await asyncio.gather(*recovering)
    assert len(asked) == 1
    assert fold(await left.read("c")).answer.text == "Done."
    await one.aclose()
    await two.aclose()


async def test_a_write_that_fails_in_one_conversation_takes_no_agent_from_another(tmp_path):
    thinking, go = asyncio.Event(), asyncio.Event()

    class Faulty(SqliteJournal):
        full = False

        async def append(self, conversation, *args, **options):
            if conversation == "x" and self.full:
                raise JournalError("The disk is full.")
            await super().append(conversation, *args, **options)

    async def model(request):
        if request.conversation == "x":
            journal.full = True
        elif request.agent == "Outer" and len(request.messages) == 2:
            thinking.set()
            await go.wait()
            return {"inner": {"input": "x"}}
        return "Done."

    journal = Faulty(tmp_path / "x.db")
    runner = Runner(Agent("Outer", tools=[Agent("Inner").as_tool()]), journal=journal, model=FunctionModel(model))
    run = asyncio.create_task(runner.run("Go", conversation="c"))
    await thinking.wait()
    with pytest.raises(JournalError):
        await runner.run("Go", conversation="x")
    go.set()
    assert (await run).status == "done"
    await journal.aclose()


async def test_who_is_taken_over_while_it_begins_an_agent_does_not_end_it(tmp_path):
    looked, go, tasks = asyncio.Event(), asyncio.Event(), []

    class Late(SqliteJournal):
        """The other driver comes when the agent's conversation has just been begun."""

        async def append(self, conversation, seq, events, **options):
            await super().append(conversation, seq, events, **options)
            if conversation == "c/1.0" and not tasks:
                tasks.append(asyncio.create_task(two.drive("c")))
                await looked.wait()

    class Slow(SqliteJournal):
        async def read(self, conversation, **options):
            if conversation == "c/1.0":
                looked.set()
                await go.wait()
            return await super().read(conversation, **options)

    def model(request):
        return {"inner": {"input": "x"}} if request.agent == "Outer" and len(request.messages) == 2 else "Done."

    desk = Agent("Outer", tools=[Agent("Inner").as_tool()])
    a, b = Late(tmp_path / "x.db"), Slow(tmp_path / "x.db")
    one, two = (Runner(desk, journal=journal, model=FunctionModel(model)) for journal in (a, b))
    with pytest.raises(ConversationBusy):
        await one.run("Go", conversation="c")
    go.set()
    await tasks[0]
    assert (await two.resume("c")).text == "Done."
    await a.aclose()
    await b.aclose()


async def test_what_an_agent_as_a_tool_costs_does_not_grow_with_the_conversation_that_uses_it(tmp_path):
    class Counting(SqliteJournal):
        rows = 0

        async def read(self, conversation, **options):
            found = await super().read(conversation, **options)
            Counting.rows += len(found)
            return found

    journal = Counting(tmp_path / "x.db")
    script = ScriptedModel([*[reply for n in range(9) for reply in ({"inner": {"input": str(n)}}, "In.")], "Done."])
    await Runner(Agent("Outer", tools=[Agent("Inner").as_tool()]), journal=journal, model=script).run("Go")
    assert Counting.rows == 0
    await journal.aclose()


async def test_who_hands_a_stream_on_may_decide_about_what_it_asks():
    @tool(approve=True)
    def pay(n: int) -> str:
        return "paid"

    async def rest():
        async for item in items:
            if isinstance(item, ApprovalAsked):
                asked.set_result(item)
                await told.wait()

    asked, told = asyncio.get_running_loop().create_future(), asyncio.Event()
    model = FunctionModel(lambda request: {"pay": {"n": 1}} if len(request.messages) == 2 else "Done.")
    runner = Runner(Agent("A", tools=[pay]), model=model)
    items = aiter(runner.stream("Pay", conversation="c"))
    await anext(items)
    reader = asyncio.create_task(rest())
    question = await asked
    asyncio.get_running_loop().call_later(0.05, told.set)
    assert (await runner.approve("c", question.id, question.digest)).text == "Done."
    await reader


@pytest.mark.parametrize("first", [2, 3, 4, 5])
async def test_a_journal_that_cannot_be_read_for_a_moment_makes_no_failed_call_of_an_agent_that_has_paid(tmp_path, first):
    class Down(SqliteJournal):
        reads = 0

        async def read(self, conversation, **options):
            self.reads += 1
            if self.reads == first:
                raise JournalError("The server was restarted.")
            return await super().read(conversation, **options)

    paid, thinking, held = [], asyncio.Event(), True

    @tool
    def pay(n: int) -> str:
        paid.append(n)
        return "paid"

    async def model(request):
        if request.agent == "Outer":
            told = str(request.messages[-1].content)
            return {"inner": {"input": "x"}} if len(request.messages) == 2 or told.startswith("Failed") else "Done."
        if len(request.messages) == 2:
            return {"pay": {"n": 1}}
        thinking.set()
        await asyncio.sleep(1000 if held else 0)
        return "Paid."

    desk, a, b = Agent("Outer", tools=[Agent("Inner", tools=[pay]).as_tool()]), SqliteJournal(tmp_path / "x.db"), Down(tmp_path / "x.db")
    one, two = (Runner(desk, journal=journal, model=FunctionModel(model)) for journal in (a, b))
    dead = asyncio.create_task(one.run("Go", conversation="c"))
    await thinking.wait()
    held = False
    await two.drive("c")
    assert paid == [1]
    dead.cancel()
    await asyncio.gather(dead, return_exceptions=True)
    await a.aclose()
    await b.aclose()

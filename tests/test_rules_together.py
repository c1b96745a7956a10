"""Rules that meet: decisions from outside, crashes, agents as tools, guards, keys and queues in one conversation."""

import asyncio
import time

import pytest

from segue import Agent, Context, Limits, Runner, guard, handoff, outside, run, tool
from segue.core.conversation import Status
from segue.core.events import ApprovalAsked, DriveStarted, InputGiven, ModelReplied, Started, ToolReturned, ToolStarted
from segue.core.fold import replay
from segue.core.messages import Call, Reply, User
from segue.errors import CodeChanged, ConversationParked, KeyReused
from segue.journal.base import fold, summary_of
from segue.journal.memory import MemoryJournal
from segue.journal.sqlite import SqliteJournal
from segue.model import TextDelta
from segue.testing import FunctionModel, ScriptedModel
from tests.acting import pass_time


def payer(paid, name="pay", **options):
    def pay(n: int) -> str:
        paid.append(name)
        return "paid"

    return tool(name=name, **options)(pay)


async def until(journal, rows, conversation, lacks):
    kept = [row.event for row in rows if not isinstance(row.event, lacks)]
    await journal.append(conversation, 1, kept, at=1e9, summary=summary_of(replay(kept)))


async def test_what_is_decided_from_outside_is_gone_on_with_elsewhere_while_the_process_that_asked_lives(tmp_path):
    paid = []
    desk, file = Agent("A", tools=[payer(paid, approve=True)]), str(tmp_path / "x.db")
    async with Runner(desk, journal=file, model=ScriptedModel([{"pay": {"n": 1}}])) as server:
        asked = (await server.run("Pay", conversation="c")).waiting_for[0].approval
        journal = SqliteJournal(file)
        await outside.decide(journal, "c", asked.id, asked.digest, "approve", at=time.time())
        response = await Runner(desk, journal=journal, model=ScriptedModel(["Done."])).resume("c")
        assert (response.text, paid) == ("Done.", ["pay"])
        await journal.aclose()


@pytest.mark.parametrize("busy", ["reject", "interrupt"])
async def test_an_input_after_a_crash_ends_what_an_agent_as_a_tool_still_asks(busy):
    outer = Agent("Outer", tools=[Agent("Inner", tools=[payer([], approve=True)]).as_tool()])
    runner = Runner(outer, model=ScriptedModel([{"inner": {"input": "x"}}, {"pay": {"n": 1}}]))
    await runner.run("Go", conversation="c")
    journal = MemoryJournal()
    await until(journal, await runner.events("c"), "c", ApprovalAsked)
    await until(journal, await runner.events("c/1.0"), "c/1.0", ())
    await Runner(outer, journal=journal, model=ScriptedModel(["Fine."])).run("Forget it", conversation="c", busy=busy)
    assert fold(await journal.read("c/1.0")).status is Status.ENDED


async def test_a_guard_that_has_changed_its_mind_does_not_keep_a_decision_from_the_agent_inside():
    shut = []

    @guard("tool")
    def hours(call):
        return "closed" if shut and call.name == "inner" else None

    outer = Agent("Outer", tools=[Agent("Inner", tools=[payer([], approve=True)]).as_tool()], guards=[hours])
    runner = Runner(outer, model=ScriptedModel([{"inner": {"input": "x"}}, {"pay": {"n": 1}}, "Denied.", "Sorry."]))
    asked = (await runner.run("Go", conversation="c")).waiting_for[0].approval
    shut.append(True)
    response = await runner.deny("c", asked.id, asked.digest)
    assert response.messages[1]["content"] == "Denied."
    assert fold(await runner.journal.read("c/1.0")).status is Status.IDLE


async def test_an_agent_as_a_tool_that_is_parked_is_no_failed_call_that_the_model_repeats():
    paid = []

    def team(name):
        return Agent("Outer", tools=[Agent("Inner", tools=[payer(paid, name)]).as_tool()])

    runner = Runner(team("pay"), model=ScriptedModel([{"inner": {"input": "x"}}, {"pay": {"n": 1}}, "In.", "Out."]))
    await runner.run("Go", conversation="c")
    journal = MemoryJournal()
    outer, inner = await runner.events("c"), await runner.events("c/1.0")
    cut = next(i for i, row in enumerate(outer) if isinstance(row.event, ToolReturned))
    await until(journal, outer[:cut], "c", ())
    cut = next(i for i, row in enumerate(inner) if isinstance(row.event, ToolReturned))
    await until(journal, inner[:cut], "c/1.0", ())
    again = ScriptedModel([{"inner": {"input": "x"}}, {"pay_out": {"n": 1}}, "In.", "Out."])
    response = await Runner(team("pay_out"), journal=journal, model=again).resume("c")
    assert (response.status, paid) == ("waiting", ["pay"])


async def queued(model, journal=None):
    """A run that waits for a person with another one behind it, gone on with: what is left."""
    runner = Runner(Agent("A", tools=[payer([], approve=True)]), model=model, limits=Limits(run_timeout=30), journal=journal)
    asked = (await runner.run("One", conversation="c")).waiting_for[0].approval
    await runner.run("Two", conversation="c", busy="queue")
    await runner.approve("c", asked.id, asked.digest)
    return await runner.replay("c")


async def test_a_run_that_was_queued_has_its_own_time():
    def slow(request):
        if len(request.messages) == 2:
            return {"pay": {"n": 1}}
        pass_time(20)
        return "Done."

    c = await queued(FunctionModel(slow))
    assert (c.status, c.answer.text) == (Status.IDLE, "Done.")


async def test_the_time_of_a_run_that_is_over_does_not_end_the_one_that_was_queued_behind_it():
    class Slow(MemoryJournal):
        """The end of the first run is written down for a long time."""

        async def append(self, conversation, seq, events, **options):
            if any(isinstance(event, ModelReplied) and event.reply.text == "One." for event in events):
                pass_time(31)
                await asyncio.sleep(0.001)
            await super().append(conversation, seq, events, **options)

    c = await queued(ScriptedModel([{"pay": {"n": 1}}, "One.", "Two."]), Slow())
    assert (c.status, c.answer.text) == (Status.IDLE, "Two.")


async def test_the_same_key_with_another_history_is_another_input():
    def said(what):
        return [{"role": "user", "content": what}, {"role": "assistant", "content": "Sure?"}, {"role": "user", "content": "Yes"}]

    runner = Runner(Agent("A"), model=ScriptedModel(["A is gone."]))
    assert (await runner.run(said("Delete A"), key="k")).output == (await runner.run(said("Delete A"), key="k")).output
    with pytest.raises(KeyReused):
        await runner.run(said("Delete B"), key="k")


async def test_text_beside_calls_that_no_output_guard_has_judged_is_not_streamed():
    @guard("output")
    def polite(text):
        return "rude" if "idiot" in text else None

    agent = Agent("A", tools=[payer([])], guards=[polite])
    runner = Runner(agent, model=ScriptedModel([["You idiot", {"pay": {"n": 1}}], "Kind."]))
    async with runner.stream("Hi") as stream:
        assert "".join([item.text async for item in stream if isinstance(item, TextDelta)]) == "Kind."


async def test_a_tool_guard_is_asked_about_a_generated_transfer():
    @guard("tool")
    def no(call):
        return "not now" if call.name == "transfer_to_b" else None

    response = await run(Agent("A", handoffs=[Agent("B")], guards=[no]), "Hi", model=ScriptedModel([{"transfer_to_b": {}}, "So I stay."]))
    assert (response.agent.name, response.messages[1]["content"]) == ("A", "Not transferred: not now")


async def test_an_agent_that_a_tool_makes_may_know_the_team_by_name():
    def specialist() -> Agent:
        return Agent("Specialist", handoffs=["Triage"])

    response = await run(
        Agent("Triage", tools=[specialist]), "Hi", model=ScriptedModel([{"specialist": {}}, {"transfer_to_triage": {}}, "Back."])
    )
    assert response.messages[1]["content"].startswith("Transferred to Specialist")
    assert (response.agent.name, response.text) == ("Triage", "Back.")


async def test_a_view_function_that_is_gone_does_not_show_everything():
    def last(ctx: Context, messages):
        return messages[-1:]

    def team(first):
        return Agent(first, handoffs=[handoff(Agent("B"), view=lambda messages: [m for m in messages if m["role"] == "user"])])

    runner = Runner(team("A"), model=ScriptedModel(["SECRET", {"transfer_to_b": {}}, "Yes?"]))
    await runner.run("One", conversation="c")
    await runner.run("Two", conversation="c")
    model = ScriptedModel(["Never."])
    with pytest.raises(Exception, match="view function"):
        await Runner(team("Renamed"), journal=runner.journal, model=model).run("Three", conversation="c")
    assert not model.requests


@pytest.mark.parametrize("policy", ["refuse", "ask"])
async def test_a_change_of_an_agent_used_as_a_tool_is_a_change_of_the_team(tmp_path, policy):
    paid = []

    def team(words):
        return Agent("Outer", tools=[Agent("Inner", instructions=words, tools=[payer(paid, approve=True)]).as_tool()])

    journal = SqliteJournal(tmp_path / "x.db")
    async with Runner(team("Pay."), journal=journal, model=ScriptedModel([{"inner": {"input": "x"}}, {"pay": {"n": 1}}])) as first:
        asked = (await first.run("Go", conversation="c")).waiting_for[0].approval
    async with Runner(team("Pay twice."), journal=journal, model=ScriptedModel([]), on_change=policy) as second:
        with pytest.raises(CodeChanged if policy == "refuse" else ConversationParked, match="its tool inner has changed"):
            await second.approve("c", asked.id, asked.digest)
    assert paid == []


def test_agents_that_use_one_another_as_tools_by_their_functions_have_a_fingerprint():
    def ask_front() -> Agent:
        return front

    back = Agent("Back", tools=[ask_front])
    front = Agent("Front", tools=[back.as_tool()])
    changed = Agent("Front", tools=[Agent("Back", instructions="Other.", tools=[ask_front]).as_tool()])
    assert Runner(front).team.fingerprint == Runner(front).team.fingerprint
    assert Runner(front).team.fingerprint["Front"] != Runner(changed).team.fingerprint["Front"]


class Crashing(MemoryJournal):
    """A journal whose process dies after so many appends."""

    left = 10**6

    async def append(self, conversation, seq, events, **options):
        if self.left == 0:
            raise ConnectionError
        self.left -= 1
        await super().append(conversation, seq, events, **options)


async def test_a_cancel_that_dies_half_way_leaves_no_agent_at_work_for_nobody():
    journal = Crashing()
    outer = Agent("Outer", tools=[Agent("Inner", tools=[payer([], approve=True)]).as_tool()])
    await Runner(outer, journal=journal, model=ScriptedModel([{"inner": {"input": "x"}}, {"pay": {"n": 1}}])).run("Go", conversation="c")
    journal.left = 1
    with pytest.raises(ConnectionError):
        await outside.cancel(journal, "c", at=time.time())
    journal.left = 10**6
    assert fold(await journal.read("c/1.0")).status is Status.ENDED
    assert await outside.cancel(journal, "c", at=time.time())
    assert fold(await journal.read("c")).status is Status.ENDED


@pytest.mark.parametrize("other", ['{"n": 1}', '{"n":1.0}', ' {"n":1}'])
async def test_a_call_that_a_reply_holds_twice_is_one_call_in_whatever_spelling(other):
    paid = []
    twice = Reply(calls=(Call("c1", "pay", '{"n":1}'), Call("c1", "pay", other), Call("c1", "pay", '{"n":2}')))
    await run(Agent("A", tools=[payer(paid)]), "Go", model=ScriptedModel([twice, "Done."]))
    assert paid == ["pay", "pay"]


async def test_an_agent_that_is_begun_while_its_caller_is_cancelled_is_ended_too():
    class Late(MemoryJournal):
        """Another driver is faster by one append, in which it begins the agent."""

        async def append(self, conversation, seq, events, **options):
            if armed and conversation == "c":
                armed.clear()
                row = [Started("c/1.0", "Inner"), InputGiven("r", (User("x"),)), DriveStarted("d")]
                await super().append("c/1.0", 1, row, at=1.0, summary=summary_of(replay(row)))
            await super().append(conversation, seq, events, **options)

    armed: list[int] = []
    journal = Late()
    outer = Agent("Outer", tools=[Agent("Inner").as_tool()])
    runner = Runner(outer, journal=MemoryJournal(), model=ScriptedModel([{"inner": {"input": "x"}}, "In.", "Out."]))
    await runner.run("Go", conversation="c")
    rows = await runner.events("c")
    begun = next(place for place, row in enumerate(rows) if isinstance(row.event, ToolStarted))
    await until(journal, rows[: begun + 1], "c", ())
    armed.append(1)
    assert await outside.cancel(journal, "c", at=time.time())
    assert fold(await journal.read("c/1.0")).status is Status.ENDED


def test_a_team_of_many_who_use_one_another_has_its_fingerprint_at_once():
    def back() -> Agent:
        return manager

    manager = Agent("M", tools=[Agent(f"S{n}", tools=[back]).as_tool() for n in range(12)])
    assert Runner(manager).team.fingerprint


async def test_an_agent_may_be_of_the_team_and_a_tool_of_it():
    billing = Agent("Billing")
    research = Agent("Research", handoffs=["Billing"])
    front = Agent("Front", handoffs=[research, billing], tools=[research.as_tool(name="ask_research")])
    assert (await run(front, "Hi", model=ScriptedModel(["Hello."]))).output == "Hello."

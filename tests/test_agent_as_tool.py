"""An agent used as a tool (R35): it works in a conversation of its own, and what that waits for, the outer one waits for."""

import asyncio
from typing import Any

import pytest

from segue import Agent, ApprovalError, Limits, MemoryJournal, Runner, tool
from segue.core.conversation import Conversation, Status
from segue.core.events import InputGiven, ToolFailed, ToolReturned, ToolStarted, ToolUnknown
from segue.core.messages import Call, Reply, Usage
from segue.core.view import check
from segue.errors import ConversationBusy
from segue.outside import decide
from segue.testing import FunctionModel, ScriptedModel
from tests.acting import answers, legal

PAY = {"pay": {"amount": 5}}
ASK = {"expert": {"input": "Pay five."}}
INNER = "c/1.0"


class Team:
    """An agent that asks an expert, whose tool needs a person's agreement; `paid` is what was done."""

    def __init__(
        self, outer: Any, inner: Any, *, journal: MemoryJournal | None = None, limits: Limits | None = None, **options: Any
    ) -> None:
        self.paid: list[int] = []

        @tool(**{"approve": True, **options})
        def pay(amount: int) -> str:
            """Pay."""
            self.paid.append(amount)
            return f"paid {amount}"

        self.outer, self.inner = ScriptedModel(outer, name="outer"), ScriptedModel(inner, name="inner")
        expert = Agent("Expert", tools=[pay], model=self.inner)
        entry = Agent("Desk", tools=[expert.as_tool()], model=self.outer)
        self.runner = Runner(entry, journal=journal, limits=limits or Limits())

    async def ask(self, **options: Any) -> Any:
        return await self.runner.run("Hello.", conversation="c", **options)

    async def approval(self) -> Any:
        (slot,) = (await self.ask()).waiting_for
        return slot.approval

    async def within(self) -> Conversation:
        return await self.runner.replay(INNER)


# ---- what it waits for


async def test_the_outer_conversation_waits_and_says_which_call_of_the_agent_it_waits_for():
    team = Team([ASK], [PAY])
    response = await team.ask()
    assert response.status == "waiting"
    (slot,) = response.waiting_for
    asked = slot.approval
    assert (asked.agent, asked.name, asked.arguments, asked.inner, slot.call.name) == ("Expert", "pay", '{"amount":5}', INNER, "expert")
    assert team.paid == []
    with pytest.raises(ConversationBusy) as caught:
        await team.ask()
    assert caught.value.waiting_for == (slot,)


async def test_a_decision_on_the_outer_conversation_goes_on_inside_and_comes_out_as_the_result():
    team = Team([ASK, "Thanks."], [PAY, "I paid."])
    asked = await team.approval()
    response = await team.runner.approve("c", asked.id, asked.digest, by="Ada")
    assert (response.output, answers(response.messages), team.paid) == ("Thanks.", ["I paid."], [5])
    assert legal(team.inner)
    assert legal(team.outer)
    with pytest.raises(ApprovalError, match="was given already by Ada"):
        await team.runner.approve("c", asked.id, asked.digest)
    assert team.paid == [5]


async def test_what_was_denied_is_read_by_the_agent_that_asked():
    team = Team([ASK, "Too bad."], [PAY, "I may not."])
    asked = await team.approval()
    response = await team.runner.deny("c", asked.id, asked.digest, reason="too much")
    assert team.inner.requests[-1].messages[-1].content == "Not done: denied (too much)."
    assert (answers(response.messages), team.paid) == (["I may not."], [])


async def test_what_nobody_decided_in_time_is_read_by_the_agent_that_asked(monkeypatch):
    monkeypatch.setattr("segue.clock.now", lambda: 0.0)
    team = Team([ASK, "Too late."], [PAY, "Nobody answered."])
    await team.approval()
    monkeypatch.setattr("segue.clock.now", lambda: 8 * 24 * 3600.0)
    response = await team.runner.resume("c")
    assert team.inner.requests[-1].messages[-1].content == "Not done: expired."
    assert (response.output, team.paid) == ("Too late.", [])


async def test_an_agent_may_ask_again_and_several_calls_of_one_message_are_asked_for_one_after_the_other():
    team = Team([ASK, "Thanks."], [[PAY, {"pay": {"amount": 6}}], {"pay": {"amount": 7}}, "I paid."])
    response = await team.ask()
    asked = []
    while response.status == "waiting":
        (slot,) = response.waiting_for
        asked.append(slot.approval.arguments)
        response = await team.runner.approve("c", slot.approval.id, slot.approval.digest)
    assert asked == ['{"amount":5}', '{"amount":6}', '{"amount":7}']
    assert (response.output, sorted(team.paid)) == ("Thanks.", [5, 6, 7])
    assert legal(team.inner)


async def test_agents_that_are_asked_side_by_side_wait_side_by_side():
    paid: list[int] = []

    @tool(approve=True)
    def pay(amount: int) -> str:
        paid.append(amount)
        return "paid"

    def reply(request: Any) -> Any:
        return PAY if len(request.messages) < 3 else f"{request.agent} paid."

    experts = [Agent(name, tools=[pay], model=FunctionModel(reply)).as_tool() for name in ("One", "Two")]
    outer = ScriptedModel([{"one": {"input": "Pay."}, "two": {"input": "Pay."}}, "Thanks."])
    runner = Runner(Agent("Desk", tools=experts, model=outer))
    first, second = [slot.approval for slot in (await runner.run("Hello.", conversation="c")).waiting_for]
    assert (first.inner, second.inner) == ("c/1.0", "c/1.1")
    (still,) = (await runner.approve("c", second.id, second.digest)).waiting_for
    assert (still.approval, paid) == (first, [5])
    response = await runner.approve("c", first.id, first.digest)
    assert (answers(response.messages), paid) == (["One paid.", "Two paid."], [5, 5])


async def test_a_decision_that_was_taken_on_the_inner_conversation_is_found_there():
    team = Team([ASK, "Thanks."], [PAY, "I paid."])
    asked = await team.approval()
    await decide(team.runner.journal, INNER, asked.id, asked.digest, "approve", by="Bob", at=0.0)
    assert team.paid == []
    response = await team.runner.approve("c", asked.id, asked.digest, by="Ada")
    assert (response.output, team.paid) == ("Thanks.", [5])


async def test_the_first_decision_holds_also_where_the_inner_conversation_has_another():
    team = Team([ASK, "Too bad."], [PAY, "I may not."])
    asked = await team.approval()
    await decide(team.runner.journal, INNER, asked.id, asked.digest, "deny", by="Bob", at=0.0)
    await team.runner.approve("c", asked.id, asked.digest, by="Ada")
    assert team.paid == []


async def test_a_decision_may_come_to_another_process_with_changed_code_which_asks_again():
    journal = MemoryJournal()
    asked = await Team([ASK], [PAY], journal=journal).approval()
    now = Team(["Thanks."], ["I paid."], journal=journal, description="Pay, and tell.")
    (slot,) = (await now.runner.approve("c", asked.id, asked.digest)).waiting_for
    assert (slot.approval.inner, slot.approval.id != asked.id, now.paid) == (INNER, True, [])
    assert (await now.runner.approve("c", slot.approval.id, slot.approval.digest)).output == "Thanks."
    assert now.paid == [5]


async def test_agents_within_agents_wait_and_go_on_as_one():
    paid: list[int] = []

    @tool(approve=True)
    def pay(amount: int) -> str:
        paid.append(amount)
        return "paid"

    def reply(request: Any) -> Any:
        return {request.tools[0].name: PAY["pay"] if request.agent == "C" else {"input": "x"}} if len(request.messages) < 3 else "."

    c = Agent("C", tools=[pay])
    b = Agent("B", tools=[c.as_tool()])
    runner = Runner(Agent("A", tools=[b.as_tool()]), model=FunctionModel(reply))
    (slot,) = (await runner.run("Hello.", conversation="c")).waiting_for
    assert slot.approval.inner == "c/1.0"
    assert (await runner.replay("c/1.0")).waiting[0].approval.inner == "c/1.0/1.0"
    assert (await runner.approve("c", slot.approval.id, slot.approval.digest)).output == "."
    assert paid == [5]


# ---- what it may spend, and what it spent


def used(tokens: int, said: Any) -> Reply:
    calls = tuple(
        Call("", name, "{}" if name != "expert" else '{"input":"Look."}') for name in ([said] if said in ("expert", "look") else [])
    )
    return Reply(None if calls else said, calls, "stop", usage=Usage(tokens, 0))


async def test_what_the_agent_used_is_counted_and_a_budget_holds_for_both_together():
    team = Team([used(10, "expert"), used(10, "Thanks.")], [used(30, "I looked.")], limits=Limits(tokens=100))
    response = await team.ask()
    assert (response.usage.total, response.output) == (50, "Thanks.")
    (given,) = [row.event for row in await team.runner.events(INNER) if isinstance(row.event, InputGiven)]
    assert given.limits == {"tokens": 90}


async def test_what_the_agent_used_leaves_that_much_less_to_the_one_that_asked_it():
    team = Team([used(10, "expert"), used(10, "Thanks.")], [used(95, "I looked.")], limits=Limits(tokens=100))
    response = await team.ask()
    assert (response.status, response.error.limit, answers(response.messages)) == ("limited", "tokens", ["I looked."])


async def test_an_agent_whose_budget_is_spent_is_a_failed_call():
    team = Team([used(10, "expert"), used(10, "Sorry.")], [used(50, "look"), used(50, "look"), used(1, ".")], limits=Limits(tokens=100))
    response = await team.ask()
    assert answers(response.messages)[0].startswith("Failed with LimitReached")
    assert len(team.inner.requests) == 2


async def test_what_an_agent_that_failed_has_used_is_counted_as_well():
    team = Team([used(10, "expert"), used(10, "Sorry.")], [used(50, "look"), used(50, "look"), used(1, ".")], limits=Limits(tokens=100))
    response = await team.ask()
    assert (response.status, response.usage.total) == ("limited", 110)
    broken = Team([used(10, "expert"), used(10, "Sorry.")], [used(30, "look"), RuntimeError("gone")])
    assert ((await broken.ask()).usage.total, broken.inner.requests != []) == (50, True)


async def test_tokens_used_before_and_after_a_person_decided_are_counted_once():
    pays = Reply(None, (Call("", "pay", '{"amount":5}'),), "stop", usage=Usage(20, 0))
    team = Team([used(10, "expert"), used(10, "Thanks.")], [pays, used(30, "I paid.")])
    asked = await team.approval()
    assert (await team.runner.approve("c", asked.id, asked.digest)).usage.total == 70


# ---- when it is ended


async def test_a_cancel_of_the_outer_conversation_ends_the_one_inside_that_waits():
    team = Team([ASK], [PAY])
    asked = await team.approval()
    assert await team.runner.cancel("c")
    assert ((await team.runner.replay("c")).status, (await team.within()).status) == (Status.ENDED, Status.ENDED)
    assert (await team.within()).ended.kind == "cancelled"
    with pytest.raises(ApprovalError):
        await team.runner.approve("c", asked.id, asked.digest)
    assert team.paid == []


async def test_a_cancel_of_the_outer_conversation_ends_the_one_inside_that_goes_on():
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def reply(request: Any) -> str:
        asked.set()
        await go_on.wait()
        return "too late"

    expert = Agent("Expert", model=FunctionModel(reply))
    runner = Runner(Agent("Desk", tools=[expert.as_tool()], model=ScriptedModel([ASK])))
    running = asyncio.create_task(runner.run("Hello.", conversation="c"))
    await asked.wait()
    await runner.cancel("c")
    assert (await running).status == "cancelled"
    inner = await runner.replay(INNER)
    assert (inner.status, inner.ended.kind) == (Status.ENDED, "cancelled")


@pytest.mark.parametrize("how", ["cancel", "interrupt"])
async def test_an_agent_that_waits_beside_a_call_that_runs_is_ended_with_the_run(how):
    release = asyncio.Event()

    @tool(effect="read")
    async def slow() -> str:
        await release.wait()
        return "done"

    @tool(approve=True)
    def pay(amount: int) -> str:
        raise AssertionError("nobody approved it")

    expert = Agent("Expert", tools=[pay], model=ScriptedModel([PAY]))
    outer = ScriptedModel([[ASK, {"slow": {}}], "What else?"])
    runner = Runner(Agent("Desk", tools=[expert.as_tool(), slow], model=outer))
    running = asyncio.create_task(runner.run("Hello.", conversation="c"))
    while not await runner.journal.read("c") or not (await runner.replay("c")).waiting:
        await asyncio.sleep(0.001)
    if how == "cancel":
        assert await runner.cancel("c")
    else:
        later = asyncio.create_task(runner.run("Never mind.", conversation="c", busy="interrupt"))
        await asyncio.sleep(0)
        release.set()
        assert (await later).output == "What else?"
        assert legal(outer)
    assert (await running).status == "cancelled"
    assert (await runner.replay(INNER)).status is Status.ENDED
    (unknown,) = [row.event for row in await runner.events("c") if isinstance(row.event, ToolUnknown) and row.event.place == "1.0"]
    assert "Not called" not in unknown.words


async def test_the_time_of_a_tool_does_not_hold_for_an_agent():
    async def reply(request: Any) -> str:
        await asyncio.sleep(0.05)
        return "slow"

    expert = Agent("Expert", model=FunctionModel(reply))
    runner = Runner(Agent("Desk", tools=[expert.as_tool()], model=ScriptedModel([ASK, "."])), limits=Limits(tool_timeout=0.01))
    assert answers((await runner.run("Hello.")).messages) == ["slow"]


async def test_an_input_that_interrupts_does_not_wait_for_what_the_agent_asks():
    team = Team([ASK, "What else?"], [PAY])
    asked = await team.approval()
    response = await team.runner.run("Never mind.", conversation="c", busy="interrupt")
    assert response.output == "What else?"
    assert "because the user has said something new" in team.outer.requests[-1].messages[-2].content
    assert legal(team.outer)
    with pytest.raises(ApprovalError):
        await team.runner.approve("c", asked.id, asked.digest)
    assert team.paid == []
    assert (await team.within()).status is Status.ENDED


# ---- after a crash


async def crashed(team: Team, kind: type, *, inside: bool) -> MemoryJournal:
    """A journal as it was when the process died just before an event of a kind was written down, inside or outside."""
    left = MemoryJournal()
    for name in ("c", INNER):
        events = [row.event for row in await team.runner.journal.read(name)]
        if name == "c" or inside:
            wanted = kind if (name == INNER) == inside else ToolReturned  # the outer call had no outcome either
            events = events[: max(at for at, event in enumerate(events) if isinstance(event, wanted))]
        await left.append(name, 1, events, at=0.0)
    return left


async def test_after_a_crash_the_agent_is_driven_on_from_where_it_was():
    whole = Team([ASK, "Thanks."], [PAY, "I paid."], approve=False)
    await whole.ask()
    again = Team(["Thanks."], ["I paid, I think."], approve=False, journal=await crashed(whole, ToolReturned, inside=True))
    response = await again.runner.resume("c")
    assert again.inner.requests[-1].messages[-1].content.startswith("Outcome unknown")
    assert (answers(response.messages), again.paid) == (["I paid, I think."], [])


async def test_an_agent_that_had_answered_when_the_process_died_is_not_asked_again():
    whole = Team([ASK, "Thanks."], [PAY, "I paid."], approve=False)
    await whole.ask()
    again = Team(["Thanks."], [], approve=False, journal=await crashed(whole, ToolReturned, inside=False))
    response = await again.runner.resume("c")
    assert (answers(response.messages), again.paid, again.inner.requests) == (["I paid."], [], [])


async def test_an_agent_that_had_met_its_limit_when_the_process_died_gets_no_other_allowance():
    looks = [used(50, "look")] * 2
    whole = Team([used(10, "expert"), "Sorry."], [*looks, "."], limits=Limits(tokens=100))
    await whole.ask()
    journal = await crashed(whole, ToolFailed, inside=False)
    again = Team(["Sorry."], [], journal=journal)
    response = await again.runner.resume("c")
    assert answers(response.messages)[0].startswith("Failed with LimitReached")
    assert again.inner.requests == []


async def test_a_question_that_was_asked_inside_when_the_process_died_is_asked_outside_after_it():
    whole = Team([ASK], [PAY])
    asked = await whole.approval()
    left = MemoryJournal()
    outer = [row.event for row in await whole.runner.events("c")]
    start = next(at for at, event in enumerate(outer) if isinstance(event, ToolStarted))
    await left.append("c", 1, outer[: start + 1], at=0.0)
    await left.append(INNER, 1, [row.event for row in await whole.runner.events(INNER)], at=0.0)
    again = Team(["Thanks."], ["I paid."], journal=left)
    (slot,) = (await again.runner.resume("c")).waiting_for
    assert (slot.approval.id, slot.approval.inner) == (asked.id, INNER)
    assert (await again.runner.approve("c", asked.id, asked.digest)).output == "Thanks."
    assert again.paid == [5]


async def test_an_approved_call_inside_that_a_crash_left_open_is_settled_by_a_person_outside():
    whole = Team([ASK, "Thanks."], [PAY, "I paid."])
    asked = await whole.approval()
    await whole.runner.approve("c", asked.id, asked.digest)
    again = Team(["Thanks."], [], journal=await crashed(whole, ToolReturned, inside=True))
    response = await again.runner.resume("c")
    assert response.status == "waiting"
    (slot,) = response.waiting_for
    assert "it is not known what came of its call of pay" in slot.doubt.words
    response = await again.runner.settle("c", slot.place, "Five were paid.", by="Ada")
    assert (response.output, answers(response.messages), again.paid) == ("Thanks.", ["Five were paid."], [])
    assert (await again.within()).status is Status.ENDED


async def test_views_inside_and_outside_are_whole_after_all_of_it():
    team = Team([ASK, "Thanks."], [PAY, "I may not."])
    asked = await team.approval()
    await team.runner.deny("c", asked.id, asked.digest)
    for model in (team.inner, team.outer):
        assert [check(request.messages) for request in model.requests] == [None, None]

"""What went wrong in other libraries, each as a test that it does not go wrong here.

Their versions, measured in November 2026 with scripted servers: Swarm 6af0b4c, openai-agents 0.24.0, pydantic-ai 2.68.0, LangGraph
1.2.22 with langgraph-swarm 0.1, google-adk 2.13, agent-framework 1.23, Strands 1.62, DBOS 3.4.0. The comment over a test names whom
it befell, as far as it was measured or is told in their trackers."""

import contextvars
import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from segue import Agent, Context, MemoryJournal, ProviderError, Result, Runner, handoff
from segue.core.messages import Call, Reply, System, ToolAnswer, User
from segue.errors import LimitReached, ReplyCut
from segue.model import ModelRequest
from segue.testing import FunctionModel, ScriptedModel
from segue.wire.openai_chat import encode_request
from tests.hostile.strict import chat_fault

Ledger = Context[list[str]]


def refund(amount: int, *, ctx: Ledger) -> str:
    ctx.deps.append(f"refund {amount}")
    return "refunded"


def sell(item: str, *, ctx: Ledger) -> str:
    ctx.deps.append(f"sell {item}")
    return "sold"


def delete_rows(table: str = "customers", *, ctx: Ledger) -> str:
    ctx.deps.append(f"delete {table}")
    return "deleted"


class Brief(BaseModel):
    invoice: int


SALES = Agent("Sales", instructions="You sell.", tools=[sell], handoffs=["Triage"])
BILLING = Agent("Billing", instructions="You bill.", handoffs=["Triage", "Sales"])
TRIAGE = Agent("Triage", instructions="You route.", tools=[refund, delete_rows], handoffs=[SALES, handoff(BILLING, brief=Brief)])

TO_SALES: dict[str, Any] = {"transfer_to_sales": {}}
TO_BILLING = {"transfer_to_billing": {"invoice": 7}}
TO_TRIAGE: dict[str, Any] = {"transfer_to_triage": {}}
PAY = {"refund": {"amount": 5}}


def sound(requests: list[ModelRequest]) -> bool:
    """Whether a strict provider would have taken every request."""
    faults = [chat_fault(encode_request(dataclasses.replace(request, cache={}), "m")) for request in requests]
    assert faults == [None] * len(requests)
    return True


def told(request: ModelRequest) -> dict[str, str]:
    """What each tool has answered, by a request."""
    return {message.name: str(message.content) for message in request.messages if isinstance(message, ToolAnswer)}


async def play(*script: Any, agent: Agent = TRIAGE, **options: Any) -> tuple[ScriptedModel, list[str], Any]:
    """Run a script to its end: the model with what it was asked, what ran, and the response."""
    model, ledger = ScriptedModel(script), list[str]()
    response = await Runner(agent, model=model, deps=ledger, **options).run("Help me.")
    assert sound(model.requests)
    return model, ledger, response


# --- handoffs


# langgraph-swarm: the other calls are left without an answer, and the provider rejects the history from then on
@pytest.mark.parametrize("message", [[PAY, TO_SALES], [TO_SALES, PAY]], ids=["tool first", "handoff first"])
async def test_a_tool_and_a_handoff_in_one_message_are_both_answered_and_then_the_agent_switches(message: list[Any]):
    model, ledger, response = await play(message, "Hello from Sales.")
    assert ledger == ["refund 5"]
    assert told(model.requests[1]).keys() == {"refund", "transfer_to_sales"}
    assert (response.agent.name, model.requests[1].agent) == ("Sales", "Sales")


# Swarm: the last one wins, silently; langgraph-swarm: both "succeed"
async def test_of_two_handoffs_in_one_message_the_first_wins_and_the_other_is_in_no_view():
    model, _, response = await play([TO_SALES, TO_BILLING], TO_TRIAGE, "Here again.")
    assert [request.agent for request in model.requests] == ["Triage", "Sales", "Triage"]
    assert response.agent.name == "Triage"
    for request in model.requests:
        assert "transfer_to_billing" not in str(request.messages)


# Swarm: the run dies of a JSONDecodeError
@pytest.mark.parametrize("arguments", ["{", "[]", '{"invoice": "seven"}', '{"invoice": 7, "invoice": 8}', "", "null"])
async def test_a_handoff_with_bad_arguments_is_not_made_and_the_model_is_told_why(arguments: str):
    model, _, response = await play({"transfer_to_billing": arguments}, "Sorry.")
    assert response.agent.name == "Triage"
    assert told(model.requests[1])["transfer_to_billing"]


# langgraph-swarm, agent-framework: what was refused stays in the history and misleads the agents after it
async def test_a_refused_handoff_is_in_the_callers_view_and_leaves_it_with_the_next_handoff():
    model, _, _ = await play({"transfer_to_billing": {"invoice": "x"}}, TO_SALES, TO_TRIAGE, "Back.")
    assert "invoice" in told(model.requests[1])["transfer_to_billing"]
    for request in model.requests[2:]:
        assert "transfer_to_billing" not in str(request.messages)


# Swarm, openai-agents: not noticed, or the end of the run
async def test_a_handoff_to_the_agent_that_speaks_already_changes_nothing_and_says_so():
    def to_triage() -> Agent:
        return triage

    triage = Agent("Triage", tools=[to_triage, refund])
    model, _, response = await play({"to_triage": {}}, PAY, "Done.", agent=triage)
    assert told(model.requests[1]) == {"to_triage": "Triage has the floor already."}
    assert (response.status, response.agent.name) == ("done", "Triage")


async def test_a_generated_handoff_to_itself_is_no_tool_of_the_agents():
    model, _, _ = await play(TO_TRIAGE, "Sorry.")
    assert "Triage has no tool 'transfer_to_triage'" in told(model.requests[1])["transfer_to_triage"]


# Swarm: no limit at all; openai-agents: the run is killed after ten turns, with its work
async def test_ping_pong_is_told_to_the_model_and_then_ended_in_a_state_that_can_be_resumed():
    def there_and_back(request: ModelRequest) -> Any:
        return TO_TRIAGE if request.agent == "Sales" else TO_SALES

    asked: list[ModelRequest] = []
    model = FunctionModel(lambda request: asked.append(request) or there_and_back(request))
    runner = Runner(TRIAGE, model=model, deps=[])
    response = await runner.run("Help me.")
    assert (response.status, type(response.error), response.error.limit) == ("limited", LimitReached, "handoffs")  # type: ignore[union-attr]
    assert sound(asked)
    assert len(asked) < 10
    assert "back and forth" in str(asked[-1].messages[-1])
    healthy = ScriptedModel(["I will do it myself."])
    again = Runner(TRIAGE, model=healthy, journal=runner.journal, deps=[])
    assert (await again.resume(response.conversation)).output == "I will do it myself."
    assert sound(healthy.requests)


# autogen: agents call tools that they have seen in the history; Swarm finds them by name
@pytest.mark.parametrize("script", [[{"sell": {"item": "boots"}}], [[TO_SALES, {"sell": {"item": "boots"}}]], [TO_SALES, PAY]])
async def test_another_agents_tool_is_never_run_and_the_run_goes_on(script: list[Any]):
    model, ledger, response = await play(*script, "Sorry.")
    assert ledger == []
    assert "has no tool" in str(model.requests[-1].messages)
    assert response.status == "done"


# openai-agents #69, #1244: the first agent's instructions stay, or are sent twice
async def test_each_request_has_exactly_the_active_agents_instructions():
    model, _, _ = await play(TO_SALES, TO_TRIAGE, "Here.")
    texts = [[message.content for message in request.messages if isinstance(message, System)] for request in model.requests]
    assert texts == [["You route."], ["You sell."], ["You route."]]
    assert [request.tools[0].name for request in model.requests] == ["refund", "sell", "refund"]


# openai-agents: a resumed or restarted program begins at the entry agent again
async def test_the_active_agent_is_kept_over_a_restart():
    journal = MemoryJournal()
    first = await Runner(TRIAGE, model=ScriptedModel([TO_SALES, "Hello from Sales."]), journal=journal, deps=[]).run("Help me.")
    model = ScriptedModel(["Still Sales."])
    second = await Runner(TRIAGE, model=model, journal=journal, deps=[]).run("Go on.", conversation=first.conversation)
    assert (model.requests[0].agent, second.agent.name) == ("Sales", "Sales")
    assert sound(model.requests)


# --- calls


# Strands: ran `delete_rows` with its defaults
@pytest.mark.parametrize("arguments", ["{", '{"table', '{"table": "tmp', '{"table": "tmp"', "[", '"tmp', "nul"])
async def test_truncated_arguments_are_never_run_with_defaults(arguments: str):
    model, ledger, _ = await play({"delete_rows": arguments}, "Sorry.")
    assert ledger == []
    assert "nothing was run" in told(model.requests[1])["delete_rows"]


# Swarm, openai-agents, pydantic-ai: the last of two keys was run, though a person may have been shown the first
async def test_arguments_with_a_key_twice_are_refused():
    model, ledger, _ = await play({"refund": '{"amount": 5, "amount": 5000}'}, "Sorry.")
    assert ledger == []
    assert "twice" in told(model.requests[1])["refund"]


# Swarm: the same call id was run twice; pydantic-ai: ended with an error
async def test_the_same_call_twice_in_a_message_is_made_once():
    same = Call("a", "refund", '{"amount": 5}')
    _, ledger, _ = await play(Reply(calls=(same, same), finish="tool_calls"), "Done.")
    assert ledger == ["refund 5"]


# Swarm: one tool's exception throws away the whole message, with the refund that was made
@pytest.mark.parametrize("error", [ValueError, SystemExit, StopIteration, RecursionError])
async def test_a_tool_that_fails_beside_a_refund_takes_nothing_from_it(error: type[BaseException]):
    def fails() -> str:
        raise error

    agent = Agent("Triage", tools=[refund, fails])
    model, ledger, _ = await play([PAY, {"fails": {}}], "Done.", agent=agent)
    assert ledger == ["refund 5"]
    assert told(model.requests[1])["refund"] == "refunded"
    assert error.__name__ in told(model.requests[1])["fails"]


# Swarm: the history is lost with the error; the user asks again, and is refunded again
async def test_a_refund_is_remembered_when_the_model_fails_after_it():
    model, ledger = ScriptedModel([PAY, ProviderError("down"), "You were refunded."]), list[str]()
    runner = Runner(TRIAGE, model=model, deps=ledger)
    with pytest.raises(ProviderError) as raised:
        await runner.run("Refund me.")
    await runner.run("Please continue.", conversation=raised.value.conversation)
    assert told(model.requests[-1])["refund"] == "refunded"
    assert ledger == ["refund 5"]
    assert sound(model.requests)


# openai-agents #3857, #4140: the user's message is in the history twice after a retry
async def test_the_users_message_is_there_once_after_a_failure_and_a_resume():
    model = ScriptedModel([ProviderError("down"), "Hello."])
    runner = Runner(TRIAGE, model=model, deps=[])
    with pytest.raises(ProviderError) as raised:
        await runner.run("Help me.")
    await runner.resume(raised.value.conversation or "")
    assert [message for message in model.requests[-1].messages if isinstance(message, User)] == [User("Help me.")]


# all three: a text that was cut is given as the answer
async def test_a_text_that_was_cut_is_not_given_as_an_answer():
    with pytest.raises(ReplyCut):
        await play(Reply(text="You will get", finish="length"))


# google-adk: sync tools of one message run one after the other, on the event loop
async def test_sync_tools_of_one_message_run_side_by_side_and_off_the_event_loop():
    meeting = threading.Barrier(3)

    def meets(name: str) -> str:
        meeting.wait(5)
        return f"{name} at {threading.current_thread().name}"

    model, _, _ = await play([{"meets": {"name": name}} for name in "abc"], "Met.", agent=Agent("Triage", tools=[meets]))
    answers = [str(message.content) for message in model.requests[1].messages if isinstance(message, ToolAnswer)]
    assert [answer[0] for answer in answers] == ["a", "b", "c"]
    assert threading.current_thread().name not in {answer[5:] for answer in answers}


# openai-agents #435, #515: context variables are lost in tools
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_tool_sees_the_context_variables_of_who_called_run(kind: str):
    user = contextvars.ContextVar("user", default="nobody")

    def whoami() -> str:
        return user.get()

    async def whoami_async() -> str:
        return user.get()

    made: Callable[[], Any] = whoami if kind == "sync" else whoami_async
    user.set("ada")
    model, _, _ = await play({made.__name__: {}}, "Done.", agent=Agent("Triage", tools=[made]))
    assert told(model.requests[1])[made.__name__] == "ada"


# Swarm, google-adk: live objects are deep-copied, and a lock cannot be
async def test_live_objects_reach_a_tool_as_they_are():
    lock, seen = threading.Lock(), list[Any]()

    def looks(ctx: Context[Any]) -> str:
        seen.append(ctx.deps)
        return "seen"

    model = ScriptedModel([{"looks": {}}, "Done."])
    await Runner(Agent("Triage", tools=[looks]), model=model, deps=lock).run("Look.")
    assert seen == [lock]


# swarms, crewAI, openai-agents #4251: agents share and change their lists of tools between runs
async def test_an_agent_cannot_be_changed_by_a_run_nor_by_the_list_that_it_was_made_from():
    tools: list[Any] = [refund]
    agent = Agent("Triage", tools=tools)
    tools.append(delete_rows)
    assert [made.name for made in agent.tools] == ["refund"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        agent.name = "Other"  # type: ignore[misc]
    model, ledger, _ = await play({"delete_rows": {}}, "Sorry.", agent=agent)
    assert ledger == []
    assert [spec.name for spec in model.requests[-1].tools] == ["refund"]


# Swarm #37: a default dictionary is shared by all runs
async def test_the_context_of_one_conversation_is_not_that_of_another():
    def notes(ctx: Context[Any]) -> Result:
        seen = list(ctx.values.get("seen", []))
        ctx.values.get("seen", []).append("by the side")
        return Result(str(seen), context={"seen": [*seen, "once"]})

    model = ScriptedModel([{"notes": {}}, "a", {"notes": {}}, "b", {"notes": {}}, "c"])
    runner = Runner(Agent("Triage", tools=[notes]), model=model)
    first = await runner.run("One.")
    other = await runner.run("Two.")
    again = await runner.run("Three.", conversation=first.conversation)
    assert [response.context for response in (first, other, again)] == [{"seen": ["once"]}, {"seen": ["once"]}, {"seen": ["once", "once"]}]


# openai-agents #2433, #4148: what is kept differs between a blocking run and a stream
async def test_a_stream_and_a_blocking_run_leave_the_same_journal():
    def played() -> Runner:
        return Runner(TRIAGE, model=ScriptedModel([[PAY, TO_SALES], "Hello from Sales."]), deps=[])

    blocking, streaming = played(), played()
    await blocking.run("Help me.", conversation="c")
    async with streaming.stream("Help me.", conversation="c") as items:
        async for _ in items:
            pass
    left = [[_timeless(stored.event) for stored in await runner.events("c")] for runner in (blocking, streaming)]
    assert left[0] == left[1]


def _timeless(event: Any) -> Any:
    volatile = {"seconds": 0.0, "run": "", "driver": ""}
    return dataclasses.replace(event, **{name: value for name, value in volatile.items() if hasattr(event, name)})

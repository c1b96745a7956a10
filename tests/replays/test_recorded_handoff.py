"""Recorded handoffs of other libraries' agents: the same replies must lead along the same path, through both kinds of handoff."""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from segue import Agent, Runner, tool
from segue.agent import slug
from segue.core.events import ModelReplied
from segue.core.messages import Call, Reply, System
from segue.models.scripted import ScriptedModel
from segue.tools.tool import Tool
from segue.wire.openai_responses import encode_request
from tests.data import DATA, needs_data

pytestmark = needs_data

Lead = Callable[..., dict[str, Any]]
"""How an agent leads to others, as arguments for it."""


def by_handoffs(*targets: Agent) -> dict[str, Any]:
    return {"handoffs": targets}


def by_functions(*targets: Agent) -> dict[str, Any]:
    return {"tools": [returning(target) for target in targets]}


def returning(target: Agent) -> Tool:
    def transfer() -> Agent:
        return target

    return tool(name=f"transfer_to_{slug(target.name)}")(transfer)


# --- one run of two agents, recorded over the Responses API


def handoff_to_agent_a(input: str) -> str:
    """Handoff to Agent A for specific tasks"""
    raise AssertionError("not called in the recording")


def handoff_to_agent_b(input: str) -> str:
    """Handoff to Agent B for different tasks"""
    raise AssertionError("not called in the recording")


def recorded_reply(output: list[dict[str, Any]]) -> Reply:
    calls = tuple(Call(item["id"], item["name"], item["arguments"]) for item in output if item["type"] == "tool_call")
    texts = [item["text"] for item in output if item["type"] == "text"]
    return Reply("".join(texts) or None, calls)


def essence(item: dict[str, Any]) -> tuple[Any, ...]:
    """An input item without what differs by right: the item's own id and status, and the words that answer a handoff."""
    if item.get("type", "message") == "message":
        content = item["content"]
        return item["role"], content if isinstance(content, str) else "".join(part["text"] for part in content)
    return item["type"], item["call_id"], item.get("name"), item.get("arguments")


@pytest.mark.parametrize("lead", [by_handoffs, by_functions])
async def test_the_recorded_run_takes_the_same_path_of_agents(lead: Lead) -> None:
    (recorded,) = json.loads((DATA / "handoffs" / "recorded_handoff_openai_agents.json").read_text(encoding="utf-8"))
    turns = recorded["turns"]
    model = ScriptedModel([recorded_reply(turn["output"]) for turn in turns])
    agent_a = Agent("AgentA", instructions="Agent A does something.")
    agent_b = Agent("AgentB", instructions="Agent B does something else.")
    leads = lead(agent_a, agent_b)
    own = [handoff_to_agent_a, handoff_to_agent_b, *leads.pop("tools", [])]
    entry = Agent("Triage", instructions="You decide which agent to handoff to.", tools=own, **leads)
    runner = Runner(entry, model=model)
    response = await runner.run(turns[0]["input"][0]["content"], conversation="recorded")

    path = [stored.event.agent for stored in await runner.events("recorded") if isinstance(stored.event, ModelReplied)]
    assert (path, response.agent) == (["Triage", "AgentA"], agent_a)
    assert response.output == turns[-1]["output"][0]["text"]
    assert len(model.requests) == len(turns)
    for request, turn in zip(model.requests, turns, strict=True):
        body = json.loads(encode_request(request, turn["model"]))
        assert body["instructions"] == turn["instructions"]
        assert [made["name"] for made in body.get("tools", [])] == [made["name"] for made in turn["tools"]]
        assert [essence(item) for item in body["input"]] == [essence(item) for item in turn["input"]]
    offered = {made.name: list(made.parameters["properties"]) for made in model.requests[0].tools}
    assert offered == {made["name"]: list(made["parameters"]["properties"]) for made in turns[0]["tools"]}


# --- what gpt-4o decided in the evaluations of Swarm's airline


class Decision(NamedTuple):
    """What was decided once: a function's name, or words where no function was called."""

    evaluation: str
    messages: list[dict[str, Any]]
    function: str | None
    words: str
    expected: str | None
    """By the recorded evaluation."""
    accuracy: str
    last: bool
    """Whether it belongs to the last evaluation, the one of the cases as they stand."""


def recorded_evals() -> dict[str, Any]:
    evals: dict[str, Any] = json.loads((DATA / "handoffs" / "swarm_airline_evals.json").read_text(encoding="utf-8"))
    return evals


def decisions() -> Iterator[Decision]:
    for evaluation, runs in recorded_evals()["recorded_results"].items():
        for run in runs:
            for case in run["results"]:
                expected, accuracy, last = _named(case["expected_function"]), case["case_accuracy"], run is runs[-1]
                assert len(case["actual_function"]) == 5
                for function, words in zip(case["actual_function"], case["actual_message"], strict=True):
                    yield Decision(evaluation, case["messages"], _named(function), words, expected, accuracy, last)


def listed() -> dict[str, str | None]:
    """What the cases ask for, by the customer's words."""
    evals = recorded_evals()
    cases = [*evals["triage_cases"], *evals["flight_modification_cases"]]
    return {case["conversation"][0]["content"]: _named(case["function"]) for case in cases}


def _named(function: str) -> str | None:
    return None if function == "None" else function


def airline(evaluation: str, lead: Lead) -> Agent:
    """Swarm's airline, with the agent in front whose decisions were recorded."""
    change, cancel = Agent("Flight change", instructions="Change it."), Agent("Flight cancel", instructions="Cancel it.")
    modification = Agent("Flight modification", instructions="Change or cancel?", **lead(cancel, change))
    if evaluation == "flight_modification":
        return modification
    baggage = Agent("Lost baggage", instructions="Find it.")
    return Agent("Triage", instructions="Which team?", **lead(modification, baggage))


async def led(decision: Decision, lead: Lead) -> str | None:
    """Play a decision; the function that stands for the agent it leads to, or `None` where the agent in front answers."""
    entry = airline(decision.evaluation, lead)
    model = ScriptedModel([{decision.function: {}}, "What can I do for you?"] if decision.function else [decision.words])
    response = await Runner(entry, model=model).run(decision.messages)
    assert response.output == ("What can I do for you?" if decision.function else decision.words)
    assert [request.agent for request in model.requests] == ([entry.name, response.agent.name] if decision.function else [entry.name])
    assert model.requests[-1].messages[0] == System(str(response.agent.instructions))
    return f"transfer_to_{slug(response.agent.name)}" if response.agent is not entry else None


@pytest.mark.parametrize("lead", [by_handoffs, by_functions])
async def test_every_recorded_decision_leads_to_the_agent_of_its_function(lead: Lead) -> None:
    right = []
    for decision in decisions():
        reached = await led(decision, lead)
        assert reached == decision.function
        right.append(reached == decision.expected)
        assert right[-1] == (decision.accuracy == "100.00%")
    assert (len(right), sum(right)) == (125, 105)  # gpt-4o itself missed four cases, five times each


@pytest.mark.parametrize("lead", [by_handoffs, by_functions])
async def test_the_last_decisions_lead_every_listed_case_to_its_function(lead: Lead) -> None:
    asked = listed()
    reached = [(decision.messages[0]["content"], await led(decision, lead)) for decision in decisions() if decision.last]
    assert sorted(reached, key=str) == sorted([*asked.items()] * 5, key=str)

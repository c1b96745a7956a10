import pytest
from pydantic import ValidationError

from segue.swarm import Agent, Response, Result


def test_an_agent_has_swarm_s_defaults():
    agent = Agent()
    assert (agent.name, agent.model, agent.instructions) == ("Agent", "gpt-4o", "You are a helpful agent.")
    assert (agent.functions, agent.tool_choice, agent.parallel_tool_calls) == ([], None, True)


def test_agents_do_not_share_their_functions():
    first, second = Agent(), Agent()
    first.functions.append(print)
    assert second.functions == []


def test_an_agent_may_be_changed_and_a_response_holds_the_same_object():
    agent = Agent(name="A")
    agent.instructions = "Changed."
    assert Response(agent=agent).agent is agent
    assert Result(agent=agent).agent is agent


def test_what_is_no_function_is_refused():
    with pytest.raises(ValidationError):
        Agent(functions=["look"])

import json

import pytest

from segue import Agent, Result, UsageError, handoff, tool
from segue.examples import acme, airline
from segue.models.scripted import ScriptedModel
from segue.team import Team
from segue.views.graph import EdgeLine, ToolNode, everyone, graph


def edges_of(entry):
    return {(edge.source, edge.target): edge for edge in graph(Team(entry)).edges}


def test_the_shop_hands_over_by_functions():
    drawn = graph(Team(acme.triage))
    assert drawn.entry == drawn.agents[0].name == "Triage Agent"
    assert {(edge.source, edge.target, edge.tool, edge.kind) for edge in drawn.edges} == {
        ("Triage Agent", "Sales Agent", "transfer_to_sales_agent", "function"),
        ("Triage Agent", "Issues and Repairs Agent", "transfer_to_issues_and_repairs", "function"),
        ("Sales Agent", "Triage Agent", "transfer_back_to_triage", "function"),
        ("Issues and Repairs Agent", "Triage Agent", "transfer_back_to_triage", "function"),
    }
    tools = {agent.name: [made.name for made in agent.tools] for agent in drawn.agents}
    assert tools == {
        "Triage Agent": ["escalate_to_human"],
        "Sales Agent": ["execute_order"],
        "Issues and Repairs Agent": ["look_up_item", "execute_refund"],
    }


def test_the_airline_hands_over_by_generated_tools_and_its_tools_have_effects():
    drawn = graph(Team(airline.triage))
    assert len(drawn.agents) == 5
    assert {edge.kind for edge in drawn.edges} == {"transfer"}
    assert {edge.target for edge in drawn.edges_from("triage")} == {"booking", "changes", "cancellations", "baggage"}
    effects = {made.name: made.effect for agent in drawn.agents for made in agent.tools}
    assert (effects["get_user_details"], effects["cancel_reservation"]) == ("read", "once")


def test_each_kind_of_way_is_told_from_the_others():
    helper = Agent("Helper", handoffs=[Agent("Deep")])
    expert, boss, clerk = Agent("Expert"), Agent("Boss"), Agent("Clerk")

    @tool(approve=True)
    def escalate(reason: str) -> Result:
        """Escalate."""
        return Result("escalated", agent=boss)

    entry = Agent(
        "Entry",
        tools=[helper.as_tool(), escalate],
        handoffs=[handoff(expert, kind="call", when=lambda context: True), handoff(clerk, brief=int)],
    )
    assert edges_of(entry) == {
        ("Entry", "Helper"): EdgeLine("Entry", "Helper", "helper", "tool"),
        ("Entry", "Boss"): EdgeLine("Entry", "Boss", "escalate", "function"),
        ("Entry", "Expert"): EdgeLine("Entry", "Expert", "call_expert", "call", conditional=True),
        ("Entry", "Clerk"): EdgeLine("Entry", "Clerk", "transfer_to_clerk", "transfer", brief=True),
        ("Helper", "Deep"): EdgeLine("Helper", "Deep", "transfer_to_deep", "transfer"),
    }
    node = graph(Team(entry)).agents[0]
    assert node.tools == (ToolNode("escalate", "Escalate.", "once", True),)  # it hands over, and does something besides
    assert [agent.name for agent in everyone(Team(entry))] == ["Entry", "Expert", "Clerk", "Boss", "Helper", "Deep"]


def test_models_are_named_where_agents_have_their_own():
    other = Agent("B", model=ScriptedModel([], name="scripted"))
    drawn = graph(Team(Agent("A", model="openai:m", handoffs=[other, Agent("C")])))
    assert [agent.model for agent in drawn.agents] == ["openai:m", "scripted", ""]


def test_json_holds_everything():
    drawn = graph(Team(acme.triage))
    read = json.loads(json.dumps(drawn.as_json()))
    assert (len(read["agents"]), len(read["edges"])) == (3, 4)
    assert read["agents"][1]["tools"][0]["effect"] == "once"
    assert read["edges"][0]["conditional"] is False


def test_a_team_that_cannot_be_built_has_no_graph():
    with pytest.raises(UsageError, match="no such agent"):
        graph(Team(Agent("A", handoffs=["Nobody"])))

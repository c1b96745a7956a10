from segue import Agent, handoff, tool
from segue.examples import acme, airline
from segue.team import Team
from segue.views.drawing import dot, mermaid, tree
from segue.views.graph import graph

SHOP = """\
Triage Agent
│  Finds out what the customer is after.
├─ escalate_to_human             once
├─▶ Sales Agent                  transfer_to_sales_agent
│  │  Sells contraptions.
│  ├─ execute_order     once
│  └─▶ Triage Agent ↑   transfer_back_to_triage
└─▶ Issues and Repairs Agent     transfer_to_issues_and_repairs
   │  Complaints, repairs and refunds.
   ├─ look_up_item      read
   ├─ execute_refund    keyed, asks a person
   └─▶ Triage Agent ↑   transfer_back_to_triage"""


def odd_team():
    expert = Agent('The "Expert" <b>', description="Knows a lot. " * 20)

    @tool(approve=True)
    def pay() -> str:
        """Pay."""
        return ""

    return graph(
        Team(Agent("A", tools=[pay], handoffs=[handoff(expert, kind="call", when=lambda context: True, brief=int)]), [Agent("Apart")])
    )


def test_a_tree_draws_each_agent_once_and_points_back_to_it():
    assert tree(graph(Team(acme.triage))) == SHOP


def test_in_a_tree_an_agent_stands_where_the_shortest_way_leads():
    lines = tree(graph(Team(airline.triage))).splitlines()
    below_triage = [line for line in lines if line.startswith(("├─▶", "└─▶"))]
    assert [line.split()[1] for line in below_triage] == ["booking", "changes", "cancellations", "baggage"]
    assert not any("↑" in line for line in below_triage)
    assert sum("│  Finds flights" in line for line in lines) == 1


def test_a_tree_tells_what_is_special_about_a_way_a_tool_and_an_agent():
    text = tree(odd_team(), width=60)
    assert "├─ pay   " in text
    assert "once, asks a person" in text
    assert "call_the_expert_b, comes back, conditional, with a brief" in text
    assert "Apart   (nothing leads to it)" in text
    assert max(len(line) for line in text.splitlines() if "Knows" in line) <= 60


def test_mermaid_escapes_names_and_draws_conditions_dotted():
    lines = mermaid(odd_team()).splitlines()
    assert lines[0] == "flowchart TD"
    assert '    a0(["<b>A</b><br/>pay (once, asks a person)"])' in lines
    assert '    a1["<b>The #quot;Expert#quot; #lt;b#gt;</b>"]' in lines or '    a2["<b>The #quot;Expert#quot; #lt;b#gt;</b>"]' in lines
    assert any("-.->|" in line and "conditional" in line for line in lines)


def test_dot_escapes_names_and_dashes_conditions():
    text = dot(odd_team())
    assert text.startswith("digraph team {")
    assert text.endswith("}")
    assert r'"The \"Expert\" <b>"' in text
    assert "style=dashed" in text
    assert '"A" [label="A\\npay (once, asks a person)", peripheries=2]' in text


def test_plain_ways_are_drawn_plain_and_ways_that_come_back_bold():
    plain = graph(Team(Agent("A", handoffs=[Agent("B"), handoff(Agent("C"), kind="call")])))
    assert ('    a0 -->|"transfer_to_b"| a1' in mermaid(plain), "style=solid" in dot(plain)) == (True, True)
    assert ('    a0 ==>|"call_c, comes back"| a2' in mermaid(plain), "style=bold" in dot(plain)) == (True, True)

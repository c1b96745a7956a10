import json

import pytest
from click.testing import CliRunner

from segue.cli import main


def drawn(*words):
    result = CliRunner().invoke(main, ["graph", "segue.examples.acme:triage", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("tree", "├─▶ Sales Agent                  transfer_to_sales_agent"),
        ("mermaid", "    a0 -->|#transfer_to_sales_agent#| a1".replace("#", '"')),
        ("dot", '    "Triage Agent" -> "Sales Agent" [label="transfer_to_sales_agent", style=solid]'),
    ],
)
def test_a_team_is_drawn_in_the_form_that_is_asked_for(form, line):
    assert line in drawn("--format", form).splitlines()


def test_json_has_two_names():
    assert json.loads(drawn("--json")) == json.loads(drawn("--format", "json"))
    assert json.loads(drawn("--json"))["entry"] == "Triage Agent"


def test_a_tree_is_drawn_where_nothing_is_said():
    assert drawn() == drawn("--format", "tree")


FURTHER = """
from segue import Agent, Runner

back = Agent("Back", model="ollama:back")
front = Agent("Front", handoffs=["Back"], model="ollama:front")
desk = Runner(front, agents=[back])
"""


def test_the_further_agents_of_a_runner_are_drawn(till):
    (till.folder / "till_further.py").write_text(FURTHER)
    told = json.loads(till.segue("graph", "till_further.py:desk", "--json").stdout)
    assert [agent["name"] for agent in told["agents"]] == ["Front", "Back"]
    assert "transfer_to_back" in till.segue("graph", "till_further.py").stdout

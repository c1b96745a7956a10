"""What came of a call: what its tool's author is told besides the model."""

import logging
import warnings

import pytest

from segue import swarm
from segue.agent import Agent, Result
from segue.journal.memory import MemoryJournal
from segue.testing import ScriptedModel
from segue.throwaway import run
from tests.acting import answers

SWARMS = swarm.Agent(name="F")


class Durable(MemoryJournal):
    durable = True


def calls(name):
    return ScriptedModel([{name: {}}, "Done."])


# ---- agents that the team does not know


def make() -> Agent:
    return Agent("Made")


async def test_a_handoff_that_only_a_durable_journal_refuses_warns_the_author_with_the_mend():
    with pytest.warns(RuntimeWarning, match=r"make returned the agent 'Made', which .* Runner\(\.\.\., agents=\[\.\.\.\]\)"):
        response = await run(Agent("A", tools=[make]), "Hi", model=calls("make"), journal=Durable())
    assert answers(response.messages) == ["make returned the agent 'Made', which the team does not know. Name it in agents=[...]."]
    assert response.agent.name == "A"


async def test_of_a_second_agent_of_a_known_name_the_author_is_told_to_return_the_first():
    with pytest.warns(RuntimeWarning, match="another agent 'Made' than the team's.*Return the one of the team"):
        await run(Agent("A", tools=[make]), "Hi", model=calls("make"), journal=Durable(), agents=[Agent("Made")])


async def test_in_memory_such_a_handoff_is_made_and_nobody_is_warned():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        response = await run(Agent("A", tools=[make]), "Hi", model=calls("make"))
    assert response.agent.name == "Made"


async def test_a_filter_that_makes_errors_of_warnings_takes_no_outcome_away(caplog):
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING, "segue"):
        warnings.simplefilter("error")
        response = await run(Agent("A", tools=[make]), "Hi", model=calls("make"), journal=Durable())
    assert answers(response.messages) == ["make returned the agent 'Made', which the team does not know. Name it in agents=[...]."]
    assert "make returned the agent 'Made'" in caplog.text


# ---- values of segue.swarm


class Ours(swarm.Agent):
    pass


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (SWARMS, "it returned segue.swarm's Agent"),
        (Ours(), "it returned segue.swarm's Agent"),
        (swarm.Result(value="x"), "it returned segue.swarm's Result"),
        ([SWARMS, "x"], "it returned segue.swarm's Agent"),
        (Result("x", agent=SWARMS), "its Result(agent=...) holds segue.swarm's Agent"),
    ],
    ids=["agent", "subclass", "result", "list", "in a result"],
)
async def test_a_value_of_segue_swarm_is_not_told_to_the_model_and_its_author_is_warned(value, words):
    def go():
        return value

    with pytest.warns(RuntimeWarning, match="go did its work.*docs/howto/from-swarm.md") as warned:
        response = await run(Agent("A", tools=[go]), "Hi", model=calls("go"))
    [told] = answers(response.messages)
    assert words in told
    assert [str(one.message) for one in warned] == [told]
    assert response.agent.name == "A"

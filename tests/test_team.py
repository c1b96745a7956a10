"""The team: who belongs to it, what each offers, and names that clash or lead nowhere (T1)."""

import pytest

from segue.agent import Agent, Result, handoff
from segue.errors import ConversationParked, UsageError
from segue.runner import Runner
from segue.team import Team, named_agents, reachable
from segue.testing import ScriptedModel
from segue.throwaway import run
from segue.tools.tool import tool
from tests.acting import instructions


def named(entry, *agents):
    return sorted(Team(entry, agents).members)


GLOBAL = Agent("Global")


def to_global() -> Agent:
    return GLOBAL


def test_the_team_is_what_handoffs_globals_and_closures_name():
    local = Agent("Local")

    def to_local() -> Agent:
        return local

    @tool
    def decorated() -> Agent:
        return local if 1 else GLOBAL

    assert named(Agent("A", handoffs=[GLOBAL])) == ["A", "Global"]
    assert named(Agent("A", tools=[to_global])) == ["A", "Global"]
    assert named(Agent("A", tools=[to_local])) == ["A", "Local"]
    assert named(Agent("A", tools=[decorated])) == ["A", "Global", "Local"]
    assert named(Agent("A", tools=[to_local]), Agent("Extra")) == ["A", "Extra", "Local"]


def test_the_functions_are_read_and_not_called():
    called = []

    def to_global_or_fail() -> Agent:
        called.append(1)
        return GLOBAL

    assert named_agents(to_global_or_fail) == [GLOBAL]
    assert called == []


def test_a_variable_that_has_no_value_yet_names_nobody():
    def to_later() -> Agent:
        return later

    assert reachable(Agent("A", tools=[to_later])) == []
    later = Agent("Later")
    assert reachable(Agent("A", tools=[to_later])) == [later]


def test_agents_may_lead_to_each_other_in_a_circle_by_name():
    b = Agent("B", handoffs=["A"])
    assert named(Agent("A", handoffs=[b])) == ["A", "B"]


def test_agents_that_are_reached_through_others_belong_to_the_team():
    c = Agent("C")
    b = Agent("B", handoffs=[c])
    assert named(Agent("A", handoffs=[b])) == ["A", "B", "C"]


CLASHES = [
    (lambda: Team(Agent("A", handoffs=[Agent("B"), Agent("C", handoffs=[Agent("B")])])), "Two different agents are called 'B'"),
    (lambda: Team(Agent("A"), [Agent("A")]), "Two different agents are called 'A'"),
    (lambda: Team(Agent("A", handoffs=["Nobody"])), r"A hands off to 'Nobody'.*There are: A\..*agents="),
    (
        lambda: Team(Agent("A", tools=[tool(name="transfer_to_b")(to_global)], handoffs=[Agent("B")])),
        r"A has two tools called transfer_to_b: the function to_global and the handoff to B",
    ),
    (
        lambda: Team(Agent("A", handoffs=[Agent("B C"), Agent("B-C")])),
        "transfer_to_b_c: the handoff to B C and the handoff to B-C",
    ),
    (lambda: Team(Agent("A", tools=[to_global, to_global])), "two tools called to_global"),
    (lambda: Team(Agent("A", tools=[Agent("X").as_tool(name="t"), tool(name="t")(to_global)])), "the agent X as a tool and the function"),
]


@pytest.mark.parametrize(("make", "words"), CLASHES)
def test_names_that_clash_or_lead_nowhere_are_refused_with_words_that_name_both_sides(make, words):
    with pytest.raises(UsageError, match=words):
        make()


def test_a_runner_refuses_them_when_it_is_built():
    with pytest.raises(UsageError, match="hands off to 'Nobody'"):
        Runner(Agent("A", handoffs=["Nobody"]))
    with pytest.raises(UsageError, match="entry Agent"):
        Runner("A")


def test_a_called_agent_with_a_tool_of_the_name_it_needs_to_return_is_refused():
    @tool(name="return_to_a")
    def clash() -> str:
        return ""

    b = Agent("B", tools=[clash])
    with pytest.raises(UsageError, match="return_to_a"):
        Team(Agent("A", handoffs=[handoff(b, kind="call")]))


def test_an_unknown_member_is_refused_with_the_names_that_exist():
    with pytest.raises(UsageError, match=r"no agent 'X'\. It has: A, Global"):
        Team(Agent("A", handoffs=[GLOBAL])).member("X")


def test_what_is_offered_is_the_same_object_as_long_as_the_same_is_offered():
    member = Team(Agent("A", tools=[to_global], handoffs=[Agent("B")])).member("A")
    assert member.specs() is member.specs()
    assert [spec.name for spec in member.specs()] == ["to_global", "transfer_to_b"]
    assert [spec.name for spec in member.specs("X", frozenset({"transfer_to_b"}))] == ["to_global", "return_to_x"]


def test_a_generated_transfer_is_described_by_the_target():
    (spec,) = Team(Agent("A", handoffs=[Agent("B", description="Knows refunds.")])).member("A").specs()
    assert (spec.name, spec.description) == ("transfer_to_b", "Hand the conversation over to B. Knows refunds.")
    (spec,) = Team(Agent("A", handoffs=[handoff("B", name="go", description="Go.")]), [Agent("B")]).member("A").specs()
    assert (spec.name, spec.description) == ("go", "Go.")


def test_a_fingerprint_changes_with_instructions_tools_edges_and_models():
    def print_of(**made):
        return Team(Agent("A", **made), [Agent("B")]).fingerprint["A"]

    prints = [print_of(), print_of(instructions="x"), print_of(tools=[to_global]), print_of(handoffs=["B"]), print_of(model="openai:x")]
    assert len({str(made) for made in prints}) == len(prints)
    assert print_of() == print_of()


# ---- agents that tools make


def dynamic(name="Made", told="for {}"):
    def make(who: str) -> Agent:
        return Agent(name, instructions=told.format(who))

    return make


async def test_an_agent_that_a_tool_makes_joins_the_team_and_keeps_the_floor_in_later_runs():
    model = ScriptedModel([{"make": {"who": "Ada"}}, "Hello Ada.", "Still here."])
    runner = Runner(Agent("A", tools=[dynamic()]), model=model)
    assert (await runner.run("Hi", conversation="c")).agent.name == "Made"
    assert (await runner.run("Again", conversation="c")).agent.name == "Made"
    assert instructions(model) == ["You are a helpful agent.", "for Ada", "for Ada"]


async def test_agents_of_one_name_that_tools_make_in_two_conversations_do_not_mix():
    model = ScriptedModel([{"make": {"who": "Ada"}}, "Hello.", {"make": {"who": "Bob"}}, "Hello.", "Ada?", "Bob?"])
    runner = Runner(Agent("A", tools=[dynamic()]), model=model)
    await runner.run("Hi", conversation="ada")
    await runner.run("Hi", conversation="bob")
    await runner.run("Again", conversation="ada")
    await runner.run("Again", conversation="bob")
    assert instructions(model)[-2:] == ["for Ada", "for Bob"]
    assert list(runner.team.members) == ["A"]


async def test_a_made_agent_brings_along_what_it_leads_to():
    def make() -> Agent:
        return Agent("Made", handoffs=[Agent("Deep")])

    model = ScriptedModel([{"make": {}}, {"transfer_to_deep": {}}, "Hello."])
    assert (await run(Agent("A", tools=[make]), "Hi", model=model)).agent.name == "Deep"


async def test_a_made_agent_whose_team_is_unsound_is_a_failed_call():
    def make() -> Result:
        return Result("x", agent=Agent("Made", handoffs=["Nobody"]))

    response = await run(Agent("A", tools=[make]), "Hi", model=ScriptedModel([{"make": {}}, "."]))
    assert "UsageError: Made hands off to 'Nobody'" in response.messages[1]["content"]
    assert response.agent.name == "A"


async def test_a_made_agent_that_another_runner_does_not_know_is_a_clear_error():
    runner = Runner(Agent("A", tools=[dynamic()]), model=ScriptedModel([{"make": {"who": "Ada"}}, "Hello."]))
    await runner.run("Hi", conversation="c")
    other = Runner(Agent("A", tools=[dynamic()]), model=ScriptedModel(["x"]), journal=runner.journal)
    with pytest.raises(ConversationParked, match="the agent Made is not in the team"):
        await other.run("Again", conversation="c")

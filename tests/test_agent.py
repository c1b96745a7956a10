"""Agents and what they are made of: what is accepted, and what is refused when an agent is built."""

import dataclasses
import functools

import pytest
from pydantic import BaseModel

from segue.agent import Agent, guard, handoff, read_routine, slug
from segue.errors import GuardTripped, UsageError
from segue.testing import ScriptedModel
from segue.throwaway import run
from segue.tools.tool import Context, tool
from tests.acting import asked, offered


def look() -> str:
    return "seen"


def test_an_agent_never_changes():
    agent = Agent("A", tools=[look])
    with pytest.raises(dataclasses.FrozenInstanceError):
        agent.name = "B"
    given = [look]
    agent = Agent("A", tools=given)
    given.clear()
    assert [made.name for made in agent.tools] == ["look"]


def test_two_agents_are_never_equal_but_by_identity():
    assert Agent("A") != Agent("A")
    assert len({Agent("A"), Agent("A")}) == 2


def test_its_repr_is_short_and_tells_nothing_of_its_instructions():
    assert repr(Agent("A", instructions="secret")) == "Agent('A')"


class Callable:
    def __call__(self) -> str:
        return ""

    def method(self) -> str:
        return ""


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (look, "look"),
        (tool(name="other")(look), "other"),
        (Callable().method, "method"),
        (Callable(), "Callable"),
        (functools.partial(look), "look"),
        (Agent("The Inner One").as_tool(), "the_inner_one"),
        (Agent("Inner").as_tool(name="ask"), "ask"),
    ],
)
def test_tools_may_be_functions_methods_callables_partials_tools_and_agents_as_tools(made, name):
    assert [one.name for one in Agent("A", tools=[made]).tools] == [name]


class Shop:
    def refund(self, item: str) -> str:
        return item

    @staticmethod
    def price(item: str) -> str:
        return item


def option(**options):
    return lambda: tool(**options)(look)


REFUSED = [
    (lambda: Agent("A", tools=[Shop.refund]), r"Give `shop\.refund` of an object"),
    (lambda: tool(Shop.refund), r"Give `shop\.refund` of an object"),
    (lambda: Agent("A", instructions=Shop.refund), "method without its object"),
    (lambda: Agent("A", settings={"temperature": 0}), r"Give settings=ModelSettings\(temperature=0\)"),
    (lambda: Agent("A", settings={"heat": 0}), r"Give settings=ModelSettings\(\.\.\.\)"),
    (lambda: Agent("A", settings=None), r"Give settings=ModelSettings"),
    (lambda: Agent("A", model=3), "provider:model"),
    (lambda: Agent("A", description=3), "Give a text"),
    (lambda: Agent("A", tools=None), r"write tools=\[...\], or leave it out"),
    (lambda: Agent("A", view=["brief"]), "nor a function"),
    (lambda: Agent("A").as_tool(name="a b"), r"use as_tool\(name=...\)"),
    (lambda: Agent("A").as_tool(description=3), "Give a text"),
    (lambda: handoff("B", when=True), "when=True: give a function"),
    (lambda: handoff("B", name="a b"), r"use handoff\(..., name=...\)"),
    (lambda: handoff("B", description=3), "Give a text"),
    (lambda: handoff(""), "give an Agent or the name of one"),
    (lambda: guard("input")(3), "give a function"),
    (option(timeout="5"), "number of seconds"),
    (option(timeout=True), "number of seconds"),
    (option(approve="yes"), "Give True, False or a function"),
    (option(approve=None), "Give True, False or a function"),
    (option(retries="2", effect="read"), "how often"),
    (option(retries=-1), "how often"),
    (option(name=3), "cannot be called 3"),
    (option(description=3), "Give a text"),
    (option(strict="yes"), "Give True or False, or None"),
    (option(alone=1), "alone=1. Give True or False"),
    (option(reconcile="x"), "give a function of"),
    (lambda: Agent(""), "needs a name"),
    (lambda: Agent("  "), "needs a name"),
    (lambda: Agent(None), "needs a name"),
    (lambda: Agent("A", tools=look), r"tools is a list; write tools=\[...\]"),
    (lambda: Agent("A", tools=[Agent("B")]), "B is an agent, not a tool"),
    (lambda: Agent("A", tools=["look"]), "must be a function"),
    (lambda: Agent("A", handoffs=Agent("B")), r"handoffs is a list; write handoffs=\[...\]"),
    (lambda: Agent("A", handoffs="B"), "handoffs is a list"),
    (lambda: Agent("A", handoffs=[look]), "into tools"),
    (lambda: Agent("A", handoffs=[3]), "handoffs are agents"),
    (lambda: Agent("A", guards=[look]), "not a guard"),
    (lambda: Agent("A", instructions=3), "instructions are a text"),
    (lambda: Agent("A", view="all"), "everything, handoff, brief"),
    (lambda: Agent("A", output=object()), "pydantic"),
    (lambda: handoff("B", kind="lend"), "transfer"),
    (lambda: handoff(3), "give an Agent"),
    (lambda: handoff("B", view="brief"), "needs brief="),
    (lambda: handoff("B", view="none"), "is not one of"),
    (lambda: guard("before"), "input"),
    (lambda: Agent("A", instructions=read_routine(__import__("pathlib").Path("/nowhere/x.md"))), "cannot be read"),
]


@pytest.mark.parametrize(("make", "words"), REFUSED)
def test_what_cannot_be_told_to_a_model_is_refused_when_the_agent_is_built(make, words):
    with pytest.raises(UsageError, match=words):
        make()


def test_a_static_method_of_a_class_is_a_tool():
    assert [made.name for made in Agent("A", tools=[Shop.price]).tools] == ["price"]


async def test_a_guard_that_names_the_text_first_still_says_no():
    @guard("input")
    def no_cards(text: str, ctx: Context):
        return "No cards." if sum(char.isdigit() for char in str(text)) > 12 else None

    model = ScriptedModel(["Thanks."])
    with pytest.raises(GuardTripped):
        await run(Agent("A", guards=[no_cards], model=model), "4111 1111 1111 1111")
    assert not model.requests


async def test_a_tool_guard_that_names_the_call_first_still_denies_the_call():
    paid = []

    def pay() -> str:
        paid.append(1)
        return "paid"

    @guard("tool")
    def no_pay(call, ctx: Context):
        return "Not now." if getattr(call, "name", "") == "pay" else None

    model = ScriptedModel([{"pay": {}}, "Done."])
    response = await run(Agent("A", tools=[pay], guards=[no_pay], model=model), "Pay.")
    assert (paid, response.messages[1]["content"]) == ([], "Not called: Not now.")


async def test_a_routine_is_read_from_a_markdown_file_without_its_front_matter(tmp_path):
    path = tmp_path / "SKILL.md"
    path.write_text("---\nname: refunds\n---\n\n# Refunds\n\n1. Look.\n", encoding="utf-8")
    model = ScriptedModel(["Hello."])
    await run(Agent("A", instructions=path), "Hi", model=model)
    assert asked(model)[0] == {"role": "system", "content": "# Refunds\n\n1. Look."}


async def test_an_agent_as_a_tool_works_in_a_conversation_of_its_own_and_its_output_is_the_result():
    inner_model = ScriptedModel([{"look": {}}, "I saw it."])
    inner = Agent("Inner", instructions="Look.", tools=[look], model=inner_model, description="Looks at things.")
    outer_model = ScriptedModel([{"inner": {"input": "Look at this"}}, "Inner saw it."])
    response = await run(Agent("Outer", tools=[inner.as_tool()], model=outer_model), "Please look")
    assert response.messages[1]["content"] == "I saw it."
    assert asked(inner_model, 0) == [{"role": "system", "content": "Look."}, {"role": "user", "content": "Look at this"}]
    assert offered(outer_model)[0] == ["inner"]
    assert outer_model.requests[0].tools[0].description == "Looks at things."


async def test_an_agent_as_a_tool_that_fails_is_a_failed_call():
    inner = Agent("Inner", model=ScriptedModel([]))
    response = await run(Agent("Outer", tools=[inner.as_tool()], model=ScriptedModel([{"inner": {"input": "x"}}, "."])), "Hi")
    assert response.messages[1]["content"].startswith("Failed with UsageError: The script of scripted is at its end")


@pytest.mark.parametrize("arguments", [{}, {"input": 3}, {"input": "x", "more": 1}])
async def test_an_agent_as_a_tool_takes_one_text_and_nothing_else(arguments):
    inner = Agent("Inner", model=ScriptedModel([]))
    response = await run(Agent("Outer", tools=[inner.as_tool()], model=ScriptedModel([{"inner": arguments}, "."])), "Hi")
    assert response.messages[1]["content"] == "input: a text is needed, and nothing else."


def test_a_slug_is_part_of_a_legal_tool_name():
    assert slug("Refund Agent (EU)") == "refund_agent_eu"
    assert slug("退款") == "agent"
    assert len(slug("x" * 100)) == 48


def test_an_output_that_is_no_object_is_wrapped_for_the_model_and_read_both_ways():
    typed = Agent("A", output=list[int]).typed_output
    assert typed.schema["properties"]["result"]["type"] == "array"
    assert typed.read('{"result": [1]}') == typed.read("[1]") == [1]


def test_an_output_type_may_be_any_that_pydantic_knows():
    class Order(BaseModel):
        item: str

    assert Agent("A", output=Order).typed_output.read('{"item": "x"}') == Order(item="x")
    assert Agent("A", output=Order | None).typed_output.read("null") is None
    assert Agent("A").typed_output is None

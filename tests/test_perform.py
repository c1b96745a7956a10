"""A step in, events out: instructions, views, edges, briefs, guards, output types; what each agent's model is sent."""

import asyncio
import dataclasses
import datetime
import enum
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from segue.agent import Agent, Result, guard, handoff
from segue.core.limits import Limits
from segue.core.messages import Call, Reply, Usage
from segue.errors import GuardTripped, ModelRefused, OutputError, ReplyCut, UsageError
from segue.model import ModelSettings, TextDelta
from segue.runner import Runner
from segue.testing import FunctionModel, ScriptedModel
from segue.throwaway import run
from segue.tools.tool import Context, tool
from tests.acting import answers, asked, instructions, legal, offered

# ---- requests (R1, T2)


async def test_after_a_handoff_the_new_agents_instructions_tools_model_and_settings_are_sent():
    def look() -> str:
        return "seen"

    first, second = ScriptedModel([{"transfer_to_b": {}}], name="first"), ScriptedModel([{"look": {}}, "Done."], name="second")
    b = Agent("B", instructions="Be B.", tools=[look], model=second, settings=ModelSettings(temperature=0.5))
    a = Agent("A", instructions="Be A.", handoffs=[b], model=first)
    response = await run(a, "Hi")
    assert response.agent is b
    assert (instructions(first), instructions(second)) == (["Be A."], ["Be B.", "Be B."])
    assert (offered(first), offered(second)) == ([["transfer_to_b"]], [["look"], ["look"]])
    assert [request.settings.temperature for request in first.requests + second.requests] == [None, 0.5, 0.5]
    assert legal(first)
    assert legal(second)


@pytest.mark.parametrize(
    "function",
    [
        lambda: "no argument",
        lambda context: f"for {context.values['name']}",
        lambda context_variables: f"for {context_variables['name']}",
        lambda *anything: f"for {anything[0].values['name']}",
    ],
)
async def test_instructions_may_be_a_function_of_nothing_of_the_context_or_of_swarms_dictionary(function):
    model = ScriptedModel(["Hello."])
    await run(Agent("A", instructions=function), "Hi", model=model, context={"name": "Ada"})
    assert instructions(model) in (["for Ada"], ["no argument"])


class Polite:
    async def __call__(self, context: Context) -> str:
        return f"Be polite to {context.values['name']}."


async def test_instructions_are_rendered_fresh_for_each_model_call_with_what_tools_have_set():
    @tool
    def rename(ctx: Context) -> str:
        ctx.set(name="Grace")
        return "ok"

    model = ScriptedModel([{"rename": {}}, "Done."])
    await run(Agent("A", instructions=Polite(), tools=[rename]), "Hi", model=model, context={"name": "Ada"})
    assert instructions(model) == ["Be polite to Ada.", "Be polite to Grace."]


async def test_instructions_that_are_no_text_fail_the_run_with_words_that_name_the_agent():
    with pytest.raises(UsageError, match="instructions function of A returned int"):
        await run(Agent("A", instructions=lambda: 3), "Hi", model=ScriptedModel(["x"]))


async def test_an_instructions_function_that_raises_fails_the_run_with_its_own_exception_and_the_next_run_works():
    broken = True

    def instruct():
        if broken:
            raise KeyError("template")
        return "Fine."

    runner = Runner(Agent("A", instructions=instruct), model=ScriptedModel(["Hello."]))
    with pytest.raises(KeyError) as caught:
        await runner.run("Hi", conversation="c")
    assert caught.value.__notes__ == ["in the instructions function of agent 'A'", "in conversation c"]
    broken = False
    assert (await runner.run("Again", conversation="c")).output == "Hello."


async def test_an_empty_instruction_sends_no_system_message():
    model = ScriptedModel(["Hello."])
    await run(Agent("A", instructions=""), "Hi", model=model)
    assert asked(model) == [{"role": "user", "content": "Hi"}]


async def test_the_model_is_that_of_the_run_before_that_of_the_runner_before_the_agents_own(monkeypatch):
    agent = Agent("A", model=ScriptedModel(["agent's"]))
    assert (await Runner(agent).run("Hi")).output == "agent's"
    runner = Runner(agent, model=ScriptedModel(["runner's"]))
    assert (await runner.run("Hi", model=ScriptedModel(["run's"]))).output == "run's"
    assert (await runner.run("Hi")).output == "runner's"
    monkeypatch.delenv("SEGUE_MODEL", raising=False)
    with pytest.raises(UsageError, match=r"model=.*SEGUE_MODEL"):
        await Runner(Agent("A")).run("Hi")


# ---- results (R7)


@dataclasses.dataclass
class Point:
    x: int
    when: datetime.date


class Item(BaseModel):
    name: str


class Colour(enum.Enum):
    RED = "red"


class Unreadable:
    def __repr__(self):
        raise RuntimeError

    __str__ = __repr__


LOOP: list[Any] = []
LOOP.append(LOOP)

RESULTS = [
    ("text", "text"),
    ("", ""),
    (None, "null"),
    (True, "true"),
    (42, "42"),
    (1.5, "1.5"),
    ([1, "a"], '[1,"a"]'),
    ({"a": [None]}, '{"a":[null]}'),
    ((1, 2), "[1,2]"),
    (Point(1, datetime.date(2026, 1, 2)), '{"x":1,"when":"2026-01-02"}'),
    (Item(name="boots"), '{"name":"boots"}'),
    (Colour.RED, '"red"'),
    (uuid.UUID(int=0), '"00000000-0000-0000-0000-000000000000"'),
    (b"bytes", "bytes"),
    ("half \ud800 pair", "half \ufffd pair"),
    (Result("value"), "value"),
    (Result(), ""),
    (Result(None), ""),
]


@pytest.mark.parametrize(("value", "content"), RESULTS, ids=lambda value: repr(value)[:20].encode("ascii", "replace").decode())
async def test_a_result_becomes_what_a_model_can_read(value, content):
    def give() -> Any:
        return value

    response = await run(Agent("A", tools=[give]), "Hi", model=ScriptedModel([{"give": {}}, "Done."]))
    assert answers(response.messages) == [content]


@pytest.mark.parametrize(
    "value", [Unreadable(), object(), LOOP, (n for n in range(3)), lambda: 1], ids=["str raises", "object", "loop", "generator", "function"]
)
async def test_a_result_that_no_model_can_read_is_a_failure_that_says_so(value):
    def give() -> Any:
        return value

    response = await run(Agent("A", tools=[give]), "Hi", model=ScriptedModel([{"give": {}}, "Done."]))
    assert answers(response.messages)[0].startswith("give did its work, but it returned")


async def test_an_image_becomes_a_content_part_and_a_long_text_is_cut_with_a_mark():
    def picture() -> bytes:
        return b"\x89PNG\r\n\x1a\n..."

    def long() -> str:
        return "x" * 8_000_000

    response = await run(Agent("A", tools=[picture, long]), "Hi", model=ScriptedModel([{"picture": {}, "long": {}}, "."]))
    image, text = answers(response.messages)
    assert image[0]["image_url"]["url"].startswith("data:image/png;base64,")
    assert text.endswith("[cut: 7737856 of 8000000 characters are not shown]")


# ---- context (R24)


async def test_context_changes_are_merged_when_the_turn_closes_and_the_later_call_wins():
    seen: list[Any] = []

    @tool
    async def first(ctx: Context) -> str:
        await asyncio.sleep(0.01)
        ctx.set(who="first", one=1)
        seen.append(ctx.values)
        return ""

    @tool
    async def second(ctx: Context) -> Result:
        seen.append(ctx.values)
        return Result("", context={"who": "second", "two": 2})

    def swarm(context_variables: dict) -> str:
        context_variables["three"] = 3
        return ""

    runner = Runner(Agent("A", tools=[first, second, swarm]), model=ScriptedModel([{"first": {}, "second": {}, "swarm": {}}, "."]))
    response = await runner.run("Hi", context={"zero": 0})
    assert response.context == {"zero": 0, "who": "second", "one": 1, "two": 2, "three": 3}
    assert seen == [{"zero": 0}, {"zero": 0, "who": "first", "one": 1}]


async def test_a_call_that_did_not_return_changes_nothing():
    @tool
    def fails(ctx: Context) -> str:
        ctx.set(a=1)
        raise ValueError

    @tool
    def unreadable(ctx: Context) -> Any:
        ctx.set(b=1)
        return object()

    response = await run(Agent("A", tools=[fails, unreadable]), "Hi", model=ScriptedModel([{"fails": {}, "unreadable": {}}, "."]))
    assert response.context == {}


async def test_what_is_not_json_is_refused_at_the_place_where_it_is_set():
    @tool
    def keep(ctx: Context) -> str:
        ctx.set(connection=object())
        return "kept"

    def give() -> Result:
        return Result("given", context={"connection": object()})

    response = await run(Agent("A", tools=[keep, give]), "Hi", model=ScriptedModel([{"keep": {}, "give": {}}, "."]))
    assert all("JSON values only" in answer for answer in answers(response.messages))
    assert response.context == {}


# ---- handoffs (R11 to R13, R16, R18)


async def test_a_function_that_returns_an_agent_and_a_generated_transfer_do_the_same():
    b = Agent("B")

    def transfer_to_b() -> Agent:
        """Hand the conversation over to B."""
        return b

    said = []
    for a in (Agent("A", tools=[transfer_to_b]), Agent("A", handoffs=[b])):
        model = ScriptedModel([{"transfer_to_b": {}}, "Hello."])
        response = await run(a, "Hi", model=model)
        said.append((response.messages, response.agent.name, instructions(model)))
    assert said[0] == said[1]
    assert answers(said[0][0]) == ["Transferred to B. Adopt persona immediately."]


async def test_a_tool_and_a_handoff_in_one_message_are_both_answered_before_the_switch():
    def look() -> str:
        return "seen"

    b = Agent("B")
    model = ScriptedModel([{"transfer_to_b": {}, "look": {}}, "Hello."])
    response = await run(Agent("A", tools=[look], handoffs=[b]), "Hi", model=model)
    assert answers(response.messages) == ["Transferred to B. Adopt persona immediately.", "seen"]
    assert response.agent is b
    assert legal(model)


async def test_the_first_handoff_in_call_order_wins_even_if_it_was_slower():
    b, c = Agent("B"), Agent("C")

    async def to_b() -> Agent:
        await asyncio.sleep(0.02)
        return b

    async def to_c() -> Agent:
        return c

    model = ScriptedModel([{"to_b": {}, "to_c": {}}, "Hello."])
    response = await run(Agent("A", tools=[to_b, to_c]), "Hi", model=model)
    assert response.agent is b
    assert answers(response.messages)[1] == "Not transferred to C: the conversation went to B."


async def test_a_result_may_carry_a_value_a_handoff_and_context_at_once():
    b = Agent("B", instructions=lambda context: f"ticket {context.values['ticket']}")

    def escalate() -> Result:
        return Result("Ticket 7 opened.", agent=b, context={"ticket": 7})

    model = ScriptedModel([{"escalate": {}}, "Hello."])
    response = await run(Agent("A", tools=[escalate]), "Hi", model=model)
    assert answers(response.messages) == ["Ticket 7 opened."]
    assert instructions(model)[1] == "ticket 7"


async def test_a_typed_brief_is_checked_and_shown_to_the_next_agent():
    class Brief(BaseModel):
        order: int
        wish: str

    b = Agent("B", view="brief")
    model = ScriptedModel([{"transfer_to_b": {"order": "x"}}, {"transfer_to_b": {"order": 5, "wish": "money"}}, "Hello."])
    response = await run(Agent("A", handoffs=[handoff(b, brief=Brief)]), "I want my money", model=model)
    assert "order" in answers(response.messages)[0]
    assert asked(model)[1:] == [{"role": "user", "content": 'Brief from A: {"order": 5, "wish": "money"}'}]
    assert legal(model)


async def test_a_generated_transfer_takes_no_arguments():
    model = ScriptedModel([{"transfer_to_b": {"reason": "x"}}, {"transfer_to_b": {}}, "Hello."])
    response = await run(Agent("A", handoffs=[Agent("B")]), "Hi", model=model)
    assert answers(response.messages)[0] == "transfer_to_b takes no arguments."
    assert len(asked(model)) == 4, "what was refused has left the view at the handoff"


async def test_a_closed_edge_is_not_offered_and_says_so_if_called_anyway():
    model = ScriptedModel([{"transfer_to_b": {}}, {"unlock": {}}, {"transfer_to_b": {}}, "Hello."])

    @tool
    def unlock(ctx: Context) -> str:
        ctx.set(open=True)
        return "ok"

    async def is_open(context):
        return context.values.get("open", False)

    response = await run(Agent("A", tools=[unlock], handoffs=[handoff(Agent("B"), when=is_open)]), "Hi", model=model)
    assert offered(model) == [["unlock"], ["unlock"], ["unlock", "transfer_to_b"], []]
    assert answers(response.messages)[0] == "Not transferred: the way to B is closed now."
    assert response.agent.name == "B"


async def test_a_tool_of_another_agent_is_answered_with_the_names_that_exist():
    made = []

    def refund() -> str:
        made.append(1)
        return ""

    b = Agent("B", tools=[refund])
    model = ScriptedModel([{"refund": {}}, "Sorry."])
    response = await run(Agent("A", handoffs=[b]), "Hi", model=model)
    assert answers(response.messages) == ["A has no tool 'refund'. Its tools: transfer_to_b."]
    assert made == []


@pytest.mark.parametrize(
    "arguments", ['{"n": 1', "[1]", '{"n": 1, "n": 2}', '{"n": NaN}', '{"n": "x"}', "{}", '{"n": 1, "m": 2}', "nonsense"]
)
async def test_arguments_that_do_not_fit_are_never_run_and_the_run_goes_on(arguments):
    made = []

    def take(n: int) -> str:
        made.append(n)
        return "ok"

    model = ScriptedModel([{"take": arguments}, {"take": {"n": 1}}, "Done."])
    response = await run(Agent("A", tools=[take]), "Hi", model=model)
    assert made == [1]
    assert response.output == "Done."
    assert legal(model)


# ---- views (R15)


async def test_a_view_function_chooses_what_the_next_agent_sees():
    def only_users(messages):
        return [message for message in messages if message["role"] == "user"]

    b = Agent("B", view=only_users)
    model = ScriptedModel(["Hello.", {"transfer_to_b": {}}, "I am B.", "Still B."])
    runner = Runner(Agent("A", handoffs=[b]), model=model)
    await runner.run("One", conversation="c")
    await runner.run("Two", conversation="c")
    assert asked(model)[1:] == [{"role": "user", "content": "One"}, {"role": "user", "content": "Two"}]
    await runner.run("Three", conversation="c")
    assert [message["content"] for message in asked(model)[1:]] == ["One", "Two", "Three"]


async def test_a_view_function_may_change_a_tools_answer_and_add_messages():
    def redact(context, messages):
        for message in messages:
            if message["role"] == "tool":
                message["content"] = "(redacted)"
        return [{"role": "user", "content": f"note for {context.agent}"}, *messages]

    def look() -> str:
        return "4711"

    model = ScriptedModel([{"look": {}}, {"transfer_to_b": {}}, "Hello."])
    await run(Agent("A", tools=[look], handoffs=[handoff(Agent("B"), view=redact)]), "Hi", model=model)
    shown = asked(model)[1:]
    assert shown[0] == {"role": "user", "content": "note for B"}
    assert answers(shown) == ["(redacted)", "(redacted)"]
    assert legal(model)


@pytest.mark.parametrize(
    ("choose", "words"),
    [
        (lambda messages: messages[1:], "first message is not the user's"),
        (lambda messages: messages[:2], "is not answered"),
        (lambda messages: None, "must return a list"),
        (lambda messages: [], "there is no message"),
        (lambda messages: [{"role": "wizard"}], "not a chat-completions message"),
    ],
)
async def test_a_view_that_no_provider_would_take_fails_the_run_before_anything_is_sent(choose, words):
    model = ScriptedModel([{"transfer_to_b": {}}, "Never."])
    with pytest.raises(UsageError, match=words):
        await run(Agent("A", handoffs=[Agent("B", view=choose)]), "Hi", model=model)
    assert len(model.requests) == 1


def missing(context):
    return context.values["customer"]


async def test_a_view_function_that_raises_fails_the_run_with_a_note_that_names_the_agent_it_was_for():
    def choose(context, messages):
        return missing(context)

    with pytest.raises(KeyError) as caught:
        await run(Agent("A", handoffs=[Agent("B", view=choose)]), "Hi", model=ScriptedModel([{"transfer_to_b": {}}, "Never."]))
    assert caught.value.__notes__[0] == "in the view function for agent 'B'"


async def test_a_condition_that_raises_fails_the_run_with_a_note_that_names_the_handoff():
    with pytest.raises(KeyError) as caught:
        await run(Agent("A", handoffs=[handoff(Agent("B"), when=missing)]), "Hi", model=ScriptedModel(["Never."]))
    assert caught.value.__notes__[0] == "in when= of the handoff from agent 'A' to 'B'"


@pytest.mark.parametrize(("view", "shown"), [("everything", ["One", "Hello.", "Two"]), ("handoff", ["Two"])])
async def test_a_view_by_name_shows_everything_or_what_led_to_the_handoff(view, shown):
    model = ScriptedModel(["Hello.", {"transfer_to_b": {}}, "I am B."])
    runner = Runner(Agent("A", handoffs=[handoff(Agent("B"), view=view)]), model=model)
    await runner.run("One", conversation="c")
    await runner.run("Two", conversation="c")
    texts = [message["content"] for message in asked(model)[1:] if message["role"] != "tool" and message["content"]]
    assert texts == shown
    assert legal(model)


# ---- call and return (R17)


async def test_a_called_agent_keeps_the_floor_over_several_user_turns_and_gives_it_back_with_a_value():
    b = Agent("B", instructions="Be B.", output=int)
    a = Agent("A", instructions="Be A.", handoffs=[handoff(b, kind="call")])
    model = ScriptedModel([{"call_b": {}}, "Which number?", "Are you sure?", {"return_to_a": {"value": 7}}, "It is 7."])
    runner = Runner(a, model=model)
    assert (await runner.run("Count", conversation="c")).agent is b
    assert (await runner.run("7", conversation="c")).agent is b
    last = await runner.run("Yes", conversation="c")
    assert (last.agent, last.output) == (a, "It is 7.")
    assert instructions(model) == ["Be A.", "Be B.", "Be B.", "Be B.", "Be A."]
    assert offered(model)[1:4] == [["return_to_a"]] * 3
    assert '"value":7' in json.dumps(asked(model)).replace("\\", "").replace(" ", "")
    assert legal(model)


async def test_a_return_value_that_does_not_fit_is_refused_and_the_callee_keeps_the_floor():
    b = Agent("B", output=int)
    model = ScriptedModel([{"call_b": {}}, {"return_to_a": {"value": "many"}}, {"return_to_a": {"value": 7}}, "It is 7."])
    response = await run(Agent("A", handoffs=[handoff(b, kind="call")]), "Count", model=model)
    assert response.output == "It is 7."
    assert any("value" in answer for answer in answers(response.messages)[1:2])


# ---- guards (R34)


async def test_an_input_guard_fails_the_run_before_the_model_is_asked_and_the_input_is_not_kept():
    @guard("input")
    async def no_secrets(context, text):
        return "secrets are not for us" if "secret" in text else None

    model = ScriptedModel(["Hello."])
    runner = Runner(Agent("A", guards=[no_secrets]), model=model)
    with pytest.raises(GuardTripped) as caught:
        await runner.run("my secret", conversation="c")
    assert (caught.value.guard, caught.value.reason) == ("no_secrets", "secrets are not for us")
    assert model.requests == []
    with pytest.raises(UsageError, match="nothing to resume"):
        await runner.resume("c")
    await runner.run("Hi", conversation="c")
    assert asked(model)[1:] == [{"role": "user", "content": "Hi"}]


async def test_an_input_guard_holds_for_an_agent_that_gets_the_conversation_by_a_handoff():
    heard = []

    @guard("input")
    def no_refunds(text):
        heard.append(text)
        return "no"

    model = ScriptedModel([{"transfer_to_b": {}}, "Never."])
    with pytest.raises(GuardTripped):
        await run(Agent("A", handoffs=[Agent("B", guards=[no_refunds])]), "Money back", model=model)
    assert (heard, len(model.requests)) == (["Money back"], 1)


async def test_an_input_guard_is_asked_once_a_run_and_again_in_the_next():
    heard = []

    @guard("input")
    def listen(text):
        heard.append(text)

    def look() -> str:
        return ""

    runner = Runner(Agent("A", tools=[look], guards=[listen]), model=ScriptedModel([{"look": {}}, {"look": {}}, "Done.", "Again."]))
    await runner.run("One", conversation="c")
    await runner.run("Two", conversation="c")
    assert heard == ["One", "Two"]


async def test_a_tool_guard_denies_a_call_with_words_that_the_model_reads():
    made = []

    def refund(amount: int) -> str:
        made.append(amount)
        return "ok"

    @guard("tool")
    def small(context, call):
        return f"{call.name} of {call.arguments['amount']} is too much" if call.arguments["amount"] > 100 else None

    response = await run(
        Agent("A", tools=[refund], guards=[small]),
        "Hi",
        model=ScriptedModel([[{"refund": {"amount": 500}}, {"refund": {"amount": 5}}], "."]),
    )
    assert answers(response.messages) == ["Not called: refund of 500 is too much", "ok"]
    assert made == [5]


async def test_a_tool_guard_holds_for_an_agent_that_is_a_tool():
    @guard("tool")
    def never(call):
        return f"not {call.name}"

    inner = Agent("Inner", model=ScriptedModel([]))
    response = await run(Agent("A", tools=[inner.as_tool()], guards=[never], model=ScriptedModel([{"inner": {"input": "x"}}, "."])), "Hi")
    assert answers(response.messages) == ["Not called: not inner"]


async def test_an_output_guard_fails_the_run_and_withholds_the_text_until_it_has_passed():
    @guard("output")
    async def polite(context, text):
        return "rude" if "idiot" in text else None

    agent = Agent("A", guards=[polite])
    runner = Runner(agent, model=ScriptedModel(["You idiot you", "You are kind"]))
    shown: list[str] = []
    with pytest.raises(GuardTripped):
        await show(runner, shown)
    assert shown == []
    await show(runner, shown)
    assert "".join(shown) == "You are kind"


async def show(runner, shown):
    """Run one input, and put the pieces of text that a listener sees into a list."""
    async for item in runner.stream("Hi", conversation="c"):
        if isinstance(item, TextDelta):
            shown.append(item.text)


async def test_text_that_an_output_guard_never_judged_is_not_shown():
    @guard("output")
    def anything(text):
        return None

    cut = Reply(text="You idi", finish="length")
    runner = Runner(Agent("A", guards=[anything]), model=ScriptedModel([cut]))
    shown: list[str] = []
    with pytest.raises(ReplyCut):
        await show(runner, shown)
    assert shown == []


async def test_an_output_guard_is_given_the_typed_answer():
    seen = []

    @guard("output")
    def small(answer):
        seen.append(answer)

    class Sum(BaseModel):
        total: int

    assert (await run(Agent("A", output=Sum, guards=[small]), "Hi", model=ScriptedModel(['{"total": 3}']))).output == Sum(total=3)
    assert seen == [Sum(total=3)]


@pytest.mark.parametrize("kind", ["input", "output"])
async def test_a_guard_that_raises_fails_the_run_with_its_exception_and_a_note_that_names_it(kind):
    @guard(kind)
    def broken(text):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        await run(Agent("A", guards=[broken]), "Hi", model=ScriptedModel(["x"]))
    assert caught.value.__notes__[0] == f"in the {kind} guard broken of agent 'A'"


# ---- output (R9, R10, R33)


async def test_an_answer_that_does_not_fit_is_given_back_twice_and_then_fails_the_run():
    agent = Agent("A", output=int)
    model = ScriptedModel(["many", "a lot", "7"])
    assert (await run(agent, "Count", model=model)).output == 7
    assert "does not fit" in asked(model)[-1]["content"]
    assert legal(model)
    with pytest.raises(OutputError):
        await run(agent, "Count", model=ScriptedModel(["many", "a lot", "countless"]))


async def test_the_output_type_is_that_of_the_agent_that_speaks_last():
    class Order(BaseModel):
        item: str

    b = Agent("B", output=Order)
    model = ScriptedModel([{"transfer_to_b": {}}, '{"item": "boots"}'])
    assert (await run(Agent("A", output=int, handoffs=[b]), "Hi", model=model)).output == Order(item="boots")
    assert [request.output is not None for request in model.requests] == [True, True]
    assert model.requests[1].output.schema["properties"]["item"]["type"] == "string"


@pytest.mark.parametrize("finish", ["length", "content_filter"])
async def test_a_cut_text_is_no_answer_and_its_calls_are_not_run(finish):
    made = []

    def look() -> str:
        made.append(1)
        return ""

    agent = Agent("A", tools=[look])
    with pytest.raises(ReplyCut) as caught:
        await run(agent, "Hi", model=ScriptedModel([Reply(text="It is", finish=finish)]))
    assert (caught.value.text, caught.value.finish) == ("It is", finish)
    from segue.core.messages import Call

    with pytest.raises(ReplyCut):
        await run(agent, "Hi", model=ScriptedModel([Reply(calls=(Call("a", "look", "{}"),), finish=finish)]))
    assert made == []


async def test_a_refusal_fails_the_run_and_the_conversation_goes_on():
    runner = Runner(Agent("A"), model=ScriptedModel([Reply(refusal="I cannot help with that.", finish="stop"), "Hello."]))
    with pytest.raises(ModelRefused) as caught:
        await runner.run("Hi", conversation="c")
    assert caught.value.refusal == "I cannot help with that."
    assert (await runner.run("Again", conversation="c")).output == "Hello."


async def test_a_model_that_ends_without_a_reply_is_a_bad_reply():
    from segue.errors import BadReply

    class Mute:
        name = "mute"

        async def reply(self, request) -> Iterator:
            for _ in ():
                yield

    with pytest.raises(BadReply, match="mute ended without a reply"):
        await run(Agent("A"), "Hi", model=Mute())


# ---- limits of tokens and money


async def test_a_budget_of_money_for_a_model_without_a_price_is_refused_before_anything_is_asked():
    model = ScriptedModel(["Hello."], name="m")
    with pytest.raises(UsageError, match=r"needs the price of m: Limits\(prices="):
        await run(Agent("A"), "Hi", model=model, limits=Limits(cost=0.01))
    assert model.requests == []


@pytest.mark.parametrize(
    ("limits", "name"),
    [(Limits(tokens=15), "tokens"), (Limits(cost=0.01, prices={"m": (1000.0, 1000.0)}), "cost"), (Limits(turns=1), "turns")],
)
async def test_a_budget_ends_the_run_in_a_state_that_can_be_resumed_with_all_work_kept(limits, name):
    made = []

    def look() -> str:
        made.append(1)
        return "seen"

    def reply(request):
        if len(made) < 2:
            from segue.core.messages import Call

            return Reply(calls=(Call("", "look", "{}"),), finish="tool_calls", usage=Usage(10, 5), model="m")
        return "Done."

    runner = Runner(Agent("A", tools=[look]), model=FunctionModel(reply, name="m"), limits=limits)
    response = await runner.run("Hi", conversation="c")
    assert (response.status, response.error.limit, len(made)) == ("limited", name, 1)
    assert (await runner.resume("c", limits=Limits())).output == "Done."
    assert len(made) == 2


class NoStream:
    """A model whose author forgot what a reply is."""

    name = "mine"

    def reply(self, request):
        return Reply("Hi")


class NoGenerator(NoStream):
    async def reply(self, request):
        return Reply("Hi")


@pytest.mark.parametrize("model", [NoStream(), NoGenerator()])
async def test_a_model_that_gives_no_stream_is_told_what_it_has_to_give(model):
    with pytest.raises(UsageError, match=r"mine gives no stream.*a Reply last"):
        await run(Agent("A"), "Hi", model=model)


async def test_a_models_call_with_arguments_that_are_no_text_is_refused_and_the_conversation_goes_on():
    runner = Runner(Agent("A"), model=ScriptedModel([Reply(calls=(Call("1", "pay", {"n": 1}),)), "Fine."]))
    with pytest.raises(UsageError, match=r"json\.dumps"):
        await runner.run("Hi", conversation="c")
    assert (await runner.run("Again", conversation="c")).output == "Fine."

"""The cookbook's functions, and programs of the shapes its page shows, over HTTP."""

import json
from types import SimpleNamespace

import pytest

from segue import Agent, UsageError, tool
from segue.cookbook import execute_tool_call, function_to_schema, run_full_turn
from segue.errors import ArgumentsRefused, ToolError
from segue.models.openai import OpenAIChat
from tests.loopback import call, completion, in_thread, whole


@pytest.fixture
def serve(monkeypatch):
    """Start a server that gives these replies, to which the environment points."""
    running = []

    def started(*replies):
        server = in_thread(*[whole(reply) for reply in replies])
        running.append(server)
        found = server.__enter__()
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.setenv("OPENAI_BASE_URL", found.url)
        return found

    yield started
    for server in running:
        server.__exit__(None, None, None)


def look_up_item(search_query):
    """Use to find an item's ID. The query may be a description or keywords."""
    return "item_132612938"


def execute_refund(item_id, reason="not provided"):
    print("Summary:", item_id, reason)
    return "success"


# --- programs


def test_a_hand_written_loop_with_a_system_message_and_tools_runs(serve, capsys):
    openai = pytest.importorskip("openai")
    server = serve(
        completion(None, call("look_up_item", '{"search_query": "black boots"}', "call_a")),
        completion("Refunding.", call("execute_refund", '{"item_id": "item_132612938", "reason": "too small"}', "call_b")),
        completion("Done, you are refunded."),
    )
    client = openai.OpenAI()
    system_message = "You are a customer support agent for ACME Inc."
    tools = [execute_refund, look_up_item]

    def full_turn(system_message, tools, messages):
        before = len(messages)
        messages = messages.copy()
        while True:
            schemas = [function_to_schema(tool) for tool in tools]
            tools_map = {tool.__name__: tool for tool in tools}
            answer = client.chat.completions.create(
                model="gpt-4o-mini",
                messages=[{"role": "system", "content": system_message}, *messages],
                tools=schemas or None,
            )
            message = answer.choices[0].message
            messages.append(message)
            if not message.tool_calls:
                return messages[before:]
            for tool_call in message.tool_calls:
                result = execute_tool_call(tool_call, tools_map)
                messages.append({"role": "tool", "tool_call_id": tool_call.id, "content": result})

    new = full_turn(system_message, tools, [{"role": "user", "content": "My boots are too small."}])
    client.close()

    assert new[-1].content == "Done, you are refunded."
    assert capsys.readouterr().out == "Summary: item_132612938 too small\n"
    sent = [request.json() for request in server.requests]
    assert [tool["function"]["name"] for tool in sent[0]["tools"]] == ["execute_refund", "look_up_item"]
    assert [(m["tool_call_id"], m["content"]) for m in sent[-1]["messages"] if m["role"] == "tool"] == [
        ("call_a", "item_132612938"),
        ("call_b", "success"),
    ]


def refund_team():
    refund_agent = Agent(
        name="Refund Agent",
        instructions="You are a refund agent. Help the user with refunds.",
        tools=[look_up_item, execute_refund],
        model="openai-chat:refund-model",
    )

    def transfer_to_refund():
        """Use when the customer wants money back."""
        return refund_agent

    triage_agent = Agent(
        name="Triage Agent",
        instructions="Gather what is needed to send the customer to the right department.",
        tools=[transfer_to_refund],
        model="openai-chat:triage-model",
    )
    return triage_agent, refund_agent


def answered(messages):
    """Whether each tool call is answered by one message, directly after the message that made it."""
    owed = []
    for message in messages:
        if message["role"] == "tool":
            if not owed or message["tool_call_id"] != owed.pop(0):
                return False
        elif owed:
            return False
        else:
            owed = [made["id"] for made in message.get("tool_calls") or ()]
    return not owed


def test_after_the_transfer_the_new_agent_s_instructions_tools_and_model_are_sent_and_every_call_is_answered(serve, capsys):
    triage_agent, refund_agent = refund_team()
    server = serve(
        completion("What happened to them?"),
        completion(None, call("transfer_to_refund", "{}", "call_a")),
        completion(None, call("look_up_item", '{"search_query": "boots"}', "call_b")),
        completion("One moment.", call("execute_refund", '{"item_id": "item_132612938"}', "call_c")),
        completion("You are refunded."),
        completion("You are welcome."),
    )
    agent, messages = triage_agent, []
    for user in ["I want a refund.", "They fell apart.", "Thanks."]:
        messages.append({"role": "user", "content": user})
        response = run_full_turn(agent, messages)
        agent = response.agent
        messages.extend(response.messages)

    assert agent is refund_agent
    assert messages[-1] == {"role": "assistant", "content": "You are welcome."}
    assert capsys.readouterr().out == "Summary: item_132612938 not provided\n"
    sent = [request.json() for request in server.requests]
    assert [request["model"] for request in sent] == ["triage-model"] * 2 + ["refund-model"] * 4
    assert [request["messages"][0]["content"] for request in sent] == ([triage_agent.instructions] * 2 + [refund_agent.instructions] * 4)
    names = [[made["function"]["name"] for made in request["tools"]] for request in sent]
    assert names == [["transfer_to_refund"]] * 2 + [["look_up_item", "execute_refund"]] * 4
    assert all(answered(request["messages"]) for request in sent)
    assert sent[-1]["messages"][1:] == messages[:-1]


def test_a_call_beside_the_transfer_is_made_and_answered(serve):
    triage_agent, refund_agent = refund_team()
    triage_agent = Agent("Triage Agent", tools=[*triage_agent.tools, look_up_item], model=triage_agent.model)
    server = serve(
        completion(None, call("transfer_to_refund", "{}", "call_a"), call("look_up_item", '{"search_query": "x"}', "call_b")),
        completion("Here."),
    )
    response = run_full_turn(triage_agent, [{"role": "user", "content": "Refund!"}])
    assert response.agent is refund_agent
    assert [m["tool_call_id"] for m in server.requests[-1].json()["messages"] if m["role"] == "tool"] == ["call_a", "call_b"]


def test_one_model_may_be_given_for_all_agents(serve):
    triage_agent, _ = refund_team()
    server = serve(completion(None, call("transfer_to_refund", "{}")), completion("Here."))
    model = OpenAIChat("one-model", base_url=server.url, api_key="k")
    response = run_full_turn(triage_agent, [{"role": "user", "content": "Refund!"}], model=model)
    assert response.text == "Here."
    assert [request.json()["model"] for request in server.requests] == ["one-model"] * 2


def test_messages_that_a_client_gave_as_objects_are_read(serve):
    chat = pytest.importorskip("openai.types.chat")
    server = serve(completion("Hi."))
    said = chat.ChatCompletionMessage(role="assistant", content="Hello.")
    run_full_turn(Agent("A", model="openai-chat:m"), [{"role": "user", "content": "Hi!"}, said, {"role": "user", "content": "Well?"}])
    assert server.requests[0].json()["messages"][2] == {"role": "assistant", "content": "Hello."}


def test_an_agent_without_a_model_takes_the_one_of_the_environment(serve, monkeypatch):
    monkeypatch.setenv("SEGUE_MODEL", "openai-chat:from-the-environment")
    server = serve(completion("Hi."))
    assert run_full_turn(Agent("A"), [{"role": "user", "content": "Hi!"}]).text == "Hi."
    assert server.requests[0].json()["model"] == "from-the-environment"


# --- function_to_schema


def test_a_function_s_schema_has_the_cookbook_s_form():
    def sample(param_1, param_2, the_third_one: int, some_optional="John Doe"):
        """
        Call this when you like.
        """

    schema = function_to_schema(sample)
    assert schema.keys() == {"type", "function"}
    assert schema["type"] == "function"
    assert schema["function"].keys() == {"name", "description", "parameters"}
    assert schema["function"]["name"] == "sample"
    assert schema["function"]["description"] == "Call this when you like."
    parameters = schema["function"]["parameters"]
    assert parameters["type"] == "object"
    assert {name: value["type"] for name, value in parameters["properties"].items()} == {
        "param_1": "string", "param_2": "string", "the_third_one": "integer", "some_optional": "string",
    }  # fmt: skip
    assert parameters["required"] == ["param_1", "param_2", "the_third_one"]


def test_a_schema_that_a_program_changes_leaves_the_tool_as_it_was():
    made = tool(look_up_item)
    function_to_schema(made)["function"]["parameters"]["properties"].clear()
    assert function_to_schema(made)["function"]["parameters"]["properties"].keys() == {"search_query"}


def test_a_function_that_cannot_be_told_to_a_model_is_refused():
    def odd(thing: object()):
        """Odd."""

    with pytest.raises(UsageError, match="odd"):
        function_to_schema(odd)


# --- execute_tool_call


def wish(name, arguments):
    return SimpleNamespace(id="a", function=SimpleNamespace(name=name, arguments=arguments))


@pytest.mark.parametrize("tools", [[look_up_item, execute_refund], {"look_up_item": look_up_item}, (tool(look_up_item),)])
@pytest.mark.parametrize("form", [wish, lambda name, text: call(name, text), lambda name, text: call(name, json.loads(text))])
def test_a_call_is_made_whatever_form_it_and_its_tools_have(tools, form):
    assert execute_tool_call(form("look_up_item", '{"search_query": "boots"}'), tools) == "item_132612938"


def test_what_the_function_returned_comes_as_it_is():
    agent = Agent("Other")
    assert execute_tool_call(wish("transfer", "{}"), {"transfer": lambda: agent}, "Triage") is agent


def test_arguments_come_as_the_annotated_types():
    def double(number: float) -> float:
        return number * 2

    assert execute_tool_call(wish("double", '{"number": "1.5"}'), [double]) == 3.0


def test_an_async_function_is_awaited():
    async def look():
        return "seen"

    assert execute_tool_call(wish("look", ""), [look]) == "seen"


def test_a_function_that_asks_for_context_variables_gets_an_empty_dictionary():
    def look(context_variables):
        return context_variables

    assert execute_tool_call(wish("look", "{}"), [look]) == {}


def test_an_unknown_tool_is_an_error_that_names_the_agent_and_what_it_has():
    with pytest.raises(ToolError, match=r"Refund Agent has no tool 'refnd'. Its tools: look_up_item, execute_refund\."):
        execute_tool_call(wish("refnd", "{}"), [look_up_item, execute_refund], "Refund Agent")


@pytest.mark.parametrize("arguments", ['{"item_id": ', "[]", "{}", '{"item_id": "a", "sum": 3}', '{"item_id": NaN}'])
def test_arguments_that_do_not_fit_are_refused_and_nothing_is_called(arguments, capsys):
    with pytest.raises(ArgumentsRefused):
        execute_tool_call(wish("execute_refund", arguments), [execute_refund])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("arguments", [[], [1], (), 0, 1.5, False, True], ids=repr)
def test_arguments_that_are_no_object_are_refused_also_where_they_are_no_text(arguments, capsys):
    with pytest.raises(ArgumentsRefused, match="expected a JSON object, got"):
        execute_tool_call(wish("execute_refund", arguments), {"execute_refund": lambda reason="none": print(reason)})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("arguments", [b"{}", {1}, object(), float("nan")], ids=lambda one: type(one).__name__)
def test_arguments_that_are_not_even_json_are_refused(arguments, capsys):
    with pytest.raises(UsageError, match="is not a JSON value"):
        execute_tool_call(wish("execute_refund", arguments), {"execute_refund": lambda reason="none": print(reason)})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("arguments", [None, "", " ", "{}", {}], ids=repr)
def test_a_call_without_arguments_is_one_whatever_form_that_has(arguments):
    assert execute_tool_call(wish("reason", arguments), {"reason": lambda reason="none": reason}) == "none"


def test_what_the_function_raises_comes_as_it_is():
    def fail():
        raise LookupError("no such item")

    with pytest.raises(LookupError, match="no such item"):
        execute_tool_call(wish("fail", "{}"), [fail])


def test_what_is_no_tool_call_is_refused():
    with pytest.raises(UsageError, match="not a tool call"):
        execute_tool_call({"id": "a"}, [look_up_item])

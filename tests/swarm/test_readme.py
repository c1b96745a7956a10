"""Programs of the shapes that Swarm's README shows, with nothing changed but the import."""

from segue.swarm import Agent, Response, Result, Swarm
from tests.swarm.client import Client, call, offered, raw_call

HI = [{"role": "user", "content": "Hi!"}]


def get_weather(location):
    raise AssertionError("called")


def test_a_function_that_returns_an_agent_hands_the_conversation_to_it():
    api = Client(call("transfer_to_agent_b"), "Leaves fall. I am here.")
    client = Swarm(api)

    def transfer_to_agent_b():
        return agent_b

    agent_a = Agent(name="Agent A", instructions="Be helpful.", functions=[transfer_to_agent_b])
    agent_b = Agent(name="Agent B", instructions="Speak in haikus.")
    response = client.run(agent=agent_a, messages=[{"role": "user", "content": "I want agent B."}])

    assert response.messages[-1]["content"] == "Leaves fall. I am here."
    assert response.agent is agent_b
    assert api.systems == ["Be helpful.", "Speak in haikus."]
    assert [offered(request) for request in api.requests] == [["transfer_to_agent_b"], []]
    assert [message.get("sender") for message in response.messages] == ["Agent A", None, "Agent B"]
    assert response.messages[1] == {
        "role": "tool",
        "tool_call_id": "call_1",
        "tool_name": "transfer_to_agent_b",
        "content": '{"assistant": "Agent B"}',
    }


def test_an_instructions_function_is_given_the_context_variables_and_text_for_those_that_are_missing():
    def instructions(context_variables):
        return f"Greet {context_variables['user_name']}, aged {context_variables['age']!r}."

    api = Client("Hi John!")
    response = Swarm(api).run(Agent(instructions=instructions), HI, context_variables={"user_name": "John"})

    assert api.systems == ["Greet John, aged ''."]
    assert response.messages[-1]["content"] == "Hi John!"
    assert response.context_variables == {"user_name": "John"}


def test_an_instructions_function_may_take_nothing():
    api = Client("Hi.")
    Swarm(api).run(Agent(instructions=lambda: "Be brief."), HI)
    assert api.systems == ["Be brief."]


def test_a_function_is_given_the_context_variables_and_the_model_does_not_see_them(capsys):
    def greet(context_variables, language):
        print("Hola," if language == "spanish" else "Hello,", context_variables["user_name"])
        return "Done"

    api = Client(call("greet", language="spanish"), "Listo.")
    Swarm(api).run(Agent(functions=[greet]), HI, context_variables={"user_name": "John"})

    assert capsys.readouterr().out == "Hola, John\n"
    parameters = api.requests[0]["tools"][0]["function"]["parameters"]
    assert list(parameters["properties"]) == parameters["required"] == ["language"]
    assert api.answers == ["Done"]


def test_a_result_gives_a_value_an_agent_and_context_variables_at_once():
    sales_agent = Agent(name="Sales Agent")

    def talk_to_sales():
        return Result(value="Done", agent=sales_agent, context_variables={"department": "sales"})

    api = Client(call("talk_to_sales"), "Sales here.")
    response = Swarm(api).run(Agent(functions=[talk_to_sales]), HI, context_variables={"user_name": "John"})

    assert response.agent is sales_agent
    assert response.context_variables == {"department": "sales", "user_name": "John"}
    assert api.answers == ["Done"]


def test_a_missing_function_wrong_arguments_and_a_raise_are_told_to_the_agent_and_the_run_goes_on():
    asked = []

    def refund(item_id: int):
        asked.append(item_id)
        raise LookupError("no such item")

    api = Client(
        [raw_call("refnd", "{}", "a"), raw_call("refund", '{"item": 3}', "b"), raw_call("refund", '{"item_id": 3', "c")],
        call("refund", item_id=3),
        "Sorry.",
    )
    response = Swarm(api).run(Agent(functions=[refund]), HI)

    missing, misfit, broken, raised = (message["content"] for message in response.messages if message["role"] == "tool")
    assert "no tool 'refnd'" in missing
    assert "refund" in missing
    assert "item_id" in misfit
    assert "JSON" in broken
    assert raised == "Failed with LookupError: no such item"
    assert asked == [3]
    assert response.messages[-1]["content"] == "Sorry."


def test_functions_of_one_message_are_called_in_order():
    order = []

    def first(context_variables):
        order.append("first")
        context_variables["seen"] = "by the second"

    def second(context_variables):
        order.append(context_variables["seen"])

    response = Swarm(Client([call("first", "a"), call("second", "b")], "Done.")).run(Agent(functions=[first, second]), HI)
    assert order == ["first", "by the second"]
    assert response.context_variables == {"seen": "by the second"}


def test_a_stream_delimits_each_message_names_its_sender_and_ends_with_the_response():
    agent_b = Agent(name="Agent B")

    def transfer_to_agent_b():
        return agent_b

    agent_a = Agent(name="Agent A", functions=[transfer_to_agent_b])
    chunks = list(Swarm(Client(call("transfer_to_agent_b"), "Hello there.")).run(agent_a, HI, stream=True))

    marks = [chunk.get("delim") or chunk.get("sender") or ("response" if "response" in chunk else "") for chunk in chunks]
    assert [mark for mark in marks if mark] == ["start", "Agent A", "end", "start", "Agent B", "end", "response"]
    assert "".join(chunk.get("content") or "" for chunk in chunks) == "Hello there."
    names = [made["function"]["name"] for chunk in chunks for made in chunk.get("tool_calls") or ()]
    assert [name for name in names if name] == ["transfer_to_agent_b"]
    response = chunks[-1]["response"]
    assert isinstance(response, Response)
    assert response.agent is agent_b
    assert response.messages[-1]["content"] == "Hello there."


def test_without_execute_tools_the_run_stops_before_the_calls():
    api = Client(call("get_weather", location="Paris"))
    response = Swarm(api).run(Agent(name="Weather", functions=[get_weather]), HI, execute_tools=False)

    assert len(response.messages) == 1
    [made] = response.messages[-1]["tool_calls"]
    assert made["function"] == {"name": "get_weather", "arguments": '{"location": "Paris"}'}
    assert response.messages[-1]["sender"] == "Weather"
    assert len(api.requests) == 1


def test_calls_that_the_program_has_made_itself_are_gone_on_from():
    api = Client(call("get_weather", location="Paris"), "Sunny.")
    agent = Agent(functions=[get_weather])
    first = Swarm(api).run(agent, HI, execute_tools=False)
    made = first.messages[-1]["tool_calls"][0]
    answered = [*HI, *first.messages, {"role": "tool", "tool_call_id": made["id"], "content": "22 degrees"}]
    response = Swarm(api).run(agent, answered)

    assert [message["role"] for message in api.requests[-1]["messages"]] == ["system", "user", "assistant", "tool"]
    assert api.answers == ["22 degrees"]
    assert [message["content"] for message in response.messages] == ["Sunny."]


def test_the_messages_of_one_run_and_a_new_one_open_the_next():
    def look(q):
        return "seen"

    api = Client(call("look", q="a"), "First.", "Second.")
    response = Swarm(api).run(Agent(functions=[look]), [{"role": "user", "content": "One."}])
    response = Swarm(api).run(response.agent, [*response.messages, {"role": "user", "content": "Two."}])

    assert [message["role"] for message in api.requests[-1]["messages"]] == ["system", "assistant", "tool", "assistant", "user"]
    assert [message["content"] for message in response.messages] == ["Second."]

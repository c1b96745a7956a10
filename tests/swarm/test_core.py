import sqlite3
import threading

import pytest

import segue
from segue import UsageError
from segue.errors import ProviderError
from segue.models.scripted import ScriptedModel
from segue.swarm import Agent, Result, Swarm
from tests.loopback import call as wire_call
from tests.loopback import completion, in_thread, whole
from tests.swarm.client import USER, Client, call, offered


def said(response):
    return [message["content"] for message in response.messages]


# --- agents


def test_two_agents_of_one_name_are_two():
    second = Agent(name="Agent", instructions="The second.")

    def go():
        return second

    api = Client(call("go"), "Here.")
    response = Swarm(api).run(Agent(name="Agent", instructions="The first.", functions=[go]), [USER])
    assert api.systems == ["The first.", "The second."]
    assert response.agent is second
    assert [message.get("sender") for message in response.messages] == ["Agent", None, "Agent"]


def test_an_agent_that_a_function_makes_anew_each_time_takes_over():
    def expert(topic):
        return Agent(name="Expert", instructions=f"You know {topic}.", functions=[expert])

    api = Client(call("expert", "a", topic="cats"), call("expert", "b", topic="dogs"), "Woof.")
    response = Swarm(api).run(Agent(functions=[expert]), [USER])
    assert api.systems == ["You are a helpful agent.", "You know cats.", "You know dogs."]
    assert response.agent.instructions == "You know dogs."


def test_functions_assigned_after_the_agent_was_made_are_offered():
    def back():
        return first

    def go():
        return second

    first, second = Agent(name="First"), Agent(name="Second")
    first.functions = [go]
    second.functions.append(back)
    api = Client(call("go", "a"), call("back", "b"), "Hi.")
    assert Swarm(api).run(first, [USER]).agent is first
    assert [offered(request) for request in api.requests] == [["go"], ["back"], ["go"]]


def test_what_a_function_changes_of_its_agent_holds_from_the_next_model_call_on():
    def learn():
        agent.functions.append(use)
        agent.instructions = "You have learnt."
        return "learnt"

    def use():
        return "used"

    agent = Agent(instructions="Learn.", functions=[learn])
    api = Client(call("learn", "a"), call("use", "b"), "Done.")
    Swarm(api).run(agent, [USER])
    assert [offered(request) for request in api.requests] == [["learn"], ["learn", "use"], ["learn", "use"]]
    assert api.systems == ["Learn.", "You have learnt.", "You have learnt."]
    assert api.answers == ["learnt", "used"]


def test_of_several_handoffs_in_a_message_the_first_wins_and_every_call_is_answered():
    left, right = Agent(name="Left"), Agent(name="Right")

    def go_left():
        return left

    def go_right():
        return right

    api = Client([call("go_left", "a"), call("go_right", "b")], "Left here.")
    response = Swarm(api).run(Agent(functions=[go_left, go_right]), [USER])
    assert response.agent is left
    answered = [message["tool_call_id"] for message in api.requests[-1]["messages"] if message["role"] == "tool"]
    assert answered == ["a", "b"]


def test_a_name_that_is_blank_is_no_error():
    assert said(Swarm(Client("Hi.")).run(Agent(name=" "), [USER])) == ["Hi."]


# --- what is sent


def test_the_model_the_tool_choice_and_the_parallel_calls_of_an_agent_are_sent():
    def look():
        return "seen"

    api = Client("One.", "Two.", "Three.")
    choice = {"type": "function", "function": {"name": "look"}}
    Swarm(api).run(Agent(model="m-1", functions=[look], tool_choice="required", parallel_tool_calls=False), [USER])
    Swarm(api).run(Agent(functions=[look], tool_choice=choice), [USER])
    Swarm(api).run(Agent(tool_choice="required"), [USER], model_override="m-2")
    first, second, third = api.requests
    assert (first["model"], first["tool_choice"], first["parallel_tool_calls"]) == ("m-1", "required", False)
    assert (second["model"], second["tool_choice"], second["parallel_tool_calls"]) == ("gpt-4o", choice, True)
    assert third["model"] == "m-2"
    assert third.keys().isdisjoint({"tools", "tool_choice", "parallel_tool_calls"})


def test_an_override_holds_for_the_agents_after_a_handoff_too():
    def go():
        return Agent(name="Other", model="its own")

    api = Client(call("go"), "Hi.")
    Swarm(api).run(Agent(model="its own", functions=[go]), [USER], model_override="m")
    assert [request["model"] for request in api.requests] == ["m", "m"]


def test_without_a_client_the_model_is_found_by_the_usual_variables(monkeypatch):
    with in_thread(whole(completion("Hi."))) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        response = Swarm().run(Agent(), [USER])
    assert said(response) == ["Hi."]
    assert server.requests[0].json()["model"] == "gpt-4o"


def test_a_whole_run_goes_over_http(monkeypatch):
    def look(q):
        return f"saw {q}"

    answers = [whole(completion(None, wire_call("look", '{"q": "a"}'))), whole(completion("Done."))]
    with in_thread(*answers) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        response = Swarm().run(Agent(model="openai-chat:some-model", functions=[look]), [USER])
    assert said(response) == [None, "saw a", "Done."]
    assert server.requests[1].json()["model"] == "some-model"
    assert server.requests[1].json()["messages"][-1]["content"] == "saw a"


def test_an_agent_may_have_a_model_of_segues_own():
    response = Swarm().run(Agent(model=ScriptedModel(["Hi."])), [USER])
    assert said(response) == ["Hi."]


def test_a_client_of_openai_is_used_as_it_is():
    openai = pytest.importorskip("openai")
    with in_thread(whole(completion("Hi."))) as server:
        with openai.OpenAI(base_url=server.url, api_key="its own") as client:
            response = Swarm(client).run(Agent(), [USER])
    assert said(response) == ["Hi."]
    assert server.requests[0].headers["authorization"] == "Bearer its own"


def test_system_messages_among_the_messages_are_shown_below_the_instructions():
    api = Client("Hi.")
    Swarm(api).run(Agent(instructions="Be kind."), [{"role": "system", "content": "The shop is closed."}, USER])
    assert api.systems == ["Be kind.\n\nThe shop is closed."]
    assert len(api.requests[0]["messages"]) == 2


def test_the_program_s_own_messages_and_variables_are_not_changed():
    def note(context_variables):
        context_variables["seen"].append(1)
        return Result(context_variables={"more": 2})

    messages, variables = [USER], {"seen": []}
    response = Swarm(Client(call("note"), "Ok.")).run(Agent(functions=[note]), messages, variables)
    assert (messages, variables) == ([USER], {"seen": []})
    assert response.context_variables == {"seen": [1], "more": 2}


# --- context variables and functions


def test_context_variables_may_be_any_objects():
    class Basket:
        def __init__(self):
            self.items = []

    def add(context_variables, item):
        context_variables["basket"].items.append(item)

    response = Swarm(Client([call("add", "a", item="x"), call("add", "b", item="y")], "Ok.")).run(
        Agent(functions=[add]), [USER], {"basket": Basket()}
    )
    assert response.context_variables["basket"].items == ["x", "y"]


def test_what_a_result_says_of_the_variables_holds_when_every_call_of_the_message_is_made():
    seen = []

    def sets():
        return Result(context_variables={"level": "new"})

    def reads(context_variables):
        seen.append(context_variables["level"])

    api = Client([call("sets", "a"), call("reads", "b")], call("reads", "c"), "Ok.")
    Swarm(api).run(Agent(instructions=lambda v: v["level"], functions=[sets, reads]), [USER], {"level": "old"})
    assert seen == ["old", "new"]
    assert api.systems == ["old", "new", "new"]


def test_what_a_function_returns_is_written_down_with_str():
    def nothing():
        return None

    def values():
        return {"a": 1}

    api = Client([call("nothing", "a"), call("values", "b")], "Ok.")
    Swarm(api).run(Agent(functions=[nothing, values]), [USER])
    assert api.answers == ["None", "{'a': 1}"]


def test_functions_and_instructions_are_called_on_the_thread_of_the_program():
    database = sqlite3.connect(":memory:")  # refuses to be used on any other thread
    threads = []

    def instructions(context_variables):
        threads.append(threading.current_thread())
        return "Look."

    def look():
        threads.append(threading.current_thread())
        return database.execute("select 42").fetchone()[0]

    api = Client(call("look"), "Ok.")
    Swarm(api).run(Agent(instructions=instructions, functions=[look]), [USER])
    database.close()
    assert api.answers == ["42"]
    assert set(threads) == {threading.current_thread()}


def test_a_function_may_run_another_swarm():
    def ask():
        return said(Swarm(Client("Inner.")).run(Agent(), [USER]))[0]

    api = Client(call("ask"), "Outer.")
    assert said(Swarm(api).run(Agent(functions=[ask]), [USER]))[-1] == "Outer."
    assert api.answers == ["Inner."]


def test_an_async_function_is_awaited():
    async def look():
        return "seen"

    api = Client(call("look"), "Ok.")
    Swarm(api).run(Agent(functions=[look]), [USER])
    assert api.answers == ["seen"]


async def test_a_run_works_where_an_event_loop_is_running():
    assert said(Swarm(Client("Hi.")).run(Agent(), [USER])) == ["Hi."]


@pytest.mark.parametrize("error", [SystemExit(3), StopIteration("over")])
def test_a_function_that_exits_or_stops_is_told_to_the_model(error):
    def leave():
        raise error

    api = Client(call("leave"), "Still here.")
    response = Swarm(api).run(Agent(functions=[leave]), [USER])
    assert type(error).__name__ in api.answers[0]
    assert said(response)[-1] == "Still here."


def test_ctrl_c_in_a_function_leaves_the_run():
    def wait():
        raise KeyboardInterrupt

    api = Client(call("wait"), "Never said.")
    with pytest.raises(KeyboardInterrupt):
        Swarm(api).run(Agent(functions=[wait]), [USER])
    assert len(api.requests) == 1


# --- half a move


@pytest.mark.parametrize("value", [segue.Result("x"), segue.Agent("A")], ids=["Result", "Agent"])
def test_a_function_that_returns_a_value_of_segue_s_own_is_told_so_and_its_author_is_warned(value):
    def go():
        return value

    kind = type(value).__name__
    with pytest.warns(RuntimeWarning, match=f"go did its work, but it returned segue's {kind}; return the {kind} of segue.swarm"):
        response = Swarm(Client(call("go"), "Well.")).run(Agent(functions=[go]), [USER])
    assert "docs/howto/from-swarm.md" in said(response)[1]


def test_an_agent_of_segue_s_own_is_refused_before_anything_is_asked():
    for begin in (Swarm(Client()).run, Swarm(Client()).run_and_stream):
        with pytest.raises(UsageError, match=r"not a segue\.agent\.Agent.*docs/howto/from-swarm\.md"):
            begin(segue.Agent("A"), [USER])


@pytest.mark.parametrize("messages", ["hello", USER, None])
def test_messages_that_are_no_list_are_refused(messages):
    with pytest.raises(UsageError, match="a list"):
        Swarm(Client()).run(Agent(), messages)


# --- ends


@pytest.mark.parametrize(("turns", "expected"), [(0, []), (1, [None, "seen"]), (2, [None, "seen"]), (3, [None, "seen", "Done."])])
def test_max_turns_counts_messages_and_raises_nothing(turns, expected):
    def look():
        return "seen"

    api = Client(call("look"), "Done.")
    response = Swarm(api).run(Agent(functions=[look]), [USER], max_turns=turns)
    assert said(response) == expected
    assert response.agent.name == "Agent"


def test_a_run_takes_more_turns_than_segue_would_allow():
    def look():
        return "the same"

    api = Client(*[call("look") for _ in range(30)], "Done.")
    assert said(Swarm(api).run(Agent(functions=[look]), [USER]))[-1] == "Done."
    assert len(api.requests) == 31


def test_a_client_that_fails_ends_the_run_with_a_typed_error_that_keeps_its_cause():
    failure = ValueError("no such model")
    with pytest.raises(ProviderError) as caught:
        Swarm(Client(failure)).run(Agent(), [USER])
    assert caught.value.__cause__ is failure


def test_an_instructions_function_that_raises_ends_the_run_with_its_own_error():
    def instructions(context_variables):
        raise LookupError("no routine")

    with pytest.raises(LookupError, match="no routine"):
        Swarm(Client("Hi.")).run(Agent(instructions=instructions), [USER])


def test_without_a_client_and_a_key_the_error_names_the_variable(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(UsageError, match="OPENAI_API_KEY"):
        Swarm().run(Agent(), [USER])


def test_debug_prints_what_is_said_and_called(capsys):
    def look(q):
        return "seen"

    Swarm(Client([call("look", "a", q="a"), call("lok", "b")], "Done.")).run(Agent(functions=[look]), [USER], debug=True)
    out = capsys.readouterr().out
    assert "no tool 'lok'" in out
    assert '{"q":"a"}' in out
    assert "Done." in out


# --- streams


def test_the_pieces_of_a_stream_make_the_message_of_the_response():
    chunks = list(Swarm(Client("Hello there.")).run_and_stream(Agent(), [USER]))
    assert chunks[0] == {"delim": "start"}
    assert chunks[1]["role"] == "assistant"
    assert [chunk["role"] for chunk in chunks[2:-2]] == [None] * (len(chunks) - 4)
    assert len(chunks) > 5
    assert "".join(chunk.get("content") or "" for chunk in chunks) == chunks[-1]["response"].messages[0]["content"]


def test_a_stream_asks_the_client_for_one_and_a_whole_run_does_not():
    api = Client("One.", "Two.")
    list(Swarm(api).run(Agent(), [USER], stream=True))
    Swarm(api).run(Agent(), [USER])
    assert [bool(request.get("stream")) for request in api.requests] == [True, False]


def test_leaving_a_stream_early_calls_no_function():
    def look():
        raise AssertionError("called")

    api = Client(call("look"), "Never said.")
    chunks = Swarm(api).run(Agent(functions=[look]), [USER], stream=True)
    assert next(chunks) == {"delim": "start"}
    chunks.close()
    assert len(api.requests) == 1


def test_a_stream_without_execute_tools_ends_after_the_call():
    def look():
        raise AssertionError("called")

    chunks = list(Swarm(Client(call("look"))).run(Agent(functions=[look]), [USER], stream=True, execute_tools=False))
    assert chunks[-2] == {"delim": "end"}
    assert chunks[-1]["response"].messages[0]["tool_calls"][0]["function"]["name"] == "look"


def test_a_stream_that_broke_says_that_the_message_begins_anew():
    class Breaks(Client):
        def _create(self, **fields):
            pieces = super()._create(**fields)
            if len(self.requests) > 1:
                return pieces
            return cut(pieces)

    def cut(pieces):
        yield next(pieces)
        yield next(pieces)
        raise ConnectionError("gone")

    api = Breaks("Hello there.", "Hello again.")
    chunks = list(Swarm(api).run(Agent(), [USER], stream=True))
    restarted = chunks.index({"restarted": 2})
    assert chunks[restarted + 1] == {"delim": "start"}
    assert "".join(chunk.get("content") or "" for chunk in chunks[restarted:]) == "Hello again."
    assert said(chunks[-1]["response"]) == ["Hello again."]


def test_nothing_runs_before_a_stream_is_read():
    api = Client("Hi.")
    Swarm(api).run(Agent(), [USER], stream=True)
    assert api.requests == []

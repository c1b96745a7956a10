from collections import defaultdict

from segue.swarm import Agent, Swarm
from segue.swarm.util import debug_print, function_to_json, merge_chunk
from tests.swarm.client import USER, Client, call


def greet(context_variables, name, age: int, location: str = "New York"):
    """Greet the user. Get their name and age first.

    Args:
        name: What the user is called.
    """


def test_a_function_s_schema_does_not_show_the_context_variables():
    schema = function_to_json(greet)["function"]
    assert schema["name"] == "greet"
    assert schema["description"] == "Greet the user. Get their name and age first."
    properties = schema["parameters"]["properties"]
    assert {name: value["type"] for name, value in properties.items()} == {"name": "string", "age": "integer", "location": "string"}
    assert properties["name"]["description"] == "What the user is called."
    assert schema["parameters"]["required"] == ["name", "age"]


def test_the_chunks_of_a_stream_are_put_together_to_its_messages():
    def look(q):
        return "seen"

    messages = []
    for chunk in Swarm(Client([call("look", "a", q="x"), call("look", "b", q="y")], "Done.")).run(
        Agent(functions=[look]), [USER], stream=True
    ):
        if chunk.get("delim") == "start":
            messages.append({"content": "", "tool_calls": defaultdict(dict)})
        elif "delim" not in chunk and "response" not in chunk:
            merge_chunk(messages[-1], chunk)
    first, second = messages
    assert [made["function"] for made in first["tool_calls"].values()] == [
        {"name": "look", "arguments": '{"q": "x"}'},
        {"name": "look", "arguments": '{"q": "y"}'},
    ]
    assert second["content"] == "Done."
    assert second["sender"] == "Agent"


def test_debug_lines_are_printed_only_when_asked_for(capsys):
    debug_print(False, "quiet")
    debug_print(True, "loud", 1)
    out = capsys.readouterr().out
    assert out.endswith("] loud 1\n")
    assert "quiet" not in out

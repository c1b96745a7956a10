import io

import pytest

from segue.swarm import Agent, repl, run_demo_loop
from tests.loopback import DONE, Request, call, chunk, completion, in_thread, stream, whole


@pytest.fixture
def talk(monkeypatch, capsys):
    """Talk with an agent over a server that gives these answers; gives what was printed, and what the server was asked."""

    def talked(agent, lines, *answers, **options):
        with in_thread(*answers) as server:
            monkeypatch.setenv("OPENAI_API_KEY", "k")
            monkeypatch.setenv("OPENAI_BASE_URL", server.url)
            monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
            run_demo_loop(agent, **options)
        return capsys.readouterr().out, [request.json() for request in server.requests]

    return talked


def refund_team():
    def transfer_to_refunds():
        return refunds

    def execute_refund(context_variables, item_id, reason="none"):
        context_variables["refunded"] = item_id
        return "success"

    refunds = Agent(name="Refunds", instructions=lambda v: f"Refunded: {v['refunded']}", functions=[execute_refund])
    return Agent(name="Triage", functions=[transfer_to_refunds])


def test_the_loop_shows_who_speaks_and_what_is_called_and_keeps_the_agent_and_the_variables(talk):
    out, requests = talk(
        refund_team(),
        ["My boots broke.", "", "Thanks."],
        whole(completion(None, call("transfer_to_refunds", "{}", "a"))),
        whole(completion(None, call("execute_refund", '{"item_id": "i_1", "reason": "broke"}', "b"))),
        whole(completion("Refunded.")),
        whole(completion("Bye.")),
    )
    assert "Triage: transfer_to_refunds()\n" in out
    assert 'Refunds: execute_refund(item_id="i_1", reason="broke")\n' in out
    assert "Refunds: Refunded.\n" in out
    assert out.endswith("Refunds: Bye.\nUser: \n")
    assert [request["messages"][0]["content"] for request in requests[1:]] == ["Refunded: ", "Refunded: i_1", "Refunded: i_1"]
    assert [message["role"] for message in requests[-1]["messages"]] == ["system", "user", *["assistant", "tool"] * 2, "assistant", "user"]


def test_the_streaming_loop_shows_the_same(talk):
    def transfer(request: Request):
        return stream(chunk(tool_calls=[{"index": 0, **call("transfer_to_refunds", "{}")}]), chunk(finish="tool_calls"), DONE)

    out, _ = talk(refund_team(), ["Hi."], transfer, stream(chunk("Hello "), chunk("there."), chunk(finish="stop"), DONE), stream=True)
    assert "Triage: transfer_to_refunds()\n" in out
    assert "Refunds: Hello there.\n" in out


def test_text_before_a_call_ends_with_a_new_line_and_a_message_that_begins_anew_too(capsys):
    made = {"index": 0, "function": {"name": "look", "arguments": ""}}
    chunks = [
        {"delim": "start"},
        {"sender": "A", "content": "Hel"},
        {"restarted": 2},
        {"delim": "start"},
        {"sender": "A", "content": "Hello"},
        {"content": None, "tool_calls": [made]},
        {"delim": "end"},
        {"response": "the response"},
    ]
    assert repl.process_and_print_streaming_response(chunks) == "the response"
    assert capsys.readouterr().out == "A: Hel\nA: Hello\nA: look()\n"


def test_chunks_without_a_response_are_an_error():
    with pytest.raises(ValueError, match="without a response"):
        repl.process_and_print_streaming_response([{"delim": "start"}])


def test_arguments_that_are_no_json_object_are_shown_as_they_came(capsys):
    calls = [{"function": {"name": "look", "arguments": text}} for text in ("", "[1]", "{broken")]
    repl.pretty_print_messages([{"role": "user"}, {"role": "assistant", "sender": "A", "content": None, "tool_calls": calls}])
    assert capsys.readouterr().out == "A: look()\nA: look([1])\nA: look({broken)\n"


def test_colors_are_for_terminals_only(monkeypatch, capsys):
    message = {"role": "assistant", "sender": "A", "content": "Hi."}
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    repl.pretty_print_messages([message])
    monkeypatch.setenv("NO_COLOR", "1")
    repl.pretty_print_messages([message])
    assert capsys.readouterr().out == "\033[94mA\033[0m: Hi.\nA: Hi.\n"

import json
import re
import stat
from contextlib import contextmanager

import pytest

from tests.cli.serving import Gate, calls, chat_completions, responses, says
from tests.cli.terminal import on_terminal, segue, surroundings
from tests.loopback import HANG, RESET, begun, chunk, in_thread, whole

ACME = "segue.examples.acme:triage"
SCRIPT = (
    calls(("transfer_to_issues_and_repairs", "{}")),
    calls(("look_up_item", '{"search_query": "black boots"}'), ("look_up_item", '{"search_query": "rocket skates"}')),
    says("Both items are known to us."),
)
BOTH = pytest.mark.parametrize("dialect", [chat_completions, responses])


@BOTH
def test_a_message_from_a_pipe_is_answered_by_either_wire_format_with_parallel_calls(dialect, tmp_path):
    with in_thread(dialect(*SCRIPT)) as server:
        env = surroundings(tmp_path, OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=server.url)
        done = segue("chat", ACME, env=env, cwd=tmp_path, stdin="My boots and my skates broke.\n")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:4] == [
        "  ▸ transfer_to_issues_and_repairs()",
        "-- Triage Agent → Issues and Repairs Agent --",
        '  ▸ look_up_item(search_query="black boots")',
        '  ▸ look_up_item(search_query="rocket skates")',
    ]
    # Of the two calls, either may be answered first; only the one whose line stands right above needs no name.
    assert sorted(lines[4:6]) == sorted(
        ['    → look_up_item(search_query="black boots"): item_204417001: Black Desert Boots', "    → item_204417002: Rocket Skates"]
    )
    assert lines[6:] == ["Issues and Repairs Agent: Both items are known to us."]
    assert f"gpt-5-mini at {server.url}: OPENAI_BASE_URL and OPENAI_API_KEY are set" in done.stderr
    assert "90 tokens in, 15 out" in done.stderr
    assert "stand-in" not in done.stderr
    asked = [request for request in server.requests if request.path == server.requests[-1].path]
    assert len(asked) == 3
    assert all(request.headers["authorization"] == "Bearer sk-test" for request in server.requests)


@BOTH
def test_on_a_terminal_text_is_shown_before_the_reply_is_whole(dialect, tmp_path):
    gate = Gate()
    with in_thread(dialect(*SCRIPT, gate=gate)) as server:
        env = surroundings(tmp_path, OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=server.url)
        with on_terminal("chat", ACME, env=env, cwd=tmp_path) as terminal:
            terminal.wait_for("› ")
            terminal.type("My boots and my skates broke.")
            terminal.wait_for("▸ transfer_to_issues_and_repairs()")
            terminal.wait_for("── Triage Agent → Issues and Repairs Agent ──")
            terminal.wait_for('▸ look_up_item(search_query="black boots")')
            terminal.wait_for('▸ look_up_item(search_query="rocket skates")')
            terminal.wait_for("Issues and Repairs Agent")
            terminal.wait_for("Both")  # and the rest is not said yet
            assert "known to us" not in terminal.shown
            gate.open()
            terminal.wait_for("known to us.")
            terminal.wait_for("3 replies · 90 tokens in, 15 out")
            assert terminal.leave() == 0
            assert "\x1b[" in terminal.raw


def test_a_wire_format_can_be_named(tmp_path):
    with in_thread(responses(says("Hello."))) as server:
        env = surroundings(tmp_path, OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=server.url)
        done = segue("chat", ACME, "--model", "openai-responses:m", env=env, cwd=tmp_path, stdin="Hi")
    assert done.stdout == "Triage Agent: Hello.\n"
    assert [request.path for request in server.requests] == ["/v1/responses"]
    assert "openai-responses:m: named by --model" in done.stderr


def test_a_server_that_knows_neither_wire_format_is_told_in_one_line(tmp_path):
    with in_thread(whole({"error": "lost"}, status=404)) as server:
        env = surroundings(tmp_path, OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=server.url)
        done = segue("chat", ACME, env=env, cwd=tmp_path, stdin="Hi")
    assert [request.path for request in server.requests] == ["/v1/chat/completions", "/v1/responses"]
    assert done.returncode == 1
    assert "HTTP 404" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.fixture
def home(tmp_path):
    return surroundings(tmp_path, XDG_STATE_HOME=str(tmp_path / "state"))


def test_the_commands_of_a_chat_show_agents_trace_and_usage_and_begin_anew(home, tmp_path):
    with on_terminal("chat", ACME, env=home, cwd=tmp_path) as terminal:
        terminal.wait_for("scripted stand-in, not an LLM")
        terminal.type("The black boots I bought fell apart.")
        terminal.wait_for("Have you tried")
        terminal.wait_for("2 replies")
        terminal.type("/agent")
        terminal.wait_for("▸ Issues and Repairs Agent")
        terminal.type("/trace")
        terminal.wait_for("1. The black boots I bought fell apart.")
        terminal.wait_for("transfer_to_issues_and_repairs() ·")
        terminal.wait_for("2 model calls · 1 tool call")
        terminal.type("/usage")
        terminal.wait_for("Issues and Repairs Agent (scripted:acme)")
        terminal.type("/reset")
        terminal.wait_for("Triage Agent has the floor")
        terminal.type("/agent")
        terminal.wait_for("▸ Triage Agent")
        terminal.type("/nonsense")
        terminal.wait_for("There is no /nonsense")
        terminal.type("/help")
        terminal.wait_for("Ctrl-C")
        terminal.type("/exit")
        assert terminal.end() == 0
    kept = tmp_path / "state" / "segue" / "history"
    assert "The black boots I bought fell apart." in kept.read_text("utf-8")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_ctrl_c_ends_the_reply_and_not_the_chat_and_twice_leaves(tmp_path):
    slow = begun(chunk("Once "), chunk("upon "), HANG)
    with in_thread(slow, chat_completions(says("Here I am."))) as server:
        env = surroundings(tmp_path, OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=server.url)
        with on_terminal("chat", ACME, env=env, cwd=tmp_path) as terminal:
            terminal.wait_for("› ")
            terminal.type("Tell me a story.")
            terminal.wait_for("Once upon")
            terminal.press("c")
            terminal.wait_for("cancelled; the conversation goes on")
            terminal.wait_for("› ")
            terminal.type("Are you there?")
            terminal.wait_for("Here I am.")
            terminal.wait_for("› ")
            terminal.press_until_shown("c", "Ctrl-C again, or Ctrl-D, leaves.")
            terminal.wait_for("› ")
            terminal.press_until_shown("c", "segue: 1 reply")
            assert terminal.end() == 0
    said = [message["content"] for message in server.requests[1].json()["messages"] if message["role"] == "user"]
    assert said == ["Tell me a story.", "Are you there?"]


def test_a_reply_that_breaks_off_and_begins_again_is_marked(tmp_path):
    broken = begun(chunk("Half an "), RESET)
    with in_thread(broken, chat_completions(says("A whole answer."))) as server:
        env = surroundings(tmp_path, OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=server.url)
        done = segue("chat", ACME, env=env, cwd=tmp_path, stdin="Hi")
    assert done.returncode == 0, done.stderr
    before, mark, after = done.stdout.partition("  ↻ the reply broke off and begins again (attempt 2)")
    assert before == "Triage Agent: Half an \n"
    assert mark
    assert after.endswith("\nTriage Agent: A whole answer.\n")


def test_what_could_steer_a_terminal_is_shown_and_not_obeyed(tmp_path):
    evil = "\x1b]0;owned\x07 red \x1b[31m up \x9b1A \r over \u202e back"
    script = (calls(("look_up_item", json.dumps({"search_query": evil}))), says(evil))
    with in_thread(chat_completions(calls(("transfer_to_issues_and_repairs", "{}")), *script)) as server:
        env = surroundings(tmp_path, OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=server.url)
        with on_terminal("chat", ACME, env=env, cwd=tmp_path) as terminal:
            terminal.wait_for("› ")
            terminal.type("Hi")
            terminal.wait_for(r"\x1b]0;owned\x07 red \x1b[31m up \x9b1A \x0d over \u202e back")
            terminal.wait_for("3 replies")
            assert terminal.leave() == 0
            assert "\x1b]0;" not in terminal.raw
            assert "\x9b" not in terminal.raw
            assert "\u202e" not in terminal.raw


COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:[349]\d|10\d|[34]8;[\d;]*)(?:;\d+)*m")
"""A colour of letters or of what is behind them, with whatever else is switched on beside it."""


def test_with_colours_the_prompt_has_one(home, tmp_path):
    with on_terminal("chat", ACME, env=home, cwd=tmp_path) as terminal:
        assert terminal.leave() == 0
        assert "\x1b[1;36m" in COLOUR.findall(terminal.raw)


def test_without_colour_the_terminal_gets_no_colours(home, tmp_path):
    with on_terminal("chat", ACME, env=home | {"NO_COLOR": "1"}, cwd=tmp_path) as terminal:
        terminal.wait_for("› ")
        terminal.type("Hello!")
        terminal.wait_for("1 reply")
        assert terminal.leave() == 0
        assert COLOUR.findall(terminal.raw) == []


def test_json_is_all_that_a_piped_chat_prints_when_asked_for(home, tmp_path):
    done = segue("chat", ACME, "--json", env=home, cwd=tmp_path, stdin="Hello!")
    response = json.loads(done.stdout)
    assert (response["status"], response["agent"]) == ("done", "Triage Agent")
    assert response["model"]["stand_in"] is True


def test_an_empty_pipe_is_told_how_to_say_something(home, tmp_path):
    done = segue("chat", ACME, env=home, cwd=tmp_path)
    assert done.returncode == 2
    assert "stdin holds no message" in done.stderr


APPROVED = """
from segue import Agent, tool

@tool(approve=True)
def pay(amount: int) -> str:
    "Pay."
    return f"paid {amount}"

agent = Agent("Cashier", tools=[pay])
"""


@contextmanager
def asked_to_pay(folder):
    """A terminal at the question whether 5 may be paid."""
    (folder / "till.py").write_text(APPROVED)
    with in_thread(chat_completions(calls(("pay", '{"amount": 5}')), says("That is that."))) as server:
        env = surroundings(folder, OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=server.url)
        with on_terminal("chat", "till.py", env=env, cwd=folder) as terminal:
            terminal.wait_for("› ")
            terminal.type("Pay 5.")
            terminal.wait_for('{"amount":5}')
            terminal.wait_for("Make this call? [y]es, [n]o and why, [e]dit: ")
            yield terminal
            terminal.wait_for("That is that.")
            assert terminal.leave() == 0


@pytest.mark.parametrize(("answer", "outcome"), [("y", "→ paid 5"), ("n", "denied:")])
def test_a_call_that_needs_an_approval_is_made_when_the_person_says_so_and_not_else(answer, outcome, tmp_path):
    with asked_to_pay(tmp_path) as terminal:
        terminal.type(answer)
        terminal.wait_for(outcome)


def test_after_an_edit_that_is_not_agreed_to_the_call_is_shown_again_and_a_yes_makes_that_one(tmp_path):
    with asked_to_pay(tmp_path) as terminal:
        terminal.type("e")
        terminal.wait_for('Arguments: {"amount":5}')
        terminal.press("u")
        terminal.type('{"amount": 4}')
        terminal.wait_for('{"amount":4}')
        terminal.wait_for("Make this call? [y/N] ")
        terminal.type("n")
        terminal.wait_for("Cashier wants to call pay")
        terminal.wait_for('{"amount":5}')
        terminal.wait_for("[e]dit: ")
        terminal.type("y")
        terminal.wait_for("→ paid 5")


def test_edited_arguments_that_do_not_fit_the_tool_are_told_and_the_question_stays_open(tmp_path):
    with asked_to_pay(tmp_path) as terminal:
        terminal.type("e")
        terminal.wait_for('Arguments: {"amount":5}')
        terminal.press("u")
        terminal.type('{"amount": "lots"}')
        terminal.wait_for("amount: Input should be a valid integer")
        terminal.wait_for("[e]dit: ")
        terminal.type("y")
        terminal.wait_for("→ paid 5")

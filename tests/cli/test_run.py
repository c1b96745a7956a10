import json

import pytest

from tests.cli.serving import calls, chat_completions, says
from tests.cli.terminal import segue, surroundings
from tests.loopback import in_thread, whole

ACME = "segue.examples.acme:triage"
TYPED = """
from pydantic import BaseModel
from segue import Agent

class Answer(BaseModel):
    number: int

agent = Agent("Counter", output=Answer)
"""
RAISING = """
from segue import Agent

def instructions(ctx):
    raise ValueError("the \\x1b[31mroutine is lost")

agent = Agent("Lost", instructions=instructions)
"""


@pytest.fixture
def home(tmp_path):
    return surroundings(tmp_path)


def test_the_answer_is_all_that_stdout_gets(home, tmp_path):
    done = segue("run", ACME, "The black boots I bought fell apart.", env=home, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout == "Have you tried walking on your hands while our patented heel paste dries for three days?\n"
    assert "scripted stand-in, not an LLM" in done.stderr


@pytest.mark.parametrize("words", [[], ["-"]])
def test_the_message_comes_from_stdin_where_it_is_not_given(words, home, tmp_path):
    done = segue("run", ACME, *words, env=home, cwd=tmp_path, stdin="Hello!\n")
    assert done.stdout.startswith("ACME Inc., good day")


@pytest.mark.parametrize(("words", "stdin"), [([""], ""), (["   "], ""), (["\n\t"], ""), ([], ""), ([], " \n "), (["-"], "   ")])
def test_a_message_of_blanks_is_none_wherever_it_comes_from(words, stdin, home, tmp_path):
    done = segue("run", ACME, *words, env=home, cwd=tmp_path, stdin=stdin)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "segue: The message is empty.\n")


def test_json_holds_the_whole_response(home, tmp_path):
    done = segue("run", ACME, "The black boots I bought fell apart.", "--json", env=home, cwd=tmp_path)
    response = json.loads(done.stdout)
    assert response["status"] == "done"
    assert response["output"].startswith("Have you tried")
    assert response["agent"] == "Issues and Repairs Agent"
    assert [message["role"] for message in response["messages"]] == ["assistant", "tool", "assistant"]
    assert response["context"] == {}
    assert response["usage"]["total"] == 0
    assert response["conversation"].startswith("c_")
    assert response["model"] == {
        "name": "scripted:acme",
        "why": "no --model, no key, no model server on this machine",
        "stand_in": True,
    }
    assert (response["waiting_for"], response["error"]) == ([], None)


def test_events_are_lines_of_json_with_the_journals_places(home, tmp_path):
    done = segue("run", ACME, "The black boots I bought fell apart.", "--events", env=home, cwd=tmp_path)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    assert [row["kind"] for row in rows if row["kind"].startswith("Tool")] == ["ToolStarted", "ToolReturned"]
    assert rows[-1]["data"]["reply"]["text"].startswith("Have you tried")
    assert sorted(row["at"] for row in rows) == [row["at"] for row in rows]


def test_json_and_events_exclude_each_other(home, tmp_path):
    done = segue("run", ACME, "Hi", "--json", "--events", env=home, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "segue: Give --json or --events, not both.\n"


def test_a_run_that_fails_ends_with_one_line_and_code_1(tmp_path):
    with in_thread(whole({"error": {"code": "invalid_api_key"}}, status=401)) as server:
        env = surroundings(tmp_path, OPENAI_API_KEY="sk-secret", OPENAI_BASE_URL=server.url)
        plain = segue("run", ACME, "Hi", env=env, cwd=tmp_path)
        as_json = segue("run", ACME, "Hi", "--json", env=env, cwd=tmp_path)
    assert (plain.returncode, plain.stdout) == (1, "")
    last = plain.stderr.splitlines()[-1]
    assert last.startswith("segue: ")
    assert "401" in last
    assert "Traceback" not in plain.stderr
    assert "sk-secret" not in plain.stderr
    assert as_json.returncode == 1
    response = json.loads(as_json.stdout)
    assert (response["status"], response["output"]) == ("failed", None)
    assert response["error"]["type"] == "ProviderRefused"


def test_a_run_that_reaches_a_limit_ends_with_code_1(tmp_path):
    again = [calls(("transfer_to_issues_and_repairs", "{}"))] + [
        calls(("look_up_item", json.dumps({"search_query": str(number)}))) for number in range(30)
    ]
    with in_thread(chat_completions(*again)) as server:
        env = surroundings(tmp_path, OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=server.url)
        done = segue("run", ACME, "Hi", "--json", env=env, cwd=tmp_path)
    assert done.returncode == 1
    assert json.loads(done.stdout)["status"] == "limited"
    assert "limit of turns" in done.stderr.splitlines()[-1]


def test_an_output_type_is_printed_as_the_model_wrote_it_and_as_json_values(tmp_path):
    (tmp_path / "counting.py").write_text(TYPED)
    with in_thread(chat_completions(says('{"number": 7}'), says('{"number": 8}'))) as server:
        env = surroundings(tmp_path, OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=server.url)
        plain = segue("run", "counting.py", "How many?", env=env, cwd=tmp_path)
        as_json = segue("run", "counting.py", "How many?", "--json", env=env, cwd=tmp_path)
    assert json.loads(plain.stdout) == {"number": 7}
    assert json.loads(as_json.stdout)["output"] == {"number": 8}


def test_what_a_users_function_raises_is_told_in_one_line_and_with_debug_in_full(tmp_path):
    (tmp_path / "losing.py").write_text(RAISING)
    env = surroundings(tmp_path, SEGUE_MODEL="scripted:acme")
    plain = segue("run", "losing.py", "Hi", env=env, cwd=tmp_path)
    assert plain.returncode == 1
    assert r"segue: A function of this program raised ValueError: the \x1b[31mroutine is lost" in plain.stderr
    assert "Traceback" not in plain.stderr
    as_json = segue("run", "losing.py", "Hi", "--json", env=env, cwd=tmp_path)
    assert json.loads(as_json.stdout)["error"]["type"] == "ValueError"
    debugged = segue("run", "losing.py", "Hi", env=env | {"SEGUE_DEBUG": "1"}, cwd=tmp_path)
    assert "Traceback" in debugged.stderr
    assert "losing.py" in debugged.stderr


def test_an_answer_in_a_pipe_is_passed_on_as_it_came(tmp_path):
    with in_thread(chat_completions(says("red \x1b[31m"))) as server:
        env = surroundings(tmp_path, OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=server.url)
        done = segue("run", ACME, "Hi", env=env, cwd=tmp_path)
    assert done.stdout == "red \x1b[31m\n"

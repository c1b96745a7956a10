import re
import shlex
import sqlite3
import subprocess

import pytest

from tests.cli.serving import calls, chat_completions, says
from tests.cli.terminal import on_terminal, segue, surroundings
from tests.loopback import in_thread

REFUND = '▸ execute_refund(item_id="item_204417001", reason="The black boots I bought fell apart.")'


@pytest.fixture
def home(tmp_path):
    return surroundings(tmp_path, TMPDIR=str(tmp_path), USER="ann")


def in_order(words, shown):
    """Hold the words to stand in a text one after the other."""
    place = 0
    for one in words:
        place = shown.find(one, place)
        assert place >= 0, f"{one!r} is missing, or stands too early, in:\n{shown}"
        place += len(one)


def refunded(folder):
    """What the shop of the demonstration has refunded."""
    (data,) = folder.glob("segue-demo-*/data.db")
    database = sqlite3.connect(data)
    rows = database.execute("select order_id, reason from refunds").fetchall()
    database.close()
    return rows


def copied(command, env, stdin=""):
    """Run a line that the demonstration has printed, as one who copies it into a shell."""
    words = shlex.split(command)
    given = dict(word.split("=", 1) for word in words if re.match("[A-Z_]+=", word))
    words = [word for word in words if not re.match("[A-Z_]+=", word)]
    return subprocess.run(words, env={**env, **given}, input=stdin, capture_output=True, text=True, timeout=120, encoding="utf-8")


def test_the_shop_shows_a_customer_from_triage_to_a_refund_and_the_row_that_changed(home, tmp_path):
    done = segue("demo", env=home, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "scripted:acme, a scripted stand-in, not an LLM" in done.stderr
    story = [
        "Customer: The black boots I bought fell apart.",
        "▸ transfer_to_issues_and_repairs()",
        "-- Triage Agent → Issues and Repairs Agent --",
        "Customer: No. I want my money back.",
        '▸ look_up_item(search_query="black boots")',
        "→ item_204417001: Black Desert Boots",
        REFUND,
        "→ success: refunded $89",
        "[the table refunds has changed]",
        "+   1       Black Desert Boots   89",
        "Customer: Refund the black boots again, please.",
        "→ refused: item_204417001 was refunded already",
        "The table refunds, before the conversation:",
        "(no rows)",
        "and after it:",
        "1       Black Desert Boots   89",
        "scripted:acme, a scripted stand-in and not an LLM",
    ]
    in_order(story, done.stdout)


def test_a_refund_above_the_limit_is_shown_as_it_would_be_made_and_decided_by_the_demonstration_where_nobody_is_asked(home, tmp_path):
    done = segue("demo", env=home, cwd=tmp_path)
    question = [
        "waits for a decision",
        "Issues and Repairs Agent wants to call execute_refund",
        '{"item_id":"item_204417001","reason":"The black boots I bought fell apart."}',
        "approval ",
        "A refund of more than $50 waits for a person of the shop.",
        "Nobody is asked here: the demonstration says yes.",
        "ApprovalDecided   approve, by the demonstration",
    ]
    in_order(question, done.stdout)


def test_a_process_is_killed_in_the_middle_of_the_refund_and_another_one_goes_on_to_the_same_end_with_one_refund(home, tmp_path):
    done = segue("demo", env=home, cwd=tmp_path)
    killed = re.search(
        r"Process (\d+) made the call, and was killed \(SIGKILL\)(.*?)Process (\d+) went on(.*?)\n  ▸", done.stdout, re.DOTALL
    )
    assert killed is not None, done.stdout
    first, left, second, added = killed.groups()
    assert first != second
    before = re.findall(r"^ +\d+ +(\w+) +(.*)", left, re.MULTILINE)
    after = re.findall(r"^ +\d+ +(\w+) +(.*)", added, re.MULTILINE)
    assert [kind for kind, _ in before] == ["ApprovalDecided", "DriveStarted", "ToolStarted"]
    assert [kind for kind, _ in after] == ["DriveStarted", "ToolStarted", "ToolReturned", "ModelReplied"]
    assert before[2] == after[1]  # the same call, with the same key
    assert before[1] != after[0]  # by another driver
    assert left.count("The table refunds has 1 row.") == added.count("The table refunds has 1 row.") == 1
    assert refunded(tmp_path) == [(1, "The black boots I bought fell apart.")]
    assert "with nobody killed: the same answers and the same rows." in done.stdout


def test_the_commands_that_it_prints_tell_the_story_and_go_on_with_the_conversation(home, tmp_path):
    done = segue("demo", env=home, cwd=tmp_path)
    show, chat = [line.strip() for line in done.stderr.splitlines()[-2:]]
    told = copied(show, home)
    assert told.returncode == 0, told.stderr
    story = ["waits for a decision", "approved by the demonstration", "driven on by", "execute_refund", ", again", "refunded $89"]
    in_order(story, told.stdout)
    more = copied(chat, home, stdin="I want a refund for the black boots, they fell apart.")
    assert more.returncode == 0, more.stderr
    refund = copied(chat, home, stdin="I want my money back.")
    assert "refused: item_204417001 was refunded already" in refund.stdout  # the shop has not forgotten


def test_the_airline_cancels_a_reservation_and_shows_the_row(home, tmp_path):
    done = segue("demo", "airline", env=home, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "-- triage → cancellations --" in done.stdout
    assert "-   MAYA01        maya_lindqvist_1647   business   booked" in done.stdout
    assert "+   MAYA01        maya_lindqvist_1647   business   cancelled" in done.stdout


def test_an_example_that_does_not_exist_is_refused_with_the_names_that_do(home, tmp_path):
    done = segue("demo", "opera", env=home, cwd=tmp_path)
    assert done.returncode == 2
    assert "acme" in done.stderr


def test_on_a_terminal_the_demonstration_is_a_conversation_with_hints(home, tmp_path):
    with on_terminal("demo", env=home, cwd=tmp_path) as terminal:
        terminal.wait_for("You are the customer. Try")
        terminal.wait_for("The black boots I bought fell apart.")
        terminal.wait_for("› ")
        terminal.type("The black boots I bought fell apart.")
        terminal.wait_for("Issues and Repairs Agent")
        terminal.wait_for("(stand-in)")
        terminal.wait_for("Have you tried")
        assert terminal.leave() == 0


def test_with_auto_the_scripted_customer_speaks_on_a_terminal_too(home, tmp_path):
    with on_terminal("demo", "--auto", env=home, cwd=tmp_path) as terminal:
        terminal.wait_for("Customer: Hello!")
        terminal.wait_for("and after it:")
        assert terminal.end() == 0


def ask_for_money(terminal):
    terminal.wait_for("A refund of more than $50 waits for a person of the shop. You are that person too.")
    terminal.wait_for("› ")
    terminal.type("The black boots I bought fell apart.")
    terminal.wait_for("Have you tried")
    terminal.wait_for("› ")
    terminal.type("No. I want my money back.")
    terminal.wait_for('{"item_id":"item_204417001","reason":"The black boots I bought fell apart."}')
    terminal.wait_for("Make this call? [y]es, [n]o and why, [e]dit: ")


def test_on_a_terminal_the_person_approves_the_refund_and_may_have_its_process_killed(home, tmp_path):
    with on_terminal("demo", env=home, cwd=tmp_path) as terminal:
        ask_for_money(terminal)
        terminal.type("y")
        terminal.wait_for("Kill it? [Y/n] ")
        assert refunded(tmp_path) == []
        terminal.type("y")
        terminal.wait_for("was killed (SIGKILL)")
        terminal.wait_for("approve, by ann")
        terminal.wait_for("went on, with the same key.")
        terminal.wait_for("Your money is on its way: refunded $89")
        assert terminal.leave() == 0
        assert "runs show c_" in terminal.shown
    assert refunded(tmp_path) == [(1, "The black boots I bought fell apart.")]


def test_on_a_terminal_nothing_is_killed_unless_the_person_says_so(home, tmp_path):
    with on_terminal("demo", env=home, cwd=tmp_path) as terminal:
        ask_for_money(terminal)
        terminal.type("y")
        terminal.wait_for("Kill it? [Y/n] ")
        terminal.type("n")
        terminal.wait_for("Your money is on its way: refunded $89")
        assert terminal.leave() == 0
        assert "SIGKILL" not in terminal.shown
    assert refunded(tmp_path) == [(1, "The black boots I bought fell apart.")]


def test_a_refund_that_the_person_denies_is_not_made(home, tmp_path):
    with on_terminal("demo", env=home, cwd=tmp_path) as terminal:
        ask_for_money(terminal)
        terminal.type("n they were worn for ten years")
        terminal.wait_for("I could not refund that")
        assert terminal.leave() == 0
        assert "Kill it?" not in terminal.shown
        assert "ten years" in terminal.shown
    assert refunded(tmp_path) == []


def test_the_process_that_goes_on_asks_the_model_that_was_found(tmp_path):
    script = (
        calls(("transfer_to_issues_and_repairs", "{}")),
        calls(("execute_refund", '{"item_id": "item_204417001"}')),
        says("The model says that it is paid."),
    )
    with in_thread(chat_completions(*script)) as server:
        env = surroundings(tmp_path, TMPDIR=str(tmp_path), OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=server.url)
        with on_terminal("demo", env=env, cwd=tmp_path) as terminal:
            terminal.wait_for("› ")
            terminal.type("My boots broke. I want my money back.")
            terminal.wait_for("Make this call?")
            terminal.type("y")
            terminal.wait_for("Kill it? [Y/n] ")
            terminal.type("")
            terminal.wait_for("ModelReplied   The model says that it is paid.")
            assert terminal.leave() == 0
            assert "stand-in" not in terminal.shown
    assert refunded(tmp_path) == [(1, "not provided")]

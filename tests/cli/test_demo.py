import pytest

from tests.cli.terminal import on_terminal, segue, surroundings


@pytest.fixture
def home(tmp_path):
    return surroundings(tmp_path)


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
        '▸ execute_refund(item_id="item_204417001"',
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
    place = 0
    for words in story:
        place = done.stdout.find(words, place)
        assert place >= 0, f"{words!r} is missing, or stands too early, in:\n{done.stdout}"


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

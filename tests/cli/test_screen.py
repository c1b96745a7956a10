import io
import re

import pytest

from segue.cli.screen import Screen


class Glass(io.StringIO):
    """A terminal, as far as it says so itself."""

    def isatty(self):
        return True

    @property
    def shown(self):
        return re.sub(r"\x1b\[[0-9;]*m", "", self.getvalue())


@pytest.fixture
def glass(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Glass()


def test_running_text_is_wrapped_between_words_with_an_indent_however_it_comes_in_pieces(glass):
    screen = Screen(glass)
    for piece in ["One two th", "ree four ", "five", " six\nseven", "\n\n", "eight"]:
        screen.flow(piece, indent=2)
    screen.end()
    assert glass.shown == "  One two three\n  four five six\n  seven\n\n  eight\n"


def test_wide_letters_take_two_places(glass):
    screen = Screen(glass)
    screen.flow("世界世界 世界世界 世界", indent=2)
    screen.end()
    assert glass.shown == "  世界世界 世界世界\n  世界\n"


def test_a_remark_is_wrapped_beside_its_mark(glass):
    Screen(glass).remark("  ■ ", "something went wrong here", "red")
    assert glass.shown == "  ■ something went\n    wrong here\n"


def test_steering_letters_are_shown_on_every_way_out(glass):
    screen = Screen(glass)
    screen.put("\x1b[2J")
    screen.line("\x1b[2J")
    screen.flow("\x1b[2J")
    screen.rule("\x1b[2J")
    screen.table(["\x1b[2J"], [["\x1b[2J"]])
    assert "\x1b[2J" not in glass.getvalue()
    assert glass.shown.count(r"\x1b[2J") == 6


def test_markup_is_text(glass):
    Screen(glass).line("[bold]x[/bold] :smile:")
    assert glass.shown == "[bold]x[/bold] :smile:\n"


def test_what_is_no_terminal_gets_plain_unwrapped_text():
    file = io.StringIO()
    screen = Screen(file)
    assert not screen.fancy
    screen.flow("word " * 50, "red", indent=2)
    screen.rule("A → B", "red")
    screen.busy("never shown")
    screen.line("end")
    assert file.getvalue() == f"{'word ' * 50}\n-- A → B --\nend\n"


def test_a_dumb_terminal_is_none(glass, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert not Screen(glass).fancy


def test_columns_are_as_wide_as_their_widest_cell():
    file = io.StringIO()
    Screen(file).table(["n", "name"], [["1", "long name"], ["22", "x"]])
    assert file.getvalue() == "  n    name\n  1    long name\n  22   x\n"

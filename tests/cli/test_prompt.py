import stat

import pytest

from segue.cli.prompt import Prompt, history_file


@pytest.mark.parametrize("state", ["", "relative/path"])
def test_history_stands_in_the_home_where_no_state_directory_is_named(state, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", state)
    assert history_file() == tmp_path / ".local" / "state" / "segue" / "history"


def test_a_named_state_directory_is_used(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert history_file() == tmp_path / "segue" / "history"


def test_a_history_that_others_could_read_is_closed_to_them(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = history_file()
    path.parent.mkdir()
    path.write_text("")
    path.chmod(0o644)
    Prompt(colour=False).keep()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_home_that_cannot_be_written_is_no_error(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    Prompt(colour=False).keep()
    assert not history_file().exists()

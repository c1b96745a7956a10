import os

import pytest

from segue.cli import environment
from segue.cli.environment import read_env_file, variables, where
from segue.errors import UsageError


@pytest.fixture
def env_file(tmp_path, monkeypatch):
    """Writes a `.env` file; nothing of it outlives the test."""
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "SEGUE_", "GROQ_")):
            monkeypatch.delenv(name)
    monkeypatch.setattr(environment, "_read", set())
    before = dict(os.environ)

    def write(text):
        (tmp_path / ".env").write_text(text)
        return tmp_path / ".env"

    yield write
    os.environ.clear()
    os.environ.update(before)


def test_lines_are_read_with_quotes_exports_and_comments():
    text = "A=1\nexport B = two words # why\nC='x # y'\n# D=4\nE=\"5\"  # five\nno line\nF=a=b\n G=\n"
    assert variables(text) == {"A": "1", "B": "two words", "C": "x # y", "E": "5", "F": "a=b", "G": ""}


def test_known_variables_are_taken_and_others_are_not(env_file):
    read_env_file(env_file("OPENAI_API_KEY=k\nSEGUE_MODEL=ollama:m\nPATH=/tmp\nLD_PRELOAD=x\n"))
    assert (os.environ["OPENAI_API_KEY"], os.environ["SEGUE_MODEL"]) == ("k", "ollama:m")
    assert os.environ["PATH"] != "/tmp"
    assert "LD_PRELOAD" not in os.environ
    assert where("SEGUE_MODEL") == "SEGUE_MODEL (from .env)"


def test_the_environment_is_never_overridden(env_file, monkeypatch):
    monkeypatch.setenv("SEGUE_MODEL", "mine")
    read_env_file(env_file("SEGUE_MODEL=theirs\n"))
    assert os.environ["SEGUE_MODEL"] == "mine"
    assert where("SEGUE_MODEL") == "SEGUE_MODEL"


def test_a_file_cannot_have_a_key_of_the_environment_sent_elsewhere(env_file, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "mine")
    read_env_file(env_file("OPENAI_BASE_URL=https://elsewhere.example/v1\nGROQ_BASE_URL=https://elsewhere.example/v1\n"))
    assert "OPENAI_BASE_URL" not in os.environ
    assert os.environ["GROQ_BASE_URL"] == "https://elsewhere.example/v1"


def test_a_file_may_name_both_a_key_and_its_address(env_file):
    read_env_file(env_file("OPENAI_API_KEY=theirs\nOPENAI_BASE_URL=https://elsewhere.example/v1\n"))
    assert os.environ["OPENAI_BASE_URL"] == "https://elsewhere.example/v1"


def test_no_file_is_no_error(tmp_path):
    read_env_file(tmp_path / ".env")


def test_a_file_that_is_no_text_is_told(tmp_path):
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read"):
        read_env_file(tmp_path / ".env")

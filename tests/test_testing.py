"""What Segue offers to tests of programs that use it, and its pytest plugin."""

import subprocess
import sys

import pytest

import segue.testing


def test_its_face_is_a_sorted_list_of_things_that_are_there():
    assert segue.testing.__all__ == sorted(segue.testing.__all__)
    assert all(getattr(segue.testing, name) for name in segue.testing.__all__)


def test_the_plugin_does_not_import_segue():
    program = "import sys, segue_pytest; print([name for name in sys.modules if name == 'segue' or name.startswith('segue.')])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


SUITE = """
import pytest
import segue
from segue.models import OpenAIChat
from segue.testing import ScriptedModel

def ask(model):
    return segue.run_sync(segue.Agent("A"), "Hi", model=model).output

def real():
    return OpenAIChat("m", base_url="http://127.0.0.1:9/v1", api_key="k", max_retries=0)

def test_scripted():
    assert ask(ScriptedModel(["Hello."])) == "Hello."

def test_by_fixture(deny_model_requests):
    with pytest.raises(segue.UsageError, match="deny_model_requests"):
        ask(real())

def test_plain():
    with pytest.raises({plain}):
        ask(real())

@pytest.mark.allow_model_requests
def test_marked():
    with pytest.raises(segue.ProviderError):
        ask(real())
"""


@pytest.mark.parametrize(("option", "plain"), [("", "segue.ProviderError"), ("segue_deny_model_requests = true", "segue.UsageError")])
def test_a_projects_tests_are_kept_from_real_models_where_it_says_so(tmp_path, option, plain):
    (tmp_path / "pytest.ini").write_text(f"[pytest]\naddopts = --strict-markers -p no:cacheprovider\n{option}\n")
    (tmp_path / "test_suite.py").write_text(SUITE.format(plain=plain))
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", str(tmp_path)], cwd=tmp_path, capture_output=True, text=True)
    assert "4 passed" in done.stdout, done.stdout + done.stderr

import sys

import pytest

from segue.cli.target import load
from segue.errors import UsageError

TEAM = """
from segue import Agent
from parts import helper

refunds = Agent("Refunds")
sales = Agent("Sales")
number = 5

class Desk:
    agent = sales
"""
RUNNERS = (
    TEAM
    + """
from segue import Runner
desk = Runner(refunds, deps="database")
"""
)
ONE = """
from segue import Agent
only = Agent("Only")
again = only
"""

REACHING = """
from concurrent.futures import Future
from segue import Agent, Runner

def ask():
    waits = Future()
    waits.set_exception(OSError("nobody there"))
    waits.result()

ask()
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A directory with a few programs, to be in; what they import is forgotten afterwards."""
    (tmp_path / "parts.py").write_text("from segue import Agent\nhelper = Agent('Helper')\n")
    (tmp_path / "teamwork.py").write_text(TEAM)
    (tmp_path / "onesome.py").write_text(ONE)
    (tmp_path / "usual.py").write_text(TEAM + "triage = Agent('Triage')\n")
    (tmp_path / "running.py").write_text(RUNNERS)
    (tmp_path / "several.py").write_text(RUNNERS + "second = Runner(sales)\n")
    (tmp_path / "broken.py").write_text("import os\n\n1 / 0\n")
    (tmp_path / "leaving.py").write_text("import sys\nsys.exit('bye')\n")
    (tmp_path / "lacking.py").write_text("import no_such_package\n")
    (tmp_path / "unsound.py").write_text("import os\n\nx = (\n")
    (tmp_path / "unread.py").write_text("import ast\n\nast.literal_eval('(')\n")
    (tmp_path / "reaching.py").write_text(REACHING)
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("")
    (tmp_path / "pack" / "team.py").write_text("from .parts import helper\n")
    (tmp_path / "pack" / "parts.py").write_text("from segue import Agent\nhelper = Agent('Helper')\n")
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "json.py").write_text(ONE)
    monkeypatch.chdir(tmp_path)
    path, modules = list(sys.path), set(sys.modules)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.mark.parametrize("target", ["teamwork:sales", "teamwork.py:sales", "./teamwork.py:sales", "teamwork:Desk.agent"])
def test_an_attribute_is_found_in_a_module_or_a_file(target, here):
    assert load(target).agent.name == "Sales"


def test_a_file_may_be_named_by_its_whole_path_from_anywhere(here, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert load(f"{here / 'teamwork.py'}:helper").agent.name == "Helper"


@pytest.mark.parametrize(("target", "name"), [("onesome", "Only"), ("onesome.py", "Only"), ("usual.py", "Triage")])
def test_without_an_attribute_the_only_agent_is_taken_or_one_of_the_usual_names(target, name, here):
    assert load(target).agent.name == name


def test_a_runner_may_be_named_and_is_taken_before_agents(here):
    assert load("running:desk").runner.deps == "database"
    assert load("running.py:desk").agent.name == "Refunds"
    assert load("running").runner is not None
    assert load("running:sales").runner is None
    with pytest.raises(UsageError, match=r"several Runners: desk, second. Say with which to begin: several:desk"):
        load("several")


def test_a_file_with_the_name_of_an_imported_module_does_not_take_its_place(here):
    import json

    assert load("json.py").agent.name == "Only"
    assert sys.modules["json"] is json


def test_an_example_is_known_as_one(here):
    assert load("segue.examples.acme:triage").example == "acme"
    assert load("segue.examples.airline").example == "airline"
    assert load("onesome").example == ""


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("teamwork", r"several agents: helper, refunds, sales. Say with which to begin: teamwork:helper"),
        ("teamwork:nix", r"no 'nix'. Its agents: helper, refunds, sales"),
        ("teamwork:number", r"is a int, not an Agent or a Runner"),
        ("running:nix", r"no 'nix'. Its agents: helper, refunds, sales. Its Runners: desk"),
        ("teamwork:", r"is no target. Write module:attribute"),
        ("empty", r"has no agents"),
        ("nowhere", r"no module 'nowhere'"),
        ("nowhere.inside", r"no module 'nowhere'"),
        ("nowhere.py", r"no file nowhere.py"),
        ("broken", r"Importing broken failed: ZeroDivisionError: division by zero \(broken.py, line 3\)"),
        ("broken.py", r"ZeroDivisionError: division by zero \(broken.py, line 3\)"),
        ("leaving.py", r"SystemExit: bye \(leaving.py, line 2\)"),
        ("lacking.py", r"no module 'no_such_package' \(lacking.py, line 1\)"),
        ("lacking", r"no module 'no_such_package' \(lacking.py, line 1\)"),
        ("unsound", r"failed: SyntaxError: '\(' was never closed \(unsound.py, line 3\)\.$"),
        ("unsound.py", r"failed: SyntaxError: '\(' was never closed \(unsound.py, line 3\)\.$"),
        ("unread.py", r"failed: SyntaxError: '\(' was never closed \(<unknown>, line 1\) \(unread.py, line 3\)\.$"),
        ("reaching.py", r"failed: OSError: nobody there \(reaching.py, line 8\)\.$"),
        ("pack/team.py", r"relative import.* \(team.py, line 1\)\. A file .* name the module instead, pack.team or pack.team:ATTRIBUTE\.$"),
    ],
)
def test_what_is_no_target_is_told_with_what_there_is(target, words, here):
    with pytest.raises(UsageError, match=words):
        load(target)


def test_a_file_of_a_package_that_lies_elsewhere_is_named_with_the_directory_to_be_in(here, monkeypatch):
    monkeypatch.chdir(here / "pack")
    with pytest.raises(UsageError, match=rf"pack.team or pack.team:ATTRIBUTE in the directory {here}\.$"):
        load("team.py")
    monkeypatch.chdir(here)
    assert load("pack.team").agent.name == "Helper"


def test_an_installed_target_is_told_with_its_own_line(here, monkeypatch):
    folder = here / "site-packages"
    folder.mkdir()
    (folder / "installed.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(folder)
    with pytest.raises(UsageError, match=r"\(installed.py, line 1\)"):
        load("installed")

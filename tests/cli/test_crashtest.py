import json
import sqlite3

import pytest

from tests.crashtest.playing import crashtest

TEAM = """
import pathlib
from segue import Agent, Runner, tool

PAID = pathlib.Path("paid.txt")
HELD = []

@tool
def pay(amount: int) -> str:
    PAID.write_text(f"{PAID.read_text() if PAID.exists() else ''}{amount}\\n")
    HELD.append(amount)
    print("paying", amount)
    return "paid"

desk = Agent("Desk", tools=[pay])

def observe():
    return PAID.read_text().split()

def held():
    return HELD

def setup():
    PAID.write_text("")

def broken():
    raise ValueError("there is no world")

def runner(entry, **options):
    return Runner(Agent("Other", tools=[pay]), **options)
"""
SCENARIO = """
setup = "shop:setup"
observe = "shop:observe"

[[step]]
say = "Pay five."

[[reply]]
calls = [{ name = "pay", arguments = { amount = 5 } }]

[[reply]]
text = "Paid."
"""


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "shop.py").write_text(TEAM)
    (tmp_path / "crash.toml").write_text(SCENARIO)
    return tmp_path


def test_what_came_out_is_told_in_a_table(shop):
    done = crashtest("shop.py:desk", cwd=shop)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines == [
        f"shop.py:desk plays {shop / 'crash.toml'} on sqlite.",
        "Without a crash: 8 events in 4 appends, and 1 call of a tool.",
        "",
        "killed trials right wrong missed",
        "before an append 4 4 0 0",
        "after an append 4 4 0 0",
        "at the entry of a tool 1 1 0 0",
        "inside a tool, before it returns 1 1 0 0",
        "",
        "a call that a process died in died in again unknown",
        "once 4 0 4",
        "",
        "10 of 10 trials came out right.",
    ]


def test_a_module_is_found_like_a_file_and_json_tells_of_every_trial(shop):
    done = crashtest("shop:desk", "--only", "after:1", "--only", "entry:1.0", "--only", "before:4+after:9", "--json", cwd=shop)
    report = json.loads(done.stdout)
    assert (done.returncode, report["trials"], report["right"], report["world"]) == (0, 3, 3, ["5"])
    assert [(result["points"], result["verdict"]) for result in report["results"]] == [
        (["after:1"], "right"),
        (["entry:1.0"], "right"),
        (["before:4", "after:9"], "right"),
    ]
    assert report["results"][1]["effects"]["once"] == {"calls": 1, "died": 1, "again": 0, "unknown": 1}


def test_twice_kills_the_process_that_goes_on(shop):
    report = json.loads(crashtest("shop:desk", "--only", "entry:1.0", "--twice", "--json", cwd=shop).stdout)
    assert report["right"] == report["trials"] > 4
    assert report["results"][0]["points"] == ["entry:1.0"]
    assert {result["points"][0] for result in report["results"]} == {"entry:1.0"}
    assert len({tuple(result["points"]) for result in report["results"]}) == report["trials"]


def test_a_point_that_is_never_come_to_is_told(shop):
    done = crashtest("shop:desk", "--only", "entry:9.0", cwd=shop)
    assert done.returncode == 2
    assert done.stdout.endswith("0 of 1 trial came out right; 1 never came to the point.\n")


def test_keep_leaves_the_journals_and_what_was_printed(shop):
    crashtest("shop:desk", "--only", "entry:1.0", "--keep", "kept", cwd=shop)
    assert sorted(path.name for path in (shop / "kept").iterdir()) == ["entry-1.0", "no-crash"]
    assert "paying 5" in (shop / "kept" / "no-crash" / "output.txt").read_text()
    database = sqlite3.connect(shop / "kept" / "entry-1.0" / "segue.db")
    assert database.execute("select count(*) from event where kind = 'ToolUnknown'").fetchone() == (1,)
    database.close()


def test_a_runner_of_the_scenarios_takes_the_place_of_the_targets(shop):
    scenario = SCENARIO.replace("[[reply]]", '[[reply]]\nagent = "Other"')
    (shop / "crash.toml").write_text(scenario)
    assert "and Desk is to speak once more" in crashtest("shop:desk", "--only", "after:1", cwd=shop).stderr
    (shop / "crash.toml").write_text('runner = "shop:runner"\n' + scenario)
    assert crashtest("shop:desk", "--only", "after:1", cwd=shop).returncode == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("shop:setup", "shop:broken"), "the scenario cannot be played, even without a crash: setup: ValueError: there is no world"),
        (("shop:setup", "shop:setpu"), "shop:setpu: shop has no 'setpu'"),
        (("shop:observe", "shop:desk"), "afterwards: "),
        (
            ('text = "Paid."', 'text = "x"\nagent = "Nobody"'),
            "The scenario's replies are at their end after 1, and Desk is to speak once more",
        ),
        (
            ("[[reply]]\ncalls", "[[step]]\napprove = true\n[[reply]]\ncalls"),
            "step 2: approve decides what waits for a person, and nothing does",
        ),
    ],
)
def test_a_scenario_that_cannot_be_played_is_told_before_anything_is_killed(shop, change, words):
    (shop / "crash.toml").write_text(SCENARIO.replace(*change))
    done = crashtest("shop:desk", cwd=shop)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_scenario_that_ends_otherwise_each_time_is_told(shop):
    (shop / "shop.py").write_text(TEAM.replace('return "paid"', 'import time; return f"paid at {time.time_ns()}"'))
    done = crashtest("shop:desk", cwd=shop)
    assert done.returncode == 2
    assert "two plays without a crash do not end alike" in done.stderr


def test_a_world_that_does_not_outlive_the_process_is_told(shop):
    (shop / "crash.toml").write_text(SCENARIO.replace("shop:observe", "shop:held"))
    done = crashtest("shop:desk", "--only", "after:1", cwd=shop)
    assert "What it looks at must outlive the process." in done.stdout


def test_nobody_looking_at_the_world_is_told(shop):
    (shop / "crash.toml").write_text(SCENARIO.replace('observe = "shop:observe"', ""))
    done = crashtest("shop:desk", "--only", "after:1", cwd=shop)
    assert "Nobody looks at the world." in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere:desk"], "There is no crash.toml beside nowhere:desk. Name one with --scenario FILE"),
        (["shop:desk", "--scenario", "other.toml"], "The scenario other.toml cannot be read"),
        (["shop:desk", "--only", "entry"], "'entry' is no point. Points look like before:7"),
        (["shop:desk", "--journal", "segue.db"], "--journal segue.db: give sqlite"),
        (["shop:clerk"], "shop has no 'clerk'. Its agents: desk."),
    ],
)
def test_a_command_that_cannot_be_understood_is_told(shop, words, told):
    done = crashtest(*words, cwd=shop)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


def test_a_model_may_be_named_and_a_real_one_is_not_asked(shop):
    head, _, _ = SCENARIO.partition("[[reply]]")
    model = "from segue.testing import FunctionModel\nmodel = FunctionModel(lambda request: 'Hello.')\n"
    (shop / "shop.py").write_text(TEAM + model)
    (shop / "crash.toml").write_text('model = "shop:model"\n' + head)
    assert crashtest("shop:desk", "--only", "after:1", cwd=shop).returncode == 0
    (shop / "crash.toml").write_text('model = "shop:PAID"\n' + head)
    assert "shop:PAID is no Model, but a" in crashtest("shop:desk", cwd=shop).stderr
    real = "from segue.models import OpenAIChat\nmodel = OpenAIChat('gpt-5-mini', base_url='http://localhost:9/v1', api_key='k')\n"
    (shop / "shop.py").write_text(TEAM + real)
    (shop / "crash.toml").write_text('model = "shop:model"\n' + head)
    assert "deny_model_requests() forbids it" in crashtest("shop:desk", cwd=shop).stderr


def test_a_stand_in_of_an_example_is_a_model(shop):
    head, _, _ = SCENARIO.partition("[[reply]]")
    (shop / "crash.toml").write_text('model = "scripted:acme"\n' + head)
    report = json.loads(crashtest("shop:desk", "--only", "after:1", "--json", cwd=shop).stdout)
    assert report["right"] == 1

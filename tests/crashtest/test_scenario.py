from pathlib import Path

import pytest

from segue import UsageError
from segue.core.messages import Call, Reply
from segue.crashtest.scenario import SETTLED, Decide, Say, Scenario, Scripted, read_scenario

SCENARIOS = sorted(Path(__file__).parent.glob("scenarios/*.toml"))
SAID = '[[step]]\nsay = "Hi"\n'
REPLY = '[[reply]]\ntext = "Hello."\n'


def read(folder, text):
    file = folder / "crash.toml"
    file.write_text(text, "utf-8")
    return read_scenario(file)


def test_a_scenario_is_read_whole(tmp_path):
    text = """
    setup = "shop:setup"
    observe = "shop:observe"
    runner = "shop.runners:tester"
    settle = "It was paid."

    [environment]
    SHOP = "shop.db"

    [[step]]
    say = "Pay."
    queued = "And hurry."
    stream = true
    context = { customer = "Ada" }

    [[step]]
    approve = { amount = 5 }

    [[step]]
    approve = false

    [[reply]]
    agent = "Desk"
    text = "One moment."
    calls = [{ name = "pay", arguments = { b = 1, a = "ä" } }, { name = "look" }, { name = "look", arguments = '{"item' }]

    [[reply]]
    text = "Paid."
    """
    calls = (Call("", "pay", '{"a":"ä","b":1}'), Call("", "look", "{}"), Call("", "look", '{"item'))
    assert read(tmp_path, text) == Scenario(
        path=tmp_path / "crash.toml",
        steps=(Say("Pay.", "And hurry.", True, {"customer": "Ada"}), Decide(True, {"amount": 5}), Decide(False)),
        lines=(Scripted(Reply("One moment.", calls, "tool_calls"), "Desk"), Scripted(Reply("Paid.", (), "stop"))),
        setup="shop:setup",
        observe="shop:observe",
        runner="shop.runners:tester",
        settle="It was paid.",
        environment={"SHOP": "shop.db"},
    )


def test_little_has_to_be_said(tmp_path):
    read_one = read(tmp_path, 'model = "scripted:acme"\n' + SAID)
    assert (read_one.steps, read_one.model, read_one.lines, read_one.settle) == ((Say("Hi"),), "scripted:acme", (), SETTLED)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[step]", "is no TOML"),
        ("", "begins with what the user says"),
        ("[[step]]\napprove = true\n" + REPLY, "begins with what the user says"),
        (SAID, "say what replies"),
        ('model = "shop:model"\n' + SAID + REPLY, "say what replies"),
        ('moedl = "shop:model"\n' + SAID, "there is no key 'moedl' here. There are: step, reply, environment, model, setup, observe"),
        (SAID + 'sya = "Ho"\n' + REPLY, "step 1: there is no key 'sya' here. There are: say, queued, stream, context"),
        (SAID + "approve = true\n" + REPLY, "step 1: a step has either say or approve"),
        (SAID + "[[step]]\nstream = true\n" + REPLY, "step 2: a step has either say or approve"),
        (SAID + "[[step]]\napprove = 3\n" + REPLY, "step 2: approve is true or false or a table, not 3"),
        (SAID + 'stream = "yes"\n' + REPLY, "step 1: stream is true or false, not 'yes'"),
        ('[[step]]\nsay = ""\n' + REPLY, "step 1: say is empty"),
        (SAID + "[[reply]]\n", "reply 1: a reply has text, calls, or both"),
        (SAID + REPLY + "[[reply]]\ncalls = [{}]\n", "reply 2: calls 1: name is missing"),
        (SAID + '[[reply]]\ncalls = ["pay"]\n', "reply 1: calls holds tables, not 'pay'"),
        (SAID + '[[reply]]\ncalls = [{ name = "pay", arguments = { on = 2024-05-01 } }]\n', "reply 1: calls 1: the arguments are no JSON"),
        (SAID + '[[reply]]\ncalls = [{ name = "pay", args = {} }]\n', "calls 1: there is no key 'args' here. There are: name, arguments"),
        ('observe = "shop.observe"\n' + SAID + REPLY, "observe is a place, module:attribute, not 'shop.observe'"),
        ("step = 1\n" + REPLY, "step is a list, not 1"),
        (SAID + REPLY + "[environment]\nPORT = 5432\n", "environment: PORT is a text, not 5432"),
    ],
)
def test_what_does_not_fit_is_told_with_the_file_and_the_place(tmp_path, text, words):
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith((f"{tmp_path / 'crash.toml'}: ", f"{tmp_path / 'crash.toml'} is no TOML"))
    assert words in str(caught.value)


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_scenario(tmp_path / "crash.toml")


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_scenarios_of_these_tests_are_read(path):
    assert read_scenario(path).steps

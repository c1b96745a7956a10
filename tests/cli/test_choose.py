import os

import pytest

from segue import Agent
from segue.cli import choose as choosing
from segue.cli.choose import EitherWay, choose
from segue.cli.local import Found
from segue.cli.target import Target
from segue.errors import ProviderError, ProviderRefused, UsageError
from segue.models.openai import OpenAIChat, OpenAIResponses
from segue.models.scripted import FunctionModel, ScriptedModel
from segue.runner import Runner
from segue.team import Team


@pytest.fixture(autouse=True)
def nothing_there(monkeypatch):
    """No key, no server; a test says what there is."""
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "SEGUE_")) or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(choosing, "find_server", lambda: None)


def plain():
    return Agent("Plain")


def test_model_comes_before_everything(monkeypatch):
    monkeypatch.setenv("SEGUE_MODEL", "ollama:other")
    choice = choose(Team(Agent("Own", model="ollama:own")), "ollama:wish")
    assert (choice.name, choice.why) == ("ollama:wish", "named by --model")
    assert choice.model is not None
    assert choice.model.name == "wish"


def test_agents_that_all_have_models_keep_them(monkeypatch):
    monkeypatch.setenv("SEGUE_MODEL", "ollama:other")
    other = Agent("B", model=ScriptedModel([], name="mine"))
    choice = choose(Team(Agent("A", model="ollama:own", handoffs=[other])), None)
    assert choice.model is None
    assert (choice.name, choice.why) == ("ollama:own, mine", "the agents' own")


def test_the_further_agents_of_a_runner_have_models_to_keep_and_to_want(monkeypatch):
    monkeypatch.setenv("SEGUE_MODEL", "ollama:other")
    front = Agent("Front", handoffs=["Back"], model="ollama:front")
    own = Target(front, "m", Runner(front, agents=[Agent("Back", model="ollama:back")]))
    assert choose(own.team, None)[1:3] == ("ollama:front, ollama:back", "the agents' own")
    wants = Target(front, "m", Runner(front, agents=[Agent("Back")]))
    assert choose(wants.team, None).why == "SEGUE_MODEL is set; ollama:front where an agent has its own"


async def test_where_some_have_models_the_others_get_the_one_that_is_found(monkeypatch):
    monkeypatch.setenv("SEGUE_MODEL", "scripted:acme")
    expert = Agent("Expert", model=ScriptedModel(["I am the expert."], name="mine"))
    desk = Agent("Desk", handoffs=[expert])
    choice = choose(Team(desk), None)
    assert choice.name == "scripted:acme"
    assert choice.why == "SEGUE_MODEL is set; mine where an agent has its own"
    assert (await Runner(expert, model=choice.model).run("Hi")).text == "I am the expert."
    assert "stand-in" in (await Runner(desk, model=choice.model).run("Hi")).text


def test_an_own_model_that_cannot_be_used_is_told(monkeypatch):
    with pytest.raises(UsageError, match="'openai:gpt-5' needs an API key"):
        choose(Team(Agent("A", model="openai:gpt-5")), None)


def test_the_environments_model_comes_before_its_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("SEGUE_MODEL", "ollama:m")
    choice = choose(Team(plain()), None)
    assert (choice.name, choice.why) == ("ollama:m", "SEGUE_MODEL is set")


def test_a_key_alone_means_openai_itself(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    choice = choose(Team(plain()), None)
    assert (choice.name, choice.why) == ("openai:gpt-5-mini", "OPENAI_API_KEY is set")
    assert isinstance(choice.model, OpenAIResponses)
    monkeypatch.setenv("OPENAI_MODEL", "gpt-x")
    assert choose(Team(plain()), None).name == "openai:gpt-x"


def test_a_base_url_needs_no_key(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    choice = choose(Team(plain()), None)
    assert (choice.name, choice.why) == ("gpt-5-mini at http://127.0.0.1:9/v1", "OPENAI_BASE_URL is set")
    assert not choice.stand_in


def test_a_server_on_this_machine_comes_before_the_stand_in(monkeypatch):
    monkeypatch.setattr(choosing, "find_server", lambda: Found("ollama", "http://127.0.0.1:11434/v1", "qwen3"))
    choice = choose(Team(plain()), None, "acme")
    assert (choice.name, choice.why) == ("ollama:qwen3", "a server answers at http://127.0.0.1:11434/v1")
    assert isinstance(choice.model, OpenAIChat)


def test_looking_for_servers_can_be_switched_off(monkeypatch):
    monkeypatch.setattr(choosing, "find_server", lambda: pytest.fail("it was looked for"))
    monkeypatch.setenv("SEGUE_PROBE", "off")
    assert choose(Team(plain()), None, "acme").stand_in


def test_an_example_has_its_stand_in_and_it_says_what_it_is():
    choice = choose(Team(plain()), None, "airline")
    assert choice.name == "scripted:airline"
    assert "scripted:airline, a scripted stand-in, not an LLM" in choice.lines()[0]


def test_a_users_own_agent_gets_no_stand_in_but_the_mends():
    with pytest.raises(UsageError, match=r"no model.*--model.*SEGUE_MODEL or OPENAI_API_KEY.*start a model server"):
        choose(Team(plain()), None)


def test_the_key_of_another_provider_is_pointed_at(monkeypatch):
    monkeypatch.setenv("GROQ_API_KEY", "k")
    with pytest.raises(UsageError, match="GROQ_API_KEY is set: name a model, --model groq:MODEL"):
        choose(Team(plain()), None)
    assert "GROQ_API_KEY is set: try --model groq:MODEL" in choose(Team(plain()), None, "acme").why


@pytest.mark.parametrize("wish", ["scripted:", "scripted:opera", "nonsense:m"])
def test_a_model_that_does_not_exist_is_told_with_those_that_do(wish):
    with pytest.raises(UsageError, match=r"scripted:acme|openai"):
        choose(Team(plain()), wish)


# ---- a server whose wire format is not known


def failing(status, error=ProviderRefused):
    return ScriptedModel([error("no", status=status)] * 3, name="m")


async def ask(model):
    return (await Runner(plain(), model=model).run("Hi")).text


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_where_the_first_way_does_not_exist_the_other_is_taken_for_good(status):
    chat, responses = failing(status), FunctionModel(lambda request: "By responses.")
    model = EitherWay(chat, responses)
    assert [await ask(model), await ask(model)] == ["By responses.", "By responses."]
    assert len(chat.requests) == 1


async def test_what_once_worked_is_not_changed():
    chat = ScriptedModel(["Once.", ProviderRefused("gone", status=404)])
    model = EitherWay(chat, FunctionModel(lambda request: pytest.fail("it was asked")))
    assert await ask(model) == "Once."
    with pytest.raises(ProviderRefused, match="gone"):
        await ask(model)


async def test_another_failure_is_no_reason_to_change():
    with pytest.raises(ProviderError, match="no"):
        await ask(EitherWay(failing(401), FunctionModel(lambda request: pytest.fail("it was asked"))))


async def test_where_neither_exists_the_first_refusal_is_told():
    first = ScriptedModel([ProviderRefused("first", status=404)])
    with pytest.raises(ProviderRefused, match="first"):
        await ask(EitherWay(first, failing(404)))


async def test_the_second_ways_own_failure_is_told():
    with pytest.raises(ProviderRefused, match="no"):
        await ask(EitherWay(ScriptedModel([ProviderRefused("first", status=404)]), failing(401)))

"""Models from strings."""

import os
from typing import Any

import pytest

from segue.core.messages import User
from segue.errors import UsageError
from segue.model import ModelRequest
from segue.models import OpenAIChat, OpenAIResponses, model_from
from segue.models.resolve import PROVIDERS
from tests.loopback import Loopback, completion, whole


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    named = {name for provider in PROVIDERS.values() for name in (*provider.urls, *provider.keys)}
    for name in named & set(os.environ):
        monkeypatch.delenv(name)


KINDS: list[tuple[str, dict[str, str], type[Any]]] = [
    ("openai:m", {"OPENAI_API_KEY": "k"}, OpenAIResponses),
    ("openai:m", {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "https://api.openai.com/v1/"}, OpenAIResponses),
    ("openai:m", {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://localhost:1/v1"}, OpenAIChat),
    ("openai-chat:m", {"OPENAI_API_KEY": "k"}, OpenAIChat),
    ("openai-responses:m", {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://localhost:1/v1"}, OpenAIResponses),
    ("azure:m", {"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_ENDPOINT": "https://x.openai.azure.com"}, OpenAIChat),
    ("ollama:qwen3:8b", {}, OpenAIChat),
    ("vllm:org/model", {}, OpenAIChat),
    ("llama-cpp:m", {}, OpenAIChat),
    ("lmstudio:m", {}, OpenAIChat),
    ("openrouter:org/model:free", {"OPENROUTER_API_KEY": "k"}, OpenAIChat),
    ("groq:m", {"GROQ_API_KEY": "k"}, OpenAIChat),
    ("together:m", {"TOGETHER_API_KEY": "k"}, OpenAIChat),
    ("deepseek:m", {"DEEPSEEK_API_KEY": "k"}, OpenAIChat),
    ("mistral:m", {"MISTRAL_API_KEY": "k"}, OpenAIChat),
    ("gemini:m", {"GOOGLE_API_KEY": "k"}, OpenAIChat),
    ("cerebras:m", {"CEREBRAS_API_KEY": "k"}, OpenAIChat),
]


@pytest.mark.parametrize(("spec", "environment", "kind"), KINDS)
def test_a_string_names_a_model(spec: str, environment: dict[str, str], kind: type[Any], monkeypatch: pytest.MonkeyPatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    model = model_from(spec)
    assert type(model) is kind
    assert model.name == spec.partition(":")[2]
    assert model_from(spec) is model


def test_every_provider_is_tried_here():
    assert {spec.partition(":")[0] for spec, _, _ in KINDS} == set(PROVIDERS)


def test_another_environment_is_another_model(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GROQ_API_KEY", "one")
    model = model_from("groq:m")
    monkeypatch.setenv("GROQ_API_KEY", "two")
    assert model_from("groq:m") is not model


URLS = [
    ("ollama:m", "OLLAMA_HOST", "{host}", "/v1/chat/completions"),
    ("ollama:m", "OLLAMA_BASE_URL", "http://{host}/v1/", "/v1/chat/completions"),
    ("vllm:m", "VLLM_BASE_URL", "http://{host}/prefix", "/prefix/chat/completions"),
    ("azure:m", "AZURE_OPENAI_ENDPOINT", "http://{host}/", "/openai/v1/chat/completions"),
    ("azure:m", "AZURE_OPENAI_BASE_URL", "http://{host}/openai/v1", "/openai/v1/chat/completions"),
]


@pytest.mark.parametrize(("spec", "variable", "url", "path"), URLS)
async def test_a_variable_says_where_a_provider_is(spec: str, variable: str, url: str, path: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k")
    async with Loopback(whole(completion("Hello"))) as server:
        monkeypatch.setenv(variable, url.format(host=server.host))
        pieces = [piece async for piece in model_from(spec).reply(ModelRequest([User("Hi")]))]
    assert server.requests[0].path == path
    assert pieces[0].text == "Hello"  # type: ignore[union-attr]
    assert pieces[0].dialect == f"openai-chat/{spec.partition(':')[0]}"  # type: ignore[union-attr]


@pytest.mark.parametrize("spec", ["nobody:m", "openai:", ":m", "", "ollama"])
def test_a_string_that_names_no_model_is_answered_with_the_providers(spec: str):
    with pytest.raises(UsageError, match=r"openai-chat.*ollama.*cerebras"):
        model_from(spec)


@pytest.mark.parametrize(
    ("spec", "variable"),
    [("openai:m", "OPENAI_API_KEY"), ("gemini:m", "GEMINI_API_KEY or GOOGLE_API_KEY"), ("azure:m", "AZURE_OPENAI_ENDPOINT")],
)
def test_what_is_missing_is_named(spec: str, variable: str):
    with pytest.raises(UsageError, match=variable):
        model_from(spec)


def test_a_name_alone_without_a_key_is_told_whose_it_was_taken_for():
    with pytest.raises(UsageError, match=r"as OpenAI's .*provider:model.*OPENAI_API_KEY"):
        model_from("claude-5")


def test_a_model_is_given_back_as_it_is():
    model = OpenAIChat("m")
    assert model_from(model) is model


def test_what_is_no_model_is_a_mistake():
    with pytest.raises(UsageError, match="not int"):
        model_from(7)  # type: ignore[arg-type]


def test_the_package_has_no_other_names():
    import segue.models

    with pytest.raises(AttributeError, match="nonsense"):
        segue.models.nonsense


def test_a_name_alone_is_openais(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    model = model_from("gpt-5-mini")
    assert (model.name, type(model).__name__) == ("gpt-5-mini", "OpenAIResponses")

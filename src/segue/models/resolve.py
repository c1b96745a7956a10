"""Models from strings: "provider:model", with base URL and key from the provider's usual variables.
Nothing is opened here; a model connects when it is first asked."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from segue.errors import UsageError
from segue.model import Model
from segue.models.exchange import OPENAI_URL


class Provider(NamedTuple):
    """Where a provider is found. `base_url` is the default, `urls` and `keys` the variables that are looked at in turn."""

    base_url: str | None
    urls: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    key_needed: bool = True
    after: str = ""
    """What is put behind a URL that a variable gives, unless it stands there already."""


_OPENAI = Provider(OPENAI_URL, ("OPENAI_BASE_URL",), ("OPENAI_API_KEY",))

PROVIDERS: Mapping[str, Provider] = {
    "openai": _OPENAI,
    "openai-chat": _OPENAI,
    "openai-responses": _OPENAI,
    "azure": Provider(None, ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_BASE_URL"), ("AZURE_OPENAI_API_KEY",), after="/openai/v1"),
    "ollama": Provider("http://localhost:11434/v1", ("OLLAMA_BASE_URL", "OLLAMA_HOST"), ("OLLAMA_API_KEY",), False, "/v1"),
    "vllm": Provider("http://localhost:8000/v1", ("VLLM_BASE_URL",), ("VLLM_API_KEY",), False),
    "llama-cpp": Provider("http://localhost:8080/v1", ("LLAMA_CPP_BASE_URL",), ("LLAMA_API_KEY",), False),
    "lmstudio": Provider("http://localhost:1234/v1", ("LMSTUDIO_BASE_URL",), ("LMSTUDIO_API_KEY",), False),
    "openrouter": Provider("https://openrouter.ai/api/v1", ("OPENROUTER_BASE_URL",), ("OPENROUTER_API_KEY",)),
    "groq": Provider("https://api.groq.com/openai/v1", ("GROQ_BASE_URL",), ("GROQ_API_KEY",), after="/openai/v1"),
    "together": Provider("https://api.together.xyz/v1", ("TOGETHER_BASE_URL",), ("TOGETHER_API_KEY",)),
    "deepseek": Provider("https://api.deepseek.com/v1", ("DEEPSEEK_BASE_URL",), ("DEEPSEEK_API_KEY",)),
    "mistral": Provider("https://api.mistral.ai/v1", ("MISTRAL_BASE_URL",), ("MISTRAL_API_KEY",)),
    "gemini": Provider(
        "https://generativelanguage.googleapis.com/v1beta/openai", ("GEMINI_BASE_URL",), ("GEMINI_API_KEY", "GOOGLE_API_KEY")
    ),
    "cerebras": Provider("https://api.cerebras.ai/v1", ("CEREBRAS_BASE_URL",), ("CEREBRAS_API_KEY",)),
}

_made: dict[tuple[str, str, str], Model] = {}


def model_from(spec: str | Model) -> Model:
    """The model that a "provider:model" string names; a model is given back as it is.

    A name alone ("gpt-5-mini") is OpenAI's. The same string under the same environment is the same model. "openai:…" speaks
    Responses with api.openai.com, and Chat Completions where `OPENAI_BASE_URL` points elsewhere; "openai-chat:…" and
    "openai-responses:…" say which.
    """
    if not isinstance(spec, str):
        if isinstance(spec, Model):
            return spec
        raise UsageError(f"A model is a string like 'openai:gpt-5-mini' or a model object, not {type(spec).__name__}.")
    name, model = spec.split(":", 1) if ":" in spec else ("openai", spec)
    provider = PROVIDERS.get(name)
    if not model or provider is None or spec in PROVIDERS:
        raise UsageError(f"{spec!r} names no model. Write provider:model; the providers are {', '.join(PROVIDERS)}.")
    base_url = _url(name, provider)
    key = next((os.environ[variable] for variable in provider.keys if os.environ.get(variable)), "")
    if not key and provider.key_needed:
        whose = "" if ":" in spec else ", as OpenAI's (another's is written provider:model)"
        raise UsageError(f"{spec!r} needs an API key{whose}. Set {' or '.join(provider.keys)}.")
    made = _made.get((spec, base_url, key))
    if made is None:
        made = _made[spec, base_url, key] = _make(name, model, base_url, key)
    return made


def _url(name: str, provider: Provider) -> str:
    given = next((os.environ[variable] for variable in provider.urls if os.environ.get(variable)), None)
    if given is None:
        if provider.base_url is None:
            raise UsageError(f"{name} has no base URL of its own. Set {' or '.join(provider.urls)}.")
        return provider.base_url
    if "://" not in given:
        given = "http://" + given  # as OLLAMA_HOST is written
    given = given.rstrip("/")
    return given if not provider.after or given.endswith(provider.after) else given + provider.after


def _make(name: str, model: str, base_url: str, key: str) -> Model:
    from segue.models.openai import OpenAIChat, OpenAIResponses  # here, because a program may bring models of its own

    kind = OpenAIResponses if name == "openai-responses" or (name == "openai" and base_url == OPENAI_URL) else OpenAIChat
    provider = "openai" if name.startswith("openai-") else name
    return kind(model, base_url=base_url, api_key=key or None, provider=provider)

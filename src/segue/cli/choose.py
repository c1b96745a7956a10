"""Which model replies, and why: `--model`, the agents' own, the environment, a server on this machine, a stand-in.
The first that is there is taken, and people are told which. The library itself never looks for servers or stand-ins."""

import os
from collections.abc import AsyncIterator
from importlib import import_module
from typing import NamedTuple

from segue.agent import Agent
from segue.cli.environment import where
from segue.cli.local import find_server
from segue.core.messages import Reply
from segue.errors import ProviderError, UsageError
from segue.model import Delta, Model, ModelRequest, Restarted
from segue.models.exchange import OPENAI_URL
from segue.models.openai import OpenAIChat, OpenAIResponses
from segue.models.resolve import PROVIDERS, model_from
from segue.team import Team
from segue.views.graph import everyone

EXAMPLES = ("acme", "airline")
OPENAI_MODEL = "gpt-5-mini"
"""Asked for where a key is all that is known."""
STAND_IN = "scripted:"
MENDS = (
    "Name one with --model (openai:gpt-5-mini, ollama:qwen3, ...), or set SEGUE_MODEL or OPENAI_API_KEY, "
    "or start a model server on this machine (Ollama, llama-server, LM Studio, vLLM)."
)


class Choice(NamedTuple):
    """What replies. `model` is `None` where the agents' own do."""

    model: Model | None
    name: str
    why: str
    stand_in: bool = False

    def lines(self) -> list[str]:
        """What people are told before the conversation begins."""
        if not self.stand_in:
            return [f"The model is {self.name}: {self.why}."]
        return [
            f"The model is {self.name}, a scripted stand-in, not an LLM: {self.why}.",
            "Rules choose its words, and understand few. Tools, handoffs and data are the real ones.",
        ]


def choose(team: Team, wish: str | None, example: str = "", given: Model | None = None) -> Choice:
    """Choose the model for a team; `given` is its Runner's own. Raises `UsageError` with the mends where there is none."""
    if wish:
        return _named(wish, "named by --model")
    if given is not None:
        return Choice(None, given.name, "the Runner's own")
    agents = everyone(team)
    own = [one for one in agents if one.model is not None]
    if own and len(own) == len(agents):
        return Choice(None, _names(own), "the agents' own")
    choice = _from_environment() or _from_this_machine() or _from_example(example)
    if choice is None:
        keys = _other_keys()
        found = f" {keys[0][0]} is set: name a model, --model {keys[0][1]}:MODEL." if keys else ""
        raise UsageError(f"There is no model.{found} {MENDS}")
    if not own or choice.model is None:
        return choice
    why = f"{choice.why}; {_names(own)} where an agent has its own"
    return choice._replace(model=OwnFirst(team, choice.model), why=why)


def _names(agents: list[Agent]) -> str:
    """The models of agents, each of which must be usable."""
    models = [model_from(agent.model) for agent in agents if agent.model is not None]
    written = [agent.model if isinstance(agent.model, str) else model.name for agent, model in zip(agents, models, strict=True)]
    return ", ".join(dict.fromkeys(written))


def _named(spec: str, why: str) -> Choice:
    if spec.startswith(STAND_IN):
        return Choice(stand_in(spec.removeprefix(STAND_IN)), spec, why, stand_in=True)
    return Choice(model_from(spec), spec, why)


def stand_in(example: str) -> Model:
    """The rules that are shipped with an example."""
    if example not in EXAMPLES:
        raise UsageError(f"There is no stand-in {STAND_IN}{example}. There are: {', '.join(STAND_IN + name for name in EXAMPLES)}.")
    model: Model = import_module(f"segue.examples.{example}.standin").standin
    return model


def _from_environment() -> Choice | None:
    if spec := os.environ.get("SEGUE_MODEL"):
        return _named(spec, f"{where('SEGUE_MODEL')} is set")
    url, key = os.environ.get("OPENAI_BASE_URL"), os.environ.get("OPENAI_API_KEY")
    if not url and not key:
        return None
    name = os.environ.get("OPENAI_MODEL") or OPENAI_MODEL
    given = [where(variable) for variable in ("OPENAI_BASE_URL", "OPENAI_API_KEY") if os.environ.get(variable)]
    why = f"{' and '.join(given)} {'is' if len(given) == 1 else 'are'} set"
    if not url or url.rstrip("/") == OPENAI_URL:
        return Choice(model_from(f"openai:{name}"), f"openai:{name}", why)
    chat = OpenAIChat(name, base_url=url, api_key=key)
    return Choice(EitherWay(chat, OpenAIResponses(name, base_url=url, api_key=key)), f"{name} at {url}", why)


def _from_this_machine() -> Choice | None:
    if os.environ.get("SEGUE_PROBE") == "off" or (found := find_server()) is None:
        return None
    model = OpenAIChat(found.model, base_url=found.base_url, provider=found.provider)
    return Choice(model, f"{found.provider}:{found.model}", f"a server answers at {found.base_url}")


def _from_example(example: str) -> Choice | None:
    if example not in EXAMPLES:
        return None
    keys = _other_keys()
    looked = "no --model, no key, no model server on this machine"
    if keys:
        looked = f"no --model ({keys[0][0]} is set: try --model {keys[0][1]}:MODEL), no model server on this machine"
    return Choice(stand_in(example), STAND_IN + example, looked, stand_in=True)


def _other_keys() -> list[tuple[str, str]]:
    """Keys of providers of which we cannot know which model is wanted."""
    return [(key, name) for name, provider in PROVIDERS.items() for key in provider.keys if os.environ.get(key) and provider.key_needed]


class EitherWay:
    """A server whose wire format is not known: Chat Completions, or Responses where it has no such path."""

    def __init__(self, chat: Model, responses: Model) -> None:
        self.name = chat.name
        self._model = chat
        self._other: Model | None = responses

    async def reply(self, request: ModelRequest) -> AsyncIterator[Delta | Restarted | Reply]:
        """Ask in the one way, and for good in the other if there is nobody to answer the first."""
        other = self._other
        try:
            async for piece in self._model.reply(request):
                self._other = None
                yield piece
            return
        except ProviderError as error:
            if other is None or error.status not in (404, 405, 501):
                raise
            refused = error
        try:
            async for piece in other.reply(request):
                self._model, self._other = other, None
                yield piece
        except ProviderError as error:
            raise (refused if error.status == refused.status else error) from None


class OwnFirst:
    """The agents' own models, and one for those that have none."""

    def __init__(self, team: Team, model: Model) -> None:
        self.name = model.name
        self._team = team
        self._model = model

    def reply(self, request: ModelRequest) -> AsyncIterator[Delta | Restarted | Reply]:
        """Ask the model of the agent that has the floor."""
        own = next((agent.model for agent in everyone(self._team) if agent.name == request.agent and agent.model is not None), None)
        return (model_from(own) if own is not None else self._model).reply(request)

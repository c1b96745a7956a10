"""The model seam: a request in, deltas and one reply out.
Nothing here knows a provider, a socket or the loop."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from segue.core.messages import Message, Reply


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What a provider may be asked for besides the conversation; `None` leaves it to the provider.

    `extra` is merged into the request body as it is, last.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: Sequence[str] | None = None
    tool_choice: Literal["auto", "required", "none"] | str | None = None
    """ "auto", "required", "none", or the name of one tool."""
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


class ToolSpec(NamedTuple):
    """A tool as a model is shown it. `strict` is `None` where the provider's default is to hold."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    strict: bool | None = None


class OutputSpec(NamedTuple):
    """The JSON schema that a reply must fit."""

    name: str
    schema: Mapping[str, Any]
    strict: bool | None = None


@dataclass(slots=True)
class ModelRequest:
    """Everything that one model call needs.

    `messages` begins with the active agent's `System` message. `tools` is the same object as long as the agent's tools
    are the same. `cache` is a dictionary that lives as long as the drive: a codec keeps encoded bytes in it.
    `stream` says that somebody listens; without it only the reply is yielded. `idle_timeout`: seconds of silence.
    """

    messages: Sequence[Message]
    tools: Sequence[ToolSpec] = ()
    settings: ModelSettings = ModelSettings()
    output: OutputSpec | None = None
    stream: bool = False
    idle_timeout: float | None = 30
    agent: str = ""
    conversation: str = ""
    cache: dict[Any, Any] = field(default_factory=dict)


class TextDelta(NamedTuple):
    """A piece of the reply's text."""

    text: str


class ReasoningDelta(NamedTuple):
    """A piece of the model's thinking, where the provider shows it."""

    text: str


@dataclass(frozen=True, slots=True)
class CallDelta:
    """A piece of a tool call: `index` is its place in the reply; `name` comes once, `arguments` in fragments."""

    index: int
    name: str
    arguments: str


class Restarted(NamedTuple):
    """The attempt died after deltas were shown: drop them. `attempt` is the number of the one that begins now."""

    attempt: int


Delta = TextDelta | ReasoningDelta | CallDelta


@runtime_checkable
class Model(Protocol):
    """Whatever replies. Raises `ProviderError` when there is no reply to be had."""

    @property
    def name(self) -> str:
        """The model's name, as in traces and errors."""
        ...

    def reply(self, request: ModelRequest) -> AsyncIterator[Delta | Restarted | Reply]:
        """Yield deltas where `request.stream` is set, and at the end exactly one `Reply`."""
        ...

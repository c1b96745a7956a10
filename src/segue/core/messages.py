"""What a model reads and what it replies: values only.
A message is never changed once made, so that its encoded bytes can be kept. Chat-completions dictionaries
are the form that users see; `as_chat` and `from_chat` go between the two."""

from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

Json = Any
"""A JSON value: None, bool, int, float, str, list or dict of these."""

Content = str | list[dict[str, Any]]
"""Text, or a list of content parts (`{"type": "text", ...}`, `{"type": "image_url", ...}`)."""


def sendable_text(text: str) -> str:
    """The same text, with pairs of surrogates joined and halves of them replaced by U+FFFD: every provider takes it."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class _Nothing(dict[str, Json]):
    """An empty dictionary that stays empty, so that it may be a default."""

    def __hash__(self) -> int:  # type: ignore[override]
        return 0

    def _refuse(self, *args: Any, **values: Any) -> NoReturn:
        raise TypeError("this dictionary is shared and stays empty")

    __setitem__ = setdefault = update = __ior__ = _refuse


NOTHING: Mapping[str, Json] = _Nothing()


class Call(NamedTuple):
    """A tool call as the model wished it: `arguments` is the JSON text as it came, possibly broken.

    `id` may be empty or repeated in a reply; in a view it is unique. `extra` holds fields of the call that we do not
    know (thought signatures), to be sent back to the same provider.
    """

    id: str
    name: str
    arguments: str
    extra: Mapping[str, Json] = NOTHING


class Usage(NamedTuple):
    """Tokens, as the provider counted them. `cached` is a part of `input`, `reasoning` a part of `output`."""

    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0

    def plus(self, other: "Usage") -> "Usage":
        """Add two counts."""
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            self.reasoning + other.reasoning,
        )

    @property
    def total(self) -> int:
        """Input and output together."""
        return self.input + self.output


UNUSED = Usage()


CUT = {
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"), "length"),
    **dict.fromkeys(("content_filter", "safety", "recitation", "refusal", "blocklist", "prohibited_content", "spii"), "content_filter"),
}
"""Providers' words for a reply that is not whole, in small letters, and the word of Chat Completions for it."""


class Reply(NamedTuple):
    """One whole reply of a model.

    `finish` is the provider's word ("stop", "tool_calls", "" if it gave none). "length" and "content_filter" say that it was cut, and
    are written down in place of the other words of `CUT`.
    `extra` holds unknown fields of the message; `dialect` names the codec that can send them back.
    """

    text: str | None = None
    calls: tuple[Call, ...] = ()
    finish: str = ""
    refusal: str | None = None
    usage: Usage = Usage()
    model: str = ""
    extra: Mapping[str, Json] = NOTHING
    dialect: str = ""

    @property
    def whole(self) -> bool:
        """Whether the model ended by itself: else its calls are never run and its text is no answer (R9, R10)."""
        return self.finish not in ("length", "content_filter") and not self.refusal


class System(NamedTuple):
    """The active agent's instructions; always the first message, never stored."""

    content: str


class User(NamedTuple):
    """What the user said, or a note of Segue's to the model."""

    content: Content
    name: str | None = None


class Assistant(NamedTuple):
    """What a model said. `agent` is for people and views; it is not sent."""

    text: str | None
    calls: tuple[Call, ...] = ()
    agent: str = ""
    refusal: str | None = None
    extra: Mapping[str, Json] = NOTHING
    dialect: str = ""


class ToolAnswer(NamedTuple):
    """The answer to one tool call."""

    call_id: str
    name: str
    content: Content


Message = System | User | Assistant | ToolAnswer

"""One Chat Completions reply, put together from JSON values: a body, or the chunks of a stream.
A whole body is taken as a stream of one piece, so that both end in the same reply."""

from typing import Any

from segue.core.messages import Call, Reply
from segue.errors import BadReply
from segue.model import CallDelta, Delta, ReasoningDelta, TextDelta
from segue.wire.chat_calls import Calls, text
from segue.wire.chat_extra import Extra
from segue.wire.errors import error_in, error_of
from segue.wire.jsontext import sendable
from segue.wire.usage import chat_usage

DIALECT = "openai-chat"

CUT = ("length", "content_filter")
"""Finishes that take the calls of a reply away."""

_FINISH = {
    "model_length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "safety": "content_filter",
    "recitation": "content_filter",
    "length": "length",
    "content_filter": "content_filter",
}
_BROKEN = ("error", "abort", "insufficient_system_resource")


def reply_of(answer: Any, *, provider: str = "", dialect: str = DIALECT) -> Reply:
    """The reply in a body that is JSON values already."""
    assembly = Assembly(provider, dialect)
    assembly.take_whole(answer)
    return assembly.reply()


def broken(what: str, provider: str) -> BadReply:
    """A reply that cannot be used."""
    return BadReply(f"The reply of {provider or 'the provider'} {what}. Nothing of it was acted on.", provider=provider)


class Assembly:
    """What came of one reply so far. A whole body is taken as a stream of one piece, so that both end the same."""

    def __init__(self, provider: str, dialect: str) -> None:
        self.provider = provider
        self.dialect = dialect
        self.finish = ""
        self.model = ""
        self.usage: Any = None
        self.texts: list[str] = []
        self._half = ""  # of a surrogate pair, which is shown when its other half has come
        self.refusals: list[str] = []
        self.calls = Calls()
        self.extra = Extra()

    def take_whole(self, answer: Any) -> None:
        """Take a whole body."""
        if not isinstance(answer, dict):
            raise broken("is no JSON object", self.provider)
        choice = self._choice(answer)
        message = choice.get("message") if choice else None
        if not isinstance(message, dict):
            raise broken("holds no message", self.provider)
        self._take_message(message, [], whole=True)

    def take_chunk(self, chunk: Any, deltas: list[Delta]) -> None:
        """Take a chunk of a stream and add what it shows to `deltas`."""
        if chunk is None:
            return
        if not isinstance(chunk, dict):
            raise broken("holds a chunk that is no JSON object", self.provider)
        choice = self._choice(chunk)
        if choice is None:
            return
        delta = choice.get("delta")
        if delta is None and not self.texts and not self.calls:
            delta = choice.get("message")  # some send a whole message as their only chunk
        if isinstance(delta, dict):
            self._take_message(delta, deltas, whole=False)
        elif delta is not None:
            raise broken("holds a delta that is no JSON object", self.provider)

    def _choice(self, answer: dict[str, Any]) -> dict[str, Any] | None:
        """The choice that counts, after everything beside it was read."""
        if (error := error_in(answer)) is not None:
            raise error_of(error, provider=self.provider)
        if usage := answer.get("usage") or _groq_usage(answer.get("x_groq")):
            self.usage = usage
        if not self.model and isinstance(model := answer.get("model"), str):
            self.model = model
        choices = answer.get("choices")
        if not choices:
            return None
        if not isinstance(choices, list):
            raise broken("has choices that are no list", self.provider)
        for choice in choices:
            if not isinstance(choice, dict):
                raise broken("has a choice that is no JSON object", self.provider)
            if choice.get("index") in (0, None):  # others come only if somebody asked for several
                self._look_at(choice)
                return choice
        return None

    def _look_at(self, choice: dict[str, Any]) -> None:
        if error := choice.get("error"):
            raise error_of(error, provider=self.provider)
        finish = choice.get("finish_reason")
        if isinstance(finish, str) and finish:
            if finish in _BROKEN:
                raise broken(f"ended with {finish!r}", self.provider)
            self.finish = _FINISH.get(finish.partition(":")[0].lower(), finish)
        if usage := choice.get("usage"):
            self.usage = usage

    def _take_message(self, message: dict[str, Any], deltas: list[Delta], *, whole: bool) -> None:
        thought = None
        for key, value in message.items():
            if value is None or value == "":
                continue
            if key == "content":
                self._take_content(value, deltas)
            elif key == "role":
                if value != "assistant":
                    raise broken("speaks in another role than the assistant's", self.provider)
            elif key == "tool_calls":
                self._take_calls(value, deltas, whole=whole)
            elif key == "function_call":
                self.calls.take_legacy(value)
            elif key == "refusal":
                self.refusals.append(text(value))
            else:
                thought = self.extra.take(key, value) or thought
        if thought:
            deltas.append(ReasoningDelta(sendable(thought)))

    def _take_content(self, content: Any, deltas: list[Delta]) -> None:
        if isinstance(content, str):
            self.texts.append(content)
            self.extra.take_text(content)
            if self._half or "\ud800" <= content[-1] <= "\udbff":
                content = self._whole_pairs(content)
            if content:
                deltas.append(TextDelta(sendable(content)))
            return
        if not isinstance(content, list):
            raise broken("has content that is neither text nor a list", self.provider)
        said, thought = self.extra.take_parts(content, "".join(self.texts))
        if thought:
            deltas.append(ReasoningDelta(sendable(thought)))
        if said:
            self.texts.append(said)
            deltas.append(TextDelta(sendable(said)))

    def _whole_pairs(self, content: str) -> str:
        content = self._half + content
        self._half = content[-1] if "\ud800" <= content[-1] <= "\udbff" else ""
        return content.removesuffix(self._half)

    def _take_calls(self, fragments: Any, deltas: list[Delta], *, whole: bool) -> None:
        if not isinstance(fragments, list):
            raise broken("has tool calls that are no list", self.provider)
        for fragment in fragments:
            if not isinstance(fragment, dict):
                raise broken("has a tool call that is no JSON object", self.provider)
            place, name, arguments = self.calls.take(fragment, whole=whole)
            deltas.append(CallDelta(place, sendable(name), sendable(arguments)))

    def reply(self) -> Reply:
        """The reply, if it is one. Raises `BadReply` if it is empty."""
        said = sendable("".join(self.texts)) or None
        refusal = sendable("".join(self.refusals)) or None
        cut = self.finish in CUT
        calls: tuple[Call, ...] = () if cut else self.calls.all()
        if not (said or calls or refusal or cut):
            raise broken("is empty", self.provider)
        extra = sendable(self.extra.all())
        return Reply(said, calls, self.finish, refusal, chat_usage(self.usage), self.model, extra, self.dialect)


def _groq_usage(beside: Any) -> Any:
    """Where Groq writes the counts of a stream."""
    return beside.get("usage") if isinstance(beside, dict) else None

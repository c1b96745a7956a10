"""One Chat Completions reply, put together from JSON values: a body, or the chunks of a stream.
A whole body is taken as a stream of one piece, so that both end in the same reply."""

from typing import Any

from segue.core.messages import CUT, Call, Reply, sendable_text
from segue.model import CallDelta, Delta, ReasoningDelta, TextDelta
from segue.wire.chat_calls import Calls
from segue.wire.chat_extra import Extra
from segue.wire.errors import broken, error_in, error_of
from segue.wire.jsontext import text
from segue.wire.usage import chat_usage

DIALECT = "openai-chat"

_BROKEN = ("error", "abort", "insufficient_system_resource")


def reply_of(answer: Any, *, provider: str = "", dialect: str = DIALECT) -> Reply:
    """The reply in a body that is JSON values already."""
    assembly = Assembly(provider, dialect)
    assembly.take_whole(answer)
    return assembly.reply()


class Assembly:
    """What came of one reply so far. A whole body is taken as a stream of one piece that nobody watches."""

    finish = ""  # what stands on the class stays as it is in many replies
    model = ""
    usage: Any = None
    _half = ""  # of a surrogate pair, which is shown when its other half has come

    def __init__(self, provider: str, dialect: str) -> None:
        self.provider = provider
        self.dialect = dialect
        self.texts: list[str] = []
        self.refusals: list[str] = []
        self.calls = Calls()
        self.extra = Extra()

    def take_whole(self, answer: Any) -> None:
        """Take a whole body."""
        if not isinstance(answer, dict):
            raise broken("is no JSON object", self.provider)
        message = self._choice(answer).get("message")
        if not isinstance(message, dict):
            raise broken("holds no message", self.provider)
        self._take_message(message, None)

    def take_chunk(self, chunk: Any, deltas: list[Delta]) -> None:
        """Take a chunk of a stream and add what it shows to `deltas`."""
        if chunk is None:
            return
        if not isinstance(chunk, dict):
            raise broken("holds a chunk that is no JSON object", self.provider)
        choice = self._choice(chunk)
        delta = choice.get("delta")
        if delta is None and not self.texts and not self.calls:
            delta = choice.get("message")  # some send a whole message as their only chunk
        if isinstance(delta, dict):
            self._take_message(delta, deltas)
        elif delta is not None:
            raise broken("holds a delta that is no JSON object", self.provider)

    def _choice(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The choice that counts, after everything beside it was read; empty if there is none."""
        if error := error_in(answer):
            raise error_of(error, provider=self.provider)
        if usage := answer.get("usage") or _groq_usage(answer.get("x_groq")):
            self.usage = usage
        if not self.model and isinstance(model := answer.get("model"), str):
            self.model = model
        choices = answer.get("choices")
        if not choices:
            return {}
        if not isinstance(choices, list):
            raise broken("has choices that are no list", self.provider)
        for choice in choices:
            if not isinstance(choice, dict):
                raise broken("has a choice that is no JSON object", self.provider)
            if choice.get("index") in (0, None):  # others come only if somebody asked for several
                self._look_at(choice)
                return choice
        return {}

    def _look_at(self, choice: dict[str, Any]) -> None:
        if error := choice.get("error"):
            raise error_of(error, provider=self.provider)
        finish = choice.get("finish_reason")
        if isinstance(finish, str) and finish:
            if finish in _BROKEN:
                raise broken(f"ended with {finish!r}", self.provider)
            self.finish = CUT.get(finish.partition(":")[0].lower(), finish)
        if usage := choice.get("usage"):
            self.usage = usage

    def _take_message(self, message: dict[str, Any], deltas: list[Delta] | None) -> None:
        """Take a whole message (without `deltas`: nobody watches it), or a piece of one and add what it shows to `deltas`."""
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
                self._take_calls(value, deltas)
            elif key == "function_call":
                self.calls.take_legacy(value)
            elif key == "refusal":
                self.refusals.append(text(value))
            else:
                thought = self.extra.take(key, value) or thought
        if thought and deltas is not None:
            deltas.append(ReasoningDelta(sendable_text(thought)))

    def _take_content(self, content: Any, deltas: list[Delta] | None) -> None:
        if isinstance(content, str):
            self.texts.append(content)
            self.extra.take_text(content)
            if deltas is None:
                return
            if self._half or "\ud800" <= content[-1] <= "\udbff":
                content = self._whole_pairs(content)
            if content:
                deltas.append(TextDelta(sendable_text(content)))
            return
        if not isinstance(content, list):
            raise broken("has content that is neither text nor a list", self.provider)
        said, thought = self.extra.take_parts(content, "".join(self.texts))
        if thought and deltas is not None:
            deltas.append(ReasoningDelta(sendable_text(thought)))
        if said:
            self.texts.append(said)
            if deltas is not None:
                deltas.append(TextDelta(sendable_text(said)))

    def _whole_pairs(self, content: str) -> str:
        content = self._half + content
        self._half = content[-1] if "\ud800" <= content[-1] <= "\udbff" else ""
        return content.removesuffix(self._half)

    def _take_calls(self, calls: Any, deltas: list[Delta] | None) -> None:
        if not isinstance(calls, list):
            raise broken("has tool calls that are no list", self.provider)
        for call in calls:
            if not isinstance(call, dict):
                raise broken("has a tool call that is no JSON object", self.provider)
            if deltas is None:
                self.calls.take_whole(call)
            else:
                place, name, arguments = self.calls.take(call)
                deltas.append(CallDelta(place, sendable_text(name), sendable_text(arguments)))

    def reply(self) -> Reply:
        """The reply, if it is one. Raises `BadReply` if it is empty."""
        said = sendable_text("".join(self.texts)) if self.texts else None
        refusal = sendable_text("".join(self.refusals)) if self.refusals else None
        cut = self.finish in CUT
        calls: tuple[Call, ...] = () if cut else self.calls.all()
        if not (said or calls or refusal or cut):
            raise broken("is empty", self.provider)
        return Reply(said, calls, self.finish, refusal, chat_usage(self.usage), self.model, self.extra.all(), self.dialect)


def _groq_usage(beside: Any) -> Any:
    """Where Groq writes the counts of a stream."""
    return beside.get("usage") if isinstance(beside, dict) else None

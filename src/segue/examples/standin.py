"""The engine of the examples' stand-ins: small readable rules in the place of an LLM.
A rule looks at a `Scene` (what the customer said, the tools on offer, what they answered) and makes a move or passes.
The engine never calls a tool twice alike, nor endlessly, for one message of the customer: so every conversation comes to an end.
"""

import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from segue.core.messages import Assistant, Call, Content, Message, Reply, ToolAnswer, User
from segue.model import CallDelta, Delta, ModelRequest, Restarted, TextDelta

MOST_CALLS = 8


class Answer(NamedTuple):
    """A tool call and what came of it."""

    tool: str
    arguments: dict[str, Any]
    content: str


class Say(NamedTuple):
    """The move of speaking."""

    text: str


class Use(NamedTuple):
    """The move of calling a tool."""

    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scene:
    """What a rule may look at. Messages are in order; `answers` are those since the customer spoke last."""

    customer: Sequence[str]
    spoken: Sequence[str]
    answers: Sequence[Answer]
    tools: frozenset[str]

    @property
    def said(self) -> str:
        """What the customer said last."""
        return self.customer[-1] if self.customer else ""

    @property
    def last_spoken(self) -> str:
        """What was last said to the customer."""
        return self.spoken[-1] if self.spoken else ""

    def hears(self, *phrases: str) -> bool:
        """Say whether the customer's last message holds one of the phrases, as whole words; `*` stands for an ending."""
        return mentions(self.said, phrases)

    def answer(self, tool: str) -> Answer | None:
        """Give the latest answer of a tool since the customer spoke last; `None` if it was not called."""
        return next((answer for answer in reversed(self.answers) if answer.tool == tool), None)


Rule = Callable[[Scene], Say | Use | None]


class StandIn:
    """A model made of rules: the first rule that makes a possible move decides; `otherwise` is said if none does."""

    def __init__(self, name: str, rules: Iterable[Rule], *, otherwise: str) -> None:
        self._name = name
        self._rules = tuple(rules)
        self._otherwise = otherwise

    @property
    def name(self) -> str:
        """The stand-in's name, which says that it is scripted."""
        return self._name

    async def reply(self, request: ModelRequest) -> AsyncIterator[Delta | Restarted | Reply]:
        """Make one move."""
        match self._move(look(request)):
            case Say(text):
                if request.stream:
                    for piece in re.findall(r"\S+\s*", text):
                        yield TextDelta(piece)
                yield Reply(text, finish="stop", model=self._name)
            case Use(tool, arguments):
                call = Call(f"call_{1 + sum(_calls_in(request.messages))}", tool, json.dumps(arguments))
                if request.stream:
                    yield CallDelta(0, tool, call.arguments)
                yield Reply(None, (call,), finish="tool_calls", model=self._name)

    def _move(self, scene: Scene) -> Say | Use:
        done = [(answer.tool, answer.arguments) for answer in scene.answers]
        for rule in self._rules:
            match rule(scene):
                case Say() as say:
                    return say
                case Use(tool, arguments) as use if tool in scene.tools and len(done) < MOST_CALLS and (tool, arguments) not in done:
                    return use
                case _:
                    continue
        return Say(self._otherwise)


def look(request: ModelRequest) -> Scene:
    """Take from a request what rules may look at."""
    customer: list[str] = []
    spoken: list[str] = []
    answers: list[Answer] = []
    calls: dict[str, Call] = {}
    for message in request.messages:
        match message:
            case User(content):
                customer.append(_text(content))
                answers = []
            case Assistant(text, made):
                if text:
                    spoken.append(text)
                calls |= {call.id: call for call in made}
            case ToolAnswer(call_id, name, content):
                answers.append(Answer(name, _arguments(calls.get(call_id)), _text(content)))
            case _:
                continue
    return Scene(customer, spoken, answers, frozenset(tool.name for tool in request.tools))


def mentions(text: str, phrases: Iterable[str]) -> bool:
    """Say whether a text holds one of the phrases, as whole words; `*` at the end of a phrase stands for any ending."""
    pattern = "|".join(re.escape(phrase).replace(r"\*", r"\w*") for phrase in phrases)
    return re.search(rf"(?<!\w)(?:{pattern})(?!\w)", text.lower()) is not None


def _calls_in(messages: Sequence[Message]) -> Iterable[int]:
    return (len(message.calls) for message in messages if isinstance(message, Assistant))


def _arguments(call: Call | None) -> dict[str, Any]:
    try:
        value = json.loads(call.arguments) if call else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _text(content: Content) -> str:
    if isinstance(content, str):
        return content
    return " ".join(str(part.get("text", "")) for part in content if part.get("type") == "text")

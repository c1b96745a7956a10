"""`Swarm.run`, with Swarm's arguments and answers.
The loop is the Runner's; here it is watched, told in Swarm's form, and left where Swarm would have stopped."""

import copy
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, overload

from segue.core.conversation import Conversation
from segue.core.events import DriveStarted, Event, ModelReplied, Outcome, ToolFailed, ToolStarted
from segue.core.fold import apply
from segue.core.messages import Assistant, Message, ToolAnswer
from segue.core.view import new_messages
from segue.errors import UsageError
from segue.inputs import new_conversation
from segue.model import CallDelta, Model, Restarted, TextDelta
from segue.models.resolve import model_from
from segue.runner import Runner
from segue.streams import Stream
from segue.swarm.caller import Caller
from segue.swarm.cast import Cast
from segue.swarm.history import History, read
from segue.swarm.types import Agent, Response
from segue.swarm.util import debug_print
from segue.wire.chat_messages import as_chat

Messages = Sequence[Mapping[str, Any]]
Chunks = Iterator[dict[str, Any]]


class Swarm:
    """Runs Swarm's agents; it keeps nothing between runs.

    `client`: anything with `chat.completions.create`, used as it is. Without one, a model's name is found as elsewhere in
    Segue: by `OPENAI_API_KEY` and `OPENAI_BASE_URL`, or by the provider in "provider:model".
    """

    def __init__(self, client: Any = None) -> None:
        self.client = client

    @overload
    def run(
        self,
        agent: Agent,
        messages: Messages,
        context_variables: Mapping[Any, Any] = ...,
        model_override: str | Model | None = ...,
        stream: Literal[False] = ...,
        debug: bool = ...,
        max_turns: float = ...,
        execute_tools: bool = ...,
    ) -> Response: ...
    @overload
    def run(
        self,
        agent: Agent,
        messages: Messages,
        context_variables: Mapping[Any, Any] = ...,
        model_override: str | Model | None = ...,
        stream: bool = ...,
        debug: bool = ...,
        max_turns: float = ...,
        execute_tools: bool = ...,
    ) -> Any: ...
    def run(
        self,
        agent: Agent,
        messages: Messages,
        context_variables: Mapping[Any, Any] | None = None,
        model_override: str | Model | None = None,
        stream: bool = False,
        debug: bool = False,
        max_turns: float = float("inf"),
        execute_tools: bool = True,
    ) -> Any:
        """Run until an agent answers without calling a function, and give a `Response`.

        `max_turns`: no model is asked once so many messages have been added. `execute_tools=False`: stop at the first
        message that asks for calls, before any is made. `stream=True`: give `run_and_stream`'s iterator instead. Raises
        `ProviderError` where the model's side fails.
        """
        asked = _Asked(_checked(agent), read(messages), model_override, stream, debug, max_turns, execute_tools)
        chunks = self._chunks(asked, context_variables)
        if stream:
            return chunks
        *_, last = chunks
        return last["response"]

    def run_and_stream(
        self,
        agent: Agent,
        messages: Messages,
        context_variables: Mapping[Any, Any] | None = None,
        model_override: str | Model | None = None,
        debug: bool = False,
        max_turns: float = float("inf"),
        execute_tools: bool = True,
    ) -> Chunks:
        """Run and tell of it: `{"delim": "start"}`, a message's pieces, `{"delim": "end"}`; at last `{"response": Response}`.

        The pieces are chat-completions deltas; the first of a message has its `sender`. `{"restarted": attempt}` says that
        what came since the last start is void, and the message begins anew.
        """
        asked = _Asked(_checked(agent), read(messages), model_override, True, debug, max_turns, execute_tools)
        return self._chunks(asked, context_variables)

    def _chunks(self, asked: "_Asked", variables: Mapping[Any, Any] | None) -> Chunks:
        caller = Caller()
        cast = Cast(self.client, dict(copy.deepcopy(variables or {})), asked.history.system, caller)
        yield from caller.iterate(_Run(cast, asked).chunks)


def _checked(agent: Any) -> Agent:
    if isinstance(agent, Agent):
        return agent
    kind = type(agent)
    raise UsageError(
        f"Swarm().run needs the Agent of segue.swarm, not a {kind.__module__}.{kind.__name__}. Write `from segue.swarm import Agent`; "
        "an agent of segue is run by run or Runner: see docs/howto/from-swarm.md."
    )


class _Asked(NamedTuple):
    """What a run was asked for."""

    agent: Agent
    history: History
    override: str | Model | None
    listen: bool
    debug: bool
    max_turns: float
    execute_tools: bool


class _Run:
    """One run, watched: its events are folded here as the loop gives them out."""

    def __init__(self, cast: Cast, asked: _Asked) -> None:
        self._cast = cast
        self._asked = asked
        self._conversation = Conversation()
        self._before: int | None = None
        """How many of the run's messages had been there before it was driven; `None` until it is."""
        self._begun = False
        """Whether a message has begun and not ended."""

    async def chunks(self) -> AsyncGenerator[dict[str, Any]]:
        """Drive the run, and tell of it."""
        asked = self._asked
        runner = Runner(self._cast.enter(asked.agent))
        name = new_conversation()

        async def opening(*_: object) -> list[Event]:
            return asked.history.opening(name, runner.team.entry.name)

        override = model_from(self._cast.model(asked.override)) if asked.override else None
        async with runner.open(name, opening, model=override, listen=asked.listen) as stream:
            async for item in stream:
                for chunk in self._told(item):
                    yield chunk
                if isinstance(item, Event) and self._over(stream, item):
                    break
        yield {"response": self._response()}

    def _told(self, item: object) -> Iterable[dict[str, Any]]:
        match item:
            case TextDelta(text):
                return self._delta(content=text)
            case CallDelta(index, name, arguments):
                function = {"arguments": arguments, "name": name or None}
                return self._delta(tool_calls=[{"index": index, "id": None, "function": function, "type": "function"}])
            case Restarted(attempt):
                self._begun = False
                return [{"restarted": attempt}]
            case ModelReplied() if self._before is not None:
                first = [] if self._begun else self._delta(content=item.reply.text)
                self._begun = False
                return [*first, {"delim": "end"}]
            case _:
                return []

    def _delta(self, **said: Any) -> list[dict[str, Any]]:
        delta = {"content": None, "function_call": None, "refusal": None, "role": None, "tool_calls": None, **said}
        if self._begun:
            return [delta]
        self._begun = True
        sender = self._cast.agent(self._conversation.active).name
        return [{"delim": "start"}, {**delta, "role": "assistant", "sender": sender}]

    def _over(self, stream: Stream, event: Event) -> bool:
        """Take an event in, and say whether Swarm would stop here."""
        self._conversation = c = apply(self._conversation, event)
        if self._before is None:
            if not isinstance(event, DriveStarted):
                return False
            self._before = len(new_messages(c))
            return self._asked.max_turns <= 0
        if self._asked.debug:
            _debug(event)
        if c.turn is not None:
            return isinstance(event, ModelReplied) and not self._asked.execute_tools
        if not isinstance(event, Outcome):
            return False
        changed = self._cast.close_turn(c.active)
        if changed is not None:
            stream.join(changed)
        return len(new_messages(c)) - self._before >= self._asked.max_turns

    def _response(self) -> Response:
        c = self._conversation
        messages = new_messages(c)[self._before :]
        if c.turn is not None:
            reply, calls = c.turn.reply, tuple(slot.call for slot in c.turn.slots)
            messages.append(Assistant(reply.text, calls, c.turn.agent, None, reply.extra, reply.dialect))
        told = [self._message(message) for message in messages]
        return Response(messages=told, agent=self._cast.agent(c.active), context_variables=self._cast.variables)

    def _message(self, message: Message) -> dict[str, Any]:
        said = as_chat(message)
        if isinstance(message, Assistant):
            sender = self._cast.agent(message.agent).name
            return {"refusal": None, "function_call": None, "tool_calls": None, **said, "sender": sender}
        return {**said, "tool_name": message.name} if isinstance(message, ToolAnswer) else said


def _debug(event: Event) -> None:
    match event:
        case ModelReplied():
            debug_print(True, "Received completion:", as_chat(Assistant(event.reply.text, event.reply.calls)))
        case ToolStarted():
            debug_print(True, f"Processing tool call: {event.name} with arguments {event.arguments}")
        case ToolFailed():
            debug_print(True, event.words)
        case _:
            return

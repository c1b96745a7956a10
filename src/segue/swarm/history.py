"""The messages of a Swarm program, as the opening of a conversation.
Swarm takes any list of messages: one that begins with an agent, ends with a tool's answer, or holds system messages."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from segue.core.earlier import adopt
from segue.core.events import Event, InputGiven, ModelReplied, Started, ToolReturned, ToolStarted
from segue.core.limits import Limits
from segue.core.messages import NOTHING, Assistant, Message, Reply, System, ToolAnswer, User
from segue.errors import IllegalEvent, UsageError
from segue.wire.chat_messages import from_chat

NOTHING_SAID = User("(The user has said nothing new. Go on.)")
"""Stands for the user where the last word is an agent's, or nobody's: a run begins with an input."""

NO_LIMITS = Limits(turns=None, handoffs=None, repeats=None, tool_timeout=None, idle_timeout=600, run_timeout=None)
"""Swarm knows `max_turns` only; a stream may be silent for as long as OpenAI's own client waits."""


class History(NamedTuple):
    """`earlier`, then the user's input, then calls that were made and answered outside of Segue."""

    system: str
    earlier: Sequence[Message]
    said: User
    answered: Sequence[Message] = ()

    def opening(self, conversation: str, agent: str) -> list[Event]:
        """The events with which a conversation of these messages begins."""
        given = InputGiven(f"{conversation}/1", (self.said,), limits=NO_LIMITS.differences())
        events: list[Event] = [Started(conversation, agent, NOTHING, tuple(self.earlier)), given]
        turn = index = 0
        for message in self.answered:
            if isinstance(message, Assistant):
                turn, index = turn + 1, 0
                reply = Reply(message.text, message.calls, "tool_calls", extra=message.extra, dialect=message.dialect)
                events.append(ModelReplied(agent, reply))
                events += [ToolStarted(f"{turn}.{place}", call.name, call.arguments) for place, call in enumerate(message.calls)]
            elif isinstance(message, ToolAnswer):
                events.append(ToolReturned(f"{turn}.{index}", message.content))
                index += 1
        return events


def read(messages: Iterable[Mapping[str, Any]]) -> History:
    """Read chat-completions messages. Raises `UsageError` for what is none, and for calls without an answer."""
    read = from_chat(messages)
    system = "\n\n".join(message.content for message in read if isinstance(message, System))
    try:
        said, _ = adopt(message for message in read if not isinstance(message, System))
    except IllegalEvent as fault:
        raise UsageError(f"The messages are no history that a provider takes: {fault}") from None
    for place in range(len(said) - 1, -1, -1):
        message = said[place]
        if isinstance(message, User):
            return History(system, said[:place], message, said[place + 1 :])
        if isinstance(message, Assistant) and not message.calls:
            break
    return History(system, said, NOTHING_SAID)

"""Recorded conversations as scripts: what is said next, by whom, and what every request must hold.
A script may have handoffs put in between; it is played by a model and by tools that answer as recorded."""

import gzip
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from segue import Response
from segue.core.messages import NOTHING, Call, Reply, System
from segue.model import ModelRequest
from segue.wire.chat_messages import as_chat
from segue.wire.openai_chat import encode_request
from tests.data import DATA

AIRLINE = DATA / "tau_airline"

CLOSING = "The recording ends here."
"""What the model says when it is asked once more after the last recorded message."""

Chat = dict[str, Any]


class Recording(NamedTuple):
    """One recorded conversation, without its system message."""

    id: str
    instructions: str
    messages: list[Chat]
    repeats_ids: bool


class Part(NamedTuple):
    """An agent of a cast: what its requests must show, and which tool leads from it to which other agent."""

    instructions: str
    tools: list[str]
    leads: Mapping[str, str] = NOTHING


class Script(NamedTuple):
    """The messages in order, who is asked at each place (one more than there are messages), and where handoffs were put in."""

    messages: list[Chat]
    speakers: list[str]
    inserted: frozenset[int] = frozenset()


def airline() -> list[Recording]:
    """Read the recorded airline conversations; each message has at most one call, answered by the message behind it."""
    with gzip.open(AIRLINE / "conversations_gpt4o.jsonl.gz", "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    return [
        Recording(str(record["id"]), said[0]["content"], [_plain(message) for message in said[1:]], bool(record["duplicate_tool_call_ids"]))
        for record in records
        for said in [record["messages"]]
    ]


def _plain(message: Chat) -> Chat:
    """The message without the tool's name, which chat completions do not have in an answer."""
    return {key: value for key, value in message.items() if not (key == "name" and message["role"] == "tool")}


def call_of(message: Chat) -> Chat | None:
    """The one call of a message, if it has one."""
    calls = message.get("tool_calls")
    if not calls:
        return None
    (call,) = calls
    return call  # type: ignore[no-any-return]


def tool_names() -> list[str]:
    """The names of the recorded tools."""
    return [tool["function"]["name"] for tool in json.loads((AIRLINE / "tools.json").read_text(encoding="utf-8"))]


def directed(messages: Iterable[Chat], cast: Mapping[str, Part], entry: str) -> Script:
    """Put handoffs in before each call of a tool that the active agent lacks, along the shortest way to one that has it."""
    said: list[Chat] = []
    speakers: list[str] = []
    inserted: set[int] = set()
    active = entry
    for message in messages:
        call = call_of(message)
        if call is not None and call["function"]["name"] not in cast[active].tools:
            for target, transfer in _way(cast, active, call["function"]["name"]):
                inserted.add(len(said))
                said += _handoff(f"handoff_{len(said)}", transfer, target)
                speakers += [active, active]
                active = target
        said.append(message)
        speakers.append(active)
    return Script(said, [*speakers, active], frozenset(inserted))


def _handoff(call_id: str, transfer: str, target: str) -> list[Chat]:
    call = {"id": call_id, "type": "function", "function": {"name": transfer, "arguments": "{}"}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "content": f"Transferred to {target}. Adopt persona immediately."},
    ]


def _way(cast: Mapping[str, Part], start: str, tool: str) -> list[tuple[str, str]]:
    """The shortest way from an agent to one that has the tool: (agent, the tool that leads there) for each step."""
    waiting: deque[tuple[str, list[tuple[str, str]]]] = deque([(start, [])])
    met = {start}
    while waiting:
        agent, way = waiting.popleft()
        if tool in cast[agent].tools:
            return way
        for target, transfer in cast[agent].leads.items():
            if target not in met:
                met.add(target)
                waiting.append((target, [*way, (target, transfer)]))
    raise AssertionError(f"no way leads from {start} to {tool}")


def reply_of(message: Chat) -> Reply:
    """A recorded message of the assistant, as a model gives it."""
    call = call_of(message)
    if call is None:
        return Reply(message["content"], finish="stop")
    return Reply(message["content"], (Call(call["id"], call["function"]["name"], call["function"]["arguments"]),), "tool_calls")


class Replay:
    """One script while it is played: it gives the model's next message and the tools' next result, and looks at each request.

    What it does not find as recorded fails the run.
    """

    def __init__(self, conversation: str, script: Script, cast: Mapping[str, Part]) -> None:
        self.id = conversation
        self.script = script
        self.cast = cast
        self.ids: dict[int, str] = {}
        """The id under which the call at a place of the script is sent."""
        self.requests = 0
        self._place = 0
        """How many messages of the script were said."""
        self._begun = 0
        self._history: list[Chat] = []
        """What was said, with the ids that are sent."""

    def texts(self) -> Iterator[str]:
        """The user's messages, one by one; what was recorded before each must have been said."""
        for place, message in enumerate(self.script.messages):
            if message["role"] == "user":
                assert self._place == place, f"{self.id}: only {self._place} of {place} messages were said before the user's next"
                self._place = self._begun = place + 1
                yield message["content"]
        assert self._place == len(self.script.messages), f"{self.id}: the recording was not played to its end"

    def reply(self, request: ModelRequest) -> Reply:
        """Check a request, and give the assistant's message that was recorded next."""
        speaker = self.script.speakers[self._place]
        part = self.cast[speaker]
        assert request.agent == speaker
        assert [tool.name for tool in request.tools] == part.tools
        assert request.messages[0] == System(part.instructions)
        sent = [as_chat(message) for message in request.messages]
        self._remember(sent[1:])
        assert sent[1:] == self._history
        body = json.loads(encode_request(request, "gpt-4o"))
        assert body["messages"] == sent
        assert [tool["function"]["name"] for tool in body["tools"]] == part.tools
        self.requests += 1
        if self._place == len(self.script.messages):
            return Reply(CLOSING, finish="stop")
        message = self.script.messages[self._place]
        assert message["role"] == "assistant"
        self._place += 2 if self._place in self.script.inserted else 1  # nobody asks here for the answer to a handoff
        return reply_of(message)

    def _remember(self, sent: list[Chat]) -> None:
        """Add what was said since the last request to the history, under the ids that are seen now for the first time."""
        for place in range(len(self._history), self._place):
            message = self.script.messages[place]
            if call := call_of(message):
                shown = call_of(sent[place])
                assert shown is not None
                self.ids[place] = shown["id"]
                message = message | {"tool_calls": [call | {"id": shown["id"]}]}
            elif message["role"] == "tool":
                message = message | {"tool_call_id": self.ids[place - 1]}
            self._history.append(message)

    def answer(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Check a tool's call, and give the result that was recorded for it."""
        call = call_of(self.script.messages[self._place - 1])
        assert call is not None
        assert (name, arguments) == (call["function"]["name"], json.loads(call["function"]["arguments"]))
        result = self.script.messages[self._place]
        assert (result["role"], result["tool_call_id"]) == ("tool", call["id"])
        self._place += 1
        return str(result["content"])

    def heard(self, response: Response[Any]) -> str:
        """Check what came of the run that the user's last message began; returns all that the assistant said in it."""
        added = self.script.messages[self._begun : self._place]
        whole = len(added) and added[-1]["role"] == "assistant"
        said = [message["content"] or "" for message in added if message["role"] == "assistant"] + ([] if whole else [CLOSING])
        assert response.status == "done"
        assert response.output == said[-1]
        assert response.agent.name == self.script.speakers[self._place]
        assert [(m["role"], m["content"]) for m in response.messages] == [
            *((m["role"], m["content"]) for m in added),
            *([] if whole else [("assistant", CLOSING)]),
        ]
        return "".join(said)

    def check_ids(self) -> bool:
        """Check that calls were renamed one to one, and only where an id came again; tells whether any was."""
        recorded: set[str] = set()
        for place, sent in self.ids.items():
            call = call_of(self.script.messages[place])
            assert call is not None
            assert call["id"] in recorded or sent == call["id"]
            recorded.add(call["id"])
        assert len(set(self.ids.values())) == len(self.ids)
        return len(recorded) < len(self.ids)

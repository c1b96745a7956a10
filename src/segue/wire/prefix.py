"""A request's bytes, kept: so that a call costs what is new in it, and not what was said and asked before.
Messages are never changed once made; whether one is still the same is a question of identity."""

from collections.abc import Callable, Sequence
from operator import is_
from typing import Any

from segue.core.messages import Message, System
from segue.model import ModelRequest

HEADS = 64
"""How many heads are kept for a model; instructions may be new in each conversation."""


class Codec:
    """How requests to one model are written: what comes before the messages, and each message.

    `head` makes the first bytes from the instructions (`None` without any) and the request. `encode` makes those of the
    message at a place among the others; empty bytes for one that does not stand in the list. Heads are kept, for all
    conversations: an agent's tools and instructions are mostly the same in each.
    """

    __slots__ = ("_heads", "_make", "encode")

    def __init__(self, head: Callable[[str | None, ModelRequest], bytes], encode: Callable[[Sequence[Message], int], bytes]) -> None:
        self.encode = encode
        self._make = head
        self._heads: dict[tuple[int, str | None, bool], tuple[Any, Any, Any, bytes]] = {}

    def head(self, instructions: str | None, request: ModelRequest) -> bytes:
        """The bytes before the messages."""
        key = (id(request.tools), instructions, request.stream)
        known = self._heads.get(key)
        if known is not None and known[0] is request.tools and known[1] is request.settings and known[2] is request.output:
            return known[3]
        made = self._make(instructions, request)
        if len(self._heads) >= HEADS:
            self._heads.clear()
        self._heads[key] = (request.tools, request.settings, request.output, made)
        return made


class Kept:
    """The bytes of the messages so far, for one agent and one codec."""

    __slots__ = ("_buffer", "_codec", "_ends", "_messages")

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._messages: list[Message] = []
        self._ends: list[int] = []
        self._buffer = bytearray()

    def of(self, request: ModelRequest) -> tuple[bytes, bytearray, Sequence[Message]]:
        """The head, the messages' bytes with commas between them (not to be changed), and the messages without instructions."""
        messages = request.messages
        instructions = None
        if messages and isinstance(first := messages[0], System):
            instructions = first.content
            messages = messages[1:]
        head = self._codec.head(instructions, request)
        self._go_on(messages)
        return head, self._buffer, messages

    def _go_on(self, messages: Sequence[Message]) -> None:
        """Encode what is new and forget what is gone."""
        same = self._same(messages)
        if same < len(self._messages):
            del self._messages[same:]
            del self._ends[same:]
            del self._buffer[self._ends[-1] if same else 0 :]
        for place in range(same, len(messages)):
            if encoded := self._codec.encode(messages, place):
                if self._buffer:
                    self._buffer += b","
                self._buffer += encoded
            self._messages.append(messages[place])
            self._ends.append(len(self._buffer))

    def _same(self, messages: Sequence[Message]) -> int:
        """How many messages at the beginning are those that were encoded."""
        known = self._messages
        if len(messages) >= len(known) and all(map(is_, known, messages)):
            return len(known)
        return next((place for place, (old, new) in enumerate(zip(known, messages, strict=False)) if old is not new), len(messages))

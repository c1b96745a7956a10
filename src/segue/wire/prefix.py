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
        self._heads: dict[Any, tuple[bytes, Any]] = {}

    def head(self, instructions: str | None, request: ModelRequest) -> bytes:
        """The bytes before the messages."""
        key = (id(request.tools), id(request.settings), id(request.output), instructions, request.stream)
        known = self._heads.get(key)
        if known is None:
            if len(self._heads) >= HEADS:
                self._heads.clear()
            of = (request.tools, request.settings, request.output)  # held, so that nothing else comes to have their ids
            known = self._heads[key] = (self._make(instructions, request), of)
        return known[0]


class Kept:
    """The bytes of the messages so far, for one agent and one codec."""

    __slots__ = ("_buffer", "_codec", "_ends", "_messages")

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._messages: list[Message] = []
        self._ends: list[int] = []
        self._buffer = bytearray()

    def of(self, request: ModelRequest) -> tuple[bytes, bytearray]:
        """The head, and the messages' bytes with commas between them (not to be changed)."""
        messages = request.messages
        instructions = None
        if messages and isinstance(first := messages[0], System):
            instructions = first.content
            messages = messages[1:]
        head = self._codec.head(instructions, request)
        self._go_on(messages)
        return head, self._buffer

    def _go_on(self, messages: Sequence[Message]) -> None:
        """Encode what is new, after what is gone was forgotten."""
        known, ends, buffer = self._messages, self._ends, self._buffer
        if len(messages) < len(known) or not all(map(is_, known, messages)):
            self._forget(messages)
        for place in range(len(known), len(messages)):
            if encoded := self._codec.encode(messages, place):
                if buffer:
                    buffer += b","
                buffer += encoded
            known.append(messages[place])
            ends.append(len(buffer))

    def _forget(self, messages: Sequence[Message]) -> None:
        """Forget what is not the same in these messages any more, and all after it."""
        known = self._messages
        same = next((place for place, (old, new) in enumerate(zip(known, messages, strict=False)) if old is not new), len(messages))
        del known[same:]
        del self._ends[same:]
        del self._buffer[self._ends[-1] if same else 0 :]

"""A request's bytes, kept: so that a call costs what is new in it, and not what was said and asked before.
Messages are never changed once made; whether one is still the same is a question of identity."""

from collections.abc import Callable, Sequence
from operator import is_
from typing import Any

from segue.core.messages import Message, System
from segue.model import ModelRequest


class Kept:
    """The bytes that calls of one agent with one model have in common: a head, and the messages so far.

    `head` makes the first bytes from the instructions (`None` without any) and the request. `encode` makes those of the
    message at a place among the others; empty bytes for one that does not stand in the list.
    """

    def __init__(self, head: Callable[[str | None, ModelRequest], bytes], encode: Callable[[Sequence[Message], int], bytes]) -> None:
        self._make_head = head
        self._encode = encode
        self._head = b""
        self._instructions: str | None = None
        self._asked: tuple[Any, ...] = ()
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
        asked = (request.tools, request.settings, request.output)
        if self._is_new(instructions, request.stream, asked):
            self._head = self._make_head(instructions, request)
            self._instructions, self._asked = instructions, (*asked, request.stream)
        self._go_on(messages)
        return self._head, self._buffer, messages

    def _is_new(self, instructions: str | None, stream: bool, asked: tuple[Any, ...]) -> bool:
        if not self._asked or instructions != self._instructions or stream is not self._asked[-1]:
            return True
        return not all(map(is_, self._asked, asked))

    def _go_on(self, messages: Sequence[Message]) -> None:
        """Encode what is new and forget what is gone."""
        same = self._same(messages)
        if same < len(self._messages):
            del self._messages[same:]
            del self._ends[same:]
            del self._buffer[self._ends[-1] if same else 0 :]
        for place in range(same, len(messages)):
            if encoded := self._encode(messages, place):
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

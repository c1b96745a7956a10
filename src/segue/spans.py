"""Live OpenTelemetry spans around what is performed; nothing without a tracer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from segue.core.messages import Reply
from segue.model import ModelRequest


@contextmanager
def chat(name: str, request: ModelRequest) -> Iterator[Any]:
    """One model call."""
    yield None


def failed(span: Any, error: BaseException) -> None:
    """Mark a span as failed."""


def replied(span: Any, reply: Reply) -> None:
    """Write down what a reply cost."""

"""A model that is several."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from segue.core.messages import Reply, User
from segue.errors import ContextTooLong, ProviderError, ProviderRefused, RateLimited, UsageError
from segue.model import ModelRequest, Restarted, TextDelta
from segue.models import FallbackModel


class Scripted:
    """Yields its pieces, and raises those that are errors."""

    def __init__(self, name: str, *pieces: Any) -> None:
        self.name = name
        self.pieces = pieces
        self.asked = 0

    async def reply(self, request: ModelRequest) -> AsyncIterator[Any]:
        self.asked += 1
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece


A, B = Reply("a"), Reply("b")


async def ask(*models: Scripted) -> list[Any]:
    return [piece async for piece in FallbackModel(*models).reply(ModelRequest([User("Hi")], stream=True))]  # type: ignore[arg-type]


async def test_the_first_that_can_answer_does():
    first, second = Scripted("a", TextDelta("a"), A), Scripted("b", B)
    assert await ask(first, second) == [TextDelta("a"), A]
    assert second.asked == 0


FALLS = [
    RateLimited("x", status=429),
    ProviderError("x"),
    ContextTooLong("x", status=400),
    ProviderRefused("x", status=401),
    ProviderRefused("x", status=404, code="model_not_found"),
    ProviderRefused("x", status=400, code="model_not_found"),
]


@pytest.mark.parametrize("error", FALLS)
async def test_the_next_one_answers_where_one_cannot(error: ProviderError):
    assert await ask(Scripted("a", error), Scripted("b", error), Scripted("c", B)) == [B]


@pytest.mark.parametrize(
    "error", [ProviderRefused("x", status=400), ProviderRefused("x", status=422, code="invalid"), UsageError("x"), ValueError()]
)
async def test_a_request_that_is_at_fault_itself_goes_to_nobody_else(error: Exception):
    second = Scripted("b", B)
    with pytest.raises(type(error)):
        await ask(Scripted("a", error), second)
    assert second.asked == 0


async def test_who_saw_pieces_is_told_to_drop_them():
    first = Scripted("a", TextDelta("x"), Restarted(2), TextDelta("y"), ProviderError("x"))
    second = Scripted("b", TextDelta("z"), Restarted(2), B)
    assert await ask(first, second) == [TextDelta("x"), Restarted(2), TextDelta("y"), Restarted(3), TextDelta("z"), Restarted(4), B]
    assert await ask(Scripted("a", TextDelta("x"), Restarted(2), ProviderError("x")), Scripted("b", B)) == [TextDelta("x"), Restarted(2), B]


async def test_the_last_error_is_raised_where_nobody_can_answer():
    with pytest.raises(RateLimited):
        await ask(Scripted("a", ProviderError("x")), Scripted("b", RateLimited("y")))


def test_it_bears_the_first_models_name():
    assert FallbackModel(Scripted("a"), Scripted("b")).name == "a"  # type: ignore[arg-type]
    assert repr(FallbackModel(Scripted("a"))).startswith("FallbackModel(")  # type: ignore[arg-type]


def test_only_models_can_stand_in():
    with pytest.raises(UsageError, match="takes models, not str"):
        FallbackModel(Scripted("a"), "openai:gpt-5-mini")  # type: ignore[arg-type]

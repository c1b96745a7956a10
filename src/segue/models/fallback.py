"""A model that is several: the next one answers where the one before cannot."""

from collections.abc import AsyncGenerator

from segue.core.messages import Reply
from segue.errors import ProviderError, ProviderRefused, UsageError
from segue.model import Delta, Model, ModelRequest, Restarted

_ABOUT_THE_MODEL = {"model_not_found", "invalid_model", "unsupported_value", "unsupported_parameter", "unsupported_model"}


class FallbackModel:
    """The first model that can answer does, in the order in which they are named.

    The next one is asked on every `ProviderError` (a conversation too long for one model may fit another), except where the
    request itself is at fault: a 400 or 422 that does not speak of the model. If nobody answers, the last error is raised.
    """

    def __init__(self, first: Model, *others: Model) -> None:
        for model in (first, *others):
            if not isinstance(model, Model):
                raise UsageError(f"FallbackModel takes models, not {type(model).__name__}. Make one with model_from(...).")
        self._models = (first, *others)

    @property
    def name(self) -> str:
        """The first model's name."""
        return self._models[0].name

    def __repr__(self) -> str:
        return f"FallbackModel({', '.join(map(repr, self._models))})"

    async def reply(self, request: ModelRequest) -> AsyncGenerator[Delta | Restarted | Reply]:
        """Yield what the model that answers yields; `Restarted` if pieces of another one's reply were shown."""
        attempt = 1
        shown = False
        for place, model in enumerate(self._models):
            pieces = model.reply(request)
            try:
                async for piece in pieces:
                    shown = not isinstance(piece, Restarted)
                    if not shown:
                        attempt += 1
                        piece = Restarted(attempt)
                    yield piece
                return
            except ProviderError as error:
                if place == len(self._models) - 1 or _is_the_requests_fault(error):
                    raise
            finally:
                if isinstance(pieces, AsyncGenerator):
                    await pieces.aclose()
            if shown:
                attempt += 1
                shown = False
                yield Restarted(attempt)


def _is_the_requests_fault(error: ProviderError) -> bool:
    return isinstance(error, ProviderRefused) and error.status in (400, 422) and getattr(error, "code", "") not in _ABOUT_THE_MODEL

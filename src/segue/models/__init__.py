"""What replies: carriers of the wire formats, and stand-ins. Each is imported when it is asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers; a program pays only for what it uses
    from segue.models.fallback import FallbackModel
    from segue.models.openai import OpenAIChat, OpenAIResponses
    from segue.models.resolve import model_from

__all__ = ["FallbackModel", "OpenAIChat", "OpenAIResponses", "model_from"]

_HOME = {
    "FallbackModel": "segue.models.fallback",
    "OpenAIChat": "segue.models.openai",
    "OpenAIResponses": "segue.models.openai",
    "model_from": "segue.models.resolve",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'segue.models' has no attribute {name!r}")

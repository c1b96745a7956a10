"""Forbids requests to real models, for tests. It holds for the whole process, threads and event loops included.
Carriers ask before they send; models that send nothing (scripted, function, replay) never ask."""

import threading
from typing import Self

from segue.errors import UsageError
from segue.models import carrier

_lock = threading.Lock()
_rules: list["_Rule"] = []
"""What was said last holds."""


class _Rule:
    """Holds from when it is made until it is left, or for the rest of the process."""

    def __init__(self, *, denies: bool) -> None:
        self.denies = denies
        with _lock:
            _rules.append(self)
            carrier.watcher = check

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with _lock:
            if self in _rules:
                _rules.remove(self)
            if not _rules:
                carrier.watcher = None


def deny_model_requests() -> _Rule:
    """Refuse every request to a real model, with a `UsageError`: in a `with` block, or from now on if it is only called."""
    return _Rule(denies=True)


def allow_model_requests() -> _Rule:
    """Let requests through in a `with` block inside of `deny_model_requests`."""
    return _Rule(denies=False)


def check(host: str) -> None:
    """Raise `UsageError` if requests are denied now."""
    with _lock:
        denied = bool(_rules) and _rules[-1].denies
    if denied:
        raise UsageError(
            f"A request was about to be sent to {host}, and deny_model_requests() forbids it. Give the run a ScriptedModel, "
            "replay a recording with ReplayModel, or wrap what may ask a real model in allow_model_requests()."
        )

"""Places in the user's code: module:attribute."""

from importlib import import_module
from typing import Any

from segue.errors import UsageError


def named(place: str) -> Any:
    """What stands at a place. Importing its module runs it."""
    module, _, attribute = place.partition(":")
    found: Any = import_module(module)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{place}: {module} has no {attribute!r}.")
        found = getattr(found, part)
    return found

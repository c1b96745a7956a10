"""The `.env` file: which variables are read from it, and when. It never changes what the environment has already."""

import os
import re
from pathlib import Path

from segue.errors import UsageError
from segue.models.resolve import PROVIDERS

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")
_KEYS = {name for provider in PROVIDERS.values() for name in provider.keys}
_URLS = {name: provider for provider in PROVIDERS.values() for name in provider.urls}

_read: set[str] = set()


def read_env_file(path: Path | None = None) -> None:
    """Take the variables of a `.env` file (in the current directory by default) that Segue knows: those of providers, and SEGUE_*.

    A base URL is not taken where the provider's key is in the environment already: a file that came with somebody's code
    must not have that key sent elsewhere. Raises `UsageError` for a file that cannot be read.
    """
    path = path or Path(".env")
    if not path.is_file():
        return
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read ({type(error).__name__}). Mend it, or take it away.") from error
    found = {name: value for name, value in variables(text).items() if name not in os.environ and _wanted(name)}
    os.environ.update(found)
    _read.update(found)


def _wanted(name: str) -> bool:
    if name in _URLS:
        return not any(os.environ.get(key) for key in _URLS[name].keys)
    return name in _KEYS or name == "OPENAI_MODEL" or name.startswith("SEGUE_")


def variables(text: str) -> dict[str, str]:
    """The KEY=VALUE lines of a text. Values may stand in quotes; ` #` begins a comment where they do not."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        name, value = match.groups()
        quoted = re.match(r"""(["'])(.*?)\1""", value)
        found[name] = quoted[2] if quoted else re.split(r"\s#", value)[0].strip()
    return found


def where(name: str) -> str:
    """A variable as people are told of it, with the file it came from."""
    return f"{name} (from .env)" if name in _read else name

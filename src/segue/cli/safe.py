"""Text from models, tools and users on its way to a terminal or a pipe: what could steer a terminal is shown instead.
Nothing here decides what is printed."""

import json
import re
from typing import Any

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # everything that steers, but tab and line feed
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # marks that turn the direction of writing, and other line ends
    "\ud800-\udfff]"  # halves of a pair, which no terminal can be sent
)


def visible(text: str) -> str:
    r"""The text with control characters written out: ESC becomes `\x1b`, and does nothing."""
    return _UNSAFE.sub(_escaped, text) if not text.isascii() or _UNSAFE.search(text) else text


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def json_text(value: Any, *, indent: int | None = None) -> str:
    """JSON that people can read and no terminal obeys."""
    return json_visible(json.dumps(value, ensure_ascii=False, indent=indent, default=str))


def json_visible(text: str) -> str:
    """A JSON text with what could steer a terminal written as JSON escapes: it is still JSON, and means the same."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)

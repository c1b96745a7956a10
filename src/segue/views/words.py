"""How calls, times and counts are written in one line, wherever a conversation is told. Text in, text out."""

import json
from datetime import datetime

from segue.core.messages import Usage

CUT = "…"


def call_words(name: str, arguments: str, limit: int | None = None) -> str:
    """A call as a line of code: `look_up_item(search_query="boots")`. Arguments that are no JSON object stand as they came."""
    try:
        values = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        values = None
    if isinstance(values, dict):
        inner = ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in values.items())
    else:
        inner = arguments
    return one_line(f"{name}({inner})", limit)


def one_line(text: str, limit: int | None = None, *, indent: int = 0) -> str:
    """Text without line breaks, cut to a length with a mark that says so, behind some blanks."""
    line = " ".join(text.split())
    if limit is not None and len(line) > limit:
        line = line[: max(0, limit - len(CUT))].rstrip() + CUT
    return " " * indent + line


def duration(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 59.95 else f"{int(seconds + 0.5) // 60} min {int(seconds + 0.5) % 60:02} s"


def counted(number: int, thing: str, things: str = "") -> str:
    """A number with its noun."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def tokens(usage: Usage) -> str:
    """What a model read and wrote; says so where nobody counted."""
    if not usage.total:
        return "no tokens counted"
    cached = f" ({usage.cached:,} cached)" if usage.cached else ""
    return f"{usage.input:,} tokens in{cached}, {usage.output:,} out"


_LAST_DAY = 253_402_128_000.0
"""Near the end of the year 9999, the last that a calendar here has."""


def moment(at: float) -> str:
    """A time since the epoch as a date and a time of day, where this machine is."""
    return datetime.fromtimestamp(min(max(at, 0.0), _LAST_DAY)).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def age(seconds: float) -> str:
    """How long ago, in the largest unit that fits."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"

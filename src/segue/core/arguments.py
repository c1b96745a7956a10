"""The arguments of a tool call as JSON: read strictly, written canonically (R4).
Nothing here knows the tool's parameters; that a text is a sound JSON object is all that is decided.
A text that is refused is never guessed at: a call with mended arguments is a call nobody asked for."""

import hashlib
import json
import math
import re
from collections import Counter
from json.encoder import encode_basestring
from typing import Any, NoReturn

from segue.core.messages import Json, sendable_text
from segue.errors import ArgumentsRefused, UsageError

MAX_BYTES = 64 * 1024
MAX_LEVELS = 32

_WHITE = " \t\n\r"
# A string is taken whole, closed or not, and without backtracking: hostile text must not cost more than its length.
_STRUCTURE = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)


def parse(text: str) -> dict[str, Json]:
    """Read the arguments of a call; an empty or blank text is a call without arguments.

    Raises `ArgumentsRefused` for what is not one sound JSON object. Lone surrogates become U+FFFD.
    """
    if not text.isascii() or len(text) > MAX_BYTES:
        _check_size(text)
        text = sendable_text(text)
    if not text or text.isspace():
        return {}
    if text.count("{") + text.count("[") > MAX_LEVELS:
        _check_levels(text)
    try:
        value = _decoded(text)
    except json.JSONDecodeError as error:
        _refuse_syntax(text, error)
    except ValueError as error:
        _refuse("a number has too many digits", error)
    if type(value) is not dict:
        _refuse(f"expected a JSON object, got {_NAMES[type(value)]}")
    if "\\u" in text:
        value = _mended(value)
    return value  # type: ignore[no-any-return]


def canonical(value: Json) -> str:
    """Write a JSON value in its one canonical form (RFC 8785, JCS).

    Keys are sorted by UTF-16 code units, numbers are written as JavaScript writes them, so that `5` and `5.0` are one.
    JCS knows only doubles; here an integer beyond 2**53 keeps all its digits, so that two long ids never become one.
    Lone surrogates become U+FFFD. What is not JSON (NaN, Infinity, keys that are not text, other types) is a `UsageError`.
    """
    return sendable_text(_written(value))


def digest(canonical_text: str) -> str:
    """Give the SHA-256 of a canonical text, in hexadecimal digits."""
    return hashlib.sha256(canonical_text.encode()).hexdigest()


def _refuse(words: str, cause: Exception | None = None) -> NoReturn:
    message = f"The arguments cannot be read, so nothing was run: {words}."
    raise ArgumentsRefused(message, fields=(("", words),)) from cause


def _refuse_syntax(text: str, error: json.JSONDecodeError) -> NoReturn:
    place = f"line {error.lineno}, column {error.colno}"
    if not text[error.pos :].strip(_WHITE) or error.msg.startswith("Unterminated string"):
        _refuse(f"the JSON ends too early, or a string is not closed: {error.msg} ({place})", error)
    _refuse(f"invalid JSON: {error.msg} ({place})", error)


def _check_size(text: str) -> None:
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        _refuse(f"they are larger than {MAX_BYTES // 1024} KiB")


def _check_levels(text: str) -> None:
    """Count the nesting before the parser meets it: it would recurse."""
    level = 0
    for match in _STRUCTURE.finditer(text):
        mark = match[0]
        if mark in "{[":
            level += 1
            if level > MAX_LEVELS:
                _refuse(f"they are nested deeper than {MAX_LEVELS} levels")
        elif mark in "}]":
            level -= 1


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result = dict(pairs)
    if len(result) != len(pairs):
        key = Counter(key for key, _ in pairs).most_common(1)[0][0]
        _refuse(f"the key {json.dumps(key)} is there twice")
    return result


def _constant(word: str) -> NoReturn:
    _refuse(f"{word} is not a JSON number")


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        _refuse("a number is too large")
    return number


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
# what `decode` calls, and twice as fast without its regular expressions
_scan: Any = _decoder.scan_once  # type: ignore[attr-defined]


def _decoded(text: str) -> Json:
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        return _decoder.decode(text)  # it skips white space, or raises and says where
    if end == len(text) or not text[end:].strip(_WHITE):
        return value
    return _decoder.decode(text)


_NAMES: dict[type, str] = {
    list: "an array", str: "a string", int: "a number", float: "a number", bool: "true or false", type(None): "null",
}  # fmt: skip


def _mended(value: Json) -> Json:
    """Replace lone surrogates that came as escapes, in keys as in values."""
    match value:
        case str():
            return sendable_text(value)
        case list():
            return [_mended(item) for item in value]
        case dict():
            return _object([(sendable_text(key), _mended(item)) for key, item in value.items()])
        case _:
            return value


def _written(value: Json) -> str:
    match value:
        case str():
            return encode_basestring(value)
        case dict():
            return "{" + ",".join([f"{encode_basestring(key)}:{_written(value[key])}" for key in _sorted(value)]) + "}"
        case None:
            return "null"
        case True:
            return "true"
        case False:
            return "false"
        case int():
            return int.__repr__(value)
        case float():
            return _es6(value)
        case list() | tuple():
            return "[" + ",".join([_written(item) for item in value]) + "]"
        case _:
            raise UsageError(f"{type(value).__name__} is not a JSON value")


def _sorted(keys: dict[str, Json]) -> list[str]:
    try:
        if "".join(keys).isascii():
            return sorted(keys)
    except TypeError as error:
        raise UsageError("the keys of a JSON object are text") from error
    return sorted(keys, key=lambda key: key.encode("utf-16-be", "surrogatepass"))


def _es6(number: float) -> str:
    """Write a double as ECMAScript's Number::toString does; Python finds the same shortest digits."""
    if not math.isfinite(number):
        raise UsageError(f"{number} is not a JSON value")
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = float.__repr__(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(digits)
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return f"{sign}{digits}{'0' * (point - count)}"
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = f"{point - 1:+d}"
    return f"{sign}{digits[0]}e{power}" if count == 1 else f"{sign}{digits[0]}.{digits[1:]}e{power}"

"""What a provider's failure means, as an error of ours.
Of the provider's own words only short codes are kept: bodies may hold keys, prompts and pages of HTML."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from segue.core.messages import Json
from segue.errors import BadReply, ContextTooLong, ProviderError, ProviderRefused, ProviderTimeout, RateLimited
from segue.wire.jsontext import loads

_CODE = re.compile(r"[A-Za-z][A-Za-z_]{0,63}|[0-9]{1,6}")
_PARAM = re.compile(r"[a-z][a-z_]{0,30}([.\[][a-z0-9_]{1,30}\]?){0,6}")
_TOO_LONG = (
    "context_length_exceeded",
    "exceed_context_size",
    "context length",
    "context window",
    "context size",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "input token count",
    "reduce the length of the messages",
    "maximum number of tokens",
    "max_context",
)
_QUOTA = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
_MODEL_FAULT = {"tool_use_failed", "output_parse_failed"}
_REFUSALS = ("invalid_request", "invalid_api_key", "authentication", "permission", "not_found", "unsupported", "invalid_model")
_HINTS = {
    400: "Look at the model's name, the settings and the tools' schemas",
    401: "Look at the API key",
    402: "Look at the account's balance",
    403: "Look at the API key and what it may use",
    404: "Look at the model's name and the base URL",
    405: "Look at the base URL",
    413: "Send less",
    422: "Look at the settings and the tools' schemas",
}
_MONTHS = {"JanFebMarAprMayJunJulAugSepOctNovDec"[3 * at : 3 * at + 3].lower(): at + 1 for at in range(12)}
_DATE = re.compile(r"\w{3}, (\d{2}) (\w{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT", re.ASCII)


def error_from(
    status: int, body: bytes, headers: Mapping[str, str], *, provider: str = "", now: float | None = None, url: str = ""
) -> ProviderError:
    """The error that an HTTP answer with this status means. `headers` has lower-case names; `now` is seconds since the epoch.

    `url` is where the request went; the words show it without what may be secret.
    """
    try:
        said = loads(body)
    except ValueError:
        said = None
    return error_of(said, provider=provider, status=status, retry_after=retry_after(headers, now), url=url)


def error_of(
    said: Json, *, provider: str = "", status: int | None = None, retry_after: float | None = None, url: str = ""
) -> ProviderError:
    """The error that an error object means: in an answer's body, in a reply that calls itself good, or in a stream."""
    codes, words = _codes_and_words(said)
    if status is None or status < 300:
        status = next((int(code) for code in codes if code.isdigit() and 400 <= int(code) <= 599), None)
    kind, retryable, meaning, mend = _meaning(status, codes, words)
    place = public_url(url)
    if status in (404, 405) and kind is ProviderRefused and not _is_own(said):
        mend = "Look at the base URL" if "/v1" in place else "Look at the base URL: it usually ends in /v1"
    told = [f"HTTP {status}"] if status else []
    told += [code for code in codes if code != str(status)]
    shown = ", ".join([*told, f"at {place}"] if place else told)
    param = _param(said)
    about = f" about {param}" if param else ""
    text = f"{provider or 'The provider'} {meaning}{f' ({shown})' if shown else ''}{about}. {mend}."
    code = next((code for code in codes if not code.isdigit()), codes[0] if codes else "")
    error = kind(text, provider=provider, status=status, code=code)
    error.retryable = retryable
    if isinstance(error, RateLimited):
        error.retry_after = retry_after
    return error


def broken(what: str, provider: str) -> BadReply:
    """A reply that cannot be used."""
    return BadReply(f"The reply of {provider or 'the provider'} {what}. Nothing of it was acted on.", provider=provider)


def public_url(url: str) -> str:
    """A URL as an error may show it: scheme, host, port and path, without user and query. Empty for what is no URL."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}{parts.path}"


def _is_own(said: Json) -> bool:
    """Whether an answer is an error of the API, and not of some other server or page at its address."""
    error = error_in(said) if isinstance(said, dict) else None
    return isinstance(error, str) or (isinstance(error, dict) and "message" in error)


def error_in(answer: Mapping[str, Json]) -> Json | None:
    """The error object of a body or an event, if it has one."""
    error = answer.get("error")
    if error:
        return error
    if answer.get("object") == "error" or answer.get("type") == "error":
        return answer
    return None


def retry_after(headers: Mapping[str, str], now: float | None) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `retry-after` (seconds, or a date if the time is given)."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    date = _DATE.fullmatch(headers.get("retry-after", "").strip())
    if date is None or now is None or date[2].lower() not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(date[group]) for group in (1, 3, 4, 5, 6))
    return max(0.0, _days(year, _MONTHS[date[2].lower()], day) * 86400 + hour * 3600 + minute * 60 + second - now)


def _days(year: int, month: int, day: int) -> int:
    """Days since 1 January 1970: counted from March, so that a leap day is a year's last."""
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 1 - 719468


def _codes_and_words(said: Json) -> tuple[list[str], str]:
    """The short codes that may be shown, and all words, in small letters, to look for meaning in."""
    if isinstance(said, dict) and (inner := said.get("error")):
        said = inner
    if not isinstance(said, dict):
        return [], said.lower() if isinstance(said, str) else ""
    codes: list[str] = []
    words: list[str] = []
    for key in ("code", "type", "status", "message", "detail"):
        value = said.get(key)
        if value is None or isinstance(value, bool):
            continue
        words.append(str(value)[:4000].lower())
        if key in ("code", "type", "status") and _CODE.fullmatch(str(value)) and str(value) not in ("error", *codes):
            codes.append(str(value))
    return codes, " ".join(words)


def _param(said: Json) -> str:
    inner = said.get("error") if isinstance(said, dict) else None
    param = inner.get("param") if isinstance(inner, dict) else None
    return param if isinstance(param, str) and _PARAM.fullmatch(param) else ""


def _meaning(status: int | None, codes: list[str], words: str) -> tuple[type[ProviderError], bool, str, str]:
    """Decide: the kind of error, whether to try again, what happened, and what to do."""
    if _QUOTA.intersection(codes):
        return ProviderRefused, False, "says that the account's quota is used up", "Look at the account's plan and balance"
    if status == 429 or (status is None and "rate_limit" in words):
        return RateLimited, True, "takes no more requests for now", "Wait, or ask for a higher limit"
    if status not in (401, 403) and any(phrase in words for phrase in _TOO_LONG):
        return ContextTooLong, False, "says that the conversation does not fit the model", "Shorten it, or use a model with a larger window"
    if _MODEL_FAULT.intersection(codes):
        return BadReply, True, "refused its own model's tool call", "Try again, or use another model"
    if status in (408, 504):
        return ProviderTimeout, True, "did not answer in time", "Try again"
    if status in (409, 425) or (status is not None and status >= 500):
        return ProviderError, True, "failed", "Try again, or look at its status page"
    if status is not None or any(word in words for word in _REFUSALS):
        return ProviderRefused, False, "did not accept the request", _HINTS.get(status or 400, "Look at the base URL and the settings")
    return ProviderError, True, "sent an error", "Try again, or look at its status page"

"""What a provider's failure means."""

from calendar import timegm
from email.utils import formatdate

import pytest

from segue.errors import BadReply, ContextTooLong, ProviderError, ProviderRefused, ProviderTimeout, RateLimited
from segue.wire.errors import error_from, error_in, error_of, public_url, retry_after

OPENAI = '{"error": {"message": "%s", "type": "%s", "param": null, "code": %s}}'


def openai(message: str = "words", kind: str = "invalid_request_error", code: str = "null") -> bytes:
    return (OPENAI % (message, kind, code)).encode()


STATUSES = [
    (400, openai(), ProviderRefused, False),
    (401, openai(code='"invalid_api_key"'), ProviderRefused, False),
    (402, b"", ProviderRefused, False),
    (403, b"<html>", ProviderRefused, False),
    (404, openai(code='"model_not_found"'), ProviderRefused, False),
    (418, b"", ProviderRefused, False),
    (302, b"", ProviderRefused, False),
    (408, b"", ProviderTimeout, True),
    (409, b"", ProviderError, True),
    (425, b"", ProviderError, True),
    (429, openai(kind="requests", code='"rate_limit_exceeded"'), RateLimited, True),
    (429, openai(kind="insufficient_quota", code='"insufficient_quota"'), ProviderRefused, False),
    (500, b"<html>oops</html>", ProviderError, True),
    (502, b"", ProviderError, True),
    (503, b'{"error": "overloaded"}', ProviderError, True),
    (504, b"", ProviderTimeout, True),
    (529, b"", ProviderError, True),
    (400, openai(code='"context_length_exceeded"'), ContextTooLong, False),
    (400, openai("This model's maximum context length is 128000 tokens"), ContextTooLong, False),
    (400, b'{"error": {"code": 400, "type": "exceed_context_size_error", "message": "too big"}}', ContextTooLong, False),
    (413, b'{"message": "prompt is too long: 300000 tokens > 200000"}', ContextTooLong, False),
    (500, b'{"error": "the input is too long for the context window"}', ContextTooLong, False),
    (400, openai(code='"tool_use_failed"'), BadReply, True),
    (422, b'{"detail": [{"loc": ["body", "x"], "msg": "Extra inputs are not permitted"}]}', ProviderRefused, False),
]


@pytest.mark.parametrize(("status", "body", "kind", "retryable"), STATUSES)
def test_a_status_has_its_error(status: int, body: bytes, kind: type[ProviderError], retryable: bool):
    error = error_from(status, body, {}, provider="acme")
    assert type(error) is kind
    assert error.retryable is retryable
    assert (error.status, error.provider) == (status, "acme")
    assert str(error).startswith("acme ")
    assert str(status) in str(error)


INSIDE = [
    ({"error": {"code": 429, "message": "slow down"}}, RateLimited),
    ({"error": {"code": "429", "message": "slow down"}}, RateLimited),
    ({"error": {"type": "rate_limit_error"}}, RateLimited),
    ({"error": "some text"}, ProviderError),
    ("some text", ProviderError),
    (["odd"], ProviderError),
    (None, ProviderError),
    ({"error": {"message": "maximum context length"}}, ContextTooLong),
    ({"error": {"type": "invalid_request_error"}}, ProviderRefused),
    ({"error": {"code": 502, "message": "bad gateway"}}, ProviderError),
    ({"error": {"code": 400, "message": "Token limit reached"}}, ProviderRefused),
    ({"error": {"type": "server_error", "code": True}}, ProviderError),
    ({"object": "error", "message": "oops", "type": "BadRequestError", "code": 400}, ProviderRefused),
]


@pytest.mark.parametrize(("said", "kind"), INSIDE)
def test_an_error_inside_a_good_answer_has_its_kind(said: object, kind: type[ProviderError]):
    assert type(error_of(said)) is kind


def test_errors_in_a_good_answer_are_worth_another_try_unless_they_say_otherwise():
    assert error_of("some text").retryable
    assert not error_of({"error": {"type": "invalid_request_error"}}).retryable


def test_errors_repeat_codes_but_no_words_of_the_provider():
    body = b'{"error": {"message": "Incorrect API key: sk-secret123", "type": "invalid_request_error", "code": "sk-secret123", "param": "a b"}}'
    error = error_from(401, body, {})
    assert "secret" not in str(error) + repr(error) + str(vars(error))
    assert "invalid_request_error" in str(error)


def test_the_parameter_at_fault_is_named():
    body = b'{"error": {"message": "no", "param": "messages[0].role", "code": "unsupported_value"}}'
    assert "about messages[0].role" in str(error_from(400, body, {}))


def test_the_code_can_be_read():
    assert error_from(404, openai(code='"model_not_found"'), {}).code == "model_not_found"  # type: ignore[attr-defined]
    assert error_from(500, b"", {}).code == ""  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"error": {"a": 1}}, {"a": 1}),
        ({"error": "text"}, "text"),
        ({"error": None}, None),
        ({"error": {}}, None),
        ({}, None),
        ({"type": "error", "code": "x"}, {"type": "error", "code": "x"}),
    ],
)
def test_an_error_is_found_in_an_answer(answer: dict[str, object], found: object):
    assert error_in(answer) == found


NOW = timegm((2026, 11, 3, 12, 0, 0))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "3"}, 0.25),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": formatdate(NOW + 90, usegmt=True)}, 90.0),
        ({"retry-after": formatdate(NOW - 90, usegmt=True)}, 0.0),
        ({"retry-after": "Tue, 03 Foo 2026 12:00:00 GMT"}, None),
    ],
)
def test_the_wait_that_is_asked_for_is_read(headers: dict[str, str], seconds: float | None):
    assert retry_after(headers, NOW) == seconds


def test_a_date_says_nothing_without_the_time():
    assert retry_after({"retry-after": formatdate(NOW, usegmt=True)}, None) is None


def test_dates_are_counted_as_the_calendar_does():
    for day in range(0, 40_000, 13):
        now = day * 86400
        assert retry_after({"retry-after": formatdate(now + 1, usegmt=True)}, now) == 1.0


def test_only_a_limit_carries_a_wait():
    assert error_from(429, b"", {"retry-after": "7"}).retry_after == 7.0  # type: ignore[attr-defined]
    assert not hasattr(error_from(500, b"", {"retry-after": "7"}), "retry_after")


# --- where


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://api.example.com/v1/responses", "https://api.example.com/v1/responses"),
        ("http://127.0.0.1:9123/chat/completions", "http://127.0.0.1:9123/chat/completions"),
        ("http://ada:hunter2@[::1]:8080/v1?key=hunter2#hunter2", "http://[::1]:8080/v1"),
        ("http://127.0.0.1:99999/v1", ""),
        ("hunter2", ""),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_user_and_query(url: str, shown: str):
    assert public_url(url) == shown
    assert "hunter2" not in str(error_from(404, b"", {}, url=url))


def test_an_error_says_where_the_request_went():
    error = error_from(401, openai(code='"invalid_api_key"'), {}, provider="acme", url="https://api.example.com/v1/responses")
    assert "(HTTP 401, invalid_api_key, invalid_request_error, at https://api.example.com/v1/responses)" in str(error)


@pytest.mark.parametrize("status", [404, 405])
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"404 page not found", b'{"detail": "Not Found"}', b'{"error": null}', b'{"error": {}}', b"[]"]
)
def test_a_path_that_nobody_serves_is_said_to_lack_v1(status: int, body: bytes):
    assert str(error_from(status, body, {}, url="http://127.0.0.1:9123/chat/completions")).endswith(
        "Look at the base URL: it usually ends in /v1."
    )
    assert str(error_from(status, body, {}, url="http://127.0.0.1:9123/v1/chat/completions")).endswith("Look at the base URL.")


@pytest.mark.parametrize("body", [openai(code='"model_not_found"'), b'{"error": "no such model"}', b'{"object": "error", "message": "m"}'])
def test_an_api_that_knows_no_such_model_is_not_said_to_lack_v1(body: bytes):
    assert str(error_from(404, body, {}, url="http://127.0.0.1:9123/chat/completions")).endswith(
        "Look at the model's name and the base URL."
    )

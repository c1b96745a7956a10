"""What HTTP and the network may do: statuses, headers, resets, silence, lies about lengths and encodings."""

import gzip
import json
import zlib
from typing import Any

from segue.errors import BadReply, ContextTooLong, ProviderError, ProviderRefused, ProviderTimeout, RateLimited
from tests.hostile.arguments import RAN
from tests.hostile.forms import CHAT, WHOLE, Form, Raw, refund, says
from tests.hostile.stage import Case
from tests.loopback import CLOSE, HANG, RESET, Bit, Pause, completion, head, whole

PAGE = b"<html><h1>Bad Gateway</h1></html>"
TEXT = json.dumps(completion("Done.")).encode()
CALLING = json.dumps(completion(None, refund())).encode()
LONG = {"Content-Length": "900"}


def error(words: str = "m", **fields: Any) -> dict[str, Any]:
    return {"error": {"message": words, **fields}}


# statuses: asked again, or not
AGAIN: dict[str, tuple[list[Bit], type[ProviderError]]] = {
    "408": (whole(error(), 408), ProviderTimeout),
    "409": (whole(error(), 409), ProviderError),
    "425": (whole(error(), 425), ProviderError),
    "429": (whole(error(type="requests"), 429), RateLimited),
    "429 with seconds to wait": (whole(error(), 429, {"Retry-After": "2"}), RateLimited),
    "429 with a date to wait for": (whole(error(), 429, {"Retry-After": "Fri, 15 Jan 2027 08:00:05 GMT"}), RateLimited),
    "429 with nonsense to wait": (whole(error(), 429, {"Retry-After": "soon"}), RateLimited),
    "429 with a negative time to wait": (whole(error(), 429, {"Retry-After": "-5"}), RateLimited),
    "429 with NaN to wait": (whole(error(), 429, {"Retry-After": "nan", "Retry-After-Ms": "inf"}), RateLimited),
    "429 with digits of another script": (whole(error(), 429, {"Retry-After-Ms": "１"}), RateLimited),
    "429 without a body": (whole(b"", 429), RateLimited),
    "500": (whole(error(type="server_error"), 500), ProviderError),
    "500 without a body": (whole(b"", 500), ProviderError),
    "502 with a page": (whole(PAGE, 502, content_type="text/html"), ProviderError),
    "503 with words": (whole(b"no healthy upstream", 503, content_type="text/plain"), ProviderError),
    "504": (whole(PAGE, 504), ProviderTimeout),
    "529": (whole(error(type="overloaded_error"), 529), ProviderError),
    "599": (whole(b"\xff\xfe", 599), ProviderError),
    "500 with a body that is cut": ([head(500, LONG), b'{"error": ', CLOSE], ProviderError),
    "400 that blames the model's own call": (whole(error(code="tool_use_failed"), 400), BadReply),
}
FOR_GOOD: dict[str, tuple[list[Bit], type[ProviderError]]] = {
    "400": (whole(error(type="invalid_request_error", param="messages.[2].content"), 400), ProviderRefused),
    "400 for a context that is too long": (whole(error(code="context_length_exceeded"), 400), ContextTooLong),
    "400 for a context that is too long, in words": (whole({"error": "prompt is too long: 250000 tokens"}, 400), ContextTooLong),
    "401": (whole(error(code="invalid_api_key"), 401), ProviderRefused),
    "401 with a list": (whole([error()], 401), ProviderRefused),
    "402": (whole(error(), 402), ProviderRefused),
    "403 with a page": (whole(PAGE, 403), ProviderRefused),
    "404 for the model": (whole(error(code="model_not_found"), 404), ProviderRefused),
    "404 for the path": (whole(b"404 page not found", 404, content_type="text/plain"), ProviderRefused),
    "405": (whole(b"", 405), ProviderRefused),
    "413": (whole(error("prompt too long"), 413), ContextTooLong),
    "418": (whole(error(), 418), ProviderRefused),
    "422": (whole({"detail": [{"loc": ["body"], "msg": "field required"}]}, 422), ProviderRefused),
    "429 that waits an hour": (whole(error(), 429, {"Retry-After": "3600"}), RateLimited),
    "429 for an empty account": (whole(error(code="insufficient_quota"), 429), ProviderRefused),
    "301 to itself": (whole(b"", 301, {"Location": "/v1/chat/completions"}), ProviderRefused),
    "302 to somewhere else": (whole(b"", 302, {"Location": "http://127.0.0.1:9/steal"}), ProviderRefused),
    "307": (whole(b"", 307, {"Location": "//evil.example/"}), ProviderRefused),
    "304": (whole(b"", 304), ProviderRefused),
    "400 with an error nested deep": (whole(b'{"error":' + b"[" * 50_000, 400), ProviderRefused),
    "400 with an error of eight megabytes": (whole(error("x" * 8_000_000), 400), ProviderRefused),
    "400 with numbers for words": (whole({"error": {"message": 5, "code": 7, "type": ["a"]}}, 400), ProviderRefused),
}
# answers that are no answers
BROKEN: dict[str, tuple[list[Bit], type[ProviderError]]] = {
    "reset before a byte": ([RESET], ProviderError),
    "closed before a byte": ([CLOSE], ProviderError),
    "reset inside the headers": ([b"HTTP/1.1 200 OK\r\nContent-Ty", RESET], ProviderError),
    "reset after the headers": ([head(headers=LONG), RESET], ProviderError),
    "reset inside the body": ([head(headers=LONG), CALLING[:100], RESET], ProviderError),
    "closed inside the body": ([head(headers=LONG), CALLING[:100], CLOSE], ProviderError),
    "closed after a call that looks whole": ([head(headers={"Content-Length": str(len(CALLING) + 1)}), CALLING, CLOSE], ProviderError),
    "closed between two chunks": ([head(headers={"Transfer-Encoding": "chunked"}), b"5\r\n", CALLING[:5], b"\r\n", CLOSE], ProviderError),
    "closed inside a chunk": ([head(headers={"Transfer-Encoding": "chunked"}), b"ff\r\n", CALLING[:5], CLOSE], ProviderError),
    "a chunk of no size": ([head(headers={"Transfer-Encoding": "chunked"}), b"zz\r\n" + TEXT + b"\r\n0\r\n\r\n", CLOSE], ProviderError),
    "a chunk of a negative size": ([head(headers={"Transfer-Encoding": "chunked"}), b"-5\r\n" + TEXT, CLOSE], ProviderError),
    "a mail server": ([b"220 smtp ready\r\n\r\n", CLOSE], ProviderError),
    "another protocol": ([b"\x16\x03\x01\x02\x00\x01\x00", CLOSE], ProviderError),
    "a status that is none": ([b"HTTP/1.1 abc OK\r\n\r\n", CLOSE], ProviderError),
    "a length that is none": ([b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n", CLOSE], ProviderError),
    "two lengths": ([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", TEXT, CLOSE], ProviderError),
    "a header without a colon": ([b"HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 2\r\n\r\n{}", CLOSE], ProviderError),
    "a header of a megabyte": (
        [b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1_000_000 + b"\r\nContent-Length: 0\r\n\r\n", CLOSE],
        ProviderError,
    ),
    "gzip that is none": (whole(TEXT, headers={"Content-Encoding": "gzip"}), ProviderError),
    "deflate that is none": (whole(TEXT, headers={"Content-Encoding": "deflate"}), ProviderError),
    "brotli": (whole(b"\x0b\x02\x80", headers={"Content-Encoding": "br"}), ProviderError),
    "zstd that is none": (whole(b"\x00\x01", headers={"Content-Encoding": "zstd"}), ProviderError),
    "a 204": ([b"HTTP/1.1 204 No Content\r\n\r\n"], BadReply),
    "a 206 with half a reply": (whole(TEXT[:40], 206), BadReply),
    "a 999": (whole(TEXT, 999), ProviderError),
}
SLOW: dict[str, list[Bit]] = {
    "that says nothing": [HANG],
    "that stops inside the headers": [b"HTTP/1.1 200 OK\r\n", HANG],
}

CASES = [
    *(Case(f"A status of {name}", Raw(bits), fails=kind, again=True) for name, (bits, kind) in AGAIN.items()),
    *(Case(f"A status of {name}", Raw(bits), fails=kind) for name, (bits, kind) in FOR_GOOD.items()),
    *(Case(f"An answer: {name}", Raw(bits), fails=kind, again=True) for name, (bits, kind) in BROKEN.items()),
    *(Case(f"A server {name}", Raw(bits, CHAT), fails=ProviderTimeout, again=True, timeout=0.1) for name, bits in SLOW.items()),
    Case(
        "A server that stops inside the body", Raw([head(headers=LONG), b"{", HANG], WHOLE), fails=ProviderTimeout, again=True, timeout=0.1
    ),
    Case(
        "A server that stops after the headers of a stream",
        Raw([head(), HANG], (Form.CHAT_STREAM,)),
        fails=ProviderTimeout,
        again=True,
        limits={"idle_timeout": 0.1},
    ),
    Case(
        "A server that is slow but comes",
        Raw([Pause(0.03), head(headers={"Content-Length": str(len(TEXT))}), Pause(0.03), TEXT], CHAT),
        timeout=2,
    ),
    Case(
        "A whole reply in one byte after the other",
        Raw([head(headers={"Content-Length": str(len(CALLING))}), *(bytes([b]) for b in CALLING)], CHAT),
        ran=RAN,
    ),
    Case("A whole reply without a length", Raw([head(headers={"Connection": "close"}), CALLING, CLOSE], CHAT), ran=RAN),
    Case("A whole reply with an informational answer first", Raw([b"HTTP/1.1 103 Early Hints\r\n\r\n", *whole(CALLING)], CHAT), ran=RAN),
    Case("A whole reply in deflate", Raw(whole(zlib.compress(CALLING), headers={"Content-Encoding": "deflate"}), CHAT), ran=RAN),
    Case(
        "A whole reply in gzip twice over, said once",
        Raw(whole(gzip.compress(gzip.compress(TEXT)), headers={"Content-Encoding": "gzip"})),
        fails=BadReply,
        again=True,
    ),
    Case(
        "A reply with hostile headers",
        Raw(whole(CALLING, headers={"Set-Cookie": "a=b; Domain=*", "X-Odd": "\x7f\xff", "Link": "<x>"}), CHAT),
        ran=RAN,
    ),
    Case("A 429, then a 500, then a reply", [Raw(whole(error(), 429)), Raw(whole(error(), 500)), says(refund())], ran=RAN),
    Case(
        "A refund, and then a server that is down",
        [says(refund()), Raw(whole(error(), 500))],
        ran=RAN,
        fails=ProviderError,
        again=True,
        told="refunded",
    ),
    Case(
        "A refund, and then a context that is too long",
        [says(refund()), Raw(whole(error(code="context_length_exceeded"), 400))],
        ran=RAN,
        fails=ContextTooLong,
        told="refunded",
    ),
    Case("A refund, and then a reset", [says(refund()), Raw([RESET])], ran=RAN, fails=ProviderError, again=True, told="refunded"),
]

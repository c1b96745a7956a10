"""Whole replies that are broken, empty, cut, refused or strangely shaped. What is broken is asked for again and then a typed
error; what is only strange is read."""

import gzip
import json
from typing import Any

from segue.errors import BadReply, ContextTooLong, ModelRefused, ProviderError, ProviderRefused, RateLimited, ReplyCut
from tests.hostile.arguments import GOOD, RAN
from tests.hostile.forms import CHAT, WHOLE, Body, Form, Raw, Said, refund, says
from tests.hostile.stage import Case
from tests.loopback import DONE, completion, event, stream, whole

CALLING = completion(None, refund())
UNFINISHED = '{"order": "A1", "amount": 5'


def _nested(levels: int, leaf: str = "1") -> Any:
    """A body of which one unknown field is nested deep, as text."""
    said = json.dumps(completion("Done.", mood="deep"))
    return said.replace('"deep"', "[" * levels + leaf + "]" * levels).encode()


# bodies without a reply in them: asked for again, then an error
BROKEN: dict[str, Any] = {
    "an empty object": {},
    "null": None,
    "a list": [],
    "a list of replies": [CALLING],
    "a text": "Done.",
    "a number": 200,
    "no choices": {"object": "chat.completion"},
    "an empty list of choices": {"choices": []},
    "choices of null": {"choices": None},
    "choices that are an object": {"choices": {"message": {"content": "Done."}}},
    "choices that are a text": {"choices": "Done."},
    "a choice of null": {"choices": [None]},
    "a choice that is a text": {"choices": ["Done."]},
    "an empty choice": {"choices": [{}]},
    "a message of null": {"choices": [{"index": 0, "message": None}]},
    "a message that is a text": {"choices": [{"index": 0, "message": "Done."}]},
    "a message that is a list": {"choices": [{"index": 0, "message": ["Done."]}]},
    "an empty message": {"choices": [{"index": 0, "message": {}}]},
    "a message with a role only": {"choices": [{"index": 0, "message": {"role": "assistant"}}]},
    "nothing but the second choice": {"choices": [{"index": 1, "message": {"content": "Done."}}]},
    "a finish of error": {"choices": [{"index": 0, "message": {"content": "Do"}, "finish_reason": "error"}]},
    "an error that is a text": {"error": "overloaded"},
    "an error that is an object": {"error": {"message": "overloaded", "type": "server_error", "code": 502}},
    "an error that is a number": {"error": 1},
    "an error beside a reply": {**CALLING, "error": {"message": "upstream failed", "code": 502}},
    "an error in the choice": {"choices": [{"index": 0, "message": {"content": "Do"}, "error": {"code": 502, "message": "m"}}]},
    "an object called error": {"object": "error", "message": "overloaded", "code": 50001},
    "another API's reply": {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Done."}]},
    "Gemini's own reply": {"candidates": [{"content": {"parts": [{"text": "Done."}]}}]},
    "its own request": {"model": "m", "messages": [{"role": "user", "content": "I want my money back."}]},
}
ERRORS = {name: ProviderError for name in BROKEN if " error" in name and "finish" not in name}

# messages that hold nothing to act on, or what cannot be understood
BROKEN_MESSAGES: dict[str, Any] = {
    "content of null and nothing else": {"role": "assistant", "content": None},
    "empty content": {"role": "assistant", "content": ""},
    "an empty list of content": {"role": "assistant", "content": []},
    "empty content and an empty list of calls": {"role": "assistant", "content": "", "tool_calls": []},
    "every field null": dict.fromkeys(("role", "content", "tool_calls", "refusal", "function_call", "audio", "annotations")),
    "the role tool": {"role": "tool", "content": "refunded", "tool_call_id": "call_1"},
    "the role user": {"role": "user", "content": "Refund me 5000."},
    "the role system": {"role": "system", "content": "Pay."},
    "a role that is a number": {"role": 1, "content": "Done."},
    "content that is a number": {"role": "assistant", "content": 5},
    "content that is an object": {"role": "assistant", "content": {"text": "Done."}},
    "content that is true": {"role": "assistant", "content": True},
    "calls that are an object": {"role": "assistant", "content": None, "tool_calls": refund()},
    "calls that are a text": {"role": "assistant", "content": None, "tool_calls": "refund"},
    "calls that are a number": {"role": "assistant", "content": None, "tool_calls": 1},
    "calls of null": {"role": "assistant", "content": None, "tool_calls": [None]},
    "calls that are texts": {"role": "assistant", "content": None, "tool_calls": ["refund"]},
    "one good call and one that is a list": {"role": "assistant", "content": None, "tool_calls": [refund(), []]},
    "an empty legacy call": {"role": "assistant", "content": None, "function_call": {}},
    "a legacy call that is a text": {"role": "assistant", "content": None, "function_call": "refund"},
    "thoughts and no word": {"role": "assistant", "content": None, "reasoning_content": "I should pay."},
    "an image and no word": {"role": "assistant", "content": None, "images": [{"url": "data:"}]},
}

TEXT = json.dumps(completion("Done.")).encode()
PAGE = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"

# bytes with a status of 200 that are no reply
BYTES: dict[str, bytes] = {
    "nothing": b"",
    "white space": b" \r\n\t ",
    "a page": PAGE,
    "a page with a word of JSON": b"<html>{}</html>",
    "plain words": b"upstream connect error or disconnect/reset before headers",
    "JSON that is cut": TEXT[:-20],
    "JSON that is cut in a call": json.dumps(CALLING).encode()[:190],
    "JSON with a word behind it": TEXT + b"OK",
    "two replies in a row": TEXT + TEXT,
    "JSON in UTF-16": TEXT.decode().encode("utf-16"),
    "zeros": b"\0" * 100,
    "random bytes": bytes(range(256)),
    "gzip that nobody announced": gzip.compress(TEXT),
    "100,000 brackets": b"[" * 100_000,
    "a reply nested 100,000 deep": b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "XML": b'<?xml version="1.0"?><choices/>',
    **{f"a field nested {levels} deep": _nested(levels) for levels in (300, 600, 900, 5000)},
    "a field nested 300 deep with half a surrogate pair": _nested(300, '"\\ud800"'),
    "YAML": b"choices:\n- message: Done.\n",
    "null": b"null",
    "a quote": b'"',
    "JSON with single quotes": b"{'choices': []}",
    "a script": b"window.location='http://127.0.0.1'",
}

# replies that are strange and mean something all the same
STRANGE: dict[str, Any] = {
    "a list of text parts": Said({"role": "assistant", "content": [{"type": "text", "text": "Do"}, {"type": "text", "text": "ne."}]}),
    "a list of texts": Said({"role": "assistant", "content": ["Do", "ne."]}),
    "a list with null and unknown parts": Said({"role": "assistant", "content": [None, {"type": "text", "text": "Done."}, 5]}),
    "an empty list of calls": Said({"role": "assistant", "content": "Done.", "tool_calls": []}),
    "calls of null beside a text": Said({"role": "assistant", "content": "Done.", "tool_calls": None}),
    "no role": Said({"content": "Done."}),
    "a role of null": Said({"role": None, "content": "Done."}),
    "nulls everywhere": Said(
        {"role": "assistant", "content": "Done.", "refusal": None, "audio": None, "function_call": None, "tool_calls": None},
        beside={"logprobs": None},
        around={"id": None, "created": None, "model": None, "usage": None, "system_fingerprint": None, "error": None},
    ),
    "wrong types around it": Said({"content": "Done."}, around={"id": 5, "created": "now", "model": ["m"], "usage": "many", "object": 1}),
    "usage that counts nonsense": Said(
        {"content": "Done."}, around={"usage": {"prompt_tokens": -5, "completion_tokens": "3", "total": True}}
    ),
    "usage beyond 64 bits": Said({"content": "Done."}, around={"usage": {"prompt_tokens": 10**30, "completion_tokens": 1.5}}),
    "usage with details that are no object": Said({"content": "Done."}, around={"usage": {"prompt_tokens_details": [1]}}),
    "unknown fields": Said({"content": "Done.", "mood": {"good": [1, 2]}}, beside={"stop_reason": 7}, around={"prompt_filter_results": []}),
    "an unknown finish": Said({"content": "Done."}, "eos"),
    "a finish of function_call without a call": Said({"content": "Done."}, "function_call"),
    "a finish of tool_calls without a call": Said({"content": "Done."}, "tool_calls"),
    "an empty error": Said({"content": "Done."}, around={"error": {}}),
    "audio and annotations": Said({"content": "Done.", "audio": {"data": "AAAA"}, "annotations": [{"type": "url_citation"}]}),
    "thoughts with it": Said({"content": "Done.", "reasoning_content": "He is right.", "reasoning": "He is right."}),
    "an empty legacy call beside it": Said({"content": "Done.", "function_call": {"name": "", "arguments": ""}}),
    "an empty refusal": Said({"role": "assistant", "content": "Done.", "refusal": ""}),
}

CALLS: dict[str, Any] = {
    "a legacy function_call": Said(
        {"role": "assistant", "content": None, "function_call": {"name": "refund", "arguments": GOOD}}, "function_call"
    ),
    "a legacy function_call that says stop": Said({"content": "", "function_call": {"name": "refund", "arguments": GOOD}}, "stop"),
    "a legacy function_call beside the same call": Said(
        {"content": None, "function_call": {"name": "refund", "arguments": GOOD}, "tool_calls": [refund()]}
    ),
    "an empty function_call beside the call": Said({"content": None, "function_call": {}, "tool_calls": [refund()]}),
    "no content": Said({"tool_calls": [refund()]}),
    "content of null": Said({"content": None, "tool_calls": [refund()]}),
    "content that is an empty list": Said({"content": [], "tool_calls": [refund()]}),
    "content parts and a call": Said({"content": [{"type": "text", "text": "One moment."}], "tool_calls": [refund()]}),
    "thoughts that are signed": Said(
        {"content": None, "reasoning_details": [{"type": "reasoning.encrypted", "data": "c2ln", "index": 0}], "tool_calls": [refund()]}
    ),
    "a call and an empty refusal": Said({"role": "assistant", "content": None, "refusal": "", "tool_calls": [refund()]}),
}

CUT_WORDS = [
    "MAX_TOKENS",
    "max_tokens",
    "max_output_tokens",
    "model_length",
    "LENGTH",
    "SAFETY",
    "RECITATION",
    "content_filter: RECITATION",
]
_TWO = [
    {"index": n, "message": completion(None, refund(GOOD, f"c{n}"))["choices"][0]["message"], "finish_reason": "tool_calls"} for n in (1, 0)
]
_HUGE = "All in all, " * 250_000

CASES = [
    *(Case(f"A body with {name}", Body(value), fails=ERRORS.get(name, BadReply), again=True) for name, value in BROKEN.items()),
    *(Case(f"A message with {name}", Said(value), fails=BadReply, again=True) for name, value in BROKEN_MESSAGES.items()),
    *(Case(f"A 200 with {name}", Raw(whole(said)), fails=BadReply, again=True) for name, said in BYTES.items()),
    *(
        Case(f"A page as {kind}", Raw(whole(PAGE, content_type=kind)), fails=BadReply, again=True)
        for kind in ("text/html", "text/event-stream")
    ),
    *(Case(f"A reply with {name}", said, ends="Done.") for name, said in STRANGE.items()),
    *(Case(f"A call with {name}", said, ran=RAN, told="refunded") for name, said in CALLS.items()),
    Case("A reply cut by its length", says(text="The answer is", finish="length"), fails=ReplyCut),
    Case("A reply cut by its length, in another provider's words", Said({"content": "The"}, "MAX_TOKENS"), fails=ReplyCut),
    *(Case(f"A call cut with the word {word}", Said({"tool_calls": [refund()]}, word), fails=ReplyCut) for word in CUT_WORDS),
    Case("A reply cut by a content filter", says(text="The answer is", finish="content_filter"), fails=ReplyCut),
    Case("A content filter and nothing else", says(finish="content_filter"), fails=ReplyCut),
    Case("A length and nothing else", says(finish="length"), fails=ReplyCut),
    Case("A call cut by its length", says(refund(UNFINISHED), finish="length"), fails=ReplyCut),
    Case("A call cut by its length that looks whole", says(refund(), finish="length"), fails=ReplyCut),
    Case("A call taken back by a content filter", says(refund(), finish="content_filter"), fails=ReplyCut),
    Case(
        "A handoff cut by its length",
        says({**refund("{}"), "function": {"name": "transfer_to_sales", "arguments": "{}"}}, finish="length"),
        fails=ReplyCut,
    ),
    Case("A legacy call cut by its length", Said({"function_call": {"name": "wipe", "arguments": "{}"}}, "length"), fails=ReplyCut),
    Case("A refusal", says(refusal="I cannot help with that."), fails=ModelRefused),
    Case("A refusal with words beside it", says(text="Hm.", refusal="No."), fails=ModelRefused),
    Case("A refusal with a call beside it", says(refund(), refusal="No."), fails=ModelRefused),
    Case("A refusal with half a surrogate pair", says(refusal="No\ud800."), fails=ModelRefused),
    Case("Two choices, the other one first", Body(completion() | {"choices": _TWO}), ran=RAN),
    Case("Two choices with the same index", Body({"choices": [{**one, "index": 0} for one in _TWO]}), ran=RAN),
    Case("Choices without an index", Body({"choices": [{"message": {"content": "Done."}, "finish_reason": "stop"}]})),
    Case("A text of three million characters", says(text=_HUGE), ends=_HUGE),
    Case("A reply with a field nested 100 deep", Raw(whole(_nested(100)), CHAT, frozenset({"mood"}))),
    Case("A text with half a surrogate pair", says(text="D\ud800ne."), ends="D\ufffdne."),
    Case("A text with a surrogate pair", says(text="\U0001f600"), ends="\U0001f600"),
    Case("A text with NUL and control characters", says(text="D\x00\x1b[31mne."), ends="D\x00\x1b[31mne."),
    Case(
        "A text that looks like a call",
        says(text='<tool_call>{"name": "refund"}</tool_call>'),
        ends='<tool_call>{"name": "refund"}</tool_call>',
    ),
    Case("A text that looks like the end of a stream", says(text="data: [DONE]\n\n"), ends="data: [DONE]\n\n"),
    Case("A text of one space", says(text=" "), ends=" "),
    Case("A whole reply with a byte order mark", Raw(whole(b"\xef\xbb\xbf" + TEXT), CHAT)),
    Case("A whole reply with white space around it", Raw(whole(b"\r\n \t" + TEXT + b"\n\n"), CHAT)),
    Case("A whole reply that is called text", Raw(whole(TEXT, content_type="text/plain"), CHAT)),
    Case("A whole reply that is called a page", Raw(whole(TEXT, content_type="text/html; charset=latin-1"), CHAT)),
    Case("A whole reply that is called a stream", Raw(whole(TEXT, content_type="text/event-stream"), CHAT)),
    Case("A whole reply without a content type", Raw([b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(TEXT) + TEXT], CHAT)),
    Case("A whole reply in gzip", Raw(whole(gzip.compress(TEXT), headers={"Content-Encoding": "gzip"}), CHAT)),
    Case("A whole reply with a status of 201", Raw(whole(TEXT, 201), CHAT)),
    Case("A call in a whole reply to who asked for a stream", Raw(whole(CALLING), (Form.CHAT_STREAM,)), ran=RAN),
    Case("A stream to who asked for a whole reply", Raw(stream(*says(refund()).chunks(), DONE), (Form.CHAT_WHOLE,)), ran=RAN),
    Case(
        "A broken stream to who asked for a whole reply",
        Raw(stream(*says(refund()).chunks()[:5]), (Form.CHAT_WHOLE,)),
        fails=BadReply,
        again=True,
    ),
    Case(
        "An error as an event to who asked for a whole reply", Raw(stream(event({"error": "busy"})), WHOLE), fails=ProviderError, again=True
    ),
    Case(
        "A tool call that the provider could not read",
        Body({"error": {"code": "tool_use_failed", "message": "m"}}),
        fails=BadReply,
        again=True,
    ),
    Case("A rate limit in a 200", Body({"error": {"code": 429, "message": "slow down"}}), fails=RateLimited, again=True),
    Case("A wrong key in a 200", Body({"error": {"code": 401, "message": "User not found"}}), fails=ProviderRefused),
    Case("A full context in a 200", Body({"error": {"code": "context_length_exceeded", "message": "m"}}), fails=ContextTooLong),
    Case("A refund, and then a broken reply", [says(refund()), Body({})], ran=RAN, fails=BadReply, again=True),
    Case("A refund, and then a refusal", [says(refund()), says(refusal="No.")], ran=RAN, fails=ModelRefused),
    Case("A refund, and then a cut reply", [says(refund()), says(text="It is", finish="length")], ran=RAN, fails=ReplyCut),
    Case(
        "A refund, and then a full context",
        [says(refund()), Body({"error": {"code": "context_length_exceeded"}})],
        ran=RAN,
        fails=ContextTooLong,
    ),
]

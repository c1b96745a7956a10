"""Streams that are split, mixed up, repeated, cut, stalled or broken. A call of a stream that is not finished is never made."""

import gzip
from collections.abc import Sequence
from typing import Any

from segue.errors import BadReply, ContextTooLong, ModelRefused, ProviderError, ProviderTimeout, RateLimited, ReplyCut
from tests.hostile.arguments import GOOD, RAN
from tests.hostile.calls import BOTH
from tests.hostile.forms import CHAT, STREAMS, Form, Raw, refund, says, streams
from tests.hostile.stage import Case
from tests.loopback import CLOSE, DONE, HANG, RESET, Bit, Pause, begun, chunk, event, head, usage_chunk, whole

OTHER = '{"order": "B2", "amount": 7}'
CALL = says(refund()).chunks()
END = chunk(finish="tool_calls")
HELLO = [chunk("Do"), chunk("ne."), chunk(finish="stop"), DONE]
SECOND_DIGIT_LOST = '{"order": "A1", "amount": 5}'
"""What 50 looks like when its last piece is lost: it parses, and is wrong."""


def piece(index: Any = 0, *, id: Any = None, name: Any = None, arguments: Any = None, **more: Any) -> dict[str, Any]:
    """A fragment of a call with what is given and nothing else."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    fragment = {"index": index, "id": id, "type": "function" if id else None, "function": function or None} | more
    return {key: value for key, value in fragment.items() if value is not None}


def pieces(*fragments: Any) -> list[bytes]:
    """One chunk for each fragment, or for each list of fragments."""
    return [chunk(tool_calls=fragment if isinstance(fragment, list) else [fragment]) for fragment in fragments]


def asked(*fragments: Any) -> Raw:
    """A stream of these fragments, well ended."""
    return streams(*pieces(*fragments), END, DONE)


def lines(*bits: bytes, by: bytes) -> list[bytes]:
    """The same events with another end of line."""
    return [bit.replace(b"\n", by) for bit in bits]


HALF, REST = GOOD[:13], GOOD[13:]

# one refund, in fragments
ONE: dict[str, Sequence[Any]] = {
    "one character at a time": [piece(id="a", name="refund"), *(piece(arguments=character) for character in GOOD)],
    "in one piece": [piece(id="a", name="refund", arguments=GOOD)],
    "without an index": [piece(None, id="a", name="refund", arguments=HALF), piece(None, arguments=REST)],
    "without an index and with its id each time": [piece(None, id="a", name="refund", arguments=HALF), piece(None, id="a", arguments=REST)],
    "with an index on its first piece only": [piece(0, id="a", name="refund", arguments=HALF), piece(None, arguments=REST)],
    "with an index of null": [
        {"index": None, **piece(None, id="a", name="refund", arguments=HALF)},
        {"index": None, **piece(None, arguments=REST)},
    ],
    "with an index from one": [piece(1, id="a", name="refund", arguments=HALF), piece(1, arguments=REST)],
    "with an index of a million": [piece(10**6, id="a", name="refund", arguments=HALF), piece(10**6, arguments=REST)],
    "with a negative index": [piece(-1, id="a", name="refund", arguments=HALF), piece(-1, arguments=REST)],
    "with an index that is a text": [piece("0", id="a", name="refund", arguments=HALF), piece("0", arguments=REST)],
    "with its id on each piece": [piece(id="a", name="refund", arguments=HALF), piece(id="a", arguments=REST)],
    "with its id and name on each piece": [piece(id="a", name="refund", arguments=HALF), piece(id="a", name="refund", arguments=REST)],
    "with its name on each piece": [piece(id="a", name="refund", arguments=HALF), piece(name="refund", arguments=REST)],
    "with an empty name on later pieces": [piece(id="a", name="refund", arguments=HALF), piece(name="", arguments=REST)],
    "with an empty id on later pieces": [piece(id="a", name="refund", arguments=HALF), piece(id="", arguments=REST)],
    "with its id on the last piece only": [piece(name="refund", arguments=HALF), piece(id="a", arguments=REST)],
    "without any id": [piece(name="refund", arguments=HALF), piece(arguments=REST)],
    "with its name after its id": [piece(id="a"), piece(name="refund"), piece(arguments=GOOD)],
    "with its name after its arguments": [piece(id="a", arguments=HALF), piece(arguments=REST), piece(name="refund")],
    "with its name in two pieces": [piece(id="a", name="ref"), piece(name="und"), piece(arguments=GOOD)],
    "with arguments of null first": [{**piece(id="a"), "function": {"name": "refund", "arguments": None}}, piece(arguments=GOOD)],
    "with nulls in later pieces": [
        piece(id="a", name="refund"),
        {"index": 0, "id": None, "type": None, "function": {"name": None, "arguments": HALF}},
        {"index": 0, "function": {"arguments": REST}},
        {"index": 0, "function": None},
    ],
    "with empty pieces in between": [
        piece(id="a", name="refund", arguments=HALF),
        piece(arguments=""),
        {"index": 0},
        piece(arguments=REST),
        {},
    ],
    "and then once more, whole": [piece(id="a", name="refund", arguments=GOOD), piece(id="a", name="refund", arguments=GOOD)],
    "in pieces, and then once more, whole": [
        piece(id="a", name="refund", arguments=HALF),
        piece(arguments=REST),
        piece(id="a", name="refund", arguments=GOOD),
    ],
    "without a type": [{"index": 0, "id": "a", "function": {"name": "refund", "arguments": GOOD}}],
    "with arguments that are an object": [
        {"index": 0, "id": "a", "function": {"name": "refund", "arguments": {"order": "A1", "amount": 5}}}
    ],
}

# two refunds, in fragments
FIRST, SECOND = piece(0, id="a", name="refund"), piece(1, id="b", name="refund")
TWO: dict[str, Sequence[Any]] = {
    "one after the other": [FIRST, piece(0, arguments=GOOD), SECOND, piece(1, arguments=OTHER)],
    "interleaved": [
        FIRST,
        SECOND,
        piece(0, arguments=HALF),
        piece(1, arguments=OTHER[:5]),
        piece(0, arguments=REST),
        piece(1, arguments=OTHER[5:]),
    ],
    "interleaved, the second first": [SECOND, FIRST, piece(1, arguments=OTHER), piece(0, arguments=GOOD)],
    "in one delta": [[piece(0, id="a", name="refund", arguments=GOOD), piece(1, id="b", name="refund", arguments=OTHER)]],
    "both in each delta": [
        [FIRST, SECOND],
        [piece(0, arguments=HALF), piece(1, arguments=OTHER[:9])],
        [piece(0, arguments=REST), piece(1, arguments=OTHER[9:])],
    ],
    "whole, both at index 0": [piece(0, id="a", name="refund", arguments=GOOD), piece(0, id="b", name="refund", arguments=OTHER)],
    "whole, both at index 0 and without an id": [piece(0, name="refund", arguments=GOOD), piece(0, name="refund", arguments=OTHER)],
    "in pieces, both at index 0": [FIRST, piece(0, arguments=GOOD), piece(0, id="b", name="refund"), piece(0, arguments=OTHER)],
    "whole and without an index": [piece(None, id="a", name="refund", arguments=GOOD), piece(None, id="b", name="refund", arguments=OTHER)],
    "in pieces and without an index": [
        piece(None, id="a", name="refund", arguments=HALF),
        piece(None, arguments=REST),
        piece(None, id="b", name="refund", arguments=OTHER[:4]),
        piece(None, arguments=OTHER[4:]),
    ],
    "without an index, known by their ids": [
        piece(None, id="a", name="refund"),
        piece(None, id="b", name="refund"),
        piece(None, id="a", arguments=GOOD),
        piece(None, id="b", arguments=OTHER),
    ],
    "with the same id": [piece(0, id="a", name="refund", arguments=GOOD), piece(1, id="a", name="refund", arguments=OTHER)],
    "with indexes far apart": [piece(7, id="a", name="refund", arguments=GOOD), piece(3, id="b", name="refund", arguments=OTHER)],
}

# streams in which everything is there
WELL: dict[str, list[Bit]] = {
    "without [DONE]": CALL,
    "without a finish, but with [DONE]": [*CALL[:-2], DONE],
    "with a finish of stop": [*CALL[:-2], chunk(finish="stop"), DONE],
    "with its finish in the chunk of the last piece": [
        *pieces(piece(id="a", name="refund", arguments=HALF)),
        chunk(tool_calls=[piece(arguments=REST)], finish="tool_calls"),
        DONE,
    ],
    "with its finish twice": [*CALL[:-2], END, END, DONE],
    "with text before its call": [chunk("One "), chunk("moment."), *CALL, DONE],
    "with text after its call": [*CALL[:-2], chunk("There."), END, DONE],
    "with its role in each chunk": [chunk(role="assistant", tool_calls=[fragment]) for fragment in ONE["one character at a time"]]
    + [END, DONE],
    "with keep-alives": [b": OPENROUTER PROCESSING\n\n", *[bit for one in CALL for bit in (one, b":\n\n")], b": bye\n\n", DONE],
    "with CRLF": lines(*CALL, DONE, by=b"\r\n"),
    "with CR": lines(*CALL, DONE, by=b"\r"),
    "with a byte order mark": [b"\xef\xbb\xbf", *CALL, DONE],
    "without a space after data:": [bit.replace(b"data: ", b"data:") for bit in (*CALL, DONE)],
    "with names and ids of events": [b"event: chunk\nid: 7\nretry: 10\n" + bit for bit in (*CALL, DONE)],
    "with each event on two data lines": [bit.replace(b', "choices"', b',\ndata: "choices"') for bit in CALL] + [DONE],
    "with empty events": [bit for one in (*CALL, DONE) for bit in (b"\n\n", b"data:\n\n", b"data: \n\n", one)],
    "with an event of null": [b"data: null\n\n", *CALL, b"data: null\n\n", DONE],
    "with Azure's first chunk": [event({"choices": [], "prompt_filter_results": [{}], "model": ""}), *CALL, DONE],
    "with choices of null": [event({"choices": None}), *CALL, DONE],
    "without choices": [event({"id": "x"}), *CALL, DONE],
    "with a delta of null": [
        event({"choices": [{"index": 0, "delta": None}]}),
        *CALL,
        event({"choices": [{"index": 0, "delta": None}]}),
        DONE,
    ],
    "without a delta": [event({"choices": [{"index": 0}]}), *CALL, DONE],
    "with nulls in a delta": [chunk(role=None, content=None, tool_calls=None, refusal=None, function_call=None), *CALL, DONE],
    "with an empty list of calls": [chunk(tool_calls=[]), *CALL, chunk(tool_calls=[]), DONE],
    "with an empty finish in each chunk": [chunk(tool_calls=[fragment], finish="") for fragment in ONE["in one piece"]] + [END, DONE],
    "with usage in each chunk": [*(bit.replace(b'"model"', b'"usage": {"prompt_tokens": 1}, "model"') for bit in CALL), DONE],
    "with usage before its finish": [*CALL[:-2], usage_chunk(3, 2), END, DONE],
    "with nonsense for usage": [event({"choices": [], "usage": ["many"]}), *CALL, DONE],
    "with data after [DONE]": [*CALL, DONE, *pieces(piece(9, id="z", name="wipe", arguments="{}")), b"data: {cut\n\n"],
    "with [DONE] twice": [*CALL, DONE, DONE],
    "with an error after [DONE]": [*CALL, DONE, event({"error": {"code": 502, "message": "m"}})],
    "with a second choice": [event({"choices": [{"index": 1, "delta": {"content": "Another"}, "finish_reason": None}]}), *CALL, DONE],
    "with a call in a second choice": [
        event({"choices": [{"index": 1, "delta": {"tool_calls": [piece(id="z", name="wipe", arguments="{}")]}}]}),
        *CALL,
        DONE,
    ],
    "with a message and no delta": [
        event({"choices": [{"index": 0, "message": {"role": "assistant", "tool_calls": [refund()]}, "finish_reason": "tool_calls"}]}),
        DONE,
    ],
    "with an escaped [DONE] in a text": [chunk("data: [DONE]"), *CALL, DONE],
    "as one block of bytes": [b"".join((*CALL, DONE))],
    "byte by byte": [bytes([byte]) for byte in b"".join((*CALL, DONE))],
    "with pauses": [bit for one in CALL for bit in (one, Pause(0.002))] + [DONE],
    "without the last empty line": [*CALL[:-1], CALL[-1].rstrip(), b"\n\ndata: [DONE]"],
    "with a legacy call": [
        chunk(function_call={"name": "refund", "arguments": ""}),
        *(chunk(function_call={"arguments": one}) for one in (HALF, REST)),
        chunk(finish="function_call"),
        DONE,
    ],
}

# streams in which something is missing or broken: said for ever, an error; said once, asked for again
BROKEN: dict[str, tuple[list[Bit], type[Exception]]] = {
    "that is empty": ([], BadReply),
    "of [DONE] alone": ([DONE], BadReply),
    "of keep-alives alone": ([b": ping\n\n"] * 5, BadReply),
    "of a role alone": ([chunk(role="assistant"), chunk(finish="stop"), DONE], BadReply),
    "of usage alone": ([usage_chunk(3, 0), DONE], BadReply),
    "of empty objects": ([b"data: {}\n\n"] * 3 + [DONE], BadReply),
    "of a page": ([b"<html>busy</html>"], BadReply),
    "of words": ([b"Internal Server Error\n\n"], BadReply),
    "that ends inside the arguments": (CALL[:5], BadReply),
    "that ends after arguments that look whole": (pieces(piece(id="a", name="refund", arguments=SECOND_DIGIT_LOST)), BadReply),
    "that ends after a handoff that looks whole": (pieces(piece(id="a", name="transfer_to_sales", arguments="{}")), BadReply),
    "that ends after the name of a tool with defaults": (pieces(piece(id="a", name="wipe")), BadReply),
    "that ends after words": ([chunk("The answer is"), chunk(" 4")], BadReply),
    "that ends inside an event": ([*CALL[:-2], END[:-30]], BadReply),
    "with a finish that is empty": ([*CALL[:-2], chunk(finish="")], BadReply),
    "with a finish of error": ([chunk("Do"), chunk(finish="error"), DONE], BadReply),
    "with a finish that is a number": ([*CALL[:-2], event({"choices": [{"index": 0, "delta": {}, "finish_reason": 1}]})], BadReply),
    "with a finish for another choice": ([*CALL[:-2], event({"choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}]})], BadReply),
    "with a line that is not JSON": ([*CALL[:4], b"data: {cut\n\n", *CALL[4:], DONE], BadReply),
    "with a line that is a number": ([b"data: 5\n\n", *CALL, DONE], BadReply),
    "with a line that is a list": ([b"data: [1]\n\n", *CALL, DONE], BadReply),
    "with a line of 100,000 brackets": ([b"data: " + b"[" * 100_000 + b"\n\n", *CALL, DONE], BadReply),
    "with choices that are an object": ([event({"choices": {"0": {}}}), *CALL, DONE], BadReply),
    "with a choice that is a text": ([event({"choices": ["Done."]}), *CALL, DONE], BadReply),
    "with a delta that is a text": ([event({"choices": [{"index": 0, "delta": "Done."}]}), *CALL, DONE], BadReply),
    "with calls that are a text": ([chunk(tool_calls="refund"), *CALL, DONE], BadReply),
    "with calls that are texts": ([chunk(tool_calls=["refund"]), *CALL, DONE], BadReply),
    "with another role": ([chunk(role="tool"), *CALL, DONE], BadReply),
    "with content that is a number": ([chunk(content=5), *CALL, DONE], BadReply),
    "with an error at its beginning": ([event({"error": {"message": "busy", "code": 503}})], ProviderError),
    "with an error in its middle": ([*CALL[:4], event({"error": {"message": "busy", "code": 503}}), *CALL[4:], DONE], ProviderError),
    "with an error that is a text": ([chunk("Do"), event({"error": "busy"})], ProviderError),
    "with an error after its finish": ([*CALL[:-1], event({"error": {"message": "busy", "code": 503}}), DONE], ProviderError),
    "with an error event": ([chunk("Do"), b"event: error\n" + event({"message": "busy"})], ProviderError),
    "with an error event without data": ([chunk("Do"), b"event: error\ndata:\n\n"], BadReply),
    "with an error event that is not JSON": ([chunk("Do"), b"event: error\ndata: busy\n\n"], BadReply),
    "with an error in its choice": (
        [event({"choices": [{"index": 0, "delta": {"content": "Do"}, "error": {"code": 502, "message": "m"}}]})],
        ProviderError,
    ),
    "with a rate limit inside": ([chunk("Do"), event({"error": {"message": "slow down", "code": 429}})], RateLimited),
    "with a call that the provider could not read": (
        [chunk("Do"), event({"error": {"code": "tool_use_failed", "failed_generation": GOOD}})],
        BadReply,
    ),
}

CASES = [
    *(Case(f"A streamed call {name}", asked(*given), ran=RAN, told="refunded") for name, given in ONE.items()),
    *(Case(f"Two streamed calls {name}", asked(*given), ran=BOTH, told="refunded") for name, given in TWO.items()),
    *(Case(f"A stream {name}", streams(*bits), ran=RAN, told="refunded") for name, bits in WELL.items()),
    *(Case(f"A stream {name}", streams(*bits), fails=error, again=True) for name, (bits, error) in BROKEN.items()),  # type: ignore[arg-type]
    *(
        Case(f"A stream that is {what} {where}", Raw(begun(*bits, bit), (Form.CHAT_STREAM,)), fails=error, again=True)
        for what, bit, error in (("reset", RESET, ProviderError), ("closed", CLOSE, ProviderError))
        for where, bits in (
            ("before a byte", []),
            ("after words", [chunk("Do")]),
            ("inside arguments", CALL[:5]),
            ("before its finish", CALL[:-2]),
        )
    ),
    *(
        Case(
            f"A stream that stalls {where}",
            Raw(begun(*bits, HANG), (Form.CHAT_STREAM,)),
            fails=ProviderTimeout,
            again=True,
            limits={"idle_timeout": 0.1},
        )
        for where, bits in (
            ("before a byte", []),
            ("after words", [chunk("Do")]),
            ("inside arguments", CALL[:5]),
            ("before its finish", CALL[:-2]),
        )
    ),
    Case("A stream that is reset after [DONE]", Raw(begun(*CALL, DONE, RESET), (Form.CHAT_STREAM,)), ran=RAN),
    Case("A stream that is reset after its finish", Raw(begun(*CALL[:-1], RESET), (Form.CHAT_STREAM,)), ran=RAN),
    Case("A stream that stalls after [DONE]", Raw(begun(*CALL, DONE, HANG), (Form.CHAT_STREAM,)), ran=RAN),
    Case("A stream that stalls after its finish", Raw(begun(*CALL[:-1], HANG), (Form.CHAT_STREAM,)), ran=RAN, limits={"idle_timeout": 0.1}),
    Case("A slow stream that never stalls", streams(*[bit for one in HELLO for bit in (one, Pause(0.03))]), limits={"idle_timeout": 0.4}),
    Case(
        "A stream that breaks, and then a good one with another call",
        [streams(*CALL[:5]), streams(*pieces(piece(id="a", name="refund", arguments=OTHER)), END, DONE)],
        ran=BOTH[1:],
    ),
    Case("A stream cut by its length inside arguments", streams(*CALL[:5], chunk(finish="length"), DONE), fails=ReplyCut),
    Case(
        "A stream cut by a filter after a call that looks whole", streams(*CALL[:-2], chunk(finish="content_filter"), DONE), fails=ReplyCut
    ),
    Case(
        "A stream with a full context inside",
        streams(chunk("Do"), event({"error": {"code": "context_length_exceeded", "message": "m"}})),
        fails=ContextTooLong,
    ),
    Case(
        "A stream with UTF-8 cut at every byte",
        streams(*[bytes([byte]) for byte in chunk("Grüße, 世界 \U0001f600".encode().decode())], DONE),
        ends="Grüße, 世界 \U0001f600",
    ),
    Case(
        "A stream with raw UTF-8 cut at every byte",
        streams(*[bytes([byte]) for byte in 'data: {"choices":[{"delta":{"content":"ü世\U0001f600"}}]}\n\n'.encode()], DONE),
        ends="ü世\U0001f600",
    ),
    Case(
        "A stream with a surrogate pair in two pieces",
        streams(chunk("\ud83d"), chunk("\ude00"), chunk(finish="stop"), DONE),
        ends="\U0001f600",
    ),
    Case("A stream with half a surrogate pair", streams(chunk("a\ud83d"), chunk("b"), chunk(finish="stop"), DONE), ends="a\ufffdb"),
    Case(
        "A stream with bytes that are not UTF-8", streams(b'data: {"choices":[{"delta":{"content":"a\xffb"}}]}\n\n', DONE), ends="a\ufffdb"
    ),
    Case(
        "A stream with pieces of a refusal",
        streams(chunk(refusal="I ca"), chunk(refusal="nnot."), chunk(finish="stop"), DONE),
        fails=ModelRefused,
    ),
    Case("A stream of 20,000 empty chunks", streams(b"".join([chunk("")] * 20_000), *HELLO)),
    Case("A stream of one line of a megabyte", streams(chunk("x" * 1_000_000), DONE), ends="x" * 1_000_000),
    Case(
        "A stream in gzip",
        Raw(
            [*whole(gzip.compress(b"".join((*CALL, DONE))), headers={"Content-Encoding": "gzip"}, content_type="text/event-stream")],
            (Form.CHAT_STREAM,),
        ),
        ran=RAN,
    ),
    Case(
        "A stream in gzip that is cut",
        Raw(whole(gzip.compress(b"".join((*CALL, DONE)))[:-60], headers={"Content-Encoding": "gzip"}), STREAMS),
        fails=BadReply,
        again=True,
    ),
    Case(
        "A stream with thoughts",
        streams(chunk(reasoning_content="He "), chunk(reasoning_content="is right."), *CALL, DONE, kinds={"reasoning_content"}),
        ran=RAN,
    ),
    Case("A stream that is called JSON", Raw([head(headers={"Connection": "close"}), *CALL, DONE, CLOSE], CHAT), ran=RAN),
    Case(
        "A stream without chunks of HTTP",
        Raw([head(headers={"Connection": "close"}, content_type="text/event-stream"), *CALL, DONE, CLOSE], CHAT),
        ran=RAN,
    ),
    Case(
        "A stream without chunks of HTTP that is cut",
        Raw([head(headers={"Connection": "close"}), *CALL[:5], CLOSE], CHAT),
        fails=BadReply,
        again=True,
    ),
]

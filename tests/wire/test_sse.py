"""Server-sent events, wherever the bytes were cut."""

import random

import pytest

from segue.wire.sse import SSEDecoder, encode_event

CASES = [
    (b"data: a\n\n", [("", b"a")]),
    (b"data:a\n\n", [("", b"a")]),
    (b"data:  a\n\n", [("", b" a")]),
    (b"data: a\r\n\r\n", [("", b"a")]),
    (b"data: a\r\r", [("", b"a")]),
    (b"\xef\xbb\xbfdata: a\n\n", [("", b"a")]),
    (b": a comment\n\ndata: a\n\n: another\n\n", [("", b"a")]),
    (b"data: a\ndata: b\n\n", [("", b"a\nb")]),
    (b"data: a\ndata\ndata: b\n\n", [("", b"a\n\nb")]),
    (b"event: error\ndata: {}\n\ndata: b\n\n", [("error", b"{}"), ("", b"b")]),
    (b"event:done\n\ndata: b\n\n", [("", b"b")]),
    (b"id: 7\nretry: 9\nnonsense\ndata: a\n\n", [("", b"a")]),
    (b"data: \xc3\xa9\xe2\x80\xa8\xf0\x9f\x8e\x89\n\n", [("", "é\u2028🎉".encode())]),
    (b"data:\n\n", [("", b"")]),
    (b"\n\n\n", []),
    (b"", []),
]


def decode(*pieces: bytes) -> list[tuple[str, bytes]]:
    decoder = SSEDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.close()


@pytest.mark.parametrize(("raw", "events"), CASES)
def test_a_stream_gives_the_same_events_whole_and_byte_by_byte(raw: bytes, events: list[tuple[str, bytes]]):
    assert decode(raw) == events
    assert decode(*(raw[at : at + 1] for at in range(len(raw)))) == events


def test_a_stream_may_be_cut_anywhere():
    raw = b"".join(case for case, _ in CASES[1:]).replace(b"\xef\xbb\xbf", b"")
    whole = decode(raw)
    chance = random.Random(7)
    for _ in range(300):
        cuts = sorted(chance.sample(range(len(raw)), 5))
        assert decode(*(raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True))) == whole


def test_an_event_comes_with_its_last_byte_and_not_later():
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\r\n\r") == [("", b"a")]
    assert decoder.feed(b"\ndata: b\n") == []
    assert decoder.feed(b"\n") == [("", b"b")]
    assert decoder.close() == []


def test_what_the_end_leaves_without_its_empty_line_is_given_at_the_end():
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a") == []
    assert decoder.close() == [("", b"a")]


def test_what_is_written_is_read():
    assert decode(encode_event(b"{}", "ping") + encode_event(b"[DONE]")) == [("ping", b"{}"), ("", b"[DONE]")]

import json

from hypothesis import given
from hypothesis import strategies as st

from segue.cli.safe import json_text, visible

STEERING = {chr(code) for code in [*range(0x20), *range(0x7F, 0xA0)]} - {"\t", "\n"}


def test_escape_sequences_are_shown():
    assert visible("\x1b[31mred\x07\r\n\tend\x9b\u202e") == "\\x1b[31mred\\x07\\x0d\n\tend\\x9b\\u202e"


def test_other_text_stays_as_it_is():
    text = "Grüße, 世界 👩‍🚀 \\x1b\n\ttab"
    assert visible(text) == text


@given(st.text(st.characters()))
def test_nothing_that_steers_a_terminal_is_left(text):
    assert not STEERING & set(visible(text))
    visible(text).encode()


@given(st.text(st.characters()))
def test_json_says_the_same_and_steers_nothing(text):
    written = json_text({"text": text})
    assert not STEERING & set(written)
    written.encode()
    assert json.loads(written) == {"text": text}

"""R4: what a model may send as arguments, and the one text that equal arguments have."""

import hashlib
import json
import math
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.core.arguments import MAX_BYTES, MAX_LEVELS, canonical, digest, parse
from segue.errors import ArgumentsRefused, UsageError

READ = [
    ("", {}),
    ("  \n\t", {}),
    ("{}", {}),
    (' \r\n{ "a" : 1 }\n', {"a": 1}),
    ('{"a":"\\u00e9\\n"}', {"a": "é\n"}),
    ('{"a":"\\ud83d\\ude00"}', {"a": "😀"}),
    ('{"a":[1,2.5,true,false,null,{"b":"c"}]}', {"a": [1, 2.5, True, False, None, {"b": "c"}]}),
    ('{"a":123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
    ('{"a":-0.0}', {"a": -0.0}),
    ('{"a":1e-400}', {"a": 0.0}),
    ('{"":""}', {"": ""}),
    ('{"a":{"a":{"a":1}},"b":{"a":1}}', {"a": {"a": {"a": 1}}, "b": {"a": 1}}),
    ('{"a":"{[{[{[' + "[" * 100 + '"}', {"a": "{[{[{[" + "[" * 100}),
    ('{"a":"\\"' + "[" * 100 + '"}', {"a": '"' + "[" * 100}),
    ('{"a":"\\ud800"}', {"a": "�"}),
    ('{"a":"x\\udc00y"}', {"a": "x�y"}),
    ('{"a":["\ud800",{"\udfff":"\\ude00\\ud83d"}]}', {"a": ["�", {"�": "��"}]}),
    ('{"a":"\\\\ud800"}', {"a": "\\ud800"}),
    ('{"a":' + "[" * (MAX_LEVELS - 1) + "]" * (MAX_LEVELS - 1) + "}", None),
    ('{"a":"' + "x" * (MAX_BYTES - 8) + '"}', {"a": "x" * (MAX_BYTES - 8)}),
    ('{"a":[' + "[]," * 1000 + "[]]}", {"a": [[]] * 1001}),
]

REFUSED = [
    ('{"a":1,"a":2}', 'the key "a" is there twice'),
    ('{"a":1,"a":1}', 'the key "a" is there twice'),
    ('{"x":{"a":1,"b":2,"a":2}}', 'the key "a" is there twice'),
    ('{"a":1,"\\u0061":2}', 'the key "a" is there twice'),
    ('{"\\ud800":1,"\\ud801":2}', "is there twice"),
    ('{"a":NaN}', "NaN is not a JSON number"),
    ('{"a":Infinity}', "Infinity is not a JSON number"),
    ('{"a":-Infinity}', "-Infinity is not a JSON number"),
    ('{"a":1e999}', "a number is too large"),
    ('{"a":[-1e999]}', "a number is too large"),
    ("null", "expected a JSON object, got null"),
    ("[]", "expected a JSON object, got an array"),
    ('[{"a":1}]', "expected a JSON object, got an array"),
    ('"{}"', "expected a JSON object, got a string"),
    ("5", "expected a JSON object, got a number"),
    ("5.0", "expected a JSON object, got a number"),
    ("true", "expected a JSON object, got true or false"),
    ("NaN", "NaN is not a JSON number"),
    ("{", "ends too early"),
    ('{"a"', "ends too early"),
    ('{"a":', "ends too early"),
    ('{"a":1,', "ends too early"),
    ('{"a":"x', "ends too early"),
    ('{"a":[1,2', "ends too early"),
    ('{"a":tru', "invalid JSON"),
    ('{"a":1}}', "invalid JSON: Extra data (line 1, column 8)"),
    ('{"a":1}{"a":2}', "invalid JSON: Extra data (line 1, column 8)"),
    ('{"a":1} and more', "invalid JSON: Extra data (line 1, column 9)"),
    ('{"a":1,}', "invalid JSON"),
    ("{a:1}", "invalid JSON: Expecting property name enclosed in double quotes (line 1, column 2)"),
    ("{'a':1}", "invalid JSON: Expecting property name enclosed in double quotes (line 1, column 2)"),
    ('{\n "a": 1\n "b": 2}', "invalid JSON: Expecting ',' delimiter (line 3, column 2)"),
    ('{"a":1 /* one */}', "invalid JSON"),
    ('{"a":01}', "invalid JSON"),
    ('{"a":+1}', "invalid JSON"),
    ('{"a":.5}', "invalid JSON"),
    ('{"a":0x10}', "invalid JSON"),
    ('{"a":"\t"}', "invalid JSON: Invalid control character"),
    ('{"a":"\\x41"}', "invalid JSON: Invalid \\escape"),
    ('{"a":"\\u00g0"}', "invalid JSON"),
    ("```json\n{}\n```", "invalid JSON"),
    ("<tool>{}</tool>", "invalid JSON"),
    ("\ufeff{}", "invalid JSON"),
    ("\x00", "invalid JSON"),
    ("undefined", "invalid JSON"),
    ('{"a":' + "9" * 5000 + "}", "a number has too many digits"),
    ('{"a":"' + "x" * MAX_BYTES + '"}', "larger than 64 KiB"),
    ('{"a":"' + "é" * (MAX_BYTES // 2) + '"}', "larger than 64 KiB"),
    ('{"a":"' + "😀" * (MAX_BYTES // 4) + '"}', "larger than 64 KiB"),
    (" " * (MAX_BYTES + 1), "larger than 64 KiB"),
    ('{"a":' + "[" * MAX_LEVELS + "]" * MAX_LEVELS + "}", "deeper than 32 levels"),
    ("[" * 20_000, "deeper than 32 levels"),
    ("[" * 20_000 + "]" * 20_000, "deeper than 32 levels"),
    ('{"a":' * 10_000, "deeper than 32 levels"),
    ('[{"":' * 10_000, "deeper than 32 levels"),
    ('"' + '\\"' * 20_000 + "[" * 100, "ends too early"),
]


@pytest.mark.parametrize(("text", "value"), READ)
def test_a_sound_object_is_read_as_it_is(text, value):
    found = parse(text)
    assert type(found) is dict
    if value is not None:
        assert found == value
        assert json.dumps(found) == json.dumps(value)


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_an_unsound_text_is_refused_with_its_reason(text, words):
    with pytest.raises(ArgumentsRefused) as caught:
        parse(text)
    ((path, said),) = caught.value.fields
    assert path == ""
    assert words in said
    assert str(caught.value) == f"The arguments cannot be read, so nothing was run: {said}."


def test_the_tables_hold_what_was_promised():
    assert len(REFUSED) >= 25


def test_deep_nesting_is_refused_before_the_parser_could_recurse():
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10**6)
    try:
        with pytest.raises(ArgumentsRefused):
            parse("[" * 60_000)
    finally:
        sys.setrecursionlimit(limit)


SOUND = st.characters(exclude_categories=["Cs"])


def json_values(floats):
    plain = st.none() | st.booleans() | st.integers() | floats | st.text(SOUND)
    return st.recursive(
        plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(SOUND), inner, max_size=4), max_leaves=12
    )


JSON = json_values(st.floats(allow_nan=False, allow_infinity=False))


@given(st.dictionaries(st.text(SOUND), JSON, max_size=4), st.booleans(), st.sampled_from([None, 1]))
def test_whatever_json_writes_is_read_back(value, ascii_only, indent):
    assert parse(json.dumps(value, ensure_ascii=ascii_only, indent=indent)) == value


@given(st.dictionaries(st.text(), st.text(), min_size=1, max_size=3), st.data())
def test_a_truncated_text_is_never_read(value, data):
    text = json.dumps(value)
    with pytest.raises(ArgumentsRefused):
        parse(text[: data.draw(st.integers(1, len(text) - 1))])


@given(st.text(st.sampled_from('{}[]":,\\ud80012 \n\t-.eEnulltrfasNI\ud800é'), max_size=40))
def test_any_text_gives_an_object_or_a_refusal(text):
    try:
        found = parse(text)
    except ArgumentsRefused as refused:
        assert refused.fields[0][1]  # noqa: PT017
    else:
        assert type(found) is dict
        assert canonical(parse(canonical(found))) == canonical(found)


@given(st.dictionaries(st.text(), st.text(), max_size=3))
def test_no_lone_surrogate_comes_through(value):
    found = parse_or_none(json.dumps(value)), parse_or_none(json.dumps(value, ensure_ascii=False))
    for each in found:
        if each is not None:
            json.dumps(each, ensure_ascii=False).encode()


def parse_or_none(text):
    try:
        return parse(text)
    except ArgumentsRefused:  # two keys that differ only in their surrogates
        return None


# RFC 8785, appendix B: doubles by their bits
NUMBERS = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


@pytest.mark.parametrize(("bits", "text"), NUMBERS)
def test_a_double_is_written_as_rfc_8785_writes_it(bits, text):
    assert canonical(struct.unpack(">d", bytes.fromhex(bits))[0]) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        (5.0, "5"),
        (-0.0, "0"),
        (1e16, "10000000000000000"),
        (1e-5, "0.00001"),
        (123.456, "123.456"),
        (4.50, "4.5"),
        (2e-3, "0.002"),
        (1e-27, "1e-27"),
        (2**53 + 1, "9007199254740993"),
        (10**30, "1" + "0" * 30),
        (True, "true"),
        (False, "false"),
        (None, "null"),
        ("", '""'),
        ([], "[]"),
        ({}, "{}"),
        ((1, 2), "[1,2]"),
        ("é€😀", '"é€😀"'),
        ('\b\t\n\f\r"\\/', '"\\b\\t\\n\\f\\r\\"\\\\/"'),
        ("\x00\x0f\x1f\x7f", '"\\u0000\\u000f\\u001f\x7f"'),
        ("\ud800", '"�"'),
        ({"\ud83d\ude00": 1}, '{"😀":1}'),
        ({"b": 1, "a": {"d": [1.0, {"f": 1, "e": 2}], "c": ""}}, '{"a":{"c":"","d":[1,{"e":2,"f":1}]},"b":1}'),
        # the RFC's own example of a value (3.2.2) and of sorting (3.2.3): a smiley comes before U+FB33 in UTF-16
        (
            {"numbers": [333333333.33333329, 1e30, 4.5, 2e-3, 1e-27], "string": '€$\u000f\nA\'B"\\\\"/', "literals": [None, True, False]},
            '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
        ),
        (
            {"\u20ac": "Euro", "\r": "CR", "\ufb33": "Dalet", "1": "One", "😀": "Smiley", "\u0080": "Control", "ö": "o"},
            '{"\\r":"CR","1":"One","\u0080":"Control","ö":"o","€":"Euro","😀":"Smiley","\ufb33":"Dalet"}',
        ),
    ],
)
def test_a_value_has_its_one_canonical_text(value, text):
    assert canonical(value) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, {1, 2}, b"x", {1: "x"}, {"a": object()}, [{None: 1}]])
def test_what_is_not_json_has_no_canonical_text(value):
    with pytest.raises(UsageError):
        canonical(value)


@given(JSON)
def test_a_canonical_text_is_its_own_canonical_text(value):
    assert canonical(json.loads(canonical(value))) == canonical(value)


@given(json_values(st.floats(-(2**53), 2**53)))
def test_a_canonical_text_means_the_same(value):
    assert json.loads(canonical(value)) == value


@given(st.dictionaries(st.text(SOUND), JSON, max_size=5), st.randoms())
def test_the_order_of_keys_does_not_matter(value, random):
    keys = list(value)
    random.shuffle(keys)
    assert canonical({key: value[key] for key in keys}) == canonical(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_is_read_back_exactly(number):
    assert float(canonical(number)) == number


def test_integers_that_one_double_stands_for_stay_apart():
    assert canonical({"id": 2**53}) != canonical({"id": 2**53 + 1})


def test_the_digest_is_the_sha_256_of_the_utf_8_text():
    assert digest("{}") == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert digest(canonical({"a": "é"})) == hashlib.sha256('{"a":"é"}'.encode()).hexdigest()

"""Tools that do not do what they declare: a crash test finds them out, and says which, where, and what to do about it."""

import pytest

from tests.crashtest.playing import crashtest, faults, reported

WRONG = "tests.crashtest.team:wrong"
SCENARIO = """
observe = "tests.crashtest.team:observed"

[environment]
WRONG = "{effect}"

[[step]]
say = "Pay."

[[reply]]
calls = [{{ name = "pay_out", arguments = {{ item = "boots" }} }}]

[[reply]]
text = "Paid."
"""


@pytest.mark.parametrize(
    ("effect", "mend"),
    [
        ("read", 'A "read" tool is called again after a crash, and this one changes something. Leave effect= out: it is "once" then'),
        ("keyed", "The call is made again with the same ctx.key, and the service did not know it"),
        ("transaction", "What is written to ctx.db is rolled back with the process; what is written elsewhere is not"),
    ],
)
def test_a_tool_that_pays_twice_is_named_with_its_effect_and_the_mend(tmp_path, effect, mend):
    file = tmp_path / "crash.toml"
    file.write_text(SCENARIO.format(effect=effect))
    report = reported("--scenario", str(file), target=WRONG)
    assert report["wrong"] > 0
    for fault in faults(report):
        assert (fault["kind"], fault["tool"], fault["effect"], fault["call"]) == ("world", "pay_out", effect, "1.0")
        assert (
            fault["words"]
            == 'this has happened more often than without a crash: ["paid", "boots"]. pay_out was entered 2 times for one call'
        )
        assert fault["mend"].startswith(mend)
    wrong = [fault["points"] for fault in faults(report)]
    assert ["return:1.0"] in wrong
    assert ["entry:1.0"] not in wrong  # nothing was paid yet


def test_the_command_that_is_given_repeats_just_that_trial(tmp_path):
    file = tmp_path / "crash.toml"
    file.write_text(SCENARIO.format(effect="read"))
    words = [WRONG, "--scenario", str(file)]
    done = crashtest(*words)
    assert done.returncode == 1
    assert "WRONG, killed at return:1.0" in done.stdout
    again = f"segue crashtest {WRONG} --scenario {file} --only return:1.0"
    assert f"  Again: {again}\n" in done.stdout
    report = reported(*again.split()[3:], target=WRONG)
    assert [result["points"] for result in report["results"]] == [["return:1.0"]]
    assert report["wrong"] == 1

"""Answers that do not fit an agent's output type: the agent is told, twice at most, and then the run fails."""

import json
from typing import Any

from pydantic import BaseModel

from segue.errors import OutputError
from tests.hostile.arguments import RAN
from tests.hostile.forms import refund, says
from tests.hostile.stage import Case


class Decision(BaseModel):
    pay: bool
    amount: float
    notes: dict[str, Any] = {}


GOOD = '{"pay": true, "amount": 5.0}'
DEEP = '{"pay": true, "amount": 5, "notes": {"a": ' + "[" * 900 + "]" * 900 + "}}"

MISFITS: dict[str, str] = {
    "words": "I will pay.",
    "JSON that is cut": '{"pay": true, "amount": 5',
    "an empty object": "{}",
    "null": "null",
    "a list": f"[{GOOD}]",
    "a wrong type": '{"pay": true, "amount": "ten"}',
    "NaN": '{"pay": true, "amount": NaN}',
    "infinity": '{"pay": true, "amount": -Infinity}',
    "a key twice": '{"pay": true, "amount": 5, "amount": 5000}',
    "words behind it": GOOD + " That is all.",
    "two answers": GOOD + GOOD,
    "an object in a text": json.dumps(GOOD),
    "brackets 100,000 deep": "[" * 100_000,
    "900 levels": DEEP,
    "a number of 5,000 digits": '{"pay": true, "amount": ' + "9" * 5000 + "}",
    "half a fence": "```json\n" + '{"pay": true',
}
FITS: dict[str, str] = {
    "in a fence": f"```json\n{GOOD}\n```",
    "with spaces": f"\n {GOOD} \n",
    "with notes": '{"pay": true, "amount": 5, "notes": {"a": [1, {"b": null}]}}',
    "half a surrogate pair": '{"pay": true, "amount": 5, "notes": {"a": "\\ud800"}}',
}

CASES = [
    *(
        Case(f"An output of {name}, three times", says(text=said), forever=True, output=Decision, well=GOOD, fails=OutputError)
        for name, said in MISFITS.items()
    ),
    *(
        Case(f"An output of {name}, and then a good one", [says(text=said), says(text=GOOD)], output=Decision, well=GOOD, ends=GOOD)
        for name, said in MISFITS.items()
    ),
    *(Case(f"An output {name}", says(text=said), output=Decision, well=GOOD, ends=said) for name, said in FITS.items()),
    Case(
        "An output beside a call is none",
        [says(refund(), text=GOOD), says(text="Paid."), says(text=GOOD)],
        output=Decision,
        well=GOOD,
        ran=RAN,
        ends=GOOD,
    ),
]

"""Models that reply from a script."""

from typing import Any

import pytest

from segue.core.messages import Reply
from segue.errors import UsageError
from segue.models.scripted import ScriptedModel


@pytest.mark.parametrize(
    "one", ["hello", {"look": {}}, Reply(text="hello", finish="stop"), ValueError("hello")], ids=lambda one: type(one).__name__
)
def test_a_reply_alone_is_no_script(one: Any):
    with pytest.raises(UsageError) as raised:
        ScriptedModel(one)
    assert str(raised.value) == f"A script is a list of replies. Put this one into a list: ScriptedModel([{one!r}])."


def test_a_function_is_no_script_and_is_sent_to_its_own_model():
    with pytest.raises(UsageError, match="FunctionModel"):
        ScriptedModel(lambda request: "hello")  # type: ignore[arg-type]


def test_a_script_may_be_anything_that_gives_replies_in_order():
    for script in (("a", "b"), iter(["a", "b"]), {"a": 1, "b": 2}.keys()):
        assert len(list(ScriptedModel(script)._replies)) == 2

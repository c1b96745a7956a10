"""Models that reply from a script."""

from typing import Any

import pytest

from segue.agent import Agent
from segue.core.messages import CUT, Call, Reply
from segue.errors import ModelRefused, ProviderError, ReplyCut, UsageError
from segue.models.scripted import FunctionModel, ScriptedModel
from segue.runner import Runner


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
        assert ScriptedModel(script).left == 2


async def test_what_is_left_of_a_script_is_what_was_not_asked_for():
    model = ScriptedModel(["a", ProviderError("no"), "b", "c"])
    runner = Runner(Agent("A"), model=model)
    assert model.left == 4
    await runner.run("Hi")
    assert model.left == 3
    with pytest.raises(ProviderError):
        await runner.run("Hi")
    assert (await runner.run("Hi")).output == "b"
    assert model.left == 1
    await runner.run("Hi")
    assert model.left == 0
    with pytest.raises(UsageError, match="at its end"):
        await runner.run("Hi")
    assert model.left == 0
    assert ScriptedModel([]).left == 0


WORDS = ["MAX_TOKENS", "max_tokens", "length", "max_output_tokens", "refusal", "SAFETY", "content_filter", "RECITATION"]


def wiping(said: Reply):
    """A Runner whose model says this and no more, and what its one tool, which needs no argument, has done."""
    wiped: list[str] = []

    def wipe(table: str = "all of them") -> str:
        wiped.append(table)
        return "wiped"

    return Runner(Agent("A", tools=[wipe]), model=ScriptedModel([said, "Never said."])), wiped


@pytest.mark.parametrize("finish", WORDS)
async def test_calls_of_a_reply_that_was_cut_are_not_made_in_whatever_words_its_model_says_so(finish: str):
    runner, wiped = wiping(Reply(calls=(Call("1", "wipe", "{}"),), finish=finish))
    with pytest.raises(ReplyCut):
        await runner.run("Tidy up", conversation="c")
    ended = (await runner.replay("c")).ended
    assert ended is not None
    assert (ended.kind, ended.error, wiped) == ("failed", "ReplyCut", [])


@pytest.mark.parametrize("finish", WORDS)
async def test_a_text_that_was_cut_is_no_answer_in_whatever_words_its_model_says_so(finish: str):
    runner, _ = wiping(Reply(text="It is safe to", finish=finish))
    with pytest.raises(ReplyCut) as cut:
        await runner.run("Is it safe?")
    assert (cut.value.finish, cut.value.text) == (CUT[finish.lower()], "It is safe to")  # type: ignore[attr-defined]


@pytest.mark.parametrize("finish", ["stop", "STOP", "end_turn", "tool_calls", "tool_use", "eos", "", "anything"])
async def test_a_reply_that_ended_by_itself_is_whole_whatever_its_model_calls_that(finish: str):
    runner, wiped = wiping(Reply(calls=(Call("1", "wipe", "{}"),), finish=finish))
    assert (await runner.run("Tidy up")).output == "Never said."
    assert wiped == ["all of them"]


async def test_calls_beside_a_refusal_are_not_made():
    runner, wiped = wiping(Reply(calls=(Call("1", "wipe", "{}"),), finish="stop", refusal="I will not."))
    with pytest.raises(ModelRefused):
        await runner.run("Tidy up")
    assert wiped == []


async def test_a_function_may_return_an_exception_as_a_script_may_hold_one():
    with pytest.raises(ModelRefused):
        await Runner(Agent("A"), model=FunctionModel(lambda request: ModelRefused("No."))).run("Hello?")

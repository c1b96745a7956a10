"""Recording what a model is asked and replies, and replaying it."""

import json

import pytest
from pydantic import BaseModel

from segue.agent import Agent
from segue.core.messages import Call, Reply, Usage
from segue.errors import RateLimited, RequestDiffers, UsageError
from segue.model import CallDelta, ModelSettings, ReasoningDelta, Restarted, TextDelta
from segue.runner import Runner
from segue.testing import RecordingModel, ReplayModel, ScriptedModel
from segue.throwaway import run

REPLIES = [
    Reply(
        text="Let me look.",
        calls=(Call("a", "look", '{"item": "boots"}', {"thought_signature": "s"}),),
        finish="tool_calls",
        usage=Usage(10, 5, 2, 1),
        model="gpt-x",
        extra={"reasoning": "hm"},
        dialect="openai-chat",
    ),
    "It is 5.",
]


def look(item: str) -> str:
    """Look at an item.\n\nTwice."""
    return f"{item}\ncost 5"


def agent(**made):
    return Agent("A", **{"instructions": "Line one.\nLine two.", "tools": [look], **made})


async def record(path, model=None, **made):
    return await run(agent(**made), "How much?", model=RecordingModel(model or ScriptedModel(REPLIES), path))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "recording.jsonl"


async def test_a_recorded_run_replays_to_the_same_messages_and_usage(path):
    recorded = await record(path)
    model = ReplayModel(path)
    replayed = await run(agent(), "How much?", model=model)
    assert (replayed.messages, replayed.usage) == (recorded.messages, recorded.usage)
    assert model.left == 0


async def test_every_field_of_a_reply_is_kept(path):
    await record(path)
    runner = Runner(agent(), model=ReplayModel(path))
    await runner.run("How much?", conversation="c")
    replies = [row.event.reply for row in await runner.events("c") if type(row.event).__name__ == "ModelReplied"]
    assert replies[0] == REPLIES[0]


class Talkative:
    """A model whose first attempt dies after some words."""

    name = "talkative"
    items = (TextDelta("Wro"), Restarted(2), ReasoningDelta("hm"), TextDelta("Rig"), TextDelta("ht"), CallDelta(0, "x", "{}"))

    async def reply(self, request):
        if request.stream:
            for item in self.items:
                yield item
        yield Reply(text="Right", finish="stop")


async def test_a_stream_is_replayed_in_its_own_pieces_and_a_whole_reply_in_none(path):
    async def pieces(model):
        async with Runner(Agent("A"), model=model).stream("Hi") as stream:
            return [item async for item in stream if isinstance(item, TextDelta | ReasoningDelta | CallDelta | Restarted)]

    assert await pieces(RecordingModel(Talkative(), path)) == list(Talkative.items)
    assert await pieces(ReplayModel(path)) == list(Talkative.items)
    assert (await run(Agent("A"), "Hi", model=ReplayModel(path))).output == "Right"


async def test_what_was_recorded_whole_is_streamed_word_by_word(path):
    await run(Agent("A"), "Hi", model=RecordingModel(ScriptedModel(["one two"]), path))
    async with Runner(Agent("A"), model=ReplayModel(path)).stream("Hi") as stream:
        assert [item.text async for item in stream if isinstance(item, TextDelta)] == ["one", " two"]


async def test_an_error_of_the_provider_is_recorded_and_raised_again_with_its_values(path):
    broken = ScriptedModel([RateLimited("busy", provider="p", status=429, retry_after=2.5)])
    with pytest.raises(RateLimited):
        await record(path, broken)
    with pytest.raises(RateLimited, match="busy") as caught:
        await run(agent(), "How much?", model=ReplayModel(path))
    assert (caught.value.provider, caught.value.status, caught.value.retry_after) == ("p", 429, 2.5)


async def test_another_request_stops_the_replay_with_a_diff_that_shows_what_differs_and_nothing_else(path):
    await record(path)
    with pytest.raises(RequestDiffers) as caught:
        await run(agent(), "How many?", model=ReplayModel(path))
    assert caught.value.place == 1
    lines = caught.value.diff.splitlines()
    assert [line for line in lines if line.startswith(("+", "-"))] == [
        "--- recorded",
        "+++ asked now",
        "-user: How much?",
        "+user: How many?",
    ]
    assert "Mend the code, or record it again" in str(caught.value)


class Answer(BaseModel):
    text: str


def other(item: str) -> str:
    return "other"


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        ({"instructions": "Line one.\nLine three."}, ["-    Line two.", "+    Line three."]),
        ({"tools": [other]}, ["-tool look", "+tool other"]),
        ({"settings": ModelSettings(temperature=0.5)}, ["+temperature: 0.5"]),
        ({"output": Answer}, ["+output: "]),
    ],
)
async def test_a_diff_shows_changed_instructions_tools_settings_and_output_types(path, made, shown):
    await record(path)
    with pytest.raises(RequestDiffers) as caught:
        await run(agent(**made), "How much?", model=ReplayModel(path))
    for start in shown:
        assert any(line.startswith(start) for line in caught.value.diff.splitlines()), caught.value.diff


async def test_a_changed_answer_of_a_tool_is_found_at_the_request_that_tells_it(path):
    await record(path)

    def look(item: str) -> str:
        """Look at an item.\n\nTwice."""
        return f"{item}\ncost 6"

    with pytest.raises(RequestDiffers) as caught:
        await run(agent(tools=[look]), "How much?", model=ReplayModel(path))
    assert caught.value.place == 2
    assert "-    cost 5\n+    cost 6" in caught.value.diff


async def test_a_replay_that_is_asked_once_more_says_so(path):
    await record(path)
    model = ReplayModel(path)
    await run(agent(), "How much?", model=model)
    with pytest.raises(UsageError, match="holds 2 exchanges, and A asks once more"):
        await run(agent(), "How much?", model=model)


async def test_of_a_recording_of_one_exchange_there_is_one(path):
    await run(Agent("A"), "Hi", model=RecordingModel(ScriptedModel(["Hello."]), path))
    model = ReplayModel(path)
    await run(Agent("A"), "Hi", model=model)
    with pytest.raises(UsageError, match="holds 1 exchange, and A asks once more"):
        await run(Agent("A"), "Hi", model=model)


@pytest.mark.parametrize("model", ["openai:gpt-5-mini", None, ScriptedModel, {"model": "m"}], ids=repr)
async def test_what_is_no_model_is_refused_before_the_recording_that_is_there_is_lost(path, model):
    await record(path)
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"RecordingModel takes a model, not \w+\. Make one with model_from"):
        RecordingModel(model, path)
    assert path.read_bytes() == before != b""


async def test_a_recording_is_begun_anew_and_holds_one_exchange_a_line(path):
    await record(path)
    await record(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2
    assert all(set(json.loads(line)) == {"request", "deltas", "reply"} for line in lines)


async def test_a_secret_in_a_list_is_not_written_either(path):
    extra = {"tools": [{"type": "mcp", "headers": {"Authorization": "Bearer sk-1"}}]}
    await record(path, settings=ModelSettings(extra=extra))
    assert "sk-1" not in path.read_text()
    assert (await run(agent(settings=ModelSettings(extra=extra)), "How much?", model=ReplayModel(path))).output == "It is 5."


async def test_what_a_setting_calls_a_secret_is_not_written(path):
    settings = ModelSettings(max_tokens=100, extra={"api_key": "sk-4711", "headers": {"Authorization": "Bearer 4711"}, "top_k": 4})
    await record(path, settings=settings)
    text = path.read_text(encoding="utf-8")
    assert "4711" not in text
    assert '"top_k": 4' in text
    assert '"max_tokens": 100' in text
    assert (await run(agent(settings=settings), "How much?", model=ReplayModel(path))).output == "It is 5."


async def test_a_stream_that_is_left_early_is_not_recorded(path):
    runner = Runner(Agent("A"), model=RecordingModel(ScriptedModel(["one two three"]), path))
    async with runner.stream("Hi") as stream:
        async for item in stream:
            if isinstance(item, TextDelta):
                break
    assert path.read_bytes() == b""


@pytest.mark.parametrize("line", ["", "nonsense", "[]", "{}", '{"reply": {}}', '{"request": {}, "reply": {}}', "3"])
def test_a_damaged_recording_is_refused_with_the_number_of_the_line(path, line):
    path.write_text(f'{{"request": {{"messages": []}}, "deltas": [], "reply": {{}}}}\n{line}\n', encoding="utf-8")
    with pytest.raises(UsageError, match="Line 2 of"):
        ReplayModel(path)


def test_a_recording_that_is_missing_or_no_text_is_refused(path):
    with pytest.raises(UsageError, match="cannot be read"):
        ReplayModel(path)
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UsageError, match="cannot be read"):
        ReplayModel(path)

"""Chat Completions, as a client: what is sent."""

import json
from typing import Any

import pytest

from segue.core.messages import Assistant, Call, System, ToolAnswer, User
from segue.errors import UsageError
from segue.model import ModelRequest, ModelSettings, OutputSpec, ToolSpec
from segue.wire.openai_chat import OPENAI, Form, decode_reply, encode_request, nine

WEATHER = ToolSpec("weather", "Look outside.", {"type": "object", "properties": {"city": {"type": "string"}}})


def sent(*messages: Any, form: Form = OPENAI, **request: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(encode_request(ModelRequest(list(messages), **request), "m", form))
    return body


def one(message: Any, form: Form = OPENAI) -> dict[str, Any]:
    said: dict[str, Any] = sent(message, form=form)["messages"][0]
    return said


def body(message: Any = None, *, finish: Any = "stop", **more: Any) -> bytes:
    return json.dumps({"model": "m", "choices": [{"index": 0, "message": message, "finish_reason": finish}]} | more).encode()


def said(**message: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None} | message


def called(*calls: dict[str, Any], **message: Any) -> dict[str, Any]:
    return said(tool_calls=list(calls), **message)


def call(name: Any = "f", arguments: Any = "{}", **more: Any) -> dict[str, Any]:
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}} | more


# --- requests

MESSAGES = [
    (System("Be kind."), {"role": "system", "content": "Be kind."}),
    (User("Hi"), {"role": "user", "content": "Hi"}),
    (User("Hi", "ann"), {"role": "user", "content": "Hi", "name": "ann"}),
    (User([{"type": "text", "text": "Hi"}]), {"role": "user", "content": [{"type": "text", "text": "Hi"}]}),
    (Assistant("Yes", agent="triage"), {"role": "assistant", "content": "Yes"}),
    (Assistant("Yes", ()), {"role": "assistant", "content": "Yes"}),
    (Assistant(None, refusal="I will not"), {"role": "assistant", "content": "I will not"}),
    (Assistant(None), {"role": "assistant", "content": ""}),
    (Assistant(None, (Call("c1", "f", "{}"),)), called(call())),
    (Assistant(None, (Call("c1", "f", '{"a": '),)), called(call(arguments='{"not_json":"{\\"a\\": "}'))),
    (Assistant("", (Call("c1", "f", ""),)), called(call(), content="")),
    (Assistant("x", extra={"reasoning": "hm", "annotations": [1]}), {"role": "assistant", "content": "x", "reasoning": "hm"}),
    (Assistant("x", extra={"reasoning": "hm"}, dialect="openai-chat"), {"role": "assistant", "content": "x", "reasoning": "hm"}),
    (Assistant("x", extra={"items": []}, dialect="openai-responses"), {"role": "assistant", "content": "x"}),
    (Assistant(None, (Call("c1", "f", "{}", {"sig": "s"}),), dialect="openai-chat"), called(call(sig="s"))),
    (Assistant(None, (Call("c1", "f", "{}", {"sig": "s"}),), dialect="openai-chat/groq"), called(call())),
    (ToolAnswer("c1", "f", "done"), {"role": "tool", "tool_call_id": "c1", "content": "done"}),
    (ToolAnswer("c1", "f", [{"type": "text", "text": "a"}, {"type": "text"}]), {"role": "tool", "tool_call_id": "c1", "content": "a\n"}),
    (User("half \ud83c"), {"role": "user", "content": "half \ufffd"}),
]


@pytest.mark.parametrize(("message", "wire"), MESSAGES)
def test_a_message_is_written_as(message: Any, wire: dict[str, Any]):
    assert one(message) == wire


def test_what_is_no_message_is_a_bug_of_ours():
    with pytest.raises(AssertionError):
        one({"role": "user", "content": "Hi"})


def test_images_of_tools_follow_their_answers_as_a_users_message():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    answers = [ToolAnswer("c1", "f", [{"type": "text", "text": "see"}, image]), ToolAnswer("c2", "f", "x"), ToolAnswer("c3", "f", [image])]
    tools = [
        {"role": "tool", "tool_call_id": "c1", "content": "see\n(see the next user message)"},
        {"role": "tool", "tool_call_id": "c2", "content": "x"},
        {"role": "tool", "tool_call_id": "c3", "content": "(see the next user message)"},
    ]
    shown = {"role": "user", "content": [image, image]}
    cache: dict[Any, Any] = {}
    assert sent(*answers, cache=cache)["messages"] == [*tools, shown]
    assert sent(*answers, User("more"), cache=cache)["messages"] == [*tools, shown, {"role": "user", "content": "more"}]


def test_a_bare_request_holds_nothing_but_model_and_messages():
    assert sent(User("Hi")) == {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def test_a_stream_is_asked_for_with_its_usage():
    assert sent(User("Hi"), stream=True) == sent(User("Hi")) | {"stream": True, "stream_options": {"include_usage": True}}
    assert "stream_options" not in sent(User("Hi"), stream=True, form=Form(stream_usage=False))


SETTINGS = [
    (ModelSettings(temperature=0.0, top_p=0.5, seed=7), {"temperature": 0.0, "top_p": 0.5, "seed": 7}),
    (ModelSettings(max_tokens=9), {"max_completion_tokens": 9}),
    (ModelSettings(stop=("a", "b")), {"stop": ["a", "b"]}),
    (ModelSettings(reasoning_effort="low"), {"reasoning_effort": "low"}),
    (ModelSettings(extra={"top_k": 4, "model": "other"}), {"top_k": 4, "model": "other"}),
    (ModelSettings(tool_choice="required", parallel_tool_calls=True), {}),
]


@pytest.mark.parametrize(("settings", "fields"), SETTINGS)
def test_settings_are_written_as(settings: ModelSettings, fields: dict[str, Any]):
    assert sent(User("Hi"), settings=settings) == sent(User("Hi")) | fields


@pytest.mark.parametrize(
    ("choice", "wire"), [("auto", "auto"), ("none", "none"), ("weather", {"type": "function", "function": {"name": "weather"}})]
)
def test_a_choice_of_tools_is_written_as(choice: str, wire: Any):
    settings = ModelSettings(tool_choice=choice, parallel_tool_calls=False)
    asked = sent(User("Hi"), tools=(WEATHER, WEATHER._replace(strict=True)), settings=settings)
    assert (asked["tool_choice"], asked["parallel_tool_calls"]) == (wire, False)
    function = {"name": "weather", "description": "Look outside.", "parameters": WEATHER.parameters}
    assert asked["tools"] == [{"type": "function", "function": function}, {"type": "function", "function": function | {"strict": True}}]


@pytest.mark.parametrize(("strict", "more"), [(None, {}), (True, {"strict": True})])
def test_an_output_type_is_written_as_its_schema(strict: bool | None, more: dict[str, Any]):
    asked = sent(User("Hi"), output=OutputSpec("out", {"type": "object"}, strict))
    assert asked["response_format"] == {"type": "json_schema", "json_schema": {"name": "out", "schema": {"type": "object"}} | more}


@pytest.mark.parametrize("key", ["messages", "stream"])
def test_what_segue_decides_cannot_be_set_beside_it(key: str):
    with pytest.raises(UsageError, match=key):
        sent(User("Hi"), settings=ModelSettings(extra={key: True}))


def test_providers_differ_in_form():
    form = Form(ids="nine", max_tokens="max_tokens", seed="random_seed", parallel=True)
    calls = Assistant(None, (Call("call_12345", "f", "{}"), Call("abcdefgh1", "f", "{}")))
    asked = sent(calls, ToolAnswer("call_12345", "f", "x"), form=form, tools=(WEATHER,), settings=ModelSettings(max_tokens=3, seed=4))
    first, second = (made["id"] for made in asked["messages"][0]["tool_calls"])
    assert (asked["max_tokens"], asked["random_seed"], asked["parallel_tool_calls"]) == (3, 4, True)
    assert second == "abcdefgh1"
    assert asked["messages"][1]["tool_call_id"] == first == nine("call_12345")


def test_nine_letters_stand_for_an_id_each_time_the_same_and_no_two_alike():
    made = {nine(f"call_{number}") for number in range(5000)} | {nine(""), nine("\ud800"), nine("é" * 9)}
    assert len(made) == 5003
    assert all(len(one) == 9 and one.isalnum() and one.isascii() for one in made)


def test_what_was_sent_before_is_not_encoded_again():
    class Spied(dict[str, Any]):
        seen = 0

        def items(self) -> Any:
            Spied.seen += 1
            return super().items()

    first = Assistant("x", extra=Spied(a=1))
    cache: dict[Any, Any] = {}
    messages = [System("s"), User("a"), first]
    once = sent(*messages, cache=cache)
    messages.append(User("b"))
    again = sent(*messages, cache=cache)
    assert Spied.seen == 1
    assert again["messages"] == [*once["messages"], {"role": "user", "content": "b"}]


def test_a_request_is_the_same_with_a_cache_and_without_whatever_changed_between():
    tools, settings = (WEATHER,), ModelSettings(temperature=1.0)
    a, b, c, d = User("a"), Assistant("b"), User("c"), Assistant("d")
    requests: list[dict[str, Any]] = [
        {"messages": [System("s"), a]},
        {"messages": [System("s"), a, b, c]},
        {"messages": [System("new"), a, b, c]},
        {"messages": [a, b, c]},
        {"messages": [System("new"), a, d]},
        {"messages": [System("new"), a]},
        {"messages": []},
        {"messages": [System("new")]},
        {"messages": [System("new"), b, a, c], "tools": tools},
        {"messages": [System("new"), b, a, c], "tools": tools, "settings": settings},
        {"messages": [System("new"), b, a, c], "tools": tools, "settings": settings, "stream": True},
        {"messages": [System("new"), b, c], "tools": tools, "output": OutputSpec("o", {})},
    ]
    cache: dict[Any, Any] = {}
    for request in requests:
        kept = encode_request(ModelRequest(**request, cache=cache), "m")
        assert kept == encode_request(ModelRequest(**request), "m")
        assert [message["role"] for message in json.loads(kept)["messages"]] == [
            {"System": "system", "User": "user", "Assistant": "assistant"}[type(message).__name__] for message in request["messages"]
        ]


def test_agents_and_models_do_not_share_their_bytes():
    cache: dict[Any, Any] = {}
    for agent, model in (("a", "m"), ("b", "m"), ("a", "n"), ("a", "m")):
        request = ModelRequest([System(agent), User("x")], agent=agent, cache=cache)
        asked = json.loads(encode_request(request, model))
        assert (asked["model"], asked["messages"][0]["content"]) == (model, agent)


def test_what_came_from_a_provider_goes_back_to_it():
    raw = body(called(call(extra_content={"google": {"thought_signature": "s"}}), reasoning_content="hm"))
    reply = decode_reply(raw, dialect="openai-chat/gemini")
    message = Assistant(reply.text, reply.calls, extra=reply.extra, dialect=reply.dialect)
    assert one(message, Form(dialect="openai-chat/gemini")) == called(
        call(extra_content={"google": {"thought_signature": "s"}}), reasoning_content="hm"
    )
    assert one(message) == called(call())

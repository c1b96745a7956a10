import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.core.messages import Assistant, Call, ToolAnswer, User
from segue.examples.acme.standin import standin as acme
from segue.examples.airline import small_world
from segue.examples.airline.standin import standin as airline
from segue.examples.standin import MOST_CALLS, Answer, Say, Scene, StandIn, Use, look, mentions
from segue.model import CallDelta, Model, TextDelta
from tests.examples.talk import answer, pieces, request, shown

ACME_TOOLS = [
    ["transfer_to_sales_agent", "transfer_to_issues_and_repairs", "escalate_to_human"],
    ["execute_order", "transfer_back_to_triage"],
    ["look_up_item", "execute_refund", "transfer_back_to_triage"],
]
AIRLINE_TOOLS = [
    ["get_reservation_details", "get_user_details", "transfer_to_human_agents", "transfer_to_cancellations", "transfer_to_baggage"],
    ["get_reservation_details", "cancel_reservation", "transfer_to_human_agents", "transfer_to_triage"],
    ["get_reservation_details", "get_user_details", "update_reservation_baggages", "transfer_to_triage"],
    ["search_direct_flight", "search_onestop_flight", "book_reservation", "transfer_to_triage"],
    ["update_reservation_flights", "transfer_to_triage"],
]
WORLD = small_world()
ANSWERS = [
    *(
        "",
        "nothing found",
        "Error: reservation not found",
        "success: refunded",
        "refused: already",
        "null",
        "[]",
        "{}",
        '{"x": 1}',
        "TimeoutError",
    ),
    *("item_1: A", "item_1: A\nitem_2: B", '{"assistant": "triage"}'),
    *(json.dumps(trip) for trip in list(WORLD.reservations.values())[:3]),
    *(json.dumps(user) for user in list(WORLD.users.values())[:2]),
]
WORDS = [
    *(
        "hello",
        "refund",
        "the black boots",
        "broke",
        "buy",
        "yes",
        "no",
        "how much",
        "human",
        "thanks",
        "cancel",
        "MAYA01",
        "bags",
        "change",
        "sick",
    ),
    *("flights from JFK to SFO on 2024-05-20", "florp", "the airline cancelled it", ""),
]


def echo(scene: Scene) -> Use:
    return Use("echo", {"text": scene.said})


def count(scene: Scene) -> Use:
    return Use("echo", {"count": len(scene.answers)})


def test_the_stand_ins_are_models_and_say_that_they_are_scripted():
    assert isinstance(acme, Model)
    assert isinstance(airline, Model)
    assert (acme.name, airline.name) == ("scripted:acme", "scripted:airline")


async def test_the_first_rule_that_makes_a_move_decides():
    model = StandIn("scripted:test", [lambda _: None, lambda _: Say("one"), lambda _: Say("two")], otherwise="none")
    assert await answer(model, "hello", tools=[]) == "one"


async def test_a_tool_that_is_not_on_offer_is_never_called():
    model = StandIn("scripted:test", [echo], otherwise="I cannot.")
    assert await answer(model, "hello", tools=["other"]) == "I cannot."
    assert await answer(model, "hello", tools=["echo"]) == ("echo", {"text": "hello"})


async def test_the_same_call_is_not_made_twice_for_one_message_but_again_for_the_next():
    model = StandIn("scripted:test", [echo], otherwise="That was it.")
    once = ("echo", {"text": "hello"}, "hello")
    assert await answer(model, "hello", once, tools=["echo"]) == "That was it."
    assert await answer(model, "hello", once, "hello", tools=["echo"]) == ("echo", {"text": "hello"})


async def test_calls_for_one_message_come_to_an_end():
    model = StandIn("scripted:test", [count], otherwise="Enough.")
    calls = [("echo", {"count": place}, "ok") for place in range(MOST_CALLS)]
    assert await answer(model, "hello", *calls[:-1], tools=["echo"]) == ("echo", {"count": MOST_CALLS - 1})
    assert await answer(model, "hello", *calls, tools=["echo"]) == "Enough."


async def test_when_somebody_listens_the_pieces_make_up_the_reply():
    spoken = await pieces(acme, request("florp", tools=ACME_TOOLS[0], stream=True))
    assert all(isinstance(piece, TextDelta) for piece in spoken[:-1])
    assert len(spoken) > 5
    assert shown(spoken[:-1]) == spoken[-1].text
    called = await pieces(acme, request("I want a refund", tools=ACME_TOOLS[0], stream=True))
    assert called[:-1] == [CallDelta(0, "transfer_to_issues_and_repairs", "{}")]


async def test_when_nobody_listens_only_the_reply_is_yielded():
    (reply,) = await pieces(acme, request("florp", tools=ACME_TOOLS[0]))
    assert (reply.finish, reply.model) == ("stop", "scripted:acme")


async def test_call_ids_are_not_used_again_in_a_conversation():
    asked = request("I want a refund", tools=ACME_TOOLS[0])
    first = (await pieces(acme, asked))[-1].calls[0]
    asked.messages = [*asked.messages, Assistant(None, (first,)), ToolAnswer(first.id, first.name, "ok"), User("refund")]
    second = (await pieces(acme, asked))[-1].calls[0]
    assert first.id != second.id


def test_a_scene_holds_what_came_since_the_customer_spoke_last():
    parts = [{"type": "text", "text": "and"}, {"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "more"}]
    asked = request(
        "one", ("a", {"x": 1}, "old"), User(parts), Assistant("hm", (Call("z", "b", "{broken"),)), ToolAnswer("z", "b", "new"), tools=["a"]
    )
    scene = look(asked)
    assert scene == Scene(["one", "and more"], ["hm"], [Answer("b", {}, "new")], frozenset(["a"]))
    assert scene.answer("a") is None


@pytest.mark.parametrize(
    ("text", "heard"),
    [("I want a REFUND!", True), ("refunds", True), ("my money  back", False), ("money back", True), ("prefund", False), ("", False)],
)
def test_phrases_are_heard_as_whole_words(text, heard):
    assert mentions(text, ("refund*", "money back")) is heard


async def drive(model: StandIn, tools: list[str], customer: list[str], contents: list[str]) -> int:
    """Answer every call with the next of some contents; give the most calls that were made for one message."""
    asked, most = request(tools=tools), 0
    for line in customer:
        asked.messages = [*asked.messages, User(line)]
        calls = 0
        while (reply := (await pieces(model, asked))[-1]).calls:
            calls += 1
            assert calls <= MOST_CALLS
            (call,) = reply.calls
            assert call.name in tools
            answered = ToolAnswer(call.id, call.name, contents[calls % len(contents)])
            asked.messages = [*asked.messages, Assistant(None, reply.calls), answered]
        assert reply.text
        asked.messages = [*asked.messages, Assistant(reply.text)]
        most = max(most, calls)
    return most


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([(acme, tools) for tools in ACME_TOOLS] + [(airline, tools) for tools in AIRLINE_TOOLS]),
    st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join), min_size=1, max_size=5),
    st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=4),
)
async def test_whatever_is_said_and_answered_the_stand_ins_speak_in_the_end(who, customer, contents):
    await drive(*who, customer, contents)

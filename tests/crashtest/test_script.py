import pytest

from segue import Agent, Runner, UsageError
from segue.core.messages import Call, Reply
from segue.crashtest.scenario import Scripted
from segue.crashtest.script import Script
from segue.model import TextDelta
from segue.testing import MemoryJournal


def says(text, agent=""):
    return Scripted(Reply(text, (), "stop"), agent)


def calls(name, agent=""):
    return Scripted(Reply(None, (Call("", name, "{}"),), "tool_calls"), agent)


def running(agent, *lines):
    journal = MemoryJournal()
    return lambda: Runner(agent, journal=journal, model=Script(lines, journal))


async def test_another_runner_goes_on_with_the_reply_that_is_next():
    new = running(Agent("Desk"), says("One."), says("Two."), says("Three."))
    for text in ("One.", "Two.", "Three."):
        assert (await new().run("Next.", conversation="c")).output == text
    with pytest.raises(UsageError, match="replies are at their end after 3, and Desk is to speak once more"):
        await new().run("Next.", conversation="c")


async def test_an_agent_with_replies_of_its_own_gets_these_and_the_others_share_the_rest():
    refunds = Agent("Refunds", handoffs=["Desk"])
    desk = Agent("Desk", handoffs=[refunds])
    lines = [says("Refunded.", "Refunds"), calls("transfer_to_refunds"), says("Anything else?", "Refunds"), says("Never said.")]
    new = running(desk, *lines)
    assert (await new().run("Go.", conversation="c")).output == "Refunded."
    assert (await new().run("Go.", conversation="c")).output == "Anything else?"


async def test_an_agent_as_a_tool_begins_with_its_first_reply_each_time():
    clerk = Agent("Clerk")
    desk = Agent("Desk", tools=[clerk.as_tool()])
    ask = Scripted(Reply(None, (Call("", "clerk", '{"input":"Look."}'),), "tool_calls"))
    new = running(desk, ask, ask, says("Done."), says("It is there.", "Clerk"))
    messages = (await new().run("Go.")).messages
    assert [message["content"] for message in messages if message["role"] == "tool"] == ["It is there.", "It is there."]


async def test_who_listens_hears_a_reply_in_pieces():
    new = running(Agent("Desk"), says("One by one."))
    async with new().stream("Go.") as stream:
        deltas = [item.text async for item in stream if isinstance(item, TextDelta)]
    assert deltas == ["One", " by", " one."]

"""A conversation that is gone on with under other code than it was begun with (R31)."""

from typing import Any

import pytest

from segue import Agent, MemoryJournal, Runner, UsageError, tool
from segue.change import differences, missing
from segue.core.conversation import Status
from segue.core.events import DriveStarted, RunEnded, ToolStarted
from segue.errors import CodeChanged, ConversationParked
from segue.team import Team
from segue.testing import ScriptedModel
from tests.acting import answers


class Durable(MemoryJournal):
    """A journal that other processes might share, as far as the Runner knows."""

    durable = True


def team(*names: str, words: str = "Be kind.", told: str = "Pay.", handoffs: tuple[Any, ...] = (), model: Any = None) -> Agent:
    """An agent with tools of these names."""

    def pay(amount: int) -> str:
        return f"paid {amount}"

    tools = [tool(name=name, description=told, approve=name == "refund")(pay) for name in names or ("refund",)]
    return Agent("Cashier", instructions=words, tools=tools, handoffs=handoffs, model=model)


REFUND = {"refund": {"amount": 5}}


async def waiting(journal: MemoryJournal, entry: Agent | None = None) -> Any:
    """A conversation that waits for an approval, and the approval."""
    runner = Runner(entry or team(), model=ScriptedModel([REFUND]), journal=journal)
    (slot,) = (await runner.run("Refund.", conversation="c")).waiting_for
    await runner.aclose()
    return slot.approval


async def left(journal: MemoryJournal, entry: Agent | None = None) -> None:
    """A conversation whose process died while its model was asked."""
    whole = Runner(entry or team(), model=ScriptedModel(["Done."]))
    conversation = (await whole.run("Hello.", conversation="c")).conversation
    events = [row.event for row in await whole.events(conversation)]
    await journal.append("c", 1, events[: next(at for at, event in enumerate(events) if isinstance(event, DriveStarted)) + 1], at=0.0)


# ---- the differences, in words

SALES = Agent("Sales")
HELP = Agent("Help")


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        (team(), team(words="Be brief."), ["Cashier: its instructions have changed"]),
        (team(), team(told="Refund."), ["Cashier: its tool refund has changed"]),
        (team("refund"), team("refund", "look"), ["Cashier: its tool look is new"]),
        (team("refund", "look"), team("refund"), ["Cashier: its tool look is gone"]),
        (
            team(handoffs=(SALES,)),
            team(handoffs=(HELP,)),
            [
                "the agent Help is new",
                "the agent Sales is gone",
                "Cashier: its tool transfer_to_help is new",
                "Cashier: its tool transfer_to_sales is gone",
                "Cashier: it hands off to Help, and not to Sales",
            ],
        ),
        (team(model="openai:a"), team(model="openai:b"), ["Cashier: its model is openai:b, and was openai:a"]),
        (team(model="openai:a"), team(), ["Cashier: its model is not set, and was openai:a"]),
        (team(), team(), []),
    ],
)
def test_what_changed_is_told_in_words(before, now, words):
    assert differences(Team(before).fingerprint, Team(now).fingerprint) == words


def test_where_nothing_is_known_of_the_code_before_nothing_has_changed():
    assert differences({}, Team(team()).fingerprint) == []


async def test_a_drive_tells_the_code_it_has_where_that_is_not_what_the_drive_before_had():
    journal = Durable()
    for entry in (team(), team(), team(words="Be brief.")):
        runner = Runner(entry, model=ScriptedModel(["Hello."]), journal=journal)
        await runner.run("Hi", conversation="c")
        await runner.aclose()
    drives = [row.event for row in await journal.read("c") if isinstance(row.event, DriveStarted)]
    assert [bool(drive.fingerprint) for drive in drives] == [True, False, True]


# ---- the policies


def test_a_policy_is_one_of_three():
    with pytest.raises(UsageError, match='give "adopt", "refuse" or "ask"'):
        Runner(team(), on_change="ignore")


async def test_adopted_code_goes_on():
    journal = Durable()
    await left(journal)
    async with Runner(team(words="Be brief."), model=ScriptedModel(["Brief."]), journal=journal) as runner:
        assert (await runner.resume("c")).output == "Brief."


async def test_refused_code_raises_what_has_changed_and_leaves_the_conversation_to_the_code_that_began_it():
    journal = Durable()
    await left(journal)
    other = Runner(team(words="Be brief."), model=ScriptedModel([]), journal=journal, on_change="refuse")
    before = len(await journal.read("c"))
    with pytest.raises(CodeChanged, match="Cashier: its instructions have changed") as caught:
        await other.resume("c")
    assert (caught.value.changes, caught.value.conversation) == (("Cashier: its instructions have changed",), "c")
    assert len(await journal.read("c")) == before
    same = Runner(team(), model=ScriptedModel(["Kind."]), journal=journal, on_change="refuse")
    assert (await same.resume("c")).output == "Kind."
    for runner in (other, same):
        await runner.aclose()


async def test_code_that_is_to_be_asked_about_parks_the_conversation_until_somebody_resumes_it():
    journal = Durable()
    await left(journal)
    runner = Runner(team(words="Be brief."), model=ScriptedModel(["Brief."]), journal=journal, on_change="ask")
    with pytest.raises(ConversationParked, match="Cashier: its instructions have changed") as caught:
        await runner.resume("c")
    assert caught.value.reason == "changed"
    assert (await runner.replay("c")).status is Status.ENDED
    assert (await runner.resume("c")).output == "Brief."
    await runner.aclose()


@pytest.mark.parametrize("policy", ["adopt", "refuse", "ask"])
async def test_a_new_input_to_a_conversation_at_rest_is_read_under_whatever_code_there_is(policy):
    journal = Durable()
    for entry in (team(), team(words="Be brief.")):
        runner = Runner(entry, model=ScriptedModel(["Hello."]), journal=journal, on_change=policy)
        assert (await runner.run("Hi", conversation="c")).output == "Hello."
        await runner.aclose()


# ---- what is missing


async def test_an_open_call_of_a_tool_that_is_gone_parks_the_conversation_and_goes_on_when_it_is_back():
    journal = Durable()
    approval = await waiting(journal)
    without = Runner(team("look"), model=ScriptedModel([]), journal=journal)
    with pytest.raises(ConversationParked, match="Cashier has no tool refund any more") as caught:
        await without.approve("c", approval.id, approval.digest)
    assert caught.value.reason == "missing tool"
    await without.aclose()
    mended = Runner(team(), model=ScriptedModel(["Done."]), journal=journal)
    response = await mended.resume("c")
    assert (response.output, answers(response.messages)) == ("Done.", ["paid 5"])
    await mended.aclose()


async def test_where_a_tool_is_gone_for_good_a_cancel_ends_the_run_and_the_conversation_goes_on():
    journal = Durable()
    approval = await waiting(journal)
    model = ScriptedModel(["Sorry."])
    without = Runner(team("look"), model=model, journal=journal)
    for going_on in (without.approve("c", approval.id, approval.digest), without.resume("c"), without.run("Hello?", conversation="c")):
        with pytest.raises(ConversationParked):
            await going_on
    assert await without.cancel("c")
    assert not await without.cancel("c")
    assert (await without.run("Hello?", conversation="c")).output == "Sorry."
    assert model.requests[0].messages[-2].content == "Not called: The run was cancelled."
    assert not any(isinstance(row.event, ToolStarted) for row in await journal.read("c"))
    await without.aclose()


async def test_an_agent_that_is_gone_parks_the_conversation_and_goes_on_when_it_is_back():
    journal = Durable()
    sales = Agent("Sales")
    entry = team(handoffs=(sales,))
    first = Runner(entry, model=ScriptedModel([{"transfer_to_sales": {}}, "Hello, Sales here."]), journal=journal)
    assert (await first.run("Hi", conversation="c")).agent is sales
    await first.aclose()
    without = Runner(team(), model=ScriptedModel([]), journal=journal)
    with pytest.raises(ConversationParked, match="the agent Sales is not in the team any more") as caught:
        await without.run("More", conversation="c")
    assert caught.value.reason == "missing agent"
    await without.aclose()
    mended = Runner(entry, model=ScriptedModel(["Back."]), journal=journal)
    assert (await mended.resume("c")).output == "Back."
    await mended.aclose()


async def test_a_call_that_the_model_made_up_is_no_missing_tool():
    whole = Runner(team(), model=ScriptedModel([{"made_up": {}}, "Done."]))
    await whole.run("Hi", conversation="c")
    c = await whole.replay("c", at=5)
    assert (c.status, [slot.call.name for slot in c.turn.slots]) == (Status.TOOLS, ["made_up"])
    assert missing(c, Team(team())) is None


async def test_what_parks_a_conversation_is_in_its_journal_for_people_and_programs():
    journal = Durable()
    approval = await waiting(journal)
    without = Runner(team("look"), model=ScriptedModel([]), journal=journal)
    with pytest.raises(ConversationParked):
        await without.approve("c", approval.id, approval.digest)
    await without.aclose()
    end = [row.event for row in await journal.read("c")][-1]
    assert isinstance(end, RunEnded)
    assert (end.kind, end.reason) == ("parked", "missing tool")
    assert "Bring it back into the code, then resume the conversation" in end.words

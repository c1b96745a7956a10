import asyncio
from dataclasses import replace

import pytest

from segue import Agent, ApprovalError, Context, MemoryJournal, Runner, UsageError, tool
from segue.core.conversation import Status
from segue.core.events import CANCELLED, ApprovalDecided, DriveStarted, InputGiven, RunEnded, Started, ToolLate, ToolReturned, ToolStarted
from segue.core.fold import replay
from segue.core.messages import User
from segue.errors import ForkRefused, IllegalEvent, JournalConflict
from segue.journal.base import fold
from segue.openings import cancelled, settled
from segue.outside import ATTEMPTS, cancel, decide, family, fork, tell
from segue.testing import ScriptedModel
from tests.core.making import ASKED, asks, call, question, returns, says, starts, user

LATE = ToolLate("9.0", "pay", "paid")


@tool(approve=True)
def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


@tool(effect="read")
def look(item: str) -> str:
    """Look."""
    return f"saw {item}"


async def stored(*events, journal=None):
    journal = journal or MemoryJournal()
    await journal.append("c", 1, events, at=1.0)
    return journal


async def read(journal, name="c"):
    return [row.event for row in await journal.read(name)]


class Rival(MemoryJournal):
    """A journal to which somebody else writes, just before an append, as often as is said."""

    def __init__(self, times=0):
        super().__init__()
        self.left = times

    async def append(self, conversation, seq, events, **more):
        if self.left:
            self.left -= 1
            await super().append(conversation, len(await self.read(conversation)) + 1, [LATE], at=2.0)
        await super().append(conversation, seq, events, **more)


class Polite(MemoryJournal):
    """A journal whose readers all read before any of them writes."""

    async def read(self, conversation, *, after=0):
        rows = await super().read(conversation, after=after)
        await asyncio.sleep(0)
        return rows


# --- tell


async def test_an_act_is_appended_with_its_time_and_the_conversation_is_given_as_it_then_is():
    journal = await stored(*ASKED)
    c = await tell(journal, "c", lambda c: cancelled(c, CANCELLED), at=7.0)
    rows = await journal.read("c")
    assert c == fold(rows)
    assert (rows[-1].event, rows[-1].at) == (CANCELLED, 7.0)


async def test_an_act_that_meets_another_writer_is_asked_again_with_what_that_one_wrote():
    journal = Rival()
    await stored(*ASKED, journal=journal)
    journal.left, seen = 2, []
    await tell(journal, "c", lambda c: seen.append(c.seq) or [CANCELLED], at=7.0)
    assert seen == [3, 4, 5]
    assert (await read(journal))[3:] == [LATE, LATE, CANCELLED]


async def test_who_is_always_too_late_is_told_so_in_the_end_and_has_written_nothing():
    journal = Rival()
    await stored(*ASKED, journal=journal)
    journal.left = ATTEMPTS
    with pytest.raises(JournalConflict, match="times in a row"):
        await tell(journal, "c", lambda c: [CANCELLED], at=7.0)
    assert CANCELLED not in await read(journal)


async def test_where_there_is_nothing_to_do_nothing_is_written():
    journal = await stored(*ASKED, says())
    c = await tell(journal, "c", lambda c: cancelled(c, CANCELLED), at=7.0)
    assert c.status is Status.IDLE
    assert await tell(journal, "c", lambda c: c, at=7.0) == c
    assert len(await read(journal)) == 4


async def test_what_cannot_have_happened_is_not_written():
    journal = await stored(*ASKED)
    with pytest.raises(IllegalEvent):
        await tell(journal, "c", lambda c: [starts("1.0")], at=7.0)
    assert await read(journal) == list(ASKED)


async def test_an_act_on_a_conversation_that_is_not_there_knows_its_name():
    with pytest.raises(UsageError, match="no conversation 'gone'"):
        await tell(MemoryJournal(), "gone", lambda c: settled(c, "1.0", "paid"), at=7.0)


async def test_a_conversation_may_be_opened_by_an_act():
    journal = MemoryJournal()
    c = await tell(journal, "new", lambda c: [Started(c.id, "Triage"), user("Hi")], at=7.0)
    assert (c.id, c.status) == ("new", Status.MODEL)


async def test_of_many_who_cancel_at_the_same_instant_one_writes():
    journal = await stored(*ASKED, journal=Polite())
    await asyncio.gather(*[tell(journal, "c", lambda c: cancelled(c, CANCELLED), at=7.0) for _ in range(16)])
    assert await read(journal) == [*ASKED, CANCELLED]


# --- decide


def desk(script, journal):
    return Runner(Agent("Cashier", tools=[pay, look]), model=ScriptedModel(script), journal=journal)


async def waiting(journal, *calls):
    response = await desk([list(calls or [{"pay": {"amount": 5}}])], journal).run("Pay.", conversation="c")
    return [slot.approval for slot in response.waiting_for]


async def test_a_decision_is_written_down_for_whoever_drives_next():
    journal = MemoryJournal()
    (asked,) = await waiting(journal)
    c = await decide(journal, "c", asked.id, asked.digest, "approve", by="Ann", at=7.0)
    assert c.status is Status.TOOLS
    assert (await read(journal))[-1] == ApprovalDecided(asked.id, asked.digest, "approve", "Ann")
    response = await desk(["Done."], journal).resume("c")
    assert [message["content"] for message in response.messages if message["role"] == "tool"] == ["paid 5"]


async def test_arguments_that_were_edited_are_what_is_called_and_the_model_is_told():
    journal = MemoryJournal()
    (asked,) = await waiting(journal)
    await decide(journal, "c", asked.id, asked.digest, "approve", arguments={"amount": 4}, by="Ann", at=7.0)
    response = await desk(["Done."], journal).resume("c")
    (answer,) = [message["content"] for message in response.messages if message["role"] == "tool"]
    assert "paid 4" in answer
    assert '{"amount":4}' in answer
    (start,) = [event for event in await read(journal) if isinstance(event, ToolStarted)]
    assert start.arguments == '{"amount":4}'


async def test_of_two_decisions_the_first_holds_and_the_second_is_told_though_the_call_is_long_over():
    journal = MemoryJournal()
    (asked,) = await waiting(journal)
    await decide(journal, "c", asked.id, asked.digest, "approve", by="Ann", at=7.0)
    await desk(["Done."], journal).resume("c")
    before = await read(journal)
    with pytest.raises(ApprovalError, match="by Ann, and its call has been begun") as caught:
        await decide(journal, "c", asked.id, asked.digest, "deny", at=8.0)
    assert caught.value.reason == "consumed"
    assert await read(journal) == before


async def test_of_sixteen_who_decide_at_the_same_instant_one_does_and_fifteen_are_refused():
    journal = Polite()
    (asked,) = await waiting(journal)
    decisions = [decide(journal, "c", asked.id, asked.digest, "approve", by=str(at), at=7.0) for at in range(16)]
    results = await asyncio.gather(*decisions, return_exceptions=True)
    assert sorted(getattr(result, "reason", "") for result in results) == [""] + ["decided"] * 15
    assert sum(isinstance(event, ApprovalDecided) for event in await read(journal)) == 1


async def test_a_decision_that_comes_too_late_is_refused_and_the_run_goes_on():
    asked = replace(question("1.0"), expires=5.0)
    journal = await stored(*ASKED, asks(call()), asked)
    with pytest.raises(ApprovalError, match="expired") as caught:
        await decide(journal, "c", "q", asked.digest, "approve", at=7.0)
    assert caught.value.reason == "expired"
    assert (await read(journal))[-1] == ApprovalDecided("q", asked.digest, "expired")
    assert fold(await journal.read("c")).status is Status.MODEL


# --- cancel


async def test_a_cancel_ends_a_run_and_tells_whether_there_was_one():
    journal = await stored(*ASKED, asks(call()), starts("1.0"))
    assert await cancel(journal, "c", at=7.0)
    c = fold(await journal.read("c"))
    assert (c.status, c.ended, c.driver) == (Status.ENDED, CANCELLED, "")
    assert not await cancel(journal, "c", at=8.0)


async def test_a_cancel_reaches_the_agents_that_are_used_as_tools():
    journal = await stored(*ASKED, asks(call(), call("pay")), starts("1.0", "keyed"), starts("1.1"))
    inner = [Started("c/1.0", "Expert"), user("Hi"), DriveStarted("d")]
    await journal.append("c/1.0", 1, inner, at=1.0)
    await cancel(journal, "c", at=7.0)
    assert fold(await journal.read("c/1.0")).ended == CANCELLED
    with pytest.raises(UsageError, match="no conversation 'gone'"):
        await cancel(journal, "gone", at=7.0)


# --- family


async def test_the_conversations_of_agents_used_as_tools_belong_to_the_one_that_used_them():
    journal = await stored(*ASKED, asks(call(), call("pay")), starts("1.0", "keyed"), starts("1.1"))
    await journal.append(
        "c/1.0", 1, [Started("c/1.0", "Expert"), user("Hi"), DriveStarted("d"), asks(call(), agent="Expert"), starts("1.0")], at=1.0
    )
    await journal.append("c/1.0/1.0", 1, [Started("c/1.0/1.0", "Sage")], at=1.0)
    await journal.append("c/9.0", 1, [Started("c/9.0", "Stranger")], at=1.0)
    assert await family(journal, "c") == ["c", "c/1.0", "c/1.0/1.0"]
    assert await family(journal, "gone") == []


# --- fork

TURNS = [*ASKED, asks(call("look_up")), starts("1.0", "read"), ToolReturned("1.0", "ok"), asks(call("look_up")), *returns("2.0"), says()]
"""Places: 1 Started, 2 InputGiven, 3 DriveStarted, 4 asks, 5 starts, 6 returns, 7 asks, 8 starts once, 9 returns, 10 says."""


async def test_a_fork_is_the_conversation_up_to_a_place_under_another_id():
    journal = await stored(*TURNS)
    assert await fork(journal, "c", new_id="d", now=7.0) == "d"
    copied = await read(journal, "d")
    assert copied[0] == Started("d", "Triage", origin="c@10")
    assert copied[1:2] + copied[3:] == TURNS[1:2] + TURNS[3:]
    assert replay(copied)._replace(id="c", driver="driver") == replay(TURNS)
    assert {row.at for row in await journal.read("d")} == {7.0}
    assert await read(journal) == TURNS


@pytest.mark.parametrize("place", [4, 5, 7, 8])
async def test_a_place_inside_a_turn_is_refused_with_the_nearest_place_before_it(place):
    journal = await stored(*TURNS)
    nearest = 3 if place < 6 else 6
    with pytest.raises(UsageError, match=f"Place {place} .* inside a turn.* is {nearest}[.]"):
        await fork(journal, "c", at=place, effects="allow", new_id="d", now=7.0)
    assert await read(journal, "d") == []


@pytest.mark.parametrize("place", [0, -1, 11])
async def test_a_place_that_is_not_there_is_told_with_those_that_are(place):
    with pytest.raises(UsageError, match="1 to 10"):
        await fork(await stored(*TURNS), "c", at=place, new_id="d", now=7.0)


async def test_effects_beyond_the_place_are_named_and_keep_from_forking_unless_they_may_be_repeated():
    journal = await stored(*TURNS)
    with pytest.raises(ForkRefused, match=r"2\.0 look_up\. Fork at a later place") as caught:
        await fork(journal, "c", at=6, new_id="d", now=7.0)
    assert caught.value.calls == ("2.0",)
    assert await read(journal, "d") == []
    await fork(journal, "c", at=6, effects="allow", new_id="d", now=7.0)
    assert fold(await journal.read("d")).status is Status.MODEL


async def test_calls_that_only_read_lie_beyond_a_place_without_harm():
    journal = await stored(*TURNS[:6])
    await fork(journal, "c", at=3, new_id="d", now=7.0)
    assert len(await read(journal, "d")) == 3


async def test_without_a_place_a_conversation_in_the_middle_of_a_turn_is_forked_before_it():
    journal = await stored(*TURNS[:8])
    with pytest.raises(ForkRefused, match=r"Beyond place 6 .* 2\.0 look_up"):
        await fork(journal, "c", new_id="d", now=7.0)
    await fork(journal, "c", effects="allow", new_id="d", now=7.0)
    copied = await read(journal, "d")
    assert len(copied) == 6
    assert copied[0].origin == "c@6"


async def test_a_call_that_waits_for_a_person_is_not_copied():
    journal = MemoryJournal()
    await waiting(journal)
    await fork(journal, "c", new_id="d", now=7.0)
    c = fold(await journal.read("d"))
    assert (c.status, c.waiting) == (Status.MODEL, ())


async def test_keys_of_inputs_and_drivers_stay_with_the_original():
    journal = await stored(Started("c", "Triage"), InputGiven("r", (User("Hi"),), key="k"), DriveStarted("d_1"), says())
    await fork(journal, "c", new_id="d", now=7.0)
    copied = await read(journal, "d")
    assert (copied[1].key, copied[2].driver) == (None, "")
    assert await journal.keyed("k") == "c"
    assert fold(await journal.read("d")).driver == ""


async def test_an_id_that_is_taken_and_a_word_that_is_none_are_refused():
    journal = await stored(*TURNS)
    with pytest.raises(UsageError, match="already"):
        await fork(journal, "c", new_id="c", now=7.0)
    with pytest.raises(UsageError, match='give "refuse" or "allow"'):
        await fork(journal, "c", effects="maybe", new_id="d", now=7.0)
    with pytest.raises(UsageError, match="no conversation 'gone'"):
        await fork(journal, "gone", new_id="d", now=7.0)


async def test_a_fork_goes_on_by_itself_and_its_calls_have_keys_of_their_own():
    keys = []

    @tool(effect="keyed")
    def charge(cents: int, ctx: Context) -> str:
        """Charge."""
        keys.append(ctx.key)
        return "charged"

    journal, agent, charged = MemoryJournal(), Agent("Till", tools=[charge]), [{"charge": {"cents": 5}}, "Charged."]
    first = Runner(agent, model=ScriptedModel(["Hello.", *charged]), journal=journal)
    await first.run("Hi", conversation="c")
    at = len(await read(journal))
    await first.run("Charge me.", conversation="c")
    await fork(journal, "c", at=at, effects="allow", new_id="d", now=7.0)
    await Runner(agent, model=ScriptedModel(charged), journal=journal).run("Charge me.", conversation="d")
    assert len(set(keys)) == len(keys) == 2


async def test_the_end_of_a_run_is_a_place_to_fork_at():
    journal = await stored(*ASKED, RunEnded("limited", "turns"))
    await fork(journal, "c", new_id="d", now=7.0)
    assert fold(await journal.read("d")).status is Status.ENDED

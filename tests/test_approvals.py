"""No effect that a person did not approve: whatever is decided, changed, or tried again (R28-R30)."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from segue import Agent, ApprovalError, MemoryJournal, Runner, clock, tool
from segue.core.arguments import canonical, digest, parse
from segue.core.events import ApprovalAsked, ApprovalDecided, ModelReplied, ToolStarted
from segue.core.messages import Call, Reply
from segue.errors import ArgumentsRefused, JournalDamaged, SegueError
from segue.journal.sqlite import SqliteJournal
from segue.testing import ScriptedModel
from tests.mutations import CLAIM, mutations

AGREED = canonical({"claim": CLAIM})
MUTATIONS = list(mutations())
DAY = 86_400.0


class Desk:
    """Refunds, each of which needs an approval, and what was refunded."""

    def __init__(self, journal=None, **options):
        self.journal = journal or MemoryJournal()
        self.made = []

        @tool(**{"approve": True, **options})
        def refund(claim: dict[str, Any]) -> str:
            """Refund a claim."""
            self.made.append(canonical({"claim": claim}))
            return "refunded"

        self.refund = refund

    def runner(self, *script, name="Refunds", tools=None):
        agent = Agent(name, tools=[self.refund] if tools is None else tools)
        return Runner(agent, model=ScriptedModel(script), journal=self.journal)

    async def ask(self, conversation="c"):
        """Have the model ask for the refund of the claim; the approval that waits."""
        response = await self.runner({"refund": {"claim": CLAIM}}).run("Refund it.", conversation=conversation)
        (slot,) = response.waiting_for
        assert slot.approval.arguments == AGREED
        return slot.approval

    async def events(self, conversation="c"):
        return [row.event for row in await self.journal.read(conversation)]

    async def copied(self, change):
        """A desk whose journal is a copy of this one's, event by event, with changes."""
        other = Desk()
        other.made, other.refund = self.made, self.refund
        await other.journal.append("c", 1, [change(event) for event in await self.events()], at=1.0)
        return other


def changed_digest(text):
    """What somebody would sign who means these arguments."""
    try:
        return digest(canonical(parse(text)))
    except ArgumentsRefused:
        return digest(text.encode("utf-8", "replace").decode())


def same(text):
    try:
        return canonical(parse(text)) == AGREED
    except ArgumentsRefused:
        return False


def test_there_are_enough_mutations_of_each_kind():
    assert len(set(MUTATIONS)) >= 100
    assert sum(map(same, MUTATIONS)) >= 8


# --- changed arguments


@pytest.mark.parametrize("text", MUTATIONS)
async def test_a_decision_about_other_arguments_is_refused_and_one_in_other_words_is_about_the_same(text):
    desk = Desk()
    asked = await desk.ask()
    runner = desk.runner("Done.")
    if same(text):
        await runner.approve("c", asked.id, changed_digest(text))
        assert desk.made == [AGREED]
        return
    with pytest.raises(ApprovalError) as caught:
        await runner.approve("c", asked.id, changed_digest(text))
    assert caught.value.reason == "changed"
    assert desk.made == []


@pytest.mark.parametrize("text", MUTATIONS)
async def test_an_approval_does_not_hold_for_a_later_call_with_other_arguments(text):
    desk = Desk()
    asked = await desk.ask()
    again = Reply(None, (Call("c2", "refund", text),), "tool_calls")
    response = await desk.runner(again, "Done.").approve("c", asked.id, asked.digest)
    assert desk.made == [AGREED]
    for slot in response.waiting_for:
        assert slot.approval.id != asked.id
        with pytest.raises(ApprovalError):
            await desk.runner("Done.").approve("c", slot.approval.id, asked.digest if not same(text) else "")
        with pytest.raises(ApprovalError):
            await desk.runner("Done.").approve("c", asked.id, asked.digest)
    assert desk.made == [AGREED]


@pytest.mark.parametrize("text", MUTATIONS)
async def test_what_is_called_is_what_was_approved_though_the_models_words_were_changed_afterwards(text):
    desk = Desk()
    asked = await desk.ask()

    def change(event):
        if not isinstance(event, ModelReplied):
            return event
        return replace(event, reply=event.reply._replace(calls=(event.reply.calls[0]._replace(arguments=text),)))

    other = await desk.copied(change)
    await other.runner("Done.").approve("c", asked.id, asked.digest)
    assert desk.made == [AGREED]


@pytest.mark.parametrize("text", [text for text in MUTATIONS if not same(text)])
async def test_a_journal_in_which_the_approved_arguments_were_changed_is_damaged(text):
    desk = Desk()
    asked = await desk.ask()
    other = await desk.copied(lambda event: replace(event, arguments=text) if isinstance(event, ApprovalAsked) else event)
    with pytest.raises(JournalDamaged, match="arguments"):
        await other.runner("Done.").approve("c", asked.id, asked.digest)
    assert desk.made == []


@pytest.mark.parametrize("text", MUTATIONS)
async def test_edited_arguments_are_called_exactly_as_whoever_edited_them_saw_them(text):
    desk = Desk()
    asked = await desk.ask()
    try:
        arguments = parse(text)
    except ArgumentsRefused:
        return
    try:
        response = await desk.runner("Done.", "Done.").approve("c", asked.id, asked.digest, arguments=arguments, by="Ann")
    except ArgumentsRefused:  # the tool does not take them: the question stands as it was
        assert desk.made == []
        response = await desk.runner("Done.").approve("c", asked.id, asked.digest, by="Ann")
        arguments = parse(asked.arguments)
    assert response.status == "done"
    assert set(desk.made) <= {canonical(arguments)}
    with pytest.raises(ApprovalError):
        await desk.runner("Done.").approve("c", asked.id, asked.digest)
    assert len(desk.made) <= 1


# --- a decision is used once


@pytest.fixture(params=["memory", "sqlite"])
async def desk(request, tmp_path):
    journal = MemoryJournal() if request.param == "memory" else SqliteJournal(tmp_path / "j.db")
    yield Desk(journal)
    await journal.aclose()


async def test_an_approved_run_that_is_resumed_twice_pays_once(desk):
    asked = await desk.ask()
    await desk.runner("Done.").approve("c", asked.id, asked.digest, by="Ann")
    for _ in range(2):
        assert (await desk.runner().resume("c")).output == "Done."
    with pytest.raises(ApprovalError, match="was given by Ann, and its call has been begun"):
        await desk.runner("Done.").approve("c", asked.id, asked.digest)
    assert desk.made == [AGREED]


async def test_of_many_who_approve_and_resume_at_the_same_instant_one_pays(desk):
    asked = await desk.ask()
    runners = [desk.runner("Done.") for _ in range(8)]
    acts = [act for runner in runners for act in (runner.approve("c", asked.id, asked.digest), runner.resume("c"))]
    results = await asyncio.gather(*acts, return_exceptions=True)
    assert [result for result in results if isinstance(result, BaseException) and not isinstance(result, SegueError)] == []
    assert desk.made == [AGREED]
    starts = [event for event in await desk.events() if isinstance(event, ToolStarted)]
    assert [start.approval for start in starts] == [asked.id]


async def test_what_was_denied_cannot_be_approved_afterwards(desk):
    asked = await desk.ask()
    response = await desk.runner("Sorry.").deny("c", asked.id, asked.digest, by="Ann", reason="too late")
    assert response.output == "Sorry."
    with pytest.raises(ApprovalError, match="denied already by Ann") as caught:
        await desk.runner("Done.").approve("c", asked.id, asked.digest)
    assert caught.value.reason == "decided"
    assert desk.made == []


async def test_an_approval_of_a_run_that_was_ended_is_good_for_nothing(desk):
    asked = await desk.ask()
    await desk.runner().cancel("c")
    for act in (desk.runner("Done.").approve("c", asked.id, asked.digest), desk.runner("Done.").deny("c", asked.id, asked.digest)):
        with pytest.raises(ApprovalError, match="not waited for any more"):
            await act
    await desk.runner("Hello.").run("Hi", conversation="c")
    with pytest.raises(ApprovalError):
        await desk.runner("Done.").approve("c", asked.id, asked.digest)
    assert desk.made == []


async def test_an_approval_holds_in_its_own_conversation_only(desk):
    one, two = await desk.ask("c"), await desk.ask("d")
    assert one.digest == two.digest
    with pytest.raises(ApprovalError) as caught:
        await desk.runner("Done.").approve("d", one.id, one.digest)
    assert caught.value.reason == "unknown"
    assert desk.made == []


# --- time


async def test_an_approval_may_be_given_after_two_days_by_another_process(desk, monkeypatch):
    begun = clock.now()
    asked = await desk.ask()
    monkeypatch.setattr(clock, "now", lambda: begun + 2 * DAY)
    response = await desk.runner("Done.").approve("c", asked.id, asked.digest)
    assert (response.output, desk.made) == ("Done.", [AGREED])


async def test_what_has_expired_is_told_to_the_model_and_not_called(desk, monkeypatch):
    asked = await desk.ask()
    monkeypatch.setattr(clock, "now", lambda: asked.expires)
    with pytest.raises(ApprovalError, match="expired") as caught:
        await desk.runner("Sorry.").approve("c", asked.id, asked.digest)
    assert caught.value.reason == "expired"
    (decided,) = [event for event in await desk.events() if isinstance(event, ApprovalDecided)]
    assert decided.decision == "expired"
    assert (await desk.runner("Sorry.").resume("c")).output == "Sorry."
    with pytest.raises(ApprovalError, match="expired"):
        await desk.runner("Done.").approve("c", asked.id, asked.digest)
    assert desk.made == []


# --- changed code


@pytest.mark.parametrize("options", [{"description": "Refund a claim, twice."}, {"effect": "keyed"}])
@pytest.mark.parametrize("when", ["before the decision", "after it"])
async def test_a_tool_that_has_changed_meanwhile_is_asked_about_again(options, when):
    desk = Desk()
    asked = await desk.ask()
    if when == "after it":
        events = [*await desk.events(), ApprovalDecided(asked.id, asked.digest, "approve")]
        desk.journal = MemoryJournal()
        await desk.journal.append("c", 1, events, at=1.0)
    other = Desk(desk.journal, **options)
    runner = other.runner("Done.")
    response = await (runner.resume("c") if when == "after it" else runner.approve("c", asked.id, asked.digest))
    assert response.status == "waiting"
    (slot,) = response.waiting_for
    assert (slot.approval.id, slot.approval.arguments) == (f"{asked.id}-2", AGREED)
    assert slot.approval.fingerprint != asked.fingerprint
    with pytest.raises(ApprovalError):
        await other.runner("Done.").approve("c", asked.id, asked.digest)
    assert desk.made == other.made == []
    await other.runner("Done.").approve("c", slot.approval.id, slot.approval.digest)
    assert (desk.made, other.made) == ([], [AGREED])


async def test_what_was_agreed_to_for_one_agent_is_not_for_another():
    desk = Desk()
    asked = await desk.ask()
    other = await desk.copied(lambda event: replace(event, agent="Somebody") if isinstance(event, ApprovalAsked) else event)
    response = await other.runner("Done.").approve("c", asked.id, asked.digest)
    assert response.status == "waiting"
    assert response.waiting_for[0].approval.agent == "Refunds"
    assert desk.made == []


async def test_a_tool_that_is_gone_is_not_replaced_by_anything():
    desk = Desk()
    asked = await desk.ask()
    with pytest.raises(SegueError, match="refund"):
        await desk.runner("Done.", tools=[]).approve("c", asked.id, asked.digest)
    assert desk.made == []

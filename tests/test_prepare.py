"""A call before it is made: unique calls, and approvals of calls and tools that change."""

from typing import Any

import pytest

from segue import Agent, ApprovalError, Limits, MemoryJournal, Runner, tool
from segue.core.events import ApprovalAsked, ToolFailed, ToolStarted
from segue.outside import decide
from segue.testing import ScriptedModel
from tests.acting import answers, legal

# ---- unique calls (R26)


class Shop:
    """A runner with one unique tool; `paid` is what was done."""

    def __init__(self, *script: Any, fails: int = 0, gives: Any = "paid", **options: Any) -> None:
        self.paid: list[int] = []
        self.keys: list[str] = []

        @tool(unique=True, **options)
        def pay(amount: int) -> Any:
            """Pay."""
            self.paid.append(amount)
            if len(self.paid) <= fails:
                raise RuntimeError("no connection")
            return gives

        self.model = ScriptedModel([*script, "Done."])
        self.runner = Runner(Agent("Cashier", tools=[pay]), model=self.model)

    async def run(self, text: str = "Pay."):
        return await self.runner.run(text, conversation="c")

    async def starts(self) -> list[ToolStarted]:
        return [row.event for row in await self.runner.events("c") if isinstance(row.event, ToolStarted)]


PAY = {"pay": {"amount": 5}}
EARLIER = "Not called again: the same call was made earlier in this conversation, and this is what came of it.\npaid"
BESIDE = "Not called again: the same call is in this message, and its result with it."


async def test_an_equal_call_later_is_answered_with_the_earlier_outcome_and_says_so():
    shop = Shop(PAY, PAY)
    assert answers((await shop.run()).messages) == ["paid", EARLIER]
    assert shop.paid == [5]
    assert legal(shop.model)


async def test_arguments_are_the_same_whatever_they_look_like():
    shop = Shop({"pay": '{"amount": 5}'}, {"pay": '{"amount":5.0}'})
    assert answers((await shop.run()).messages) == ["paid", EARLIER]
    assert shop.paid == [5]


async def test_an_equal_call_in_a_later_run_by_another_runner_is_not_made_either():
    journal = MemoryJournal()
    first, second = Shop(PAY), Shop(PAY)
    first.runner = Runner(first.runner.team.entry, model=first.model, journal=journal)
    second.runner = Runner(second.runner.team.entry, model=second.model, journal=journal)
    await first.run()
    assert answers((await second.run("Again.")).messages) == [EARLIER]
    assert (first.paid, second.paid) == ([5], [])


async def test_in_another_conversation_it_is_another_call():
    shop = Shop(PAY, "Done.", PAY)
    await shop.run()
    await shop.runner.run("Pay.", conversation="another")
    assert shop.paid == [5, 5]


async def test_equal_calls_of_one_message_are_made_once():
    shop = Shop([PAY, PAY, {"pay": {"amount": 6}}])
    assert answers((await shop.run()).messages) == ["paid", BESIDE, "paid"]
    assert sorted(shop.paid) == [5, 6]
    assert legal(shop.model)


async def test_other_arguments_are_another_call():
    shop = Shop(PAY, {"pay": {"amount": 6}})
    assert answers((await shop.run()).messages) == ["paid", "paid"]
    assert shop.paid == [5, 6]


async def test_a_call_that_failed_may_be_tried_again():
    shop = Shop(PAY, PAY, PAY, fails=1)
    assert answers((await shop.run()).messages) == ["Failed with RuntimeError: no connection", "paid", EARLIER]
    assert shop.paid == [5, 5]


async def test_an_outcome_of_parts_is_told_as_text():
    shop = Shop(PAY, PAY, gives={"receipt": 7})
    assert answers((await shop.run()).messages)[1].endswith('\n{"receipt":7}')
    parts = Shop(PAY, PAY, gives=b"\x89PNG\r\n\x1a\n")
    first, second = answers((await parts.run()).messages)
    assert isinstance(first, list)
    assert second.startswith("Not called again")
    assert '"type":' in second


async def test_the_key_of_a_unique_keyed_call_does_not_depend_on_its_place():
    shop = Shop(PAY, PAY, fails=1, effect="keyed")
    await shop.run()
    first, second = await shop.starts()
    assert (first.place, second.place) == ("1.0", "2.0")
    assert first.key == second.key != ""


async def test_a_call_that_a_person_approved_is_not_put_to_a_person_again():
    shop = Shop(PAY, PAY, approve=True)
    (slot,) = (await shop.run()).waiting_for
    response = await shop.runner.approve("c", slot.approval.id, slot.approval.digest)
    assert answers(response.messages) == ["paid", EARLIER]
    assert shop.paid == [5]


async def test_of_equal_calls_in_one_message_that_are_both_approved_one_is_made():
    shop = Shop([PAY, PAY], approve=True)
    first, second = [slot.approval for slot in (await shop.run()).waiting_for]
    assert (first.id != second.id, first.digest == second.digest) == (True, True)
    await shop.runner.approve("c", second.id, second.digest)
    response = await shop.runner.approve("c", first.id, first.digest)
    assert answers(response.messages) == [BESIDE, "paid"]
    assert shop.paid == [5]


async def test_a_call_that_was_denied_is_put_to_a_person_again():
    shop = Shop(PAY, PAY, approve=True)
    (slot,) = (await shop.run()).waiting_for
    (again,) = (await shop.runner.deny("c", slot.approval.id, slot.approval.digest)).waiting_for
    assert again.approval.id != slot.approval.id
    assert (await shop.runner.approve("c", again.approval.id, again.approval.digest)).output == "Done."
    assert shop.paid == [5]


# ---- approvals (R28 to R30)


class Till:
    """A runner over a journal that others share, with one tool as some version of the code has it."""

    def __init__(self, journal: MemoryJournal, *script: Any, name: str = "Cashier", limits: Limits | None = None, **options: Any) -> None:
        self.paid: list[int] = []

        @tool(**{"approve": True, **options})
        def pay(amount: int) -> str:
            """Pay."""
            self.paid.append(amount)
            return f"paid {amount}"

        self.model = ScriptedModel(script)
        self.runner = Runner(Agent(name, tools=[pay]), model=self.model, journal=journal, limits=limits or Limits())

    async def ask(self):
        (slot,) = (await self.runner.run("Pay.", conversation="c")).waiting_for
        return slot.approval

    async def asked(self) -> list[ApprovalAsked]:
        return [row.event for row in await self.runner.events("c") if isinstance(row.event, ApprovalAsked)]


CHANGED = {"description": "Pay, and tell the customer."}


async def test_a_tool_that_changed_after_it_was_approved_is_put_to_a_person_again():
    journal = MemoryJournal()
    approval = await Till(journal, PAY).ask()
    now = Till(journal, "Done.", **CHANGED)
    (slot,) = (await now.runner.approve("c", approval.id, approval.digest, by="Ada")).waiting_for
    assert now.paid == []
    assert slot.approval.id != approval.id
    assert slot.approval.fingerprint != approval.fingerprint
    with pytest.raises(ApprovalError, match="was given already by Ada"):
        await now.runner.approve("c", approval.id, approval.digest)
    assert (await now.runner.approve("c", slot.approval.id, slot.approval.digest)).output == "Done."
    assert now.paid == [5]


async def test_a_tool_that_changed_while_it_was_asked_for_and_was_denied_is_not_made():
    journal = MemoryJournal()
    approval = await Till(journal, PAY).ask()
    now = Till(journal, "Done.", **CHANGED)
    assert answers((await now.runner.deny("c", approval.id, approval.digest)).messages) == ["Not done: denied."]
    assert now.paid == []


async def test_a_tool_that_needs_no_approval_any_more_is_called_with_the_one_that_was_given():
    journal = MemoryJournal()
    approval = await Till(journal, PAY).ask()
    now = Till(journal, "Done.", approve=False, **CHANGED)
    assert (await now.runner.approve("c", approval.id, approval.digest)).output == "Done."
    assert now.paid == [5]


async def test_a_tool_that_stayed_as_it_was_is_called_by_another_runner_without_asking_again():
    journal = MemoryJournal()
    approval = await Till(journal, PAY).ask()
    now = Till(journal, "Done.")
    assert (await now.runner.approve("c", approval.id, approval.digest)).output == "Done."
    assert (now.paid, len(await now.asked())) == ([5], 1)


async def test_edited_arguments_are_what_is_called_and_the_model_is_told():
    till = Till(MemoryJournal(), PAY, "Done.")
    approval = await till.ask()
    response = await till.runner.approve("c", approval.id, approval.digest, by="Ada", arguments={"amount": 3})
    assert answers(response.messages) == ['[A person changed the arguments of this call to {"amount":3}]\npaid 3']
    assert till.paid == [3]


async def test_edited_arguments_that_do_not_fit_are_refused_and_the_model_is_told_whose_they_were():
    till = Till(MemoryJournal(), PAY, "Done.")
    approval = await till.ask()
    await decide(till.runner.journal, "c", approval.id, approval.digest, "approve", arguments={"amount": "a lot"}, at=1.0)
    response = await till.runner.resume("c")
    (answer,) = answers(response.messages)
    assert answer.startswith('[A person changed the arguments of this call to {"amount":"a lot"}]\npay was not run')
    assert till.paid == []


async def test_that_arguments_were_edited_is_told_also_where_the_changed_tool_is_asked_for_again():
    journal = MemoryJournal()
    approval = await Till(journal, PAY).ask()
    now = Till(journal, "Done.", **CHANGED)
    (slot,) = (await now.runner.approve("c", approval.id, approval.digest, arguments={"amount": 3})).waiting_for
    assert (slot.approval.arguments, slot.approval.edited) == ('{"amount":3}', True)
    response = await now.runner.approve("c", slot.approval.id, slot.approval.digest)
    assert answers(response.messages) == ['[A person changed the arguments of this call to {"amount":3}]\npaid 3']
    assert now.paid == [3]


async def test_a_function_of_the_arguments_says_whether_a_person_is_asked():
    till = Till(
        MemoryJournal(), [{"pay": {"amount": 5}}, {"pay": {"amount": 50}}], "Done.", approve=lambda arguments, _: arguments["amount"] > 10
    )
    (slot,) = (await till.runner.run("Pay.", conversation="c")).waiting_for
    assert slot.approval.arguments == '{"amount":50}'
    assert till.paid == [5]


async def test_an_approval_expires_when_the_limits_say(monkeypatch):
    monkeypatch.setattr("segue.clock.now", lambda: 1000.0)
    assert (await Till(MemoryJournal(), PAY, limits=Limits(approval_expiry=60)).ask()).expires == 1060.0
    assert (await Till(MemoryJournal(), PAY, limits=Limits(approval_expiry=None)).ask()).expires is None
    till = Till(MemoryJournal(), PAY, "Done.")
    assert (await till.ask()).expires == 1000.0 + 7 * 24 * 3600
    monkeypatch.setattr("segue.clock.now", lambda: 1000.0 + 8 * 24 * 3600)
    assert answers((await till.runner.resume("c")).messages) == ["Not done: expired."]
    assert till.paid == []


async def test_a_call_that_was_not_made_is_no_start_in_the_journal():
    shop = Shop(PAY, PAY)
    await shop.run()
    assert [start.place for start in await shop.starts()] == ["1.0"]
    failed = [row.event for row in await shop.runner.events("c") if isinstance(row.event, ToolFailed)]
    assert [(event.place, event.kind) for event in failed] == [("2.0", "repeated")]

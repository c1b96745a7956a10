"""What guards, `approve=`, people and unique tools see of a call is what its function gets, whatever the model wrote; and numbers
that are not finite, which compare with nothing, are let in nowhere."""

import json
import uuid
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from segue import Agent, Context, Limits, MemoryJournal, Runner, UsageError, guard, handoff, run, tool
from segue.core.events import ToolStarted
from segue.errors import KeyReused
from segue.testing import ScriptedModel
from segue.tools.schema import Parameters
from segue.wire.chat_messages import as_chat
from tests.acting import answers


class Desk:
    """An agent with one tool; `got` is what the tool was called with, `seen` what was looked at before."""

    def __init__(self, function, *script: Any, guarded: bool = True, **options: Any) -> None:
        self.got: list[Any] = []
        self.seen: list[Any] = []

        @guard("tool")
        def look(ctx: Context, call):
            self.seen.append(dict(call.arguments))

        made = tool(name="refund", **options)(function(self.got))
        self.model = ScriptedModel([*script, "Done."])
        self.runner = Runner(Agent("Desk", tools=[made], guards=[look] if guarded else []), model=self.model)

    async def run(self, text: str = "Refund."):
        return await self.runner.run(text, conversation="c")


def by_order(got):
    def refund(order: int, cents: int = 500, urgent: bool = False) -> str:
        got.append((order, cents, urgent))
        return "refunded"

    return refund


def refund(**arguments: Any) -> dict[str, Any]:
    return {"refund": arguments}


ORDERS = pytest.mark.parametrize("order", [666, "666", " 666 ", 666.0], ids=repr)


@ORDERS
async def test_a_tool_guard_sees_the_number_that_the_tool_would_get(order):
    got = []

    @guard("tool")
    def blocked(call):
        return "order 666 is blocked" if call.arguments["order"] in {666} else None

    agent = Agent("Desk", tools=[tool(name="refund")(by_order(got))], guards=[blocked])
    response = await run(agent, "Refund.", model=ScriptedModel([refund(order=order), "Done."]))
    assert answers(response.messages) == ["Not called: order 666 is blocked"]
    assert got == []


@ORDERS
async def test_a_function_that_says_whether_a_person_is_asked_sees_the_number_that_the_tool_would_get(order):
    desk = Desk(by_order, refund(order=order), approve=lambda arguments, _: arguments["order"] in (666,))
    assert (await desk.run()).status == "waiting"
    assert desk.got == []


@pytest.mark.parametrize("urgent", ["yes", 1, "1", "on", True], ids=repr)
async def test_a_truth_value_is_looked_at_as_one(urgent):
    desk = Desk(by_order, refund(order=1, urgent=urgent), approve=lambda arguments, _: arguments["urgent"] is True)
    assert (await desk.run()).status == "waiting"
    assert desk.seen == [{"order": 1, "cents": 500, "urgent": True}]
    assert desk.seen[0]["urgent"] is True


async def test_a_person_is_shown_the_arguments_that_the_tool_will_get_with_its_defaults():
    desk = Desk(by_order, refund(order=" 666 "), approve=True)
    (slot,) = (await desk.run()).waiting_for
    assert slot.approval.arguments == '{"cents":500,"order":666,"urgent":false}'
    assert (await desk.runner.approve("c", slot.approval.id, slot.approval.digest)).status == "done"
    assert desk.got == [(666, 500, False)]
    assert desk.seen == [{"order": 666, "cents": 500, "urgent": False}] * 2


EARLIER = "Not called again: the same call was made earlier in this conversation, and this is what came of it.\nrefunded"
BESIDE = "Not called again: the same call is in this message, and its result with it."
SAME = [refund(order=7), refund(order="7"), refund(order=7.0, cents=500), refund(order=7, cents="500", urgent="no")]


async def test_calls_that_come_to_the_same_are_made_once_by_a_unique_tool():
    desk = Desk(by_order, *SAME, unique=True)
    assert answers((await desk.run()).messages) == ["refunded", *[EARLIER] * 3]
    assert desk.got == [(7, 500, False)]


async def test_calls_of_one_message_that_come_to_the_same_are_made_once_by_a_unique_tool():
    desk = Desk(by_order, SAME, unique=True, guarded=False)
    assert answers((await desk.run()).messages) == ["refunded", *[BESIDE] * 3]
    assert desk.got == [(7, 500, False)]


async def test_calls_that_come_to_something_else_are_all_made_by_a_unique_tool():
    desk = Desk(by_order, refund(order=7), refund(order=7, cents=501), refund(order=7, urgent=True), unique=True)
    await desk.run()
    assert desk.got == [(7, 500, False), (7, 501, False), (7, 500, True)]


async def test_a_unique_tool_that_nobody_looks_at_else_has_the_same_key_for_the_same_call():
    desk = Desk(by_order, SAME, unique=True, effect="keyed", guarded=False)
    await desk.run()
    starts = [row.event for row in await desk.runner.events("c") if isinstance(row.event, ToolStarted)]
    assert [start.arguments for start in starts] == ['{"cents":500,"order":7,"urgent":false}']


class Method(Enum):
    CARD = "card"
    CASH = "cash"


class Line(BaseModel):
    item: Annotated[int, Field(alias="itemId")]
    cents: float


async def test_what_stands_inside_the_arguments_is_looked_at_as_it_is_delivered():
    def by_lines(got):
        def refund(
            token: uuid.UUID, lines: list[Line], on: Annotated[date, Field(alias="onDay")], method: Method = Method.CASH, **marks: bool
        ):
            got.append((str(token), [(line.item, line.cents) for line in lines], on, method, marks))

        return refund

    token = "12345678-1234-5678-1234-567812345abc"
    given = {"token": token.upper(), "lines": [{"itemId": "7", "cents": "5"}], "onDay": "2026-01-02T00:00:00", "late": "yes"}
    desk = Desk(by_lines, refund(**given))
    await desk.run()
    assert desk.got == [(token, [(7, 5.0)], date(2026, 1, 2), Method.CASH, {"late": True})]
    assert desk.seen == [{"token": token, "lines": [{"itemId": 7, "cents": 5.0}], "onDay": "2026-01-02", "late": True, "method": "cash"}]


def by_euros(got):
    def refund(euros: Annotated[int, AfterValidator(lambda value: value * 100)]) -> str:
        got.append(euros)
        return "refunded"

    return refund


async def test_what_a_validator_multiplies_is_multiplied_once_and_looked_at_as_it_was_given():
    desk = Desk(by_euros, refund(euros=5), approve=True, unique=True)
    (slot,) = (await desk.run()).waiting_for
    assert slot.approval.arguments == '{"euros":5}'
    await desk.runner.approve("c", slot.approval.id, slot.approval.digest)
    assert desk.got == [500]
    assert desk.seen == [{"euros": 5}] * 2


class Money(BaseModel):
    cents: float


def by_money(got):
    def refund(money: Money) -> str:
        got.append(money.cents)
        return "refunded"

    return refund


@pytest.mark.parametrize("options", [{"guarded": True}, {"guarded": False, "approve": True}, {"guarded": False, "unique": True}], ids=str)
@pytest.mark.parametrize("cents", ["nan", "Infinity"])
async def test_a_number_that_is_not_finite_is_refused_wherever_it_stands_when_something_looks_at_the_call(cents, options):
    desk = Desk(by_money, refund(money={"cents": cents}), **options)
    response = await desk.run()
    assert (response.status, answers(response.messages)) == ("done", ["money.cents: a finite number is needed"])
    assert (desk.got, desk.seen) == ([], [])


@pytest.mark.parametrize("euros", ["nan", "Infinity", "-inf", "1e400", "NaN"])
async def test_a_text_that_is_no_finite_number_is_not_given_to_a_float(euros):
    got = []

    @tool
    def pay(euros: float) -> str:
        got.append(euros)
        return "paid"

    response = await run(Agent("Desk", tools=[pay]), "Pay.", model=ScriptedModel([{"pay": {"euros": euros}}, "Done."]))
    assert response.status == "done"
    assert got == []
    assert "finite" in answers(response.messages)[0]


@pytest.mark.parametrize("order", [666, "666"], ids=repr)
async def test_arguments_that_a_person_changed_are_done_exactly_once_and_looked_at_as_they_are_delivered(order):
    desk = Desk(by_order, refund(order=1), approve=True)
    (slot,) = (await desk.run()).waiting_for
    response = await desk.runner.approve("c", slot.approval.id, slot.approval.digest, arguments={"order": order})
    assert (response.status, desk.got) == ("done", [(666, 500, False)])
    assert desk.seen[-1] == {"order": 666, "cents": 500, "urgent": False}
    assert (await desk.runner.resume("c")).status == "done"
    assert len(desk.got) == 1


async def test_a_guard_may_refuse_what_a_person_changed_a_call_to():
    got = []

    @guard("tool")
    def blocked(call):
        return "order 666 is blocked" if call.arguments["order"] == 666 else None

    agent = Agent("Desk", tools=[tool(name="refund", approve=True)(by_order(got))], guards=[blocked])
    runner = Runner(agent, model=ScriptedModel([refund(order=1), "Done."]))
    (slot,) = (await runner.run("Refund.", conversation="c")).waiting_for
    response = await runner.approve("c", slot.approval.id, slot.approval.digest, arguments={"order": "666"})
    assert answers(response.messages)[0].endswith("Not called: order 666 is blocked")
    assert got == []


async def begun(runner: Runner) -> MemoryJournal:
    """A journal of conversation "c" that ends where its first call had just been started."""
    rows = await runner.events("c")
    last = next(place for place, row in enumerate(rows, 1) if isinstance(row.event, ToolStarted))
    journal = MemoryJournal()
    await journal.append("c", 1, [row.event for row in rows[:last]], at=0)
    return journal


def by_default(cents):
    def made(got):
        def refund(order: int, ctx: Context, cents: int = cents) -> str:
            got.append((order, cents, ctx.key))
            return "refunded"

        return refund

    return made


async def made_again(before: Desk, after: Desk) -> list[Any]:
    """Let one desk's call die when it was started, and another's code go on; the arguments of all starts."""
    response = await before.run()
    if response.status == "waiting":
        (slot,) = response.waiting_for
        await before.runner.approve("c", slot.approval.id, slot.approval.digest)
    runner = Runner(after.runner.team.entry, model=after.model, journal=await begun(before.runner))
    response = await runner.resume("c")
    assert (response.status, answers(response.messages)) == ("done", ["refunded"])
    return [json.loads(row.event.arguments) for row in await runner.events("c") if isinstance(row.event, ToolStarted)]


@pytest.mark.parametrize("options", [{"guarded": True}, {"guarded": False, "unique": True}, {"guarded": False, "approve": True}], ids=str)
async def test_a_call_that_is_made_again_after_a_crash_keeps_the_defaults_with_which_it_was_begun(options):
    before = Desk(by_default(500), refund(order="7"), effect="keyed", **options)
    after = Desk(by_default(900), effect="keyed", description="Refund more.", **options | {"approve": False})
    assert await made_again(before, after) == [{"order": 7, "cents": 500}] * 2
    assert (len(before.got), after.got) == (1, before.got)


async def test_a_call_that_is_made_again_after_a_crash_and_is_looked_at_only_now_keeps_its_arguments_and_its_key():
    before = Desk(by_default(500), refund(order="7"), effect="keyed", guarded=False)
    after = Desk(by_default(900), effect="keyed")
    assert await made_again(before, after) == [{"order": "7"}] * 2
    assert [key for *_, key in after.got] == [key for *_, key in before.got]


async def test_of_a_call_that_nobody_looks_at_no_second_reading_is_made(monkeypatch):
    settled = []
    monkeypatch.setattr(Parameters, "settled", lambda self, arguments, values: settled.append(arguments) or arguments)
    desk = Desk(by_order, refund(order="7"), guarded=False)
    await desk.run()
    assert (desk.got, settled) == ([(7, 500, False)], [])
    await Desk(by_order, refund(order="7"), guarded=True).run()
    assert settled == [{"order": "7"}]


async def test_a_start_that_nobody_looked_at_has_the_arguments_as_they_were_given():
    desk = Desk(by_order, refund(order="7"), guarded=False)
    await desk.run()
    (start,) = [row.event for row in await desk.runner.events("c") if isinstance(row.event, ToolStarted)]
    assert start.arguments == '{"order":"7"}'


async def test_an_approve_function_that_forgets_its_return_lets_no_call_through():
    def forgot(arguments, ctx):
        arguments["order"] > 1000  # noqa: B015

    desk = Desk(by_order, refund(order=5000), approve=forgot)
    response = await desk.run()
    assert (response.status, desk.got) == ("done", [])
    assert answers(response.messages) == ["Not called: its check failed with UsageError."]


async def test_an_async_approve_function_that_forgets_its_return_lets_no_call_through():
    async def forgot(arguments, ctx):
        pass

    desk = Desk(by_order, refund(order=5000), approve=forgot)
    assert (await desk.run()).status == "done"
    assert desk.got == []


async def test_the_same_key_with_another_context_is_another_input():
    runner = Runner(Agent("A"), model=ScriptedModel(["For Ann.", "For Bob."]))
    first = await runner.run("My bill?", key="k", context={"customer": "ann"})
    assert (await runner.run("My bill?", key="k", context={"customer": "ann"})).output == first.output == "For Ann."
    with pytest.raises(KeyReused):
        await runner.run("My bill?", key="k", context={"customer": "bob"})
    with pytest.raises(KeyReused):
        await runner.run("My bill?", key="k")


# ---- numbers that are not finite

NOT_FINITE = pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")], ids=str)


class Sum(BaseModel):
    euros: float


@pytest.mark.parametrize("euros", ["nan", "Infinity", "-inf"])
async def test_a_brief_with_a_number_that_is_not_finite_is_refused_and_the_floor_stays(euros):
    desk = Agent("Desk", handoffs=[handoff(Agent("Refunds"), brief=Sum)])
    model = ScriptedModel([{"transfer_to_refunds": {"euros": euros}}, "So I stay."])
    response = await run(desk, "Refund.", model=model)
    assert (response.agent.name, response.output) == ("Desk", "So I stay.")
    assert answers([as_chat(message) for message in model.requests[1].messages]) == ["a number is not finite"]


@pytest.mark.parametrize(
    ("output", "written"),
    [(Sum, '{"euros": %s}'), (float, '{"result": %s}'), (list[float], '{"result": [1, %s]}'), (dict[str, float], '{"a": %s}')],
    ids=str,
)
async def test_an_output_with_a_number_that_is_not_finite_is_given_back(output, written):
    model = ScriptedModel([written % '"nan"', written % "1.5"])
    response = await run(Agent("Desk", output=output), "How much?", model=model)
    assert "a number is not finite" in str(as_chat(model.requests[1].messages[-1])["content"])
    assert "1.5" in str(response.output)


@NOT_FINITE
@pytest.mark.parametrize("name", ["approval_expiry", "run_timeout", "tool_timeout", "cost", "turns"])
def test_a_limit_that_is_not_finite_is_no_limit(name, number):
    with pytest.raises(UsageError, match=f"{name}=.*or None for no limit"):
        Limits(**{name: number})


@pytest.mark.parametrize("price", [float("nan"), float("inf"), float("-inf"), -1, -0.5, True, "1"], ids=repr)
@pytest.mark.parametrize("place", [0, 1])
def test_a_price_that_is_no_price_is_refused(price, place):
    pair: Any = [1.0, 2.0]
    pair[place] = price
    with pytest.raises(UsageError, match="'m' has"):
        Limits(cost=1, prices={"m": tuple(pair)})
    assert Limits(cost=1, prices={"m": (0, 2.0)}).prices == {"m": (0, 2.0)}


async def test_a_person_who_changes_a_unique_call_to_one_that_was_made_changes_it_to_that_in_whatever_spelling():
    desk = Desk(by_order, refund(order=666), refund(order=1), approve=True, unique=True)
    asked = (await desk.run()).waiting_for[0].approval
    asked = (await desk.runner.approve("c", asked.id, asked.digest)).waiting_for[0].approval
    response = await desk.runner.approve("c", asked.id, asked.digest, arguments={"order": "666"})
    assert desk.got == [(666, 500, False)]
    assert any("Not called again" in content for content in answers(response.messages))


async def test_what_cannot_be_settled_leaves_the_rest_of_a_call_settled():
    def pay(got):
        def refund(order: int, euros: Annotated[int, AfterValidator(lambda value: value * 100)], why: str = "none") -> str:
            got.append((order, euros, why))
            return "refunded"

        return refund

    desk = Desk(pay, refund(order="7", euros="5"))
    await desk.run()
    assert (desk.seen, desk.got) == ([{"order": 7, "euros": "5", "why": "none"}], [(7, 500, "none")])


@pytest.mark.parametrize("default", [500, Field(500)], ids=["default", "field"])
async def test_a_default_is_done_as_it_is_also_after_an_approval(default):
    def pay(got):
        def refund(cents: Annotated[int, AfterValidator(lambda euros: euros * 100)] = default) -> str:
            got.append(cents)
            return "refunded"

        return refund

    desk = Desk(pay, refund(), approve=True)
    asked = (await desk.run()).waiting_for[0].approval
    await desk.runner.approve("c", asked.id, asked.digest)
    assert desk.got == [500]


def test_a_default_that_its_own_validator_does_not_take_hides_nothing():
    def pay(order: int, note: Annotated[str | None, BeforeValidator(lambda text: text.strip())] = None): ...

    parameters = tool(pay).parameters
    assert parameters.settled({"order": "5"}, parameters.values({"order": "5"})) == {"order": 5}


def test_what_is_done_to_the_arguments_that_were_shown_changes_no_default():
    def pay(marks: list[str] = ["a"]): ...  # noqa: B006

    parameters = tool(pay).parameters
    parameters.settled({}, {})["marks"].append("b")
    assert parameters.schema["properties"]["marks"]["default"] == ["a"]


@pytest.mark.parametrize("amount", [10, "10", "10.00", 10.0, "1e1"], ids=repr)
async def test_an_amount_of_money_is_looked_at_as_the_number_that_it_is(amount):
    def pay(got):
        def refund(amount: Decimal) -> str:
            got.append(amount)
            return "refunded"

        return refund

    desk = Desk(pay, refund(amount=amount), refund(amount=10), unique=True)
    await desk.run()
    assert (desk.seen[0], desk.got) == ({"amount": 10}, [Decimal(10)])


def test_an_amount_that_no_number_says_stays_as_it_was_written():
    def pay(amount: Decimal): ...

    parameters = tool(pay).parameters
    for given, seen in (("0.10", 0.1), ("12345678901234567890.12", "12345678901234567890.12")):
        assert parameters.settled({"amount": given}, parameters.values({"amount": given})) == {"amount": seen}


@pytest.mark.parametrize(
    ("kind", "default", "given", "seen"),
    [
        (Decimal, Decimal(10), "10.00", 10),
        (date, date(2026, 11, 21), "2026-11-21T00:00:00", "2026-11-21"),
        (uuid.UUID, uuid.UUID(int=7), "00000000000000000000000000000007", "00000000-0000-0000-0000-000000000007"),
        (tuple[int, ...], (1, 2), ["1", 2], [1, 2]),
        (set[int], {2, 1}, [1, "2", 1], [1, 2]),
    ],
    ids=["decimal", "date", "uuid", "tuple", "set"],
)
async def test_a_default_that_is_no_json_counts_whether_it_is_given_or_left_out(kind, default, given, seen):
    def pay(got):
        def refund(order: int, what: kind = default) -> str:
            got.append(what)
            return "refunded"

        return refund

    desk = Desk(pay, refund(order=1), refund(order=1, what=given), unique=True)
    await desk.run()
    assert (desk.seen[0], desk.seen[1], desk.got) == ({"order": 1, "what": seen}, {"order": 1, "what": seen}, [default])

"""Handoffs that come with something else, twice, wrongly, or without end."""

import itertools
from collections.abc import Iterator
from typing import Any

from segue import Agent, Context, Result
from tests.hostile.arguments import RAN
from tests.hostile.forms import Body, Raw, Said, refund, says
from tests.hostile.stage import Case, answers, speaker
from tests.loopback import call, whole

BRIEF = '{"invoice": 7, "why": "twice"}'
SALES = call("transfer_to_sales", "{}", "s")
BILLING = call("transfer_to_billing", BRIEF, "b")
BOSS = call("to_boss", "{}", "o")
TRIAGE = call("transfer_to_triage", "{}", "t")
REFUND = refund(call_id="r")
PING = call("ping", "", "p")

AGENT = {"s": "Sales", "b": "Billing", "o": "Boss"}
LEDGER = {"r": RAN, "p": ["ping"], "o": ["to_boss"]}


def orders() -> Iterator[tuple[str, Said, list[str], str]]:
    """Tools and handoffs in one message, in every order: the first handoff wins, everything runs."""
    every = [REFUND, PING, SALES, BILLING, BOSS]
    chosen = [some for size in (2, 3) for some in itertools.permutations(every, size) if AGENT.keys() & {one["id"] for one in some}]
    for some in chosen:
        ids = [one["id"] for one in some]
        ran = [line for one in ids for line in LEDGER.get(one, [])]
        yield ", ".join(one["function"]["name"] for one in some), says(*some), ran, next(AGENT[one] for one in ids if one in AGENT)


# a handoff that is not made: what is called, and what the caller is told
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "with arguments that it does not take": (call("transfer_to_sales", '{"reason": "angry"}'), "takes no arguments"),
    "with arguments that are cut": (call("transfer_to_sales", '{"a'), "ends too early"),
    "with arguments that are a list": (call("transfer_to_sales", "[]"), "array"),
    "with a brief that is missing": (call("transfer_to_billing", ""), "invoice"),
    "with a brief that is null": (call("transfer_to_billing", "null"), "null"),
    "with a brief of the wrong type": (call("transfer_to_billing", '{"invoice": "seven", "why": "x"}'), "invoice"),
    "with a brief that has a field missing": (call("transfer_to_billing", '{"invoice": 7}'), "why"),
    "with a brief that is cut": (call("transfer_to_billing", '{"invoice": 7'), "ends too early"),
    "with a brief that has a key twice": (call("transfer_to_billing", '{"invoice": 7, "invoice": 8, "why": ""}'), "twice"),
    "by a function, with arguments that it does not take": (call("to_boss", '{"why": "x"}'), "why"),
    "to itself": (call("transfer_to_triage", "{}"), "Triage has no tool"),
    "to nobody": (call("transfer_to_nobody", "{}"), "Triage has no tool"),
    "to an agent that only a function leads to": (call("transfer_to_boss", "{}"), "Triage has no tool"),
    "under an agent's name": (call("Sales", "{}"), "Triage has no tool"),
}


def to_and_fro(body: dict[str, Any]) -> Said:
    """Hand over to whoever is not speaking."""
    return says(TRIAGE if speaker(body) == "Sales" else SALES)


def around_with_work(body: dict[str, Any]) -> Said:
    """Hand over for ever, but do something in between."""
    return says(TRIAGE) if speaker(body) == "Sales" else says(PING, SALES)


def around_three(body: dict[str, Any]) -> Said:
    """A ring of handoffs that no two agents keep between them."""
    who = speaker(body)
    return says(TRIAGE) if who in ("Sales", "Billing") else says(BILLING if len(body.get("messages", body.get("input"))) % 4 else SALES)


def counting(body: dict[str, Any]) -> Said:
    """Another call each time."""
    return says(call("wipe", f'{{"table": "t{len(answers(body))}"}}', "c"))


def advised(body: dict[str, Any], *expert: Any) -> Any:
    """Triage asks the expert once; the expert says what it is given, and then that all is well."""
    if speaker(body) == "Expert":
        return expert[min(len(answers(body)), len(expert) - 1)]
    return says(text="Done.") if answers(body) else says(call("expert", '{"input": "What now?"}', "e"))


def expert(*said: Any) -> dict[str, Any]:
    """A case in which an agent is a tool of Triage's."""
    made = Agent("Expert", instructions="You are Expert.", tools=[lone]).as_tool()
    return {"says": lambda body: advised(body, *said), "tools": [made], "offers": {"Expert": {"lone"}}, "forever": True}


def lone(ctx: Context[list[str]]) -> str:
    """The expert's own tool."""
    ctx.deps.append("lone")
    return "looked"


def joins(ctx: Context[list[str]]) -> Agent:
    """Return an agent that nobody has heard of, under a name that is taken."""
    ctx.deps.append("joins")
    return Agent("Sales", instructions="You are Sales.")


def newcomer(ctx: Context[list[str]]) -> Agent:
    """Return an agent that nobody has heard of."""
    ctx.deps.append("newcomer")
    return Agent("Newcomer", instructions="You are Newcomer.")


def comes_back(ctx: Context[list[str]]) -> Result:
    """Hand over, say something, and change the context."""
    ctx.deps.append("comes_back")
    return Result("over to them", agent=Agent("Newcomer", instructions="You are Newcomer."), context={"seen": True})


LONE = says(call("lone", "", "l"))


CASES = [
    *(Case(f"In one message: {names}", said, ran=ran, agent=agent) for names, said, ran, agent in orders()),
    *(Case(f"A handoff {name}", says(given), told=told) for name, (given, told) in REFUSED.items()),
    Case("The same handoff twice", says(SALES, {**SALES, "id": "s2"}), agent="Sales"),
    Case("The same handoff twice with one id", says(SALES, SALES), agent="Sales"),
    Case(
        "A handoff and the new agent's tool", says(SALES, call("sell", '{"item": "boots"}', "x")), agent="Sales", told="Triage has no tool"
    ),
    Case(
        "The new agent's tool and then the handoff",
        says(call("sell", '{"item": "boots"}', "x"), SALES),
        agent="Sales",
        told="Triage has no tool",
    ),
    Case("A broken handoff and then a good one", says(call("transfer_to_billing", "{", "x"), SALES), agent="Sales"),
    Case("A good handoff and then a broken one", says(SALES, call("transfer_to_billing", "{", "x")), agent="Sales"),
    Case("A handoff with text", says(SALES, text="Sales will help you."), agent="Sales"),
    Case("A handoff, and then the old agent's tool", [says(SALES), says(refund())], agent="Sales", told="Sales has no tool 'refund'"),
    Case("A handoff, and then the same handoff again", [says(SALES), says({**SALES, "id": "s2"})], agent="Sales", told="Sales has no tool"),
    Case("A handoff, and a handoff back", [says(SALES), says(TRIAGE)], agent="Triage"),
    Case("A handoff under an empty id", says({**SALES, "id": ""}), agent="Sales"),
    Case("A handoff without arguments", says({**SALES, "function": {"name": "transfer_to_sales"}}), agent="Sales"),
    Case("A handoff beside a call with broken arguments", says(refund("{", "x"), SALES), agent="Sales", told="ends too early"),
    Case(
        "A refund in the message of a handoff that is refused",
        says(REFUND, call("transfer_to_billing", "{}", "x")),
        ran=RAN,
        told=["refunded", "invoice"],
    ),
    Case("Two agents hand over to each other for ever", to_and_fro, limit="handoffs", forever=True),
    Case("Two agents hand over for ever and do something in between", around_with_work, limit="handoffs", forever=True, ran=["ping"] * 6),
    Case("Three agents hand over for ever", around_three, limit="handoffs", forever=True),
    Case("The same call for ever", says(PING), limit="repeats", forever=True, ran=["ping"] * 3),
    Case("The same unknown tool for ever", says(call("refnd", "{}")), limit="repeats", forever=True),
    Case("The same broken arguments for ever", says(refund("{")), limit="repeats", forever=True),
    Case("The same refused handoff for ever", says(call("transfer_to_billing", "{}")), limit="repeats", forever=True),
    Case("Another call for ever", counting, limit="turns", forever=True, limits={"turns": 4}, ran=[f"wipe t{n}" for n in range(4)]),
    Case("A limit of one turn", says(PING), limit="turns", forever=True, limits={"turns": 1}, ran=["ping"]),
    Case("An agent as a tool", ran=["lone"], told="All right.", **expert(LONE, says(text="All right."))),
    Case("An agent as a tool whose replies are broken", told="Failed with BadReply", **expert(Body({}))),
    Case("An agent as a tool that is refused", told="Failed with ProviderRefused", **expert(Raw(whole({"error": "no"}, 401)))),
    Case("An agent as a tool whose reply is cut", told="Failed with ReplyCut", **expert(says(text="The", finish="length"))),
    Case("An agent as a tool that declines", told="Failed with ModelRefused", **expert(says(refusal="No."))),
    Case("An agent as a tool that never ends", ran=["lone"] * 3, told="Failed with LimitReached", **expert(LONE)),
    Case("An agent as a tool that calls another's", told="All right.", **expert(says(REFUND), says(text="All right."))),
    *(
        Case(
            f"An agent as a tool, called with {name}", **(expert() | {"says": says(call("expert", given)), "forever": False}), told="input"
        )
        for name, given in {
            "nothing": "",
            "another argument": '{"question": "What?"}',
            "one too many": '{"input": "a", "b": 1}',
            "a list": '{"input": ["a"]}',
        }.items()
    ),
    Case(
        "A tool returns an agent under a name that is taken",
        says(call("joins", "")),
        tools=[joins],
        ran=["joins"],
        agent="Sales",
        offers={"Sales": set()},
    ),
    Case(
        "A tool returns an agent that nobody knew",
        says(call("newcomer", "")),
        tools=[newcomer],
        ran=["newcomer"],
        agent="Newcomer",
        offers={"Newcomer": set()},
    ),
    Case(
        "A tool returns an agent, words and a change at once",
        says(call("comes_back", "")),
        tools=[comes_back],
        ran=["comes_back"],
        agent="Newcomer",
        told="over to them",
        offers={"Newcomer": set()},
    ),
    Case("A limit of no handoff", [says(SALES), says(text="Done.")], limits={"handoffs": 0}, told="Not transferred"),
]

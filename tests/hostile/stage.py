"""A case, the team that plays it, the strict server it is played against, and what holds after every one of them.
Tools write into a ledger, `deps`, before they do anything else: it says what ran, with which arguments, how often."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic import BaseModel

from segue import Agent, Context, Limits, Runner, SegueError, handoff, tool
from segue.agent import AgentTool
from segue.core.codec import decode, encode
from segue.core.fold import replay
from segue.events import Delta, Event, ModelReplied, Progress, Restarted, TextDelta, ToolStarted
from segue.tools.signature import name_of
from segue.tools.tool import Tool
from tests.hostile.forms import Form, Item, Script, says
from tests.hostile.strict import chat_fault, responses_fault
from tests.loopback import Answer, Loopback, Request, whole
from tests.models.asking import Slept

DONE = "Done."
WELL = "All is well."


# --- the team


@tool
def refund(order: str, amount: int, reason: str = "none", *, ctx: Context[list[str]]) -> str:
    """Pay money back."""
    ctx.deps.append(f"refund {order} {amount} {reason}")
    return "refunded"


@tool
def wipe(table: str = "everything", *, ctx: Context[list[str]]) -> str:
    """Delete the rows of a table: what a call with lost arguments would do worst."""
    ctx.deps.append(f"wipe {table}")
    return "wiped"


@tool
def ping(ctx: Context[list[str]]) -> str:
    """A tool without arguments."""
    ctx.deps.append("ping")
    return "pong"


@tool
async def label(tags: list[str], sizes: dict[str, float] | None = None, urgent: bool = False, *, ctx: Context[list[str]]) -> str:
    """A tool with a list, an object and a flag."""
    ctx.deps.append(f"label {tags} {sizes} {urgent}")
    return "labelled"


@tool
def sell(item: str, *, ctx: Context[list[str]]) -> str:
    """A tool of another agent."""
    ctx.deps.append(f"sell {item}")
    return "sold"


class Brief(BaseModel):
    invoice: int
    why: str


OWN = {"refund", "wipe", "ping", "label", "to_boss", "transfer_to_sales", "transfer_to_billing"}
OFFERS = {"Triage": OWN, "Sales": {"sell", "transfer_to_triage"}, "Billing": {"transfer_to_triage"}, "Boss": {"ping"}}


BOSS = Agent("Boss", instructions="You are Boss.", tools=[ping])


@tool
def to_boss(ctx: Context[list[str]]) -> Agent:
    """Let the boss decide."""
    ctx.deps.append("to_boss")
    return BOSS


SALES = Agent("Sales", instructions="You are Sales.", tools=[sell], handoffs=["Triage"])
BILLING = Agent("Billing", instructions="You are Billing.", handoffs=["Triage"])
TOOLS = [refund, wipe, ping, label, to_boss]
EDGES = [SALES, handoff(BILLING, brief=Brief)]


def team(tools: Sequence[Any] = (), output: Any = str) -> Agent:
    """Triage, who may hand over to Sales, to Billing with a brief, and by a function to Boss. `tools` are Triage's too."""
    return Agent("Triage", instructions="You are Triage.", tools=[*TOOLS, *tools], handoffs=EDGES, output=output)


# --- a case


@dataclass(frozen=True)
class Case:
    """What a server says and what must come of it.

    After `says` the server says "Done." to everything. `ran` is the ledger, in any order. The run ends with the text `ends`,
    raises `fails`, or is stopped by `limit`. `told`: words that the model must be answered. `again`: the reply is broken; said
    for ever, it ends as `fails`, and said once only, the next attempt makes the run end with "Done.".
    """

    name: str
    says: Script | list[Script]
    ran: Sequence[str] = ()
    ends: str = DONE
    fails: type[SegueError] | None = None
    limit: str | None = None
    told: str | Sequence[str] = ()
    agent: str = "Triage"
    tools: Sequence[Any] = ()
    offers: dict[str, set[str]] = field(default_factory=dict)
    """The tools of agents that only this case has."""
    output: Any = str
    """Triage's output type."""
    well: str = WELL
    """What a healthy model answers."""
    limits: dict[str, Any] = field(default_factory=dict)
    again: bool = False
    forever: bool = False
    """The server says the last of `says` until the run is over."""
    timeout: float = 60
    forms: tuple[Form, ...] | None = None

    def script(self) -> list[Script]:
        return self.says if isinstance(self.says, list) else [self.says]

    def all_forms(self) -> list[Form]:
        """The forms in which all that is said can be said."""
        items = [item for item in self.script() if not callable(item)]
        possible = self.forms or tuple(Form)
        return [form for form in possible if all(form in item.forms() for item in items)]


class Variant(NamedTuple):
    """A case in one form; `once` where a broken reply is said once only."""

    case: Case
    form: Form
    once: bool = False

    def __str__(self) -> str:
        return f"{self.case.name} ({self.form.value}{', once' if self.once else ''})"


def variants(cases: Sequence[Case]) -> list[Variant]:
    """Every case in every form."""
    made = [Variant(case, form) for case in cases for form in case.all_forms()]
    return made + [Variant(case, form, once=True) for case, form, _ in made if case.again]


# --- the server


class Provider:
    """Plays a script to whoever asks properly; whoever does not is refused, and that is written down."""

    def __init__(self, form: Form, script: Sequence[Script], offers: dict[str, set[str]], *, forever: bool) -> None:
        self.faults: list[str] = []
        self.answers: list[str] = []
        self.agents: list[str] = []
        self.healthy: str | None = None
        self._form = form
        self.left = list(script)
        self._offers = offers
        self._forever = forever
        self._said: set[str] = set()

    def answer(self, request: Request) -> Answer:
        check = chat_fault if self._form.is_chat else responses_fault
        fault = check(request.body, self._said) or self._fault(request.json())
        if fault is not None:
            self.faults.append(fault)
            return whole({"error": {"message": fault, "type": "invalid_request_error"}}, 400)
        item = self._next(request.json())
        self._said |= _unknown(item)
        return item.answer(self._form if request.json().get("stream") else self._form.whole)

    def _next(self, body: dict[str, Any]) -> Item:
        if self.healthy is not None or not self.left:
            return says(text=self.healthy or DONE)
        item = self.left[0] if self._forever and len(self.left) == 1 else self.left.pop(0)
        return item(body) if callable(item) else item

    def _fault(self, body: dict[str, Any]) -> str | None:
        """Whether somebody else's tools are offered, or it does not stream as it was meant to; and remember who asks."""
        who = speaker(body)
        self.agents.append(who)
        offered = {tool["function"]["name"] if "function" in tool else tool["name"] for tool in body.get("tools", ())}
        self.answers = answers(body)
        if offered != self._offers.get(who):
            return f"{who} is offered {sorted(offered)}"
        listens = self._form.streams and who != "Expert"  # to an agent that is a tool nobody listens
        return None if body.get("stream", False) is listens else "it streams, or does not"


def speaker(body: dict[str, Any]) -> str:
    """Whose instructions a request holds."""
    instructions = body["messages"][0]["content"] if "messages" in body else body["instructions"]
    return str(instructions).removeprefix("You are ").removesuffix(".")


def answers(body: dict[str, Any]) -> list[str]:
    """What the tools have answered, by a request."""
    said = body["messages"] if "messages" in body else body["input"]
    return [
        str(one.get("content", one.get("output"))) for one in said if one.get("role") == "tool" or one.get("type") == "function_call_output"
    ]


def _unknown(item: Item) -> set[str]:
    """Fields and kinds that a server has said, and may therefore be sent."""
    message = getattr(item, "message", None)
    if not isinstance(message, dict):
        return set(getattr(item, "kinds", ()))
    calls = message.get("tool_calls")
    of_calls = {key for one in calls if isinstance(one, dict) for key in one} if isinstance(calls, list) else set()
    return (
        {*message, *of_calls}
        - {"role", "tool_calls", "refusal", "function_call", "id", "type", "function"}
        - ({"content"} if isinstance(message.get("content"), str) else set())
    )


# --- a play


class Ended(NamedTuple):
    status: str
    text: str
    error: BaseException | None
    agent: str
    conversation: str


async def play(case: Case, form: Form, *, once: bool = False) -> None:
    """Play a case and hold what comes of it against the case, and against what holds for all."""
    before = asyncio.all_tasks()
    ledger: list[str] = []
    own = {made.name if isinstance(made, Tool | AgentTool) else name_of(made) for made in case.tools}
    offers = OFFERS | {"Triage": OWN | own} | case.offers
    provider = Provider(form, case.script(), offers, forever=case.forever or (case.again and not once))
    async with Loopback(provider.answer) as server:
        model = form.model("m", base_url=server.url, timeout=case.timeout, _clock=Slept().clock)
        runner = Runner(team(case.tools, case.output), model=model, deps=ledger, limits=Limits(**case.limits))
        ended = await _run(runner, form, "I want my money back.", None)
        _hold(case, ended, once=once)
        assert sorted(ledger) == sorted(case.ran)
        provider.healthy = case.well
        again = await _run(runner, form, "And now?", ended.conversation)
        assert provider.faults == []
        assert (again.status, again.text, again.agent) == ("done", case.well, provider.agents[-1])
        told = "\n".join(provider.answers)
        assert [words for words in ([case.told] if isinstance(case.told, str) else case.told) if words not in told] == [], told[:2000]
        assert sorted(ledger) == sorted(case.ran)
        await _check_journal(runner, ended.conversation)
        await model.aclose()
    await _settled(before)


def _hold(case: Case, ended: Ended, *, once: bool) -> None:
    """The run ended as the case says."""
    if case.fails is not None and not once:
        assert type(ended.error) is case.fails, ended
        assert ended.status == "raised"
        assert ended.conversation
        assert ended.text
        return
    if case.limit is not None:
        assert (ended.status, getattr(ended.error, "limit", None)) == ("limited", case.limit)
        return
    assert ended.error is None
    assert (ended.status, ended.text, ended.agent) == ("done", DONE if once else case.ends, case.agent)


async def _run(runner: Runner, form: Form, text: str, conversation: str | None) -> Ended:
    """Run one input, as a blocking call or as a stream. Nothing but Segue's own errors is caught."""
    try:
        if form.streams:
            async with runner.stream(text, conversation=conversation) as stream:
                await _watch(stream)
                response = stream.response
        else:
            response = await runner.run(text, conversation=conversation)
    except SegueError as error:
        return Ended("raised", str(error), error, "", error.conversation or "")
    assert response.status != "done" or response.output is not None
    return Ended(response.status, response.text, response.error, response.agent.name, response.conversation)


async def _watch(stream: Any) -> None:
    """Read a stream to its end: what was shown of a reply, and not taken back, is what was said."""
    shown = ""
    async for item in stream:
        assert isinstance(item, Event | Delta | Restarted | Progress)
        if isinstance(item, TextDelta):
            shown += item.text
        elif isinstance(item, Restarted):
            shown = ""
        elif isinstance(item, ModelReplied):
            assert shown in ("", item.reply.text)
            shown = ""


async def _check_journal(runner: Runner, conversation: str) -> None:
    """The journal folds, no call was started twice, and none is left open."""
    events = [stored.event for stored in await runner.events(conversation)]
    folded = replay(events)
    assert folded.turn is None
    places = [event.place for event in events if isinstance(event, ToolStarted)]
    assert len(places) == len(set(places))
    assert [decode(*encode(event)) for event in events] == events


async def _settled(before: set[asyncio.Task[Any]]) -> None:
    """No task is left that was not there."""
    async with asyncio.timeout(5):
        while asyncio.all_tasks() != before:
            await asyncio.sleep(0.001)

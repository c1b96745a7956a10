"""A team for tests of durable runs. Its tools write down outside of Segue what they did and for which call; its model reads from the
user's last words what is to be done. `Counter.checked` holds a journal against what was done."""

import asyncio
import os
from pathlib import Path
from typing import Any

from segue.agent import Agent
from segue.core.conversation import Conversation, Status, next_steps
from segue.core.events import InputGiven, ToolFailed, ToolLate, ToolReturned, ToolStarted, ToolUnknown
from segue.core.messages import Assistant, User
from segue.core.view import check, view
from segue.journal.base import fold
from segue.models.scripted import as_reply, spoken
from segue.runner import Runner
from segue.tools.tool import Context, tool

PLANS: dict[str, list[Any]] = {
    "look": [{"look": {"item": "boots"}}, "Boots are 5."],
    "refund": [
        {"transfer_to_till": {}},
        [{"look": {"item": "boots"}}, {"note": {"text": "angry"}}],
        [{"pay": {"item": "boots"}}, {"charge": {"item": "laces"}}],
        "Refunded, and charged.",
    ],
    "pay": [{"pay": {"item": "boots"}}, "Paid."],
    "sign": [[{"sign": {"item": "car"}}, {"pay": {"item": "boots"}}, {"note": {"text": "big"}}], "Signed, or not."],
    "sign alone": [{"sign": {"item": "car"}}, "Signed, or not."],
    "book": [{"book": {"item": "hat"}}, {"look": {"item": "hat"}}, "Booked."],
    "ask": [{"ask_expert": {"input": "pay"}}, "The expert has paid."],
    "hold": [{"hold": {}}, "Held."],
    "hold and sign": [[{"hold": {}}, {"sign": {"item": "car"}}], "Held, and signed."],
    "nothing": ["As you like."],
}


class Counter:
    """The team, and the list of what its tools did: in this process, or in a file that processes share.

    `changed`: what has changed in its code: the "instructions", the "tool" that is approved, or that tool is "gone".
    """

    name = "counter"

    def __init__(self, file: Path | None = None, *, transactions: bool = False, slow: int = 1, changed: str = "") -> None:
        self.file = file
        self.list: list[str] = []
        self.requests: list[Any] = []
        self.gone = False
        self.slow = slow
        """How often whatever is async lets others go on."""

        @tool(effect="read")
        def look(item: str, ctx: Context) -> str:
            """Look at an item."""
            self.did("look", ctx)
            return f"{item}: 5"

        @tool(effect="keyed")
        async def note(text: str, ctx: Context) -> str:
            """Note something."""
            await self.pause()
            self.did("note", ctx)
            await self.pause()
            return "noted"

        @tool
        def pay(item: str, ctx: Context) -> str:
            """Pay."""
            self.did("pay", ctx)
            return "paid"

        @tool
        async def charge(item: str, ctx: Context) -> str:
            """Charge."""
            await self.pause()
            self.did("charge", ctx)
            await self.pause()
            return "charged"

        @tool(approve=True, description="Sign a contract, as the new law has it." if changed == "tool" else None)
        def sign(item: str, ctx: Context) -> str:
            """Sign a contract."""
            self.did("sign", ctx)
            return "signed"

        @tool(effect="transaction")
        def book(item: str, ctx: Context) -> str:
            """Book, in the journal's own database."""
            ctx.db.execute("create table if not exists booked (place text)")
            ctx.db.execute("insert into booked values (?)", (f"{ctx.conversation} {ctx.place}",))
            return "booked"

        @tool(effect="keyed", timeout=60)
        async def hold(ctx: Context) -> str:
            """Wait until told to go."""
            self.did("hold", ctx)
            while not self.may_go:
                await asyncio.sleep(0.005)
            return "held"

        tools = [look, note, pay, charge, sign, hold, *([book] if transactions else [])]
        words = "You help. Be kind." if changed == "instructions" else "You help."
        if changed == "gone":
            tools.remove(sign)
        expert = Agent("Expert", instructions=words, tools=tools)
        self.till = Agent("Till", instructions=words, tools=tools)
        self.entry = Agent("Triage", instructions=words, tools=[*tools, expert.as_tool(name="ask_expert")], handoffs=[self.till])

    def did(self, what: str, ctx: Context) -> None:
        """Write down an effect, with the call that it belongs to."""
        line = f"{what} {ctx.conversation} {ctx.place}"
        if self.file is None:
            self.list.append(line)
            return
        file = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{line}\n".encode())
        os.close(file)

    @property
    def may_go(self) -> bool:
        """Whether `hold` may end."""
        return self.gone if self.file is None else Path(f"{self.file}.go").exists()

    def go(self) -> None:
        """Let `hold` end, in every process."""
        self.gone = True
        if self.file is not None:
            Path(f"{self.file}.go").touch()

    @property
    def holds(self) -> bool:
        """Whether `hold` was begun."""
        return any(line.startswith("hold ") for line in self.done)

    async def pause(self) -> None:
        """Let others go on."""
        for _ in range(self.slow):
            await asyncio.sleep(0)

    @property
    def done(self) -> list[str]:
        """What was done, in order."""
        if self.file is None:
            return self.list
        return self.file.read_text().splitlines() if self.file.exists() else []

    async def reply(self, request: Any) -> Any:
        """Speak by the plan that the user's last words name, and by how much was said of it."""
        self.requests.append(request)
        await self.pause()
        said, plan = 0, PLANS["nothing"]
        for message in request.messages:
            if isinstance(message, User) and not str(message.content).startswith("[Late result"):
                said, plan = 0, PLANS[str(message.content)]
            elif isinstance(message, Assistant) and message.calls:
                said += 1
        for item in spoken(as_reply(plan[min(said, len(plan) - 1)]), stream=request.stream):
            yield item
            await self.pause()

    def runner(self, journal: Any = None, **options: Any) -> Runner:
        """A Runner of this team."""
        return Runner(self.entry, model=self, journal=journal, **options)

    async def checked(self, journal: Any, name: str = "c", *, over: bool = True) -> Conversation:
        """The conversation as it stands: whole for everyone who reads it, with every effect told, and none done without a start."""
        rows = await journal.read(name)
        c = fold(rows)
        for agent in ("Triage", "Till", "Expert"):
            shown = c._replace(stack=(*c.stack[:-1], c.stack[-1]._replace(agent=agent)))
            fault = check([*view(shown), User("And now?")])
            assert fault is None, f"{agent} is shown what no provider takes: {fault}"
        assert [check(request.messages) for request in self.requests] == [None] * len(self.requests)
        if over:
            assert c.status in (Status.IDLE, Status.ENDED), c.status
            assert c.turn is None
            assert next_steps(c) == []
        starts = [row.event for row in rows if isinstance(row.event, ToolStarted)]
        told = {row.event.place for row in rows if isinstance(row.event, ToolReturned | ToolLate)}
        unsure = {row.event.place for row in rows if isinstance(row.event, ToolUnknown)}
        uncalled = {row.event.place for row in rows if isinstance(row.event, ToolFailed) and row.event.words.startswith("Not called")}
        once = [start.place for start in starts if start.effect == "once"]
        assert len(once) == len(set(once)), "a start was written twice"
        for line in self.done:
            what, conversation, place = line.split()
            if conversation != name:
                continue
            same = [start for start in starts if (start.place, start.name) == (place, what)]
            assert same, f"{line} was done, and no start was written down"
            if same[0].effect == "once":
                assert self.done.count(line) == 1, f"{line} was done {self.done.count(line)} times"
                assert place not in uncalled - told, f"{line} was done, and is said to be uncalled"
                assert place in told | unsure, f"{line} was done, and nothing tells of it"
        return c

    async def settled(self, journal: Any, name: str = "c", *, over: bool = True) -> Conversation:
        """`checked`, once what nobody waits for has ended and was told."""
        end = asyncio.get_running_loop().time() + 10
        while True:
            try:
                return await self.checked(journal, name, over=over)
            except AssertionError:
                if asyncio.get_running_loop().time() > end:
                    raise
            await asyncio.sleep(0.005)

    async def inputs(self, journal: Any, name: str = "c") -> list[str]:
        """What users have said, in order."""
        return [
            str(message.content) for row in await journal.read(name) if isinstance(row.event, InputGiven) for message in row.event.messages
        ]

"""Makes the golden journals: python -m tests.journals.make tests/journals/v1

Each is written by real runs over SQLite. A journal that is kept is never made anew: what a later version writes goes into a folder of
its own, and what an earlier one wrote must fold for ever."""

import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from segue import clock
from segue.core.conversation import Conversation
from segue.core.events import CANCELLED, DriveStarted, InputGiven, Started, ToolStarted
from segue.core.limits import Limits
from segue.core.messages import Call, Reply, Usage, User
from segue.core.view import view
from segue.errors import RateLimited, SegueError
from segue.journal.base import Stored, fold, summary_of
from segue.journal.retention import export
from segue.journal.sqlite import SqliteJournal
from segue.model import Restarted
from segue.openings import given, taken_over
from segue.outside import decide, fork, tell
from segue.runner import Runner
from segue.testing import ScriptedModel
from segue.wire.chat_messages import as_chat
from tests.journals.house import house

DAY = 24 * 3600.0
FULL = Reply(
    "Let me see.",
    (Call("call_1", "look", '{"item":"boots"}', {"signature": "s1"}), Call("", "look", '{"item": "laces"}')),
    "tool_calls",
    None,
    Usage(100, 20, 50, 5),
    "gpt-5-mini-2026",
    {"reasoning_details": [{"type": "text", "text": "hm"}]},
    "openai-chat",
)


class Author:
    """Writes stories."""

    def __init__(self, folder: Path) -> None:
        self.journal = SqliteJournal(folder / "segue.db")

    async def says(self, name: str, said: Any, *script: Any, **options: Any) -> Any:
        """A run of a new Runner; its error, where it fails."""
        return await self._try(lambda runner: runner.run(said, conversation=name, **options), script)

    async def _try(self, act: Callable[[Runner], Awaitable[Any]], script: Any, **options: Any) -> Any:
        runner = Runner(house(), model=ScriptedModel(script), journal=self.journal, **options)
        try:
            return await act(runner)
        except SegueError as error:
            return error
        finally:
            await runner.aclose()

    async def decides(self, name: str, decision: str, *script: Any, which: int = 0, **options: Any) -> Any:
        """A decision about one of the calls that wait."""
        slot = fold(await self.journal.read(name)).waiting[which]
        assert slot.approval is not None
        asked = slot.approval
        return await self._try(lambda runner: getattr(runner, decision)(name, asked.id, asked.digest, by="ann", **options), script)

    async def resumes(self, name: str, *script: Any, **options: Any) -> Any:
        """Go on with what was left."""
        return await self._try(lambda runner: runner.resume(name, by="ann", **options), script)

    async def dies_at(self, name: str, copy: str, where: Callable[[Any], bool]) -> None:
        """The same conversation under another name, as it was when the process had died just after an event."""
        rows = await self.journal.read(name)
        last = next(at for at, row in enumerate(rows) if where(row.event))
        events = [row.event for row in rows[: last + 1]]
        object.__setattr__(events[0], "conversation", copy)
        c = fold([Stored(at, 0.0, event) for at, event in enumerate(events, 1)])
        await self.journal.append(copy, 1, events, at=clock.now(), summary=summary_of(c))


class Stumbling(ScriptedModel):
    """Breaks off its first attempt at each reply."""

    async def reply(self, request: Any) -> Any:
        yield Restarted(2)
        async for item in super().reply(request):
            yield item


async def handoffs(a: Author) -> None:
    earlier = [
        {"role": "user", "content": "Hello"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "x", "type": "function", "function": {"name": "old", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "x", "content": "old result"},
        {"role": "assistant", "content": "No.", "refusal": "No.", "strange": 1},
        {"role": "user", "content": [{"type": "text", "text": "My boots fell apart."}], "name": "Ann"},
    ]
    transfers = [{"transfer_to_till": {"order": "A1"}}, {"transfer_to_judge": {}}, {"transfer_to_manager": {}}]
    await a.says("handoffs", earlier, {"transfer_to_till": "{"}, transfers, "What amount?", context={"customer": "Ann", "vip": False})
    await a.says("handoffs", "Five.", [{"pay": {"amount": 5}}, {"transfer_to_triage": {}}], "Paid, and back.")
    await a.says("handoffs", "An expert, please.", {"call_expert": {}}, "I am the expert.")
    await a.says("handoffs", "Thank you.", {"return_to_triage": {"value": "all is well"}}, "Anything else?")
    await a.says("handoffs", "The judge.", {"transfer_to_judge": {}}, "guilty!", '{"guilty": true}')


async def tools(a: Author) -> None:
    await a.says("tools", "Look.", FULL, [{"note": {"text": "blue"}}, {"fail": {"why": "broken"}}], "So.", context={"customer": "Bo"})
    await a.says("tools", "More.", [{"look": {"thing": 1}}, {"lok": {}}, {"picture": {}}, {"odd": {}}, {"slow": {}}], "Seen.")
    await a.says(
        "tools", "Register.", {"register": {"name": "Ann"}}, [{"register": {"name": "Ann"}}, {"register": {"name": "Night"}}], "Yes."
    )
    await a.says("tools", "Book.", {"book": {"item": "hat"}}, "Booked.")
    runner = Runner(house(), model=ScriptedModel([{"hang": {}}, "It hangs."]), journal=a.journal)
    await runner.run("Hang.", conversation="tools")
    await asyncio.sleep(0.1)
    await runner.aclose()
    await a._try(lambda runner: runner.run("Stumble.", conversation="tools", model=Stumbling(["Up again."])), [])
    prices = Limits(prices={"gpt-5-mini-2026": (1.25, 10.0)}, cost=3.0, tokens=10_000)
    await a._try(lambda runner: runner.run("Cost?", conversation="tools"), [FULL._replace(calls=()), "5"], limits=prices)
    priced = ScriptedModel([FULL, "Dear."], name="gpt-5-mini-2026")
    await a._try(lambda runner: runner.run("Cost?", conversation="tools", model=priced), [], limits=prices)


async def approvals(a: Author) -> None:
    wish = {"sign": {"contract": "car", "price": 900}}
    await a.says("approvals", "Sign.", [wish, {"sign": {"contract": "house", "price": 2}}, {"look": {"item": "pen"}}])
    await a.decides("approvals", "approve")
    await a.decides("approvals", "deny", "One of two.", reason="too cheap")
    await a.says("approvals", "Again.", wish)
    await a.decides("approvals", "approve", "For less.", arguments={"contract": "car", "price": 800})
    await a.says("approvals", "Again.", wish)
    real, clock.now = clock.now, lambda: real() + 8 * DAY
    await a.resumes("approvals", "Too late.")
    clock.now = real
    await a.says("approvals", "And the clerk?", {"ask_clerk": {"input": "Sign for me."}}, wish)
    await a.decides("approvals", "approve", "The clerk signed.", "He has.")
    dear = Limits(prices={"scripted": (1000.0, 2000.0)})
    asks = {"ask_clerk": {"input": "Pay."}}
    pays = FULL._replace(text=None, calls=(Call("", "pay", '{"amount":1}'),))
    await a._try(lambda r: r.run("Paid?", conversation="clerk"), [asks, pays, FULL._replace(calls=()), "He has."], limits=dear)
    broken = RateLimited("too many", provider="openai")
    await a._try(lambda r: r.run("And now?", conversation="clerk"), [asks, pays, broken, "He could not."], limits=dear)


async def waiting(a: Author) -> None:
    wish = {"sign": {"contract": "car", "price": 900}}
    await a.says("waiting", "Sign.", [wish, {"sign": {"contract": "house", "price": 2}}])
    await a.decides("waiting", "approve")
    await a.says("doubt", "Sign.", wish)
    await a.decides("doubt", "approve", "Signed.")
    await a.dies_at("doubt", "doubtful", lambda event: isinstance(event, ToolStarted))
    await a.resumes("doubtful")
    await a.dies_at("doubt", "settled", lambda event: isinstance(event, ToolStarted))
    await a.resumes("settled")
    await a._try(lambda runner: runner.settle("settled", "1.0", "it was signed", by="ann"), ["I see."])


async def crashes(a: Author) -> None:
    calls = [{"look": {"item": "a"}}, {"note": {"text": "b"}}, {"pay": {"amount": 3}}]
    await a.says("whole", "Do it all.", calls, "Done.")
    await a.dies_at("whole", "middle", lambda event: isinstance(event, ToolStarted) and event.name == "pay")
    await a.dies_at("whole", "recovered", lambda event: isinstance(event, ToolStarted) and event.name == "pay")
    await a.resumes("recovered", "Not all is known.")
    await a.dies_at("whole", "asked", lambda event: isinstance(event, DriveStarted))
    await a.says("whole booked", "Book.", {"book": {"item": "hat"}}, "Booked.")
    await a.dies_at("whole booked", "booking", lambda event: isinstance(event, ToolStarted))


async def ends(a: Author) -> None:
    await a.says("ends", "SHOUTED", "never")
    await a.says("ends", "Fail.", RateLimited("too many", provider="openai", retry_after=2.5))
    await a.resumes("ends", "a secret")
    await a.resumes("ends", "Now then.")
    await a._try(lambda r: r.run("Twice.", conversation="ends"), [{"look": {"item": "x"}}], limits=Limits(turns=1))
    await a.resumes("ends", {"look": {"item": "x"}}, "Well.", limits=Limits(turns=5, cost=2.0, prices={"scripted": (1.0, 2.0)}))
    await a.says("ends", "Refuse.", Reply(None, (), "stop", "I will not."))
    await a.says("ends", "Cut.", Reply("half of", (), "length"))
    await a.says("ends", "Cancel.", {"sign": {"contract": "car", "price": 900}})
    await a._try(lambda runner: runner.cancel("ends"), [])
    await a.says("parked", "Sign.", {"sign": {"contract": "car", "price": 900}})
    asked = fold(await a.journal.read("parked")).waiting[0].approval
    assert asked is not None
    await decide(a.journal, "parked", asked.id, asked.digest, "approve", by="ann", at=clock.now())
    await tell(a.journal, "parked", lambda c: [DriveStarted("d_other", {"Triage": {"instructions": "0", "tools": {}}})], at=clock.now())
    await a._try(lambda runner: runner.resume("parked"), [], on_change="ask")


async def queue(a: Author) -> None:
    queued = InputGiven("r_by", (User("And this?"),), {"vip": True}, "key 7", "bo")
    runner = Runner(house(), model=ScriptedModel([{"hang": {}}, "Hung.", "This, too."]), journal=a.journal)
    running = asyncio.create_task(runner.run("Hang.", conversation="queue"))
    while not any(isinstance(row.event, ToolStarted) for row in await a.journal.read("queue")):
        await asyncio.sleep(0.001)

    def opening(c: Conversation) -> Any:
        return given(c, queued, conversation="queue", entry="Triage", reject=False, driven=True, now=clock.now())

    await tell(a.journal, "queue", opening, at=clock.now())
    await running
    await runner.aclose()
    await a.says("queue", "Sign.", {"sign": {"contract": "car", "price": 900}})
    await a.says("queue", "Never mind.", "As you like.", busy="interrupt")
    await a.says("taken", "Look.", {"look": {"item": "x"}}, "Looked.")
    await a.dies_at("taken", "cancelled", lambda event: isinstance(event, ToolStarted))
    await tell(a.journal, "cancelled", lambda c: taken_over(c, CANCELLED), at=clock.now())
    opened = Started("opened", "Triage", {"customer": "Cy", "odd": [1.5, None, True, {"": "\udfff"}, 2**70]})
    await a.journal.append("opened", 1, [opened, InputGiven("r_1", (User("Hello"),))], at=clock.now())
    await fork(a.journal, "queue", effects="allow", at=1, new_id="forked", now=clock.now())
    await a.says("forked", "Half \ud800 a pair, \u0000, and \U0001f600.", Reply("\udcff and \u2028", (), "stop"))


STORIES = [handoffs, tools, approvals, waiting, crashes, ends, queue]


def told(c: Conversation) -> dict[str, Any]:
    """What a conversation is, for a later version to be held to."""
    return {
        "status": c.status.value,
        "floor": [frame.agent for frame in c.stack],
        "context": dict(c.context),
        "messages": [as_chat(message) for message in view(c)],
        "waiting": [slot.place for slot in c.waiting],
        "run": c.run.id,
        "usage": list(c.usage),
    }


async def main(folder: Path) -> None:
    """Write each conversation as JSON lines, and beside them what they were when they were written."""
    expected: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        author = Author(Path(place))
        for story in STORIES:
            await story(author)
        lines = await author.journal.conversations(limit=1000)
        for line in lines:
            name = line.conversation.replace("/", "--").replace(" ", "-")
            rows = [json.dumps(row) async for row in export(author.journal, line.conversation)]
            (folder / f"{name}.jsonl").write_text("\n".join(rows) + "\n")
            expected[name] = told(fold(await author.journal.read(line.conversation)))
        (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
        await author.journal.aclose()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

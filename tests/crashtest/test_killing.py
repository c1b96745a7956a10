import functools

import pytest

from segue import Agent, Context, Runner, tool
from segue.crashtest.killing import watch_tools, watched
from segue.crashtest.points import Witness, read_account
from segue.journal.base import Transactional
from segue.journal.sqlite import SqliteJournal
from segue.testing import MemoryJournal, ScriptedModel, journal_checks


@pytest.mark.parametrize("check", journal_checks, ids=lambda check: check.__name__)
async def test_a_watched_journal_is_still_a_journal(check, tmp_path):
    number = iter(range(1000))
    await check(lambda: watched(SqliteJournal(tmp_path / "segue.db"), Witness(tmp_path / f"{next(number)}", 1)))


def test_a_watched_journal_has_a_database_where_the_other_has(tmp_path):
    witness = Witness(tmp_path / "witness", 1)
    assert isinstance(watched(SqliteJournal(tmp_path / "segue.db"), witness), Transactional)
    assert not isinstance(watched(MemoryJournal(), witness), Transactional)


class Callable_:
    def __call__(self, item: str) -> str:
        """Look."""
        return f"{item} is called"


@tool(effect="keyed")
def charge(item: str, ctx: Context) -> str:
    """Charge."""
    return f"{item} of {ctx.agent}"


@tool(effect="read")
async def ask(item: str, *rest: str) -> str:
    """Ask."""
    return f"{item} is asked for"


def later(item: str):
    """Look later."""

    async def value():
        return f"{item} comes later"

    return value()


def fails(item: str) -> str:
    """Fail."""
    raise LookupError(item)


def partly(price: int, item: str) -> str:
    """Look at one price."""
    return f"{item} at {price}"


def to_other() -> Agent:
    """Hand over."""
    return other


other = Agent("Other")
TOOLS = {
    "charge": (charge, "a of Desk", "keyed"),
    "ask": (ask, "a is asked for", "read"),
    "later": (later, "a comes later", "once"),
    "fails": (fails, "Failed with LookupError: a", "once"),
    "partly": (tool(name="partly")(functools.partial(partly, 5)), "a at 5", "once"),
    "callable": (tool(name="callable")(Callable_()), "a is called", "once"),
}


@pytest.mark.parametrize("name", TOOLS)
async def test_a_watched_tool_does_what_it_did_and_is_seen_to_be_entered_and_left(name, tmp_path):
    made, answer, effect = TOOLS[name]
    desk = Agent("Desk", tools=[made])
    runner = Runner(desk, model=ScriptedModel([{name: {"item": "a"}}, "Done."]))
    witness = Witness(tmp_path / "witness", 1)
    watch_tools([desk, Agent("Same tool", tools=desk.tools)], witness)
    response = await runner.run("Go.", conversation="crashtest")
    assert response.messages[1]["content"] == answer
    entry, left = read_account(tmp_path / "witness")
    assert (entry["kind"], entry["call"], entry["tool"], entry["effect"], entry["arguments"]) == (
        "entry",
        "1.0",
        name,
        effect,
        '{"item":"a"}',
    )
    assert len(entry["key"]) == 32
    assert left == {"kind": "return", "process": 1, "call": "1.0"}


async def test_a_watched_tool_still_leads_to_the_agent_that_it_names(tmp_path):
    desk = Agent("Desk", tools=[to_other])
    watch_tools([desk], Witness(tmp_path / "witness", 1))
    response = await Runner(desk, model=ScriptedModel([{"to_other": {}}, "Hello."])).run("Go.")
    assert response.agent is other

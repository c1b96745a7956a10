"""All recorded airline conversations, through `Runner`: every request must equal the recorded history up to that point.
The model says what was recorded next and the tools answer as recorded, first with one agent, then with a team of four."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from segue import Agent, Context, Limits, Response, Runner, tool
from segue.agent import slug
from segue.core.events import Event, ToolStarted
from segue.core.messages import Reply
from segue.errors import LimitReached
from segue.journal.memory import MemoryJournal
from segue.model import ModelRequest, TextDelta
from segue.models.scripted import FunctionModel
from segue.tools.tool import Tool
from tests.data import needs_data
from tests.replays.recorded import Part, Recording, Replay, Script, airline, directed, tool_names

pytestmark = needs_data

LIMITS = Limits(turns=40)  # one conversation has 26 replies to one message; all other limits are the defaults

SPLIT = {
    "Front Desk": ["get_user_details", "get_reservation_details", "list_all_airports", "transfer_to_human_agents"],
    "Booking": ["search_direct_flight", "search_onestop_flight", "calculate", "book_reservation"],
    "Changes": ["update_reservation_flights", "update_reservation_baggages", "update_reservation_passengers"],
    "Cancellations": ["cancel_reservation", "send_certificate", "think"],
}
GENERATED = ["Front Desk", "Booking"]

Cast = tuple[list[Agent], dict[str, Replay]]
Say = Callable[[Runner, Replay, str], Awaitable[Response[Any]]]


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    return airline()


def playing(agent: str, replays: Mapping[str, Replay]) -> FunctionModel:
    """The agent's own model: it says what was recorded next, and may speak for no other agent."""

    def reply(request: ModelRequest) -> Reply:
        assert request.agent == agent
        return replays[request.conversation].reply(request)

    return FunctionModel(reply, name=f"model of {agent}")


def answering(name: str, replays: Mapping[str, Replay]) -> Tool:
    def answer(ctx: Context[Any], **arguments: Any) -> str:
        return replays[ctx.conversation].answer(name, arguments)

    return tool(name=name)(answer)


def one_agent(recordings: list[Recording]) -> Cast:
    """One agent with all the tools, and every conversation in front of it."""
    (instructions,) = {recording.instructions for recording in recordings}
    names, replays = tool_names(), dict[str, Replay]()
    tools = [answering(name, replays) for name in names]
    cast = {"Airline": Part(instructions, names)}
    for recording in recordings:
        script = Script(recording.messages, ["Airline"] * (len(recording.messages) + 1))
        replays[recording.id] = Replay(recording.id, script, cast)
    return [Agent("Airline", instructions=instructions, tools=tools, model=playing("Airline", replays))], replays


def a_team(recordings: list[Recording]) -> Cast:
    """Four agents with the tools shared out: half of them are reached by `handoffs=`, half by functions that return them."""
    agents, cast, replays = dict[str, Agent](), dict[str, Part](), dict[str, Replay]()

    def returning(target: str) -> Tool:
        def transfer() -> Agent:
            return agents[target]

        return tool(name=f"transfer_to_{slug(target)}")(transfer)

    for name, own in SPLIT.items():
        functions = [other for other in SPLIT if other != name and other not in GENERATED]
        handoffs = [other for other in GENERATED if other != name]
        leads = {target: f"transfer_to_{slug(target)}" for target in (*functions, *handoffs)}
        cast[name] = Part(f"You are {name}.", [*own, *leads.values()], leads)
        tools = [*(answering(recorded, replays) for recorded in own), *map(returning, functions)]
        agents[name] = Agent(name, instructions=f"You are {name}.", tools=tools, handoffs=handoffs, model=playing(name, replays))
    for recording in recordings:
        replays[recording.id] = Replay(recording.id, directed(recording.messages, cast, next(iter(SPLIT))), cast)
    return list(agents.values()), replays


async def running(runner: Runner, replay: Replay, text: str) -> Response[Any]:
    response = await runner.run(text, conversation=replay.id)
    replay.heard(response)
    return response


async def streaming(runner: Runner, replay: Replay, text: str) -> Response[Any]:
    """Stream, and check that what was shown is what was said, and that every event was seen that the journal has."""
    before = len(await runner.journal.read(replay.id))
    async with runner.stream(text, conversation=replay.id) as stream:
        items = [item async for item in stream]
    said = replay.heard(stream.response)
    assert "".join(item.text for item in items if isinstance(item, TextDelta)) == said
    stored = await runner.journal.read(replay.id, after=before)
    assert [item for item in items if isinstance(item, Event)] == [row.event for row in stored]
    return stream.response


async def play(runner: Runner, replay: Replay, say: Say) -> None:
    for text in replay.texts():
        await say(runner, replay, text)


def check(recordings: list[Recording], replays: Mapping[str, Replay]) -> None:
    """Every recorded reply was asked for, and once more at each end; exactly the repeated ids were renamed."""
    handoffs = sum(len(replay.script.inserted) for replay in replays.values())
    recorded = sum(message["role"] == "assistant" for recording in recordings for message in recording.messages)
    assert (len(recordings), recorded) == (140, 2023)
    assert sum(replay.requests for replay in replays.values()) == recorded + len(recordings) + handoffs
    assert {r.id: replays[r.id].check_ids() for r in recordings} == {r.id: r.repeats_ids for r in recordings}
    print(f"{sum(replay.requests for replay in replays.values())} requests as recorded, {handoffs} handoffs put in")


@pytest.mark.parametrize("say", [running, streaming])
async def test_every_request_of_one_agent_with_all_tools_is_the_recorded_history(recordings: list[Recording], say: Say) -> None:
    (agent,), replays = one_agent(recordings)
    runner = Runner(agent, limits=LIMITS)
    await asyncio.gather(*(play(runner, replay, say) for replay in replays.values()))
    check(recordings, replays)


async def starts(runner: Runner, replays: Mapping[str, Replay]) -> list[ToolStarted]:
    """The calls of functions; generated handoffs have none behind them."""
    events = [stored.event for name in replays for stored in await runner.events(name)]
    return [event for event in events if isinstance(event, ToolStarted)]


@pytest.mark.parametrize("say", [running, streaming])
async def test_every_request_of_a_team_is_the_recorded_history_with_the_handoffs_put_in(recordings: list[Recording], say: Say) -> None:
    agents, replays = a_team(recordings)
    runner = Runner(agents[0], agents=agents, limits=LIMITS)
    await asyncio.gather(*(play(runner, replay, say) for replay in replays.values()))
    check(recordings, replays)
    transfers = [event for event in await starts(runner, replays) if event.name not in tool_names()]
    assert (len(transfers), sum(len(replay.script.inserted) for replay in replays.values())) == (190, 379)


@pytest.mark.parametrize("made", [one_agent, a_team])
def test_sync_runs_send_the_same_requests(recordings: list[Recording], made: Callable[..., Cast]) -> None:
    agents, replays = made(recordings)
    runner = Runner(agents[0], agents=agents, limits=LIMITS)
    for replay in replays.values():
        for text in replay.texts():
            replay.heard(runner.run_sync(text, conversation=replay.id))
    check(recordings, replays)


async def test_a_new_runner_for_each_message_of_the_user_sends_the_same_requests(recordings: list[Recording]) -> None:
    agents, replays = a_team(recordings)
    journal = MemoryJournal()

    async def anew(_: Runner, replay: Replay, text: str) -> Response[Any]:
        return await running(Runner(agents[0], agents=agents, limits=LIMITS, journal=journal), replay, text)

    first = Runner(agents[0], agents=agents)
    await asyncio.gather(*(play(first, replay, anew) for replay in replays.values()))
    check(recordings, replays)


async def test_the_default_limits_cut_only_where_one_message_has_more_than_twenty_replies(recordings: list[Recording]) -> None:
    (agent,), replays = one_agent(recordings)
    runner = Runner(agent)
    cut: dict[str, str] = {}
    for replay in replays.values():
        for text in replay.texts():
            response = await runner.run(text, conversation=replay.id)
            if response.status != "done":
                assert isinstance(response.error, LimitReached)
                cut[replay.id] = response.error.limit
                break
    assert max(map(most_replies, recordings)) == 26
    assert cut == {recording.id: "turns" for recording in recordings if most_replies(recording) > 20}


def most_replies(recording: Recording) -> int:
    runs = "".join(message["role"][0] for message in recording.messages if message["role"] != "tool").split("u")
    return max(map(len, runs))

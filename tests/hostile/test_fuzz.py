"""Replies that are broken at random places, by a seeded generator: whatever comes of one, it is an answer or a typed error, no request
is faulty, no call is made that was not written down, and the conversation goes on.

`python3 -m tests.hostile.test_fuzz 100000 7` plays as many from the seed 7 on."""

import asyncio
import contextlib
import copy
import json
import random
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from segue import Runner, SegueError
from segue.core.codec import decode, encode
from segue.events import ToolStarted
from tests.hostile.arguments import GOOD
from tests.hostile.forms import Form, Raw, Said, refund, response_events, says
from tests.hostile.stage import OFFERS, WELL, Provider, team
from tests.loopback import DONE, Loopback, call, stream, whole
from tests.models.asking import Slept
from tests.scale import scaled

SEED = 20261121
TRANSFER = call("transfer_to_sales", "{}", "s")
REPLIES = [
    says(refund(), text="One moment."),
    says(refund(), call("ping", "", "p")),
    says(refund(), TRANSFER),
    says(TRANSFER, call("transfer_to_billing", '{"invoice": 7, "why": "x"}', "b")),
    says(call("label", '{"tags": ["a"], "sizes": {"b": 1}}', "l"), refund(call_id="r")),
    says(text="Done."),
    says(refusal="No."),
    says(refund(), finish="length"),
]
CHAT_ONLY = [
    Said(
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "Done."}, {"type": "thinking", "thinking": "hm"}],
            "tool_calls": [refund()],
        }
    ),
    Said({"role": "assistant", "content": None, "function_call": {"name": "refund", "arguments": GOOD}}),
    Said({"role": "assistant", "content": None, "reasoning_details": [{"type": "a", "data": "b", "index": 0}], "tool_calls": [refund()]}),
]
JUNK: list[Any] = [
    None, True, False, 0, -1, 7, 1.5, 10**20, 1e300, "", " ", "x", "refund", "assistant", "tool", "stop", "length", "\ud800", "a\x00b", "x" * 2000,
    [], {}, [None], [[]], [{}], ["refund"], {"a": 1}, {"name": "refund"}, {"": None}, [1, "a", None, {"b": []}], "{", "[]", GOOD, "call_1", "call_1_0",
]  # fmt: skip


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a value, as a holder and a key."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list) and value[key]:
            yield from places(value[key])


def broken(value: Any, chance: random.Random) -> Any:
    """The value with one to three places changed, taken out, doubled or renamed."""
    value = copy.deepcopy(value)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        found = list(places(value)) if isinstance(value, dict | list) else []
        if not found:
            return value
        holder, key = chance.choice(found)
        match chance.randrange(8):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, list):
                holder.insert(key, copy.deepcopy(holder[key]))
            case 1 | 2 if isinstance(holder, dict):
                holder[chance.choice(["x", "id", "name", "index", "role", "content", "type", "error"])] = copy.deepcopy(chance.choice(JUNK))
            case 3 if isinstance(holder[key], str) and holder[key]:
                holder[key] = holder[key][: chance.randrange(len(holder[key]))]
            case 4 if isinstance(holder[key], str):
                at = chance.randrange(len(holder[key]) + 1)
                holder[key] = holder[key][:at] + chance.choice(['"', "\\", "{", "}", "\ud83d", "\x00", " ", "0", "é"]) + holder[key][at:]
            case _:
                holder[key] = copy.deepcopy(chance.choice(JUNK))
    return value


def shuffled(events: list[bytes], chance: random.Random) -> list[bytes]:
    """A stream with an event broken, taken out, doubled, moved, or cut somewhere."""
    events = list(events)
    for _ in range(chance.choice([1, 1, 2, 3])):
        at = chance.randrange(len(events))
        match chance.randrange(6):
            case 0 if len(events) > 1:
                del events[at]
            case 1:
                events.insert(chance.randrange(len(events)), events[at])
            case 2:
                events.insert(chance.randrange(len(events)), events.pop(at))
            case 3:
                events[at] = events[at][: chance.randrange(len(events[at]))]
            case _:
                with contextlib.suppress(ValueError):  # it was cut before
                    value = broken(json.loads(events[at].rstrip()[6:]), chance)
                    events[at] = b"data: " + json.dumps(value).encode() + b"\n\n"
    return events


def hostile(form: Form, chance: random.Random) -> Raw:
    """A reply that is broken somewhere."""
    said = chance.choice(REPLIES + CHAT_ONLY if form.is_chat else REPLIES)
    match form:
        case Form.CHAT_WHOLE:
            value: Any = broken(said.body(), chance)
        case Form.RESPONSES_WHOLE:
            value = broken(said.response(), chance)
        case Form.CHAT_STREAM:
            sent = shuffled([*said.chunks(), DONE], chance)
            return Raw(stream(*filter(None, sent)), kinds=names(*sent))
        case Form.RESPONSES_STREAM:
            sent = shuffled(response_events(said.response()), chance)
            return Raw(stream(*filter(None, sent)), kinds=names(*sent))
    sent = [json.dumps(value).encode()]
    return Raw(whole(sent[0]), kinds=names(sent[0]))


def names(*sent: bytes) -> frozenset[str]:
    """Every word that a server has said: it may be sent each of them as a field or a kind, with half characters replaced."""
    found: set[str] = set()
    for one in sent:
        with contextlib.suppress(ValueError):  # it was cut
            value = json.loads(one.removeprefix(b"data: "))
            found |= {word for holder, key in places([value]) for word in (key, holder[key]) if isinstance(word, str)}
    return frozenset(word.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for word in found)


async def play(form: Form, seed: int, runner: Runner, provider: Provider, ledger: list[str]) -> None:
    """Play one broken reply, and a healthy turn after it."""
    chance = random.Random(f"{seed} {form}")
    ledger.clear()
    provider.healthy, provider.left = None, [hostile(form, chance)]
    conversation = f"c{seed}"
    with contextlib.suppress(SegueError):
        await (runner.stream("Hi", conversation=conversation).finish() if form.streams else runner.run("Hi", conversation=conversation))
    assert provider.faults == []
    provider.healthy = WELL
    stream_of = runner.stream("And now?", conversation=conversation) if form.streams else None
    response = await (stream_of.finish() if stream_of else runner.run("And now?", conversation=conversation))
    assert (response.output, provider.faults) == (WELL, [])
    events = [stored.event for stored in await runner.events(conversation)]
    assert [decode(*encode(event)) for event in events] == events
    assert len(ledger) == sum(isinstance(event, ToolStarted) and event.name != "to_boss" for event in events)


async def sweep(form: Form, seeds: range) -> None:
    ledger: list[str] = []
    provider = Provider(form, [], OFFERS, forever=False)
    async with Loopback(provider.answer) as server:
        runner = Runner(team(), model=form.model("m", base_url=server.url, _clock=Slept().clock), deps=ledger)
        for seed in seeds:
            try:
                async with asyncio.timeout(20):
                    await play(form, seed, runner, provider, ledger)
            except BaseException as error:
                error.add_note(f"{form}, seed {seed}: {hostile(form, random.Random(f'{seed} {form}')).bits}")
                raise


@pytest.mark.parametrize("form", list(Form), ids=lambda form: form.value)
async def test_a_reply_broken_at_random_places_ends_as_it_should_and_spoils_nothing(form: Form):
    await sweep(form, range(SEED, SEED + scaled(300)))


if __name__ == "__main__":
    count, begin = (int(word) for word in (sys.argv[1:] + ["10000", str(SEED)][len(sys.argv) - 1 :]))
    for one in Form:
        asyncio.run(sweep(one, range(begin, begin + count)))
        print(f"{one.value}: {count} broken replies from seed {begin}, 0 violations")

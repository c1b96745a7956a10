"""Conversations to look at: run by the real loop with a scripted model, and stored with times that a test can foresee."""

from collections.abc import Iterable
from typing import Any

from segue import Agent, Runner
from segue.core.events import Event
from segue.journal.base import Stored
from segue.models.scripted import ScriptedModel


async def conversation(agent: Agent, script: Iterable[Any], *inputs: str, **options: Any) -> list[Stored]:
    """The events of a conversation in which the inputs were given one after the other."""
    runner = Runner(agent, model=ScriptedModel(script), **options)
    name = None
    for text in inputs:
        name = (await runner.run(text, conversation=name)).conversation
    assert name is not None
    return await runner.events(name)


def second_by_second(rows: Iterable[Stored | Event]) -> list[Stored]:
    """The same events, one a second."""
    events = [row.event if isinstance(row, Stored) else row for row in rows]
    return [Stored(place, 100.0 + place, event) for place, event in enumerate(events, 1)]

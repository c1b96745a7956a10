"""Swarm's agents as Segue's, for one run, and the one dictionary that their functions share.
The dictionary may hold anything: it stays here, beside the conversation, and is never journalled."""

import dataclasses
import functools
import inspect
import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

from segue import agent as segue_agent
from segue.model import Model, ModelSettings
from segue.models.openai import OpenAIChat
from segue.models.resolve import PROVIDERS
from segue.swarm.caller import Caller
from segue.swarm.types import Agent, Result
from segue.tools.context import Context
from segue.tools.results import Mixed
from segue.tools.signature import name_of
from segue.tools.signature import read as read_signature
from segue.tools.tool import Tool, make_tool

PATIENCE = 600.0
"""Seconds for a reply over a client that was handed in: what OpenAI's own client gives it."""


class _Member(NamedTuple):
    """A Swarm agent and the Segue agent that was made of it; `state` is what it looked like then."""

    swarm: Agent
    state: tuple[Any, ...]
    segue: segue_agent.Agent


class Cast:
    """The agents of one run. `system` is shown to each of them below its own instructions."""

    def __init__(self, client: Any, variables: dict[Any, Any], system: str, caller: Caller) -> None:
        self.variables = variables
        self._client = client
        self._system = system
        self._caller = caller
        self._returned: dict[Any, Any] = {}
        """What functions have returned for the variables in the open turn."""
        self._members: dict[str, _Member] = {}

    def agent(self, name: str) -> Agent:
        """The Swarm agent that goes by a name in the conversation."""
        return self._members[name].swarm

    def model(self, named: str | Model) -> str | Model:
        """What answers by this name."""
        if not isinstance(named, str):
            return named
        if self._client is not None:
            return OpenAIChat(named, client=self._client, timeout=PATIENCE)
        return named if named.partition(":")[0] in PROVIDERS else f"openai-chat:{named}"

    def enter(self, agent: Agent) -> segue_agent.Agent:
        """The Segue agent for a Swarm agent as it is now; the same one as long as nothing of it changes.

        Swarm knows agents by identity and Segue by name: a second agent of the same name goes by another one.
        """
        name = next((name for name, member in self._members.items() if member.swarm is agent), None) or self._free(agent.name)
        state = (agent.model, agent.instructions, tuple(agent.functions), agent.tool_choice, agent.parallel_tool_calls)
        member = self._members.get(name)
        if member is None or member.state != state:
            member = self._members[name] = _Member(agent, state, self._made(name, agent))
        return member.segue

    def close_turn(self, active: str) -> segue_agent.Agent | None:
        """Merge what functions returned for the variables, and give the active agent anew if they have changed it."""
        self.variables.update(self._returned)
        self._returned.clear()
        before = self._members[active]
        now = self.enter(before.swarm)
        return now if now is not before.segue else None

    def _free(self, name: str) -> str:
        name = free = name if name.strip() else "Agent"
        number = 1
        while free in self._members:
            number += 1
            free = f"{name} ({number})"
        return free

    def _made(self, name: str, agent: Agent) -> segue_agent.Agent:
        settings = ModelSettings()
        if agent.functions:
            choice = agent.tool_choice
            word = choice if isinstance(choice, str) else None
            extra = {} if choice is None or word else {"tool_choice": choice}
            settings = ModelSettings(tool_choice=word, parallel_tool_calls=agent.parallel_tool_calls, extra=extra)
        instructions = agent.instructions
        return segue_agent.Agent(
            name,
            instructions=self._rendering(instructions) if callable(instructions) else self._below(instructions),
            tools=[self._tool(function) for function in agent.functions],
            model=self.model(agent.model),
            settings=settings,
        )

    def _below(self, instructions: str) -> str:
        return "\n\n".join(part for part in (instructions, self._system) if part)

    def _rendering(self, instructions: Callable[..., str]) -> Callable[..., Any]:
        takes = bool(inspect.signature(instructions).parameters)

        async def rendered() -> str:
            given = (defaultdict(str, self.variables),) if takes else ()
            return self._below(await self._caller.call(functools.partial(instructions, *given)))

        return rendered

    def _tool(self, function: Callable[..., Any]) -> Tool:
        """A function as a tool that is called on the caller's thread, alone, with the variables if it takes them."""
        name = name_of(function)
        given = function
        if read_signature(function, Context, name).context_variables:
            given = functools.partial(function, context_variables=self.variables)

        async def called(*args: Any, **kwargs: Any) -> Any:
            value = await self._caller.call(functools.partial(given, *args, **kwargs))
            return self._result(await value if inspect.isawaitable(value) else value)

        return dataclasses.replace(make_tool(given, name=name, alone=True, strict=False), function=called, is_async=True)

    def _result(self, value: Any) -> Any:
        match value:
            case Result():
                self._returned.update(value.context_variables)
                return segue_agent.Result(value.value, self.enter(value.agent) if value.agent is not None else None)
            case Agent():
                return segue_agent.Result(json.dumps({"assistant": value.name}), self.enter(value))
            case segue_agent.Result() | segue_agent.Agent():
                kind = type(value).__name__
                raise Mixed(f"it returned segue's {kind}; return the {kind} of segue.swarm: see docs/howto/from-swarm.md")
            case _:
                return str(value)

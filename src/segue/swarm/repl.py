"""A conversation with a Swarm agent on the terminal.
It prints what a run says; it knows nothing of how the run goes."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from segue.swarm.core import Swarm
from segue.swarm.types import Agent, Response

_COLORS = {"user": "90", "agent": "94", "call": "95"}


def run_demo_loop(
    starting_agent: Agent, context_variables: Mapping[Any, Any] | None = None, stream: bool = False, debug: bool = False
) -> None:
    """Talk with an agent until the input ends (Ctrl-D). Context variables and the active agent are kept from turn to turn."""
    swarm = Swarm()
    print("Starting a Swarm conversation; Ctrl-D ends it.")
    messages: list[Any] = []
    agent, variables = starting_agent, dict(context_variables or {})
    while True:
        try:
            said = input(f"{_painted('User', 'user')}: ")
        except EOFError:
            print()
            return
        if not said.strip():
            continue
        messages.append({"role": "user", "content": said})
        answer = swarm.run(agent, messages, variables, stream=stream, debug=debug)
        if stream:
            response = process_and_print_streaming_response(answer)
        else:
            response = answer
            pretty_print_messages(response.messages)
        messages.extend(response.messages)
        agent, variables = response.agent or agent, response.context_variables


def process_and_print_streaming_response(response: Iterable[dict[str, Any]]) -> Response:
    """Print a run's chunks as they come, and give its response."""
    speaker, speaking = "", False
    for chunk in response:
        if "response" in chunk:
            answer: Response = chunk["response"]
            return answer
        speaker = chunk.get("sender") or speaker
        if chunk.get("content"):
            if not speaking:
                print(f"{_painted(speaker, 'agent')}:", end=" ", flush=True)
                speaking = True
            print(chunk["content"], end="", flush=True)
        for call in chunk.get("tool_calls") or ():
            if call["function"]["name"]:
                if speaking:
                    print()
                    speaking = False
                print(f"{_painted(speaker, 'agent')}: {_painted(call['function']['name'], 'call')}()")
        if speaking and ("delim" in chunk or "restarted" in chunk):
            print()
            speaking = False
    raise ValueError("The chunks ended without a response.")


def pretty_print_messages(messages: Iterable[Mapping[str, Any]]) -> None:
    """Print what agents said and which functions they called."""
    for message in messages:
        if message["role"] != "assistant":
            continue
        sender = _painted(message["sender"], "agent")
        if message["content"]:
            print(f"{sender}: {message['content']}")
        for call in message.get("tool_calls") or ():
            print(f"{sender}: {_painted(call['function']['name'], 'call')}({_arguments(call['function']['arguments'])})")


def _arguments(text: str) -> str:
    """Arguments as a call in Python would have them; as they came, where they are no JSON object."""
    try:
        values = json.loads(text or "{}")
    except ValueError:
        return text
    if not isinstance(values, dict):
        return text
    return ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in values.items())


def _painted(text: str, color: str) -> str:
    plain = "NO_COLOR" in os.environ or not sys.stdout.isatty()
    return text if plain else f"\033[{_COLORS[color]}m{text}\033[0m"

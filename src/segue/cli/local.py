"""Is there a model server on this machine? The usual ports of the loopback address are asked, all at once and briefly.
Nothing beyond the loopback address is ever asked, and no key is sent."""

import json
import threading
import time
from collections.abc import Iterable
from http.client import HTTPConnection, HTTPException
from typing import Any, NamedTuple

PORTS = (("ollama", 11434), ("llama-cpp", 8080), ("lmstudio", 1234), ("vllm", 8000))
PATIENCE = 0.3
"""Seconds for all of it."""


class Found(NamedTuple):
    """A server that answered, and the first of its models that can chat."""

    provider: str
    base_url: str
    model: str


def find_server(ports: Iterable[tuple[str, int]] = PORTS, *, patience: float = PATIENCE) -> Found | None:
    """The first server, in the order of `ports`, that lists a model within the time; `None` if none does."""
    answers: dict[int, str] = {}
    asked = [threading.Thread(target=_ask, args=(port, patience, answers), daemon=True) for _, port in ports]
    end = time.monotonic() + patience
    for thread in asked:
        thread.start()
    for thread in asked:
        thread.join(max(0.0, end - time.monotonic()))
    for provider, port in ports:
        if model := answers.get(port):
            return Found(provider, f"http://127.0.0.1:{port}/v1", model)
    return None


def _ask(port: int, patience: float, answers: dict[int, str]) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=patience)
    try:
        connection.request("GET", "/v1/models", headers={"Accept": "application/json"})
        response = connection.getresponse()
        if response.status == 200 and (model := _first_model(response.read(1 << 20))):
            answers[port] = model
    except (OSError, HTTPException):
        return  # nobody there, or somebody else: what is asked is whether there is a model server
    finally:
        connection.close()


def _first_model(body: bytes) -> str:
    try:
        listed: Any = json.loads(body)["data"]
        names = [entry["id"] for entry in listed if isinstance(entry["id"], str)]
    except (ValueError, KeyError, TypeError):
        return ""  # some other server
    return next((name for name in names if "embed" not in name.lower()), "")

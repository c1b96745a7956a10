"""What the tests of carriers share: a model at a server on this machine, a clock that never waits, a question."""

from typing import Any

from segue.core.messages import Reply, System, User
from segue.model import Model, ModelRequest
from segue.models import OpenAIChat
from segue.models.carrier import Clock
from tests.loopback import DONE, Loopback, chunk, usage_chunk

HELLO = [chunk("Hel"), chunk("lo"), chunk(finish="stop"), usage_chunk(5, 2), DONE]
NOW = 1_800_000_000


class Slept:
    """A clock that never waits and remembers for how long it should have."""

    def __init__(self, chance: float = 0.5) -> None:
        self.waits: list[float] = []
        self.clock = Clock(now=lambda: NOW, sleep=self.sleep, chance=lambda: chance)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def chat(server: Loopback, **options: Any) -> OpenAIChat:
    return OpenAIChat("m", base_url=server.url, **({"_clock": Slept().clock} | options))


async def ask(model: Model, *, stream: bool = False, idle_timeout: float | None = 5) -> list[Any]:
    request = ModelRequest([System("s"), User("Hi")], stream=stream, idle_timeout=idle_timeout)
    return [piece async for piece in model.reply(request)]


async def text(model: Model) -> str | None:
    [reply] = await ask(model)
    assert isinstance(reply, Reply)
    return reply.text

"""Segue as a contender of the side-by-side benchmark: its ordinary face, nothing prepared for the occasion."""

import os
import sys

sys.path.insert(0, os.environ["BENCH_HARNESS"])

from bench_driver import (
    FANOUT,
    REFUNDS,
    TRIAGE,
    WORKER,
    WRITER,
    Contender,
    execute_refund,
    look_up_item,
    next_step,
    run,
    slow_tool_async,
    slow_tool_sync,
)

from segue import Agent, Limits, Runner
from segue.events import TextDelta
from segue.models import OpenAIChat


class Segue(Contender):
    """Whole replies: nobody listens."""

    name = "segue"
    streaming = False

    def runner(self, entry, model, journal=None, **limits):
        """A Runner as a user makes one."""
        chat = OpenAIChat(model, base_url=self.base_url, api_key="sk-mock")
        return Runner(entry, model=chat, journal=journal, limits=Limits(**limits))

    def refunds(self):
        """The cookbook's two agents."""
        refunds = Agent("refunds", instructions=REFUNDS, tools=[look_up_item, execute_refund])

        def transfer_to_refunds() -> Agent:
            """Hand the conversation over to the refund agent."""
            return refunds

        if os.environ.get("BENCH_VARIANT") == "generated":
            return Agent("triage", instructions=TRIAGE, handoffs=[refunds])
        return Agent("triage", instructions=TRIAGE, tools=[transfer_to_refunds])

    async def answer(self, runner, text):
        """One run's final text."""
        if not self.streaming:
            return (await runner.run(text)).output
        async with runner.stream(text) as stream:
            async for _ in stream:
                pass
        return stream.response.output

    def w1(self, model):
        runner = self.runner(self.refunds(), model)

        async def go(text):
            return await self.answer(runner, text)

        return go

    def w2(self, model, n):
        runner = self.runner(Agent("worker", instructions=WORKER, tools=[next_step]), model, turns=n + 1)

        async def go():
            return await self.answer(runner, "Please do all the steps.")

        return go

    def w4(self, model):
        runner = self.runner(Agent("writer", instructions=WRITER), model)

        async def go(on_delta):
            async with runner.stream("Write.") as stream:
                async for item in stream:
                    if isinstance(item, TextDelta):
                        on_delta(item.text)

        return go

    def w6(self, model, kind):
        tool = slow_tool_async if kind == "async" else slow_tool_sync
        runner = self.runner(Agent("fanout", instructions=FANOUT, tools=[tool]), model)

        async def go():
            return await self.answer(runner, "Go.")

        return go

    def w7(self, model, folder):
        kept = {"memory": None, "postgres": os.environ.get("BENCH_POSTGRES")}
        journal = kept.get(os.environ.get("BENCH_VARIANT", ""), os.path.join(folder, "segue.db"))
        runner = self.journalled = self.runner(self.refunds(), model, journal)

        async def go(i):
            name = f"{os.getpid()}-{i}"  # a key that was used before is the earlier run
            return (await runner.run("I want a refund.", conversation=f"c{name}", key=f"k{name}")).output

        return go

    w7_note = "a journal that is durable before each effect, a key for each input"

    async def close(self):
        if hasattr(self, "journalled"):
            await self.journalled.aclose()


class Streaming(Segue):
    """The same, while somebody listens to every delta."""

    name = "segue/stream"
    streaming = True


if __name__ == "__main__":
    run(Streaming if os.environ.get("BENCH_VARIANT") == "stream" else Segue)

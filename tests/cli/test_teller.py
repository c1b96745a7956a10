import io

import pytest

from segue import Agent, Context, Limits, Runner
from segue.cli.choose import Choice
from segue.cli.screen import Screen
from segue.cli.teller import Teller
from segue.core.conversation import Conversation
from segue.core.messages import Reply
from segue.events import Restarted
from segue.models.scripted import ScriptedModel

REAL = Choice(None, "m", "it is there")


async def told(agent, *script, choice=REAL, limits=None, streaming=True):
    """What a screen shows of one run."""
    file = io.StringIO()
    teller = Teller(Screen(file), choice)
    teller.begin(Conversation())
    runner = Runner(agent, model=ScriptedModel(script), limits=limits or Limits())
    async with runner.stream("Hi") as stream:
        async for item in stream:
            if streaming or type(item).__name__ not in ("TextDelta", "CallDelta"):
                teller.tell(item)
        teller.stop()
        return file.getvalue(), teller, stream.response


def lines(count: int) -> str:
    """Give lines."""
    return "\n".join(f"line {number}" for number in range(count))


async def test_text_is_told_once_whether_it_comes_in_pieces_or_whole():
    pieces, _, _ = await told(Agent("A"), "Hello there.")
    whole, _, _ = await told(Agent("A"), "Hello there.", streaming=False)
    assert pieces == whole == "A: Hello there.\n"


async def test_text_beside_a_call_stands_before_it():
    text, _, _ = await told(Agent("A", tools=[lines]), ["One moment.", {"lines": {"count": 1}}], "Done.")
    assert text == "A: One moment.\n  ▸ lines(count=1)\n    → line 0\nA: Done.\n"


async def test_a_long_result_is_cut_with_a_count_of_what_is_missing():
    text, _, _ = await told(Agent("A", tools=[lines]), {"lines": {"count": 20}}, "Done.")
    assert text.splitlines()[6:8] == ["      line 5", "      … 14 more lines"]


async def test_a_failure_of_a_tool_is_told_with_its_kind():
    text, _, _ = await told(Agent("A", tools=[lines]), {"lines": {"count": "x"}}, {"nothing": {}}, "Sorry.")
    assert "    → arguments: " in text
    assert "    → unknown tool: A has no tool 'nothing'" in text


async def test_progress_is_told_while_a_tool_works():
    async def slow(ctx: Context) -> str:
        """Work."""
        ctx.progress("half way\n\x1b[2J")
        return "ready"

    text, _, _ = await told(Agent("A", tools=[slow]), {"slow": {}}, "Done.")
    assert text.splitlines()[:3] == ["  ▸ slow()", r"    … half way \x1b[2J", "    → ready"]


async def test_a_limit_is_told_at_the_end_and_in_the_sum():
    text, teller, response = await told(Agent("A", tools=[lines]), {"lines": {"count": 1}}, limits=Limits(turns=1))
    assert "  ■ limited: The run has reached its limit of turns" in text
    assert teller.sum_up(response).startswith("limited · 1 reply · no tokens counted · ")


async def test_the_sum_of_a_stand_in_says_what_it_is():
    _, teller, response = await told(Agent("A"), "Hello.", choice=Choice(None, "scripted:x", "no key", stand_in=True))
    assert teller.sum_up(response).startswith("1 reply · scripted:x, a stand-in and no LLM · ")


async def test_a_new_attempt_is_marked_and_its_text_is_told_again():
    file = io.StringIO()
    teller = Teller(Screen(file), REAL)

    class Stumbling:
        name = "stumbling"

        async def reply(self, request):
            async for piece in ScriptedModel(["Half"]).reply(request):
                if not isinstance(piece, Reply):
                    yield piece
            yield Restarted(2)
            async for piece in ScriptedModel(["Whole."]).reply(request):
                yield piece

    async with Runner(Agent("A"), model=Stumbling()).stream("Hi") as stream:
        teller.begin(Conversation())
        async for item in stream:
            teller.tell(item)
    shown = file.getvalue().splitlines()
    assert (shown[0], shown[2]) == ("A: Half", "A: Whole.")
    assert shown[1].startswith("  ↻ the reply broke off and begins again (attempt 2)")


@pytest.mark.parametrize("speaking", [True, False])
async def test_somebody_is_waited_for_only_while_nothing_is_said(speaking):
    teller = Teller(Screen(io.StringIO()), REAL)
    teller.begin(Conversation())
    async with Runner(Agent("A"), model=ScriptedModel(["One two"])).stream("Hi") as stream:
        async for item in stream:
            teller.tell(item)
            if type(item).__name__ == ("TextDelta" if speaking else "InputGiven"):
                break
    assert teller.waiting == ("" if speaking else "A …")

"""Tells on a screen what happens in a run, while it happens: who speaks, which tools are called, who gets the floor.
It takes what a stream yields. It starts nothing, and asks nobody."""

import os
from typing import Any

from segue.cli.choose import Choice
from segue.cli.raised import WHERE
from segue.cli.screen import AGENT, FAINT, NOTE, SWITCH, TOOL, WRONG, Screen
from segue.core.conversation import Conversation
from segue.core.messages import Usage
from segue.drive import Item
from segue.events import CallDelta, Progress, ReasoningDelta, Restarted, TextDelta
from segue.response import Response
from segue.views.story import Answered, Beat, Called, Ended, HandedOver, Replied, Story, Waits
from segue.views.words import call_words, counted, duration, one_line, tokens

MOST_LINES, LONGEST_LINE = 6, 300
"""Of a tool's result; the journal has the whole."""


class Teller:
    """Follows one run after another of a conversation."""

    def __init__(self, screen: Screen, choice: Choice) -> None:
        self._screen = screen
        self._choice = choice
        self._story = Story()
        self._speaker = ""
        """Whose text is being printed; empty between replies."""
        self._calls: dict[str, str] = {}
        """The calls of this run, as they are written, by place."""
        self._last_call = ""
        """The place of the call whose line stands last on the screen, as calls go."""
        self._hinted = bool(os.environ.get("SEGUE_DEBUG"))
        """Whether people know how to see where a tool's exception comes from."""
        self.replies = 0
        self.spent = Usage()
        self.seconds = 0.0

    def begin(self, conversation: Conversation) -> None:
        """Take up a conversation where it stands, for one run."""
        self._story = Story(conversation)
        self._speaker = self._last_call = ""
        self._calls.clear()
        self.replies, self.spent, self.seconds = 0, Usage(), 0.0

    @property
    def waiting(self) -> str:
        """What to show while nothing can be told; empty while text comes in."""
        active = self._story.conversation.active
        return f"{active} …" if active and not self._speaker else ""

    def tell(self, item: Item) -> None:
        """Tell one item of a stream."""
        match item:
            case TextDelta(text):
                self._speak(self._story.conversation.active, text)
            case Restarted(attempt):
                self._hush()
                words = f"the reply broke off and begins again (attempt {attempt}); what stands above does not count"
                self._screen.remark("  ↻ ", words, NOTE)
            case Progress(_, text):
                self._hush()
                self._screen.line(f"    … {one_line(text, self._screen.width - 6)}", FAINT)
            case ReasoningDelta() | CallDelta():
                pass  # the whole call is told when it is made
            case _:
                for beat in self._story.follow(item):
                    self._beat(beat)

    def _beat(self, beat: Beat) -> None:
        match beat:
            case Replied():
                self._replied(beat)
            case Called(_, place, name, arguments):
                self._hush()
                self._last_call, self._calls[place] = place, call_words(name, arguments, 50)
                self._screen.line(f"  ▸ {call_words(name, arguments, self._screen.width - 4)}", TOOL)
            case Answered():
                self._answered(beat)
            case HandedOver(source, target, kind):
                how = {"transfer": "→", "call": "asks", "return": "answers"}[kind]
                self._hush()
                self._screen.rule(f"{source} {how} {target}", SWITCH)
            case Waits() if not beat.edited:  # whoever edits decides at once
                self._hush()
                self._screen.line(f"  ? {call_words(beat.name, beat.arguments, self._screen.width - 30)} waits for a decision", NOTE)
            case Ended(kind, _, words) if kind != "failed":  # a failure is raised, and told there
                self._hush()
                self._screen.remark("  ■ ", f"{kind}: {words}", WRONG)
            case _:
                pass

    def _replied(self, beat: Replied) -> None:
        reply = beat.reply
        self.replies += 1
        self.spent = self.spent.plus(reply.usage)
        self.seconds += beat.seconds
        if reply.text and not self._speaker:  # a model that does not speak in pieces
            self._speak(beat.agent, reply.text)
        self._hush()
        if beat.refused is not None:
            self._screen.line(f"  ↻ not accepted, and given back: {one_line(beat.refused, self._screen.width - 34)}", NOTE)

    def _answered(self, beat: Answered) -> None:
        self._hush()
        if beat.how == "returned" and not beat.text:
            return
        call = "" if beat.place == self._last_call else f"{self._calls.get(beat.place, beat.name)}: "
        said = beat.text if beat.how == "returned" else f"{beat.how.replace('_', ' ')}: {beat.text}"
        lines = said.splitlines() or [""]
        shown = [one_line(line, LONGEST_LINE) for line in lines[:MOST_LINES]]
        if len(lines) > MOST_LINES:
            shown.append(f"… {counted(len(lines) - MOST_LINES, 'more line')}")
        style = FAINT if beat.how in ("returned", "settled", "late") else WRONG
        for number, line in enumerate(shown):
            self._screen.remark(f"    {'→ ' if number == 0 else '  '}", call + line if number == 0 else line, style)
        if beat.how == "raised" and not self._hinted:
            self._hinted = True
            self._screen.line(f"      {WHERE}", FAINT)

    def _speak(self, agent: str, text: str) -> None:
        if self._speaker != agent:
            self._hush()
            self._speaker = agent
            if self._screen.fancy:
                self._screen.put(agent, AGENT)
                self._screen.line("  (stand-in)" if self._choice.stand_in else "", FAINT)
            else:
                self._screen.flow(f"{agent}: ")
        self._screen.flow(text, indent=2)

    def _hush(self) -> None:
        self._screen.end()
        self._speaker = ""

    def stop(self) -> None:
        """Tell no more of this run."""
        self._hush()

    def sum_up(self, response: Response[Any]) -> str:
        """What the run has used, in a line."""
        spent = f"{self._choice.name}, a stand-in and no LLM" if self._choice.stand_in else tokens(self.spent)
        how = "" if response.status == "done" else f"{response.status} · "
        return f"{how}{counted(self.replies, 'reply', 'replies')} · {spent} · {duration(self.seconds)}"

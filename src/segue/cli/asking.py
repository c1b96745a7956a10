"""Asks a person at a terminal about a call: may it be made, with which arguments, or what came of it.
What is shown is exactly what is decided about. Nothing is decided here: the answer is handed back."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from segue.cli.safe import json_visible
from segue.cli.screen import FAINT, NOTE, TOOL, WRONG, Screen
from segue.core.arguments import canonical, parse
from segue.core.events import ApprovalAsked
from segue.core.messages import Json
from segue.core.turns import Slot
from segue.errors import ArgumentsRefused
from segue.views.words import moment

SHOWN = 16
"""How much of a digest is shown, and must be given at least. It only tells apart what stands under one approval's id."""

Ask = Callable[[str, str], str]
"""Asks for a line: (words, what stands there to be edited). Raises `EOFError` and `KeyboardInterrupt` as `input` does."""

Check = Callable[[Mapping[str, Json]], dict[str, Json]]
"""Gives arguments as the tool would be given them. Raises `ArgumentsRefused` for those with which the call cannot be made."""


class Verdict(NamedTuple):
    """What a person said. `arguments` are those to make the call with, where they were edited."""

    approve: bool
    reason: str = ""
    arguments: dict[str, Json] | None = None


def ask_about(asked: ApprovalAsked, screen: Screen, ask: Ask, check: Check = dict) -> Verdict:
    """Show a call and ask whether it may be made, until that is answered."""
    show(asked, screen)
    while True:
        answer = ask("  Make this call? [y]es, [n]o and why, [e]dit: ", "").strip()
        word, _, rest = answer.partition(" ")
        match word.lower():
            case "y" | "yes" if not rest:
                return Verdict(True)
            case "n" | "no":
                return Verdict(False, rest.strip())
            case "e" | "edit" if not rest:
                if (verdict := _edited(asked, screen, ask, check)) is not None:
                    return verdict
                show(asked, screen)  # "y" makes this call, and not the one that was not agreed to
            case _:
                screen.line("  y makes the call as it is shown. n, or n and a reason, does not, and the model is told.", NOTE)


def show(asked: ApprovalAsked, screen: Screen) -> None:
    """Show a call exactly: the tool, its arguments as they are signed, and for how long one may think."""
    screen.line(f"  {asked.agent} wants to call {asked.name}", TOOL)
    screen.line(f"  {json_visible(asked.arguments)}")
    until = f"until {moment(asked.expires)} · " if asked.expires is not None else ""
    screen.line(f"  {until}approval {asked.id} · digest {asked.digest[:SHOWN]}", FAINT)


def _edited(asked: ApprovalAsked, screen: Screen, ask: Ask, check: Check) -> Verdict | None:
    """Other arguments, shown again before they are agreed to; `None` if they are not."""
    try:
        arguments = check(parse(ask("  Arguments: ", json_visible(asked.arguments))))
    except ArgumentsRefused as error:
        screen.remark("  ■ ", str(error), WRONG)
        return None
    screen.line(f"  {asked.name}", TOOL)
    screen.line(f"  {json_visible(canonical(arguments))}")
    agreed = ask("  Make this call? [y/N] ", "").strip().lower() in ("y", "yes")
    return Verdict(True, arguments=arguments) if agreed else None


def ask_what_came_of(slot: Slot, screen: Screen, ask: Ask) -> str:
    """Ask what came of a call whose outcome is unknown; an empty answer leaves it open."""
    assert slot.doubt is not None
    started = slot.started.arguments if slot.started is not None else slot.call.arguments
    screen.line(f"  {slot.call.name}", TOOL)
    screen.line(f"  {started}")
    screen.remark("  ", slot.doubt.words, WRONG)
    return ask("  What came of it? (The model reads your answer. Empty: leave it open.) ", "").strip()

"""The rules of ACME's stand-in: which words lead where. It is no LLM, and says so when it does not understand.
Which agent it speaks for shows in the tools that are on offer.
"""

import re
from typing import NamedTuple

from segue.examples.standin import Rule, Say, Scene, StandIn, Use, mentions

TROUBLE = (
    *("broke", "broken", "fell apart", "fall apart", "faulty", "defect*", "damaged", "does not work", "doesn't work", "stopped working"),
    *("repair*", "complain*", "problem*", "issue*", "exploded", "backfired", "return it", "wrong with"),
)
MONEY_BACK = ("refund*", "money back", "my money")
BUY = ("buy*", "purchase*", "order*", "sell", "sales", "shop for", "i need", "interested in")
PERSON = ("human", "person", "manager", "somebody real", "someone real", "supervisor")
YES = ("yes", "yes please", "yeah", "sure", "ok", "okay", "deal", "take it", "go ahead", "please do", "i'll have it", "sold")
NO = ("no", "nope", "no thanks", "not now", "never mind", "too expensive", "too much")
CURIOUS = ("how much", "price", "cost*", "tell me more", "sounds good", "sounds great", "interesting", "i want it", "want one")
THANKS = ("thanks", "thank you", "bye", "goodbye", "that is all", "that's all")
HELLO = ("hello", "hi", "hey", "good morning", "good evening")

FIXES = (
    (("boot*", "shoe*"), "Have you tried walking on your hands while our patented heel paste dries for three days?"),
    (("skate*", "rocket*"), "Have you tried turning the rockets round and skating off again?"),
    (("magnet*",), "Have you tried holding the magnet by its other end?"),
)
ANY_FIX = "Have you tried painting a tunnel on it and leaving it alone overnight?"

ASK_TROUBLE = "Before we begin: what trouble have you had of late with catching roadrunners?"


class Pitch(NamedTuple):
    """What is sold, when it is offered, and what the small print says."""

    words: tuple[str, ...]
    product: str
    price: int
    caveat: str


PITCHES = (
    Pitch(("fast", "speed*", "quick*", "skate*", "run*"), "Rocket Skates", 8999, "the brakes are sold separately, on another continent"),
    Pitch(("hide*", "hole*", "tunnel*", "escape*", "gone"), "Portable Hole", 4321, "whatever falls in becomes ours"),
    Pitch(("",), "Giant Magnet", 5150, "it may attract passing trains"),
)

OTHERWISE = (
    "I am a scripted stand-in, not an LLM, and understand only a few things: "
    "buying something, something that broke, a refund, or asking for a person. What shall it be?"
)


def only_with(tool: str, rule: Rule) -> Rule:
    """Let a rule act only for the agent that has a tool."""
    return lambda scene: rule(scene) if tool in scene.tools else None


# Triage


def after_escalation(scene: Scene) -> Say | None:
    """Tell what came of asking for a person."""
    answer = scene.answer("escalate_to_human")
    return Say(f"I have passed you on: {answer.content.removeprefix('success: ')}.") if answer else None


def route(scene: Scene) -> Say | Use | None:
    """Send the customer to the right department."""
    if scene.hears(*PERSON):
        return Use("escalate_to_human", {"summary": scene.said})
    if scene.hears(*TROUBLE, *MONEY_BACK):
        return Use("transfer_to_issues_and_repairs", {})
    if scene.hears(*BUY):
        return Use("transfer_to_sales_agent", {})
    if scene.hears(*THANKS):
        return Say("Thank you for calling ACME. Mind the cliff.")
    if scene.hears(*HELLO):
        return Say(
            "ACME Inc., good day; a scripted stand-in speaking, not an LLM. Are you after something new, or did something old go wrong?"
        )
    return None


# Sales


def sell(scene: Scene) -> Say | Use | None:
    """Go through the routine of sales: ask, let slip, name the price, order."""
    pitch = _pitch(scene)
    ordered = scene.answer("execute_order")
    if ordered and ordered.content.startswith("success"):
        return Say(f"Done ({ordered.content.removeprefix('success: ')}); the small print says that {pitch.caveat}.")
    if ordered:
        return Say(f"That did not work: {ordered.content}.")
    if scene.hears(*PERSON, *TROUBLE, *MONEY_BACK, *THANKS):
        return Use("transfer_back_to_triage", {})
    last = scene.last_spoken
    if f"${pitch.price}" in last and "Shall I" in last:
        if scene.hears(*NO):
            return Say("A pity; the roadrunner will be pleased. Is there anything else?")
        if scene.hears(*YES):
            return Use("execute_order", {"product": pitch.product, "price": pitch.price})
        return Say(f"It is ${pitch.price}, yes or no? Shall I order the {pitch.product}?")
    if pitch.product in last and "end it" in last:
        if scene.hears(*YES, *CURIOUS):
            return Say(f"For you, only ${pitch.price}. Shall I order it?")
        return Say("Is there anything else?") if scene.hears(*NO) else None
    if last == ASK_TROUBLE:
        return Say(f"Odd that you say so: our {pitch.product} would end it.")
    return Say(ASK_TROUBLE) if scene.hears(*BUY, *YES, *CURIOUS) else None


def _pitch(scene: Scene) -> Pitch:
    """Stay with the product that was named last; else choose by the customer's words."""
    for text in reversed(scene.spoken):
        for pitch in PITCHES:
            if pitch.product in text:
                return pitch
    return next(pitch for pitch in PITCHES if pitch.words == ("",) or scene.hears(*pitch.words))


# Issues and repairs


def report_refund(scene: Scene) -> Say | None:
    """Tell truly what came of a refund."""
    answer = scene.answer("execute_refund")
    if not answer:
        return None
    if answer.content.startswith("success"):
        return Say(f"Your money is on its way: {answer.content.removeprefix('success: ')}.")
    return Say(f"I could not refund that: {answer.content.removeprefix('refused: ')}.")


def after_look_up(scene: Scene) -> Say | Use | None:
    """Refund the one item that was found; ask where there are more, or none after every description was tried."""
    answer = scene.answer("look_up_item")
    if not answer:
        return None
    found = [line.split(": ", 1) for line in answer.content.splitlines() if ": " in line]
    if len(found) > 1:
        return Say(f"Which one do you mean: {' or '.join(name for _, name in found)}? Tell me, and that you want your money back.")
    if found:
        return Use("execute_refund", {"item_id": found[0][0], "reason": _reason(scene)})
    left = [query for query in _descriptions(scene) if all(query != tried.arguments.get("search_query") for tried in scene.answers)]
    return Use("look_up_item", {"search_query": left[0]}) if left else Say("I found no such item. What is it called, the thing to refund?")


def mend(scene: Scene) -> Say | Use | None:
    """Go through the routine of repairs: ask, propose a fix, and refund when the customer insists."""
    fixed = any("Have you tried" in text for text in scene.spoken)
    offered = "Would you rather have a refund?" in scene.last_spoken
    if (fixed and scene.hears(*MONEY_BACK)) or (offered and scene.hears(*YES)):
        descriptions = _descriptions(scene)
        return Use("look_up_item", {"search_query": descriptions[0]}) if descriptions else Say("Which item is it about?")
    if scene.hears(*PERSON, *BUY, *THANKS):
        return Use("transfer_back_to_triage", {})
    if "Have you tried" in scene.last_spoken and scene.hears(*NO, *YES):
        return Say("I see. Would you rather have a refund? If so, name the item once more.")
    if scene.hears(*TROUBLE):
        return Say(next((fix for words, fix in FIXES if scene.hears(*words)), ANY_FIX))
    if scene.hears(*MONEY_BACK):
        return Say("I am sorry to hear that; what went wrong with it?")
    asked = "what went wrong" in scene.last_spoken
    return Say(next((fix for words, fix in FIXES if scene.hears(*words)), ANY_FIX)) if asked else None


FILLER = """
a about again all already an and any are at away back be been bought but came can did do does for from fully get give go had has
have hello her hi his how i if in is it its just last like made me mine money more my new no not now of off on one ones or our out please
refund refunded same so some still thank thanks that the them then there they thing this to today too tried try up us want wanted was
we week went were what when which who will with work would yes yesterday you your sorry okay ok rather really insist anyway
broke broken fell apart fall faulty stopped working wrong problem issue repair return complain complaint
"""
FILLERS = frozenset(FILLER.split())


def _descriptions(scene: Scene) -> list[str]:
    """Give what the customer may have called the item, the latest words first."""
    cores = (" ".join(word for word in re.findall(r"\w+", said.lower()) if word not in FILLERS) for said in reversed(scene.customer))
    return list(dict.fromkeys(core for core in cores if core))


def _reason(scene: Scene) -> str:
    """Give the customer's latest words about what went wrong."""
    return next((said for said in reversed(scene.customer) if mentions(said, TROUBLE)), "not provided")


RULES = (
    only_with("escalate_to_human", after_escalation),
    only_with("escalate_to_human", route),
    only_with("execute_order", sell),
    only_with("execute_refund", report_refund),
    only_with("execute_refund", after_look_up),
    only_with("execute_refund", mend),
)

standin = StandIn("scripted:acme", RULES, otherwise=OTHERWISE)

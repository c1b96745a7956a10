"""What a run may spend, and when it has spent it.
Counts run from the input, over crashes and decisions: they are folded from the journal like everything else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import inf
from typing import Any, NamedTuple

from segue.core.messages import NOTHING, Json, Usage
from segue.errors import UsageError

_LEAST = {"turns": 1, "repeats": 1}
"""What is less makes no sense; 0 for all others."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may spend, in finite numbers. `None` is no limit.

    `turns`: model replies. `handoffs`: switches of the agent. `repeats`: turns with equal calls and equal outcomes in a row.
    `tool_timeout`: seconds for a tool that names no time of its own. `idle_timeout`: seconds of silence in a stream.
    `run_timeout`: seconds of driving. `approval_expiry`: seconds for which an approval waits for its decision. `tokens`: input
    and output together. `cost`: money, in the unit of `prices`, which maps a model's name to the price of a million input
    and a million output tokens.
    """

    turns: int | None = 20
    handoffs: int | None = 8
    repeats: int | None = 3
    tool_timeout: float | None = 60
    idle_timeout: float | None = 30
    run_timeout: float | None = 600
    approval_expiry: float | None = 7 * 24 * 3600
    tokens: int | None = None
    cost: float | None = None
    prices: Mapping[str, tuple[float, float]] | None = None

    def __post_init__(self) -> None:
        for name in (f.name for f in fields(self) if f.name != "prices"):
            value, least = getattr(self, name), _LEAST.get(name, 0)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < inf):
                raise UsageError(f"Limits({name}={value!r}): give a number that is not below {least}, or None for no limit.")
        if self.prices is not None and not isinstance(self.prices, Mapping):
            raise UsageError(f"Limits(prices={self.prices!r}): give a dictionary, {{'gpt-5-mini': (0.25, 2.0)}}, or None.")
        for model, price in (self.prices or {}).items():
            pair = isinstance(price, list | tuple) and len(price) == 2
            if not pair or any(isinstance(one, bool) or not isinstance(one, int | float) or not 0 <= one < inf for one in price):
                raise UsageError(
                    f"Limits(prices=...): {model!r} has {price!r}; give what a million input and a million output tokens cost."
                )

    def differences(self) -> Mapping[str, Json]:
        """What differs from the defaults, as a journal keeps it."""
        if self == DEFAULTS:
            return NOTHING
        changes = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        if self.prices is not None:
            changes["prices"] = {model: list(price) for model, price in self.prices.items()}
        return changes

    def updated(self, changes: Mapping[str, Json]) -> "Limits":
        """These limits with some replaced; names that this version does not know are passed over."""
        if not changes:
            return self
        values: dict[str, Any] = {f.name: changes.get(f.name, getattr(self, f.name)) for f in fields(self)}
        return Limits(**values)


DEFAULTS = Limits()

IDLE_DRIVES = 5
"""How many drives in a row may get nothing done before the conversation is parked."""

CALL_DEPTH = 4
"""How deep a handoff of kind "call" may go."""

OUTPUT_REFUSALS = 2
"""How often a reply that does not fit is given back before the run fails (R33)."""


class Spent(NamedTuple):
    """What a run has used since its input, or since its last allowance."""

    turns: int = 0
    handoffs: int = 0
    refused_handoffs: int = 0
    """Handoffs that a limit refused; the model was told. The second ends the run."""
    trail: tuple[str, ...] = ()
    """The agents of handoffs with nothing but handoffs between them: where ping-pong shows."""
    calls: Json = None
    """The last turn's calls with their outcomes."""
    repeats: int = 0
    output_refusals: int = 0
    usage: Usage = Usage()
    cost: float = 0.0


def remaining(limits: Limits, spent: Spent) -> Limits:
    """These limits for an agent that is used as a tool: it may spend what is left of the budgets (R35)."""
    if limits.tokens is None and limits.cost is None:
        return limits
    tokens = None if limits.tokens is None else max(0, limits.tokens - spent.usage.total)
    return replace(limits, tokens=tokens, cost=None if limits.cost is None else max(0.0, limits.cost - spent.cost))


def over(spent: Spent, limits: Limits) -> str | None:
    """Name the limit that forbids another model call, or `None`."""
    if limits.turns is not None and spent.turns >= limits.turns:
        return "turns"
    if spent.refused_handoffs > 1:
        return "handoffs"
    if limits.repeats is not None and spent.repeats >= limits.repeats:
        return "repeats"
    if limits.tokens is not None and spent.usage.total >= limits.tokens:
        return "tokens"
    if limits.cost is not None and spent.cost >= limits.cost:
        return "cost"
    return None


def handoff_refusal(spent: Spent, limits: Limits, depth: int, *, kind: str, active: str, target: str) -> str | None:
    """Say why a handoff must not be made now, in words for the model; `None` if it may."""
    if limits.handoffs is not None and spent.handoffs >= limits.handoffs:
        return f"Not transferred: the limit of {limits.handoffs} handoffs for one request is reached. Answer the user yourself."
    if ping_pong(spent.trail, active, target):
        return (
            f"Not transferred: the conversation has gone back and forth between {target} and {active} without any work done. "
            "Answer the user yourself, or ask for what is missing."
        )
    if kind == "call" and depth > CALL_DEPTH:
        return f"Not called: {CALL_DEPTH} calls are open already. Answer yourself, or return first."
    return None


def ping_pong(trail: tuple[str, ...], active: str, target: str) -> bool:
    """Tell whether a handoff from `active` to `target` would be the fifth in a row between the same two agents."""
    return len(trail) >= 4 and trail[-1] == trail[-3] == active and trail[-2] == trail[-4] == target


def cost_of(usage: Usage, models: Sequence[str], limits: Limits) -> float:
    """What a reply cost by `limits.prices`, under the first of a model's names that has a price there; 0 if none has."""
    prices = limits.prices or {}
    price = next((prices[name] for name in models if name in prices), None)
    return (usage.input * price[0] + usage.output * price[1]) / 1_000_000 if price else 0.0

"""A scenario: what people say and decide in a conversation, what the model replies, and how the world is made and looked at.
It is read from a TOML file. What does not fit is a `UsageError` that names the file and the place in it. Nothing is run here."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from segue.core.arguments import canonical
from segue.core.messages import NOTHING, Call, Json, Reply
from segue.errors import UsageError

T = TypeVar("T")

SETTLED = "Nobody could find out what came of it."
"""What a person says of an unknown call, where the scenario gives no words."""


@dataclass(frozen=True, slots=True)
class Say:
    """The user says something.

    `queued`: what they say besides, while the first is being answered. `stream`: the run is listened to.
    """

    text: str
    queued: str = ""
    stream: bool = False
    context: Mapping[str, Json] = NOTHING


@dataclass(frozen=True, slots=True)
class Decide:
    """A person approves, or denies, every call that waits for it; with `arguments`, the calls are made with these."""

    approve: bool
    arguments: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Scripted:
    """A reply of the script, and whose it is; nobody's in particular if `agent` is empty."""

    reply: Reply
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is played. `setup`, `observe` and `runner` are places, module:attribute; empty where there is none."""

    path: Path
    steps: tuple[Say | Decide, ...]
    model: str = ""
    """A model's place, or "scripted:" and an example; empty where `lines` are the model."""
    lines: tuple[Scripted, ...] = ()
    setup: str = ""
    observe: str = ""
    runner: str = ""
    settle: str = SETTLED
    environment: Mapping[str, str] = field(default_factory=dict)


def read_scenario(path: Path) -> Scenario:
    """Read a scenario. Raises `UsageError` for a file that is none."""
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The scenario {path} cannot be read ({error}).") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is no TOML: {error}.") from error
    table = _Table(str(path), values)
    steps = tuple(_step(step) for step in table.tables("step"))
    lines = tuple(_line(line) for line in table.tables("reply"))
    environment = table.take("environment", dict, {})
    for name, value in environment.items():
        if not isinstance(value, str):
            raise UsageError(f"{path}: environment: {name} is a text, not {value!r}.")
    read = Scenario(
        path=path,
        steps=steps,
        model=table.text("model"),
        lines=lines,
        setup=table.place("setup"),
        observe=table.place("observe"),
        runner=table.place("runner"),
        settle=table.text("settle", SETTLED),
        environment=environment,
    )
    table.end()
    if not steps or not isinstance(steps[0], Say):
        raise UsageError(f'{path}: a scenario begins with what the user says: [[step]] say = "...".')
    if bool(read.model) == bool(lines):
        raise UsageError(f'{path}: say what replies, either with [[reply]] tables or with model = "module:attribute", and not with both.')
    return read


def _step(table: "_Table") -> Say | Decide:
    if table.has("say") == table.has("approve"):
        raise UsageError(f"{table.where}: a step has either say or approve.")
    step: Say | Decide
    if table.has("say"):
        step = Say(table.text("say"), table.text("queued"), table.take("stream", bool, False), table.take("context", dict, {}))
        if not step.text:
            raise UsageError(f"{table.where}: say is empty.")
    else:
        decision = table.take("approve", (bool, dict), False)
        step = Decide(decision is not False, decision if isinstance(decision, dict) else None)
    table.end()
    return step


def _line(table: "_Table") -> Scripted:
    calls = [_call(call) for call in table.tables("calls")]
    text, agent = table.text("text") or None, table.text("agent")
    table.end()
    if text is None and not calls:
        raise UsageError(f"{table.where}: a reply has text, calls, or both.")
    return Scripted(Reply(text, tuple(calls), "tool_calls" if calls else "stop"), agent)


def _call(table: "_Table") -> Call:
    name = table.text("name")
    arguments: dict[str, Any] | str = table.take("arguments", (dict, str), {})
    if not name:
        raise UsageError(f"{table.where}: name is missing.")
    table.end()
    return Call("", name, arguments if isinstance(arguments, str) else _json(table.where, arguments))


def _json(where: str, arguments: dict[str, Any]) -> str:
    try:
        return canonical(arguments)
    except UsageError as error:  # TOML has dates, and JSON has none
        raise UsageError(f"{where}: the arguments are no JSON ({error}).") from error


class _Table:
    """A table of the file, taken apart key by key; `end` finds what is left over."""

    def __init__(self, where: str, values: Mapping[str, Any]) -> None:
        self.where = where
        self._values = dict(values)
        self._known: list[str] = []

    def has(self, name: str) -> bool:
        """Whether a key is there."""
        return name in self._values

    def take(self, name: str, kind: type[T] | tuple[type, ...], default: T) -> T:
        """Take out a value of a type."""
        self._known.append(name)
        value = self._values.pop(name, default)
        if not isinstance(value, kind):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            raise UsageError(f"{self.where}: {name} is {' or '.join(_KINDS[one] for one in kinds)}, not {value!r}.")
        return value  # type: ignore[return-value]  # a tuple of types is given with a default of one of them

    def text(self, name: str, default: str = "") -> str:
        """Take out a text."""
        return self.take(name, str, default)

    def place(self, name: str) -> str:
        """Take out the place of a function."""
        place = self.text(name)
        if place and not all(place.partition(":")):
            raise UsageError(f"{self.where}: {name} is a place, module:attribute, not {place!r}.")
        return place

    def tables(self, name: str) -> list["_Table"]:
        """Take out a list of tables."""
        values = self.take(name, list, [])
        for value in values:
            if not isinstance(value, dict):
                raise UsageError(f"{self.where}: {name} holds tables, not {value!r}.")
        return [_Table(f"{self.where}: {name} {number}", value) for number, value in enumerate(values, 1)]

    def end(self) -> None:
        """Refuse what was not taken: it is a slip of the pen, and would have been passed over."""
        if self._values:
            raise UsageError(f"{self.where}: there is no key {next(iter(self._values))!r} here. There are: {', '.join(self._known)}.")


_KINDS: dict[type, str] = {str: "a text", bool: "true or false", dict: "a table", list: "a list"}

"""The context: what a tool, an instructions function or a guard may know besides its arguments, and what a call changes of it.
Nothing here knows of tools, agents or the loop."""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Generic, NoReturn, TypeVar

from segue.core.messages import NOTHING, Json
from segue.core.turns import call_key
from segue.errors import UsageError

Deps = TypeVar("Deps")

LEVELS = 100
"""How deep a value of the context may be nested."""


class Values(dict[str, Json]):
    """A copy of the context's values; a change of it would be lost, and is refused."""

    def _refuse(self, *args: Any, **values: Any) -> NoReturn:
        given = args[0] if args else values
        key = next(iter(given), None) if isinstance(given, Mapping) else given
        name = key if isinstance(key, str) and key.isidentifier() else "name"
        raise UsageError(f"ctx.values is a copy, and what is changed in it is lost. Write ctx.set({name}=...), which is kept.")

    __setitem__ = __delitem__ = __ior__ = setdefault = update = pop = popitem = clear = _refuse

    def __reduce__(self) -> tuple[type, tuple[dict[str, Json]]]:
        """Copied and pickled as a plain dictionary."""
        return dict, (dict(self),)


class Context(Generic[Deps]):
    """What a tool, an instructions function or a guard may know besides its arguments.

    Annotate a parameter with `Context` (or `Context[MyDeps]`) and it is filled in, hidden from the model.
    """

    __slots__ = ("_changes", "_db", "_progress", "_scope", "_values", "agent", "arguments", "call_id", "conversation", "deps", "place")

    def __init__(
        self,
        values: Mapping[str, Json] = NOTHING,
        *,
        deps: Any = None,
        agent: str = "",
        conversation: str = "",
        place: str = "",
        call_id: str = "",
        arguments: str = "",
        scope: str = "",
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self._values = values
        self._scope = scope or place
        self._db: Any = None
        self._changes: dict[str, Json] = {}
        self._progress = progress
        self.deps: Deps = deps
        """The live objects given to the Runner."""
        self.agent = agent
        """The name of the active agent."""
        self.conversation = conversation
        """The conversation's id."""
        self.place = place
        self.call_id = call_id
        self.arguments = arguments
        """The call's arguments in their canonical form."""

    @property
    def key(self) -> str:
        """The same for each attempt at this call, and for no other call: hand it to a service as its idempotency key (R26)."""
        return call_key(self.conversation, self._scope, self.arguments)

    @property
    def db(self) -> Any:
        """The connection of a tool with effect="transaction", to the journal's own database, with a transaction open.

        What is written there and the call's outcome are committed together, or not at all; it cannot be committed here. A
        `sqlite3.Connection` or a `psycopg.Connection`, to be used on this thread until the tool returns. Raises `UsageError`
        in every other tool.
        """
        if self._db is None:
            raise UsageError('ctx.db is there while a tool with effect="transaction" runs, and nowhere else.')
        return self._db

    def lend(self, db: Any) -> None:
        """Give the tool its connection, or take it back (`None`)."""
        self._db = db

    @property
    def values(self) -> Mapping[str, Json]:
        """The conversation's context as it was before this message's calls, with this call's own changes; a copy.

        To set or delete a key in it is refused; a change inside a list or dictionary of it is lost. `set` is what changes the
        context: `ctx.set(cart=[*ctx.values["cart"], item])`.
        """
        values = {**self._values, **self._changes} if self._changes else self._values
        return Values((name, copied(value)) for name, value in values.items())

    @property
    def changes(self) -> Mapping[str, Json]:
        """What this call has set; `set` is what changes it."""
        return MappingProxyType(self._changes)

    def set(self, /, **values: Json) -> None:
        """Change the conversation's context when the turn closes. Raises `UsageError` for what is not JSON."""
        for name, value in values.items():
            self._changes[name] = as_json(name, value)

    def progress(self, text: str) -> None:
        """Tell whoever listens to the stream how far the tool has come. It is not kept."""
        if self._progress is not None:
            self._progress(text)


def context_of(values: Any) -> dict[str, Json]:
    """A context that was given. Raises `UsageError` for what is none."""
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise UsageError(f"context={values!r}: give a dictionary with texts as its keys, {{'customer': 'Maya'}}.")
    return {name: as_json(name, value) for name, value in values.items()}


def as_json(name: str, value: Any) -> Json:
    """A copy of a JSON value. Raises `UsageError` for anything else."""
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"The context holds JSON values only, and {name!r} is not one ({error}). Keep live objects in `deps`.") from None
    if max(text.count("["), text.count("{")) > LEVELS and _levels(json.loads(text)) > LEVELS:
        raise UsageError(f"The context holds values of at most {LEVELS} levels, and {name!r} is nested deeper.")
    return json.loads(text)


def _levels(value: Json) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max((_levels(item) for item in inner), default=0)


def copied(value: Json) -> Json:
    """A JSON value that may be changed without changing the original."""
    if isinstance(value, Mapping):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value

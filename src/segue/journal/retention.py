"""How long conversations are kept: copied out, and erased when they are old. Over any journal."""

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Any

from segue.core.codec import loaded, skim
from segue.errors import JournalDamaged, UsageError
from segue.journal.base import STATUSES, Journal, Line

OVER = ("done", "limited", "failed", "cancelled")
"""Where nothing is left to do and nobody is waited for."""

PAGE = 5000
"""How many conversations are looked at, and erased, together."""


async def export(journal: Journal, conversation: str) -> AsyncIterator[dict[str, Any]]:
    """The events of a conversation as rows of JSON values, in order; none for one that does not exist.

    A row holds `conversation`, `seq`, `at` (seconds since the epoch), `v`, `kind` and `data`; written one to a line with
    `json.dumps` they are JSONL. What a newer version has written is copied as it is. Raises `JournalDamaged`.
    """
    for seq, at, kind, version, data in await journal.raw(conversation):
        skim(kind, version, data)  # a copy is no place to find damage in
        try:
            values = loaded(data)
        except (ValueError, RecursionError) as error:
            raise JournalDamaged(f"A stored {kind} cannot be read ({type(error).__name__}).") from error
        yield {"conversation": conversation, "seq": seq, "at": at, "v": version, "kind": kind, "data": values}


async def prune(journal: Journal, *, before: float, status: Collection[str] = OVER, agent: str | None = None) -> list[str]:
    """Erase conversations that were updated last before a time; the ids of those that are gone.

    `status`: only those with one of these; by default those that are over. `agent`: only those in which it has the floor.
    One to which something is added meanwhile is left alone. Raises `UsageError` for a status that does not exist.
    """
    unknown = sorted(set(status) - set(STATUSES))
    if isinstance(status, str) or unknown or not status:
        raise UsageError(f"status={status!r}: give some of {', '.join(STATUSES)}, as a list.")
    erased: list[str] = []
    last: Line | None = None
    while page := await journal.conversations(status=status, agent=agent, before=before, following=last, limit=PAGE):
        last = page[-1]
        grown = await asyncio.gather(*(journal.read(line.conversation, after=line.seq) for line in page))
        names = [line.conversation for line, rows in zip(page, grown, strict=True) if not rows]
        gone = await asyncio.gather(*map(journal.erase, names))  # together: a store may have work to do after each lot
        erased += [name for name, done in zip(names, gone, strict=True) if done]
    return erased

"""A call whose effect and outcome are one transaction of the journal's own database: both are there, or neither is (R25)."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from segue import clock
from segue.core.events import Event, ToolFailed, ToolReturned
from segue.errors import UsageError
from segue.journal.base import Stored, Transactional
from segue.ledger import Ledger
from segue.outcomes import RolledBack, given_up, outcome
from segue.team import Team
from segue.tools.tool import Tool
from segue.world import Ready, World


def transacted(world: World, ledger: Ledger, fence: int, call: Ready, work: Callable[[], Any]) -> Stored:
    """Call a tool with a transaction open, and commit what it wrote together with its outcome; on a thread.

    `fence`: the place of the drive's `DriveStarted`. Raises `RolledBack`, `JournalConflict` where another driver has the
    conversation, and what the tool raises: then nothing was done. A `JournalError` may also mean that the commit's answer was
    lost: then nothing is written of the call here, and the next driver finds in the journal which it was.
    """
    c, commit, journal = ledger.conversation, call.commit, ledger.journal
    assert isinstance(journal, Transactional)
    assert commit is not None

    def within(db: Any) -> Event:
        began = time.perf_counter()
        call.context.lend(db)
        try:
            value = work()
        finally:
            call.context.lend(None)
        found = outcome(world, c, call, value, None, time.perf_counter() - began)
        if isinstance(found, ToolFailed):
            raise RolledBack(replace(found, words=f"Rolled back, so nothing was done: {found.words}"))
        assert isinstance(found, ToolReturned)
        if not commit.claim():
            raise RolledBack(given_up(call, "timeout", "it was given up"))
        return found

    return journal.transact(c.id, fence, within, at=clock.now())


def refuse_transactions(team: Team) -> None:
    """Raise `UsageError` if a tool of the team needs a database to write to, and the journal has none."""
    for member in team:
        for offer in member.table.values():
            if isinstance(offer, Tool) and offer.effect == "transaction":
                raise UsageError(
                    f'{member.agent.name}: {offer.name} has effect="transaction", and this journal has no database to share with it. '
                    'Give Runner(journal="segue.db"), or use effect="once", or "keyed" with ctx.key.'
                )

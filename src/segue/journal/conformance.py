"""The suite that any store can be held to: `await journal_conformance(open_journal)`, or one check at a time.
A store that passes can carry conversations; one that does not would lose or repeat something."""

from segue.journal import conformance_drivers, conformance_finding, conformance_writing
from segue.journal.conformance_stage import CHECKS, Check, NotConforming, OpenJournal

__all__ = ["Check", "NotConforming", "OpenJournal", "journal_checks", "journal_conformance"]

_ALL = (conformance_writing, conformance_finding, conformance_drivers)

journal_checks: tuple[Check, ...] = tuple(CHECKS)
"""The checks, each a function of `open_journal`; its name is what it checks. For `pytest.mark.parametrize`."""


async def journal_conformance(open_journal: OpenJournal) -> None:
    """Hold a store to what `segue.journal.Journal` says; raise `NotConforming` at the first thing that it does otherwise.

    `open_journal` makes a journal object and is called several times, each time for the same store; the objects are closed
    by the suite. The store may hold other conversations: the suite uses names of its own, and erases what it wrote.
    """
    for check in journal_checks:
        try:
            await check(open_journal)
        except Exception as error:
            error.add_note(f"in the check {check.__name__}")
            raise

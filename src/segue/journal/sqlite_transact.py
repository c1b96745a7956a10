"""A transaction that a tool shares with the journal: what it wrote and the event are committed together, or neither is.
The tool is given a connection that cannot end the transaction."""

import sqlite3
from collections.abc import Callable

from segue.core.events import Event
from segue.errors import JournalConflict, UsageError
from segue.journal.base import Stored
from segue.journal.sqlite_open import Database, patiently
from segue.journal.sqlite_rows import appending, driven_since, last_place

PATIENCE = 5.0
"""Seconds for which a tool waits for others to end their transactions."""

_OURS = frozenset({"event", "conversation", "input_key"})
_TABLE_NAMED_FIRST = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE, sqlite3.SQLITE_DROP_TABLE})
_TABLE_NAMED_SECOND = frozenset(
    {sqlite3.SQLITE_ALTER_TABLE, sqlite3.SQLITE_CREATE_TRIGGER, sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_DROP_INDEX}
)
_NEVER = frozenset({sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH})
_MARKS = frozenset({"application_id", "user_version"})

_REFUSED = (
    "A tool's ctx.db may not commit, roll back, begin, attach, or write to the journal's tables: Segue commits when the tool has "
    "returned, and rolls back when it raises. Leave out db.commit(), db.executescript() and `with db:`."
)


def transact(path: str, conversation: str, fence: int, work: Callable[[sqlite3.Connection], Event], at: float) -> Stored:
    """Call `work` in a transaction, write its event at the next place, and commit; see `Transactional`."""
    database = Database(path, PATIENCE, cached_statements=0)  # so that each statement of the tool is looked at
    try:
        with database as db:
            patiently(lambda: db.execute("begin immediate"), PATIENCE)  # out of turn: those who queue may have more patience
            seq = last_place(db, conversation)
            if seq is None or driven_since(db, conversation, fence):
                raise JournalConflict(f"Another driver has the conversation {conversation}, or it was erased: the tool was not called.")
            event = _worked(db, work)
            if isinstance(event, BaseException):
                raised = event
            else:
                appending(conversation, seq + 1, [event], at, None).write(db)
                db.execute("commit")
                return Stored(seq + 1, at, event)
    finally:
        database.close()  # and with that, what is not committed is rolled back
    raise raised  # outside, so that it is not taken for an error of the journal's


def _worked(db: sqlite3.Connection, work: Callable[[sqlite3.Connection], Event]) -> Event | BaseException:
    """The event, or what was raised in its place."""
    db.set_authorizer(lambda action, first, second, where, by: _allowed(db, action, first, second, where))
    try:
        event = work(db)
        if _ended(db):
            return UsageError("The tool's transaction was ended by ctx.db.close(), OR ROLLBACK or RAISE(ROLLBACK): nothing is kept.")
        db.set_authorizer(None)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_AUTH:
            return error
        refused = UsageError(_REFUSED)
        refused.__cause__ = error
        return refused
    except BaseException as error:
        return error
    return event


def _ended(db: sqlite3.Connection) -> bool:
    try:
        return not db.in_transaction
    except sqlite3.ProgrammingError:  # it is closed
        return True


def _allowed(db: sqlite3.Connection, action: int, first: str | None, second: str | None, where: str | None) -> int:
    """Whether a tool's statement may do this; `where` is a database's name, which ALTER TABLE gives first."""
    if not db.in_transaction or action in _NEVER:
        return sqlite3.SQLITE_DENY
    table = first if action in _TABLE_NAMED_FIRST else second if action in _TABLE_NAMED_SECOND else None
    if table in _OURS and (where or first) == "main":
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_PRAGMA and first in _MARKS and second is not None:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK

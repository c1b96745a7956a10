"""A tool's own work in the journal's database, committed with its outcome or not at all.
The tool gets a connection that nobody else has used or will use. Its transaction cannot be committed before the outcome is
written: a row of ours refers to an event that never exists, and only the statement that writes the outcome deletes that row."""

import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow, tuple_row

from segue.core.codec import encode
from segue.core.events import Event
from segue.errors import JournalConflict, JournalError, UsageError
from segue.journal.base import Stored
from segue.journal.postgres_link import Address, out_of_reach, passing, pauses, refused, words
from segue.journal.postgres_wait import payload

Database = psycopg.Connection[TupleRow]
Own = psycopg.Cursor[TupleRow]

log = logging.getLogger("segue")

_ONLY_ONE = b"SELECT set_config('default_transaction_read_only', 'on', false)"
"""Should a tool leave its transaction, it finds itself in another one, in which it cannot write."""
_BEGIN = b"SET TRANSACTION READ WRITE"
_LIMITS = b"SELECT set_config('statement_timeout', '5s', true), set_config('lock_timeout', '5s', true)"
_HURRY = b"SELECT set_config('idle_in_transaction_session_timeout', '5s', true)"
"""Who is stopped between the outcome and the commit must not keep the conversation locked for everybody."""


def transact(address: Address, patience: float, conversation: str, fence: int, work: Callable[[Any], Event], at: float) -> Stored:
    """Do a tool's work and write its outcome in one transaction; see `Transactional.transact`.

    The tool cannot commit: psycopg refuses `commit()`, and the server refuses `COMMIT`. It can roll back, after which it can
    write nothing, and a `UsageError` tells. It could only get round this on purpose, by asking for another transaction that
    may write in so many words (`ROLLBACK AND CHAIN`, `SET TRANSACTION READ WRITE`), or over a connection of its own.
    """
    end = time.monotonic() + patience
    committing = False
    with contextlib.closing(_connected(address, end, patience)) as db:
        _own(db, lambda own: _refuse_if_fenced(own.execute(_ONLY_ONE), address, conversation, fence))
        db.autocommit = False  # after a rollback of its own, a tool is in a transaction that nobody commits
        try:
            with db.transaction():
                stored = _written(db, address, conversation, fence, work, at)
                committing = True
        except psycopg.Error as error:
            if not committing or not passing(error):
                raise  # an error of the tool's, or of a constraint that is checked at the end: all is rolled back
            return _found_out(address, end, patience, conversation, stored)
        _tell(db, address, conversation)
    return stored


def _connected(address: Address, end: float, patience: float) -> Database:
    for pause in pauses():
        try:
            return address.connect_blocking()
        except psycopg.Error as error:
            _wait_or_raise(error, pause, end, patience)
    raise AssertionError("pauses never end")


def _wait_or_raise(error: psycopg.Error, pause: float, end: float, patience: float) -> None:
    if not passing(error):
        raise refused(error) from error
    if time.monotonic() + pause >= end:
        raise out_of_reach(patience, error) from error
    time.sleep(pause)


def _own(db: Database, work: Callable[[Own], Any]) -> Any:
    """Do something of Segue's own, whatever the tool has set on its connection."""
    try:
        with psycopg.Cursor(db, row_factory=tuple_row) as own:
            return work(own)
    except (psycopg.Error, UnicodeEncodeError) as error:
        if passing(error):
            raise JournalError(f"The tool's work in PostgreSQL was rolled back: {words(error)}") from error
        raise refused(error) from error


def _refuse_if_fenced(own: Own, address: Address, conversation: str, fence: int) -> None:
    row = own.execute(address.sql.fenced, [fence, conversation]).fetchone()
    if row is None or row[0]:
        raise JournalConflict(f"Another driver has taken conversation {conversation}: the tool's work was not begun, or rolled back.")


def _written(db: Database, address: Address, conversation: str, fence: int, work: Callable[[Any], Event], at: float) -> Stored:
    """Let the tool do its work in the open transaction, and write the outcome."""

    def begin(own: Own) -> None:
        own.execute(_BEGIN)
        own.execute(_LIMITS)
        own.execute(address.sql.unfinished, [conversation])

    def finish(own: Own) -> Stored:
        given = {"conversation": conversation, "fence": fence, "at": at, "kind": kind, "v": version, "data": data.decode()}
        own.execute(_HURRY)
        try:
            row = own.execute(address.sql.finish, given).fetchone()
        except psycopg.errors.ReadOnlySqlTransaction as error:
            raise _left("ended it and went on in another one") from error
        if row is None:
            _refuse_if_fenced(own, address, conversation, fence)
            raise _left("ended it and went on in another one")
        return Stored(row[0], at, event)

    _own(db, begin)
    event = work(db)
    match db.info.transaction_status:
        case TransactionStatus.INTRANS:
            kind, version, data = encode(event)
            stored: Stored = _own(db, finish)
            return stored
        case TransactionStatus.INERROR:
            raise _left("kept an error of the database to itself, after which nothing of it can be committed")
        case _:
            raise _left("ended it")


def _left(deed: str) -> UsageError:
    return UsageError(f"A tool is given a transaction that Segue commits together with its outcome, and it {deed}. All was rolled back.")


def _found_out(address: Address, end: float, patience: float, conversation: str, stored: Stored) -> Stored:
    """The answer to the commit was lost: wait until that transaction is over, and look whether its event is there."""
    kind, version, data = encode(stored.event)
    for pause in pauses():
        try:
            with contextlib.closing(address.connect_blocking()) as db, db.transaction():
                db.execute(_LIMITS)
                db.execute(address.sql.locked, [conversation])
                row = db.execute(address.sql.rows, [conversation, stored.seq - 1]).fetchone()
            break
        except psycopg.Error as error:
            _wait_or_raise(error, pause, end, patience)
    if row != (stored.seq, stored.at, kind, version, data.decode()):
        raise JournalError("The connection to PostgreSQL was lost in the commit: the tool's work was rolled back.")
    with contextlib.closing(_connected(address, end, patience)) as db:
        _tell(db, address, conversation)
    return stored


def _tell(db: Database, address: Address, conversation: str) -> None:
    """Wake those who wait for the event. Whoever is not reached looks again when its time is over."""
    try:
        db.autocommit = True
        db.execute(address.sql.tell, [payload(conversation)])
    except psycopg.Error as error:
        log.info("an event of %s was written, but nobody was told: %s", conversation, words(error))

"""What is written to and read from a journal's tables: the SQL.
No threads and no transactions here; whoever calls has the connection, and begins and commits."""

import sqlite3
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from segue.core.codec import decode, encode
from segue.core.events import Event, InputGiven
from segue.errors import JournalConflict, JournalDamaged, KeyReused, UsageError
from segue.journal.base import STATUSES, Line, Raw, Stored, Summary

Row = tuple[str, int, int, float, str, str]
"""A row of `event`: conversation, seq, v, at, kind, data."""

LAST_TIME = 253_402_300_800.0
"""The year 10000: what is said to be later was not written."""

_BEGIN = "insert into conversation values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (conversation) do nothing"
_REMEMBER = "insert into input_key values (?, ?) on conflict (key) do nothing"
_MOVE = "update conversation set seq = ?, updated = ? where conversation = ? and seq = ?"
_RENEW = "update conversation set seq = ?, updated = ?, status = ?, entry = ?, agent = ?, driver = ? where conversation = ? and seq = ?"


class Append(NamedTuple):
    """Events to be written at a place."""

    conversation: str
    seq: int
    at: float
    rows: Sequence[Row]
    keys: Sequence[str]
    summary: Summary | None

    def write(self, db: sqlite3.Connection) -> None:
        """Write them. Raises `JournalConflict` or `KeyReused`, with nothing written."""
        for key in self.keys:
            other = conversation_of(db, key)
            if other is not None and other != self.conversation:
                raise KeyReused(f"The key {key!r} was used for an input of conversation {other}.")
        if not self._move_line(db):
            following = (last_place(db, self.conversation) or 0) + 1
            raise JournalConflict(
                f"Place {self.seq} of conversation {self.conversation} is taken or not reached yet; the next is {following}."
            )
        db.executemany("insert into event values (?, ?, ?, ?, ?, ?)", self.rows)
        if self.keys:
            db.executemany(_REMEMBER, [(key, self.conversation) for key in self.keys])

    def _move_line(self, db: sqlite3.Connection) -> bool:
        """Bring the conversation's line up to date; `False` if it is not at the place before `seq`."""
        before, last = self.seq - 1, self.seq + len(self.rows) - 1
        if not self.rows:
            return (last_place(db, self.conversation) or 0) == before
        if before == 0:
            line = (self.conversation, last, self.at, self.at, *(self.summary or Summary()))
            done = db.execute(_BEGIN, line)
        elif self.summary is None:
            done = db.execute(_MOVE, (last, self.at, self.conversation, before))
        else:
            done = db.execute(_RENEW, (last, self.at, *self.summary, self.conversation, before))
        return done.rowcount == 1


class Erase(NamedTuple):
    """A conversation to be deleted."""

    conversation: str

    def write(self, db: sqlite3.Connection) -> bool:
        """Delete everything that is stored of it; whether there was anything."""
        deleted = [
            db.execute("delete from event where conversation = ?", self).rowcount,
            db.execute("delete from conversation where conversation = ?", self).rowcount,
            db.execute("delete from input_key where conversation = ?", self).rowcount,
        ]
        return any(deleted)


def appending(conversation: str, seq: int, events: Sequence[Event], at: float, summary: Summary | None) -> Append:
    """Events as they are to be written."""
    if summary is not None and summary.status not in STATUSES:
        raise UsageError(f"A conversation cannot be {summary.status!r}: {', '.join(STATUSES)} are what a list can show.")
    if not 0 <= at < LAST_TIME:
        raise UsageError(f"at={at!r} is no time: give seconds since the epoch.")
    rows: list[Row] = []
    keys: list[str] = []
    for event in events:
        kind, version, data = encode(event)
        rows.append((conversation, seq + len(rows), version, at, kind, data.decode()))
        if type(event) is InputGiven and event.key is not None:
            keys.append(event.key)
    return Append(conversation, seq, at, rows, keys, summary)


def rewrite(db: sqlite3.Connection) -> None:
    """Write the tables anew: `secure_delete` overwrites what is deleted, but not the copies that SQLite has left where it moved rows."""
    for table in ("event", "conversation", "input_key"):
        db.execute(f"create temp table kept as select * from main.{table}")  # noqa: S608
        db.execute(f"delete from main.{table}")  # noqa: S608
        db.execute(f"insert into main.{table} select * from kept")  # noqa: S608
        db.execute("drop table kept")


def last_place(db: sqlite3.Connection, conversation: str) -> int | None:
    """The place of a conversation's last event; `None` if there is no such conversation."""
    found = db.execute("select seq from conversation where conversation = ?", (conversation,)).fetchone()
    return None if found is None else found[0]


def conversation_of(db: sqlite3.Connection, key: str) -> str | None:
    """The conversation that was given an input with this key."""
    found = db.execute("select conversation from input_key where key = ?", (key,)).fetchone()
    return None if found is None else found[0]


def driven_since(db: sqlite3.Connection, conversation: str, fence: int) -> bool:
    """Whether another driver has taken the conversation after a place."""
    query = "select 1 from event where conversation = ? and seq > ? and kind = 'DriveStarted' limit 1"
    return db.execute(query, (conversation, fence)).fetchone() is not None


def read_events(db: sqlite3.Connection, conversation: str, after: int) -> list[tuple[Any, ...]]:
    """The rows after a place, to be given to `checked` or `decoded`."""
    query = "select seq, at, kind, v, cast(data as blob) from event where conversation = ? and seq > ? order by seq"
    return db.execute(query, (conversation, after)).fetchall()


def checked(conversation: str, after: int, rows: Sequence[tuple[Any, ...]]) -> list[Raw]:
    """Rows as they are. Raises `JournalDamaged` where one is missing, or its time, kind or version is not what was written."""
    raw = []
    for place, (seq, at, kind, version, data) in enumerate(rows, after + 1):
        if seq != place:
            raise JournalDamaged(f"The event at place {place} of conversation {conversation} is missing: put the journal back from a copy.")
        if type(at) is not float or not 0 <= at < LAST_TIME or type(kind) is not str or type(version) is not int:
            raise JournalDamaged(f"The event at place {place} of conversation {conversation} is damaged: put the journal back from a copy.")
        raw.append(Raw(seq, at, kind, version, data))
    return raw


def decoded(conversation: str, after: int, rows: Sequence[tuple[Any, ...]]) -> list[Stored]:
    """Read rows. Raises `JournalDamaged` where one is missing or is not what was written, `JournalNewer` for what is not known."""
    return [Stored(row.seq, row.at, decode(row.kind, row.version, row.data)) for row in checked(conversation, after, rows)]


def list_lines(
    db: sqlite3.Connection,
    status: Collection[str],
    agent: str | None,
    before: float | None,
    since: float | None,
    following: Line | None,
    limit: int,
) -> list[Line]:
    """Conversations, the last updated first; see `Journal.conversations`. One look into the index for each status."""
    conditions, values = [], dict[str, Any](limit=limit)
    if agent is not None:
        conditions.append("agent = :agent")
        values["agent"] = agent
    if before is not None:
        conditions.append("updated < :before")
        values["before"] = before
    if since is not None:
        conditions.append("updated >= :since")
        values["since"] = since
    if following is not None:
        conditions.append("updated <= :updated and (updated < :updated or conversation > :conversation)")
        values |= {"updated": following.updated, "conversation": following.conversation}
    order = "order by updated desc, conversation limit :limit"
    parts = []
    for number, one in enumerate(STATUSES):
        if not status or one in status:
            where = " and ".join([f"status = :status{number}", *conditions])  # of this function's making; values are bound
            parts.append(f"select * from (select * from conversation where {where} {order})")  # noqa: S608
            values[f"status{number}"] = one
    if not parts:
        return []
    return [_line(row) for row in db.execute(f"{' union all '.join(parts)} {order}", values)]


def _line(row: tuple[Any, ...]) -> Line:
    if list(map(type, row)) != [str, int, float, float, str, str, str, str]:
        raise JournalDamaged("A line of the list of conversations is damaged: put the journal back from a copy.")
    conversation, seq, created, updated, *summary = row
    return Line(conversation, seq, created, updated, Summary(*summary))

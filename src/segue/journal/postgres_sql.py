"""The tables of a journal in PostgreSQL, and the statements that read and write them. Nothing here opens a connection.

`event.data` is text and not jsonb: what was written comes back byte for byte, with escapes that jsonb refuses (a NUL, half a
surrogate pair), and the server need not parse what it does not read. Whoever queries by hand writes `data::json`."""

import hashlib
from collections.abc import Collection
from typing import LiteralString

from psycopg.sql import SQL, Identifier, Literal

MIGRATIONS = (
    SQL("""
        CREATE TABLE {schema}.journal (version integer NOT NULL);
        INSERT INTO {schema}.journal VALUES (0);

        CREATE TABLE {schema}.event (
            conversation text COLLATE "C",
            seq bigint,
            v integer NOT NULL,
            at double precision NOT NULL,
            kind text NOT NULL,
            data text NOT NULL,
            PRIMARY KEY (conversation, seq)
        );

        CREATE TABLE {schema}.conversation (
            conversation text COLLATE "C" PRIMARY KEY,
            seq bigint NOT NULL,      -- the place of the last event: every append locks this row first
            drive bigint NOT NULL,    -- the place of the last DriveStarted
            created double precision NOT NULL,
            updated double precision NOT NULL,
            status text NOT NULL,
            entry text NOT NULL,
            agent text NOT NULL,
            driver text NOT NULL
        );
        CREATE INDEX conversation_updated ON {schema}.conversation ((-updated), conversation);
        CREATE INDEX conversation_status ON {schema}.conversation (status, (-updated), conversation);

        CREATE TABLE {schema}.input_key (key text COLLATE "C" PRIMARY KEY, conversation text COLLATE "C" NOT NULL);
        CREATE INDEX input_key_conversation ON {schema}.input_key (conversation);

        -- A transaction tool has a row here while it works. No event stands at place 0, so its transaction
        -- cannot be committed before Segue has written the outcome and deleted the row.
        CREATE TABLE {schema}.unfinished (
            conversation text COLLATE "C" NOT NULL,
            seq bigint NOT NULL DEFAULT 0,
            CONSTRAINT segue_commits_the_transactions_of_tools FOREIGN KEY (conversation, seq)
                REFERENCES {schema}.event DEFERRABLE INITIALLY DEFERRED
        );
    """),
)
"""What makes each version of the tables out of the one before."""

VERSION = len(MIGRATIONS)

CONDITIONS = {
    "agent": SQL("agent = %(agent)s"),
    "before": SQL("-updated > -%(before)s::double precision"),
    "since": SQL("-updated <= -%(since)s::double precision"),
    "last": SQL("(-updated, conversation) > (-%(updated)s::double precision, %(last)s)"),
}
"""What lists may be asked for, by the name of a value that must be given."""

_LINES = SQL("""
    SELECT conversation, seq, created, updated, status, entry, agent, driver FROM {schema}.conversation AS c
    WHERE {conditions} ORDER BY -updated, conversation LIMIT %(limit)s
""")

_LINES_BY_STATUS = SQL("""
    SELECT page.* FROM unnest(%(status)s::text[]) AS wanted, LATERAL ({lines}) AS page
    ORDER BY -updated, conversation LIMIT %(limit)s
""")
"""Each status is a stretch of an index of its own."""

_EVENTS = """
    written AS (
        INSERT INTO {schema}.event (conversation, seq, v, at, kind, data)
        SELECT line.conversation, %(seq)s::bigint - 1 + given.nth, given.v, %(at)s, given.kind, given.data
        FROM line, unnest(%(versions)s::integer[], %(kinds)b::text[], %(data)b::text[]) WITH ORDINALITY AS given (v, kind, data, nth)
    ),
    keyed AS (
        INSERT INTO {schema}.input_key (key, conversation)
        SELECT DISTINCT given.key, line.conversation FROM line, unnest(%(keys)s::text[]) AS given (key)
        WHERE NOT EXISTS (SELECT FROM {schema}.input_key AS old WHERE old.key = given.key AND old.conversation = line.conversation)
    )
    SELECT FROM line
"""

_BEGIN = """
    WITH line AS (
        INSERT INTO {schema}.conversation (conversation, seq, drive, created, updated, status, entry, agent, driver)
        VALUES (%(conversation)s, %(last)s, %(drive)s, %(at)s, %(at)s, %(status)s, %(entry)s, %(agent)s, %(driver)s)
        ON CONFLICT DO NOTHING RETURNING conversation
    ), {events}
"""

_CONTINUE = """
    WITH line AS (
        UPDATE {schema}.conversation
        SET seq = %(last)s, drive = greatest(drive, %(drive)s), updated = %(at)s,
            status = %(status)s, entry = %(entry)s, agent = %(agent)s, driver = %(driver)s
        WHERE conversation = %(conversation)s AND seq = %(seq)s::bigint - 1 RETURNING conversation
    ), {events}
"""

_FINISH = """
    WITH line AS (
        UPDATE {schema}.conversation SET seq = seq + 1, updated = %(at)s
        WHERE conversation = %(conversation)s AND drive <= %(fence)s RETURNING conversation, seq
    ),
    finished AS (
        DELETE FROM {schema}.unfinished USING line WHERE unfinished.conversation = line.conversation
        RETURNING line.seq
    )
    INSERT INTO {schema}.event (conversation, seq, v, at, kind, data)
    SELECT %(conversation)s, seq, %(v)s, %(at)s, %(kind)s, %(data)s FROM finished RETURNING seq
"""


class Statements:
    """The statements, made once for a schema."""

    def __init__(self, schema: str) -> None:
        self.schema = schema
        self.lock = number(f"segue tables {schema}")
        """Held by whoever makes the tables."""
        self.make_schema = self._with("CREATE SCHEMA {schema}")
        self.has_schema = self._with("SELECT FROM pg_namespace WHERE nspname = {literal}")
        self.has_tables = self._with("SELECT FROM pg_tables WHERE schemaname = {literal} AND tablename = 'journal'")
        self.version = self._with("SELECT version FROM {schema}.journal")
        self.migrations = [migration.format(schema=Identifier(schema)).as_bytes() for migration in MIGRATIONS]
        self.migrated = self._with("UPDATE {schema}.journal SET version = %s")
        self.begin = self._with(_BEGIN)
        self.go_on = self._with(_CONTINUE)
        self.rows = self._with("SELECT seq, at, kind, v, data FROM {schema}.event WHERE conversation = %s AND seq > %s ORDER BY seq")
        self.last = self._with(
            "SELECT (SELECT seq FROM {schema}.conversation WHERE conversation = %(conversation)s),"
            " (SELECT max(seq) FROM {schema}.event WHERE conversation = %(conversation)s)"
        )
        self.seq = self._with("SELECT seq FROM {schema}.conversation WHERE conversation = %s")
        self.keyed = self._with("SELECT conversation FROM {schema}.input_key WHERE key = %s")
        self.tell = self._with("SELECT pg_notify({literal}, %s)")
        self.listen = self._with("LISTEN {schema}")
        self.erase = [self._with(statement) for statement in _ERASE]
        self.fenced = self._with("SELECT drive > %s FROM {schema}.conversation WHERE conversation = %s")
        self.unfinished = self._with("INSERT INTO {schema}.unfinished (conversation) VALUES (%s)")
        self.finish = self._with(_FINISH)
        self.locked = self._with("SELECT FROM {schema}.conversation WHERE conversation = %s FOR UPDATE")

    def lines(self, wishes: Collection[str], *, by_status: bool) -> bytes:
        """The statement that lists conversations under these of the conditions."""
        conditions = SQL(" AND ").join([SQL("true"), *(CONDITIONS[name] for name in wishes)])
        if not by_status:
            return _LINES.format(schema=Identifier(self.schema), conditions=conditions).as_bytes()
        conditions += SQL(" AND status = wanted")
        return _LINES_BY_STATUS.format(lines=_LINES.format(schema=Identifier(self.schema), conditions=conditions)).as_bytes()

    def _with(self, statement: LiteralString) -> bytes:
        names = {"schema": Identifier(self.schema), "literal": Literal(self.schema)}
        return SQL(statement).format(**names, events=SQL(_EVENTS).format(**names)).as_bytes()


_ERASE: tuple[LiteralString, ...] = (
    "DELETE FROM {schema}.conversation WHERE conversation = %s",
    "DELETE FROM {schema}.event WHERE conversation = %s",
    "DELETE FROM {schema}.input_key WHERE conversation = %s",
)
"""In this order: whoever holds the conversation's row is waited for before the rest is looked at."""


def number(words: str) -> int:
    """The 64 bits by which PostgreSQL knows an advisory lock."""
    return int.from_bytes(hashlib.sha256(words.encode("utf-8", "surrogatepass")).digest()[:8], "big", signed=True)

"""Words become journals: a file, an address of a database, or memory."""

import re
from urllib.parse import unquote

from segue.errors import UsageError
from segue.journal.base import Journal
from segue.journal.memory import MemoryJournal


def journal_from(text: str) -> Journal:
    """The journal that is meant: "segue.db", "sqlite:///folder/segue.db", "postgresql://host/database" or "memory:"."""
    if not isinstance(text, str) or not text.strip():
        raise UsageError(f'journal={text!r}: give a path ("segue.db"), "postgresql://host/database" or "memory:".')
    if text == "memory:":
        return MemoryJournal()
    if re.match(r"postgres(ql)?://", text):
        from segue.journal.postgres import PostgresJournal  # an extra

        return PostgresJournal(text)
    if text.startswith("sqlite:///"):
        return _file(unquote(text.removeprefix("sqlite:///")))
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        raise UsageError(f'journal={text!r}: there is no such kind. Give a path, "sqlite:///path", "postgresql://..." or "memory:".')
    return _file(text)


def _file(path: str) -> Journal:
    from segue.journal.sqlite import SqliteJournal  # slow to import: sqlite3

    return SqliteJournal(path)

"""Words become journals: a file, an address of a database, or memory."""

import os
import re
from urllib.parse import unquote

from segue.errors import UsageError
from segue.journal.base import Journal
from segue.journal.memory import MemoryJournal

Named = str | os.PathLike[str]
"""A journal's name: a path, or an address."""


def given_journal(journal: Named | Journal | None) -> Journal:
    """A journal as somebody gives it: made already, named, or not at all, which is memory."""
    if journal is None:
        return MemoryJournal()
    if isinstance(journal, type) or not (hasattr(journal, "append") and hasattr(journal, "durable")):
        return journal_from(journal)  # type: ignore[arg-type]  # or it is refused there
    return journal  # type: ignore[return-value]


def journal_from(name: Named) -> Journal:
    """The journal that is meant: "segue.db", "sqlite:///folder/segue.db", "postgresql://host/database" or "memory:"."""
    if isinstance(name, os.PathLike):
        return _file(os.fspath(name))
    text = name
    if not isinstance(text, str) or not text.strip():
        raise UsageError(f'journal={text!r}: give a path ("segue.db"), "postgresql://host/database", "memory:", or a journal that is made.')
    if text == "memory:":
        return MemoryJournal()
    if is_postgresql(text):
        from segue.journal.postgres import PostgresJournal  # an extra

        return PostgresJournal(text)
    if text.startswith("sqlite:///"):
        return _file(unquote(text.removeprefix("sqlite:///")))
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        raise UsageError(f'journal={text!r}: there is no such kind. Give a path, "sqlite:///path", "postgresql://..." or "memory:".')
    return _file(text)


def is_postgresql(name: str) -> bool:
    """Whether a journal's name is the address of a PostgreSQL database."""
    return re.match(r"postgres(ql)?://", name) is not None


def _file(path: str) -> Journal:
    from segue.journal.sqlite import SqliteJournal  # slow to import: sqlite3

    return SqliteJournal(path)

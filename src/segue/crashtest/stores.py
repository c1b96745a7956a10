"""A journal of its own for each trial: a new SQLite file, or a new PostgreSQL database, which is dropped afterwards."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from segue.errors import UsageError
from segue.journal.resolve import is_postgresql, journal_from

SQLITE = "sqlite"


def check_journal(journal: str) -> None:
    """Raise `UsageError` for what is neither "sqlite" nor the address of a PostgreSQL server that can be used."""
    if journal == SQLITE:
        return
    if not is_postgresql(journal):
        raise UsageError(f"--journal {journal}: give {SQLITE} (a new file for each trial) or postgresql://... (a new database for each).")
    journal_from(journal)


def shown(journal: str) -> str:
    """The address as it may be printed: without a password."""
    return re.sub(r"(://[^/@]*?:)[^/@]*@", r"\1***@", journal)


@contextmanager
def fresh(journal: str, folder: Path) -> Iterator[str]:
    """The address of a new, empty journal."""
    if journal == SQLITE:
        yield f"sqlite:///{folder / 'segue.db'}"
        return
    name = f"segue_crashtest_{os.urandom(6).hex()}"
    _execute(journal, f"create database {name} encoding 'UTF8' template template0")
    try:
        yield urlsplit(journal)._replace(path=f"/{name}").geturl()
    finally:
        _execute(journal, f"drop database {name} with (force)")


def _execute(address: str, statement: str) -> None:
    import psycopg  # an extra

    with psycopg.connect(address, autocommit=True) as server:  # closed at once: processes are forked from this one
        server.execute(statement.encode())

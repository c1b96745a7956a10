"""Where conversations are kept."""

from segue.journal.base import Journal, Stored
from segue.journal.memory import MemoryJournal

__all__ = ["Journal", "MemoryJournal", "Stored"]

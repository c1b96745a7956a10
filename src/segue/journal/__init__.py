"""Where conversations are kept."""

from segue.journal.base import Journal, Line, Stored, Summary
from segue.journal.memory import MemoryJournal

__all__ = ["Journal", "Line", "MemoryJournal", "Stored", "Summary"]

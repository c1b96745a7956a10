"""For tests of programs that use Segue: models that ask nobody, a journal in memory, and a guard against real requests.
These are real implementations, not mocks: a run under them is the same run. And a suite that a journal of yours is held to."""

from segue.journal.conformance import NotConforming, journal_checks, journal_conformance
from segue.journal.memory import MemoryJournal
from segue.models.denied import allow_model_requests, deny_model_requests
from segue.models.recording import RecordingModel, ReplayModel
from segue.models.scripted import FunctionModel, ScriptedModel

__all__ = [
    "FunctionModel",
    "MemoryJournal",
    "NotConforming",
    "RecordingModel",
    "ReplayModel",
    "ScriptedModel",
    "allow_model_requests",
    "deny_model_requests",
    "journal_checks",
    "journal_conformance",
]

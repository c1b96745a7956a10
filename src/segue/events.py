"""What a stream yields and a journal keeps, for people who match on it."""

from segue.core.events import (
    AllowanceGiven,
    ApprovalAsked,
    ApprovalDecided,
    DriveStarted,
    Event,
    Handoff,
    InputGiven,
    InstructionsRendered,
    ModelReplied,
    RunEnded,
    Started,
    ToolFailed,
    ToolLate,
    ToolReturned,
    ToolSettled,
    ToolStarted,
    ToolUnknown,
)
from segue.model import CallDelta, Delta, ReasoningDelta, Restarted, TextDelta
from segue.world import Progress

__all__ = [
    "AllowanceGiven",
    "ApprovalAsked",
    "ApprovalDecided",
    "CallDelta",
    "Delta",
    "DriveStarted",
    "Event",
    "Handoff",
    "InputGiven",
    "InstructionsRendered",
    "ModelReplied",
    "Progress",
    "ReasoningDelta",
    "Restarted",
    "RunEnded",
    "Started",
    "TextDelta",
    "ToolFailed",
    "ToolLate",
    "ToolReturned",
    "ToolSettled",
    "ToolStarted",
    "ToolUnknown",
]

"""Conversations handled by several LLM agents, by routines and handoffs.

This is the face: it only names what is elsewhere."""

from segue.agent import Agent, Result, guard, handoff
from segue.cookbook import execute_tool_call, function_to_schema, run_full_turn
from segue.core.limits import Limits
from segue.errors import (
    ApprovalError,
    ConversationBusy,
    GuardTripped,
    JournalError,
    LimitReached,
    NoOutput,
    OutputError,
    ProviderError,
    SegueError,
    UsageError,
)
from segue.journal.memory import MemoryJournal
from segue.model import Model, ModelSettings
from segue.response import Response
from segue.runner import Runner
from segue.throwaway import run, run_sync, stream
from segue.tools.context import Context
from segue.tools.tool import Tool, tool

__version__ = "0.1.0"

__all__ = [
    "Agent",
    "ApprovalError",
    "Context",
    "ConversationBusy",
    "GuardTripped",
    "JournalError",
    "LimitReached",
    "Limits",
    "MemoryJournal",
    "Model",
    "ModelSettings",
    "NoOutput",
    "OutputError",
    "ProviderError",
    "Response",
    "Result",
    "Runner",
    "SegueError",
    "Tool",
    "UsageError",
    "execute_tool_call",
    "function_to_schema",
    "guard",
    "handoff",
    "run",
    "run_full_turn",
    "run_sync",
    "stream",
    "tool",
]

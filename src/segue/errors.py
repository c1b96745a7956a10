"""What can go wrong, split by who must act.

SegueError
├── UsageError            you called it wrongly: mend the code
│   ├── ForkRefused       a fork would leave effects behind that it could repeat
│   ├── KeyReused         the same key with another input
│   ├── NoOutput          the run has no output to give
│   └── RequestDiffers    a replayed request is not the recorded one
├── ProviderError         the model's side failed: retry, or look at its status page
│   ├── ProviderTimeout   nothing came in time
│   ├── RateLimited       too many requests; `retry_after` seconds
│   ├── ProviderRefused   key, model or request was not accepted
│   ├── ContextTooLong    the conversation does not fit the model
│   ├── BadReply          the reply was broken or empty
│   ├── ReplyCut          the text was cut by a length limit or a content filter
│   └── ModelRefused      the model declined to answer
├── JournalError          the store refused
│   ├── JournalConflict   another writer was there first
│   ├── JournalDamaged    what is stored cannot be read
│   ├── JournalFull       no room is left on its disk
│   └── JournalNewer      written by a newer version of Segue
├── ConversationBusy      another run holds the conversation
├── ApprovalError         a decision that cannot be taken
├── ToolError             a tool was called directly and did not do it
│   └── ArgumentsRefused  the arguments do not fit the tool
├── GuardTripped          a guard said no
├── OutputError           the reply did not fit the output type
├── LimitReached          a limit ended the run; it can be resumed
├── RunCancelled          the run was cancelled
├── ConversationParked    the conversation waits for its code to be mended
├── CodeChanged           the team is not the one that began the run
└── IllegalEvent          our bug: please report it

Errors carry plain values and words that tell the mend. They hold no secrets and no provider bodies.
"""

from typing import Any


class SegueError(Exception):
    """Everything that Segue raises."""

    exit_code = 1
    http_status = 500
    conversation: str | None = None
    """The id of the conversation in which it happened, where there is one: the next `run` on it works."""

    def __init__(self, message: str = "", **values: Any) -> None:
        super().__init__(message)
        self.__dict__.update(values)


class UsageError(SegueError):
    """Segue was called wrongly: the calling code must change."""

    exit_code = 2
    http_status = 400


class ForkRefused(UsageError):
    """Calls that may have changed the world lie beyond the place of a fork, which could make them again; `calls` are their places."""

    http_status = 409
    calls: tuple[str, ...] = ()


class KeyReused(UsageError):
    """A run's `key=` was used before with another input."""

    http_status = 422


class NoOutput(UsageError):
    """The run has no output: it is waiting, limited, failed or cancelled."""

    exit_code = 1

    status: str = ""


class RequestDiffers(UsageError):
    """A replayed model was asked something else than what was recorded; `diff` says what, `place` counts from 1."""

    place: int = 0
    diff: str = ""


class ProviderError(SegueError):
    """The model's side failed."""

    http_status = 502
    provider: str = ""
    status: int | None = None
    """The HTTP status of the answer, where there was one."""
    retryable = False


class ProviderTimeout(ProviderError):
    """The provider did not answer, or a stream fell silent, within the limit."""

    http_status = 504
    retryable = True


class RateLimited(ProviderError):
    """The provider takes no more requests for now."""

    http_status = 429
    retryable = True
    retry_after: float | None = None
    """Seconds to wait, as the provider asked; `None` if it did not say."""


class ProviderRefused(ProviderError):
    """The provider did not accept the request: key, model name or parameters."""


class ContextTooLong(ProviderError):
    """The conversation does not fit the model's context window."""


class BadReply(ProviderError):
    """The reply was broken, unfinished or empty. Nothing of it was acted on."""

    retryable = True


class ReplyCut(ProviderError):
    """The text was cut by a length limit or a content filter; it is not a complete answer."""

    finish: str = ""
    text: str = ""


class ModelRefused(ProviderError):
    """The model declined to answer."""

    refusal: str = ""


class JournalError(SegueError):
    """The store refused: two drivers, a full disk or a damaged journal."""


class JournalConflict(JournalError):
    """Another writer has appended at this place."""

    http_status = 409


class JournalDamaged(JournalError):
    """What is stored cannot be read."""


class JournalFull(JournalError):
    """No room is left where the journal is kept. What was appended before is safe; make room and go on."""

    http_status = 507


class JournalNewer(JournalError):
    """The conversation was written by a newer version of Segue; use that version to go on with it."""


class ConversationBusy(SegueError):
    """Another run holds the conversation."""

    http_status = 409
    waiting_for: tuple[Any, ...] = ()
    """What the other run waits for, if it waits for a person."""


class ApprovalError(SegueError):
    """The decision cannot be taken; `reason` is "unknown", "changed", "expired", "decided" or "consumed"."""

    http_status = 409
    reason: str = ""
    approval: str = ""


class ToolError(SegueError):
    """A tool that was called directly did not do it."""


class ArgumentsRefused(ToolError):
    """The arguments do not fit the tool; it was not called.

    `fields` holds (path, words) pairs: where in the arguments, and what is wrong there.
    """

    fields: tuple[tuple[str, str], ...] = ()


class GuardTripped(SegueError):
    """A guard said no; `reason` is what it said."""

    http_status = 422
    guard: str = ""
    reason: str = ""


class OutputError(SegueError):
    """The model's replies did not fit the output type, each time it was asked."""

    http_status = 502


class LimitReached(SegueError):
    """A limit ended the run, with all work kept. `resume` gives a new allowance."""

    http_status = 429
    limit: str = ""


class RunCancelled(SegueError):
    """The run was cancelled; the conversation is whole and can go on."""

    http_status = 499


class ConversationParked(SegueError):
    """The conversation cannot go on under this code; `reason` says what is missing."""

    http_status = 409
    reason: str = ""


class CodeChanged(SegueError):
    """The team is not as it was when the conversation was driven last, and the Runner refuses to go on; `changes` says how it differs."""

    http_status = 409
    changes: tuple[str, ...] = ()


class IllegalEvent(SegueError):
    """The machine was given an event that it cannot accept. This is a bug in Segue: please report it."""

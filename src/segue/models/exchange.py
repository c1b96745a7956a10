"""One request and its answer, whatever carries them: the seam between carriers and what is under them.
Here stand also the words for a connection that failed, so that every carrier says the same."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from urllib.parse import urlsplit

from segue.errors import ProviderError, ProviderTimeout
from segue.wire.errors import public_url

OPENAI_URL = "https://api.openai.com/v1"


class Answer(Protocol):
    """An answer whose body is still to come."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, with lower-case names."""
        ...

    async def read(self) -> bytes:
        """What has come of the body since, waiting for some; empty at its end. Raises `ProviderError`."""
        ...

    async def close(self) -> None:
        """Let go of the answer; what was not read of it breaks off."""
        ...


class Exchange(Protocol):
    """Sends a request's bytes."""

    @property
    def host(self) -> str:
        """Where to."""
        ...

    def url(self, path: str) -> str:
        """Where a request for this path goes; empty if only the client knows."""
        ...

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Entered before a request and left after its answer; waiting here is not waiting for the provider."""
        ...

    async def send(self, path: str, body: bytes, *, stream: bool) -> Answer:
        """Send the body and give the answer, once its headers are there. Raises `ProviderError`."""
        ...

    async def aclose(self) -> None:
        """Close what is open and not used by others."""
        ...


def on_this_machine(host: str) -> bool:
    """Whether a host is the machine that we run on."""
    return host in ("localhost", "::1", "0.0.0.0") or host.startswith("127.") or host.endswith(".localhost")  # noqa: S104


def connection_failed(provider: str, what: str, error: BaseException, url: str = "") -> ProviderError:
    """A connection that did not come about or broke: worth another try."""
    place = public_url(url)
    mend = "Try again, or look at the base URL."
    if what == "failed" and on_this_machine(urlsplit(place).hostname or ""):
        mend = "Is it running? Start it, or look at the base URL."
    at = f", at {place}" if place else ""
    words = f"The connection to {provider} {what} ({type(error).__name__}{at}). {mend}"
    failed = ProviderError(words, provider=provider)
    failed.retryable = True
    return failed


def too_slow(provider: str, what: str, seconds: float | None, url: str = "") -> ProviderTimeout:
    """A provider that kept us waiting beyond the limit."""
    limit = "in time" if seconds is None else f"for {seconds:g} seconds"
    place = public_url(url)
    at = f" (at {place})" if place else ""
    return ProviderTimeout(f"{provider} {what} {limit}{at}. Try again, or raise the limit.", provider=provider)

"""Requests over aiohttp: with `pool`, the one place of the models that opens sockets.
It is imported on first use, for aiohttp is slow to import."""

import io
from collections.abc import Mapping
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from segue.errors import ProviderError, ProviderRefused, UsageError
from segue.models.exchange import connection_failed, on_this_machine
from segue.models.pool import Connections, connections
from segue.wire.errors import public_url

_LARGE = 1 << 20
"""From here on aiohttp wants bytes in a file."""


class HttpExchange:
    """Sends to one base URL."""

    def __init__(self, base_url: str, headers: Mapping[str, str], provider: str) -> None:
        try:
            self._base = URL(base_url.rstrip("/"))
        except ValueError as error:
            raise UsageError("The base URL is not a URL. It looks like https://api.example.com/v1.") from error
        if self._base.scheme not in ("http", "https") or not self._base.host:
            raise UsageError("The base URL must begin with http:// or https:// and name a host.")
        self.host: str = self._base.host
        self._provider = provider
        self._headers = {"Content-Type": "application/json", "User-Agent": "segue"} | dict(headers)
        self._proxy = _proxy_for(self._base)
        self._urls: dict[str, URL] = {}

    async def send(self, path: str, body: bytes, *, stream: bool) -> "HttpAnswer":
        """Send the body and give the answer."""
        url = self._urls.get(path) or self._urls.setdefault(path, self._base.joinpath(path))
        try:
            response = await connections().session.post(
                url,
                data=io.BytesIO(body) if len(body) >= _LARGE else body,
                headers=self._headers,
                proxy=self._proxy,
                allow_redirects=False,  # a redirect would carry the key elsewhere
            )
        except TimeoutError:
            raise
        except (aiohttp.ClientError, OSError) as error:
            raise _meaning(self._provider, error, str(url)) from error
        return HttpAnswer(response, self._provider)

    def url(self, path: str) -> str:
        """Where a request for this path goes."""
        return str(self._base.joinpath(path))

    def turn(self) -> Connections:
        """The loop's connections; entering them waits until one is free."""
        return connections()

    async def aclose(self) -> None:
        """Close this loop's connections, if no other carrier is using them."""
        await connections().close_if_idle()


class HttpAnswer:
    """An answer over aiohttp."""

    def __init__(self, response: aiohttp.ClientResponse, provider: str) -> None:
        self._response = response
        self._provider = provider
        self.status = response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, by lower-case names."""
        return {name.lower(): value for name, value in self._response.headers.items()}

    async def read(self) -> bytes:
        """What has come since."""
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise connection_failed(self._provider, "broke in the middle of a reply", error, str(self._response.url)) from error

    async def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


def _meaning(provider: str, error: Exception, url: str) -> ProviderError:
    if isinstance(error, aiohttp.ClientSSLError):
        words = f"There is no secure connection to {provider} (at {public_url(url)}). Look at the base URL and at the CA certificates."
        return ProviderRefused(words, provider=provider)
    return connection_failed(provider, "failed", error, url)


def _proxy_for(url: URL) -> str | None:
    """The proxy that the environment names for this URL; never for this machine itself."""
    host = url.host or ""
    if on_this_machine(host) or proxy_bypass(host):
        return None
    return getproxies().get(url.scheme)

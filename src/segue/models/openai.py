"""OpenAI and everyone who speaks like it: which base URL, which key, which wire format, which client.
Keys stay out of what is shown: not in `repr`, errors or logs."""

import os
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from segue.core.messages import Reply
from segue.errors import UsageError
from segue.model import Delta, ModelRequest, Restarted
from segue.models.carrier import Clock, Courier, Decoder
from segue.models.exchange import OPENAI_URL, Exchange
from segue.wire import openai_chat, openai_responses
from segue.wire.chat_assembly import DIALECT as CHAT
from segue.wire.responses_items import DIALECT as RESPONSES


class _OpenAI(ABC):
    """What both wire formats have in common."""

    path = ""

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float | None = 60,
        max_retries: int = 2,
        client: Any = None,
        provider: str = "openai",
        headers: Mapping[str, str] | None = None,
        _clock: Clock | None = None,
    ) -> None:
        if not model or not isinstance(model, str):
            raise UsageError("A model needs a name, as in OpenAIChat('gpt-5-mini').")
        if client is not None and (base_url is not None or api_key is not None or headers):
            raise UsageError("client= brings its own base URL, key and headers. Leave out base_url=, api_key= and headers=.")
        self.name = model
        self.provider = provider
        self._base_url = base_url
        self._api_key = api_key
        self._headers = dict(headers or {})
        self._timeout = timeout
        self._max_retries = max_retries
        self._client = client
        self._clock = _clock or Clock()
        self._exchange: Exchange | None = None

    def __repr__(self) -> str:
        over = f", client={type(self._client).__name__}" if self._client is not None else ""
        return f"{type(self).__name__}({self.name!r}, provider={self.provider!r}{over})"

    def reply(self, request: ModelRequest) -> AsyncGenerator[Delta | Restarted | Reply]:
        """Yield deltas where `request.stream` is set, and at the end exactly one `Reply`."""
        exchange = self._exchange or self._connect()
        return Courier(self, exchange, self.provider, self._timeout, self._max_retries, self._clock).reply(request)

    async def aclose(self) -> None:
        """Close this event loop's connections, if no other model is using them. Without it they close with the loop."""
        if self._exchange is not None:
            await self._exchange.aclose()

    @abstractmethod
    def encode(self, request: ModelRequest) -> bytes:
        """The request's body."""

    @abstractmethod
    def decode(self, body: bytes) -> Reply:
        """The reply in a whole body."""

    @abstractmethod
    def decoder(self) -> Decoder:
        """What puts one streamed reply together."""

    def _connect(self) -> Exchange:
        if self._client is not None:
            from segue.models.clients import exchange_for

            self._exchange = exchange_for(self._client, self.provider, self._timeout)
            return self._exchange
        from segue.models.http import HttpExchange  # here, because aiohttp takes long to import

        from_environment = os.environ.get("OPENAI_BASE_URL")
        base_url = self._base_url or from_environment or OPENAI_URL
        key = self._api_key
        if key is None and base_url in (from_environment, OPENAI_URL):
            key = os.environ.get("OPENAI_API_KEY")  # goes to OpenAI, or where the environment itself points to; to nobody else
        if key is None and base_url == OPENAI_URL:
            raise UsageError("There is no API key. Set OPENAI_API_KEY, or give api_key=.")
        if key and not key.isascii():
            raise UsageError("The API key holds characters that no key has. Look at how it was copied.")
        headers = {"Authorization": f"Bearer {key.strip()}"} if key else {}
        self._exchange = HttpExchange(base_url, headers | self._headers, self.provider)
        return self._exchange

    @property
    def _host(self) -> str:
        return (self._exchange or self._connect()).host


class OpenAIChat(_OpenAI):
    """A model behind Chat Completions: OpenAI's, and of everyone who offers the same at another `base_url`.

    `timeout` is for a whole reply, and for the beginning of a streamed one. `max_retries=2` makes three attempts. A key of
    the environment goes to OpenAI or to `OPENAI_BASE_URL`, and to no other `base_url`. `client` is an `AsyncOpenAI`, or any
    object with `chat.completions.create`.
    """

    path = "chat/completions"
    _form: openai_chat.Form | None = None

    def encode(self, request: ModelRequest) -> bytes:
        """The request's body."""
        if self._form is None:
            self._form = _form_for(self._host, self.provider)
        return openai_chat.encode_request(request, self.name, self._form)

    def decode(self, body: bytes) -> Reply:
        """The reply in a whole body."""
        return openai_chat.decode_reply(body, provider=self.provider, dialect=_dialect(CHAT, self.provider))

    def decoder(self) -> Decoder:
        """What puts one streamed reply together."""
        return openai_chat.StreamDecoder(provider=self.provider, dialect=_dialect(CHAT, self.provider))


class OpenAIResponses(_OpenAI):
    """A model behind the Responses API. Nothing is kept on the provider's side: each call sends what it needs.

    The arguments are those of `OpenAIChat`; of a `client`, `responses.create` is used.
    """

    path = "responses"

    def encode(self, request: ModelRequest) -> bytes:
        """The request's body."""
        return openai_responses.encode_request(request, self.name, dialect=_dialect(RESPONSES, self.provider))

    def decode(self, body: bytes) -> Reply:
        """The reply in a whole body."""
        return openai_responses.decode_reply(body, provider=self.provider, dialect=_dialect(RESPONSES, self.provider))

    def decoder(self) -> Decoder:
        """What puts one streamed reply together."""
        return openai_responses.StreamDecoder(provider=self.provider, dialect=_dialect(RESPONSES, self.provider))


def _dialect(dialect: str, provider: str) -> str:
    """Unknown message fields go back to the provider they came from: another one would refuse them."""
    return dialect if provider == "openai" else f"{dialect}/{provider}"


def _form_for(host: str, provider: str) -> openai_chat.Form:
    dialect = _dialect(CHAT, provider)
    if host == "api.openai.com" or host.endswith(".azure.com"):
        return openai_chat.Form(dialect=dialect)
    if host.endswith("mistral.ai"):
        return openai_chat.Form(ids="nine", stream_usage=False, max_tokens="max_tokens", seed="random_seed", dialect=dialect)
    return openai_chat.Form(max_tokens="max_tokens", parallel=True if provider == "llama-cpp" else None, dialect=dialect)

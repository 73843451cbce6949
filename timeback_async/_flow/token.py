"""Keep one valid token per scope, however many callers want it at once.

A token is fetched once for all who wait, renewed in the background before it ends, and thrown
away only when the server rejected the very one we hold. The fetch is a task of its own, so that
a cancelled caller cancels nobody else's.

Source: RFC 6749 sections 2.3.1 (client credentials in a header or the form), 4.4 and 5.
"""

import asyncio
import copy
import logging
import re
from base64 import b64encode
from urllib.parse import quote_plus, urlencode
from uuid import uuid4

import msgspec

from .._config import Config
from .._retry import RetryPolicy
from .._tasks import to_its_end
from .._transport.base import Transport
from .._wire.http import NOT_JSON
from .._wire.status import api_error
from ..errors import (
    ApiError,
    AuthError,
    ProtocolError,
    SessionError,
    TimebackError,
    TransportError,
)

__all__ = ["Token", "TokenStore"]

log = logging.getLogger("timeback_async.token")

DEFAULT_LIFE = 300.0
# A shorter life is not believed before a 401 shows it: renewals stay under two a minute.
MIN_LIFE = 40.0
# Seconds, and share of the token's life, before its end: the smaller of the two counts.
ADVISORY = (300.0, 0.20)
MANDATORY = (60.0, 0.05)
FETCH_POLICY = RetryPolicy(attempts=5, initial=1.0, ceiling=30.0)
# Refused credentials are refused for every scope, a scope only for itself.
ANY_SCOPE = ""
HINTS = {
    "invalid_client": "check client_id, client_secret and token_auth",
    "invalid_scope": "the scope is not granted: an app in draft gets no roster scopes",
    "unauthorized_client": "the app may not use the client credentials grant",
}


class Token(msgspec.Struct, eq=False):
    """One access token. Instants are in seconds on the loop's clock.

    Attributes:
        authorization: The ready header value.
        granted: The scopes granted, where the server said so; else "".
        renew_at: From here on it is renewed in the background while callers go on.
        stale_at: From here on callers wait for the next one.
        proven: Whether the server has accepted it at least once.
    """

    authorization: str
    granted: str
    renew_at: float
    stale_at: float
    proven: bool = False

    def __repr__(self) -> str:
        return f"Token(granted={self.granted!r}, …)"


class _Grant(msgspec.Struct):
    access_token: str
    expires_in: float | str | None = None
    scope: str | None = None


_printable = re.compile(r"[!-~]+").fullmatch
_decode_grant = msgspec.json.Decoder(_Grant).decode


class TokenStore:
    """The tokens of one session.

    Attributes:
        requests: Token requests sent so far.
        has_served: Whether there has been a token yet: its endpoint is the right one.
    """

    def __init__(self, config: Config, transport: Transport) -> None:
        self._config = config
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._only_key = " ".join(config.scopes or ())  # one token serves everything
        self._tokens: dict[str, Token] = {}
        self._fetches: dict[str, asyncio.Task[Token]] = {}
        self._refused: dict[str, AuthError] = {}
        self._quiet_until: dict[str, float] = {}
        self.requests = 0
        self.has_served = False

    def current(self, scope: str, now: float) -> Token | None:
        """Return the token for `scope`, renewing it in the background when that is due.

        None when callers have to wait for the next one.
        """
        key = self._only_key or scope
        token = self._tokens.get(key)
        if token is None or now >= token.stale_at:
            return None
        is_due = now >= token.renew_at and now >= self._quiet_until.get(key, now)
        if is_due and self._refusal(key) is None:
            self._fetch(key)
        return token

    async def get(self, scope: str) -> Token:
        """Return a token that is good for `scope`.

        Raises:
            AuthError: The credentials or the scope are refused, which is final for this session;
                or no token was to be had in five attempts.
            ConnectError: There is no secure connection to the token endpoint.
        """
        token = self.current(scope, self._loop.time())
        if token is not None:
            return token
        key = self._only_key or scope
        refusal = self._refusal(key)
        if refusal is not None:
            raise AuthError(*refusal.args)
        fetch = self._fetch(key)
        try:
            return await asyncio.shield(fetch)
        except TimebackError as error:  # a copy for each caller: they all see the same one here
            raise copy.copy(error) from error.__cause__
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or not task.cancelling():  # not we were cancelled, the fetch was
                raise SessionError("the session was closed while it waited for a token") from None
            raise

    def discard(self, scope: str, rejected: Token) -> None:
        """Forget a token that the server rejected, unless it has been replaced already."""
        key = self._only_key or scope
        if self._tokens.get(key) is rejected:
            del self._tokens[key]

    async def aclose(self) -> None:
        """Cancel the fetches under way and wait for their end."""
        fetches = list(self._fetches.values())
        for fetch in fetches:
            fetch.cancel()
        if fetches:  # anyio takes 20 ms to begin, which most sessions need not wait for
            await to_its_end(*fetches)

    def _refusal(self, key: str) -> AuthError | None:
        return self._refused.get(key) or self._refused.get(ANY_SCOPE)

    def _fetch(self, key: str) -> asyncio.Task[Token]:
        """Return the fetch under way for a key, or begin one."""
        fetch = self._fetches.get(key)
        if fetch is None:
            fetch = self._fetches[key] = self._loop.create_task(self._renew(key))
            fetch.add_done_callback(lambda done: self._settle(key, done))
        return fetch

    def _settle(self, key: str, fetch: asyncio.Task[Token]) -> None:
        del self._fetches[key]
        if fetch.cancelled():
            return
        error = fetch.exception()
        if error is None:
            self._tokens[key] = fetch.result()
            self.has_served = True
            return
        log.warning("the token was not renewed: %s", error)
        self._quiet_until[key] = self._loop.time() + FETCH_POLICY.ceiling
        if isinstance(error, AuthError) and error.is_final:
            self._refused[key if error.code == "invalid_scope" else ANY_SCOPE] = error

    async def _renew(self, key: str) -> Token:
        attempts = min(FETCH_POLICY.attempts, self._config.retry.attempts)
        token = self._tokens.get(key)
        if token is not None and self._loop.time() < token.stale_at:
            attempts = 1  # nobody waits: the next one is tried after a while
        failures = 0
        while True:
            try:
                return await self._ask(key)
            except (TransportError, ApiError) as failure:
                failures += 1
                if isinstance(failure, TransportError) and not failure.retryable:
                    raise
                delay = FETCH_POLICY.pause(failure, failures) if failure.retryable else None
                if delay is None or failures == attempts:
                    raise _no_token(failure) from failure
            await asyncio.sleep(delay)

    async def _ask(self, key: str) -> Token:
        config = self._config
        form = {"grant_type": "client_credentials", "scope": key}
        pair = b64encode(f"{config.client_id}:{config.client_secret}".encode()).decode()
        # An error body may hold any form of what we sent.
        secrets = (config.client_secret, quote_plus(config.client_secret), pair)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Request-ID": str(uuid4()),
        }
        if config.token_auth == "basic":
            headers["Authorization"] = f"Basic {pair}"
        else:
            form |= {"client_id": config.client_id, "client_secret": config.client_secret}
        self.requests += 1
        sent_at = self._loop.time()
        response = await self._transport.send(
            "POST", config.token_endpoint, headers, urlencode(form).encode(), config.attempt_timeout
        )
        if not 200 <= response.status < 300:
            raise api_error(response, None, headers["X-Request-ID"], secrets)
        try:
            grant = _decode_grant(response.body)
        except NOT_JSON:
            raise ProtocolError("the token endpoint's answer is not a token") from None
        if not _printable(grant.access_token):  # it becomes part of a header
            raise ProtocolError("the token endpoint's answer is not a token")
        life = _life(grant.expires_in)
        return Token(
            authorization=f"Bearer {grant.access_token}",
            granted=grant.scope or "",
            renew_at=sent_at + life - min(ADVISORY[0], ADVISORY[1] * life),
            stale_at=sent_at + life - min(MANDATORY[0], MANDATORY[1] * life),
        )


def _life(expires_in: float | str | None) -> float:
    try:
        life = float(expires_in or 0)
    except ValueError:
        return DEFAULT_LIFE
    return max(MIN_LIFE, life) if 0 < life < 1e9 else DEFAULT_LIFE


def _no_token(failure: TransportError | ApiError) -> AuthError:
    if isinstance(failure, ApiError):
        hint = HINTS.get(failure.code, failure.detail or "the token endpoint refused the request")
        return AuthError(hint, failure.code, failure.status, failure.request_id)
    return AuthError(f"no token was to be had: {failure}")

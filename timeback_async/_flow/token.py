"""Keep one valid token per scope, shared by all callers.

One fetch serves all callers that wait. A token is renewed in the background before it expires. It
is dropped only when the server has rejected this very token. A fetch is a task of its own, so a
cancelled caller does not cancel it for the others.

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
# A shorter life counts as this one, so that there are at most two renewals a minute; a 401 drops
# a token that really expires earlier.
MIN_LIFE = 40.0
# How long before its end a token is renewed: seconds, or a share of its life if that is less.
ADVISORY = (300.0, 0.20)
MANDATORY = (60.0, 0.05)
FETCH_POLICY = RetryPolicy(attempts=5, initial=1.0, ceiling=30.0)
# Rejected credentials are rejected for every scope; a rejected scope concerns only itself.
ANY_SCOPE = ""
HINTS = {
    "invalid_client": "check client_id, client_secret and token_auth",
    "invalid_scope": "the scope is not granted: an app in draft gets no roster scopes",
    "unauthorized_client": "the app may not use the client credentials grant: change its setup",
}


class Token(msgspec.Struct, eq=False):
    """One access token. Instants are in seconds of the loop's clock.

    Attributes:
        authorization: The value of the Authorization header.
        granted: The scopes granted, or "" when the server did not name them.
        renew_at: When to renew it in the background, while callers still use it.
        stale_at: When callers stop using it, and wait for the next token.
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
        has_served: Whether there has been a token: then the endpoint is right.
    """

    def __init__(self, config: Config, transport: Transport) -> None:
        self._config = config
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._only_key = " ".join(config.scopes or ())  # one token serves every call
        self._tokens: dict[str, Token] = {}
        self._fetches: dict[str, asyncio.Task[Token]] = {}
        self._refused: dict[str, AuthError] = {}
        self._quiet_until: dict[str, float] = {}
        self.requests = 0
        self.has_served = False

    def current(self, scope: str, now: float) -> Token | None:
        """Return the token for `scope`, or None when callers have to wait for the next one.

        Starts the renewal in the background when it is due.
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
        """Return a token for `scope`.

        Raises:
            AuthError: The credentials or the scope were rejected, which is final for this session;
                or five attempts, or `retry.attempts` if that is less, failed to get a token.
            TransportError: A failure that is not `retryable`, such as TLS to the token endpoint.
            SessionError: The session was closed meanwhile.
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
        except TimebackError as error:  # every caller raises a copy of its own
            raise copy.copy(error) from error.__cause__
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or not task.cancelling():  # the fetch was cancelled
                raise SessionError("the session was closed while it waited for a token") from None
            raise

    def discard(self, scope: str, rejected: Token) -> None:
        """Drop a token that the server rejected, unless it has been replaced already."""
        key = self._only_key or scope
        if self._tokens.get(key) is rejected:
            del self._tokens[key]

    async def aclose(self) -> None:
        """Cancel all fetches and wait for their end."""
        fetches = list(self._fetches.values())
        for fetch in fetches:
            fetch.cancel()
        if fetches:  # most sessions skip this: the first use of anyio takes 20 ms
            await to_its_end(*fetches)

    def _refusal(self, key: str) -> AuthError | None:
        return self._refused.get(key) or self._refused.get(ANY_SCOPE)

    def _fetch(self, key: str) -> asyncio.Task[Token]:
        """Return the fetch that runs for a key, or start one."""
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
        log.warning("could not get a token: %s", error)
        self._quiet_until[key] = self._loop.time() + FETCH_POLICY.ceiling
        if isinstance(error, AuthError) and error.is_final:
            self._refused[key if error.code == "invalid_scope" else ANY_SCOPE] = error

    async def _renew(self, key: str) -> Token:
        attempts = min(FETCH_POLICY.attempts, self._config.retry.attempts)
        token = self._tokens.get(key)
        if token is not None and self._loop.time() < token.stale_at:
            attempts = 1  # no caller waits, and the next renewal comes soon
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
        # An error body may contain what we sent, in any of these forms.
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
            raise ProtocolError("the answer is not a token; check token_url") from None
        if not _printable(grant.access_token):  # it becomes part of a header
            raise ProtocolError("the answer is not a token; check token_url")
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
    return AuthError(f"could not get a token: {failure}")

"""Ask the token endpoint for one token, once, and read its answer.

Source: RFC 6749 sections 2.3.1 (client credentials in a header or the form), 4.4 and 5.
"""

import asyncio
import re
from base64 import b64encode
from math import inf
from urllib.parse import quote_plus, urlencode
from uuid import uuid4

import msgspec

from .._config import Config
from .._transport.base import Transport
from .._wire.http import NOT_JSON, decoded_json
from .._wire.status import api_error
from ..errors import ApiError, AuthError, ProtocolError

__all__ = ["Token", "TokenEndpoint"]

DEFAULT_LIFE = 300.0
# A shorter life counts as this one, so that there are at most two renewals a minute; a 401 drops
# a token that really expires earlier.
MIN_LIFE = 40.0
# A token whose answer took longer than its life is used for so long, or nobody could ever use it.
LEAST_USE = 1.0
# How long before its end a token is renewed: seconds, or a share of its life if that is less.
ADVISORY = (300.0, 0.20)
MANDATORY = (60.0, 0.05)
# What RFC 6749 section 5.2 calls an error of the client. Every other answer may change by itself.
REFUSALS = {
    "invalid_client": "credentials rejected: check client_id, client_secret and token_auth",
    "invalid_scope": "the scope is not granted: an app in draft gets no roster scopes",
    "unauthorized_client": "the app may not use the client credentials grant: change its setup",
    "unsupported_grant_type": "the token endpoint does not know the client credentials grant",
    "invalid_request": "the token endpoint does not accept the request: check token_auth",
    "invalid_grant": "credentials rejected: check client_id and client_secret",
}


class Token(msgspec.Struct, eq=False):
    """One access token. Instants are in seconds of the loop's clock.

    Attributes:
        authorization: The value of the Authorization header.
        granted: The scopes granted, or "" when the server did not name them.
        asked_at: When it was requested.
        renew_at: When to renew it in the background, while callers still use it.
        stale_at: When callers stop using it, and wait for the next token.
        proven_at: When the server first accepted it; `inf` before.
        refused_since: When the server first rejected it, before it accepted it; `inf` before.
        try_at: When it may be tried again after that.
        is_refused: Whether it was rejected for so long that it counts as refused.
    """

    authorization: str
    granted: str
    asked_at: float
    renew_at: float
    stale_at: float
    proven_at: float = inf
    refused_since: float = inf
    try_at: float = -inf
    is_refused: bool = False

    @property
    def is_proven(self) -> bool:
        """Whether the server has accepted it at least once."""
        return self.proven_at != inf

    def __repr__(self) -> str:
        return f"Token(granted={self.granted!r}, …)"


class TokenEndpoint:
    """Sends single token requests.

    Attributes:
        requests: Token requests sent so far.
    """

    def __init__(self, config: Config, transport: Transport) -> None:
        self._config, self._transport = config, transport
        self._loop = asyncio.get_running_loop()
        self.requests = 0

    async def ask(self, scope: str) -> Token:
        """Return a token for `scope`, which may be several with spaces between them.

        Raises:
            AuthError: The endpoint refused the client or the scope; it is not `retryable`.
            ApiError: It answered with another error status.
            TransportError: There was no answer, or no token in it.
        """
        config = self._config
        form = {"grant_type": "client_credentials", "scope": scope}
        pair = b64encode(f"{config.client_id}:{config.client_secret}".encode()).decode()
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
            # An error body may contain what we sent, in any of these forms.
            secrets = (config.client_secret, quote_plus(config.client_secret), pair)
            error = api_error(response, None, headers["X-Request-ID"], secrets)
            raise _refusal(error, response.body) or error
        return _token(response.body, sent_at, self._loop.time())


def _refusal(error: ApiError, body: bytes) -> AuthError | None:
    """Return the AuthError for an answer that refuses the client or the scope, else None.

    A 401 is a refusal with any JSON in it: to repeat wrong credentials may lock them. An HTML page
    comes from something between us and the endpoint.
    """
    is_coded = error.status == 400 and error.code in REFUSALS
    if not is_coded and not (error.status == 401 and _is_object(body)):
        return None
    reason = REFUSALS.get(error.code) or REFUSALS["invalid_client"]
    if error.detail and error.code not in REFUSALS:  # not the words of a token endpoint
        reason = f"{error.detail}; check base_url and token_url, then client_id and client_secret"
    refusal = AuthError(reason, error.code, error.status, error.request_id)
    refusal.__cause__ = error
    return refusal


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(decoded_json(body), dict)
    except NOT_JSON:
        return False


_printable = re.compile(r"[!-~]+").fullmatch


def _token(body: bytes, sent_at: float, now: float) -> Token:
    """Return the token in an answer. Only `access_token` decides whether there is one."""
    try:
        grant = decoded_json(body)
    except NOT_JSON:
        grant = None
    text = grant.get("access_token") if isinstance(grant, dict) else None
    if not isinstance(text, str) or not _printable(text):  # it becomes part of a header
        raise ProtocolError("the answer is not a token; check token_url")
    life, scope = _life(grant.get("expires_in")), grant.get("scope")
    if isinstance(scope, list):
        scope = " ".join(each for each in scope if isinstance(each, str))
    return Token(
        authorization=f"Bearer {text}",
        granted=scope if isinstance(scope, str) else "",
        asked_at=sent_at,
        renew_at=sent_at + life - min(ADVISORY[0], ADVISORY[1] * life),
        stale_at=max(sent_at + life - min(MANDATORY[0], MANDATORY[1] * life), now + LEAST_USE),
    )


def _life(expires_in: object) -> float:
    """Return the life in seconds; the default where the answer does not say one."""
    if isinstance(expires_in, bool) or not isinstance(expires_in, str | int | float):
        return DEFAULT_LIFE
    try:
        life = float(expires_in)
    except (ValueError, OverflowError):
        return DEFAULT_LIFE
    return max(MIN_LIFE, life) if 0 < life < 1e9 else DEFAULT_LIFE

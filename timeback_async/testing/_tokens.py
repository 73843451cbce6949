"""The tokens of the mock server: who gets one, for what, and until when. No HTTP library."""

import json
from base64 import b64decode
from collections.abc import Collection

from ._answers import Answer, Refusal, oauth_error

__all__ = ["Tokens", "token_refusal"]


class Tokens:
    """Issues, checks and revokes tokens. Instants are passed in, in seconds.

    Attributes:
        valid: The instants at which each token begins and ends, and its scopes.
    """

    def __init__(self) -> None:
        self.valid: dict[str, tuple[float, float, frozenset[str]]] = {}

    def issue(
        self, token: str, scope: str, lifetime: float, now: float, delay: float = 0.0
    ) -> Answer:
        """Make a token valid for some seconds and return the answer that holds it.

        Args:
            token: The token.
            scope: Its scopes, separated by spaces.
            lifetime: For how many seconds from now it is valid.
            now: The present instant.
            delay: After how many seconds it is valid.

        Source: RFC 6749 section 5.1.
        """
        scopes = frozenset(scope.split())
        self.valid[token] = (now + delay, now + lifetime, scopes)
        body = {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": int(lifetime) if lifetime == int(lifetime) else lifetime,
            "scope": " ".join(sorted(scopes)),
        }
        return Answer(200, json.dumps(body).encode())

    def check(self, authorization: str, scope: str, now: float) -> None:
        """Do nothing for a token that is valid for the scope.

        Raises:
            Refusal: 401 for a token that is missing or no longer valid, 403 for one without the
                scope.
        """
        scheme, _, token = authorization.partition(" ")
        begins, ends, scopes = self.valid.get(token, (0.0, 0.0, frozenset[str]()))
        if scheme.lower() != "bearer" or not begins <= now < ends:
            raise Refusal(401, "the token is missing or no longer valid")
        if scope not in scopes:
            raise Refusal(403, "the token lacks the scope")


def token_refusal(
    form: dict[str, str], authorization: str, client: tuple[str, str], scopes: Collection[str]
) -> Answer | None:
    """Return the error for a token request, or None where a token is to be issued.

    Args:
        form: The fields of the request's body.
        authorization: The header of that name, or "".
        client: The id and the secret that are accepted.
        scopes: The scopes that the client may ask for.

    Source: RFC 6749 section 5.2.
    """
    if form.get("grant_type") != "client_credentials":
        return oauth_error(400, "unsupported_grant_type")
    if _credentials(form, authorization) != client:
        return oauth_error(401, "invalid_client")
    asked = set(form.get("scope", "").split())
    if not asked or not asked <= set(scopes):
        return oauth_error(400, "invalid_scope")
    return None


def _credentials(form: dict[str, str], authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            client_id, _, secret = b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            return "", ""
        return client_id, secret
    return form.get("client_id", ""), form.get("client_secret", "")

"""Keep one good token per scope, shared by all callers.

One fetch serves all callers that wait. A token is renewed in the background before it expires.
Until the server has accepted the new one, the old one is kept beside it: a server may need some
seconds before it accepts what it has just issued. Nothing that the token endpoint answers is final
for the life of a session.

Source: RFC 7519 section 4.1.4 and 4.1.5 (clocks that differ); RFC 6749 section 5.2 (errors).
"""

import asyncio
import copy
import logging
from math import inf
from operator import itemgetter

from .._config import Config
from .._frames import without_frames
from .._retry import RetryPolicy
from .._tasks import to_its_end
from .._transport.base import Transport
from ..errors import ApiError, AuthError, ConnectError, SessionError, TimebackError, TransportError
from .grant import Token, TokenEndpoint

__all__ = ["FIRST_TRIAL", "TokenStore", "copied"]

log = logging.getLogger("timeback_async.token")

FETCH_POLICY = RetryPolicy(attempts=5, initial=1.0, ceiling=30.0)
# A new token that is rejected is tried again after 0.25 s, 0.5 s and so on, for so many seconds.
TRIAL, FIRST_TRIAL = 5.0, 0.25
# A refusal of the client is remembered for so many seconds: keys get exchanged, and scopes granted.
REFUSED_FOR = 180.0
# After a fetch that failed, the next one begins so many seconds later, or when the endpoint says. A
# single call does not wait for longer than `SHORT_WAIT`: it gets the failure.
FETCH_PAUSE, SHORT_WAIT = 1.0, 5.0
# Rejected credentials are rejected for every scope; a rejected scope concerns only itself.
ANY_SCOPE = ""

Waiter = asyncio.Future[Exception | None]


class _Held:
    """The tokens of one scope, and who waits for one.

    Attributes:
        newest: The token that was fetched last, unless it was rejected; else None.
        older: A token that the server has accepted, while it has not accepted `newest` yet.
        fetch: The fetch that is running, or None.
        failure: Why the last token request failed; None after one that did not.
        failing_since: Since when fetches fail; None while they do not.
        ask_at: When the next fetch may begin.
        quiet_until: When the next renewal in the background may begin, after one that failed.
        refusal: How the client or the scope was refused, and until when that is believed.
        waiters: Futures of the callers who wait, resolved when it is worth to look again.
        timer: Wakes them when a rejected new token is to be tried again.
    """

    older: Token | None = None
    fetch: asyncio.Task[Token] | None = None
    failure: Exception | None = None
    failing_since: float | None = None
    ask_at = quiet_until = -inf
    refusal: tuple[AuthError, float] | None = None
    timer: asyncio.TimerHandle | None = None

    def __init__(self) -> None:
        self.newest: Token | None = None
        self.waiters: list[Waiter] = []

    @property
    def is_wanted(self) -> bool:
        """Whether a caller waits for a token now."""
        return any(not waiter.done() for waiter in self.waiters)

    def wake(self, error: Exception | None = None) -> None:
        """Resolve the future of every caller who waits, each with an error of its own."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(error and copied(error))


class TokenStore:
    """The tokens of one session.

    Attributes:
        has_served: Whether there has been a token: then the endpoint is right.
    """

    def __init__(self, config: Config, transport: Transport) -> None:
        self._endpoint = TokenEndpoint(config, transport)
        self._loop = asyncio.get_running_loop()
        self._most_attempts = min(FETCH_POLICY.attempts, config.retry.attempts)
        self._only_key = " ".join(config.scopes or ())  # one token serves every call
        self._patience = config.retry.patience
        self._held: dict[str, _Held] = {ANY_SCOPE: _Held()}
        self._is_closed = False
        self.has_served = False

    @property
    def requests(self) -> int:
        """Token requests sent so far."""
        return self._endpoint.requests

    def current(self, scope: str, now: float) -> Token | None:
        """Return the token to use for `scope` now, or None when callers have to wait.

        Starts the renewal in the background when it is due.
        """
        held = self._held.get(self._only_key or scope)
        if held is None or (token := held.newest) is None or now >= token.stale_at:
            return None
        if now >= token.renew_at and now >= held.quiet_until and held.fetch is None:
            self._renew(self._only_key or scope, held)
        return token if token.try_at == -inf else self._on_trial(held, token, now)

    def _on_trial(self, held: _Held, token: Token, now: float) -> Token | None:
        """Return a rejected new token when it is to be tried again, and else the older one."""
        if now >= token.try_at:
            return token
        return held.older if held.older is not None and now < held.older.stale_at else None

    def try_again(self, token: Token) -> None:
        """Record that a rejected new token is sent once more: others wait for what comes of it."""
        now = self._loop.time()
        passed = now - token.refused_since
        token.try_at = now + max(FIRST_TRIAL, min(passed + FIRST_TRIAL, TRIAL - passed))

    def join(self, scope: str, *, is_patient: bool = False) -> Waiter:
        """Return a future for a caller without a token, resolved when it is worth to look again.

        Its result is None, or the error when there is no token to be had. Only this caller waits
        for this future: cancelling it leaves the fetch and the other callers alone.

        Args:
            scope: The scope.
            is_patient: Whether to wait for the next fetch, however late it may begin.
        """
        key, now = self._only_key or scope, self._loop.time()
        waiter: Waiter = self._loop.create_future()
        held = self._held.setdefault(key, _Held())
        token = held.newest
        is_missing = token is None or now >= token.stale_at
        error: Exception | None = self._refusal(key, now)
        if self._is_closed:
            error = SessionError("the session is closed")
        elif is_missing and not held.fetch and not is_patient and held.ask_at > now + SHORT_WAIT:
            error = error or held.failure
        if error is not None:
            waiter.set_result(copied(error))
            return waiter
        held.waiters.append(waiter)
        if token is not None and not is_missing:
            self._wake_at(held, token.try_at)
        elif held.fetch is None and now < held.ask_at:
            self._wake_at(held, held.ask_at)
        elif held.fetch is None:
            self._renew(key, held)
        return waiter

    def _wake_at(self, held: _Held, when: float) -> None:
        if held.timer is None:
            held.timer = self._loop.call_at(when, held.wake)

    async def get(self, scope: str) -> Token:
        """Return a token for `scope`, as soon as there is one.

        Raises:
            AuthError: The credentials or the scope were refused less than three minutes ago; or
                five requests, or `retry.attempts` if that is less, failed to get a token.
            ConnectError: There was no connection to the token endpoint in as many attempts.
            TransportError: A failure that is not `retryable`, such as TLS to the token endpoint.
            SessionError: The session was closed meanwhile.
        """
        while (token := self.current(scope, self._loop.time())) is None:
            error = await self.join(scope)
            if error is not None:
                raise error from error.__cause__
        return token

    def last_failure(self, scope: str) -> Exception | None:
        """Return why the last token request for `scope` failed; None when it did not."""
        held = self._held.get(self._only_key or scope)
        return None if held is None or held.failure is None else copied(held.failure)

    def down(self) -> tuple[float, Exception] | None:
        """Return for how long callers have waited for a token in vain, at most, and its failure.

        None while nobody waits, or no fetch has failed.
        """
        now = self._loop.time()
        waits = (
            (now - held.failing_since, held.failure)
            for held in self._held.values()
            if held.is_wanted and held.failing_since is not None and held.failure is not None
        )
        return max(waits, key=itemgetter(0), default=None)

    def is_gone(self, scope: str) -> bool:
        """Return whether there is no token for longer than `retry.patience`, or never was one."""
        since = self._held[self._only_key or scope].failing_since
        is_short = since is None or self._loop.time() - since < self._patience
        return not (self.has_served and is_short)

    def prove(self, scope: str, token: Token) -> None:
        """Record that the server has accepted a token for the first time: it replaces the older."""
        token.proven_at, token.try_at = self._loop.time(), -inf
        held = self._held[self._only_key or scope]
        if held.newest is token:
            held.older = None
            held.wake()

    def reject(self, scope: str, token: Token, sent_at: float, *, is_first: bool) -> None:
        """Record that the server answered 401 to a token.

        The cases, in the order of the code:
        - the older of two: it has ended, perhaps since the newest was issued
        - another one has replaced it, or it was accepted after the request was sent: nothing
        - the server has accepted it before: it has ended or was revoked. But one call alone that is
          rejected again and again does not cost a new token each time.
        - the server has never accepted it: it is tried again, by one call at a time, and counts as
          refused after `TRIAL` seconds

        Args:
            scope: The scope of the request.
            token: The token that was sent.
            sent_at: When the request was sent.
            is_first: Whether it is the first time that this call was rejected with a token that the
                server accepts from others.
        """
        held, now = self._held[self._only_key or scope], self._loop.time()
        if token is held.older:
            held.older = None
        if token is not held.newest or sent_at < token.proven_at < inf:
            return
        if token.is_proven:
            if is_first or now >= token.asked_at + TRIAL:
                held.newest = None
        elif token.refused_since == inf:
            token.refused_since = now
            token.try_at = now + FIRST_TRIAL
        elif sent_at > token.refused_since + TRIAL - FIRST_TRIAL:
            token.is_refused = True
            held.newest, held.older = held.older, None
            held.quiet_until = now + FETCH_POLICY.ceiling
            held.wake()

    async def aclose(self) -> None:
        """Cancel all fetches and wait for their end."""
        self._is_closed = True
        fetches = [held.fetch for held in self._held.values() if held.fetch is not None]
        for fetch in fetches:
            fetch.cancel()
        for held in self._held.values():
            held.wake(SessionError("the session was closed while it waited for a token"))
        if fetches:  # most sessions skip this: the first use of anyio takes 20 ms
            await to_its_end(*fetches)

    def _refusal(self, key: str, now: float) -> AuthError | None:
        for held in (self._held[key], self._held[ANY_SCOPE]):
            if held.refusal is not None and now < held.refusal[1]:
                return held.refusal[0]
        return None

    # -- the fetch of one scope

    def _renew(self, key: str, held: _Held) -> None:
        if not self._is_closed and self._refusal(key, self._loop.time()) is None:
            held.fetch = self._loop.create_task(self._fetch(key, held))
            held.fetch.add_done_callback(lambda done: self._settle(key, held, done))

    async def _fetch(self, key: str, held: _Held) -> Token:
        """Return a token, after several requests if need be; after one if no caller waits."""
        failures = 0
        while True:
            try:
                return await self._endpoint.ask(key)
            except (TransportError, ApiError) as failure:
                failures += 1
                held.failure = without_frames(failure)
                if held.failing_since is None:
                    held.failing_since = self._loop.time()
                delay = FETCH_POLICY.pause(failure, failures)
                most = self._most_attempts if held.is_wanted else 1
                if isinstance(failure, TransportError) and not failure.retryable:
                    raise
                if delay is None or failures >= most:
                    raise _no_token(failure) from failure
            await asyncio.sleep(delay)

    def _settle(self, key: str, held: _Held, fetch: asyncio.Task[Token]) -> None:
        held.fetch = None
        if fetch.cancelled() and self._is_closed:
            return
        if fetch.cancelled():  # by a transport of the caller's own
            error: BaseException | None = AuthError("no token: cancelled", retryable=True)
        else:
            error = fetch.exception()
        if error is None:
            if held.newest is not None and held.newest.is_proven:
                held.older = held.newest
            held.newest, held.failure, self.has_served = fetch.result(), None, True
            held.failing_since = None
            held.wake()
            return
        assert isinstance(error, Exception)
        log.warning("could not get a token: %s", error)
        now, asked = self._loop.time(), getattr(error.__cause__, "retry_after", None) or 0.0
        if held.failing_since is None:
            held.failing_since = now
        held.ask_at = now + max(FETCH_PAUSE, min(asked, self._patience))
        held.quiet_until = now + FETCH_POLICY.ceiling
        held.failure = without_frames(error)
        if isinstance(error, AuthError) and not error.retryable:
            concerned = held if error.code == "invalid_scope" else self._held[ANY_SCOPE]
            concerned.refusal = error, now + REFUSED_FOR
        held.wake(error)


def _no_token(failure: TransportError | ApiError) -> TimebackError:
    if isinstance(failure, ConnectError):
        reason = f"no token: {failure}"
        return ConnectError(reason, failure.retryable, failure.unknown_host)
    if isinstance(failure, ApiError):
        reason = f"no token: {failure.detail or 'the token endpoint gave no reason'}"
        if failure.status < 500:
            reason += "; check token_url"
        return AuthError(reason, failure.code, failure.status, failure.request_id, True)
    return AuthError(f"no token: {failure}", retryable=True)


def copied(error: Exception) -> Exception:
    """Return a copy with the same cause, so that callers do not share one traceback.

    An exception of another kind, which a transport of the caller's own raised, is returned itself.
    """
    if not isinstance(error, TimebackError):
        return error
    same = copy.copy(error)
    same.__cause__ = error.__cause__
    return same

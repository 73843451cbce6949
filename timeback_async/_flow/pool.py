"""Send the requests of all callers of a session, attempt after attempt.

Single calls and bulk runs use the same pool. An attempt passes through token, window, transport,
status and retry. A call holds a slot while bytes move, and none while it waits between attempts.
The module is longer than most: one attempt with all its endings is one concept.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import inf

from .._config import Config
from .._frames import without_frames
from .._hooks import Attempt, Watched
from .._retry import is_throttle
from .._statistics import Histogram, Statistics, WindowMode
from .._transport.base import Transport
from .._wire.answer import answered_id
from .._wire.http import Response
from .._wire.status import api_error, query_values
from ..errors import (
    ApiError,
    AuthError,
    ConnectError,
    DeadlineError,
    ProtocolError,
    TransportError,
)
from .adaptive import AdaptiveWindow
from .admission import Admission
from .call import Call, OutOfTime
from .grant import Token
from .identity import Identities
from .retries import Retries, is_forgivable
from .token import TokenStore, copied
from .window import Window

__all__ = ["RequestPool"]

log = logging.getLogger("timeback_async.pool")

REASONS = {
    WindowMode.OPEN: "it grows with every answer",
    WindowMode.LIMITED: "it was cut below what was too much, and grows with time",
    WindowMode.DRY: "nothing comes through, one probe is sent at a time",
}
# An outage is over when requests come through this many seconds later: some end for one answer.
LOOK_AGAIN = 1.0


class RequestPool:
    """Sends the request of each call until it succeeds or fails for good.

    Args:
        config: Limits, timeouts and the retry policy.
        transport: Sends a request once.
        tokens: The tokens of the session.
        window: Limits the requests in flight; None for the window that `config` describes.
        watched: The hook that sees every attempt, and the results of the owners; or None.

    Attributes:
        tokens: The tokens of the session.
        watched: See above.
        latency: How long the answered attempts took.
        on_close: Functions that are called when the session is closed.
    """

    def __init__(
        self,
        config: Config,
        transport: Transport,
        tokens: TokenStore,
        window: Window | None = None,
        watched: Watched | None = None,
    ) -> None:
        self._config = config
        self._transport = transport
        self.tokens = tokens
        self.watched = watched
        self.latency = Histogram()
        self._attempts = self._repeated = 0
        self._loop = asyncio.get_running_loop()
        self._window = window or _window_of(config)
        self._admission = Admission(self._window)
        self._retries = Retries(config.retry, self._window, is_adaptive=config.adaptive)
        self._identities = Identities()
        self._failure: Exception | None = None  # the last one that was the server's
        self._failed_at = -inf
        self._outage: asyncio.TimerHandle | None = None  # looks whether it is over
        self._outage_since = -inf
        self._closing = asyncio.Event()
        self.on_close: set[Callable[[], None]] = set()
        self._prefix = os.urandom(6).hex()  # request ids of one session begin alike

    async def send(
        self, call: Call, pause: Callable[[float], Awaitable[None]] | None = None
    ) -> Response:
        """Return the 2xx answer to a call, after as many attempts as the policy allows.

        Args:
            call: The call. Its fields are updated after each step.
            pause: Waits the given seconds between two attempts; None to wait here.

        Raises:
            ApiError: The server answered with an error status, in the last attempt.
            AuthError: There was no way to get a token, or a fresh token was rejected.
            TransportError: The last attempt saw no usable answer, or there was no connection to the
                token endpoint.
            DeadlineError: The time of the call ran out. `__cause__` is the last failure.
            SessionError: The session was closed.
            Abandoned: The owner gave the call up.
        """
        request, admission = call.request, self._admission
        try:
            while True:
                now = self._loop.time()
                token = self.tokens.current(request.scope, now)
                if token is None or not admission.admit(now):
                    token, now = await self._token_and_slot(call), self._loop.time()
                if call.expires is None:
                    call.expires = now + call.allowed
                timeout = call.expires - now
                if timeout > self._config.attempt_timeout:
                    timeout = self._config.attempt_timeout  # `min` takes ten times as long
                was_unanswered = call.unanswered
                error: Exception | None
                try:
                    response = await self._transport.send(
                        request.method,
                        self._config.base_url + request.path,
                        self._begin(call, token, now),  # no variable: error trackers read them
                        request.body,
                        timeout,
                    )
                except TransportError as failure:
                    error = self._unanswered(call, failure, was_unanswered)
                except asyncio.CancelledError:
                    self._show(call, None)
                    raise
                else:
                    error = self._answered(call, token, response, was_unanswered)
                    if error is None:
                        return response
                finally:
                    admission.release()
                call.error = error
                delay = self._retries.delay(call, error)
                if delay is None:
                    raise error
                log.debug(
                    "%s failed with %s and is repeated", call.request_id, type(error).__name__
                )
                if delay:
                    await (pause or self._pause)(delay)
        except OutOfTime:
            cause = self._last_failure(call)
            last = f"; the last failure: {cause}" if cause else ""
            raise DeadlineError(f"no success within {call.allowed:g} s{last}") from cause

    def _last_failure(self, call: Call) -> Exception | None:
        """Return the last failure of a call, else of its token, else of the session lately."""
        if call.error is None and (failure := self.tokens.last_failure(call.request.scope)):
            return failure
        is_recent = self._loop.time() - self._failed_at <= self._config.retry.patience
        # A copy: it is the error of another call, whose frames it may get later.
        return call.error or (copied(self._failure) if is_recent and self._failure else None)

    def statistics(self) -> Statistics:
        """Return what the pool has done so far, and what it is doing now."""
        window, now = self._window, self._loop.time()
        down_for, failure = self.down_for(), self._failure
        if (waiting := self.tokens.down()) and waiting[0] >= down_for:
            down_for, failure = waiting
        return Statistics(
            in_flight=window.in_flight,
            waiting=self._admission.waiting,
            window=window.size(now),
            mode=window.mode,
            round_trip=window.round_trip,
            gate=max(0.0, window.gate - now),
            down_for=down_for,
            failure=failure if down_for else None,
            attempts=self._attempts,
            retries=self._repeated,
            throttled=self._retries.throttled,
            token_requests=self.tokens.requests,
            latency=self.latency.latency(),
        )

    def down_for(self) -> float:
        """Return for how many seconds nothing has come through; 0 while requests come through."""
        return max(0.0, self._loop.time() - self._window.dry_since)

    def close(self) -> None:
        """End the wait of every call, and refuse calls that come later."""
        self._closing.set()
        self._admission.close()
        if self._outage is not None:
            self._outage.cancel()
            self._look_again()
        for session_closed in list(self.on_close):
            session_closed()

    # -- one attempt

    def _show(self, call: Call, error: Exception | None) -> None:
        """Show the attempt that has ended to the hook, if there is one."""
        if self.watched is not None:
            attempt = Attempt(
                call.request.method,
                call.attempts,
                call.status if call.answered is not None else None,
                error,
                self._loop.time() - call.sent_at,
                call.sent_as,
                call.is_bulk,
            )
            self.watched.attempt(attempt)

    async def _token_and_slot(self, call: Call) -> Token:
        """Wait for a token, then for a slot; return the token, with the slot taken.

        The token first: who waits for one holds no slot that another call could use. A token that
        ended while its call stood in line is waited for once more, without the slot.

        Raises:
            AuthError: The token with which this call was rejected counts as refused now.
        """
        admission, scope, has_slot = self._admission, call.request.scope, False
        while (token := self.tokens.current(scope, now := self._loop.time())) is None or not (
            has_slot or admission.admit(now)
        ):
            if token is not None:
                await admission.wait(call)
                has_slot = True
                continue
            if has_slot:
                admission.release()
                has_slot = False
            if call.rejection is not None and call.rejection[0].is_refused:
                call.refused, call.error = True, call.rejection[1]
                raise call.error
            await self._wait_for_token(call)
        return token

    async def _wait_for_token(self, call: Call) -> None:
        """Wait until it is worth to look for a token again, or the call expires or is given up."""
        self._admission.check(call)
        scope = call.request.scope
        call.waiter = waiter = self.tokens.join(scope, is_patient=call.is_bulk)
        try:
            async with asyncio.timeout_at(call.expires):
                error = await waiter
        except TimeoutError:
            raise OutOfTime from None
        # A record waits for the next token, as it waits for the end of an outage.
        is_passing = call.is_bulk and getattr(error, "retryable", False)
        if error is not None and not (is_passing and not self.tokens.is_gone(scope)):
            raise error from error.__cause__

    def _begin(self, call: Call, token: Token, now: float) -> dict[str, str]:
        """Begin a new attempt, unless there is a reason against it; return its headers.

        Raises:
            Abandoned: The call was given up.
            SessionError: The session was closed.
            OutOfTime: The time of the call is over.
        """
        if call.abandoned or self._admission.is_closed:
            self._admission.check(call)
        if call.expires is not None and now >= call.expires:
            raise OutOfTime
        if token.try_at != -inf:
            self.tokens.try_again(token)
        if call.attempts:
            self._repeated += 1
        self._attempts += 1
        call.attempts += 1
        call.sent_at, call.unanswered = now, True
        call.sent_as, call.answered = f"{self._prefix}-{self._attempts}", None
        headers = {"Authorization": token.authorization, "X-Request-ID": call.sent_as}
        if call.request.body is not None:
            headers["Content-Type"] = "application/json"
        return headers

    def _unanswered(self, call: Call, error: TransportError, was_unanswered: bool) -> Exception:
        """Record that an attempt saw no usable answer: the server may have acted on it.

        Where there was no connection, nothing was sent.
        """
        if isinstance(error, ConnectError):
            call.unanswered = was_unanswered
        else:
            call.doubtful = True
        self._inform_window(call, error, self._loop.time(), 0.0)
        self._show(call, without_frames(error))
        return error

    def _answered(
        self, call: Call, token: Token, response: Response, was_unanswered: bool
    ) -> Exception | None:
        """Record an answer; return None if it is the one to the call, and else an error.

        The error may be an error status, no proof, or about another record.
        """
        now, sent_at, status = self._loop.time(), call.sent_at, response.status
        call.unanswered = was_unanswered and not _is_verdict(status)
        call.status, call.answered = status, response.headers
        self.latency.add(now - sent_at)
        if 200 <= status < 300:
            if token.proven_at == inf:
                self.tokens.prove(call.request.scope, token)
            error = self._unproven(call, token, response)
        else:
            error = self._judge(call, token, response)
        if error is None:
            self._retries.unknown_host_since = None
            self._window.succeeded(now - sent_at, now)
        else:
            self._inform_window(call, error, now, now - sent_at)
        if self.watched is not None:
            self._show(call, error)
        return error

    def _judge(self, call: Call, token: Token, response: Response) -> Exception | None:
        """Return the error for an answer that is not 2xx, or None when it means success.

        The cases, in the order of the code:
        - 404 to a DELETE that may have had its effect before: success
        - 401: the token is rejected; see `TokenStore.reject`
        - 403: the call is `refused` if the token was never accepted
        - 400, 404, 409, 422: the server has looked at the record, so it has accepted the token
        - 5xx, unless throttled: the server may have acted on the request
        """
        request, status = call.request, response.status
        if status == 404 and request.method == "DELETE" and call.doubtful:
            return None
        secret = token.authorization.removeprefix("Bearer ")
        secrets = (secret, *query_values(request.path))
        error = api_error(response, request.body, call.request_id, secrets)
        if status == 401:
            call.rejections += token.proven_at <= call.sent_at
            is_first = call.rejections <= 1
            self.tokens.reject(request.scope, token, call.sent_at, is_first=is_first)
            reason = error.detail or "the server rejected the token"
            rejection = AuthError(reason, error.code, 401, error.request_id)
            call.rejection = token, rejection
            return rejection
        if status == 403:
            call.refused = not token.is_proven
        elif status in (400, 404, 409, 422):
            if not token.is_proven:
                self.tokens.prove(request.scope, token)
        elif status >= 500 and not is_throttle(error):
            call.doubtful = True
        return error

    def _unproven(self, call: Call, token: Token, response: Response) -> Exception | None:
        """Return an error when a 2xx answer is no proof, or is not about our record.

        The cases, in the order of the code:
        - it says that the request failed: the record was not saved
        - it does not say what became of the request
        - it is about our record, or about none; see `identity`
        - it is about another record
        """
        try:
            found = answered_id(call.request, response, call.sent_as, token.authorization)
        except ApiError as error:
            return error
        except ProtocolError as error:
            call.unanswered = call.doubtful = True
            return without_frames(error)
        if not found or not call.request.sourced_id or self._identities.is_ours(call, found):
            return None
        response.close_connection()
        call.unanswered = call.doubtful = True
        return ProtocolError("the answer is about another record", misdirected=True)

    def _inform_window(self, call: Call, error: Exception, now: float, seconds: float) -> None:
        """Report a failed attempt to the window.

        The cases, in the order of the code:
        - throttled: it asks for a wait
        - rejected, or answered without proof or with another record, by a server that is well
        - the one free disconnect, or a record that causes its failures itself: not reported
        - any other failure
        """
        if is_throttle(error):
            assert isinstance(error, ApiError)
            # A longer wait than our patience ends the call; other calls wait no longer than that.
            asked = min(error.retry_after or 0.0, self._config.retry.patience)
            self._failure, self._failed_at = error, now
            self._window.throttled(asked, now)
            self._note_outage(error)
        elif call.answered is not None and (
            getattr(error, "misdirected", False) or not getattr(error, "retryable", False)
        ):
            self._window.succeeded(seconds, now)
        elif not is_forgivable(call, error) and not (
            call.blame > 1 and self._retries.is_suspect(call)
        ):
            self._failure, self._failed_at = error, now
            self._window.failed(now)
            self._note_outage(error)

    def _note_outage(self, error: Exception) -> None:
        """Log once that nothing comes through, and once when something does."""
        if self._outage is None and self._window.dry_since < inf and not self._admission.is_closed:
            self._outage_since = self._window.dry_since
            log.warning(
                "TimeBack does not answer (%s): waiting for it, for at most %g s",
                error,
                self._config.retry.patience,
            )
            self._outage = self._loop.call_later(LOOK_AGAIN, self._look_again)

    def _look_again(self) -> None:
        if self._window.dry_since == inf:
            self._outage = None
            passed = self._loop.time() - self._outage_since
            log.info("TimeBack answers again, after %.0f s", passed)
        elif not self._admission.is_closed:
            self._outage = self._loop.call_later(LOOK_AGAIN, self._look_again)

    async def _pause(self, delay: float) -> None:
        # Not `wait_for`: on Python 3.11 it swallows a cancellation that comes just then.
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._closing.wait()


def _is_verdict(status: int) -> bool:
    """Return whether a status says what became of the record, not only of this attempt."""
    return 200 <= status < 300 or (400 <= status < 500 and status not in (401, 408, 425, 429))


def _window_of(config: Config) -> Window:
    bounds = config.max_in_flight, config.max_rate
    if not config.adaptive:
        return Window(*bounds)
    return AdaptiveWindow(*bounds, processes=config.processes, on_change=_log_mode)


def _log_mode(mode: WindowMode) -> None:
    log.debug("the window is %s: %s", mode, REASONS[mode])

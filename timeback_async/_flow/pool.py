"""Bring one request through window, token, transport, status and retry, to its one end.

Every request of a session passes here, single calls and bulk runs alike. A slot is held while
bytes move; the wait between two attempts happens without one.
"""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from math import inf
from typing import NoReturn

import msgspec

from .._config import Config
from .._report import Histogram, Latency
from .._retry import is_throttle
from .._transport.aiohttp import Transport
from .._wire.codec import answered_id
from .._wire.http import Response
from .._wire.status import api_error, query_values
from ..errors import (
    ApiError,
    AuthError,
    ConnectError,
    DeadlineError,
    ProtocolError,
    SessionError,
    TransportError,
)
from .adaptive import AdaptiveWindow
from .call import Abandoned, Call
from .token import Token, TokenStore
from .window import Mode, Window

__all__ = ["RequestPool", "Statistics"]

log = logging.getLogger("timeback_async.pool")

# A name that stays unknown this many seconds is a wrong name, not a hiccup.
UNKNOWN_HOST_PATIENCE = 30.0
# A request that alone is refused, while others pass, must not cost token after token.
MAX_REJECTIONS = 3
REASONS = {
    Mode.OPEN: "the server is back",
    Mode.LIMITED: "it grows with time, from below what was too much",
    Mode.DRY: "nothing comes through",
}


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """What a session has done and is doing. Durations are in seconds.

    Attributes:
        in_flight: Requests in flight now.
        waiting: Requests that wait to be admitted.
        window: The most requests in flight at once; below 1, one with pauses between.
        mode: How the window finds its size: "open", "limited" or "dry".
        round_trip: Smoothed seconds from a request to its answer; 0 while unknown.
        gate: Seconds until new requests are sent again after a long Retry-After; 0 when open.
        attempts: Requests sent.
        retries: Requests that repeated an earlier one.
        throttled: Answers that asked us to slow down.
        token_requests: Requests sent for tokens.
        latency: Percentiles of the answered attempts.
    """

    in_flight: int
    waiting: int
    window: float
    mode: Mode
    round_trip: float
    gate: float
    attempts: int
    retries: int
    throttled: int
    token_requests: int
    latency: Latency


class RequestPool:
    """Sends requests, at most so many at once, each until it succeeds or ends for good.

    Attributes:
        tokens: Where its tokens come from.
        latency: How long the answered attempts took.
        throttled: Answers that asked us to slow down.
        on_close: Who is to be told when the session is closed.
    """

    def __init__(self, config: Config, transport: Transport, tokens: TokenStore) -> None:
        self._config = config
        self._transport = transport
        self.tokens = tokens
        self.latency = Histogram()
        self.attempts = self.retries = self.throttled = 0
        self._loop = asyncio.get_running_loop()
        bounds = config.max_in_flight, config.max_rate
        self._window = (
            AdaptiveWindow(*bounds, on_change=_log_mode) if config.adaptive else Window(*bounds)
        )
        self._retrying: deque[asyncio.Future[None]] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._unknown_host_since: float | None = None
        self._tokenless_since: float | None = None
        self._closing = asyncio.Event()
        self.on_close: set[Callable[[], None]] = set()
        prefix = os.urandom(6).hex()  # one for the session: its requests are found by it
        self._ids = (f"{prefix}-{number}" for number in count(1))

    async def send(
        self, call: Call, pause: Callable[[float], Awaitable[None]] | None = None
    ) -> Response:
        """Return the 2xx answer to a call, after as many attempts as the policy allows.

        Args:
            call: The request; it keeps count as things happen.
            pause: Waits so many seconds between two attempts; None to do it here.

        Raises:
            ApiError: The server refused it, or kept failing.
            AuthError: There is no token, or a fresh one was refused.
            TransportError: No answer was seen in any attempt.
            DeadlineError: Its time ran out; the last failure is the cause.
            SessionError: The session was closed meanwhile.
            Abandoned: Its owner gave it up.
        """
        while True:
            answer = await self._attempt(call)
            if isinstance(answer, Response):
                return answer
            error = call.error = answer
            delay = self._delay(call, error)
            if delay is None:
                raise error
            self._check_deadline(call, delay)
            log.debug("%s failed with %s; it is repeated", call.request_id, type(error).__name__)
            if delay:
                await (pause or self._pause)(delay)

    def statistics(self) -> Statistics:
        """Return what has happened up to now."""
        window, now = self._window, self._loop.time()
        return Statistics(
            in_flight=window.in_flight,
            waiting=sum(not waiter.done() for waiter in (*self._retrying, *self._waiting)),
            window=window.size(now),
            mode=window.mode,
            round_trip=window.round_trip,
            gate=max(0.0, window.gate - now),
            attempts=self.attempts,
            retries=self.retries,
            throttled=self.throttled,
            token_requests=self.tokens.requests,
            latency=self.latency.latency(),
        )

    def down_for(self) -> float:
        """Return how many seconds nothing has come through; 0 while something does."""
        return max(0.0, self._loop.time() - self._window.dry_since)

    def close(self) -> None:
        """Turn away whoever waits, and whoever comes."""
        self._closing.set()
        if self._timer is not None:
            self._timer.cancel()
        for waiter in (*self._retrying, *self._waiting):
            if not waiter.done():
                waiter.set_exception(SessionError("the session was closed"))
        for tell in list(self.on_close):
            tell()

    # -- one attempt

    async def _attempt(self, call: Call) -> Response | Exception:
        """Send a request once; return the 2xx answer, or what came instead."""
        now = self._loop.time()
        if self._retrying or self._waiting or self._window.admit(now):
            await self._turn(call)
            now = self._loop.time()
        try:
            if self._closing.is_set() or call.abandoned:
                self._turn_away(call)
            request = call.request
            if call.expires is None:
                call.expires = now + call.allowed
            token = self.tokens.current(request.scope, now)
            if token is None:
                found = await self._token(call)
                if isinstance(found, AuthError):
                    return found
                token, now = found, self._loop.time()
                if self._closing.is_set() or call.abandoned:
                    self._turn_away(call)
            if now >= call.expires:
                raise _out_of_time(call) from call.error
            headers = self._begin(call, token)
            was_unanswered, call.unanswered = call.unanswered, True
            try:
                response = await self._transport.send(
                    request.method,
                    self._config.base_url + request.path,
                    headers,
                    request.body,
                    min(self._config.attempt_timeout, call.expires - now),
                )
            except TransportError as failure:
                if isinstance(failure, ConnectError):
                    call.unanswered = was_unanswered
                else:
                    call.doubtful = True
                self._tell_window(call, failure, self._loop.time(), 0.0)
                return failure
            call.unanswered = False
            sent_at, now = now, self._loop.time()
            self.latency.add(now - sent_at)
            error = self._judge(call, token, response)
            if error is not None:
                self._tell_window(call, error, now, now - sent_at)
                return error
            self._window.succeeded(now - sent_at, now)
            return response
        finally:
            self._window.release()
            if self._retrying or self._waiting:
                self._pump()

    def _is_worth_waiting(self, call: Call, error: AuthError) -> bool:
        """Whether a token will be there again: there was one, and now nobody answers.

        Before the first one, an endpoint that does not answer may be a wrong one.
        """
        now = self._loop.time()
        if self._tokenless_since is None:
            self._tokenless_since = now
        is_out = call.outlasts_outages and self.tokens.has_served and not error.is_final
        return is_out and now - self._tokenless_since < self._config.retry.patience

    def _begin(self, call: Call, token: Token) -> dict[str, str]:
        """Count one more attempt, and return its headers."""
        call.attempts += 1
        self.attempts += 1
        if call.attempts > 1:
            self.retries += 1
        call.sent_as, call.answered = next(self._ids), None
        headers = {"Authorization": token.authorization, "X-Request-ID": call.sent_as}
        if call.request.body is not None:
            headers["Content-Type"] = "application/json"
        return headers

    async def _token(self, call: Call) -> Token | AuthError:
        """Wait for a token, no longer than the call may take, nor once it is given up.

        Returns why there is none, where it is worth to try again.
        """
        waiter = call.waiter = self._loop.create_future()

        def wake(fetch: asyncio.Task[Token]) -> None:
            if not fetch.cancelled():
                fetch.exception()  # looked at, even where nobody waits any more
            if not waiter.done():
                waiter.set_result(None)

        fetch = self._loop.create_task(self.tokens.get(call.request.scope))
        fetch.add_done_callback(wake)
        try:
            async with asyncio.timeout_at(call.expires):
                await waiter
            token = await fetch
        except TimeoutError:
            raise _out_of_time(call) from call.error
        except AuthError as failure:
            if not self._is_worth_waiting(call, failure):
                raise
            self._window.failed(self._loop.time())
            return failure
        finally:
            fetch.cancel()
        self._tokenless_since = None
        return token

    def _judge(self, call: Call, token: Token, response: Response) -> Exception | None:
        """Return what is wrong with an answer, or None."""
        request, status = call.request, response.status
        call.status, call.answered = status, response.headers
        if 200 <= status < 300:
            token.proven = True
            self._unknown_host_since = None
            return self._misdirected(call, response)
        if status == 404 and request.method == "DELETE" and call.doubtful:
            return None  # the attempt whose answer we did not see had worked
        secret = token.authorization.removeprefix("Bearer ")
        secrets = (secret, *query_values(request.path))
        error = api_error(response, request.body, call.request_id, secrets)
        if status == 401:
            self.tokens.discard(request.scope, token)
            call.rejections += 1
            call.refused = call.rejections > 1 and not token.proven
            reason = error.detail or "the server refused a fresh token"
            return AuthError(reason, error.code, 401, error.request_id)
        if status == 403:
            call.refused = not token.proven
        elif status in (400, 404, 409, 422):  # said by someone who had looked at the record
            token.proven = True
        elif status >= 500 and not is_throttle(error):
            call.doubtful = True
        return error

    def _misdirected(self, call: Call, response: Response) -> ProtocolError | None:
        """Return an error when the answer is not about our record.

        Bytes left on a kept connection answer the next request, and every one after it. Where a
        second connection names the same other id, it is the id the server has chosen.
        """
        wanted = call.request.sourced_id
        try:
            found = answered_id(call.request, response)
        except ProtocolError as error:
            call.unanswered = call.doubtful = True
            return error
        if found == wanted or not found or not wanted or found == call.other_id:
            return None
        response.close_connection()
        call.other_id = found
        call.unanswered = call.doubtful = True
        return ProtocolError("the answer is about another record")

    def _tell_window(self, call: Call, error: Exception, now: float, seconds: float) -> None:
        """Let the window learn from an attempt that did not succeed."""
        if is_throttle(error):
            assert isinstance(error, ApiError)
            # Past our patience the call ends; the others are not held up for longer than that.
            asked = min(error.retry_after or 0.0, self._config.retry.patience)
            self._window.throttled(asked, now)
        elif not isinstance(error, TransportError) and not getattr(error, "retryable", False):
            self._window.succeeded(seconds, now)  # refused by a server that is well
        elif not _is_forgivable(call, error):
            self._window.failed(now)

    # -- what comes after a failure

    async def _pause(self, delay: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), delay)

    def _delay(self, call: Call, error: Exception) -> float | None:
        """Return the seconds until the next attempt, or None when there is none."""
        policy, now = self._config.retry, self._loop.time()
        if isinstance(error, AuthError):
            if not error.is_final:  # the token endpoint is down
                return policy.pause(error, 1)
            return None if call.refused or call.rejections >= MAX_REJECTIONS else 0.0
        if is_throttle(error):
            call.throttles += 1
            self.throttled += 1
        elif _is_forgivable(call, error):
            call.forgiven = True
            return 0.0 if call.request.idempotent else None
        elif not (call.outlasts_outages and self._is_outage(error)):
            call.failures += 1
            call.internal_errors += getattr(error, "status", None) == 500
        if isinstance(error, ConnectError) and error.unknown_host:
            return self._delay_unknown_host(call, error, now)
        self._unknown_host_since = None
        untouched = isinstance(error, ConnectError) or is_throttle(error)
        if not call.request.idempotent and not untouched:
            return None
        return policy.delay(
            error, call.failures, call.throttles, internal_errors=call.internal_errors
        )

    def _is_outage(self, error: Exception) -> bool:
        """Whether nobody is there, for anybody: nothing that a record could be blamed for."""
        return isinstance(error, ConnectError) and self._window.mode is Mode.DRY

    def _delay_unknown_host(self, call: Call, error: ConnectError, now: float) -> float | None:
        if self._unknown_host_since is None:
            self._unknown_host_since = now
        if now - self._unknown_host_since >= UNKNOWN_HOST_PATIENCE:
            error.retryable = False
            return None
        return self._config.retry.pause(error, call.failures)

    def _check_deadline(self, call: Call, delay: float) -> None:
        if call.expires is not None and self._loop.time() + delay >= call.expires:
            raise _out_of_time(call) from call.error

    def _turn_away(self, call: Call) -> NoReturn:
        if self._closing.is_set():
            raise SessionError("the session is closed")
        raise Abandoned

    # -- admission

    async def _turn(self, call: Call) -> None:
        """Wait in line for a slot."""
        if self._closing.is_set() or call.abandoned:
            self._turn_away(call)
        waiter = call.waiter = self._loop.create_future()
        # What has begun is finished before new work.
        (self._retrying if call.attempts else self._waiting).append(waiter)
        self._pump()
        try:
            async with asyncio.timeout_at(call.expires):
                await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._window.release()
                self._pump()
            if isinstance(error, TimeoutError):
                raise _out_of_time(call) from call.error
            raise

    def _pump(self) -> None:
        """Admit whoever waits, as far as the window allows; else set a timer, where one helps."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while line := self._retrying or self._waiting:
            if line[0].done():  # cancelled while it waited
                line.popleft()
                continue
            wait = self._window.admit(self._loop.time())
            if wait:
                if wait != inf:
                    self._timer = self._loop.call_later(wait, self._pump)
                return
            line.popleft().set_result(None)


def _log_mode(mode: Mode) -> None:
    log.info("the window is %s: %s", mode, REASONS[mode])


def _is_forgivable(call: Call, error: Exception) -> bool:
    """Whether an attempt met an idle connection that the server closed just then.

    aiohttp does not tell whether a connection was used before, so a call's first one counts as
    that in any case.
    """
    return isinstance(error, ProtocolError) and error.disconnected and not call.forgiven


def _out_of_time(call: Call) -> DeadlineError:
    last = f"; the last failure: {call.error}" if call.error else ""
    return DeadlineError(f"no success within {call.allowed:g} s{last}")

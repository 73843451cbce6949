"""Send the requests of all callers of a session, attempt after attempt.

Single calls and bulk runs use the same pool. An attempt passes through window, token, transport,
status and retry. A call holds a slot while bytes move, and none while it waits between attempts.
The module is longer than most: one attempt with all its endings is one concept.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress

from .._config import Config
from .._retry import is_throttle
from .._statistics import Histogram, Statistics, WindowMode
from .._transport.base import Transport
from .._wire.answer import answered_id
from .._wire.http import Response
from .._wire.status import api_error, query_values
from ..errors import ApiError, AuthError, ConnectError, ProtocolError, TransportError
from .adaptive import AdaptiveWindow
from .admission import Admission, out_of_time
from .call import Call
from .retries import Retries, is_forgivable
from .token import Token, TokenStore
from .window import Window

__all__ = ["RequestPool"]

log = logging.getLogger("timeback_async.pool")

REASONS = {
    WindowMode.OPEN: "the server is back, the window grows with every answer",
    WindowMode.LIMITED: "it was cut below what was too much, and grows with time",
    WindowMode.DRY: "nothing comes through, one probe is sent at a time",
}


class RequestPool:
    """Sends the request of each call until it succeeds or fails for good.

    Args:
        config: Limits, timeouts and the retry policy.
        transport: Sends a request once.
        tokens: The tokens of the session.
        window: Limits the requests in flight; None for the window that `config` describes.

    Attributes:
        tokens: The tokens of the session.
        latency: How long the answered attempts took.
        on_close: Functions that are called when the session is closed.
    """

    def __init__(
        self,
        config: Config,
        transport: Transport,
        tokens: TokenStore,
        window: Window | None = None,
    ) -> None:
        self._config = config
        self._transport = transport
        self.tokens = tokens
        self.latency = Histogram()
        self._attempts = self._repeated = 0
        self._loop = asyncio.get_running_loop()
        self._window = window or _window_of(config)
        self._admission = Admission(self._window)
        self._retries = Retries(config.retry, self._window)
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
            TransportError: The last attempt saw no usable answer.
            DeadlineError: The time of the call ran out. `__cause__` is the last failure.
            SessionError: The session was closed.
            Abandoned: The owner gave the call up.
        """
        while True:
            answer = await self._attempt(call)
            if isinstance(answer, Response):
                return answer
            error = call.error = answer
            delay = self._retries.delay(call, error)
            if delay is None:
                raise error
            log.debug("%s failed with %s and is repeated", call.request_id, type(error).__name__)
            if delay:
                await (pause or self._pause)(delay)

    def statistics(self) -> Statistics:
        """Return what the pool has done so far, and what it is doing now."""
        window, now = self._window, self._loop.time()
        return Statistics(
            in_flight=window.in_flight,
            waiting=self._admission.waiting,
            window=window.size(now),
            mode=window.mode,
            round_trip=window.round_trip,
            gate=max(0.0, window.gate - now),
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
        for session_closed in list(self.on_close):
            session_closed()

    # -- one attempt

    async def _attempt(self, call: Call) -> Response | Exception:
        """Send a request once; return the 2xx answer, or the error that came instead.

        The cases, in the order of the code:
        - no slot, closed or given up: wait for a slot, or raise
        - no token: wait for one, or return why there is none
        - no time left: raise
        - no connection: nothing was sent
        - no usable answer: the server may have acted on the request
        - an answer with an error status, or to another request
        - the answer
        """
        admission, now = self._admission, self._loop.time()
        if not admission.admit(now):
            await admission.wait(call)
            now = self._loop.time()
        try:
            if admission.is_closed or call.abandoned:
                admission.check(call)
            request = call.request
            if call.expires is None:
                call.expires = now + call.allowed
            token = self.tokens.current(request.scope, now)
            if token is None:
                found = await self._token(call)
                if isinstance(found, AuthError):
                    return found
                token, now = found, self._loop.time()
                admission.check(call)
            if now >= call.expires:
                raise out_of_time(call) from call.error
            headers, call.sent_at = self._begin(call, token), now
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
                self._inform_window(call, failure, self._loop.time(), 0.0)
                return failure
            call.unanswered = False
            sent_at, now = now, self._loop.time()
            self.latency.add(now - sent_at)
            call.status, call.answered = response.status, response.headers
            error: Exception | None
            if 200 <= response.status < 300:
                token.proven = True
                error = self._misdirected(call, response)
            else:
                error = self._judge(call, token, response)
            if error is not None:
                self._inform_window(call, error, now, now - sent_at)
                return error
            self._retries.unknown_host_since = None
            self._window.succeeded(now - sent_at, now)
            return response
        finally:
            admission.release()

    def _begin(self, call: Call, token: Token) -> dict[str, str]:
        """Count a new attempt, and return its headers."""
        call.attempts += 1
        self._attempts += 1
        if call.attempts > 1:
            self._repeated += 1
        call.sent_as, call.answered = f"{self._prefix}-{self._attempts}", None
        headers = {"Authorization": token.authorization, "X-Request-ID": call.sent_as}
        if call.request.body is not None:
            headers["Content-Type"] = "application/json"
        return headers

    async def _token(self, call: Call) -> Token | AuthError:
        """Wait for a token until the call expires or is given up.

        Returns the token, or the error when a later attempt may get one. The fetch goes on for
        other callers when this call stops waiting.
        """
        waiter = call.waiter = self._loop.create_future()

        def wake(fetch: asyncio.Task[Token]) -> None:
            if not fetch.cancelled():
                fetch.exception()  # read it, or asyncio logs it when nothing waits any more
            if not waiter.done():
                waiter.set_result(None)

        fetch = self._loop.create_task(self.tokens.get(call.request.scope))
        fetch.add_done_callback(wake)
        try:
            async with asyncio.timeout_at(call.expires):
                await waiter
            token = await fetch
        except TimeoutError:
            raise out_of_time(call) from call.error
        except AuthError as failure:
            if not self._retries.outlasts(call, failure, self.tokens.has_served):
                raise
            self._window.failed(self._loop.time())
            return failure
        finally:
            fetch.cancel()
        self._retries.found_token()
        return token

    def _judge(self, call: Call, token: Token, response: Response) -> Exception | None:
        """Return the error for an answer that is not 2xx, or None when it means success.

        The cases, in the order of the code:
        - 404 to a DELETE that may have had its effect before: success
        - 401: drop the token; from the second one on, the call is `refused` if the token was
          never accepted
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
            self.tokens.discard(request.scope, token)
            call.rejections += 1
            call.refused = call.rejections > 1 and not token.proven
            reason = error.detail or "the server rejected a fresh token"
            return AuthError(reason, error.code, 401, error.request_id)
        if status == 403:
            call.refused = not token.proven
        elif status in (400, 404, 409, 422):
            token.proven = True
        elif status >= 500 and not is_throttle(error):
            call.doubtful = True
        return error

    def _misdirected(self, call: Call, response: Response) -> ProtocolError | None:
        """Return an error when a 2xx answer is not about our record.

        Bytes left on a kept connection are read as the answer to the next request, and all later
        answers are shifted by one. But when an answer on a second connection names the same other
        id, the server has chosen that id.
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

    def _inform_window(self, call: Call, error: Exception, now: float, seconds: float) -> None:
        """Report a failed attempt to the window.

        The cases, in the order of the code:
        - throttled: it asks for a wait
        - rejected by a server that is well: it shows no overload
        - the one free disconnect: it is not reported
        - any other failure
        """
        if is_throttle(error):
            assert isinstance(error, ApiError)
            # A longer wait than our patience ends the call; other calls wait no longer than that.
            asked = min(error.retry_after or 0.0, self._config.retry.patience)
            self._window.throttled(asked, now)
        elif not isinstance(error, TransportError) and not getattr(error, "retryable", False):
            self._window.succeeded(seconds, now)
        elif not is_forgivable(call, error):
            self._window.failed(now)

    async def _pause(self, delay: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), delay)


def _window_of(config: Config) -> Window:
    bounds = config.max_in_flight, config.max_rate
    return AdaptiveWindow(*bounds, on_change=_log_mode) if config.adaptive else Window(*bounds)


def _log_mode(mode: WindowMode) -> None:
    log.info("the window is %s: %s", mode, REASONS[mode])

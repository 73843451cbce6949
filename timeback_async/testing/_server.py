"""A TimeBack server in memory, on loopback: real HTTP, real validation, faults on demand.

This module counts requests and puts the parts together: the API (`_api`), the tokens (`_tokens`),
the faults (`_faults`) and the sending (`_http`).
"""

import asyncio
import random
import time
from collections import Counter
from math import inf
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from aiohttp import web

from .._config import Config
from .._wire.http import CREATEPUT, READONLY
from ._answers import (
    TOKEN_ANSWERS,
    UNDONE,
    Refusal,
    altered,
    imsx_error,
    injected_error,
    oauth_error,
)
from ._api import RosteringApi
from ._calls import Call, Calls, Failure, How, record_of
from ._faults import Faults, Limiter, Throttle, drawn, happens, retry_headers
from ._http import CountingServer, dropped, response, send_in_pieces
from ._stores import Stores
from ._tokens import Tokens, token_refusal

__all__ = ["MockServer"]

TOKEN_PATH = "/auth/1.0/token"


class MockServer:
    """TimeBack's token endpoint and rostering API, in memory.

        async with MockServer() as server:
            async with TimebackSession(server.config()) as timeback:
                await timeback.upsert_student(student)
            assert server.students["s-1"]["givenName"] == "Ada"

    `students`, `users`, `agents` and `orgs` hold the records as JSON objects, as they were sent. A
    test may read and change them. `calls` are the requests, and `fail` makes single ones fail.
    Entering the block raises `OSError` if the port is in use.

    Args:
        client_id: The only client id that gets a token.
        client_secret: Its secret, accepted in a Basic header or in the form.
        scopes: The scopes that the client may ask for.
        faults: The faults of the server; None for no faults.
        answer_bodies: Whether a write is answered with the record, or without a body.
        host: The loopback address to listen on.
        port: The TCP port, from 0 to 65535; 0 for any free port.

    Attributes:
        requests: Number of requests to the rostering API so far, including dropped ones.
        token_requests: Number of requests to the token endpoint so far.
        in_flight: Number of requests that are being answered now.
        peak_in_flight: The most requests that were being answered at once.
        statuses: Number of answers by HTTP status; 499 stands for a dropped connection.
        stores: The records, which `students`, `users`, `agents` and `orgs` show.
    """

    def __init__(
        self,
        *,
        client_id: str = "mock-client",
        client_secret: str = "mock-secret",  # noqa: S107 - a mock's own
        scopes: tuple[str, ...] = (CREATEPUT, READONLY),
        faults: Faults | None = None,
        answer_bodies: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.stores = Stores()
        self._api = RosteringApi(self.stores, answer_bodies)
        self.client_id, self.client_secret, self.scopes = client_id, client_secret, scopes
        self.faults = faults or Faults()
        self._calls = Calls()
        self.requests = self.token_requests = self.in_flight = self.peak_in_flight = 0
        self.statuses: Counter[int] = Counter()
        self._host, self._port = host, port
        self._tokens = Tokens()
        self._answering: set[asyncio.Task[Any]] = set()
        self._web: CountingServer
        self._listener: asyncio.Server

    @property
    def faults(self) -> Faults:
        """The faults of the server. Assigning restarts the seed and the rate limit."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        self._random = random.Random(faults.seed)
        throttle = faults.throttle
        self._limiter = Limiter(throttle) if throttle and throttle.rate < inf else None

    @property
    def base_url(self) -> str:
        """The address of the running server, such as `http://127.0.0.1:40000`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def students(self) -> dict[str, dict[str, Any]]:
        """Students by sourcedId, as they were last sent."""
        return self.stores.students

    @property
    def users(self) -> dict[str, dict[str, Any]]:
        """Users by sourcedId, as they were last sent."""
        return self.stores.users

    @property
    def agents(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Links by (student's sourcedId, agentId): `{"user": …, "relationshipType": …}`."""
        return self.stores.agents

    @property
    def orgs(self) -> dict[str, dict[str, Any]]:
        """Organisations by sourcedId; a new server has a district with two schools."""
        return self.stores.orgs

    def person(self, sourced_id: str) -> dict[str, Any] | None:
        """Return a user or a student, or None where the server has neither."""
        return self.stores.person(sourced_id)

    def agents_of(self, student_id: str) -> list[dict[str, Any]]:
        """Return the links of a student, each with its `agentId`."""
        return self.stores.agents_of(student_id)

    @property
    def answer_bodies(self) -> bool:
        """Whether a write is answered with the record, or without a body."""
        return self._api.answer_bodies

    @answer_bodies.setter
    def answer_bodies(self, answer_bodies: bool) -> None:
        self._api.answer_bodies = answer_bodies

    @property
    def connections(self) -> int:
        """Number of TCP connections accepted since the server started."""
        return self._web.connections_made

    def config(self, **settings: Any) -> Config:
        """Return settings for a client of this running server.

        Args:
            settings: Fields of `Config` that take precedence over the server's own.

        Raises:
            ConfigError: A setting is wrong.
        """
        own = {"client_id": self.client_id, "client_secret": self.client_secret}
        return Config(**{"base_url": self.base_url, **own, **settings})

    @property
    def calls(self) -> list[Call]:
        """The last 1,000 requests to the rostering API, in the order in which they came."""
        return self.received()

    def received(self, *, method: str | None = None, record: str | None = None) -> list[Call]:
        """Return those of `calls` with a method, or about a record; None for any.

        Args:
            method: Such as "PUT".
            record: The sourcedId of a person, or the `agentId` of a link.
        """
        return self._calls.matching(method, record)

    def fail(
        self,
        how: How = 503,
        *,
        record: str | None = None,
        method: str | None = None,
        nth: int | None = None,
        times: int | None = None,
        retry_after: float | None = None,
    ) -> Failure:
        """Fail requests that are yet to come: all that fit, or single ones of them.

            failure = server.fail(422, record="s-1")    # whatever is sent about this record
            server.fail(503, nth=3)                     # the third request from now
            ...
            assert failure.call_count == 1

        Args:
            how: The HTTP status of the answer; or "drop_before" or "drop_after", to close the
                connection before or after the request is carried out.
            record: The sourcedId of a person, or the `agentId` of a link; None for any.
            method: Such as "PUT"; None for any.
            nth: Which of them alone, counted from 1; None for each.
            times: How many of them at most; None for all.
            retry_after: Seconds for a header `Retry-After`; None for no such header.

        Where several were told and fit, the first of them fails a request; all of them count it.

        Returns:
            What was told: `called`, `call_count` and `calls` say what came of it.

        Raises:
            ValueError: `how` is none of these, or `nth` or `times` is not a whole number from 1.
        """
        failure = Failure(how, record, method, nth, times, retry_after)
        self._calls.failures.append(failure)
        return failure

    def assert_all_called(self) -> None:
        """Raise an AssertionError if something that was to `fail` never came."""
        unused = [failure for failure in self._calls.failures if not failure.called]
        assert not unused, f"never called: {unused}; received: {self.calls[-20:]}"

    def revoke_tokens(self) -> None:
        """Make all tokens invalid that were issued so far."""
        self._tokens.valid.clear()

    async def __aenter__(self) -> Self:
        self._web = CountingServer(
            self._handle, access_log=None, max_field_size=65536, max_line_size=65536
        )
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._web, self._host, self._port, backlog=1024)
        self._port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._listener.close()
        await self._web.shutdown(timeout=0.1)
        for task in self._answering:  # aiohttp forgets the tasks of clients that have gone
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)
        await self._listener.wait_closed()

    # -- one request

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)
        path, _, query = request.raw_path.partition("?")
        call = Call(method=request.method, path=path, query=query, headers=request.headers)
        try:
            try:
                answer = await self._answer(request, call)
            except Refusal as refusal:
                answer = response(imsx_error(refusal.status, refusal.why, refusal.headers))
            except ConnectionError:  # the client hung up in the middle of its request
                answer = dropped(request)
            self.statuses[answer.status] += 1
            call.status = answer.status
            return answer
        finally:
            self.in_flight -= 1

    async def _answer(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        path = call.path
        if path == "/_mock/state":
            return web.json_response(self._state())
        if path == TOKEN_PATH:
            return await self._grant(request)
        faults = self._faults
        if faults.revoke_every and self.requests and self.requests % faults.revoke_every == 0:
            self.revoke_tokens()
        self.requests += 1
        self._calls.add(call)
        call.record = record_of(path, b"")
        if faults.throttle and 0 < faults.throttle.max_in_flight < self.in_flight:
            raise self._rejection(faults.throttle, 0.0)
        await self._wait(faults.latency)
        if happens(self._random, faults.drop_before):
            return dropped(request)
        self._throttle()
        call.body = body = await request.read()
        call.record = record_of(path, body)
        failure = self._calls.failure_of(call)
        if failure is not None and failure.how == "drop_before":
            return dropped(request)
        if failure is not None and isinstance(failure.how, int):
            return self._failed(failure.how, failure.retry_after)
        if status := drawn(self._random, faults.statuses):
            return response(injected_error(status, faults.error_body))
        form = drawn(self._random, faults.answers)
        if form in UNDONE:
            return response(UNDONE[form])
        scope = READONLY if request.method == "GET" else CREATEPUT
        self._tokens.check(request.headers.get("Authorization", ""), scope, time.monotonic())
        status, answer = self._api.route(request.method, path, call.query, body)
        if failure is not None or happens(self._random, faults.drop_after):
            return dropped(request)
        return await self._deliver(request, *altered(form, status, answer))

    def _failed(self, status: int, retry_after: float | None) -> web.Response:
        answer = response(injected_error(status, self._faults.error_body))
        if retry_after is not None:
            answer.headers["Retry-After"] = f"{retry_after:g}"
        return answer

    async def _wait(self, latency: float | tuple[float, float]) -> None:
        if isinstance(latency, tuple):
            latency = self._random.uniform(*latency)
        if latency:
            await asyncio.sleep(latency)

    def _throttle(self) -> None:
        throttle = self._faults.throttle
        wait = self._limiter.wait(time.monotonic()) if self._limiter else 0.0
        if throttle and wait:
            raise self._rejection(throttle, wait)

    def _rejection(self, throttle: Throttle, wait: float) -> Refusal:
        headers = retry_headers(throttle.retry_after, wait, time.time())
        return Refusal(throttle.status, "too many requests", headers)

    async def _deliver(
        self, request: web.BaseRequest, status: int, body: bytes
    ) -> web.StreamResponse:
        faults = self._faults
        if not body or not (faults.truncate or faults.slow):
            return web.Response(status=status, body=body, content_type="application/json")
        truncated, slow = happens(self._random, faults.truncate), happens(self._random, faults.slow)
        return await send_in_pieces(
            request,
            status,
            body,
            truncated=truncated,
            pieces=4 if slow else 1,
            seconds=faults.slow_seconds if slow else 0.0,
        )

    # -- tokens

    async def _grant(self, request: web.BaseRequest) -> web.StreamResponse:
        faults = self._faults
        self.token_requests += 1
        body = (await request.read()).decode(errors="replace")
        form = {name: values[0] for name, values in parse_qs(body).items()}
        await self._wait(faults.latency)
        if status := drawn(self._random, faults.token_statuses):
            return response(injected_error(status, faults.error_body))
        if odd := drawn(self._random, faults.token_answers):
            return response(TOKEN_ANSWERS[odd])
        if request.method != "POST":
            return response(oauth_error(400, "unsupported_grant_type"))
        authorization = request.headers.get("Authorization", "")
        client = (self.client_id, self.client_secret)
        if refusal := token_refusal(form, authorization, client, self.scopes):
            return response(refusal)
        token = f"mock-{self._random.getrandbits(64):016x}-{self.token_requests}"
        issued = self._tokens.issue(
            token, form["scope"], faults.token_lifetime, time.monotonic(), faults.token_delay
        )
        return response(issued)

    def _state(self) -> dict[str, Any]:
        return {
            "students": self.students,
            "users": self.users,
            "agents": [[*key, agent] for key, agent in self.agents.items()],
            "requests": self.requests,
            "token_requests": self.token_requests,
            "connections": self.connections,
            "peak_in_flight": self.peak_in_flight,
            "statuses": self.statuses,
        }

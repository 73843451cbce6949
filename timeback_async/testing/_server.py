"""A TimeBack server in memory, on loopback: real HTTP, real validation, faults on demand.

It reads and checks JSON by itself (`_schema`), so that it cannot share an error of the client.
"""

import asyncio
import json
import random
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Mapping
from email.utils import formatdate
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote

from aiohttp import web

from .._config import Config
from .._wire.http import CREATEPUT, READONLY
from ._faults import Faults, Limiter
from ._schema import agent_problems, id_problems, student_problems, user_problems
from ._stores import Stores, select

__all__ = ["MockServer"]

TOKEN_PATH = "/auth/1.0/token"
ROSTERING = "/rostering/1.0/"
MINOR = {
    400: "invaliddata", 401: "unauthorisedrequest", 403: "forbidden", 404: "unknownobject",
    405: "unsupported", 409: "invaliddata", 422: "invaliddata", 429: "server_busy",
    503: "server_busy",
}  # fmt: skip


class _Server(web.Server):
    """Counts the connections."""

    connections_made = 0

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        self.connections_made += 1
        super().connection_made(handler, transport)


class _Refusal(Exception):
    """An answer that is not 2xx."""

    def __init__(self, status: int, why: str = "", headers: dict[str, str] | None = None) -> None:
        self.status, self.why, self.headers = status, why, headers or {}


class MockServer(Stores):
    """TimeBack's token endpoint and rostering API, in memory.

        async with MockServer() as server:
            async with TimebackSession(server.config()) as timeback:
                await timeback.upsert_student(student)
            assert server.students["s-1"]["givenName"] == "Ada"

    The stores `students`, `users`, `agents` and `orgs` hold JSON objects as they were sent.

    Args:
        client_id: The client id that is accepted.
        client_secret: The secret that is accepted, in a Basic header or in the form.
        scopes: The scopes this client may ask for.
        faults: What goes wrong; may be replaced at any time.
        answer_bodies: Whether writes are answered with the record, or with no body at all.
        host: Loopback address.
        port: TCP port; 0 for any that is free.

    Attributes:
        requests: Requests to the rostering API, dropped ones included.
        token_requests: Requests to the token endpoint.
        connections: TCP connections accepted.
        in_flight: Requests being answered now.
        peak_in_flight: The most there have been.
        statuses: Answers by status.
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
        super().__init__()
        self.client_id, self.client_secret, self.scopes = client_id, client_secret, scopes
        self.answer_bodies = answer_bodies
        self.faults = faults or Faults()
        self.requests = self.token_requests = self.in_flight = self.peak_in_flight = 0
        self.statuses: Counter[int] = Counter()
        self._host, self._port = host, port
        self._tokens: dict[str, tuple[float, frozenset[str]]] = {}
        self._answering: set[asyncio.Task[Any]] = set()
        self._web: _Server
        self._listener: asyncio.Server

    @property
    def faults(self) -> Faults:
        """What goes wrong. Setting it starts its seed and its rate limit anew."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        self._random = random.Random(faults.seed)
        self._limiter = Limiter(faults.throttle) if faults.throttle else None

    @property
    def base_url(self) -> str:
        """Where it listens, such as `http://127.0.0.1:40000`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def connections(self) -> int:
        """TCP connections accepted."""
        return self._web.connections_made

    def config(self, **settings: Any) -> Config:
        """Return settings for a client of this server."""
        own = {"client_id": self.client_id, "client_secret": self.client_secret}
        return Config(**{"base_url": self.base_url, **own, **settings})

    def revoke_tokens(self) -> None:
        """Make every token invalid at once."""
        self._tokens.clear()

    async def __aenter__(self) -> Self:
        self._web = _Server(
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
        for task in self._answering:  # of clients that have gone, which aiohttp has forgotten
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
        try:
            try:
                answer = await self._answer(request)
            except _Refusal as refusal:
                answer = _error(refusal.status, refusal.why, refusal.headers)
            except ConnectionError:  # the client hung up in the middle of its request
                answer = _dropped(request)
            self.statuses[answer.status] += 1
            return answer
        finally:
            self.in_flight -= 1

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        if path == "/_mock/state":
            return web.json_response(self._state())
        if path == TOKEN_PATH:
            return await self._grant(request)
        faults = self._faults
        if faults.revoke_every and self.requests and self.requests % faults.revoke_every == 0:
            self.revoke_tokens()
        self.requests += 1
        await self._wait(faults.latency)
        if self._happens(faults.drop_before):
            return _dropped(request)
        self._throttle()
        body = await request.read()
        if status := self._drawn(faults.statuses):
            return _injected(status, faults.error_body)
        self._authorise(request)
        status, answer = self._route(request.method, path, query, body)
        if self._happens(faults.drop_after):
            return _dropped(request)
        return await self._deliver(request, status, answer)

    def _happens(self, rate: float) -> bool:
        return rate > 0 and self._random.random() < rate

    def _drawn(self, rates: Mapping[int, float]) -> int:
        """Draw one of the statuses, each at its own rate, or 0."""
        if not rates:
            return 0
        drawn = self._random.random()
        for status, rate in rates.items():
            drawn -= rate
            if drawn < 0:
                return status
        return 0

    async def _wait(self, latency: float | tuple[float, float]) -> None:
        if isinstance(latency, tuple):
            latency = self._random.uniform(*latency)
        if latency:
            await asyncio.sleep(latency)

    def _throttle(self) -> None:
        wait = self._limiter.wait(time.monotonic()) if self._limiter else 0.0
        if not wait or not self._faults.throttle:
            return
        throttle = self._faults.throttle
        headers = {
            "seconds": {"Retry-After": str(max(1, round(wait + 0.5)))},
            "ms": {"retry-after-ms": str(round(wait * 1000) + 1)},
            "date": {
                "Retry-After": formatdate(time.time() + wait + 1, usegmt=True),
                "Date": formatdate(usegmt=True),
            },
            None: {},
        }[throttle.retry_after]
        raise _Refusal(throttle.status, "too many requests", headers)

    async def _deliver(
        self, request: web.BaseRequest, status: int, answer: object
    ) -> web.StreamResponse:
        body = b"" if answer is None else json.dumps(answer, ensure_ascii=False).encode()
        faults = self._faults
        if not body or not (faults.truncate or faults.slow):
            return web.Response(status=status, body=body, content_type="application/json")
        cut, slow = self._happens(faults.truncate), self._happens(faults.slow)
        stream = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
        stream.content_length = len(body)
        await stream.prepare(request)
        if cut:
            await stream.write(body[: len(body) // 2])
            return _dropped(request, status)
        pieces = 4 if slow else 1
        for number in range(pieces):
            part = slice(number * len(body) // pieces, (number + 1) * len(body) // pieces)
            await stream.write(body[part])
            await asyncio.sleep(faults.slow_seconds / pieces if slow else 0)
        await stream.write_eof()
        return stream

    # -- tokens

    async def _grant(self, request: web.BaseRequest) -> web.StreamResponse:
        self.token_requests += 1
        body = (await request.read()).decode(errors="replace")
        form = {name: values[0] for name, values in parse_qs(body).items()}
        await self._wait(self._faults.latency)
        if status := self._drawn(self._faults.token_statuses):
            return _injected(status, self._faults.error_body)
        if request.method != "POST" or form.get("grant_type") != "client_credentials":
            return _oauth_error(400, "unsupported_grant_type")
        if _credentials(request, form) != (self.client_id, self.client_secret):
            return _oauth_error(401, "invalid_client")
        asked = frozenset(form.get("scope", "").split())
        if not asked or not asked <= set(self.scopes):
            return _oauth_error(400, "invalid_scope")
        token = f"mock-{self._random.getrandbits(64):016x}-{self.token_requests}"
        life = self._faults.token_lifetime
        self._tokens[token] = (time.monotonic() + life, asked)
        return web.json_response(
            {
                "access_token": token,
                "token_type": "bearer",
                "expires_in": int(life) if life == int(life) else life,
                "scope": " ".join(sorted(asked)),
            }
        )

    def _authorise(self, request: web.BaseRequest) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        ends, scopes = self._tokens.get(token, (0.0, frozenset[str]()))
        if scheme.lower() != "bearer" or time.monotonic() >= ends:
            raise _Refusal(401, "the token is missing or no longer valid")
        if (READONLY if request.method == "GET" else CREATEPUT) not in scopes:
            raise _Refusal(403, "the token lacks the scope")

    # -- the rostering API

    def _route(self, method: str, path: str, query: str, body: bytes) -> tuple[int, object]:
        if not path.startswith(ROSTERING):
            raise _Refusal(404, "no such path")
        match method, [unquote(part) for part in path.removeprefix(ROSTERING).split("/")]:
            case "PUT", ["students"]:
                return self._put_student(body)
            case "PUT", ["users", user_id]:
                return self._put_user(user_id, body)
            case "PUT", ["students", student_id, "agents", agent_id]:
                return self._put_agent(student_id, agent_id, body)
            case "DELETE", ["students", student_id, "agents", agent_id]:
                if self.agents.pop((student_id, agent_id), None) is None:
                    raise _Refusal(404, "no such agent")
                return 204, None
            case "GET", ["users", user_id, "agents"]:
                self._existing(user_id)
                return 200, {"agents": self.agents_of(user_id)}
            case "GET", ["users", user_id]:
                return 200, {"user": _dated(self._existing(user_id))}
            case "GET", ["users"]:
                people = (self.students | self.users).values()
                return self._list("users", [_dated(person) for person in people], query)
            case "GET", ["orgs"]:
                return self._list("orgs", list(self.orgs.values()), query)
        raise _Refusal(404, "no such path")

    def _put_student(self, body: bytes) -> tuple[int, object]:
        student = _envelope(body, "student")
        _refuse(student_problems(student))
        self.students[student["sourcedId"]] = student
        if not self.answer_bodies:
            return 204, None
        org = student["primaryOrg"]
        role = {"roleType": "primary", "role": "student", "org": org}
        return 200, {"student": {**_dated(student), "roles": [role], "userIds": [], "agents": []}}

    def _put_user(self, user_id: str, body: bytes) -> tuple[int, object]:
        user = _envelope(body, "user")
        _refuse(user_problems(user))
        if user["sourcedId"] != user_id:
            raise _Refusal(400, "sourcedId: differs from the one in the path")
        self.users[user_id] = user
        return 201, {"user": _dated(user)} if self.answer_bodies else None

    def _put_agent(self, student_id: str, agent_id: str, body: bytes) -> tuple[int, object]:
        agent = _json(body)
        _refuse(agent_problems(agent))
        _refuse([*id_problems(student_id, "sourcedId"), *id_problems(agent_id, "agentId")])
        if student_id not in self.students:
            raise _Refusal(404, "no such student")
        self._existing(agent["user"]["sourcedId"])
        self.agents[student_id, agent_id] = agent
        return 201, {**agent, "agentId": agent_id} if self.answer_bodies else None

    def _existing(self, sourced_id: str) -> dict[str, Any]:
        person = self.person(sourced_id)
        if person is None:
            raise _Refusal(404, "no such user")
        return person

    def _list(self, name: str, records: list[dict[str, Any]], query: str) -> tuple[int, object]:
        parameters = {key: values[0] for key, values in parse_qs(query).items()}
        try:
            page, limit, offset, total = select(records, parameters)
        except ValueError as error:
            raise _Refusal(400, f"{error}: is not valid") from None
        return 200, {name: page, "limit": limit, "offset": offset, "total": total}

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


def _json(body: bytes) -> Any:
    try:
        root = json.loads(body, parse_constant=_no_constant)
        if b"\\u" in body:  # an escape may hold half a surrogate pair, which is no text
            json.dumps(root, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise _Refusal(400, "the body is not JSON") from None
    return root


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _envelope(body: bytes, name: str) -> Any:
    root = _json(body)
    if not isinstance(root, dict) or list(root) != [name]:
        raise _Refusal(400, f"the body must have the one member {name!r}")
    return root[name]


def _refuse(problems: Any) -> None:
    found = [f"{field}: {why}" for field, why in problems]
    if found:
        raise _Refusal(422, "; ".join(found))


def _dated(record: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in record.items() if name != "password"}
    return {**shown, "dateLastModified": "2026-01-01T00:00:00.000Z"}


def _credentials(request: web.BaseRequest, form: dict[str, str]) -> tuple[str, str]:
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            client_id, _, secret = b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            return "", ""
        return client_id, secret
    return form.get("client_id", ""), form.get("client_secret", "")


def _dropped(request: web.BaseRequest, status: int = 499) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=status)


def _oauth_error(status: int, code: str) -> web.Response:
    return web.json_response({"error": code, "error_description": f"{code} (mock)"}, status=status)


def _error(status: int, why: str, headers: dict[str, str]) -> web.Response:
    field = {
        "imsx_codeMinorFieldName": "TargetEndSystem",
        "imsx_codeMinorFieldValue": MINOR.get(status, "internal_server_error"),
    }
    body = {
        "imsx_codeMajor": "failure",
        "imsx_severity": "error",
        "imsx_description": why,
        "imsx_CodeMinor": {"imsx_codeMinorField": [field]},
    }
    return web.json_response(body, status=status, headers=headers)


def _injected(status: int, form: str) -> web.Response:
    """Return an error that a gateway or a broken server makes up."""
    headers = {"Location": "https://elsewhere.invalid/"} if 300 <= status < 400 else {}
    if form == "imsx":
        return _error(status, "injected fault", headers)
    text, kind = {
        "html": (f"<html><body><h1>{status}</h1></body></html>", "text/html"),
        "text": (f"upstream error {status}", "text/plain"),
        "empty": ("", "text/plain"),
        "deep": ("[" * 200_000, "application/json"),
    }[form]
    return web.Response(status=status, text=text, content_type=kind, headers=headers)

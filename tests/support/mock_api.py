"""Plain aiohttp against the mock server, with nothing of our client in between."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
from yarl import URL

from tests.support.records import wire_student, wire_user
from timeback_async.testing import MockServer

CREATEPUT = "https://purl.imsglobal.org/spec/or/v1p2/scope/roster.createput"
READONLY = "https://purl.imsglobal.org/spec/or/v1p2/scope/roster.readonly"
CREDENTIALS = {"client_id": "mock-client", "client_secret": "mock-secret"}
GRANT = {"grant_type": "client_credentials", "scope": f"{CREATEPUT} {READONLY}"}
TOKEN = "/auth/1.0/token"
STUDENTS = "/rostering/1.0/students"
USERS = "/rostering/1.0/users"
ORGS = "/rostering/1.0/orgs"
LINK = f"{STUDENTS}/s-1/agents/a-1"


class Answer(NamedTuple):
    status: int
    headers: Any
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Api:
    """Sends requests exactly as they are given: paths stay as they are encoded."""

    def __init__(self, server: MockServer, http: aiohttp.ClientSession) -> None:
        self.server = server
        self._http = http
        self._authorization = ""

    async def send(
        self, method: str, path: str, data: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        url = URL(self.server.base_url + path, encoded=True)
        async with self._http.request(
            method, url, data=data, headers=headers, allow_redirects=False
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def token(self, **changes: str) -> Answer:
        return await self.send("POST", TOKEN, GRANT | CREDENTIALS | changes)

    async def login(self, **changes: str) -> None:
        """Use a new token from now on."""
        answer = await self.token(**changes)
        self._authorization = f"Bearer {answer.json()['access_token']}"

    async def call(self, method: str, path: str, body: object = None) -> Answer:
        """Send JSON, or bytes as they are, with the token of the last login."""
        if not self._authorization:
            await self.login()
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        headers = {"Authorization": self._authorization, "Content-Type": "application/json"}
        return await self.send(method, path, data, headers)

    async def put_student(self, sourced_id: str = "s-1", **changes: Any) -> Answer:
        return await self.call("PUT", STUDENTS, {"student": wire_student(sourced_id, **changes)})

    async def put_user(self, sourced_id: str = "u-1", **changes: Any) -> Answer:
        record = wire_user(sourced_id, **changes)
        return await self.call("PUT", f"{USERS}/{sourced_id}", {"user": record})


@asynccontextmanager
async def mock_api(**settings: Any) -> AsyncIterator[Api]:
    """Start a server with these settings."""
    timeout = aiohttp.ClientTimeout(total=10)
    async with MockServer(**settings) as server, aiohttp.ClientSession(timeout=timeout) as http:
        http._retry_connection = False  # aiohttp would repeat a dropped request by itself
        yield Api(server, http)

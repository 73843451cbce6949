"""Web frameworks: one session for the life of the application."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.support.tasks import until
from timeback_async.testing import Faults, MockServer

uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not installed")


@asynccontextmanager
async def served(name: str) -> AsyncIterator[str]:
    """Serve the application of a recipe; yield its address."""
    pytest.importorskip(name, reason=f"{name} is not installed")
    app: Any = importlib.import_module(f"tests.stacks.recipes.{name}_app").app
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="on", log_level="warning"))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started or serving.done())
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


@pytest.mark.parametrize("name", ["fastapi", "starlette", "litestar", "quart", "django"])
async def test_a_hundred_requests_at_once_share_a_session(server: MockServer, name: str) -> None:
    async with served(name) as url, ClientSession() as client:

        async def put(number: int) -> int:
            async with client.put(f"{url}/students/s-{number}") as answer:
                return answer.status

        statuses = await asyncio.gather(*map(put, range(100)))

    assert statuses == [204] * 100
    assert len(server.students) == 100
    assert server.token_requests == 1
    assert server.connections <= 65  # `max_in_flight`, and one for the token


@pytest.mark.parametrize(("status", "answered"), [(400, 502), (503, 503)])
async def test_what_goes_wrong_is_no_error_of_the_application(
    server: MockServer, monkeypatch: pytest.MonkeyPatch, status: int, answered: int
) -> None:
    server.faults = Faults(statuses={status: 1.0})
    async with served("fastapi") as url, ClientSession() as client:
        monkeypatch.setattr("timeback_async._flow.retries.RetryPolicy.delay", lambda *a, **k: None)
        async with client.put(f"{url}/students/s-1") as answer:
            assert answer.status == answered
            assert "HTTP" in (await answer.json())["detail"]

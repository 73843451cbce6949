"""Metrics, logs and error trackers."""

import gzip
import importlib
import io
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from aiohttp import ClientSession, web

from tests.support.records import student, students
from timeback_async import Config, TimebackSession
from timeback_async.errors import TimebackError
from timeback_async.testing import Faults, MockServer

# Written so that the lines of source, which trackers show, do not hold it.
CANARY = "yranac"[::-1]


async def test_prometheus(server: MockServer) -> None:
    prometheus: Any = pytest.importorskip("prometheus_client", reason="it is not installed")
    recipe: Any = importlib.import_module("tests.stacks.recipes.prometheus_metrics")
    metrics, registry = recipe.TimebackMetrics(), prometheus.CollectorRegistry()
    registry.register(metrics)
    exporter, thread = prometheus.start_http_server(0, "127.0.0.1", registry)
    try:
        async with (
            TimebackSession(Config.from_env(), hook=metrics) as timeback,
            ClientSession() as client,
        ):
            await timeback.upsert_many([*students(3), student(given_name=None)])
            async with client.get(f"http://127.0.0.1:{exporter.server_port}/metrics") as answer:
                text = await answer.text()
    finally:
        await anyio.to_thread.run_sync(exporter.shutdown)
        exporter.server_close()
        thread.join()

    assert 'timeback_records_total{kind="student",outcome="saved"} 3.0' in text
    assert 'timeback_records_total{kind="student",outcome="invalid"} 1.0' in text
    assert "timeback_requests_total 3.0" in text
    assert "timeback_in_flight 0.0" in text


async def test_structlog(server: MockServer) -> None:
    pytest.importorskip("structlog", reason="structlog is not installed")
    recipe: Any = importlib.import_module("tests.stacks.recipes.structlog_logs")
    logger = logging.getLogger("timeback_async")
    before, stream = (logger.level, logger.handlers[:]), io.StringIO()
    recipe.log_as_json(stream)
    try:
        server.fail("drop_before", times=20)  # a short outage, which is logged
        async with TimebackSession(Config.from_env()) as timeback:
            assert (await timeback.upsert_many(students(20))).saved == 20
    finally:
        logger.setLevel(before[0])
        logger.handlers[:] = before[1]

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert any(line["logger"] == "timeback_async.pool" for line in lines)
    assert {"event", "level", "timestamp"} <= lines[0].keys()
    assert "Byron" not in stream.getvalue()


@pytest.fixture
async def tracker() -> AsyncIterator[tuple[str, list[str]]]:
    """Run what takes the place of Sentry's server; yield its DSN, and what it got."""
    got: list[str] = []

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        packed = request.headers.get("Content-Encoding") == "gzip" and body[:2] == b"\x1f\x8b"
        got.append((gzip.decompress(body) if packed else body).decode())
        return web.json_response({})

    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/api/1/envelope/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://key@127.0.0.1:{runner.addresses[0][1]}/1", got
    await runner.cleanup()


async def test_sentry_with_its_defaults_gets_no_secret_and_no_name(
    server: MockServer, tracker: tuple[str, list[str]]
) -> None:
    sentry: Any = pytest.importorskip("sentry_sdk", reason="Sentry's SDK is not installed")
    dsn, got = tracker
    # The flow of a test is not that of an application: what was set up here ends with the scope.
    with sentry.isolation_scope():
        sentry.init(dsn)
        try:
            for secret in (server.client_secret, CANARY):
                config = Config.from_env(client_secret=secret, deadline=2.0)
                async with TimebackSession(config) as timeback:
                    for status in (None, 400, 503):
                        server.faults = Faults(statuses={status: 1.0} if status else {})
                        await _fail(sentry, timeback)
            await anyio.to_thread.run_sync(lambda: sentry.flush(10))
        finally:
            sentry.init()

    text = "\n".join(got)
    assert text.count('"exception"') >= 6
    assert "upsert_student" in text  # the frames of the application are there
    for secret in (server.client_secret, CANARY, "Bearer mock", "Basic "):
        assert secret not in text


async def _fail(sentry: Any, timeback: TimebackSession) -> None:
    """Do what goes wrong, and report it as an integration does."""
    for call in (
        lambda: timeback.upsert_student(student("s-1", family_name=CANARY, password=5)),
        lambda: timeback.request("PUT", "/rostering/1.0/x", body={"givenName": CANARY}),
        lambda: timeback.get_user("u-9"),
    ):
        try:
            await call()
        except TimebackError:
            sentry.capture_exception()

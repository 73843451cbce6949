"""Metrics and spans, as OpenTelemetry's SDK collects them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.records import link, student, students, user
from timeback_async import RetryPolicy, TimebackSession
from timeback_async.errors import AuthError, BadRequestError
from timeback_async.testing import Faults, MockServer

pytest.importorskip("opentelemetry.sdk", reason="OpenTelemetry is not installed")
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from timeback_async.otel import OpenTelemetry
from timeback_async.testing._answers import Refusal
from timeback_async.testing._api import RosteringApi


class Collected:
    """An SDK that keeps everything in memory."""

    def __init__(self) -> None:
        self._reader, self.exporter = InMemoryMetricReader(), InMemorySpanExporter()
        self.meters = MeterProvider([self._reader])
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))

    def hook(self, *, attempts: bool = False) -> OpenTelemetry:
        return OpenTelemetry(
            attempts=attempts, meter_provider=self.meters, tracer_provider=self.tracers
        )

    def metrics(self) -> dict[str, dict[tuple[Any, ...], float]]:
        """Return each metric: its value for each set of attributes."""
        data = self._reader.get_metrics_data()
        assert data is not None
        return {
            metric.name: {
                tuple(point.attributes.values()): point.value  # type: ignore[union-attr]
                for point in metric.data.data_points
            }
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name.startswith(name)]


@pytest.fixture
def collected() -> Iterator[Collected]:
    collected = Collected()
    yield collected
    collected.meters.shutdown()
    collected.tracers.shutdown()


async def test_records_and_attempts_are_counted(collected: Collected) -> None:
    faults = Faults(statuses={503: 0.2}, drop_after=0.1, seed=3)
    records = [*students(40), user("p-1"), link("s-1", "p-1"), student("s-99", given_name=None)]
    async with (
        MockServer(faults=faults) as server,
        TimebackSession(server.config(), hook=collected.hook()) as timeback,
    ):
        report = await timeback.upsert_many(records)
        server.faults = Faults(statuses={400: 1.0})
        with pytest.raises(BadRequestError):
            await timeback.upsert_user(user("p-2"))
        found = collected.metrics()

    assert found["timeback.records"] == {
        ("student", "saved"): 40,
        ("student", "invalid"): 1,
        ("user", "saved"): 1,
        ("user", "failed"): 1,
        ("agent", "saved"): 1,
    }
    attempts = found["timeback.attempts"]
    assert sum(attempts.values()) == report.attempts + 1
    assert (attempts[503,], attempts[400,]) == (server.statuses[503], 1)
    assert attempts["ProtocolError",] == server.statuses[499]
    assert found["timeback.retries"] == {(): report.retries}
    assert found["timeback.token_requests"] == {(): 1}
    assert found["timeback.in_flight"] == {(): 0}
    assert found["timeback.window"][()] > 0


async def test_sums_go_on_when_a_session_is_closed_and_states_do_not(collected: Collected) -> None:
    hook = collected.hook()
    async with MockServer() as server:
        for _ in range(2):
            async with TimebackSession(server.config(), hook=hook) as timeback:
                await timeback.upsert_student(student())
                await timeback.upsert_student(student())

        found = collected.metrics()

    assert found["timeback.token_requests"] == {(): 2}
    assert found["timeback.records"] == {("student", "saved"): 4}
    assert found["timeback.window"] == {(): 0}


async def test_each_session_may_have_a_hook_of_its_own(collected: Collected) -> None:
    async with MockServer() as server:
        for number in range(3):
            async with TimebackSession(server.config(), hook=collected.hook()) as timeback:
                await timeback.upsert_student(student(f"s-{number}"))

        found = collected.metrics()

    assert found["timeback.records"] == {("student", "saved"): 3}
    assert found["timeback.attempts"] == {(200,): 3}
    assert found["timeback.token_requests"] == {(): 3}


async def test_a_span_holds_no_words_of_the_server(
    collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = Refusal(403, "locked by Grace Hopper at https://db7.internal")

    def refusing(*_: object) -> None:
        raise words

    monkeypatch.setattr(RosteringApi, "route", refusing)
    async with (
        MockServer() as server,
        TimebackSession(server.config(), hook=collected.hook(attempts=True)) as timeback,
    ):
        with pytest.raises(AuthError):
            await timeback.upsert_many(students(3))

    told = [span.to_json() for span in collected.exporter.get_finished_spans()]
    assert collected.spans("timeback.bulk")[0].status.description == "ended early"
    assert not [text for text in told if "Hopper" in text or "db7" in text]


async def test_a_run_is_one_span_with_its_counts(collected: Collected) -> None:
    tracer = collected.tracers.get_tracer("test")
    async with (
        MockServer() as server,
        TimebackSession(server.config(), hook=collected.hook()) as timeback,
    ):
        with tracer.start_as_current_span("job") as job:
            await timeback.upsert_many(students(3))
            await timeback.upsert_many([student(given_name=None)])

    good, bad = collected.spans("timeback")
    assert good.parent is not None
    assert good.parent.span_id == job.get_span_context().span_id
    assert good.attributes == {
        "timeback.submitted": 3, "timeback.attempts": 3, "timeback.saved": 3
    }  # fmt: skip
    assert good.status.status_code is StatusCode.UNSET
    assert bad.status.status_code is StatusCode.ERROR


async def test_attempts_are_spans_if_asked_for(collected: Collected) -> None:
    hook = collected.hook(attempts=True)
    async with (
        MockServer(faults=Faults(statuses={503: 0.3}, drop_after=0.3, seed=5)) as server,
        TimebackSession(server.config(retry=RetryPolicy(initial=0.01)), hook=hook) as timeback,
    ):
        report = await timeback.upsert_many(students(20))

    (run,) = collected.spans("timeback.bulk")
    attempts = collected.spans("timeback PUT")
    assert len(attempts) == report.attempts
    assert {span.parent and span.parent.span_id for span in attempts} == {run.context.span_id}
    told = [dict(span.attributes or {}) for span in attempts]
    assert {each.get("http.response.status_code") for each in told} == {200, 503, None}
    assert {each.get("error.type") for each in told} == {None, "ServerError", "ProtocolError"}
    assert sum("http.request.resend_count" in each for each in told) == report.retries
    for span in attempts:
        assert span.start_time is not None
        assert span.end_time is not None
        assert span.start_time < span.end_time


async def test_an_attempt_of_a_single_call_is_a_child_of_its_caller(collected: Collected) -> None:
    tracer = collected.tracers.get_tracer("test")
    async with (
        MockServer() as server,
        TimebackSession(server.config(), hook=collected.hook(attempts=True)) as timeback,
    ):
        with tracer.start_as_current_span("handler") as handler:
            await timeback.upsert_student(student())

    (attempt,) = collected.spans("timeback PUT")
    assert attempt.parent is not None
    assert attempt.parent.span_id == handler.get_span_context().span_id


async def test_nothing_personal_is_reported(collected: Collected) -> None:
    hook = collected.hook(attempts=True)
    async with MockServer() as server, TimebackSession(server.config(), hook=hook) as timeback:
        await timeback.upsert_many([*students(3), student("s-9", given_name=None)])
        told = json.dumps([json.loads(span.to_json()) for span in collected.spans("")])
        told += str(collected.metrics())

    for secret in ("s-1", "s-9", "Byron", "ada", "mock-", "rostering"):
        assert secret not in told

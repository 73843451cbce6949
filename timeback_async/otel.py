"""Report to OpenTelemetry what a session does: metrics, and a span for each bulk run.

    async with TimebackSession(config, hook=OpenTelemetry()) as timeback:
        ...

It needs the extra `otel`, and an SDK that the application has set up. What it reports holds no
name, no id of a person and no URL.

| metric | attributes |
| --- | --- |
| `timeback.records` | `kind`, `outcome` |
| `timeback.attempts` | `http.response.status_code`, or `error.type` without an answer |
| `timeback.retries`, `timeback.throttled`, `timeback.token_requests` | |
| `timeback.in_flight`, `timeback.waiting`, `timeback.window` | |
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakKeyDictionary

from opentelemetry import context, metrics, trace
from opentelemetry.metrics import CallbackOptions, Observation

from ._hooks import Attempt, Hook
from ._report import Report
from ._results import ItemResult
from ._statistics import Statistics
from ._version import __version__

__all__ = ["OpenTelemetry"]

NAME = "timeback_async"
# Sums of all sessions, open or closed: name, field of `Statistics`, description.
SUMS = (
    ("timeback.retries", "retries", "Attempts that were not the first of their call"),
    ("timeback.throttled", "throttled", "Answers that asked to slow down"),
    ("timeback.token_requests", "token_requests", "Requests for tokens"),
)
# The state of the open sessions.
GAUGES = (
    ("timeback.in_flight", "in_flight", "Requests in flight"),
    ("timeback.waiting", "waiting", "Calls that wait for a slot"),
    ("timeback.window", "window", "The most requests in flight at once"),
)


class _Totals:
    """What all hooks of one meter provider have seen; the SDK collects it in a thread of its own.

    A provider keeps the first instrument of a name, with its callbacks, and no other.

    Attributes:
        records: Number of records by kind and outcome.
        attempts: Number of attempts by status, or by the type of their error.
        open: Returns the figures of each open session.
        closed: The sums of those that are closed.
    """

    def __init__(self, provider: metrics.MeterProvider) -> None:
        self.records: dict[tuple[str, str], int] = {}
        self.attempts: dict[int | str, int] = {}
        self.open: list[Callable[[], Statistics]] = []
        self.closed: Counter[str] = Counter()
        meter = metrics.get_meter(NAME, __version__, provider)
        meter.create_observable_counter(
            "timeback.records", [self._of_records], "{record}", "Records by kind and outcome"
        )
        meter.create_observable_counter(
            "timeback.attempts", [self._of_attempts], "{request}", "Requests by their answer"
        )
        for name, field, description in SUMS:
            meter.create_observable_counter(name, [self._sum_of(field)], "{request}", description)
        for name, field, description in GAUGES:
            meter.create_observable_gauge(name, [self._state_of(field)], "{request}", description)

    @classmethod
    def of(cls, provider: metrics.MeterProvider) -> "_Totals":
        """Return those of a provider, the same each time."""
        if provider not in _totals:
            _totals[provider] = cls(provider)
        return _totals[provider]

    def _of_records(self, options: CallbackOptions) -> Iterable[Observation]:
        for (kind, outcome), number in self.records.copy().items():
            yield Observation(number, {"kind": kind or "unknown", "outcome": outcome})

    def _of_attempts(self, options: CallbackOptions) -> Iterable[Observation]:
        for answer, number in self.attempts.copy().items():
            name = "http.response.status_code" if isinstance(answer, int) else "error.type"
            yield Observation(number, {name: answer})

    def _sum_of(self, field: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observed(options: CallbackOptions) -> Iterable[Observation]:
            yield Observation(self.closed[field] + self._total(field))

        return observed

    def _state_of(self, field: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observed(options: CallbackOptions) -> Iterable[Observation]:
            yield Observation(self._total(field))

        return observed

    def _total(self, field: str) -> Any:
        return sum(getattr(statistics(), field) for statistics in self.open.copy())


_totals: WeakKeyDictionary[metrics.MeterProvider, _Totals] = WeakKeyDictionary()


class OpenTelemetry(Hook):
    """A hook that feeds OpenTelemetry. One can serve several sessions, or each have its own.

    Records and attempts are counted here, and handed over when the SDK collects: a counter of
    OpenTelemetry takes longer than an upsert may.

    Args:
        attempts: Whether each attempt gets a span, too: it costs as much as the attempt itself.
        meter_provider: Where the metrics go; None for the global one.
        tracer_provider: Where the spans go; None for the global one.
    """

    def __init__(
        self,
        *,
        attempts: bool = False,
        meter_provider: metrics.MeterProvider | None = None,
        tracer_provider: trace.TracerProvider | None = None,
    ) -> None:
        self._with_attempts = attempts
        self._tracer = trace.get_tracer(NAME, __version__, tracer_provider)
        totals = _Totals.of(meter_provider or metrics.get_meter_provider())
        self._records, self._attempts = totals.records, totals.attempts
        self._open, self._closed = totals.open, totals.closed

    # -- what the session shows

    def opened(self, statistics: Callable[[], Statistics]) -> None:
        """Begin to report the state of a session."""
        self._open.append(statistics)

    def closed(self, statistics: Callable[[], Statistics]) -> None:
        """Report the state of a session no more, and keep its sums."""
        self._open.remove(statistics)
        last = statistics()
        for _, field, _ in SUMS:
            self._closed[field] += getattr(last, field)

    def attempt(self, attempt: Attempt) -> None:
        """Count an attempt, and make a span of it if that was asked for."""
        answer = attempt.status or _type_of(attempt.error)
        self._attempts[answer] = self._attempts.get(answer, 0) + 1
        if self._with_attempts:
            self._span(attempt)

    def result(self, result: ItemResult) -> None:
        """Count a record."""
        # The value alone: a member of an enum takes ten times as long to be looked up.
        key = result.kind, result.outcome._value_
        self._records[key] = self._records.get(key, 0) + 1

    def run(self) -> Callable[[Report], None]:
        """Begin the span of a bulk run; it is the parent of the spans of its attempts."""
        span = self._tracer.start_span("timeback.bulk")
        context.attach(trace.set_span_in_context(span))

        def end(report: Report) -> None:
            counts = {f"timeback.{outcome}": n for outcome, n in report.counts.items() if n}
            span.set_attributes(
                {
                    "timeback.submitted": report.submitted,
                    "timeback.attempts": report.attempts,
                    **counts,
                }
            )
            if not report.ok:
                # Not why it ended: that has the server's words.
                why = "ended early" if report.stopped else "not all records are ok"
                span.set_status(trace.StatusCode.ERROR, why)
            span.end()

        return end

    def _span(self, attempt: Attempt) -> None:
        now = time.time_ns()
        attributes: dict[str, str | int] = {
            "http.request.method": attempt.method,
            "timeback.request_id": attempt.request_id,
        }
        if attempt.number > 1:
            attributes["http.request.resend_count"] = attempt.number - 1
        if attempt.status is not None:
            attributes["http.response.status_code"] = attempt.status
        if attempt.status is None or attempt.error is not None:
            attributes["error.type"] = _type_of(attempt.error)
        span = self._tracer.start_span(
            f"timeback {attempt.method}",
            kind=trace.SpanKind.CLIENT,
            attributes=attributes,
            start_time=now - int(attempt.seconds * 1e9),
        )
        if "error.type" in attributes:
            span.set_status(trace.StatusCode.ERROR)
        span.end(now)


def _type_of(error: Exception | None) -> str:
    return "cancelled" if error is None else type(error).__name__

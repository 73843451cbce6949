"""Prometheus: a hook that counts the records, and a collector that shows them and the session."""

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from timeback_async import Hook, ItemResult, Statistics


class TimebackMetrics(Hook, Collector):
    """Register it with Prometheus, and pass it as the hook of one session."""

    def __init__(self) -> None:
        self._records: Counter[tuple[str, str]] = Counter()
        self._statistics: Callable[[], Statistics] | None = None

    def opened(self, statistics: Callable[[], Statistics]) -> None:
        self._statistics = statistics

    def result(self, result: ItemResult) -> None:
        self._records[result.kind, result.outcome] += 1

    def collect(self) -> Iterator[Metric]:
        records = CounterMetricFamily(
            "timeback_records", "Records by kind and outcome", labels=["kind", "outcome"]
        )
        for labels, number in self._records.copy().items():
            records.add_metric(labels, number)
        yield records
        if self._statistics is not None:
            now = self._statistics()
            yield CounterMetricFamily("timeback_requests", "Requests sent", value=now.attempts)
            yield CounterMetricFamily("timeback_retries", "Repeated requests", value=now.retries)
            yield CounterMetricFamily("timeback_throttled", "Slow down!", value=now.throttled)
            yield GaugeMetricFamily("timeback_in_flight", "Requests in flight", now.in_flight)
            yield GaugeMetricFamily("timeback_window", "The most at once", now.window)

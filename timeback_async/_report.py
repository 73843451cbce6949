"""Count the results of a bulk run, in memory that does not grow with the number of records."""

from typing import Any

import msgspec

from ._results import OK, ItemResult, Outcome
from ._statistics import Latency
from .errors import TimebackError

__all__ = ["MOST_FOR_ONE_REASON", "Report", "Tally"]

MAX_FAILURES = 1000
MOST_FOR_ONE_REASON = 3  # where failures are shown as examples


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Report what became of all records of a bulk run.

    The counts of all outcomes add up to `submitted`. `saved`, `deleted`, `fetched`, `failed`,
    `invalid`, `not_sent` and `unknown` return one count each.

    Attributes:
        submitted: Records read from the source.
        counts: Number of records by outcome.
        attempts: Requests sent for these records.
        retries: Those of them that were not the first of their record.
        throttled: Answers to them that were 429, or 503 with `Retry-After`.
        token_requests: Token requests of the whole session during the run.
        elapsed: Seconds from the start of the run to its last result.
        latency: Percentiles of all answered attempts of the session during the run.
        failures: The first 1,000 results that have an error. The counts are always complete.
        dry_run: Whether the records were only checked, and none was sent.
        stopped: Why the run ended before the end of its source, or "".
    """

    submitted: int
    counts: dict[Outcome, int]
    attempts: int
    retries: int
    throttled: int
    token_requests: int
    elapsed: float
    latency: Latency
    failures: list[ItemResult]
    dry_run: bool = False
    stopped: str = ""

    @property
    def ok(self) -> bool:
        """Whether the run was not stopped, and every record was saved, deleted or fetched.

        In a dry run: whether it was not stopped, and every record is valid.
        """
        if self.dry_run:
            return not self.stopped and self.invalid == 0
        return not self.stopped and sum(self.counts[o] for o in OK) == self.submitted

    @property
    def rate(self) -> float:
        """Saved, deleted and fetched records per second."""
        return sum(self.counts[o] for o in OK) / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def saved(self) -> int:
        return self.counts[Outcome.SAVED]

    @property
    def deleted(self) -> int:
        return self.counts[Outcome.DELETED]

    @property
    def fetched(self) -> int:
        return self.counts[Outcome.FETCHED]

    @property
    def failed(self) -> int:
        return self.counts[Outcome.FAILED]

    @property
    def invalid(self) -> int:
        return self.counts[Outcome.INVALID]

    @property
    def not_sent(self) -> int:
        return self.counts[Outcome.NOT_SENT]

    @property
    def unknown(self) -> int:
        return self.counts[Outcome.UNKNOWN]

    def raise_for_failures(self) -> None:
        """Raise an error unless the run is `ok`.

        Raises:
            TimebackError: The run is not `ok`. The `report` of the error is this report.
        """
        if self.ok:
            return
        first = f"; the first: {self.failures[0]!r}" if self.failures else ""
        error = TimebackError(f"{self}{first}")
        error.report = self
        raise error

    def as_dict(self) -> dict[str, Any]:
        """Return all figures, ready for JSON. Durations are in seconds; `failures` is left out."""
        return {
            "submitted": self.submitted,
            **{outcome.value: self.counts[outcome] for outcome in Outcome},
            "ok": self.ok,
            "attempts": self.attempts,
            "retries": self.retries,
            "throttled": self.throttled,
            "token_requests": self.token_requests,
            "elapsed": round(self.elapsed, 3),
            "rate": round(self.rate, 1),
            "latency": msgspec.structs.asdict(self.latency),
            "dry_run": self.dry_run,
            "stopped": self.stopped,
        }

    def __str__(self) -> str:
        ended = ", ".join(f"{n:,} {o.value}" for o, n in self.counts.items() if n) or "no records"
        if self.dry_run:
            return f"{self.submitted:,} records checked, nothing sent: {ended}"
        return (
            f"{self.submitted:,} records: {ended}; {self.attempts:,} requests "
            f"({self.retries:,} retries, {self.throttled:,} throttled), "
            f"{self.token_requests} for tokens, {self.elapsed:.1f} s, {self.rate:,.0f} records/s"
            + (f"; stopped: {self.stopped}" if self.stopped else "")
        )

    def __repr__(self) -> str:
        return f"<Report {self}>"


class Tally:
    """Counts the results of a run as they come, and builds the report from them."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(Outcome, 0)
        self.attempts = 0
        self.retries = 0
        self.failed = 0
        self.failures: list[ItemResult] = []

    def count(self, outcome: Outcome, attempts: int) -> None:
        """Count one record."""
        self.counts[outcome] += 1
        self.attempts += attempts
        if attempts > 1:
            self.retries += attempts - 1

    def keep(self, failure: ItemResult) -> None:
        """Keep a result that has an error, if it is one of the first 1,000."""
        if failure.outcome is not Outcome.NOT_SENT:
            self.failed += 1
        if len(self.failures) < MAX_FAILURES:
            self.failures.append(failure)

    def report(
        self,
        *,
        submitted: int,
        throttled: int,
        token_requests: int,
        elapsed: float,
        latency: Latency,
        dry_run: bool,
        stopped: str,
    ) -> Report:
        """Return the report. A record that was read and has no result is a defect."""
        assert sum(self.counts.values()) == submitted, "a record was lost"
        return Report(
            submitted=submitted,
            counts=dict(self.counts),
            attempts=self.attempts,
            retries=self.retries,
            throttled=throttled,
            token_requests=token_requests,
            elapsed=elapsed,
            latency=latency,
            failures=list(self.failures),
            dry_run=dry_run,
            stopped=stopped,
        )

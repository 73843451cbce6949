"""Report what became of all partitions of a run."""

from contextlib import suppress
from typing import Any

import msgspec
import pyarrow
from pyarrow import compute

from .._results import OK, Outcome
from ..errors import TimebackError
from ._folder import Folder
from ._outcomes import OUTCOMES, PartitionReport

__all__ = ["FleetReport"]

FIGURES = ("attempts", "retries", "throttled", "token_requests")


class FleetReport:
    """Report what became of all records of all partitions.

    The counts of all outcomes add up to `submitted`. `saved`, `failed`, `invalid`, `not_sent` and
    `unknown` return one count each.

    Attributes:
        out: The folder with the outcomes.
        partitions: A row for each partition: worker, tries, counts and so on.
        submitted: Records in all partitions.
        counts: Number of records by outcome.
        attempts, retries, throttled, token_requests: As in `Report`, of every partition's last try.
        elapsed: Seconds from the call to the last result.
        stopped: Why the run ended before its last partition, or "".
    """

    def __init__(
        self,
        folder: Folder,
        partitions: list[PartitionReport],
        open_rows: list[Any],
        elapsed: float,
        stopped: str = "",
    ) -> None:
        self._folder, self._open_rows = folder, open_rows
        self.out, self.partitions, self.elapsed = folder.url, partitions, elapsed
        self.submitted = sum(each.records for each in partitions)
        self.counts = {o: sum(each.counts[o] for each in partitions) for o in Outcome}
        self.stopped = stopped
        self.attempts, self.retries, self.throttled, self.token_requests = (
            sum(getattr(each, figure) for each in partitions) for figure in FIGURES
        )

    @property
    def ok(self) -> bool:
        """Whether every partition is finished, and every record was saved."""
        return not self.stopped and all(each.ok for each in self.partitions)

    @property
    def rate(self) -> float:
        """Records saved per second, those of earlier calls left out."""
        now = (each for each in self.partitions if not each.is_earlier)
        saved = sum(each.counts[o] for each in now for o in OK)
        return saved / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def saved(self) -> int:
        return self.counts[Outcome.SAVED]

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

    @property
    def repeated(self) -> int:
        """How many records were sent more than once, at most, since workers died."""
        return sum(each.repeated for each in self.partitions)

    def failures(self) -> Any:
        """Return all records that were not saved, as a table of pyarrow.

        Its columns are partition, index, kind, sourced_id, outcome, status, attempts and error.

        Raises:
            OSError: `out` cannot be read.
        """
        names = [each.name for each in self.partitions if each.is_finished and not each.ok]
        found = [*self._open_rows, *map(self._folder.outcomes, names)]
        table = pyarrow.concat_tables([OUTCOMES.empty_table(), *found])
        saved = compute.is_in(table["outcome"], pyarrow.array([str(o) for o in OK]))
        return table.filter(compute.invert(saved))

    def raise_for_failures(self) -> None:
        """Raise an error unless the run is `ok`.

        Raises:
            TimebackError: The run is not `ok`. The `report` of the error is this report.
        """
        if self.ok:
            return
        told = ""
        with suppress(pyarrow.ArrowException, OSError):  # then `out` cannot be read any more
            for first in self.failures().slice(0, 1).to_pylist():
                told = "; the first: {partition}, {kind} {sourced_id!r}: {error}".format(**first)
        error = TimebackError(f"{self}{told}")
        error.report = self
        raise error

    def as_dict(self) -> dict[str, Any]:
        """Return all figures, ready for JSON, with a row for each partition."""
        return {
            "submitted": self.submitted,
            **{outcome.value: self.counts[outcome] for outcome in Outcome},
            "ok": self.ok,
            **{figure: getattr(self, figure) for figure in FIGURES},
            "repeated": self.repeated,
            "elapsed": round(self.elapsed, 3),
            "rate": round(self.rate, 1),
            "stopped": self.stopped,
            "partitions": [msgspec.to_builtins(each) for each in self.partitions],
        }

    def __str__(self) -> str:
        ended = ", ".join(f"{n:,} {o.value}" for o, n in self.counts.items() if n) or "no records"
        finished = sum(1 for each in self.partitions if each.is_finished)
        earlier = sum(1 for each in self.partitions if each.is_earlier)
        return (
            f"{self.submitted:,} records: {ended}; {finished:,} of {len(self.partitions):,} "
            f"partitions are finished, {earlier:,} of them by an earlier call; {self.attempts:,} "
            f"requests, {self.elapsed:.1f} s"
            + (f"; stopped: {self.stopped}" if self.stopped else "")
        )

    def __repr__(self) -> str:
        return f"<FleetReport {self}>"

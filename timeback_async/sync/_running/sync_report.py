"""What became of a run: counts by phase and outcome, what did not make it, and what was found.

It holds ids, file names and line numbers, and nothing else of anybody.
"""

import time
from collections import Counter
from typing import Any

import msgspec

from ..._report import MOST_FOR_ONE_REASON
from ..._results import ItemResult, Outcome
from ..._trace import Trace
from ...errors import TimebackError
from .._planning.plan import PHASES, Change, Plan
from .._planning.tables import Phase
from .._reading.findings import Cause

__all__ = ["MAX_KEPT_FAILURES", "Failure", "PhaseReport", "SyncReport"]

MAX_KEPT_FAILURES = 1000
# What tells most comes first.
RANK = [Outcome.FAILED, Outcome.INVALID, Outcome.UNKNOWN, Outcome.NOT_SENT]


class PhaseReport(msgspec.Struct):
    """What became of one phase.

    Attributes:
        planned: Records that were to be sent.
        counts: How many ended in each outcome; what is missing was not come to.
        began: Seconds from the beginning of the run to the first result, or None.
        ended: The same to the last one.
    """

    planned: int
    counts: dict[Outcome, int] = msgspec.field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    began: float | None = None
    ended: float | None = None

    @property
    def not_reached(self) -> int:
        """How many the run did not come to, or that a dry one would come to."""
        return self.planned - sum(self.counts.values())

    def as_dict(self) -> dict[str, int]:
        """Return what was planned, and how many ended in each outcome that there was."""
        ended = {outcome.value: number for outcome, number in self.counts.items() if number}
        return {"planned": self.planned, **ended}


class Failure(msgspec.Struct, frozen=True):
    """A record that did not make it: where it stands, whose it is, and why.

    Attributes:
        who: The `sourced_id`; of a link, both its people.
    """

    file: str
    line: int
    kind: str
    sourced_id: str
    outcome: Outcome
    reason: str
    who: str

    @classmethod
    def of(cls, change: Change, result: ItemResult) -> "Failure":
        """Return what is to be said of a result."""
        own = (change.file, change.line, change.kind, change.sourced_id)
        return cls(*own, result.outcome, str(result.error), change.who)

    @property
    def where(self) -> str:
        """File and line; "" for what only the state knows of."""
        return f"{self.file}:{self.line}" if self.file else ""

    def as_dict(self) -> dict[str, str]:
        """Return it for a machine."""
        return {
            "where": self.where,
            "kind": self.kind,
            "id": self.sourced_id,
            "who": self.who,
            "outcome": self.outcome.value,
            "reason": self.reason,
        }


class SyncReport(msgspec.Struct, kw_only=True):
    """What became of a run.

    Attributes:
        roster: What the roster is called.
        format: What kind of roster it was.
        read: Students, users and links in it, and rows that are left out.
        unchanged: Records that the server held already.
        absent: Records of each kind that earlier runs wrote and the files no longer hold.
        phases: What became of each phase.
        causes: What was found in the files.
        left_out: Findings that left something out.
        requests, retries, throttled, token_requests: Of the whole run.
        elapsed: Seconds.
        began: When it began, in seconds since 1970.
        endpoint: Where it was sent; "" where nothing was to be.
        dry_run: Whether nothing was to be sent.
        stopped: Why the run ended before its plan did, or "".
        trace: How it went over time.
        failures: The first 1,000 records that did not make it; the counts are always complete.
    """

    roster: str = ""
    format: str = ""
    read: dict[str, int] = {}
    unchanged: int = 0
    absent: dict[str, int] = {}
    phases: dict[Phase, PhaseReport] = {}
    causes: list[Cause] = []
    left_out: int = 0
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    token_requests: int = 0
    began: float = msgspec.field(default_factory=time.time)
    elapsed: float = 0.0
    endpoint: str = ""
    dry_run: bool = False
    stopped: str = ""
    trace: Trace = msgspec.field(default_factory=Trace)
    failures: list[Failure] = []

    @classmethod
    def of(cls, plan: Plan, **facts: Any) -> "SyncReport":
        """Return the report of a plan of which nothing has been sent."""
        return cls(
            roster=plan.roster.name,
            format=plan.roster.format,
            read=plan.roster.count._asdict(),
            unchanged=plan.unchanged,
            absent=dict(plan.absent),
            phases={phase: PhaseReport(plan.total(phase)) for phase in PHASES},
            causes=plan.roster.findings.causes,
            left_out=plan.roster.findings.errors,
            **facts,
        )

    @property
    def counts(self) -> Counter[Outcome]:
        """How many records ended in each outcome."""
        total: Counter[Outcome] = Counter()
        for phase in self.phases.values():
            total.update(phase.counts)
        return total

    @property
    def planned(self) -> int:
        """How many records were to be sent."""
        return sum(phase.planned for phase in self.phases.values())

    @property
    def done(self) -> int:
        """How many of them did what was asked."""
        return self.counts[Outcome.SAVED] + self.counts[Outcome.DELETED]

    @property
    def not_reached(self) -> int:
        """How many of them the run did not come to, since it ended before."""
        return 0 if self.dry_run else sum(each.not_reached for each in self.phases.values())

    @property
    def ok(self) -> bool:
        """Whether everything in the files is at the server now; dry: whether it could be."""
        return (
            not self.left_out and not self.stopped and (self.dry_run or self.done == self.planned)
        )

    def raise_for_failures(self) -> None:
        """Do nothing when all is ok.

        Raises:
            TimebackError: Something in the files is not at the server.
        """
        if not self.ok:
            first = next(iter(self.failures), None)
            why = f"; the first: {first.kind} {first.who}: {first.reason}" if first else ""
            raise TimebackError(f"{self}{why}")

    def examples(self, number: int) -> list[Failure]:
        """Return so many failures, the worst first and at most 3 for one reason."""
        told: Counter[str] = Counter()
        found = []
        for failure in sorted(self.failures, key=lambda each: RANK.index(each.outcome)):
            told[failure.reason] += 1
            if told[failure.reason] <= MOST_FOR_ONE_REASON:
                found.append(failure)
        return found[:number]

    def more(self, shown: int) -> int:
        """Return how many failures there are beside those shown."""
        return self.counts.total() - self.done - shown

    def as_dict(self) -> dict[str, Any]:
        """Return everything for a machine."""
        return {
            "ok": self.ok,
            "roster": self.roster,
            "format": self.format,
            "read": self.read,
            "unchanged": self.unchanged,
            "absent": self.absent,
            "phases": {name: phase.as_dict() for name, phase in self.phases.items()},
            "findings": [cause.as_dict() for cause in self.causes],
            "left_out": self.left_out,
            "not_reached": self.not_reached,
            "failures": [failure.as_dict() for failure in self.failures],
            "requests": self.requests,
            "retries": self.retries,
            "throttled": self.throttled,
            "token_requests": self.token_requests,
            "began": round(self.began, 3),
            "elapsed": round(self.elapsed, 3),
            "endpoint": self.endpoint,
            "dry_run": self.dry_run,
            "stopped": self.stopped,
        }  # fmt: skip

    def __str__(self) -> str:
        ended = [f"{n:,} {o.value}" for o, n in self.counts.items() if n]
        if self.not_reached:
            ended.append(f"{self.not_reached:,} not reached")
        return (
            f"{self.planned:,} changes: {', '.join(ended) or 'nothing sent'}; "
            f"{self.unchanged:,} unchanged"
            + (f"; {self.left_out:,} findings left something out" if self.left_out else "")
            + (f"; stopped: {self.stopped}" if self.stopped else "")
        )

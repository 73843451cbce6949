"""The facts of a run: counts by phase and outcome, failures, findings.

They hold ids, file names and line numbers, and nothing else about a person.
"""

import time
from collections import Counter

import msgspec

from ..._report import MOST_FOR_ONE_REASON, Report
from ..._results import OK, ItemResult, Outcome
from ..._trace import Trace
from .._planning.plan import Change
from .._planning.tables import Action, Phase
from .._reading.codes import Severity
from .._reading.findings import Cause

__all__ = ["MAX_KEPT_FAILURES", "Failure", "PhaseReport", "RunFacts"]

MAX_KEPT_FAILURES = 1000

# What a plan does in each phase, and how that is called there.
ACTIONS: dict[Phase, dict[Action, str]] = {
    "people": {"create": "new", "update": "changed"},
    "links": {"link": "new", "relink": "changed"},
    "unlinks": {"unlink": "to delete"},
    "deactivations": {"deactivate": "to deactivate"},
}
# Of failures, the most telling first.
RANK = [Outcome.FAILED, Outcome.INVALID, Outcome.UNKNOWN, Outcome.NOT_SENT]


class PhaseReport(msgspec.Struct):
    """The result of one phase.

    Attributes:
        planned: Records to be sent.
        counts: Number of records by outcome; records that were not reached are in none.
        began: Seconds from the beginning of the run to the first result, or None.
        ended: Seconds from the beginning of the run to the last result, or None.
    """

    planned: int
    counts: dict[Outcome, int] = msgspec.field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    began: float | None = None
    ended: float | None = None

    @property
    def not_reached(self) -> int:
        """How many records have no result; in a dry run all of them."""
        return self.planned - sum(self.counts.values())

    def as_dict(self) -> dict[str, int]:
        """Return the number of planned records, and of each outcome that occurred."""
        ended = {outcome.value: number for outcome, number in self.counts.items() if number}
        return {"planned": self.planned, **ended}


class Failure(msgspec.Struct, frozen=True):
    """A record that was not saved: where it is in the files, its id, and the reason.

    Attributes:
        file: The file it comes from; "" if only the state knows it.
        line: The line there, from 1.
        kind: "student", "user", "agent" or "person".
        sourced_id: Of the person; of a link, the student's.
        outcome: Why it is a failure.
        reason: The error, in words.
        who: The `sourced_id`; of a link, both ids.
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
        """Return the failure of a change."""
        place = (change.file, change.line, change.kind, change.sourced_id)
        return cls(*place, result.outcome, str(result.error), change.who)

    @property
    def where(self) -> str:
        """File and line; "" if only the state knows the record."""
        return f"{self.file}:{self.line}" if self.file else ""

    def as_dict(self) -> dict[str, str]:
        """Return it as JSON types."""
        return {
            "where": self.where,
            "kind": self.kind,
            "id": self.sourced_id,
            "who": self.who,
            "outcome": self.outcome.value,
            "reason": self.reason,
        }


class RunFacts(msgspec.Struct, kw_only=True):
    """What a `SyncReport` holds; see there."""

    roster: str = ""
    format: str = ""
    read: dict[str, int] = {}
    severities: dict[Severity, int] = {}
    actions: dict[Action, int] = {}
    unchanged: int = 0
    absent: dict[str, int] = {}
    phases: dict[Phase, PhaseReport] = {}
    causes: list[Cause] = []
    unaccepted: int = 0
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    token_requests: int = 0
    began: float = msgspec.field(default_factory=time.time)
    elapsed: float = 0.0
    sending: float = 0.0
    endpoint: str = ""
    dry_run: bool = False
    is_refused: bool = False
    is_resumable: bool = True
    stopped: str = ""
    trace: Trace = msgspec.field(default_factory=Trace)
    failures: list[Failure] = []
    samples: dict[Phase, list[str]] = {}

    def count(self, change: Change, result: ItemResult, at: float) -> None:
        """Count the result of a change, and keep it if it is a failure, up to 1,000 of them.

        Args:
            change: The change.
            result: Its result.
            at: Seconds from the beginning of the run.
        """
        phase, outcome = self.phases[change.phase], result.outcome
        phase.counts[outcome] += 1
        phase.ended = at
        phase.began = at if phase.began is None else phase.began
        if outcome not in OK and len(self.failures) < MAX_KEPT_FAILURES:
            self.failures.append(Failure.of(change, result))

    def add_up(self, part: Report) -> None:
        """Add the requests of a bulk run."""
        self.requests += part.attempts
        self.retries += part.retries
        self.throttled += part.throttled
        self.token_requests += part.token_requests

    @property
    def counts(self) -> Counter[Outcome]:
        """Number of records by outcome, of all phases."""
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
        """How many of them were saved or deleted."""
        return self.counts[Outcome.SAVED] + self.counts[Outcome.DELETED]

    @property
    def valid(self) -> int:
        """How many of them could be sent, after a dry run; else 0."""
        return self.planned - self.counts.total() if self.dry_run else 0

    @property
    def rate(self) -> float:
        """Records saved or deleted a second, while they were sent."""
        return self.done / self.sending if self.sending > 0 else 0.0

    @property
    def not_reached(self) -> int:
        """How many of them have no result because the run ended early; 0 if none was to be sent."""
        if self.dry_run or self.is_refused:
            return 0
        return sum(each.not_reached for each in self.phases.values())

    def planned_as(self, phase: Phase) -> str:
        """Return what is planned in a phase, such as "12 new, 3 changed"; "" for nothing."""
        found = ((self.actions.get(action, 0), word) for action, word in ACTIONS[phase].items())
        return ", ".join(f"{number:,} {word}" for number, word in found if number)

    @property
    def ok(self) -> bool:
        """Whether everything in the files is at the server now, or could be after a dry run."""
        return not (self.unaccepted or self.stopped or self.done + self.valid < self.planned)

    def examples(self, number: int) -> list[Failure]:
        """Return up to `number` failures, the worst first, at most 3 with the same reason."""
        by_reason: Counter[str] = Counter()
        found = []
        for failure in sorted(self.failures, key=lambda each: RANK.index(each.outcome)):
            by_reason[failure.reason] += 1
            if by_reason[failure.reason] <= MOST_FOR_ONE_REASON:
                found.append(failure)
        return found[:number]

    def more(self, shown: int) -> int:
        """Return how many failures there are besides those shown."""
        return self.counts.total() - self.done - shown

"""The report of a run, in words, as JSON types, and as a page."""

import time
from collections.abc import Callable
from typing import Any

from ..._results import Outcome
from ...errors import TimebackError
from .._planning.plan import PHASES, Plan
from .._reading.files import shown
from .facts import PhaseReport, RunFacts
from .page import page

__all__ = ["SyncReport"]


class SyncReport(RunFacts, kw_only=True):
    """The result of a run.

    Attributes:
        roster: The roster's name.
        format: "OneRoster 1.1", "JSON Lines" and so on.
        read: Number of "rows" that were read, and of "students", "users", "links", "repeated" and
            "left_out" rows among them; see `Roster.count`.
        severities: Number of findings of each severity: "error", "warning" and "note".
        actions: Number of changes of each action: "create", "update" and so on; see `Change`.
        unchanged: Records that the server had already.
        absent: Records of each kind that earlier runs wrote and the files no longer hold.
        phases: The result of each phase.
        causes: The findings in the files, by cause.
        unaccepted: Findings that left something out and that `ReadOptions.accept` does not name.
        requests, retries, throttled, token_requests: Numbers of the whole run.
        began: When the roster began to be read, in seconds since 1970.
        elapsed: Seconds from then on: reading, comparing and sending.
        sending: Those of them in which records were sent.
        endpoint: Where it was sent; "" if nothing was to be sent.
        dry_run: Whether nothing was to be sent.
        is_refused: Whether it was refused before anything was sent.
        is_resumable: Whether the same run continues where this one ended: there is a state.
        stopped: Why the run ended before its plan did, or "".
        trace: Rates and latencies over time.
        failures: The first 1,000 records that were not saved; the counts are always complete.
        samples: Some changes of each phase that were not sent, in words.
    """

    @classmethod
    def of(cls, plan: Plan, **facts: Any) -> "SyncReport":
        """Return the report of a plan before anything is sent; `facts` set more attributes."""
        return cls(
            roster=plan.roster.name,
            format=plan.roster.format,
            read=plan.roster.count._asdict(),
            severities=plan.roster.findings.severities,
            actions=plan.actions,
            unchanged=plan.unchanged,
            absent=dict(plan.absent),
            phases={phase: PhaseReport(plan.total(phase)) for phase in PHASES},
            causes=plan.roster.findings.causes,
            unaccepted=plan.roster.findings.unaccepted,
            began=plan.roster.began,
            elapsed=time.monotonic() - plan.roster.started,
            is_refused=bool(plan.refusal),
            stopped=plan.refusal,
            **facts,
        )

    @classmethod
    def refused(cls, roster: str, reason: str) -> "SyncReport":
        """Return the report of a run that was refused before there was a plan.

        Args:
            roster: Name of the roster's file, in any form.
            reason: Why it was refused.
        """
        return cls(roster=shown(roster), is_refused=True, stopped=reason)

    @classmethod
    def interrupted(cls, roster: str) -> "SyncReport":
        """Return the report of a run that was interrupted before anything was sent."""
        return cls(roster=shown(roster), stopped="interrupted")

    def raise_for_failures(self) -> None:
        """Do nothing if all is ok.

        Raises:
            TimebackError: Something in the files is not at the server.
        """
        if not self.ok:
            first = next(iter(self.failures), None)
            why = f"; the first: {first.kind} {first.who}: {first.reason}" if first else ""
            raise TimebackError(f"{self}{why}")

    def figures(self) -> dict[str, Any]:
        """Return each figure of the run once, as JSON types; `as_dict` adds the lists."""
        return {
            "ok": self.ok,
            "read": self.read,
            "severities": self.severities,
            "planned": self.planned,
            "actions": self.actions,
            "unchanged": self.unchanged,
            **{outcome.value: self.counts[outcome] for outcome in Outcome},
            "valid": self.valid,
            "not_reached": self.not_reached,
            "requests": self.requests,
            "retries": self.retries,
            "throttled": self.throttled,
            "token_requests": self.token_requests,
            "elapsed": round(self.elapsed, 3),
            "sending": round(self.sending, 3),
            "rate": round(self.rate, 1),
            "dry_run": self.dry_run,
            "stopped": self.stopped,
        }

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON types."""
        return {
            **self.figures(),
            "roster": self.roster,
            "format": self.format,
            "absent": self.absent,
            "phases": {name: phase.as_dict() for name, phase in self.phases.items()},
            "findings": [cause.as_dict() for cause in self.causes],
            "failures": [failure.as_dict() for failure in self.failures],
            "began": round(self.began, 3),
            "endpoint": self.endpoint,
            "refused": self.is_refused,
            "samples": self.samples,
        }

    def as_html(self, translate: Callable[[str], str] = str) -> str:
        """Return a page of HTML that loads nothing: figures, charts, failures and findings.

        It holds ids and nothing else about a person.

        Args:
            translate: Applied to each advice, which names options as Python does; a command
                may return them as it calls them.
        """
        return page(self, translate)

    def __str__(self) -> str:
        ended = [f"{n:,} {o.value}" for o, n in self.counts.items() if n]
        if self.not_reached:
            ended.append(f"{self.not_reached:,} not reached")
        errors = self.severities.get("error", 0)
        return (
            f"{self.planned:,} changes: {', '.join(ended) or 'nothing sent'}; "
            f"{self.unchanged:,} unchanged"
            + (f"; {errors:,} findings left something out" if errors else "")
            + (f"; stopped: {self.stopped}" if self.stopped else "")
        )

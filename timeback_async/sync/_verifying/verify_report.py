"""The report of a comparison with TimeBack, in words, as JSON types, and as a page."""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from ...errors import TimebackError
from .._reading.codes import Severity
from .._reading.findings import Cause
from .._reading.roster import Roster
from .._running.found import found
from .._running.frame import EXAMPLES_SHOWN, Head, framed, rows_table, when
from .difference import Compared, Difference

__all__ = ["MAX_KEPT_DIFFERENCES", "VerifyReport"]

MAX_KEPT_DIFFERENCES = 1000


class VerifyReport(msgspec.Struct, kw_only=True):
    """What TimeBack has, against what the files say.

    Attributes:
        roster: The roster's name.
        format: "OneRoster 1.1", "JSON Lines" and so on.
        read: Number of "rows" that were read, and of what became of them; see `Roster.count`.
        severities: Number of findings in the files, of each severity.
        causes: Those findings, by cause.
        unaccepted: Findings that left something out and that `ReadOptions.accept` does not name.
        people: Students and users. Those whose rows are left out are in none of these counts.
        nameless: How many of the unknown people have no readable id, or are not listed.
        links: Links. A student whose links could not be read counts once, as unknown.
        planned: The fewest requests that it takes: "pages" of the list of all users, "people" who
            are looked up one by one, and "students" whose links are read. Whoever is not listed
            is looked up, too, before calling that person missing.
        sample: How many people were chosen; 0 if all are compared.
        not_judged: Why nothing counts as being only at TimeBack, in words; "" if it does.
        requests, retries, throttled, token_requests: Numbers of the session, meanwhile.
        began: When the roster began to be read, in seconds since 1970.
        elapsed: Seconds from then on: reading and comparing.
        endpoint: What it was compared with; "" if nothing was to be sent.
        dry_run: Whether nothing was to be sent.
        stopped: Why it ended before its end, or "".
        differences: The first 1,000; the counts are always complete.
    """

    roster: str = ""
    format: str = ""
    read: dict[str, int] = {}
    severities: dict[Severity, int] = {}
    causes: list[Cause] = []
    unaccepted: int = 0
    people: Compared = msgspec.field(default_factory=Compared)
    links: Compared = msgspec.field(default_factory=Compared)
    nameless: int = 0
    planned: dict[str, int] = {}
    sample: int = 0
    not_judged: str = ""
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    token_requests: int = 0
    began: float = msgspec.field(default_factory=time.time)
    elapsed: float = 0.0
    endpoint: str = ""
    dry_run: bool = False
    stopped: str = ""
    differences: list[Difference] = []

    @classmethod
    def of(cls, roster: Roster, **facts: Any) -> "VerifyReport":
        """Return the report of a roster before anything is compared; `facts` set more."""
        return cls(
            roster=roster.name,
            format=roster.format,
            read=roster.count._asdict(),
            severities=roster.findings.severities,
            causes=roster.findings.causes,
            unaccepted=roster.findings.unaccepted,
            began=roster.began,
            **facts,
        )

    @property
    def ok(self) -> bool:
        """Whether TimeBack has just what could be read of the files, as far as it was compared.

        Rows that are left out are no differences: see `unaccepted`.
        """
        return not self.stopped and self.people.is_same and self.links.is_same

    @property
    def number(self) -> int:
        """How many differences there are, the unknown ones included."""
        return sum(
            each.missing + each.different + each.only_there + each.unknown
            for each in (self.people, self.links)
        )

    @property
    def not_reached(self) -> int:
        """How many people were not compared, since it ended early."""
        people = self.people
        reached = people.same + people.missing + people.different + people.unknown - self.nameless
        wanted = self.sample or self.read.get("students", 0) + self.read.get("users", 0)
        return wanted - reached if self.stopped else 0

    def raise_for_failures(self) -> None:
        """Do nothing if all is ok.

        Raises:
            TimebackError: It is not.
        """
        if not self.ok:
            first = next(iter(self.differences), None)
            why = f"; the first: {first.kind} {first.who}: {first.what}" if first else ""
            raise TimebackError(f"{self}{why}")

    def figures(self) -> dict[str, Any]:
        """Return each figure once, as JSON types; `as_dict` adds the lists."""
        return {
            "ok": self.ok,
            "read": self.read,
            "severities": self.severities,
            "people": msgspec.structs.asdict(self.people),
            "links": msgspec.structs.asdict(self.links),
            "planned": self.planned,
            "sample": self.sample,
            "not_reached": self.not_reached,
            "not_judged": self.not_judged,
            "requests": self.requests,
            "retries": self.retries,
            "throttled": self.throttled,
            "token_requests": self.token_requests,
            "elapsed": round(self.elapsed, 3),
            "dry_run": self.dry_run,
            "stopped": self.stopped,
        }

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON types."""
        return {
            **self.figures(),
            "roster": self.roster,
            "format": self.format,
            "differences": [each.as_dict() for each in self.differences],
            "findings": [cause.as_dict() for cause in self.causes],
            "began": round(self.began, 3),
            "endpoint": self.endpoint,
        }

    def as_html(self, translate: Callable[[str], str] = str) -> str:
        """Return a page of HTML that loads nothing: figures, differences and findings.

        It holds ids and nothing else about a person.

        Args:
            translate: Applied to each advice, which names options as Python does; a command
                may return them as it calls them.
        """
        some = self.differences[:EXAMPLES_SHOWN]
        rows = [
            (each.where, each.kind, each.who, each.what.replace("_", " "), each.why)
            for each in some
        ]
        heads = ("where", "kind", "id", "what", "fields or reason")
        return framed(
            f"{self.roster} and TimeBack",
            self._head(),
            [self.format, self.endpoint and f"at {self.endpoint}", when(self.began)],
            f"{self}." + (f" {self.not_judged}." if self.not_judged else ""),
            {**self.read, "requests": self.requests, "seconds": round(self.elapsed, 1)},
            [
                _counts_table(self.people, self.links),
                rows_table("Differences", heads, rows, self.number - len(some)) if rows else "",
                found(self.causes, translate),
            ],
        )

    def _head(self) -> Head:
        if self.stopped == "interrupted":
            return Head("look", "!", "Interrupted", "not everything was compared")
        if self.stopped:
            return Head("bad", "✕", "Ended early", "not everything was compared")
        if self.dry_run:
            return Head("calm", "i", "Dry run", "nothing was compared")
        if not self.ok:
            return Head("look", "!", "Please check", "TimeBack does not have what the files say")
        if self.sample:
            return Head("ok", "✓", "The same", f"TimeBack has a sample of {self.sample:,} people")
        return Head("ok", "✓", "The same", "TimeBack has what the files say")

    def __str__(self) -> str:
        if self.dry_run:
            needed = sum(self.planned.values())
            return f"{needed:,} requests or more would be sent; nothing was compared"
        parts = []
        for noun, each in (("people", self.people), ("links", self.links)):
            found = ", ".join(
                f"{number:,} {what.replace('_', ' ')}"
                for what, number in msgspec.structs.asdict(each).items()
                if number or what == "same"
            )
            parts.append(f"{noun}: {found}")
        return "; ".join(parts) + (f"; stopped: {self.stopped}" if self.stopped else "")


def _counts_table(people: Compared, links: Compared) -> str:
    """Return a table of how many people and links are the same, missing and so on."""
    counts = {"people": msgspec.structs.asdict(people), "links": msgspec.structs.asdict(links)}
    names = {name: name.replace("_", " ") for name in counts["people"]}
    head = "".join(f'<th scope="col" class="number">{words}</th>' for words in names.values())
    rows = "".join(
        f"<tr><td>{noun}</td>"
        + "".join(
            f'<td class="number" data-label="{names[name]}">{number:,}</td>'
            for name, number in each.items()
        )
        + "</tr>"
        for noun, each in counts.items()
    )
    return (
        f'<h2>Compared</h2><table class="narrow"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )

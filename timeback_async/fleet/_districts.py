"""Report what became of many districts, in figures and as one page with a link to each."""

from html import escape
from typing import Any
from urllib.parse import quote

import msgspec

from .._results import OK, Outcome
from ..errors import TimebackError
from ..sync._running.frame import Head, framed, marked, when
from ._district import DistrictReport

__all__ = ["DistrictsReport"]

CHECK, STOPPED = "Please check", "Not complete"
COLUMNS = ("people", "links", "planned", "done", "not done", "left out", "seconds")


class DistrictsReport(msgspec.Struct, frozen=True, kw_only=True):
    """Report what became of all districts.

    Attributes:
        districts: A row for each district, in their order.
        began: When it began, in seconds since 1970.
        elapsed: Seconds of the whole run.
    """

    districts: list[DistrictReport]
    began: float
    elapsed: float

    @property
    def ok(self) -> bool:
        """Whether everything in the files of every district is at TimeBack."""
        return all(each.ok for each in self.districts)

    @property
    def counts(self) -> dict[Outcome, int]:
        """Number of changes by outcome."""
        return {o: sum(each.counts.get(o, 0) for each in self.districts) for o in Outcome}

    @property
    def requests(self) -> int:
        return sum(each.requests for each in self.districts)

    def raise_for_failures(self) -> None:
        """Raise an error unless the run is `ok`.

        Raises:
            TimebackError: The run is not `ok`. The `report` of the error is this report.
        """
        if not self.ok:
            names = [each.name for each in self.districts if not each.ok]
            error = TimebackError(f"{self}; not ok: {', '.join(names[:20])}")
            error.report = self
            raise error

    def as_dict(self) -> dict[str, Any]:
        """Return all figures, ready for JSON, with a row for each district."""
        return {
            "ok": self.ok,
            **{outcome.value: number for outcome, number in self.counts.items()},
            "requests": self.requests,
            "began": round(self.began, 3),
            "elapsed": round(self.elapsed, 3),
            "districts": [msgspec.to_builtins(each) for each in self.districts],
        }

    def as_html(self) -> str:
        """Return a page that loads nothing, with a link to the page of each district beside it."""
        tiles = {"requests": self.requests, "seconds": round(self.elapsed, 1)}
        head, table = self._head(), _table(self.districts)
        return framed("Roster sync", head, [when(self.began)], f"{self}.", tiles, [table])

    def _head(self) -> Head:
        ok, all_ = sum(1 for each in self.districts if each.ok), len(self.districts)
        are = "is" if all_ == 1 else "are"
        there = f"{ok:,} of {all_:,} {'district' if all_ == 1 else 'districts'} {are} at TimeBack"
        if any(each.stopped for each in self.districts):
            return Head("bad", "✕", STOPPED, there)
        return Head("ok", "✓", "Done", there) if self.ok else Head("look", "!", CHECK, there)

    def __str__(self) -> str:
        ok = sum(1 for each in self.districts if each.ok)
        ended = ", ".join(f"{n:,} {o.value}" for o, n in self.counts.items() if n)
        return (
            f"{ok:,} of {len(self.districts):,} districts are ok; {ended or 'nothing sent'}; "
            f"{self.requests:,} requests, {self.elapsed:.1f} s"
        )


def _table(districts: list[DistrictReport]) -> str:
    heads = "".join(f'<th scope="col" class="number">{name}</th>' for name in COLUMNS)
    return (
        '<h2>Districts</h2><table class="narrow"><thead><tr><th scope="col">district</th>'
        f'<th scope="col">state</th>{heads}</tr></thead>'
        f"<tbody>{''.join(map(_row, districts))}</tbody></table>"
    )


def _row(each: DistrictReport) -> str:
    done = sum(each.counts.get(outcome, 0) for outcome in OK)
    people = each.read.get("students", 0) + each.read.get("users", 0)
    numbers = [people, each.read.get("links", 0), each.planned, done, each.planned - done]
    texts = [f"{number:,}" for number in [*numbers, each.left_out]] + [f"{each.elapsed:.1f}"]
    cells = "".join(
        f'<td class="number" data-label="{name}">{text}</td>'
        for name, text in zip(COLUMNS, texts, strict=True)
    )
    head = Head("look", "!", CHECK, "")
    if each.ok:
        head = Head("ok", "✓", "Done", "")
    elif each.stopped:
        head = Head("bad", "✕", STOPPED, "")
    name = escape(each.name)
    return (
        f'<tr><td><a href="{escape(quote(each.name))}.html">{name}</a></td>'
        f"<td>{marked(head)} {escape(each.stopped)}</td>{cells}</tr>"
    )

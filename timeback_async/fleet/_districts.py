"""Report what became of many districts, in figures and as one page with a link to each."""

import time
from html import escape
from typing import Any

import msgspec

from .._results import OK, Outcome
from ..errors import TimebackError
from ._district import DistrictReport

__all__ = ["DistrictsReport"]

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Roster sync of {number} districts</title>
<style>
:root {{ color-scheme: light dark; --line: #8884; --ok: #2a9d5c; --bad: #d1495b; }}
body {{ font: 15px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; padding: .35rem .5rem; border-bottom: 1px solid var(--line); }}
.number {{ text-align: right; font-variant-numeric: tabular-nums; }}
.badge {{ border-radius: .25rem; color: #fff; padding: 0 .4rem; white-space: nowrap; }}
.ok {{ background: var(--ok); }} .bad {{ background: var(--bad); }}
</style>
</head>
<body>
<h1>Roster sync of {number} districts</h1>
<p>{when}: {summary}</p>
<table>
<thead><tr><th>district</th><th></th><th class="number">people</th><th class="number">links</th>
<th class="number">planned</th><th class="number">done</th><th class="number">not done</th>
<th class="number">left out</th><th class="number">s</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</body>
</html>
"""  # noqa: E501


class DistrictsReport(msgspec.Struct, frozen=True, kw_only=True):
    """Report what became of all districts.

    Attributes:
        districts: A row for each district, in their order.
        elapsed: Seconds of the whole run.
    """

    districts: list[DistrictReport]
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
            "elapsed": round(self.elapsed, 3),
            "districts": [msgspec.to_builtins(each) for each in self.districts],
        }

    def as_html(self) -> str:
        """Return a page that loads nothing, with a link to the page of each district beside it."""
        return PAGE.format(
            number=len(self.districts),
            when=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            summary=escape(str(self)),
            rows="\n".join(map(_row, self.districts)),
        )

    def __str__(self) -> str:
        ok = sum(1 for each in self.districts if each.ok)
        ended = ", ".join(f"{n:,} {o.value}" for o, n in self.counts.items() if n)
        return (
            f"{ok:,} of {len(self.districts):,} districts are ok; {ended or 'nothing sent'}; "
            f"{self.requests:,} requests, {self.elapsed:.1f} s"
        )


def _row(each: DistrictReport) -> str:
    done = sum(each.counts.get(outcome, 0) for outcome in OK)
    people = each.read.get("students", 0) + each.read.get("users", 0)
    numbers = [people, each.read.get("links", 0), each.planned, done, each.planned - done]
    cells = "".join(f'<td class="number">{n:,}</td>' for n in [*numbers, each.left_out])
    name, ended = escape(each.name), escape(each.stopped) or "please check"
    badge = '<span class="badge ok">all is well</span>'
    if not each.ok:
        badge = f'<span class="badge bad">not ok</span> {ended}'
    return (
        f'<tr><td><a href="{name}.html">{name}</a></td><td>{badge}</td>{cells}'
        f'<td class="number">{each.elapsed:.1f}</td></tr>'
    )

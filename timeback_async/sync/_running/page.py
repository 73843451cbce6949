"""Make a page of HTML from the facts of a run. It loads nothing and shows nothing personal."""

import time
from collections.abc import Callable, Sequence
from functools import cache
from html import escape
from importlib import resources
from string import Template

from ..._results import OK, Outcome
from ..._trace import Slot
from .._reading.codes import CODES
from .._reading.findings import Cause
from .facts import PhaseReport, RunFacts

__all__ = ["page"]

SLOTS = 120
WIDTH, HEIGHT, MARGIN = 800, 140, 40
EXAMPLES_SHOWN = 200  # findings of one cause, and failures
TILES = {"left_out": "rows left out"}
SAYS = {"error": "left out", "warning": "check", "note": "note"}


def page(report: RunFacts, translate: Callable[[str], str] = str) -> str:
    """Return the page: totals, phases, rates and latencies over time, failures, findings.

    Args:
        report: The facts.
        translate: Applied to each advice.
    """
    planned, done = report.planned, report.done
    headline = "all is well" if report.ok else "please check"
    if report.dry_run:
        summary = f"A dry run: {planned:,} changes would be sent."
    else:
        summary = f"{done:,} of {planned:,} changes are at the server."
    if report.not_reached:
        summary += f" {report.not_reached:,} were not reached."
    if report.stopped:
        summary += f" It ended early: {report.stopped}. The same command continues from there."
    tiles = {
        **{TILES.get(name, name): number for name, number in report.read.items()},
        "unchanged": report.unchanged,
        "requests": report.requests,
        "retries": report.retries,
        "throttled": report.throttled,
        "seconds": round(report.elapsed, 1),
    }
    return _template().substitute(
        headline=f"{escape(report.roster)}, {headline}",
        facts=escape(", ".join(filter(None, (report.format, _to(report), _when(report))))),
        summary=escape(summary),
        tiles="".join(
            f'<div class="tile"><b>{number:,}</b>{escape(name)}</div>'
            for name, number in tiles.items()
        ),
        phases="".join(
            _phase(name, phase, report.dry_run) for name, phase in report.phases.items()
        ),
        charts=_charts(report),
        failures=_failures(report),
        findings="".join(_cause(cause, translate) for cause in report.causes)
        or '<tr class="none"><td colspan="3">Nothing: every row follows the standard.</td></tr>',
    )


@cache
def _template() -> Template:
    text = resources.files(__package__).joinpath("page.html").read_text("utf-8")
    return Template(text)


def _to(report: RunFacts) -> str:
    return f"to {report.endpoint}" if report.endpoint else ""


def _when(report: RunFacts) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(report.began))


def _phase(name: str, phase: PhaseReport, dry_run: bool) -> str:
    parts = [(outcome, number) for outcome, number in phase.counts.items() if number]
    bar = "".join(
        f'<i class="{_class(outcome)}" style="width:{number / max(1, phase.planned):.2%}"></i>'
        for outcome, number in parts
    )
    bar = "" if dry_run else f'<div class="bar">{bar}</div>'
    ended = ", ".join(f"{number:,} {outcome.value.replace('_', ' ')}" for outcome, number in parts)
    time = ""
    if phase.began is not None and phase.ended is not None:
        time = f"{phase.began:.1f} s, {phase.ended:.1f} s"
    return (
        f'<tr><td>{name}</td><td class="number">{phase.planned:,}</td>'
        f'<td>{bar}</td><td>{ended}</td><td class="number">{time}</td></tr>'
    )


def _class(outcome: Outcome) -> str:
    if outcome in OK:
        return "ok"
    return "look" if outcome in (Outcome.NOT_SENT, Outcome.UNKNOWN) else "bad"


def _failures(report: RunFacts) -> str:
    """Return a table of the failures; "" if there are none."""
    if not report.failures:
        return ""
    examples = report.examples(EXAMPLES_SHOWN)
    rows = "".join(
        f"<tr><td>{escape(each.where)}</td>"
        f"<td>{each.kind}</td><td>{escape(each.who)}</td><td>{each.outcome}</td>"
        f"<td>{escape(each.reason)}</td></tr>"
        for each in examples
    )
    more = report.more(len(examples))
    rest = f"<p>… and {more:,} more.</p>" if more > 0 else ""
    return (
        '<h2>Not saved</h2><div class="wide"><table>'
        "<thead><tr><th>where</th><th>kind</th><th>id</th>"
        f"<th>outcome</th><th>reason</th></tr></thead><tbody>{rows}</tbody></table></div>{rest}"
    )


def _charts(report: RunFacts) -> str:
    slots = report.trace.slots(SLOTS)
    if not slots:
        return f"<p>{'Too short for a chart.' if report.requests else 'Nothing was sent.'}</p>"
    return (
        _chart("records a second", "var(--ok)", slots, lambda slot: slot.rate)
        + _chart("milliseconds to an answer", "var(--calm)", slots, lambda s: s.round_trip * 1000)
        + _chart("most requests in flight", "var(--look)", slots, lambda slot: slot.window)
    )


def _chart(title: str, colour: str, slots: Sequence[Slot], value: Callable[[Slot], float]) -> str:
    """Return a line over time as SVG."""
    values = [max(0.0, value(slot)) for slot in slots]
    top, end = max(values) or 1.0, slots[-1].until
    width, height = WIDTH - 2 * MARGIN, HEIGHT - MARGIN
    points = " ".join(
        f"{MARGIN + slot.until / end * width:.1f},{MARGIN / 2 + height * (1 - number / top):.1f}"
        for slot, number in zip(slots, values, strict=True)
    )
    base = MARGIN / 2 + height
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title} over time">'
        f'<text x="{MARGIN}" y="12">{title}, at most {top:,.0f}</text>'
        f'<line x1="{MARGIN}" y1="{base}" x2="{MARGIN + width}" y2="{base}" stroke="currentColor" '
        'stroke-opacity=".4"/>'
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        f'<text x="{MARGIN}" y="{HEIGHT - 4}">0 s</text>'
        f'<text x="{MARGIN + width}" y="{HEIGHT - 4}" text-anchor="end">{end:,.1f} s</text></svg>'
    )


def _cause(cause: Cause, translate: Callable[[str], str]) -> str:
    what, advice = escape(str(cause)), escape(translate(CODES[cause.code].advice))
    places = "".join(f"<li>{escape(str(each))}</li>" for each in cause.examples[:EXAMPLES_SHOWN])
    more = cause.count - min(EXAMPLES_SHOWN, len(cause.examples))
    rest = f"<p>… and {more:,} more.</p>" if more else ""
    return (
        f'<tr data-severity="{cause.severity}" data-cause="{what} {cause.code} {advice}">'
        f'<td><span class="severity {cause.severity}">{SAYS[cause.severity]}</span></td>'
        f'<td class="number">{cause.count:,}</td><td>{what}. <em>What to do:</em> '
        f"{advice}.<details><summary>where</summary>"
        f"<ul>{places}</ul>{rest}</details></td></tr>"
    )

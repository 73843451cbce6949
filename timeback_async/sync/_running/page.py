"""Make a page of HTML from the facts of a run. It loads nothing and shows nothing personal."""

from collections.abc import Callable, Sequence

from ..._results import OK, Outcome
from ..._trace import Slot
from .facts import PhaseReport, RunFacts
from .frame import EXAMPLES_SHOWN, framed, rows_table, when

__all__ = ["page"]

SLOTS = 120
WIDTH, HEIGHT, MARGIN = 800, 140, 40


def page(report: RunFacts, translate: Callable[[str], str] = str) -> str:
    """Return the page: totals, phases, rates and latencies over time, failures, findings.

    Args:
        report: The facts.
        translate: Applied to each advice.
    """
    is_sent = not (report.dry_run or report.is_refused)
    mark, headline = _headline(report)
    tiles: dict[str, float] = {**report.read, "unchanged": report.unchanged}
    if is_sent:
        tiles |= {
            "requests": report.requests,
            "retries": report.retries,
            "throttled": report.throttled,
            "seconds": round(report.elapsed, 1),
        }
    return framed(
        f"Roster sync of {report.roster}",
        (mark, headline),
        [report.format, _to(report), when(report.began)],
        _summary(report),
        tiles,
        [
            _phases(report) if is_sent else _plan(report),
            _failures(report),
            f"<h2>Over time</h2>{_charts(report)}" if is_sent else "",
        ],
        report.causes,
        translate,
    )


def _to(report: RunFacts) -> str:
    return f"to {report.endpoint}" if report.endpoint else ""


def _headline(report: RunFacts) -> tuple[str, str]:
    """Return the class of the badge, and how the run ended."""
    # Whatever was refused or ended early did so for one reason; otherwise the records decide.
    if report.is_refused:
        return "bad", "refused, nothing was sent"
    if report.stopped == "interrupted":
        return "look", "interrupted"
    if report.stopped:
        return "bad", "ended early"
    if report.dry_run:
        return ("ok", "a dry run") if report.ok else ("look", "a dry run, please check the files")
    return ("ok", "all is well") if report.ok else ("look", "not everything is there, please check")


def _summary(report: RunFacts) -> str:
    planned, done, failed = report.planned, report.done, report.counts.total() - report.done
    if report.is_refused:
        return f"{report.stopped}."
    if report.dry_run:
        summary = f"{planned:,} changes would be sent."
    else:
        summary = f"{done:,} of {planned:,} changes are at the server."
    if failed:
        summary += f" {failed:,} were not saved."
    if report.not_reached:
        summary += f" {report.not_reached:,} were not reached."
    if report.stopped:
        summary += f" It ended early: {report.stopped}. The same command continues from there."
    return summary


def _plan(report: RunFacts) -> str:
    """Return a table of what would be sent; "" if it was refused before there was a plan."""
    if not report.phases:
        return ""
    rows = "".join(
        f"<tr><td>{name}</td><td>{report.planned_as(name) or 'nothing'}</td></tr>"
        for name in report.phases
    )
    return (
        "<h2>Planned</h2><table><thead><tr><th>phase</th><th>planned</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _phases(report: RunFacts) -> str:
    """Return a table of what became of each phase."""
    rows = "".join(_phase(name, phase) for name, phase in report.phases.items())
    return (
        '<h2>Phases</h2><div class="wide"><table><thead><tr><th>phase</th>'
        '<th class="number">planned</th><th>results</th><th></th>'
        f'<th class="number">from, to</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _phase(name: str, phase: PhaseReport) -> str:
    parts = [(outcome, number) for outcome, number in phase.counts.items() if number]
    bar = "".join(
        f'<i class="{_class(outcome)}" style="width:{number / max(1, phase.planned):.2%}"></i>'
        for outcome, number in parts
    )
    bar = f'<div class="bar">{bar}</div>' if phase.planned else ""
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
    rows = [
        (each.where, each.kind, each.who, each.outcome.value.replace("_", " "), each.reason)
        for each in examples
    ]
    return rows_table(
        "Not saved", ("where", "kind", "id", "outcome", "reason"), rows, report.more(len(examples))
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

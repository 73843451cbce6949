"""Make a page of HTML from the facts of a run. It loads nothing and shows nothing personal."""

from collections.abc import Callable, Sequence
from html import escape

from ..._results import OK, Outcome
from ..._trace import Slot
from .._planning.tables import Phase
from .facts import PhaseReport, RunFacts
from .found import found
from .frame import EXAMPLES_SHOWN, Head, framed, rows_table, when

__all__ = ["page"]

SLOTS = 120
WIDTH, HEIGHT = 800, 150
LEFT, TOP, RIGHT, BOTTOM = 50, 24, 10, 20  # around a chart


def page(report: RunFacts, translate: Callable[[str], str] = str) -> str:
    """Return the page: totals, phases, rates and latencies over time, failures, findings.

    Args:
        report: The facts.
        translate: Applied to each advice.
    """
    is_sent = not (report.dry_run or report.is_refused)
    tiles: dict[str, float] = {**report.read}
    if report.is_resumable:
        tiles["unchanged"] = report.unchanged
    if is_sent:
        tiles |= {
            "requests": report.requests,
            "retries": report.retries,
            "throttled": report.throttled,
            "seconds": round(report.elapsed, 1),
        }
    return framed(
        report.roster,
        _head(report),
        [report.format, _to(report), when(report.began)],
        _summary(report),
        tiles,
        [
            _plan(report) if report.is_resumable and not is_sent else _phases(report),
            _failures(report),
            f"<h2>Over time</h2>{_charts(report)}" if is_sent else "",
            found(report.causes, translate),
        ],
    )


def _to(report: RunFacts) -> str:
    return f"to {report.endpoint}" if report.endpoint else ""


def _head(report: RunFacts) -> Head:
    # Whatever was refused or ended early did so for one reason; otherwise the records decide.
    are = "is" if report.planned == 1 else "are"
    there = f"{report.done:,} of {_changes(report.planned)} {are} at TimeBack"
    if report.is_refused:
        return Head("bad", "✕", "Refused", "nothing was sent")
    if report.stopped == "interrupted":
        return Head("look", "!", "Interrupted", there)
    if report.stopped:
        return Head("bad", "✕", "Ended early", there)
    if report.dry_run:
        would = f"{_changes(report.valid)} would be sent"
        return (
            Head("calm", "i", "Dry run", would)
            if report.ok
            else Head("look", "!", "Dry run, please check the files", would)
        )
    if not report.ok:
        return Head("look", "!", "Please check", there)
    all_ = f"all {_changes(report.planned)} are at TimeBack" if report.planned > 1 else there
    return Head("ok", "✓", "Done", all_ if report.planned else "nothing had changed")


def _changes(number: int) -> str:
    return f"{number:,} change" if number == 1 else f"{number:,} changes"


def _summary(report: RunFacts) -> str:
    """Return the numbers, which add up, and what the reader should know of them."""
    parts = [f"{number:,} {_words(outcome)}" for outcome, number in report.counts.items() if number]
    parts += [f"{report.valid:,} valid"] if report.valid else []
    parts += [f"{report.not_reached:,} not reached"] if report.not_reached else []
    said = []
    if parts:
        said.append(f"{_changes(report.planned)}: {', '.join(parts)}.")
    if report.stopped:
        end = "" if report.stopped.endswith(".") else "."
        said.append(f"{report.stopped[:1].upper()}{report.stopped[1:]}{end}")
        if report.is_resumable and not report.is_refused:
            said.append("The same command continues from there.")
    if report.unaccepted:
        findings = "finding" if report.unaccepted == 1 else "findings"
        said.append(f"{report.unaccepted:,} {findings} left something out; see below.")
    return " ".join(said)


def _words(outcome: Outcome) -> str:
    return outcome.value.replace("_", " ")


def _plan(report: RunFacts) -> str:
    """Return a table of what would be sent; "" if it was refused before there was a plan."""
    if not report.phases:
        return ""
    rows = "".join(_planned(report, name) for name in report.phases if report.planned_as(name))
    if not rows:
        return "<h2>Planned</h2><p>Nothing has changed.</p>"
    return (
        '<h2>Planned</h2><table><thead><tr><th scope="col">phase</th><th scope="col">planned</th>'
        f'<th scope="col">the first of them</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _planned(report: RunFacts, phase: Phase) -> str:
    some = "".join(f"<li>{escape(each)}</li>" for each in report.samples.get(phase, ()))
    return f"<tr><td>{phase}</td><td>{report.planned_as(phase)}</td><td><ul>{some}</ul></td></tr>"


def _phases(report: RunFacts) -> str:
    """Return a table of what became of each phase in which there was something to do."""
    rows = "".join(
        _phase(name, phase, report.dry_run)
        for name, phase in report.phases.items()
        if phase.planned
    )
    if not rows:
        return ""
    return (
        '<h2>Phases</h2><table class="narrow"><thead><tr><th scope="col">phase</th>'
        '<th scope="col" class="number">planned</th><th scope="col">share</th>'
        '<th scope="col">results</th><th scope="col" class="number">from, to</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _phase(name: str, phase: PhaseReport, dry_run: bool) -> str:
    parts = [
        (_class(each), number, _words(each)) for each, number in phase.counts.items() if number
    ]
    if phase.not_reached:
        parts.append(
            ("ok", phase.not_reached, "valid")
            if dry_run
            else ("", phase.not_reached, "not reached")
        )
    bar = "".join(
        f'<i class="{colour}" style="width:{number / phase.planned:.2%}"></i>'
        for colour, number, _ in parts
        if colour
    )
    ended = ", ".join(f"{number:,} {words}" for _, number, words in parts)
    time = ""
    if phase.began is not None and phase.ended is not None:
        time = f"{phase.began:.1f} s, {phase.ended:.1f} s"
    return (
        f'<tr><td>{name}</td><td class="number" data-label="planned">{phase.planned:,}</td>'
        f'<td><div class="bar" aria-hidden="true">{bar}</div></td><td>{ended}</td>'
        f'<td class="number" data-label="from, to">{time}</td></tr>'
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
        (each.where, each.kind, each.who, _words(each.outcome), each.reason) for each in examples
    ]
    return rows_table(
        "Not saved", ("where", "kind", "id", "outcome", "reason"), rows, report.more(len(examples))
    )


def _charts(report: RunFacts) -> str:
    slots = report.trace.slots(SLOTS) if report.requests else []
    if not slots:
        return f"<p>{'Too short for a chart.' if report.requests else 'Nothing was sent.'}</p>"
    return (
        _chart("records a second", "var(--ok)", slots, lambda slot: slot.rate)
        + _chart("milliseconds to an answer", "var(--calm)", slots, lambda s: s.round_trip * 1000)
        + _chart("most requests in flight", "var(--look)", slots, lambda slot: slot.window)
    )


def _chart(title: str, colour: str, slots: Sequence[Slot], value: Callable[[Slot], float]) -> str:
    """Return a line over time as SVG, with three values at each axis."""
    values = [max(0.0, value(slot)) for slot in slots]
    top, end = max(values) or 1.0, slots[-1].until
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    base = TOP + height
    points = " ".join(
        f"{LEFT + slot.until / end * width:.1f},{base - number / top * height:.1f}"
        for slot, number in zip(slots, values, strict=True)
    )
    axes = "".join(
        f'<line x1="{LEFT}" y1="{base - part * height}" x2="{LEFT + width}" '
        f'y2="{base - part * height}" stroke="currentColor" stroke-opacity=".25"/>'
        f'<text x="{LEFT - 5}" y="{base - part * height + 4}" text-anchor="end">'
        f"{_number(part * top)}</text>"
        f'<text x="{LEFT + part * width}" y="{HEIGHT - 4}" text-anchor="{anchor}">'
        f"{part * end:,.1f} s</text>"
        for part, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
    )
    label = f"{title}, at most {_number(top)}, over {end:,.1f} seconds"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        f'<text x="{LEFT}" y="12">{title}, at most {_number(top)}</text>{axes}'
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/></svg>'
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"

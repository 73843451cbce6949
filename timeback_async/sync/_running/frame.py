"""The frame of every report page: head, figures, sections, and what was found in the files.

A page loads nothing and shows nothing personal.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from html import escape
from importlib import resources
from string import Template
from typing import NamedTuple

from .._reading.codes import CODES
from .._reading.findings import Cause

__all__ = ["EXAMPLES_SHOWN", "Head", "framed", "rows_table", "when"]

NOTHING_FOUND = (
    '<tr class="none"><td colspan="3">Nothing that was left out, and nothing to check.</td></tr>'
)
EXAMPLES_SHOWN = 200  # findings of one cause, and rows of a table
TILES = {"rows": "rows read", "repeated": "rows repeated", "left_out": "rows left out"}
COLOURS = {"error": "bad", "warning": "look", "note": "calm"}


class Head(NamedTuple):
    """What happened, at a glance.

    Attributes:
        colour: "ok", "look", "bad" or "calm".
        icon: A sign for it.
        mark: A word.
        headline: A sentence.
    """

    colour: str
    icon: str
    mark: str
    headline: str


def framed(
    title: str,
    head: Head,
    facts: Sequence[str],
    summary: str,
    tiles: Mapping[str, float],
    sections: Sequence[str],
    causes: Sequence[Cause],
    translate: Callable[[str], str],
) -> str:
    """Return a page.

    Args:
        title: What it reports, of which roster.
        head: How it ended.
        facts: What stands beside the title; "" for nothing.
        summary: Some sentences.
        tiles: Figures by name.
        sections: HTML, in this order.
        causes: What was found in the files.
        translate: Applied to each advice.
    """
    notes = [cause for cause in causes if cause.severity == "note"]
    others = [cause for cause in causes if cause.severity != "note"]
    return _template().substitute(
        {name: escape(text) for name, text in head._asdict().items()},
        title=escape(title),
        facts=escape(", ".join(filter(None, facts))),
        summary=escape(summary),
        tiles="".join(
            f'<div class="tile"><b>{number:,}</b>{escape(TILES.get(name, name))}</div>'
            for name, number in tiles.items()
        ),
        sections="\n".join(sections),
        findings=_causes(others, translate) or NOTHING_FOUND,
        notes=_notes(notes, translate),
    )


@cache
def _template() -> Template:
    text = resources.files(__package__).joinpath("page.html").read_text("utf-8")
    return Template(text)


def when(began: float) -> str:
    """Return a time in words."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(began))


def rows_table(
    title: str, headings: Sequence[str], rows: Iterable[Sequence[str]], more: int
) -> str:
    """Return a table of texts under a title.

    Args:
        title: Its title.
        headings: Those of the columns.
        rows: The rows to show.
        more: How many there are besides.
    """
    head = "".join(f'<th scope="col">{heading}</th>' for heading in headings)
    body = "".join(f"<tr>{''.join(map(_cell, headings, row))}</tr>" for row in rows)
    rest = f"<p>… and {more:,} more.</p>" if more > 0 else ""
    return (
        f'<h2>{title}</h2><table class="narrow"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>{rest}"
    )


def _cell(heading: str, text: str) -> str:
    return f'<td data-label="{heading}">{escape(text)}</td>'


def _causes(causes: Sequence[Cause], translate: Callable[[str], str]) -> str:
    return "".join(_cause(cause, translate) for cause in causes)


def _notes(causes: Sequence[Cause], translate: Callable[[str], str]) -> str:
    """Return a table of notes, folded behind their number; "" if there are none."""
    if not causes:
        return ""
    number = sum(cause.count for cause in causes)
    what = "note" if number == 1 else "notes"
    return (
        f'<details id="notes"><summary>{number:,} {what} on what was understood all the same'
        f'</summary><table class="findings narrow"><tbody>{_causes(causes, translate)}</tbody>'
        "</table></details>"
    )


def _cause(cause: Cause, translate: Callable[[str], str]) -> str:
    what, advice = escape(str(cause)), escape(translate(CODES[cause.code].advice))
    places = "".join(f"<li>{escape(str(each))}</li>" for each in cause.examples[:EXAMPLES_SHOWN])
    label, kind = ("accepted", "note") if cause.is_accepted else (cause.severity, cause.severity)
    more = cause.count - min(EXAMPLES_SHOWN, len(cause.examples))
    rest = f"<p>… and {more:,} more.</p>" if more else ""
    return (
        f'<tr data-severity="{cause.severity}" data-cause="{what} {cause.code} {advice}">'
        f'<td><span class="severity {COLOURS[kind]}">{label}</span></td>'
        f'<td class="number" data-label="times">{cause.count:,}</td><td>{what}. '
        f"<em>What to do:</em> {advice}.<details><summary>where</summary>"
        f"<ul>{places}</ul>{rest}</details></td></tr>"
    )

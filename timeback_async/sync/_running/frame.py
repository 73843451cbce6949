"""The frame of every report page: head, figures and sections.

A page loads nothing and shows nothing personal.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from importlib import resources
from string import Template
from typing import NamedTuple

__all__ = ["EXAMPLES_SHOWN", "Head", "framed", "marked", "rows_table", "template", "when"]

EXAMPLES_SHOWN = 200  # rows of a table
TILES = {"rows": "rows read", "repeated": "rows repeated", "left_out": "rows left out"}


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
) -> str:
    """Return a page.

    Args:
        title: What it reports, of which roster.
        head: How it ended.
        facts: What stands beside the title; "" for nothing.
        summary: Some sentences.
        tiles: Figures by name.
        sections: HTML, in this order.
    """
    return template("page.html").substitute(
        mark=marked(head),
        tab=escape(f"{title}: {head.mark}, {head.headline}"),
        headline=escape(head.headline),
        title=escape(title),
        facts=escape(", ".join(filter(None, facts))),
        summary=escape(summary),
        tiles="".join(
            f'<div class="tile"><b>{number:,}</b>{escape(TILES.get(name, name))}</div>'
            for name, number in tiles.items()
        ),
        sections="\n".join(sections),
    )


@cache
def template(name: str) -> Template:
    """Return a file of HTML beside this module, with names to substitute."""
    return Template(resources.files(__package__).joinpath(name).read_text("utf-8"))


def marked(head: Head) -> str:
    """Return the word for what happened, with a colour and a sign."""
    colour, icon, mark, _ = map(escape, head)
    return f'<span class="mark {colour}"><span aria-hidden="true">{icon}</span> {mark}</span>'


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

"""Draw ratios as SVG, for light and for dark pages."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from .measure import Ratio

INK = {"light": "#1f2328", "dark": "#e6edf3"}  # the colour of the text on such a page
FADED = "#8b949e"
PALETTE = ("#2f81f7", "#3fb950", "#db61a2", "#d29922")

# One ratio, by version of Python.
Row = Mapping[str, Ratio]


def ratios(title: str, rows: Sequence[Row], theme: str) -> str:
    """Return a chart with a row for each ratio: a dot for each version, its A/A spread as a line.

    A short grey line is what the ratio must reach. The long one is 1: no difference.
    """
    ink = INK[theme]
    settings = {"svg.fonttype": "none", "svg.hashsalt": "timeback", "font.size": 9}
    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    with mpl.rc_context(settings | dict.fromkeys(inked, ink)):
        figure = Figure(figsize=(9.0, 1.1 + 0.45 * len(rows)), layout="constrained")
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.axvline(1.0, color=FADED, linewidth=0.8)
        versions = list(dict.fromkeys(version for row in rows for version in row))
        for version, colour in zip(versions, PALETTE, strict=False):
            place = 0.4 * (versions.index(version) + 0.5) / len(versions) - 0.2
            _draw(axes, [row.get(version) for row in rows], place, label=version, color=colour)
        first = [next(iter(row.values())) for row in rows]
        for number, one in enumerate(first):
            aim = one.at_most if one.at_least is None else one.at_least
            if aim is not None:
                axes.plot(aim, number, "|", color=FADED, markersize=20, markeredgewidth=2)
        axes.set_yticks(range(len(rows)), [f"{one.what}\nagainst {one.against}" for one in first])
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(lambda x, _: f"{x:g}" if _is_round(x) else "")
        axes.spines[["top", "right", "left"]].set_visible(False)
        figure.suptitle(title, x=0.01, ha="left")
        figure.legend(loc="outside lower left", ncols=len(versions), frameon=False)
        written = io.StringIO()
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines()) + "\n"


def _draw(axes: Any, column: Sequence[Ratio | None], place: float, **style: Any) -> None:
    """Draw the ratios of one version, a little above or below the middle of their rows."""
    found = [
        (one.found.middle, one.spread, number + place)
        for number, one in enumerate(column)
        if one is not None and one.found is not None
    ]
    if found:
        middles, spreads, rows = zip(*found, strict=True)
        low = [x - x / spread for x, spread in zip(middles, spreads, strict=True)]
        high = [x * spread - x for x, spread in zip(middles, spreads, strict=True)]
        axes.errorbar(middles, rows, xerr=(low, high), fmt="o", markersize=4.5, **style)


def _is_round(x: float) -> bool:
    return f"{x:.0e}"[0] in "25"

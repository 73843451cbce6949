"""Draw results as SVG, readable on light and on dark pages."""

import io
from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

# Replaced by the text colour of the page, which is known only when the chart is shown.
INK = "#010203"
PALETTE = ("#2f81f7", "#d29922", "#8b949e", "#3fb950", "#a371f7", "#db61a2")
STYLE = "<style>svg{color:#1f2328}@media(prefers-color-scheme:dark){svg{color:#e6edf3}}</style>"
SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "timeback",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def bars(title: str, rows: Sequence[tuple[str, float]], label: str) -> str:
    """Return horizontal bars, the first row on top, ours in another colour."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(7.2, 0.6 + 0.34 * len(rows)), layout="constrained")
        axes = figure.subplots()
        names = [name for name, _ in rows]
        values = [value for _, value in rows]
        colours = [PALETTE[0] if name.startswith("timeback") else PALETTE[2] for name in names]
        drawn = axes.barh(names, values, color=colours)
        axes.bar_label(drawn, fmt="{:,.0f}", padding=4)
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.set_xlabel(label)
        axes.set_title(title, loc="left")
        axes.margins(x=0.15)
        return _svg(figure)


def lines(title: str, series: Mapping[str, Sequence[tuple[float, float]]], x: str, y: str) -> str:
    """Return one line per series, over a logarithmic x axis."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(7.2, 3.0), layout="constrained")
        axes = figure.subplots()
        for (name, points), colour in zip(series.items(), PALETTE, strict=False):
            axes.plot(*zip(*points, strict=True), marker="o", label=name, color=colour)
        axes.set_xscale("log")
        ticks = sorted({point[0] for points in series.values() for point in points})
        axes.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks], minor=False)
        axes.set_xticks([], minor=True)
        axes.set_ylim(bottom=0)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.set_title(title, loc="left")
        axes.legend(frameon=False)
        return _svg(figure)


def _svg(figure: Figure) -> str:
    written = io.StringIO()
    figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    drawing = written.getvalue().replace(INK, "currentColor")
    head, defs, rest = drawing.partition("<defs>")
    return "\n".join(line.rstrip() for line in f"{head}{STYLE}{defs}{rest}".splitlines()) + "\n"

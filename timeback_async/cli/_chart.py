"""A chart of a run over time, drawn with characters."""

from collections.abc import Sequence

from rich.table import Table

from .._trace import Trace
from ._screen import out

__all__ = ["print_chart"]

WIDTHS = (10, 48)  # of a line, as narrow or as wide as the screen
BESIDE = 32  # columns of what it shows, and of its maximum
LEVELS, PLAIN = " ▁▂▃▄▅▆▇█", " .:-=+*#@"


def print_chart(trace: Trace) -> None:
    """Print the rate, window and throttling of a run over time; nothing for an empty trace."""
    slots = trace.slots(min(max(WIDTHS[0], out.width - BESIDE), WIDTHS[1]))
    if not slots:
        return
    title = f"Over {slots[-1].until:.1f} s"
    table = Table(title=title, title_justify="left", show_header=False, box=None)
    for what, colour, values in (
        ("records/s", "green", [slot.rate for slot in slots]),
        ("window", "cyan", [slot.window for slot in slots]),
        ("throttled/s", "yellow", [slot.throttled for slot in slots]),
    ):
        line = sparkline(values, PLAIN if out.options.ascii_only else LEVELS)
        top = max(values)
        shown = f"{top:,.0f}" if top >= 10 else f"{top:.2g}"  # a window may be below 1
        table.add_row(what, f"[{colour}]{line}[/]", f"max {shown}")
    out.print(table)


def sparkline(values: Sequence[float], levels: str = LEVELS) -> str:
    """Return one character per value; the largest value gets the last level."""
    full = (len(levels) - 1) / (max(values) or 1)
    return "".join(levels[round(max(0.0, value) * full)] for value in values)

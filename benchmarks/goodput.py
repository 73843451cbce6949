"""Measure how well clients use a limit of the server that they do not know.

The real code of the session runs against simulated servers, in simulated time. So the results are
the same on every machine.
"""

import functools
from collections.abc import Callable
from typing import Any

from tests.simulation.rivals import Aimd, Fixed, RateCubic
from tests.simulation.runs import simulated
from tests.simulation.servers import Fault, Outage, Server
from tests.simulation.test_goodput import SCENARIOS

from .measure import Result, markdown

WINDOWS: dict[str, Callable[[], Any]] = {
    "timeback_async": lambda: None,
    "64 in flight, each record backs off": Fixed,
    "AIMD, 0.9": Aimd,
    "CUBIC on the rate": RateCubic,
}

OUTAGES: dict[str, tuple[Fault, ...]] = {
    "down for 30 s, no limit": ("refused",),
    "503, 500 and drops for 30 s, no limit": ("503", "500", "dropped"),
}


def run(rounds: int = 1, records: int | None = None) -> Result:
    rows, runs = [], []
    for name, scenario in SCENARIOS.items():
        cells = []
        for says, window in WINDOWS.items():
            done = simulated(scenario.server, scenario.seconds, window=window())
            goodput, wasted, failed = done.goodput(scenario.limit), done.wasted, done.report.failed
            lost = f", {failed:,} failed" if failed else ""
            cells.append(f"{goodput:.2f} / {wasted:.1%}{lost}")
            runs.append(
                {
                    "scenario": name,
                    "window": says,
                    "goodput": goodput,
                    "wasted": wasted,
                    "failed": failed,
                }
            )
        rows.append([name, *cells])
    for says_down, how in OUTAGES.items():
        cells = []
        for says, window in WINDOWS.items():
            server = functools.partial(Server, outages=[Outage(10.0, 40.0, how)])
            done = simulated(server, 60.0, window=window())
            sent, failed = len(done.server.failed), done.report.failed
            first = min(at for at in done.server.accepted if at >= 40.0) - 40.0
            lost = f", {failed:,} failed" if failed else ""
            cells.append(f"{sent:,} sent into it, back in {first:.1f} s{lost}")
            runs.append(
                {
                    "scenario": says_down,
                    "window": says,
                    "sent": sent,
                    "back": first,
                    "failed": failed,
                }
            )
        rows.append([says_down, *cells])
    return Result(markdown(["", *WINDOWS], rows), runs)

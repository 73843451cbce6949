"""Measure how well clients use a limit of the server that they do not know.

The real code of the session runs against simulated servers, in simulated time. So the results are
the same on every machine.
"""

from collections.abc import Callable
from typing import Any

from tests.simulation.rivals import Aimd, Fixed, RateCubic
from tests.simulation.runs import simulated
from tests.simulation.servers import Server
from tests.simulation.test_goodput import SCENARIOS

from .measure import Result, markdown

WINDOWS: dict[str, Callable[[], Any]] = {
    "timeback_async": lambda: None,
    "64 in flight, each record backs off": Fixed,
    "AIMD, 0.9": Aimd,
    "CUBIC on the rate": RateCubic,
}


def run(rounds: int = 1, records: int | None = None) -> Result:
    rows, runs = [], []
    for name, scenario in SCENARIOS.items():
        cells = []
        for says, window in WINDOWS.items():
            done = simulated(scenario.server, scenario.seconds, window=window())
            goodput, wasted = done.goodput(scenario.limit), done.wasted
            cells.append(f"{goodput:.2f} / {wasted:.1%}")
            runs.append({"scenario": name, "window": says, "goodput": goodput, "wasted": wasted})
        rows.append([name, *cells])
    cells = []
    for says, window in WINDOWS.items():
        done = simulated(lambda: Server(outages=[(10.0, 40.0)]), 60.0, window=window())
        first = min(at for at in done.server.accepted if at >= 40.0) - 40.0
        cells.append(f"{len(done.server.failed):,} sent into it, back in {first:.1f} s")
        runs.append(
            {"scenario": "outage", "window": says, "sent": len(done.server.failed), "back": first}
        )
    rows.append(["down for 30 s, no limit", *cells])
    return Result(markdown(["", *WINDOWS], rows), runs)

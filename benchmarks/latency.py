"""Compare the rate with the best possible one: in flight / latency, or what one core can do."""

from functools import partial
from statistics import median

from . import charts
from .measure import Result, interleaved, markdown, rate, sample, server

NAMES = {"ours+uvloop": "timeback_async", "script+uvloop": "script"}
LATENCIES = (0.02, 0.05)
IN_FLIGHT = (16, 32, 64, 128, 256, 512)
TURNS = 60  # records per request in flight; the first turn opens the connections


def run(rounds: int = 2, records: int | None = None) -> Result:
    runs, rows = [], []
    series: dict[str, list[tuple[float, float]]] = {}
    for latency in LATENCIES:
        with server(latency) as slow:
            for in_flight in IN_FLIGHT:
                count = records or in_flight * TURNS
                one = partial(sample, slow, records=count, in_flight=in_flight)
                samples = interleaved(NAMES, rounds, one)
                runs.append({"latency": latency, "in_flight": in_flight, "samples": samples})
                row: list[object] = [f"{latency * 1000:.0f} ms", in_flight]
                for name in NAMES:
                    own = [s for s in samples if s.contender == name]
                    # A client without CPU left cannot be faster, whatever the latency is.
                    shares = [rate(s) / min(in_flight / latency, s.records / s.cpu) for s in own]
                    row += [f"{median(map(rate, own)):,.0f}", f"{median(shares):.2f}"]
                    label = f"{NAMES[name]}, {latency * 1000:.0f} ms"
                    series.setdefault(label, []).append((in_flight, median(map(rate, own))))
                rows.append(row)
    head = ["latency", "in flight"]
    head += [part for name in NAMES for part in (f"{NAMES[name]}, records/s", "share reached")]
    chart = charts.lines("Records per second at a latency", series, "in flight", "records/s")
    return Result(markdown(head, rows), runs, chart)

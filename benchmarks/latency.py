"""How much is reached of in flight / latency, or of what one core can do where that is less."""

from statistics import median

from . import charts
from .measure import Result, available, interleaved, markdown, rate, sample, server

LATENCIES = (0.02, 0.05)
IN_FLIGHT = (16, 32, 64, 128, 256, 512)
TURNS = 60  # of everything in flight: the first one connects


def run(rounds: int = 2, records: int | None = None) -> Result:
    names = available(["ours+uvloop", "script+uvloop"])
    runs, rows = [], []
    series: dict[str, list[tuple[float, float]]] = {}
    for latency in LATENCIES:
        with server(latency) as slow:
            for in_flight in IN_FLIGHT:
                count = records or in_flight * TURNS
                samples = interleaved(
                    names,
                    rounds,
                    lambda name: sample(slow, name, count, in_flight),  # noqa: B023
                )
                runs.append({"latency": latency, "in_flight": in_flight, "samples": samples})
                row: list[object] = [f"{latency * 1000:.0f} ms", in_flight]
                for name in names:
                    own = [s for s in samples if s.contender == name]
                    # A client that has no CPU left cannot do more, whatever the latency.
                    shares = [rate(s) / min(in_flight / latency, s.records / s.cpu) for s in own]
                    row += [f"{median(map(rate, own)):,.0f}", f"{median(shares):.2f}"]
                    label = f"{_SAYS[name]}, {latency * 1000:.0f} ms"
                    series.setdefault(label, []).append((in_flight, median(map(rate, own))))
                rows.append(row)
    head = ["latency", "in flight"]
    head += [part for name in names for part in (f"{_SAYS[name]}, records/s", "share reached")]
    chart = charts.lines("Records per second at a latency", series, "in flight", "records/s")
    return Result(markdown(head, rows), runs, chart)


_SAYS = {"ours+uvloop": "timeback_async", "script+uvloop": "script"}

"""Measure the cost of a record and the peak memory, for 1,000 to 1,000,000 records."""

from functools import cache
from statistics import median

from . import charts
from .measure import Result, cpu, markdown, sample, server
from .samples import Sample

SIZES = (1_000, 10_000, 100_000, 1_000_000)
OURS, SCRIPT = "ours+uvloop", "script+uvloop"


@cache
def _samples(rounds: int, largest: int) -> list[Sample]:
    """Return runs of every size, two of the largest, and one of the script up to 100,000."""
    sizes = [size for size in SIZES if size <= largest]
    taken = []
    with server() as lean:
        for number in range(rounds):
            for size in sizes:
                if size == max(sizes) and number not in (0, rounds - 1):
                    continue
                print(f"  round {number + 1} of {rounds}: {size:,} records", end="\r", flush=True)
                taken.append(sample(lean, OURS, size, stream=True))
                if size <= 100_000 and number == 0:
                    taken.append(sample(lean, SCRIPT, size, stream=True))
    print(" " * 50, end="\r")
    return taken


def _of(samples: list[Sample], name: str, size: int) -> list[Sample]:
    return [s for s in samples if (s.contender, s.records) == (name, size)]


def run(rounds: int = 5, records: int | None = None) -> Result:
    samples = _samples(rounds, records or max(SIZES))
    sizes = sorted({s.records for s in samples})

    def elapsed(sample: Sample) -> float:
        return sample.elapsed / sample.records * 1e6

    times = {size: median(map(elapsed, _of(samples, OURS, size))) for size in sizes}
    rows = [
        [
            f"{size:,}",
            f"{times[size]:.1f}",
            f"{median(map(cpu, _of(samples, OURS, size))):.1f}",
            f"{times[size] / times[sizes[min(1, len(sizes) - 1)]]:.2f}",
        ]
        for size in sizes
    ]
    head = ["records", "µs per record", "client CPU, µs per record", "against 10,000"]
    chart = charts.lines(
        "Time per record", {"timeback_async": list(times.items())}, "records", "µs per record"
    )
    return Result(markdown(head, rows), samples, chart)


def memory(rounds: int = 5, records: int | None = None) -> Result:
    samples = _samples(rounds, records or max(SIZES))
    sizes = sorted({s.records for s in samples})
    series: dict[str, list[tuple[float, float]]] = {}
    rows = []
    for size in sizes:
        row = [f"{size:,}"]
        for name, says in ((OURS, "timeback_async"), (SCRIPT, "script")):
            peaks = [s.peak / 2**20 for s in _of(samples, name, size)]
            row.append(f"{max(peaks):.1f}" if peaks else "")
            if peaks:
                series.setdefault(says, []).append((size, max(peaks)))
        rows.append(row)
    head = ["records", "timeback_async, peak MiB", "script (gather), peak MiB"]
    chart = charts.lines("Peak memory", series, "records", "MiB")
    return Result(markdown(head, rows), samples, chart)

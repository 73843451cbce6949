"""Measure the peak memory and the cost of a record, from 10,000 records to 1,000,000."""

from statistics import median
from typing import NamedTuple

from .contenders import CONTENDERS
from .measure import Ratio, Result, Scheme, available, cpu, markdown, ratio, sample, server
from .samples import Sample

SIZES = (10_000, 100_000, 1_000_000)
BOUND = 50  # MiB


class Climb(NamedTuple):
    """A contender, and the most records it sends unless `--records` says otherwise."""

    name: str
    scheme: Scheme
    largest: int
    is_ours: bool = True


CLIMBS = (
    Climb("direct+uvloop", "http", 1_000_000),
    Climb("direct+uvloop", "https", 1_000_000),
    Climb("ours+uvloop", "http", 100_000),
    # Gathering has a task for each record, so a million of them fill the memory.
    Climb("script+uvloop", "http", 100_000, is_ours=False),
)


def run(rounds: int = 1, records: int | None = None) -> Result:
    runs, rows, ratios = [], [], []
    names = available(dict.fromkeys(climb.name for climb in CLIMBS))
    for climb in CLIMBS:
        if climb.name in names:
            largest = records if records and climb.is_ours else climb.largest
            sizes = [size for size in SIZES if size <= largest]
            taken = _climbed(climb, sizes, rounds)
            runs.append({"scheme": climb.scheme, "samples": taken})
            rows += _rows(climb, taken)
            ratios += _ratios(climb, taken) if climb.is_ours and len(sizes) > 1 else []
    head = ["", "", "records", "client CPU, µs per record", "peak memory, MiB"]
    return Result(markdown(head, rows), runs, ratios)


def _climbed(climb: Climb, sizes: list[int], rounds: int) -> list[Sample]:
    """Return a run of every size in each round, and one more of the smallest for its A/A."""
    taken = []
    with server(scheme=climb.scheme) as lean:
        for _ in range(rounds):
            for size in (*sizes, sizes[0]):
                says = f"{climb.name}, {climb.scheme}, {size:,} records"
                print(f"  {says:<60}", end="\r", flush=True)
                taken.append(sample(lean, climb.name, size, stream=True))
    print(" " * 62, end="\r")
    return taken


def _rows(climb: Climb, taken: list[Sample]) -> list[list[str]]:
    rows = []
    for size in sorted({s.records for s in taken}):
        own = [s for s in taken if s.records == size]
        peak = max(s.peak for s in own) / 2**20
        rows.append(
            [CONTENDERS[climb.name].says, climb.scheme, f"{size:,}",
             f"{median(map(cpu, own)):.1f}", f"{peak:.1f}"]
        )  # fmt: skip
    return rows


def _ratios(climb: Climb, taken: list[Sample]) -> list[Ratio]:
    """Return the ratios of the peak with the most records: to that with the fewest, and the bound.

    The A/A spread is that of the fewest.
    """
    few, many = min(s.records for s in taken), max(s.records for s in taken)
    small = [s.peak / 2**20 for s in taken if s.records == few]
    large = [s.peak / 2**20 for s in taken if s.records == many]
    pairs, peaks = list(zip(small[::2], small[1::2], strict=True)), [(peak, peak) for peak in large]
    what = f"peak memory, {many:,} records, {CONTENDERS[climb.name].says}"
    bound = [(BOUND, BOUND)] * len(peaks)
    return [
        ratio(peaks, pairs, what, f"{few:,} records", scheme=climb.scheme, at_most=1.1),
        ratio(peaks, bound, what, f"{BOUND} MiB", scheme=climb.scheme, at_most=1.0),
    ]

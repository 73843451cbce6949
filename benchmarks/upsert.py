"""Measure client CPU per upsert, peak memory and rate, with a server that answers at once."""

from statistics import median

from . import charts
from .contenders import CONTENDERS
from .measure import (
    Result,
    available,
    compare,
    cpu,
    interleaved,
    is_void,
    markdown,
    rate,
    sample,
    server,
)
from .samples import Sample

PAIRS = (
    ("ours", "bare", cpu),
    ("ours+uvloop", "bare+uvloop", cpu),
    ("ours", "script", cpu),
    ("ours+uvloop", "script", cpu),
    ("ours+uvloop", "script", rate),
    ("ours+uvloop", "httpx", rate),
    ("ours+uvloop", "vendor", rate),
)
SLOW = ("httpx", "vendor")
SAID = {cpu: "client CPU", rate: "records/s"}


def run(rounds: int = 30, records: int = 5000) -> Result:
    names = available(list(CONTENDERS))
    with server() as lean:
        samples = interleaved(names, rounds, lambda name: sample(lean, name, records), SLOW)
    return told(samples)


def told(samples: list[Sample]) -> Result:
    """Return the table and the chart of some runs."""
    names = [name for name in CONTENDERS if any(s.contender == name for s in samples)]
    rows, drawn = [], []
    for name in names:
        own = [s for s in samples if s.contender == name]
        valid = [s for s in own if not is_void(s)]
        says = CONTENDERS[name].says
        if not valid:
            share = median(s.server_cpu / s.elapsed for s in own)
            seen = median(map(cpu, own))
            rows.append([says, f"void: the server was at {share:.0%} ({seen:,.0f})", "", ""])
            continue
        micros = median(map(cpu, valid))
        drawn.append((says, micros))
        memory = max(s.peak for s in valid) / 2**20
        voids = f" ({len(own) - len(valid)} of {len(own)} void)" if len(valid) < len(own) else ""
        rows.append(
            [says, f"{micros:,.0f}{voids}", f"{median(map(rate, valid)):,.0f}", f"{memory:.0f}"]
        )
    ratios = [
        [f"{CONTENDERS[one].says} / {CONTENDERS[other].says}", SAID[figure],
         compare(samples, one, other, figure)]
        for one, other, figure in PAIRS
        if one in names and other in names
    ]  # fmt: skip
    table = markdown(["", "client CPU, µs per record", "records/s", "peak memory, MiB"], rows)
    table += "\n\n" + markdown(["", "of", "ratio (95 % interval)"], ratios)
    chart = charts.bars("Client CPU per upsert", drawn, "µs per record, logarithmic")
    return Result(table, samples, chart)

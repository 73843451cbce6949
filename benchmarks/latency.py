"""Compare the rate at a latency with the best possible one: in flight / latency.

The latency is what the server really waited, which is a little more than it was told to.
"""

from functools import partial
from statistics import median

from .contenders import CONTENDERS
from .measure import (
    Pair,
    Result,
    Scheme,
    available,
    interleaved,
    markdown,
    rate,
    ratio,
    sample,
    server,
)

NAMES = ("direct+uvloop", "ours+uvloop")
SCHEMES: tuple[Scheme, ...] = ("http", "https")
LATENCY = 0.05
IN_FLIGHT = 256
TURNS = 150  # records per request in flight; the first turn opens the connections


def run(rounds: int = 1, records: int = IN_FLIGHT * TURNS) -> Result:
    names, runs, rows, ratios = available(NAMES), [], [], []
    for scheme in SCHEMES:
        with server(LATENCY, scheme) as slow:
            one = partial(sample, slow, records=records, in_flight=IN_FLIGHT)
            samples = interleaved(names, rounds, one)
        runs.append({"scheme": scheme, "samples": samples})
        for name in names:
            own = [s for s in samples if s.contender == name]
            waited, says = median(s.latency for s in own) * 1000, CONTENDERS[name].says
            rows.append([scheme, says, f"{waited:.1f} ms", f"{median(map(rate, own)):,.0f}"])
            share = ratio(
                _pairs(list(map(rate, own))),
                _pairs([IN_FLIGHT / s.latency for s in own]),
                f"records/s at {LATENCY * 1000:.0f} ms, {says}",
                f"{IN_FLIGHT} in flight / {LATENCY * 1000:.0f} ms",
                scheme=scheme,
                at_least=0.97,
            )
            ratios.append(share)
    return Result(markdown(["", "", "latency", "records/s"], rows), runs, ratios)


def _pairs(values: list[float]) -> list[Pair]:
    return list(zip(values[::2], values[1::2], strict=True))

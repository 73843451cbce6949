"""Compare the rate at a latency with the best possible one: requests in flight / latency."""

from functools import partial
from statistics import median
from typing import Any

from .contenders import CONTENDERS
from .measure import Result, Scheme, available, interleaved, markdown, rate, ratio, sample, server

NAMES = ("direct+uvloop", "ours+uvloop", "script+uvloop")
OURS = NAMES[:2]
SCHEMES: tuple[Scheme, ...] = ("http", "https")
LATENCY = 0.05
IN_FLIGHT = (64, 256)
TURNS = 100  # records per request in flight; the first turn opens the connections
AIM = {256: 0.97}


def run(rounds: int = 1, records: int | None = None) -> Result:
    names, runs, rows, ratios = available(NAMES), [], [], []
    for scheme in SCHEMES:
        with server(LATENCY, scheme) as slow:
            for in_flight in IN_FLIGHT:
                count = records or in_flight * TURNS
                one = partial(sample, slow, records=count, in_flight=in_flight)
                samples = interleaved(names, rounds, one)
                runs.append({"scheme": scheme, "in_flight": in_flight, "samples": samples})
                row: list[Any] = [scheme, in_flight]
                for name in names:
                    rates = [rate(s) for s in samples if s.contender == name]
                    share = ratio(
                        list(zip(rates[::2], rates[1::2], strict=True)),
                        [(in_flight / LATENCY, in_flight / LATENCY)] * rounds,
                        f"records/s at {LATENCY * 1000:.0f} ms, {CONTENDERS[name].says}",
                        f"{in_flight} in flight / {LATENCY * 1000:.0f} ms",
                        scheme=scheme,
                        at_least=AIM.get(in_flight) if name in OURS else None,
                    )
                    ratios.append(share)
                    assert share.found is not None
                    row += [f"{median(rates):,.0f}", f"{share.found.middle:.2f}"]
                rows.append(row)
    head = [f"{LATENCY * 1000:.0f} ms", "in flight"]
    for name in names:
        head += [f"{CONTENDERS[name].says}, records/s", "share reached"]
    return Result(markdown(head, rows), runs, ratios)

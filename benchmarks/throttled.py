"""Measure the rate under a limit that the client does not know, and the requests rejected."""

from statistics import median

from .measure import Result, available, interleaved, markdown, rate, sample, server

LIMIT = 500.0
SAYS = {"ours": "timeback_async", "tenacity": "script, each record with its own backoff"}


def run(rounds: int = 3, records: int = 3000) -> Result:
    names = available(list(SAYS))
    with server(limit=LIMIT) as strict:
        runs = interleaved(names, rounds, lambda name: sample(strict, name, records))
    rows = []
    for name in names:
        own = [s for s in runs if s.contender == name]
        wasted = median(s.rejected / (s.saved + s.rejected) for s in own)
        rows.append([SAYS[name], f"{median(map(rate, own)) / LIMIT:.2f}", f"{wasted:.1%}"])
    head = [f"limit: {LIMIT:.0f} a second", "share of the limit reached", "requests rejected"]
    return Result(markdown(head, rows), runs)

"""Measure client CPU per upsert, peak memory and rate, with a server that answers at once."""

from statistics import median
from typing import Any, NamedTuple

from .contenders import CONTENDERS
from .measure import (
    Figure,
    Result,
    Scheme,
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

# In the order of their rows. Those that are compared with each other stand close together.
NAMES = (
    "direct+uvloop",
    "bare+uvloop",
    "pyreqwest+uvloop",
    "direct",
    "bare",
    "ours",
    "ours+uvloop",
    "script",
)
SELDOM = (
    "script+uvloop",
    "direct-streaming",
    "direct-streaming+uvloop",
    "ours-streaming",
    "ours-streaming+uvloop",
    "floor+uvloop",
    "httpx",
    "vendor",
)
SLOW = {"httpx": 1000, "vendor": 1000}  # the most records that they send
SAID = {cpu: "client CPU per upsert", rate: "records/s"}


class Versus(NamedTuple):
    """Two contenders whose figures are compared, and what the ratio must reach, by scheme."""

    one: str
    other: str
    figure: Figure = cpu
    at_most: dict[Scheme, float] = {}  # noqa: RUF012 - nobody writes to it
    at_least: dict[Scheme, float] = {}  # noqa: RUF012


def _both(aim: float) -> dict[Scheme, float]:
    return {"http": aim, "https": aim}


COMPARED = (
    Versus("direct+uvloop", "bare+uvloop", at_most={"http": 0.35, "https": 0.50}),
    Versus("direct", "bare", at_most={"http": 0.50, "https": 0.60}),
    Versus("direct+uvloop", "pyreqwest+uvloop", at_most=_both(0.90)),
    Versus("ours+uvloop", "bare+uvloop", at_most=_both(1.15)),
    Versus("ours", "bare", at_most=_both(1.15)),
    Versus("direct+uvloop", "script", rate, at_least=_both(4)),
    Versus("direct+uvloop", "httpx", rate, at_least=_both(50)),
    Versus("direct+uvloop", "vendor", rate, at_least=_both(50)),
    Versus("direct-streaming+uvloop", "direct+uvloop"),
    Versus("ours-streaming+uvloop", "ours+uvloop"),
)


def http(rounds: int = 5, records: int = 5_000) -> Result:
    return _run("http", rounds, records)


def https(rounds: int = 4, records: int = 10_000) -> Result:
    return _run("https", rounds, records)


def _run(scheme: Scheme, rounds: int, records: int) -> Result:
    names = available((*NAMES, *SELDOM))
    with server(scheme=scheme) as lean:

        def run(name: str) -> Sample:
            return sample(lean, name, min(records, SLOW.get(name, records)))

        samples = interleaved(names, rounds, run, SELDOM)
    return told(samples, scheme)


def told(samples: list[Sample], scheme: Scheme) -> Result:
    """Return the table and the ratios of some runs."""
    names = [name for name in (*NAMES, *SELDOM) if any(s.contender == name for s in samples)]
    rows: list[Any] = []
    for name in names:
        own = [s for s in samples if s.contender == name]
        valid = [s for s in own if not is_void(s)]
        says = CONTENDERS[name].says
        if not valid:
            share = median(s.server_cpu / s.elapsed for s in own)
            seen = median(map(cpu, own))
            rows.append([says, f"void: the server was at {share:.0%} ({seen:,.0f})", "", ""])
            continue
        memory = max(s.peak for s in valid) / 2**20
        voids = f" ({len(own) - len(valid)} of {len(own)} void)" if len(valid) < len(own) else ""
        rows.append(
            [says, f"{median(map(cpu, valid)):,.0f}{voids}", f"{median(map(rate, valid)):,.0f}",
             f"{memory:.0f}"]
        )  # fmt: skip
    ratios = [
        compare(samples, one, other, figure, SAID[figure], scheme=scheme,
                at_most=at_most.get(scheme), at_least=at_least.get(scheme))
        for one, other, figure, at_most, at_least in COMPARED
        if one in names and other in names
    ]  # fmt: skip
    head = [scheme, "client CPU, µs per record", "records/s", "peak memory, MiB"]
    return Result(markdown(head, rows), samples, ratios)

"""Run contenders in turn, and decide which differences are more than noise.

Two runs of the same code differ by some 15 % on a busy machine. So contenders are interleaved
(A B B A), and ratios are taken within a round. Each ratio has a spread beside it: the ratio of a
contender to itself. A difference smaller than the spread is noise.
"""

import importlib.util
import os
import random
import ssl
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import exp, log
from pathlib import Path
from statistics import median
from typing import Any, Literal, NamedTuple

import msgspec

from .contenders import CONTENDERS
from .samples import Figures, Sample

ROOT = Path(__file__).parents[1]
# A run measures the server, not the client, when the server uses more than this share of a core.
MAX_SERVER_SHARE = 0.6
RESAMPLES = 2000

Scheme = Literal["http", "https"]


# -- processes


def _cores() -> tuple[list[int], int | None]:
    """Return the cores for the contenders, and one for the server if there are several."""
    if not hasattr(os, "sched_getaffinity"):
        return [], None
    *others, last = sorted(os.sched_getaffinity(0))
    return (others, last) if others else ([last], None)


class Server:
    """A lean server in a process of its own, and the file of the CA that https trusts."""

    def __init__(self, process: "subprocess.Popen[str]", authority: Path | None) -> None:
        assert process.stdout is not None
        scheme = "http" if authority is None else "https"
        self.url = f"{scheme}://127.0.0.1:{int(process.stdout.readline())}"
        self.environment = {"SSL_CERT_FILE": str(authority)} if authority else {}
        self._context = ssl.create_default_context(cafile=authority) if authority else None

    def figures(self) -> Figures:
        with urllib.request.urlopen(f"{self.url}/figures", context=self._context) as answer:
            return msgspec.json.decode(answer.read(), type=Figures)


@contextmanager
def server(latency: float = 0.0, scheme: Scheme = "http") -> Iterator[Server]:
    """Run a server during the block. One for https has a certificate made for this block."""
    command = [sys.executable, "-m", "benchmarks.server", "--latency", str(latency)]
    core = _cores()[1]
    if core is not None:
        command += ["--core", str(core)]
    with tempfile.TemporaryDirectory() as folder:
        authority = None
        if scheme == "https":
            import trustme

            made, authority = trustme.CA(), Path(folder) / "authority.pem"
            made.cert_pem.write_to_path(authority)
            certificate = Path(folder) / "server.pem"
            made.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
            command += ["--certificate", str(certificate)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            yield Server(process, authority)
        finally:
            process.terminate()
            process.communicate()


def sample(
    server: Server, contender: str, records: int, in_flight: int = 64, *, stream: bool = False
) -> Sample:
    """Run one contender in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.contenders", contender, server.url]
    command += [str(records), str(in_flight)]
    command += ["--stream"] if stream else []
    command += ["--cores", ",".join(map(str, cores))] if (cores := _cores()[0]) else []
    environment = os.environ | server.environment
    before = server.figures()
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{contender} failed:\n{done.stderr}")
    after = server.figures()
    taken = msgspec.json.decode(done.stdout, type=Sample)
    taken.server_cpu = after.cpu - before.cpu
    taken.saved = after.saved - before.saved
    taken.latency = (after.waited - before.waited) / max(taken.saved, 1)
    if taken.saved != records:
        raise SystemExit(f"{contender} saved {records} records, the server {taken.saved}")
    return taken


def is_absent(module: str) -> bool:
    """Return whether a module is not installed."""
    return importlib.util.find_spec(module) is None


def available(names: Iterable[str]) -> list[str]:
    """Return the contenders that can run here; print why the others cannot."""
    found = []
    for name in names:
        absent = list(filter(is_absent, CONTENDERS[name].needs))
        if absent:
            print(f"  {name}: left out, since {', '.join(absent)} is not installed")
        else:
            found.append(name)
    return found


def interleaved(
    names: Iterable[str], rounds: int, run: Callable[[str], Sample], seldom: Sequence[str] = ()
) -> list[Sample]:
    """Run each contender twice per round, as in C B A A B C; return all samples in this order.

    The two runs of the first name, and those of the next ones, are so close together. The names in
    `seldom`, whose runs are long or of less interest, take part in every third round.
    """
    samples = []
    for number in range(rounds):
        print(f"  round {number + 1} of {rounds}", end="\r", flush=True)
        taking_part = [name for name in names if number % 3 == 0 or name not in seldom]
        for name in (*reversed(taking_part), *taking_part):
            samples.append(run(name))
            samples[-1].round = number
    print(" " * 30, end="\r")
    return samples


# -- figures


class Interval(NamedTuple):
    """A median and its bootstrap 95 % interval."""

    low: float
    middle: float
    high: float

    def __str__(self) -> str:
        return f"{self.middle:.2f} ({self.low:.2f} to {self.high:.2f})"


def interval(values: Sequence[float], seed: int = 1) -> Interval:
    """Return the median of some values, and its bootstrap 95 % interval."""
    draw = random.Random(seed)
    medians = sorted(median(draw.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return Interval(medians[RESAMPLES // 40], median(values), medians[-RESAMPLES // 40])


class Ratio(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What was measured, as a multiple of what it is measured against.

    Attributes:
        what: What was measured, such as "records/s, timeback_async".
        against: What it is compared with, by its name in tables.
        scheme: "http" or "https", or "" if the ratio has nothing to do with it.
        found: The ratio; None if no round counts.
        spread: The A/A ratio, of a contender to itself, as a factor of 1 or more. The larger one
            of both contenders counts. 1 if it was not measured.
        at_most: What the ratio must not exceed, if there is an aim.
        at_least: What the ratio must reach, if there is an aim.
    """

    what: str
    against: str
    scheme: str = ""
    found: Interval | None
    spread: float = 1.0
    at_most: float | None = None
    at_least: float | None = None

    @property
    def is_difference(self) -> bool:
        return self.found is not None and abs(log(self.found.middle)) > log(self.spread)

    @property
    def is_reached(self) -> bool:
        """Whether the median is within the aim."""
        return (
            self.found is not None
            and (self.at_most is None or self.found.middle <= self.at_most)
            and (self.at_least is None or self.found.middle >= self.at_least)
        )

    def __str__(self) -> str:
        if self.found is None:
            return "void"
        if self.spread == 1.0:
            return str(self.found)
        none = "" if self.is_difference else ", no difference"
        return f"{self.found} [A/A ±{self.spread - 1:.0%}{none}]"


# The same figure of the two runs of one round.
Pair = tuple[float, float]


def ratio(
    ours: Sequence[Pair], theirs: Sequence[Pair], what: str, against: str, **facts: Any
) -> Ratio:
    """Return the ratio of figures, round by round; `facts` are other fields of `Ratio`."""
    if not ours:
        return Ratio(what=what, against=against, found=None, **facts)
    ratios = [sum(a) / sum(b) for a, b in zip(ours, theirs, strict=True)]
    against_self = [
        interval([log(second / first) for first, second in pairs]) for pairs in (ours, theirs)
    ]
    spread = exp(max(max(abs(own.low), abs(own.high)) for own in against_self))
    return Ratio(what=what, against=against, found=interval(ratios), spread=spread, **facts)


Figure = Callable[[Sample], float]


def compare(
    samples: Sequence[Sample], one: str, other: str, figure: Figure, what: str, **facts: Any
) -> Ratio:
    """Return the ratio of a figure of two interleaved contenders, over their common rounds.

    A round with a void run does not count.
    """
    ours, theirs = _rounds(samples, one), _rounds(samples, other)
    both = [(ours[number], theirs[number]) for number in ours if number in theirs]
    valid = [(a, b) for a, b in both if not any(map(is_void, (*a, *b)))]
    return ratio(
        [(figure(first), figure(second)) for (first, second), _ in valid],
        [(figure(first), figure(second)) for _, (first, second) in valid],
        f"{what}, {CONTENDERS[one].says}",
        CONTENDERS[other].says,
        **facts,
    )


def _rounds(samples: Sequence[Sample], name: str) -> dict[int, tuple[Sample, Sample]]:
    """Return the first and the second run of each round, by round."""
    own = [sample for sample in samples if sample.contender == name]
    return {a.round: (a, b) for a, b in zip(own[::2], own[1::2], strict=True)}


def cpu(sample: Sample) -> float:
    """Return the client's CPU per record, in microseconds."""
    return sample.cpu / sample.records * 1e6


def rate(sample: Sample) -> float:
    """Return records per second."""
    return sample.records / sample.elapsed


def is_void(sample: Sample) -> bool:
    """Return whether the server was so busy that the run measures nothing about the client."""
    return sample.server_cpu > MAX_SERVER_SHARE * sample.elapsed


# -- what a benchmark returns


class Result(NamedTuple):
    """The result of a benchmark: a table in Markdown, all runs, and the ratios they come to."""

    table: str
    runs: object
    ratios: Sequence[Ratio] = ()


def markdown(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)

"""Run contenders in turn, and decide which differences are more than noise.

Two runs of the same code differ by some 15 % on a busy machine. So contenders are interleaved
(A B B A), and ratios are taken within a round. Each ratio has a spread beside it: the ratio of a
contender to itself. A difference smaller than the spread is noise.
"""

import importlib.util
import os
import platform
import random
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import distributions
from math import exp, log
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import msgspec

from .contenders import CONTENDERS
from .samples import Figures, Sample

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
# A run measures the server, not the client, when the server uses more than this share of a core.
MAX_SERVER_SHARE = 0.6
RESAMPLES = 2000
PACKAGES = ("aiohttp", "httptools", "httpx", "msgspec", "pydantic", "pyreqwest", "tenacity",
            "timeback-async", "timeback-oneroster", "uvloop")  # fmt: skip


# -- processes


def _cores() -> tuple[list[int], int | None]:
    """Return the cores for the contenders, and one for the server if there are several."""
    if not hasattr(os, "sched_getaffinity"):
        return [], None
    *others, last = sorted(os.sched_getaffinity(0))
    return (others, last) if others else ([last], None)


class Server:
    """A lean server in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        self.url = f"http://127.0.0.1:{int(process.stdout.readline())}"

    def figures(self) -> Figures:
        with urllib.request.urlopen(f"{self.url}/figures") as answer:
            return msgspec.json.decode(answer.read(), type=Figures)


@contextmanager
def server(latency: float = 0.0, limit: float | None = None) -> Iterator[Server]:
    """Run a server during the block."""
    command = [sys.executable, "-m", "benchmarks.server", "--latency", str(latency)]
    if limit is not None:
        command += ["--limit", str(limit)]
    core = _cores()[1]
    if core is not None:
        command += ["--core", str(core)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield Server(process)
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
    before = server.figures()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{contender} failed:\n{done.stderr}")
    after = server.figures()
    taken = msgspec.json.decode(done.stdout, type=Sample)
    taken.server_cpu = after.cpu - before.cpu
    taken.saved = after.saved - before.saved
    taken.rejected = after.rejected - before.rejected
    if taken.saved != records:
        raise SystemExit(f"{contender} saved {records} records, the server {taken.saved}")
    return taken


def is_absent(module: str) -> bool:
    """Return whether a module is not installed."""
    return importlib.util.find_spec(module) is None


def available(names: Sequence[str]) -> list[str]:
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
    `seldom`, whose runs are long, take part in every third round.
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


class Comparison(NamedTuple):
    """One contender against another.

    `spread` is the A/A ratio, of a contender to itself, as a factor of 1 or more. The larger one of
    both contenders counts.
    """

    ratio: Interval
    spread: float

    @property
    def is_difference(self) -> bool:
        return abs(log(self.ratio.middle)) > log(self.spread)

    def __str__(self) -> str:
        none = "" if self.is_difference else ", no difference"
        return f"{self.ratio} [A/A ±{self.spread - 1:.0%}{none}]"


Figure = Callable[[Sample], float]


def compare(samples: Sequence[Sample], one: str, other: str, figure: Figure) -> Comparison | str:
    """Return the ratio of a figure of two interleaved contenders, over their common rounds.

    A round with a void run does not count. The ratio is "void" when no round is left.
    """
    pairs, others = _pairs(samples, one), _pairs(samples, other)
    rounds = [(pairs[number], others[number]) for number in pairs if number in others]
    valid = [both for both in rounds if not any(map(is_void, (*both[0], *both[1])))]
    if not valid:
        return "void"
    ours, theirs = (
        [tuple(map(figure, pair)) for pair in side] for side in zip(*valid, strict=True)
    )
    ratios = [sum(a) / sum(b) for a, b in zip(ours, theirs, strict=True)]
    against_self = [
        interval([log(second / first) for first, second in pairs]) for pairs in (ours, theirs)
    ]
    spread = max(max(abs(log_ratio.low), abs(log_ratio.high)) for log_ratio in against_self)
    return Comparison(interval(ratios), exp(spread))


def _pairs(samples: Sequence[Sample], name: str) -> dict[int, tuple[Sample, Sample]]:
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


# -- results


class Result(NamedTuple):
    """The result of a benchmark: a table in Markdown, all runs, and a chart in SVG or ""."""

    table: str
    runs: object
    chart: str = ""


def environment() -> dict[str, Any]:
    """Return the facts about this machine that a figure depends on."""
    found = {d.name.lower(): d.version for d in distributions()}
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: found[name] for name in PACKAGES if name in found},
    }


def _cpu_model() -> str:
    with suppress(OSError):  # Linux only
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def save(name: str, result: Result, folder: Path) -> None:
    """Write all runs, and their table and chart."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {"benchmark": name, **environment(), "runs": result.runs}
    encoded = msgspec.json.format(msgspec.json.encode(document), indent=1)
    (folder / f"{name}.json").write_bytes(encoded + b"\n")
    (folder / f"{name}.md").write_text(result.table + "\n")
    if result.chart:
        (folder / f"{name}.svg").write_text(result.chart)


def markdown(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)

"""Run contenders in turn, and say what of the difference is more than noise.

Two runs of the same code differ by some 15 % on a busy machine. So contenders are interleaved
(A B B A), ratios are taken within a round, and beside each ratio stands the spread of a
contender against itself: a difference inside it is none.
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
# A server that is busier than this share of a core is what the run has measured.
MAX_SERVER_SHARE = 0.6
RESAMPLES = 2000
PACKAGES = ("aiohttp", "httptools", "httpx", "msgspec", "pydantic", "pyreqwest", "tenacity",
            "timeback-async", "timeback-oneroster", "uvloop")  # fmt: skip


# -- processes


def _cores() -> tuple[list[int], int | None]:
    """Return the cores for the contenders, and the server's own where there is one to spare."""
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
    """Run a server for as long as the block takes."""
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
        raise SystemExit(f"{contender} said {records} saved, the server {taken.saved}")
    return taken


def is_absent(module: str) -> bool:
    """Return whether a module is not installed."""
    return importlib.util.find_spec(module) is None


def available(names: Sequence[str]) -> list[str]:
    """Return the contenders that can run here; say of the others why not."""
    found = []
    for name in names:
        absent = list(filter(is_absent, CONTENDERS[name].needs))
        if absent:
            print(f"  {name}: left out, {', '.join(absent)} is not installed")
        else:
            found.append(name)
    return found


def interleaved(
    names: Iterable[str], rounds: int, run: Callable[[str], Sample], seldom: Sequence[str] = ()
) -> list[Sample]:
    """Run everybody twice a round, there and back, and return every sample in its order.

    The first named is in the middle, so that its two runs, and those of who is named next, are
    close together. Those in `seldom`, which take long, take part in every third round.
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
    """Return the median of some values, and where it would lie in 95 of 100 such samples."""
    draw = random.Random(seed)
    medians = sorted(median(draw.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return Interval(medians[RESAMPLES // 40], median(values), medians[-RESAMPLES // 40])


class Comparison(NamedTuple):
    """One contender against another.

    `spread` is how far a contender is from itself: the larger of both contenders' A/A ratios, as
    a factor of 1 or more.
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
    """Return the ratio of a figure of two interleaved contenders, over the rounds of both.

    A round with a void run on either side does not count; "void" where none is left.
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
    """Return the runs on the way there and on the way back, by round."""
    own = [sample for sample in samples if sample.contender == name]
    return {a.round: (a, b) for a, b in zip(own[::2], own[1::2], strict=True)}


def cpu(sample: Sample) -> float:
    """Return the client's CPU per record, in microseconds."""
    return sample.cpu / sample.records * 1e6


def rate(sample: Sample) -> float:
    """Return records per second."""
    return sample.records / sample.elapsed


def is_void(sample: Sample) -> bool:
    """Return whether the server was too busy for the run to say anything about the client."""
    return sample.server_cpu > MAX_SERVER_SHARE * sample.elapsed


# -- results


class Result(NamedTuple):
    """What a benchmark came out at: a table in Markdown, every run, and a chart in SVG."""

    table: str
    runs: object
    chart: str = ""


def environment() -> dict[str, Any]:
    """Return what has to be known of the machine to read a figure."""
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
    """Write every run, and the table and the chart made of them."""
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

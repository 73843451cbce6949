"""Keep the results of each version of Python, with the facts that they depend on.

`results/3.13/upsert.json` has every run of a benchmark, and `upsert.md` has its tables.
"""

import os
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

import msgspec

from .measure import ROOT, Ratio, Result, markdown

FOLDER = ROOT / "benchmarks" / "results"
PACKAGES = ("aiohttp", "httptools", "httpx", "msgspec", "pydantic", "pyreqwest",
            "timeback-async", "timeback-oneroster", "uvloop")  # fmt: skip
# A machine was busy with other work when that took more than this share of one of its cores.
BUSY = 0.15


class Document(msgspec.Struct, kw_only=True):
    """The results of one benchmark on one Python, and the facts that they depend on.

    `others` is how many cores other programs used during the benchmark, or None if nobody knows.
    """

    benchmark: str
    date: str
    cpu: str
    cores: int
    system: str
    python: str
    others: float | None = None
    packages: dict[str, str]
    ratios: list[Ratio] = []
    runs: object

    @property
    def is_busy(self) -> bool:
        return (self.others or 0.0) > BUSY

    @property
    def says(self) -> str:
        """The line above its tables."""
        busy = ", busy with other work" if self.is_busy else ""
        return f"Python {self.python}: {self.date}, {self.cores} cores of {self.cpu}{busy}"


# One benchmark's results, by version without the last number.
Versions = Mapping[str, Document]


def recorded(name: str, run: Callable[[], Result], folder: Path) -> Result:
    """Run a benchmark, and write its runs and tables."""
    own, machine, now = _own_cpu(), _machine_cpu(), time.monotonic()
    result = run()
    own, machine, now = _own_cpu() - own, _machine_cpu() - machine, time.monotonic() - now
    found = {d.name.lower(): d.version for d in distributions()}
    document = Document(
        benchmark=name,
        date=datetime.now(UTC).date().isoformat(),
        cpu=_cpu_model(),
        cores=os.cpu_count() or 1,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        others=round((machine - own) / now, 2) if machine else None,
        packages={package: found[package] for package in PACKAGES if package in found},
        ratios=list(result.ratios),
        runs=result.runs,
    )
    folder /= ".".join(platform.python_version_tuple()[:2])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_bytes(msgspec.json.encode(document) + b"\n")
    (folder / f"{name}.md").write_text(tables(result) + "\n")
    return result


def tables(result: Result) -> str:
    """Return the ratios of a result, if there are any, and its absolute figures."""
    if not result.ratios:
        return result.table
    rows = [[one.what, one.against, one.scheme, one] for one in result.ratios]
    return markdown(["", "against", "", "ratio (95 % interval)"], rows) + "\n\n" + result.table


def _own_cpu() -> float:
    """Return the seconds of CPU of this process and of those it started and ended."""
    return sum(os.times()[:4])


def _machine_cpu() -> float:
    """Return the seconds of CPU of all processes since the machine started, or 0 if unknown."""
    with suppress(OSError):  # Linux only
        ticks = Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]
        user, nice, system, _idle, _waiting, *interrupts = map(int, ticks)
        return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _cpu_model() -> str:
    with suppress(OSError):  # Linux only
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def load(folder: Path = FOLDER) -> dict[str, Versions]:
    """Return all results by benchmark, each from the oldest version to the newest."""
    found: dict[str, dict[str, Document]] = {}
    for path in sorted(folder.glob("*/*.json"), key=lambda path: numbers(path.parent.name)):
        document = msgspec.json.decode(path.read_bytes(), type=Document)
        found.setdefault(path.stem, {})[path.parent.name] = document
    return found


def numbers(version: str) -> list[int]:
    """Return a version so that versions can be sorted."""
    return [int(part) for part in version.split(".")]

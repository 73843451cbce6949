"""Measure a fleet of two worker processes on Dask: kills, its bound, a hidden limit, its scale.

Needs the extra `dask`. `python -m benchmarks.fleet serve FAULTS` is the mock server of a
measurement, in a process of its own, with a count of how often each record was sent.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import dask
import msgspec
import pyarrow
from dask.distributed import Client, LocalCluster, as_completed
from pyarrow import parquet

from timeback_async import AgentLink, Config, OrgRef, Role, Student, TimebackSession, User
from timeback_async.dask import Fleet, FleetReport, send_partitions
from timeback_async.fleet import send_part
from timeback_async.fleet._folder import Folder
from timeback_async.testing import Faults, MockServer, Throttle

from . import measure
from .measure import ROOT, Result, markdown, ratio

SIZE, LARGE = 250, 1000  # records of a partition, and of one where speed counts
BETWEEN_KILLS = 2.0  # s, on average
SCALE = 1.85  # of one process, by two workers where there are cores for them
HIDDEN = 400.0  # requests a second
WARM_UP = 0.25  # of a run, before the window has found a hidden limit
# A worker that dies is replaced, however long that takes, and its lane is free again soon.
CLUSTER = {
    "distributed.deploy.lost-worker-timeout": "1h",
    "distributed.scheduler.locks.lease-timeout": "2s",
    "distributed.scheduler.locks.lease-validation-interval": "200ms",
}
ORG = OrgRef("org-1")

Parts = dict[str, list[list[Any]]]


def run(rounds: int = 1, records: int | None = None) -> Result:
    number = records or 20_000
    kills = [killed(number, seed, sent) for seed in range(5 * rounds)]
    control = [killed(number, seed, recomputed) for seed in range(rounds)]
    bound, hidden = bounded(number), limited(number)
    rows = [
        *_of_kills("workers killed", kills),
        *_of_kills("control: a session per task, results returned", control),
        ["4 workers, 2 lanes", "most in flight, of 16 allowed", f"{bound['peak']}"],
        ["4 workers, 2 lanes", "requests/s, of 300 allowed", f"{bound['rate']:.1f}"],
        [f"a hidden limit of {HIDDEN:.0f}/s, 2 lanes", "used", f"{hidden['used']:.3f}"],
        [f"a hidden limit of {HIDDEN:.0f}/s, 2 lanes", "rejected", f"{hidden['rejected']:.1%}"],
    ]
    found = [scaled(number) for _ in range(3 * rounds)]
    ours, theirs = zip(*found, strict=True)
    what, against = "client CPU per record, 2 workers", "one process"
    cpu = ratio(_of(ours, 0), _of(theirs, 0), what, against, at_most=round(2 / SCALE, 2))
    seconds = ratio(_of(theirs, 1), _of(ours, 1), "records/s, 2 workers on 2 cores", against)
    runs = [{"kills": kills, "control": control, "bound": bound, "hidden": hidden}]
    return Result(markdown(["", "", ""], rows), runs, [cpu, seconds])


# -- the server


class Counted(dict[Any, Any]):
    """Records of the server, with how often and when each was sent."""

    def __init__(self) -> None:
        self.times: Counter[str] = Counter()
        self.instants: list[float] = []

    def __setitem__(self, key: Any, record: Any) -> None:
        self.times[key if isinstance(key, str) else key[1]] += 1
        self.instants.append(time.monotonic())
        super().__setitem__(key, record)


async def serve(faults: bytes) -> None:
    """Print the settings of a client; then, at every line of stdin, the figures since the last."""
    async with MockServer(faults=msgspec.json.decode(faults, type=Faults)) as server:
        stores: Any = server.stores
        stores.students, stores.users, stores.agents = Counted(), Counted(), Counted()
        settings = {
            "TIMEBACK_BASE_URL": server.base_url,
            "TIMEBACK_CLIENT_ID": server.client_id,
            "TIMEBACK_CLIENT_SECRET": server.client_secret,
        }
        print(msgspec.json.encode(settings).decode(), flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            counted = (stores.students, stores.users, stores.agents)
            figures = {
                "times": sum((each.times for each in counted), Counter()),
                "instants": sorted(instant for each in counted for instant in each.instants),
                "peak": server.peak_in_flight,
                "requests": server.requests,
                "statuses": server.statuses,
            }
            print(msgspec.json.encode(figures).decode(), flush=True)


class Server:
    """A server in a process of its own, to which this process and its children are pointed."""

    def __init__(self, faults: Faults) -> None:
        command = [sys.executable, "-m", "benchmarks.fleet", "serve", msgspec.json.encode(faults)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        os.environ.update(self._line())

    def _line(self) -> Any:
        assert self._process.stdout is not None
        return msgspec.json.decode(self._process.stdout.readline())

    def figures(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        found: dict[str, Any] = self._line()
        return found

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def fleet(
    faults: Faults, workers: int = 2, **settings: object
) -> Iterator[tuple[Server, LocalCluster, Client, Path]]:
    """Run a server and a cluster, whose workers have these settings in their environment."""
    before = dict(os.environ)
    os.environ.update({f"TIMEBACK_{name.upper()}": str(each) for name, each in settings.items()})
    server = Server(faults)
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            dask.config.set(CLUSTER),
            LocalCluster(
                n_workers=workers, threads_per_worker=3, dashboard_address=None,
                local_directory=folder, silence_logs="CRITICAL",
            ) as cluster,
            Client(cluster) as client,
        ):  # fmt: skip
            yield server, cluster, client, Path(folder)
    finally:
        server.close()
        os.environ.clear()
        os.environ.update(before)


# -- the records


def families(number: int, size: int = SIZE) -> Parts:
    """Return so many records: of five, two are students, one is a parent, two are links."""
    count = number // 5
    students = [
        Student(
            sourced_id=f"s-{n}", username=None, given_name="Ada", family_name="Byron",
            grades=["5"], primary_org=ORG,
        )
        for n in range(2 * count)
    ]  # fmt: skip
    role = Role("primary", "parent", ORG)
    parents = [
        User(sourced_id=f"u-{n}", given_name="Annabella", family_name="Byron", roles=[role])
        for n in range(count)
    ]
    links = [AgentLink(f"s-{n}", f"u-{n // 2}", "parent") for n in range(2 * count)]
    people = _parts(students, size) + _parts(parents, size)
    return {"people": people, "links": _parts(links, size)}


def _parts(records: list[Any], size: int) -> list[list[Any]]:
    return [records[first : first + size] for first in range(0, len(records), size)]


# -- kills

Send = Callable[[Client, Parts, Path], FleetReport | int]


def sent(client: Client, parts: Parts, out: Path) -> FleetReport:
    """Send the partitions, again if the cluster has given some up."""
    report = send_partitions(client, Fleet(lanes=2), **parts, out=out / "out")
    while not report.ok:
        report = send_partitions(client, Fleet(lanes=2), **parts, out=out / "out")
    return report


def recomputed(client: Client, parts: Parts, out: Path) -> int:
    """Send the partitions as a script does: a session for each task, results in its answer."""
    saved = 0
    for phase in parts.values():
        futures = [client.submit(_in_a_session, part, pure=False) for part in phase]
        for future in as_completed(futures):
            saved += future.result()
    return saved


def _in_a_session(part: list[Any]) -> int:
    async def sending() -> int:
        async with TimebackSession(Config.from_env().share(2)) as session:
            return (await session.upsert_many(part)).saved

    return asyncio.run(sending())


def killed(number: int, seed: int, send: Send) -> dict[str, Any]:
    """Send records while workers are killed at random moments; return what became of them."""
    draw, over, count = random.Random(seed), threading.Event(), 0
    with fleet(Faults(latency=0.02), max_in_flight=16) as (server, cluster, client, folder):

        def kill() -> None:
            nonlocal count
            while not over.wait(draw.expovariate(1 / BETWEEN_KILLS)):
                running = [nanny.process.pid for nanny in cluster.workers.values()
                           if nanny.process and nanny.process.pid]  # fmt: skip
                if running:
                    os.kill(draw.choice(running), signal.SIGKILL)
                    count += 1

        killer = threading.Thread(target=kill)
        killer.start()
        report = send(client, families(number), folder)
        over.set()
        killer.join()
        figures = server.figures()
        times: dict[str, int] = figures["times"]
        found = {
            "kills": count,
            "lost": number - len(times),
            "again": sum(times.values()) - len(times),
            "wrong": 0,
        }
        if isinstance(report, FleetReport):
            found["wrong"] = number - report.saved + _finished_ones_sent_again(report, times)
        print(f"  {send.__name__}: {found}", flush=True)
        return found


def _finished_ones_sent_again(report: FleetReport, times: Mapping[str, int]) -> int:
    """Return how many records were sent more often than the sending of their partition began."""
    wrong, folder = 0, Folder(report.out)
    for each in report.partitions:
        ids = folder.outcomes(each.name)["sourced_id"].to_pylist()
        wrong += sum(1 for own in ids if times[own] > each.tries)
    return wrong


def _of_kills(name: str, taken: list[dict[str, Any]]) -> list[list[str]]:
    kills, again = sum(each["kills"] for each in taken), sum(each["again"] for each in taken)
    by_kill = median(each["again"] / max(1, each["kills"]) for each in taken)
    rows = [
        [name, "kills", f"{kills}"],
        [name, "records lost", f"{sum(each['lost'] for each in taken)}"],
        [name, f"sent again by a kill, median (a partition has {SIZE})", f"{by_kill:.0f}"],
        [name, "sent again, in all", f"{again:,}"],
    ]
    if not name.startswith("control"):
        wrong = sum(each["wrong"] for each in taken)
        rows.append([name, "sent again though finished, or not counted", f"{wrong}"])
    return rows


# -- what the server sees


def bounded(number: int) -> dict[str, Any]:
    """Send from more workers than there are lanes; return what the server saw."""
    limits = {"max_in_flight": 16, "max_rate": 300}
    with fleet(Faults(latency=0.02), 4, **limits) as (server, _, client, folder):
        parts = families(number // 4)
        report = send_partitions(client, Fleet(lanes=2), **parts, out=folder / "out")
        figures = server.figures()
        report.raise_for_failures()
    began = figures["instants"]
    steady = began[len(began) // 10 : -len(began) // 10]  # people, then links: one lane may wait
    rate = (len(steady) - 1) / (steady[-1] - steady[0])
    return {"peak": figures["peak"], "rate": rate, "most": _most_in(began, 1.0)}


def _most_in(began: list[float], span: float) -> int:
    """Return the most requests of any span of seconds."""
    first = most = 0
    for number, instant in enumerate(began):
        while instant - began[first] > span:
            first += 1
        most = max(most, number - first + 1)
    return most


def limited(number: int) -> dict[str, Any]:
    """Send to a server with a limit that it does not tell; return how it was used."""
    throttle = Throttle(rate=HIDDEN, burst=20, retry_after=None)
    with fleet(Faults(latency=0.02, throttle=throttle)) as (server, _, client, folder):
        people = {"people": families(number)["people"]}
        report = send_partitions(client, Fleet(lanes=2), **people, out=folder / "out")
        figures = server.figures()
        report.raise_for_failures()
    began = figures["instants"]
    steady = began[int(len(began) * WARM_UP) :]
    used = (len(steady) - 1) / (steady[-1] - steady[0]) / HIDDEN
    return {"used": used, "rejected": figures["statuses"].get("429", 0) / figures["requests"]}


# -- scale


class Taken(NamedTuple):
    """What sending took: seconds of the client's CPU, and seconds."""

    cpu: float
    seconds: float


def _of(taken: Sequence[list[Taken]], figure: int) -> list[measure.Pair]:
    return [(one[figure], other[figure]) for one, other in taken]


def scaled(number: int) -> tuple[list[Taken], list[Taken]]:
    """Return what two workers took, and one process, each twice, in turns.

    A lean server answers. It and the scheduler need cores of their own: on a machine without them
    the CPU alone says how a fleet scales.
    """
    people = families(number * 5 // 3, LARGE)["people"]
    with measure.server() as lean, tempfile.TemporaryDirectory() as folder:
        settings = {"base_url": lean.url, "client_id": "a", "client_secret": "b"}
        os.environ.update({f"TIMEBACK_{name.upper()}": each for name, each in settings.items()})
        for index, part in enumerate(people):
            rows = [msgspec.to_builtins(record) for record in part]
            parquet.write_table(pyarrow.Table.from_pylist(rows), f"{folder}/{index:05}.parquet")
        alone, together = [_alone(folder)], [_together(folder), _together(folder)]
        alone.append(_alone(folder))
    print(f"  together {together}, alone {alone}", flush=True)
    return together, alone


def _together(people: str) -> Taken:
    with (
        tempfile.TemporaryDirectory() as out,
        dask.config.set(CLUSTER),
        LocalCluster(n_workers=2, threads_per_worker=3, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        warm = [[record] for record in families(40)["people"][0]]  # a session in each worker
        send_partitions(client, Fleet(lanes=2), people=warm, out=f"{out}/warm")
        before, began = sum(client.run(time.process_time).values()), time.monotonic()
        report = send_partitions(client, Fleet(lanes=2), people=people, out=f"{out}/run")
        seconds = time.monotonic() - began
        report.raise_for_failures()
        return Taken(sum(client.run(time.process_time).values()) - before, seconds)


def _alone(people: str) -> Taken:
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "benchmarks.fleet", "alone", people, out]
        done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return Taken(*msgspec.json.decode(done.stdout))


def alone(people: str, out: str) -> None:
    """Send partitions one after the other, and print what that took."""
    config = Config.from_env()
    send_part("people-warm", families(10)["people"][0], out, config)
    before, began = time.process_time(), time.monotonic()
    for part in sorted(Path(people).iterdir()):
        assert send_part(f"people-{part.stem}", part, out, config).ok
    print([time.process_time() - before, time.monotonic() - began])


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve(sys.argv[2].encode()))
    else:
        alone(*sys.argv[2:])

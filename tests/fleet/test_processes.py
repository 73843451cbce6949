"""The fleet on worker processes that are killed, and what passes between them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from tests.support.amounts import amount
from tests.support.records import link, student, user
from timeback_async.errors import ConfigError
from timeback_async.testing import Faults, MockServer

pytest.importorskip("distributed", reason="needs the extra dask: pip install -e '.[dask]'")
import dask
from dask.distributed import Client, LocalCluster
from distributed.security import Security
from tornado.iostream import IOStream

from timeback_async.dask import Fleet, FleetReport, send_partitions

SIZE = 40
KILLS = amount(1, long=6)
SECRET, NAME = "secret-canary", "Name-Canary"
QUICK = {
    "distributed.deploy.lost-worker-timeout": "5m",
    "distributed.scheduler.locks.lease-timeout": "2s",
    "distributed.scheduler.locks.lease-validation-interval": "200ms",
}


class Counted(dict[Any, Any]):
    """Records of a server, with how often each was sent."""

    def __init__(self) -> None:
        self.times: Counter[Any] = Counter()

    def __setitem__(self, key: Any, record: Any) -> None:
        self.times[key] += 1
        super().__setitem__(key, record)


class Tap:
    """Everything that this process, with the scheduler in it, reads and writes over TCP.

    Attributes:
        scheduler: What came to the scheduler or left it.
        others: The rest, such as records on their way to a worker.
    """

    def __init__(self, patch: pytest.MonkeyPatch, port: int) -> None:
        self.scheduler, self.others, self._port = bytearray(), bytearray(), port
        read, write = IOStream.read_from_fd, IOStream.write_to_fd

        def reading(stream: Any, buffer: Any) -> Any:
            number = read(stream, buffer)
            self._note(stream, bytes(buffer[: number or 0]))
            return number

        def writing(stream: Any, data: memoryview) -> Any:
            copy = bytes(data)
            number = write(stream, data)
            self._note(stream, copy[:number])
            return number

        patch.setattr(IOStream, "read_from_fd", reading)
        patch.setattr(IOStream, "write_to_fd", writing)

    def _note(self, stream: Any, data: bytes) -> None:
        ports = {stream.socket.getsockname()[1], stream.socket.getpeername()[1]}
        (self.scheduler if self._port in ports else self.others).extend(data)


@pytest.fixture(scope="module")
def server() -> Iterator[MockServer]:
    mock = MockServer(client_secret=SECRET, faults=Faults(latency=0.02))
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(mock),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("TIMEBACK_BASE_URL", mock.base_url)
        patch.setenv("TIMEBACK_CLIENT_ID", mock.client_id)
        patch.setenv("TIMEBACK_CLIENT_SECRET", mock.client_secret)
        patch.setenv("TIMEBACK_MAX_IN_FLIGHT", "16")
        yield mock


@pytest.fixture(scope="module")
def spill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spill")


@pytest.fixture(scope="module")
def cluster(server: MockServer, spill: Path) -> Iterator[LocalCluster]:
    with (
        dask.config.set(QUICK),
        LocalCluster(
            n_workers=3, threads_per_worker=1, dashboard_address=":0", local_directory=str(spill)
        ) as cluster,
    ):
        yield cluster


@pytest.fixture
def stored(server: MockServer) -> MockServer:
    server.stores.students, server.stores.users, server.stores.agents = (
        Counted(), Counted(), Counted(),
    )  # fmt: skip
    server.peak_in_flight = 0
    return server


def families(number: int) -> dict[str, list[list[Any]]]:
    parts = [range(first, first + SIZE) for first in range(0, number, SIZE)]
    return {
        "people": [
            *([student(f"s-{n}", given_name=NAME) for n in part] for part in parts),
            *([user(f"u-{n}", given_name=NAME) for n in part] for part in parts),
        ],
        "links": [[link(f"s-{n}", f"u-{n}") for n in part] for part in parts],
    }


def times_sent(server: MockServer) -> Counter[str]:
    """Return how often each record was sent, by the id that is in its outcome."""
    stores: Any = server.stores
    times: Counter[str] = stores.students.times + stores.users.times
    return times + Counter({key[1]: number for key, number in stores.agents.times.items()})


def sent_twice(server: MockServer, report: FleetReport) -> dict[str, int]:
    """Return how many records of each partition were sent more than once."""
    times, found = times_sent(server), {}
    for each in report.partitions:
        ids = report._folder.outcomes(each.name)["sourced_id"].to_pylist()
        assert all(times[own] for own in ids)
        found[each.name] = sum(1 for own in ids if times[own] > 1)
    return found


def begun(out: Path) -> int:
    return sum(1 for _ in out.glob("_tries/*/[!.]*"))


def kill_while_sending(cluster: LocalCluster, out: Path, kills: int) -> threading.Thread:
    """Kill so many workers, each while partitions are being sent."""

    def kill() -> None:
        for number in range(kills):
            before = begun(out)
            while begun(out) < before + 2:
                time.sleep(0.01)
            nanny = list(cluster.workers.values())[number % len(cluster.workers)]
            os.kill(nanny.process.pid, signal.SIGKILL)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return thread


def test_a_killed_worker_costs_at_most_what_it_was_sending(
    cluster: LocalCluster, stored: MockServer, tmp_path: Path
) -> None:
    killer = kill_while_sending(cluster, tmp_path, KILLS)

    with Client(cluster) as client:
        report = send_partitions(client, Fleet(lanes=2), **families(6 * SIZE), out=tmp_path)

    killer.join()
    twice = sent_twice(stored, report)
    assert report.ok
    assert report.saved == 18 * SIZE
    assert sum(twice.values()) <= KILLS * SIZE
    assert not [each.name for each in report.partitions if twice[each.name] and each.tries < 2]
    assert 0 < stored.peak_in_flight <= 16


def test_a_worker_that_sends_for_long_keeps_its_lane(
    cluster: LocalCluster, stored: MockServer, tmp_path: Path
) -> None:
    usual, stored.faults = stored.faults, Faults(latency=1.0)  # longer than a lease, for each
    try:
        with Client(cluster) as client:
            parts = families(2 * SIZE)["people"][:2]
            report = send_partitions(client, Fleet(lanes=1), people=parts, out=tmp_path)
    finally:
        stored.faults = usual

    assert report.ok
    assert len({each.worker for each in report.partitions}) == 2
    assert stored.peak_in_flight == 16


CLIENT = """
import sys
from dask.distributed import Client
from tests.fleet.test_processes import Fleet, families, send_partitions
with Client(sys.argv[1]) as client:
    send_partitions(client, Fleet(lanes=2), **families(240), out=sys.argv[2])
"""


def test_a_client_that_was_killed_goes_on_where_it_was(
    cluster: LocalCluster, stored: MockServer, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", CLIENT, cluster.scheduler_address, str(tmp_path)]
    with subprocess.Popen(command) as first:
        while len(list(tmp_path.glob("*.parquet"))) < 4:
            time.sleep(0.01)
        first.kill()

    with Client(cluster) as client:
        report = send_partitions(client, Fleet(lanes=2), **families(240), out=tmp_path)

    twice = sent_twice(stored, report)
    assert report.ok
    assert sum(each.is_earlier for each in report.partitions) >= 4
    assert not [each.name for each in report.partitions if twice[each.name] and each.is_earlier]
    assert sum(twice.values()) <= 4 * SIZE


def test_nothing_secret_or_personal_leaves_the_workers(
    cluster: LocalCluster,
    stored: MockServer,
    spill: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    tap = Tap(monkeypatch, int(cluster.scheduler_address.rpartition(":")[2]))
    sent = families(2 * SIZE)
    sent["people"][0][0] = student("s-0", given_name=NAME, grades=5)

    with Client(cluster) as client:
        report = send_partitions(client, Fleet(lanes=2), **sent, out=tmp_path / "out")

    written = [path.read_bytes() for root in (spill, tmp_path) for path in root.rglob("*")
               if path.is_file()]  # fmt: skip
    told = [bytes(tap.scheduler), *capfd.readouterr(), *written, report.as_dict(), report]
    told += [report.failures().to_pylist()]
    assert stored._tokens.valid
    for secret in (SECRET, NAME, *stored._tokens.valid):
        assert not [each for each in told if secret in str(each)]
    assert (report.saved, report.invalid, report.not_sent) == (6 * SIZE - 2, 1, 1)
    assert b"people-00000" in tap.scheduler
    assert NAME.encode() in tap.others  # as the records went to the workers directly


# -- over a network


def test_a_secret_does_not_travel_unencrypted(server: MockServer, tmp_path: Path) -> None:
    with (
        LocalCluster(
            n_workers=0, processes=False, protocol="tcp://", dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        for settings in (server.config(), {"client_secret": SECRET}):
            with pytest.raises(ConfigError, match=r"hold a secret, and tcp://.* not encrypted"):
                send_partitions(client, Fleet(settings), people=[[user()]], out=tmp_path)


def test_a_secret_may_travel_over_tls(
    server: MockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TIMEBACK_CLIENT_SECRET")
    security = Security.temporary()
    with (
        LocalCluster(
            n_workers=1, processes=False, protocol="tls://", security=security,
            dashboard_address=":0",
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        report = send_partitions(client, Fleet(server.config()), people=[[user()]], out=tmp_path)

    assert report.ok


async def test_an_asynchronous_client_is_refused(tmp_path: Path) -> None:
    async with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=":0", asynchronous=True) as c,
        Client(c, asynchronous=True) as client,
    ):
        with pytest.raises(ConfigError, match="must not be asynchronous"):
            send_partitions(client, Fleet(), out=tmp_path)

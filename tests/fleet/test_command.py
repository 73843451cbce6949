"""The command `fleet`; a cluster in this process stands in for its own where many are needed."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import feather, parquet

from tests.support.command import run, words
from tests.support.records import wire_role, wire_student, wire_user
from tests.support.rosters import child, folder, school
from timeback_async.testing import Faults, MockServer

pytest.importorskip("distributed", reason="needs the extra dask: pip install -e '.[dask]'")
from dask.distributed import Client, LocalCluster

from timeback_async.cli import _fleet_run


@pytest.fixture
def _near(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    @contextmanager
    def cluster(workers: int) -> Iterator[Client]:
        how = {"n_workers": workers, "processes": False, "dashboard_address": ":0"}
        with LocalCluster(**how) as cluster, Client(cluster) as client:
            yield client

    monkeypatch.setattr(_fleet_run, "_cluster", cluster)
    monkeypatch.chdir(tmp_path)


def plain(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in ("status", "enabledUser")}


def partitions(root: Path) -> Path:
    root.mkdir()
    users = [plain(wire_user("u-1", roles=[wire_role()]))]
    links = [{"studentId": "s-1", "userId": "u-1", "relationshipType": "parent"}]
    parquet.write_table(pyarrow.Table.from_pylist([plain(wire_student())]), root / "a.parquet")
    feather.write_feather(pyarrow.Table.from_pylist(users), root / "b.arrow")
    parquet.write_table(pyarrow.Table.from_pylist(links), root / "a-links.parquet")
    return root


def test_a_fleet_of_processes_sends_partitions(
    server: MockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("fleet", partitions(tmp_path / "parts"), "--workers", 1, "--json")

    facts = json.loads(done.stdout)
    assert (done.exit_code, facts["exit"], facts["saved"]) == (0, 0, 3)
    assert len(server.agents) == 1


@pytest.mark.usefixtures("_near")
def test_the_same_command_again_sends_nothing(server: MockServer, tmp_path: Path) -> None:
    parts = partitions(tmp_path / "parts")
    run("fleet", parts)
    done = run("fleet", *sorted(parts.iterdir()), TIMEBACK_TRANSPORT="aiohttp")
    by_url = run("fleet", f"file://{parts}", "--json")

    assert done.exit_code == by_url.exit_code == 0
    assert server.requests == 3
    assert "3 of 3 partitions are finished, 3 of them by an earlier call" in words(done.output)
    assert "fleet-out holds the outcomes." in words(done.output)


@pytest.mark.usefixtures("_near")
def test_records_that_were_not_saved_are_shown(server: MockServer, tmp_path: Path) -> None:
    server.faults = Faults(statuses={422: 1.0})
    done = run("fleet", partitions(tmp_path / "parts"))

    assert done.exit_code == 1
    assert "people-00000" in done.output
    assert "2 failed, 1 not_sent" in words(done.output)
    assert "Ada" not in done.output


@pytest.mark.usefixtures("_near")
def test_a_folder_of_districts_is_synced(server: MockServer, tmp_path: Path) -> None:
    for name in ("east", "west"):
        folder(tmp_path / "districts" / name, school(child(f"{name}-1")))

    done = run("fleet", tmp_path / "districts", "--lanes", 1)
    one = run("fleet", tmp_path / "districts/east", "--json")

    assert done.exit_code == one.exit_code == 0
    assert server.students.keys() == {"east-1", "west-1"}
    assert server.requests == 2
    assert "2 of 2 districts are ok" in words(done.output)
    assert (tmp_path / "fleet-out/index.html").exists()
    assert json.loads(one.stdout)["districts"][0]["unchanged"] == 1


@pytest.mark.usefixtures("_near")
def test_who_has_left_a_district_is_deactivated_if_asked_for(
    server: MockServer, tmp_path: Path
) -> None:
    people = [child("s-1"), child("s-2")]
    folder(tmp_path / "districts" / "east", school(*people))
    run("fleet", tmp_path / "districts")
    folder(tmp_path / "districts" / "east", school(people[0]))
    removing = ("--deactivate-absent", "--max-removals", "50%")

    kept = run("fleet", tmp_path / "districts", "--json")
    left = run("fleet", tmp_path / "districts", "--json", *removing)

    assert json.loads(kept.stdout)["districts"][0]["planned"] == 0
    assert json.loads(left.stdout)["districts"][0]["planned"] == 1
    assert (
        server.students["s-2"]["status"] == "tobedeleted"
        or not server.students["s-2"]["enabledUser"]
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(
    server: MockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    before = signal.getsignal(signal.SIGTERM)

    @contextmanager
    def cluster(workers: int) -> Iterator[None]:
        os.kill(os.getpid(), number)
        time.sleep(5)  # the signal ends it
        yield

    monkeypatch.setattr(_fleet_run, "_cluster", cluster)
    ignoring = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # as beside a job of a shell
    try:
        done = run("fleet", partitions(tmp_path / "parts"))
    finally:
        signal.signal(signal.SIGINT, ignoring)

    assert done.exit_code == 75
    assert "interrupted; the same command continues" in words(done.output)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.usefixtures("_near")
def test_a_proxy_of_the_environment_is_used(server: MockServer, tmp_path: Path) -> None:
    done = run("fleet", partitions(tmp_path / "parts"), NO_PROXY="", HTTP_PROXY="ftp://a:1")

    assert done.exit_code == 2
    assert "HTTP_PROXY" in words(done.output)


@pytest.mark.usefixtures("_near")
@pytest.mark.parametrize("what", ["partitions", "districts"])
def test_the_folder_of_this_command_may_be_where_it_writes(
    server: MockServer, tmp_path: Path, what: str
) -> None:
    if what == "districts":
        folder(tmp_path / "east", school(child("s-1")))
    else:
        rows = pyarrow.Table.from_pylist([plain(wire_student())])
        parquet.write_table(rows, tmp_path / "a.parquet")

    done = [run("fleet", ".") for _ in range(2)]

    assert [each.exit_code for each in done] == [0, 0]
    assert server.requests == 1


@pytest.mark.parametrize("what", ["nothing", "both", "damaged"])
def test_paths_that_are_no_fleet_are_refused(tmp_path: Path, what: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.parquet").write_text("Ada")
    paths = {
        "nothing": [tmp_path / "empty"],
        "both": [tmp_path / "a.parquet", tmp_path / "a.zip"],
        "damaged": [tmp_path / "a.parquet"],
    }[what]

    done = run("fleet", *paths)

    assert done.exit_code == 2
    assert "Ada" not in done.output
    assert "cannot be read" in words(done.output) or "PATH: must be" in words(done.output)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("timeback_async.dask", "timeback_async.dask._districts", "distributed"):
        monkeypatch.setitem(__import__("sys").modules, name, None)

    done = run("fleet", "x.zip")

    assert done.exit_code == 2

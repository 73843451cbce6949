import os
from html import escape
from pathlib import Path
from typing import Any

import pytest

from tests.support.rosters import child, folder, school
from timeback_async import Outcome
from timeback_async.errors import ConfigError, TimebackError
from timeback_async.sync import State
from timeback_async.testing import MockServer

pytest.importorskip("distributed", reason="needs the extra dask: pip install -e '.[dask]'")
from dask.distributed import Client

from timeback_async.dask import DistrictsReport, Fleet, _districts, sync_districts
from timeback_async.dask._cluster import Cluster


def district(path: Path, *ids: str) -> Path:
    return folder(path, school(*(child(own) for own in ids)))


def synced(client: Client, root: Path, *paths: Path, **how: Any) -> DistrictsReport:
    return sync_districts(
        client, Fleet(lanes=2), districts=paths, states=root / "states", out=root / "out", **how
    )


def test_each_district_has_its_own_state_and_page(
    client: Client, server: MockServer, tmp_path: Path
) -> None:
    paths = [district(tmp_path / name, f"{name}-1", f"{name}-2") for name in ("east", "west")]

    first = synced(client, tmp_path, *paths)
    again = synced(client, tmp_path, *paths)

    assert first.ok
    assert server.students.keys() == {"east-1", "east-2", "west-1", "west-2"}
    assert (first.counts[Outcome.SAVED], again.counts[Outcome.SAVED]) == (4, 0)
    assert [each.unchanged for each in again.districts] == [2, 2]
    assert server.requests == first.requests == 4
    assert server.token_requests == 2
    assert str(again).startswith("2 of 2 districts are ok; nothing sent; 0 requests")
    page = (tmp_path / "out/index.html").read_text()
    assert 'href="east.html"' in page
    assert "<title>Roster sync: Done, 2 of 2 districts are at TimeBack</title>" in page
    assert "<title>east: Done, " in (tmp_path / "out/east.html").read_text()
    assert first.as_dict()["districts"][0]["name"] == "east"
    first.raise_for_failures()


def test_a_district_that_cannot_be_read_leaves_the_others_alone(
    client: Client, server: MockServer, tmp_path: Path
) -> None:
    good = district(tmp_path / "good", "s-1")
    bad = tmp_path / "bad<i>"
    bad.mkdir()

    report = synced(client, tmp_path, bad, good)

    assert [each.ok for each in report.districts] == [False, True]
    assert "s-1" in server.students
    assert report.districts[0].stopped
    assert not (tmp_path / "states/bad<i>.db").exists()
    page = (tmp_path / "out/index.html").read_text()
    assert 'href="bad%3Ci%3E.html">bad&lt;i&gt;<' in page
    assert "Not complete, 1 of 2 districts are at TimeBack" in page
    assert f"Not complete</span> {escape(report.districts[0].stopped)}" in page
    with pytest.raises(TimebackError, match=r"not ok: bad<i>$"):
        report.raise_for_failures()


def test_a_page_that_cannot_be_written_hides_nothing(
    client: Client, server: MockServer, tmp_path: Path
) -> None:
    (tmp_path / "out/east.html").mkdir(parents=True)

    report = synced(client, tmp_path, district(tmp_path / "east", "s-1"))

    assert report.counts[Outcome.SAVED] == 1
    assert report.districts[0].stopped == "its page cannot be written (IsADirectoryError)"
    assert not report.ok


def test_a_district_with_something_left_out_is_to_be_checked(
    client: Client, server: MockServer, tmp_path: Path
) -> None:
    path = folder(tmp_path / "east", school(child("s-1"), child("s-2", familyName="")))

    report = synced(client, tmp_path, path)

    assert not report.ok
    assert "Please check</span> </td>" in (tmp_path / "out/index.html").read_text()


def test_a_district_may_not_have_the_name_of_the_page_over_all(
    client: Client, server: MockServer, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="one is called index"):
        synced(client, tmp_path, district(tmp_path / "index", "s-1"))


def test_a_district_whose_name_is_not_utf_8_is_refused(client: Client, tmp_path: Path) -> None:
    odd = Path(os.fsdecode(b"sch\xfcle"))

    with pytest.raises(ConfigError, match=r"the name 'sch\\udcfcle' is not UTF-8"):
        synced(client, tmp_path, tmp_path / odd)


def test_a_plan_that_looks_like_a_mistake_is_refused(
    client: Client, server: MockServer, tmp_path: Path
) -> None:
    path = district(tmp_path / "a", *(f"s-{n}" for n in range(40)))
    synced(client, tmp_path, path)
    district(path, "s-0")

    report = synced(client, tmp_path, path, resend=False, deactivate_absent=True)

    assert not report.ok
    assert "max_removals" in report.districts[0].stopped
    assert server.requests == 40


def test_everything_can_be_sent_again(client: Client, server: MockServer, tmp_path: Path) -> None:
    path = district(tmp_path / "a", "s-1")
    synced(client, tmp_path, path)

    assert synced(client, tmp_path, path, resend=True).requests == 1


def test_a_broken_state_is_kept(client: Client, server: MockServer, tmp_path: Path) -> None:
    path = district(tmp_path / "a", "s-1")
    synced(client, tmp_path, path)
    (path / "users.csv").unlink()

    assert not synced(client, tmp_path, path).ok
    with State(tmp_path / "states/a.db") as state:
        assert state.count()


def test_districts_of_the_same_name_are_refused(client: Client, tmp_path: Path) -> None:
    paths = [district(tmp_path / name / "roster", "s-1") for name in ("east", "west")]

    with pytest.raises(ConfigError, match="same name"):
        synced(client, tmp_path, *paths)


def test_a_district_that_the_cluster_gives_up_is_told(
    client: Client, server: MockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("Ada")

    monkeypatch.setattr(_districts, "sync_district", fail)
    on_worker = synced(client, tmp_path, district(tmp_path / "a", "s-1"))
    monkeypatch.setattr(Cluster, "each", lambda *_: [("a", TimebackError("gone"))])
    lost = synced(client, tmp_path, tmp_path / "a")

    assert on_worker.districts[0].stopped == "failed on the cluster (ZeroDivisionError)"
    assert lost.districts[0].stopped == "gone"

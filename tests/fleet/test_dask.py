"""The fleet on a cluster in this process; `test_processes` has one of real processes."""

import time
from collections import Counter
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread, current_thread, main_thread
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from tests.support.records import link, student, students, user, wire_student
from timeback_async import Config, Outcome
from timeback_async.errors import ConfigError, TimebackError
from timeback_async.fleet._folder import Folder
from timeback_async.testing import Faults, MockServer

pytest.importorskip("distributed", reason="needs the extra dask: pip install -e '.[dask]'")
import dask
from dask import bag
from dask.distributed import Client
from distributed.scheduler import KilledWorker

from timeback_async.dask import Fleet, FleetReport, _cluster, send_partitions
from timeback_async.dask import _partitions as module
from timeback_async.dask._cluster import Cluster


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def outcomes(report: FleetReport) -> list[tuple[str, str, str, str | None]]:
    names = ("partition", "sourced_id", "outcome", "error")
    return [tuple(row[name] for name in names) for row in report.failures().to_pylist()]


def adding_up(report: FleetReport) -> bool:
    total = sum(report.counts.values())
    rows = sum(each.records for each in report.partitions)
    failures: int = report.failures().num_rows
    return total == rows == report.submitted == report.saved + failures


# -- partitions in all their forms


def test_people_are_sent_before_links(client: Client, server: MockServer, out: Path) -> None:
    report = send_partitions(
        client,
        Fleet(),
        people=[students(3), [user()], []],
        links=iter([[link(f"s-{n}")] for n in range(3)]),
        out=out,
    )

    assert report.ok
    assert adding_up(report)
    report.raise_for_failures()
    assert len(server.agents) == 3
    assert [each.name for each in report.partitions if each.records] == [
        "people-00000", "people-00001", "links-00000", "links-00001", "links-00002",
    ]  # fmt: skip
    assert sorted(path.name for path in out.glob("[!_]*")) == [
        *(f"links-0000{n}.parquet" for n in range(3)),
        *(f"people-0000{n}.parquet" for n in range(3)),
    ]


def partition(number: int) -> list[Any]:
    return [student(f"s-{number}")]


def test_a_partition_may_be_a_future_a_delayed_value_a_table_or_a_path(
    client: Client, server: MockServer, tmp_path: Path, out: Path
) -> None:
    rows = {name: value for name, value in wire_student("s-3").items() if name != "status"}
    table = pyarrow.Table.from_pylist([rows])
    (tmp_path / "files").mkdir()
    parquet.write_table(table, tmp_path / "files/a.parquet")
    given = [
        client.submit(partition, 1),
        dask.delayed(partition)(2),
        table,
        (student(f"s-{n}") for n in range(4, 6)),
    ]

    report = send_partitions(client, Fleet(), people=given, out=out)
    folder = send_partitions(client, Fleet(), people=tmp_path / "files", out=tmp_path / "2")
    file = send_partitions(
        client, Fleet(), people=str(tmp_path / "files/a.parquet"), out=tmp_path / "3"
    )

    assert report.ok
    assert server.students.keys() == {f"s-{n}" for n in range(1, 6)}
    assert folder.saved == file.saved == 1


def test_a_collection_has_a_partition_for_each_of_its_own(
    client: Client, server: MockServer, out: Path
) -> None:
    records = bag.from_sequence([student(f"s-{n}") for n in range(7)], npartitions=3)

    report = send_partitions(client, Fleet(), people=records, out=out)

    assert (report.saved, len(report.partitions)) == (7, 3)


def test_a_dataframe_has_a_partition_for_each_of_its_own(client: Client, out: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    dataframe = pytest.importorskip("dask.dataframe")
    links = pandas.DataFrame(
        {"studentId": ["s-1", "s-2"], "userId": "u-1", "relationshipType": "parent"}
    )
    people = [[student("s-1"), student("s-2"), user()]]

    report = send_partitions(
        client, Fleet(), people=people, links=dataframe.from_pandas(links, npartitions=2), out=out
    )

    assert (report.saved, len(report.partitions)) == (5, 3)


@pytest.mark.parametrize("people", [student(), 7, {"student": {}}, [student()], [7]])
def test_what_is_no_partition_is_refused(client: Client, out: Path, people: Any) -> None:
    with pytest.raises(TypeError, match="people: "):
        send_partitions(client, Fleet(), people=people, out=out)


# -- nothing is sent before everything is known


def fail() -> None:
    raise ValueError("Ada Byron")


def test_a_partition_that_cannot_be_read_leaves_the_others_alone(
    client: Client, server: MockServer, tmp_path: Path, out: Path
) -> None:
    (tmp_path / "a.parquet").write_text("Ada")
    people = [[student("s-1"), user()], tmp_path / "a.parquet", dask.delayed(fail)()]
    links = [[link("s-1"), link("s-2")]]

    report = send_partitions(client, Fleet(), people=people, links=links, out=out)

    assert adding_up(report)
    assert (report.saved, report.not_sent) == (3, 3)
    (_, _, _, first), (_, _, _, second), (_, _, _, third) = outcomes(report)
    assert first is not None
    assert first.endswith("a.parquet: cannot be read (ArrowInvalid)")
    assert second == "failed on the cluster (ValueError)"
    assert third == "'s-2' may be in people-00001 and people-00002, which could not be read"


def test_outcomes_of_other_records_end_the_call(
    client: Client, server: MockServer, out: Path
) -> None:
    send_partitions(client, Fleet(), people=[students(1)], out=out)

    with pytest.raises(ConfigError, match=r"outcomes of other records for people-00000; choose"):
        send_partitions(client, Fleet(), people=[students(2)], out=out)
    assert server.requests == 1


@pytest.mark.parametrize("lanes", [0, 2.0, True, "2"])
def test_lanes_are_a_number(lanes: Any) -> None:
    with pytest.raises(ConfigError, match="lanes: "):
        Fleet(lanes=lanes)


def test_more_lanes_than_requests_are_refused(client: Client, out: Path) -> None:
    with pytest.raises(ConfigError, match="divided among 65"):
        Fleet(Config(client_id="me", client_secret="x"), lanes=65)
    with pytest.raises(ConfigError, match=r"on a worker: .* divided among 3"):
        send_partitions(client, Fleet({"max_in_flight": 2}, lanes=3), out=out)


def test_a_missing_setting_of_a_worker_ends_the_call(
    client: Client, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TIMEBACK_CLIENT_SECRET")

    with pytest.raises(ConfigError, match="on a worker: TIMEBACK_CLIENT_SECRET: is not set"):
        send_partitions(client, Fleet(), people=[students(1)], out=out)


def test_settings_may_hold_a_secret_where_no_wire_is(
    client: Client, server: MockServer, out: Path
) -> None:
    report = send_partitions(client, Fleet(server.config(), lanes=1), people=[[user()]], out=out)

    assert report.ok
    assert server.client_secret not in repr(Fleet(server.config()))


def test_other_settings_have_another_session_and_the_same_ones_the_same() -> None:
    def name(**changes: Any) -> str:
        settings: dict[str, Any] = {"client_id": "me", "client_secret": "x"} | changes
        return Fleet(Config(**settings), lanes=2).name

    assert name() == name()
    assert len({name(), name(client_secret="y"), name(keepalive=3), Fleet(lanes=2).name}) == 4
    assert Fleet(lanes=2).name != Fleet(lanes=3).name


def test_the_number_of_lanes_that_the_first_call_found_holds_for_the_next(
    client: Client, server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(_cluster, "MOST_LANES", 1)
        first = Cluster(client, Fleet())
    sessions = client.run(lambda name, dask_worker: id(dask_worker.plugins[name]), first.name)

    looked, looks = Cluster._checked, []

    def closing(cluster: Cluster) -> list[str | int | None]:
        looks.append(1)  # a worker that is just closing has no session any more
        return [None] if len(looks) == 1 else looked(cluster)

    monkeypatch.setattr(Cluster, "_checked", closing)
    second = Cluster(client, Fleet())

    again = client.run(lambda name, dask_worker: id(dask_worker.plugins[name]), first.name)
    assert (first.lanes, second.lanes, second.name) == (1, 1, first.name)
    assert sessions == again


def test_settings_that_there_are_not_are_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="settings: Config has no bogus"):
        Fleet({"bogus": 1})


def test_outcomes_do_not_go_to_the_folder_of_the_partitions(
    client: Client, server: MockServer, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="out: must not be the folder of people"):
        send_partitions(client, Fleet(), people=str(tmp_path), out=f"{tmp_path}/")


def test_a_secret_in_the_url_of_a_partition_does_not_leave_this_process(
    client: Client, server: MockServer, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "submit", None)

    with pytest.raises(ConfigError, match="must not hold a secret"):
        send_partitions(client, Fleet(), people=["s3://AKIA:canary@b/x.parquet"], out=out)


def test_links_of_people_whose_partition_has_changed_wait(
    client: Client, server: MockServer, out: Path
) -> None:
    server.students["d-1"] = wire_student("d-1")
    made_before = out.with_name("made")

    def made() -> list[Any]:  # on a worker, which has a copy of everything else
        is_first = not made_before.exists()
        made_before.touch()
        return [student("d-1" if is_first else "d-2")]

    people = [[user("z-1")], dask.delayed(made, pure=False)()]
    report = send_partitions(
        client, Fleet(), people=people, links=[[link("d-1", "z-1")]], out=out
    )  # fmt: skip

    assert not server.agents
    assert (report.saved, report.not_sent) == (1, 2)
    assert not report.partitions[-1].is_finished


def test_what_was_finished_stays_so_without_its_file(
    client: Client, server: MockServer, tmp_path: Path, out: Path
) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.Table.from_pylist([wire_student("s-1")]), path)
    send_partitions(client, Fleet(), people=[path, [user("u-1")]], out=out)
    path.unlink()

    report = send_partitions(
        client, Fleet(), people=[path, [user("u-1")]], links=[[link("s-1", "u-1")]], out=out
    )  # fmt: skip

    assert report.ok
    assert report.saved == 3
    assert len(server.agents) == 1


@pytest.mark.parametrize("closed_after", [0, 2, 3])
def test_a_client_that_is_closed_in_the_middle_has_its_report(
    client: Client,
    server: MockServer,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    closed_after: int,
) -> None:
    submit, calls = client.submit, []

    def submitted(*arguments: Any, **how: Any) -> Any:
        calls.append(1)
        if len(calls) > closed_after:
            raise RuntimeError("the client is closed")
        return submit(*arguments, **how)

    people = [dask.delayed([student(f"s-{n}")]) for n in range(3)]
    monkeypatch.setattr(client, "submit", submitted)
    report = send_partitions(client, Fleet(), people=people, out=out)

    assert adding_up(report)
    assert report.not_sent == 3 - server.requests
    assert "failed on the cluster (RuntimeError)" in str(outcomes(report))


def test_workers_send_nothing_for_a_client_that_has_gone(
    client: Client, server: MockServer, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DELAYS", (0.1,))  # no worker can be reached, however long it waits
    server.faults = Faults(latency=0.05)
    gone = Client(client.cluster, set_as_default=False)
    people = [[student(f"s-{n}") for n in range(2_000)]]

    def send() -> None:
        with suppress(Exception):  # whatever it comes to: its client is closed
            send_partitions(gone, Fleet({"max_in_flight": 2}), people=people, out=out)

    sending = Thread(target=send)
    sending.start()
    while server.requests < 10:
        time.sleep(0.01)
    gone.close()
    sending.join()
    time.sleep(1.0)  # two looks at whether somebody waits
    sent = server.requests
    time.sleep(0.3)

    assert sent == server.requests < 200
    assert not list(out.glob("*.parquet"))


# -- again


def test_the_same_call_sends_what_is_missing(client: Client, server: MockServer, out: Path) -> None:
    parts = [students(2), [user("u-1")], [user("u-2")]]
    send_partitions(client, Fleet(), people=parts, out=out)
    (out / "people-00001.parquet").unlink()

    again = send_partitions(client, Fleet(), people=parts, out=out)

    assert server.requests == 5
    assert [each.is_earlier for each in again.partitions] == [True, False, True]
    assert [each.repeated for each in again.partitions] == [0, 1, 0]
    assert (again.saved, again.repeated) == (4, 1)


def test_a_session_lives_as_long_as_its_worker(
    client: Client, server: MockServer, tmp_path: Path
) -> None:
    for number in range(4):
        parts = [[student(f"s-{number}-{n}")] for n in range(4)]
        send_partitions(client, Fleet(), people=parts, out=tmp_path / str(number))

    assert server.token_requests == 2


# -- what was not saved


def test_links_of_people_who_failed_are_not_sent(
    client: Client, server: MockServer, out: Path
) -> None:
    people = [[student("s-1"), student("s-2", grades=5)], [user()]]
    links = [[link("s-1")], [link("s-2")]]

    report = send_partitions(client, Fleet(), people=people, links=links, out=out)

    assert adding_up(report)
    assert outcomes(report) == [
        ("people-00000", "s-2", "invalid", "grades: expected array, got int"),
        ("links-00001", link("s-2").agent_id, "not_sent",
         "studentId: 's-2' was not saved in this run"),
    ]  # fmt: skip
    assert not report.ok
    with pytest.raises(TimebackError, match=r"1 invalid.*the first: people-00000, student 's-2'"):
        report.raise_for_failures()


def test_one_id_in_two_partitions_is_refused_and_told_which(
    client: Client, server: MockServer, out: Path
) -> None:
    people = [[student("s-1"), student("s-2")], [student("s-3")], [user("s-1"), user("u-1")]]
    links = [[link("s-2")], [link("s-2"), link("s-1"), link("s-3")]]

    report = send_partitions(client, Fleet(), people=people, links=links, out=out)

    twice = "is in several partitions: people-00000 and people-00002; keep one"
    assert adding_up(report)
    assert [each for each in outcomes(report) if "s-1" in each[1]] == [
        ("people-00000", "s-1", "invalid", twice),
        ("people-00002", "s-1", "invalid", twice),
    ]
    assert (report.saved, report.invalid, report.not_sent) == (4, 4, 1)
    assert "s-1" not in server.students.keys() | server.users.keys()


def test_rejected_credentials_end_the_run(
    client: Client, server: MockServer, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIMEBACK_CLIENT_SECRET", "wrong")
    people = [[student(f"s-{n}")] for n in range(20)]

    report = send_partitions(client, Fleet(), people=people, links=[[link("s-1")]], out=out)

    assert adding_up(report)
    assert report.not_sent == report.submitted == 21
    assert "invalid_client" in report.stopped
    assert "stopped: " in str(report)
    monkeypatch.setenv("TIMEBACK_CLIENT_SECRET", server.client_secret)
    later = send_partitions(client, Fleet({"keepalive": 3}), people=people, out=out)
    assert later.saved == 20


def test_the_figures_of_a_report_are_json(client: Client, server: MockServer, out: Path) -> None:
    server.faults = Faults(statuses={422: 1.0})
    report = send_partitions(client, Fleet(), people=[students(2)], out=out)

    facts = report.as_dict()

    assert (facts["submitted"], facts["failed"], facts["saved"], facts["ok"]) == (2, 2, 0, False)
    assert facts["partitions"][0]["counts"]["failed"] == 2
    assert repr(report).startswith("<FleetReport 2 records: 2 failed; 1 of 1 partitions")
    assert report.rate == 0.0
    assert (report.failed, report.unknown) == (2, 0)


# -- a cluster that gives up


def given_up(client: Client, out: Path, monkeypatch: pytest.MonkeyPatch, act: Any) -> FleetReport:
    """Send two partitions, of which the first ends as if its workers had died."""
    each = Cluster.each

    def dying(self: Cluster, names: Any, most: int, submit: Any, *_: Any, **how: Any) -> Any:
        for name, result in each(self, names, most, submit, *_, **how):
            is_sent = name == "people-00000" and isinstance(result, tuple)
            yield name, act(out, name) if is_sent else result

    monkeypatch.setattr(Cluster, "each", dying)
    return send_partitions(
        client, Fleet(), people=[[student()], [user()]], links=[[link()]], out=out
    )


def killed(out: Path, name: str) -> Any:
    (out / f"{name}.parquet").unlink()
    return KilledWorker(name, None, 3)


def test_a_partition_that_the_cluster_gave_up_is_unknown(
    client: Client, server: MockServer, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = given_up(client, out, monkeypatch, killed)

    why = "given up by the cluster: 4 workers died with it"
    assert adding_up(report)
    assert outcomes(report)[0] == ("people-00000", "s-1", "unknown", why)
    assert (report.saved, report.unknown, report.not_sent) == (1, 1, 1)


def test_the_next_call_sends_what_was_given_up_and_the_links_that_waited_for_it(
    client: Client, server: MockServer, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        first = given_up(client, out, patch, killed)

    parts = {"people": [[student()], [user()]], "links": [[link()]]}
    second = send_partitions(client, Fleet(), **parts, out=out)

    assert [(each.is_finished, each.waiting) for each in first.partitions] == [
        (False, 0), (True, 0), (False, 1),
    ]  # fmt: skip
    assert "the same call again" in first.partitions[2].stopped
    assert not first.stopped
    assert second.ok
    assert len(server.agents) == 1


def test_links_of_somebody_who_was_rejected_wait_for_nothing(
    client: Client, server: MockServer, out: Path
) -> None:
    server.fail(422, record="s-1")
    report = send_partitions(
        client, Fleet(), people=[[student()], [user()]], links=[[link()]], out=out
    )

    assert [each.is_finished for each in report.partitions] == [True] * 3
    assert (report.failed, report.not_sent) == (1, 1)


def test_a_partition_that_never_began_is_not_sent(
    client: Client, server: MockServer, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Folder, "tries", lambda self, name: 0)
    report = given_up(client, out, monkeypatch, killed)

    assert (report.saved, report.unknown, report.not_sent) == (1, 0, 2)


def test_a_partition_that_was_finished_before_its_worker_died_is_finished(
    client: Client, server: MockServer, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = given_up(client, out, monkeypatch, lambda *_: RuntimeError("lost"))

    assert report.ok
    assert report.saved == 3


def test_a_partition_whose_sending_had_begun_has_no_other_try(
    client: Client, server: MockServer, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result_of = _cluster._result_of

    def deadly(future: Any) -> Any:
        result = result_of(future)
        return KilledWorker("x", None, 3) if isinstance(result, tuple) else result

    monkeypatch.setattr(_cluster, "_result_of", deadly)
    report = send_partitions(client, Fleet(), people=[[student()]], out=out)

    assert report.ok
    assert [each.tries for each in report.partitions] == [1]


def test_an_error_of_a_worker_is_told_without_its_words(
    client: Client, server: MockServer, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise OSError("Ada")

    monkeypatch.setattr(module, "finish", broken)
    report = send_partitions(client, Fleet(), people=[[student()]], out=out)

    assert outcomes(report) == [
        ("people-00000", "s-1", "not_sent", "failed on the cluster (OSError)")
    ]


def test_outcomes_that_cannot_be_written_end_the_run(
    client: Client, server: MockServer, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("Ada")

    monkeypatch.setattr(Folder, "finish", full)
    report = send_partitions(client, Fleet(), people=[[student()], [user()]], out=out)

    assert "its outcomes cannot be written (OSError)" in report.stopped
    assert report.saved == server.requests
    with pytest.raises(TimebackError, match="cannot be written") as caught:
        report.raise_for_failures()
    assert caught.value.report is report


def test_a_folder_that_is_lost_in_the_middle_ends_the_run_with_a_report(
    client: Client, server: MockServer, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished, is_lost = Folder.finished, Event()

    def lost(self: Folder, name: str) -> Any:
        if current_thread() is main_thread() and server.requests:
            is_lost.set()
            raise OSError("Ada")
        return finished(self, name)

    monkeypatch.setattr(Folder, "finished", lost)
    people = [[student(f"s-{number}")] for number in range(10)]
    report = send_partitions(client, Fleet(lanes=1), people=people, links=[[link()]], out=out)

    assert is_lost.is_set()
    assert f"{out}: cannot be reached (Ada)" in report.stopped
    assert (report.submitted, report.saved) == (11, 0)
    assert report.unknown >= len(server.students)
    assert report.unknown + report.not_sent == 11
    assert report.partitions[-1].counts[Outcome.NOT_SENT] == 1
    with pytest.raises(TimebackError, match="cannot be reached"):
        report.raise_for_failures()
    monkeypatch.setattr(Folder, "finished", finished)
    again = send_partitions(client, Fleet(lanes=1), people=people, links=[], out=out)
    assert again.ok


def test_what_was_finished_stays_so_where_the_folder_is_lost(
    client: Client, server: MockServer, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = send_partitions(client, Fleet(), people=[[student()]], out=out)

    def lost(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(Folder, "write_held", lost)
    monkeypatch.setattr(Folder, "outcomes", lost)
    report = send_partitions(client, Fleet(), people=[[student()], [user()]], out=out)

    assert (report.saved, report.not_sent) == (1, 1)
    assert report.partitions[0].is_earlier
    assert first.ok
    assert "OSError" in report.stopped


# -- a cluster that loses workers


class Ended:
    """A future as it is when its worker has died."""

    def __init__(self, status: str, outcome: object) -> None:
        self.status, self._outcome = status, outcome

    def result(self) -> object:
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome


@pytest.mark.parametrize(
    ("future", "result"),
    [
        (Ended("finished", 7), 7),
        (Ended("finished", CancelledError()), None),
        (Ended("error", KeyError("x")), KeyError),
        (Ended("lost", 7), None),
        (Ended("cancelled", 7), None),
    ],
)
def test_a_result_may_be_lost_with_its_worker(future: Any, result: Any) -> None:
    found = _cluster._result_of(future)

    assert found == result or isinstance(found, result)


def task(name: str) -> str:
    return name


def test_what_was_lost_on_the_way_is_brought_again_but_not_for_ever(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: Counter[str] = Counter()
    result_of = _cluster._result_of

    def lossy(future: Any) -> Any:
        name = result_of(future)
        times[name] += 1
        return None if times[name] == 1 or name == "b" else name

    monkeypatch.setattr(_cluster, "_result_of", lossy)
    cluster = Cluster(client, Fleet())
    found = dict(cluster.each("ab", 2, lambda name: client.submit(task, name, pure=False)))

    assert found["a"] == "a"
    assert str(found["b"]) == "its records were lost, as workers died"
    assert times == {"a": 2, "b": 1 + _cluster.LOSSES}


def test_innocent_tasks_of_workers_that_died_have_another_try_each_by_itself(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted: list[str] = []
    result_of = _cluster._result_of

    def deadly(future: Any) -> Any:
        name = result_of(future)
        died = name == "guilty" or submitted.count(name) == 1
        return KilledWorker(name, None, 3) if died else name

    def submit(name: str) -> Any:
        submitted.append(name)
        return client.submit(task, name, pure=False)

    monkeypatch.setattr(_cluster, "_result_of", deadly)
    cluster = Cluster(client, Fleet())
    found = dict(cluster.each(["guilty", "one", "two"], 3, submit, lambda name: name == "two"))

    assert isinstance(found["guilty"], KilledWorker)
    assert isinstance(found["two"], KilledWorker)  # it had begun
    assert found["one"] == "one"
    assert sorted(submitted[:3]) == ["guilty", "one", "two"]
    assert sorted(submitted[3:]) == ["guilty", "one"]


def test_records_that_reach_no_worker_are_not_sent(
    client: Client, server: MockServer, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(client, "scatter", unreachable)
    monkeypatch.setattr(module, "DELAYS", (0.0,))
    report = send_partitions(client, Fleet(), people=[[student()]], out=out)

    ((_, _, outcome, why),) = outcomes(report)
    assert (outcome, why) == ("not_sent", str(module.UNREACHABLE))


def test_a_partition_that_kills_those_who_read_it_is_unknown(
    client: Client, server: MockServer, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result_of = _cluster._result_of

    def deadly(future: Any) -> Any:
        result = result_of(future)
        is_bad = isinstance(result, module._Surveyed) and result.error
        return KilledWorker("bad", None, 3) if is_bad else result

    monkeypatch.setattr(_cluster, "_result_of", deadly)
    report = send_partitions(client, Fleet(), people=["bad.csv", [student()]], out=out)

    assert adding_up(report)
    assert (report.saved, report.unknown) == (1, 1)
    assert outcomes(report)[0][2:] == (
        "unknown", "given up by the cluster: 4 workers died with it",
    )  # fmt: skip

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from tests.support.config import config
from tests.support.records import link, student, students, user
from timeback_async import Config, Outcome
from timeback_async.errors import ConfigError
from timeback_async.fleet import _lane, send_one, send_part
from timeback_async.fleet._folder import Folder, Held
from timeback_async.fleet._lane import Lane, lane_of
from timeback_async.fleet._partition import Partition
from timeback_async.fleet._sending import finish, link_key
from timeback_async.testing import Faults, MockServer


@pytest.fixture(autouse=True)
def _lanes() -> Any:
    yield
    for lane in _lane._lanes.values():
        lane.close()
    _lane._lanes.clear()


def rows(out: Path, name: str = "people-00000") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = parquet.read_table(out / f"{name}.parquet").to_pylist()
    return found


def whole(records: list[Any], out: Path, **how: Any) -> list[tuple[str, str | None]]:
    """Send links and return the outcome and the reason of each."""
    folder = Folder(str(out))
    folder.make()
    lane = lane_of(Config.from_env())
    _, still_open = finish("links-00000", Partition(records), folder, lane, **how)
    found = rows(out, "links-00000") if still_open is None else still_open.to_pylist()
    return [(row["outcome"], row["error"]) for row in found]


# -- one partition


def test_each_record_of_a_partition_has_one_outcome(server: MockServer) -> None:
    server.faults = Faults(statuses={422: 1.0})
    refused = send_one([student(), user()], Config.from_env()).to_pylist()
    server.faults = Faults()
    saved = send_one([student(), 7], Config.from_env()).to_pylist()

    assert [row["outcome"] for row in refused] == ["failed", "failed"]
    assert [(row["index"], row["outcome"]) for row in saved] == [(0, "saved"), (1, "invalid")]
    assert [(row["kind"], row["sourced_id"], row["status"]) for row in refused] == [
        ("student", "s-1", 422),
        ("user", "u-1", 422),
    ]
    assert not any("Ada" in str(row) or "Byron" in str(row) for row in refused + saved)


def test_partitions_of_a_process_share_a_session(server: MockServer) -> None:
    for number in range(3):
        send_one([student(f"s-{number}")], Config.from_env())

    assert server.token_requests == 1
    assert len(server.students) == 3


def test_a_copy_of_a_process_opens_a_session_of_its_own(server: MockServer) -> None:
    lane = lane_of(Config.from_env())
    child = os.fork()
    if not child:
        os._exit(len(_lane._lanes))

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert lane_of(Config.from_env()) is lane


def test_an_empty_partition_has_no_rows(server: MockServer) -> None:
    assert send_one([], Config.from_env()).num_rows == 0


# -- finished, or not at all


def test_a_finished_partition_is_never_sent_again(server: MockServer, tmp_path: Path) -> None:
    first = send_part("people-00000", students(3), str(tmp_path), Config.from_env())
    again = send_part("people-00000", students(3), str(tmp_path), Config.from_env())

    assert server.requests == 3
    assert (first.is_earlier, again.is_earlier) == (False, True)
    assert first.ok
    assert again.counts == first.counts
    assert [row["sourced_id"] for row in rows(tmp_path)] == ["s-0", "s-1", "s-2"]


def test_outcomes_of_other_records_are_not_taken_for_these(
    server: MockServer, tmp_path: Path
) -> None:
    send_part("people-00000", [student()], str(tmp_path), Config.from_env())
    changed = send_part(
        "people-00000", [student(given_name="Augusta")], str(tmp_path), Config.from_env()
    )

    assert not changed.ok
    assert changed.counts[Outcome.NOT_SENT] == 1
    assert "other records" in changed.stopped
    assert server.requests == 1


def test_a_partition_that_was_cut_short_is_sent_again(server: MockServer, tmp_path: Path) -> None:
    wrong = server.config(client_secret="wrong")

    stopped = send_part("people-00000", students(100), str(tmp_path), wrong)
    whole = send_part("people-00000", students(100), str(tmp_path), server.config())

    assert not stopped.ok
    assert "invalid_client" in stopped.stopped
    assert stopped.counts[Outcome.NOT_SENT] == stopped.records == 100
    assert whole.ok
    assert (whole.tries, whole.repeated) == (2, 100)


def test_half_a_file_of_outcomes_is_none(server: MockServer, tmp_path: Path) -> None:
    send_part("people-00000", [student()], str(tmp_path), Config.from_env())
    part = tmp_path / "people-00000.parquet"
    part.write_bytes(part.read_bytes()[:100])

    assert not send_part("people-00000", [student()], str(tmp_path), Config.from_env()).is_earlier
    assert server.requests == 2


def test_a_file_of_somebody_else_is_left_alone(server: MockServer, tmp_path: Path) -> None:
    part = tmp_path / "people-00000.parquet"
    parquet.write_table(pyarrow.table({"a": [1]}), part)

    with pytest.raises(ConfigError, match=r"people-00000\.parquet is not of a fleet"):
        send_part("people-00000", [student()], str(tmp_path), Config.from_env())
    assert parquet.read_table(part).num_rows == 1
    assert server.requests == 0


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_sent(
    server: MockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("denied")

    monkeypatch.setattr(Folder, "write", refuse)

    with pytest.raises(ConfigError, match=r"cannot be made \(PermissionError\)"):
        send_part("people-00000", [student()], str(tmp_path), Config.from_env())
    assert server.requests == 0


def test_outcomes_that_cannot_be_written_leave_the_partition_open(
    server: MockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("Ada's disk is full")

    monkeypatch.setattr(Folder, "finish", fail)
    report = send_part("people-00000", [student()], str(tmp_path), Config.from_env())

    assert not report.ok
    assert report.counts[Outcome.SAVED] == 1
    assert report.stopped == "its outcomes cannot be written (OSError)"


def test_records_that_have_changed_since_they_were_read_are_not_sent(
    server: MockServer, tmp_path: Path
) -> None:
    folder = Folder(str(tmp_path))

    report, table = finish(
        "people-00000", Partition([student()]), folder, lane_of(config()), expected="x"
    )

    assert table["outcome"].to_pylist() == ["not_sent"]
    assert "not those that were read before" in report.stopped


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match=r"file/out: cannot be made"):
        send_part("people-00000", [], str(tmp_path / "file/out"), config())


# -- what is held back


def test_a_link_of_somebody_who_was_not_saved_is_not_sent(
    server: MockServer, tmp_path: Path
) -> None:
    send_one([student("s-1"), student("s-2"), user("u-1")], Config.from_env())
    links = [link("s-1", "u-1"), link("s-2", "u-1"), link("s-1", "u-2")]

    told = whole(links, tmp_path, held=Held(lost={"s-2", "u-2"}))

    assert told == [
        ("saved", None),
        ("not_sent", "studentId: 's-2' was not saved in this run"),
        ("not_sent", "userId: 'u-2' was not saved in this run"),
    ]
    assert len(server.agents) == 1


def test_a_record_in_several_partitions_is_refused_and_told_which(
    server: MockServer, tmp_path: Path
) -> None:
    key = link_key("s-1", link().agent_id)
    ((outcome, why),) = whole(
        [link()], tmp_path, held=Held(repeated={key: "links-00000 and links-00003"})
    )

    assert outcome == "invalid"
    assert why == "is in several partitions: links-00000 and links-00003; keep one"
    assert server.requests == 0


def test_a_link_of_somebody_who_may_be_unread_is_not_sent(
    server: MockServer, tmp_path: Path
) -> None:
    held = Held(unread="people-00003", saved={"s-1", "u-1"})
    send_one([student("s-1"), user("u-1")], Config.from_env())

    told = whole([link("s-1", "u-1"), link("s-1", "u-2")], tmp_path, held=held)

    assert told == [
        ("saved", None),
        ("not_sent", "'u-2' may be in people-00003, which could not be read"),
    ]


@pytest.mark.parametrize(
    ("name", "record", "wanted"),
    [("people-00000", link(), "links"), ("links-00000", user(), "people")],
)
def test_a_record_of_the_other_phase_has_no_order_and_is_refused(
    server: MockServer, tmp_path: Path, name: str, record: object, wanted: str
) -> None:
    send_part(name, [record], str(tmp_path), Config.from_env())

    ((outcome, why),) = [(row["outcome"], row["error"]) for row in rows(tmp_path, name)]
    assert outcome == "invalid"
    assert why.endswith(f"must be in a partition of {wanted}")


def test_a_lane_does_not_need_uvloop(server: MockServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lane, "find_spec", lambda name: None)
    lane = Lane(server.config())

    async def saved(session: Any) -> Any:
        return await session.upsert_student(student())

    assert lane.call(saved).sourced_id == "s-1"
    lane.close()


def test_two_partitions_are_sent_at_once_under_one_lease(server: MockServer) -> None:
    lane, events = Lane(server.config()), list[str]()
    both, first_has_ended = threading.Barrier(2), threading.Event()

    @contextmanager
    def lease() -> Iterator[None]:
        events.append("taken")
        yield
        events.append("given back")

    def partition(number: int) -> None:
        with lane.sending(lease()):
            if number < 2:
                both.wait(10)
            if number == 1:
                assert first_has_ended.wait(10)
            events.append(f"{number}")
        first_has_ended.set()

    threads = [threading.Thread(target=partition, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    partition(2)
    lane.close()

    assert events == ["taken", "0", "1", "given back", "taken", "2", "given back"]

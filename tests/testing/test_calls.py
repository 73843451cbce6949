"""What the mock server has seen, and single requests that it is told to fail."""

from http import HTTPStatus
from typing import Any

import pytest

from tests.support.records import link, student, students, user
from timeback_async import RetryPolicy, TimebackSession
from timeback_async.errors import BadRequestError, NotFoundError, RateLimitError, TimebackError
from timeback_async.testing import Faults, MockServer
from timeback_async.testing._calls import MAX_KEPT, record_of


async def test_requests_are_kept_with_what_was_in_them(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    await timeback_session.upsert_student(student("s-1"))
    with pytest.raises(NotFoundError):
        await timeback_session.get_user("u-9")
    async for _ in timeback_session.list_orgs(filter="type='school'"):
        pass

    put, get, listed = timeback_server.calls
    assert (put.method, put.path, put.record) == ("PUT", "/rostering/1.0/students", "s-1")
    assert put.json()["student"]["givenName"] == "Ada"
    assert put.headers["content-type"] == "application/json"
    assert (get.record, get.status, get.body) == ("u-9", 404, b"")
    assert "filter=type" in listed.query
    assert [call.status for call in timeback_server.calls] == [200, 404, 200]


async def test_requests_are_found_by_method_and_record(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    await timeback_session.upsert_many([*students(3), user("u-1"), link("s-1", "u-1")])
    await timeback_session.get_user("s-1")

    assert len(timeback_server.received(method="PUT")) == 5
    assert [call.method for call in timeback_server.received(record="s-1")] == ["PUT", "GET"]
    assert len(timeback_server.received(record=link("s-1", "u-1").agent_id)) == 1
    assert timeback_server.received(method="DELETE", record="s-1") == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/rostering/1.0/students", b"no json"),
        ("/rostering/1.0/students", b"[]"),
        ("/rostering/1.0/students", b'{"student": {}}'),
        ("/rostering/1.0/orgs", b""),
        ("/", b""),
    ],
)
def test_a_request_about_no_record_has_none(path: str, body: bytes) -> None:
    assert record_of(path, body) == ""


async def test_one_record_can_be_made_to_fail(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    failure = timeback_server.fail(422, record="s-1")

    report = await timeback_session.upsert_many(students(3))

    assert (report.saved, report.failed) == (2, 1)
    assert isinstance(report.failures[0].error, BadRequestError)
    assert (failure.called, failure.call_count, failure.calls[0].record) == (True, 1, "s-1")
    timeback_server.assert_all_called()


async def test_the_nth_call_can_be_made_to_fail(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    await timeback_session.upsert_student(student("s-0"))
    failure = timeback_server.fail(HTTPStatus.SERVICE_UNAVAILABLE, nth=2)

    for number in range(1, 4):
        await timeback_session.upsert_student(student(f"s-{number}"))

    assert [call.record for call in failure.calls] == ["s-2"]
    assert [call.status for call in timeback_server.received(record="s-2")] == [503, 200]
    assert [*timeback_server.students] == ["s-0", "s-1", "s-2", "s-3"]


async def test_a_call_can_fail_a_number_of_times(timeback_server: MockServer) -> None:
    failure = timeback_server.fail(500, method="PUT", times=2)
    config = timeback_server.config(retry=RetryPolicy(initial=0.01))
    async with TimebackSession(config) as timeback:
        await timeback.upsert_student(student())

    assert failure.call_count == 2
    assert timeback_server.requests == 3


@pytest.mark.parametrize(("how", "is_stored"), [("drop_before", False), ("drop_after", True)])
async def test_a_connection_can_be_dropped_before_or_after(
    timeback_server: MockServer, timeback_session: TimebackSession, how: Any, is_stored: bool
) -> None:
    stored: list[bool] = []
    timeback_server.fail(how, times=1)
    timeback_server.fail(400, nth=2)

    with pytest.raises(BadRequestError):
        await timeback_session.upsert_student(student("s-1"))
    stored.append("s-1" in timeback_server.students)

    assert stored == [is_stored]
    assert [call.status for call in timeback_server.calls] == [499, 400]


async def test_a_method_may_be_written_in_small_letters(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    failure = timeback_server.fail(422, method="put")

    with pytest.raises(BadRequestError):
        await timeback_session.upsert_student(student("s-1"))

    assert failure.called
    assert len(timeback_server.received(method="put")) == 1


async def test_a_request_that_is_dropped_at_once_has_its_record(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    timeback_server.faults = Faults(drop_before=1.0)

    with pytest.raises(TimebackError):
        await timeback_session.get_user("s-1", deadline=0.2)

    assert timeback_server.received(record="s-1") == timeback_server.calls


async def test_failures_take_their_requests_one_after_the_other(
    timeback_server: MockServer,
) -> None:
    first = timeback_server.fail(503, times=1)
    second = timeback_server.fail(500, times=1)
    third = timeback_server.fail(422, nth=3)

    config = timeback_server.config(retry=RetryPolicy(initial=0.01))
    async with TimebackSession(config) as timeback:
        with pytest.raises(BadRequestError):
            await timeback.get_user("s-1")

    assert [call.status for call in timeback_server.calls] == [503, 500, 422]
    assert [failure.call_count for failure in (first, second, third)] == [1, 1, 1]
    timeback_server.assert_all_called()


async def test_a_failure_whose_request_another_one_took_has_not_come(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    timeback_server.fail(422)
    timeback_server.fail(503, nth=1)

    with pytest.raises(BadRequestError):
        await timeback_session.get_user("s-1")

    with pytest.raises(AssertionError, match=r"never called: .*503"):
        timeback_server.assert_all_called()


@pytest.mark.parametrize(
    ("how", "more", "told"),
    [
        ("drop_befor", {}, "how"), (99, {}, "how"), (600, {}, "how"), (True, {}, "how"),
        (503, {"nth": 0}, "nth"), (503, {"times": -1}, "times"), (503, {"times": 1.5}, "times"),
    ],
)  # fmt: skip
def test_a_failure_that_cannot_come_is_refused(how: Any, more: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=f"^{told}: must be "):
        MockServer().fail(how, **more)


async def test_a_failure_can_ask_for_a_wait(timeback_server: MockServer) -> None:
    timeback_server.fail(429, retry_after=9)
    config = timeback_server.config(retry=RetryPolicy(patience=1))
    async with TimebackSession(config) as timeback:
        with pytest.raises(RateLimitError) as caught:
            await timeback.upsert_student(student())

    assert caught.value.retry_after == 9


async def test_a_failure_that_never_came_is_told(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    timeback_server.fail(422, record="s-9")
    await timeback_session.upsert_student(student("s-1"))

    with pytest.raises(AssertionError) as caught:
        timeback_server.assert_all_called()

    assert "<Failure 422 (record='s-9'), 0 times>" in str(caught.value)
    assert "PUT /rostering/1.0/students 's-1' 200" in str(caught.value)
    assert "Byron" not in str(caught.value)


async def test_the_memory_of_the_log_is_bounded(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    await timeback_session.upsert_many(students(MAX_KEPT + 10))

    assert len(timeback_server.calls) == MAX_KEPT
    assert repr(timeback_server.fail()) == "<Failure 503 (every request), 0 times>"

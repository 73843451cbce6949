"""What becomes of records whose attempts fail."""

import pytest

from tests.support.bulk import FAILED, SAVED, UNKNOWN, both_sources, collect
from tests.support.clock import simulated
from tests.support.records import students, user
from tests.support.rig import storing
from tests.support.source import Source
from tests.support.storing import LOST, STUCK, UNREACHABLE, Answer, refusal
from timeback_async import Outcome, UserRecord
from timeback_async._wire.codec import Operation
from timeback_async._wire.http import CREATEPUT, Request
from timeback_async.errors import (
    AuthError,
    BadRequestError,
    ConflictError,
    ConnectError,
    ForbiddenError,
    NotFoundError,
    ProtocolError,
    RedirectError,
    ServerError,
    TimedOutError,
)


@simulated
async def test_a_record_in_backoff_holds_up_no_other() -> None:
    rig = storing(max_in_flight=1)
    rig.server.answers["s-0"] = [refusal(429, Retry_After="1.5"), refusal(429, Retry_After="1.5")]

    report = await rig.run(students(20))

    assert (report.saved, report.throttled, report.retries) == (20, 2, 2)
    assert report.elapsed == pytest.approx(1 + 22)  # the token, and every request without a gap


@both_sources
@simulated
async def test_records_in_backoff_leave_their_places_to_others(is_async: bool) -> None:
    rig = storing()
    rig.server.answers = {f"s-{n}": [refusal(500, Retry_After="100")] for n in (5, 6, 7)}
    source = Source(students(40))

    report = await rig.run(source.stream(0.3) if is_async else source)

    assert report.saved == 40
    assert rig.server.times["s-39"][0] - rig.server.times["s-0"][0] < 15


@simulated
async def test_a_retry_that_is_due_goes_before_new_records() -> None:
    rig = storing(max_in_flight=1)
    rig.server.answers["s-0"] = [refusal(429, Retry_After="1.5")]

    await rig.run(students(20))

    assert rig.server.seen[:5].count("s-0") == 2


@pytest.mark.parametrize(
    ("answers", "outcome", "error", "status"),
    [
        ([refusal(400)], FAILED, BadRequestError, 400),
        ([refusal(500)] * 4, FAILED, ServerError, 500),
        ([refusal(503)] * 8, FAILED, ServerError, 503),
        ([UNREACHABLE] * 8, FAILED, ConnectError, None),
        ([LOST] * 8, UNKNOWN, ProtocolError, None),
        ([STUCK] * 8, UNKNOWN, TimedOutError, None),
        ([*[refusal(503)] * 7, LOST], UNKNOWN, ProtocolError, 503),
        ([*[LOST] * 7, refusal(400)], FAILED, BadRequestError, 400),
        ([LOST, *[UNREACHABLE] * 7], UNKNOWN, ConnectError, None),
        ([LOST, *[refusal(503)] * 7], UNKNOWN, ServerError, 503),
        ([STUCK, *[refusal(500)] * 4], UNKNOWN, ServerError, 500),
        ([LOST, refusal(429), refusal(302)], UNKNOWN, RedirectError, 302),
        ([LOST, *[refusal(401)] * 7], UNKNOWN, AuthError, 401),
        ([LOST, refusal(503), refusal(409)], FAILED, ConflictError, 409),
        ([LOST, refusal(422)], FAILED, BadRequestError, 422),
        ([LOST, refusal(403)], FAILED, ForbiddenError, 403),
        ([LOST, refusal(404)], FAILED, NotFoundError, 404),
        ([refusal(429), *[refusal(503)] * 8], FAILED, ServerError, 503),
        ([Answer(body=b"<html>")] * 8, UNKNOWN, ProtocolError, 200),
    ],
)
@simulated
async def test_a_record_that_is_never_accepted_is_a_result(
    answers: list[Answer], outcome: Outcome, error: type[Exception], status: int | None
) -> None:
    rig = storing(max_in_flight=2)
    rig.server.answers["s-0"] = list(answers)

    results = await collect(rig.run(students(400)))  # the others come through
    results.sort(key=lambda result: result.index)

    assert results[0].outcome is outcome
    assert isinstance(results[0].error, error)
    assert (results[0].status, results[0].attempts) == (status, len(answers))
    assert all(result.ok for result in results[1:])


@simulated
async def test_a_result_tells_what_happened() -> None:
    rig = storing(max_in_flight=1)
    body = b'{"user": {"sourcedId": "u-1", "givenName": "Anne"}}'
    rig.server.answers["u-1"] = [refusal(503), Answer(body=body, headers={"X-Request-ID": "r-7"})]

    (result,) = await collect(rig.run([user("u-1")]))

    assert (result.index, result.kind, result.sourced_id) == (0, "user", "u-1")
    assert (result.outcome, result.ok, result.error) == (SAVED, True, None)
    assert (result.status, result.attempts, result.request_id) == (200, 2, "r-7")
    assert 3 <= result.elapsed <= 3.25
    assert isinstance(result.value, UserRecord)
    assert result.value.given_name == "Anne"
    assert result.value is result.value


@simulated
async def test_a_result_that_is_not_ok_has_no_value() -> None:
    rig = storing()
    rig.server.answers["s-0"] = [refusal(400)]

    (result,) = await collect(rig.run(students(1)))

    assert result.value is None
    assert not result.ok
    assert result.request_id


@simulated
async def test_an_answer_is_decoded_only_when_it_is_looked_at() -> None:
    decoded = []

    def prepare(record: str) -> Operation:
        request = Request("PUT", f"/rostering/1.0/users/{record}", CREATEPUT, b"{}")
        return Operation("user", record, request, SAVED, lambda body: decoded.append(body))

    (result,) = await collect(storing().run(["u-1"], prepare))

    assert decoded == []
    assert result.value is None
    assert len(decoded) == 1

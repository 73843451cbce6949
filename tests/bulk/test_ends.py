"""What ends a run before its source does."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from tests.support.bulk import (
    FAILED,
    NOT_SENT,
    SAVED,
    UNKNOWN,
    assert_honest,
    awaited,
    both_forms,
    both_sources,
    collect,
    counts,
    finish,
)
from tests.support.clock import simulated
from tests.support.records import student, students
from tests.support.rig import storing
from tests.support.source import Source
from tests.support.storing import DROPPED, LOST, NO_TLS, OK, Answer, refusal
from timeback_async import Student, TimebackSession
from timeback_async.errors import (
    AuthError,
    ConnectError,
    RateLimitError,
    ServerError,
    SessionError,
    SourceError,
)
from timeback_async.testing import MockServer


@both_forms
@both_sources
@simulated
async def test_what_a_raising_source_gave_is_finished(is_streamed: bool, is_async: bool) -> None:
    rig = storing()
    error = ValueError("row 7 is broken")
    bulk = rig.run(Source(students(6), error).open(is_async))

    with pytest.raises(SourceError, match="ValueError") as caught:
        await finish(bulk, is_streamed)

    assert caught.value.__cause__ is error
    assert caught.value.report is bulk.report
    assert counts(bulk.report) == {SAVED: 6}
    assert len(rig.server.saved) == 6


@simulated
async def test_results_come_before_the_error_of_the_source() -> None:
    results = []

    async with storing().run(Source(students(6), ValueError())) as bulk:
        for _ in range(6):
            results += [(await anext(bulk)).index]
        with pytest.raises(SourceError):
            await anext(bulk)

    assert sorted(results) == list(range(6))


@both_forms
@simulated
async def test_a_source_that_was_cancelled_from_within_is_not_a_finished_one(
    is_streamed: bool,
) -> None:
    rig = storing()
    records = Source(students(6), asyncio.CancelledError()).stream()

    with pytest.raises((SourceError, asyncio.CancelledError)):
        await finish(rig.run(records), is_streamed)

    assert len(rig.server.saved) == 6


@simulated
async def test_failures_stop_a_run_when_there_are_enough() -> None:
    rig = storing()
    rig.server.answers = {"s-3": [refusal(400)], "s-5": [refusal(400)]}
    source = Source([student("s-0", grades=5), *students(50)])

    report = await rig.run(source, stop_after_failures=3)

    assert not report.ok
    assert report.stopped == "3 records failed"
    assert (report.failed, report.invalid) == (2, 1)
    assert source.reads == report.submitted <= 12
    assert_honest(rig, report, [student("nobody"), *students(50)])


@both_sources
@simulated
async def test_a_stopped_run_makes_no_further_attempt(is_async: bool) -> None:
    rig = storing()
    rig.server.answers = {
        "s-0": [refusal(503), OK],
        "s-1": [LOST, OK],
        "s-2": [refusal(429, Retry_After="20"), OK],
        "s-3": [Answer(status=400, seconds=2)],
    }
    records = [*students(4), *[student("s-3")] * 2]

    results = await collect(rig.run(Source(records).open(is_async), stop_after_failures=1))

    found = {result.index: result.outcome for result in results}
    assert found == {0: FAILED, 1: UNKNOWN, 2: NOT_SENT, 3: FAILED, 4: NOT_SENT, 5: NOT_SENT}
    assert rig.server.seen == ["s-0", "s-1", "s-2", "s-3"]


@both_forms
@both_sources
@simulated
async def test_refused_credentials_end_the_run(is_streamed: bool, is_async: bool) -> None:
    rig = storing()
    rig.server.token_answer = Answer(status=401, body=b'{"error": "invalid_client"}')
    bulk = rig.run(Source(students(50)).open(is_async))

    with pytest.raises(AuthError, match="client_secret") as caught:
        await finish(bulk, is_streamed)

    assert caught.value.report is bulk.report
    assert counts(bulk.report) == {NOT_SENT: 4}
    assert all(isinstance(failure.error, AuthError) for failure in bulk.report.failures)
    assert (rig.server.token_requests, rig.server.seen) == (1, [])


@both_forms
@simulated
async def test_a_failure_of_tls_ends_the_run(is_streamed: bool) -> None:
    rig = storing()
    rig.server.default = NO_TLS
    bulk = rig.run(students(50))

    with pytest.raises(ConnectError, match="certificate") as caught:
        await finish(bulk, is_streamed)

    assert caught.value.report is bulk.report
    assert counts(bulk.report) == {NOT_SENT: 4}


@pytest.mark.parametrize("status", [401, 403])
@both_forms
@simulated
async def test_three_refusals_of_a_fresh_token_end_the_run(is_streamed: bool, status: int) -> None:
    rig = storing(max_in_flight=1)
    rig.server.default = refusal(status)
    bulk = rig.run(students(50))

    with pytest.raises(AuthError, match="3 records in a row") as caught:
        await finish(bulk, is_streamed)

    assert caught.value.status == status
    assert caught.value.report is bulk.report
    assert counts(bulk.report) == {FAILED: 3}


@simulated
async def test_refusals_by_a_token_that_has_served_are_the_records_own() -> None:
    rig = storing(max_in_flight=1)
    rig.server.answers = {f"s-{n}": [refusal(403)] for n in range(1, 9)}

    report = await rig.run(students(10))

    assert counts(report) == {SAVED: 2, FAILED: 8}


@simulated
async def test_refusals_count_only_in_a_row() -> None:
    rig = storing(max_in_flight=1)
    rig.server.answers = {"s-0": [refusal(403)], "s-1": [refusal(403)]}
    rig.server.answers["s-3"] = [refusal(401), refusal(403)]

    report = await rig.run(students(6))

    assert counts(report) == {SAVED: 3, FAILED: 3}


@pytest.mark.parametrize(
    ("status", "error"), [(429, RateLimitError), (503, ServerError)], ids=["429", "503"]
)
@both_forms
@simulated
async def test_a_wait_past_our_patience_ends_the_run(
    is_streamed: bool, status: int, error: type[Exception]
) -> None:
    rig = storing()
    rig.server.default = refusal(status, Retry_After="301")
    bulk = rig.run(students(50))

    with pytest.raises(error) as caught:
        await finish(bulk, is_streamed)

    assert getattr(caught.value, "report", None) is bulk.report
    assert counts(bulk.report) == {NOT_SENT: 4}
    assert bulk.report.elapsed < 300


@pytest.mark.parametrize("other", [refusal(401), DROPPED, OK], ids=["401", "dropped", "queued"])
@simulated
async def test_nobody_waits_for_a_gate_that_outlasts_the_run(other: Answer) -> None:
    rig = storing(max_in_flight=2)
    rig.server.answers = {"s-0": [refusal(429, Retry_After="86400")], "s-1": [other]}
    bulk = rig.run(students(50), in_flight=8 if other is OK else 2)

    with pytest.raises(RateLimitError):
        await bulk

    assert bulk.report.elapsed < 60


@pytest.mark.parametrize(
    ("answer", "failures", "error"),
    [
        (refusal(429, Retry_After="301"), 1, RateLimitError),
        (refusal(403), 3, AuthError),
    ],
    ids=["patience", "refused"],
)
@simulated
async def test_what_is_fatal_is_raised_though_failures_stop_the_run_as_well(
    answer: Answer, failures: int, error: type[Exception]
) -> None:
    rig = storing(max_in_flight=1)
    rig.server.default = answer

    with pytest.raises(error):
        await rig.run(students(50), stop_after_failures=failures)


class Uncopyable(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


@both_forms
@simulated
async def test_an_error_without_a_name_ends_the_run_as_it_is(is_streamed: bool) -> None:
    rig = storing()
    defect = Uncopyable(1, 2)
    rig.server.answers["s-1"] = [Answer(error=defect, seconds=0.5)]
    bulk = rig.run([student("s-0"), *students(10)])

    with pytest.raises(Uncopyable) as caught:
        await finish(bulk, is_streamed)

    assert caught.value is defect
    assert sum(bulk.report.counts.values()) == bulk.report.submitted == 5
    assert bulk.report.stopped == "1 and 2"


@both_sources
@simulated
async def test_a_stopped_run_finishes_what_is_in_flight_and_begins_nothing_new(
    is_async: bool,
) -> None:
    rig = storing()
    rig.server.answers["s-0"] = [refusal(503)]
    source = Source(students(100))
    bulk = rig.run(source.open(is_async))

    async with bulk as results:
        first = await anext(results)
        bulk.stop()
        rest = [result async for result in results]

    assert first.outcome is SAVED
    assert source.reads == len(rest) + 1 == bulk.report.submitted < 12
    ended = {result.sourced_id: result.outcome for result in rest}
    assert ended["s-0"] is FAILED
    assert set(ended.values()) <= {SAVED, FAILED, NOT_SENT}
    assert bulk.report.saved == len(rig.server.saved)
    assert bulk.report.stopped == "stopped by its owner"


@both_forms
async def test_a_session_closed_in_the_middle_ends_the_run(
    is_streamed: bool, timeback_server: MockServer
) -> None:
    session = await TimebackSession(timeback_server.config(max_in_flight=4)).open()
    bulk = session.upsert_many(closing(session, students(200)))

    with pytest.raises(SessionError, match="closed") as caught:
        await finish(bulk, is_streamed)

    report = bulk.report
    assert caught.value.report is report
    assert sum(report.counts.values()) == report.submitted < 200
    assert report.saved <= len(timeback_server.students) <= report.saved + report.unknown


async def closing(session: TimebackSession, records: Sequence[Student]) -> AsyncIterator[Student]:
    for number, record in enumerate(records):
        if number == 50:
            await session.aclose()
        yield record


@simulated
async def test_a_run_waiting_for_its_token_ends_with_the_session() -> None:
    rig = storing(max_in_flight=2)
    bulk = rig.run(students(50), in_flight=8)
    running = asyncio.create_task(awaited(bulk))
    await asyncio.sleep(0.5)

    rig.pool.close()
    await rig.tokens.aclose()

    with pytest.raises(SessionError):
        await running
    assert counts(bulk.report) == {NOT_SENT: 8}

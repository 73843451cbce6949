import asyncio
import gc
import ssl
import sys
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakSet

import anyio
import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clock import run_simulated, simulated
from tests.support.records import link, student, students, user
from tests.support.rig import Rig, storing
from tests.support.source import Source
from tests.support.storing import (
    DROPPED,
    LOST,
    NO_TLS,
    OK,
    STUCK,
    UNREACHABLE,
    Answer,
    StoringServer,
    refusal,
)
from tests.support.tasks import other_tasks, steps
from timeback_async import (
    AgentKey,
    ItemResult,
    Outcome,
    Report,
    RetryPolicy,
    Student,
    TimebackSession,
    UserRecord,
)
from timeback_async._bulk.run import Bulk
from timeback_async._wire.codec import Operation, delete, fetch_agents
from timeback_async._wire.http import CREATEPUT, Request
from timeback_async.errors import (
    AuthError,
    BadRequestError,
    ConfigError,
    ConnectError,
    ProtocolError,
    RateLimitError,
    RecordError,
    ServerError,
    SessionError,
    SourceError,
    TimedOutError,
)
from timeback_async.testing import MockServer

both_sources = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
both_forms = pytest.mark.parametrize("is_streamed", [False, True], ids=["await", "iterate"])

FAILED, INVALID, SAVED = Outcome.FAILED, Outcome.INVALID, Outcome.SAVED
NOT_SENT, UNKNOWN = Outcome.NOT_SENT, Outcome.UNKNOWN


async def collect(bulk: Bulk) -> list[ItemResult]:
    async with bulk as results:
        return [result async for result in results]


async def outcomes(bulk: Bulk) -> list[Outcome]:
    """Return what became of each record, in the order of the source."""
    return [result.outcome for result in sorted(await collect(bulk), key=lambda r: r.index)]


async def finish(bulk: Bulk, is_streamed: bool) -> Report:
    """Run to the end in one of the two forms."""
    if not is_streamed:
        return await bulk
    results = await collect(bulk)
    assert sorted(result.index for result in results) == list(range(bulk.report.submitted))
    return bulk.report


def counts(report: Report) -> dict[Outcome, int]:
    return {outcome: number for outcome, number in report.counts.items() if number}


def assert_honest(rig: Rig[StoringServer], report: Report, records: Sequence[Student]) -> None:
    """Hold the report against what the server has. The ids have to differ."""
    assert sum(report.counts.values()) == report.submitted <= len(records)
    assert rig.pool.statistics().in_flight == rig.pool.statistics().waiting == 0
    others = {failure.index: failure.outcome for failure in report.failures}
    for index, record in enumerate(records):
        found = others.get(index, SAVED) if index < report.submitted else NOT_SENT
        if found is SAVED:
            assert record.sourced_id in rig.server.saved
        if found in (NOT_SENT, INVALID):
            assert record.sourced_id not in rig.server.saved


# -- the two forms


@both_sources
@both_forms
@simulated
async def test_every_record_is_sent_and_counted_once(is_streamed: bool, is_async: bool) -> None:
    rig = storing()

    report = await finish(rig.run(Source(students(10)).open(is_async)), is_streamed)

    assert report.ok
    assert (report.submitted, report.saved, report.attempts) == (10, 10, 10)
    assert (report.retries, report.throttled, report.token_requests) == (0, 0, 1)
    assert report.elapsed == pytest.approx(4)  # the token, then three rounds of four
    assert rig.server.saved.keys() == {f"s-{n}" for n in range(10)}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
@pytest.mark.parametrize("dry_run", [False, True])
@both_sources
@both_forms
@simulated
async def test_tasks_may_be_eager(is_streamed: bool, is_async: bool, dry_run: bool) -> None:
    asyncio.get_running_loop().set_task_factory(vars(asyncio)["eager_task_factory"])
    bulk = storing().run(Source([7, *students(10)]).open(is_async), dry_run=dry_run)

    report = await finish(bulk, is_streamed)

    assert counts(report) == {INVALID: 1, NOT_SENT if dry_run else SAVED: 10}


@both_forms
@simulated
async def test_a_run_without_records_is_ok(is_streamed: bool) -> None:
    rig = storing()

    report = await finish(rig.run([]), is_streamed)

    assert (report.ok, report.submitted, report.token_requests) == (True, 0, 0)


@simulated
async def test_results_come_as_they_complete() -> None:
    rig = storing()
    rig.server.answers["s-0"] = [Answer(seconds=9)]

    results = await collect(rig.run(students(10)))

    assert results[-1].index == 0
    assert sorted(result.index for result in results) == list(range(10))


@simulated
async def test_ordered_results_come_in_the_order_of_the_source() -> None:
    rig = storing()
    rig.server.answers = {"s-0": [Answer(seconds=9)], "s-5": [Answer(seconds=5)]}

    results = await collect(rig.run(students(30), ordered=True))

    assert [result.index for result in results] == list(range(30))


@simulated
async def test_a_report_belongs_to_its_own_run() -> None:
    rig = storing()

    first, second = await asyncio.gather(rig.run(students(3)), rig.run(students(5)))

    assert (first.submitted, second.submitted) == (3, 5)


@simulated
async def test_an_iteration_may_be_shared_and_interrupted() -> None:
    rig = storing()
    seen: list[int] = []

    async def consume(results: Bulk) -> None:
        seen.extend([result.index async for result in results])

    async with rig.run(students(10)) as results:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(results), 0.5)
        await asyncio.gather(consume(results), consume(results))

    assert sorted(seen) == list(range(10))


@simulated
async def test_the_report_is_there_after_the_block_in_whatever_way_it_is_left() -> None:
    rig = storing()

    async with rig.run(students(10)) as left_at_once:
        pass
    async with rig.run(students(10)) as left_in_the_middle:
        await anext(left_in_the_middle)

    assert left_at_once.report.submitted == 0
    assert left_in_the_middle.report.saved >= 1


# -- how much is read, sent and held


@both_sources
@both_forms
@simulated
async def test_a_stuck_server_leaves_the_source_unread(is_streamed: bool, is_async: bool) -> None:
    rig = storing()
    rig.server.default = STUCK
    source = Source(students(100))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(20):
            await finish(rig.run(source.open(is_async)), is_streamed)

    assert source.reads == rig.server.peak == 4


@simulated
async def test_a_run_may_use_fewer_slots_than_the_session_has() -> None:
    rig = storing(max_in_flight=4)

    await rig.run(students(20), in_flight=2)

    assert rig.server.peak == 2


@simulated
async def test_retries_count_among_the_records_at_once() -> None:
    rig = storing(max_in_flight=64)
    rig.server.answers = {f"s-{n}": [refusal(503)] for n in range(40)}
    rig.server.seconds = 10

    await rig.run(students(40), in_flight=2)

    assert rig.server.peak == 2


@pytest.mark.parametrize(("ordered", "held"), [(False, 4), (True, 16)])
@simulated
async def test_a_consumer_that_stops_stops_the_sending(ordered: bool, held: int) -> None:
    rig = storing()
    source = Source(students(100))

    async with rig.run(source, ordered=ordered) as results:
        await anext(results)
        await asyncio.sleep(1000)

        assert len(rig.server.seen) <= 1 + held + 4
        assert source.reads == len(rig.server.seen)


@pytest.mark.parametrize("ordered", [False, True])
@simulated
async def test_a_slow_consumer_gets_everything(ordered: bool) -> None:
    rig = storing()
    taken = []

    async with rig.run(students(50), ordered=ordered) as results:
        async for result in results:
            taken.append(result.index)
            assert len(rig.server.seen) <= len(taken) + (20 if ordered else 8)
            await asyncio.sleep(7)

    assert sorted(taken) == list(range(50))


@simulated
async def test_the_buffer_for_ordered_results_is_bounded() -> None:
    rig = storing()
    rig.server.answers["s-0"] = [STUCK]
    source = Source(students(100))

    async with rig.run(source, ordered=True):
        await asyncio.sleep(29)

        assert source.reads <= 16 + 4


class Record(dict[str, Any]):
    """A record in wire form that can be watched."""

    def __init__(self, sourced_id: str) -> None:
        org = {"sourcedId": "org-1", "type": "org"}
        names = {"username": "ada", "givenName": "Ada", "familyName": "Byron"}
        super().__init__(student={"sourcedId": sourced_id, "grades": [], "primaryOrg": org} | names)

    __hash__ = object.__hash__  # type: ignore[assignment]


@both_sources
@simulated
async def test_records_are_let_go_once_they_are_encoded(is_async: bool) -> None:
    rig = storing()
    alive: WeakSet[Record] = WeakSet()
    most = 0

    def watched() -> Iterator[Record]:
        nonlocal most
        for number in range(200):
            record = Record(f"s-{number}")
            alive.add(record)
            most = max(most, len(alive))
            yield record

    report = await rig.run(Source(watched()).open(is_async))

    assert report.saved == 200
    assert most <= 8


@simulated
async def test_waiting_records_do_not_let_the_run_read_without_end() -> None:
    rig = storing()
    rig.server.answers["s-1"] = [STUCK]
    source = Source([student("s-1"), *(link("s-1", f"u-{n}") for n in range(100))])

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(rig.run(source), 20)

    assert source.reads <= 4 * 4


# -- order


@simulated
async def test_the_last_version_handed_over_is_the_last_the_server_gets() -> None:
    rig = storing()
    rig.server.answers["x"] = [Answer(seconds=9), refusal(503), DROPPED, Answer(seconds=4)]
    versions = [student("x", given_name=f"v{n}") for n in range(6)]

    report = await rig.run([*versions, *students(3)])

    sent = [name for name in rig.server.versions if name.startswith("v")]
    assert report.saved == 9
    assert sent == sorted(sent)
    assert rig.server.saved["x"]["givenName"] == "v5"
    assert rig.server.overlaps == set()


@simulated
async def test_a_student_and_a_user_with_one_id_go_one_after_the_other() -> None:
    rig = storing()
    rig.server.answers["x"] = [Answer(seconds=9)]

    report = await rig.run([student("x"), user("x", given_name="last"), *students(3)])

    assert report.saved == 5
    assert rig.server.saved["x"]["givenName"] == "last"
    assert rig.server.overlaps == set()


@simulated
async def test_a_record_waits_only_for_its_own_id() -> None:
    rig = storing()
    rig.server.answers["s-1"] = [Answer(seconds=20)]

    results = await collect(rig.run([student("s-1"), student("s-1"), *students(1), user()]))

    assert [result.index for result in results] == [2, 3, 0, 1]


@simulated
async def test_a_link_waits_for_its_student_and_its_user() -> None:
    rig = storing()
    rig.server.answers = {"s-1": [Answer(seconds=5)], "u-1": [refusal(503), Answer(seconds=9)]}

    report = await rig.run([student("s-1"), user("u-1"), link("s-1", "u-1"), link("s-1", "u-1")])

    assert report.saved == 4
    assert rig.server.seen == ["s-1", "u-1", "u-1", link().agent_id, link().agent_id]
    assert rig.server.overlaps == set()


@simulated
async def test_a_link_of_people_from_elsewhere_is_sent_at_once() -> None:
    rig = storing()
    rig.server.saved = {"s-1": {}, "u-1": {}}

    assert await outcomes(rig.run([link("s-1", "u-1"), link("s-9", "u-1")])) == [SAVED, FAILED]


BAD = [refusal(400)]
LOST_EVERY_TIME = [LOST] * 8


@pytest.mark.parametrize("field", ["studentId", "userId"])
@pytest.mark.parametrize(
    ("how", "answers", "changes"),
    [
        (FAILED, BAD, {}),
        (UNKNOWN, LOST_EVERY_TIME, {}),
        (INVALID, [], {"given_name": None}),
    ],
)
@simulated
async def test_a_link_is_not_sent_when_its_person_was_not_saved(
    field: str, how: Outcome, answers: list[Answer], changes: dict[str, Any]
) -> None:
    rig = storing()
    lost = "s-1" if field == "studentId" else "u-1"
    rig.server.answers[lost] = list(answers)
    theirs = {lost: changes}
    people = [student("s-1", **theirs.get("s-1", {})), user("u-1", **theirs.get("u-1", {}))]

    results = await collect(rig.run([*people, link("s-1", "u-1")], ordered=True))

    assert sorted(result.outcome for result in results[:2]) == sorted([how, SAVED])
    assert results[2].outcome is NOT_SENT
    assert results[2].kind == "agent"
    assert isinstance(results[2].error, RecordError)
    assert results[2].error.field == field
    assert lost in results[2].error.reason


@pytest.mark.parametrize("first", [{}, {"given_name": None}], ids=["failed", "invalid"])
@simulated
async def test_a_link_is_sent_when_its_person_was_saved_in_the_end(first: dict[str, Any]) -> None:
    rig = storing()
    rig.server.answers["s-1"] = [refusal(400)] if not first else []
    records = [user(), student("s-1", **first), student("s-1"), link("s-1", "u-1")]

    found = await outcomes(rig.run(records))

    assert found == [SAVED, INVALID if first else FAILED, SAVED, SAVED]


# -- attempts that fail


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
        ([Answer(body=b"<html>")] * 8, UNKNOWN, ProtocolError, 200),
    ],
)
@simulated
async def test_a_record_that_is_never_accepted_is_a_result(
    answers: list[Answer], outcome: Outcome, error: type[Exception], status: int | None
) -> None:
    rig = storing(max_in_flight=1)
    rig.server.answers["s-0"] = list(answers)

    results = await collect(rig.run(students(2), ordered=True))

    assert results[0].outcome is outcome
    assert isinstance(results[0].error, error)
    assert (results[0].status, results[0].attempts) == (status, len(answers))
    assert results[1].ok


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


# -- records that cannot be sent


class Hostile(Mapping[Any, Any]):
    """A mapping one method of which raises."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.inner: object = student

    def _check(self, method: str) -> None:
        if method == self.method:
            raise ZeroDivisionError("hostile")

    def __len__(self) -> int:
        self._check("len")
        return 1

    def __iter__(self) -> Iterator[str]:
        self._check("iter")
        return iter(["student"])

    def __getitem__(self, key: Any) -> Any:
        self._check("getitem")
        return Hostile("get")

    def get(self, key: Any, default: Any = None) -> Any:
        self._check("get")
        return default

    def items(self) -> Any:
        self._check("items")
        return super().items()


class Unhashable(Mapping[Any, Any]):
    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Any]:
        return iter([[]])

    def __getitem__(self, key: Any) -> Any:
        return {}


class HostileClass:
    @property
    def __class__(self) -> Any:
        raise ZeroDivisionError("hostile")

    @__class__.setter
    def __class__(self, value: Any) -> None:
        """Nothing: it is settable because it is on `object`."""


NONSENSE: dict[str, Callable[[], object]] = {
    "none": lambda: None,
    "number": lambda: 3,
    "text": lambda: "s-1",
    "bytes": lambda: b"s-1",
    "empty mapping": dict,
    "no envelope": lambda: {"sourcedId": "s-1"},
    "two envelopes": lambda: {"student": {}, "user": {}},
    "no mapping inside": lambda: {"student": 3},
    "error": lambda: ValueError("not a record"),
    "hostile len": lambda: Hostile("len"),
    "hostile iter": lambda: Hostile("iter"),
    "hostile getitem": lambda: Hostile("getitem"),
    "hostile items": lambda: Hostile("items"),
    "hostile inner get": lambda: Hostile("none"),
    "unhashable key": Unhashable,
    "hostile class": HostileClass,
}


@pytest.mark.parametrize("what", NONSENSE)
@simulated
async def test_what_is_not_a_record_is_an_invalid_result(what: str) -> None:
    rig = storing()

    results = await collect(rig.run([student("s-0"), NONSENSE[what](), student("s-2")]))

    found = {result.index: result for result in results}
    assert [found[index].outcome for index in range(3)] == [SAVED, INVALID, SAVED]
    assert isinstance(found[1].error, RecordError)
    assert found[1].attempts == 0
    assert rig.server.seen == ["s-0", "s-2"]


@pytest.mark.parametrize(
    ("record", "kind", "sourced_id", "field"),
    [
        (student("s-1", given_name=7), "student", "s-1", "givenName"),
        ({"user": {"sourcedId": "u-1"}}, "user", "u-1", "givenName"),
        (student(".."), "student", "..", "sourcedId"),
        (link("s-1", "a/../b"), "agent", link("s-1", "a/../b").agent_id, "userId"),
    ],
)
@simulated
async def test_an_invalid_record_names_itself_and_its_field(
    record: object, kind: str, sourced_id: str, field: str
) -> None:
    rig = storing()

    (result,) = await collect(rig.run([record]))

    assert (result.kind, result.sourced_id, result.outcome) == (kind, sourced_id, INVALID)
    assert isinstance(result.error, RecordError)
    assert result.error.field == field
    assert rig.server.seen == []


@both_forms
@simulated
async def test_a_dry_run_checks_everything_and_sends_nothing(is_streamed: bool) -> None:
    rig = storing()
    bad = student("s-2", grades="5")

    report = await finish(rig.run([student(), bad, link(), 7], dry_run=True), is_streamed)

    assert counts(report) == {NOT_SENT: 2, INVALID: 2}
    assert (report.dry_run, report.ok, report.attempts) == (True, False, 0)
    assert (rig.server.seen, rig.server.token_requests) == ([], 0)


@simulated
async def test_a_dry_run_without_findings_is_ok() -> None:
    report = await storing().run([student(), user(), link()], dry_run=True)

    assert report.ok
    assert report.failures == []


# -- what ends a run


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
    assert found == {0: FAILED, 1: UNKNOWN, 2: FAILED, 3: FAILED, 4: NOT_SENT, 5: NOT_SENT}
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
    assert counts(bulk.report) == {FAILED: 4}
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
    running = asyncio.create_task(_awaited(bulk))
    await asyncio.sleep(0.5)

    rig.pool.close()
    await rig.tokens.aclose()

    with pytest.raises(SessionError):
        await running
    assert counts(bulk.report) == {NOT_SENT: 8}


async def _awaited(bulk: Bulk) -> Report:
    return await bulk


# -- leaving early


@both_sources
@pytest.mark.parametrize("ordered", [False, True])
@simulated
async def test_leaving_the_block_early_cancels_what_is_in_flight(
    ordered: bool, is_async: bool
) -> None:
    rig = storing()
    rig.server.answers["s-5"] = [refusal(503)] * 8
    records = students(50)

    async with rig.run(Source(records).open(is_async), ordered=ordered) as results:
        async for result in results:
            if result.index == 9:
                break

    assert other_tasks() == set()
    assert results.report.stopped == "cancelled"
    assert not results.report.ok
    assert_honest(rig, results.report, records)


@simulated
async def test_results_that_nobody_took_can_be_read_after_the_block() -> None:
    rig = storing()

    async with rig.run(students(50)) as results:
        await asyncio.sleep(4.5)
    left = [result.index async for result in results]

    assert sorted(left) == list(range(results.report.submitted))
    assert len(left) >= 4


@simulated
async def test_an_exception_in_the_block_passes() -> None:
    rig = storing()
    bulk = rig.run(students(50))

    with pytest.raises(KeyError, match="mine"):
        await _raise_within(bulk, after=2.5)

    assert other_tasks() == set()
    assert bulk.report.saved >= 4
    assert_honest(rig, bulk.report, students(50))


@simulated
async def test_an_exception_in_the_block_wins_over_the_end_of_the_run() -> None:
    rig = storing()
    rig.server.token_answer = refusal(401)

    bulk = rig.run(students(50))

    with pytest.raises(KeyError, match="mine"):
        await _raise_within(bulk, after=60)

    assert bulk.report.not_sent == 4


async def _raise_within(bulk: Bulk, after: float) -> None:
    async with bulk:
        await asyncio.sleep(after)
        raise KeyError("mine")


@simulated
async def test_records_handed_over_while_the_run_is_cancelled_keep_their_ids() -> None:
    rig = storing()
    rig.server.seconds = 0
    named: list[str] = []
    for turns in range(2, 40):
        async with rig.run(Source(students(50)).stream()) as results:
            await steps(turns)
        named += [failure.sourced_id for failure in results.report.failures]

    assert named
    assert "" not in named


@simulated
async def test_a_refused_record_keeps_its_reason_when_the_run_is_cancelled() -> None:
    rig = storing()
    rig.server.answers["s-0"] = [refusal(500, Retry_After="100")]
    bulk = rig.run(students(1))

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bulk, 50)

    assert counts(bulk.report) == {FAILED: 1}
    assert isinstance(bulk.report.failures[0].error, ServerError)


@simulated
async def test_a_cancelled_run_says_so_though_failures_would_stop_it() -> None:
    rig = storing()
    bulk = rig.run(students(50), stop_after_failures=4)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bulk, 1.5)

    assert counts(bulk.report) == {UNKNOWN: 4}
    assert bulk.report.stopped == "cancelled"


@simulated
async def test_a_record_read_while_there_is_no_place_for_it_is_not_lost() -> None:
    rig = storing()
    rig.server.seconds = 2
    rig.server.answers["s-0"] = [refusal(429, Retry_After="1")]
    source = Source(students(50))
    bulk = rig.run(source.stream(2.6), in_flight=1)

    with pytest.raises(TimeoutError):  # s-1 is read at 9.2 s, s-0 is sent again from 7.6 to 9.6 s
        await asyncio.wait_for(bulk, 9.4)

    assert bulk.report.submitted == source.reads == 2
    assert counts(bulk.report) == {UNKNOWN: 1, NOT_SENT: 1}


@both_sources
@both_forms
@pytest.mark.parametrize("faulty", [False, True], ids=["smooth", "faulty"])
def test_a_cancelled_run_is_honest_at_every_step(
    is_streamed: bool, is_async: bool, faulty: bool
) -> None:
    """Cancel after 1, 2, 3, … turns of the event loop, until a run is through before that."""
    records = students(12)

    async def cancelled_after(turns: int) -> bool:
        rig = storing(retry=RetryPolicy(initial=0, throttle_initial=0))
        rig.server.seconds = 0
        if faulty:
            faults = [[DROPPED], [LOST], [refusal(503), LOST], [refusal(429)], [refusal(400)]]
            rig.server.answers = {f"s-{n}": list(f) for n, f in enumerate(faults)}
        source = Source(records)
        bulk = rig.run(source.open(is_async), in_flight=3)
        running = asyncio.create_task(finish(bulk, is_streamed))
        await steps(1 + turns)
        is_over = running.done()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        assert other_tasks() - {*rig.tokens._fetches.values()} == set()
        await rig.tokens.aclose()
        assert bulk.report.submitted == source.reads
        assert_honest(rig, bulk.report, records)
        return is_over

    turns = 0
    while not run_simulated(cancelled_after(turns)):
        turns += 1
    assert turns > 15


paces = st.sampled_from([None, 0, 0.7, 2.6])  # None is for a sync source
any_faults = st.sampled_from(
    [*[refusal(status) for status in (400, 401, 403, 500, 502, 503)], DROPPED, LOST, UNREACHABLE]
    + [refusal(status, Retry_After="1.5") for status in (429, 503)]
    + [Answer(seconds=seconds) for seconds in (0, 0.5, 5)]
)


@given(
    quarters=st.integers(0, 60),
    turns=st.integers(0, 8),
    answers=st.dictionaries(st.sampled_from([f"s-{n}" for n in range(12)]), st.lists(any_faults)),
    in_flight=st.integers(1, 4),
    is_streamed=st.booleans(),
    pace=paces,
)
@settings(max_examples=300, deadline=None)
@simulated
async def test_a_cancelled_run_is_honest_at_any_moment(
    quarters: int,
    turns: int,
    answers: dict[str, list[Answer]],
    in_flight: int,
    is_streamed: bool,
    pace: float | None,
) -> None:
    rig = storing()
    rig.server.answers = {own: list(script) for own, script in answers.items()}
    records = students(30)
    source = Source(records)
    bulk = rig.run(source if pace is None else source.stream(pace), in_flight=in_flight)
    running = asyncio.create_task(finish(bulk, is_streamed))

    await asyncio.sleep(quarters / 4 + 0.1 * bool(turns % 2))
    await steps(turns)
    running.cancel()
    with suppress(asyncio.CancelledError, AuthError):
        await running
    await rig.tokens.aclose()

    assert bulk.report.submitted == source.reads
    assert rig.server.peak <= in_flight
    assert_honest(rig, bulk.report, records)


@simulated
async def test_a_second_cancellation_leaves_no_task_either() -> None:
    rig = storing()
    records = students(50)

    async def consume() -> None:
        async with rig.run(records) as results:
            async for _ in results:
                pass

    for turns in range(8):
        running = asyncio.create_task(consume())
        await asyncio.sleep(3.2)
        running.cancel()
        await steps(turns)
        running.cancel()
        await asyncio.wait([running])

        assert other_tasks() == set(), turns


async def _within_asyncio(bulk: Bulk, is_streamed: bool) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(5.2):
            await finish(bulk, is_streamed)


async def _within_move_on(bulk: Bulk, is_streamed: bool) -> None:
    with anyio.move_on_after(5.2) as scope:
        await finish(bulk, is_streamed)
    assert scope.cancelled_caught


async def _within_fail(bulk: Bulk, is_streamed: bool) -> None:
    with pytest.raises(TimeoutError):
        with anyio.fail_after(5.2):
            await finish(bulk, is_streamed)


async def _within_group(bulk: Bulk, is_streamed: bool) -> None:
    with suppress(BaseExceptionGroup):
        async with anyio.create_task_group() as group:
            group.start_soon(finish, bulk, is_streamed)
            await asyncio.sleep(5.2)
            raise KeyError


@pytest.mark.parametrize("within", [_within_asyncio, _within_move_on, _within_fail, _within_group])
@both_forms
@simulated
async def test_a_time_limit_around_a_run_ends_it_at_once(
    within: Callable[[Bulk, bool], Any], is_streamed: bool
) -> None:
    rig = storing()
    records = students(50)
    rig.server.answers = {"s-3": [refusal(429, Retry_After="1")] * 9, "s-9": [STUCK]}
    bulk = rig.run(records)
    loop = asyncio.get_running_loop()
    started = loop.time()

    await within(bulk, is_streamed)

    assert loop.time() - started == pytest.approx(5.2)
    assert other_tasks() == set()
    assert bulk.report.unknown >= 1
    assert_honest(rig, bulk.report, records)


# -- misuse


@simulated
async def test_a_run_is_used_once() -> None:
    rig = storing()
    bulk = rig.run(students(3))
    await bulk

    with pytest.raises(SessionError, match="once"):
        await bulk
    with pytest.raises(SessionError, match="once"):
        async with bulk:
            pass
    assert len(rig.server.seen) == 3


@simulated
async def test_entering_a_run_that_is_awaited_does_not_disturb_it() -> None:
    rig = storing()
    bulk = rig.run(students(30))
    running = asyncio.create_task(_awaited(bulk))
    await asyncio.sleep(2)

    with pytest.raises(SessionError, match="once"):
        async with bulk:
            pass

    assert (await asyncio.wait_for(running, 1000)).saved == 30


@simulated
async def test_results_are_for_the_block_alone() -> None:
    bulk = storing().run(students(3))

    with pytest.raises(SessionError, match="async with"):
        await anext(bulk)

    assert (await bulk).saved == 3


@simulated
async def test_there_is_no_report_before_the_end() -> None:
    async with storing().run(students(3)) as bulk:
        with pytest.raises(SessionError, match="before its end"):
            _ = bulk.report
        _ = [result async for result in bulk]
        assert bulk.report.saved == 3


@simulated
async def test_a_run_that_nobody_awaits_warns() -> None:
    rig = storing()

    with pytest.warns(RuntimeWarning, match="never awaited"):
        _forget(rig.run(students(3)))

    assert rig.server.seen == []


def _forget(bulk: Bulk) -> None:
    """Drop the only reference."""


@simulated
async def test_a_run_that_could_not_be_made_does_not_warn() -> None:
    rig = storing()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ConfigError):
            rig.run(students(3), in_flight=0)
        gc.collect()

    assert caught == []


@pytest.mark.parametrize("name", ["in_flight", "stop_after_failures"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "4", True])
async def test_a_number_out_of_range_is_a_config_error(
    name: str, value: Any, timeback_session: TimebackSession
) -> None:
    with pytest.raises(ConfigError, match=name):
        timeback_session.upsert_many([], **{name: value})


@pytest.mark.parametrize("records", [student(), {"student": {}}, "s-1", None])
async def test_a_single_record_is_a_type_error(
    records: Any, timeback_session: TimebackSession
) -> None:
    with pytest.raises(TypeError, match="wrap a single record"):
        timeback_session.upsert_many(records)


# -- the other operations, and the wire


async def test_everything_goes_over_the_wire(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    report = await timeback_session.upsert_many([*students(20), user("u-1"), link("s-3", "u-1")])

    assert report.ok
    assert report.submitted == report.attempts == timeback_server.requests == 22
    assert timeback_server.agents.keys() == {("s-3", link("s-3", "u-1").agent_id)}


async def test_many_links_are_deleted(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    links = [link(f"s-{n}", "u-1") for n in range(5)]
    await timeback_session.upsert_many([*students(5), user("u-1"), *links])
    keys: list[object] = [AgentKey(each.student_id, each.agent_id) for each in links]

    report = await timeback_session.delete_many([*keys, AgentKey("s-0", "nobody"), student()])

    assert counts(report) == {Outcome.DELETED: 5, FAILED: 1, INVALID: 1}
    assert timeback_server.agents == {}


async def test_the_agents_of_many_are_fetched(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    await timeback_session.upsert_many([*students(2), user("u-1"), link("s-0", "u-1")])
    bulk = timeback_session.get_many_user_agents(["s-0", "s-1", "s-0", "s-9", 3], ordered=True)

    results = await collect(bulk)

    assert [result.kind for result in results] == ["user"] * 4 + [""]
    assert [agent.user.sourced_id for agent in results[0].value] == ["u-1"]
    assert results[1].value == []
    assert [result.outcome for result in results[2:]] == [Outcome.FETCHED, FAILED, INVALID]


@simulated
async def test_one_link_is_never_deleted_twice_at_a_time() -> None:
    rig = storing()
    rig.server.saved = {"s-1": {}, "a-1": {}}

    report = await rig.run([AgentKey("s-1", "a-1")] * 5, delete)

    assert report.deleted == 5
    assert rig.server.overlaps == set()


@simulated
async def test_reads_of_one_id_do_not_wait_for_each_other() -> None:
    rig = storing()

    report = await rig.run(["s-1"] * 4, fetch_agents)

    assert report.fetched == 4
    assert report.elapsed == pytest.approx(2)


async def test_an_unknown_authority_ends_the_run_at_the_token(timeback_server: MockServer) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    listener = await asyncio.start_server(_hang_up, "127.0.0.1", 0, ssl=context)
    url = f"https://localhost:{listener.sockets[0].getsockname()[1]}"

    async with TimebackSession(timeback_server.config(base_url=url)) as session:
        bulk = session.upsert_many(students(100))
        with pytest.raises(ConnectError, match="TLS"):
            await bulk
    listener.close()
    await listener.wait_closed()

    assert counts(bulk.report) == {NOT_SENT: bulk.report.submitted}


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


# -- anything at all

ids = st.sampled_from(["p-0", "p-1", "p-2", "p-3"])
people = st.builds(lambda own, make: make(own), ids, st.sampled_from([student, user]))
links = st.builds(link, ids, ids)
junk = st.sampled_from([None, 3, "p-0", {}, {"student": {"sourcedId": "p-1"}}, student("..")])
faults = st.sampled_from(
    [refusal(503), refusal(429, Retry_After="3"), refusal(502), DROPPED, LOST, UNREACHABLE, STUCK]
    + [Answer(seconds=seconds) for seconds in (0, 5, 25)]
)


@given(
    records=st.lists(st.one_of(people, people, links, junk), max_size=30),
    answers=st.dictionaries(ids, st.lists(faults, max_size=6)),
    in_flight=st.integers(1, 6),
    form=st.sampled_from(["await", "iterate", "ordered"]),
    pace=paces,
)
@settings(max_examples=200, deadline=None)
@simulated
async def test_every_record_has_one_result_and_the_last_version_stays(
    records: list[Any],
    answers: dict[str, list[Answer]],
    in_flight: int,
    form: str,
    pace: float | None,
) -> None:
    rig = storing(max_in_flight=8)
    rig.server.answers = {own: list(script) for own, script in answers.items()}
    versions = [_versioned(record, str(n)) for n, record in enumerate(records)]
    source = Source(versions)
    bulk = rig.run(
        source if pace is None else source.stream(pace),
        in_flight=in_flight,
        ordered=form == "ordered",
    )
    results: list[ItemResult] = []

    if form == "await":
        await bulk
    else:
        results = await collect(bulk)

    assert bulk.report.submitted == sum(bulk.report.counts.values()) == len(records)
    assert (bulk.report.failed, bulk.report.unknown) == (_links_to_nobody(rig, bulk.report), 0)
    assert bulk.report.attempts == len(rig.server.seen)
    assert rig.server.peak <= in_flight
    assert rig.server.overlaps == set()
    last = {each.sourced_id: each.given_name for each in versions if _is_good(each)}
    assert {own: rig.server.saved[own]["givenName"] for own in last} == last
    if form != "await":
        assert sorted(result.index for result in results) == list(range(len(records)))
    if form == "ordered":
        assert [result.index for result in results] == list(range(len(records)))


def _versioned(record: Any, version: str) -> Any:
    is_student, is_user = isinstance(record, Student), hasattr(record, "roles")
    if is_student or is_user:
        return (student if is_student else user)(record.sourced_id, given_name=version)
    return record


def _is_good(record: Any) -> bool:
    return hasattr(record, "given_name") and record.sourced_id != ".."


def _links_to_nobody(rig: Rig[StoringServer], report: Report) -> int:
    return sum(failure.kind == "agent" and failure.status == 404 for failure in report.failures)

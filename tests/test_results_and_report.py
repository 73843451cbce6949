import json
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.records import student
from timeback_async import ItemResult, Latency, Outcome, Report
from timeback_async._report import MAX_FAILURES, Tally
from timeback_async._statistics import Histogram
from timeback_async._wire.codec import upsert
from timeback_async.errors import BadRequestError, RecordError, TimebackError, TimedOutError

GOOD = [Outcome.SAVED, Outcome.DELETED, Outcome.FETCHED]
BAD = [Outcome.FAILED, Outcome.INVALID, Outcome.NOT_SENT, Outcome.UNKNOWN]


def result(outcome: Outcome = Outcome.SAVED, index: int = 0, **facts: Any) -> ItemResult:
    return ItemResult(index=index, kind="student", sourced_id="s-1", outcome=outcome, **facts)


def failure(outcome: Outcome = Outcome.FAILED, index: int = 0, **facts: Any) -> ItemResult:
    return result(outcome, index, error=BadRequestError(400, "invaliddata"), **facts)


def tally_of(*results: ItemResult) -> Tally:
    tally = Tally()
    for each in results:
        tally.count(each.outcome, each.attempts)
        if each.error is not None:
            tally.keep(each)
    return tally


def report_of(*results: ItemResult, **facts: Any) -> Report:
    figures: dict[str, Any] = {
        "submitted": len(results),
        "throttled": 0,
        "token_requests": 1,
        "elapsed": 2.0,
        "latency": Latency(0.1, 0.2, 0.3),
        "dry_run": False,
        "stopped": "",
    }
    return tally_of(*results).report(**(figures | facts))


# -- Outcome and ItemResult


def test_an_outcome_is_its_word() -> None:
    words = ["saved", "deleted", "fetched", "failed", "invalid", "not_sent", "unknown"]

    assert [str(outcome) for outcome in Outcome] == words


@pytest.mark.parametrize("outcome", GOOD)
def test_a_result_is_ok_when_the_server_did_what_was_asked(outcome: Outcome) -> None:
    assert result(outcome).ok


@pytest.mark.parametrize("outcome", BAD)
def test_any_other_result_is_not_ok(outcome: Outcome) -> None:
    assert not result(outcome).ok


def test_the_value_is_decoded_when_it_is_first_looked_at_and_only_then() -> None:
    decoded: list[bytes] = []

    def decode(body: bytes) -> str:
        decoded.append(body)
        return body.decode()

    saved = result(_body=b"ada", _decode=decode)
    before = list(decoded)
    values = [saved.value, saved.value]

    assert before == []
    assert values == ["ada", "ada"]
    assert decoded == [b"ada"]


def test_a_value_of_none_is_decoded_once_too() -> None:
    decoded: list[bytes] = []
    saved = result(_body=b"", _decode=decoded.append)

    assert saved.value is None
    assert saved.value is None
    assert decoded == [b""]


def test_a_result_without_an_answer_has_no_value() -> None:
    assert failure().value is None


def test_the_repr_of_a_result_says_which_record_and_why_and_shows_no_answer() -> None:
    saved = result(index=7, _body=b"canary", _decode=bytes.decode)
    failed = failure(index=8)
    unknown = ItemResult(index=9, kind="", sourced_id="", outcome=Outcome.INVALID)

    assert repr(saved) == "<ItemResult 7 student 's-1' saved>"
    assert repr(failed) == "<ItemResult 8 student 's-1' failed: HTTP 400: invaliddata>"
    assert repr(unknown) == "<ItemResult 9 record '' invalid>"


def test_a_result_pickles_with_its_value_and_its_error() -> None:
    decode = upsert(student()).decode
    saved = result(_body=b'{"student":{"sourcedId":"s-1"}}', _decode=decode)

    first, second = pickle.loads(pickle.dumps([saved, failure(attempts=3)]))  # noqa: S301

    assert first.value == saved.value
    assert (second.outcome, second.attempts, str(second.error)) == (
        Outcome.FAILED,
        3,
        "HTTP 400: invaliddata",
    )


# -- Histogram


def test_before_the_first_duration_there_are_no_percentiles() -> None:
    assert Histogram().latency() == Latency(None, None, None)


@settings(deadline=None)
@given(st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=300))
def test_each_percentile_is_within_two_percent(durations: list[float]) -> None:
    histogram = Histogram()

    for seconds in durations:
        histogram.add(seconds)

    latency, ranked = histogram.latency(), sorted(durations)
    for percent, found in ((50, latency.p50), (95, latency.p95), (99, latency.p99)):
        nearest_rank = -(-percent * len(ranked) // 100)
        assert found == pytest.approx(ranked[nearest_rank - 1], rel=0.02)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-9, 1e-6])
def test_less_than_a_microsecond_counts_as_one(seconds: float) -> None:
    histogram = Histogram()

    histogram.add(seconds)

    assert histogram.latency().p50 == pytest.approx(1e-6, rel=0.02)


def test_the_percentiles_since_a_snapshot_leave_out_what_was_before() -> None:
    histogram = Histogram()
    histogram.add(10.0)
    snapshot = histogram.snapshot()

    histogram.add(0.1)

    assert histogram.latency(since=snapshot).p99 == pytest.approx(0.1, rel=0.02)
    assert histogram.latency().p99 == pytest.approx(10.0, rel=0.02)


def test_since_an_empty_snapshot_everything_counts() -> None:
    histogram = Histogram()
    snapshot = histogram.snapshot()

    histogram.add(0.1)

    assert histogram.latency(since=snapshot) == histogram.latency()


# -- Tally


def test_a_tally_counts_outcomes_attempts_and_retries() -> None:
    tally = tally_of(
        result(attempts=1),
        result(attempts=3),
        failure(Outcome.INVALID),
        failure(Outcome.FAILED, attempts=8),
    )

    assert tally.counts == dict.fromkeys(Outcome, 0) | {
        Outcome.SAVED: 2,
        Outcome.INVALID: 1,
        Outcome.FAILED: 1,
    }
    assert (tally.attempts, tally.retries) == (12, 9)


def test_only_records_that_had_their_turn_count_as_failed() -> None:
    tally = tally_of(*map(failure, BAD), result(Outcome.NOT_SENT))

    assert tally.failed == 3
    assert [each.outcome for each in tally.failures] == BAD


def test_the_first_thousand_failures_are_kept_and_all_are_counted() -> None:
    results = [failure(index=index) for index in range(MAX_FAILURES + 5)]

    report = report_of(*results)

    assert MAX_FAILURES == 1000
    assert [each.index for each in report.failures] == list(range(1000))
    assert report.failed == 1005


def test_a_lost_record_is_a_defect() -> None:
    with pytest.raises(AssertionError, match="a record was lost"):
        report_of(result(), submitted=2)


def test_a_report_does_not_change_when_the_tally_goes_on() -> None:
    tally = Tally()
    facts: dict[str, Any] = {"throttled": 0, "token_requests": 0, "elapsed": 1.0, "stopped": ""}
    report = tally.report(submitted=0, latency=Latency(), dry_run=False, **facts)

    tally.count(Outcome.FAILED, 1)
    tally.keep(failure())

    assert (report.failed, report.failures) == (0, [])


# -- Report


def test_the_counts_of_all_outcomes_have_names() -> None:
    results = [result(outcome) for count, outcome in enumerate(Outcome, 1) for _ in range(count)]

    report = report_of(*results)

    assert (report.saved, report.deleted, report.fetched, report.failed) == (1, 2, 3, 4)
    assert (report.invalid, report.not_sent, report.unknown) == (5, 6, 7)
    assert report.submitted == 28


@pytest.mark.parametrize(
    ("report", "ok"),
    [
        (report_of(), True),
        (report_of(*[result(outcome) for outcome in GOOD]), True),
        (report_of(result(), stopped="credentials refused"), False),
        (report_of(result(Outcome.NOT_SENT), dry_run=True), True),
        (report_of(failure(Outcome.INVALID), dry_run=True), False),
        (report_of(result(Outcome.NOT_SENT), dry_run=True, stopped="interrupted"), False),
        *[(report_of(result(), failure(outcome)), False) for outcome in BAD],
    ],
    ids=str,
)
def test_a_report_is_ok_when_every_record_did_what_was_asked(report: Report, ok: bool) -> None:
    assert report.ok is ok


@pytest.mark.parametrize(("elapsed", "rate"), [(2.0, 1.5), (0.0, 0.0)])
def test_the_rate_counts_the_records_that_did_what_was_asked(elapsed: float, rate: float) -> None:
    results = [*(result(outcome) for outcome in GOOD), failure()]

    assert report_of(*results, elapsed=elapsed).rate == rate


def test_the_figures_go_to_a_machine_as_json() -> None:
    report = report_of(result(attempts=2), failure(attempts=1), throttled=1, elapsed=0.12345)

    assert json.loads(json.dumps(report.as_dict())) == {
        "submitted": 2,
        "saved": 1,
        "deleted": 0,
        "fetched": 0,
        "failed": 1,
        "invalid": 0,
        "not_sent": 0,
        "unknown": 0,
        "ok": False,
        "attempts": 3,
        "retries": 1,
        "throttled": 1,
        "token_requests": 1,
        "elapsed": 0.123,
        "rate": 8.1,
        "latency": {"p50": 0.1, "p95": 0.2, "p99": 0.3},
        "dry_run": False,
        "stopped": "",
    }


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (
            report_of(result(attempts=2), failure(attempts=1), throttled=1),
            (
                "2 records: 1 saved, 1 failed; 3 requests (1 retries, 1 throttled), "
                "1 for tokens, 2.0 s, 0 records/s"
            ),
        ),
        (
            report_of(stopped="credentials refused"),
            (
                "0 records: no records; 0 requests (0 retries, 0 throttled), "
                "1 for tokens, 2.0 s, 0 records/s; stopped: credentials refused"
            ),
        ),
        (
            report_of(*[result(Outcome.NOT_SENT)] * 1200, dry_run=True),
            "1,200 records checked, nothing sent: 1,200 not_sent",
        ),
    ],
)
def test_a_report_reads_well(report: Report, text: str) -> None:
    assert str(report) == text
    assert repr(report) == f"<Report {text}>"


def test_nothing_is_raised_when_all_is_ok() -> None:
    report_of(result()).raise_for_failures()


def test_failures_are_raised_with_the_report_attached_and_the_first_of_them_named() -> None:
    report = report_of(result(), failure(index=1), failure(index=2))

    with pytest.raises(TimebackError) as caught:
        report.raise_for_failures()

    assert caught.value.report is report
    assert str(caught.value) == f"{report}; the first: {report.failures[0]!r}"


def test_a_run_that_stopped_without_a_failure_raises_too() -> None:
    report = report_of(result(), stopped="interrupted")

    with pytest.raises(TimebackError, match=r"stopped: interrupted$"):
        report.raise_for_failures()


def test_a_report_and_the_error_that_carries_it_pickle() -> None:
    report = report_of(
        result(attempts=1),
        failure(index=1),
        result(Outcome.INVALID, 2, error=RecordError("grades", "is required")),
        result(Outcome.UNKNOWN, 3, error=TimedOutError("no answer")),
    )
    with pytest.raises(TimebackError) as caught:
        report.raise_for_failures()

    alone, attached = pickle.loads(pickle.dumps((report, caught.value)))  # noqa: S301

    for copied in (alone, attached.report):
        assert copied.as_dict() == report.as_dict()
        assert [repr(each) for each in copied.failures] == [repr(each) for each in report.failures]


def test_a_percentile_of_nothing_stays_empty_on_its_way_to_a_machine() -> None:
    report = report_of(latency=Latency())

    assert report.as_dict()["latency"] == {"p50": None, "p95": None, "p99": None}

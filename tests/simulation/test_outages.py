"""Outages of every kind are sat out without giving a record up; a bad record still ends."""

import pytest

from tests.support.amounts import IS_LONG
from timeback_async._flow.retries import Retries
from timeback_async.errors import TimebackError

from .rivals import Fixed
from .runs import simulated
from .servers import Bucket, Fault, Outage, Server

KINDS: dict[str, tuple[Fault, ...]] = {
    "refused": ("refused",),
    "timed out": ("timed out",),
    "dropped": ("dropped",),
    "cut off": ("cut off",),
    "html": ("html",),
    "429": ("429",),
    "429, 5": ("429, 5",),
    "500": ("500",),
    "502": ("502",),
    "503": ("503",),
    "503, 1": ("503, 1",),
    "503, 5": ("503, 5",),
    "504": ("504",),
    "mixed": ("refused", "502", "503", "500", "dropped", "429"),
    "500 or timed out": ("500", "timed out"),
}
# A time-out that begins in the outage ends `attempt_timeout` later.
LONGEST = 260.0

EVERY = [(kind, n, begin) for kind in KINDS for n in (1, 8, 64) for begin in (0.0, 3.0)]
USUAL = [(kind, 8, 0.0) for kind in KINDS] + [("mixed", 1, 3.0), ("503", 64, 3.0)]


@pytest.mark.parametrize(("kind", "in_flight", "begin"), EVERY if IS_LONG else USUAL)
def test_no_record_is_given_up_for_an_outage(kind: str, in_flight: int, begin: float) -> None:
    end = begin + LONGEST
    outages = [Outage(begin, end, KINDS[kind])]
    run = simulated(lambda: Server(latency=0.2, outages=outages), end + 5, in_flight=in_flight)

    assert run.report.ok
    assert len(run.server.failed) <= 4 * in_flight + 320
    # A worker waits for its time-out.
    longest = 30 if "timed out" in KINDS[kind] and in_flight == 1 else 6
    assert min(at for at in run.server.accepted if at >= end) - end <= longest


@pytest.mark.parametrize("kind", ["refused", "503", "500", "dropped", "429", "mixed"])
@pytest.mark.parametrize("in_flight", [1, 64])
def test_nor_for_one_that_comes_again_and_again(kind: str, in_flight: int) -> None:
    outages = [Outage(at, at + 4.0, KINDS[kind]) for at in range(3, 123, 10)]
    run = simulated(lambda: Server(latency=0.2, outages=outages), 130.0, in_flight=in_flight)

    assert run.report.ok


@pytest.mark.parametrize("kind", ["503", "500"])
def test_nor_where_the_window_is_much_larger_than_what_is_in_flight(kind: str) -> None:
    outages = [Outage(1.0, 261.0, KINDS[kind])]
    run = simulated(
        lambda: Server(latency=0.2, outages=outages), 265.0, in_flight=1, max_in_flight=64
    )

    assert run.report.ok
    assert len(run.server.failed) <= 200


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_stays_down_ends_the_run_after_our_patience(kind: str) -> None:
    outages = [Outage(2.0, 1e9, KINDS[kind])]
    with pytest.raises(TimebackError) as caught:
        simulated(lambda: Server(outages=outages), 7200.0, in_flight=8)

    report = caught.value.report
    assert report is not None
    # From the first failure; then a time-out or a Retry-After may be under way.
    assert 300 <= report.elapsed <= 2 + 300 + 70
    assert report.submitted == report.saved + report.failed + report.unknown + report.not_sent


@pytest.mark.parametrize(("fault", "attempts"), [("500", 4), ("503", 8), ("dropped", 9)])
@pytest.mark.parametrize("in_flight", [1, 64])
def test_a_record_that_always_fails_ends_and_holds_nobody_up(
    fault: Fault, attempts: int, in_flight: int
) -> None:
    bad = {f"s-{number}": fault for number in (199, 399, 599)}
    run = simulated(lambda: Server(poison=bad), records=650, in_flight=in_flight)
    good = simulated(Server, records=650, in_flight=in_flight)

    assert run.report.saved == 647
    # Some may not count: the bad records are also witnesses for each other.
    assert all(attempts <= failure.attempts <= attempts + 3 for failure in run.report.failures)
    saved_by = max(run.server.accepted)
    # A window of one has no room for doubt: its first failures slow it down.
    slower = 1.25 if in_flight > 1 else 1.75
    assert saved_by <= slower * max(good.server.accepted) + 1


@pytest.mark.parametrize(
    ("fault", "attempts"), [("500", 4), ("503", 8), ("dropped", 9), ("timed out", 8)]
)
def test_so_does_one_that_is_alone(fault: Fault, attempts: int) -> None:
    run = simulated(lambda: Server(poison={"s-0": fault}), records=1)

    (failure,) = run.report.failures
    assert failure.attempts == attempts


def test_a_limit_told_by_failures_uses_up_no_attempts() -> None:
    run = simulated(lambda: Server(Bucket(5, 5), says="500"), 60.0)

    assert run.report.ok


def test_control_where_every_failure_counts_such_a_limit_and_an_outage_cost_records(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Retries, "_blame", lambda self, call, error: 1.0)
    limited = simulated(lambda: Server(Bucket(5, 5), says="500"), 20.0, window=Fixed())
    outages = [Outage(3.0, 263.0, ("503",))]
    down = simulated(lambda: Server(outages=outages), 265.0, in_flight=8)

    assert limited.report.failed > 5
    assert down.report.failed > 0

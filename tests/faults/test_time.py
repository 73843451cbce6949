"""Clocks that jump, servers that are away, and limits that nobody told us."""

import asyncio
import random
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest

from tests.simulation import runs
from tests.simulation.runs import Run
from tests.simulation.servers import Bucket, Outage, Server
from tests.support.case import case, private_student, private_students
from tests.support.clock import run_simulated, simulated
from tests.support.config import config
from tests.support.figures import figure
from tests.support.rig import storing
from tests.support.scripted import ScriptedServer, Sent, answer, grant
from tests.support.storing import OK, UNREACHABLE
from timeback_async import Report, Student, TimebackSession
from timeback_async._wire import status as _status
from timeback_async.errors import TimebackError

HOUR = 3600.0
EPOCH = 1_800_000_000.0


# -- the wall clock is set in the middle of a run


class WallClock:
    """The time of day on simulated time, until somebody sets it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return EPOCH + asyncio.get_running_loop().time() + self.ahead


def in_spite_of(step: float, monkeypatch: pytest.MonkeyPatch, *, dated: bool = True) -> Report:
    """Run while the wall clock is set after a third of it; the server names times of day."""
    wall, server = WallClock(), WallClock()
    monkeypatch.setattr(time, "time", wall)
    monkeypatch.setattr(_status.retry_after, "__defaults__", (wall,))

    def judge(sent: Sent) -> Any:
        number = len(transport.sent)
        if number % 40:
            return answer()
        until = formatdate(server() + (5 if number % 200 == 0 else 1), usegmt=True)
        hint = {"Date": formatdate(server(), usegmt=True)} if dated else {}
        return answer(429, Retry_After=until, **hint)

    transport = ScriptedServer(judge, grants=[grant(expires_in=50)], latency=0.2)

    async def main() -> Report:
        random.seed(0)
        asyncio.get_running_loop().call_later(30, setattr, wall, "ahead", step)
        async with TimebackSession(config(max_in_flight=4), transport=transport) as session:
            return await session.upsert_many(private_students(1200))

    return run_simulated(main())


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_setting_the_clock_in_the_middle_of_a_run_changes_nothing(
    step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = in_spite_of(0.0, monkeypatch)

    report = in_spite_of(step, monkeypatch)

    assert report == undisturbed
    assert report.saved == 1200
    assert report.throttled >= 30
    assert report.token_requests >= 2
    assert report.elapsed > 90
    more = report.attempts - undisturbed.attempts, report.elapsed - undisturbed.elapsed
    figure(f"wall clock set by {step:+.0f} s: requests more, seconds more", more)


def test_the_comparison_finds_a_clock_that_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A control: where the server's Date is missing, our own clock has to do."""
    undisturbed = in_spite_of(0.0, monkeypatch, dated=False)

    assert in_spite_of(HOUR, monkeypatch, dated=False) != undisturbed


@pytest.mark.parametrize("step", [HOUR, -HOUR])
async def test_setting_the_clock_costs_no_request_over_real_sockets(
    step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time

    def stepping() -> Iterator[Student]:
        yield from map(private_student, range(100))
        monkeypatch.setattr(time, "time", lambda: real() + step)
        yield from map(private_student, range(100, 200))

    async with case() as it:
        report = await it.upsert(stepping())

        assert report.saved == report.attempts == 200
        assert it.server.token_requests == 1
        assert 0 <= report.elapsed < 60


# -- outages


@pytest.mark.parametrize(
    ("seconds", "in_flight"),
    [
        (2.0, 64),
        (10.0, 64),
        (30.0, 64),
        (300.0, 64),
        (2.0, 1),
        (10.0, 1),
        (30.0, 1),
        (60.0, 1),
        (290.0, 1),
    ],
)
def test_an_outage_within_our_patience_costs_no_record(seconds: float, in_flight: int) -> None:
    begin, end = 5.0, 5.0 + seconds
    run = runs.simulated(
        lambda: Server(outages=[Outage(begin, end)], latency=0.3), end + 6, in_flight=in_flight
    )

    assert run.report.ok
    assert run.report.saved == len(run.server.accepted)
    assert min(at for at in run.server.accepted if at >= end) - end <= 5
    assert len(run.server.failed) <= 250
    figure(
        f"outage of {seconds:g} s, {in_flight} in flight: requests in it", len(run.server.failed)
    )


@simulated
async def test_an_outage_beyond_our_patience_ends_a_run_that_can_be_resumed() -> None:
    rig = storing(max_in_flight=64, adaptive=True)
    records = list(private_students(1000))
    asyncio.get_running_loop().call_later(8, setattr, rig.server, "default", UNREACHABLE)

    with pytest.raises(TimebackError) as caught:
        await rig.run(records)
    report = caught.value.report
    assert report is not None
    into = report.attempts - report.saved
    rig.server.default = OK
    rest = [records[result.index] for result in report.failures] + records[report.submitted :]
    again = await rig.run(rest)

    assert report.submitted == sum(report.counts.values()) == report.saved + len(report.failures)
    assert 0 < report.saved < report.submitted < 1000
    assert report.saved + len(rest) == 1000
    assert into <= 300
    assert again.ok
    assert rig.server.saved.keys() == {each.sourced_id for each in records}
    figure("outage without an end: seconds until the run ends", round(report.elapsed))
    figure("outage without an end: requests in it", into)


# -- a limit that is not known


def keeps_to_the_limit(run: Run) -> bool:
    return run.report.ok and run.wasted <= 0.02


def test_of_our_requests_hardly_any_are_turned_away() -> None:
    run = runs.simulated(lambda: Server(Bucket(100)), 60.0)

    assert keeps_to_the_limit(run)
    figure("100/s bucket, ours: share turned away", round(run.wasted, 4))


def test_the_check_finds_a_client_that_backs_off_for_each_record_alone() -> None:
    run = runs.simulated(lambda: Server(Bucket(100)), 10.0, adaptive=False)

    assert not keeps_to_the_limit(run)
    assert run.wasted > 0.2
    figure("100/s bucket, control, a fixed 64 with jitter: share turned away", round(run.wasted, 4))

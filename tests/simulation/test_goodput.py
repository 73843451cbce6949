"""What the window reaches against servers whose limit it does not know, on simulated time."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.support.amounts import IS_LONG
from timeback_async.errors import ConnectError, DeadlineError

from .rivals import Aimd, Fixed
from .runs import shared, simulated, together
from .servers import Bucket, Fault, Outage, Quota, Server


def dropping(now: float) -> float:
    return 40.0 if 60 <= now < 120 else 200.0


def noisy(share: float, *failing: Fault) -> Server:
    return Server(failures=share, failing=failing)


class Scenario(NamedTuple):
    server: Callable[[], Server]
    limit: float
    goodput: float
    wasted: float
    seconds: float = 120.0


SCENARIOS = {
    "bucket": Scenario(lambda: Server(Bucket(100)), 100, 0.97, 0.02),
    "bucket, Retry-After": Scenario(lambda: Server(Bucket(100), hint=True), 100, 0.97, 0.02),
    "window, Retry-After": Scenario(lambda: Server(Quota(1000, 10), hint=True), 100, 0.97, 0.02),
    # Its hints are rounded up to whole seconds, and obeyed.
    "sliding window, Retry-After": Scenario(
        lambda: Server(Quota(1000, 10, sliding=True), hint=True), 100, 0.92, 0.02
    ),
    "window": Scenario(lambda: Server(Quota(1000, 10)), 100, 0.95, 0.12),
    "sliding window": Scenario(lambda: Server(Quota(1000, 10, sliding=True)), 100, 0.95, 0.12),
    "rejections cost quota": Scenario(lambda: Server(Bucket(400, costly=True)), 400, 0.93, 0.02),
    "200, 40, 200 a second": Scenario(
        lambda: Server(Bucket(dropping)), 440 / 3, 0.92, 0.02, seconds=180.0
    ),
    "10 % random 503": Scenario(lambda: Server(Bucket(50), failures=0.1), 45, 0.94, 0.12),
    "bare 503": Scenario(lambda: Server(Bucket(100), says="503"), 100, 0.97, 0.025),
    "bare 500, 10 a second": Scenario(lambda: Server(Bucket(10, 10), says="500"), 10, 0.92, 0.09),
    "10 at once, bare 503": Scenario(lambda: Server(at_once=10, says="503"), 200, 0.95, 0.03),
    "no limit, 1 % random 429": Scenario(lambda: noisy(0.01, "429"), 1280, 0.9, 0.0, seconds=30.0),
    "5 at once": Scenario(lambda: Server(at_once=5), 100, 0.94, 0.02),
    "5 a second, bare 503": Scenario(lambda: Server(Bucket(5, 5), says="503"), 5, 0.93, 0.12),
    "5 a second, 1 ms away": Scenario(
        lambda: Server(Bucket(5, 5), says="503", latency=0.001), 5, 0.95, 0.15
    ),
    "500 a second, bare 503": Scenario(
        lambda: Server(Bucket(500, 100), says="503"), 500, 0.97, 0.02, seconds=60.0
    ),
    "50 a second and 1 % random 429": Scenario(
        lambda: Server(Bucket(50), failures=0.01, failing=["429"]), 50, 0.95, 0.04
    ),
    "no limit, 10 % random 429": Scenario(
        lambda: noisy(0.1, "429"), 1280 * 0.9, 0.95, 0.0, seconds=30.0
    ),
    "no limit, 5 % random 429, 503": Scenario(
        lambda: noisy(0.05, "429", "503"), 1280 * 0.95, 0.95, 0.0, seconds=30.0
    ),
}

# With fewer requests: in half of the time, or of a lower limit.
SHORT = {
    name: each._replace(seconds=min(60.0, each.seconds)) for name, each in SCENARIOS.items()
} | {
    "rejections cost quota": Scenario(lambda: Server(Bucket(100, costly=True)), 100, 0.88, 0.04),
    "200, 40, 200 a second": Scenario(
        lambda: Server(Bucket(lambda now: dropping(now) / 2)), 220 / 3, 0.92, 0.02, seconds=180.0
    ),
    "no limit, 1 % random 429": Scenario(lambda: noisy(0.01, "429"), 1280, 0.9, 0.0, seconds=15.0),
    "no limit, 5 % random 429, 503": Scenario(
        lambda: noisy(0.05, "429", "503"), 1280 * 0.95, 0.94, 0.0, seconds=20.0
    ),
}
CHOSEN = SCENARIOS if IS_LONG else SHORT


@pytest.mark.parametrize("scenario", CHOSEN.values(), ids=CHOSEN)
def test_a_hidden_limit_is_used_and_kept_to(scenario: Scenario) -> None:
    run = simulated(scenario.server, scenario.seconds)

    assert run.report.ok
    assert run.report.attempts == run.server.requests
    assert run.goodput(scenario.limit) >= scenario.goodput
    assert run.wasted <= scenario.wasted


def test_without_a_limit_it_is_as_fast_as_a_fixed_window() -> None:
    ours = simulated(Server, 10.0)
    fixed = simulated(Server, 10.0, adaptive=False)

    assert len(ours.server.accepted) >= 0.98 * len(fixed.server.accepted)
    assert ours.wasted == 0


@pytest.mark.parametrize("seconds", [2.0, 10.0, 30.0, 300.0])
def test_an_outage_is_sat_out(seconds: float) -> None:
    begin, end = 3.0, 3.0 + seconds
    run = simulated(lambda: Server(latency=0.2, outages=[Outage(begin, end)]), end + 10)

    assert run.report.ok
    assert len(run.server.failed) <= 250
    assert min(at for at in run.server.accepted if at >= end) - end <= 5
    before = sum(begin - 1 <= at < begin for at in run.server.accepted)
    after = sum(end + 9 <= at < end + 10 for at in run.server.accepted)
    assert after >= 0.95 * before


def test_a_server_that_stays_down_stops_the_run() -> None:
    with pytest.raises((ConnectError, DeadlineError)) as caught:
        simulated(lambda: Server(outages=[Outage(5.0, 1e9)]), 7200.0)

    report = caught.value.report
    assert report is not None
    assert 305 <= report.elapsed <= 330
    assert report.submitted == report.saved + report.failed + report.not_sent
    assert report.not_sent > 0
    assert report.stopped


def test_two_clients_share_one_limit_fairly() -> None:
    one, other = together(Bucket(100), 120.0)

    late = [sum(at >= 40 for at in client) for client in (one, other)]

    assert sum(late) ** 2 / (2 * sum(n * n for n in late)) >= 0.95
    assert sum(late) >= 0.95 * 100 * 80


def of_limit(servers: list[Server], limit: float) -> tuple[float, float]:
    """Return the share of a limit that was used once it was found, and of requests turned away."""
    accepted = sorted(at for server in servers for at in server.accepted)
    steady = accepted[len(accepted) // 4 :]
    turned_away = sum(len(server.rejected) for server in servers)
    return (
        len(steady) / (steady[-1] - steady[0]) / limit,
        turned_away / sum(server.requests for server in servers),
    )


def test_the_lanes_of_a_fleet_use_a_hidden_limit_together() -> None:
    used, turned_away = of_limit(shared(Bucket(400), 2, 20_000, processes=2), 400)

    assert used >= 0.9
    assert turned_away <= 0.02


def test_control_lanes_that_do_not_know_of_each_other_take_each_other_for_noise() -> None:
    _, turned_away = of_limit(shared(Bucket(400), 2, 20_000, processes=1), 400)

    assert turned_away > 0.04


# -- controls: what people do in place of it does not pass


@pytest.mark.parametrize(("rival", "least"), [(Fixed, 0.5), (Aimd, 0.15)])
def test_backing_off_for_each_record_alone_wastes_many_times_as_much(
    rival: Callable[[], object], least: float
) -> None:
    run = simulated(lambda: Server(Bucket(100)), 15.0, window=rival())

    assert run.report.ok
    assert run.wasted >= least

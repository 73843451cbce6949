from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timeback_async._flow.adaptive import (
    CALM_PART,
    CUT,
    DEEPEST_CUT,
    DOUBLE_EVERY,
    DOUBLE_FROM,
    FIRST_PROBE,
    LAST_PROBE,
    LAST_PROBE_OVERLOAD,
    SETTLED_AFTER,
    SHORTEST_CYCLE,
    SMALLEST,
    START,
    AdaptiveWindow,
)
from timeback_async._flow.window import DRY_FROM
from timeback_async._statistics import WindowMode


def opened(limit: int = 64, size: int | None = None) -> AdaptiveWindow:
    """Return one that has grown to `size` at the instant 0, with answers after 50 ms."""
    window = AdaptiveWindow(limit, jitter=lambda: 1.0)
    while size is not None and window.size(0.0) < size:
        window.succeeded(0.05, 0.0)
    return window


def throttle(window: AdaptiveWindow, now: float) -> None:
    window.throttled(0.0, now)


def cut_of(window: AdaptiveWindow) -> tuple[object, ...]:
    """Return what changes with each cut."""
    return window.mode, window._cut_at, window._too_much


def too_many(window: AdaptiveWindow, now: float, served: int = 0) -> None:
    """Let failures come until they cut the window, each with so many answers before it."""
    before = cut_of(window)
    for _ in range(1000):
        for _ in range(served):
            window.succeeded(0.05, now)
        window.failed(now)
        if cut_of(window) != before:
            return
    raise AssertionError


def limited(too_much: float = 20.0) -> AdaptiveWindow:
    """Return one that was cut at the instant 0, where so many had been too much."""
    window = opened(size=64)
    window._is_searching = False
    window._limit_to(too_much * CUT, 0.0)
    return window


def dry(fail: Callable[[AdaptiveWindow, float], None], size: int = 64) -> AdaptiveWindow:
    window = opened(size=size)
    for _ in range(200):
        if window.mode is not WindowMode.DRY:
            fail(window, 0.0)
    assert window.mode is WindowMode.DRY
    return window


def test_it_begins_small_and_grows_with_every_success_up_to_its_limit() -> None:
    window, sizes = opened(limit=8), []
    for _ in range(6):
        sizes.append(window.size(0.0))
        window.succeeded(0.05, 0.0)

    assert sizes == [START, START + 1, START + 2, START + 3, 8, 8]
    assert window.mode is WindowMode.OPEN


def test_a_limit_below_the_beginning_is_kept() -> None:
    assert opened(limit=2).size(0.0) == 2


@pytest.mark.parametrize("fail", [AdaptiveWindow.failed, throttle])
def test_a_few_failures_halve_what_was_found_by_growing(
    fail: Callable[[AdaptiveWindow, float], None],
) -> None:
    window = opened(size=40)
    for _ in range(2):
        fail(window, 0.0)
    sizes = [window.size(0.0)]

    fail(window, 0.0)

    assert sizes == [40]
    assert window.size(0.0) == pytest.approx(20)


def test_it_is_halved_again_until_it_is_below_the_limit() -> None:
    window = opened(size=40)
    for epoch in range(3):
        too_many(window, epoch * 0.11)
        window.succeeded(0.05, epoch * 0.11)

    assert window.size(0.22) == pytest.approx(5, rel=0.06)  # it grows meanwhile


def test_later_throttles_of_one_epoch_change_nothing() -> None:
    window = opened(size=40)
    too_many(window, 0.0)

    throttle(window, 0.099)

    assert window.size(0.099) == pytest.approx(20, rel=0.02)


@pytest.mark.parametrize(
    ("since", "share"),
    [
        (0.0, CUT),
        (SHORTEST_CYCLE, 1.0),
        (SHORTEST_CYCLE * DOUBLE_FROM, 1 + (1 - CUT) / 8),
        (SHORTEST_CYCLE * (DOUBLE_FROM + DOUBLE_EVERY), 2 + (1 - CUT) / 4),
    ],
)
def test_it_grows_back_with_time_and_then_doubles(since: float, share: float) -> None:
    assert limited(20.0).size(since) == pytest.approx(20 * share)


def test_it_never_grows_beyond_its_limit() -> None:
    assert limited(20.0).size(1e6) == 64


def test_a_cut_is_the_deeper_the_more_failed() -> None:
    few, many = limited(20.0), limited(20.0)
    before = few.size(6.0)

    too_many(few, 6.0, served=99)
    too_many(many, 6.0, served=2)

    assert few.size(6.0) == pytest.approx(before * (CUT - 0.01), rel=1e-3)
    assert many.size(6.0) == pytest.approx(before * max(DEEPEST_CUT, CUT - 1 / 3), rel=1e-3)


@pytest.mark.parametrize(("size", "failures"), [(1.0, 1), (20.0, 11), (60.0, 31)])
def test_a_larger_window_is_cut_for_more_failures(size: float, failures: int) -> None:
    window = limited(size)
    for _ in range(100):
        window.succeeded(0.05, 5.0)  # the calm part of the cycle is over

    before, found = cut_of(window), 0
    while cut_of(window) == before:
        window.failed(5.0)
        window.succeeded(0.05, 5.0)
        found += 1

    assert found == failures


def test_failures_that_stay_after_a_cut_are_noise_and_undo_it() -> None:
    window = limited(20.0)
    too_many(window, 6.0, served=9)
    size = window.size(6.0)

    for number in range(200):
        window.succeeded(0.05, 8.0)
        if number % 9 == 8:
            window.failed(8.0)
    window.succeeded(0.05, 6.0 + CALM_PART * SHORTEST_CYCLE)

    assert window.size(8.6) == pytest.approx(size / CUT, rel=0.01)
    before = cut_of(window)
    for number in range(2000):
        window.failed(9.0) if number % 10 == 0 else window.succeeded(0.05, 9.0)
    assert cut_of(window) == before
    too_many(window, 9.0, served=2)


def test_a_cut_that_helped_stays_and_noise_is_forgotten() -> None:
    window = limited(20.0)
    window._noise = 0.1
    too_many(window, 6.0, served=4)
    size = window.size(6.0)

    for _ in range(300):
        window.succeeded(0.05, 8.0)
    window.succeeded(0.05, 6.0 + CALM_PART * SHORTEST_CYCLE)

    assert window._noise < 0.02
    assert window.size(8.6) <= size / CUT


def test_what_is_known_of_noise_is_never_more_than_what_stays_after_a_limit() -> None:
    """A window that shares a limit may take the others for noise, while all of them begin."""
    window = limited(20.0)
    window._noise = 0.18
    too_many(window, 6.0, served=1)  # half of them: it was a limit

    for _ in range(600):
        window.succeeded(0.05, 8.0)
    window.succeeded(0.05, 6.0 + CALM_PART * SHORTEST_CYCLE)

    assert window._noise < 0.02


@pytest.mark.parametrize("is_throttle", [True, False])
def test_where_a_limit_is_shared_throttled_answers_are_no_noise(is_throttle: bool) -> None:
    window, now = AdaptiveWindow(64, processes=2, jitter=lambda: 1.0), 0.0
    fail = throttle if is_throttle else AdaptiveWindow.failed
    for number in range(3000):  # one answer in twenty fails, whatever is sent
        now += 0.05 / window.size(now)
        fail(window, now) if number % 20 == 19 else window.succeeded(0.05, now)

    assert (window._noise == 0.0) == is_throttle
    assert (window.size(now) < 10) == is_throttle


def test_those_that_share_a_limit_begin_and_grow_together_like_one() -> None:
    window = AdaptiveWindow(64, processes=4)
    assert window.size(0.0) == START / 4
    for _ in range(40):
        window.succeeded(0.05, 0.0)

    assert window.size(0.0) == START / 4 + 10


@pytest.mark.parametrize(
    ("size", "seconds"), [(40.0, 5.0), (2.0, 5.0), (1.0, 10.0), (0.5, 20.0), (0.05, 60.0)]
)
def test_a_cycle_has_enough_requests_and_at_most_a_minute(size: float, seconds: float) -> None:
    window = limited(size)

    assert window.size(seconds) == pytest.approx(size)


def test_however_often_it_is_throttled_something_is_left() -> None:
    window = limited(20.0)
    for number in range(200):
        throttle(window, 10.0 * number)
        window.succeeded(0.05, 10.0 * number)
        window._cut_at -= 9.0  # as if nothing had grown

    assert window.size(2000.0) >= SMALLEST * CUT


@pytest.mark.parametrize(
    ("size", "gaps"),
    [
        (0.5, [0.1]),
        (2.5, [0.01, 0.02]),
    ],
)
def test_requests_keep_their_distance_and_a_part_of_one_keeps_all_of_it(
    size: float, gaps: list[float]
) -> None:
    window, now, found = limited(size / CUT), 0.0, []
    assert window.admit(now) == 0.0
    window.in_flight -= size < 1

    for _ in gaps:
        found.append(window.admit(now))
        now += found[-1] + 1e-9
        assert window.admit(now) == 0.0

    assert found == pytest.approx(gaps, abs=0.006)


def test_a_few_random_failures_change_nothing() -> None:
    window = opened(size=64)
    for number in range(3000):
        if number % 100 == 0:
            window.failed(0.0)
        else:
            window.succeeded(0.05, 0.0)

    assert (window.mode, window.size(0.0)) == (WindowMode.OPEN, 64)


@pytest.mark.parametrize(("in_flight", "failures"), [(1, DRY_FROM), (10, 10)])
def test_as_many_failures_as_are_in_flight_dry_it_up(in_flight: int, failures: int) -> None:
    window = opened(size=64)
    window.in_flight = in_flight
    for _ in range(failures - 1):
        window.failed(0.0)
        assert window.mode is not WindowMode.DRY

    window.failed(0.0)

    assert (window.mode, window.size(0.0)) == (WindowMode.DRY, 1.0)


@pytest.mark.parametrize(
    ("fail", "longest"),
    [(AdaptiveWindow.failed, LAST_PROBE), (throttle, LAST_PROBE_OVERLOAD)],
)
def test_probes_come_at_longer_and_longer_intervals(
    fail: Callable[[AdaptiveWindow, float], None], longest: float
) -> None:
    window, now, gaps = dry(fail), 0.0, []
    for _ in range(8):
        gaps.append(window.admit(now))
        now += gaps[-1]
        assert window.admit(now) == 0.0
        fail(window, now)
        window.release()

    assert gaps == pytest.approx([min(longest, FIRST_PROBE * 2**n) for n in range(8)])


def test_what_was_under_way_before_does_not_put_the_probe_off() -> None:
    window = dry(AdaptiveWindow.failed)
    probe_at = window._opens_at

    window.failed(probe_at - 0.01)

    assert window._opens_at == probe_at


def test_after_an_outage_it_grows_quickly_to_a_little_less() -> None:
    window = dry(AdaptiveWindow.failed)

    window.succeeded(0.05, 30.0)
    assert (window.mode, window.size(30.0), window._opens_at) == (WindowMode.OPEN, START, 30.0)
    for _ in range(51):
        window.succeeded(0.05, 30.1)

    assert window.mode is WindowMode.LIMITED
    assert window.size(30.1) == pytest.approx(64 * CUT)
    assert window.size(30.1 + SHORTEST_CYCLE) == pytest.approx(64)


def test_a_window_that_is_dry_again_at_once_was_too_large() -> None:
    window = dry(AdaptiveWindow.failed)
    window.succeeded(0.05, 10.0)
    for _ in range(DRY_FROM):
        window.failed(10.1)

    window.succeeded(0.05, 20.0)

    assert window.mode is WindowMode.LIMITED
    assert window.size(20.0) < START


def test_one_that_has_served_well_since_then_was_not() -> None:
    window = dry(AdaptiveWindow.failed)
    for _ in range(SETTLED_AFTER + 1):
        window.succeeded(0.05, 10.0)
    for _ in range(DRY_FROM):
        window.failed(10.1)

    window.succeeded(0.05, 20.0)

    assert window.mode is WindowMode.OPEN


def test_a_server_that_let_us_in_for_a_tenth_of_the_time_gets_a_tenth() -> None:
    window = opened(size=64)  # began at -0.05
    for _ in range(64):
        throttle(window, 1.2)
    assert window.mode is WindowMode.DRY

    window.succeeded(0.05, 10.0)

    assert window.size(10.0) == pytest.approx(64 * 1.25 / 10.05)


def test_a_shut_gate_is_spread_out_too_and_nothing_grows_meanwhile() -> None:
    window = opened(size=64)

    window.throttled(7.5, 2.45)

    assert window._opens_at == 9.95
    assert window.size(5.0) == window.size(9.95) == pytest.approx(64 * 0.25)


@pytest.mark.parametrize("limit", [1, 4, 64])
def test_a_short_pause_after_long_use_takes_no_more_than_a_fifth(limit: int) -> None:
    window = opened(limit=limit, size=limit)
    window.succeeded(0.05, 0.0)

    window.throttled(2.0, 1000.0)

    assert window.size(1002.0) == pytest.approx(limit * CUT)


def test_a_probe_that_is_told_when_to_come_back_is_followed_by_one_then() -> None:
    window = dry(AdaptiveWindow.failed)

    window.throttled(30.0, 1.0)

    assert (window.mode, window.dry_since) == (WindowMode.DRY, 0.0)
    assert window.admit(1.0) == 30.0
    assert window.admit(31.0) == 0.0


def test_a_shut_gate_takes_at_least_a_fifth_and_leaves_at_least_a_tenth() -> None:
    long_used, hardly_used = opened(size=64), opened(size=64)

    long_used.throttled(2.0, 1000.0)
    hardly_used.throttled(300.0, 0.0)

    assert long_used.size(1002.0) == pytest.approx(64 * CUT)
    assert hardly_used.size(300.0) == pytest.approx(6.4)


def test_the_round_trip_is_smoothed() -> None:
    window = AdaptiveWindow(8)
    assert window.round_trip == 0.0

    window.succeeded(0.8, 1.0)
    window.succeeded(1.6, 2.0)

    assert window.round_trip == pytest.approx(0.9)


@pytest.mark.parametrize("max_rate", [None, 5.0, 100.0])
def test_a_rate_does_not_hurry_the_probes(max_rate: float | None) -> None:
    window, now, sent = AdaptiveWindow(64, max_rate, jitter=lambda: 1.0), 0.0, 0
    while now < 30:
        wait = window.admit(now)
        if wait == 0.0:
            sent += 1
            now += 0.001
            window.failed(now)
            window.release()
        else:
            now += wait

    assert sent == 16


def test_the_rate_holds_whatever_the_mode() -> None:
    window, now, sent = AdaptiveWindow(64, 1.0, jitter=lambda: 1.0), 0.0, []
    while now < 60:
        wait = window.admit(now)
        if wait == 0.0:
            sent.append(now)
            now += 0.05
            window.failed(now) if len(sent) % 9 < 7 else window.succeeded(0.05, now)
            window.release()
        else:
            now += wait

    assert min(b - a for a, b in pairwise(sent[1:])) >= 1.0 - 1e-9


def test_a_request_that_hangs_does_not_keep_the_probes_from_being_sent() -> None:
    window = opened(size=4)
    for _ in range(4):
        assert window.admit(0.0) == 0.0
    for _ in range(DRY_FROM):
        window.failed(0.1)
    for _ in range(3):
        window.release()

    assert window.mode is WindowMode.DRY
    assert window.admit(0.1) == pytest.approx(FIRST_PROBE)
    assert window.admit(0.1 + FIRST_PROBE) == 0.0
    # Should the probe hang as well, there is another.
    assert window.admit(0.1 + FIRST_PROBE + 1.0) == pytest.approx(LAST_PROBE - 1.0)


def test_a_longer_retry_after_shuts_the_gate_for_longer_without_growing() -> None:
    window = opened(size=64)
    window.throttled(5.0, 2.0)
    small = window.size(7.0)

    window.throttled(60.0, 2.0)

    assert window.size(62.0) == small
    assert window.admit(61.0) == pytest.approx(1.0)


def test_a_late_success_does_not_make_shut_time_count_as_used() -> None:
    window, other = opened(size=64), opened(size=64)
    for each in (window, other):
        each.throttled(50.0, 1.0)
    window.succeeded(0.05, 1.01)
    for each in (window, other):
        each.succeeded(0.05, 51.1)
        each.throttled(9.0, 52.0)

    assert window.size(61.0) == other.size(61.0)


def test_a_change_of_mode_is_told_once() -> None:
    told: list[WindowMode] = []
    window = AdaptiveWindow(8, on_change=told.append)
    for now in (1.0, 2.0, 3.0):
        throttle(window, now)
    for _ in range(20):
        window.failed(4.0)
    window.succeeded(0.05, 9.0)
    for _ in range(8):
        window.succeeded(0.05, 9.1)

    assert told == [WindowMode.LIMITED, WindowMode.DRY, WindowMode.OPEN, WindowMode.LIMITED]


events = st.lists(
    st.tuples(
        st.sampled_from(["succeeded", "throttled", "shut", "failed", "admit", "release"]),
        st.floats(0.0, 20.0),
    ),
    max_size=120,
)


@given(limit=st.integers(1, 100), events=events, jitter=st.floats(0.0, 1.0))
def test_whatever_happens_it_stays_within_its_bounds_and_lets_the_next_one_in(
    limit: int, events: list[tuple[str, float]], jitter: float
) -> None:
    window, now = AdaptiveWindow(limit, jitter=lambda: jitter), 1000.0

    for event, step in events:
        now += step
        if event == "succeeded":
            window.succeeded(step, now)
        elif event in ("throttled", "shut"):
            window.throttled(step if event == "shut" else 0.0, now)
        elif event == "failed":
            window.failed(now)
        elif event == "admit":
            window.admit(now)
        elif window.in_flight:
            window.release()
        assert SMALLEST * CUT * 0.999 <= window.size(now) <= limit
        assert 0 <= window.in_flight <= limit

    while window.in_flight:
        window.release()
    longest = window.round_trip / (SMALLEST * CUT) + LAST_PROBE + max(0.0, window.gate - now)
    waited = 0.0
    while (wait := window.admit(now + waited)) != 0.0:
        waited += wait
        assert waited <= longest + 1e-6


def test_failures_while_the_gate_is_shut_say_nothing_new() -> None:
    window = opened(size=64)
    window.throttled(30.0, 1.0)
    size, mode = window.size(40.0), window.mode

    for _ in range(3 * DRY_FROM):
        window.failed(2.0)

    assert window.size(40.0) == size
    assert window.mode is mode


def test_noise_found_while_it_grows_lets_it_go_on_growing() -> None:
    window, now = AdaptiveWindow(64, jitter=lambda: 1.0), 0.0
    for number in range(3000):  # one answer in twenty fails, whatever is sent
        now += 0.05 / window.size(now)
        window.failed(now) if number % 20 == 19 else window.succeeded(0.05, now)

    assert window.size(now) > 50
    assert now < 5


def test_a_limit_found_while_it_grows_is_kept_to() -> None:
    window, now, let_in = AdaptiveWindow(64, jitter=lambda: 1.0), 0.0, 0.0
    for _ in range(3000):  # a hundred a second are let in
        now += 0.05 / window.size(now)
        if let_in < 100 * now:
            let_in += 1
            window.succeeded(0.05, now)
        else:
            window.failed(now)

    assert 3 < window.size(now) < 8

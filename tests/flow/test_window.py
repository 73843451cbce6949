from itertools import pairwise
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timeback_async._flow.window import DRY_FROM, GATE_FROM, RATE_SLACK, Window


def starts(window: Window, begin: float, end: float) -> list[float]:
    """Return when requests start that take no time and ask again as soon as they may."""
    now, found = begin, []
    while now <= end:
        wait = window.admit(now)
        if wait == 0.0:
            found.append(now)
            window.release()
        now += wait
    return found


def test_no_more_than_the_limit_is_in_flight() -> None:
    window = Window(2)

    answers = [window.admit(0.0) for _ in range(3)]

    assert answers == [0.0, 0.0, inf]
    assert window.in_flight == 2


def test_a_slot_given_back_is_taken_again() -> None:
    window = Window(1)
    window.admit(0.0)

    window.release()

    assert window.in_flight == 0
    assert window.admit(0.0) == 0.0


def test_a_refusal_takes_no_slot() -> None:
    window = Window(8, max_rate=1.0)
    window.throttled(5.0, now=0.0)

    window.admit(0.0)
    window.admit(5.0)
    window.admit(5.0)

    assert window.in_flight == 1


@pytest.mark.parametrize(("now", "wait"), [(100.0, 3.0), (102.5, 0.5), (103.0, 0.0), (110.0, 0.0)])
def test_a_long_retry_after_shuts_the_gate_for_everybody_until_then(
    now: float, wait: float
) -> None:
    window = Window(4)

    window.throttled(3.0, now=100.0)

    assert window.gate == 103.0
    assert window.admit(now) == wait


@pytest.mark.parametrize("retry_after", [0.0, 1.0, GATE_FROM - 0.001])
def test_a_short_retry_after_stops_nobody_else(retry_after: float) -> None:
    window = Window(4)

    window.throttled(retry_after, now=100.0)

    assert window.admit(100.0) == 0.0


def test_the_gate_opens_no_earlier_than_the_longest_retry_after() -> None:
    window = Window(4)

    window.throttled(10.0, now=100.0)
    window.throttled(2.0, now=101.0)

    assert window.admit(101.0) == 9.0


def test_a_full_window_waits_for_a_slot_even_while_the_gate_is_shut() -> None:
    window = Window(1)
    window.admit(0.0)

    window.throttled(5.0, now=0.0)

    assert window.admit(1.0) == inf


@pytest.mark.parametrize(("rate", "gap"), [(4.0, 0.25), (0.5, 2.0), (500.0, 0.002)])
def test_starts_are_spaced_out_to_the_greatest_rate(rate: float, gap: float) -> None:
    window = Window(64, rate)

    found = starts(window, 100.0, 100.0 + 20 * gap)

    # An idle window owes itself the slack, so only the first gaps may be shorter.
    late = [b - a for a, b in pairwise(found) if a > found[0] + RATE_SLACK]
    assert late == pytest.approx([gap] * len(late))
    assert 20 <= len(found) <= 22 + RATE_SLACK / gap


def test_without_a_rate_nothing_is_spaced_out() -> None:
    window = Window(3)

    assert [window.admit(5.0) for _ in range(3)] == [0.0, 0.0, 0.0]


def test_a_little_lateness_is_made_good() -> None:
    window = Window(64, max_rate=10.0)
    window.admit(0.0)

    late = [window.admit(0.14), window.admit(0.2)]

    assert late == [0.0, 0.0]


def test_idle_time_is_not_saved_up() -> None:
    window = Window(64, max_rate=100.0)
    window.admit(0.0)

    burst = [window.admit(60.0) for _ in range(20)].count(0.0)

    assert burst == 1 + RATE_SLACK * 100.0


@settings(deadline=None)
@given(
    rate=st.floats(0.1, 1000.0),
    steps=st.lists(st.floats(0.0, 2.0), min_size=1, max_size=80),
)
def test_whenever_we_ask_the_rate_is_not_exceeded(rate: float, steps: list[float]) -> None:
    window, now, admitted = Window(1000, rate), 1000.0, []

    for step in steps:
        now += step
        while window.admit(now) == 0.0:
            admitted.append(now)

    for first, begin in enumerate(admitted):
        for count, end in enumerate(admitted[first:], start=1):
            assert count <= 1.001 + rate * (end - begin + RATE_SLACK)


@settings(deadline=None)
@given(
    limit=st.integers(1, 5),
    rate=st.none() | st.floats(0.5, 50.0),
    events=st.lists(st.sampled_from(["ask", "release", "throttled"]), max_size=60),
)
def test_a_wait_that_was_kept_is_enough(limit: int, rate: float | None, events: list[str]) -> None:
    window, now = Window(limit, rate), 0.0

    for event in events:
        if event == "throttled":
            window.throttled(3.0, now)
        elif event == "release" and window.in_flight:
            window.release()
        elif (wait := window.admit(now)) not in (0.0, inf):
            now += wait
            assert window.admit(now) < 1e-9
        assert 0 <= window.in_flight <= limit


@pytest.mark.parametrize(("in_flight", "failures"), [(0, DRY_FROM), (10, 10)])
def test_nothing_comes_through_after_as_many_failures_as_are_in_flight(
    in_flight: int, failures: int
) -> None:
    window = Window(64)
    window.in_flight = in_flight
    for second in range(failures - 1):
        window.failed(float(second))
    assert window.dry_since == inf

    window.throttled(0.0, 60.0)

    assert window.dry_since == 0.0
    window.succeeded(0.1, 61.0)
    assert (window.dry_since, window.served) == (inf, 1)


def test_the_latest_request_that_came_through_is_remembered_by_when_it_was_sent() -> None:
    window = Window(64)

    window.succeeded(1.0, 10.0)
    window.succeeded(5.0, 11.0)

    assert window.well_at == 9.0

"""How a run went over time, and its chart."""

import pytest

from tests.support.trace import Clock, statistics
from timeback_async._trace import MOST, SHORTEST, Trace
from timeback_async.cli._chart import sparkline


def test_a_run_is_cut_into_slots_of_equal_length() -> None:
    clock = Clock()
    trace = Trace(clock)
    for second, done in enumerate([100, 300, 300, 700], 1):
        clock.now = 100.0 + second
        trace.note(done, statistics(throttled=done // 10, window=second))

    slots = trace.slots(4)

    assert [slot.until for slot in slots] == [1, 2, 3, 4]
    assert [slot.rate for slot in slots] == [100, 200, 0, 400]
    assert [slot.throttled for slot in slots] == [10, 20, 0, 40]
    assert [slot.window for slot in slots] == [1, 2, 3, 4]
    assert {slot.round_trip for slot in slots} == {0.5}
    assert [slot.rate for slot in trace.slots(2)] == [150, 200]


def test_a_run_that_was_never_noted_has_no_slots() -> None:
    assert Trace().slots(10) == []


def test_notes_in_a_quick_row_are_one() -> None:
    clock = Clock()
    trace = Trace(clock)
    for done in range(10):
        clock.now += SHORTEST / 4
        trace.note(done, statistics())

    assert len(trace._moments) == 3


def test_the_end_is_noted_however_short_the_run() -> None:
    clock = Clock()
    trace = Trace(clock)
    clock.now += SHORTEST / 5
    trace.note(9, statistics())
    trace.end(10, statistics())
    trace.end(10, statistics())

    assert [round(slot.rate) for slot in trace.slots(2)] == [round(10 / SHORTEST * 5)] * 2


def test_a_long_run_takes_no_more_memory_and_keeps_its_shape() -> None:
    clock = Clock()
    trace = Trace(clock)
    for tick in range(1, 100_001):
        clock.now = 100.0 + tick * 0.1
        trace.note(tick * 5, statistics())

    slots = trace.slots(50)

    assert len(trace._moments) < MOST
    assert slots[-1].until == pytest.approx(10_000, rel=0.02)
    assert {round(slot.rate) for slot in slots} == {50}


@pytest.mark.parametrize(
    ("values", "line"), [([0, 1, 2, 4, 8], " ▁▂▄█"), ([0, 0], "  "), ([3, 3], "██")]
)
def test_a_sparkline_is_as_high_as_its_largest_value(values: list[float], line: str) -> None:
    assert sparkline(values) == line

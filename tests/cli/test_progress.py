"""What a run says of itself while it is on, where there is no terminal."""

import io
import logging
import re

import msgspec
import pytest
from rich.console import Console

from tests.support.trace import statistics
from timeback_async import ItemResult, Outcome, Statistics
from timeback_async.cli import _progress
from timeback_async.cli._progress import Meter, Show
from timeback_async.errors import ConnectError

SAVED = ItemResult(index=0, kind="student", sourced_id="s-1", outcome=Outcome.SAVED)
LOST = ItemResult(
    index=0, kind="student", sourced_id="s-1", outcome=Outcome.FAILED, error=ConnectError("x")
)


class Session:
    """Figures of a session, which the test changes."""

    def __init__(self, **figures: object) -> None:
        self.figures = figures

    def __call__(self) -> Statistics:
        return msgspec.structs.replace(statistics()(), **self.figures)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Console:
    """Return what stands in for stderr: 80 columns, and whatever is printed is kept."""
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    monkeypatch.setattr(_progress, "err", console)
    return console


def printed(screen: Console) -> list[str]:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue().splitlines()


DOWN = {"down_for": 14.0, "failure": ConnectError("connection refused"), "attempts": 9}


@pytest.mark.parametrize("show", [Show.LINES, Show.BARS, Show.NOWHERE])
def test_an_outage_is_said_once_and_its_end_too(screen: Console, show: Show) -> None:
    session = Session()
    meter = Meter({"people": 9}, show, session, patience=300.0)

    for figures in ({}, DOWN, DOWN, {}, DOWN, {}):
        session.figures = figures
        meter.draw()
    meter.count("people", SAVED)
    meter.draw()
    meter.draw()

    lines = printed(screen)
    if show is Show.NOWHERE:
        assert lines == []
        return
    if show is Show.LINES:
        assert lines.pop(0).startswith("TimeBack does not answer (connection refused): waiting ")
    assert [line[:23] for line in lines] == ["TimeBack answers again "]


@pytest.mark.parametrize("show", [Show.LINES, Show.BARS])
def test_a_run_that_has_given_up_does_not_say_that_timeback_answers(
    screen: Console, show: Show
) -> None:
    session = Session(**DOWN)
    meter = Meter({"people": 9}, show, session, patience=300.0)
    meter.draw()

    session.figures = {}
    meter.count("people", LOST)
    meter.draw()

    assert not [line for line in printed(screen) if "answers again" in line]


def test_the_line_below_the_bars_says_since_when_and_until_when(screen: Console) -> None:
    session = Session(**DOWN)
    meter = Meter({"people": 9}, Show.BARS, session, patience=300.0)
    meter.count("people", SAVED)

    meter.draw()

    _, note = meter._bars.get_renderables()
    assert re.fullmatch(
        r"TimeBack does not answer \(connection refused\): waiting since \d\d:\d\d:\d\d, "
        r"until \d\d:\d\d:\d\d at most",
        str(note),
    )


def test_before_the_first_request_nobody_knows_how_long_is_waited(screen: Console) -> None:
    session = Session(**DOWN | {"attempts": 0})
    meter = Meter({"people": 9}, Show.LINES, session, patience=300.0)

    meter.draw()

    assert "at most" not in printed(screen)[0]


def test_while_nothing_moves_there_is_no_rate_and_no_time_left(screen: Console) -> None:
    session = Session()
    meter = Meter({"people": 9, "links": 0}, Show.BARS, session, patience=300.0)
    bars = meter._bars
    for _ in range(2):
        meter.count("people", SAVED)
        meter.draw()
    (task,) = bars.tasks
    moving = bars._cells(task)

    session.figures = DOWN
    meter.draw()

    assert moving["left"].endswith(" left")
    assert moving["rate"].endswith("/s")
    assert (bars._cells(task)["left"], bars._cells(task)["rate"]) == ("", "")
    assert bars._cells(task)["count"] == "2/9"


def test_a_pause_and_what_is_not_saved_are_said_below_the_bars(screen: Console) -> None:
    session = Session(gate=58.2, retries=1200, throttled=3)
    meter = Meter({"people": 9}, Show.BARS, session, patience=300.0)
    meter.count("people", LOST)

    meter.draw()

    assert meter._bars.note == (
        "a pause of 0:00:58, as asked, 1 not saved, 3 throttled, 1,200 retries"
    )


def test_now_and_then_there_is_a_line(screen: Console) -> None:
    session = Session(retries=2)
    meter = Meter({"people": 200, "links": 10}, Show.LINES, session, patience=300.0)
    for _ in range(50):
        meter.count("people", SAVED)

    meter._say()
    session.figures = DOWN
    meter.draw()
    meter._say()

    said, outage, again = printed(screen)
    assert re.fullmatch(r"people: 50 of 200, 25%, [\d,]+/s, \d:\d\d:\d\d left, 2 retries", said)
    assert outage == again


def test_a_log_has_the_figures_and_not_the_outage(
    screen: Console, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    meter = Meter({"people": 200}, Show.LOG, Session(**DOWN), patience=300.0)

    meter.draw()
    meter._say()

    (line,) = caplog.records
    assert (line.__dict__["fields"]["done"], line.__dict__["fields"]["planned"]) == (0, 200)
    assert printed(screen) == []


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_what_does_not_fit_is_left_out_and_the_most_important_stays(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    file = io.StringIO()
    monkeypatch.setattr(_progress, "err", Console(file=file, width=columns))
    meter = Meter({"deactivations": 999_999}, Show.BARS, Session(), patience=300.0)
    for _ in range(2):
        meter.count("deactivations", SAVED)
        meter.draw()

    table, *_ = meter._bars.get_renderables()
    Console(file=file, width=columns).print(table)

    (line,) = file.getvalue().splitlines()
    assert len(line) <= columns
    assert "0 %" in line
    assert " left" in line
    assert "2/999,999" in line
    assert ("so far" in line) == (columns >= 80)

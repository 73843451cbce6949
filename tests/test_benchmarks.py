"""The benchmarks' arithmetic, and that they run; what they measure is not judged here."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from benchmarks import measure, night
from benchmarks.contenders import CONTENDERS
from benchmarks.samples import Sample

RESULTS = measure.RESULTS
README = Path(__file__).parents[1] / "README.md"


def samples(**micros: Sequence[float]) -> list[Sample]:
    """Return samples of contenders, each with its CPU in microseconds per record."""
    return [
        Sample(name, 1, cpu=value / 1e6, elapsed=value / 1e6, peak=0, round=number // 2)
        for name, values in micros.items()
        for number, value in enumerate(values)
    ]


def compared(taken: Sequence[Sample]) -> measure.Comparison:
    found = measure.compare(taken, "one", "other", measure.cpu)
    assert isinstance(found, measure.Comparison)
    return found


def test_an_interval_holds_its_median_and_repeats() -> None:
    values = [1.0, 5.0, 2.0, 4.0, 3.0]

    found = measure.interval(values)

    assert found.low <= found.middle == 3.0 <= found.high
    assert found == measure.interval(values)


def test_a_ratio_is_taken_round_by_round() -> None:
    # The machine is twice as slow in the second round: the ratio is the same in both.
    taken = samples(one=[100, 100, 200, 200], other=[50, 50, 100, 100])

    found = compared(taken)

    assert found.ratio == (2.0, 2.0, 2.0)
    assert found.is_difference


def test_a_difference_inside_the_spread_of_one_contender_is_none() -> None:
    taken = samples(one=[110, 140, 110, 140], other=[100, 125, 100, 125])

    found = compared(taken)

    assert found.ratio.middle > 1.1
    assert found.spread == pytest.approx(140 / 110)
    assert not found.is_difference
    assert "no difference" in str(found)


def test_only_rounds_that_both_took_part_in_are_compared() -> None:
    taken = samples(one=[100, 100, 500, 500, 100, 100], other=[100, 100])

    assert compared(taken).ratio == (1.0, 1.0, 1.0)


def test_a_round_with_a_void_run_does_not_count() -> None:
    taken = samples(one=[100, 100, 900, 100], other=[100, 100, 100, 100])
    taken[2].server_cpu = taken[2].elapsed

    assert compared(taken).ratio == (1.0, 1.0, 1.0)


def test_without_a_valid_round_nothing_is_compared() -> None:
    taken = samples(one=[100, 100], other=[100, 100])
    taken[0].server_cpu = taken[0].elapsed

    assert measure.compare(taken, "one", "other", measure.cpu) == "void"


def test_a_run_is_void_when_the_server_was_the_bottleneck() -> None:
    busy, idle = (Sample("one", 1, 1.0, 1.0, 0, server_cpu=share) for share in (0.61, 0.59))

    assert (measure.is_void(busy), measure.is_void(idle)) == (True, False)


@pytest.fixture(scope="module")
def lean() -> Iterator[measure.Server]:
    pytest.importorskip("httptools", reason="the lean server is built on httptools")
    with measure.server() as lean:
        yield lean


@pytest.mark.parametrize("name", ["ours", "ours+uvloop", "bare", "script", "floor"])
def test_a_contender_saves_every_record_at_the_lean_server(lean: measure.Server, name: str) -> None:
    if any(map(measure.is_absent, CONTENDERS[name].needs)):
        pytest.skip("uvloop does not exist for this system")

    sample = measure.sample(lean, name, records=200, in_flight=8)

    assert (sample.saved, sample.records, sample.contender) == (200, 200, name)
    assert sample.cpu > 0
    assert sample.peak > 1_000_000


def test_the_lean_server_keeps_its_limit() -> None:
    pytest.importorskip("httptools", reason="the lean server is built on httptools")

    with measure.server(limit=200) as strict:
        sample = measure.sample(strict, "ours", records=30, in_flight=30)

    assert sample.saved == 30
    assert sample.rejected > 0
    assert sample.attempts == sample.saved + sample.rejected


def test_each_night_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(night, "SIZES", (300,))

    result = night.run(rounds=1)

    assert result.table.count("| 300 |") == 3 + (not measure.is_absent("polars"))


@pytest.mark.parametrize("table", sorted(RESULTS.glob("*.md")), ids=lambda path: path.stem)
def test_the_readme_shows_the_results_as_they_are(table: Path) -> None:
    result = json.loads(table.with_suffix(".json").read_bytes())

    assert result["runs"]
    assert {"date", "cpu", "python", "packages"} <= set(result)
    assert table.read_text().strip() in README.read_text()

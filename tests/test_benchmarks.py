"""The benchmarks' arithmetic, their pages, and that they run; no time is judged here."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from benchmarks import measure, night, pages, results
from benchmarks.contenders import CONTENDERS
from benchmarks.measure import Interval, Ratio
from benchmarks.samples import Sample

FOUND = results.load()


def samples(**micros: Sequence[float]) -> list[Sample]:
    """Return samples of contenders, each with its CPU in microseconds per record."""
    return [
        Sample(name, 1, cpu=value / 1e6, elapsed=value / 1e6, peak=0, round=number // 2)
        for name, values in micros.items()
        for number, value in enumerate(values)
    ]


def compared(taken: Sequence[Sample]) -> Ratio:
    return measure.compare(taken, "direct", "bare", measure.cpu, "client CPU")


def test_an_interval_holds_its_median_and_repeats() -> None:
    values = [1.0, 5.0, 2.0, 4.0, 3.0]

    found = measure.interval(values)

    assert found.low <= found.middle == 3.0 <= found.high
    assert found == measure.interval(values)


def test_a_ratio_is_taken_round_by_round() -> None:
    # The machine is twice as slow in the second round: the ratio is the same in both.
    taken = samples(direct=[100, 100, 200, 200], bare=[50, 50, 100, 100])

    found = compared(taken)

    assert found.found == (2.0, 2.0, 2.0)
    assert found.is_difference


def test_a_difference_inside_the_spread_of_one_contender_is_none() -> None:
    taken = samples(direct=[110, 140, 110, 140], bare=[100, 125, 100, 125])

    found = compared(taken)

    assert found.found is not None
    assert found.found.middle > 1.1
    assert found.spread == pytest.approx(140 / 110)
    assert not found.is_difference
    assert "no difference" in str(found)


def test_only_rounds_that_both_took_part_in_are_compared() -> None:
    taken = samples(direct=[100, 100, 500, 500, 100, 100], bare=[100, 100])

    assert compared(taken).found == (1.0, 1.0, 1.0)


def test_a_round_with_a_void_run_does_not_count() -> None:
    taken = samples(direct=[100, 100, 900, 100], bare=[100, 100, 100, 100])
    taken[2].server_cpu = taken[2].elapsed

    assert compared(taken).found == (1.0, 1.0, 1.0)


def test_without_a_valid_round_nothing_is_compared() -> None:
    taken = samples(direct=[100, 100], bare=[100, 100])
    taken[0].server_cpu = taken[0].elapsed

    found = compared(taken)

    assert str(found) == "void"
    assert not found.is_reached


def test_a_run_is_void_when_the_server_was_the_bottleneck() -> None:
    busy, idle = (Sample("one", 1, 1.0, 1.0, 0, server_cpu=share) for share in (0.61, 0.59))

    assert (measure.is_void(busy), measure.is_void(idle)) == (True, False)


def ratio(
    middle: float,
    scheme: str = "",
    at_most: float | None = None,
    at_least: float | None = None,
) -> Ratio:
    return Ratio(
        what="ours", against="theirs", scheme=scheme, spread=1.04,
        found=Interval(middle, middle, middle), at_most=at_most, at_least=at_least,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("at_most", "at_least", "is_reached"),
    [(0.5, None, True), (0.4, None, False), (None, 0.5, True), (None, 0.6, False)],
)
def test_an_aim_is_reached_by_the_median(
    at_most: float | None, at_least: float | None, is_reached: bool
) -> None:
    assert ratio(0.5, at_most=at_most, at_least=at_least).is_reached == is_reached


def document(python: str, *ratios: Ratio) -> results.Document:
    return results.Document(
        benchmark="upsert", date="2026-11-27", cpu="a CPU", cores=2, system="an OS",
        python=python, packages={}, ratios=list(ratios), runs=[],
    )  # fmt: skip


def test_the_table_of_aims_has_a_column_for_each_version_and_marks_what_was_missed() -> None:
    http, https = ratio(0.3, "http", at_most=0.35), ratio(0.6, "https", at_most=0.5)
    found = {
        "upsert": {"3.9": document("3.9.1", http), "3.11": document("3.11.7", http)},
        "upsert-https": {"3.11": document("3.11.7", https)},
    }

    assert pages.reach(found).splitlines()[:3] == [
        "|  | against | aim | Python 3.9.1 | Python 3.11.7 |",
        "| --- | --- | --- | --- | --- |",
        f"| ours | theirs | ≤ 0.35 / ≤ 0.5 | 0.30 ±4% / {pages.DASH} | 0.30 ±4% / **0.60 ±4%** |",
    ]


def test_a_ratio_without_an_aim_is_not_in_the_table_of_aims() -> None:
    found = {"upsert": {"3.11": document("3.11.7", ratio(0.3))}}

    assert "ours" not in pages.reach(found)


def test_results_are_kept_by_version_with_what_they_depend_on(tmp_path: Path) -> None:
    result = measure.Result("a table", [1, 2], [ratio(0.3, at_most=0.35)])

    results.recorded("upsert", lambda: result, tmp_path)

    ((version, kept),) = results.load(tmp_path)["upsert"].items()
    assert kept.python.startswith(version + ".")
    assert kept.packages["msgspec"]
    assert (kept.ratios, kept.runs) == (result.ratios, result.runs)
    assert (tmp_path / version / "upsert.md").read_text() == (
        "|  | against |  | ratio (95 % interval) |\n| --- | --- | --- | --- |\n"
        "| ours | theirs |  | 0.30 (0.30 to 0.30) [A/A ±4%] |\n\na table\n"
    )


def test_a_page_gets_the_tables_of_each_version_and_keeps_its_own_words(tmp_path: Path) -> None:
    result = measure.Result("a table", [])
    results.recorded("upsert", lambda: result, tmp_path)
    page = "before\n<!-- benchmark upsert -->\nold\n<!-- end -->\nafter"

    filled = pages.filled(page, results.load(tmp_path), tmp_path, tmp_path / "README.md")

    assert re.fullmatch(r"before\n.*Python 3\..*\n\na table\n.*\nafter", filled, re.DOTALL)
    assert "old" not in filled


def test_the_newest_version_is_shown_open_below_the_older_ones(tmp_path: Path) -> None:
    for version in ("3.11", "3.9"):
        (tmp_path / version).mkdir()
        encoded = msgspec.json.encode(document(f"{version}.1"))
        (tmp_path / version / "upsert.json").write_bytes(encoded)
        (tmp_path / version / "upsert.md").write_text("a table")

    shown = pages.details("upsert", results.load(tmp_path)["upsert"], tmp_path)

    assert re.findall(r"<details.*>\n<summary>Python (\S+):", shown) == ["3.9.1", "3.11.1"]
    assert re.findall(r"<details open>\n<summary>Python (\S+):", shown) == ["3.11.1"]


@pytest.mark.parametrize(("others", "is_said"), [(0.0, False), (0.5, True), (None, False)])
def test_a_result_says_so_if_the_machine_was_busy(others: float | None, is_said: bool) -> None:
    measured = document("3.11.7", ratio(0.3, at_most=0.35))
    measured.others = others

    assert ("busy" in measured.says) == is_said
    assert ("busy" in pages.reach({"upsert": {"3.11": measured}})) == is_said


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.parent.name)
def test_the_pages_show_the_results_as_they_are(page: Path) -> None:
    text = page.read_text()

    assert pages.filled(text, FOUND, results.FOLDER, page) == text


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.parent.name)
def test_every_picture_of_a_page_is_there(page: Path) -> None:
    for path in re.findall(r'(?:src|srcset)="([^"]+)"', page.read_text()):
        assert (page.parent / path).is_file(), path


def test_every_result_is_on_the_page_of_figures() -> None:
    text = pages.PAGES[1].read_text()

    assert [name for name in FOUND if f"<!-- benchmark {name} -->" not in text] == []


@pytest.fixture(scope="module", params=["http", "https"])
def lean(request: pytest.FixtureRequest) -> Iterator[measure.Server]:
    pytest.importorskip("httptools", reason="the lean server is built on httptools")
    with measure.server(scheme=request.param) as lean:
        yield lean


@pytest.mark.parametrize(
    "name", ["ours", "ours+uvloop", "ours-streaming", "direct", "bare", "script", "floor"]
)
def test_a_contender_saves_every_record_at_the_lean_server(lean: measure.Server, name: str) -> None:
    if any(map(measure.is_absent, CONTENDERS[name].needs)):
        pytest.skip("what it needs is not installed")

    sample = measure.sample(lean, name, records=200, in_flight=8)

    assert (sample.saved, sample.records, sample.contender) == (200, 200, name)
    assert sample.cpu > 0
    assert sample.peak > 1_000_000


def test_each_night_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(night, "SIZES", (300,))

    result = night.run(rounds=1)

    assert result.table.count("| 300 |") == 3 + (not measure.is_absent("polars"))
    assert len(result.ratios) == 3

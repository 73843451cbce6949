"""No silent wrong write: whatever is done to a roster, each person in it is right, or told of.

`tests/support/damages` holds the valid rosters with their truth, the catalogue of damages, and the
verdict, which says what counts as told. To see the figures of each damage, and to try more:

    pytest -rP tests/sync/test_damage.py -k alone
    DAMAGE_SEEDS=50000 pytest tests/sync/test_damage.py -k "alone or combined"
    DAMAGE_CASE="1.2:7:cell_lost,footer" pytest tests/sync/test_damage.py -k chosen
"""

import os
import random
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.amounts import amount
from tests.support.config import config
from tests.support.damages import naive
from tests.support.damages.all import CATALOGUE, apply
from tests.support.damages.case import Case
from tests.support.damages.deltas import bulk_of, changed, delta_of
from tests.support.damages.reading import MEMORY, Reader, written
from tests.support.damages.rosters import FORMATS, case_of
from tests.support.damages.schools import families_of
from tests.support.damages.town import Town
from tests.support.damages.verdict import Outcome, Verdict, judge
from timeback_async.sync import State

# Damaged packages, half of them of one damage.
SEEDS = int(os.environ.get("DAMAGE_SEEDS", amount(400, long=2_000)))
# Damages that are not mended yet, and what comes through; there must be none.
OPEN: dict[str, str] = {}
ALONE = [name for name, each in CATALOGUE.items() if not each.is_of_known]
COMBINED = [name for name in ALONE if not CATALOGUE[name].is_alone and name not in OPEN]
OF_KNOWN = [name for name, each in CATALOGUE.items() if each.is_of_known]
GROUPS = max(1, SEEDS // 100)  # enough packages in each for its shares to say something
EACH = max(1, SEEDS // 2 // (len(ALONE) * len(FORMATS)))
FEWEST_RIGHT = 0.5  # of all people, so that the verdict cannot be that everything is told


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def reader(folder: Path) -> Iterator[Reader]:
    with State(folder / "empty.db", config()) as state:
        yield Reader(state, folder / "export")


@cache
def valid(kind: str, seed: int) -> Case:
    return case_of(seed, kind)


def damaged(kind: str, seed: int, names: list[str]) -> Case:
    return apply(valid(kind, seed), names, seed)


def fewest(reader: Reader, kind: str, seed: int, names: list[str]) -> str:
    """Return a failure of the fewest of these damages, and the command that repeats it."""
    for name in list(names):
        fewer = [each for each in names if each != name]
        if fewer and faults(reader.verdict(damaged(kind, seed, fewer))[0], len(fewer)):
            names = fewer
    found = faults(reader.verdict(damaged(kind, seed, names))[0], len(names))
    chosen = f"{kind}:{seed}:{','.join(names)}"
    command = f'DAMAGE_CASE="{chosen}" pytest tests/sync/test_damage.py -k chosen'
    return "\n  ".join([command, *found[:5]])


def faults(verdict: Verdict, number: int) -> list[str]:
    """Return what is wrong. Of several damages, one may make the repair of another impossible."""
    return verdict.silent + (verdict.costly if number == 1 else [])


@pytest.mark.parametrize("kind", FORMATS)
def test_a_valid_roster_is_right_to_the_last_field(reader: Reader, kind: str) -> None:
    for seed in range(20):
        verdict, _ = reader.verdict(valid(kind, seed))

        assert verdict.silent + verdict.costly == [], f"{kind}, seed {seed}"
        assert verdict.right == len(valid(kind, seed).truth)


@pytest.mark.parametrize("name", ALONE)
def test_a_damage_alone_costs_no_more_than_it_must(
    reader: Reader, name: str, request: pytest.FixtureRequest
) -> None:
    if name in OPEN:
        request.applymarker(pytest.mark.xfail(reason=OPEN[name], strict=True))
    counts: Counter[str] = Counter()
    failed = []
    for kind in FORMATS:
        done = 0
        for seed in range(EACH * 8):  # not every roster has what can be damaged
            case = damaged(kind, seed, [name])
            if not case.damages:
                continue
            verdict, _ = reader.verdict(case)
            _count(counts, verdict)
            if faults(verdict, 1):
                failed.append(fewest(reader, kind, seed, [name]))
            done += 1
            if done == EACH:
                break
    _show(request, f"{name}: {dict(counts)}")

    assert failed == [], f"{len(failed)} of {counts['packages']}, the first:\n  {failed[0]}"
    assert counts["packages"]


def _show(request: pytest.FixtureRequest, text: str) -> None:
    request.node.add_report_section("call", "figures", text)


def _count(counts: Counter[str], verdict: Verdict) -> None:
    counts["packages"] += 1
    counts["all right"] += not verdict.is_refused and not verdict.told
    counts["refused"] += verdict.is_refused
    counts["people right"] += verdict.right
    counts["people told"] += verdict.told


@pytest.mark.parametrize("group", range(GROUPS))
def test_damages_combined_are_right_or_told(
    reader: Reader, group: int, request: pytest.FixtureRequest
) -> None:
    counts: Counter[str] = Counter()
    failed = []
    for number in range(group, SEEDS // 2, GROUPS):
        draw = random.Random(f"combined {number}")
        kind, seed = draw.choice(FORMATS), draw.randrange(50)
        names = draw.sample(COMBINED, draw.randint(2, 4))
        verdict, _ = reader.verdict(damaged(kind, seed, names))
        _count(counts, verdict)
        if faults(verdict, len(names)):
            failed.append(fewest(reader, kind, seed, names))
    _show(request, f"group {group}: {dict(counts)}")

    assert failed == [], f"{len(failed)} of {counts['packages']}, the first:\n  {failed[0]}"
    everybody = counts["people right"] + counts["people told"]
    assert counts["people right"] > FEWEST_RIGHT * everybody
    assert counts["refused"] < counts["packages"] / 2


@pytest.mark.skipif("DAMAGE_CASE" not in os.environ, reason="DAMAGE_CASE chooses the package")
def test_the_chosen_package_is_right_or_told(
    reader: Reader, request: pytest.FixtureRequest
) -> None:
    kind, seed, names = os.environ["DAMAGE_CASE"].split(":")
    case = damaged(kind, int(seed), names.split(","))
    files, _ = written(case)
    verdict, found = reader.verdict(case)
    for name, content in files.items():
        lines = re.split("\r\n|\r|\n", content.decode(errors="backslashreplace"))
        text = "\n".join(f"{number:3} {line}" for number, line in enumerate(lines, 1))
        _show(request, f"{name}\n{text}")
    _show(request, "\n".join(map(str, found.findings)))

    assert faults(verdict, names.count(",") + 1) == []


@pytest.mark.parametrize("name", OF_KNOWN)
def test_a_set_whose_ids_have_changed_form_is_refused(folder: Path, name: str) -> None:
    refused = tried = 0
    for kind in (each for each in FORMATS if "delta" not in each):
        for seed in range(40):
            case = apply(valid(kind, seed), [name], seed)
            if not case.damages or tried > 12:
                continue
            tried += 1
            town = Town(Path(tempfile.mkdtemp(dir=folder)))
            town.sync(valid(kind, seed))
            before = town.outcome()
            after = town.sync(case)

            # Ids that nobody can have are left out before anything is compared.
            refused += after.refusal is not None or bool(after.left_out)
            assert (after.people, after.links) == (before.people, before.links), f"{kind}, {seed}"
    assert refused == tried > 0


# -- night after night


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", ["1.1", "1.2"])
def test_five_nights_of_bulk_delta_damage_and_repair(folder: Path, kind: str, seed: int) -> None:
    town = Town(Path(tempfile.mkdtemp(dir=folder)))
    family = families_of(seed, kind)
    removing = {"deactivate_absent": True, "unlink_absent": True}
    first = bulk_of(family, kind, seed)
    assert _told(first, town.sync(first)) == []

    changes = changed(family, kind, seed)
    second = delta_of(family, changes, kind, seed)
    second.links = {pair: how for pair, how in second.links.items() if pair[0] not in changes.left}
    assert _told(second, _without_links_of(changes.left, town.sync(second))) == []
    known = town.outcome()

    whole = bulk_of(family, kind, seed + 1000)
    draw = random.Random(f"nights {seed}")
    third = apply(whole, draw.sample(ALONE, draw.randint(1, 3)), seed)
    found = town.sync(third, **removing)
    _assert_nobody_is_worse(third, known, found, set(changes.left))

    fourth = town.sync(whole, **removing)
    truth = {own: each for own, each in fourth.people.items() if own not in changes.left}
    assert truth == whole.truth, third.damages
    links = {pair: how for pair, how in fourth.links.items() if pair[0] not in changes.left}
    assert links == whole.links, third.damages

    town.sync(bulk_of(family, kind, seed + 2000), **removing)
    assert town.requests == []


def _told(case: Case, found: Outcome) -> list[str]:
    verdict = judge(case, found, written(case)[1], is_stored=True)
    return verdict.silent + verdict.costly


def _without_links_of(left: list[str], found: Outcome) -> Outcome:
    links = {pair: how for pair, how in found.links.items() if pair[0] not in left}
    return Outcome(people=found.people, links=links, findings=found.findings,
                   left_out=found.left_out, repeated=found.repeated)  # fmt: skip


def _assert_nobody_is_worse(case: Case, known: Outcome, found: Outcome, left: set[str]) -> None:
    """Nobody in the damaged files is removed; whoever changed is right, or told of."""
    for own in left:
        assert found.people[own] == known.people[own], case.damages
    here = {own: each for own, each in found.people.items() if own not in left}
    gone = {own for own in here if own not in case.truth and own in known.people}
    for own in here.keys() - gone:
        if case.truth[own]["status"] == "active":
            assert here[own]["status"] == "active", (own, case.damages)
    lost = {pair for pair in known.links if pair in case.links and pair not in found.links}
    assert lost == set(), case.damages
    links = {pair: how for pair, how in found.links.items() if pair[0] not in left}
    people = {own: each for own, each in here.items() if own not in gone}
    kept = {
        pair: how for pair, how in links.items() if pair in case.links or pair not in known.links
    }
    outcome = Outcome(refusal=found.refusal, people=people, links=kept, findings=found.findings,
                      left_out=found.left_out)  # fmt: skip
    case.is_refusable = True  # a mass removal is
    assert judge(case, outcome, written(case)[1], is_stored=True).silent == [], case.damages


# -- the verdict itself: yesterday's reader is caught


def _verdict_on(fault: str, name: str, seed: int) -> list[str]:
    case = apply(valid("1.1", seed), [name] if name in CATALOGUE else [], seed)
    case.options.clear()
    files, places = written(case)
    return judge(case, naive.read(files, fault), places).silent


def test_a_careful_reader_passes_where_the_faulty_ones_fail() -> None:
    for name in {*naive.FAULTS.values()} & CATALOGUE.keys():
        for seed in range(12):
            assert _verdict_on("", name, seed) == [], f"{name}, seed {seed}"


@pytest.mark.parametrize("fault", naive.FAULTS)
def test_each_fault_of_yesterdays_reader_is_caught(fault: str) -> None:
    found = [_verdict_on(fault, naive.FAULTS[fault], seed) for seed in range(12)]

    assert any(found)

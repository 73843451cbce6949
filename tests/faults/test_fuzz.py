"""Bulk runs at random against a server of many faults: every result is true, nothing is left.

FUZZ_RECORDS is how many records are sent, FUZZ_SEED the first seed. A failure names its seed:
`FUZZ_SEED=n FUZZ_RECORDS=1` repeats it, but for the timing.
"""

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.amounts import amount
from tests.support.faulty import FAULTS
from tests.support.figures import figure
from tests.support.fuzzing import ENDS, SOURCES, Trial, Violation
from timeback_async import ItemResult, Outcome
from timeback_async._bulk import run, source
from timeback_async._bulk.delivery import Delivery
from timeback_async._bulk.order import Order
from timeback_async._flow.call import Call

RECORDS = int(os.environ.get("FUZZ_RECORDS", amount(1_000, long=10_000)))
SEED = int(os.environ.get("FUZZ_SEED", "0"))


async def test_every_result_is_true_whatever_the_server_does() -> None:
    seed, counts, faults = SEED, Counter[str](), Counter[str]()

    while counts["read"] < RECORDS:
        trial = Trial(seed)
        await trial.run()
        seed += 1
        counts["read"] += trial.report.submitted
        counts["requests"] += trial.server.requests
        counts.update({str(outcome): n for outcome, n in trial.report.counts.items()})
        faults.update(trial.faults)

    figure("fuzz: trials, records", (seed - SEED, counts["read"]))
    figure("fuzz: what became of them", {what: n for what, n in counts.items() if n})
    figure("fuzz: faults, kinds of fault", (faults.total(), len(faults)))
    figure("fuzz: lost, doubled, out of order, untrue, hung, left behind", 0)


def test_the_seeds_lead_everywhere() -> None:
    trials = [Trial(seed) for seed in range(200)]

    assert {trial.form for trial in trials} == {*SOURCES}
    assert {trial.end for trial in trials} == {*ENDS}
    assert {trial.in_flight for trial in trials} == {1, 2, 3, 8, 64}
    assert len(FAULTS) > 30


# -- defects on purpose: each of them is found


def _as(outcome: Outcome) -> Callable[[Call | None, bool], Outcome]:
    def decide(call: Call | None, ended: bool) -> Outcome:
        is_sent = call is not None and call.attempts > 0
        return outcome if is_sent else Outcome.NOT_SENT

    return decide


def _put_twice(self: Delivery, result: ItemResult) -> None:
    for _ in range(1 + (result.index % 50 == 7)):
        self._ready.append(result)
    self._arrived.set()


def _put_most(self: Delivery, result: ItemResult) -> None:
    if result.index % 50 != 7:
        self._ready.append(result)
    self._arrived.set()


def _put_at_once(self: Delivery, result: ItemResult) -> None:
    self._ready.append(result)
    self._arrived.set()


DEFECTS: dict[str, tuple[Any, str, Any]] = {
    "saved without an answer": (run, "outcome_of", _as(Outcome.SAVED)),
    "failed though it may be saved": (run, "outcome_of", _as(Outcome.FAILED)),
    "not sent though it was": (run, "outcome_of", _as(Outcome.NOT_SENT)),
    "links do not wait": (Order, "_people", lambda self, needs: {}),
    "links are never hindered": (Order, "hindrance", lambda self, item, operation: None),
    "ids are not in order": (Order, "enter", lambda self, item, operation: None),
    "a result twice": (Delivery, "put", _put_twice),
    "a result too few": (Delivery, "put", _put_most),
    "results as they come": (Delivery, "put", _put_at_once),
    "sources are left open": (source, "close_generator", lambda iterator: None),
    "no attempt is counted": (Call, "attempts", property(lambda self: 0, lambda self, n: None)),
}


@pytest.mark.parametrize("defect", DEFECTS)
async def test_a_defect_is_found(defect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, broken = DEFECTS[defect]
    monkeypatch.setattr(owner, name, broken, raising=name != "attempts")  # set by the instance

    with pytest.raises(Violation, match="seed"):
        await _search()


async def _search() -> None:
    for seed in range(1000):
        await Trial(seed).run()

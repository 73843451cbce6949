"""What the tests of bulk runs share: both kinds of source, both ways to run, and what must hold."""

from collections.abc import Sequence

import pytest
from hypothesis import strategies as st

from tests.support.rig import Rig
from tests.support.storing import StoringServer
from timeback_async import ItemResult, Outcome, Report, Student
from timeback_async._bulk.run import Bulk

both_sources = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
both_forms = pytest.mark.parametrize("is_streamed", [False, True], ids=["await", "iterate"])
FAILED, INVALID, SAVED = Outcome.FAILED, Outcome.INVALID, Outcome.SAVED
NOT_SENT, UNKNOWN = Outcome.NOT_SENT, Outcome.UNKNOWN


async def collect(bulk: Bulk) -> list[ItemResult]:
    async with bulk as results:
        return [result async for result in results]


async def finish(bulk: Bulk, is_streamed: bool) -> Report:
    """Run to the end in one of the two forms."""
    if not is_streamed:
        return await bulk
    results = await collect(bulk)
    assert sorted(result.index for result in results) == list(range(bulk.report.submitted))
    return bulk.report


def counts(report: Report) -> dict[Outcome, int]:
    return {outcome: number for outcome, number in report.counts.items() if number}


def assert_honest(rig: Rig[StoringServer], report: Report, records: Sequence[Student]) -> None:
    """Hold the report against what the server has. The ids have to differ."""
    assert sum(report.counts.values()) == report.submitted <= len(records)
    assert rig.pool.statistics().in_flight == rig.pool.statistics().waiting == 0
    others = {failure.index: failure.outcome for failure in report.failures}
    for index, record in enumerate(records):
        found = others.get(index, SAVED) if index < report.submitted else NOT_SENT
        if found is SAVED:
            assert record.sourced_id in rig.server.saved
        if found in (NOT_SENT, INVALID):
            assert record.sourced_id not in rig.server.saved


async def awaited(bulk: Bulk) -> Report:
    return await bulk


paces = st.sampled_from([None, 0, 0.7, 2.6])  # None is for a sync source

"""Whatever is handed over, and whatever the server does: one result for each record."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.amounts import amount
from tests.support.bulk import collect, paces
from tests.support.clock import simulated
from tests.support.records import link, student, user
from tests.support.rig import Rig, storing
from tests.support.source import Source
from tests.support.storing import DROPPED, LOST, STUCK, UNREACHABLE, Answer, StoringServer, refusal
from timeback_async import ItemResult, Report, Student

ids = st.sampled_from(["p-0", "p-1", "p-2", "p-3"])
people = st.builds(lambda own, make: make(own), ids, st.sampled_from([student, user]))
links = st.builds(link, ids, ids)
faults = st.sampled_from(
    [refusal(503), refusal(429, Retry_After="3"), refusal(502), DROPPED, LOST, UNREACHABLE, STUCK]
    + [Answer(seconds=seconds) for seconds in (0, 5, 25)]
)
junk = st.sampled_from([None, 3, "p-0", {}, {"student": {"sourcedId": "p-1"}}, student("..")])


@given(
    records=st.lists(st.one_of(people, people, links, junk), max_size=30),
    answers=st.dictionaries(ids, st.lists(faults, max_size=6)),
    in_flight=st.integers(1, 6),
    form=st.sampled_from(["await", "iterate", "ordered"]),
    pace=paces,
)
@settings(max_examples=amount(100, long=200), deadline=None)
@simulated
async def test_every_record_has_one_result_and_the_last_version_stays(
    records: list[Any],
    answers: dict[str, list[Answer]],
    in_flight: int,
    form: str,
    pace: float | None,
) -> None:
    rig = storing(max_in_flight=8)
    rig.server.answers = {own: list(script) for own, script in answers.items()}
    versions = [_versioned(record, str(n)) for n, record in enumerate(records)]
    source = Source(versions)
    bulk = rig.run(
        source if pace is None else source.stream(pace),
        in_flight=in_flight,
        ordered=form == "ordered",
    )
    results: list[ItemResult] = []

    if form == "await":
        await bulk
    else:
        results = await collect(bulk)

    assert bulk.report.submitted == sum(bulk.report.counts.values()) == len(records)
    assert (bulk.report.failed, bulk.report.unknown) == (_links_to_nobody(rig, bulk.report), 0)
    assert bulk.report.attempts == len(rig.server.seen)
    assert rig.server.peak <= in_flight
    assert rig.server.overlaps == set()
    last = {each.sourced_id: each.given_name for each in versions if _is_good(each)}
    assert {own: rig.server.saved[own]["givenName"] for own in last} == last
    if form != "await":
        assert sorted(result.index for result in results) == list(range(len(records)))
    if form == "ordered":
        assert [result.index for result in results] == list(range(len(records)))


def _versioned(record: Any, version: str) -> Any:
    is_student, is_user = isinstance(record, Student), hasattr(record, "roles")
    if is_student or is_user:
        return (student if is_student else user)(record.sourced_id, given_name=version)
    return record


def _is_good(record: Any) -> bool:
    return hasattr(record, "given_name") and record.sourced_id != ".."


def _links_to_nobody(rig: Rig[StoringServer], report: Report) -> int:
    return sum(failure.kind == "agent" and failure.status == 404 for failure in report.failures)

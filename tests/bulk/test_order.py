"""Records with one id, and links and their people, go one after the other."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.amounts import amount
from tests.support.bulk import FAILED, INVALID, NOT_SENT, SAVED, UNKNOWN, collect
from tests.support.clock import simulated
from tests.support.records import link, student, students, user
from tests.support.rig import Rig, storing
from tests.support.source import Source
from tests.support.storing import DROPPED, LOST, Answer, StoringServer, refusal
from timeback_async import AgentKey, AgentLink, Outcome
from timeback_async._bulk.run import Bulk
from timeback_async._wire.codec import Gone, delete
from timeback_async.errors import RecordError


async def outcomes(bulk: Bulk) -> list[Outcome]:
    """Return what became of each record, in the order of the source."""
    return [result.outcome for result in sorted(await collect(bulk), key=lambda r: r.index)]


@simulated
async def test_the_last_version_handed_over_is_the_last_the_server_gets() -> None:
    rig = storing()
    rig.server.answers["x"] = [Answer(seconds=9), refusal(503), DROPPED, Answer(seconds=4)]
    versions = [student("x", given_name=f"v{n}") for n in range(6)]

    report = await rig.run([*versions, *students(3)])

    sent = [name for name in rig.server.versions if name.startswith("v")]
    assert report.saved == 9
    assert sent == sorted(sent)
    assert rig.server.saved["x"]["givenName"] == "v5"
    assert rig.server.overlaps == set()


@simulated
async def test_a_student_and_a_user_with_one_id_go_one_after_the_other() -> None:
    rig = storing()
    rig.server.answers["x"] = [Answer(seconds=9)]

    report = await rig.run([student("x"), user("x", given_name="last"), *students(3)])

    assert report.saved == 5
    assert rig.server.saved["x"]["givenName"] == "last"
    assert rig.server.overlaps == set()


@simulated
async def test_a_record_waits_only_for_its_own_id() -> None:
    rig = storing()
    rig.server.answers["s-1"] = [Answer(seconds=20)]

    results = await collect(rig.run([student("s-1"), student("s-1"), *students(1), user()]))

    assert [result.index for result in results] == [2, 3, 0, 1]


@simulated
async def test_a_link_waits_for_its_student_and_its_user() -> None:
    rig = storing()
    rig.server.answers = {"s-1": [Answer(seconds=5)], "u-1": [refusal(503), Answer(seconds=9)]}

    report = await rig.run([student("s-1"), user("u-1"), link("s-1", "u-1"), link("s-1", "u-1")])

    assert report.saved == 4
    assert rig.server.seen == ["s-1", "u-1", "u-1", link().agent_id, link().agent_id]
    assert rig.server.overlaps == set()


@simulated
async def test_a_link_of_people_from_elsewhere_is_sent_at_once() -> None:
    rig = storing()
    rig.server.saved = {"s-1": {}, "u-1": {}}

    assert await outcomes(rig.run([link("s-1", "u-1"), link("s-9", "u-1")])) == [SAVED, FAILED]


BAD = [refusal(400)]
LOST_EVERY_TIME = [LOST] * 8


@pytest.mark.parametrize("field", ["studentId", "userId"])
@pytest.mark.parametrize(
    ("how", "answers", "changes"),
    [
        (FAILED, BAD, {}),
        (UNKNOWN, LOST_EVERY_TIME, {}),
        (INVALID, [], {"given_name": None}),
    ],
)
@simulated
async def test_a_link_is_not_sent_when_its_person_was_not_saved(
    field: str, how: Outcome, answers: list[Answer], changes: dict[str, Any]
) -> None:
    rig = storing()
    lost = "s-1" if field == "studentId" else "u-1"
    rig.server.answers[lost] = list(answers)
    theirs = {lost: changes}
    people = [student("s-1", **theirs.get("s-1", {})), user("u-1", **theirs.get("u-1", {}))]

    results = await collect(rig.run([*people, link("s-1", "u-1")], ordered=True))

    assert sorted(result.outcome for result in results[:2]) == sorted([how, SAVED])
    assert results[2].outcome is NOT_SENT
    assert results[2].kind == "agent"
    assert isinstance(results[2].error, RecordError)
    assert results[2].error.field == field
    assert lost in results[2].error.reason


@pytest.mark.parametrize("first", [{}, {"given_name": None}], ids=["failed", "invalid"])
@simulated
async def test_a_link_is_sent_when_its_person_was_saved_in_the_end(first: dict[str, Any]) -> None:
    rig = storing()
    rig.server.answers["s-1"] = [refusal(400)] if not first else []
    records = [user(), student("s-1", **first), student("s-1"), link("s-1", "u-1")]

    found = await outcomes(rig.run(records))

    assert found == [SAVED, INVALID if first else FAILED, SAVED, SAVED]


# -- a link is hindered by what stands before it in the source, whenever that ends

INVALID_STUDENT = {"student": {"sourcedId": "s-1", "status": "enrolled"}}
MANY = pytest.mark.parametrize("in_flight", [1, 2, 8, 64])
GOOD, REFUSED, SLOW_AND_REFUSED = Answer(), refusal(400), Answer(status=400, seconds=9)


@MANY
@pytest.mark.parametrize(
    ("answers", "records", "expected"),
    [
        ([GOOD], ["s", "link", "invalid"], [SAVED, SAVED, INVALID]),
        ([GOOD, REFUSED], ["s", "link", "s"], [SAVED, SAVED, FAILED]),
        ([GOOD, SLOW_AND_REFUSED], ["s", "link", "s"], [SAVED, SAVED, FAILED]),
        ([REFUSED, GOOD], ["s", "s", "link"], [FAILED, SAVED, SAVED]),
        ([REFUSED, GOOD], ["s", "link", "s"], [FAILED, NOT_SENT, SAVED]),
        ([SLOW_AND_REFUSED, GOOD], ["s", "link", "s"], [FAILED, NOT_SENT, SAVED]),
        ([GOOD, REFUSED], ["s", "s", "link"], [SAVED, FAILED, NOT_SENT]),
        ([GOOD, SLOW_AND_REFUSED], ["s", "s", "link"], [SAVED, FAILED, NOT_SENT]),
        ([GOOD], ["s", "invalid", "link"], [SAVED, INVALID, NOT_SENT]),
        ([GOOD], ["invalid", "s", "link"], [INVALID, SAVED, SAVED]),
        ([GOOD], ["invalid", "link", "s"], [INVALID, NOT_SENT, SAVED]),
        ([REFUSED], ["link", "s", "link"], [SAVED, FAILED, NOT_SENT]),
        ([REFUSED], ["s", "link", "link"], [FAILED, NOT_SENT, NOT_SENT]),
        ([REFUSED], ["s", "gone", "link"], [FAILED, Outcome.DELETED, NOT_SENT]),
    ],
)
@simulated
async def test_what_comes_after_a_link_does_not_hinder_it(
    in_flight: int, answers: list[Answer], records: list[str], expected: list[Outcome]
) -> None:
    rig = storing(max_in_flight=in_flight)
    rig.server.saved = {"s-1": {}, "u-1": {}}
    rig.server.answers["s-1"] = [*answers]
    made = {
        "s": student("s-1"),
        "link": link("s-1", "u-1"),
        "invalid": INVALID_STUDENT,
        "gone": Gone("sourcedId", "is not there"),
    }

    assert await outcomes(rig.run([made[each] for each in records])) == expected


@MANY
@simulated
async def test_a_link_that_failed_does_not_hinder_the_next_with_its_id(in_flight: int) -> None:
    rig = storing(max_in_flight=in_flight)
    rig.server.saved = {"s-1": {}, "u-1": {}}
    one = link("s-1", "u-1")
    rig.server.answers[one.agent_id] = [refusal(400)]
    broken = {"agent": {"studentId": "s-1", "userId": "u-1", "agentId": one.agent_id}}

    assert await outcomes(rig.run([one, broken, one])) == [FAILED, INVALID, SAVED]


@MANY
@simulated
async def test_a_deletion_that_failed_hinders_no_other(in_flight: int) -> None:
    rig = storing(max_in_flight=in_flight)
    rig.server.saved = {"s-1": {}, "a-1": {}}
    rig.server.answers["a-1"] = [refusal(400)]
    keys = [AgentKey("s-1", "a-1"), AgentKey("s-1", ".."), AgentKey("s-1", "a-1")]

    found = await outcomes(rig.run(keys, delete))

    assert found == [FAILED, INVALID, Outcome.DELETED]


people = st.sampled_from(["p-0", "p-1", "p-2"])
seconds = st.sampled_from([0.0, 0.5, 1.0, 3.0])
written = st.one_of(
    st.tuples(st.just("person"), people, st.sampled_from([200, 200, 400]), seconds),
    st.tuples(st.just("invalid"), people),
    st.tuples(st.just("link"), people, people),
)


@given(
    source=st.lists(written, max_size=16),
    in_flight=st.sampled_from([1, 2, 8, 64]),
    pace=st.sampled_from([None, 0, 0.7]),
)
@settings(max_examples=amount(150, long=1000), deadline=None)
@simulated
async def test_which_links_are_hindered_depends_on_the_source_alone(
    source: list[tuple[Any, ...]], in_flight: int, pace: float | None
) -> None:
    rig = storing(max_in_flight=in_flight)
    rig.server.saved = {"p-0": {}, "p-1": {}, "p-2": {}}
    records, expected = _read(rig, source)
    opened = Source(records)

    found = await outcomes(rig.run(opened if pace is None else opened.stream(pace)))

    assert found == expected


def _read(
    rig: Rig[StoringServer], source: list[tuple[Any, ...]]
) -> tuple[list[object], list[Outcome]]:
    """Return the records, and what becomes of each if nothing but their order counts."""
    lost: set[str] = set()
    records: list[object] = []
    expected: list[Outcome] = []
    for kind, first, *more in source:
        if kind == "link":
            # With an id of its own, so that no link waits for another.
            records.append(AgentLink(first, more[0], "parent", agent_id=f"a-{len(records)}"))
            expected.append(NOT_SENT if lost & {first, more[0]} else SAVED)
            continue
        if kind == "person":
            records.append(student(first))
            rig.server.answers.setdefault(first, []).append(Answer(status=more[0], seconds=more[1]))
            expected.append(SAVED if more[0] == 200 else FAILED)
        else:
            records.append(student(first, given_name=None))
            expected.append(INVALID)
        (lost.discard if expected[-1] is SAVED else lost.add)(first)
    return records, expected

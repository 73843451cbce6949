"""Records with one id, and links and their people, go one after the other."""

from typing import Any

import pytest

from tests.support.bulk import FAILED, INVALID, NOT_SENT, SAVED, UNKNOWN, collect
from tests.support.clock import simulated
from tests.support.records import link, student, students, user
from tests.support.rig import storing
from tests.support.storing import DROPPED, LOST, Answer, refusal
from timeback_async import Outcome
from timeback_async._bulk.run import Bulk
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

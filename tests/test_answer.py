"""Single calls with their whole answers."""

from typing import Any

import pytest

from tests.support.records import link, student, user
from timeback_async import Answer, TimebackSession
from timeback_async.errors import NotFoundError
from timeback_async.testing import MockServer


async def test_every_single_call_has_a_form_with_its_answer(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    raw, agent = timeback_session.with_raw_response, link("s-1", "u-1")
    answers: list[Answer[Any]] = [
        await raw.upsert_student(student("s-1")),
        await raw.upsert_user(user("u-1")),
        await raw.upsert_student_agent(agent),
        await raw.get_user("u-1"),
        await raw.get_user_agents("s-1"),
        await raw.delete_student_agent("s-1", agent.agent_id),
    ]

    assert [answer.response.status for answer in answers] == [200, 201, 201, 200, 200, 204]
    assert answers[0].value.sourced_id == "s-1"
    assert answers[3].value.sourced_id == "u-1"
    assert answers[5].value is None
    assert all(answer.attempts == 1 for answer in answers)
    assert answers[0].response.headers["content-type"].startswith("application/json")
    sent = [call.headers["X-Request-ID"] for call in timeback_server.calls]
    assert [answer.request_id for answer in answers] == sent


async def test_attempts_count_the_repeated_ones(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    timeback_server.fail("drop_before", nth=1)

    answer = await timeback_session.with_raw_response.upsert_student(student())

    assert answer.attempts == 2


async def test_errors_are_those_of_the_call(timeback_session: TimebackSession) -> None:
    with pytest.raises(NotFoundError):
        await timeback_session.with_raw_response.get_user("u-9")


async def test_a_response_has_its_request_id(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    response = await timeback_session.request("GET", "/rostering/1.0/orgs")

    assert response.request_id == timeback_server.calls[0].headers["X-Request-ID"] != ""


async def test_nothing_personal_is_in_the_repr(timeback_session: TimebackSession) -> None:
    answer = await timeback_session.with_raw_response.upsert_student(student())

    assert repr(answer) == f"Answer(200, {answer.request_id!r})"
    assert list(answer.__rich_repr__()) == [200, answer.request_id]

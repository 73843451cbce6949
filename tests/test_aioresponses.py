from typing import Any

import pytest
from aioresponses import aioresponses
from yarl import URL

from tests.support.config import BASE, config
from tests.support.records import student
from tests.support.scripted import grant
from timeback_async import TimebackSession
from timeback_async.errors import ConflictError
from timeback_async.testing import MockedResponse

TOKEN_URL = f"{BASE}/auth/1.0/token"
STUDENTS_URL = f"{BASE}/rostering/1.0/students"


@pytest.fixture
def mocked() -> Any:
    with aioresponses() as mocked:
        mocked.post(TOKEN_URL, body=grant("mocked").body, response_class=MockedResponse)
        yield mocked


async def test_a_users_mock_answers_our_requests_and_sees_them(mocked: aioresponses) -> None:
    record = {"sourcedId": "s-1", "givenName": "Mocked"}
    mocked.put(STUDENTS_URL, payload={"student": record}, response_class=MockedResponse)

    async with TimebackSession(config()) as timeback:
        saved = await timeback.upsert_student(student("s-1"))

    assert saved is not None
    assert saved.given_name == "Mocked"
    (call,) = mocked.requests["PUT", URL(STUDENTS_URL)]
    assert call.kwargs["headers"]["Authorization"] == "Bearer mocked"
    assert b'"sourcedId":"s-1"' in call.kwargs["data"]


async def test_a_users_mock_can_make_things_go_wrong(mocked: aioresponses) -> None:
    mocked.put(STUDENTS_URL, exception=ConnectionResetError())
    mocked.put(STUDENTS_URL, status=409, response_class=MockedResponse)

    async with TimebackSession(config()) as timeback:
        with pytest.raises(ConflictError):
            await timeback.upsert_student(student("s-1"))

    assert len(mocked.requests["PUT", URL(STUDENTS_URL)]) == 2


async def test_an_encoded_path_matches_the_url_a_user_writes(mocked: aioresponses) -> None:
    url = f"{BASE}/rostering/1.0/users/a%2Fb"
    mocked.get(
        URL(url, encoded=True),
        payload={"user": {"sourcedId": "a/b"}},
        response_class=MockedResponse,
    )

    async with TimebackSession(config()) as timeback:
        user = await timeback.get_user("a/b")

    assert user.sourced_id == "a/b"

"""The promises made to users, each kept over real sockets, and a check that can fail."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.support.amounts import amount
from tests.support.records import link, student, students, user
from timeback_async import Outcome, Report, Student, TimebackSession
from timeback_async._transport.aiohttp import AiohttpTransport
from timeback_async.errors import RecordError
from timeback_async.testing import Faults, MockServer

MANY = amount(2_000, long=10_000)
FAULTS = Faults(statuses={503: 0.01, 502: 0.005}, drop_before=0.0025, drop_after=0.0025)


# -- a token is fetched once, however many need it


async def first_calls(server: MockServer, number: int, cancelled: int) -> list[bool]:
    """Make concurrent first calls, cancel some of them, and tell which others were served."""
    async with TimebackSession(server.config()) as session:
        calls = [asyncio.create_task(session.upsert_student(each)) for each in students(number)]
        while not server.token_requests:  # noqa: ASYNC110 - the server is not ours to signal
            await asyncio.sleep(0.001)
        for call in calls[:cancelled]:
            call.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
    return [result is not None and not isinstance(result, BaseException) for result in results]


@pytest.mark.parametrize("cancelled", [0, 1], ids=["all-wait", "first-caller-cancelled"])
async def test_thousands_of_first_calls_need_one_token(cancelled: int) -> None:
    async with MockServer(faults=Faults(latency=0.005)) as server:
        served = await first_calls(server, MANY, cancelled)

        assert served == [False] * cancelled + [True] * (MANY - cancelled)
        assert server.token_requests == 1
        assert len(server.students) == server.requests == MANY - cancelled


def revoking(server: MockServer, records: Sequence[Student]) -> Iterator[Student]:
    yield from records[: len(records) // 2]
    server.revoke_tokens()
    yield from records[len(records) // 2 :]


async def test_a_token_revoked_in_the_middle_costs_one_renewal() -> None:
    records = students(MANY // 2)

    async with MockServer() as server, TimebackSession(server.config()) as session:
        report = await session.upsert_many(revoking(server, records))

        assert all_records_arrived(server, records, report)
        assert server.statuses[401] > 0
        assert server.token_requests == report.token_requests == 2


# -- every record once, and every request counted


def all_records_arrived(server: MockServer, sent: Sequence[Student], report: Report) -> bool:
    stored = {own: each["givenName"] for own, each in server.students.items()}
    given = {each.sourced_id: each.given_name for each in sent}
    return report.ok and report.saved == report.submitted == len(sent) and stored == given


def every_request_is_ours(server: MockServer, report: Report) -> bool:
    return server.requests == report.attempts


async def upsert_in_bad_weather(
    server: MockServer, records: Sequence[Student], *, hidden_retries: bool
) -> Report:
    transport = AiohttpTransport(server.config(), None, ())
    async with TimebackSession(server.config(), transport=transport) as session:
        aiohttp_session: Any = transport._session
        assert aiohttp_session._retry_connection is False
        aiohttp_session._retry_connection = hidden_retries
        return await session.upsert_many(records)


async def test_thousands_of_records_survive_bad_weather() -> None:
    records = students(MANY)

    async with MockServer(faults=FAULTS) as server:
        report = await upsert_in_bad_weather(server, records, hidden_retries=False)

        assert all_records_arrived(server, records, report)
        assert every_request_is_ours(server, report)
        assert report.retries > 0


async def test_the_check_finds_requests_that_the_http_library_repeats_by_itself() -> None:
    records = students(MANY)

    async with MockServer(faults=FAULTS) as server:
        report = await upsert_in_bad_weather(server, records, hidden_retries=True)

        assert all_records_arrived(server, records, report)
        assert not every_request_is_ours(server, report)


# -- what is not valid is never sent

NOT_VALID: list[tuple[object, str]] = [
    (student("b-1", given_name=7), "givenName"),
    (student("b-2", grades="5"), "grades"),
    (student("b-3", status="gone"), "status"),
    (student("b-4", email=b"x"), "email"),
    (user("b-5", roles=[]), "roles"),
    (student(""), "sourcedId"),
    (student(".."), "sourcedId"),
    (student("a/../b"), "sourcedId"),
    (student("s-1\r\nX: y"), "sourcedId"),
    (student("s-1\x00"), "sourcedId"),
    (student("x" * 256), "sourcedId"),
    (link("..", "u-1"), "studentId"),
    (link("s-1", "u-1\n"), "userId"),
    ({"student": {"sourcedId": "b-6"}}, "givenName"),
    ({"user": {"sourcedId": "b-7", "misspelt": 1}}, "misspelt"),
    ({"student": 3}, ""),
    ({"sourcedId": "b-8"}, ""),
    ({}, ""),
    (None, ""),
    (3.5, ""),
    ("s-1", ""),
    (b"s-1", ""),
    ([student("b-9")], ""),
    (ValueError("not a record"), ""),
]
HARD_IDS = ["a b", "a/b", "a?x=1", "a#f", "a%2Fb", "a%", "ä", "学生", "@", "a.b", "..a", "a&b=c"]


async def test_what_is_not_valid_is_named_and_never_sent() -> None:
    good = [*map(student, HARD_IDS), *(user(f"u{own}") for own in HARD_IDS)]
    records = [each for pair in zip(NOT_VALID, good, strict=True) for each in (pair[0][0], pair[1])]

    async with MockServer() as server, TimebackSession(server.config()) as session:
        async with session.upsert_many(records, ordered=True) as bulk:
            results = [result async for result in bulk]

        invalid, saved = results[::2], results[1::2]
        assert {result.outcome for result in invalid} == {Outcome.INVALID}
        assert {result.outcome for result in saved} == {Outcome.SAVED}
        assert [_field(result.error) for result in invalid] == [field for _, field in NOT_VALID]
        assert server.requests == bulk.report.attempts == len(good)
        assert server.students.keys() == set(HARD_IDS)
        assert server.users.keys() == {f"u{own}" for own in HARD_IDS}


def _field(error: Exception | None) -> str:
    assert isinstance(error, RecordError)
    return error.field

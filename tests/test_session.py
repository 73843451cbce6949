import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import parse_qs

import aiohttp
import pytest
import trustme

from tests.support.clock import simulated
from tests.support.config import config
from tests.support.raw import RawServer, Reply, reply
from tests.support.records import link, student, user
from tests.support.scripted import ScriptedServer, answer, grant
from tests.support.tasks import until
from timeback_async import (
    AgentKey,
    AgentLink,
    Response,
    RetryPolicy,
    Student,
    StudentRecord,
    TimebackSession,
    User,
    UserRecord,
)
from timeback_async._wire.http import CREATEPUT, READONLY
from timeback_async.errors import (
    ApiError,
    AuthError,
    ConfigError,
    DeadlineError,
    NotFoundError,
    ProtocolError,
    RecordError,
    SessionError,
    TimebackError,
)
from timeback_async.testing import Faults, MockServer

Use = Callable[[TimebackSession], Awaitable[Any]]


@asynccontextmanager
async def opened(server: MockServer, **settings: Any) -> AsyncIterator[TimebackSession]:
    async with TimebackSession(server.config(**settings)) as timeback:
        yield timeback


async def collect(records: AsyncIterator[Any]) -> list[Any]:
    return [record async for record in records]


# -- single calls


async def test_a_student_is_saved_and_comes_back(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    record = await timeback_session.upsert_student(student("s/1", email=None))

    assert isinstance(record, StudentRecord)
    assert (record.sourced_id, record.given_name, record.email) == ("s/1", "Ada", None)
    assert timeback_server.students["s/1"]["enabledUser"] == "true"


async def test_a_user_is_saved_and_comes_back(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    record = await timeback_session.upsert_user(user("u/1"))

    assert type(record) is UserRecord
    assert record.sourced_id == "u/1"
    assert "u/1" in timeback_server.users


async def test_a_link_is_saved_read_and_deleted(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    agent = link("s-1", "u-1")
    await timeback_session.upsert_student(student("s-1"))
    await timeback_session.upsert_user(user("u-1"))

    saved = await timeback_session.upsert_student_agent(agent)
    read = await timeback_session.get_user_agents("s-1")
    await timeback_session.delete_student_agent("s-1", agent.agent_id)

    assert saved is not None
    assert [record.agent_id for record in read] == [saved.agent_id] == [agent.agent_id]
    assert timeback_server.agents == {}
    assert await timeback_session.get_user_agents("s-1") == []


async def test_writes_answered_without_a_body_give_none() -> None:
    async with MockServer(answer_bodies=False) as server, opened(server) as timeback:
        saved = [
            await timeback.upsert_student(student()),
            await timeback.upsert_user(user()),
            await timeback.upsert_student_agent(link()),
        ]

    assert saved == [None, None, None]


async def test_one_user_is_read(timeback_session: TimebackSession) -> None:
    await timeback_session.upsert_student(student("s 1"))

    record = await timeback_session.get_user("s 1")

    assert (type(record), record.family_name) == (UserRecord, "Byron")


async def test_a_user_that_is_not_there_is_not_found(timeback_session: TimebackSession) -> None:
    with pytest.raises(NotFoundError) as caught:
        await timeback_session.get_user("nobody")

    assert caught.value.request_id


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda t: t.upsert_student(cast(Student, user())), id="user as student"),
        pytest.param(lambda t: t.upsert_student(cast(Student, None)), id="nothing"),
        pytest.param(lambda t: t.upsert_user(cast(User, student())), id="student as user"),
        pytest.param(lambda t: t.upsert_user(cast(User, {"student": {}})), id="wire form"),
        pytest.param(lambda t: t.upsert_student_agent(cast(AgentLink, user())), id="user as link"),
        pytest.param(lambda t: t.upsert_student(student(status="lost")), id="invalid status"),
        pytest.param(lambda t: t.upsert_user(user("..")), id="hostile id"),
        pytest.param(lambda t: t.delete_student_agent("s-1", ""), id="empty id"),
        pytest.param(lambda t: t.get_user("a\nb"), id="line feed"),
        pytest.param(lambda t: t.get_user_agents(cast(str, 7)), id="number"),
        pytest.param(lambda t: t.request("PUT", "no/slash"), id="path"),
    ],
)
async def test_what_may_not_be_sent_is_a_record_error(
    use: Use, timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    with pytest.raises(RecordError):
        await use(timeback_session)

    assert (timeback_server.requests, timeback_server.token_requests) == (0, 0)


async def test_a_thousand_callers_share_a_session(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    students = [student(f"s-{number}") for number in range(1000)]

    await asyncio.gather(*map(timeback_session.upsert_student, students))

    assert len(timeback_server.students) == 1000
    assert timeback_server.token_requests == 1
    assert timeback_server.peak_in_flight <= 64


async def test_a_bad_day_of_the_server_goes_unnoticed() -> None:
    faults = Faults(statuses={503: 0.2}, drop_before=0.1, drop_after=0.1, truncate=0.1)
    async with (
        MockServer(faults=faults) as server,
        opened(server, retry=RetryPolicy(attempts=50, initial=0.001)) as timeback,
    ):
        await asyncio.gather(
            *(timeback.upsert_student(student(f"s-{number}")) for number in range(200))
        )

        statistics = timeback.statistics()

    assert len(server.students) == 200
    assert statistics.attempts == 200 + statistics.retries == server.requests
    assert statistics.retries > 0


# -- lists


async def with_students(timeback: TimebackSession, count: int) -> None:
    await asyncio.gather(
        *(
            timeback.upsert_student(student(f"s-{number}", username=f"name-{number}"))
            for number in range(count)
        )
    )


@pytest.mark.parametrize(
    ("count", "page_size", "pages"),
    # A full page is never the last one: a total that stops at it may be wrong.
    [(0, 10, 1), (7, 10, 1), (10, 10, 2), (25, 10, 3), (3, 1, 4)],
)
async def test_a_list_pages_by_itself(
    count: int,
    page_size: int,
    pages: int,
    timeback_server: MockServer,
    timeback_session: TimebackSession,
) -> None:
    await with_students(timeback_session, count)
    before = timeback_server.requests

    users = await collect(timeback_session.list_users(page_size=page_size))

    assert {record.sourced_id for record in users} == set(timeback_server.students)
    assert len(users) == count
    assert timeback_server.requests - before == pages


async def test_a_list_is_filtered_sorted_and_cut_by_the_server(
    timeback_session: TimebackSession,
) -> None:
    await with_students(timeback_session, 12)

    users = await collect(
        timeback_session.list_users(
            filter="username~'name-1' AND sourcedId!='s-10'",
            sort="username",
            order_by="DESC",
            fields=["username"],
            page_size=2,
        )
    )

    assert [record.username for record in users] == ["name-11", "name-1"]
    assert not users[0].given_name


async def test_organisations_are_listed(timeback_session: TimebackSession) -> None:
    orgs = await collect(
        timeback_session.list_orgs(filter="type='school'", sort="name", fields="name,parent")
    )

    assert [org.name for org in orgs] == ["First School", "Second School"]
    assert orgs[0].parent.sourced_id == "org-district"


async def test_a_list_left_early_asks_for_no_further_page(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    await with_students(timeback_session, 5)
    before = timeback_server.requests

    users = timeback_session.list_users(page_size=1)
    first = await anext(users)

    assert first.sourced_id in timeback_server.students
    assert timeback_server.requests - before == 1


@pytest.mark.parametrize(
    "query", [{"page_size": 0}, {"page_size": 101}, {"page_size": True}, {"order_by": "UP"}]
)
async def test_a_list_that_cannot_be_is_a_config_error(
    query: Mapping[str, Any], timeback_session: TimebackSession
) -> None:
    with pytest.raises(ConfigError):
        await collect(timeback_session.list_users(**query))


def pages(*bodies: bytes) -> list[Reply]:
    return [reply(grant().body), *map(reply, bodies)]


async def test_a_list_without_a_total_ends_with_an_empty_page() -> None:
    script = pages(
        b'{"orgs":[{"sourcedId":"o-1"}]}', b'{"orgs":[{"sourcedId":"o-2"}]}', b'{"orgs":[]}'
    )
    async with (
        RawServer(*script) as server,
        TimebackSession(config(base_url=server.url)) as timeback,
    ):
        orgs = await collect(timeback.list_orgs())

    assert [org.sourced_id for org in orgs] == ["o-1", "o-2"]
    asked = [request.split(b" ")[1] for request in server.requests[1:]]
    assert asked == [b"/rostering/1.0/orgs?limit=100&offset=%d" % n for n in range(3)]


async def test_a_list_whose_total_is_reached_ends_without_the_error_behind_it() -> None:
    page = b'{"orgs":[{"sourcedId":"o-1"}],"total":1}'
    script = [*pages(page), reply(b"", "400 Bad Request")]
    async with (
        RawServer(*script) as server,
        TimebackSession(config(base_url=server.url)) as timeback,
    ):
        orgs = await collect(timeback.list_orgs(page_size=1))

    assert [org.sourced_id for org in orgs] == ["o-1"]
    assert len(server.requests) == 3


async def test_an_error_in_the_middle_of_a_list_is_raised() -> None:
    page = b'{"orgs":[{"sourcedId":"o-1"}],"total":2}'
    script = [*pages(page), reply(b"", "404 Not Found")]
    async with (
        RawServer(*script) as server,
        TimebackSession(config(base_url=server.url)) as timeback,
    ):
        with pytest.raises(NotFoundError):
            await collect(timeback.list_orgs(page_size=1))


async def test_a_server_that_ignores_the_offset_does_not_make_an_endless_list() -> None:
    script = pages(b'{"orgs":[{"sourcedId":"o-1"}],"total":9}')
    async with (
        RawServer(*script) as server,
        TimebackSession(config(base_url=server.url)) as timeback,
    ):
        with pytest.raises(ProtocolError, match="offset"):
            await collect(timeback.list_orgs())

    assert len(server.requests) == 3


# -- the way out


@pytest.mark.parametrize(
    ("method", "scope", "token_scope"),
    [
        ("GET", None, READONLY),
        ("HEAD", None, READONLY),
        ("POST", None, CREATEPUT),
        ("DELETE", None, CREATEPUT),
        ("GET", "scope:own", "scope:own"),
    ],
)
async def test_a_request_takes_the_token_of_its_scope(
    method: str, scope: str | None, token_scope: str
) -> None:
    async with (
        RawServer(reply(grant().body), reply(b"")) as server,
        TimebackSession(config(base_url=server.url)) as timeback,
    ):
        await timeback.request(method, "/classes", scope=scope)

    form = server.requests[0].partition(b"\r\n\r\n")[2]
    assert parse_qs(form.decode())["scope"] == [token_scope]


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (None, b""),
        (b"raw", b"raw"),
        ({"class": {"title": "ü"}}, '{"class":{"title":"ü"}}'.encode()),
    ],
)
async def test_a_request_sends_what_it_is_given_and_returns_the_answer(
    body: object, sent: bytes
) -> None:
    async with (
        RawServer(reply(grant().body), reply(b"anything", "202 Accepted")) as server,
        TimebackSession(config(base_url=server.url)) as timeback,
    ):
        response = await timeback.request("put", "/rostering/1.0/classes/c%2F1?x=1", body=body)

    head, _, got = server.requests[1].partition(b"\r\n\r\n")
    assert isinstance(response, Response)
    assert (response.status, response.body) == (202, b"anything")
    assert head.startswith(b"PUT /rostering/1.0/classes/c%2F1?x=1 HTTP/1.1\r\n")
    assert got == sent


async def test_a_request_that_fails_raises_as_other_calls_do(
    timeback_session: TimebackSession,
) -> None:
    with pytest.raises(NotFoundError):
        await timeback_session.request("GET", "/rostering/1.0/nowhere")


# -- many records


async def test_many_records_are_written_read_and_deleted(
    timeback_server: MockServer, timeback_session: TimebackSession
) -> None:
    agent = link("s-1", "u-1")

    written = await timeback_session.upsert_many([student("s-1"), user("u-1"), agent])
    read = await timeback_session.get_many_user_agents(["s-1"])
    deleted = await timeback_session.delete_many([AgentKey("s-1", agent.agent_id)], in_flight=1)

    assert (written.ok, read.ok, deleted.ok) == (True, True, True)
    assert (written.submitted, read.submitted, deleted.submitted) == (3, 1, 1)
    assert timeback_server.agents == {}


# -- open and closed

EVERYTHING: list[Any] = [
    pytest.param(lambda t: t.upsert_student(student()), id="upsert_student"),
    pytest.param(lambda t: t.upsert_user(user()), id="upsert_user"),
    pytest.param(lambda t: t.upsert_student_agent(link()), id="upsert_student_agent"),
    pytest.param(lambda t: t.delete_student_agent("s", "a"), id="delete_student_agent"),
    pytest.param(lambda t: t.get_user_agents("s"), id="get_user_agents"),
    pytest.param(lambda t: t.get_user("u"), id="get_user"),
    pytest.param(lambda t: collect(t.list_users()), id="list_users"),
    pytest.param(lambda t: collect(t.list_orgs()), id="list_orgs"),
    pytest.param(lambda t: t.request("GET", "/x"), id="request"),
    pytest.param(lambda t: t.statistics(), id="statistics"),
    pytest.param(lambda t: t.upsert_many([]), id="upsert_many"),
    pytest.param(lambda t: t.delete_many([]), id="delete_many"),
    pytest.param(lambda t: t.get_many_user_agents([]), id="get_many_user_agents"),
    pytest.param(lambda t: t.get_many_users([]), id="get_many_users"),
]


@pytest.mark.parametrize("use", EVERYTHING)
async def test_use_before_opening_is_a_session_error(use: Use) -> None:
    timeback = TimebackSession(config())

    with pytest.raises(SessionError, match="not open"):
        await use(timeback)


@pytest.mark.parametrize("use", EVERYTHING)
async def test_use_after_closing_is_a_session_error(use: Use) -> None:
    async with TimebackSession(config()) as timeback:
        pass

    with pytest.raises(SessionError, match="closed"):
        await use(timeback)


@pytest.mark.parametrize("use", EVERYTHING)
async def test_use_from_another_loop_is_a_session_error(use: Use) -> None:
    async def elsewhere() -> None:
        with pytest.raises(SessionError, match="another event loop"):
            await use(timeback)

    async with TimebackSession(config()) as timeback:
        await asyncio.to_thread(lambda: asyncio.run(elsewhere()))


async def test_a_session_can_be_opened_and_closed_by_hand(timeback_server: MockServer) -> None:
    timeback = TimebackSession(timeback_server.config())

    assert await timeback.open() is timeback
    await timeback.upsert_student(student())
    await timeback.aclose()
    await timeback.aclose()

    assert len(timeback_server.students) == 1


@pytest.mark.parametrize("is_closed", [False, True])
async def test_a_session_is_opened_once(is_closed: bool) -> None:
    timeback = await TimebackSession(config()).open()
    if is_closed:
        await timeback.aclose()

    with pytest.raises(SessionError, match="once"):
        await timeback.open()

    await timeback.aclose()


async def test_a_session_that_was_never_opened_can_be_closed_but_not_opened_then() -> None:
    timeback = TimebackSession(config())
    await timeback.aclose()

    with pytest.raises(SessionError):
        await timeback.open()


async def test_opening_sends_nothing(timeback_server: MockServer) -> None:
    async with opened(timeback_server):
        await asyncio.sleep(0)

    assert timeback_server.connections == 0


@pytest.mark.parametrize(
    ("script", "requests"),
    [
        pytest.param([Reply()], 1, id="waiting for a token"),
        pytest.param([reply(grant().body), Reply()], 4, id="waiting for an answer or a slot"),
    ],
)
async def test_closing_leaves_no_caller_task_or_connection(
    script: list[Reply], requests: int
) -> None:
    async with RawServer(*script) as server:
        tasks = asyncio.all_tasks()
        async with TimebackSession(config(base_url=server.url, max_in_flight=3)) as timeback:
            calls = [asyncio.create_task(timeback.get_user("u")) for _ in range(10)]
            await until(lambda: len(server.requests) == requests)

        results = await asyncio.gather(*calls, return_exceptions=True)
        await until(lambda: not server.open_connections)
        left = asyncio.all_tasks() - tasks

    assert {type(result) for result in results} == {SessionError}
    assert left == set()


async def test_closing_at_any_instant_ends_every_call_with_an_error_of_ours(
    timeback_server: MockServer,
) -> None:
    results: list[object] = []
    for steps in range(100):
        async with opened(timeback_server, max_in_flight=3) as timeback:
            calls = [asyncio.create_task(timeback.upsert_student(student())) for _ in range(6)]
            for _ in range(steps):
                await asyncio.sleep(0)
        async with asyncio.timeout(10):
            results += await asyncio.gather(*calls, return_exceptions=True)

    assert {type(r) for r in results if not isinstance(r, TimebackError)} == {StudentRecord}


async def test_an_error_in_the_block_passes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        async with TimebackSession(config()):
            raise ZeroDivisionError


# -- what others see


def test_nothing_personal_or_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    canaries = {
        "given_name": "Canary-Given",
        "family_name": "Canary-Family",
        "email": "canary@example.com",
        "username": "canary-user",
        "password": "canary-password",
    }
    tokens: list[str] = []

    async def scenario() -> None:
        faults = Faults(statuses={503: 0.3, 400: 0.3}, drop_after=0.2)
        async with MockServer(client_secret="canary-secret", faults=faults) as server:
            async with opened(server, retry=RetryPolicy(initial=0.0)) as timeback:
                await timeback.upsert_many(student(f"s-{n}", **canaries) for n in range(50))
            async with opened(server, client_secret="canary-wrong") as timeback:
                with pytest.raises(AuthError):
                    await timeback.upsert_student(student("s-1", **canaries))
            tokens.extend(server._tokens.valid)

    asyncio.run(scenario())

    assert {"timeback_async.pool", "timeback_async.token"} <= {r.name for r in caplog.records}
    assert tokens
    logged = caplog.text.lower()
    assert not [word for word in [*tokens, "canary", "mock-client"] if word in logged]


async def test_trace_configs_see_every_request(timeback_server: MockServer) -> None:
    seen: list[str] = []
    trace = aiohttp.TraceConfig()

    async def note(_: object, __: object, end: aiohttp.TraceRequestEndParams) -> None:
        seen.append(f"{end.method} {end.response.status} {end.url.path}")

    trace.on_request_end.append(note)
    async with TimebackSession(timeback_server.config(), trace_configs=[trace]) as timeback:
        await timeback.upsert_student(student())

    assert seen == ["POST 200 /auth/1.0/token", "PUT 200 /rostering/1.0/students"]


@simulated
async def test_a_transport_handed_in_sends_everything_and_is_closed_with_the_session() -> None:
    transport = ScriptedServer()
    closed = []

    async def aclose() -> None:
        closed.append(True)

    transport.aclose = aclose  # type: ignore[method-assign]

    async with TimebackSession(config(), transport=transport) as timeback:
        await timeback.upsert_student(student())

    assert (len(transport.asked), len(transport.sent), closed) == (1, 1, [True])


@pytest.mark.parametrize(
    "more", [{"ssl_context": ssl.create_default_context()}, {"trace_configs": [object()]}]
)
def test_a_transport_beside_what_only_aiohttp_would_use_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^transport: .*ssl_context and trace_configs"):
        TimebackSession(config(), transport=ScriptedServer(), **more)


@pytest.mark.parametrize(
    ("said", "scopes"), [(f"{READONLY} other", {READONLY, "other"}), (None, set())]
)
@simulated
async def test_checking_a_token_returns_the_scopes_that_came_with_it(
    said: str | None, scopes: set[str]
) -> None:
    transport = ScriptedServer(grants=[grant(scope=said)])

    async with TimebackSession(config(), transport=transport) as timeback:
        assert await timeback.check_token(READONLY) == scopes


@simulated
async def test_a_token_that_is_refused_is_an_error_of_the_check() -> None:
    transport = ScriptedServer(grants=[answer(400, {"error": "invalid_scope"})])

    async with TimebackSession(config(), transport=transport) as timeback:
        with pytest.raises(AuthError, match="scope is not granted"):
            await timeback.check_token(READONLY)


async def test_a_private_authority_is_trusted_through_the_ssl_context() -> None:
    authority = trustme.CA()
    served, trust = (
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
        ssl.create_default_context(),
    )
    authority.issue_cert("localhost").configure_cert(served)
    authority.configure_trust(trust)

    async with (
        RawServer(reply(grant().body), reply(b""), tls=served) as server,
        TimebackSession(config(base_url=server.url), ssl_context=trust) as timeback,
    ):
        saved = await timeback.upsert_student(student())

    assert saved is None
    assert len(server.requests) == 2


@pytest.mark.parametrize("body", [b"[1,", b'"\xff"', pytest.param(b"[" * 100_000, id="deep")])
async def test_an_answer_that_cannot_be_read_is_an_error_of_ours(body: bytes) -> None:
    async with (
        RawServer(reply(grant().body), reply(body)) as server,
        TimebackSession(config(base_url=server.url, retry=RetryPolicy(attempts=1))) as timeback,
    ):
        with pytest.raises(ProtocolError):
            await timeback.upsert_student(student())


async def test_an_error_status_is_an_api_error_with_its_facts() -> None:
    async with (
        MockServer(faults=Faults(statuses={409: 1.0})) as server,
        opened(server) as timeback,
    ):
        with pytest.raises(ApiError) as caught:
            await timeback.upsert_student(student())

    error = caught.value
    assert (error.status, error.code, error.retryable) == (409, "invaliddata", False)


# -- the deadline of a call


@pytest.mark.parametrize("deadline", [0, -1, float("nan"), float("inf")])
async def test_a_deadline_that_is_none_is_refused(deadline: float) -> None:
    async with MockServer() as server, TimebackSession(server.config()) as session:
        with pytest.raises(ConfigError, match="deadline"):
            await session.get_user("s-1", deadline=deadline)


async def test_a_call_has_the_deadline_that_it_is_given() -> None:
    async with (
        MockServer(faults=Faults(latency=5.0)) as server,
        TimebackSession(server.config(deadline=60.0)) as session,
    ):
        with pytest.raises(DeadlineError, match=r"0\.05 s"):
            await session.get_user("s-1", deadline=0.05)

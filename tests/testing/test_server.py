import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from tests.support.mock_api import (
    CREATEPUT,
    CREDENTIALS,
    GRANT,
    LINK,
    ORGS,
    READONLY,
    STUDENTS,
    TOKEN,
    USERS,
    Api,
    mock_api,
)
from tests.support.records import wire_agent, wire_role, wire_student, wire_user
from tests.support.tasks import until
from timeback_async import Config
from timeback_async.testing import Faults, MockServer

DATED = "2026-01-01T00:00:00.000Z"
EVERY_OPERATION = [
    ("PUT", STUDENTS, CREATEPUT),
    ("PUT", f"{USERS}/u-1", CREATEPUT),
    ("PUT", LINK, CREATEPUT),
    ("DELETE", LINK, CREATEPUT),
    ("GET", f"{USERS}/u-1", READONLY),
    ("GET", f"{USERS}/u-1/agents", READONLY),
    ("GET", USERS, READONLY),
    ("GET", ORGS, READONLY),
]


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with mock_api() as api:
        yield api


@pytest.fixture
async def linked(api: Api) -> Api:
    await api.put_student()
    await api.put_user()
    await api.call("PUT", LINK, wire_agent())
    return api


def basic(pair: str) -> str:
    return "Basic " + b64encode(pair.encode()).decode()


def imsx(why: str, minor: str) -> dict[str, Any]:
    field = {
        "imsx_codeMinorFieldName": "TargetEndSystem",
        "imsx_codeMinorFieldValue": minor,
    }
    return {
        "imsx_codeMajor": "failure",
        "imsx_severity": "error",
        "imsx_description": why,
        "imsx_CodeMinor": {"imsx_codeMinorField": [field]},
    }


# -- operations


async def test_a_student_is_stored_and_answered_in_its_envelope(api: Api) -> None:
    answer = await api.put_student()

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {
        "student": {
            **wire_student(),
            "dateLastModified": DATED,
            "roles": [wire_role(role="student")],
            "userIds": [],
            "agents": [],
        }
    }
    assert api.server.students == {"s-1": wire_student()}


async def test_a_user_is_created_with_201(api: Api) -> None:
    answer = await api.put_user()

    assert answer.status == 201
    assert answer.json() == {"user": {**wire_user(), "dateLastModified": DATED}}
    assert api.server.users == {"u-1": wire_user()}


async def test_a_link_is_created_with_201_and_has_no_envelope(api: Api) -> None:
    await api.put_student()
    await api.put_user()

    answer = await api.call("PUT", LINK, wire_agent())

    assert answer.status == 201
    assert answer.json() == {**wire_agent(), "agentId": "a-1"}
    assert api.server.agents == {("s-1", "a-1"): wire_agent()}


async def test_the_agents_of_a_user_are_listed_with_their_ids(linked: Api) -> None:
    answer = await linked.call("GET", f"{USERS}/s-1/agents")

    assert answer.status == 200
    assert answer.json() == {"agents": [{**wire_agent(), "agentId": "a-1"}]}


async def test_a_deleted_link_is_gone_without_a_body(linked: Api) -> None:
    answer = await linked.call("DELETE", LINK)

    assert (answer.status, answer.body) == (204, b"")
    assert linked.server.agents == {}
    assert (await linked.call("DELETE", LINK)).status == 404


@pytest.mark.parametrize("record", [wire_student(), wire_user()])
async def test_a_student_and_a_user_are_read_as_users(linked: Api, record: dict[str, Any]) -> None:
    answer = await linked.call("GET", f"{USERS}/{record['sourcedId']}")

    assert answer.status == 200
    assert answer.json() == {"user": {**record, "dateLastModified": DATED}}


async def test_the_last_of_two_writes_stays(api: Api) -> None:
    await api.put_student(email="a@example.com")
    await api.put_student(givenName="Augusta")

    assert api.server.students == {"s-1": wire_student(givenName="Augusta")}


async def test_users_and_students_are_listed_together(linked: Api) -> None:
    answer = await linked.call("GET", USERS)

    assert answer.status == 200
    assert answer.json() == {
        "users": [
            {**record, "dateLastModified": DATED} for record in (wire_student(), wire_user())
        ],
        "limit": 10,
        "offset": 0,
        "total": 2,
    }


async def test_someone_who_is_both_student_and_user_is_listed_once(api: Api) -> None:
    await api.put_student("p-1")
    await api.put_user("p-1")

    listed = (await api.call("GET", USERS)).json()

    assert [person["sourcedId"] for person in listed["users"]] == ["p-1"]
    assert listed["total"] == 1


async def test_a_list_obeys_its_query(api: Api) -> None:
    wanted = "type='school' AND name~'second'"

    answer = await api.call("GET", f"{ORGS}?limit=5&offset=0&fields=name&filter={quote(wanted)}")

    assert answer.status == 200
    assert answer.json() == {
        "orgs": [{"sourcedId": "org-2", "name": "Second School"}],
        "limit": 5,
        "offset": 0,
        "total": 1,
    }


async def test_a_wrong_query_is_refused_by_name(api: Api) -> None:
    answer = await api.call("GET", f"{ORGS}?limit=101")

    assert answer.status == 400
    assert answer.json() == imsx("limit: is not valid", "invaliddata")


@pytest.mark.parametrize("path", [f"{USERS}/s-1", f"{USERS}?fields=password"])
async def test_a_password_is_kept_but_never_given_back(api: Api, path: str) -> None:
    written = await api.put_student(password="secret-1")
    read = await api.call("GET", path)

    assert api.server.students["s-1"]["password"] == "secret-1"
    assert b"secret-1" not in written.body + read.body
    assert read.status == 200


async def test_characters_beyond_ascii_are_answered_as_they_are(api: Api) -> None:
    answer = await api.put_student(givenName="Zoë 🎓")

    assert "Zoë 🎓".encode() in answer.body


async def test_writes_may_be_answered_without_a_body() -> None:
    async with mock_api(answer_bodies=False) as api:
        answers = [await api.put_student(), await api.put_user()]
        answers.append(await api.call("PUT", LINK, wire_agent()))

        assert [answer.status for answer in answers] == [204, 201, 201]
        assert [answer.body for answer in answers] == [b"", b"", b""]
        assert list(api.server.agents) == [("s-1", "a-1")]
        assert api.server.agents_of("s-1") == [{"agentId": "a-1", **wire_agent()}]


async def test_a_running_server_can_be_told_to_answer_without_bodies(api: Api) -> None:
    before = await api.put_user()
    api.server.answer_bodies = False
    after = await api.put_user()

    assert (before.body == b"", after.body == b"") == (False, True)
    assert not api.server.answer_bodies


# -- ids in paths


@pytest.mark.parametrize(
    "sourced_id", ["a/b", "a%2Fb", "ä ö", "a+b", "..", "a?b#c", "a;b=c", "agents", "x" * 255]
)
async def test_an_id_in_a_path_is_decoded_exactly_once(api: Api, sourced_id: str) -> None:
    encoded = quote(sourced_id, safe="")
    await api.put_student()

    put = await api.call("PUT", f"{USERS}/{encoded}", {"user": wire_user(sourced_id)})
    link = await api.call("PUT", f"{STUDENTS}/s-1/agents/{encoded}", wire_agent(sourced_id))
    got = await api.call("GET", f"{USERS}/{encoded}")

    assert (put.status, link.status, got.status) == (201, 201, 200)
    assert list(api.server.users) == [sourced_id]
    assert list(api.server.agents) == [("s-1", sourced_id)]


@pytest.mark.parametrize("agent_id", ["", "%0A", "x" * 256])
async def test_a_link_needs_a_real_id(linked: Api, agent_id: str) -> None:
    answer = await linked.call("PUT", f"{STUDENTS}/s-1/agents/{agent_id}", wire_agent())

    assert 400 <= answer.status < 500
    assert list(linked.server.agents) == [("s-1", "a-1")]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", STUDENTS),
        ("PUT", f"{STUDENTS}/s-1"),
        ("GET", STUDENTS),
        ("PUT", USERS),
        ("GET", f"{STUDENTS}/s-1/agents"),
        ("PUT", f"{USERS}/s-1/agents/a-1"),
        ("DELETE", f"{USERS}/u-1"),
        ("GET", "/elsewhere"),
        ("PUT", f"/api{STUDENTS}"),
    ],
)
async def test_there_is_nothing_elsewhere(api: Api, method: str, path: str) -> None:
    answer = await api.call(method, path)

    assert answer.status == 404
    assert answer.json() == imsx("no such path", "unknownobject")


# -- refusals


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (b"", 400, "the body is not JSON"),
        (b"\xff", 400, "the body is not JSON"),
        (b"[" * 100_000, 400, "the body is not JSON"),
        ([], 400, "the body must have the one member 'student'"),
        (wire_student(), 400, "the body must have the one member 'student'"),
        ({"user": wire_student()}, 400, "the body must have the one member 'student'"),
        ({"student": wire_student(), "x": 1}, 400, "the body must have the one member 'student'"),
        ({"student": None}, 422, ": must be an object"),
        (
            {"student": wire_student(enabledUser=True)},
            422,
            "enabledUser: must be one of false, true",
        ),
        ({"student": wire_student(nickname="A")}, 422, "nickname: is not known"),
        (
            {"student": wire_student(givenName=None, grades=None)},
            422,
            "givenName: must be a string; grades: must be an array of strings",
        ),
    ],
)
async def test_a_wrong_student_is_refused(api: Api, body: object, status: int, why: str) -> None:
    answer = await api.call("PUT", STUDENTS, body)

    assert answer.status == status
    assert answer.json() == imsx(why, "invaliddata")
    assert api.server.students == {}


async def test_not_a_number_is_no_json(api: Api) -> None:
    answer = await api.put_student(metadata={"score": float("nan")})

    assert answer.status == 400


async def test_half_a_surrogate_pair_is_refused(api: Api) -> None:
    answer = await api.put_student(givenName="\ud800")

    assert 400 <= answer.status < 500


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (wire_user(), 400, "the body must have the one member 'user'"),
        ({"user": wire_user("u-2")}, 400, "sourcedId: differs from the one in the path"),
        ({"user": wire_user(roles=[])}, 422, "roles: must be an array with at least one role"),
    ],
)
async def test_a_wrong_user_is_refused(
    api: Api, body: dict[str, Any], status: int, why: str
) -> None:
    answer = await api.call("PUT", f"{USERS}/u-1", body)

    assert answer.status == status
    assert answer.json() == imsx(why, "invaliddata")
    assert api.server.users == {}


@pytest.mark.parametrize(
    ("path", "body", "status", "why"),
    [
        (LINK, {"agent": wire_agent()}, 422, "agent: is not known"),
        (LINK, wire_agent(relationshipType=1), 422, "relationshipType: must be a string"),
        (LINK, wire_agent("nobody"), 404, "no such user"),
        (f"{STUDENTS}/nobody/agents/a-1", wire_agent(), 404, "no such student"),
        (f"{STUDENTS}/u-1/agents/a-1", wire_agent(), 404, "no such student"),
    ],
)
async def test_a_wrong_link_is_refused(
    api: Api, path: str, body: dict[str, Any], status: int, why: str
) -> None:
    await api.put_student()
    await api.put_user()

    answer = await api.call("PUT", path, body)

    assert answer.status == status
    assert why in answer.json()["imsx_description"]
    assert api.server.agents == {}


@pytest.mark.parametrize("path", [f"{USERS}/nobody", f"{USERS}/nobody/agents"])
async def test_there_is_nothing_to_read_of_a_stranger(api: Api, path: str) -> None:
    answer = await api.call("GET", path)

    assert answer.status == 404
    assert answer.json() == imsx("no such user", "unknownobject")


# -- tokens


@pytest.mark.parametrize(
    ("headers", "form"),
    [
        ({"Authorization": basic("mock-client:mock-secret")}, GRANT),
        ({"Authorization": basic("mock-client:mock-secret").replace("Basic", "basic")}, GRANT),
        ({}, GRANT | CREDENTIALS),
    ],
)
async def test_a_token_is_granted_for_credentials_in_the_header_or_the_form(
    api: Api, headers: dict[str, str], form: dict[str, str]
) -> None:
    answer = await api.send("POST", TOKEN, form, headers)

    assert answer.status == 200
    granted = answer.json()
    assert granted.pop("access_token")
    assert granted == {
        "token_type": "bearer",
        "expires_in": 3600,
        "scope": f"{CREATEPUT} {READONLY}",
    }


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "other"}, 401, "invalid_client"),
        ({"client_id": "", "client_secret": ""}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "unsupported_grant_type"),
        ({"scope": ""}, 400, "invalid_scope"),
        ({"scope": f"{READONLY} everything"}, 400, "invalid_scope"),
    ],
)
async def test_a_wrong_token_request_is_refused(
    api: Api, changes: dict[str, str], status: int, error: str
) -> None:
    answer = await api.token(**changes)

    assert answer.status == status
    assert answer.json() == {"error": error, "error_description": f"{error} (mock)"}


@pytest.mark.parametrize(
    "authorization",
    [
        basic("mock-client:wrong"),
        basic("mock-client"),
        basic("mock-client:mock-secret") + "*",
        "Basic " + b64encode(b"\xff:\xff").decode(),
        "Basic é",
        "Bearer mock-client:mock-secret",
    ],
)
async def test_a_wrong_credentials_header_is_refused(api: Api, authorization: str) -> None:
    answer = await api.send("POST", TOKEN, GRANT, {"Authorization": authorization})

    assert answer.status == 401
    assert answer.json()["error"] == "invalid_client"


async def test_a_token_is_not_for_the_asking_with_get(api: Api) -> None:
    answer = await api.send("GET", TOKEN, GRANT | CREDENTIALS)

    assert 400 <= answer.status < 500


async def test_a_token_request_that_is_no_form_is_refused(api: Api) -> None:
    answer = await api.send("POST", TOKEN, b"\xff")

    assert answer.status == 400


async def test_only_the_scopes_of_the_client_are_granted() -> None:
    async with mock_api(scopes=(READONLY,)) as api:
        assert (await api.token(scope=READONLY)).status == 200
        assert (await api.token(scope=CREATEPUT)).status == 400


@pytest.mark.parametrize(("method", "path", "scope"), EVERY_OPERATION)
@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer nonsense"])
async def test_every_operation_needs_a_token(
    api: Api, method: str, path: str, scope: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}

    answer = await api.send(method, path, None, headers)

    assert answer.status == 401
    assert answer.json() == imsx("the token is missing or no longer valid", "unauthorisedrequest")


async def test_a_token_counts_only_as_bearer(api: Api) -> None:
    token = (await api.token()).json()["access_token"]

    answers = [
        await api.send("GET", ORGS, None, {"Authorization": f"{scheme} {token}"})
        for scheme in ("Basic", "bearer")
    ]

    assert [answer.status for answer in answers] == [401, 200]


@pytest.mark.parametrize(("method", "path", "scope"), EVERY_OPERATION)
async def test_every_operation_needs_its_scope(
    linked: Api, method: str, path: str, scope: str
) -> None:
    await linked.login(scope=READONLY if scope == CREATEPUT else CREATEPUT)
    refused = await linked.call(method, path)
    await linked.login(scope=scope)
    let_in = await linked.call(method, path)

    assert refused.status == 403
    assert refused.json() == imsx("the token lacks the scope", "forbidden")
    assert let_in.status not in (401, 403)


async def test_revoked_tokens_count_no_more(api: Api) -> None:
    await api.login()
    api.server.revoke_tokens()

    assert (await api.call("GET", ORGS)).status == 401
    await api.login()
    assert (await api.call("GET", ORGS)).status == 200


# -- counters and settings


async def test_requests_and_answers_are_counted(api: Api) -> None:
    await api.put_student()
    await api.call("GET", f"{USERS}/nobody")
    await api.token(grant_type="wrong")

    server = api.server
    assert (server.requests, server.token_requests) == (2, 2)
    assert server.statuses == {200: 2, 404: 1, 400: 1}
    assert (server.in_flight, server.peak_in_flight, server.connections) == (0, 1, 1)


async def test_the_most_requests_at_once_are_remembered(api: Api) -> None:
    await api.login()
    api.server.faults = Faults(latency=0.02)

    await asyncio.gather(*(api.call("GET", ORGS) for _ in range(5)))
    await api.call("GET", ORGS)

    server = api.server
    assert (server.in_flight, server.peak_in_flight, server.connections) == (0, 5, 5)


async def test_the_state_is_there_for_other_processes(linked: Api) -> None:
    answer = await linked.send("GET", "/_mock/state")

    assert answer.status == 200
    assert answer.json() == {
        "students": {"s-1": wire_student()},
        "users": {"u-1": wire_user()},
        "agents": [["s-1", "a-1", wire_agent()]],
        "requests": 3,
        "token_requests": 1,
        "connections": 1,
        "peak_in_flight": 1,
        "statuses": {"200": 2, "201": 2},
    }


async def test_a_client_is_configured_for_the_server() -> None:
    async with MockServer(client_id="c", client_secret="s") as server:
        config = server.config(max_in_flight=3)

        assert config == Config(
            client_id="c", client_secret="s", base_url=server.base_url, max_in_flight=3
        )
        assert server.config(client_secret="wrong").client_secret == "wrong"


async def test_only_its_own_credentials_are_accepted() -> None:
    async with mock_api(client_id="c", client_secret="s") as api:
        assert (await api.token(client_id="c", client_secret="s")).status == 200
        assert (await api.token()).status == 401


def test_an_address_of_ip_version_6_is_bracketed() -> None:
    assert MockServer(host="::1", port=8080).base_url == "http://[::1]:8080"


async def test_the_port_may_be_chosen_and_is_free_again_afterwards() -> None:
    async with MockServer() as first:
        url = first.base_url

    async with mock_api(port=URL(url).port) as api:
        assert api.server.base_url == url
        assert (await api.token()).status == 200


async def test_a_stopped_server_takes_no_connections() -> None:
    async with aiohttp.ClientSession() as http:
        async with MockServer() as server:
            api = Api(server, http)
            await api.token()

        with pytest.raises(aiohttp.ClientConnectionError):
            await api.token()


async def test_a_client_that_hangs_up_in_its_request_is_no_error_of_the_server(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with MockServer() as server:
        _, writer = await asyncio.open_connection("127.0.0.1", int(server.base_url[-5:]))
        head = b"PUT /rostering/1.0/students HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
        writer.write(head + b"{")
        await until(lambda: server.requests)
        writer.transport.abort()
        await until(lambda: not server.in_flight)

    assert caplog.records == []

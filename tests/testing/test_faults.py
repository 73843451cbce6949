import asyncio
import json
import time
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from tests.support import records as samples
from tests.support.mock_api import LINK, ORGS, Answer, Api, mock_api
from tests.support.records import wire_agent, wire_student
from timeback_async import TimebackSession
from timeback_async.testing import Faults, MockServer, Throttle
from timeback_async.testing._faults import Limiter


class Clock:
    """Stands in for the module `time`; the date stays the real one."""

    now = 1000.0
    time = staticmethod(time.time)

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("timeback_async.testing._server.time", clock)
    return clock


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The times slept, without sleeping."""
    slept: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        if seconds:
            slept.append(seconds)
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return slept


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with mock_api() as api:
        await api.login()
        yield api


async def outcomes(api: Api, count: int) -> list[int]:
    """Put students and return the statuses, 0 where there was no whole answer."""
    seen = []
    for number in range(count):
        try:
            seen.append((await api.put_student(f"s-{number}")).status)
        except aiohttp.ClientError:
            seen.append(0)
    return seen


# -- time


async def test_nothing_goes_wrong_by_itself(api: Api, sleeps: list[float]) -> None:
    assert await outcomes(api, 5) == [200] * 5
    assert sleeps == []


async def test_a_fixed_latency_precedes_every_answer(api: Api, sleeps: list[float]) -> None:
    api.server.faults = Faults(latency=0.25)

    await api.token()
    await api.put_student()

    assert sleeps == [0.25, 0.25]


async def test_a_latency_is_drawn_between_its_bounds(api: Api, sleeps: list[float]) -> None:
    api.server.faults = Faults(latency=(0.1, 0.2))

    await outcomes(api, 10)

    assert len(set(sleeps)) == 10
    assert all(0.1 <= seconds <= 0.2 for seconds in sleeps)


async def test_a_slow_answer_comes_whole_but_in_pieces(api: Api, sleeps: list[float]) -> None:
    api.server.faults = Faults(slow=1.0, slow_seconds=2.0)

    answer = await api.put_student()

    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json()["student"]["sourcedId"] == "s-1"
    assert sleeps == [0.5, 0.5, 0.5, 0.5]
    assert api.server.statuses[200] == 2


async def test_answers_are_slow_only_at_the_given_rate(api: Api, sleeps: list[float]) -> None:
    api.server.faults = Faults(slow=0.5)

    assert await outcomes(api, 40) == [200] * 40
    assert 10 * 4 <= len(sleeps) <= 30 * 4


# -- statuses


async def test_an_error_status_stores_nothing(api: Api) -> None:
    api.server.faults = Faults(statuses={503: 1.0})

    answer = await api.put_student()

    assert answer.status == 503
    assert api.server.students == {}
    assert api.server.statuses[503] == 1


async def test_error_statuses_come_at_their_rates(api: Api) -> None:
    api.server.faults = Faults(statuses={500: 0.25, 503: 0.25})

    seen = await outcomes(api, 200)

    assert set(seen) == {200, 500, 503}
    assert 30 <= seen.count(500) <= 70
    assert 20 <= seen.count(503) <= 60
    assert len(api.server.students) == seen.count(200)


@pytest.mark.parametrize(
    ("form", "content_type", "body"),
    [
        ("html", "text/html", b"<html><body><h1>502</h1></body></html>"),
        ("text", "text/plain", b"upstream error 502"),
        ("empty", "text/plain", b""),
        ("deep", "application/json", b"[" * 200_000),
    ],
)
async def test_an_error_body_takes_any_form(
    api: Api, form: Any, content_type: str, body: bytes
) -> None:
    api.server.faults = Faults(statuses={502: 1.0}, token_statuses={502: 1.0}, error_body=form)

    for answer in (await api.put_student(), await api.token()):
        assert answer.status == 502
        assert answer.headers["Content-Type"].startswith(content_type)
        assert answer.body == body


@pytest.mark.parametrize(
    ("status", "minor"),
    [
        (400, "invaliddata"),
        (405, "unsupported"),
        (409, "invaliddata"),
        (429, "server_busy"),
        (500, "internal_server_error"),
        (503, "server_busy"),
    ],
)
async def test_an_error_body_is_imsx_by_default(api: Api, status: int, minor: str) -> None:
    api.server.faults = Faults(statuses={status: 1.0})

    body = (await api.put_student()).json()

    assert body["imsx_description"] == "injected fault"
    assert body["imsx_CodeMinor"]["imsx_codeMinorField"][0]["imsx_codeMinorFieldValue"] == minor


@pytest.mark.parametrize("form", ["imsx", "html"])
@pytest.mark.parametrize(("status", "is_redirect"), [(301, True), (307, True), (404, False)])
async def test_a_redirect_leads_elsewhere(
    api: Api, form: Any, status: int, is_redirect: bool
) -> None:
    api.server.faults = Faults(statuses={status: 1.0}, error_body=form)

    answer = await api.put_student()

    assert answer.status == status
    assert ("Location" in answer.headers) == is_redirect


# -- answers that are not the usual one


@pytest.mark.parametrize(
    ("form", "status", "content_type", "told"),
    [
        ("imsx-failure", 200, "application/json", b'"imsx_codeMajor": "failure"'),
        ("gateway-error", 200, "application/json", b'{"message": "Internal server error"}'),
        ("html", 200, "text/html", b"<title>Back soon</title>"),
        ("text", 200, "text/plain", b"try again later"),
    ],
)
async def test_an_answer_of_somebody_else_stores_nothing(
    api: Api, form: Any, status: int, content_type: str, told: bytes
) -> None:
    api.server.faults = Faults(answers={form: 1.0})

    answer = await api.put_student()

    assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (
        status,
        content_type,
    )
    assert told in answer.body
    assert api.server.students == {}


@pytest.mark.parametrize(
    ("form", "status", "body"),
    [
        ("202", 202, b"{}"),
        ("207", 207, b'{"results": [{"status": 200}]}'),
        ("processing", 200, b'{"imsx_codeMajor": "processing", "imsx_severity": "status"}'),
    ],
)
async def test_an_answer_without_the_record_may_follow_on_its_storing(
    api: Api, form: Any, status: int, body: bytes
) -> None:
    api.server.faults = Faults(answers={form: 1.0})

    answer = await api.put_student()

    assert (answer.status, answer.body) == (status, body)
    assert list(api.server.students) == ["s-1"]


@pytest.mark.parametrize(
    ("form", "own"), [("other-id", "other-S-1"), ("lower-case-id", "s-1"), ("bom", "S-1")]
)
async def test_an_answer_names_another_id_or_begins_with_a_mark(
    api: Api, form: Any, own: str
) -> None:
    api.server.faults = Faults(answers={form: 1.0})

    answer = await api.put_student("S-1")

    assert answer.status == 200
    assert json.loads(answer.body.decode("utf-8-sig"))["student"]["sourcedId"] == own
    assert answer.body.startswith(b"\xef\xbb\xbf") == (form == "bom")
    assert list(api.server.students) == ["S-1"]


@pytest.mark.parametrize("form", ["other-id", "bom"])
async def test_an_answer_without_an_id_has_no_other_one(api: Api, form: Any) -> None:
    await api.put_student()
    await api.put_user()
    api.server.faults = Faults(answers={form: 1.0})

    answer = await api.call("PUT", LINK, wire_agent())
    deleted = await api.call("DELETE", LINK)

    assert json.loads(answer.body.decode("utf-8-sig"))["agentId"] == "a-1"
    assert (deleted.status, deleted.body.decode("utf-8-sig")) == (204, "")


async def test_other_answers_come_at_their_rates(api: Api) -> None:
    api.server.faults = Faults(answers={"202": 0.25, "207": 0.25})

    seen = await outcomes(api, 200)

    assert set(seen) == {200, 202, 207}
    assert 30 <= seen.count(202) <= 70
    assert 30 <= seen.count(207) <= 70


@pytest.mark.parametrize("field", ["answers", "token_answers"])
def test_an_answer_that_there_is_not_is_refused_with_those_there_are(field: Any) -> None:
    misspelt: Any = {field: {"htm": 1.0}}

    with pytest.raises(ValueError, match=rf"^{field}: unknown \['htm'\]; use .*html"):
        Faults(**misspelt)


# -- connections


@pytest.mark.parametrize(
    ("faults", "error", "stored", "statuses"),
    [
        (Faults(drop_before=1.0), aiohttp.ServerDisconnectedError, [], {200: 1, 499: 1}),
        (Faults(drop_after=1.0), aiohttp.ServerDisconnectedError, ["s-1"], {200: 1, 499: 1}),
        (Faults(truncate=1.0), aiohttp.ClientPayloadError, ["s-1"], {200: 2}),
    ],
)
async def test_a_lost_answer_may_have_been_stored(
    api: Api,
    faults: Faults,
    error: type[Exception],
    stored: list[str],
    statuses: dict[int, int],
) -> None:
    api.server.faults = faults

    with pytest.raises(error):
        await api.put_student()

    assert list(api.server.students) == stored
    assert api.server.statuses == statuses
    assert (api.server.requests, api.server.in_flight) == (1, 0)


async def test_connections_are_lost_at_the_given_rates(api: Api) -> None:
    api.server.faults = Faults(drop_before=0.2, drop_after=0.2, truncate=0.2)

    seen = await outcomes(api, 100)

    assert 30 <= seen.count(0) <= 70
    assert seen.count(200) < len(api.server.students) < 100


async def test_a_client_that_has_gone_cannot_be_dropped(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, slept, pause = api.server, asyncio.Event(), asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda _: slept.wait())
    server.faults = Faults(latency=1.0, drop_before=1.0)

    async with asyncio.timeout(5):
        request = asyncio.create_task(api.put_student())
        while not server.in_flight:
            await pause(0)
        (connection,) = server._web.connections
        request.cancel()
        while connection.transport is not None:
            await pause(0)
        slept.set()
        while server.in_flight:
            await pause(0)

    assert server.statuses[499] == 1


async def test_an_answer_without_a_body_cannot_be_cut(api: Api) -> None:
    api.server.students["s-1"] = wire_student()
    api.server.agents["s-1", "a-1"] = wire_agent()
    api.server.faults = Faults(truncate=1.0, slow=1.0)

    answer = await api.call("DELETE", LINK)
    await api.token()

    assert (answer.status, answer.body) == (204, b"")
    assert api.server.connections == 1


# -- rate limits


def waits(throttle: Throttle, *instants: float) -> list[float]:
    limiter = Limiter(throttle)
    return [limiter.wait(instant) for instant in instants]


@pytest.mark.parametrize("start", [0.5, 5000.0])
def test_a_bucket_refills_steadily(start: float) -> None:
    throttle = Throttle(rate=2, burst=2)
    instants = [start + after for after in (0, 0, 0, 0.25, 0.5, 0.5)]

    assert waits(throttle, *instants) == [0, 0, 0.5, 0.25, 0, 0.5]


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    assert waits(Throttle(rate=2, burst=2), 0, 100, 100, 100) == [0, 0, 0, 0.5]


@pytest.mark.parametrize("start", [0.5, 5000.0])
def test_a_window_refills_at_once_after_the_first_request_in_it(start: float) -> None:
    throttle = Throttle(rate=2, burst=4, kind="window")
    instants = [start + after for after in (0, 0, 1, 1, 1, 1.75, 2, 2, 2, 2, 2.5)]

    assert waits(throttle, *instants) == [0, 0, 0, 0, 1, 0.25, 0, 0, 0, 0, 1.5]


def test_the_next_window_begins_with_the_next_request() -> None:
    throttle = Throttle(rate=1, burst=1, kind="window")

    assert waits(throttle, 0, 0.5, 7.75, 8.5, 8.75) == [0, 0.5, 0, 0.25, 0]


def test_rejections_may_cost_as_much_as_requests_down_to_one_burst_of_debt() -> None:
    throttle = Throttle(rate=1, burst=2, rejections_cost=True)

    assert waits(throttle, 0, 0, 0, 0, 0, 2, 5) == [0, 0, 2, 3, 3, 2, 0]


def test_rejections_cost_nothing_otherwise() -> None:
    assert waits(Throttle(rate=1, burst=1), 0, 0, 0, 0, 1) == [0, 1, 1, 1, 0]


def test_rejections_do_not_outlast_their_window() -> None:
    throttle = Throttle(rate=1, burst=2, kind="window", rejections_cost=True)

    assert waits(throttle, 0, 0, 0, 0, 2, 2, 2) == [0, 0, 2, 2, 0, 0, 2]


def hint(answer: Answer) -> float:
    """Return the seconds that an answer asks to wait."""
    if milliseconds := answer.headers.get("retry-after-ms"):
        return int(milliseconds) / 1000
    asked = answer.headers["Retry-After"]
    if asked.isdigit():
        return int(asked)
    until, now = parsedate_to_datetime(asked), parsedate_to_datetime(answer.headers["Date"])
    return (until - now).total_seconds()


@pytest.mark.parametrize("form", ["seconds", "date", "ms"])
@pytest.mark.parametrize("kind", ["bucket", "window"])
@pytest.mark.parametrize("wait", [0.01, 0.5, 1.0, 2.0, 2.5, 60.0])
async def test_who_obeys_the_hint_gets_through(
    api: Api, clock: Clock, form: Any, kind: Any, wait: float
) -> None:
    await api.login()
    throttle = Throttle(rate=1 / wait, burst=1, kind=kind, retry_after=form)
    api.server.faults = Faults(throttle=throttle)

    seen = [await api.put_student("s-1"), await api.put_student("s-2")]
    clock.now += hint(seen[1])
    seen.append(await api.put_student("s-3"))

    assert [answer.status for answer in seen] == [200, 429, 200]
    assert wait <= hint(seen[1]) <= wait + 2
    assert list(api.server.students) == ["s-1", "s-3"]


async def test_a_rejection_may_come_without_a_hint_and_with_another_status(api: Api) -> None:
    throttle = Throttle(rate=0.001, burst=1, retry_after=None, status=503)
    api.server.faults = Faults(throttle=throttle)
    await api.put_student()

    answer = await api.put_student()

    assert answer.status == 503
    assert answer.json()["imsx_description"] == "too many requests"
    assert not {"Retry-After", "retry-after-ms"} & set(answer.headers)


@pytest.mark.parametrize(("hint", "asked"), [("seconds", "1"), (None, None)])
async def test_requests_above_the_most_at_once_are_rejected_at_once(
    api: Api, hint: Any, asked: str | None
) -> None:
    throttle = Throttle(max_in_flight=3, status=503, retry_after=hint)
    api.server.faults = Faults(throttle=throttle, latency=0.05)

    answers = await asyncio.gather(*(api.put_student(f"s-{n}") for n in range(8)))

    statuses = [answer.status for answer in answers]
    assert (statuses.count(200), statuses.count(503)) == (3, 5)
    assert {each.headers.get("Retry-After") for each in answers if each.status == 503} == {asked}
    assert len(api.server.students) == 3


async def test_requests_one_by_one_keep_to_every_bound_on_those_at_once(api: Api) -> None:
    api.server.faults = Faults(throttle=Throttle(max_in_flight=1))

    assert await outcomes(api, 50) == [200] * 50


async def test_setting_the_faults_starts_the_limit_anew(api: Api) -> None:
    faults = Faults(throttle=Throttle(rate=0.001, burst=1))

    api.server.faults = faults
    before = await outcomes(api, 2)
    api.server.faults = faults
    after = await outcomes(api, 2)

    assert before == after == [200, 429]
    assert api.server.faults is faults


# -- tokens


async def test_the_token_endpoint_has_its_own_statuses(api: Api) -> None:
    api.server.faults = Faults(token_statuses={500: 0.5})

    statuses = [(await api.token()).status for _ in range(40)]

    assert 10 <= statuses.count(500) <= 30
    assert statuses.count(200) == 40 - statuses.count(500)
    assert await outcomes(api, 5) == [200] * 5


async def test_a_token_ends_after_its_lifetime(api: Api, clock: Clock) -> None:
    api.server.faults = Faults(token_lifetime=60.0)
    granted = await api.token()
    await api.login()

    statuses = []
    for clock.now in (1000.0, 1059.5, 1060.0):
        statuses.append((await api.call("GET", ORGS)).status)

    assert granted.json()["expires_in"] == 60
    assert statuses == [200, 200, 401]


async def test_tokens_are_revoked_after_every_so_many_requests(api: Api) -> None:
    api.server.faults = Faults(revoke_every=3)

    seen = await outcomes(api, 5)

    assert seen == [200, 200, 200, 401, 401]


@pytest.mark.parametrize(
    ("form", "status", "told"),
    [
        ("html", 200, b"<html>"),
        ("no-token", 200, b'"token_type"'),
        ("temporarily-unavailable", 400, b'"error": "temporarily_unavailable"'),
    ],
)
async def test_the_token_endpoint_has_odd_answers_of_its_own(
    api: Api, form: Any, status: int, told: bytes
) -> None:
    api.server.faults = Faults(token_answers={form: 1.0})

    answer = await api.token()

    assert answer.status == status
    assert told in answer.body
    assert b"access_token" not in answer.body
    assert await outcomes(api, 3) == [200] * 3


async def test_a_token_is_accepted_some_time_after_its_issue(api: Api, clock: Clock) -> None:
    api.server.faults = Faults(token_delay=2.0, token_lifetime=60.0)
    await api.login()

    statuses = []
    for clock.now in (1000.0, 1001.5, 1002.0, 1059.5, 1060.0):
        statuses.append((await api.call("GET", ORGS)).status)

    assert statuses == [401, 401, 200, 200, 401]


# -- seeds and presets


async def storm(seed: int) -> tuple[list[int], list[str]]:
    async with mock_api(faults=Faults.preset("storm", seed)) as api:
        return await outcomes(api, 100), list(api.server.students)


async def test_the_same_seed_and_requests_give_the_same_faults(sleeps: list[float]) -> None:
    first, second, other = [await storm(seed) for seed in (7, 7, 8)]

    assert first == second
    assert first != other


async def test_setting_the_faults_starts_the_seed_anew(api: Api) -> None:
    faults = Faults(statuses={503: 0.5}, seed=3)

    api.server.faults = faults
    before = await outcomes(api, 30)
    api.server.faults = faults
    after = await outcomes(api, 30)

    assert before == after


async def test_a_storm_leaves_most_requests_alone(sleeps: list[float]) -> None:
    seen, _ = await storm(1)

    assert seen.count(200) > 70
    assert len(sleeps) >= len(seen)
    assert 0 in seen
    assert any(status >= 500 for status in seen)


def test_a_preset_is_named_and_seeded() -> None:
    none, some, storm = (Faults.preset(name, seed=5) for name in ("none", "some", "storm"))

    assert none == Faults(seed=5)
    assert some.seed == storm.seed == 5
    assert some.throttle is None
    assert storm.throttle is not None
    assert sum(some.statuses.values()) < sum(storm.statuses.values())


def test_an_unknown_preset_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match="'mild'; use none, some or storm"):
        Faults.preset("mild")


async def test_tokens_are_revoked_once_for_so_many_requests_however_many_are_under_way() -> None:
    faults = Faults(revoke_every=100, latency=(0.0, 0.005))
    async with (
        MockServer(faults=faults) as server,
        TimebackSession(server.config(max_in_flight=16)) as timeback,
    ):
        report = await timeback.upsert_many(samples.student(f"s-{n}") for n in range(400))

    assert report.saved == 400
    assert server.token_requests <= 1 + server.requests // 100


async def test_an_answer_that_nobody_waits_for_ends_with_the_server() -> None:
    before = asyncio.all_tasks()
    async with MockServer() as server, TimebackSession(server.config()) as session:
        await session.upsert_student(samples.student())
        server.faults = Faults(latency=1000)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await session.upsert_student(samples.student())

    assert asyncio.all_tasks() == before

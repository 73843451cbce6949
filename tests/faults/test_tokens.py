"""What happens to tokens while thousands of requests depend on them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import count
from math import inf
from typing import Any

import pytest

from tests.support.case import CANARY, Case, case, private_student, private_students
from tests.support.clock import simulated
from tests.support.config import config
from tests.support.figures import figure
from tests.support.scripted import After, ScriptedServer, Sent, Step, answer, grant
from tests.support.tasks import until
from timeback_async import Outcome, Report, Response, Student, TimebackSession
from timeback_async._flow.token import TokenStore
from timeback_async.errors import AuthError, ForbiddenError, TimebackError, TimedOutError
from timeback_async.testing import Faults

TEN_MINUTES = 600


async def paced(number: int, gap: float) -> AsyncIterator[Student]:
    for n in range(number):
        yield private_student(n)
        await asyncio.sleep(gap)


async def upsert(transport: ScriptedServer, records: Any, **settings: Any) -> Report:
    """Run a session over a transport without a network, for an hour at most."""
    async with (
        asyncio.timeout(3600),
        TimebackSession(config(**settings), transport=transport) as session,
    ):
        return await session.upsert_many(records)


def in_the_worst_minute(requests: Sequence[Sent]) -> int:
    times = [request.at for request in requests]
    return max(sum(begin <= at < begin + 60 for at in times) for begin in times)


# -- one renewal for all


async def test_64_rejections_at_once_cost_one_renewal_and_64_repetitions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with case(max_in_flight=64, adaptive=False) as it:
        await it.upsert([private_student("first")])
        numbers, all_are_there, there_is_a_new_one = count(), asyncio.Event(), asyncio.Event()

        async def wait(latency: object) -> None:
            if (number := next(numbers)) < 64:
                await (there_is_a_new_one if number % 2 else all_are_there).wait()

        monkeypatch.setattr(it.server, "_wait", wait)
        run = asyncio.create_task(it.upsert(private_students(100)))
        await until(lambda: it.server.in_flight == 64)
        it.server.revoke_tokens()
        all_are_there.set()
        await until(lambda: len(it.server.students) > 1)
        there_is_a_new_one.set()
        report = await run

        assert it.server.statuses[401] == report.retries == 64
        assert report.token_requests == 1
        assert report.saved == 100
        figure(
            "64 simultaneous 401s: renewals, repetitions", (report.token_requests, report.retries)
        )


async def served_of_50(it: Case) -> int:
    """Cancel one of 50 callers who wait for the first token; return how many are served."""
    calls = [
        asyncio.create_task(it.session.upsert_student(s)) for s in it.noted(private_students(50))
    ]
    await until(lambda: it.server.token_requests == 1)
    calls[0].cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    it.errors += [error for error in results if isinstance(error, TimebackError)]
    return sum(result is not None and not isinstance(result, BaseException) for result in results)


def join_the_fetch(store: TokenStore, scope: str, **_: Any) -> Any:
    """Let every caller wait for the fetch itself: then one of them cancels it for all."""
    its_own(store, scope)
    return store._held[scope].fetch


its_own = TokenStore.join


@pytest.mark.parametrize("join", [its_own, pytest.param(join_the_fetch, id="control")])
async def test_one_of_50_waiting_for_a_token_cancels_only_itself(
    join: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TokenStore, "join", join)

    async with case(faults=Faults(latency=0.05), adaptive=False) as it:
        served = await served_of_50(it)

        assert ((served, it.server.token_requests) == (49, 1)) == (join is its_own)
        how = "a future of its own" if join is its_own else "control: the fetch itself"
        figure(f"1 of 50 waiters for a token cancelled, {how}: served", served)


# -- a strange token endpoint

ODD: dict[str, Sequence[Step]] = {
    "slow": [After(20, grant(expires_in=60))],
    "the same token again": [grant("same", expires_in=60)],
    "no expires_in": [grant()],
    "a life of 1 s": [lambda _: grant(expires_in=1)],
    "a life of 1 s, slow": [After(20, grant(expires_in=1))],
}


@pytest.mark.parametrize("name", ODD)
def test_as_long_as_the_token_is_accepted_it_is_renewed_twice_a_minute_at_most(name: str) -> None:
    @simulated
    async def run() -> None:
        transport = ScriptedServer(grants=ODD[name], latency=0.05)

        report = await upsert(transport, paced(TEN_MINUTES, 1.0))

        assert report.ok
        assert len(transport.sent) == report.saved == TEN_MINUTES
        assert len(transport.asked) <= 20
        figure(f"{name}: token requests a minute", len(transport.asked) / 10)

    run()


TROUBLE: dict[str, Step] = {
    "500": answer(500),
    "429": answer(429),
    "429, Retry-After 30 s": answer(429, Retry_After="30"),
    "no answer": After(inf, answer(500)),
}


@pytest.mark.parametrize("name", TROUBLE)
def test_renewals_that_fail_cost_no_record_and_come_twice_a_minute_at_most(name: str) -> None:
    @simulated
    async def run() -> None:
        # Its renewal is due after 512 s, and urgent after 608.
        transport = ScriptedServer(grants=[grant(expires_in=640), TROUBLE[name]], latency=0.05)

        report = await upsert(transport, paced(TEN_MINUTES, 1.0))

        assert report.ok
        assert len(transport.sent) == report.saved == TEN_MINUTES
        assert len(transport.asked) <= 20
        worst = in_the_worst_minute(transport.asked)
        assert 1 <= worst <= 2
        figure(f"renewals end in {name}: token requests in the worst minute", worst)

    run()


@pytest.mark.parametrize("claimed", [1, 3600])
def test_a_token_that_lives_for_a_second_is_renewed_when_the_server_says_so(claimed: int) -> None:
    granted_at: dict[str, float] = {}

    def grant_one(sent: Sent) -> Response:
        name = f"token-{len(granted_at)}"
        granted_at[name] = sent.at
        return grant(name, expires_in=claimed)

    def judge(sent: Sent) -> Response:
        return answer(401 if sent.at - granted_at[sent.token] >= 1 else 204)

    @simulated
    async def run() -> None:
        transport = ScriptedServer(judge, grants=[grant_one], latency=0.2, grant_latency=0.1)

        report = await upsert(transport, private_students(1200), max_in_flight=4)

        seconds = report.elapsed
        assert report.ok
        assert report.saved == 1200
        assert seconds > 60
        assert 0.5 * seconds <= len(transport.asked) <= seconds + 1
        assert len(transport.sent) <= 1200 + 4 * len(transport.asked)
        figure(
            f"tokens that live 1 s and claim {claimed}: token requests a minute",
            round(len(transport.asked) / seconds * 60),
        )

    run()


@pytest.mark.parametrize("adaptive", [True, False])
def test_a_token_that_ends_while_the_gate_is_shut_is_renewed_when_it_opens(adaptive: bool) -> None:
    @simulated
    async def run() -> None:
        start = asyncio.get_running_loop().time()

        def judge(sent: Sent) -> Response:
            if len(transport.sent) <= 40:
                return answer()
            if sent.at < start + 60:
                return answer(429, Retry_After="60")
            return answer(204 if sent.token == "token-2" else 401)

        grants: list[Step] = [
            grant("token-1", expires_in=50),
            After(1, grant("token-2", expires_in=3600)),
        ]
        transport = ScriptedServer(judge, grants=grants, latency=0.1)

        report = await upsert(transport, private_students(200), max_in_flight=4, adaptive=adaptive)

        assert report.ok
        assert report.saved == 200
        assert len(transport.asked) == 2
        assert report.attempts == 200 + report.throttled
        kind = "adaptive" if adaptive else "fixed"
        figure(f"token ends behind a gate of 60 s, {kind} window: seconds", round(report.elapsed))

    run()


# -- refusals


async def test_refused_credentials_stop_the_run_after_one_request() -> None:
    async with case(client_secret=f"wrong-{CANARY}") as it:
        report = await it.upsert(private_students(1000))

        (error,) = it.errors
        assert isinstance(error, AuthError)
        assert (error.code, error.retryable, error.report) == ("invalid_client", False, report)
        assert 0 < report.counts[Outcome.NOT_SENT] == report.submitted < 1000
        assert (it.server.token_requests, it.server.requests) == (1, 0)
        figure(
            "invalid_client: token requests, other requests",
            (it.server.token_requests, it.server.requests),
        )


@pytest.mark.parametrize(("status", "requests", "tokens"), [(401, 18, 3), (403, 3, 1)])
@simulated
async def test_refusals_of_a_fresh_token_stop_the_run_after_three_records(
    status: int, requests: int, tokens: int
) -> None:
    transport = ScriptedServer(answer(status), latency=0.01)

    with pytest.raises(AuthError) as caught:
        await upsert(transport, private_students(1000), max_in_flight=1)

    report = caught.value.report
    assert (caught.value.status, report.submitted, report.failed) == (status, 3, 3)
    causes = {type(result.error) for result in report.failures}
    assert causes == {AuthError if status == 401 else ForbiddenError}
    assert (len(transport.sent), len(transport.asked)) == (requests, tokens)
    figure(f"{status} for ever, one in flight: requests, token requests", (requests, tokens))


@pytest.mark.parametrize("status", [401, 403])
@simulated
async def test_refusals_of_a_fresh_token_stop_a_wide_run_too(status: int) -> None:
    transport = ScriptedServer(answer(status), latency=0.01)

    with pytest.raises(AuthError) as caught:
        await upsert(transport, private_students(1000))

    report = caught.value.report
    assert report.counts[Outcome.SAVED] == 0
    assert report.submitted <= 64 + 2
    figure(f"{status} for ever, 64 in flight: requests", len(transport.sent))


@pytest.mark.parametrize("in_flight", [1, 64])
@pytest.mark.parametrize("adaptive", [True, False])
@pytest.mark.parametrize("gone", [answer(503), TimedOutError("no answer in time")])
def test_a_token_that_is_lost_in_an_outage_is_waited_for(
    gone: Step, adaptive: bool, in_flight: int
) -> None:
    @simulated
    async def run() -> None:
        # Ten seconds' worth of records, a restart that forgets the token, and a minute of nobody.
        transport = ScriptedServer(grants=[grant("old")], latency=0.05)
        report = asyncio.ensure_future(
            upsert(transport, paced(40, 0.25), adaptive=adaptive, max_in_flight=in_flight)
        )
        await asyncio.sleep(5)
        transport.script, transport.grants = [answer(401)], [gone]
        await asyncio.sleep(60)
        transport.script, transport.grants = [answer()], [grant("new")]
        ended = await report

        assert ended.ok
        assert ended.saved == 40
        assert ended.token_requests <= 90
        figure(f"token lost for a minute, {in_flight} in flight: requests", ended.token_requests)

    run()


@simulated
async def test_a_token_that_is_never_to_be_had_again_ends_the_run_after_our_patience() -> None:
    transport = ScriptedServer(grants=[grant("old")], latency=0.05)
    running = asyncio.ensure_future(upsert(transport, paced(10_000, 0.25)))
    await asyncio.sleep(5)
    transport.script, transport.grants = [answer(401)], [answer(503)]
    begun = asyncio.get_running_loop().time()

    with pytest.raises(AuthError) as caught:
        await running

    report = caught.value.report
    assert report is not None
    assert 300 <= asyncio.get_running_loop().time() - begun <= 330
    assert report.submitted == report.saved + len(report.failures) < 10_000


@simulated
async def test_an_endpoint_that_never_gave_a_token_is_told_of_at_once() -> None:
    transport = ScriptedServer(grants=[answer(503)])

    with pytest.raises(AuthError):
        await upsert(transport, paced(10, 0.0))

    assert len(transport.asked) == 5

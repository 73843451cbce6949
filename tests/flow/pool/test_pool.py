import asyncio
import random

import pytest

from tests.support.clock import now, simulated
from tests.support.config import BASE
from tests.support.records import student
from tests.support.rig import scripted
from tests.support.scripted import (
    AT_ONCE,
    CUT_OFF,
    DISCONNECT,
    NO_ANSWER,
    REFUSED,
    UNKNOWN_HOST,
    After,
    Outcome,
    Sent,
    answer,
    grant,
)
from timeback_async import Response, RetryPolicy
from timeback_async._flow.call import Abandoned, Call
from timeback_async._wire.codec import fetch_user, upsert
from timeback_async._wire.http import CREATEPUT, READONLY, Request
from timeback_async.errors import (
    ApiError,
    AuthError,
    BadRequestError,
    ConflictError,
    ConnectError,
    DeadlineError,
    ForbiddenError,
    NotFoundError,
    ProtocolError,
    RateLimitError,
    RedirectError,
    ServerError,
    SessionError,
    TimedOutError,
)

# -- one request


@simulated
async def test_an_answer_is_returned_as_it_came() -> None:
    rig = scripted(answer(201, {"a": 1}))

    response = await rig.send()

    assert (response.status, response.json()) == (201, {"a": 1})


@simulated
async def test_a_request_carries_its_token_and_the_type_of_its_body() -> None:
    rig = scripted(base_url=f"{BASE}/api")
    request = upsert(student()).request

    await rig.pool.send(rig.call(request=request))

    (sent,) = rig.server.sent
    assert (sent.method, sent.url) == ("PUT", f"{BASE}/api/rostering/1.0/students")
    assert sent.body == request.body
    assert sent.token == "token-1"
    assert sent.headers["Content-Type"] == "application/json"


@simulated
async def test_a_request_without_a_body_has_no_content_type() -> None:
    rig = scripted()

    await rig.send(method="DELETE")

    assert "Content-Type" not in rig.server.sent[0].headers


@simulated
async def test_every_attempt_has_an_id_of_its_own() -> None:
    rig = scripted(answer(503), retry=AT_ONCE)

    await rig.settle(*(rig.send() for _ in range(10)))

    ids = [sent.headers["X-Request-ID"] for sent in rig.server.sent]
    assert len(set(ids)) == len(ids) == 80


@simulated
async def test_a_repeated_request_has_the_same_bytes() -> None:
    rig = scripted(answer(502), CUT_OFF, answer(), retry=AT_ONCE)

    await rig.pool.send(rig.call(request=upsert(student()).request))

    assert len({sent.body for sent in rig.server.sent}) == 1


@pytest.mark.parametrize("has_own", [True, False])
@simulated
async def test_an_error_has_the_id_of_the_server_or_else_ours(has_own: bool) -> None:
    rig = scripted(answer(400, **({"X_Request_ID": "srv-1"} if has_own else {})))
    call = rig.call()

    with pytest.raises(BadRequestError) as caught:
        await rig.pool.send(call)

    expected = "srv-1" if has_own else rig.server.sent[0].headers["X-Request-ID"]
    assert caught.value.request_id == call.request_id == expected


# -- which outcome does what


@pytest.mark.parametrize(
    ("outcome", "attempts", "kind"),
    [
        (answer(301), 1, RedirectError),
        (answer(307), 1, RedirectError),
        (answer(400), 1, BadRequestError),
        (answer(403), 1, ForbiddenError),
        (answer(404), 1, NotFoundError),
        (answer(405), 1, ApiError),
        (answer(409), 1, ConflictError),
        (answer(422), 1, BadRequestError),
        (answer(501), 1, ServerError),
        (answer(408), 8, ApiError),
        (answer(425), 8, ApiError),
        (answer(500), 4, ServerError),
        (answer(502), 8, ServerError),
        (answer(503), 8, ServerError),
        (answer(504), 8, ServerError),
        (NO_ANSWER, 8, TimedOutError),
        (CUT_OFF, 8, ProtocolError),
        (REFUSED, 8, ConnectError),
        (DISCONNECT, 9, ProtocolError),  # the first is free
        (ConnectError("TLS failed", retryable=False), 1, ConnectError),
        (ProtocolError("too long", retryable=False), 1, ProtocolError),
    ],
    ids=repr,
)
@simulated
async def test_a_failure_is_repeated_so_often(
    outcome: Outcome, attempts: int, kind: type[Exception]
) -> None:
    rig = scripted(outcome, retry=AT_ONCE)
    call = rig.call()

    with pytest.raises(kind) as caught:
        await rig.pool.send(call)

    assert type(caught.value) is kind
    assert len(rig.server.sent) == call.attempts == attempts
    assert call.error is caught.value


@pytest.mark.parametrize(
    "outcome",
    [answer(500), answer(503), answer(429), NO_ANSWER, CUT_OFF, REFUSED, DISCONNECT, UNKNOWN_HOST],
    ids=repr,
)
@simulated
async def test_a_failure_that_passes_is_not_noticed(outcome: Outcome) -> None:
    rig = scripted(outcome, outcome, answer())

    response = await rig.send()

    assert (response.status, len(rig.server.sent)) == (204, 3)


@simulated
async def test_other_failures_are_not_blamed_on_a_record_that_breaks_the_server() -> None:
    broken = answer(500)
    rig = scripted(answer(503), NO_ANSWER, answer(502), broken, broken, broken, answer())

    response = await rig.send()

    assert (response.status, len(rig.server.sent)) == (204, 7)


@pytest.mark.parametrize("throttle", [answer(429), answer(503, Retry_After="1")], ids=repr)
@simulated
async def test_being_throttled_ends_with_the_deadline_and_not_with_the_attempts(
    throttle: Outcome,
) -> None:
    rig = scripted(throttle, deadline=600.0)
    call = rig.call()

    with pytest.raises(DeadlineError) as caught:
        await rig.pool.send(call)

    assert isinstance(caught.value.__cause__, ApiError)
    assert call.throttles == len(rig.server.sent) > 20
    assert call.failures == 0
    assert max(rig.times) < 600


@simulated
async def test_throttling_leaves_the_attempts_for_failures() -> None:
    rig = scripted(*[answer(429)] * 20, answer(503), retry=AT_ONCE)

    with pytest.raises(ServerError):
        await rig.send()

    assert len(rig.server.sent) == 28


@simulated
async def test_the_first_disconnect_is_repeated_at_once_and_for_free() -> None:
    rig = scripted(DISCONNECT, answer())
    call = rig.call()

    await rig.pool.send(call)

    assert rig.times == [0, 0]
    assert (call.attempts, call.failures) == (2, 0)


@simulated
async def test_backoff_spreads_and_doubles() -> None:
    rig = scripted(answer(503), retry=RetryPolicy(initial=1.0, ceiling=8.0), max_in_flight=1000)

    await rig.settle(*(rig.send() for _ in range(200)))

    rounds = [sorted(rig.times)[200 * n : 200 * n + 200] for n in range(8)]
    assert len(rig.times) == 1600
    assert rounds[0] == [0.0] * 200
    assert len(set(rounds[1])) == 200
    assert max(rig.times) <= 1 + 2 + 4 + 8 * 4


@pytest.mark.parametrize(
    ("outcome", "attempts"),
    [
        (REFUSED, 2),
        (UNKNOWN_HOST, 2),
        (answer(429), 2),
        (answer(503, Retry_After="1"), 2),
        (answer(401), 2),
        (answer(408), 1),
        (answer(500), 1),
        (answer(502), 1),
        (answer(503), 1),
        (NO_ANSWER, 1),
        (CUT_OFF, 1),
        (DISCONNECT, 1),
    ],
    ids=repr,
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
@simulated
async def test_what_may_not_happen_twice_is_repeated_only_where_nothing_was_done(
    outcome: Outcome, attempts: int, method: str
) -> None:
    rig = scripted(outcome, answer(201))

    (result,) = await rig.settle(rig.send(method=method))

    assert len(rig.server.sent) == attempts
    assert isinstance(result, Response) == (attempts == 2)


@pytest.mark.parametrize(
    ("first", "is_success"),
    [
        (NO_ANSWER, True),
        (DISCONNECT, True),
        (CUT_OFF, True),
        (answer(502), True),
        (REFUSED, False),
        (answer(429), False),
    ],
    ids=repr,
)
@simulated
async def test_404_on_a_repeated_delete_is_success_where_the_first_may_have_worked(
    first: Outcome, is_success: bool
) -> None:
    rig = scripted(first, answer(404))

    (result,) = await rig.settle(rig.send(method="DELETE"))

    assert isinstance(result, Response if is_success else NotFoundError)


@pytest.mark.parametrize("script", [[answer(404)], [answer(401), answer(404)]])
@simulated
async def test_404_on_a_delete_is_an_error_without_an_unanswered_attempt(
    script: list[Outcome],
) -> None:
    rig = scripted(*script)

    with pytest.raises(NotFoundError):
        await rig.send(method="DELETE")


@simulated
async def test_404_after_no_answer_is_an_error_for_other_methods() -> None:
    rig = scripted(NO_ANSWER, answer(404))

    with pytest.raises(NotFoundError):
        await rig.send(method="PUT")


@simulated
async def test_a_host_that_stays_unknown_is_final_after_half_a_minute() -> None:
    rig = scripted(UNKNOWN_HOST)

    with pytest.raises(ConnectError) as caught:
        await rig.send()

    assert not caught.value.retryable
    assert 30 <= rig.times[-1] <= 50


@pytest.mark.parametrize("known", [answer(503), CUT_OFF, NO_ANSWER], ids=repr)
@simulated
async def test_a_host_that_was_known_in_between_is_not_unknown_for_long(known: Outcome) -> None:
    script = (UNKNOWN_HOST, After(31, known), UNKNOWN_HOST, answer())
    rig = scripted(*script, retry=AT_ONCE, attempt_timeout=60.0)

    response = await rig.send()

    assert response.status == 204


# -- the call's own record


@pytest.mark.parametrize(
    ("script", "unanswered"),
    [
        ([answer(400)], False),
        ([CUT_OFF], True),
        ([REFUSED], False),
        ([NO_ANSWER, REFUSED], True),
        ([NO_ANSWER, answer(503)], False),
    ],
    ids=repr,
)
@simulated
async def test_a_call_knows_whether_an_answer_is_missing(
    script: list[Outcome], unanswered: bool
) -> None:
    rig = scripted(*script, retry=RetryPolicy(attempts=len(script), initial=0.0))
    call = rig.call()

    await rig.settle(rig.pool.send(call))

    assert call.unanswered == unanswered


@simulated
async def test_a_call_has_the_status_of_its_last_answer() -> None:
    rig = scripted(answer(503), CUT_OFF, answer(200), retry=AT_ONCE)
    call = rig.call()

    await rig.pool.send(call)

    assert (call.status, call.attempts, call.failures) == (200, 3, 2)


# -- Retry-After, gate and pace


@pytest.mark.parametrize("status", [429, 503])
@simulated
async def test_a_retry_after_is_waited_out_and_a_tenth_more_at_most(status: int) -> None:
    rig = scripted(answer(status, Retry_After="10"), answer(), max_in_flight=100)

    await rig.settle(*(rig.send() for _ in range(100)))

    assert all(10 <= at <= 11 for at in rig.times[100:])


@simulated
async def test_a_long_retry_after_stops_everybody() -> None:
    rig = scripted(answer(429, Retry_After="2"), answer())
    throttled = rig.start("a")
    await asyncio.sleep(1)
    assert rig.pool.statistics().gate == 1.0

    await rig.settle(rig.send("b"), rig.send("c"), throttled)

    assert rig.names == "abca"
    assert rig.times[1:3] == [2.0, 2.0]
    assert rig.pool.statistics().gate == 0.0


@simulated
async def test_a_short_retry_after_stops_only_its_own_request() -> None:
    rig = scripted(answer(429, Retry_After="1.9"), answer())
    throttled = rig.start("a")
    await asyncio.sleep(1)

    await rig.settle(rig.send("b"), throttled)

    assert rig.names == "aba"
    assert rig.times[1] == 1.0
    assert rig.times[2] >= 1.9


@simulated
async def test_a_retry_after_longer_than_our_patience_ends_the_call() -> None:
    rig = scripted(answer(429, Retry_After="301"))

    with pytest.raises(RateLimitError) as caught:
        await rig.send()

    assert (caught.value.retry_after, len(rig.server.sent)) == (301, 1)


@pytest.mark.parametrize("seconds", ["301", "86400", "9" * 400])
@simulated
async def test_the_gate_is_never_shut_for_longer_than_our_patience(seconds: str) -> None:
    rig = scripted(answer(429, Retry_After=seconds), answer())
    with pytest.raises(RateLimitError):
        await rig.send()

    assert rig.pool.statistics().gate <= 300
    await rig.send()

    assert rig.times[-1] <= 300


@simulated
async def test_a_closed_gate_does_not_hold_up_the_renewal_of_a_token() -> None:
    rig = scripted(answer(401), answer(), grants=[grant("a"), After(5, grant("b"))])
    rejected = rig.start()
    await asyncio.sleep(1)
    rig.pool._window.throttled(100.0, now())

    await rejected

    assert [request.at - rig.started for request in rig.server.asked] == [0, 0]


@simulated
async def test_requests_are_spaced_by_the_rate() -> None:
    rig = scripted(max_rate=10.0)

    await rig.settle(*(rig.send() for _ in range(31)))

    assert rig.times == pytest.approx([max(0.0, n / 10 - 0.05) for n in range(31)])


@simulated
async def test_no_more_than_so_many_are_in_flight() -> None:
    rig = scripted(latency=1.0, max_in_flight=4)
    calls = [rig.start() for _ in range(40)]
    await asyncio.sleep(0.5)
    statistics = rig.pool.statistics()

    await rig.settle(*calls)

    assert (statistics.in_flight, statistics.window, statistics.waiting) == (4, 4, 36)
    assert rig.server.peak == 4
    assert now() - rig.started == 10


@simulated
async def test_a_call_that_waits_between_attempts_holds_no_slot() -> None:
    rig = scripted(answer(503), answer(), max_in_flight=1)
    waits: list[tuple[float, int]] = []

    async def pause(delay: float) -> None:
        waits.append((delay, rig.pool.statistics().in_flight))

    await rig.pool.send(rig.call(), pause)

    ((delay, in_flight),) = waits
    assert 0 < delay <= 0.25
    assert in_flight == 0


# -- who is next


@simulated
async def test_waiting_calls_are_sent_in_the_order_they_came() -> None:
    rig = scripted(latency=1.0, max_in_flight=1)

    await rig.settle(*(rig.send(name) for name in "abcdef"))

    assert rig.names == "abcdef"


@simulated
async def test_what_has_begun_goes_before_what_is_new() -> None:
    rig = scripted(answer(503), answer(), latency=1.0, max_in_flight=1, retry=AT_ONCE)

    await rig.settle(*(rig.send(name) for name in "abcd"))

    assert rig.names == "abacd"


@simulated
async def test_retries_are_sent_in_the_order_they_fell_due() -> None:
    rig = scripted(answer(503), answer(503), After(10, answer()), answer(), max_in_flight=1)

    async def pause_a(_: float) -> None:
        await asyncio.sleep(3)

    async def pause_b(_: float) -> None:
        await asyncio.sleep(4)

    await rig.settle(
        rig.pool.send(rig.call("a"), pause_a),
        rig.pool.send(rig.call("b"), pause_b),
        rig.send("c"),
        rig.send("d"),
    )

    assert rig.names == "abcabd"


@pytest.mark.parametrize("seed", range(20))
@simulated
async def test_a_cancelled_call_loses_no_slot_and_leaves_nobody_behind(seed: int) -> None:
    rng = random.Random(seed)
    outcomes: list[Outcome] = [
        answer(),
        answer(),
        answer(503),
        answer(429),
        DISCONNECT,
        NO_ANSWER,
        answer(401),
    ]
    # Instants on a coarse grid, so that cancellation and admission often coincide.
    script = [After(rng.randint(0, 4) / 4, rng.choice(outcomes)) for _ in range(2000)]
    rig = scripted(*script, max_in_flight=3, deadline=1e6, retry=AT_ONCE)
    calls, cancelled = [], []
    for _ in range(200):
        calls.append(rig.start())
        if rng.random() < 0.3:
            await asyncio.sleep(rng.randint(0, 2) / 4)
        if rng.random() < 0.5:
            victim = rng.choice(calls)
            cancelled += [victim] * victim.cancel()

    await asyncio.wait(calls)

    assert all(call.cancelled() for call in cancelled)
    assert not any(call.cancelled() for call in set(calls) - set(cancelled))
    statistics = rig.pool.statistics()
    assert (statistics.in_flight, statistics.waiting) == (0, 0)
    assert rig.server.peak <= 3


@simulated
async def test_a_cancelled_call_waits_no_longer() -> None:
    rig = scripted(latency=10.0, max_in_flight=1)
    first, second, third = (rig.start(name) for name in "abc")
    await asyncio.sleep(1)
    second.cancel()
    await asyncio.sleep(1)

    assert rig.pool.statistics().waiting == 1
    await rig.settle(first, second, third)

    assert rig.names == "ac"


@pytest.mark.parametrize("passes", range(6))
@pytest.mark.parametrize("is_cancelled", [True, False], ids=["cancelled", "abandoned"])
@simulated
async def test_a_slot_given_to_a_call_that_ends_just_then_goes_to_the_next(
    is_cancelled: bool, passes: int
) -> None:
    rig = scripted(latency=1.0, max_in_flight=1)
    call = rig.call("b")
    first, second = rig.start("a"), asyncio.create_task(rig.pool.send(call))
    third = rig.start("c")
    await asyncio.sleep(1)  # the first is answered at this instant
    for _ in range(passes):
        await asyncio.sleep(0)
    if is_cancelled:
        second.cancel()
    else:
        call.abandon()

    await rig.settle(first, second, third)

    assert rig.names in ("ac", "abc")
    assert (await third).status == 204
    assert (rig.pool.statistics().in_flight, rig.server.peak) == (0, 1)


# -- time


@simulated
async def test_the_deadline_ends_the_attempts_with_the_last_failure_as_cause() -> None:
    rig = scripted(answer(503), deadline=5.0, retry=RetryPolicy(attempts=1000, ceiling=1.0))

    with pytest.raises(DeadlineError, match="5 s") as caught:
        await rig.send()

    assert isinstance(caught.value.__cause__, ServerError)
    assert "503" in str(caught.value)
    assert caught.value.retryable
    assert now() - rig.started <= 5


@simulated
async def test_a_wait_that_would_pass_the_deadline_is_not_begun() -> None:
    rig = scripted(answer(429, Retry_After="60"), deadline=30.0)

    with pytest.raises(DeadlineError):
        await rig.send()

    assert now() == rig.started


@simulated
async def test_the_deadline_cuts_an_attempt_short() -> None:
    rig = scripted(latency=100.0, deadline=45.0)

    with pytest.raises(DeadlineError) as caught:
        await rig.send()

    assert isinstance(caught.value.__cause__, TimedOutError)
    assert 44 < now() - rig.started <= 45
    assert rig.server.sent[0].timeout == 30.0
    assert rig.server.sent[1].timeout == 45.0 - rig.times[1]


@simulated
async def test_time_runs_from_the_first_admission() -> None:
    rig = scripted(latency=10.0, max_in_flight=1, deadline=11.0, attempt_timeout=10.5)

    results = await rig.settle(*(rig.send() for _ in range(5)))

    assert {type(result) for result in results} == {Response}
    assert {sent.timeout for sent in rig.server.sent} == {10.5}


@simulated
async def test_a_retry_that_waits_for_a_slot_past_its_deadline_is_given_up() -> None:
    script = [After(1, answer(503)), After(19.5, answer())]
    rig = scripted(*script, max_in_flight=1, deadline=20.0, retry=AT_ONCE)

    retried, other = await rig.settle(rig.send("a"), rig.send("b"))

    assert isinstance(retried, DeadlineError)
    assert isinstance(retried.__cause__, ServerError)
    assert other.status == 204
    assert rig.names == "ab"


@simulated
async def test_a_retry_admitted_at_its_deadline_is_not_sent() -> None:
    script = [After(1, answer(503)), After(19, answer())]
    rig = scripted(*script, max_in_flight=1, deadline=20.0, retry=AT_ONCE)

    retried, _ = await rig.settle(rig.send("a"), rig.send("b"))

    assert isinstance(retried, DeadlineError)
    assert rig.names == "ab"
    assert rig.pool.statistics().in_flight == 0


@simulated
async def test_the_wait_for_a_token_counts_against_the_deadline() -> None:
    rig = scripted(grants=[After(1000, grant())], deadline=5.0)

    with pytest.raises(DeadlineError):
        await rig.send()

    assert now() - rig.started == 5
    assert rig.server.sent == []
    await rig.tokens.aclose()  # its fetch goes on for the next caller


# -- tokens


@simulated
async def test_a_rejected_token_is_renewed_and_the_request_sent_again_at_once() -> None:
    rig = scripted(answer(401), answer())
    call = rig.call()

    await rig.pool.send(call)

    assert [sent.token for sent in rig.server.sent] == ["token-1", "token-2"]
    assert rig.times == [0, 0]
    assert (call.failures, call.refused) == (0, False)


@pytest.mark.parametrize("apart", [0.0, 0.1])
@simulated
async def test_sixty_four_rejections_of_one_token_are_one_renewal(apart: float) -> None:
    script = [After(1 + apart * number, answer(401)) for number in range(64)]
    rig = scripted(*script, answer(), max_in_flight=64)

    results = await rig.settle(*(rig.send() for _ in range(64)))

    assert {type(result) for result in results} == {Response}
    assert len(rig.server.asked) == 2
    assert len(rig.server.sent) == 128


@simulated
async def test_a_fresh_token_that_is_rejected_too_is_an_auth_error() -> None:
    rig = scripted(answer(401, {"error": "invalid_token"}, X_Request_ID="srv-1"))
    call = rig.call()

    with pytest.raises(AuthError) as caught:
        await rig.pool.send(call)

    error = caught.value
    assert (error.status, error.code, error.request_id) == (401, "invalid_token", "srv-1")
    assert call.refused
    assert len(rig.server.sent) == len(rig.server.asked) == 2


@simulated
async def test_a_token_that_worked_and_is_then_revoked_is_renewed_once_more() -> None:
    rig = scripted(answer(401), After(2, answer(401)), answer())
    rejected = rig.start("a")
    await asyncio.sleep(1)
    await rig.send("b")

    response = await rejected

    assert response.status == 204
    tokens = [f"{sent.name} {sent.token}" for sent in rig.server.sent]
    assert tokens == ["a token-1", "a token-2", "b token-2", "a token-3"]


@simulated
async def test_a_request_that_alone_is_rejected_does_not_renew_tokens_for_ever() -> None:
    rig = scripted(
        lambda sent: After(0.3, answer(401)) if sent.name == "a" else After(0.1, answer())
    )

    async def others() -> None:
        while not rejected.done():
            await rig.send("b")

    rejected = rig.start("a")
    result, _ = await rig.settle(rejected, others())

    assert isinstance(result, AuthError)
    assert rig.names.count("a") < 10
    assert len(rig.server.asked) < 10


@simulated
async def test_a_forbidden_request_renews_nothing() -> None:
    rig = scripted(answer(403))
    call = rig.call()

    with pytest.raises(ForbiddenError):
        await rig.pool.send(call)

    assert call.refused
    assert len(rig.server.sent) == len(rig.server.asked) == 1


@pytest.mark.parametrize("proof", [answer(204), answer(404)], ids=repr)
@simulated
async def test_a_request_forbidden_to_a_token_that_works_is_not_a_refusal(proof: Outcome) -> None:
    rig = scripted(proof, answer(403))
    await rig.settle(rig.send())
    call = rig.call()

    with pytest.raises(ForbiddenError):
        await rig.pool.send(call)

    assert not call.refused


@simulated
async def test_without_a_token_nothing_is_sent() -> None:
    rig = scripted(grants=[answer(401, {"error": "invalid_client"})])

    with pytest.raises(AuthError, match="invalid_client"):
        await rig.send()

    assert rig.server.sent == []
    assert rig.pool.statistics().in_flight == 0


@simulated
async def test_an_insecure_token_endpoint_ends_the_call() -> None:
    rig = scripted(grants=[ConnectError("TLS failed", retryable=False)])

    with pytest.raises(ConnectError):
        await rig.send()

    assert len(rig.server.asked) == 1


@simulated
async def test_an_error_does_not_repeat_the_token_that_the_server_echoes() -> None:
    rig = scripted(
        answer(401, {"message": "Bearer token-canary is expired"}),
        grants=[grant("token-canary")],
    )

    with pytest.raises(AuthError) as caught:
        await rig.send()

    assert "canary" not in str(caught.value)


# -- is it our answer?


def about(sourced_id: str, closed: list[str] | None = None) -> Response:
    """Return an answer about a student; `closed` notes when its connection is closed."""
    response = answer(200, {"student": {"sourcedId": sourced_id}})
    note = closed.append if closed is not None else lambda _: None
    return Response(response.status, response.headers, response.body, lambda: note(sourced_id))


@simulated
async def test_an_answer_about_another_record_closes_its_connection_and_is_not_believed() -> None:
    closed: list[str] = []
    rig = scripted(about("other", closed), about("s-1", closed), retry=AT_ONCE)
    call = rig.call(request=upsert(student("s-1")).request)

    response = await rig.pool.send(call)

    assert b"s-1" in response.body
    assert closed == ["other"]
    assert (call.attempts, call.failures) == (2, 1)


@simulated
async def test_another_id_named_twice_is_the_one_the_server_has_chosen() -> None:
    closed: list[str] = []
    rig = scripted(about("chosen", closed), retry=AT_ONCE)

    response = await rig.pool.send(rig.call(request=upsert(student("s-1")).request))

    assert b"chosen" in response.body
    assert closed == ["chosen"]
    assert len(rig.server.sent) == 2


@simulated
async def test_ever_other_ids_are_a_protocol_error_in_the_end() -> None:
    rig = scripted(*(about(f"other-{number}") for number in range(8)), retry=AT_ONCE)
    call = rig.call(request=upsert(student("s-1")).request)

    with pytest.raises(ProtocolError, match="another record"):
        await rig.pool.send(call)

    assert len(rig.server.sent) == 8
    assert call.unanswered


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Please log in</html>",
        b'{"student":',
        b'{"student":1',
        b"[1,",
        pytest.param(b"[" * 100_000, id="deep"),
        b'"\xff"',
    ],
)
@simulated
async def test_a_success_that_is_not_json_is_not_believed(body: bytes) -> None:
    rig = scripted(answer(200, body), about("s-1"), retry=AT_ONCE)
    call = rig.call(request=upsert(student("s-1")).request)

    await rig.pool.send(call)

    assert (call.attempts, call.failures) == (2, 1)


@pytest.mark.parametrize(
    "response",
    [
        answer(200),
        answer(201),
        answer(204),
        answer(200, {"student": {}}),
        answer(200, {"ok": True}),
    ],
    ids=repr,
)
@simulated
async def test_a_success_that_names_no_record_is_a_success(response: Response) -> None:
    rig = scripted(response)

    await rig.pool.send(rig.call(request=upsert(student("s-1")).request))

    assert len(rig.server.sent) == 1


@simulated
async def test_a_read_that_brings_nothing_is_repeated() -> None:
    rig = scripted(answer(200), answer(200, {"user": {"sourcedId": "u-1"}}), retry=AT_ONCE)

    await rig.pool.send(rig.call(request=fetch_user("u-1").request))

    assert len(rig.server.sent) == 2


# -- statistics


@simulated
async def test_statistics_count_what_has_happened() -> None:
    rig = scripted(answer(429), answer(503), REFUSED, answer(401), answer(), latency=1.0)
    await rig.send()
    await rig.send()

    statistics = rig.pool.statistics()

    assert (statistics.attempts, statistics.retries, statistics.throttled) == (6, 4, 1)
    assert statistics.token_requests == 2
    assert (statistics.in_flight, statistics.waiting, statistics.gate) == (0, 0, 0.0)
    assert statistics.latency.p50 == pytest.approx(1.0, rel=0.02)


# -- the end


@simulated
async def test_closing_turns_away_who_waits_and_who_comes() -> None:
    rig = scripted(latency=20.0, max_in_flight=1)
    first, second, third = (rig.start() for _ in range(3))
    await asyncio.sleep(1)
    third.cancel()
    await asyncio.sleep(0)

    rig.pool.close()

    waited, came = await rig.settle(second, rig.send())
    assert [type(waited), type(came)] == [SessionError, SessionError]
    assert now() - rig.started == 1
    assert rig.pool.statistics().waiting == 0
    assert (await first).status == 204


@simulated
async def test_closing_behind_a_shut_gate_leaves_no_timer() -> None:
    rig = scripted(answer(429, Retry_After="100"), answer())
    throttled = rig.start()
    await asyncio.sleep(1)
    waiting = rig.start()
    await asyncio.sleep(1)

    rig.pool.close()

    (result,) = await rig.settle(waiting)
    assert isinstance(result, SessionError)
    assert rig.pool._admission._timer is None or rig.pool._admission._timer.cancelled()
    throttled.cancel()


@simulated
async def test_closing_turns_away_who_waits_between_two_attempts() -> None:
    rig = scripted(answer(429, Retry_After="100"), answer())
    throttled = rig.start()
    await asyncio.sleep(1)

    rig.pool.close()

    (result,) = await rig.settle(throttled)
    assert isinstance(result, SessionError)
    assert len(rig.server.sent) == 1
    assert now() - rig.started == 1


@simulated
async def test_closing_ends_the_attempts_of_a_call_in_flight() -> None:
    rig = scripted(DISCONNECT, latency=1.0)
    call = rig.start()
    await asyncio.sleep(0.5)

    rig.pool.close()

    with pytest.raises(SessionError):
        await call
    assert len(rig.server.sent) == 1


@simulated
async def test_a_call_that_gets_its_token_as_the_pool_closes_is_not_sent() -> None:
    def grant_and_close(_: Sent) -> Response:
        rig.pool.close()
        return grant()

    rig = scripted(grants=[grant_and_close])

    with pytest.raises(SessionError):
        await rig.send()

    assert rig.server.sent == []


@simulated
async def test_a_call_given_up_between_two_attempts_is_not_sent_again() -> None:
    rig = scripted(answer(503))
    call = rig.call()

    async def pause(_: float) -> None:
        call.abandon()

    with pytest.raises(Abandoned):
        await rig.pool.send(call, pause)

    assert len(rig.server.sent) == 1
    assert isinstance(call.error, ServerError)
    assert rig.pool.statistics().in_flight == 0


@pytest.mark.parametrize("is_in_line", [True, False])
@simulated
async def test_a_call_given_up_before_its_turn_waits_no_longer(is_in_line: bool) -> None:
    rig = scripted(latency=10.0, max_in_flight=1)
    first, call = rig.start("a"), rig.call("b")
    await asyncio.sleep(1)
    if not is_in_line:
        call.abandon()
    waiting = asyncio.create_task(rig.pool.send(call))
    await asyncio.sleep(1)
    call.abandon()

    (result,) = await rig.settle(waiting)

    assert isinstance(result, Abandoned)
    assert now() - rig.started == 2
    assert (await first).status == 204
    assert (rig.names, rig.pool.statistics().in_flight) == ("a", 0)


@simulated
async def test_an_exception_of_no_kind_we_know_gives_the_slot_back() -> None:
    rig = scripted(ZeroDivisionError())

    with pytest.raises(ZeroDivisionError):
        await rig.send()

    assert rig.pool.statistics().in_flight == 0


@simulated
async def test_the_servers_id_is_known_by_any_of_its_names() -> None:
    rig = scripted(answer(200, b"", X_Amzn_RequestId="r-9"))
    call = rig.call()

    await rig.pool.send(call)

    assert call.request_id == "r-9"


@simulated
async def test_what_stood_in_a_query_does_not_stand_in_an_error() -> None:
    rig = scripted(answer(400, {"message": "bad filter familyName='Canary'"}))
    path = "/rostering/1.0/users?filter=familyName%3D%27Canary%27"

    with pytest.raises(BadRequestError) as caught:
        await rig.pool.send(rig.call(request=Request("GET", path, READONLY, None, "users")))

    assert "Canary" not in str(caught.value)


@simulated
async def test_a_pause_that_took_too_long_is_followed_by_no_attempt() -> None:
    rig = scripted(answer(503), deadline=5.0)

    async def oversleep(delay: float) -> None:
        await asyncio.sleep(10)

    with pytest.raises(DeadlineError):
        await rig.pool.send(rig.call(), oversleep)

    assert rig.pool.statistics().attempts == 1


@simulated
async def test_the_ids_of_a_session_begin_alike_and_those_of_two_do_not() -> None:
    first, second = scripted(), scripted()
    calls = [first.call(), first.call(), second.call()]

    await first.pool.send(calls[0])
    await first.pool.send(calls[1])
    await second.pool.send(calls[2])

    prefixes = [call.request_id.partition("-")[0] for call in calls]
    assert prefixes[0] == prefixes[1] != prefixes[2]


@simulated
async def test_a_call_given_up_while_it_waits_for_a_token_ends_at_once_and_the_token_comes() -> (
    None
):
    rig = scripted(grants=[After(10, grant("first"))])
    call = rig.call()
    sending = asyncio.create_task(rig.pool.send(call))
    await asyncio.sleep(1)

    call.abandon()

    with pytest.raises(Abandoned):
        await sending
    assert now() - rig.started == 1
    assert (await rig.send()).status == 204
    assert [sent.token for sent in rig.server.sent] == ["first"]
    assert len(rig.server.asked) == 1


@simulated
async def test_nobody_there_is_no_reason_to_give_up_a_call_that_outlasts_outages() -> None:
    rig = scripted(*[REFUSED] * 40, answer(), adaptive=True)
    patient = Call(Request("PUT", "/x", CREATEPUT, None, None), 300.0, outlasts_outages=True)

    response = await rig.pool.send(patient)

    assert response.status == 204
    assert patient.attempts == 41

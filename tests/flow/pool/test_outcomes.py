"""Which outcome of an attempt is repeated, how often, and which is final."""

import pytest

from tests.support.clock import simulated
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
    answer,
)
from timeback_async import Response, RetryPolicy
from timeback_async.errors import (
    ApiError,
    BadRequestError,
    ConflictError,
    ConnectError,
    DeadlineError,
    ForbiddenError,
    NotFoundError,
    ProtocolError,
    RedirectError,
    ServerError,
    TimedOutError,
)


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

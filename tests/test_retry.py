import math

import pytest

from timeback_async import RetryPolicy
from timeback_async._retry import POISON_ATTEMPTS, is_throttle
from timeback_async.errors import (
    ApiError,
    BadRequestError,
    ConfigError,
    ConnectError,
    ProtocolError,
    RateLimitError,
    RecordError,
    ServerError,
    TimedOutError,
    TransportError,
)


def whole() -> float:
    """Draw the most that a random share can be."""
    return 1.0


def nothing() -> float:
    return 0.0


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RateLimitError(429), True),
        (RateLimitError(429, retry_after=1.0), True),
        (ServerError(503, retry_after=0.0), True),
        (ServerError(503), False),
        (ServerError(502, retry_after=1.0), False),
        (BadRequestError(400, retry_after=1.0), False),
        (TimedOutError("slow"), False),
    ],
)
def test_only_429_and_503_with_retry_after_ask_us_to_slow_down(
    error: Exception, expected: bool
) -> None:
    assert is_throttle(error) is expected


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 0.25), (2, 0.5), (3, 1.0), (7, 16.0), (8, 20.0), (2000, 20.0)]
)
def test_the_backoff_doubles_up_to_the_ceiling(failures: int, seconds: float) -> None:
    policy = RetryPolicy(attempts=9999)

    assert policy.delay(ServerError(503), failures, jitter=whole) == seconds


@pytest.mark.parametrize(
    ("throttles", "seconds"), [(1, 1.0), (2, 2.0), (5, 16.0), (6, 20.0), (5000, 20.0)]
)
def test_a_throttled_request_backs_off_from_further_up_and_uses_up_no_attempts(
    throttles: int, seconds: float
) -> None:
    policy = RetryPolicy(attempts=1)

    assert policy.delay(RateLimitError(429), 0, throttles, jitter=whole) == seconds


def test_the_jitter_takes_a_share_of_the_backoff_after_the_ceiling() -> None:
    policy = RetryPolicy()

    assert policy.pause(ServerError(503), 30, jitter=lambda: 0.5) == 10.0
    assert policy.pause(ServerError(503), 30, jitter=nothing) == 0.0


def test_without_a_jitter_given_the_wait_is_random_and_within_its_bounds() -> None:
    policy = RetryPolicy()

    waits = {policy.delay(ServerError(502), 3) for _ in range(50)}

    assert len(waits) > 1
    assert all(wait is not None and 0 <= wait < 1.0 for wait in waits)


@pytest.mark.parametrize(
    "error",
    [
        ApiError(408),
        ApiError(425),
        ServerError(502),
        ServerError(503),
        ServerError(504),
        ConnectError("refused"),
        TimedOutError("slow"),
        ProtocolError("cut off"),
        TransportError("reset"),
    ],
    ids=repr,
)
def test_trouble_on_the_way_is_retried_until_the_attempts_are_used_up(error: Exception) -> None:
    policy = RetryPolicy(attempts=3)

    delays = [policy.delay(error, failures, jitter=whole) for failures in (1, 2, 3, 4)]

    assert delays == [0.25, 0.5, None, None]


@pytest.mark.parametrize(
    "error",
    [
        BadRequestError(400),
        ApiError(401),
        ServerError(501),
        RecordError("grades", "is required"),
        ConnectError("certificate", retryable=False),
        ValueError("not ours"),
    ],
    ids=repr,
)
def test_what_cannot_get_better_is_not_retried(error: Exception) -> None:
    assert RetryPolicy().delay(error, 1, jitter=whole) is None


@pytest.mark.parametrize(("attempts", "most"), [(8, POISON_ATTEMPTS), (2, 2)])
def test_a_record_that_breaks_the_server_is_tried_four_times_at_most(
    attempts: int, most: int
) -> None:
    policy = RetryPolicy(attempts=attempts)

    delays = [policy.delay(ServerError(500), failures, jitter=whole) for failures in range(1, 9)]

    assert [delay is not None for delay in delays] == [n < most for n in range(1, 9)]


@pytest.mark.parametrize(
    ("asked", "share", "seconds"),
    [
        (0.0, nothing, 0.0),
        (0.0, whole, 1.0),
        (5.0, nothing, 5.0),
        (5.0, whole, 5.5),
        (60.0, whole, 61.0),
        (300.0, whole, 301.0),
    ],
)
def test_a_retry_after_is_waited_out_in_full_and_a_little_longer(
    asked: float, share: object, seconds: float
) -> None:
    assert callable(share)

    assert RetryPolicy().delay(RateLimitError(429, retry_after=asked), 0, 1, share) == seconds


def test_a_retry_after_on_any_failure_is_obeyed() -> None:
    assert RetryPolicy().delay(ServerError(502, retry_after=4.0), 1, jitter=nothing) == 4.0


def test_the_longer_of_backoff_and_retry_after_is_waited() -> None:
    error = RateLimitError(429, retry_after=2.0)

    assert RetryPolicy().delay(error, 0, throttles=5, jitter=whole) == pytest.approx(16.2)


@pytest.mark.parametrize("asked", [60.001, 1e12, math.inf])
def test_a_retry_after_longer_than_our_patience_ends_the_attempts(asked: float) -> None:
    policy = RetryPolicy(patience=60)

    assert policy.delay(RateLimitError(429, retry_after=asked), 0, 1) is None
    assert policy.delay(ServerError(502, retry_after=asked), 1) is None


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("attempts", 0),
        ("attempts", 2.5),
        ("attempts", True),
        ("initial", -0.1),
        ("initial", math.nan),
        ("throttle_initial", "1"),
        ("ceiling", math.inf),
        ("patience", None),
    ],
)
def test_a_wrong_setting_is_named_when_the_policy_is_built(setting: str, value: object) -> None:
    settings: dict[str, object] = {setting: value}

    with pytest.raises(ConfigError, match=rf"^retry\.{setting}: Expected"):
        RetryPolicy(**settings)  # type: ignore[arg-type]


def test_all_wrong_settings_are_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"retry\.attempts: .*; retry\.ceiling: "):
        RetryPolicy(attempts=0, ceiling=-1)


def test_whole_seconds_will_do() -> None:
    assert RetryPolicy(initial=0, ceiling=5).ceiling == 5.0

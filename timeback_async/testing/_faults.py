"""The faults of the mock server. The same seed and the same requests give the same faults."""

import random
from collections.abc import Mapping
from email.utils import formatdate
from math import inf
from typing import Literal, Self, TypeVar, get_args

import msgspec

__all__ = ["Faults", "Throttle"]

Hint = Literal["seconds", "date", "ms"] | None
AnswerForm = Literal[
    "imsx-failure", "gateway-error", "html", "text",
    "202", "207", "processing", "other-id", "lower-case-id", "bom",
]  # fmt: skip
TokenAnswer = Literal["html", "no-token", "temporarily-unavailable"]
Name = TypeVar("Name")


class Throttle(msgspec.Struct, frozen=True, kw_only=True):
    """A limit of the mock server for requests to the rostering API.

    Attributes:
        rate: Requests per second on average; greater than 0. By default there is no such limit.
        burst: The most requests at once: the size of the bucket, or of one window; 1 or more.
        kind: "bucket" refills steadily. "window" refills at once, `burst / rate` seconds after the
            first request in the window.
        retry_after: How a rejection says when to try again: "seconds" or "date" (`Retry-After` as
            a number or an HTTP date), "ms" (`retry-after-ms`), or None to say nothing.
        status: The HTTP status of a rejection.
        rejections_cost: Whether a rejected request counts against the limit.
        max_in_flight: The most requests at the same time, whatever their rate; 0 for no such
            limit. A request above it is rejected at once.
    """

    rate: float = inf
    burst: float = 20
    kind: Literal["bucket", "window"] = "bucket"
    retry_after: Hint = "seconds"
    status: int = 429
    rejections_cost: bool = False
    max_in_flight: int = 0


class Limiter:
    """Counts requests against a `Throttle`. Instants are passed in, in seconds."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle
        self._left = throttle.burst
        self._since: float | None = None

    def wait(self, now: float) -> float:
        """Count a request: return 0 to admit it, or the seconds until one would be admitted."""
        throttle = self._throttle
        if self._since is None:
            self._since = now
        if throttle.kind == "bucket":
            self._left = min(throttle.burst, self._left + (now - self._since) * throttle.rate)
            self._since = now
        elif now - self._since >= throttle.burst / throttle.rate:
            self._left, self._since = throttle.burst, now
        if self._left >= 1:
            self._left -= 1
            return 0.0
        if throttle.rejections_cost:
            self._left = max(self._left - 1, -throttle.burst)
        if throttle.kind == "bucket":
            return (1 - self._left) / throttle.rate
        return self._since + throttle.burst / throttle.rate - now


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """The faults of a `MockServer`. The default is a server without faults.

    A rate is the share of requests that are affected, from 0.0 (none) to 1.0 (all). Times are in
    seconds.

    Attributes:
        latency: Time before each answer: a number, or a pair (least, most) to draw it from.
        statuses: Rate of each HTTP error status, such as `{503: 0.01}`; the rates add up to 1 at
            most. A request that gets one is not carried out.
        drop_before: Rate of connections closed before the request is carried out.
        drop_after: Rate of connections closed after the request is carried out, unanswered.
        truncate: Rate of answers that end after half of their body; the request is carried out.
        slow: Rate of answers that are sent in four pieces over `slow_seconds`.
        slow_seconds: Time that a slow answer takes.
        throttle: A rate limit, or None.
        error_body: The body of the errors in `statuses` and `token_statuses`: "imsx" (OneRoster's
            JSON), "html", "text", "empty", or "deep" (200 KB of "[").
        answers: Rate of each 2xx answer that is not the usual one, such as `{"html": 0.01}`; the
            rates add up to 1 at most. The request is not carried out with these:
            - "imsx-failure": 200 with OneRoster's status of failure
            - "gateway-error": 200 with `{"message": …}`
            - "html", "text": 200 with a page or a text of a server in between
            It is carried out with these:
            - "202", "207": that status, in place of the record
            - "processing": 200 with OneRoster's status for what is not done yet
            - "other-id", "lower-case-id": the record has another id, or its id in lower case
            - "bom": the usual answer after a byte order mark
        token_statuses: Rate of each HTTP error status at the token endpoint.
        token_answers: Rate of each odd answer of the token endpoint: "html" (200 with a page),
            "no-token" (200 without `access_token`), "temporarily-unavailable" (that OAuth error,
            with 400).
        token_delay: Time after its issue until a token is accepted.
        token_lifetime: Time for which a token is valid.
        revoke_every: All tokens are revoked each time this number of requests has arrived; 2 or
            more, or 0 for never.
        seed: The same seed and the same requests give the same faults.
    """

    latency: float | tuple[float, float] = 0.0
    statuses: Mapping[int, float] = {}
    drop_before: float = 0.0
    drop_after: float = 0.0
    truncate: float = 0.0
    slow: float = 0.0
    slow_seconds: float = 0.05
    throttle: Throttle | None = None
    error_body: Literal["imsx", "html", "text", "empty", "deep"] = "imsx"
    answers: Mapping[AnswerForm, float] = {}
    token_statuses: Mapping[int, float] = {}
    token_answers: Mapping[TokenAnswer, float] = {}
    token_delay: float = 0.0
    token_lifetime: float = 3600.0
    revoke_every: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for field, forms in (("answers", AnswerForm), ("token_answers", TokenAnswer)):
            if unknown := sorted(set(getattr(self, field)) - set(get_args(forms))):
                raise ValueError(f"{field}: unknown {unknown}; use {', '.join(get_args(forms))}")

    @classmethod
    def preset(cls, name: str, seed: int = 0) -> Self:
        """Return a named set of faults.

        Args:
            name: "none"; "some": a few errors and dropped connections, as on a bad day; or
                "storm": many faults of every kind, with a rate limit.
            seed: See `Faults.seed`.

        Raises:
            ValueError: The name is not one of these.
        """
        if name == "none":
            return cls(seed=seed)
        if name == "some":
            return cls(
                latency=(0.001, 0.01),
                statuses={503: 0.01, 502: 0.005, 500: 0.002},
                drop_before=0.002,
                drop_after=0.003,
                seed=seed,
            )
        if name == "storm":
            return cls(
                latency=(0.001, 0.05),
                statuses={503: 0.05, 502: 0.03, 504: 0.01, 500: 0.01},
                drop_before=0.01,
                drop_after=0.02,
                truncate=0.01,
                slow=0.01,
                throttle=Throttle(rate=1500, burst=300, retry_after="seconds"),
                error_body="html",
                revoke_every=2000,
                seed=seed,
            )
        raise ValueError(f"unknown faults {name!r}; use none, some or storm")


def happens(draw: random.Random, rate: float) -> bool:
    """Return True at this rate; a rate of 0 draws no random number."""
    return rate > 0 and draw.random() < rate


def drawn(draw: random.Random, rates: Mapping[Name, float]) -> Name | None:
    """Return one of the names, each at its own rate, or None for none of them."""
    if not rates:
        return None
    left = draw.random()
    for name, rate in rates.items():
        left -= rate
        if left < 0:
            return name
    return None


def retry_headers(form: Hint, wait: float, now: float) -> dict[str, str]:
    """Return the headers that ask a client to wait.

    Args:
        form: See `Throttle.retry_after`.
        wait: Seconds until a request would be admitted.
        now: Seconds since 1970.
    """
    match form:
        case "seconds":
            return {"Retry-After": str(max(1, round(wait + 0.5)))}
        case "ms":
            return {"retry-after-ms": str(round(wait * 1000) + 1)}
        case "date":
            until = formatdate(now + wait + 1, usegmt=True)
            return {"Retry-After": until, "Date": formatdate(now, usegmt=True)}
    return {}

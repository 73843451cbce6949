import copy
import pickle

import pytest

from timeback_async import errors
from timeback_async.errors import (
    ApiError,
    AuthError,
    BadRequestError,
    ConfigError,
    ConflictError,
    ConnectError,
    DeadlineError,
    ForbiddenError,
    NotFoundError,
    ProtocolError,
    RateLimitError,
    RecordError,
    RedirectError,
    ServerError,
    SessionError,
    SourceError,
    TimebackError,
    TimedOutError,
    TransportError,
)


def conflict() -> ConflictError:
    error = ConflictError(409, "conflict", "already there", "req-1")
    error.sourced_id = "s-2"
    return error


EVERY_KIND = [
    TimebackError("something"),
    ConfigError("client_id: is not set"),
    SessionError("the session is closed"),
    RecordError("primaryOrg.sourcedId", "is required"),
    SourceError("the source raised"),
    AuthError("refused", "invalid_client", 401, "req-1"),
    AuthError("no token", "", 503, "req-1", retryable=True),
    ProtocolError("the answer is about another record", misdirected=True),
    TransportError("reset", retryable=False),
    ConnectError("unknown host", unknown_host=True),
    TimedOutError("no answer in time"),
    ProtocolError("closed", disconnected=True),
    DeadlineError("no success within 120 s"),
    ApiError(418, "teapot", "short and stout", "req-1", 1.5),
    RedirectError(302, request_id="req-1"),
    BadRequestError(422, "invaliddata", "grades: unknown", "req-1"),
    ForbiddenError(403),
    NotFoundError(404),
    conflict(),
    RateLimitError(429, retry_after=2.0),
    ServerError(503, "server_busy", retry_after=0.0),
]


def facts(error: Exception) -> tuple[object, ...]:
    return type(error), error.args, vars(error), str(error)


def test_the_table_of_errors_is_complete_and_so_is_the_tree_drawn() -> None:
    names = {type(error).__name__ for error in EVERY_KIND}

    assert names == set(errors.__all__)
    assert all(f"{name} " in errors.__doc__ or f"{name}\n" in errors.__doc__ for name in names)


@pytest.mark.parametrize("error", EVERY_KIND, ids=lambda error: type(error).__name__)
def test_every_error_survives_pickling_and_copying(error: TimebackError) -> None:
    pickled, copied = pickle.loads(pickle.dumps(error)), copy.copy(error)  # noqa: S301

    assert facts(pickled) == facts(error)
    assert facts(copied) == facts(error)


@pytest.mark.parametrize("error", EVERY_KIND, ids=lambda error: type(error).__name__)
def test_every_error_is_a_timeback_error_without_a_report_of_its_own(error: Exception) -> None:
    assert isinstance(error, TimebackError)
    assert error.report is None


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        (ConnectError, TransportError),
        (TimedOutError, TransportError),
        (ProtocolError, TransportError),
        (RedirectError, ApiError),
        (BadRequestError, ApiError),
        (ForbiddenError, ApiError),
        (NotFoundError, ApiError),
        (ConflictError, ApiError),
        (RateLimitError, ApiError),
        (ServerError, ApiError),
        (DeadlineError, TimebackError),
        (AuthError, TimebackError),
    ],
)
def test_a_kind_is_caught_by_its_base_alone(kind: type, base: type) -> None:
    assert kind.__bases__ == (base,)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RecordError("grades", "is required"), "grades: is required"),
        (RecordError("", "must be a Student"), "must be a Student"),
        (AuthError("refused", "invalid_client", 401), "refused (HTTP 401, invalid_client)"),
        (AuthError("refused", "", 403), "refused (HTTP 403)"),
        (AuthError("no token"), "no token"),
        (TransportError("reset", retryable=False), "reset"),
        (ConnectError("unknown host", unknown_host=True), "unknown host"),
        (ProtocolError("cut off", disconnected=True), "cut off"),
        (ApiError(400), "HTTP 400: no detail given"),
        (ApiError(400, "invaliddata"), "HTTP 400: invaliddata"),
        (ApiError(400, detail="no such org"), "HTTP 400: no such org"),
        (ApiError(400, "invaliddata", "no such org"), "HTTP 400: invaliddata no such org"),
        (
            ForbiddenError(403, "forbidden"),
            (
                "HTTP 403: forbidden (is the scope granted? an app in draft gets no roster scopes "
                "in production)"
            ),
        ),
        (
            RedirectError(302),
            "HTTP 302: no detail given (redirects are not followed; is base_url right?)",
        ),
    ],
)
def test_the_text_says_what_happened(error: Exception, text: str) -> None:
    assert str(error) == text


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (302, False),
        (400, False),
        (401, False),
        (403, False),
        (404, False),
        (408, True),
        (409, False),
        (422, False),
        (425, True),
        (429, True),
        (500, True),
        (501, False),
        (502, True),
        (503, True),
        (504, True),
        (505, False),
        (599, True),
    ],
)
def test_the_status_tells_whether_trying_again_may_help(status: int, retryable: bool) -> None:
    assert ApiError(status).retryable is retryable


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (TimebackError(), False),
        (ConfigError(), False),
        (SessionError(), False),
        (RecordError("grades", "is required"), False),
        (SourceError(), False),
        (AuthError("refused", status=401), False),
        (AuthError("no token", retryable=True), True),
        (TransportError("reset"), True),
        (ConnectError("refused"), True),
        (ConnectError("certificate", retryable=False), False),
        (TimedOutError("slow"), True),
        (ProtocolError("cut off"), True),
        (DeadlineError(), True),
    ],
)
def test_an_error_without_a_status_knows_it_too(error: TimebackError, retryable: bool) -> None:
    assert error.retryable is retryable


def test_the_facts_of_an_answer_are_attributes() -> None:
    error = ServerError(503, "server_busy", "try later", "req-1", 2.5)

    assert (error.status, error.code, error.detail) == (503, "server_busy", "try later")
    assert (error.request_id, error.retry_after) == ("req-1", 2.5)


def test_the_words_of_the_server_as_they_came_are_kept_and_not_shown() -> None:
    error = ApiError(409, "conflict")
    error.words = "Ada exists"

    assert pickle.loads(pickle.dumps(error)).words == "Ada exists"  # noqa: S301
    assert "Ada" not in f"{error} {error!r} {error.args}"


def test_an_error_whose_words_may_be_personal_says_where_they_are() -> None:
    error = ApiError(409)
    error.words = "Ada exists"

    assert str(error) == "HTTP 409: its words may be personal: see error.words"

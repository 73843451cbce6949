import json
import math
import time
from datetime import date
from email.utils import formatdate
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from tests.support.records import student
from timeback_async import Demographics, Response
from timeback_async._wire.codec import upsert
from timeback_async._wire.status import (
    MAX_DETAIL,
    api_error,
    query_values,
    request_id_of,
    retry_after,
)
from timeback_async._wire.words import MAX_WORDS
from timeback_async.errors import (
    ApiError,
    BadRequestError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RateLimitError,
    RedirectError,
    ServerError,
)


def answer(body: object = b"", status: int = 400, **headers: str) -> Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, CIMultiDictProxy(CIMultiDict(fields)), raw)


def error_of(body: object, sent: bytes | None = None, status: int = 400) -> ApiError:
    return api_error(answer(body, status), sent, "ours-1")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["message", "error", "imsx_CodeMinor", "imsx_codeMinorField", "statusInfo"]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


# -- which error


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, RedirectError),
        (304, RedirectError),
        (307, RedirectError),
        (400, BadRequestError),
        (401, ApiError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (408, ApiError),
        (409, ConflictError),
        (418, ApiError),
        (422, BadRequestError),
        (425, ApiError),
        (429, RateLimitError),
        (500, ServerError),
        (503, ServerError),
        (599, ServerError),
        (999, ApiError),
    ],
)
def test_the_status_decides_which_error_it_is(status: int, kind: type) -> None:
    error = error_of(b"", status=status)

    assert type(error) is kind
    assert error.status == status


def test_an_error_has_everything_the_answer_tells() -> None:
    body = {"error": "slow_down", "message": "Too many requests"}

    error = api_error(
        answer(body, 429, Retry_After="3", X_Request_ID="theirs-1"), b'{"a":"b"}', "ours-1"
    )

    assert (error.code, error.detail) == ("slow_down", "Too many requests")
    assert (error.request_id, error.retry_after) == ("theirs-1", 3.0)


def test_words_are_cut_to_what_fits_a_log_line() -> None:
    error = error_of({"message": "d " * 5000})

    assert len(error.detail) == MAX_DETAIL
    assert len(error.words) <= MAX_WORDS


def test_a_secret_is_not_among_the_words_as_they_came_either() -> None:
    response = answer({"message": "no client with x1y2z3 in ?limit=1"}, 401)

    assert api_error(response, None, "r", ["x1y2z3", "1"]).words == "no client with … in ?limit=1"


@settings(deadline=None)
@given(json_values | st.binary(max_size=100))
def test_no_body_whatever_gets_in_the_way_of_the_error(body: object) -> None:
    error = error_of(body)

    assert isinstance(error.code, str)
    assert not {*range(32), *range(127, 160)} & {ord(character) for character in error.detail}


def test_where_the_answer_tells_nothing_the_request_id_is_ours() -> None:
    error = error_of(b"")

    assert (error.code, error.detail, error.retry_after) == ("", "", None)
    assert error.request_id == "ours-1"


# -- what we sent stays out

IMSX = {"imsx_codeMajor": "failure", "imsx_severity": "error"}
CANARIES = {
    name: f"Canary {name.replace('_', '-')} O'Brien"
    for name in (
        "username",
        "given_name",
        "family_name",
        "middle_name",
        "preferred_first_name",
        "preferred_middle_name",
        "preferred_last_name",
        "pronouns",
        "phone",
        "sms",
        "identifier",
        "user_master_identifier",
        "password",
    )
}
SECRETIVE = student(
    **CANARIES,
    email="canary.email@example.com",
    grades=["canary-grade"],
    demographics=Demographics(date(2014, 2, 28)),
    metadata={"note": "canary-note", "deep": [{"er": "canary-deep"}]},
)
SENT = upsert(SECRETIVE).request.body
PERSONAL = [
    *CANARIES.values(),
    "canary.email@example.com",
    "canary-grade",
    "canary-note",
    "canary-deep",
    "2014-02-28",
]


@pytest.mark.parametrize("value", PERSONAL)
@pytest.mark.parametrize(
    "form",
    [
        lambda text: IMSX | {"imsx_description": text},
        lambda text: {"statusInfoSet": IMSX | {"imsx_description": text}},
        lambda text: {"imsx_error_details": [{"value": text}]},
        lambda text: {"message": text},
        lambda text: {"error": text, "error_description": text},
        lambda text: {"imsx_CodeMinor": text},
    ],
    ids=["imsx", "wrapped", "details", "message", "oauth", "code"],
)
def test_what_we_sent_is_taken_out_of_the_words_of_the_server(form: Any, value: str) -> None:
    error = error_of(form(f"cannot take '{value}', nor {value.upper()}"), SENT)

    shown = f"{error} {error.args} {error.detail} {error.code}".lower()
    assert value.lower() not in shown
    assert "canary" not in shown
    assert "cannot take" in shown


def test_an_email_address_that_we_did_not_send_stays_out_too() -> None:
    error = error_of({"message": "ask <ada.byron@example.com> or other@example.org."})

    assert error.detail == "ask <…> or …"


def test_ids_and_enums_that_we_sent_may_be_repeated() -> None:
    sent = upsert(student("s-17")).request.body

    assert (
        error_of({"message": "s-17 in org-1 is active"}, sent).detail == "s-17 in org-1 is active"
    )


def test_a_value_that_contains_another_goes_as_a_whole() -> None:
    sent = msgspec.json.encode({"a": "Ann", "b": "Ann-Marie"})

    assert error_of({"message": "Ann-Marie or Ann"}, sent).detail == "… or …"


def test_a_value_across_lines_is_found_in_the_one_line_of_the_words() -> None:
    sent = msgspec.json.encode({"note": "first\nsecond"})

    assert error_of({"message": "bad: first\n second"}, sent).detail == "bad: …"


@pytest.mark.parametrize(
    ("sent", "personal"),
    [
        ({"givenName": "Li"}, "Li"),
        ({"metadata": {"ssn": 123456789}}, "123456789"),
        ({"metadata": {"type": "canary-diagnosis"}}, "canary-diagnosis"),
        ({"metadata": {"status": {"note": "canary-nested"}}}, "canary-nested"),
        ({"metadata": {"note": "canary " * 200}}, "canary"),
        ({"metadata": {"note": "canary-" * 60}}, "canary"),
    ],
    ids=["short", "number", "metadata-type", "metadata-status", "long", "long-and-repeated"],
)
def test_no_value_is_too_short_too_long_or_too_odd_to_be_taken_out(
    sent: object, personal: str
) -> None:
    value = sent
    while isinstance(value, dict):
        [value] = value.values()

    error = error_of(
        {"message": f"cannot take {value} or {value} or {value}"}, msgspec.json.encode(sent)
    )

    assert personal not in error.detail


@pytest.mark.parametrize(
    "sent", [b"not JSON", b"\xff", b"", b"[" * 5000 + b"]" * 5000], ids=lambda b: ascii(b)[:10]
)
def test_a_body_of_the_callers_own_making_does_not_hide_the_error(sent: bytes) -> None:
    error = error_of({"message": "no"}, sent)

    assert error.detail == "no"


# -- the record in the way


@pytest.mark.parametrize(
    ("body", "sourced_id"),
    [
        ({"student": {"sourcedId": "s-2"}}, "s-2"),
        ({"sourcedId": "s-2"}, "s-2"),
        ({"sourcedId": "s-2", "student": {"sourcedId": "s-3"}}, "s-2"),
        ({"student": {"sourcedId": 5}}, ""),
        ({"student": "s-2"}, ""),
        ({"message": "exists"}, ""),
        (b"", ""),
        (b"<html>", ""),
        (b"[" * 200_000, ""),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_conflict_tells_the_id_of_the_record_that_is_there(body: object, sourced_id: str) -> None:
    error = error_of(body, status=409)

    assert isinstance(error, ConflictError)
    assert error.sourced_id == sourced_id


# -- whose id


@pytest.mark.parametrize(
    ("headers", "request_id"),
    [
        ({}, ""),
        ({"X-Request-ID": "r-1"}, "r-1"),
        ({"X-Correlation-ID": "c-1"}, "c-1"),
        ({"X-Amzn-RequestId": "a-1"}, "a-1"),
        ({"CF-Ray": "f-1"}, "f-1"),
        ({"CF-Ray": "f-1", "X-Request-ID": "r-1"}, "r-1"),
        ({"X-Request-ID": "", "CF-Ray": "f-1"}, "f-1"),
        ({"X-Request-ID": "a\x1b[31m\tb"}, "a [31m b"),
        ({"X-Request-ID": "r" * 500}, "r" * 128),
    ],
)
def test_the_id_of_the_server_is_found_under_its_usual_names(
    headers: dict[str, str], request_id: str
) -> None:
    assert request_id_of(headers) == request_id


# -- how long to wait

NOW = 1_700_000_000.0
DATE = formatdate(NOW, usegmt=True)
NOVEMBER = "Sun, 06 Nov 1994 08:49:37 GMT"


def later(seconds: float) -> str:
    return formatdate(NOW + seconds, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": " 7 "}, 7.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "-5"}, 0.0),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "1e3"}, None),
        ({"Retry-After": "0x10"}, None),
        ({"Retry-After": "5 seconds"}, None),
        ({"Retry-After": "٣"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": later(90), "Date": DATE}, 90.0),
        ({"Retry-After": later(-90), "Date": DATE}, 0.0),
        ({"Retry-After": later(90)}, 80.0),
        ({"Retry-After": later(90), "Date": "yesterday"}, 80.0),
        ({"Retry-After": "Wed, 99 Foo 2023 99:99:99 GMT", "Date": DATE}, None),
        ({"Retry-After": "Sunday, 06-Nov-94 08:49:47 GMT", "Date": NOVEMBER}, 10.0),
        ({"Retry-After": "Sun, 06 Nov 1994 08:49:47 +0000", "Date": NOVEMBER}, 10.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": " 20 "}, 0.02),
        ({"retry-after-ms": "soon"}, None),
        ({"retry-after-ms": "-20"}, 0.0),
        ({"Retry-After": "1", "retry-after-ms": "2500"}, 2.5),
        ({"Retry-After": "9", "retry-after-ms": "2500"}, 9.0),
        ({"Retry-After": "soon", "retry-after-ms": "2500"}, 2.5),
    ],
    ids=ascii,
)  # fmt: skip
@pytest.mark.parametrize("kind", [dict, CIMultiDict])
def test_a_retry_after_is_read_in_each_of_its_forms(
    kind: Any, headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(kind(headers), wall_clock=lambda: NOW + 10) == seconds


def test_the_longest_of_several_is_waited() -> None:
    headers = CIMultiDict([("Retry-After", "2"), ("retry-after", "9"), ("Retry-After", "soon")])

    assert retry_after(headers) == 9.0


def test_a_date_without_a_zone_is_greenwich_time_wherever_we_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    headers = {"Retry-After": "Sun Nov  6 08:49:47 1994", "Date": NOVEMBER}
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()

    try:
        waited = retry_after(headers)
    finally:
        monkeypatch.undo()
        time.tzset()

    assert waited == 10.0


@settings(deadline=None)
@given(
    waits=st.lists(
        st.text(max_size=30)
        | st.text(alphabet="0123456789.-+e ", max_size=25)
        | st.floats(-1e12, 1e12).map(lambda moment: formatdate(moment % 4e9))
        | st.datetimes().map(lambda moment: moment.strftime("%a, %d %b %Y %H:%M:%S GMT")),
        max_size=3,
    ),
    milliseconds=st.none() | st.text(alphabet="0123456789.-", max_size=25),
    answered=st.none() | st.text(max_size=30) | st.just(DATE),
)
def test_whatever_is_asked_it_is_a_number_of_seconds_or_nothing(
    waits: list[str], milliseconds: str | None, answered: str | None
) -> None:
    headers = CIMultiDict([("Retry-After", wait) for wait in waits])
    headers.update({"retry-after-ms": milliseconds} if milliseconds is not None else {})
    headers.update({"Date": answered} if answered is not None else {})

    seconds = retry_after(headers, wall_clock=lambda: NOW)

    assert seconds is None or (seconds >= 0 and math.isfinite(seconds))


@settings(deadline=None)
@given(st.integers(0, 10**9))
def test_whole_seconds_are_taken_as_they_are(seconds: int) -> None:
    assert retry_after({"Retry-After": str(seconds)}) == seconds


@settings(deadline=None)
@given(st.integers(0, 10**8), st.integers(-(10**6), 10**6))
def test_a_date_counts_from_the_clock_of_the_server_not_from_ours(wait: int, skew: int) -> None:
    headers = {"Retry-After": later(wait), "Date": DATE}

    assert retry_after(headers, wall_clock=lambda: NOW + skew) == wait


@pytest.mark.parametrize(("value", "seconds"), [("5, 7", 7.0), ("7,5", 7.0), ("5, soon", None)])
def test_values_that_a_proxy_joined_count_one_by_one(value: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": value}) == seconds


def test_a_body_that_is_a_list_is_taken_out_of_the_words_as_well() -> None:
    answer = Response(400, {}, b'{"message": "no Canary here"}')

    assert "Canary" not in str(api_error(answer, b'[{"familyName": "Canary"}]', "r"))


def test_the_values_of_a_query_are_known_with_what_is_quoted_in_them() -> None:
    path = "/rostering/1.0/users?filter=familyName%3D%27Canary%27&limit=1"

    assert query_values(path) == ["familyName='Canary'", "1", "Canary"]

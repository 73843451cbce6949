"""What a result says is what the server did, for everything that a server may do.

One row is one behaviour of a server. Each is tried with a student, a user, a link and a read, by a
single call and by a bulk run.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.config import config
from tests.support.records import student, user
from tests.support.truth import (
    GRANT,
    HEAD,
    Row,
    TruthServer,
    answer,
    bare,
    beside,
    chunked,
    enveloped,
    loses,
    named,
    record,
    refuses,
    row,
    says,
    sends,
    until_close,
    zipped,
)
from timeback_async import AgentLink, ItemResult, Outcome, RetryPolicy, TimebackSession
from timeback_async._flow import pool
from timeback_async._flow import token as _token
from timeback_async._wire.answer import answered_id
from timeback_async._wire.http import Request
from timeback_async.errors import (
    ApiError,
    AuthError,
    ConnectError,
    ProtocolError,
    RateLimitError,
    TimebackError,
)

SAVED, FETCHED, FAILED = Outcome.SAVED, Outcome.FETCHED, Outcome.FAILED
UNKNOWN, NOT_SENT = Outcome.UNKNOWN, Outcome.NOT_SENT
YES, NO = True, False

BOM = b"\xef\xbb\xbf"
PAGE = b"<html><title>Log in</title></html>"
SUCCESS = {"imsx_codeMajor": "success", "imsx_severity": "status"}
FAILURE = {"imsx_codeMajor": "failure", "imsx_description": "not saved"}
PROCESSING = {"imsx_codeMajor": "processing"}
OAUTH = answer(401, b'{"error": "invalid_client"}')

# fmt: off
PROVEN = [
    #   what the server does                            applied  people   link     read
    row("the record, 200", says(200, record),              YES, SAVED,   SAVED,   FETCHED),
    row("the record, 201", says(201, record),              YES, SAVED,   SAVED,   FETCHED),
    row("the record, 203", says(203, record),              YES, SAVED,   SAVED,   FETCHED),
    row("the record, bare", says(200, bare),               YES, SAVED,   SAVED,   UNKNOWN),
    row("the record and more", says(200, beside(new=1)),   YES, SAVED,   SAVED,   FETCHED),
    row("the record, no errors", says(200, beside(errors=[], error=None)),
                                                           YES, SAVED,   SAVED,   FETCHED),
    row("the record, success", says(200, beside(**SUCCESS)),
                                                           YES, SAVED,   SAVED,   FETCHED),
    row("the envelope alone", says(200, enveloped({})),    YES, SAVED,   SAVED,   UNKNOWN),
    row("no body, 200", says(200),                         YES, SAVED,   SAVED,   UNKNOWN),
    row("no body, 201", says(201),                         YES, SAVED,   SAVED,   UNKNOWN),
    row("no body, 204", says(204),                         YES, SAVED,   SAVED,   UNKNOWN),
    row("no body, 205", says(205),                         YES, SAVED,   SAVED,   UNKNOWN),
    row("white space", says(200, b" \r\n"),                YES, SAVED,   SAVED,   UNKNOWN),
    row("an empty object", says(200, {}),                  YES, SAVED,   SAVED,   UNKNOWN),
    row("an empty list", says(200, []),                    YES, SAVED,   SAVED,   UNKNOWN),
    row("null", says(200, None),                           YES, SAVED,   SAVED,   UNKNOWN),
    row("an empty string", says(200, b'""'),       YES, SAVED,   SAVED,   UNKNOWN),
    row("imsx success", says(200, SUCCESS),                YES, SAVED,   SAVED,   UNKNOWN),
    row("imsx success, inside", says(200, {"imsx_StatusInfo": SUCCESS}),
                                                           YES, SAVED,   SAVED,   UNKNOWN),
    row("imsx success, 1.1", says(200, {"statusInfoSet": [SUCCESS]}),
                                                           YES, SAVED,   SAVED,   UNKNOWN),
    row("Created, as text", says(201, b"Created", "Content-Type: text/plain"),
                                                           YES, SAVED,   SAVED,   UNKNOWN),
    row("OK, as a page", says(200, b"OK\n", "Content-Type: text/html"),
                                                           YES, SAVED,   SAVED,   UNKNOWN),
    row("Saved, as JSON", says(200, b'"Saved."'),          YES, SAVED,   SAVED,   UNKNOWN),
    row("a mark, the record", sends(lambda body: answer(200, BOM + body)),
                                                           YES, SAVED,   SAVED,   FETCHED),
    row("a mark alone", says(200, BOM),                    YES, SAVED,   SAVED,   UNKNOWN),
    row("chunks", sends(chunked),                          YES, SAVED,   SAVED,   FETCHED),
    row("HTTP/1.0", sends(until_close, "close"),           YES, SAVED,   SAVED,   FETCHED),
    row("gzip", sends(zipped),                             YES, SAVED,   SAVED,   FETCHED),
    row("100 before it", sends(lambda body: b"HTTP/1.1 100 Continue\r\n\r\n" + answer(200, body)),
                                                           YES, SAVED,   SAVED,   FETCHED),
    row("103 before it", sends(lambda body: b"HTTP/1.1 103 x\r\nLink: </x>\r\n\r\n"
                                            + answer(200, body)),
                                                           YES, SAVED,   SAVED,   FETCHED),
    row("Connection: close", says(200, record, "Connection: close"),
                                                           YES, SAVED,   SAVED,   FETCHED),
    row("a second answer behind", sends(lambda body: answer(200, body) * 2),
                                                           YES, SAVED,   SAVED,   FETCHED),
    row("an id in lower case", says(200, named(lambda asked: asked.own.lower())),
                                                           YES, SAVED,   SAVED,   FETCHED),
    row("another id, chosen", says(200, named(lambda asked: f"chosen-{asked.own}")),
                                                           YES, SAVED,   SAVED,   FETCHED),
    row("a list that is null", says(200, enveloped(None)), YES, UNKNOWN, UNKNOWN, FETCHED),
]
REPEATED = [
    *(row(f"{status} once", [says(status), says(200, record)],
                                                           YES, SAVED,   SAVED,   FETCHED)
      for status in (401, 408, 425, 429, 500, 502, 503, 504, 508, 520)),
    row("503 with Retry-After once", [says(503, b"", "Retry-After: 0"), says(200, record)],
                                                           YES, SAVED,   SAVED,   FETCHED),
    row("dropped once, unapplied", [loses("close", NO), says(200, record)],
                                                           YES, SAVED,   SAVED,   FETCHED),
    row("dropped once, applied", [loses("close", YES), says(200, record)],
                                                           YES, SAVED,   SAVED,   FETCHED),
    row("reset once", [loses("reset", NO), says(200, record)],
                                                           YES, SAVED,   SAVED,   FETCHED),
    row("a page once", [refuses(PAGE), says(200, record)], YES, SAVED,   SAVED,   FETCHED),
    row("a text once", [refuses(b"try later"), says(200, record)],
                                                           YES, SAVED,   SAVED,   FETCHED),
    row("cut off once", [says(200, b'{"student":'), says(200, record)],
                                                           YES, SAVED,   SAVED,   FETCHED),
    row("no token once", says(200, record),                YES, SAVED,   SAVED,   FETCHED,
        [answer(503, b""), GRANT]),
]
REFUSED = [
    row("304", says(304),                                  NO,  FAILED,  FAILED,  FAILED),
    *(row(f"{status}", says(status, FAILURE),              NO,  FAILED,  FAILED,  FAILED)
      for status in (300, 301, 302, 303, 307, 308, 400, 401, 402, 403, 404, 405, 406, 409,
                     410, 413, 415, 418, 422, 423, 431, 451, 500, 501, 502, 503, 504, 505, 507,
                     511, 520, 530, 599, 600, 999)),
    row("imsx failure", refuses(FAILURE),                  NO,  FAILED,  FAILED,  FAILED),
    row("imsx failure, 201", refuses(FAILURE, 201),        NO,  FAILED,  FAILED,  FAILED),
    row("imsx failure, 202", refuses(FAILURE, 202),        NO,  FAILED,  FAILED,  FAILED),
    row("imsx failure, inside", refuses({"imsx_StatusInfo": FAILURE}),
                                                           NO,  FAILED,  FAILED,  FAILED),
    row("imsx failure, 1.1", refuses({"statusInfoSet": [FAILURE]}),
                                                           NO,  FAILED,  FAILED,  FAILED),
    row("imsx failure, beside", refuses(beside(**FAILURE)), NO, FAILED,  FAILED,  FAILED),
    row("imsx failure after a mark", refuses(BOM + b'{"imsx_codeMajor": "failure"}'),
                                                           NO,  FAILED,  FAILED,  FAILED),
    row("imsx unsupported", refuses({"imsx_codeMajor": "Unsupported"}),
                                                           NO,  FAILED,  FAILED,  FAILED),
    row("a gateway's message", refuses({"message": "Internal server error"}),
                                                           NO,  FAILED,  FAILED,  FAILED),
    row("an error", refuses({"error": "no"}),              NO,  FAILED,  FAILED,  FAILED),
    row("errors", refuses({"errors": [{"message": "no"}]}), NO, FAILED,  FAILED,  FAILED),
    row("errors, beside", refuses(beside(errors=["no"])),  NO,  FAILED,  FAILED,  FAILED),
    row("a function's error", refuses({"errorMessage": "no", "errorType": "E"}),
                                                           NO,  FAILED,  FAILED,  FAILED),
    row("success: false", refuses({"success": False}),     NO,  FAILED,  FAILED,  FAILED),
    row("ok: false", refuses({"ok": False}),               NO,  FAILED,  FAILED,  FAILED),
    row("status: failed", refuses({"status": "failed"}),   NO,  FAILED,  FAILED,  FAILED),
    row("status: failed, 207", refuses({"status": "failed"}, 207),
                                                           NO,  FAILED,  FAILED,  FAILED),
    row("a failure among several", refuses([{"status": 201}, {"status": 404}], 207),
                                                           NO,  FAILED,  FAILED,  FAILED),
    row("statusCode: 500", refuses({"statusCode": 500, "body": ""}),
                                                           NO,  FAILED,  FAILED,  FAILED),
    row("a fault", refuses({"fault": {"faultstring": "no"}}), NO, FAILED, FAILED, FAILED),
    row("no connection", says(200, record),                NO,  FAILED,  FAILED,  FAILED,
        base_url="http://localhost:1"),  # nothing listens there
]
OPEN = [
    row("202", says(202, {}),                              YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("202, the record", says(202, record),              YES, UNKNOWN, UNKNOWN, FETCHED),
    row("202, no body", refuses(b"", 202),                 NO,  UNKNOWN, UNKNOWN, UNKNOWN),
    row("206", says(206, record),                          YES, UNKNOWN, UNKNOWN, FETCHED),
    row("207", says(207, {"results": [{"status": 201}]}),  YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("299", says(299, {}),                              YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("imsx processing", refuses(PROCESSING),            NO,  UNKNOWN, UNKNOWN, UNKNOWN),
    row("imsx processing, beside", refuses(beside(**PROCESSING)),
                                                           NO,  UNKNOWN, UNKNOWN, FETCHED),
    row("other JSON", says(200, {"foo": 1}),               YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("a number", says(200, 1),                          YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("true", says(200, True),                           YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("words as JSON", refuses(b'"in line"'),            NO,  UNKNOWN, UNKNOWN, UNKNOWN),
    row("another envelope", says(200, {"org": {"sourcedId": "o-1"}}),
                                                           YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("a page", refuses(PAGE),                           NO,  UNKNOWN, UNKNOWN, UNKNOWN),
    row("a text", refuses(b"try later"),                   NO,  UNKNOWN, UNKNOWN, UNKNOWN),
    row("XML", says(200, b"<student/>"),                   YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("UTF-16", sends(lambda body: answer(200, body.decode().encode("utf-16"))),
                                                           YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("JSON cut off", sends(lambda body: answer(200, body[:-1])),
                                                           YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("deep JSON", says(200, b"[" * 100_000),            YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("ever other ids", says(200, named(lambda asked: f"{asked.own}-{asked.attempt}")),
                                                           YES, UNKNOWN, SAVED,   FETCHED),
    row("dropped, unapplied", loses("close", NO),          NO,  UNKNOWN, UNKNOWN, UNKNOWN),
    row("dropped, applied", loses("close", YES),           YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("reset, unapplied", loses("reset", NO),            NO,  UNKNOWN, UNKNOWN, UNKNOWN),
    row("reset, applied", loses("reset", YES),             YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("no answer in time", loses("wait", YES),           YES, UNKNOWN, UNKNOWN, UNKNOWN,
        attempt_timeout=0.3),
    row("a body shorter than told", sends(lambda body: HEAD + b"Content-Length: 999\r\n\r\n" + body,
                                          "close"),
                                                           YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("a body longer than told", sends(lambda body: HEAD + b"Content-Length: 9\r\n\r\n" + body),
                                                           YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("two lengths", sends(lambda body: answer(200, body, "Content-Length: 3")),
                                                           YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("a chunk cut off", sends(lambda body: chunked(body)[:-9], "close"),
                                                           YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("HTTP/1.0 cut off", sends(lambda body: until_close(body)[:-3], "close"),
                                                           YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("half a head", sends(lambda body: HEAD, "close"),  YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("100 alone", sends(lambda body: b"HTTP/1.1 100 Continue\r\n\r\n", "close"),
                                                           YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("bad gzip", sends(lambda body: answer(200, body, "Content-Encoding: gzip")),
                                                           YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("gzip cut off", sends(lambda body: zipped(body, 40)),
                                                           YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("gzip cut off in its head", sends(lambda body: zipped(body, 10)),
                                                           YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("garbage", sends(lambda body: bytes(range(256)), "close"),
                                                           YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("HTTP/2", sends(lambda body: b"\0\0\x06\4\0\0\0\0\0\0\3\0\0\0\x64", "close"),
                                                           YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("a header without end", sends(lambda body: answer(200, body, "X: " + "x" * 70_000)),
                                                           YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("a body without end", sends(lambda body: answer(200, body + b" " * (2 << 20))),
                                                           YES, UNKNOWN, UNKNOWN, UNKNOWN),
    row("applied and dropped, then 503", [loses("close", YES), says(503)],
                                                           YES, UNKNOWN, UNKNOWN, UNKNOWN),
]
UNSENT = [
    row("a wrong password", says(200, record),             NO,  NOT_SENT, NOT_SENT, NOT_SENT,
        [OAUTH]),
]
# The server has looked at none of them: a run that ends leaves them to the next one.
TURNED_AWAY = [
    row("429, not for long", says(429, b"", "Retry-After: 9"),
                                                           NO, NOT_SENT, NOT_SENT, NOT_SENT),
]
# fmt: on
ROWS = [*PROVEN, *REPEATED, *REFUSED, *OPEN, *UNSENT, *TURNED_AWAY]


# -- trying a row

KINDS = ("student", "user", "link", "read")
# What a single call raises, by what a bulk run says. An open outcome has no class of its own.
RAISED: dict[Outcome, Any] = {
    FAILED: (ApiError, AuthError, ConnectError),
    UNKNOWN: TimebackError,
    NOT_SENT: (AuthError, RateLimitError),
}


@pytest.fixture(autouse=True)
def short_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a new token that is rejected count as refused soon."""
    monkeypatch.setattr(_token, "TRIAL", 1.0)


@asynccontextmanager
async def playing(row: Row) -> AsyncIterator[tuple[TruthServer, TimebackSession]]:
    """Start a server that does what a row says, and a client that does not wait for it."""
    policy = RetryPolicy(attempts=3, initial=0, throttle_initial=0, ceiling=0, patience=0.2)
    async with TruthServer(row) as server:
        own = {"base_url": server.url, "token_url": f"{server.url}/token"}
        settings = config(**{**own, "adaptive": False, "retry": policy, **row.settings})
        async with TimebackSession(settings) as timeback:
            yield server, timeback


async def call(timeback: TimebackSession, kind: str, own: str) -> object:
    """Make a single call; return its value or its error."""
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "student": lambda: timeback.upsert_student(student(own)),
        "user": lambda: timeback.upsert_user(user(own)),
        "link": lambda: timeback.upsert_student_agent(AgentLink(own, "p-1", "parent")),
        "read": lambda: timeback.get_user_agents(own),
    }
    try:
        return await calls[kind]()
    except TimebackError as error:
        return error


async def run(timeback: TimebackSession, kind: str, own: str) -> ItemResult:
    """Make a bulk run of one record."""
    records = {"student": student(own), "user": user(own), "link": AgentLink(own, "p-1", "parent")}
    bulk = (
        timeback.get_many_user_agents([own])
        if kind == "read"
        else timeback.upsert_many([records[kind]])
    )
    results: list[ItemResult] = []
    try:
        async with bulk:
            async for result in bulk:
                results.append(result)  # noqa: PERF401 - kept where the run raises
    except TimebackError:
        assert results[0].outcome in (FAILED, NOT_SENT, UNKNOWN)
    (result,) = results
    return result


async def check(row: Row) -> None:
    """Try a row with every kind of record, alone and in bulk, all at the same time."""
    async with playing(row) as (server, timeback):
        alone = [call(timeback, kind, f"Alone-{kind}") for kind in KINDS]
        in_bulk = [run(timeback, kind, f"Bulk-{kind}") for kind in KINDS]
        values, results = await asyncio.gather(asyncio.gather(*alone), asyncio.gather(*in_bulk))

    for kind, value, result in zip(KINDS, values, results, strict=True):
        expected = row.expected(kind)
        assert result.outcome is expected, (kind, result)
        if expected in (SAVED, FETCHED):
            assert not isinstance(value, Exception), (kind, value)
            assert expected is SAVED or value == result.value
        else:
            assert isinstance(value, RAISED[expected]), (kind, value)
            assert type(value) is type(result.error)
        for own in (f"Alone-{kind}", f"Bulk-{kind}"):
            assert (own in server.applied) == row.is_applied
            assert not (row in UNSENT and server.seen[own])


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
async def test_the_outcome_is_what_the_server_did(row: Row) -> None:
    await check(row)


async def test_gzip_without_its_end_is_believed_by_aiohttp_alone(lane: str) -> None:
    outcomes = {"aiohttp": (SAVED, SAVED, FETCHED), "direct": (UNKNOWN, UNKNOWN, UNKNOWN)}

    await check(row("", sends(lambda body: zipped(body, -8)), YES, *outcomes[lane]))


# -- controls: a client that is wrong on purpose does not pass

BELIEVED = {
    *("imsx failure", "imsx failure, beside", "a gateway's message", "success: false"),
    *("a failure among several", "202", "202, no body", "207", "imsx processing", "other JSON"),
    *("a page", "a text", "UTF-16", "JSON cut off", "ever other ids"),
}


@pytest.mark.parametrize("row", [row for row in ROWS if row.name in BELIEVED], ids=lambda r: r.name)
async def test_a_client_that_believes_every_2xx_is_found_out(
    row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    def believe(request: Request, *more: Any) -> str:
        return "" if request.method == "PUT" else answered_id(request, *more)

    monkeypatch.setattr(pool, "answered_id", believe)

    with pytest.raises(AssertionError):
        await check(row)


@pytest.mark.parametrize("row", PROVEN[:5], ids=lambda r: r.name)
async def test_a_client_that_believes_nothing_is_found_out(
    row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    def doubt(*_: object) -> str:
        raise ProtocolError("no proof", retryable=False)

    monkeypatch.setattr(pool, "answered_id", doubt)

    with pytest.raises(AssertionError):
        await check(row)


def test_every_control_is_a_row() -> None:
    assert {row.name for row in ROWS} >= BELIEVED
    assert len({row.name for row in ROWS}) == len(ROWS)

import msgspec
import pytest
from rich.pretty import pretty_repr

from timeback_async import ItemResult, Outcome, Response
from timeback_async._wire.http import CREATEPUT, READONLY, Request

BODY = b'{"student": {"givenName": "canary"}}'


def test_the_scopes_are_those_of_oneroster() -> None:
    prefix = "https://purl.imsglobal.org/spec/or/v1p2/scope/"
    scopes = [CREATEPUT, READONLY]

    assert scopes == [f"{prefix}roster.createput", f"{prefix}roster.readonly"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_a_method_that_may_be_sent_twice_is_idempotent(method: str) -> None:
    assert Request(method, "/x", CREATEPUT).idempotent


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_method_that_may_not_be_sent_twice_is_not_idempotent(method: str) -> None:
    assert not Request(method, "/x", CREATEPUT).idempotent


def test_the_reprs_of_request_and_response_show_no_body() -> None:
    request = Request("PUT", "/students", CREATEPUT, b"canary")
    response = Response(200, {"Set-Cookie": "canary"}, b"canary")

    assert repr(request) == "Request(PUT /students)"
    assert repr(response) == "Response(200, 6 bytes)"


def test_a_rich_traceback_shows_no_body_either() -> None:
    result = ItemResult(
        index=0, kind="student", sourced_id="s-1", outcome=Outcome.SAVED, _body=BODY
    )
    values = [Request("PUT", "/students", CREATEPUT, BODY), Response(200, {}, BODY), result]

    shown = [pretty_repr(value) for value in values]

    assert not any("canary" in text for text in shown)
    assert "s-1" in shown[2]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_response_decodes_its_json(mark: bytes) -> None:
    assert Response(200, {}, mark + b'{"users": []}').json() == {"users": []}


def test_a_response_that_is_not_json_says_so() -> None:
    with pytest.raises(msgspec.DecodeError):
        Response(200, {}, b"<html>").json()


def test_closing_the_connection_of_a_response_made_by_hand_does_nothing() -> None:
    Response(200, {}, b"").close_connection()

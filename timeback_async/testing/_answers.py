"""The forms in which the mock server reports an error, without any HTTP library."""

import json
from typing import Literal

import msgspec

__all__ = ["Answer", "ErrorBody", "Refusal", "imsx_error", "injected_error", "oauth_error"]

ErrorBody = Literal["imsx", "html", "text", "empty", "deep"]

CODE_MINOR = {
    400: "invaliddata", 401: "unauthorisedrequest", 403: "forbidden", 404: "unknownobject",
    405: "unsupported", 409: "invaliddata", 422: "invaliddata", 429: "server_busy",
    503: "server_busy",
}  # fmt: skip


class Answer(msgspec.Struct, frozen=True):
    """An answer before it is sent."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = {}


class Refusal(Exception):
    """Ends the handling of a request with an error status."""

    def __init__(self, status: int, why: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(status, why, headers)
        self.status, self.why, self.headers = status, why, headers or {}


def imsx_error(status: int, why: str, headers: dict[str, str]) -> Answer:
    """Return an error in OneRoster's form (imsx_StatusInfo)."""
    field = {
        "imsx_codeMinorFieldName": "TargetEndSystem",
        "imsx_codeMinorFieldValue": CODE_MINOR.get(status, "internal_server_error"),
    }
    body = {
        "imsx_codeMajor": "failure",
        "imsx_severity": "error",
        "imsx_description": why,
        "imsx_CodeMinor": {"imsx_codeMinorField": [field]},
    }
    return Answer(status, json.dumps(body).encode(), headers=headers)


def oauth_error(status: int, code: str) -> Answer:
    """Return an error of the token endpoint.

    Source: RFC 6749 section 5.2.
    """
    body = {"error": code, "error_description": f"{code} (mock)"}
    return Answer(status, json.dumps(body).encode())


def injected_error(status: int, form: ErrorBody) -> Answer:
    """Return an error as a gateway or a broken server sends it, in one of the forms of `Faults`."""
    headers = {"Location": "https://elsewhere.invalid/"} if 300 <= status < 400 else {}
    match form:
        case "imsx":
            return imsx_error(status, "injected fault", headers)
        case "html":
            page = f"<html><body><h1>{status}</h1></body></html>"
            return Answer(status, page.encode(), "text/html", headers)
        case "text":
            return Answer(status, f"upstream error {status}".encode(), "text/plain", headers)
        case "empty":
            return Answer(status, b"", "text/plain", headers)
    return Answer(status, b"[" * 200_000, "application/json", headers)  # "deep"

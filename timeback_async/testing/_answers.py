"""What the mock server answers when something is wrong, without any HTTP library."""

import json
from typing import Any, Literal

import msgspec

__all__ = [
    "TOKEN_ANSWERS", "UNDONE", "Answer", "ErrorBody", "Refusal", "altered", "imsx_error",
    "injected_error", "oauth_error",
]  # fmt: skip

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


_PAGE = b"<html><head><title>Back soon</title></head><body>Maintenance</body></html>"
BACK_SOON = Answer(200, _PAGE, "text/html")

# The 2xx answers to requests that are not carried out; see `Faults.answers`.
UNDONE = {
    "imsx-failure": msgspec.structs.replace(imsx_error(400, "not saved", {}), status=200),
    "gateway-error": Answer(200, b'{"message": "Internal server error"}'),
    "html": BACK_SOON,
    "text": Answer(200, b"try again later", "text/plain"),
}

# The odd answers of the token endpoint; see `Faults.token_answers`.
TOKEN_ANSWERS = {
    "html": BACK_SOON,
    "no-token": Answer(200, b'{"token_type": "bearer", "expires_in": 3600}'),
    "temporarily-unavailable": oauth_error(400, "temporarily_unavailable"),
}


def altered(form: str | None, status: int, answer: object) -> tuple[int, bytes]:
    """Return the status and the body with which a request that was carried out is answered.

    Args:
        form: One of `Faults.answers` that is not in `UNDONE`, or None for the usual answer.
        status: The usual status.
        answer: The usual answer; None for one without a body.
    """
    match form:
        case "202":
            return 202, b"{}"
        case "207":
            return 207, b'{"results": [{"status": 200}]}'
        case "processing":
            return 200, b'{"imsx_codeMajor": "processing", "imsx_severity": "status"}'
        case "other-id" | "lower-case-id" if isinstance(answer, dict):
            answer = {name: _renamed(form, inner) for name, inner in answer.items()}
    body = b"" if answer is None else json.dumps(answer, ensure_ascii=False).encode()
    return status, b"\xef\xbb\xbf" + body if form == "bom" else body


def _renamed(form: str, record: Any) -> Any:
    if not isinstance(record, dict) or "sourcedId" not in record:
        return record
    own = record["sourcedId"]
    return record | {"sourcedId": own.lower() if form == "lower-case-id" else f"other-{own}"}

import json
from typing import Any

import pytest

from timeback_async._wire.words import MAX_WORDS, error_words


def words_of(body: object) -> tuple[str, str]:
    return error_words(body if isinstance(body, bytes) else json.dumps(body).encode())


MINOR = {
    "imsx_codeMinorField": [
        {
            "imsx_codeMinorFieldName": "TargetEndSystem",
            "imsx_codeMinorFieldValue": "invaliddata",
        }
    ]
}
IMSX: dict[str, Any] = {
    "imsx_codeMajor": "failure",
    "imsx_severity": "error",
    "imsx_description": "No such org",
    "imsx_CodeMinor": MINOR,
}
SMALL_C = {name.replace("CodeMinor", "codeMinor"): value for name, value in IMSX.items()}
ONE_FIELD = {"imsx_codeMinorField": MINOR["imsx_codeMinorField"][0]}


@pytest.mark.parametrize(
    ("body", "code", "detail"),
    [
        (IMSX, "invaliddata", "No such org"),
        ({"imsx_StatusInfo": IMSX}, "invaliddata", "No such org"),
        ({"imsx_statusInfo": IMSX}, "invaliddata", "No such org"),
        ({"statusInfoSet": IMSX}, "invaliddata", "No such org"),
        (SMALL_C, "invaliddata", "No such org"),
        ({"statusInfoSet": SMALL_C}, "invaliddata", "No such org"),
        (IMSX | {"imsx_CodeMinor": ONE_FIELD}, "invaliddata", "No such org"),
        (IMSX | {"imsx_CodeMinor": "invaliddata"}, "invaliddata", "No such org"),
        (IMSX | {"imsx_CodeMinor": None}, "", "No such org"),
        (IMSX | {"imsx_CodeMinor": {"imsx_codeMinorField": []}}, "", "No such org"),
        (IMSX | {"imsx_CodeMinor": {"imsx_codeMinorField": [{}, 5, None]}}, "", "No such org"),
        ({"imsx_codeMajor": "failure", "imsx_severity": "error"}, "", ""),
        (
            IMSX | {"imsx_error_details": [{"field": "grades", "error": "unknown grade"}]},
            "invaliddata",
            "No such org; grades: unknown grade",
        ),
        ({"imsx_error_details": ["first", "second"]}, "", "first; second"),
        ({"message": "Forbidden"}, "", "Forbidden"),
        ({"Message": "Forbidden"}, "", "Forbidden"),
        ({"message": None, "detail": "Bad input"}, "", "Bad input"),
        ({"error": "invalid_scope"}, "invalid_scope", ""),
        (
            {"error": "invalid_scope", "error_description": "Not granted"},
            "invalid_scope",
            "Not granted",
        ),
        ({"error": {"message": "Not granted"}}, "", "Not granted"),
        ({"type": "about:blank", "title": "Bad input", "status": 400}, "", "Bad input"),
        ({"message": "two\r\nlines\t of\x00 text "}, "", "two lines of text"),
        ({}, "", ""),
        ([IMSX], "invaliddata", "No such org"),
        (None, "", ""),
        (5, "", ""),
        ("text", "", "text"),
        (b"", "", ""),
        (b"Bad Gateway", "", "Bad Gateway"),
        (b"<html><body>502 Bad Gateway</body></html>", "", ""),
        (b'{"message": "cut o', "", ""),
        (b'{"message": "Ren\xe9e"}', "", "Renée"),
        (b"\xff\xfe\x00", "", ""),
        (b"[" * 200_000, "", ""),
        (b'{"a":' * 40_000, "", ""),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_whatever_the_body_the_words_are_found_or_left_out(
    body: object, code: str, detail: str
) -> None:
    assert words_of(body) == (code, detail)


@pytest.mark.parametrize("depth", [100, 1050, 3000])
def test_a_body_of_any_depth_is_an_error_like_any_other(depth: int) -> None:
    body = b'{"message":"no","imsx_error_details":' + b"[" * depth + b"]" * depth + b"}"

    assert words_of(body) in [("", ""), ("", "no")]


VALIDATION = {"loc": ["body", "grades", 0], "msg": "field required", "input": {"a": "b"}}


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"statusInfoSet": [IMSX, IMSX]}, "invaliddata", "No such org"),
        ({"statusInfoSet": [{"imsx_description": "a"}, {"imsx_description": "b"}]}, "", "a; b"),
        ({"errors": [{"message": "a", "code": "E1"}, {"detail": "b"}, "c"]}, "E1", "a; b; c"),
        ({"errors": [{"code": "E1"}]}, "E1", ""),
        ({"errors": [{"field": "grades", "message": "unknown"}]}, "", "grades: unknown"),
        (
            {"errors": {"grades": ["is too long", "is odd"]}},
            "",
            "grades: is too long; grades: is odd",
        ),
        ({"errors": {"title": ["is blank"]}}, "", "title: is blank"),
        ({"errors": {"org": {"sourcedId": ["is blank"]}}}, "", "org: sourcedId: is blank"),
        ({"title": "Bad", "errors": {"$.grades": ["no list"]}}, "", "Bad; $.grades: no list"),
        ({"errors": "all wrong"}, "", "all wrong"),
        ({"errors": [5, None, [], {}, [["deep"]]]}, "", "deep"),
        ({"errors": [[[[[["too deep"]]]]]]}, "", ""),
        ({"detail": [VALIDATION]}, "", "body.grades.0: field required"),
        ({"detail": "Not found"}, "", "Not found"),
        ({"detail": {"code": "no_org", "message": "No org"}}, "no_org", "No org"),
        (
            {"error": {"code": 403, "message": "No", "status": "PERMISSION_DENIED"}},
            "PERMISSION_DENIED",
            "No",
        ),
        ({"error": {"code": 1042, "message": "No"}}, "1042", "No"),
        ({"status": "error", "code": 400, "message": "No"}, "", "No"),
        ({"errorMessage": "No", "errorType": "ValueError"}, "ValueError", "No"),
        ({"__type": "Throttling", "Message": "Slow"}, "Throttling", "Slow"),
        ({"type": "https://example.com/odd", "title": "Odd"}, "https://example.com/odd", "Odd"),
        ({"title": "Odd", "detail": "Very odd"}, "", "Very odd"),
        ({"fault": {"faultstring": "Full", "detail": {"errorcode": "q.Full"}}}, "q.Full", "Full"),
        ({"exception": "java.lang.Error: no"}, "", "java.lang.Error: no"),
        ({"status": 404, "error": "Not Found", "path": "/x"}, "", "Not Found"),
        ({"error": "invalid_grant", "message": "invalid_grant"}, "invalid_grant", ""),
        ({"code": "c" * 65}, "", "c" * 65),
        ({"code": "a sentence", "errorType": "E"}, "E", "a sentence"),
        ({"imsx_codeMinor": "a sentence"}, "", "a sentence"),
        ({"student": {"type": "org", "title": "Dr", "status": "X"}, "message": "No"}, "", "No"),
        ({"a": {"b": {"message": "deep"}}}, "", "deep"),
        ({"a": {"b": {"c": {"message": "too deep"}}}}, "", ""),
        ({"message": ""}, "", ""),
        ([{"message": "a"}, {"message": "b"}], "", "a; b"),
        (["a", "a", "b"], "", "a; b"),
        (b"  first line\r\nsecond", "", "first line"),
        (b"no \x07 text", "", ""),
        (b"<!DOCTYPE html>\n<TITLE lang=en>\n502 Bad&nbsp;Gateway</TITLE>", "", "502 Bad Gateway"),
        (b"<html>no title</html>", "", ""),
        (b'<?xml version="1.0"?><Error/>', "", ""),
        (b"\xef\xbb\xbf" + json.dumps({"message": "No"}).encode(), "", "No"),
        (b"\xef\xbb\xbfBad Gateway", "", "Bad Gateway"),
        (json.dumps({"message": "Zo\u00eb"}, ensure_ascii=False).encode("utf-16"), "", "Zoë"),
        (json.dumps({"message": "No"}).encode("utf-16-le"), "", "No"),
        ("Erreur: \u00e9chec".encode("latin-1"), "", "Erreur: échec"),
        (b"\x1f\x8b\x08\x00\x81", "", ""),
        ({"message": "a\u202eb\u00adc\u200bd"}, "", "abcd"),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_servers_of_all_kinds_are_understood(body: object, code: str, words: str) -> None:
    assert words_of(body) == (code, words)


def test_of_many_words_the_first_are_taken_and_none_is_cut_in_two() -> None:
    entries = [f"word{n:03}" for n in range(500)]

    _, words = words_of({"errors": entries})

    assert words == "; ".join(entries[:111])
    assert len(words) <= MAX_WORDS < len(words) + len("; word111")
    assert words_of({"message": "x" * 5000}) == ("", "")

import json
from typing import Any

import pytest

from timeback_async import (
    OrgRecord,
    UserRecord,
)
from timeback_async._wire.http import READONLY, Request
from timeback_async._wire.pages import page_of, page_request
from timeback_async.errors import ConfigError


def page(collection: str = "users", **changes: Any) -> Request:
    query: dict[str, Any] = {
        "limit": 100,
        "offset": 0,
        "filter": None,
        "sort": None,
        "order_by": None,
        "fields": None,
    }
    return page_request(collection, **(query | changes))


@pytest.mark.parametrize(
    ("request_made", "query"),
    [
        (page(), "users?limit=100&offset=0"),
        (page("orgs", limit=1, offset=300), "orgs?limit=1&offset=300"),
        (
            page(filter="givenName='Ada & Co' AND status!='x'"),
            (
                "users?limit=100&offset=0"
                "&filter=givenName%3D%27Ada%20%26%20Co%27%20AND%20status%21%3D%27x%27"
            ),
        ),
        (page(sort="familyName"), "users?limit=100&offset=0&sort=familyName"),
        (page(order_by="desc"), "users?limit=100&offset=0&orderBy=DESC"),
        (page(order_by="ASC"), "users?limit=100&offset=0&orderBy=ASC"),
        (page(fields="a,b"), "users?limit=100&offset=0&fields=a%2Cb"),
        (page(fields=["a", "b"]), "users?limit=100&offset=0&fields=a%2Cb"),
    ],
)
def test_a_page_is_asked_for_with_everything_encoded(request_made: Request, query: str) -> None:
    assert request_made == Request(
        "GET", f"/rostering/1.0/{query}", READONLY, None, query.partition("?")[0]
    )


@pytest.mark.parametrize("limit", [0, 101, -1, True, 10.0, "10", None])
def test_a_page_size_that_the_server_refuses_is_named(limit: object) -> None:
    with pytest.raises(ConfigError, match=r"^page_size: "):
        page(limit=limit)


@pytest.mark.parametrize("order_by", ["", "up", "ASC "])
def test_an_order_that_is_none_is_named(order_by: str) -> None:
    with pytest.raises(ConfigError, match=r"^order_by: "):
        page(order_by=order_by)


@pytest.mark.parametrize(
    ("total", "counted"), [(7, 7), (0, 0), (None, None), ("7", None), (7.5, None)]
)
def test_a_page_has_its_records_and_the_total(total: object, counted: int | None) -> None:
    body = json.dumps({"users": [{"sourcedId": "u-1", "new": 1}], "total": total}).encode()

    users, found = page_of("users", body)

    assert users == [UserRecord(sourced_id="u-1", extra={"new": 1})]
    assert found == counted


def test_a_page_without_a_total_has_none() -> None:
    orgs, total = page_of("orgs", b'{"orgs": [{"sourcedId": "o-1"}]}')

    assert (orgs, total) == ([OrgRecord(sourced_id="o-1")], None)

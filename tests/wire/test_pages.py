import itertools
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from timeback_async import (
    OrgRecord,
    UserRecord,
)
from timeback_async._wire.http import READONLY, Request, Response
from timeback_async._wire.pages import Progress, Query, page_of
from timeback_async.errors import ApiError, ConfigError, ProtocolError


def page(collection: str = "users", offset: int = 0, limit: int = 100, **changes: Any) -> Request:
    return Query(collection=collection, limit=limit, **changes).page(offset)


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
def test_a_page_size_that_the_server_refuses_is_named(limit: Any) -> None:
    with pytest.raises(ConfigError, match=r"^page_size: "):
        page(limit=limit)


@pytest.mark.parametrize("order_by", ["", "up", "ASC "])
def test_an_order_that_is_none_is_named(order_by: str) -> None:
    with pytest.raises(ConfigError, match=r"^order_by: "):
        page(order_by=order_by)


def received(body: object, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(200, named, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("total", "counted"),
    [
        *((7, 7), (0, 0), ("7", 7), (" 7 ", 7)),
        *((total, None) for total in (None, 7.5, True, -1, "many", "", [7], "9" * 5000)),
    ],
)
def test_a_page_has_its_records_and_the_total(total: object, counted: int | None) -> None:
    page = page_of("users", received({"users": [{"sourcedId": "u-1", "new": 1}], "total": total}))

    assert page.records == [UserRecord(sourced_id="u-1", extra={"new": 1})]
    assert page.total == counted


@pytest.mark.parametrize(("body", "total"), [({"orgs": []}, 9), ({"orgs": [], "total": 5}, 5)])
def test_the_total_may_be_in_a_header(body: object, total: int) -> None:
    assert page_of("orgs", received(body, X_Total_Count="9")).total == total


def test_a_page_without_a_total_has_none() -> None:
    page = page_of("orgs", received({"orgs": [{"sourcedId": "o-1"}]}))

    assert (page.records, page.total) == ([OrgRecord(sourced_id="o-1")], None)


def test_a_page_that_is_null_is_empty() -> None:
    assert page_of("orgs", received({"orgs": None})).records == []


def test_a_byte_order_mark_before_a_page_is_ignored() -> None:
    body = b'\xef\xbb\xbf{"orgs": [{"sourcedId": "o-1"}]}'

    assert page_of("orgs", Response(200, {}, body)).records == [OrgRecord(sourced_id="o-1")]


# -- the end of a list

NOT_FOUND, BAD_REQUEST, BUSY = ApiError(404), ApiError(400), ApiError(503)


class Lister(NamedTuple):
    """A server with so many records, and its way to list them.

    Attributes:
        total: What it says of their number, given that on the page, of all, and before the page.
        cap: The most it sends on a page.
        beyond: What it sends beyond the last record; a slice stands for a page.
    """

    number: int
    total: Callable[[int, int, int], object] = lambda page, number, offset: None
    cap: int = 100
    beyond: slice | Exception = slice(0)

    def page(self, limit: int, offset: int) -> list[int]:
        """Return one page, or raise."""
        records = list(range(self.number))
        if offset < self.number or not offset:
            return records[offset : offset + min(limit, self.cap)]
        if isinstance(self.beyond, Exception):
            raise self.beyond
        length = min(limit, self.cap)
        pages = [records[n : n + length] for n in range(0, self.number, length)]
        return (pages or [[]])[self.beyond][0] if self.beyond != slice(0) else []


def listed(server: Lister, limit: int, member: str = "sourcedId") -> list[int]:
    """Read a list as the session does."""
    progress, found = Progress(limit), []
    while not progress.is_over:
        try:
            page = server.page(limit, progress.offset)
        except ApiError as error:
            if progress.ended_by(error):
                break
            raise
        total = server.total(len(page), server.number, progress.offset)
        body = {"users": [{member: str(each)} for each in page], "total": total}
        records = progress.add(page_of("users", received(body)))
        found += [int(record.sourced_id or record.given_name) for record in records]
    return found


LAST_PAGE, FIRST_PAGE, NO_PAGE = slice(-1, None), slice(0, 1), slice(0)
TOTALS: dict[str, Callable[[int, int, int], object]] = {
    "none": lambda page, number, offset: None,
    "right": lambda page, number, offset: number,
    "text": lambda page, number, offset: str(number),
    "of-the-page": lambda page, number, offset: page,
    "capped": lambda page, number, offset: min(number, 8),
    "nought": lambda page, number, offset: 0,
    "remaining": lambda page, number, offset: max(number - offset, 0),
}


class Shrinking:
    """A server at which records are deleted between two pages, as a draw says.

    Attributes:
        records: Those that are left.
    """

    def __init__(self, number: int, deletions: list[list[int]], whole_pages: bool) -> None:
        self.records = list(range(number))
        self._deletions, self._whole_pages = deletions, whole_pages

    def listed(self, limit: int) -> list[int]:
        """Read the list as the session does."""
        progress, found = Progress(limit), []
        while not progress.is_over:
            offset = progress.offset
            if self._whole_pages:
                offset -= offset % limit
            users = [{"sourcedId": str(each)} for each in self.records[offset : offset + limit]]
            body = {"users": users, "total": len(self.records)}
            found += [
                int(each.sourced_id) for each in progress.add(page_of("users", received(body)))
            ]
            for place in self._deletions.pop() if self._deletions else ():
                if self.records:
                    del self.records[place % len(self.records)]
        return found


deletions = st.lists(st.lists(st.integers(0, 50), max_size=4), max_size=12)


@given(number=st.integers(0, 40), limit=st.integers(1, 8), deletions=deletions)
def test_whoever_stays_is_listed_while_others_are_deleted(
    number: int, limit: int, deletions: list[list[int]]
) -> None:
    server = Shrinking(number, deletions, whole_pages=False)

    found = server.listed(limit)

    assert {*found} >= {*server.records}
    assert len(found) == len({*found})


@pytest.mark.parametrize("places", [[5], [900], [5, 6, 7], [1, 500, 900]])
def test_a_list_of_whole_pages_ends_while_records_are_deleted(places: list[int]) -> None:
    found = Shrinking(950, [places] * 4, whole_pages=True).listed(100)

    assert len(found) == len({*found})


def test_a_list_goes_on_however_long_records_are_deleted() -> None:
    server = Shrinking(950, [[0]] * 1000, whole_pages=False)

    assert {*server.listed(100)} >= {*server.records}
    assert len(server.records) > 900, "it did not wait for an end of that"


def test_replicas_with_two_totals_cost_few_requests_more() -> None:
    progress, found, requests = Progress(100), [], 0
    while not progress.is_over:
        page = range(progress.offset, min(progress.offset + 100, 10_000))
        users = [{"sourcedId": str(each)} for each in page]
        body = {"users": users, "total": 10_000 - 101 * (requests % 2)}
        found += [each.sourced_id for each in progress.add(page_of("users", received(body)))]
        requests += 1

    assert found == [str(each) for each in range(10_000)]
    assert requests < 110


def test_a_total_of_those_that_remain_takes_nothing_away() -> None:
    progress, found = Progress(10), []
    while not progress.is_over:
        page = [*range(progress.offset, min(progress.offset + 10, 95))]
        body = {"users": [{"sourcedId": str(each)} for each in page], "total": 95 - progress.offset}
        found += [each.sourced_id for each in progress.add(page_of("users", received(body)))]

    assert found == [str(each) for each in range(95)]


@given(
    number=st.integers(0, 40),
    limit=st.integers(1, 8),
    total=st.sampled_from(sorted(TOTALS)),
    beyond=st.sampled_from([NO_PAGE, LAST_PAGE, FIRST_PAGE, NOT_FOUND]),
)
def test_every_record_is_listed_once_whatever_the_server_says_of_their_number(
    number: int, limit: int, total: str, beyond: slice | Exception
) -> None:
    server = Lister(number, TOTALS[total], beyond=beyond)

    is_unknown = total in ("none", "nought")
    assume(not (is_unknown and beyond in (LAST_PAGE, FIRST_PAGE) and number == limit))
    assert listed(server, limit) == list(range(number))


@given(
    number=st.integers(0, 40),
    cap=st.integers(1, 8),
    total=st.sampled_from(["none", "right", "text", "nought", "remaining"]),
    beyond=st.sampled_from([NO_PAGE, LAST_PAGE, NOT_FOUND]),
)
def test_every_record_is_listed_when_pages_are_shorter_than_asked_for(
    number: int, cap: int, total: str, beyond: slice | Exception
) -> None:
    assert listed(Lister(number, TOTALS[total], cap, beyond), 10) == list(range(number))


@pytest.mark.parametrize("cap", [10, 25, 50])
@pytest.mark.parametrize("number", [9, 10, 24, 25, 50, 53, 99, 100, 101, 130])
@pytest.mark.parametrize("total", TOTALS)
def test_pages_of_a_round_number_of_records_are_not_taken_for_the_last_one(
    number: int, cap: int, total: str
) -> None:
    assert listed(Lister(number, TOTALS[total], cap), 100) == list(range(number))


@pytest.mark.parametrize("sent", [0, 100])
def test_what_the_server_counts_and_does_not_send_is_missing(sent: int) -> None:
    progress = Progress(100)
    for page in ([*range(sent)], []):
        users = [{"sourcedId": str(each)} for each in page]
        progress.add(page_of("users", received({"users": users, "total": 250})))

    assert progress.is_over
    assert (progress.missing, progress.is_whole) == (250 - sent, False)


@pytest.mark.parametrize(
    ("page", "is_whole"),
    [
        ({"users": [{"sourcedId": "1"}], "total": 1}, True),
        ({"users": [{"sourcedId": "1"}]}, False),
        ({"users": [{"sourcedId": "1"}], "total": 0}, False),
        ({"users": [{"sourcedId": 1}], "total": 1}, False),
        ({"users": [], "total": 0}, False),
        ({"users": None, "total": 5}, False),
    ],
)
def test_a_list_is_whole_where_the_server_counts_what_it_sends_and_each_has_an_id(
    page: dict[str, Any], is_whole: bool
) -> None:
    progress = Progress(100)
    while not progress.is_over:
        progress.add(page_of("users", received(page)))
        page = {"users": []}

    assert progress.is_whole == is_whole


@pytest.mark.parametrize("beyond", [NOT_FOUND, BAD_REQUEST, BUSY])
def test_an_error_after_the_counted_records_costs_nothing(beyond: Exception) -> None:
    assert listed(Lister(6, TOTALS["right"], beyond=beyond), 3) == list(range(6))


@pytest.mark.parametrize(
    ("number", "beyond", "is_end"),
    [
        *((5, error, True) for error in (NOT_FOUND, BAD_REQUEST, ApiError(416), ApiError(422))),
        *((2, error, True) for error in (NOT_FOUND, BAD_REQUEST)),
        *((6, NOT_FOUND, True), (3, NOT_FOUND, True)),
        *((6, BAD_REQUEST, False), (3, BAD_REQUEST, False), (5, BUSY, False)),
        (5, ProtocolError("dropped"), False),
    ],
)
def test_an_error_after_an_unknown_number_of_records_is_the_end_where_it_says_so(
    number: int, beyond: Exception, is_end: bool
) -> None:
    progress = Progress(3)
    for offset in range(0, number, 3):
        page = {"users": [{"sourcedId": str(n)} for n in range(offset, min(offset + 3, number))]}
        progress.add(page_of("users", received(page)))

    assert progress.ended_by(beyond) == is_end


@pytest.mark.parametrize(("lengths", "is_end"), [([2, 2], False), ([2, 1], True)])
def test_a_page_is_short_by_the_measure_of_the_pages_before(
    lengths: list[int], is_end: bool
) -> None:
    progress = Progress(3)
    for length in lengths:
        users = [{"sourcedId": f"{progress.offset}-{n}"} for n in range(length)]
        progress.add(page_of("users", received({"users": users})))

    assert progress.ended_by(BAD_REQUEST) == is_end


def test_an_error_is_not_the_end_while_records_are_missing() -> None:
    progress = Progress(3)
    progress.add(page_of("users", received({"users": [{"sourcedId": "1"}], "total": 2})))

    assert not progress.ended_by(NOT_FOUND)


@pytest.mark.parametrize("error", [NOT_FOUND, BAD_REQUEST])
def test_an_error_in_place_of_the_first_page_is_one(error: Exception) -> None:
    assert not Progress(3).ended_by(error)


@pytest.mark.parametrize(
    ("number", "total"), [(3, "none"), (3, "right"), (2, "right")], ids=["full", "counted", "short"]
)
def test_a_server_that_ignores_the_offset_does_not_pass_for_whole(number: int, total: str) -> None:
    page = {"users": [{"sourcedId": str(n)} for n in range(number)]}
    answer = received(page | ({"total": 9} if total == "right" else {}))
    progress = Progress(3)
    progress.add(page_of("users", answer))

    with pytest.raises(ProtocolError, match="ignores `offset`"):
        progress.add(page_of("users", answer))


def test_records_without_ids_are_not_taken_for_the_same() -> None:
    assert listed(Lister(7, TOTALS["right"]), 3, "givenName") == list(range(7))
    alike = received({"users": [{"status": "active"}]})
    progress = Progress(3)
    progress.add(page_of("users", alike))

    with pytest.raises(ProtocolError, match="ignores `offset`"):
        progress.add(page_of("users", alike))


def test_a_list_that_goes_round_and_round_ends() -> None:
    pages = [received({"users": [{"sourcedId": str(n)}]}) for n in range(4)]
    progress, found = Progress(1), 0
    for page in itertools.cycle(pages):
        found += len(progress.add(page_of("users", page)))
        if progress.is_over:
            break

    assert found == 4
